//! A configuration that changes while Envoy runs.

use anyhow::{Result, ensure};
use legation_tests::{Config, DEADLINE, Request, Stage, WatchedFilter, wait_for};
use serde_json::{Value, json};

use super::FILTER;

fn by(header: &str) -> Value {
    json!({"actions": [{"request_headers": {"header_name": header, "descriptor_key": header}}]})
}

/// So many requests a day for each value of these headers, and three times as many for all
/// together. `status` tells the configurations apart.
fn limits(headers: &[&str], tokens: u32, status: u16) -> Value {
    let a_day = |tokens: u32| json!({"max_tokens": tokens, "fill_interval": "86400s"});
    let of = |header: &&str| json!({"entries": [{"key": header}], "token_bucket": a_day(tokens)});
    json!({
        "rate_limits": headers.iter().map(|header| by(header)).collect::<Vec<_>>(),
        "descriptors": headers.iter().map(of).collect::<Vec<_>>(),
        "token_bucket": a_day(3 * tokens),
        "status": {"code": status},
    })
}

fn status(stage: &Stage, header: &str) -> Result<u16> {
    let request = Request::get("/").header(header, "ann");
    Ok(stage.send(request)?.status)
}

/// The statuses of so many requests.
fn send(stage: &Stage, header: &str, count: usize) -> Result<Vec<u16>> {
    (0..count).map(|_| status(stage, header)).collect()
}

#[test]
fn a_limit_goes_on_counting_where_others_are_put_in_front_of_it() -> Result<()> {
    let watched = WatchedFilter::new(FILTER, &limits(&["x-user"], 3, 429))?;
    let config = watched.insert_into(Config::plain()?);
    let stage = Stage::start(&config.concurrency(1))?;
    assert_eq!(send(&stage, "x-user", 4)?, [200, 200, 200, 429]);

    watched.write(&limits(&["x-plan", "x-user"], 3, 430))?;
    wait_for("the new configuration", DEADLINE, || {
        let refused = status(&stage, "x-user")?;
        ensure!(refused != 200, "the limit has begun anew");
        Ok((refused == 430).then_some(()))
    })?;
    assert_eq!(send(&stage, "x-plan", 4)?, [200, 200, 200, 430]);
    // The limit at the top, of 9, has let 6 pass so far.
    assert_eq!(send(&stage, "x-other", 4)?, [200, 200, 200, 430]);

    // Other numbers are another limit, which begins anew.
    watched.write(&limits(&["x-plan", "x-user"], 2, 431))?;
    wait_for("the new numbers", DEADLINE, || {
        Ok((status(&stage, "x-user")? == 200).then_some(()))
    })?;
    assert_eq!(send(&stage, "x-user", 2)?, [200, 431]);
    Ok(())
}
