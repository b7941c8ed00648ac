//! What needs no host: reading, keys, claims, and what the module itself
//! verifies. The same tests run natively and, as users run the code, on wasm32.

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

#[cfg(not(target_family = "wasm"))]
use legation_testing as _;

#[path = "common/examples.rs"]
mod examples;

mod pure {
    mod algorithms;
    mod claims;
    mod examples;
    mod keys;
    mod strict;
}
