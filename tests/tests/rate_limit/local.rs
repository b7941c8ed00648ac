//! The module `rate-limit-local`: what it refuses, and how it limits. That it answers as `rate-limit` does
//! is shown by the tables in `agreement`.

use anyhow::Result;
use legation_tests::{Config, Envoy, Stage, StartError};
use serde_json::{Value, json};

use super::LOCAL;
use super::flood::flood;

const BURST: u64 = 20_000;
const LIMIT: u64 = 1_000;

fn refusal(configuration: &Value) -> Result<String> {
    let refused = Envoy::start(&Config::with_filter(LOCAL, configuration.clone())?);
    let Err(StartError::Refused { log, .. }) = refused else {
        panic!("accepted");
    };
    Ok(log)
}

#[test]
fn what_needs_more_than_the_request_is_refused_and_told_which_module_to_load() -> Result<()> {
    let configuration = json!({
        "rate_limit_service": {
            "domain": "shop",
            "grpc_service": { "envoy_grpc": { "cluster_name": "limits" } },
        },
        "rate_limits": [{ "actions": [{ "remote_address": {} }] }],
        "descriptors": [{ "entries": [{ "key": "remote_address" }], "concurrency": { "max": 1 } }],
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
    });
    let log = refusal(&configuration)?;
    for line in [
        "rate_limit_service: this module asks no service",
        "enable_x_ratelimit_headers: this module adds no headers to responses",
        "descriptors[0]: `concurrency` lasts until a request ends, which this module does not see",
    ] {
        let line = format!("{line}; load rate-limit.wasm in its place");
        assert!(log.contains(&line), "no `{line}` in {log}");
    }
    Ok(())
}

#[test]
fn four_workers_admit_the_limit_exactly_and_with_a_lease_no_more() -> Result<()> {
    let bucket = json!({ "max_tokens": LIMIT, "fill_interval": "86400s" });
    let (lease, workers) = (10, 4);
    for (configuration, least) in [
        (json!({ "token_bucket": bucket }), LIMIT),
        (
            json!({ "token_bucket": bucket, "lease": { "size": lease, "max_age": "60s" } }),
            LIMIT - workers * lease,
        ),
    ] {
        let config = Config::with_filter(LOCAL, configuration.clone())?;
        let stage = Stage::start(&config.concurrency(u32::try_from(workers)?).shared())?;
        let flood = flood(stage.envoy().address()?, BURST, |_| String::new())?;
        let admitted = flood.admitted;
        assert!(
            (least..=LIMIT).contains(&admitted),
            "{admitted} of {configuration}"
        );
    }
    Ok(())
}
