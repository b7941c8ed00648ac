//! JSON Web Tokens inside Envoy.
//!
//! A token that comes with a request is read by [`Token::parse`], its signature
//! checked by a [`KeySet`], and what it claims by a [`Validation`]:
//!
//! ```
//! use std::time::SystemTime;
//!
//! use legation_jose::{Algorithms, KeySet, Limits, Token, Validation};
//!
//! # fn example(jwks: &[u8], bearer: &[u8], now: SystemTime) -> Result<(), Box<dyn std::error::Error>> {
//! // When the filter is configured:
//! let keys = KeySet::from_jwks(jwks)?;
//! let validation = Validation {
//!     issuer: Some("https://issuer.example".into()),
//!     audiences: vec!["orders".into()],
//!     ..Validation::default()
//! };
//!
//! // For a request:
//! let token = Token::parse(bearer, &Limits::default())?;
//! keys.verify(&token, Algorithms::ASYMMETRIC)?;
//! validation.check(token.claims(), now)?;
//! let subject = token.claims().subject();
//! # Ok(())
//! # }
//! ```
//!
//! Everything that may be refused is refused: the reader takes exactly what the
//! RFCs have a token be, the algorithm must be allowed and fit the key, and a
//! signature that cannot be checked is a bad one. No error holds a piece of a
//! token or a key.
//!
//! What configurations ask of claims is in [`claims_rules`], and how upstreams learn of
//! them, and from nobody else, in [`claim_to_header`] and [`trusted`].
//!
//! Signatures are checked by Envoy itself where it can, and else in the module;
//! [`crypto`] says which.

// Its tests call the host, which natively is this one.
#[cfg(all(test, not(target_family = "wasm")))]
use legation_testing as _;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod algorithm;
mod base64url;
pub mod claim_path;
pub mod claim_to_header;
mod claims;
pub mod claims_rules;
pub mod confirmation;
pub mod crypto;
mod der;
pub mod dpop;
pub mod form;
pub mod introspection;
pub mod json;
mod key;
mod key_set;
pub mod keys;
mod pem;
pub mod signing;
mod thumbprint;
mod token;
pub mod trusted;
mod validation;

pub use legation::callout::url;

pub use algorithm::{Algorithm, Algorithms, UnknownAlgorithm};
pub use claims::Claims;
pub use key::KeyError;
pub use key_set::{KeySet, KeySetError, KeyUse, MAX_KEYS, MAX_TRIALS, SkippedKey, VerifyError};
pub use thumbprint::thumbprint;
pub use token::{Limits, Part, Token, TokenError};
pub use validation::{ClaimError, Validation};

// Unit tests of what calls the host link the mock host's symbols.
#[cfg(all(test, not(target_family = "wasm")))]
use legation_testing as _;
