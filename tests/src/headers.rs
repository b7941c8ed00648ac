//! Header fields as they travel: bytes, repeated, in order.

use std::fmt;

use anyhow::{Context, Result};
use http::{HeaderMap, HeaderName, HeaderValue};

/// How many fields, and how much of one value, a printed message shows.
const SHOWN_FIELDS: usize = 60;
const SHOWN_BYTES: usize = 300;

/// Header or trailer fields: names in lower case, values as bytes.
///
/// The order is the one of the wire, except that the values of one name stand
/// together, where the name came first.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<(String, Vec<u8>)>,
}

impl Headers {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field at the end; one of the same name stays.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let name = name.to_ascii_lowercase();
        self.fields.push((name, value.as_ref().to_vec()));
    }

    /// The first value of the name, in whatever case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The first value as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// All values of the name, in order.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.values(name).collect()
    }

    /// Whether a field of this name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// How many fields there are, repeated ones counted each.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn values<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    pub(crate) fn to_map(&self) -> Result<HeaderMap> {
        let mut map = HeaderMap::with_capacity(self.fields.len());
        for (name, value) in &self.fields {
            let field = HeaderName::from_bytes(name.as_bytes()).with_context(|| {
                format!("the header name {name:?} cannot be sent; RawConnection can send anything")
            })?;
            let value = HeaderValue::from_bytes(value).with_context(|| {
                format!(
                    "the value of the header {name} cannot be sent; RawConnection can send anything"
                )
            })?;
            map.append(field, value);
        }
        Ok(map)
    }
}

impl From<&HeaderMap> for Headers {
    fn from(map: &HeaderMap) -> Self {
        let fields = map
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        Self { fields }
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in fields {
            headers.push(name.as_ref(), value);
        }
        headers
    }
}

impl fmt::Display for Headers {
    /// One field a line, bytes outside ASCII escaped, long things cut short.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter().take(SHOWN_FIELDS) {
            writeln!(out, "{name}: {}", Bytes(value))?;
        }
        if self.len() > SHOWN_FIELDS {
            writeln!(out, "… and {} more fields", self.len() - SHOWN_FIELDS)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.iter().take(SHOWN_FIELDS);
        out.debug_map()
            .entries(fields.map(|(name, value)| (name, Bytes(value))))
            .finish()
    }
}

/// Bytes to be read by a person: escaped, and cut where they are many.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES)];
        for &byte in shown {
            match byte {
                // They end nothing here.
                b'"' | b'\'' => write!(out, "{}", char::from(byte))?,
                _ => write!(out, "{}", byte.escape_ascii())?,
            }
        }
        if shown.len() < self.0.len() {
            write!(out, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string().replace('"', "\\\"");
        write!(out, "b\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_repeated_fields_and_finds_them_in_any_case() {
        let headers: Headers = [("X-A", "1"), ("b", "2"), ("x-a", "3")]
            .into_iter()
            .collect();

        assert_eq!(headers.all("x-A"), [b"1", b"3"]);
        assert_eq!(headers.text("B").as_deref(), Some("2"));
        assert!(!headers.contains("c"));
    }

    #[test]
    fn prints_bytes_escaped_and_long_values_cut() {
        let mut headers = Headers::new();
        headers.push("x-bytes", b"a\xff");
        headers.push("x-quoted", r#""a";q=5"#);
        headers.push("x-long", "y".repeat(60_000));

        let text = headers.to_string();

        assert!(text.contains("x-bytes: a\\xff\n"), "{text}");
        assert!(text.contains("x-quoted: \"a\";q=5\n"), "{text}");
        assert!(text.contains("… (60000 bytes)"), "{text}");
        assert!(text.len() < 1_000);
    }
}
