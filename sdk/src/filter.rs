//! What one writes to make a filter.

use std::fmt;
use std::future::Future;
use std::ops::BitOr;

use deserr::Deserr;

use crate::config::ConfigErrors;
use crate::configure::Configure;
use crate::error::Result;
use crate::phase::{
    RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
    StreamLog,
};
use crate::reply::LocalReply;

/// An HTTP filter.
///
/// The value is made once for each configuration (on each worker) and lives as
/// long as it; [`Stream`](Self::Stream) is made for each request. Write the
/// implementation under [`#[legation::filter]`](macro@crate::filter), which notes
/// the callbacks it holds, and hand the type to [`register!`](crate::register).
///
/// Every callback but [`configure`](Self::configure) may be left out. Envoy
/// spends about 0.2 µs to enter a callback, so the build keeps in the module
/// only those that are there.
///
/// A callback that returns an error has its request refused; see
/// [`Error`](crate::Error).
///
/// # Callbacks that wait
///
/// A callback for a part of a message, and [`on_tick`](Self::on_tick), may be an
/// `async fn`: it awaits the answer to a [callout](crate::callout), a
/// [time](crate::clock::sleep) or the [whole body](RequestHeaders::buffer_body) in
/// a straight line, and the stream waits with it. (The trait spells that
/// `fn … -> impl Future`; write `fn` or `async fn`, as it suits.)
///
/// - One callback of a stream runs at a time. What arrives while one waits is
///   held, and its callback made afterwards.
/// - A stream that ends (the client has gone, a timeout of Envoy's) drops the
///   future where it stands; then come `on_log` and `on_done`. (In a filter that
///   [seldom waits](Self::on_request_headers_at_once) it may be dropped later.)
/// - A response that comes while the request's callback waits for the request's
///   body drops it too: the rest of the request goes nowhere.
/// - A callback that comes to its end without having waited allocates nothing,
///   and costs no host call more than a plain `fn`.
///
/// Such a filter's module is one that `cargo xtask build` made: the dispatcher of
/// the `proxy-wasm` crate, through which others are entered, does not know of the
/// callouts, and there the configuration is refused.
pub trait HttpFilter: Sized + 'static {
    /// The filter's name, in kebab case: in log lines, and (with `_` for `-`)
    /// before its metrics.
    const NAME: &'static str;

    /// The callbacks that the implementation holds.
    /// [`#[legation::filter]`](macro@crate::filter) writes this.
    const CALLBACKS: Callbacks;

    /// Those of them that are `async fn`.
    /// [`#[legation::filter]`](macro@crate::filter) writes this.
    const AWAITS: Callbacks = Callbacks::NONE;

    /// Whether it holds [`on_request_headers_at_once`](Self::on_request_headers_at_once).
    /// [`#[legation::filter]`](macro@crate::filter) writes this.
    const AT_ONCE: bool = false;

    /// Whether users may have the configuration fetched instead:
    /// [`remote_config`](crate::remote_config). Not unless you say so: what fetches it makes the
    /// module larger.
    const REMOTE_CONFIG: bool = false;

    /// What users configure. [`NoConfig`](crate::config::NoConfig) where there
    /// is nothing to configure.
    type Config: Deserr<ConfigErrors>;

    /// What the filter remembers from one callback of a request to the next.
    /// `()` where that is nothing.
    ///
    /// It is dropped when the stream is over. A filter without callbacks for
    /// bodies, trailers, `on_log` and `on_done` is not told when that is: there
    /// it is dropped after the response's headers, and for a stream that never
    /// has any, some time later. One with
    /// [`on_request_headers_at_once`](Self::on_request_headers_at_once) may be told even less.
    type Stream: Default + 'static;

    /// Makes the filter from its configuration, and defines its metrics.
    ///
    /// Errors are shown to the user, all of them, and Envoy refuses the
    /// configuration.
    fn configure(config: Self::Config, host: &mut Configure) -> Result<Self, ConfigErrors>;

    /// The request's headers have arrived.
    fn on_request_headers(
        &self,
        stream: &mut Self::Stream,
        request: &mut RequestHeaders,
    ) -> impl Future<Output = Result<Flow>> {
        async {
            let _ = (stream, request);
            Ok(Flow::Continue)
        }
    }

    /// Asked before an `async fn`
    /// [`on_request_headers`](Self::on_request_headers), which is not called where this
    /// has an answer. `None`: it is called, with what this has noted in `stream` and read
    /// of `request`.
    ///
    /// It is for a filter that seldom waits: a request answered here costs about what it
    /// costs a filter of plain `fn`s. Only beside an `async fn`.
    ///
    /// Where the filter has no other callback but [`on_tick`](Self::on_tick), the host does
    /// not tell it of the ends of streams: a future that waits is dropped when what it waits
    /// for has come and its stream is gone, or where a thousand wait; a stream of which
    /// nothing waits is forgotten with the end of its callback.
    fn on_request_headers_at_once(
        &self,
        stream: &mut Self::Stream,
        request: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        let _ = (stream, request);
        None
    }

    /// A piece of the request's body has arrived.
    fn on_request_body(
        &self,
        stream: &mut Self::Stream,
        request: &mut RequestBody,
    ) -> impl Future<Output = Result<Flow>> {
        async {
            let _ = (stream, request);
            Ok(Flow::Continue)
        }
    }

    /// The request's trailers have arrived.
    fn on_request_trailers(
        &self,
        stream: &mut Self::Stream,
        request: &mut RequestTrailers,
    ) -> impl Future<Output = Result<Flow>> {
        async {
            let _ = (stream, request);
            Ok(Flow::Continue)
        }
    }

    /// The response's headers have arrived: from the upstream, or of a local
    /// reply.
    fn on_response_headers(
        &self,
        stream: &mut Self::Stream,
        response: &mut ResponseHeaders,
    ) -> impl Future<Output = Result<Flow>> {
        async {
            let _ = (stream, response);
            Ok(Flow::Continue)
        }
    }

    /// A piece of the response's body has arrived.
    fn on_response_body(
        &self,
        stream: &mut Self::Stream,
        response: &mut ResponseBody,
    ) -> impl Future<Output = Result<Flow>> {
        async {
            let _ = (stream, response);
            Ok(Flow::Continue)
        }
    }

    /// The response's trailers have arrived.
    fn on_response_trailers(
        &self,
        stream: &mut Self::Stream,
        response: &mut ResponseTrailers,
    ) -> impl Future<Output = Result<Flow>> {
        async {
            let _ = (stream, response);
            Ok(Flow::Continue)
        }
    }

    /// The stream is over and Envoy writes its access log: headers and
    /// attributes can be read once more.
    fn on_log(&self, stream: &mut Self::Stream, log: &mut StreamLog) {
        let _ = (stream, log);
    }

    /// The stream is over, however it ended. After [`on_log`](Self::on_log).
    fn on_done(&self, stream: &mut Self::Stream) {
        let _ = stream;
    }

    /// The tick that [`Configure::tick_every`](crate::Configure::tick_every)
    /// asked for. It belongs to the filter, not to a request.
    fn on_tick(&self) -> impl Future<Output = ()> {
        async {}
    }
}

/// How a request goes on after a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// To the next filter.
    Continue,
    /// To the next filter, and this one is finished with the request: none of
    /// its later callbacks is made, not even for the response.
    Finish,
    /// Not yet: what has arrived is held here. In a body callback, more of the
    /// body is added to it until a later callback lets it all go on. In the
    /// callback of headers it lets the body come before them, to the body's
    /// callback; that takes the plugin's `allow_on_headers_stop_iteration: true`,
    /// without which nothing resumes it and it ends by Envoy's timeouts. To wait
    /// for an answer, `.await` it.
    Pause,
    /// No further: the client gets this answer. Where the response's headers are gone to it, in the callbacks
    /// of the response's body and trailers, the response is broken off.
    Reply(Box<LocalReply>),
}

impl From<LocalReply> for Flow {
    fn from(reply: LocalReply) -> Self {
        Self::Reply(Box::new(reply))
    }
}

/// A set of callbacks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Callbacks(u32);

impl Callbacks {
    /// No callback.
    pub const NONE: Self = Self(0);
    /// [`HttpFilter::on_request_headers`]
    pub const REQUEST_HEADERS: Self = Self(1);
    /// [`HttpFilter::on_request_body`]
    pub const REQUEST_BODY: Self = Self(1 << 1);
    /// [`HttpFilter::on_request_trailers`]
    pub const REQUEST_TRAILERS: Self = Self(1 << 2);
    /// [`HttpFilter::on_response_headers`]
    pub const RESPONSE_HEADERS: Self = Self(1 << 3);
    /// [`HttpFilter::on_response_body`]
    pub const RESPONSE_BODY: Self = Self(1 << 4);
    /// [`HttpFilter::on_response_trailers`]
    pub const RESPONSE_TRAILERS: Self = Self(1 << 5);
    /// [`HttpFilter::on_done`]
    pub const DONE: Self = Self(1 << 6);
    /// [`HttpFilter::on_log`]
    pub const LOG: Self = Self(1 << 7);
    /// [`HttpFilter::on_tick`]
    pub const TICK: Self = Self(1 << 8);
    /// That the host tells of answers to callouts.
    pub const ANSWERS: Self = Self(1 << 11);
    /// That the host tells of each context that comes.
    pub const CREATE: Self = Self(1 << 9);
    /// That the host tells of each context that goes.
    pub const DELETE: Self = Self(1 << 10);

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets as one.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Callbacks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callbacks({:#b})", self.0)
    }
}
