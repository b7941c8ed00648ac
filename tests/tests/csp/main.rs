//! csp, as Envoy runs it, and as a browser sees what comes of it.

mod collector;
mod headers;
mod learning;
mod mistakes;
mod nonces;
mod pages;

use anyhow::Result;
use legation_tests::{Config, Headers, Reply, Stage};
use serde_json::Value;

const FILTER: &str = "csp";
/// The module that writes headers only.
const HEADER_FILTER: &str = "csp-header";
const POLICY: &str = "content-security-policy";
const REPORT_ONLY: &str = "content-security-policy-report-only";

/// In an Envoy that tests share.
fn start(configuration: &Value) -> Result<Stage> {
    let config = Config::with_filter(FILTER, configuration.clone())?;
    Ok(Stage::start(&config.shared())?)
}

/// In an Envoy of its own: for what is counted or measured.
fn start_alone(configuration: &Value) -> Result<Stage> {
    let config = Config::with_filter(FILTER, configuration.clone())?;
    Ok(Stage::start(&config)?)
}

/// A page, as an upstream sends it.
fn page(html: impl AsRef<[u8]>) -> Reply {
    Reply::ok()
        .header("content-type", "text/html; charset=utf-8")
        .body(html)
}

/// The nonce in a response's policy.
fn nonce(headers: &Headers) -> Option<String> {
    let policy = headers.text(POLICY)?;
    let (_, rest) = policy.split_once("'nonce-")?;
    Some(rest.split_once('\'')?.0.to_owned())
}

/// No request was refused for a failure of the filter, and none took its VM along.
fn assert_unharmed(stage: &Stage) -> Result<()> {
    let stats = stage.admin().stats()?;
    let of_trouble = |name: &str| {
        name == "wasm.csp.vm_reload"
            || (name.starts_with("wasmcustom.") && name.ends_with(".errors"))
    };
    let trouble = stats
        .iter()
        .find(|(name, count)| of_trouble(name) && **count > 0);
    assert_eq!(trouble, None);
    let log = stage.envoy().log_entries();
    let failures: Vec<_> = log.iter().filter(|entry| entry.is_error()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    Ok(())
}
