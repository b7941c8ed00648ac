//! The JSON document, with duplicate keys found and depth bounded.

use std::cell::RefCell;
use std::fmt;

use deserr::{IntoValue, Map, ValueKind, ValuePointerRef};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::error::{ConfigErrors, Problem};

/// Deeper documents are refused: everything that walks one recurses, and a
/// module's stack is small.
const MAX_DEPTH: usize = 64;

/// 2^53: up to here every whole `f64` is exactly one integer.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A JSON value whose objects keep their order.
#[derive(Debug)]
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
#[derive(Debug, Default)]
pub(super) struct Object(Vec<(String, Value)>);

/// A text that was JSON, and the keys that it holds more than once.
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) duplicates: ConfigErrors,
}

pub(super) fn read(text: &[u8]) -> Result<Document, ConfigErrors> {
    if text.trim_ascii().is_empty() {
        return Ok(Document {
            value: Value::Object(Object::default()),
            duplicates: ConfigErrors::none(),
        });
    }
    let duplicates = RefCell::new(ConfigErrors::none());
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Seed {
        path: ValuePointerRef::Origin,
        depth: MAX_DEPTH,
        duplicates: &duplicates,
    };
    let value = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| syntax_error(&error))?;
    Ok(Document {
        value,
        duplicates: duplicates.into_inner(),
    })
}

fn syntax_error(error: &serde_json::Error) -> ConfigErrors {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let place = format!(" at line {line} column {column}");
    let what = text.strip_suffix(place.as_str()).unwrap_or(&text);
    let problem = if what == TOO_DEEP {
        Problem::new(TOO_DEEP)
    } else {
        Problem::new(format!("not JSON: {what}")).help(
            "in Envoy's YAML give it as a `google.protobuf.Struct` with the fields under `value`, \
             or as a `google.protobuf.StringValue` whose `value` is JSON text",
        )
    };
    ConfigErrors::at_place(problem, line, column)
}

const TOO_DEEP: &str = "nested more than 64 levels deep";

/// Reads one value, knowing where it stands.
struct Seed<'a> {
    path: ValuePointerRef<'a>,
    depth: usize,
    duplicates: &'a RefCell<ConfigErrors>,
}

impl Seed<'_> {
    fn inside<'b>(&'b self, path: ValuePointerRef<'b>) -> Option<Seed<'b>> {
        Some(Seed {
            path,
            depth: self.depth.checked_sub(1)?,
            duplicates: self.duplicates,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Negative(value), Value::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let Some(seed) = self.inside(self.path.push_index(values.len())) else {
                return Err(A::Error::custom(TOO_DEEP));
            };
            match list.next_element_seed(seed)? {
                Some(value) => values.push(value),
                None => return Ok(Value::List(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        while let Some(key) = object.next_key::<String>()? {
            let path = self.path.push_key(&key);
            let Some(seed) = self.inside(path) else {
                return Err(A::Error::custom(TOO_DEEP));
            };
            let value = object.next_value_seed(seed)?;
            if entries.iter().any(|(known, _)| *known == key) {
                self.duplicates.borrow_mut().push_duplicate(path);
            } else {
                entries.push((key, value));
            }
        }
        Ok(Value::Object(Object(entries)))
    }
}

/// Envoy writes the integers of a `Struct` as doubles: a whole double is taken
/// for the integer it means.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the value is whole and below 2^53"
)]
fn number(value: f64) -> Value {
    if value.fract() != 0.0 || value.abs() > MAX_EXACT {
        return Value::Float(value);
    }
    let value = value as i64;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        read(text.as_bytes())
            .map(|document| document.value)
            .unwrap()
    }

    #[test]
    fn takes_a_whole_double_for_an_integer() {
        for text in ["3", "3.0", "3e0", "30e-1"] {
            assert!(matches!(value(text), Value::Unsigned(3)), "{text}");
        }
        assert!(matches!(value("-3.0"), Value::Negative(-3)));
        assert!(matches!(value("-0.0"), Value::Unsigned(0)));
        assert!(matches!(value("3.5"), Value::Float(_)));
        assert!(matches!(value("1e300"), Value::Float(_)));
        assert!(matches!(
            value("18446744073709551615"),
            Value::Unsigned(u64::MAX)
        ));
    }

    #[test]
    fn bounds_the_depth() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);

        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        let errors = read(nested(MAX_DEPTH + 1).as_bytes()).err().unwrap();
        assert!(errors.to_string().contains(TOO_DEEP), "{errors}");
        assert!(read(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn refuses_text_after_the_document() {
        assert!(read(b"{} {}").is_err());
        assert!(read(b"{}}").is_err());
        assert!(read(b"\xff").is_err());
        assert!(read(b"{\"a\": \"\xff\"}").is_err());
        assert!(read(b" {} \n").is_ok());
    }
}
