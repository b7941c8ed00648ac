//! A configuration in the form that Envoy gives a `google.protobuf.Struct`: as
//! the message's bytes. Envoy's documentation promises JSON there; 1.40 hands
//! over JSON for `google.protobuf.StringValue` only.

use std::borrow::Cow;

use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde::de::IgnoredAny;
use serde_json::Value as Json;

/// The tag of a `Struct`'s one field. As text it is white space, so that JSON
/// may begin with it too.
const FIELDS: u8 = 0x0a;

/// The configuration as JSON text, whichever form it came in.
pub(super) fn as_json(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.first() != Some(&FIELDS) || serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        return Cow::Borrowed(bytes);
    }
    match Struct::decode(bytes) {
        Ok(message) => Cow::Owned(object(message).to_string().into_bytes()),
        // Neither: the JSON reader says what is wrong.
        Err(_) => Cow::Borrowed(bytes),
    }
}

fn object(message: Struct) -> Json {
    let fields = message.fields.into_iter();
    Json::Object(fields.map(|(key, field)| (key, value(field))).collect())
}

fn value(message: Value) -> Json {
    match message.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::NumberValue(number)) => Json::from(number),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::BoolValue(flag)) => Json::Bool(flag),
        Some(Kind::StructValue(message)) => object(message),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: &[u8]) -> String {
        String::from_utf8_lossy(&as_json(bytes)).into_owned()
    }

    #[test]
    fn reads_the_bytes_of_a_struct() {
        // {"a": [1.5, true, null, "x", {}]}
        let list = [
            b"\x0a\x09\x11\0\0\0\0\0\0\xf8\x3f".as_slice(),
            b"\x0a\x02\x20\x01",
            b"\x0a\x02\x08\0",
            b"\x0a\x03\x1a\x01x",
            b"\x0a\x02\x2a\0",
        ]
        .concat();
        let size = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let value = [&[0x32, size(&list)], list.as_slice()].concat();
        let entry = [b"\x0a\x01a\x12", [size(&value)].as_slice(), &value].concat();
        let message = [&[FIELDS, size(&entry)], entry.as_slice()].concat();
        assert_eq!(json(&message), r#"{"a":[1.5,true,null,"x",{}]}"#);
    }

    #[test]
    fn leaves_json_text_as_it_is_even_where_it_begins_with_a_line_break() {
        for text in [
            "",
            "{}",
            "\n{\"a\": 1}\n",
            "\n\n",
            "\n{\"a\": ",
            "\nnonsense",
        ] {
            assert_eq!(json(text.as_bytes()), text);
        }
    }
}
