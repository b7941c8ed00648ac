//! What operators and upstreams see.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use jwt_auth::JwtAuth;
use legation_testing::{Exchange, Host, Request};
use serde_json::{Value, json};
use support::{FAR, ISSUER, configuration, provider, signed, token};

fn bearer(token: &str) -> Request {
    Request::get("/").header("authorization", format!("Bearer {token}"))
}

fn send(host: &Host<JwtAuth>, token: &str) -> Exchange {
    host.exchange(bearer(token)).run()
}

fn host(configuration: Value) -> Host<JwtAuth> {
    Host::configure(configuration).unwrap()
}

#[test]
fn a_refusal_is_one_line_with_its_reason_and_request_and_without_the_token() {
    let host = host(configuration(&json!({})));
    let hostile = signed(
        &json!({"alg": "HS256"}),
        &json!({"iss": ISSUER}),
        b"another key",
    );

    let exchange = host
        .exchange(bearer(&hostile).header("x-request-id", "the-id"))
        .run();

    let [line] = exchange.log.as_slice() else {
        panic!("{:?}", exchange.log);
    };
    assert_eq!(line.message(), "request refused");
    assert_eq!(line.field("reason").as_deref(), Some("signature"));
    assert_eq!(line.field("provider").as_deref(), Some("a"));
    assert_eq!(line.field("request_id").as_deref(), Some("the-id"));
    for part in hostile.split('.') {
        assert!(!line.text.contains(part), "{}", line.text);
    }
}

#[test]
fn a_token_that_is_remembered_expires_on_time() {
    let host = Host::<JwtAuth>::new();
    host.set_time(UNIX_EPOCH + Duration::from_secs(FAR - 100));
    host.load(configuration(&json!({}))).unwrap();
    let token = token(&json!({}));
    assert_eq!(send(&host, &token).status(), 200);

    // 60 s of skew, and half a second before the end of it: the last tick was long ago.
    host.set_time(UNIX_EPOCH + Duration::from_millis((FAR + 60) * 1000 - 500));
    host.tick();
    assert_eq!(send(&host, &token).status(), 200);
    host.set_time(UNIX_EPOCH + Duration::from_secs(FAR + 60));
    let expired = send(&host, &token);

    assert_eq!(expired.status(), 401);
    assert_eq!(expired.response().text(), "Jwt is expired");
    host.run_for(Duration::from_secs(1));
    assert_eq!(host.counter("jwt_auth.jwt_cache_hit"), 2);
}

#[test]
fn a_token_that_is_remembered_is_for_one_audience_still() {
    let host = host(json!({
        "providers": {"a": provider(&json!({}))},
        "rules": [
            {"match": {"path": "/special"}, "requires": {"provider_and_audiences": {"provider_name": "a", "audiences": ["special"]}}},
            {"requires": {"provider_name": "a"}}
        ]
    }));
    let token = token(&json!({}));
    assert_eq!(send(&host, &token).status(), 200);

    let request = Request::get("/special").header("authorization", format!("Bearer {token}"));
    let exchange = host.exchange(request).run();

    assert_eq!(exchange.status(), 403);
    host.run_for(Duration::from_secs(1));
    assert_eq!(host.counter("jwt_auth.jwt_cache_hit"), 1);
}

#[test]
fn the_cache_holds_as_many_tokens_as_configured_and_none_that_is_longer() {
    let small = json!({"jwt_cache_config": {"jwt_cache_size": 2, "jwt_max_token_size": 250}});
    let host = host(configuration(&small));
    let numbered = |number: u32| token(&json!({"n": number}));
    let long = token(&json!({"text": "x".repeat(200)}));

    for token in [
        numbered(1),
        numbered(2),
        numbered(3),
        // Two are remembered.
        numbered(3),
        numbered(2),
        numbered(1),
        long.clone(),
        long,
    ] {
        assert_eq!(send(&host, &token).status(), 200);
    }

    host.run_for(Duration::from_secs(1));
    assert_eq!(host.counter("jwt_auth.jwt_cache_hit"), 2);
    assert_eq!(host.counter("jwt_auth.jwt_cache_miss"), 6);
}

#[test]
fn without_a_cache_every_token_is_verified() {
    let host = host(configuration(
        &json!({"jwt_cache_config": {"jwt_cache_size": 0}}),
    ));
    for _ in 0..3 {
        assert_eq!(send(&host, &token(&json!({}))).status(), 200);
    }
    host.run_for(Duration::from_secs(1));
    assert_eq!(host.counter("jwt_auth.jwt_cache_hit"), 0);
    assert_eq!(host.counter("jwt_auth.jwt_cache_miss"), 0);
}

#[test]
fn what_servers_take_for_a_trusted_header_is_stripped_as_well() {
    let host = host(configuration(&json!({
        "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}]
    })));
    let request = bearer(&token(&json!({})))
        .header("x_user_id", "root")
        .header("x-user_id", "root")
        .header("x-user-id", "root")
        .header("x-user-ids", "kept");

    let exchange = host.exchange(request).run();

    let upstream = exchange.upstream();
    assert_eq!(upstream.values("x-user-id"), ["ann"]);
    assert_eq!(upstream.values("x_user_id"), Vec::<String>::new());
    assert_eq!(upstream.values("x-user_id"), Vec::<String>::new());
    assert_eq!(upstream.values("x-user-ids"), ["kept"]);
}

#[test]
fn a_request_passes_under_each_way_in_which_servers_read_its_path() {
    let host = host(json!({
        "providers": {"a": provider(&json!({}))},
        "rules": [
            {"match": {"path": {"prefix": "/public/"}}, "disabled": true},
            {"requires": {"provider_name": "a"}}
        ]
    }));
    let status = |path: &str| host.exchange(Request::get(path)).run().status();

    assert_eq!(status("/public/a%20b?x=..;"), 200);
    for path in [
        "/public/../secret",
        "/public/..;/secret",
        "/public/..%2fsecret",
        "/public/%2e%2e;/secret",
        "/public%2f..%2fsecret",
        "/public/..%252fsecret",
        "//secret",
        "/secret/public/",
    ] {
        assert_eq!(status(path), 401, "{path}");
    }
    let request = Request::get("/public/..;/secret");
    let token = format!("Bearer {}", token(&json!({})));
    assert_eq!(
        host.exchange(request.header("authorization", token))
            .run()
            .status(),
        200
    );
}

#[test]
fn reasons_and_payloads_are_left_in_filter_state() {
    let host = host(json!({
        "providers": {"a": provider(&json!({
            "payload_in_filter_state": "payload",
            "header_in_filter_state": "header",
            "failed_status_in_filter_state": "failed"
        }))},
        "rules": [{"requires": {"allow_missing_or_failed": {}}}]
    }));
    let set = |exchange: &Exchange| exchange.calls().count("proxy_set_property");

    assert_eq!(set(&send(&host, &token(&json!({})))), 2);
    assert_eq!(set(&send(&host, "none")), 1);
}
