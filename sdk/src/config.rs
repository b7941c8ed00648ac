//! Typed configuration that reports every mistake at once.
//!
//! A filter describes its configuration as structs that derive
//! [`deserr::Deserr`] with [`ConfigErrors`] as their error. [`parse`] reads the
//! JSON text that Envoy hands over (a `google.protobuf.Struct` arrives as JSON
//! too) and gives the struct, or all errors: each with its field's path, what is
//! wrong, what would be right, and the line where the text has lines.
//!
//! ```
//! use deserr::Deserr;
//! use legation::config::{self, ConfigErrors, Duration, OneOrMany};
//!
//! #[derive(Debug, Deserr)]
//! #[deserr(error = ConfigErrors, deny_unknown_fields)]
//! struct Config {
//!     timeout: Duration,
//!     #[deserr(default)]
//!     scopes: OneOrMany<String>,
//! }
//!
//! let config: Config = config::parse(br#"{"timeout": "1.5s", "scopes": "read"}"#)?;
//! assert_eq!(config.timeout.get(), std::time::Duration::from_millis(1500));
//!
//! let errors = config::parse::<Config>(br#"{"timeout": 3, "scope": "read"}"#).unwrap_err();
//! assert_eq!(
//!     errors.to_string(),
//!     "timeout: expected a duration with its unit, such as \"1.5s\" or \"250ms\", got the number 3\n\
//!      scope: unknown field; did you mean `scopes`? (known: timeout, scopes)"
//! );
//! # Ok::<(), ConfigErrors>(())
//! ```
//!
//! Three rules keep a configuration honest:
//!
//! - Write `deny_unknown_fields` on every struct: without it a misspelt field is
//!   ignored.
//! - An optional field that relaxes or restricts something is `#[deserr(default)]`
//!   with a type of its own, or [`Given`], rather than `Option`: an `Option` takes
//!   `null`, which is what YAML makes of a field left empty, for absent.
//! - Maps are [`OrderedMap`]: `deserr` reads the maps of the standard library too,
//!   but drops the errors inside them.

mod collection;
mod common;
mod elsewhere;
mod error;
mod json;
mod locate;
pub(crate) mod object;
mod one_of;
mod scalar;
#[cfg(not(target_family = "wasm"))]
pub mod schema;
mod secret;
mod text;
mod value;
mod wire;

use std::rc::Rc;

#[doc(hidden)]
pub use deserr;
use deserr::Deserr;

use crate::format::Environment;

pub use crate::__legation_elsewhere as elsewhere;
pub use crate::__legation_one_of as one_of;
pub use collection::{Given, Key, NonEmpty, OneOrMany, OrderedMap};
pub use common::{Mode, StatPrefix};
pub(crate) use error::MISSING;
pub use error::{ConfigError, ConfigErrors, Problem};
pub use legation_macros::Schema;
pub use one_of::exactly_one;
#[doc(hidden)]
pub use one_of::{only_entry, unknown_choice};
pub use scalar::{
    Bounded, BoundedDuration, Duration, HeaderName, HeaderValue, NoConfig, Percent, Secret, Text,
};
pub use secret::SecretSource;
pub(crate) use text::{decimal, is_token, quoted};
pub use text::{string, suggest};

/// Reads a configuration from JSON text. Empty text counts as `{}`.
///
/// The bytes of a `google.protobuf.Struct`, which is what Envoy makes of a
/// `configuration` of that type, are read as well.
pub fn parse<T: Deserr<ConfigErrors>>(text: &[u8]) -> Result<T, ConfigErrors> {
    let document = value::read(text)?;
    let read = deserr::deserialize::<T, _, ConfigErrors>(document.value);
    let (errors, config) = match read {
        Ok(config) => (document.duplicates, Some(config)),
        Err(errors) => (errors.merge(document.duplicates).without_echoes(), None),
    };
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ if document.is_text => Err(locate::settle(errors, text)),
        _ => Err(errors),
    }
}

/// As [`parse`], with `%ENVIRONMENT(…)%` read from this environment instead of
/// the process's own.
pub fn parse_in<T: Deserr<ConfigErrors>>(
    text: &[u8],
    environment: Rc<dyn Environment>,
) -> Result<T, ConfigErrors> {
    crate::format::within(environment, || parse(text))
}
