//! Header maps as Envoy keeps them.

use std::fmt;

/// Headers or trailers: names in lower case, values as bytes, in the order in
/// which Envoy keeps them (pseudo-headers first).
#[derive(Default, Clone)]
pub struct HeaderList {
    kind: Kind,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Which headers Envoy keeps as one value depends on where they stand.
#[derive(Default, Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Each value by itself.
    #[default]
    Plain,
    Request,
    Response,
    ResponseTrailers,
}

impl Kind {
    fn keeps_one(self, name: &[u8]) -> bool {
        let lists: &[&[&str]] = match self {
            Self::Plain => return false,
            Self::Request => &[&ONE_ANYWHERE, &ONE_IN_REQUESTS],
            Self::Response => &[&ONE_ANYWHERE, &ONE_IN_RESPONSES, &ONE_IN_RESPONSE_TRAILERS],
            Self::ResponseTrailers => &[&ONE_IN_RESPONSE_TRAILERS],
        };
        let listed = |list: &&[&str]| list.iter().any(|one| one.as_bytes() == name);
        name.starts_with(b":") || lists.iter().any(listed)
    }
}

impl HeaderList {
    pub(crate) fn of(kind: Kind) -> Self {
        Self {
            kind,
            entries: Vec::new(),
        }
    }

    /// The same headers, kept as a map of this kind keeps them.
    pub(crate) fn into_kind(self, kind: Kind) -> Self {
        let mut list = Self::of(kind);
        for (name, value) in self.entries {
            list.add(name, value);
        }
        list
    }

    /// The first value of a header.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Every value of a header, in order.
    pub fn all(&self, name: impl AsRef<[u8]>) -> impl Iterator<Item = &[u8]> {
        let name = self.key(name.as_ref());
        self.iter()
            .filter(move |(own, _)| *own == name)
            .map(|(_, value)| value)
    }

    /// The first value of a header, as text.
    ///
    /// # Panics
    ///
    /// Where it is not UTF-8: [`get`](Self::get) gives the bytes.
    #[track_caller]
    pub fn text(&self, name: impl AsRef<[u8]>) -> Option<&str> {
        let name = name.as_ref();
        self.get(name).map(|value| {
            std::str::from_utf8(value).unwrap_or_else(|_| {
                panic!(
                    "header `{}` is not UTF-8: {}",
                    name.escape_ascii(),
                    value.escape_ascii()
                )
            })
        })
    }

    /// Whether a header is there.
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        self.get(name).is_some()
    }

    /// Every header.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// How many headers there are, counting each value of a repeated one.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a value to a header. Envoy keeps some headers as one value and
    /// joins what is added by a comma.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = self.key(name.as_ref());
        let value = value.as_ref();
        if self.kind.keeps_one(&name)
            && let Some((_, kept)) = self.entries.iter_mut().find(|(own, _)| *own == name)
        {
            if !kept.is_empty() && !value.is_empty() {
                kept.push(b',');
            }
            kept.extend_from_slice(value);
            return;
        }
        let at = if name.starts_with(b":") {
            self.pseudo_headers()
        } else {
            self.entries.len()
        };
        self.entries.insert(at, (name, value.to_vec()));
    }

    /// Sets a header to this one value.
    pub fn set(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.remove(name.as_ref());
        self.add(name, value);
    }

    /// Removes a header, and tells whether it was there.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) -> bool {
        let name = self.key(name.as_ref());
        let before = self.len();
        self.entries.retain(|(own, _)| *own != name);
        self.len() < before
    }

    /// A request's `host` is its `:authority`.
    fn key(&self, name: &[u8]) -> Vec<u8> {
        if matches!(self.kind, Kind::Request) && name.eq_ignore_ascii_case(b"host") {
            return b":authority".to_vec();
        }
        name.to_ascii_lowercase()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    fn pseudo_headers(&self) -> usize {
        self.entries
            .iter()
            .take_while(|(name, _)| name.starts_with(b":"))
            .count()
    }

    /// In the ABI's form: the count, the sizes of each name and value, then
    /// names and values each ended by a NUL byte.
    pub fn encode(&self) -> Vec<u8> {
        encode(self.iter())
    }

    /// From the ABI's form. `None` where the bytes are not a map.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut headers = Self::default();
        if bytes.is_empty() {
            return Some(headers);
        }
        let (count, mut sizes) = word(bytes)?;
        let mut data = sizes.get(count.checked_mul(8)?..)?;
        for _ in 0..count {
            let (name_size, rest) = word(sizes)?;
            let (value_size, rest) = word(rest)?;
            sizes = rest;
            let (name, rest) = text(data, name_size)?;
            let (value, rest) = text(rest, value_size)?;
            data = rest;
            headers.add(name, value);
        }
        Some(headers)
    }
}

pub(crate) fn encode<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let word = |size: usize| u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = word(pairs.clone().count()).to_vec();
    for (name, value) in pairs.clone() {
        bytes.extend(word(name.len()));
        bytes.extend(word(value.len()));
    }
    for (name, value) in pairs {
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}

fn word(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*word) as usize, rest))
}

fn text(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(size)?;
    Some((text, rest.strip_prefix(b"\0")?))
}

impl PartialEq for HeaderList {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for HeaderList {}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderList {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let mut list = Self::default();
        for (name, value) in headers {
            list.add(name, value);
        }
        list
    }
}

impl fmt::Display for HeaderList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            writeln!(f, "  {}: {}", name.escape_ascii(), Text(value))?;
        }
        Ok(())
    }
}

impl fmt::Debug for HeaderList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self
            .iter()
            .map(|(name, value)| (Text(name).to_string(), Text(value).to_string()));
        f.debug_map().entries(entries).finish()
    }
}

/// Bytes for people: text where it is text, escapes where it is not.
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self.0) {
            Ok(text) => f.write_str(text),
            Err(_) => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

// Seen in Envoy 1.40.0, by adding a header twice and counting its values.
const ONE_ANYWHERE: [&str; 12] = [
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "keep-alive",
    "proxy-status",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
];

const ONE_IN_REQUESTS: [&str; 41] = [
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "origin",
    "pragma",
    "proxy-connection",
    "referer",
    "te",
    "user-agent",
    "x-client-trace-id",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-force-trace",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-max-retries",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-envoy-original-url",
    "x-envoy-retry-on",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-ms",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
    "x-envoy-retriable-status-codes",
];

const ONE_IN_RESPONSES: [&str; 20] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "server",
    "vary",
    "x-envoy-degraded",
    "x-envoy-ratelimited",
    "x-envoy-upstream-canary",
    "x-envoy-upstream-service-time",
    "x-request-id",
];

const ONE_IN_RESPONSE_TRAILERS: [&str; 2] = ["grpc-message", "grpc-status"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        let list: HeaderList = [("x-a", "1"), ("x-b", ""), ("x-a", "2")]
            .into_iter()
            .collect();
        assert_eq!(HeaderList::decode(&list.encode()), Some(list));
        assert_eq!(HeaderList::decode(&[]), Some(HeaderList::default()));
    }

    #[test]
    fn refuses_every_truncation() {
        let bytes = HeaderList::from_iter([("x-a", "1"), ("x-b", "2")]).encode();
        for size in 1..bytes.len() {
            assert_eq!(
                HeaderList::decode(&bytes[..size]),
                None,
                "cut to {size} bytes"
            );
        }
    }

    #[test]
    fn joins_what_is_added_to_a_header_that_envoy_keeps_as_one_value() {
        let mut list = HeaderList::of(Kind::Request);
        for (name, value) in [("Accept", "a"), ("accept", "b"), ("x-a", "1"), ("x-a", "2")] {
            list.add(name, value);
        }
        assert_eq!(
            list,
            HeaderList::from_iter([("accept", "a,b"), ("x-a", "1"), ("x-a", "2")])
        );
        list.add("host", "example.com");
        assert_eq!(list.text(":authority"), Some("example.com"));
    }

    #[test]
    fn keeps_pseudo_headers_first() {
        let mut list = HeaderList::from_iter([(":path", "/"), ("x-a", "1")]);
        list.add(":method", "GET");
        let names: Vec<_> = list.iter().map(|(name, _)| name.to_vec()).collect();
        assert_eq!(names, [&b":path"[..], b":method", b"x-a"]);
    }
}
