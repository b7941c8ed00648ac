//! The native mock host for filters written with `legation`, and scenarios.
//!
//! A filter's crate, linked into an ordinary test binary, meets here the host
//! calls that Envoy would give it: this crate defines the `proxy_*` symbols of
//! the proxy-wasm ABI. Tests take milliseconds, a debugger works, and what a
//! request costs is counted.
//!
//! ```
//! use deserr::Deserr;
//! use legation::config::ConfigErrors;
//! use legation::http::HeaderName;
//! use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result};
//! use legation_testing::{Host, Request, Response};
//! use serde_json::json;
//!
//! /// Says hello to every upstream.
//! struct Greeter(String);
//!
//! #[derive(Deserr)]
//! #[deserr(error = ConfigErrors, deny_unknown_fields)]
//! struct Config {
//!     greeting: String,
//! }
//!
//! #[legation::filter]
//! impl HttpFilter for Greeter {
//!     const NAME: &'static str = "greeter";
//!     type Config = Config;
//!     type Stream = ();
//!
//!     fn configure(config: Config, _: &mut Configure) -> Result<Self, ConfigErrors> {
//!         Ok(Self(config.greeting))
//!     }
//!
//!     fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
//!         let name = HeaderName::from_static("x-greeting");
//!         request.headers().set(&name, &self.0)?;
//!         Ok(Flow::Continue)
//!     }
//! }
//!
//! let host = Host::<Greeter>::configure(json!({ "greeting": "hello" }))?;
//! let exchange = host
//!     .exchange(Request::get("/").header("x-a", "1"))
//!     .upstream(Response::new(404).body("not here"));
//!
//! assert_eq!(exchange.upstream().header("x-greeting"), Some("hello"));
//! assert_eq!(exchange.status(), 404);
//! assert_eq!(exchange.calls().names(), ["proxy_replace_header_map_value"]);
//!
//! let refused = Host::<Greeter>::configure(json!({ "greting": "hello" })).unwrap_err();
//! assert!(refused.lines[0].contains("did you mean `greeting`?"));
//! # Ok::<(), legation_testing::Refused>(())
//! ```
//!
//! - [`Host`] is a worker with the filter in it: configurations, exchanges,
//!   ticks, the clock, metrics, the log. [`Stream`] is an exchange step by step.
//! - [`Callout`] is what a cluster says to a callout. An exchange waits for it;
//!   step by step, a test says when it comes.
//! - [`allocations`] counts what a filter allocates.
//! - [`Answer`] is what a host may be made to say that Envoy would not;
//!   [`chaos`] has it say anything at all.
//! - [`readme`]: the configurations that a README shows.
//! - [`scenario`]: exchanges described once, in YAML, and shown here and in
//!   Envoy.
//!
//! The host does what Envoy 1.40.0 was seen to do, also where that is odd: a
//! filter loses sight of headers once it has let them go on; a stream ends with
//! its log, then done, then delete; a header that Envoy keeps as one value is
//! joined by commas; the answer to a callout is told to the configuration, not
//! to the stream, and comes also when that is over; a local reply for one stream
//! stops the callback that runs, of whatever stream that is.
//!
//! One thing differs natively: the levels of the `log` crate are one for the
//! process, and tests are threads. So a log line's arguments are evaluated, and
//! then nothing comes of it, where in Envoy its level would have been looked at
//! first.

#[macro_use]
pub mod allocations;
mod abi;
mod call;
mod callout;
pub mod chaos;
mod exchange;
mod guest;
mod headers;
mod host;
mod local_reply;
mod log;
mod machine;
mod message;
pub mod readme;
pub mod scenario;
pub mod schema;
mod signatures;
mod stream;

pub use allocations::Allocations;
pub use call::{Answer, Call, Callback, HOST_CALLS, Made};
pub use callout::{Callout, GrpcCall, HttpCall, PendingCallout};
pub use exchange::{Calls, Exchange, Outcome, Upstream};
pub use guest::{Door, Guest};
pub use headers::HeaderList;
pub use host::{Configuration, Host, Pending, Refused, Root};
pub use log::LogLine;
pub use message::{AttributeValue, Message, Request, Response};
pub use signatures::sign;
pub use stream::{Progress, Stream};
