//! What tests send and get back.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::body::{Body, Step};
use crate::headers::{self, Headers};

/// The header by which [`crate::Stage::exchange`] knows a request again when it
/// arrives at the upstream.
pub const ID_HEADER: &str = "x-legation-test";

/// A request to send: `Request::get("/").header("x-bytes", b"\xff")`.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authority: String,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
}

impl Request {
    /// A request of any method. The path goes out as it is written here.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            authority: "localhost".to_owned(),
            headers: Headers::new(),
            body: Body::default(),
        }
    }

    /// A GET.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST with this body.
    pub fn post(path: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST", path).body(body)
    }

    /// The Host header, or HTTP/2's `:authority`; `localhost` unless set.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.authority);
        self
    }

    /// Adds a header field; one of the same name stays.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Adds header fields.
    #[must_use]
    pub fn headers<N: AsRef<str>, V: AsRef<[u8]>>(
        mut self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        for (name, value) in fields {
            self.headers.push(name.as_ref(), value);
        }
        self
    }

    /// Marks the request, so that the upstream's record of it can be found by
    /// [`crate::Upstream::with_id`] among those of other tests.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.header(ID_HEADER, id)
    }

    /// Sends the data in one piece, with a `content-length` where no trailers follow.
    /// A second piece makes the body chunked.
    #[must_use]
    pub fn body(mut self, data: impl AsRef<[u8]>) -> Self {
        self.body.push(data);
        self
    }

    /// Waits before what follows: the next piece of the body, or its end.
    #[must_use]
    pub fn pause(mut self, time: Duration) -> Self {
        self.body.steps.push(Step::Wait(time));
        self
    }

    /// Breaks off here, before the body's end.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.body.steps.push(Step::Cut);
        self
    }

    /// Adds a trailer field. Envoy drops them in HTTP/1.1 unless
    /// [`crate::Config::http1_trailers`] says otherwise.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.body.trailers.push(name, value);
        self
    }

    pub(crate) fn id_value(&self) -> Option<String> {
        self.headers.text(ID_HEADER)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} {}", self.method, self.path)?;
        writeln!(out, "host: {}", self.authority)?;
        write!(out, "{}", self.headers)?;
        write_body(out, &self.body.data(), &self.body.trailers)
    }
}

/// An answer that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The whole body.
    pub body: Vec<u8>,
    /// The trailer fields.
    pub trailers: Headers,
}

impl Response {
    /// The body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        use anyhow::Context as _;
        serde_json::from_slice(&self.body)
            .with_context(|| format!("the answer is no JSON:\n{self}"))
    }
}

impl fmt::Display for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.status)?;
        write!(out, "{}", self.headers)?;
        write_body(out, &self.body, &self.trailers)
    }
}

/// A request as it arrived at an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// `Host`, or HTTP/2's `:authority`.
    pub authority: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The header fields.
    pub headers: Headers,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// The trailer fields.
    pub trailers: Headers,
    /// Whether the body came to its end; false where the sender broke off.
    pub complete: bool,
}

impl Received {
    /// The body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The method, the path and the headers as text, without what differs between any two
    /// requests: two that went through different filters can be compared by it.
    pub fn comparable(&self) -> String {
        let mut lines: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| ![ID_HEADER, "x-request-id"].contains(name))
            .map(|(name, value)| format!("{name}: {}\n", value.escape_ascii()))
            .collect();
        // The order among different names means nothing, that of equal ones stays.
        lines.sort_by(|a, b| a.split(':').next().cmp(&b.split(':').next()));
        format!("{} {}\n{}", self.method, self.path, lines.concat())
    }

    /// The request as JSON; a header that comes more than once is a list.
    pub fn to_json(&self) -> Value {
        let mut headers = Map::new();
        for (name, value) in self.headers.iter() {
            let value = Value::from(String::from_utf8_lossy(value));
            match headers.get_mut(name) {
                None => {
                    headers.insert(name.to_owned(), value);
                }
                Some(Value::Array(values)) => values.push(value),
                Some(first) => *first = json!([first.take(), value]),
            }
        }
        json!({
            "method": self.method,
            "path": self.path,
            "host": self.authority,
            "headers": headers,
            "body": self.text(),
        })
    }

    /// The message of a gRPC call; `None` where the body is not just one of them.
    pub fn grpc_message(&self) -> Option<&[u8]> {
        let (head, message) = self.body.split_at_checked(5)?;
        let length = u32::from_be_bytes(head.get(1..)?.try_into().ok()?);
        (head[0] == 0 && usize::try_from(length) == Ok(message.len())).then_some(message)
    }

    /// The mark that [`Request::id`] gave it.
    pub fn id(&self) -> Option<String> {
        self.headers.text(ID_HEADER)
    }
}

impl fmt::Display for Received {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} {} {}", self.method, self.path, self.version)?;
        if !self.headers.contains("host") {
            writeln!(out, ":authority: {}", self.authority)?;
        }
        write!(out, "{}", self.headers)?;
        write_body(out, &self.body, &self.trailers)?;
        if !self.complete {
            writeln!(out, "(broken off)")?;
        }
        Ok(())
    }
}

fn write_body(out: &mut fmt::Formatter<'_>, body: &[u8], trailers: &Headers) -> fmt::Result {
    if !body.is_empty() {
        match std::str::from_utf8(body) {
            Ok(text) if text.len() <= 2_000 => writeln!(out, "\n{}", text.trim_end())?,
            _ => writeln!(out, "\n{}", headers::Bytes(body))?,
        }
    }
    if !trailers.is_empty() {
        write!(out, "\n{trailers}")?;
    }
    Ok(())
}
