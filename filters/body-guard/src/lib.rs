//! The filter `body-guard`. What users configure is in the README; this is where its parts are:
//!
//! - [`BodyGuard`] is the filter;
//! - [`config`]: what users write;
//! - [`json`]: a document on its way, read strictly and masked. Names no host;
//! - [`redaction`]: what is found in texts, and what takes its place. Names no host either;
//! - `ext_authz`: who else judges requests, and how they are asked;
//! - `guard`: what the body of a message must be, whatever it is compressed with.

mod coding;
pub mod config;
mod counts;
mod ext_authz;
mod filter;
mod guard;
pub mod json;
mod media;
pub mod redaction;
mod refusal;
mod rules;
mod text;

pub use filter::{BodyGuard, Stream};
pub use media::MediaRange;

#[cfg(feature = "module")]
legation::register!(BodyGuard);
