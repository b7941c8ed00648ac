//! What a request costs: host calls and allocations, counted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::time::Duration;

use csp::{Csp, CspHeader};
use legation::HttpFilter;
use legation_testing::{Callback, Exchange, Host, Request, Response};
use serde_json::{Value, json};

legation_testing::count_allocations!();

const MAP: &str = "proxy_get_header_map_pairs";
const GET: &str = "proxy_get_header_map_value";
const SET: &str = "proxy_replace_header_map_value";
const ADD: &str = "proxy_add_header_map_value";
const REMOVE: &str = "proxy_remove_header_map_value";
const NOW: &str = "proxy_get_current_time_nanoseconds";
const READ_BODY: &str = "proxy_get_buffer_bytes";
const WRITE_BODY: &str = "proxy_set_buffer_bytes";

const NOTHING: &[&str] = &[];

fn rule(rule: &Value) -> Value {
    json!({ "rules": [rule], "lint": "off" })
}

fn request() -> Request {
    let headers = (0..30).map(|number| (format!("x-{number}"), format!("value {number}")));
    Request::get("/users?tag=blue").headers(headers)
}

fn response(content_type: &str) -> Response {
    let headers = (0..20).map(|number| (format!("x-{number}"), format!("value {number}")));
    Response::ok()
        .header("content-type", content_type)
        .headers(headers)
        .body("<p>hello</p>")
}

/// The third exchange: the first fetch the log level, and memory that is kept.
fn third<F: HttpFilter>(configuration: &Value, content_type: &str) -> Exchange {
    let host = Host::<F>::configure(configuration.clone()).unwrap();
    for _ in 0..2 {
        host.exchange(request()).upstream(response(content_type));
    }
    host.exchange(request()).upstream(response(content_type))
}

/// The host calls of the request's headers, and of the response's.
fn calls<F: HttpFilter>(configuration: &Value, content_type: &str) -> [Vec<&'static str>; 2] {
    let exchange = third::<F>(configuration, content_type);
    let of = |callback| exchange.calls_in(callback).names();
    let both = [of(Callback::RequestHeaders), of(Callback::ResponseHeaders)];
    // In the whole exchange, its end included.
    assert_eq!(exchange.calls().names(), both.concat());
    both
}

#[test]
fn a_fixed_policy_is_one_look_at_the_type_and_one_header_in_either_module() {
    let fixed = rule(&json!({"policy": "default-src 'self'"}));
    for [request, response] in [
        calls::<Csp>(&fixed, "text/html"),
        calls::<CspHeader>(&fixed, "text/html"),
    ] {
        assert_eq!(request, NOTHING);
        assert_eq!(response, [GET, SET]);
    }
    for exchange in [
        third::<Csp>(&fixed, "text/html"),
        third::<CspHeader>(&fixed, "text/html"),
    ] {
        assert_eq!(exchange.allocations_in(Callback::RequestHeaders).count, 0);
        // The type is the host's answer.
        let allocations = exchange.allocations_in(Callback::ResponseHeaders);
        assert_eq!((allocations.count, allocations.answers), (0, 1));
    }
}

#[test]
fn what_a_rule_does_not_need_is_not_asked_for() {
    for (given, content_type, at_request, at_response) in [
        // Of another type.
        (
            json!({"policy": "default-src 'self'"}),
            "image/png",
            &[][..],
            &[GET][..],
        ),
        // Every type: the type is not asked for.
        (
            json!({"policy": "default-src 'self'", "content_types": ["*/*"]}),
            "image/png",
            &[],
            &[SET],
        ),
        (
            json!({"policy": "default-src 'self'", "existing_policy": "append"}),
            "text/html",
            &[],
            &[GET, ADD],
        ),
        (
            json!({"policy": "default-src 'self'", "report_only_policy": "default-src 'none'"}),
            "text/html",
            &[],
            &[GET, SET, SET],
        ),
        // The upstream's is looked for too.
        (
            json!({"policy": "default-src 'self'", "existing_policy": "keep"}),
            "text/html",
            &[],
            &[MAP, SET],
        ),
        (
            json!({"policy": "default-src 'self'", "existing_policy": "merge"}),
            "text/html",
            &[],
            &[MAP, ADD],
        ),
        // Headers alone: nothing is read.
        (
            json!({"security_headers": {"x_frame_options": true, "referrer_policy": true}}),
            "text/html",
            &[],
            &[SET, SET],
        ),
        (
            json!({"security_headers": {"x_frame_options": true, "referrer_policy": true}, "existing_headers": "keep"}),
            "text/html",
            &[],
            &[MAP, ADD, ADD],
        ),
        (
            json!({"remove_headers": ["x-1", "x-2"]}),
            "text/html",
            &[],
            &[REMOVE, REMOVE],
        ),
        // Whether it is over TLS.
        (
            json!({"security_headers": {"strict_transport_security": true}}),
            "text/html",
            &[GET],
            &[],
        ),
        (json!({"disabled": true}), "text/html", &[], &[]),
    ] {
        let [request, response] = calls::<Csp>(&rule(&given), content_type);
        assert_eq!(request, at_request, "{given}");
        assert_eq!(response, at_response, "{given}");
    }
}

#[test]
fn a_request_that_no_rule_is_for_costs_its_conditions() {
    let elsewhere = rule(&json!({"when": {"path": {"prefix": "/api/"}}, "preset": "helmet"}));
    assert_eq!(
        calls::<Csp>(&elsewhere, "text/html"),
        [vec![MAP], Vec::new()]
    );
}

#[test]
fn a_nonce_for_the_upstream_is_one_header_each_way_and_a_look_at_the_response() {
    let told = rule(&json!({
        "policy": "script-src 'nonce-{nonce}'",
        "nonce": {"request_header": "x-nonce"}
    }));
    let [request, response] = calls::<Csp>(&told, "text/html");
    assert_eq!(request, [SET]);
    // The policy, and `no-store`.
    assert_eq!(response, [MAP, SET, SET]);
    assert_eq!(calls::<Csp>(&told, "image/png")[1], [MAP]);
}

#[test]
fn helmet_is_a_call_for_each_header() {
    let helmet = rule(&json!({"preset": "helmet"}));
    let [request, response] = calls::<Csp>(&helmet, "text/html");
    assert_eq!(request, [GET]);
    // The type; `x-powered-by`; the ten that are sent without TLS, and the policy.
    assert_eq!(response, [[GET, REMOVE].as_slice(), &[SET; 11]].concat());
    let exchange = third::<Csp>(&helmet, "text/html");
    assert_eq!(exchange.allocations_in(Callback::ResponseHeaders).count, 0);
    let [_, response] = calls::<Csp>(&helmet, "image/png");
    assert_eq!(response, [[GET, REMOVE].as_slice(), &[SET; 10]].concat());
}

#[test]
fn a_page_that_is_rewritten_is_read_and_written_a_piece_at_a_time() {
    let told = rule(&json!({
        "policy": "script-src 'nonce-{nonce}'",
        "nonce": {"placeholder": "{{csp-nonce-8f3b1c}}"}
    }));
    let exchange = third::<Csp>(&told, "text/html");
    let of = |callback| exchange.calls_in(callback).names();
    assert_eq!(of(Callback::RequestHeaders), [MAP]);
    // What says how long it was.
    assert_eq!(of(Callback::ResponseHeaders), [MAP, SET, SET, REMOVE]);
    assert_eq!(
        of(Callback::ResponseBody),
        [READ_BODY, NOW, NOW, WRITE_BODY]
    );
}

#[test]
fn counting_costs_a_response_nothing() {
    let host = Host::<Csp>::configure(rule(&json!({"policy": "default-src 'self'"}))).unwrap();
    for _ in 0..1_000 {
        let exchange = host.exchange(request()).upstream(response("text/html"));
        assert_eq!(exchange.calls().count("proxy_increment_metric"), 0);
    }
    host.run_for(Duration::from_secs(1));
    assert_eq!(host.counter("csp.policies_sent"), 1_000);
}
