//! The module `header-tag-request`.

use anyhow::Result;
use legation_tests::{Config, Envoy, Request, StartError};
use serde_json::json;

use super::shared;

#[test]
fn the_module_for_requests_tags_them_and_lets_responses_pass() -> Result<()> {
    let config = json!({ "rules": [{ "request": { "set": { "X-Envoy-Plugin": "header-tag" } } }] });
    let stage = shared(Config::with_filter("header-tag-request", config)?)?;
    for _ in 0..3 {
        let exchange = stage.exchange(Request::get("/").header("x-envoy-plugin", "forged"))?;
        let arrived = exchange.arrived()?;
        assert_eq!(arrived.headers.all("x-envoy-plugin"), [b"header-tag"]);
        assert_eq!(exchange.response.status, 200);
    }
    Ok(())
}

#[test]
fn the_module_for_requests_refuses_each_rule_with_a_response() -> Result<()> {
    let config = json!({ "rules": [
        { "response": { "set": { "x-a": "1" } } },
        { "request": { "set": { "x-a": "1" } } },
        { "response": { "remove": ["x-b"] } },
    ] });
    let refused = Envoy::start(&Config::with_filter("header-tag-request", config)?);
    let Err(StartError::Refused { log, .. }) = refused else {
        panic!("accepted");
    };
    for rule in [0, 2] {
        let line = format!(
            "rules[{rule}].response: this module changes requests only; load header-tag.wasm in its place"
        );
        assert!(log.contains(&line), "no `{line}` in {log}");
    }
    Ok(())
}
