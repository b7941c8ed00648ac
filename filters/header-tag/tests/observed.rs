//! What operators see: counters and log lines.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use header_tag::HeaderTag;
use legation_testing::{Host, Request, Response};
use serde_json::json;

const DEBUG: u32 = 1;
const INFO: u32 = 2;

#[test]
fn requests_rules_and_empty_values_are_counted_under_the_prefix() {
    let host = Host::<HeaderTag>::configure(json!({
        "stat_prefix": "edge.tags",
        "rules": [
            {"name": "api", "when": {"path": {"prefix": "/api/"}}, "request": {"set": {"x-a": "%REQ(x-none)%"}}},
            {"name": "users", "when": {"path": {"prefix": "/api/users/"}}, "response": {"append": {"x-b": ["%RESP(x-none)%", "1"]}}},
            {"when": {"path": "/health"}, "disabled": true}
        ]
    }))
    .unwrap();
    for path in ["/", "/api/", "/api/users/1", "/api/users/2", "/health"] {
        host.exchange(Request::get(path)).upstream(Response::ok());
    }

    host.tick();

    for (counter, value) in [
        ("requests_matched", 4),
        ("requests_unmatched", 1),
        ("rule.api.matched", 3),
        ("rule.users.matched", 2),
        ("values_empty", 5),
    ] {
        assert_eq!(
            host.counter(&format!("edge.tags.{counter}")),
            value,
            "{counter}"
        );
    }
}

#[test]
fn each_decision_is_a_debug_line_with_the_rules_and_the_request() {
    let host = Host::<HeaderTag>::new();
    host.set_log_level(DEBUG);
    host.load(json!({"rules": [
        {"request": {"set": {"x-a": "%COOKIE(session)%"}}},
        {"name": "api", "when": {"path": {"prefix": "/api/"}}, "response": {"set": {"x-b": "1"}}}
    ]}))
    .unwrap();

    let request = Request::get("/api/")
        .header("cookie", "session=secret")
        .header("x-request-id", "the-id");
    let exchange = host.exchange(request).run();

    let [line] = exchange.log.as_slice() else {
        panic!("{:?}", exchange.log);
    };
    assert_eq!(line.level, DEBUG);
    assert_eq!(line.message(), "rules applied");
    assert_eq!(line.field("rules").as_deref(), Some("0,api"));
    assert_eq!(line.field("request_id").as_deref(), Some("the-id"));
    assert!(!line.text.contains("secret"), "{}", line.text);
}

#[test]
fn report_logs_at_info_what_it_would_have_done_and_counts_it() {
    let host = Host::<HeaderTag>::configure(json!({"mode": "report", "strip": "x-a", "rules": [
        {"name": "api", "when": {"path": {"prefix": "/api/"}}, "request": {"set": {"x-a": "%REQ(x-none)%"}},
         "response": {"remove": "server"}}
    ]}))
    .unwrap();

    let request = Request::get("/api/").header("x-a", "own");
    let matched = host
        .exchange(request)
        .upstream(Response::ok().header("server", "s"));
    let unmatched = host.exchange(Request::get("/")).run();

    assert_eq!(matched.upstream().values("x-a"), ["own"]);
    assert_eq!(matched.response().values("server"), ["s"]);
    assert_eq!(matched.log.len(), 1);
    assert_eq!(matched.log[0].level, INFO);
    assert_eq!(matched.log[0].field("rules").as_deref(), Some("api"));
    assert!(unmatched.log.is_empty());
    host.tick();
    assert_eq!(host.counter("header_tag.rule.api.matched"), 1);
    assert_eq!(host.counter("header_tag.values_empty"), 0);
}
