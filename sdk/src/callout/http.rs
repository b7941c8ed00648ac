//! HTTP callouts.

use std::borrow::Cow;
use std::time::Duration;

use crate::abi;
use crate::callout::{CalloutError, DEFAULT_MAX_RESPONSE_BYTES, DEFAULT_TIMEOUT, TraceContext};
use crate::headers::{self, HeaderList};
use crate::runtime::reactor::{self, Protocol};

/// By how much a timeout may come too early.
const MAX_EARLY: Duration = Duration::from_millis(20);
/// What is taken at least: Envoy's own words for why there is no answer.
const MAX_OWN_WORDS: usize = 1024;

/// A request to another service.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    cluster: String,
    method: Vec<u8>,
    path: Vec<u8>,
    authority: Option<Vec<u8>>,
    scheme: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    timeout: Duration,
    max_response_bytes: usize,
    trace_context: Option<TraceContext>,
}

impl HttpRequest {
    /// A request to a cluster of Envoy's configuration. `path` starts with `/`
    /// and holds the query.
    pub fn new(
        cluster: impl Into<String>,
        method: &http::Method,
        path: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            cluster: cluster.into(),
            method: method.as_str().as_bytes().to_vec(),
            path: path.into(),
            authority: None,
            scheme: None,
            headers: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            max_response_bytes: DEFAULT_MAX_RESPONSE_BYTES,
            trace_context: None,
        }
    }

    /// A `GET`.
    pub fn get(cluster: impl Into<String>, path: impl Into<Vec<u8>>) -> Self {
        Self::new(cluster, &http::Method::GET, path)
    }

    /// A `POST`.
    pub fn post(cluster: impl Into<String>, path: impl Into<Vec<u8>>) -> Self {
        Self::new(cluster, &http::Method::POST, path)
    }

    /// `:authority`, which is `host` in HTTP/1. By default the cluster's name.
    #[must_use]
    pub fn authority(mut self, authority: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// `:scheme`. Unset, Envoy says `http`; whether TLS is spoken is the cluster's
    /// to say.
    #[must_use]
    pub fn scheme(mut self, scheme: impl Into<Vec<u8>>) -> Self {
        self.scheme = Some(scheme.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The body, whose `content-length` Envoy states.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a trailer. Envoy (1.36 to 1.40) takes it and does not send it.
    #[must_use]
    pub fn trailer(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }

    bounds!();

    /// Its method.
    pub fn method(&self) -> &[u8] {
        &self.method
    }

    /// Sends it, and waits for the whole answer.
    ///
    /// Host calls: one for the time, one to send, and of the answer one for its
    /// headers, one for a body, one for trailers; before, those of
    /// [`TraceContext::of_stream`].
    pub async fn send(&self) -> Result<HttpResponse, CalloutError> {
        let reactor = reactor::current().ok_or(CalloutError::Gone)?;
        let (headers, trailers) = self.encode()?;
        let timeout = milliseconds(self.timeout);
        let began = abi::now_nanoseconds().unwrap_or(u64::MAX);
        let limit = self.max_response_bytes.max(MAX_OWN_WORDS);
        let answer = reactor.call(Protocol::Http, limit, || {
            let cluster = self.cluster.as_bytes();
            abi::http_call(cluster, &headers, &self.body, &trailers, timeout)
        })?;
        drop((headers, trailers));
        match answer.await {
            Ok(arrived) => HttpResponse::read(arrived, self.max_response_bytes),
            // Envoy says no more than that it is over.
            Err(CalloutError::NoHeaders) if is_over(since(began), self.timeout) => {
                Err(CalloutError::Timeout)
            }
            Err(error) => Err(error),
        }
    }

    fn encode(&self) -> Result<(Vec<u8>, Vec<u8>), CalloutError> {
        if self.cluster.is_empty() {
            return Err(CalloutError::Invalid("no cluster is named".to_owned()));
        }
        if self.path.first() != Some(&b'/') {
            return Err(CalloutError::Invalid(
                "the path does not start with `/`".to_owned(),
            ));
        }
        for (name, _) in &self.headers {
            // Envoy would send them beside its own.
            if ["host", "content-length", "transfer-encoding"]
                .iter()
                .any(|own| name.eq_ignore_ascii_case(own))
            {
                return Err(CalloutError::Invalid(format!(
                    "`{name}` is Envoy's to set, from the authority and the body"
                )));
            }
        }
        let authority = self.authority.as_deref();
        let pseudo = [
            (":method", Some(self.method.as_slice())),
            (":path", Some(self.path.as_slice())),
            (":authority", authority.or(Some(self.cluster.as_bytes()))),
            (":scheme", self.scheme.as_deref()),
        ];
        let pseudo = pseudo
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let invalid = |error: crate::Error| CalloutError::Invalid(error.to_string());
        let trace = self.trace();
        let headers = borrowed(&self.headers).chain(trace.beside(&self.headers));
        let headers = headers::encode_request(pseudo, headers).map_err(invalid)?;
        let trailers = if self.trailers.is_empty() {
            Vec::new()
        } else {
            headers::encode(borrowed(&self.trailers)).map_err(invalid)?
        };
        Ok((headers, trailers))
    }
}

/// How long it is since a time in nanoseconds since 1970.
fn since(began: u64) -> Duration {
    let now = abi::now_nanoseconds().unwrap_or_default();
    Duration::from_nanos(now.saturating_sub(began))
}

/// Whether a timeout has passed by Envoy's clock, which counts from the beginning of
/// the turn of its loop in which the callout was sent.
fn is_over(elapsed: Duration, timeout: Duration) -> bool {
    let early = timeout.checked_div(10).unwrap_or_default().min(MAX_EARLY);
    elapsed.saturating_add(early) >= timeout
}

pub(super) fn borrowed(headers: &[(String, Vec<u8>)]) -> impl Iterator<Item = (&str, &[u8])> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
}

/// What the ABI takes: at least one, for with none Envoy would wait for ever.
pub(super) fn milliseconds(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis())
        .unwrap_or(u32::MAX)
        .max(1)
}

/// The answer to an [`HttpRequest`].
#[derive(Debug, Clone)]
pub struct HttpResponse {
    status: u16,
    headers: HeaderList,
    body: Vec<u8>,
    trailers: HeaderList,
}

impl HttpResponse {
    fn read(arrived: reactor::Arrived, limit: usize) -> Result<Self, CalloutError> {
        let malformed = |what: &str| CalloutError::Malformed(what.to_owned());
        let headers = HeaderList::decode(arrived.headers)
            .ok_or_else(|| malformed("its headers are not a header map"))?;
        let trailers = HeaderList::decode(arrived.trailers)
            .ok_or_else(|| malformed("its trailers are not a header map"))?;
        let status = headers
            .get(":status")
            .and_then(|status| std::str::from_utf8(status).ok()?.parse().ok())
            .ok_or_else(|| malformed("it has no status"))?;
        let response = Self {
            status,
            headers,
            body: arrived.body,
            trailers,
        };
        if let Some(error) = response.of_envoy() {
            return Err(error);
        }
        let size = response.body.len();
        if size > limit {
            return Err(CalloutError::TooLarge { size, limit });
        }
        Ok(response)
    }

    /// What Envoy says in the other side's place: its client answers a timeout and
    /// a lost connection by local replies. Those lack the header that it adds to
    /// whatever it gets from the other side, over any that is there.
    fn of_envoy(&self) -> Option<CalloutError> {
        const RESET: &[u8] = b"upstream connect error or disconnect/reset before headers. ";
        if self.headers.get("x-envoy-upstream-service-time").is_some() {
            return None;
        }
        match (self.status, self.body.as_slice()) {
            (504, b"upstream request timeout") => Some(CalloutError::Timeout),
            (503, b"no healthy upstream") => {
                Some(CalloutError::Reset("no healthy upstream".to_owned()))
            }
            (503, body) => {
                let reason = String::from_utf8_lossy(body.strip_prefix(RESET)?);
                let reason = match reason.split_once("reset reason: ") {
                    Some((_, reason)) => reason,
                    None => &reason,
                };
                Some(CalloutError::Reset(reason.to_owned()))
            }
            _ => None,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first value of a header, or `None`.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name)
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderList {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, without a copy.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The first value of a trailer, or `None`.
    pub fn trailer(&self, name: &str) -> Option<&[u8]> {
        self.trailers.get(name)
    }
}
