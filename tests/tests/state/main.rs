//! Foreign functions and filter state in the real Envoy, shown by the module `state`.

mod filter_state;
mod foreign;
mod keys;

use anyhow::Result;
use legation_tests::{Config, Exchange};
use serde_json::Value;

fn config(configuration: Value) -> Result<Config> {
    Config::with_filter("state", configuration)
}

/// What the filter noted upstream of what it did: `get-user`.
fn noted(exchange: &Exchange, what: &str) -> Result<String> {
    let headers = &exchange.arrived()?.headers;
    Ok(headers.text(&format!("x-{what}")).unwrap_or_default())
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digits = bytes.as_ref().iter();
    digits.map(|byte| format!("{byte:02x}")).collect()
}
