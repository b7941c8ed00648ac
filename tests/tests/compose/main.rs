//! The stack of `envoy-config/compose/`, without containers: its file by docker-compose, and what runs in it as plain
//! processes, by its own configuration.

mod file;
mod stack;

use std::path::PathBuf;

use anyhow::{Context, Result};
use legation_tests::{envoy_config_dir, read_yaml};
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;

type Test = (&'static str, fn() -> Result<()>);

fn main() {
    let arguments = Arguments::from_args();
    let missing = file::compose_is_missing();
    if let Some(why) = missing.filter(|_| !arguments.list) {
        eprintln!("skipped: what docker-compose says of the file, as {why}");
    }
    let trial = |(name, test): Test| {
        Trial::test(name, move || {
            test().map_err(|error| format!("{error:#}").into())
        })
    };
    let mut trials: Vec<_> = [file::TESTS, stack::TESTS]
        .concat()
        .into_iter()
        .map(trial)
        .collect();
    let by_compose = trial(file::BY_COMPOSE).with_ignored_flag(missing.is_some());
    trials.push(by_compose.with_kind(missing.map_or("", |_| "needs docker-compose")));
    libtest_mimic::run(&arguments, trials).exit();
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
