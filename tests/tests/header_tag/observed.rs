//! What operators see.

use anyhow::Result;
use legation_tests::{DEADLINE, Request, Stage};
use serde_json::json;

use super::{start, tags, with};

#[test]
fn requests_rules_and_empty_values_are_counted() -> Result<()> {
    let stage = start(&json!({
        "stat_prefix": "edge.tags",
        "rules": [
            {"name": "api", "when": {"path": {"prefix": "/api/"}}, "request": {"set": {"x-t-a": "%REQ(x-none)%"}}},
            {"name": "users", "when": {"path": {"prefix": "/api/users/"}}, "response": {"set": {"x-t-b": "%RESP(x-none)%"}}}
        ]
    }))?;

    for path in ["/", "/api/", "/api/users/1", "/api/users/2"] {
        stage.send(Request::get(path))?;
    }

    stage.wait_for_count("edge.tags.requests_matched", 3)?;
    stage.wait_for_count("edge.tags.requests_unmatched", 1)?;
    stage.wait_for_count("edge.tags.rule.api.matched", 3)?;
    stage.wait_for_count("edge.tags.rule.users.matched", 2)?;
    stage.wait_for_count("edge.tags.values_empty", 5)
}

#[test]
fn report_counts_and_logs_and_changes_nothing() -> Result<()> {
    let config = with(&json!({
        "mode": "report",
        "strip": ["x-t-a"],
        "rules": [
            {"name": "api", "when": {"path": {"prefix": "/api/"}},
             "request": {"set": {"x-t-a": "1"}}, "response": {"set": {"x-t-b": "1"}}},
            {"request": {"append": {"x-t-a": "2"}}}
        ]
    }))?;
    let stage = Stage::start(&config.log_level("info", ""))?;

    let request = Request::get("/api/").header("x-t-a", "own");
    let exchange = stage.exchange(request.header("x-request-id", "the-id"))?;

    assert_eq!(tags(&exchange.arrived()?.headers), ["x-t-a: own"]);
    assert!(tags(&exchange.response.headers).is_empty());
    stage.wait_for_count("header_tag.rule.api.matched", 1)?;
    stage.wait_for_count("header_tag.requests_matched", 1)?;
    let line = stage.envoy().wait_for_log("nothing is changed", DEADLINE)?;
    assert_eq!(line.level, "info");
    assert!(line.message.contains(r#""rules":"api,1""#), "{line:?}");
    assert!(line.message.contains(r#""request_id":"#), "{line:?}");
    Ok(())
}

#[test]
fn each_decision_is_a_debug_line_without_values() -> Result<()> {
    let config = with(&json!({"rules": [
        {"name": "session", "when": {"path": "/a"}, "request": {"set": {"x-t-a": "%COOKIE(session)%"}}}
    ]}))?;
    let stage = Stage::start(&config.log_level("warning", "wasm:debug"))?;

    stage.send(Request::get("/a").header("cookie", "session=secret"))?;
    stage.send(Request::get("/b"))?;

    let applied = stage.envoy().wait_for_log("rules applied", DEADLINE)?;
    assert_eq!(applied.level, "debug");
    assert!(
        applied.message.contains(r#""rules":"session""#),
        "{applied:?}"
    );
    stage.envoy().wait_for_log("no rule matches", DEADLINE)?;
    assert!(
        stage
            .envoy()
            .module_log()
            .iter()
            .all(|line| !line.contains("secret"))
    );
    Ok(())
}
