//! What needs no host: configuration, matcher and formats. The same tests run
//! natively and, as users run the code, on wasm32.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "tests"
)]

mod pure {
    mod config;
    mod format;
    mod matcher;
    mod paths;
    #[cfg(not(target_family = "wasm"))]
    mod properties;
    mod refusals;
    mod request;
    mod spellings;
    mod values;
}
