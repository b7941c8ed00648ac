//! Content-Security-Policy, written, checked and sent.
//!
//! - [`policy`]: what a policy is, how a browser reads it, and what is wrong with it. Names no host.

pub mod policy;
