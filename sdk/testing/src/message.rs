//! Requests and responses: what a test sends, and what it gets to see.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::headers::{HeaderList, Kind, Text};

/// A request that a test has a client send.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) headers: HeaderList,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: Option<HeaderList>,
    pub(crate) open: bool,
    pub(crate) attributes: Vec<(String, AttributeValue)>,
}

impl Request {
    /// A request with this method and path, for the host `example.com`.
    pub fn new(method: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Self {
        let mut headers = HeaderList::of(Kind::Request);
        headers.add(":authority", "example.com");
        headers.add(":path", path);
        headers.add(":method", method);
        headers.add(":scheme", "http");
        Self {
            headers,
            chunks: Vec::new(),
            trailers: None,
            open: false,
            attributes: Vec::new(),
        }
    }

    /// A GET request.
    pub fn get(path: impl AsRef<[u8]>) -> Self {
        Self::new("GET", path)
    }

    /// A POST request.
    pub fn post(path: impl AsRef<[u8]>) -> Self {
        Self::new("POST", path)
    }

    /// Adds a header. A pseudo-header (`:authority`, `:scheme`) is replaced,
    /// and `host` is `:authority`.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let name = name.as_ref();
        if name.starts_with(b":") || name.eq_ignore_ascii_case(b"host") {
            self.headers.set(name, value);
        } else {
            self.headers.add(name, value);
        }
        self
    }

    /// Adds headers.
    #[must_use]
    pub fn headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        mut self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        for (name, value) in headers {
            self = self.header(name, value);
        }
        self
    }

    /// Adds to the body, as a piece of its own.
    #[must_use]
    pub fn body(mut self, piece: impl AsRef<[u8]>) -> Self {
        self.chunks.push(piece.as_ref().to_vec());
        self
    }

    /// Adds a trailer.
    #[must_use]
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.trailers.get_or_insert_default().add(name, value);
        self
    }

    /// Says that more follows the headers, for a test that hands over the body
    /// piece by piece ([`Stream`](crate::Stream)).
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Where the client is: `address:port`, as in `source.address`.
    #[must_use]
    pub fn from(self, address: &str) -> Self {
        self.attribute("source.address", address)
    }

    /// Has the host give an attribute of the request this value. The path is
    /// dotted; for a segment with a dot in it, segments joined by NUL.
    #[must_use]
    pub fn attribute(mut self, path: &str, value: impl Into<AttributeValue>) -> Self {
        self.attributes.push((path.to_owned(), value.into()));
        self
    }

    pub(crate) fn ends_with_headers(&self) -> bool {
        !self.open && self.chunks.is_empty() && self.trailers.is_none()
    }

    /// A client that sends a body whole says how long it is.
    pub(crate) fn state_length(&mut self) {
        if !self.open {
            state_length(&mut self.headers, &self.chunks, self.trailers.as_ref());
        }
    }
}

/// A response that a test has the upstream give.
#[derive(Debug, Clone)]
pub struct Response {
    pub(crate) headers: HeaderList,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: Option<HeaderList>,
    pub(crate) open: bool,
}

impl Response {
    /// A response with this status.
    pub fn new(status: u16) -> Self {
        let mut headers = HeaderList::of(Kind::Response);
        headers.add(":status", status.to_string());
        Self {
            headers,
            chunks: Vec::new(),
            trailers: None,
            open: false,
        }
    }

    /// A response with status 200.
    pub fn ok() -> Self {
        Self::new(200)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// Adds headers.
    #[must_use]
    pub fn headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        mut self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        for (name, value) in headers {
            self = self.header(name, value);
        }
        self
    }

    /// Adds to the body, as a piece of its own.
    #[must_use]
    pub fn body(mut self, piece: impl AsRef<[u8]>) -> Self {
        self.chunks.push(piece.as_ref().to_vec());
        self
    }

    /// Adds a trailer.
    #[must_use]
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.trailers
            .get_or_insert_with(|| HeaderList::of(Kind::ResponseTrailers))
            .add(name, value);
        self
    }

    /// Says that more follows the headers; see [`Request::open`].
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    pub(crate) fn ends_with_headers(&self) -> bool {
        !self.open && self.chunks.is_empty() && self.trailers.is_none()
    }

    pub(crate) fn state_length(&mut self) {
        if !self.open {
            state_length(&mut self.headers, &self.chunks, self.trailers.as_ref());
        }
    }
}

fn state_length(headers: &mut HeaderList, chunks: &[Vec<u8>], trailers: Option<&HeaderList>) {
    let stated = headers.contains("content-length") || headers.contains("transfer-encoding");
    if !stated && trailers.is_none() && !chunks.is_empty() {
        let length: usize = chunks.iter().map(Vec::len).sum();
        headers.add("content-length", length.to_string());
    }
}

/// A request or a response as it arrived at the other side of the filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The headers, pseudo-headers included.
    pub headers: HeaderList,
    /// The whole body.
    pub body: Vec<u8>,
    /// The trailers: empty where there were none.
    pub trailers: HeaderList,
}

impl Message {
    /// The first value of a header, as text.
    ///
    /// # Panics
    ///
    /// Where it is not UTF-8: `message.headers.get(name)` gives the bytes.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.text(name)
    }

    /// Every value of a header, as text; what is not UTF-8 is escaped.
    pub fn values(&self, name: &str) -> Vec<String> {
        let values = self.headers.all(name);
        values.map(|value| Text(value).to_string()).collect()
    }

    /// The body, as text.
    pub fn text(&self) -> String {
        Text(&self.body).to_string()
    }

    /// `:status` of a response; 0 where it is not a number.
    pub fn status(&self) -> u16 {
        let status = self.headers.get(":status").unwrap_or_default();
        let status = std::str::from_utf8(status).unwrap_or_default();
        status.parse().unwrap_or_default()
    }

    /// `:method` of a request.
    pub fn method(&self) -> Option<&str> {
        self.header(":method")
    }

    /// `:path` of a request.
    pub fn path(&self) -> Option<&str> {
        self.header(":path")
    }

    /// `:authority` of a request.
    pub fn authority(&self) -> Option<&str> {
        self.header(":authority")
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.headers)?;
        if !self.body.is_empty() {
            writeln!(f, "  ({} bytes) {}", self.body.len(), Text(&self.body))?;
        }
        write!(f, "{}", self.trailers)
    }
}

/// The value of an attribute, in the bytes that Envoy writes it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeValue(pub(crate) Vec<u8>);

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

/// Bytes as they are, also those of no type that there is.
impl From<Vec<u8>> for AttributeValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        Self(number.to_le_bytes().to_vec())
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self(number.to_le_bytes().to_vec())
    }
}

impl From<f64> for AttributeValue {
    fn from(number: f64) -> Self {
        Self(number.to_le_bytes().to_vec())
    }
}

impl From<bool> for AttributeValue {
    fn from(truth: bool) -> Self {
        Self(vec![u8::from(truth)])
    }
}

impl From<Duration> for AttributeValue {
    fn from(duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self::from(nanoseconds)
    }
}

impl From<SystemTime> for AttributeValue {
    fn from(time: SystemTime) -> Self {
        Self::from(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}
