//! A configuration in the form that Envoy gives a `google.protobuf.Struct`: as
//! the message's bytes. Envoy's documentation promises JSON there; 1.40 hands
//! over JSON for `google.protobuf.StringValue` only.

use super::error::{ConfigErrors, Problem};
use super::value::{MAX_DEPTH, Object, TOO_DEEP, Value, number};

/// Reads a `Struct`, or `None` where the bytes are none.
pub(super) fn read(bytes: &[u8]) -> Option<Result<Object, ConfigErrors>> {
    match object(bytes, MAX_DEPTH) {
        Ok(object) => Some(Ok(object)),
        Err(Failure::Malformed) => None,
        Err(Failure::TooDeep) => Some(Err(ConfigErrors::of_document(Problem::new(TOO_DEEP)))),
    }
}

enum Failure {
    Malformed,
    TooDeep,
}

type Read<T> = Result<T, Failure>;

/// One field of a message.
enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
}

/// Calls `visit` with each field and its number.
fn fields<'a>(mut bytes: &'a [u8], mut visit: impl FnMut(u64, Field<'a>) -> Read<()>) -> Read<()> {
    while !bytes.is_empty() {
        let (tag, rest) = varint(bytes)?;
        let (field, rest) = match tag & 7 {
            0 => {
                let (value, rest) = varint(rest)?;
                (Field::Varint(value), rest)
            }
            1 => {
                let (value, rest) = rest.split_first_chunk().ok_or(Failure::Malformed)?;
                (Field::Fixed64(*value), rest)
            }
            2 => {
                let (length, rest) = varint(rest)?;
                let length = usize::try_from(length).map_err(|_| Failure::Malformed)?;
                let (value, rest) = rest.split_at_checked(length).ok_or(Failure::Malformed)?;
                (Field::Bytes(value), rest)
            }
            _ => return Err(Failure::Malformed),
        };
        visit(tag >> 3, field)?;
        bytes = rest;
    }
    Ok(())
}

fn varint(bytes: &[u8]) -> Read<(u64, &[u8])> {
    let mut value = 0;
    let mut rest = bytes;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(Failure::Malformed)?;
        value |= u64::from(byte & 0x7f) << shift;
        rest = after;
        if byte & 0x80 == 0 {
            return Ok((value, rest));
        }
    }
    Err(Failure::Malformed)
}

fn text(bytes: &[u8]) -> Read<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Failure::Malformed),
    }
}

/// `Struct`: a map from names to values. A map has no order on the wire, so the
/// names are put in theirs.
fn object(bytes: &[u8], depth: usize) -> Read<Object> {
    let depth = depth.checked_sub(1).ok_or(Failure::TooDeep)?;
    let mut entries: Vec<(String, Value)> = Vec::new();
    fields(bytes, |number, field| {
        let (1, Field::Bytes(entry)) = (number, field) else {
            return Err(Failure::Malformed);
        };
        let (key, value) = self::entry(entry, depth)?;
        match entries.binary_search_by(|(known, _)| known.as_str().cmp(&key)) {
            // As protobuf has it, the last one counts.
            Ok(at) => {
                if let Some(known) = entries.get_mut(at) {
                    known.1 = value;
                }
            }
            Err(at) => entries.insert(at, (key, value)),
        }
        Ok(())
    })?;
    Ok(Object(entries))
}

fn entry(bytes: &[u8], depth: usize) -> Read<(String, Value)> {
    let (mut key, mut inner) = (String::new(), Value::Null);
    fields(bytes, |number, field| {
        match (number, field) {
            (1, Field::Bytes(name)) => key = text(name)?,
            (2, Field::Bytes(bytes)) => inner = value(bytes, depth)?,
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    })?;
    Ok((key, inner))
}

/// `Value`: one of six fields.
fn value(bytes: &[u8], depth: usize) -> Read<Value> {
    let mut found = Value::Null;
    fields(bytes, |tag, field| {
        found = match (tag, field) {
            (1, Field::Varint(_)) => Value::Null,
            (2, Field::Fixed64(bytes)) => number(f64::from_le_bytes(bytes)),
            (3, Field::Bytes(bytes)) => Value::String(text(bytes)?),
            (4, Field::Varint(flag)) => Value::Boolean(flag != 0),
            (5, Field::Bytes(bytes)) => Value::Object(object(bytes, depth)?),
            (6, Field::Bytes(bytes)) => Value::List(list(bytes, depth)?),
            _ => return Err(Failure::Malformed),
        };
        Ok(())
    })?;
    Ok(found)
}

/// `ListValue`.
fn list(bytes: &[u8], depth: usize) -> Read<Vec<Value>> {
    let depth = depth.checked_sub(1).ok_or(Failure::TooDeep)?;
    let mut values = Vec::new();
    fields(bytes, |number, field| {
        let (1, Field::Bytes(bytes)) = (number, field) else {
            return Err(Failure::Malformed);
        };
        values.push(value(bytes, depth)?);
        Ok(())
    })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let tag = (number << 3) | 2;
        // Lengths in these tests need one or two bytes.
        let length = match u8::try_from(bytes.len()).unwrap() {
            short @ 0..128 => vec![short],
            long => vec![long, 1],
        };
        [vec![tag], length, bytes.to_vec()].concat()
    }

    fn entry_of(key: &str, value: &[u8]) -> Vec<u8> {
        field(1, &[field(1, key.as_bytes()), field(2, value)].concat())
    }

    fn object_of(bytes: &[u8]) -> Option<Object> {
        read(bytes)?.ok()
    }

    #[test]
    fn reads_the_bytes_of_a_struct() {
        let number = |number: f64| [&[0x11][..], &number.to_le_bytes()].concat();
        let list = [
            &number(1.5)[..],
            &[0x20, 1],
            &[8, 0],
            &field(3, b"x"),
            &field(5, b""),
        ];
        let list: Vec<u8> = list.iter().flat_map(|value| field(1, value)).collect();
        let message = [
            entry_of("b", &number(3.0)),
            entry_of("a", &field(6, &list)),
            entry_of("b", &number(4.0)),
        ]
        .concat();

        let Object(entries) = object_of(&message).unwrap();

        let list = vec![
            Value::Float(1.5),
            Value::Boolean(true),
            Value::Null,
            Value::String("x".to_owned()),
            Value::Object(Object::default()),
        ];
        assert_eq!(
            entries,
            [
                ("a".to_owned(), Value::List(list)),
                ("b".to_owned(), Value::Unsigned(4))
            ]
        );
    }

    #[test]
    fn refuses_what_is_no_struct() {
        let message = entry_of("abc", &field(3, b"text"));
        for end in 1..message.len() {
            assert!(object_of(&message[..end]).is_none(), "{end}");
        }
        for bytes in [
            &b"\n{\"a\": 1}\n"[..],
            b"\nnonsense",
            b"\n\n",
            b"{}",
            &field(2, b""),
            &entry_of("a", &field(3, b"\xff")),
            &entry_of("a", &[0x38, 0]),
            &[0xff; 20],
        ] {
            assert!(object_of(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn bounds_the_depth() {
        let mut message = Vec::new();
        for _ in 0..8 {
            message = field(5, &entry_of("a", &message));
        }
        assert!(object(&entry_of("a", &message), 9).is_ok());
        assert!(matches!(
            object(&entry_of("a", &message), 8),
            Err(Failure::TooDeep)
        ));
    }
}
