//! Content-Security-Policy, written, checked and sent.
//!
//! - [`policy`]: what a policy is, how a browser reads it, and what is wrong with it. Names no host.
//! - [`html`]: a page on its way: who gets the nonce, and what the page loads. Names no host either.

pub mod html;
pub mod policy;
