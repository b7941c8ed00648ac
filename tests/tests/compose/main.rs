//! The stack of `envoy-config/compose/`, without containers: its file by docker-compose, and what runs in it as plain
//! processes, by its own commands and configuration. Of Grafana, which is on no registry that the tests get things from, the
//! files are read.

mod file;
mod service;
mod stack;

use std::path::PathBuf;

use anyhow::{Context, Result};
use legation_tests::trials::Trials;
use legation_tests::{envoy_config_dir, read_yaml};
use legation_tests::{npm, prometheus};
use serde_json::Value;

fn main() {
    Trials::new()
        .with(file::TESTS)
        .with_needing(&npm::NEED, stack::WITH_NODE)
        .with_needing(&prometheus::NEED, stack::WITH_PROMETHEUS)
        .with_needing(&stack::REDIS_TOOLS, stack::WITH_REDIS)
        .with_needing(&file::COMPOSE, file::BY_COMPOSE)
        .run()
}

fn folder() -> PathBuf {
    envoy_config_dir().join("compose")
}

fn services() -> Result<serde_json::Map<String, Value>> {
    let file = read_yaml(&folder().join("compose.yaml"))?;
    Ok(file["services"].as_object().context("services")?.clone())
}

/// The parts of a service's command, or of its healthcheck.
fn words(list: &Value) -> Vec<String> {
    let words = list.as_array().into_iter().flatten();
    words
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect()
}
