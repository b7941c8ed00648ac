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

fn start(configuration: &Value) -> Result<Stage> {
    Ok(Stage::start(&Config::with_filter(
        FILTER,
        configuration.clone(),
    )?)?)
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
    let admin = stage.admin();
    assert_eq!(admin.stat("wasm.csp.vm_reload")?.unwrap_or(0), 0);
    assert_eq!(admin.stat("wasmcustom.csp.errors")?.unwrap_or(0), 0);
    let log = stage.envoy().log_entries();
    let failures: Vec<_> = log.iter().filter(|entry| entry.is_error()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    Ok(())
}
