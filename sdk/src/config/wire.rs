//! A configuration in the form that Envoy gives a `google.protobuf.Struct`: as
//! the message's bytes. Envoy's documentation promises JSON there; 1.40 hands
//! over JSON for `google.protobuf.StringValue` only.

use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as Wire};

use super::error::{ConfigErrors, Problem};
use super::value::{MAX_DEPTH, Object, TOO_DEEP, Value, number};

/// The tag of a `Struct`'s one field.
const FIELDS: u8 = 0x0a;

/// Reads a `Struct`, or `None` where the bytes are none.
pub(super) fn read(bytes: &[u8]) -> Option<Result<Object, ConfigErrors>> {
    // `prost` skips fields that it does not know: to it the text `hi` is an
    // empty `Struct`.
    if bytes.first() != Some(&FIELDS) {
        return None;
    }
    let message = Struct::decode(bytes).ok()?;
    let object = object(message, MAX_DEPTH);
    Some(object.ok_or_else(|| ConfigErrors::of_document(Problem::new(TOO_DEEP))))
}

/// `None` where it is nested too deep. A map has no order on the wire: here the
/// names are in theirs.
fn object(message: Struct, depth: usize) -> Option<Object> {
    let depth = depth.checked_sub(1)?;
    let fields = message.fields.into_iter();
    let entries = fields.map(|(name, field)| Some((name, value(field, depth)?)));
    Some(Object(entries.collect::<Option<_>>()?))
}

fn list(message: ListValue, depth: usize) -> Option<Vec<Value>> {
    let depth = depth.checked_sub(1)?;
    let values = message.values.into_iter();
    values.map(|element| value(element, depth)).collect()
}

fn value(message: Wire, depth: usize) -> Option<Value> {
    Some(match message.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(double)) => number(double),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::BoolValue(flag)) => Value::Boolean(flag),
        Some(Kind::StructValue(message)) => Value::Object(object(message, depth)?),
        Some(Kind::ListValue(message)) => Value::List(list(message, depth)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(kind: Kind) -> Wire {
        Wire { kind: Some(kind) }
    }

    fn message<const N: usize>(fields: [(&str, Wire); N]) -> Struct {
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        Struct {
            fields: fields.into(),
        }
    }

    fn nested(depth: usize) -> Struct {
        (1..depth).fold(Struct::default(), |inner, _| {
            message([("a", wire(Kind::StructValue(inner)))])
        })
    }

    #[test]
    fn reads_the_bytes_of_a_struct() {
        let values = vec![
            wire(Kind::NumberValue(1.5)),
            wire(Kind::NumberValue(3.0)),
            wire(Kind::BoolValue(true)),
            wire(Kind::NullValue(0)),
            wire(Kind::StructValue(Struct::default())),
        ];
        let message = message([
            ("b", wire(Kind::StringValue("x".to_owned()))),
            ("a", wire(Kind::ListValue(ListValue { values }))),
        ]);

        let Object(entries) = read(&message.encode_to_vec()).unwrap().unwrap();

        let list = vec![
            Value::Float(1.5),
            Value::Unsigned(3),
            Value::Boolean(true),
            Value::Null,
            Value::Object(Object::default()),
        ];
        assert_eq!(
            entries,
            [
                ("a".to_owned(), Value::List(list)),
                ("b".to_owned(), Value::String("x".to_owned()))
            ]
        );
    }

    #[test]
    fn refuses_what_is_no_struct() {
        let message = message([("abc", wire(Kind::StringValue("text".to_owned())))]);
        let bytes = message.encode_to_vec();
        for end in 1..bytes.len() {
            assert!(read(&bytes[..end]).is_none(), "{end}");
        }
        for bytes in [
            &b"\n{\"a\": 1}\n"[..],
            b"\nnonsense",
            b"{}",
            b"hi",
            b"",
            &[0xff; 20],
        ] {
            assert!(read(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn bounds_the_depth() {
        let read = |depth| read(&nested(depth).encode_to_vec());
        assert!(read(MAX_DEPTH / 2).unwrap().is_ok());
        assert!(!matches!(read(MAX_DEPTH + 1), Some(Ok(_))));
        // Deeper than `prost` itself goes.
        assert!(read(200).is_none());
    }
}
