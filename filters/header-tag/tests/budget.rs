//! What a request costs: host calls and allocations, counted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use header_tag::{HeaderTag, TrailersTag};
use legation_testing::{Callback, Door, Exchange, Host, Request, Response};
use serde_json::{Value, json};

legation_testing::count_allocations!();

const GET_MAP: &str = "proxy_get_header_map_pairs";
const GET: &str = "proxy_get_header_map_value";
const SET: &str = "proxy_replace_header_map_value";
const ADD: &str = "proxy_add_header_map_value";
const REMOVE: &str = "proxy_remove_header_map_value";
const PROPERTY: &str = "proxy_get_property";
const SET_PROPERTY: &str = "proxy_set_property";
const FOREIGN: &str = "proxy_call_foreign_function";
const TIME: &str = "proxy_get_current_time_nanoseconds";

fn host(configuration: Value) -> Host<HeaderTag> {
    let host = Host::configure(configuration).unwrap();
    // The first request fetches the log level, and memory that is kept.
    host.exchange(request()).run();
    host
}

fn request() -> Request {
    let headers = (0..30).map(|number| (format!("x-{number}"), format!("value {number}")));
    Request::get("/api/users?tag=blue").headers(headers)
}

/// The host calls at the request's headers, of the second request.
fn calls(configuration: Value) -> Vec<&'static str> {
    let exchange = host(configuration).exchange(request()).run();
    exchange.calls_in(Callback::RequestHeaders).names()
}

fn one_rule(rule: &Value) -> Value {
    json!({ "rules": [rule] })
}

fn assert_nothing_allocated(exchange: &Exchange, callback: Callback) {
    let allocations = exchange.allocations_in(callback);
    assert_eq!(
        (allocations.count, allocations.answers),
        (0, 0),
        "{allocations:?}"
    );
}

#[test]
fn one_static_header_is_one_host_call_and_no_allocation() {
    let configuration = one_rule(&json!({"request": {"set": {"X-Envoy-Plugin": "header-tag"}}}));
    for door in [Door::Pruned, Door::Dispatcher] {
        let host = Host::<HeaderTag>::new();
        host.enter_by(door);
        host.load(configuration.clone()).unwrap();
        host.exchange(request()).run();

        let exchange = host.exchange(request()).run();

        assert_eq!(
            exchange.upstream().header("x-envoy-plugin"),
            Some("header-tag")
        );
        // In the whole exchange, its end included.
        assert_eq!(exchange.calls().names(), [SET]);
        assert_nothing_allocated(&exchange, Callback::RequestHeaders);
        assert_nothing_allocated(&exchange, Callback::ResponseHeaders);
    }
}

#[test]
fn twenty_headers_read_are_one_host_call() {
    let twenty = |format: &dyn Fn(usize) -> String| (0..20).map(format).collect::<String>();
    let conditions: Vec<_> = (0..20)
        .map(|number| json!({"name": format!("x-{number}"), "prefix": "value"}))
        .collect();
    let configuration = one_rule(&json!({
        "when": {"headers": conditions, "path": {"prefix": "/api/"}, "query": [{"name": "tag", "exact": "blue"}]},
        "request": {"set": {"x-all": twenty(&|number| format!("%REQ(x-{number})%"))}}
    }));
    let host = host(configuration);

    let exchange = host.exchange(request()).run();

    let all = twenty(&|number| format!("value {number}"));
    assert_eq!(exchange.upstream().header("x-all"), Some(all.as_str()));
    assert_eq!(exchange.calls().names(), [GET_MAP, SET]);
}

#[test]
fn making_a_value_takes_no_memory_of_its_own() {
    let allocations = |rule: Value| {
        let exchange = host(one_rule(&rule)).exchange(request()).run();
        assert_eq!(exchange.upstream().header("x-all"), Some("value 1 value 2"));
        exchange.allocations_in(Callback::RequestHeaders)
    };

    let literal = allocations(json!({
        "when": {"method": "GET"},
        "request": {"set": {"x-all": "value 1 value 2"}}
    }));
    let made = allocations(json!({
        "when": {"method": "GET"},
        "request": {"set": {"x-all": "%REQ(x-1)% %REQ(x-2)%"}}
    }));

    // What the SDK needs to read the request, and no more.
    assert_eq!(made, literal);
    assert_eq!(made.answers, 1);
}

#[test]
fn what_a_rule_does_not_need_is_not_asked_for() {
    let set = json!({"set": {"x-a": "1"}});
    for (rule, expected) in [
        (
            json!({"request": {"append": {"x-a": ["1", "2"]}}}),
            vec![ADD, ADD],
        ),
        (
            json!({"request": {"set": {"x-a": ["1", "2"]}}}),
            vec![SET, ADD],
        ),
        (
            json!({"request": {"remove": ["x-1", "x-2"]}}),
            vec![REMOVE, REMOVE],
        ),
        (
            json!({"when": {"method": "POST"}, "request": set}),
            vec![GET_MAP],
        ),
        (
            json!({"when": {"method": "GET"}, "request": set}),
            vec![GET_MAP, SET],
        ),
        (
            json!({"when": {"percentage": 100}, "request": set}),
            vec![SET],
        ),
        (
            json!({"when": {"source_ip": "192.0.2.0/24"}, "request": set}),
            vec![PROPERTY],
        ),
        (
            json!({"request": {"set": {"x-a": "%ATTRIBUTE(source.address)%"}}}),
            vec![PROPERTY, SET],
        ),
        (
            json!({"request": {"rename": {"x-1": "x-a"}}}),
            vec![GET_MAP, REMOVE, SET],
        ),
        (
            json!({"request": {"rename": {"x-none": "x-a"}}}),
            vec![GET_MAP],
        ),
        // A lone look is at the one header.
        (
            json!({"request": {"add_if_absent": {"x-a": "1"}}}),
            vec![GET, ADD],
        ),
        (
            json!({"request": {"add_if_absent": {"x-1": "1"}}}),
            vec![GET],
        ),
        (
            json!({"request": {"overwrite_if_exists": {"x-1": "1"}}}),
            vec![GET, SET],
        ),
        (
            json!({"request": {"overwrite_if_exists": {"x-a": "1"}}}),
            vec![GET],
        ),
        // Several are at the map.
        (
            json!({"request": {"add_if_absent": {"x-a": "1", "x-1": "1"}}}),
            vec![GET_MAP, ADD],
        ),
        (
            json!({"when": {"method": "GET"}, "request": {"add_if_absent": {"x-a": "1"}}}),
            vec![GET_MAP, ADD],
        ),
        // For the response, at the request: only what the host has no more then.
        (json!({"response": set}), vec![]),
        (json!({"response": {"set": {"x-a": "%RESP(x-b)%"}}}), vec![]),
        (
            json!({"response": {"set": {"x-a": "%REQ(x-1)%"}}}),
            vec![GET_MAP],
        ),
        (json!({"disabled": true}), vec![]),
    ] {
        assert_eq!(calls(one_rule(&rule)), expected, "{rule}");
    }
}

#[test]
fn a_bucket_costs_what_its_key_does_however_often_it_is_asked_for() {
    let release = json!({
        "name": "release",
        "hash_key": "%REQ(x-1)%",
        "buckets": [{"name": "canary", "weight": 10}, {"name": "stable", "weight": 90}]
    });
    for (rule, expected) in [
        (json!({"request": {"remove": "x-none"}}), vec![REMOVE]),
        (
            json!({"request": {"set": {"x-a": "%BUCKET(release)%", "x-b": "%BUCKET(release)%"}}}),
            vec![GET_MAP, SET, SET],
        ),
        (
            json!({
                "when": {"any": [{"bucket": {"release": "canary"}}, {"bucket": {"release": "stable"}}]},
                "request": {"set": {"x-a": "%BUCKET(release)%"}}
            }),
            vec![GET_MAP, SET],
        ),
        // What the response is to know is found out at the request, and no more.
        (
            json!({"response": {"set": {"x-a": "%BUCKET(release)%"}}}),
            vec![GET_MAP],
        ),
        (
            json!({"request": {"filter_state": {"release": "%BUCKET(release)%"}, "clear_route_cache": true}}),
            vec![GET_MAP, SET_PROPERTY, FOREIGN],
        ),
    ] {
        let configuration = json!({"weighted_buckets": release, "rules": [rule]});
        let host = Host::<HeaderTag>::new();
        host.set_foreign_function("clear_route_cache", |_| Ok(vec![]));
        host.load(configuration).unwrap();
        host.exchange(request()).run();
        let exchange = host.exchange(request()).run();
        let calls = exchange.calls_in(Callback::RequestHeaders);
        assert_eq!(calls.names(), expected, "{rule}");
    }
}

#[test]
fn what_is_made_costs_what_it_is_made_of() {
    for (request, expected) in [
        (json!({"set": {"x-a": "%UNIQUE_ID%"}}), vec![SET]),
        (json!({"set": {"x-a": "%UUID_V7%"}}), vec![TIME, SET]),
        (
            json!({"set": {"x-a": "%START_TIME(%s)%"}}),
            vec![PROPERTY, SET],
        ),
        (
            json!({"set": {"x-a": "%SHA256(REQ(x-1))%"}}),
            vec![GET_MAP, SET],
        ),
        (
            json!({"set": {"x-a": "%JWT_CLAIM(user:sub)%"}}),
            vec![PROPERTY, REMOVE],
        ),
        (
            json!({"set": {"x-a": "%JWT_CLAIM(user:sub)%", "x-b": "%JWT_CLAIM(user:aud)%"}}),
            vec![PROPERTY, REMOVE, REMOVE],
        ),
        (
            json!({"set": {"x-a": {"value": "%REQ(x-1)%", "map": {"value 1": "1"}}}}),
            vec![GET_MAP, SET],
        ),
        (
            json!({"query": {"set": {"tag": "red"}}}),
            vec![GET_MAP, SET],
        ),
        (json!({"query": {"set": {"tag": "blue"}}}), vec![GET_MAP]),
        (
            json!({"traceparent": {"sampled": 50}}),
            vec![GET_MAP, SET, REMOVE],
        ),
        (json!({"dedupe": {"x-1": "RETAIN_UNIQUE"}}), vec![GET_MAP]),
        (
            json!({"regex_rewrite": {"x-1": {"pattern": "none"}}}),
            vec![GET_MAP],
        ),
        (
            json!({"regex_rewrite": {"x-1": {"pattern": "value"}}}),
            vec![GET_MAP, SET],
        ),
        (
            json!({"remove_on_match": {"prefix": "x-2"}}),
            [vec![GET_MAP], vec![REMOVE; 11]].concat(),
        ),
    ] {
        assert_eq!(
            calls(one_rule(&json!({"request": request}))),
            expected,
            "{request}"
        );
    }
}

#[test]
fn the_response_costs_what_its_rules_need() {
    for (response, expected) in [
        (json!({"set": {"x-a": "1"}}), vec![SET]),
        (json!({"set": {"x-a": "%REQ(x-1)%"}}), vec![SET]),
        (
            json!({"set": {"x-a": "%RESP(server)% %RESP(:status)%"}}),
            vec![GET_MAP, SET],
        ),
        (
            json!({"when_status": 404, "set": {"x-a": "1"}}),
            vec![GET_MAP],
        ),
        (
            json!({"when_status": 200, "remove": "server"}),
            vec![GET_MAP, REMOVE],
        ),
        (json!({"add_if_absent": {"x-a": "1"}}), vec![GET, ADD]),
    ] {
        let host = host(one_rule(&json!({"response": response})));
        let exchange = host.exchange(request()).upstream(Response::ok());
        let calls = exchange.calls_in(Callback::ResponseHeaders);
        assert_eq!(calls.names(), expected, "{response}");
    }
}

#[test]
fn sixty_four_rules_are_remembered_for_the_response_without_an_allocation() {
    let rule = json!({"response": {"append": {"x-a": "1"}}});
    let host = host(json!({"rules": vec![rule; 64]}));

    let exchange = host.exchange(request()).run();

    assert_eq!(exchange.response().values("x-a").len(), 64);
    assert_nothing_allocated(&exchange, Callback::RequestHeaders);
    assert_eq!(exchange.calls_in(Callback::ResponseHeaders).total(), 64);
}

#[test]
fn counting_costs_a_request_nothing_and_one_call_a_counter_and_second() {
    let host = Host::<HeaderTag>::configure(json!({"rules": [
        {"name": "all", "request": {"set": {"x-a": "1", "x-b": "%ENVIRONMENT(PATH)%"}}},
        {"name": "none", "when": {"method": "POST"}, "request": {"remove": "x-a"}}
    ]}))
    .unwrap();
    let root = host.root();
    assert_eq!(
        host.tick_period(root),
        Some(std::time::Duration::from_secs(1))
    );
    for _ in 0..1_000 {
        let exchange = host.exchange(request()).run();
        assert_eq!(exchange.calls().count("proxy_increment_metric"), 0);
    }
    assert_eq!(host.counter("header_tag.requests_matched"), 0);

    let before = host.calls().len();
    host.tick();

    let made = host.calls().split_off(before);
    let increments = made
        .iter()
        .filter(|made| made.name == "proxy_increment_metric");
    assert_eq!(increments.count(), 2);
    assert_eq!(host.counter("header_tag.requests_matched"), 1_000);
    assert_eq!(host.counter("header_tag.rule.all.matched"), 1_000);
    assert_eq!(host.counter("header_tag.rule.none.matched"), 0);

    // What was counted since is not lost when a new configuration comes.
    host.exchange(request()).run();
    host.load(one_rule(&json!({"request": {"remove": "x-a"}})))
        .unwrap();
    host.unload(root);
    host.tick();
    assert_eq!(host.counter("header_tag.requests_matched"), 1_001);
}

#[test]
fn a_log_line_costs_nothing_while_its_level_is_off() {
    let host = host(one_rule(
        &json!({"name": "a", "request": {"set": {"x-a": "1"}}}),
    ));
    assert_eq!(host.exchange(request()).run().calls().count("proxy_log"), 0);
}

#[test]
fn trailers_cost_what_is_read_and_written_there() {
    let calls = |changes: Value| {
        let rule = json!({"request_trailers": {"set": {"x-a": "1"}}, "response_trailers": changes});
        let host = Host::<TrailersTag>::configure(one_rule(&rule)).unwrap();
        let exchange = || {
            let request = request().body("a").trailer("x-t", "1");
            let response = Response::ok().body("b").trailer("x-t", "1");
            host.exchange(request).upstream(response)
        };
        exchange();
        let exchange = exchange();
        [
            Callback::RequestHeaders,
            Callback::RequestTrailers,
            Callback::ResponseHeaders,
            Callback::ResponseTrailers,
        ]
        .map(|callback| exchange.calls_in(callback).names())
    };
    assert_eq!(
        calls(json!({"append": {"x-a": ["1", "2"]}})),
        [vec![], vec![SET], vec![], vec![ADD, ADD]]
    );
    assert_eq!(
        calls(json!({"set": {"x-a": "%TRAILER(x-t)%", "x-b": "%TRAILER(x-u)%1"}})),
        [vec![], vec![SET], vec![], vec![GET_MAP, SET, SET]]
    );
    assert_eq!(
        calls(json!({"set": {"x-a": "%RESP(x-a)%%REQ(x-1)%"}})),
        [vec![GET_MAP], vec![SET], vec![GET_MAP], vec![SET]]
    );
}
