//! A configuration that changes while Envoy runs.

use anyhow::Result;
use legation_tests::{Config, DEADLINE, Request, Stage, WatchedFilter, wait_for};
use serde_json::json;

use super::{FILTER, tags};

#[test]
fn a_new_configuration_replaces_the_old_one_while_envoy_runs_and_a_wrong_one_does_not() -> Result<()>
{
    let tag = |tag: &str| json!({"rules": [{"request": {"set": {"x-t-a": tag}}}]});
    let watched = WatchedFilter::new(FILTER, &tag("1"))?;
    let config = watched.insert_into(Config::plain()?);
    let stage = Stage::start(&config.concurrency(1))?;
    let sent = std::cell::Cell::new(0);
    let tagged = || -> Result<Vec<String>> {
        sent.set(sent.get() + 1);
        Ok(tags(&stage.exchange(Request::get("/"))?.arrived()?.headers))
    };
    assert_eq!(tagged()?, ["x-t-a: 1"]);

    watched.write(&tag("2"))?;
    wait_for("the new tag", DEADLINE, || {
        Ok((tagged()? == ["x-t-a: 2"]).then_some(()))
    })?;

    watched.write(&json!({"rules": []}))?;
    stage
        .envoy()
        .wait_for_log("rules: an empty list", DEADLINE)?;
    assert_eq!(tagged()?, ["x-t-a: 2"]);

    // What the old configuration had counted is not lost.
    let counter = "wasmcustom.header_tag.requests_matched";
    let counted = stage
        .admin()
        .wait_for_stat(counter, DEADLINE, |now| now >= sent.get())?;
    assert_eq!(counted, sent.get());
    Ok(())
}
