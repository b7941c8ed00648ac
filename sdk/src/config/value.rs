//! A configuration as a tree of values, whichever form it came in.

use std::cmp::Ordering;

use deserr::{IntoValue, Map, ValueKind};

use super::error::ConfigErrors;
use super::{json, wire};

/// Deeper documents are refused: everything that walks one recurses, and a
/// module's stack is small.
pub(super) const MAX_DEPTH: usize = 64;

pub(super) const TOO_DEEP: &str = "nested more than 64 levels deep";

/// 2^53: up to here every whole `f64` is exactly one integer.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A value whose objects keep their order.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    String(String),
    List(Vec<Value>),
    Object(Object),
}

/// The entries of an object in document order, each key once.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Object(pub(super) Vec<(String, Value)>);

/// A configuration that could be read, and the keys that it holds more than once.
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) duplicates: ConfigErrors,
    /// Whether it was text, in which errors have places.
    pub(super) is_text: bool,
}

/// Reads JSON text or the bytes of a `google.protobuf.Struct`.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ConfigErrors> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Document {
            value: Value::Object(Object::default()),
            duplicates: ConfigErrors::none(),
            is_text: false,
        });
    }
    let error = match json::read(bytes) {
        Ok((value, duplicates)) => {
            return Ok(Document {
                value,
                duplicates,
                is_text: true,
            });
        }
        Err(error) => error,
    };
    match wire::read(bytes) {
        Some(Ok(object)) => Ok(Document {
            value: Value::Object(object),
            duplicates: ConfigErrors::none(),
            is_text: false,
        }),
        Some(Err(error)) => Err(error),
        None => Err(error),
    }
}

/// Envoy writes the integers of a `Struct` as doubles: a whole double is taken
/// for the integer it means.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the value is whole and below 2^53"
)]
pub(super) fn number(value: f64) -> Value {
    if value.fract().partial_cmp(&0.0) != Some(Ordering::Equal) || value.abs() > MAX_EXACT {
        return Value::Float(value);
    }
    integer(value as i64)
}

pub(super) fn integer(value: i64) -> Value {
    u64::try_from(value).map_or(Value::Negative(value), Value::Unsigned)
}

impl IntoValue for Value {
    type Sequence = Vec<Value>;
    type Map = Object;

    fn kind(&self) -> ValueKind {
        match self {
            Self::Null => ValueKind::Null,
            Self::Boolean(_) => ValueKind::Boolean,
            Self::Unsigned(_) => ValueKind::Integer,
            Self::Negative(_) => ValueKind::NegativeInteger,
            Self::Float(_) => ValueKind::Float,
            Self::String(_) => ValueKind::String,
            Self::List(_) => ValueKind::Sequence,
            Self::Object(_) => ValueKind::Map,
        }
    }

    fn into_value(self) -> deserr::Value<Self> {
        match self {
            Self::Null => deserr::Value::Null,
            Self::Boolean(value) => deserr::Value::Boolean(value),
            Self::Unsigned(value) => deserr::Value::Integer(value),
            Self::Negative(value) => deserr::Value::NegativeInteger(value),
            Self::Float(value) => deserr::Value::Float(value),
            Self::String(value) => deserr::Value::String(value),
            Self::List(values) => deserr::Value::Sequence(values),
            Self::Object(entries) => deserr::Value::Map(entries),
        }
    }
}

impl Map for Object {
    type Value = Value;
    type Iter = std::vec::IntoIter<(String, Value)>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(index).1)
    }

    fn into_iter(self) -> Self::Iter {
        self.0.into_iter()
    }
}
