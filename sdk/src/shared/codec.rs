//! Values as bytes.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A value that can be shared: it can be written as bytes and read from them.
///
/// Another version of a module may have written what this one reads: reading
/// takes any bytes and refuses what is not such a value.
pub trait Shared: Sized {
    /// The value as bytes.
    fn encode(&self) -> Result<Vec<u8>, Malformed>;

    /// The value that these bytes are.
    fn decode(bytes: Vec<u8>) -> Result<Self, Malformed>;
}

/// Bytes that are not such a value, or a value that cannot be written as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Malformed(Cow<'static, str>);

impl Malformed {
    /// Why. The text goes to the log: it holds no secrets.
    pub fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self(why.into())
    }
}

impl Shared for Vec<u8> {
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(self.clone())
    }

    fn decode(bytes: Vec<u8>) -> Result<Self, Malformed> {
        Ok(bytes)
    }
}

impl Shared for String {
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(self.as_bytes().to_vec())
    }

    fn decode(bytes: Vec<u8>) -> Result<Self, Malformed> {
        Self::from_utf8(bytes).map_err(|_| Malformed::new("not UTF-8"))
    }
}

/// Eight bytes, the least significant first.
impl Shared for u64 {
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(self.to_le_bytes().to_vec())
    }

    fn decode(bytes: Vec<u8>) -> Result<Self, Malformed> {
        exactly(&bytes).map(Self::from_le_bytes)
    }
}

/// Eight bytes, the least significant first.
impl Shared for i64 {
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(self.to_le_bytes().to_vec())
    }

    fn decode(bytes: Vec<u8>) -> Result<Self, Malformed> {
        exactly(&bytes).map(Self::from_le_bytes)
    }
}

/// One byte, 0 or 1.
impl Shared for bool {
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(vec![u8::from(*self)])
    }

    fn decode(bytes: Vec<u8>) -> Result<Self, Malformed> {
        match exactly(&bytes)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => Err(Malformed::new("neither 0 nor 1")),
        }
    }
}

/// The bytes of a value of `N` bytes.
pub(super) fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes
        .try_into()
        .map_err(|_| Malformed::new(format!("{} bytes where {N} belong", bytes.len())))
}

/// Any value that `serde` knows, as JSON text.
///
/// Add `#[serde(default)]` to fields that a later version of a filter brings:
/// while Envoy changes from one to the other, both read the same values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize + DeserializeOwned> Shared for Json<T> {
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        serde_json::to_vec(&self.0)
            .map_err(|error| Malformed::new(format!("not JSON: {}", place(&error))))
    }

    fn decode(bytes: Vec<u8>) -> Result<Self, Malformed> {
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Malformed::new(format!("not the JSON it should be: {}", place(&error)))
        })
    }
}

/// What kind of error and where, without the text around it, which may hold a
/// secret.
fn place(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io => "not written",
        serde_json::error::Category::Syntax => "syntax",
        serde_json::error::Category::Data => "another shape",
        serde_json::error::Category::Eof => "it ends early",
    };
    format!("{kind}, line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[track_caller]
    fn comes_back<T: Shared + PartialEq + Debug>(value: T) {
        assert_eq!(T::decode(value.encode().unwrap()), Ok(value));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_value_comes_back_as_it_went() {
        comes_back(vec![0, 255, 10]);
        comes_back(Vec::<u8>::new());
        comes_back("é\0".to_owned());
        comes_back(u64::MAX);
        comes_back(i64::MIN);
        comes_back(true);
        comes_back(false);
        comes_back(Json(BTreeMap::from([("a".to_owned(), vec![1, 2])])));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn bytes_that_are_no_such_value_are_refused() {
        assert!(String::decode(vec![0xff]).is_err());
        for bytes in [vec![], vec![1; 7], vec![1; 9]] {
            assert!(u64::decode(bytes.clone()).is_err(), "{bytes:?}");
            assert!(i64::decode(bytes).is_err());
        }
        for bytes in [vec![], vec![2], vec![0, 0]] {
            assert!(bool::decode(bytes.clone()).is_err(), "{bytes:?}");
        }
        for text in ["", "{", "\"a\"", "[1", "1 2"] {
            assert!(Json::<u8>::decode(text.into()).is_err(), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_error_does_not_repeat_what_was_stored() {
        let error = Json::<u8>::decode(br#""a secret""#.to_vec()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not the JSON it should be: another shape, line 1, column 10"
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_value_that_json_cannot_hold_is_refused() {
        let keys = Json(BTreeMap::from([(vec![1_u8], 1_u8)]));
        assert!(keys.encode().is_err());
    }
}
