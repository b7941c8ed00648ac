//! The same requests, one after the other, through Envoy's own `local_ratelimit` and through this filter,
//! in one Envoy.
//!
//! The tables beside this file say what Envoy's filter does: whether a request passes, and which limit the
//! client is told of, as limit/remaining/reset. Ours must do the same: the same status, the same headers
//! and body, the same request at the upstream. Where it does otherwise (`envoy`, `here`), the table says why,
//! and the list of those differences is the one of the filter's README. With another Envoy than the pinned
//! one, only ours is looked at.
//!
//! Buckets are so slow that it does not matter how long a test takes, and nothing waits.

mod case;
mod outcome;
mod reasons;
mod refusals;
mod table;

use anyhow::{Context, Result};
use legation_tests::{read_yaml, workspace_root};
use serde::de::DeserializeOwned;

/// The tables of requests.
const TABLES: &[&str] = &["buckets", "order", "wildcards", "actions", "costs"];

fn read<T: DeserializeOwned>(table: &str) -> Result<Vec<T>> {
    let path = format!("tests/tests/rate_limit/agreement/{table}.yaml");
    let value = read_yaml(&workspace_root().join(&path))?;
    serde_json::from_value(value).context(path)
}

#[test]
fn one_bucket() -> Result<()> {
    case::run("buckets")
}

#[test]
fn several_limits() -> Result<()> {
    case::run("order")
}

#[test]
fn a_bucket_for_each_value() -> Result<()> {
    case::run("wildcards")
}

#[test]
fn what_a_request_is_counted_under() -> Result<()> {
    case::run("actions")
}

#[test]
fn how_much_a_request_counts() -> Result<()> {
    case::run("costs")
}

#[test]
fn the_module_for_limits_of_this_envoy_answers_alike() -> Result<()> {
    // Of `actions` no request is refused as it is written.
    let most = |table: &str| (table == "actions").then_some(2);
    let tables: Vec<_> = TABLES.iter().map(|table| (*table, most(table))).collect();
    let counts = case::run_local(&tables)?;
    for (table, (passed, denied)) in TABLES.iter().zip(counts) {
        assert!(passed >= 10 && denied >= 5, "{table}: {passed}, {denied}");
    }
    Ok(())
}
