//! Headers that upstreams trust: they come from what was verified and from nowhere
//! else.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, HeaderName, Problem, Schema};
use legation::http::header::{self, HeaderName as HttpName};
use legation::{Error, RequestHeaders, Result};

/// A header that upstreams trust, because it is stripped from every request
/// that comes in.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema(as = HeaderName)]
pub struct TrustedHeader(HttpName);

impl TrustedHeader {
    /// The name.
    pub fn name(&self) -> &HttpName {
        &self.0
    }

    /// Whether to some server this is that header too: `_` and `-` are one to
    /// servers that pass headers on as CGI variables.
    pub fn is_also(&self, name: &str) -> bool {
        is_same_to_some(self.0.as_str().as_bytes(), name.as_bytes())
    }
}

/// Whether two names are one but for case and `_` in the place of `-`.
fn is_same_to_some(one: &[u8], other: &[u8]) -> bool {
    let folded = |byte: &u8| match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    };
    one.len() == other.len() && one.iter().map(folded).eq(other.iter().map(folded))
}

impl Deserr<ConfigErrors> for TrustedHeader {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let name = HeaderName::deserialize_from_value(value, location)?.into_inner();
        if [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::CONTENT_TYPE,
            header::CONNECTION,
            header::COOKIE,
        ]
        .contains(&name)
        {
            let problem = Problem::new(format!("`{name}` may not be set"))
                .help("requests mean something by it, and it is stripped from all that come in");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(name))
    }
}

/// The headers to strip from every request.
#[derive(Debug, Default)]
pub struct Trusted {
    names: Box<[HttpName]>,
    lengths: Lengths,
}

impl FromIterator<HttpName> for Trusted {
    fn from_iter<I: IntoIterator<Item = HttpName>>(names: I) -> Self {
        let mut names: Vec<HttpName> = names.into_iter().collect();
        names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        names.dedup();
        Self {
            lengths: names.iter().map(|name| name.as_str().len()).collect(),
            names: names.into(),
        }
    }
}

impl Trusted {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Those that are among a request's headers, as they are spelt there. It
    /// allocates nothing where there are none.
    pub fn find<'a>(&self, headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for (name, _) in headers {
            if self.lengths.contains(name.len())
                && self.is_trusted(name)
                && !found.iter().any(|known: &Vec<u8>| known == name)
            {
                found.push(name.to_vec());
            }
        }
        found
    }

    /// Takes them out of a request, and says how many there were.
    pub fn strip(&self, request: &mut RequestHeaders) -> Result<u64> {
        let mut stripped: u64 = 0;
        if self.is_empty() {
            return Ok(stripped);
        }
        let found = self.find(request.headers().all()?);
        for name in found {
            let name = HttpName::from_bytes(&name)
                .map_err(|_| Error::other("a header that cannot be removed"))?;
            request.headers().remove(&name)?;
            stripped = stripped.saturating_add(1);
        }
        Ok(stripped)
    }

    fn is_trusted(&self, name: &[u8]) -> bool {
        let mut names = self.names.iter();
        names.any(|own| is_same_to_some(own.as_str().as_bytes(), name))
    }
}

/// The lengths of some names, to tell most others apart by one look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lengths(u64);

impl Lengths {
    /// Whether one of the names may have this length.
    pub fn contains(self, length: usize) -> bool {
        self.0 & Self::bit(length) != 0
    }

    fn bit(length: usize) -> u64 {
        1 << length.min(63)
    }
}

impl FromIterator<usize> for Lengths {
    fn from_iter<I: IntoIterator<Item = usize>>(lengths: I) -> Self {
        Self(
            lengths
                .into_iter()
                .fold(0, |bits, length| bits | Self::bit(length)),
        )
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_trusted_header_is_found_under_every_spelling_and_told_once() {
        let trusted: Trusted = ["x-user", "x-roles", "x-user"]
            .map(HttpName::from_static)
            .into_iter()
            .collect();
        let sent = [
            "x-user", "x_user", "X-User", "x-user", "x-users", "xuser", "x-role", "cookie",
        ];
        let found = trusted.find(sent.iter().map(|name| (name.as_bytes(), &b""[..])));
        assert_eq!(found, [&b"x-user"[..], b"x_user", b"X-User"]);
        assert!(Trusted::default().is_empty());
        assert!(!trusted.is_empty());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn lengths_tell_most_names_apart_and_none_wrongly() {
        let lengths: Lengths = [3, 13, 200].into_iter().collect();
        for length in [3, 13, 200, 63, 1_000] {
            assert!(lengths.contains(length), "{length}");
        }
        for length in [0, 1, 12, 14, 62] {
            assert!(!lengths.contains(length), "{length}");
        }
    }
}
