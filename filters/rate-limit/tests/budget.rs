//! What a request costs: host calls and allocations, counted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::time::Duration;

use legation::Callbacks;
use legation::runtime::Runtime;
use legation_testing::{Allocations, Callback, Callout, Exchange, Host, Request};
use rate_limit::{LocalRateLimit, RateLimit};
use serde_json::{Value, json};

legation_testing::count_allocations!();

const HEADER: &str = "proxy_get_header_map_value";
const HEADERS: &str = "proxy_get_header_map_pairs";
const ADD: &str = "proxy_add_header_map_value";
const ATTRIBUTE: &str = "proxy_get_property";
const NOW: &str = "proxy_get_current_time_nanoseconds";
const GET: &str = "proxy_get_shared_data";
const SET: &str = "proxy_set_shared_data";
const REPLY: &str = "proxy_send_local_response";

const NOTHING: &[&str] = &[];

fn bucket(max_tokens: u32) -> Value {
    json!({"max_tokens": max_tokens, "fill_interval": "3600s"})
}

/// A limit for each value of what an action gives.
fn limited_by(action: &Value, key: &str, max_tokens: u32, more: &Value) -> Value {
    let mut configuration = json!({
        "rate_limits": [{"actions": [action]}],
        "descriptors": [{"entries": [{"key": key}], "token_bucket": bucket(max_tokens)}]
    });
    let (whole, more) = (
        configuration.as_object_mut().unwrap(),
        more.as_object().unwrap(),
    );
    whole.extend(more.clone());
    configuration
}

fn by_address(max_tokens: u32, more: &Value) -> Value {
    limited_by(
        &json!({"remote_address": {}}),
        "remote_address",
        max_tokens,
        more,
    )
}

fn by_header(max_tokens: u32, more: &Value) -> Value {
    let action = json!({"request_headers": {"header_name": "x-user", "descriptor_key": "user"}});
    limited_by(&action, "user", max_tokens, more)
}

fn request() -> Request {
    let headers = (0..30).map(|number| (format!("x-{number}"), format!("value {number}")));
    Request::get("/api/users?tag=blue")
        .header("x-user", "ann")
        .headers(headers)
}

fn host(configuration: Value) -> Host<RateLimit> {
    Host::configure(configuration).unwrap()
}

/// The last of so many requests: the first of them have tokens taken, places found and
/// memory kept.
fn last_of(requests: u32, host: &Host<RateLimit>) -> Exchange {
    for _ in 1..requests {
        host.exchange(request()).run();
    }
    host.exchange(request()).run()
}

fn calls(exchange: &Exchange) -> Vec<&'static str> {
    exchange.calls().names()
}

fn allocations(exchange: &Exchange) -> Allocations {
    exchange.allocations_in(Callback::RequestHeaders)
}

#[test]
fn a_request_is_what_it_is_known_by_and_the_time_and_one_update() {
    // The update allocates the name of the key's bucket; an address is written out.
    for (configuration, expected, allocated) in [
        (
            by_address(100, &json!({})),
            &[ATTRIBUTE, NOW, GET, SET][..],
            3,
        ),
        (by_header(100, &json!({})), &[HEADER, NOW, GET, SET], 1),
        (json!({"token_bucket": bucket(100)}), &[NOW, GET, SET], 1),
    ] {
        let exchange = last_of(5, &host(configuration.clone()));

        assert_eq!(exchange.status(), 200);
        // In the whole exchange, its end included.
        assert_eq!(calls(&exchange), expected, "{configuration}");
        assert_eq!(allocations(&exchange).count, allocated, "{configuration}");
    }
}

#[test]
fn an_ordinary_path_costs_no_more_where_it_matters_and_an_odd_one_is_read_in_memory() {
    let by_path = json!({
        "rate_limits": [
            {"match": {"path": {"prefix": "/api/"}}, "actions": [{"generic_key": {"descriptor_value": "api"}}]},
            {"actions": [{"path_template": {"template": "/api/{name}", "capture": "name"}}]},
        ],
        "descriptors": [{"entries": [{"key": "generic_key"}], "token_bucket": bucket(100)}],
    });
    let host = host(by_path);
    let ordinary = last_of(5, &host);
    assert_eq!(calls(&ordinary), [HEADERS, NOW, GET, SET]);
    // The headers, and the name of the bucket.
    assert_eq!(allocations(&ordinary).count, 2);

    let odd = host.exchange(Request::get("/x/..;/api/users;a")).run();
    assert_eq!(calls(&odd), calls(&ordinary));
}

#[test]
fn several_limits_of_one_key_are_one_update() {
    let limits = json!({"limits": [
        {"token_bucket": bucket(100)},
        {"fixed_window": {"requests": 100, "window": "60s"}},
        {"sliding_window": {"requests": 1_000, "window": "1h"}}
    ]});

    let exchange = last_of(5, &host(limits));

    assert_eq!(calls(&exchange), [NOW, GET, SET]);
    assert_eq!(allocations(&exchange).count, 1);
}

#[test]
fn each_further_limit_is_one_update_and_the_time_is_asked_once() {
    let both = by_address(100, &json!({"token_bucket": bucket(100)}));

    let exchange = last_of(5, &host(both));

    assert_eq!(calls(&exchange), [ATTRIBUTE, NOW, GET, SET, GET, SET]);
}

#[test]
fn a_request_known_to_be_beyond_its_limit_is_the_time() {
    for (configuration, expected) in [
        (by_address(2, &json!({})), &[ATTRIBUTE, NOW, REPLY][..]),
        (by_header(2, &json!({})), &[HEADER, NOW, REPLY]),
        (json!({"token_bucket": bucket(2)}), &[NOW, REPLY]),
    ] {
        let host = host(configuration.clone());
        let first = last_of(3, &host);
        let second = last_of(1, &host);

        assert_eq!((first.status(), second.status()), (429, 429));
        assert_eq!(
            calls(&first)
                .iter()
                .filter(|call| [GET, SET].contains(call))
                .count(),
            2
        );
        assert_eq!(calls(&second), expected, "{configuration}");
        // The reply is most of it.
        assert!(allocations(&second).count <= 16, "{configuration}");
    }
}

#[test]
fn what_is_at_hand_costs_what_the_request_is_known_by() {
    let lease = || json!({"lease": {"size": 100, "max_age": "1s"}});
    for (configuration, expected, allocated) in [
        (by_address(10_000, &lease()), &[ATTRIBUTE][..], 2),
        (by_header(10_000, &lease()), &[HEADER], 0),
        (
            json!({"token_bucket": bucket(10_000), "lease": lease()["lease"]}),
            NOTHING,
            0,
        ),
    ] {
        // The first of them take 1, 3, 7 and 15 tokens ahead.
        let exchange = last_of(40, &host(configuration.clone()));

        assert_eq!(exchange.status(), 200);
        assert_eq!(calls(&exchange), expected, "{configuration}");
        assert_eq!(allocations(&exchange).count, allocated, "{configuration}");
    }
}

#[test]
fn the_local_module_is_entered_at_the_request_alone() {
    let callbacks = Runtime::<LocalRateLimit>::CALLBACKS;

    let request = Callbacks::CREATE | Callbacks::REQUEST_HEADERS;
    assert_eq!(callbacks, request | Callbacks::TICK);
}

#[test]
fn the_local_module_costs_what_the_filter_costs() {
    let lease = || json!({"lease": {"size": 100, "max_age": "1s"}});
    for (configuration, expected, allocated) in [
        (by_header(10_000, &lease()), &[HEADER][..], 0),
        (by_address(10_000, &lease()), &[ATTRIBUTE], 2),
        (by_header(100, &json!({})), &[HEADER, NOW, GET, SET], 1),
    ] {
        let host = Host::<LocalRateLimit>::configure(configuration.clone()).unwrap();
        for _ in 1..40 {
            host.exchange(request()).run();
        }
        let exchange = host.exchange(request()).run();

        assert_eq!(exchange.status(), 200);
        // In the whole exchange, its end included.
        assert_eq!(calls(&exchange), expected, "{configuration}");
        assert_eq!(allocations(&exchange).count, allocated, "{configuration}");
    }
}

#[test]
fn places_are_one_update_each_way() {
    let host = host(json!({"concurrency": {"max": 10}}));

    let exchange = last_of(5, &host);

    assert_eq!(calls(&exchange), [NOW, GET, SET, NOW, GET, SET]);
    assert_eq!(exchange.calls_in(Callback::RequestHeaders).total(), 3);
    assert_eq!(allocations(&exchange).count, 1);
}

#[test]
fn what_a_service_is_asked_is_written_once() {
    let asking = by_header(
        100,
        &json!({"rate_limit_service": {
            "grpc_service": {"envoy_grpc": {"cluster_name": "limits"}},
            "domain": "edge"
        }}),
    );
    let host = host(asking);
    host.set_grpc_cluster("limits", |_: &_| Callout::message(Vec::new()));
    let of_length = |length| {
        let user = "u".repeat(length);
        let exchange = host.exchange(Request::get("/").header("x-user", user));
        allocations(&exchange.run()).bytes
    };

    // Memory for a short key is kept.
    of_length(1_000);
    let (short, long) = (of_length(1_000), of_length(101_000));

    // As the entry's value, in the key, and as the message's text and bytes.
    assert_eq!((long - short) / 100_000, 4, "{short} {long}");
}

#[test]
fn each_header_that_clients_are_told_is_one_call() {
    let told = by_address(
        100,
        &json!({
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "enable_ratelimit_headers": "DRAFT_VERSION_10"
        }),
    );

    let exchange = last_of(5, &host(told));

    assert_eq!(
        exchange.calls_in(Callback::ResponseHeaders).names(),
        [ADD; 5]
    );
}

#[test]
fn a_share_of_the_requests_is_one_random_number() {
    let share = json!({"token_bucket": bucket(1), "filter_enabled": 0});
    assert_eq!(calls(&last_of(5, &host(share))), NOTHING);

    let share = json!({"token_bucket": bucket(100), "filter_enforced": 50});
    assert_eq!(calls(&last_of(5, &host(share))), [NOW, GET, SET]);
}

#[test]
fn counting_costs_a_request_nothing() {
    let host = host(json!({"token_bucket": bucket(400)}));
    for _ in 0..1_000 {
        let exchange = host.exchange(Request::get("/")).run();
        assert_eq!(exchange.calls().count("proxy_increment_metric"), 0);
    }
    host.run_for(Duration::from_secs(1));
    for (name, count) in [
        ("enabled", 1_000),
        ("ok", 400),
        ("rate_limited", 600),
        ("enforced", 600),
        ("descriptor.default.rate_limited", 600),
    ] {
        assert_eq!(host.counter(&format!("rate_limit.{name}")), count, "{name}");
    }
}

#[test]
fn in_a_suite_a_request_costs_the_same() {
    type Suite = legation::Suite<legation::filters![RateLimit]>;

    let suite = json!({"filters": [{"name": "rate-limit", "config": by_address(100, &json!({}))}]});
    let host = Host::<Suite>::configure(suite).unwrap();
    for _ in 0..5 {
        host.exchange(request()).run();
    }

    let exchange = host.exchange(request()).run();

    assert_eq!(exchange.calls().names(), [ATTRIBUTE, NOW, GET, SET]);
}
