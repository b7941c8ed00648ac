//! Signatures that the host verifies, and those that the module verifies where
//! the host cannot.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "common/examples.rs"]
mod examples;
#[path = "common/signing.rs"]
mod signing;
#[path = "common/working.rs"]
mod working;

mod host {
    mod mutations;
    mod provider;
    mod signed;
    mod verified;
    mod wycheproof;
}
