//! Tests of a path.

use std::borrow::Cow;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::fields::Fields;
use super::path::normalize_path;
use super::string::{COMPARISONS, Comparison, StringMatch};
use super::template::Template;
use crate::config::{ConfigErrors, Problem, Schema, quoted};

/// A test of a path in normal form: an object with one of `exact`, `prefix`,
/// `path_separated_prefix`, `suffix`, `contains`, `regex` and `template`, and
/// `ignore_case`; or a string for `exact`.
#[derive(Debug, Clone, Schema)]
#[schema(definition, with = super::schema::path)]
pub struct PathMatch(How);

#[derive(Debug, Clone)]
enum How {
    Text(StringMatch),
    SeparatedPrefix {
        prefix: Box<str>,
        ignore_case: bool,
    },
    Template {
        template: Template,
        ignore_case: bool,
    },
}

impl PathMatch {
    /// Paths of a template, as `template` takes them.
    pub fn template(text: &str) -> Result<Self, Problem> {
        template(text, false).map(Self)
    }

    /// The part of this name of a path that passes: a template's `{name}`, a regex's
    /// `(?P<name>…)`.
    pub(super) fn capture<'p>(&self, path: &'p [u8], name: &str) -> Option<Cow<'p, [u8]>> {
        match &self.0 {
            How::Text(test) => test.capture(path, name),
            How::SeparatedPrefix { .. } => None,
            How::Template {
                template,
                ignore_case,
            } => template
                .capture(path, *ignore_case, name)
                .map(Cow::Borrowed),
        }
    }

    /// Whether there is a part of this name.
    pub(super) fn captures(&self, name: &str) -> bool {
        match &self.0 {
            How::Text(test) => test.captures(name),
            How::SeparatedPrefix { .. } => false,
            How::Template { template, .. } => template.captures(name),
        }
    }

    /// Whether a path passes that is in [normal form](normalize_path).
    pub fn matches(&self, path: &[u8]) -> bool {
        match &self.0 {
            How::Text(test) => test.matches(path),
            How::Template {
                template,
                ignore_case,
            } => template.matches(path, *ignore_case),
            How::SeparatedPrefix {
                prefix,
                ignore_case,
            } => path
                .split_at_checked(prefix.len())
                .is_some_and(|(start, rest)| {
                    let same = if *ignore_case {
                        start.eq_ignore_ascii_case(prefix.as_bytes())
                    } else {
                        start == prefix.as_bytes()
                    };
                    same && matches!(rest, [] | [b'/', ..])
                }),
        }
    }
}

/// How a path may be tested beside the comparisons of strings.
pub(super) const PATH_TESTS: &[&str] = &["path_separated_prefix", "template"];

impl Deserr<ConfigErrors> for PathMatch {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        match value {
            Value::String(text) => bare(text)
                .map(Self)
                .map_err(|problem| ConfigErrors::at(location, problem)),
            other => {
                let tests = [COMPARISONS, PATH_TESTS].concat();
                let fields = Fields::read(other, location, &tests, &["ignore_case"])?;
                from_fields(&fields, location).map(Self)
            }
        }
    }
}

fn bare(text: String) -> Result<How, Problem> {
    if text != "*" && text.contains(['*', '{']) {
        return Err(Problem::new("a string is an exact path, without wildcards")
            .help(format!("write {{\"template\": {}}}", quoted(&text))));
    }
    exact(&text)?;
    Ok(How::Text(StringMatch::exact(text)))
}

fn from_fields(fields: &Fields, location: ValuePointerRef<'_>) -> Result<How, ConfigErrors> {
    let ignore_case = fields.ignore_case;
    let (name, test) = if let Some(text) = fields.text("template") {
        ("template", template(text, ignore_case))
    } else if let Some(text) = fields.text("path_separated_prefix") {
        let prefix = separated(text).map(|()| How::SeparatedPrefix {
            prefix: text.into(),
            ignore_case,
        });
        ("path_separated_prefix", prefix)
    } else if let Some(comparison) = fields.comparison(location)? {
        let (name, checked) = match comparison.how() {
            Comparison::Exact(text) => ("exact", exact(text)),
            Comparison::Prefix(text) => ("prefix", prefix(text)),
            Comparison::Suffix(text) => ("suffix", reachable(&format!("/x{text}"))),
            Comparison::Contains(text) => ("contains", reachable(&format!("/x{text}x"))),
            Comparison::Regex(_) => ("regex", Ok(())),
        };
        (name, checked.map(|()| How::Text(comparison)))
    } else {
        return Err(ConfigErrors::at(location, "no test is given"));
    };
    test.map_err(|problem| ConfigErrors::at(location.push_key(name), problem))
}

fn template(text: &str, ignore_case: bool) -> Result<How, Problem> {
    let template: Template = text.parse()?;
    reachable(&template.example())?;
    Ok(How::Template {
        template,
        ignore_case,
    })
}

fn prefix(text: &str) -> Result<(), Problem> {
    begins(text)?;
    reachable(&format!("{text}x"))
}

fn exact(text: &str) -> Result<(), Problem> {
    if text == "*" {
        return Ok(());
    }
    begins(text)?;
    reachable(text)
}

fn separated(text: &str) -> Result<(), Problem> {
    begins(text)?;
    if text.ends_with('/') {
        return Err(Problem::new("must not end with `/`")
            .help("the slash after the prefix is meant already; for all paths leave `path` out"));
    }
    reachable(text)
}

fn begins(text: &str) -> Result<(), Problem> {
    if text.starts_with('/') {
        return Ok(());
    }
    Err(Problem::new(format!(
        "a path begins with `/`, got {}",
        quoted(text)
    )))
}

/// Refuses a test that no request can pass, because the paths that would are
/// brought into another form before they are looked at.
fn reachable(path: &str) -> Result<(), Problem> {
    if path.contains(['?', '#']) {
        return Err(
            Problem::new("never matches: paths are compared without query and fragment")
                .help("test the query with `query`"),
        );
    }
    if *normalize_path(path.as_bytes()) == *path.as_bytes() {
        return Ok(());
    }
    Err(
        Problem::new("never matches: paths are compared in normal form").help(
            "no `//`, no `.` or `..` segments, no `\\`; letters, digits and -._~ not escaped, \
         what may not stand in a path escaped in upper case (`%C3%A9` for `é`, `%20` for a space)",
        ),
    )
}
