//! Authenticates requests by JSON Web Tokens and by opaque ones. What users
//! configure is in the README; this is where its parts are:
//!
//! - [`config`]: what users write, and every mistake they can make;
//! - `extract`: where tokens are in a request, and how they are taken out of it;
//! - `rules` and `requirement`: what is required of a request, and whether it is
//!   met. Neither knows of a host;
//! - `provider`: whether an issuer's token is one, and `cache`: those that were;
//! - `outputs`: what upstreams get, and `trusted`: what they get from nobody else;
//! - `refusal`: why a request is refused, in all its words; `counts`: the counters;
//! - `filter`: when each of these happens.
//!
//! ```
//! # use legation_testing as _;
//! use legation::HttpFilter;
//! use legation::config::{self, ConfigErrors};
//! use jwt_auth::JwtAuth;
//!
//! type Config = <JwtAuth as HttpFilter>::Config;
//!
//! let errors = config::parse::<Config>(
//!     br#"{
//!         "providers": {"login": {"issuer": "https://login.example", "local_jwks": {"filename": "keys.json"}}},
//!         "rules": [{"requires": {"provider_name": "logon"}}]
//!     }"#,
//! )
//! .unwrap_err();
//! assert!(errors.to_string().starts_with(
//!     "providers.login.local_jwks.filename: a module cannot read files; put the keys into"
//! ));
//! # Ok::<(), ConfigErrors>(())
//! ```

mod accepted;
mod cache;
pub mod challenge;
pub mod config;
mod counts;
mod demands;
mod extract;
mod filter;
mod look;
mod memo;
mod outputs;
mod provider;
mod refusal;
mod requirement;
mod rules;
mod trusted;

pub use filter::{JwtAuth, Stream};

#[cfg(feature = "module")]
legation::register!(JwtAuth);

// Unit tests link the mock host's symbols.
#[cfg(all(test, not(target_family = "wasm")))]
use legation_testing as _;
