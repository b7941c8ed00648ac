//! What users copy: the shipped file and the README.

use std::fs;

use anyhow::{Context, Result};
use legation_tests::{Config, Reply, Request, Stage, workspace_root};
use serde_json::json;

use super::{FILTER, assert_unharmed, shared, tags, with};

#[test]
fn the_shipped_file_tags_requests_and_hides_what_runs_behind() -> Result<()> {
    let stage = shared(Config::filter(FILTER)?)?;
    stage
        .upstream()
        .enqueue(Reply::ok().header("x-powered-by", "secret"));

    let exchange = stage.exchange(Request::get("/").header("x-envoy-plugin", "forged"))?;

    let arrived = &exchange.arrived()?.headers;
    assert_eq!(arrived.all("x-envoy-plugin"), [b"header-tag"]);
    assert!(!exchange.response.headers.contains("x-powered-by"));
    assert_unharmed(&stage)
}

#[test]
fn a_struct_and_json_text_are_the_same_configuration() -> Result<()> {
    let configuration = json!({
        "rules": [
            {"when": {"percentage": 100}, "request": {"set": {"x-t-a": ["1", "2"]}}},
            {"when": {"percentage": 0.5, "all": [{"percentage": 0}]},
             "request": {"set": {"x-t-b": "1"}}},
            {"response": {"when_status": [418, "5xx"], "set": {"x-t-c": "1"}, "keep_empty_value": false}}
        ]
    });
    for config in [
        with(&configuration)?,
        Config::filter(FILTER)?.struct_configuration(FILTER, configuration.clone()),
    ] {
        let stage = shared(config)?;
        stage.upstream().enqueue(Reply::status(418));

        let exchange = stage.exchange(Request::get("/"))?;

        assert_eq!(tags(&exchange.arrived()?.headers), ["x-t-a: 1", "x-t-a: 2"]);
        assert_eq!(tags(&exchange.response.headers), ["x-t-c: 1"]);
    }
    Ok(())
}

#[test]
fn the_complete_configuration_runs_as_it_stands() -> Result<()> {
    let readme = fs::read_to_string(workspace_root().join("filters/header-tag/README.md"))?;
    let complete = readme
        .split("```yaml\n")
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.starts_with("admin:"))
        .context("the README has a complete configuration")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("readme.yaml");
    fs::write(&file, complete)?;

    let stage = Stage::start(&Config::load(&file)?)?;
    let exchange = stage.exchange(Request::get("/"))?;

    let arrived = &exchange.arrived()?.headers;
    assert_eq!(arrived.all("x-envoy-plugin"), [b"header-tag"]);
    assert_eq!(exchange.response.headers.all("x-served-by"), [b"edge-0"]);
    assert_unharmed(&stage)
}
