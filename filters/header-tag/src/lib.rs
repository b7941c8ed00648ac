//! Tags requests and responses: sets, appends, renames and removes headers by
//! rule. What users configure is in the README; this is where its parts are:
//!
//! - [`config`]: what users write, and every mistake they can make;
//! - `rules`: which rules apply to a request, and `block`: what a rule does to a
//!   message. Both know messages by a trait and no host;
//! - `buckets`: which weighted bucket a request is in, and `scope`: a message with
//!   what the rules know of it;
//! - `counts`: the counters, added up in the module;
//! - `filter`: when each of these happens; `requests`: the same for those who change
//!   requests only, and `trailers`: for those who change trailers too.
//!
//! ```
//! use legation::HttpFilter;
//! use legation::config::{self, ConfigErrors};
//! use header_tag::HeaderTag;
//!
//! type Config = <HeaderTag as HttpFilter>::Config;
//!
//! let text = br#"{"rules": [{"request": {"set": {"X-Envoy-Plugin": "header-tag"}}}]}"#;
//! let config: Config = config::parse(text)?;
//! assert_eq!(config.0.rules.len(), 1);
//!
//! let errors = config::parse::<Config>(br#"{"rules": [{"request": {"sett": {}}}]}"#).unwrap_err();
//! assert!(errors.to_string().starts_with("rules[0].request.sett: unknown field; did you mean `set`?"));
//! # Ok::<(), ConfigErrors>(())
//! ```

mod block;
mod buckets;
pub mod config;
mod counts;
#[cfg(test)]
mod fake;
mod filter;
mod grpc;
mod matched;
mod message;
mod query;
mod requests;
mod rules;
mod scope;
mod strings;
mod trace;
mod trailers;

pub use filter::{HeaderTag, HeadersConfig, Stream};
pub use requests::{RequestConfig, RequestTag};
pub use trailers::{TrailersStream, TrailersTag};

#[cfg(feature = "module")]
legation::register!(HeaderTag);
