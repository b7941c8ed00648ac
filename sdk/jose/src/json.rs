//! JSON read strictly: what two readers could understand differently is none.
//!
//! Members that come twice are refused at any depth, and so is what nests
//! deeper than the caller allows. (RFC 7515 section 4 and RFC 7519 section 4
//! leave it to the reader to take the last of two members; one that checks and
//! one that uses must not take different ones.)

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why a text is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It is no JSON, or not in UTF-8.
    #[error("not JSON")]
    Malformed,
    /// It is JSON, but no object.
    #[error("not an object")]
    NoObject,
    /// A member comes twice.
    #[error("a member that is there twice")]
    Duplicate,
    /// It nests too deep.
    #[error("nested too deep")]
    TooDeep,
}

/// Reads an object. `max_depth` counts it and each object and array within.
pub fn object(text: &[u8], max_depth: usize) -> Result<Map<String, Value>, JsonError> {
    // Checked at once, which is quicker than string by string.
    let text = std::str::from_utf8(text).map_err(|_| JsonError::Malformed)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut found = None;
    let strict = Strict {
        depth: max_depth,
        found: &mut found,
    };
    // serde_json's own errors quote the text.
    let value = strict.deserialize(&mut reader);
    let ended = value.is_ok() && reader.end().is_ok();
    match (value, found) {
        (_, Some(error)) => Err(error),
        (Ok(Value::Object(members)), None) if ended => Ok(members),
        (Ok(_), None) if ended => Err(JsonError::NoObject),
        _ => Err(JsonError::Malformed),
    }
}

/// Reads one value, and says in `found` what was wrong other than the syntax.
struct Strict<'a> {
    depth: usize,
    found: &'a mut Option<JsonError>,
}

impl Strict<'_> {
    fn refuse<E: de::Error>(self, error: JsonError) -> E {
        *self.found = Some(error);
        E::custom("")
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(self.refuse(JsonError::Malformed)),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(self.refuse(JsonError::TooDeep));
        };
        let mut array = Vec::new();
        while let Some(value) = elements.next_element_seed(Strict {
            depth,
            found: &mut *self.found,
        })? {
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(self.refuse(JsonError::TooDeep));
        };
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Strict {
                depth,
                found: &mut *self.found,
            })?;
            if object.insert(name, value).is_some() {
                return Err(self.refuse(JsonError::Duplicate));
            }
        }
        Ok(Value::Object(object))
    }
}
