//! Callouts: what a filter asks of clusters, and what a test has them say.

use std::time::Duration;

use crate::headers::HeaderList;
use crate::local_reply::percent_encoded;
use crate::message::Response;

/// An HTTP callout that the filter asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// The context that asked. The answer goes to its configuration.
    pub context: u32,
    /// The number that the answer will bear.
    pub token: u32,
    /// The cluster.
    pub upstream: Vec<u8>,
    /// The request's headers.
    pub headers: HeaderList,
    /// The request's body.
    pub body: Vec<u8>,
    /// The request's trailers.
    pub trailers: HeaderList,
    /// How long it may take, in milliseconds; 0 is for ever.
    pub timeout: u32,
}

impl HttpCall {
    /// `:path`, as text.
    pub fn path(&self) -> &str {
        self.headers.text(":path").unwrap_or_default()
    }
}

/// A unary gRPC callout that the filter asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcCall {
    /// The context that asked. The answer goes to its configuration.
    pub context: u32,
    /// The number that the answer will bear.
    pub token: u32,
    /// The cluster, whether it was named in an Envoy `GrpcService` or bare.
    pub upstream: Vec<u8>,
    /// The service, as in `package.Service`.
    pub service: Vec<u8>,
    /// The method.
    pub method: Vec<u8>,
    /// The initial metadata.
    pub metadata: HeaderList,
    /// The message.
    pub message: Vec<u8>,
    /// How long it may take, in milliseconds; 0 is for ever.
    pub timeout: u32,
}

/// What a cluster says to a callout.
///
/// ```
/// use std::time::Duration;
/// use legation_testing::{Callout, Response};
///
/// let slow = Callout::from(Response::new(401)).after(Duration::from_secs(1));
/// ```
#[derive(Debug, Clone)]
pub struct Callout {
    pub(crate) says: Says,
    pub(crate) after: Option<Duration>,
    pub(crate) at_once: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Says {
    Answer(Response),
    /// A response of Envoy's own, in the other side's place.
    Envoy(Response),
    Message(Vec<u8>),
    Status(u32, String),
    Broken,
    Hang,
    Refuse(u32),
}

impl Callout {
    /// This response, to which Envoy adds `x-envoy-upstream-service-time`.
    pub fn answer(response: Response) -> Self {
        Self::new(Says::Answer(response))
    }

    /// This message of gRPC. To an HTTP callout it is the body of a 200.
    pub fn message(message: impl Into<Vec<u8>>) -> Self {
        Self::new(Says::Message(message.into()))
    }

    /// A status of gRPC other than ok, told as Envoy tells it: with its own
    /// details behind the message. An HTTP callout fails.
    pub fn grpc_status(status: u32, message: &str) -> Self {
        let message = match percent_encoded(message.as_bytes()).as_str() {
            "" => "via_upstream".to_owned(),
            message => format!("{message}{{via_upstream}}"),
        };
        Self::new(Says::Status(status, message))
    }

    /// The connection breaks before the answer, or cannot be made: Envoy answers
    /// 503 in its place, and says why.
    pub fn reset(reason: &str) -> Self {
        let response = Response::new(503)
            .header("content-type", "text/plain")
            .body(format!(
                "upstream connect error or disconnect/reset before headers. reset reason: {reason}"
            ));
        Self::new(Says::Envoy(response))
    }

    /// The connection breaks in the midst of the answer: no headers.
    pub fn fail() -> Self {
        Self::new(Says::Broken)
    }

    /// Nothing, until the callout's time is over.
    pub fn hang() -> Self {
        Self::new(Says::Hang)
    }

    /// The host call answers this status: 10 is a cluster without hosts.
    pub fn refuse(status: u32) -> Self {
        Self::new(Says::Refuse(status))
    }

    /// After so long, once time goes by. A test that delivers it need not wait.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = Some(delay);
        self
    }

    /// Within the host call itself, before that has told the token. Envoy never
    /// does so.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    fn new(says: Says) -> Self {
        Self {
            says,
            after: None,
            at_once: false,
        }
    }
}

impl From<Response> for Callout {
    fn from(response: Response) -> Self {
        Self::answer(response)
    }
}

/// A callout that has no answer yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCallout {
    /// The number that the answer will bear.
    pub token: u32,
    /// The context that asked.
    pub context: u32,
    /// The cluster.
    pub cluster: String,
    /// Whether it is gRPC.
    pub is_grpc: bool,
    /// Whether no answer comes but that its time is over.
    pub hangs: bool,
}
