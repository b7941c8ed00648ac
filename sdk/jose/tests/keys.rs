//! Keys fetched from elsewhere, on the mock host.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::unchecked_time_subtraction,
    clippy::arithmetic_side_effects,
    reason = "what a test needs has to be there, and is small"
)]

#[path = "keys/support.rs"]
mod support;

#[path = "keys/configuration.rs"]
mod configuration;
#[path = "keys/discovery.rs"]
mod discovery;
#[path = "keys/refreshing.rs"]
mod refreshing;
#[path = "keys/sharing.rs"]
mod sharing;
#[path = "keys/unknown.rs"]
mod unknown;
