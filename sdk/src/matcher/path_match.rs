//! Tests of a path.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::path::normalize_path;
use super::string::{Comparison, StringMatch, given};
use super::template::Template;
use crate::config::{ConfigErrors, Given, Problem, exactly_one, quoted};

/// A test of a path in normal form: an object with one of `exact`, `prefix`,
/// `path_separated_prefix`, `suffix`, `contains`, `regex` and `template`, and
/// `ignore_case`; or a string for `exact`.
#[derive(Debug, Clone)]
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

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Fields {
    #[deserr(default)]
    exact: Given<String>,
    #[deserr(default)]
    prefix: Given<String>,
    #[deserr(default)]
    path_separated_prefix: Given<String>,
    #[deserr(default)]
    suffix: Given<String>,
    #[deserr(default)]
    contains: Given<String>,
    #[deserr(default)]
    regex: Given<String>,
    #[deserr(default)]
    template: Given<String>,
    #[deserr(default)]
    ignore_case: bool,
}

impl Deserr<ConfigErrors> for PathMatch {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        match value {
            Value::String(text) => bare(text)
                .map(Self)
                .map_err(|problem| ConfigErrors::at(location, problem)),
            other => from_fields(Fields::deserialize_from_value(other, location)?, location),
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

fn from_fields(fields: Fields, location: ValuePointerRef<'_>) -> Result<PathMatch, ConfigErrors> {
    let written = [
        fields.exact,
        fields.prefix,
        fields.suffix,
        fields.contains,
        fields.regex,
    ];
    let mut choices = given(&written);
    choices.push((
        "path_separated_prefix",
        fields.path_separated_prefix.0.is_some(),
    ));
    choices.push(("template", fields.template.0.is_some()));
    exactly_one(location, &choices)?;

    let ignore_case = fields.ignore_case;
    if let Some(text) = fields.template.0 {
        let template = text.parse().and_then(|template: Template| {
            reachable(&template.example())?;
            Ok(template)
        });
        let template =
            template.map_err(|problem| ConfigErrors::at(location.push_key("template"), problem))?;
        return Ok(PathMatch(How::Template {
            template,
            ignore_case,
        }));
    }
    if let Some(prefix) = fields.path_separated_prefix.0 {
        let location = location.push_key("path_separated_prefix");
        separated(&prefix).map_err(|problem| ConfigErrors::at(location, problem))?;
        return Ok(PathMatch(How::SeparatedPrefix {
            prefix: prefix.into(),
            ignore_case,
        }));
    }
    let Some(comparison) = StringMatch::written(location, written, ignore_case)? else {
        return Err(ConfigErrors::at(location, "no test is given"));
    };
    let (name, checked) = match comparison.how() {
        Comparison::Exact(text) => ("exact", exact(text)),
        Comparison::Prefix(text) => (
            "prefix",
            begins(text).and_then(|()| reachable(&format!("{text}x"))),
        ),
        Comparison::Suffix(text) => ("suffix", reachable(&format!("/x{text}"))),
        Comparison::Contains(text) => ("contains", reachable(&format!("/x{text}x"))),
        Comparison::Regex(_) => ("regex", Ok(())),
    };
    match checked {
        Ok(()) => Ok(PathMatch(How::Text(comparison))),
        Err(problem) => Err(ConfigErrors::at(location.push_key(name), problem)),
    }
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
