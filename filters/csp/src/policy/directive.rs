use std::collections::HashSet;
use std::fmt;

use thiserror::Error;

use super::name::{Name, Takes};
use super::source::{Keyword, Source};

/// A directive: a name, and what stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    name: Name,
    value: Value,
}

/// What stands behind the name of a directive. No value is there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Where things may come from. An empty list allows nothing, as `'none'` does.
    Sources(Vec<Source>),
    /// Anything else, such as the tokens of `sandbox`; nothing behind
    /// `upgrade-insecure-requests`.
    Tokens(Vec<Box<str>>),
}

/// Why [`Directive::new`] refuses. Its text names the directive and the value; that of its
/// [`Reason`] does not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct DirectiveError {
    /// The name, as it was given.
    pub directive: Box<str>,
    /// Which value it is about, counted from 0, and its text.
    pub value: Option<(usize, Box<str>)>,
    /// What is wrong, and what would be right.
    pub reason: Reason,
}

impl fmt::Display for DirectiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.directive)?;
        if let Some((_, value)) = &self.value {
            write!(f, "{value:?}: ")?;
        }
        fmt::Display::fmt(&self.reason, f)
    }
}

/// What is wrong with a directive.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// No browser knows a directive of this name.
    #[error("no browser knows this directive")]
    UnknownName,
    /// A character that would end the value, the directive or the policy, or that no policy
    /// has.
    #[error("has {}", character(*.0))]
    Character(char),
    /// Nothing is nothing.
    #[error("is empty")]
    Empty,
    /// A browser would take it for a host.
    #[error("wants quotation marks: '{0}'")]
    Unquoted(Box<str>),
    /// A browser would ignore it.
    #[error(
        "is no source: write a host such as https://cdn.example.com, a scheme such as https:, \
         or a keyword such as 'self', with its quotation marks"
    )]
    NotASource,
    /// It would match nothing.
    #[error("is not as long as such a hash is, {0} characters of base64 with its padding")]
    HashLength(usize),
    /// `'none'` says nothing beside others.
    #[error("'none' stands alone or does nothing")]
    NoneBesideOthers,
    /// It is there already.
    #[error("is there already")]
    Repeated,
    /// The directive takes no value.
    #[error("takes no value")]
    TakesNothing,
    /// The directive needs one.
    #[error("wants {0}")]
    Missing(&'static str),
    /// The directive does not know it.
    #[error("is not known here: write {0}")]
    NotKnown(&'static str),
}

fn character(character: char) -> String {
    match character {
        ';' => "a semicolon, which ends the directive: percent-encode it as %3B".to_owned(),
        ',' => "a comma, which ends the policy: percent-encode it as %2C".to_owned(),
        ' ' => "a space: give each value by itself".to_owned(),
        other if other.is_ascii_control() => {
            format!(
                "the control character U+{:04X}, which no policy has",
                u32::from(other)
            )
        }
        other => format!(
            "{other:?}, which is not ASCII: write a host in Punycode, and percent-encode a path"
        ),
    }
}

const SANDBOX: &[&str] = &[
    "allow-downloads",
    "allow-forms",
    "allow-modals",
    "allow-orientation-lock",
    "allow-pointer-lock",
    "allow-popups",
    "allow-popups-to-escape-sandbox",
    "allow-presentation",
    "allow-same-origin",
    "allow-scripts",
    "allow-storage-access-by-user-activation",
    "allow-top-navigation",
    "allow-top-navigation-by-user-activation",
    "allow-top-navigation-to-custom-protocols",
];

impl Directive {
    /// A directive of a name, in whatever case, and its values.
    ///
    /// Refused is what a browser would drop or read as something else, so what comes of it is
    /// read as it was meant.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn new<S: AsRef<str>>(name: &str, values: &[S]) -> Result<Self, DirectiveError> {
        let error = |value: Option<(usize, &str)>, reason| DirectiveError {
            directive: name.into(),
            value: value.map(|(index, text)| (index, text.into())),
            reason,
        };
        let known = Name::parse(name);
        if matches!(known, Name::Unknown(_)) {
            return Err(error(None, Reason::UnknownName));
        }
        let mut directive = Self::empty(known);
        for (index, text) in values.iter().map(AsRef::as_ref).enumerate() {
            directive
                .check(text)
                .and_then(|()| directive.push(text).then_some(()).ok_or(Reason::Repeated))
                .map_err(|reason| error(Some((index, text)), reason))?;
        }
        directive
            .check_whole()
            .map_err(|reason| error(None, reason))?;
        Ok(directive)
    }

    /// A directive as a browser reads it, and the values it repeats.
    pub(super) fn read<'a>(
        name: Name,
        values: impl Iterator<Item = &'a str>,
    ) -> (Self, Vec<&'a str>) {
        let mut repeated = Vec::new();
        let value = if name.takes() == Takes::Sources {
            let mut sources = Vec::new();
            let mut known: HashSet<Source> = HashSet::new();
            for text in values {
                let source = Source::parse(text);
                if known.insert(source.clone()) {
                    sources.push(source);
                } else {
                    repeated.push(text);
                }
            }
            Value::Sources(sources)
        } else {
            let mut tokens = Vec::new();
            let mut known: HashSet<Box<str>> = HashSet::new();
            for text in values {
                let token = canonical(&name, text);
                if known.insert(token.clone()) {
                    tokens.push(token);
                } else {
                    repeated.push(text);
                }
            }
            Value::Tokens(tokens)
        };
        (Self { name, value }, repeated)
    }

    pub(super) fn of_sources(name: Name, sources: Vec<Source>) -> Self {
        Self {
            name,
            value: Value::Sources(sources),
        }
    }

    pub(super) fn of_tokens(name: Name, tokens: Vec<Box<str>>) -> Self {
        Self {
            name,
            value: Value::Tokens(tokens),
        }
    }

    fn empty(name: Name) -> Self {
        let value = match name.takes() {
            Takes::Sources => Value::Sources(Vec::new()),
            Takes::Tokens | Takes::Nothing => Value::Tokens(Vec::new()),
        };
        Self { name, value }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What stands behind its name.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Its sources, where it has a list of them.
    pub fn sources(&self) -> Option<&[Source]> {
        match &self.value {
            Value::Sources(sources) => Some(sources),
            Value::Tokens(_) => None,
        }
    }

    /// Its other values.
    pub fn tokens(&self) -> Option<&[Box<str>]> {
        match &self.value {
            Value::Tokens(tokens) => Some(tokens),
            Value::Sources(_) => None,
        }
    }

    pub(super) fn into_name(self) -> Name {
        self.name
    }

    /// Its values, in their canonical form.
    pub fn values(&self) -> Vec<String> {
        match &self.value {
            Value::Sources(sources) => sources.iter().map(ToString::to_string).collect(),
            Value::Tokens(tokens) => tokens.iter().map(ToString::to_string).collect(),
        }
    }

    /// Adds a value; says no where it is there.
    fn push(&mut self, text: &str) -> bool {
        match &mut self.value {
            Value::Sources(sources) => {
                let source = Source::parse(text);
                let is_new = !sources.contains(&source);
                if is_new {
                    sources.push(source);
                }
                is_new
            }
            Value::Tokens(tokens) => {
                let token = canonical(&self.name, text);
                let is_new = !tokens.contains(&token);
                if is_new {
                    tokens.push(token);
                }
                is_new
            }
        }
    }

    fn check(&self, text: &str) -> Result<(), Reason> {
        let may = |c: char| c.is_ascii_graphic() && c != ';' && c != ',';
        if let Some(character) = text.chars().find(|c| !may(*c)) {
            return Err(Reason::Character(character));
        }
        if text.is_empty() {
            return Err(Reason::Empty);
        }
        match self.name.takes() {
            Takes::Sources => check_source(text),
            Takes::Nothing => Err(Reason::TakesNothing),
            Takes::Tokens => self
                .misfit(text)
                .map_or(Ok(()), |known| Err(Reason::NotKnown(known))),
        }
    }

    fn check_whole(&self) -> Result<(), Reason> {
        match (&self.value, &self.name) {
            (Value::Sources(sources), _) if sources.is_empty() => Err(Reason::Missing(
                "a source, or 'none' if it is to allow nothing",
            )),
            (Value::Sources(sources), _)
                if sources.len() > 1 && sources.iter().any(|source| source.is(Keyword::None)) =>
            {
                Err(Reason::NoneBesideOthers)
            }
            (Value::Tokens(tokens), Name::ReportTo) if tokens.len() != 1 => {
                Err(Reason::Missing("the name of one endpoint"))
            }
            (Value::Tokens(tokens), Name::ReportUri) if tokens.is_empty() => {
                Err(Reason::Missing("a URL or a path to report to"))
            }
            (Value::Tokens(tokens), Name::RequireTrustedTypesFor) if tokens.is_empty() => {
                Err(Reason::Missing("'script'"))
            }
            _ => Ok(()),
        }
    }

    /// Where the directive does not know a token: those that it knows.
    pub(super) fn misfit(&self, token: &str) -> Option<&'static str> {
        let (known, text): (bool, _) = match self.name {
            Name::Sandbox => {
                let mut all = SANDBOX.iter();
                let known = all.any(|flag| token.eq_ignore_ascii_case(flag));
                (
                    known,
                    "allow-forms, allow-scripts or another flag of an iframe's sandbox",
                )
            }
            Name::RequireTrustedTypesFor => (token == "'script'", "'script'"),
            Name::TrustedTypes => {
                let may = |byte: u8| byte.is_ascii_alphanumeric() || b"-#=_/@.%".contains(&byte);
                let keyword = ["*", "'none'", "'allow-duplicates'"];
                let mut keywords = keyword.iter();
                let known = keywords.any(|keyword| token.eq_ignore_ascii_case(keyword))
                    || token.bytes().all(may);
                (known, "names of policies, *, 'allow-duplicates' or 'none'")
            }
            Name::ReportTo => {
                // `token` of RFC 9110, section 5.6.2.
                let may =
                    |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
                let known = token.bytes().all(may);
                (known, "a name that Reporting-Endpoints gives a URL")
            }
            Name::Webrtc => (matches!(token, "'allow'" | "'block'"), "'allow' or 'block'"),
            _ => (true, ""),
        };
        (!known).then_some(text)
    }
}

fn check_source(text: &str) -> Result<(), Reason> {
    if unquoted(text) {
        return Err(Reason::Unquoted(text.trim_matches('\'').into()));
    }
    match Source::parse(text) {
        Source::Invalid(_) => Err(Reason::NotASource),
        Source::Hash(hash) if !hash.is_whole() => {
            Err(Reason::HashLength(hash.algorithm().base64_len()))
        }
        _ => Ok(()),
    }
}

/// Whether a value is a keyword, a nonce or a hash that lacks a quotation mark or both.
pub(super) fn unquoted(text: &str) -> bool {
    if text.len() > 2 && text.starts_with('\'') && text.ends_with('\'') {
        return false;
    }
    let quoted = Source::parse(&format!("'{}'", text.trim_matches('\'')));
    !matches!(quoted, Source::Invalid(_))
}

/// Flags and keywords are the same in whatever case; names and URLs are not.
fn canonical(name: &Name, token: &str) -> Box<str> {
    let keywords = ["'none'", "'allow-duplicates'"];
    let mut keywords = keywords.iter();
    let folds = match name {
        Name::Sandbox => true,
        Name::TrustedTypes => keywords.any(|keyword| token.eq_ignore_ascii_case(keyword)),
        _ => false,
    };
    if folds {
        token.to_ascii_lowercase().into()
    } else {
        token.into()
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.name, f)?;
        match &self.value {
            Value::Sources(sources) => sources.iter().try_for_each(|source| write!(f, " {source}")),
            Value::Tokens(tokens) => tokens.iter().try_for_each(|token| write!(f, " {token}")),
        }
    }
}
