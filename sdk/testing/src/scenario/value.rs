//! Values in a scenario: bytes, headers, and what is expected of them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::headers::Text;

/// Bytes: text, `{hex: …}`, or `{repeat: …, times: …}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// A body: bytes, or a list of them, each a piece.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body(pub Vec<Bytes>);

/// Headers: a map from name to a value or a list of values, or a list of pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, Bytes)>);

/// What a value is expected to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Just this.
    Exactly(Bytes),
    /// This, somewhere in it.
    Contains(Bytes),
    /// This, at its beginning.
    Prefix(Bytes),
    /// This, at its end.
    Suffix(Bytes),
    /// Anything, but it is there.
    Any,
}

impl Expected {
    /// Whether a value is as expected.
    pub fn fits(&self, value: &[u8]) -> bool {
        match self {
            Self::Exactly(Bytes(bytes)) => value == bytes,
            Self::Contains(Bytes(bytes)) => {
                bytes.is_empty() || value.windows(bytes.len()).any(|window| window == bytes)
            }
            Self::Prefix(Bytes(bytes)) => value.starts_with(bytes),
            Self::Suffix(Bytes(bytes)) => value.ends_with(bytes),
            Self::Any => true,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(bytes) => write!(f, "{bytes}"),
            Self::Contains(bytes) => write!(f, "something with {bytes} in it"),
            Self::Prefix(bytes) => write!(f, "something that begins with {bytes}"),
            Self::Suffix(bytes) => write!(f, "something that ends with {bytes}"),
            Self::Any => f.write_str("any value"),
        }
    }
}

/// The headers that are expected, each with all its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedHeaders(pub Vec<(String, Vec<Expected>)>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 200;
        match self.0.get(..SHOWN) {
            Some(start) => write!(f, "`{}…` ({} bytes)", Text(start), self.0.len()),
            None => write!(f, "`{}`", Text(&self.0)),
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    hex: Option<String>,
    repeat: Option<String>,
    times: Option<usize>,
    contains: Option<Bytes>,
    prefix: Option<Bytes>,
    suffix: Option<Bytes>,
    any: Option<bool>,
}

impl Form {
    fn read<E: de::Error>(self) -> Result<Expected, E> {
        let exactly = |bytes| Expected::Exactly(Bytes(bytes));
        let found = match self {
            Self {
                hex: Some(hex),
                repeat: None,
                times: None,
                contains: None,
                prefix: None,
                suffix: None,
                any: None,
            } => exactly(from_hex(&hex)?),
            Self {
                hex: None,
                repeat: Some(text),
                times: Some(times),
                contains: None,
                prefix: None,
                suffix: None,
                any: None,
            } => exactly(text.repeat(times).into_bytes()),
            Self {
                hex: None,
                repeat: None,
                times: None,
                contains,
                prefix,
                suffix,
                any,
            } => match (contains, prefix, suffix, any) {
                (Some(bytes), None, None, None) => Expected::Contains(bytes),
                (None, Some(bytes), None, None) => Expected::Prefix(bytes),
                (None, None, Some(bytes), None) => Expected::Suffix(bytes),
                (None, None, None, Some(true)) => Expected::Any,
                _ => return Err(one_form()),
            },
            _ => return Err(one_form()),
        };
        Ok(found)
    }
}

fn one_form<E: de::Error>() -> E {
    E::custom(
        "expected text, or one of {hex: …}, {repeat: …, times: …}, and where something is expected \
         {contains: …}, {prefix: …}, {suffix: …}, {any: true}",
    )
}

fn from_hex<E: de::Error>(text: &str) -> Result<Vec<u8>, E> {
    let digits: Vec<_> = text
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .collect();
    let bytes = digits.chunks(2).map(|pair| match *pair {
        [high, low] => Some(high.to_digit(16)? * 16 + low.to_digit(16)?),
        _ => None,
    });
    let bytes = bytes.map(|byte| byte.and_then(|byte| u8::try_from(byte).ok()));
    bytes.collect::<Option<_>>().ok_or_else(|| {
        E::custom(format!(
            "hex: expected pairs of hexadecimal digits, got `{text}`"
        ))
    })
}

struct ExpectedVisitor;

impl<'de> Visitor<'de> for ExpectedVisitor {
    type Value = Expected;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "text (in quotes where it looks like something else), or a form such as {hex: ff}",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Expected, E> {
        Ok(Expected::Exactly(Bytes(text.as_bytes().to_vec())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expected, A::Error> {
        Form::deserialize(MapAccessDeserializer::new(map))?.read()
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ExpectedVisitor)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Expected::deserialize(from)? {
            Expected::Exactly(bytes) => Ok(bytes),
            _ => Err(de::Error::custom(
                "only what is expected may be left open: write text, {hex: …} or {repeat: …, times: …}",
            )),
        }
    }
}

/// One value, or a list of them.
struct OneOrMany<T>(Vec<T>);

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "text (in quotes where it looks like something else), a form such as {hex: ff}, or a \
             list of those",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany<T>, E> {
        T::deserialize(de::value::StrDeserializer::new(text)).map(|value| OneOrMany(vec![value]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| OneOrMany(vec![value]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(OneOrMany(values))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        OneOrMany::deserialize(from).map(|OneOrMany(pieces)| Self(pieces))
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers: {name: value}, {name: [value, value]}, or [[name, value], …]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some((name, OneOrMany(values))) = map.next_entry::<String, OneOrMany<Bytes>>()? {
            pairs.extend(values.into_iter().map(|value| (name.clone(), value)));
        }
        Ok(Pairs(pairs))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = list.next_element()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PairsVisitor)
    }
}

struct ExpectedHeadersVisitor;

impl<'de> Visitor<'de> for ExpectedHeadersVisitor {
    type Value = ExpectedHeaders;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers: {name: value} or {name: [value, value]}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ExpectedHeaders, A::Error> {
        let mut headers = Vec::new();
        while let Some((name, OneOrMany(values))) = map.next_entry()? {
            headers.push((name, values));
        }
        Ok(ExpectedHeaders(headers))
    }
}

impl<'de> Deserialize<'de> for ExpectedHeaders {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ExpectedHeadersVisitor)
    }
}
