//! header-tag, as Envoy runs it.

mod as_shipped;
mod canary;
mod hostile;
mod mistakes;
mod observed;
mod requests;
mod requests_only;
mod responses;
mod trailers;
mod updated;

use std::path::PathBuf;

use anyhow::Result;
use legation_tests::{Config, Headers, Stage, module_dir};
use serde_json::Value;

const FILTER: &str = "header-tag";

/// In an Envoy that tests share.
fn start(configuration: &Value) -> Result<Stage> {
    shared(with(configuration)?)
}

fn shared(config: Config) -> Result<Stage> {
    Ok(Stage::start(&config.shared())?)
}

fn with(configuration: &Value) -> Result<Config> {
    Config::with_filter(FILTER, configuration.clone())
}

/// The module as it is shipped, and as `cargo build` leaves it.
fn modules() -> Result<[PathBuf; 2]> {
    let folder = module_dir()?;
    Ok([
        folder.join("header-tag.wasm"),
        folder.join("plain/header-tag.wasm"),
    ])
}

/// No request was refused for a failure of the filter, and none took its VM along.
fn assert_unharmed(stage: &Stage) -> Result<()> {
    let admin = stage.admin();
    assert_eq!(admin.stat("wasm.header-tag.vm_reload")?, Some(0));
    assert_no_errors(stage)
}

fn assert_no_errors(stage: &Stage) -> Result<()> {
    let errors = stage.admin().stat("wasmcustom.header_tag.errors")?;
    assert_eq!(errors, Some(0));
    let log = stage.envoy().log_entries();
    let failures: Vec<_> = log.iter().filter(|entry| entry.is_error()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    Ok(())
}

/// `name: value` of the headers whose name begins with `x-t-`.
fn tags(headers: &Headers) -> Vec<String> {
    let tags = headers.iter().filter(|(name, _)| name.starts_with("x-t-"));
    let line = |(name, value): (&str, &[u8])| format!("{name}: {}", value.escape_ascii());
    tags.map(line).collect()
}
