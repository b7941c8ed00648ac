//! Callouts: what a filter asks of others while a stream waits.
//!
//! ```
//! # use legation::callout::HttpRequest;
//! # use legation::{Flow, LocalReply, Result};
//! # use std::time::Duration;
//! # async fn check() -> Result<Flow> {
//! let answer = HttpRequest::get("auth", "/check")
//!     .header("authorization", "Bearer …")
//!     .timeout(Duration::from_millis(250))
//!     .send()
//!     .await?;
//! if answer.status() != 200 {
//!     return Ok(LocalReply::new(403).into());
//! }
//! Ok(Flow::Continue)
//! # }
//! ```
//!
//! A callout goes to a cluster of Envoy's configuration, by Envoy's own client:
//! connections, TLS, load balancing and outlier detection are the cluster's. Its
//! future belongs to the stream, or to the plugin where there is none ([`spawn`]):
//! when the stream ends, nobody waits for the answer any more. Retries, circuit
//! breakers and caches are in [`resilience`](crate::resilience). What is asked while
//! a stream waits belongs to that request's trace: see [`TraceContext`].

/// What every callout is bounded by.
macro_rules! bounds {
    () => {
        /// How long the whole answer may take, from 1 ms to 49 days; 5 s by default.
        #[must_use]
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.timeout = timeout;
            self
        }

        pub(crate) fn set_timeout(&mut self, timeout: Duration) {
            self.timeout = timeout;
        }

        /// The largest body or message that is taken as an answer, in bytes; 1 MiB by
        /// default.
        #[must_use]
        pub fn max_response_bytes(mut self, bytes: usize) -> Self {
            self.max_response_bytes = bytes;
            self
        }

        /// By what it is found in a trace; by default
        /// [`TraceContext::of_stream`].
        #[must_use]
        pub fn trace_context(mut self, context: TraceContext) -> Self {
            self.trace_context = Some(context);
            self
        }

        /// Of whatever callback sends it first, however often it is sent: unless it was
        /// said otherwise.
        pub(crate) fn settle_trace(&mut self) {
            self.trace_context
                .get_or_insert_with(TraceContext::of_stream);
        }

        fn trace(&self) -> Cow<'_, TraceContext> {
            match &self.trace_context {
                Some(given) => Cow::Borrowed(given),
                None => Cow::Owned(TraceContext::of_stream()),
            }
        }

        /// The cluster that it goes to.
        pub fn cluster(&self) -> &str {
            &self.cluster
        }
    };
}

mod grpc;
mod http;
mod trace;
pub mod url;

use std::future::Future;
use std::time::Duration;

use crate::error::{Error, HostError, Result};
use crate::runtime::reactor;

pub use grpc::GrpcRequest;
pub use http::{HttpRequest, HttpResponse};
pub use trace::TraceContext;
pub use url::ServiceUrl;

/// How long an answer may take.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is taken of its body.
const DEFAULT_MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// How a callout came to nothing.
///
/// A status of HTTP is an answer, and no error; a status of gRPC but 0 is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalloutError {
    /// Envoy would not send it: most often there is no cluster of that name.
    #[error("the callout was not sent: {0}")]
    NotSent(HostError),
    /// It could not be put into words: a header that is none, for one.
    #[error("the callout cannot be sent: {0}")]
    Invalid(String),
    /// There was no whole answer in time.
    #[error("the callout timed out")]
    Timeout,
    /// No connection, or it broke; Envoy's words for why.
    #[error("the callout was reset: {0}")]
    Reset(String),
    /// The call ended in the middle of its answer: the connection broke, or the
    /// answer was larger than Envoy takes (32 MiB). Envoy shows nothing of it, not
    /// even headers.
    #[error("the callout was broken off")]
    NoHeaders,
    /// The answer's body is larger than was asked for.
    #[error("the answer has {size} bytes, and {limit} are taken")]
    TooLarge {
        /// Bytes of the answer's body.
        size: usize,
        /// Bytes that are taken.
        limit: usize,
    },
    /// The answer is not what the protocol describes.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// A status of gRPC's that is not `OK`, and its message.
    #[error("gRPC status {status}: {message}")]
    Grpc {
        /// The number (<https://grpc.io/docs/guides/status-codes/>).
        status: u32,
        /// What the other side said about it. Not to be trusted.
        message: String,
    },
    /// The circuit breaker is open: nothing was sent.
    #[error("the circuit is open")]
    CircuitOpen,
    /// So many are under way, or wait, that there is no place for another: nothing
    /// was sent.
    #[error("too many callouts are under way")]
    Overloaded,
    /// Nobody is left to take the answer: awaited outside of an `async fn`
    /// callback, or the fetch that this one had joined was dropped.
    #[error("the callout has nobody to wait for it")]
    Gone,
}

impl From<HostError> for CalloutError {
    fn from(error: HostError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Runs a future on the plugin instead of the stream, which may end before it:
/// to refresh what is stale, to tell others. It begins when the callback that
/// runs is over.
///
/// Fails in a filter none of whose callbacks is an `async fn`, and when 1,024
/// such futures are under way. Spawned while the filter is configured, it begins
/// with the first tick, some 10 ms later.
pub fn spawn(future: impl Future<Output = ()> + 'static) -> Result<()> {
    let reactor = reactor::current().ok_or_else(|| {
        Error::other("futures run in filters with an `async fn` among their callbacks only")
    })?;
    if reactor.spawn(Box::pin(future)) {
        Ok(())
    } else {
        Err(Error::other("too many futures are under way"))
    }
}
