//! Policies of any kind: what holds of all of them.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

// The host calls of the crate.
use legation_testing as _;

mod intersection;
mod texts;
