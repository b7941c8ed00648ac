//! Tokens for tests: keys of every algorithm, a minter, and an issuer that can be made to fail.
//!
//! ```no_run
//! use legation_tests::jwt::{Claims, Issuer, Key, Mode};
//! use legation_tests::{Config, Request, Stage};
//! use serde_json::json;
//!
//! # fn main() -> anyhow::Result<()> {
//! // A key server with one key, under a name of its own in Envoy.
//! let key = Key::p256().with_id("first");
//! let issuer = Issuer::start("https://issuer.example", &[&key])?;
//! let config = Config::with_filter("jwt-auth", json!({
//!     "providers": {"p": {
//!         "issuer": issuer.name(),
//!         "remote_jwks": {"http_uri": issuer.jwks_uri("issuer")},
//!     }},
//!     "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
//! }))?;
//! let stage = Stage::start(&config.add_endpoint("issuer", issuer.address()))?;
//!
//! let token = Claims::of(issuer.name()).audience("api").signed_by(&key);
//! let request = Request::get("/").header("authorization", format!("Bearer {token}"));
//! assert_eq!(stage.send(request)?.status, 200);
//!
//! issuer.set(Mode::Hang);
//! assert_eq!(issuer.key_fetches(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! What signs here is `ring` (and `p521` for ES512), which no filter uses: a mistake of the filters'
//! own crypto does not meet itself.

mod claims;
mod hostile;
mod issuer;
mod key;

pub use claims::{Claims, compact, now};
pub use hostile::{Hostile, hostile};
pub use issuer::{Endpoint, Issuer, Mode};
pub use key::{Key, jwks};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

/// base64url without padding, as tokens use it.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of [`base64url`]; panics where it is none.
pub fn from_base64url(text: &str) -> Vec<u8> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
    bytes.unwrap_or_else(|error| panic!("{text:?} is not base64url: {error}"))
}

/// Ordinary base64, as PEM and `inline_bytes` use it.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}
