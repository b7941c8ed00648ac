//! What a request costs: host calls and allocations, counted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

mod support;

use jwt_auth::JwtAuth;
use legation_testing::{Callback, Exchange, Host, Request};
use serde_json::{Value, json};
use support::{configuration, provider, token};

legation_testing::count_allocations!();

const GET_MAP: &str = "proxy_get_header_map_pairs";
const ADD: &str = "proxy_add_header_map_value";
const REMOVE: &str = "proxy_remove_header_map_value";
const PATH: &str = "proxy_replace_header_map_value";
const NOW: &str = "proxy_get_current_time_nanoseconds";
const STATE: &str = "proxy_set_property";

fn request() -> Request {
    let headers = (0..30).map(|number| (format!("x-{number}"), format!("value {number}")));
    Request::get("/api/users?tag=blue").headers(headers)
}

fn with_token() -> Request {
    request().header("authorization", format!("Bearer {}", token(&json!({}))))
}

/// The third of three such requests: the first has the token verified, and the
/// second memory that is kept.
fn third(configuration: Value, request: fn() -> Request) -> Exchange {
    let host = Host::<JwtAuth>::configure(configuration).unwrap();
    host.exchange(request()).run();
    host.exchange(request()).run();
    host.exchange(request()).run()
}

fn calls(exchange: &Exchange) -> Vec<&'static str> {
    exchange.calls_in(Callback::RequestHeaders).names()
}

#[test]
fn a_token_seen_before_is_one_look_at_the_headers_and_one_removal() {
    let exchange = third(configuration(&json!({})), with_token);

    assert_eq!(exchange.upstream().header("authorization"), None);
    // In the whole exchange, its end included.
    assert_eq!(exchange.calls().names(), [GET_MAP, REMOVE]);
    let allocations = exchange.allocations_in(Callback::RequestHeaders);
    // The map, which the host has the module allocate.
    assert_eq!((allocations.answers, allocations.count), (1, 0));
}

#[test]
fn a_token_that_is_forwarded_is_one_look_at_the_headers() {
    let exchange = third(configuration(&json!({"forward": true})), with_token);

    assert_eq!(exchange.calls().names(), [GET_MAP]);
    let allocations = exchange.allocations_in(Callback::RequestHeaders);
    assert_eq!((allocations.answers, allocations.count), (1, 0));
}

#[test]
fn each_header_and_state_for_upstreams_is_one_call() {
    let exchange = third(
        configuration(&json!({
            "forward_payload_header": "x-payload",
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
            "payload_in_filter_state": "payload"
        })),
        with_token,
    );

    assert_eq!(calls(&exchange), [GET_MAP, ADD, ADD, STATE, REMOVE]);
}

#[test]
fn a_new_token_asks_for_the_time_besides() {
    let host = Host::<JwtAuth>::configure(configuration(&json!({}))).unwrap();
    host.exchange(request()).run();

    let exchange = host.exchange(with_token()).run();

    assert_eq!(calls(&exchange), [GET_MAP, NOW, REMOVE]);
}

#[test]
fn a_token_that_expires_soon_has_the_clock_asked() {
    let host = Host::<JwtAuth>::new();
    host.set_time(std::time::UNIX_EPOCH + std::time::Duration::from_secs(support::FAR - 1));
    host.load(configuration(&json!({"clock_skew_seconds": 0})))
        .unwrap();
    host.exchange(with_token()).run();
    host.exchange(with_token()).run();

    let exchange = host.exchange(with_token()).run();

    assert_eq!(exchange.status(), 200);
    assert_eq!(calls(&exchange), [GET_MAP, NOW, REMOVE]);
}

#[test]
fn a_token_in_the_query_has_the_path_rewritten() {
    let in_query = || Request::get(format!("/?access_token={}&a=1", token(&json!({}))));
    let exchange = third(configuration(&json!({})), in_query);

    assert_eq!(exchange.upstream().path(), Some("/?a=1"));
    assert_eq!(calls(&exchange), [GET_MAP, PATH]);
}

#[test]
fn what_no_rule_requires_anything_of_costs_what_the_rules_look_at() {
    let without = |rules: Value| {
        let rules = json!({"providers": {"a": provider(&json!({}))}, "rules": rules});
        calls(&third(rules, request))
    };

    assert_eq!(without(json!([{"disabled": true}])), Vec::<&str>::new());
    assert_eq!(
        without(json!([{"match": {"path": {"prefix": "/api/"}}, "disabled": true}])),
        [GET_MAP]
    );
}

#[test]
fn counting_costs_a_request_nothing() {
    let host = Host::<JwtAuth>::configure(configuration(&json!({}))).unwrap();
    for _ in 0..1_000 {
        let exchange = host.exchange(with_token()).run();
        assert_eq!(exchange.calls().count("proxy_increment_metric"), 0);
    }
    host.run_for(std::time::Duration::from_secs(1));
    assert_eq!(host.counter("jwt_auth.allowed"), 1_000);
    assert_eq!(host.counter("jwt_auth.jwt_cache_hit"), 999);
}

#[test]
fn in_a_suite_a_token_seen_before_costs_the_same() {
    type Suite = legation::Suite<legation::filters![JwtAuth]>;

    let suite = json!({"filters": [{"name": "jwt-auth", "config": configuration(&json!({}))}]});
    let host = Host::<Suite>::configure(suite).unwrap();
    host.exchange(with_token()).run();
    host.exchange(with_token()).run();

    let exchange = host.exchange(with_token()).run();

    assert_eq!(exchange.calls().names(), [GET_MAP, REMOVE]);
    let allocations = exchange.allocations_in(Callback::RequestHeaders);
    assert_eq!(allocations.answers, 1, "{allocations:?}");
}
