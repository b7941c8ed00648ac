//! Content-Security-Policy, written, checked and sent.
//!
//! - [`Csp`] is the filter, [`CspHeader`] the same without bodies;
//! - [`config`]: what users write;
//! - [`policy`]: what a policy is, how a browser reads it, and what is wrong with it. Names no host.
//! - [`html`]: a page on its way: who gets the nonce, and what the page loads. Names no host either.

mod asking;
mod collector;
pub mod config;
mod core;
mod counts;
mod filter;
mod header;
mod header_names;
pub mod html;
mod learning;
mod nonce;
mod plans;
pub mod policy;
mod report;
mod reporting;
mod rules;

pub use filter::{Csp, Stream};
pub use header::{CspHeader, HeaderConfig};
pub use plans::PageConfig;

#[cfg(feature = "module")]
legation::register!(Csp);
