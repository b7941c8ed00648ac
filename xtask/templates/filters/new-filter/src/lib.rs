//! The filter `new-filter`. What users configure is in the README; this is where
//! its parts are:
//!
//! - [`config`]: what users write;
//! - `filter`: when things happen.
//!
//! What is decided goes between the two, into modules that take values and return
//! decisions: they are tested without a host.

pub mod config;
mod filter;

pub use filter::NewFilter;

#[cfg(feature = "module")]
legation::register!(NewFilter);
