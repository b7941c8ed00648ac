//! Limits how many requests pass.
//!
//! - [`config`]: what users write, and every mistake they can make;
//! - `descriptor`: what a request is counted under.

pub mod config;
#[cfg_attr(not(test), expect(dead_code, reason = "the filter is to come"))]
mod descriptor;
