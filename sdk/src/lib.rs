//! A thin SDK for Envoy's WebAssembly (proxy-wasm) HTTP filters.
//!
//! It stays on the published `proxy-wasm` crate and adds what every filter would
//! write again: host calls that never panic, headers as bytes, configuration
//! that tells all its errors at once, metrics, log lines, a request matcher and
//! value expressions. A filter on it is a type, a configuration and a few
//! callbacks:
//!
//! ```
//! use deserr::Deserr;
//! use legation::config::{Bounded, ConfigErrors};
//! use legation::metrics::Counter;
//! use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};
//!
//! /// What users write.
//! #[derive(Deserr)]
//! #[deserr(error = ConfigErrors, deny_unknown_fields)]
//! struct Config {
//!     /// The longest `:path` let through, in bytes.
//!     max_path_length: Bounded<1, 65_536>,
//! }
//!
//! /// Refuses requests with an overlong path.
//! struct PathLimit {
//!     max_path_length: usize,
//!     refused: Counter,
//! }
//!
//! #[legation::filter]
//! impl HttpFilter for PathLimit {
//!     const NAME: &'static str = "path-limit";
//!     type Config = Config;
//!     type Stream = ();
//!
//!     fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
//!         Ok(Self {
//!             max_path_length: usize::try_from(config.max_path_length.get()).unwrap_or(usize::MAX),
//!             refused: host.counter("refused"),
//!         })
//!     }
//!
//!     fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
//!         let length = request.path()?.map_or(0, <[u8]>::len);
//!         if length <= self.max_path_length {
//!             return Ok(Flow::Continue);
//!         }
//!         self.refused.increment();
//!         log::info!(length; "path too long");
//!         Ok(LocalReply::new(414).body("the path is too long\n").into())
//!     }
//! }
//!
//! legation::register!(PathLimit);
//! ```
//!
//! # What there is
//!
//! What one writes: [`HttpFilter`] is the trait, [`#[legation::filter]`](macro@filter)
//! stands before its implementation, [`register!`] makes a module of it, and
//! [`Suite`] one module of several filters.
//!
//! What a callback may do:
//! - [`phase`] has a type for each: headers, bodies, trailers, each where Envoy
//!   allows it. [`headers`] and [`attributes`] are what a request is known by.
//! - [`reply`] answers in the upstream's place.
//! - [`filter_state`] hands what was found out to other filters and to the access
//!   log.
//!
//! What users write: [`config`] reads it; [`matcher`] and [`mod@format`] are the
//! parts of it that all filters share: which requests, and text taken from them.
//!
//! What a callback may wait for, where it is an `async fn`:
//! - the answer of another service ([`callout`], HTTP and gRPC), with retries,
//!   circuit breakers and caches around it ([`resilience`]);
//! - a time ([`clock::sleep`]), or the message's body, whole
//!   ([`RequestHeaders::buffer_body`]).
//!
//! ```
//! use std::time::Duration;
//!
//! use legation::callout::HttpRequest;
//! use legation::config::{ConfigErrors, NoConfig};
//! use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};
//!
//! /// Lets a request pass if another service says so.
//! struct Ask;
//!
//! #[legation::filter]
//! impl HttpFilter for Ask {
//!     const NAME: &'static str = "ask";
//!     type Config = NoConfig;
//!     type Stream = ();
//!
//!     fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
//!         Ok(Self)
//!     }
//!
//!     async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
//!         let token = request.headers().get("authorization")?.unwrap_or_default().to_vec();
//!         let answer = HttpRequest::get("auth", "/check")
//!             .header("authorization", token)
//!             .timeout(Duration::from_millis(250))
//!             .send()
//!             .await?; // no answer: the request is refused
//!         Ok(match answer.status() {
//!             200 => Flow::Continue,
//!             _ => LocalReply::new(401).into(),
//!         })
//!     }
//! }
//!
//! legation::register!(Ask);
//! ```
//!
//! What users may fetch instead of writing it into Envoy's configuration:
//! [`remote_config`].
//!
//! What goes beyond a request: [`shared`] is what all workers know together;
//! [`spawn`] runs a future that outlives its stream; [`metrics`] count, with tags;
//! the macros of the `log` crate write JSON lines to Envoy's log. [`clock`] and
//! [`random`] are what they say; [`foreign`] has Envoy's own functions, such as the
//! check of a signature.
//!
//! # What it promises
//!
//! Nothing here panics, whatever the host answers: statuses are numbers, headers
//! and attributes are bytes, and every host call returns a `Result`. A callback
//! that returns an error has its request refused ([`Error`]): a filter that
//! uses `?` fails closed.
//!
//! # What it costs
//!
//! A host call that carries bytes into the module costs Envoy about 0.7 µs, any
//! other about 0.1 to 0.25 µs, and each callback that a module exports about
//! 0.2 µs. So reads of headers share one fetch, writes are single calls, and
//! the build leaves in a module only the callbacks that the filter has. Each
//! function here says how many host calls it makes.

/// The filter in the project's README compiles, and does what it says there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

// Unit tests of what counts and calls link the mock host's symbols.
#[cfg(all(test, not(target_family = "wasm")))]
use legation_testing as _;

// The macros name the crate as its users do.
extern crate self as legation;

mod abi;
pub mod attributes;
pub mod callout;
pub mod clock;
pub mod coding;
pub mod config;
mod configure;
mod error;
mod filter;
pub mod filter_state;
pub mod fingerprint;
pub mod foreign;
pub mod format;
pub mod headers;
mod logging;
pub mod matcher;
pub mod metrics;
pub mod phase;
pub mod random;
#[doc(hidden)]
pub mod register;
pub mod remote_config;
pub mod reply;
pub mod resilience;
pub mod runtime;
pub mod shared;
pub mod suite;

pub use callout::spawn;
pub use configure::Configure;
pub use error::{Error, HostError, Reason, Result, Status};
pub use filter::{Callbacks, Flow, HttpFilter};
pub use http;
pub use legation_macros::filter;
pub use phase::{
    RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
    StreamLog,
};
pub use reply::{GrpcStatus, LocalReply};
pub use suite::Suite;
