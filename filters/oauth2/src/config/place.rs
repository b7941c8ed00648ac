//! Places: our own paths, and where browsers are sent.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::IpAddr;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Problem, Schema, string};
use legation::format::attributes::Path;
use legation::format::{Format, ValueSource};
use legation::matcher::{RequestView, normalize_path};

/// A path of the filter's own, in [normal form](normalize_path) and without a query.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "minLength": 2,
    "maxLength": LONGEST_PATH,
    "pattern": r#"^/[^;,?#"'<>\\%\s]+$"#,
})]
pub struct OwnPath(Box<str>);

const LONGEST_PATH: usize = 256;

impl OwnPath {
    /// One that is written in this crate.
    pub(super) fn usual(path: &'static str) -> Self {
        Self(path.into())
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b";,?#\"'<>\\%".contains(&byte);
        let is_path = text.starts_with('/')
            && (2..=LONGEST_PATH).contains(&text.len())
            && text.bytes().all(is_plain)
            && normalize_path(text.as_bytes()).as_ref() == text.as_bytes();
        is_path.then(|| Self(text.into()))
    }
}

impl Deserr<ConfigErrors> for OwnPath {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        if matches!(value, Value::Map(_)) {
            let problem = Problem::new("expected a path, got an object").help(
                "write it as a text, such as `/signout`: there is no other test than `exact`",
            );
            return Err(ConfigErrors::at(location, problem));
        }
        let text = string(value, location, "a path")?;
        Self::read(&text).ok_or_else(|| {
            let problem = Problem::new(format!("{text:?} is not a path of the filter's own"));
            let problem = problem.help(format!(
                "such as `/oauth2/callback`: in its normal form, without query, escapes and `;`, at most {LONGEST_PATH} characters"
            ));
            ConfigErrors::at(location, problem)
        })
    }
}

/// A URL that is made of text and of what is known about a request: in the form
/// `https://host/path`, without query and fragment.
#[derive(Debug, Clone, Schema)]
#[schema(as = Format)]
pub struct RedirectUri {
    format: Format,
    /// As it comes out where each value is [`UNKNOWN`].
    shape: Box<str>,
}

/// What stands in a shape for what a request says. No URL has it.
const UNKNOWN: char = '{';

impl RedirectUri {
    /// Reads one.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        Self::of(text.parse()?)
    }

    /// What makes it.
    pub fn format(&self) -> &Format {
        &self.format
    }

    fn of(format: Format) -> Result<Self, Problem> {
        let mut shape = Vec::new();
        let Ok(_) = format.render(&mut Unknown, &mut shape);
        let shape = String::from_utf8_lossy(&shape);
        let is_plain = |char: char| {
            char == UNKNOWN || (char.is_ascii_graphic() && !"\"<>\\^`|}".contains(char))
        };
        let scheme_is_known_and_wrong = shape.split_once("://").is_none_or(|(scheme, rest)| {
            !(scheme == "https" || scheme == "http" || scheme.contains(UNKNOWN))
                || rest.starts_with('/')
        });
        let problem = if uses_more_than_the_request(&format) {
            "is made of what a request says, and of nothing of its response"
        } else if !shape.starts_with(UNKNOWN) && scheme_is_known_and_wrong {
            "expected a URL that begins with https:// or http:// and has a host"
        } else if shape.contains(['?', '#']) {
            "expected a URL without a query and without a fragment"
        } else if !shape.chars().all(is_plain) || shape.contains('@') {
            "has characters that such a URL does not have"
        } else {
            return Ok(Self {
                shape: shape.into(),
                format,
            });
        };
        Err(Problem::new(problem)
            .help("such as `https://app.example/callback` or `https://%REQ(:authority)%/callback`"))
    }

    /// The path that it always has, where that can be told.
    pub(super) fn path(&self) -> Option<OwnPath> {
        let (_, rest) = self.shape.split_once("://")?;
        let path = rest.get(rest.find('/')?..)?;
        OwnPath::read(path)
    }

    /// Whether the path may be this one.
    pub(super) fn may_lead_to(&self, path: &OwnPath) -> bool {
        let Some((_, rest)) = self.shape.split_once("://") else {
            return self.shape.contains(UNKNOWN);
        };
        match rest.find('/').and_then(|start| rest.get(start..)) {
            Some(own) if own.contains(UNKNOWN) => true,
            Some(own) => own == path.as_str(),
            None => rest.ends_with(UNKNOWN),
        }
    }

    /// The host that it always has, without its port, where that can be told.
    pub(super) fn host(&self) -> Option<&str> {
        let (_, rest) = self.shape.split_once("://")?;
        let authority = rest.split('/').next()?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        (!host.contains(UNKNOWN) && !host.is_empty()).then_some(host)
    }

    /// Whether browsers come back by `http`, and not on their own machine, where they take
    /// that for safe.
    pub(super) fn is_in_the_clear(&self) -> bool {
        let is_local = |host: &str| {
            let address = host.trim_start_matches('[').trim_end_matches(']');
            let address = address.parse::<IpAddr>();
            host == "localhost"
                || host.ends_with(".localhost")
                || address.is_ok_and(|address| address.is_loopback())
        };
        self.shape.starts_with("http://") && !self.host().is_some_and(is_local)
    }
}

impl From<RedirectUri> for Format {
    fn from(uri: RedirectUri) -> Self {
        uri.format
    }
}

impl Deserr<ConfigErrors> for RedirectUri {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let format = Format::deserialize_from_value(value, location)?;
        Self::of(format).map_err(|problem| ConfigErrors::at(location, problem))
    }
}

/// Whether there is no value for it yet when browsers are sent away.
fn uses_more_than_the_request(format: &Format) -> bool {
    let uses = format.uses();
    uses.request_trailers
        || uses.response_headers
        || uses.response_trailers
        || uses.response_attributes
}

/// A request of which nothing is known.
struct Unknown;

const NOT_KNOWN: &[u8] = &[UNKNOWN as u8];

impl RequestView for Unknown {
    type Error = Infallible;

    fn header(&mut self, _: &str) -> Result<Option<&[u8]>, Infallible> {
        Ok(Some(NOT_KNOWN))
    }

    fn any_header(
        &mut self,
        _: &str,
        test: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, Infallible> {
        Ok(test(NOT_KNOWN))
    }

    fn source_address(&mut self) -> Result<Option<IpAddr>, Infallible> {
        Ok(None)
    }

    fn random(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }
}

impl ValueSource for Unknown {
    fn response_header(&mut self, _: &str) -> Result<Option<&[u8]>, Infallible> {
        Ok(None)
    }

    fn response_trailer(&mut self, _: &str) -> Result<Option<&[u8]>, Infallible> {
        Ok(None)
    }

    fn attribute(&mut self, _: &Path) -> Result<Option<Cow<'_, [u8]>>, Infallible> {
        Ok(Some(Cow::Borrowed(NOT_KNOWN)))
    }
}

/// One of `allowed_redirect_domains`: a host, `app.example.com`; or all below one,
/// `.example.com` or `*.example.com`; with a port where that is not the scheme's.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "pattern": r"^(\*?\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(:[0-9]{1,5})?$",
})]
pub struct RedirectDomain(Box<str>);

impl RedirectDomain {
    /// As it is written, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is all below a host.
    pub(super) fn is_below(&self) -> bool {
        self.0.starts_with(['*', '.'])
    }

    /// The host, without what stands before it, and without its port.
    pub(super) fn host(&self) -> &str {
        let host = self.0.trim_start_matches(['*', '.']);
        host.split(':').next().unwrap_or(host)
    }
}

impl AsRef<str> for RedirectDomain {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for RedirectDomain {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a host, such as \"app.example.com\"")?;
        let text = text.to_ascii_lowercase();
        let below = text.strip_prefix('*').unwrap_or(&text);
        let (is_below, rest) = match below.strip_prefix('.') {
            Some(rest) => (true, rest),
            None => (false, below),
        };
        let (host, port) = match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        };
        let is_port = |port: &str| {
            let number = port.parse::<u16>();
            port.bytes().all(|byte| byte.is_ascii_digit()) && number.is_ok_and(|port| port > 0)
        };
        let problem = if below.len() != text.len() && !is_below {
            Problem::new("a `*` stands for whole names alone").help("such as `*.example.com`")
        } else if text.contains("//") || text.contains('/') {
            Problem::new("expected a host, without scheme and path")
                .help("such as `app.example.com`, `.example.com` or `localhost:8080`")
        } else if !is_domain(host) || !port.is_none_or(is_port) {
            Problem::new(format!("{text:?} is not a host"))
                .help("such as `app.example.com`, `.example.com` or `localhost:8080`")
        } else if is_below && !host.contains('.') {
            Problem::new("browsers would be sent to anyone's hosts")
                .help("name a domain that is yours, such as `.example.com`")
        } else {
            return Ok(Self(text.into()));
        };
        Err(ConfigErrors::at(location, problem))
    }
}

/// Whether it is a host's name in ASCII.
pub(super) fn is_domain(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}
