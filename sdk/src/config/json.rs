//! JSON text as a tree of values: keys that are given twice are found, and the
//! depth is bounded.

use std::cell::RefCell;
use std::fmt;

use deserr::ValuePointerRef;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::error::{ConfigErrors, Problem};
use super::locate::place;
use super::value::{MAX_DEPTH, Object, TOO_DEEP, Value, integer, number};

/// Reads a whole text. Beside its value, the keys that it holds more than once.
pub(super) fn read(bytes: &[u8]) -> Result<(Value, ConfigErrors), ConfigErrors> {
    let duplicates = RefCell::new(ConfigErrors::none());
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let seed = Seed {
        path: ValuePointerRef::Origin,
        depth: MAX_DEPTH,
        duplicates: &duplicates,
    };
    let value = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| syntax_error(bytes, &error))?;
    Ok((value, duplicates.into_inner()))
}

fn syntax_error(bytes: &[u8], error: &serde_json::Error) -> ConfigErrors {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let suffix = format!(" at line {line} column {column}");
    let what = text.strip_suffix(suffix.as_str()).unwrap_or(&text);
    let problem = if what == TOO_DEEP {
        Problem::new(TOO_DEEP)
    } else {
        Problem::new(format!("not JSON: {what}")).help(
            "in Envoy's YAML give it as a `google.protobuf.Struct` with the fields under `value`, \
             or as a `google.protobuf.StringValue` whose `value` is JSON text",
        )
    };
    // Its columns are bytes.
    let before = bytes.split_inclusive(|byte| *byte == b'\n');
    let before = before.take(line.saturating_sub(1)).flatten().count();
    let offset = before.saturating_add(column.saturating_sub(1));
    ConfigErrors::at_place(problem, place(bytes, offset))
}

/// Reads one value, knowing where it stands.
struct Seed<'a> {
    path: ValuePointerRef<'a>,
    depth: usize,
    duplicates: &'a RefCell<ConfigErrors>,
}

impl Seed<'_> {
    fn inside<'b, E: Error>(&'b self, path: ValuePointerRef<'b>) -> Result<Seed<'b>, E> {
        let depth = self.depth.checked_sub(1);
        Ok(Seed {
            path,
            depth: depth.ok_or_else(|| E::custom(TOO_DEEP))?,
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
        Ok(integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let seed = self.inside(self.path.push_index(values.len()))?;
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
            let value = object.next_value_seed(self.inside(path)?)?;
            if entries.iter().any(|(known, _)| *known == key) {
                self.duplicates.borrow_mut().push_duplicate(path);
            } else {
                entries.push((key, value));
            }
        }
        Ok(Value::Object(Object(entries)))
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn value(text: &str) -> Value {
        read(text.as_bytes()).unwrap().0
    }

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn takes_a_whole_double_for_an_integer() {
        assert_eq!(value("3.0"), Value::Unsigned(3));
        assert_eq!(value("-3e0"), Value::Negative(-3));
        assert_eq!(value("1.5"), Value::Float(1.5));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn keeps_the_first_of_two_values_of_a_key_and_tells() {
        let (value, duplicates) = read(br#"{"a": 1, "b": 2, "a": 3}"#).unwrap();
        let entry = |key: &str, number| (key.to_owned(), Value::Unsigned(number));
        assert_eq!(
            value,
            Value::Object(Object(vec![entry("a", 1), entry("b", 2)]))
        );
        assert!(!duplicates.is_empty());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn bounds_the_depth() {
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        for depth in [MAX_DEPTH + 1, 127, 128, 100_000] {
            assert!(read(nested(depth).as_bytes()).is_err(), "{depth}");
        }
        let errors = read(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
        assert!(errors.to_string().contains(TOO_DEEP), "{errors}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn refuses_what_is_not_json_as_a_whole() {
        for text in [
            "", "{", "{} {}", "[1,]", "{a: 1}", "nul", "01", "NaN", "\"\t\"",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"{\"a\": \"\xff\"}").is_err());
        assert!(read(b" {} \n").is_ok());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn counts_columns_in_characters() {
        for (text, place) in [
            ("{\n \"éé\": x}", "(line 2, column 8)"),
            ("{\n \"ee\": x}", "(line 2, column 8)"),
            ("{\"a\": \"\n\"}", "(line 2, column 1)"),
            ("x", "(line 1, column 1)"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.ends_with(place), "{error}");
        }
    }
}
