//! Limits requests: by limits that all workers of an Envoy share.
//!
//! The configuration is described in the README.

mod additions;
pub mod config;
mod counts;
mod descriptor;
mod filter;
mod headers;
mod judge;
mod ledger;
mod limit;
mod limiter;
mod local;
mod now;
mod policies;
mod refusal;
mod service;
mod slots;

pub use filter::{RateLimit, Stream};
pub use local::{LocalConfig, LocalRateLimit};

#[cfg(feature = "module")]
legation::register!(RateLimit);

// Unit tests link the mock host's symbols.
#[cfg(all(test, not(target_family = "wasm")))]
use legation_testing as _;
