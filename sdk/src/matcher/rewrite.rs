//! Replacing by a regular expression.

use std::borrow::Cow;
use std::fmt::Write as _;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::string::compile;
use crate::config::{self, ConfigErrors, MISSING, Problem, Schema, object};
use crate::format::MAX_LENGTH;

/// Replaces each match of a regular expression in a value, as Envoy's `regex_rewrite`
/// does: `{pattern: '^/v(\d+)', substitution: 'v\1'}`. In the substitution `\1` to `\9`
/// are groups, `\0` is the whole match and `\\` a backslash; `pattern` may be an object
/// with `regex`, as Envoy writes it.
///
/// The syntax is that of [`Regex`](super::Regex), but the expression need not match the
/// whole value. It takes time linear in the value's length.
#[derive(Debug, Clone, Schema)]
#[schema({
    "type": "object",
    "properties": {
        "pattern": {
            "description": "What is replaced: a regular expression, or `{regex: …}`.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                {
                    "type": "object",
                    "properties": {
                        "regex": { "description": "The regular expression.", "type": "string", "minLength": 1 },
                    },
                    "required": ["regex"],
                },
            ],
        },
        "substitution": {
            "description": r"What takes its place: text, with `\1` to `\9` for groups and `\0` for all of it.",
            "type": "string",
        },
    },
    "required": ["pattern"],
    "additionalProperties": false,
})]
pub struct RegexRewrite {
    pattern: regex_lite::Regex,
    substitution: Box<[Piece]>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(Box<str>),
    Group(usize),
}

impl RegexRewrite {
    fn new(pattern: &str, substitution: &str) -> Result<Self, (&'static str, Problem)> {
        let pattern = compile(pattern, false).map_err(|problem| ("pattern", problem))?;
        let groups = pattern.captures_len();
        let substitution =
            pieces(substitution, groups).map_err(|problem| ("substitution", problem))?;
        Ok(Self {
            pattern,
            substitution,
        })
    }

    /// The value with every match replaced, at most 60 KiB of it; `None` where nothing matches. What is not
    /// UTF-8 is read lossily where something does.
    pub fn rewrite(&self, value: &[u8]) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(value);
        if !self.pattern.is_match(&text) {
            return None;
        }
        let replaced = self
            .pattern
            .replace_all(&text, |found: &regex_lite::Captures<'_>| {
                let mut out = String::new();
                for piece in &self.substitution {
                    let _ = out.write_str(match piece {
                        Piece::Text(text) => text,
                        Piece::Group(number) => {
                            found.get(*number).map_or("", |group| group.as_str())
                        }
                    });
                }
                out
            });
        let mut replaced = match replaced {
            Cow::Borrowed(text) => text.as_bytes().to_vec(),
            Cow::Owned(text) => text.into_bytes(),
        };
        replaced.truncate(MAX_LENGTH);
        Some(replaced)
    }
}

fn pieces(text: &str, groups: usize) -> Result<Box<[Piece]>, Problem> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char.is_control() && char != '\t' {
            return Err(
                Problem::new("a control character").help("a header's value holds none but tabs")
            );
        }
        if char != '\\' {
            literal.push(char);
            continue;
        }
        match chars.next() {
            Some('\\') => literal.push('\\'),
            Some(digit @ '0'..='9') => {
                let number = digit.to_digit(10).and_then(|one| usize::try_from(one).ok());
                let number = number.filter(|number| *number < groups).ok_or_else(|| {
                    Problem::new(format!("`\\{digit}`: the pattern has no such group"))
                })?;
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
                }
                pieces.push(Piece::Group(number));
            }
            _ => {
                return Err(Problem::new("a backslash without a group's number")
                    .help("write `\\1` for the first group, `\\\\` for a backslash"));
            }
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal.into()));
    }
    Ok(pieces.into())
}

/// An expression by itself, or in an object under `regex`.
struct Pattern(String);

impl Deserr<ConfigErrors> for Pattern {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        if let Value::String(text) = value {
            return Ok(Self(text));
        }
        let mut regex = None;
        object::fields(
            value,
            location,
            &["regex", "google_re2"],
            &mut |key, value, location| {
                if key == "regex" {
                    regex = Some(config::string(value, location, "a regular expression")?);
                }
                Ok(())
            },
        )?;
        match regex {
            Some(regex) => Ok(Self(regex)),
            None => Err(ConfigErrors::at(location.push_key("regex"), MISSING)),
        }
    }
}

impl Deserr<ConfigErrors> for RegexRewrite {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let (mut pattern, mut substitution) = (None, String::new());
        object::fields(
            value,
            location,
            &["pattern", "substitution"],
            &mut |key, value, location| {
                if key == "pattern" {
                    pattern = Some(Pattern::deserialize_from_value(value, location)?.0);
                } else {
                    substitution = config::string(value, location, "a string, such as `v\\1`")?;
                }
                Ok(())
            },
        )?;
        let Some(pattern) = pattern else {
            return Err(ConfigErrors::at(location.push_key("pattern"), MISSING));
        };
        Self::new(&pattern, &substitution)
            .map_err(|(field, problem)| ConfigErrors::at(location.push_key(field), problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_every_match_as_envoy_does() {
        for (pattern, substitution, value, rewritten) in [
            ("^v([0-9]+).*", r"\1", "v12-beta", Some("12")),
            ("a", "b", "banana", Some("bbnbnb")),
            ("(a)(x)?", r"[\0\2]", "ba", Some("b[a]")),
            ("a", r"\\", "a", Some(r"\")),
            ("a", "$0", "a", Some("$0")),
            ("a", "", "a", Some("")),
            ("a", "b", "c", None),
        ] {
            let rewrite = RegexRewrite::new(pattern, substitution).unwrap();
            let result = rewrite.rewrite(value.as_bytes());
            let expected = rewritten.map(|text| text.as_bytes().to_vec());
            assert_eq!(result, expected, "{pattern} {substitution} {value}");
        }
    }

    #[test]
    fn mistakes_name_their_field() {
        for (text, error) in [
            (r#"{"pattern": "("}"#, "pattern: not a regular expression"),
            (r#"{"substitution": "x"}"#, "pattern: missing field"),
            (
                r#"{"pattern": {"regx": "a"}}"#,
                "pattern.regx: unknown field",
            ),
            (
                r#"{"pattern": "a", "substitution": "\\1"}"#,
                "substitution: `\\1`: the pattern has no such group",
            ),
            (
                r#"{"pattern": "a", "substitution": "\\x"}"#,
                "substitution: a backslash without",
            ),
        ] {
            let errors = config::parse::<RegexRewrite>(text.as_bytes()).unwrap_err();
            assert!(errors.to_string().starts_with(error), "{errors}");
        }
    }
}
