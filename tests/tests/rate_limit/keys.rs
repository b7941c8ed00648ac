//! More keys than there is room for: memory stays as it is, none is taken for another, and a client that
//! goes on and on is limited as before.

use std::thread;

use anyhow::{Context, Result};
use legation_tests::{Config, Stage};
use serde_json::{Value, json};

use super::FILTER;
use super::flood::{answered_by_envoy, flood};

#[test]
fn memory_is_flat_after_100_000_keys() -> Result<()> {
    run(40_000, 60_000, 100_000)
}

/// `cargo xtask soak` runs it, and the ordinary tests leave it out by its module.
mod soak {
    use super::{Result, run};

    #[test]
    #[ignore = "takes minutes"]
    fn memory_is_flat_after_a_million_keys() -> Result<()> {
        run(100_000, 600_000, 1_200_000)
    }
}

/// What one key may send in a day: once, so that two keys taken for one would be seen.
const EACH: u64 = 1;
/// What the client may send that goes on and on.
const HOT: u64 = 5;
/// Bytes by which what Envoy has allocated may differ for reasons of its own: buffers, connections.
const OF_ITS_OWN: u64 = 2 << 20;

fn configuration(room: u64) -> Value {
    let by = |key: &str| json!({"request_headers": {"header_name": key, "descriptor_key": key}});
    let limit = |requests| json!({"max_tokens": requests, "fill_interval": "86400s"});
    json!({
        "rate_limits": [{"actions": [by("x-key")]}, {"actions": [by("x-hot")]}],
        "descriptors": [
            {"entries": [{"key": "x-key"}], "token_bucket": limit(EACH)},
            {"entries": [{"key": "x-hot"}], "token_bucket": limit(HOT)},
        ],
        "max_dynamic_descriptors": room,
    })
}

/// With room for so many, sends the first keys, which fill it, and then all others.
fn run(room: u64, first: u64, all: u64) -> Result<()> {
    let config = Config::with_filter(FILTER, configuration(room))?;
    let stage = Stage::start(&answered_by_envoy(config).concurrency(4))?;
    let empty = allocated(&stage)?;
    distinct(&stage, 0, first)?;
    let before = allocated(&stage)?;
    let hot = thread::scope(|scope| {
        let others = scope.spawn(|| distinct(&stage, first, all));
        let hot = flood(stage.envoy().address()?, (all - first) / 2, |_| {
            "x-hot: a\r\n".into()
        });
        others.join().expect("it ran")?;
        hot
    })?;
    let after = allocated(&stage)?;
    // As the README has it, with `rate_limit` for a prefix.
    let said = room / 8 * (528 + 10);
    println!(
        "{empty} bytes, {before} after {first} keys, {after} after {all}, {said} said; {hot:?}"
    );
    assert_eq!(hot.admitted, HOT, "{hot:?}");
    assert!(after < before + OF_ITS_OWN, "{before} bytes, then {after}");
    let most = empty + said + OF_ITS_OWN;
    assert!(after < most, "{empty} bytes, then {after}, {said} said");
    Ok(())
}

/// Sends a request of each of these keys. Each is the first of its kind and admitted.
fn distinct(stage: &Stage, from: u64, to: u64) -> Result<()> {
    let requests = to - from;
    let flood = flood(stage.envoy().address()?, requests, |number| {
        format!("x-key: {}\r\n", from + number)
    })?;
    assert_eq!(flood.refused, 0, "{flood:?}");
    Ok(())
}

/// What Envoy has allocated, in bytes.
fn allocated(stage: &Stage) -> Result<u64> {
    let memory: Value = serde_json::from_str(&stage.admin().get("/memory")?)?;
    let allocated = memory["allocated"].as_str().context("no number")?;
    Ok(allocated.parse()?)
}
