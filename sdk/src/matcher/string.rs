//! Tests of a text.

use std::borrow::Cow;
use std::fmt;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::fields::Fields;
use crate::config::{self, ConfigErrors, Problem, Schema};

/// A test of a text: `{exact|prefix|suffix|contains|regex: …, ignore_case}`, or
/// the text itself for `exact`.
#[derive(Debug, Clone, Schema)]
#[schema(definition, with = super::schema::string)]
pub struct StringMatch {
    how: Comparison,
    ignore_case: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Comparison {
    Exact(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Contains(Box<str>),
    Regex(Regex),
}

/// How a string may be tested.
pub(super) const COMPARISONS: &[&str] = &["exact", "prefix", "suffix", "contains", "regex"];

impl StringMatch {
    /// Exactly this text.
    pub fn exact(text: impl Into<Box<str>>) -> Self {
        Self {
            how: Comparison::Exact(text.into()),
            ignore_case: false,
        }
    }

    /// The same test of what has no case, such as a header's name: `X-A` and `x-a` are one.
    pub fn ignoring_case(mut self) -> Result<Self, Problem> {
        if let (Comparison::Regex(regex), false) = (&mut self.how, self.ignore_case) {
            *regex = Regex(compile(regex.0.as_str(), true)?);
        }
        self.ignore_case = true;
        Ok(self)
    }

    /// Whether a value passes. Bytes are compared as they are; only a regex
    /// looks at them as text, and reads what is not UTF-8 lossily.
    pub fn matches(&self, value: &[u8]) -> bool {
        let case = self.ignore_case;
        match &self.how {
            Comparison::Exact(text) => same(value, text.as_bytes(), case),
            Comparison::Prefix(text) => value
                .get(..text.len())
                .is_some_and(|start| same(start, text.as_bytes(), case)),
            Comparison::Suffix(text) => value
                .len()
                .checked_sub(text.len())
                .and_then(|at| value.get(at..))
                .is_some_and(|end| same(end, text.as_bytes(), case)),
            Comparison::Contains(text) => value
                .windows(text.len().max(1))
                .any(|part| same(part, text.as_bytes(), case)),
            Comparison::Regex(regex) => regex.is_match(value),
        }
    }

    /// What a regex's group of this name takes of a value that matches.
    pub(super) fn capture<'v>(&self, value: &'v [u8], name: &str) -> Option<Cow<'v, [u8]>> {
        match &self.how {
            Comparison::Regex(regex) => regex.capture(value, name),
            _ => None,
        }
    }

    /// Whether it is a regex with a group of this name.
    pub(super) fn captures(&self, name: &str) -> bool {
        match &self.how {
            Comparison::Regex(regex) => regex.0.capture_names().flatten().any(|own| own == name),
            _ => false,
        }
    }

    pub(super) fn how(&self) -> &Comparison {
        &self.how
    }

    /// From one of [`COMPARISONS`].
    pub(super) fn written(how: &str, text: &str, ignore_case: bool) -> Result<Self, Problem> {
        if text.is_empty() && how != "exact" {
            return Err(Problem::new("must not be empty"));
        }
        let how = match how {
            "prefix" => Comparison::Prefix(text.into()),
            "suffix" => Comparison::Suffix(text.into()),
            "contains" => Comparison::Contains(text.into()),
            "regex" => Comparison::Regex(Regex::build(text, ignore_case)?),
            _ => Comparison::Exact(text.into()),
        };
        Ok(Self { how, ignore_case })
    }
}

fn same(one: &[u8], other: &[u8], ignore_case: bool) -> bool {
    if ignore_case {
        one.eq_ignore_ascii_case(other)
    } else {
        one == other
    }
}

impl Deserr<ConfigErrors> for StringMatch {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        if let Value::String(text) = value {
            return Ok(Self::exact(text));
        }
        let fields = Fields::read(value, location, COMPARISONS, &["ignore_case"])?;
        match fields.comparison(location)? {
            Some(test) => Ok(test),
            None => Err(ConfigErrors::at(location, "no test is given")),
        }
    }
}

/// A regular expression that a whole value must match. Matching takes time
/// linear in the value's length, whatever the expression.
///
/// The syntax is that of the crate `regex-lite`: as RE2's, without look-around
/// and backreferences; `\w`, `\d`, `\s` and case are ASCII's; `.` takes any
/// character, line ends too.
#[derive(Clone, Schema)]
#[schema({ "type": "string" })]
pub struct Regex(regex_lite::Regex);

impl Regex {
    /// Compiles an expression.
    pub fn new(pattern: &str) -> Result<Self, Problem> {
        Self::build(pattern, false)
    }

    fn build(pattern: &str, ignore_case: bool) -> Result<Self, Problem> {
        // On its own first, so that the error is about what was written, and so
        // that it cannot close the group around it.
        compile(pattern, ignore_case)?;
        compile(&format!(r"\A(?:{pattern})\z"), ignore_case).map(Self)
    }

    /// Whether a whole value matches. What is not UTF-8 is read lossily: a stray
    /// byte is the character U+FFFD, which `.` matches.
    pub fn is_match(&self, value: &[u8]) -> bool {
        match std::str::from_utf8(value) {
            Ok(text) => self.0.is_match(text),
            Err(_) => self.0.is_match(&String::from_utf8_lossy(value)),
        }
    }
}

pub(super) fn compile(pattern: &str, ignore_case: bool) -> Result<regex_lite::Regex, Problem> {
    regex_lite::RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .dot_matches_new_line(true)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| {
            Problem::new(format!(
                "not a regular expression: {} in {}",
                error,
                config::quoted(pattern)
            ))
        })
}

impl Regex {
    /// What a group takes of a value that matches, by the group's name.
    fn capture<'v>(&self, value: &'v [u8], name: &str) -> Option<Cow<'v, [u8]>> {
        match String::from_utf8_lossy(value) {
            Cow::Borrowed(text) => {
                let group = self.0.captures(text)?.name(name)?.range();
                value.get(group).map(Cow::Borrowed)
            }
            Cow::Owned(text) => {
                let group = self.0.captures(&text)?.name(name)?.as_str();
                Some(Cow::Owned(group.as_bytes().to_vec()))
            }
        }
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

impl Deserr<ConfigErrors> for Regex {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        Self::new(&config::string(value, location, "a regular expression")?)
            .map_err(|problem| ConfigErrors::at(location, problem))
    }
}
