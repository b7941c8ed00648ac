//! Values that are checked where they stand.

use std::fmt;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Problem, Schema, string};

use crate::json::{Choice, Path};
use crate::media::MediaRange;
use crate::redaction;

/// A media type without parameters, or many: `text/*`.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": "^[^;/ ]+/[^;/ ]+$" })]
pub struct ContentType(pub MediaRange);

impl Deserr<ConfigErrors> for ContentType {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a media type")?;
        let range = MediaRange::parse(&text);
        range.map(Self).ok_or_else(|| {
            let problem = if text.contains(';') {
                Problem::new("a media type with parameters")
                    .help("write it without: `application/json` is every `application/json; …` too")
            } else {
                Problem::new(format!("`{text}` is not a media type"))
                    .help("such as `application/json`, `application/*+json`, `text/*` or `*/*`")
            };
            ConfigErrors::at(location, problem)
        })
    }
}

/// A path into a document.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": r"^\$" })]
pub struct JsonPath(pub Path);

impl Deserr<ConfigErrors> for JsonPath {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a path, such as `$.user.email`")?;
        let path = Path::parse(&text);
        path.map(Self)
            .map_err(|problem| ConfigErrors::at(location, problem))
    }
}

/// A regular expression that is looked for.
#[derive(Clone, Schema)]
#[schema({ "type": "string", "minLength": 1 })]
pub struct Pattern(pub regex_lite::Regex);

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

impl Deserr<ConfigErrors> for Pattern {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a regular expression")?;
        let regex = redaction::regex(&text);
        regex
            .map(Self)
            .map_err(|problem| ConfigErrors::at(location, problem))
    }
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq, Schema)]
#[schema({ "type": "number" })]
pub struct Real(pub f64);

impl Deserr<ConfigErrors> for Real {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        match Scalar::deserialize_from_value(value, location)?.0 {
            Choice::Number(number) => Ok(Self(number)),
            _ => Err(ConfigErrors::at(location, "expected a number")),
        }
    }
}

/// A text, a number, `true`, `false` or `null`.
#[derive(Debug, Clone, PartialEq, Schema)]
#[schema({ "type": ["string", "number", "boolean", "null"] })]
pub struct Scalar(pub Choice);

impl Deserr<ConfigErrors> for Scalar {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers are compared as JSON's are read: as `f64`"
        )]
        Ok(Self(match value {
            Value::Null => Choice::Null,
            Value::Boolean(value) => Choice::Boolean(value),
            Value::Integer(value) => Choice::Number(value as f64),
            Value::NegativeInteger(value) => Choice::Number(value as f64),
            Value::Float(value) => Choice::Number(value),
            Value::String(value) => Choice::Text(value.into()),
            Value::Sequence(_) | Value::Map(_) => {
                let problem = "expected a text, a number, `true`, `false` or `null`";
                return Err(ConfigErrors::at(location, problem));
            }
        }))
    }
}
