//! What clients, upstreams and operators see.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::time::Duration;

use legation_testing::{Exchange, Host, Outcome, Request, Response};
use rate_limit::RateLimit;
use serde_json::{Value, json};

/// One request an hour, and whatever else is said.
fn one_an_hour(more: &Value) -> Value {
    let mut configuration = json!({"token_bucket": {"max_tokens": 1, "fill_interval": "3600s"}});
    let (whole, more) = (
        configuration.as_object_mut().unwrap(),
        more.as_object().unwrap(),
    );
    whole.extend(more.clone());
    configuration
}

fn host(configuration: Value) -> Host<RateLimit> {
    Host::configure(configuration).unwrap()
}

/// The second request of one an hour.
fn second(more: &Value, request: Request) -> Exchange {
    let host = host(one_an_hour(more));
    assert_eq!(host.exchange(Request::get("/")).run().status(), 200);
    host.exchange(request).run()
}

fn grpc() -> Request {
    Request::post("/a.Service/Method").header("content-type", "application/grpc")
}

#[test]
fn a_refusal_is_as_envoys_own() {
    let refused = second(&json!({}), Request::get("/"));

    assert_eq!(refused.outcome, Outcome::Replied);
    assert!(refused.upstream.is_none());
    let response = refused.response();
    assert_eq!(response.status(), 429);
    assert_eq!(response.text(), "local_rate_limited");
    assert_eq!(response.header("content-type"), Some("text/plain"));
    assert_eq!(response.header("retry-after"), Some("3600"));
    assert_eq!(response.header("x-envoy-ratelimited"), None);
    assert_eq!(response.header("x-ratelimit-limit"), None);
}

#[test]
fn a_refusal_has_the_status_that_is_configured_and_says_when_only_where_it_may() {
    let more = json!({"status": {"code": 503}, "enable_retry_after_header": false});
    let refused = second(&more, Request::get("/"));

    assert_eq!(refused.status(), 503);
    assert_eq!(refused.response().header("retry-after"), None);
}

#[test]
fn when_it_would_pass_is_rounded_up_and_at_least_a_second() {
    for (interval, passed, expected) in [
        ("3600s", 0, "3600"),
        ("3600s", 1, "3600"),
        ("3600s", 1_000, "3599"),
        ("0.25s", 0, "1"),
    ] {
        let bucket = json!({"token_bucket": {"max_tokens": 1, "fill_interval": interval}});
        let host = host(bucket);
        host.exchange(Request::get("/")).run();
        // Known to be beyond, or not yet.
        for _ in 0..2 {
            host.exchange(Request::get("/")).run();
            host.advance(Duration::from_millis(passed));
            let refused = host.exchange(Request::get("/")).run();
            assert_eq!(refused.status(), 429);
            let retry_after = refused.response().header("retry-after").unwrap();
            let told: u64 = retry_after.parse().unwrap();
            let expected: u64 = expected.parse().unwrap();
            assert!(
                told == expected || told + 1 == expected,
                "{told} {expected}"
            );
        }
    }
}

#[test]
fn what_never_passes_is_not_told_to_come_again() {
    let cost = json!({
        "rate_limits": [{
            "actions": [{"generic_key": {"descriptor_value": "all"}}],
            "hits_addend": {"format": "%REQ(x-cost)%"}
        }],
        "descriptors": [{
            "entries": [{"key": "generic_key", "value": "all"}],
            "token_bucket": {"max_tokens": 10, "fill_interval": "60s"}
        }]
    });
    let host = host(cost);
    for _ in 0..3 {
        let refused = host
            .exchange(Request::get("/").header("x-cost", "11"))
            .run();

        assert_eq!(refused.status(), 429);
        assert_eq!(refused.response().header("retry-after"), None);
        host.advance(Duration::from_secs(1));
    }
    let passed = host
        .exchange(Request::get("/").header("x-cost", "10"))
        .run();
    assert_eq!(passed.status(), 200);
}

#[test]
fn grpc_clients_are_told_in_their_own_way() {
    for (more, expected) in [
        (json!({}), "14"),
        (json!({"status": {"code": 404}}), "14"),
        (json!({"rate_limited_as_resource_exhausted": true}), "8"),
    ] {
        let refused = second(&more, grpc());

        let response = refused.response();
        assert_eq!(response.status(), 200);
        assert_eq!(response.header("content-type"), Some("application/grpc"));
        assert_eq!(response.header("grpc-status"), Some(expected));
        assert_eq!(response.header("grpc-message"), Some("local_rate_limited"));
        assert_eq!(response.header("retry-after"), Some("3600"));
        assert_eq!(response.text(), "");
    }
}

#[test]
fn headers_are_added_to_refusals_alone() {
    let header = |key: &str, value: &str, action: &str| json!({"header": {"key": key, "value": value}, "append_action": action});
    let more = json!({"response_headers_to_add": [
        header("x-a", "1", "APPEND_IF_EXISTS_OR_ADD"),
        header("x-a", "2", "APPEND_IF_EXISTS_OR_ADD"),
        header("x-b", "1", "ADD_IF_ABSENT"),
        header("x-b", "2", "ADD_IF_ABSENT"),
        header("x-c", "1", "OVERWRITE_IF_EXISTS_OR_ADD"),
        header("x-c", "2", "OVERWRITE_IF_EXISTS_OR_ADD"),
        header("x-d", "1", "OVERWRITE_IF_EXISTS"),
        header("retry-after", "7", "OVERWRITE_IF_EXISTS"),
        header("x-path", "%REQ(:path)%", "APPEND_IF_EXISTS_OR_ADD"),
        header("x-none", "%REQ(x-none)%", "APPEND_IF_EXISTS_OR_ADD")
    ]});
    let host = host(one_an_hour(&more));

    let passed = host.exchange(Request::get("/")).run();
    assert_eq!(passed.response().header("x-a"), None);

    let refused = host.exchange(Request::get("/a?b")).run();
    let response = refused.response();
    assert_eq!(response.values("x-a"), ["1", "2"]);
    assert_eq!(response.values("x-b"), ["1"]);
    assert_eq!(response.values("x-c"), ["2"]);
    assert_eq!(response.header("x-d"), None);
    assert_eq!(response.values("retry-after"), ["7"]);
    assert_eq!(response.header("x-path"), Some("/a?b"));
    assert_eq!(response.header("x-none"), None);
}

#[test]
fn a_header_with_an_empty_value_is_left_out_unless_it_is_to_be_kept() {
    let more = json!({"response_headers_to_add": [
        {"header": {"key": "x-a", "value": "%REQ(x-none?x-none)%"}, "keep_empty_value": true},
        {"header": {"key": "x-b", "value": "%REQ(x-empty)%"}, "keep_empty_value": true},
        {"header": {"key": "x-c", "value": "%REQ(x-empty)%"}}
    ]});

    let refused = second(&more, Request::get("/").header("x-empty", ""));

    assert_eq!(refused.response().header("x-b"), Some(""));
    assert_eq!(refused.response().header("x-c"), None);
}

#[test]
fn requests_that_are_not_refused_are_marked_where_they_would_have_been() {
    let header = |key: &str, value: &str, action: &str| json!({"header": {"key": key, "value": value}, "append_action": action});
    let more = json!({
        "filter_enforced": 0,
        "request_headers_to_add_when_not_enforced": [
            header("x-limited", "true", "OVERWRITE_IF_EXISTS_OR_ADD"),
            header("x-a", "2", "APPEND_IF_EXISTS_OR_ADD"),
            header("x-b", "2", "ADD_IF_ABSENT"),
            header("x-c", "2", "OVERWRITE_IF_EXISTS"),
            header("x-d", "2", "OVERWRITE_IF_EXISTS"),
            header("x-path", "%REQ(:path)%", "ADD_IF_ABSENT")
        ]
    });
    let host = host(one_an_hour(&more));
    let request = || {
        let forged = Request::get("/a").header("x-limited", "false");
        forged
            .header("x-a", "1")
            .header("x-b", "1")
            .header("x-c", "1")
    };

    let within = host.exchange(request()).run();
    assert_eq!(within.upstream().values("x-limited"), ["false"]);

    let beyond = host.exchange(request()).run();
    assert_eq!(beyond.status(), 200);
    assert_eq!(beyond.response().header("retry-after"), None);
    let upstream = beyond.upstream();
    assert_eq!(upstream.values("x-limited"), ["true"]);
    assert_eq!(upstream.values("x-a"), ["1", "2"]);
    assert_eq!(upstream.values("x-b"), ["1"]);
    assert_eq!(upstream.values("x-c"), ["2"]);
    assert_eq!(upstream.header("x-d"), None);
    assert_eq!(upstream.header("x-path"), Some("/a"));
    host.run_for(Duration::from_secs(1));
    assert_eq!(host.counter("rate_limit.rate_limited"), 1);
    assert_eq!(host.counter("rate_limit.enforced"), 0);
}

#[test]
fn in_report_mode_nothing_is_seen_but_by_operators() {
    let more = json!({
        "mode": "report",
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "enable_ratelimit_headers": "DRAFT_VERSION_10",
        "request_headers_to_add_when_not_enforced": [{"header": {"key": "x-limited", "value": "true"}}]
    });
    let host = host(one_an_hour(&more));
    host.exchange(Request::get("/")).run();

    let beyond = host.exchange(Request::get("/?secret=1")).run();

    assert_eq!(beyond.status(), 200);
    assert_eq!(beyond.upstream().header("x-limited"), None);
    for name in ["x-ratelimit-limit", "ratelimit", "retry-after"] {
        assert_eq!(beyond.response().header(name), None, "{name}");
    }
    host.run_for(Duration::from_secs(1));
    assert_eq!(host.counter("rate_limit.rate_limited"), 1);
    assert_eq!(host.counter("rate_limit.enforced"), 0);
    let log = host.log();
    let lines: Vec<_> = log.iter().map(ToString::to_string).collect();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("beyond the limit; it is let on")),
        "{lines:?}"
    );
    assert!(
        !lines.iter().any(|line| line.contains("secret")),
        "{lines:?}"
    );
}

#[test]
fn clients_are_told_how_they_stand_beside_what_the_upstream_says() {
    let told = json!({
        "fixed_window": {"requests": 2, "window": "3600s"},
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "enable_ratelimit_headers": "DRAFT_VERSION_10"
    });
    let host = host(told);
    let send = || {
        let exchange = host.exchange(Request::get("/"));
        exchange.upstream(Response::new(500).header("x-ratelimit-limit", "77"))
    };

    let passed = send();
    let response = passed.response();
    assert_eq!(response.values("x-ratelimit-limit"), ["77", "2"]);
    assert_eq!(response.values("x-ratelimit-remaining"), ["1"]);
    assert_eq!(response.values("x-ratelimit-reset"), ["0"]);
    assert_eq!(
        response.values("ratelimit-policy"),
        ["\"default\";q=2;w=3600"]
    );
    assert!(response.values("ratelimit")[0].starts_with("\"default\";r=1;t="));

    send();
    let refused = send();
    let response = refused.response();
    assert_eq!(response.status(), 429);
    assert_eq!(response.values("x-ratelimit-limit"), ["2"]);
    assert_eq!(response.values("x-ratelimit-remaining"), ["0"]);
    // Until more would pass, which is also when to come again.
    assert_eq!(
        response.values("x-ratelimit-reset"),
        response.values("retry-after")
    );
}

#[test]
fn a_place_is_given_back_however_the_request_ends() {
    let places = json!({
        "rate_limits": [
            {"actions": [{"generic_key": {"descriptor_value": "places"}}]},
            {"actions": [{"request_headers": {"header_name": "x-user", "descriptor_key": "user"}}]}
        ],
        "descriptors": [
            {"entries": [{"key": "generic_key", "value": "places"}], "concurrency": {"max": 1}},
            {"entries": [{"key": "user"}], "token_bucket": {"max_tokens": 1, "fill_interval": "3600s"}}
        ]
    });
    let host = host(places);
    let free = || host.exchange(Request::get("/")).run().status() == 200;

    // While one is under way there is no place.
    let mut stream = host.stream(Request::get("/"));
    stream.send_request();
    assert!(!free());
    stream.send_response(Response::ok());
    assert!(!free());
    stream.end();
    assert!(free());
    // A client that goes before there is an answer.
    let mut stream = host.stream(Request::get("/"));
    stream.send_request();
    stream.end();
    assert!(free());
    // One that the next limit refuses.
    let user = || Request::get("/").header("x-user", "ann");
    assert_eq!(host.exchange(user()).run().status(), 200);
    assert_eq!(host.exchange(user()).run().status(), 429);
    assert!(free());
}

#[test]
fn a_limit_that_is_only_watched_refuses_nobody_and_is_counted() {
    let watched = json!({
        "rate_limits": [{"actions": [{"generic_key": {"descriptor_value": "all"}}]}],
        "descriptors": [{
            "name": "new",
            "entries": [{"key": "generic_key", "value": "all"}],
            "token_bucket": {"max_tokens": 1, "fill_interval": "3600s"},
            "shadow_mode": true
        }],
        "token_bucket": {"max_tokens": 3, "fill_interval": "3600s"},
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03"
    });
    let host = host(watched);
    let statuses: Vec<_> = (0..4)
        .map(|_| {
            let exchange = host.exchange(Request::get("/")).run();
            // Of the other limit alone clients are told.
            assert_eq!(exchange.response().header("x-ratelimit-limit"), Some("3"));
            exchange.status()
        })
        .collect();

    assert_eq!(statuses, [200, 200, 200, 429]);
    host.run_for(Duration::from_secs(1));
    for (name, count) in [
        ("ok", 1),
        ("shadow_mode", 2),
        ("rate_limited", 1),
        ("enforced", 1),
        ("descriptor.new.rate_limited", 3),
        ("descriptor.default.rate_limited", 1),
    ] {
        assert_eq!(host.counter(&format!("rate_limit.{name}")), count, "{name}");
    }
}

#[test]
fn filters_of_one_prefix_and_the_same_limit_share_it_and_others_do_not() {
    let host = host(one_an_hour(&json!({})));
    let same = host
        .load(one_an_hour(&json!({"status": {"code": 503}})))
        .unwrap();
    let other_prefix = host
        .load(one_an_hour(&json!({"stat_prefix": "other"})))
        .unwrap();
    let other_limit = host
        .load(json!({"token_bucket": {"max_tokens": 2, "fill_interval": "3600s"}}))
        .unwrap();
    let status = |root| host.exchange_on(root, Request::get("/")).run().status();

    assert_eq!(status(same), 200);
    assert_eq!(status(same), 503);
    assert_eq!(status(other_prefix), 200);
    assert_eq!(status(other_prefix), 429);
    assert_eq!(status(other_limit), 200);
    assert_eq!(status(other_limit), 200);
    assert_eq!(status(other_limit), 429);
}

#[test]
fn each_connection_has_the_limit_for_itself_where_it_is_so_configured() {
    let host = host(one_an_hour(
        &json!({"local_rate_limit_per_downstream_connection": true}),
    ));
    let status = |connection: u64| {
        let request = Request::get("/").attribute("connection.id", connection);
        host.exchange(request).run().status()
    };

    assert_eq!(
        [status(1), status(2), status(1), status(2)],
        [200, 200, 429, 429]
    );
}
