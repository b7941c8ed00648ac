//! Values: labels, statuses, and what headers are set to.

use std::fmt;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Key, OneOrMany, Problem, Schema, string};
use legation::format::Format;

use super::made::{Finish, Long, OPERATORS};

/// Longer names make unwieldy counters.
const LONGEST_LABEL: usize = 64;

/// What a rule is called.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": LONGEST_LABEL })]
pub struct Label(String);

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Key for Label {
    fn from_key(text: &str) -> Result<Self, Problem> {
        if !is_word(text) || text.len() > LONGEST_LABEL {
            return Err(Problem::new(format!(
                "a name is 1 to {LONGEST_LABEL} characters from A-Z, a-z, 0-9, `_` and `-`"
            ))
            .help("it becomes part of a counter's name, where other characters have a meaning"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Deserr<ConfigErrors> for Label {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a name")?;
        Self::from_key(&text).map_err(|problem| ConfigErrors::at(location, problem))
    }
}

fn is_word(text: &str) -> bool {
    let is_word_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.bytes().all(is_word_byte)
}

/// A format with header-tag's own operators.
#[derive(Debug, Schema)]
#[schema(as = Format)]
pub(super) struct Formatted(pub(super) Format);

impl Deserr<ConfigErrors> for Formatted {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        Format::read_with(value, location, &OPERATORS).map(Self)
    }
}

/// A text that may stand in a header as it is.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string" })]
pub(super) struct Plain(String);

impl Plain {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Deserr<ConfigErrors> for Plain {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a text")?;
        if text.chars().any(|char| char.is_control() && char != '\t') {
            let problem = Problem::new("a control character");
            let problem = problem.help("a header's value holds none but tabs");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(text.trim().to_owned()))
    }
}

/// A value, ready to be made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) format: Format,
    pub(crate) finish: Option<Box<Finish>>,
}

/// What a header, a trailer or a parameter is made of.
#[derive(Debug, Schema)]
#[schema({
    "anyOf": [generator.subschema_for::<Format>(), generator.subschema_for::<Long>()],
})]
pub struct HeaderValue {
    made: Made,
    written_empty: bool,
    /// Whether it was written as an object.
    is_long: bool,
}

impl HeaderValue {
    /// Whether nothing was written, as distinct from what came out of
    /// the environment empty.
    pub(super) fn is_written_empty(&self) -> bool {
        self.written_empty
    }

    pub(super) fn format(&self) -> &Format {
        &self.made.format
    }

    /// The field of it that has the format, where it has fields.
    pub(super) fn field(&self) -> Option<&'static str> {
        self.is_long.then_some("value")
    }

    /// The value, where it is the same for all messages.
    pub(crate) fn as_literal(&self) -> Option<&[u8]> {
        let literal = self.made.format.as_literal();
        literal.filter(|_| self.made.finish.is_none())
    }
}

impl From<HeaderValue> for Made {
    fn from(value: HeaderValue) -> Self {
        value.made
    }
}

impl Deserr<ConfigErrors> for HeaderValue {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let written_empty = matches!(&value, Value::String(text) if text.trim().is_empty());
        let is_long = matches!(value, Value::Map(_));
        let (format, finish) = if is_long {
            Long::deserialize_from_value(value, location)?.into_parts()
        } else {
            (Formatted::deserialize_from_value(value, location)?, None)
        };
        Ok(Self {
            made: Made {
                format: format.0,
                finish,
            },
            written_empty,
            is_long,
        })
    }
}

/// Statuses of a response: codes, and classes of them.
#[derive(Debug, Default, Clone, PartialEq, Eq, Schema)]
#[schema({
    "anyOf": [
        generator.subschema_for::<StatusRange>(),
        { "type": "array", "minItems": 1, "items": generator.subschema_for::<StatusRange>() },
    ],
})]
pub struct Statuses(Vec<StatusRange>);

impl Statuses {
    /// Whether they are not given, so that any response will do.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this status is one of them.
    pub fn contains(&self, status: u16) -> bool {
        self.is_any()
            || self
                .0
                .iter()
                .any(|range| (range.first..=range.last).contains(&status))
    }
}

impl Deserr<ConfigErrors> for Statuses {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let ranges = OneOrMany::<StatusRange>::deserialize_from_value(value, location)?;
        Ok(Self(ranges.into_iter().collect()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "anyOf": [
        { "type": "integer", "minimum": 100, "maximum": 599 },
        { "type": "string", "pattern": "^([1-5][0-9]{2}|[1-5]xx)$" },
    ],
})]
struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    fn read(text: &str) -> Option<Self> {
        if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
            let first = class.saturating_mul(100);
            return Some(Self {
                first,
                last: first.saturating_add(99),
            });
        }
        let code = text
            .parse()
            .ok()
            .filter(|code| (100..=599).contains(code))?;
        Some(Self {
            first: code,
            last: code,
        })
    }
}

impl Deserr<ConfigErrors> for StatusRange {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        const EXPECTED: &str = "a status from 100 to 599, or a class of them such as \"5xx\"";
        let text = match value {
            Value::Integer(code) => code.to_string(),
            other => string(other, location, EXPECTED)?,
        };
        Self::read(&text)
            .ok_or_else(|| ConfigErrors::at(location, format!("expected {EXPECTED}, got {text:?}")))
    }
}
