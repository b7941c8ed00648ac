//! Replacing by a regular expression.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::effort::{Effort, Reach};
use super::string::compile;
use crate::config::{self, ConfigErrors, MISSING, Problem, Schema, object};
use crate::format::MAX_LENGTH;

/// Replaces each match of a regular expression in a value, as Envoy's `regex_rewrite`
/// does: `{pattern: '^/v(\d+)', substitution: 'v\1'}`. In the substitution `\1` to `\9`
/// are groups, `\0` is the whole match and `\\` a backslash; `pattern` may be an object
/// with `regex`, as Envoy writes it.
///
/// The syntax is that of [`Regex`](super::Regex), but the expression need not match the
/// whole value. A value in which finding all matches takes too much [`Effort`] comes out empty.
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
    reach: Reach,
    substitution: Box<[Piece]>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(Box<str>),
    Group(usize),
}

impl RegexRewrite {
    fn new(pattern: &str, substitution: &str) -> Result<Self, (&'static str, Problem)> {
        let reach = Reach::of(pattern);
        let pattern = compile(pattern, false).map_err(|problem| ("pattern", problem))?;
        let groups = pattern.captures_len();
        let substitution =
            pieces(substitution, groups).map_err(|problem| ("substitution", problem))?;
        Ok(Self {
            pattern,
            reach,
            substitution,
        })
    }

    /// The value with every match replaced, at most 60 KiB of it; `None` where nothing matches. What is not
    /// UTF-8 is read lossily where something does. By itself: of several values of one message
    /// [`Self::rewrite_within`] is for each.
    pub fn rewrite(&self, value: &[u8]) -> Option<Vec<u8>> {
        self.rewrite_within(value, &mut Effort::default())
    }

    /// The same, with what is left of the effort for a message. Where that is too little, nothing comes out, rather than
    /// a value of which a part was replaced.
    pub fn rewrite_within(&self, value: &[u8], effort: &mut Effort) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(value);
        let mut all = self.pattern.captures_iter(&text);
        let mut found = all.next()?;
        let mut rewritten = String::new();
        let mut copied = 0;
        loop {
            let whole = found.get(0)?;
            let looked_at = self.reach.looked_at(text.len(), copied, whole.end());
            if !effort.spend(looked_at) {
                return Some(Vec::new());
            }
            rewritten.push_str(text.get(copied..whole.start()).unwrap_or_default());
            for piece in &self.substitution {
                rewritten.push_str(match piece {
                    Piece::Text(text) => text,
                    Piece::Group(number) => found.get(*number).map_or("", |group| group.as_str()),
                });
            }
            copied = whole.end();
            if rewritten.len() >= MAX_LENGTH {
                break;
            }
            match all.next() {
                Some(next) => found = next,
                None => break,
            }
        }
        rewritten.push_str(text.get(copied..).unwrap_or_default());
        let mut rewritten = rewritten.into_bytes();
        rewritten.truncate(MAX_LENGTH);
        Some(rewritten)
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
            ("x*", "-", "axb", Some("-a-b-")),
            ("", "-", "é", Some("-é-")),
        ] {
            let rewrite = RegexRewrite::new(pattern, substitution).unwrap();
            let result = rewrite.rewrite(value.as_bytes());
            let expected = rewritten.map(|text| text.as_bytes().to_vec());
            assert_eq!(result, expected, "{pattern} {substitution} {value}");
        }
    }

    #[test]
    fn what_takes_too_much_comes_out_empty_and_what_does_not_is_replaced() {
        let long = "a".repeat(MAX_LENGTH);
        for (pattern, value, rewritten) in [
            // Each `a` looks for a `b` in all that follows.
            ("a(.*b)?", &*long, ""),
            ("a(.*b)?", "aaa", "xxx"),
            ("a", &long, &"x".repeat(MAX_LENGTH)),
            ("(?i)[a]+", &long, "x"),
            ("^a.*", &long, "x"),
            ("a(.*a)?", &long, "x"),
        ] {
            let rewrite = RegexRewrite::new(pattern, "x").unwrap();
            let result = rewrite.rewrite(value.as_bytes()).unwrap();
            assert!(
                result == rewritten.as_bytes(),
                "{pattern}: {}",
                result.len()
            );
        }
    }

    #[test]
    fn values_of_one_message_share_its_effort() {
        let rewrite = RegexRewrite::new("a(.*b)?", "x").unwrap();
        let value = "a".repeat(800);
        let mut effort = Effort::default();
        let all: Vec<_> = (0..4)
            .map(|_| rewrite.rewrite_within(value.as_bytes(), &mut effort))
            .collect();
        let lengths: Vec<_> = all.iter().flatten().map(Vec::len).collect();
        assert_eq!(lengths, [800, 0, 0, 0]);
        // Nothing is done to one in which nothing is to be replaced.
        assert_eq!(rewrite.rewrite_within(b"c", &mut effort), None);
    }

    #[test]
    fn what_grows_is_cut() {
        let rewrite = RegexRewrite::new("a", r"\0\0\0").unwrap();
        let result = rewrite.rewrite("a".repeat(MAX_LENGTH).as_bytes()).unwrap();
        assert_eq!(result.len(), MAX_LENGTH);
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
