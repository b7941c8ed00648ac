//! What a request costs: host calls and allocations, counted.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use body_guard::BodyGuard;
use legation_testing::{Callback, Exchange, Host, Request, Response};
use serde_json::{Value, json};

legation_testing::count_allocations!();

const MAP: &str = "proxy_get_header_map_pairs";
const READ: &str = "proxy_get_buffer_bytes";
const WRITE: &str = "proxy_set_buffer_bytes";
const REMOVE: &str = "proxy_remove_header_map_value";
const PROPERTY: &str = "proxy_get_property";
const REPLACE: &str = "proxy_replace_header_map_value";

const BODY: &str = r#"{"card":"4111111111111111"}"#;

/// The third exchange: the first fetch the log level, and memory that is kept.
fn third(rule: &Value) -> Exchange {
    let host = Host::<BodyGuard>::configure(json!({ "rules": [rule] })).unwrap();
    host.set_allow_on_headers_stop_iteration(true);
    let exchange = || {
        let headers = (0..30).map(|number| (format!("x-{number}"), format!("value {number}")));
        let request = Request::post("/")
            .headers(headers)
            .header("content-type", "application/json")
            .header("content-length", BODY.len().to_string());
        let response = Response::ok()
            .header("content-type", "application/json")
            .body(BODY);
        host.exchange(request.body(BODY)).upstream(response)
    };
    exchange();
    exchange();
    exchange()
}

#[test]
fn a_request_that_no_rule_is_for_costs_its_conditions() {
    let exchange = third(&json!({"match": {"path": "/other"}, "request": {"json": {}}}));
    assert_eq!(exchange.calls().names(), [MAP]);
    // What tells of a body that may be awaited.
    let allocations = exchange.allocations_in(Callback::RequestHeaders);
    assert_eq!(allocations.count, 1, "{allocations:?}");
}

#[test]
fn a_body_that_is_measured_is_not_read() {
    let exchange = third(&json!({"request": {"max_bytes": 100}}));
    assert_eq!(exchange.calls().names(), [MAP]);
    let exchange = third(&json!({"response": {"max_bytes": 100}}));
    assert_eq!(exchange.calls().names(), [MAP, PROPERTY, MAP]);
}

#[test]
fn a_body_that_is_read_is_copied_once() {
    let exchange = third(&json!({"request": {"json": {}}}));
    assert_eq!(exchange.calls().names(), [MAP, READ]);
    let exchange = third(&json!({"response": {"json": {}}}));
    assert_eq!(exchange.calls().names(), [MAP, PROPERTY, MAP, READ]);
}

#[test]
fn what_is_masked_is_written_back_with_its_length() {
    let redact = json!({"redact": [{"preset": "credit_card"}]});
    let exchange = third(&json!({ "request": redact }));
    assert_eq!(exchange.calls().names(), [MAP, READ, REPLACE, WRITE]);
    let exchange = third(&json!({ "response": redact }));
    let of = |callback| exchange.calls_in(callback).names();
    assert_eq!(of(Callback::RequestHeaders), [MAP]);
    // What said how long it was.
    assert_eq!(of(Callback::ResponseHeaders), [PROPERTY, MAP, REMOVE]);
    assert_eq!(of(Callback::ResponseBody), [READ, WRITE]);
}
