//! A service that is asked over HTTP.

use anyhow::Result;
use legation_tests::{Reply, Request};
use serde_json::json;

use super::{World, check, over_http};
use crate::json_post;

#[test]
fn it_is_shown_the_request_as_envoys_own_filter_shows_it() -> Result<()> {
    let world = World::new([(
        "prefixed",
        over_http(&check(&json!({
            "http_service": {
                "path_prefix": "/check",
                "authorization_request": {"headers_to_add": [{"key": "x-api-key", "value": "s3cret"}]},
            },
            "allowed_headers": {"patterns": [{"exact": "x-shown"}, {"exact": "x-api-key"}, {"prefix": "con"}, {"exact": "expect"}]},
        }))),
    )])?;
    let request = Request::new("PUT", "/orders/1?a=b")
        .body("one, ")
        .body("two")
        .host("shop.example")
        .header("authorization", "Bearer t")
        .header("x-shown", "1")
        .header("x-shown", "2")
        .header("x-hidden", "1")
        .header("x-api-key", "mine")
        .header("x-envoy-auth-partial-body", "true")
        .header("content-type", "text/plain");

    let exchange = world.send("prefixed", request)?;

    assert_eq!(exchange.arrived()?.text(), "one, two");
    let asked = world.web.requests().remove(0);
    assert_eq!(asked.method, "PUT");
    assert_eq!(asked.path, "/check/orders/1?a=b");
    assert_eq!(asked.authority, "shop.example");
    assert_eq!(asked.text(), "one, two");
    let text = |name: &str| asked.headers.text(name);
    assert_eq!(text("authorization").as_deref(), Some("Bearer t"));
    assert_eq!(text("content-type").as_deref(), Some("text/plain"));
    assert_eq!(text("content-length").as_deref(), Some("8"));
    assert_eq!(text("x-api-key").as_deref(), Some("s3cret"));
    assert_eq!(text("x-envoy-auth-partial-body").as_deref(), Some("false"));
    assert_eq!(text("x-hidden"), None);
    let shown = asked.headers.iter().filter(|(name, _)| *name == "x-shown");
    assert_eq!(shown.count(), 2);
    Ok(())
}

#[test]
fn its_answer_is_done_and_of_its_headers_what_is_allowed() -> Result<()> {
    let pattern = |name: &str| json!({"patterns": [{"exact": name}]});
    let world = World::new([
        ("plain", over_http(&json!({}))),
        (
            "allowing",
            over_http(&check(&json!({"http_service": {"authorization_response": {
                "allowed_upstream_headers": {"patterns": [{"exact": "x-user"}, {"prefix": "content-"}]},
                "allowed_upstream_headers_to_append": pattern("x-role"),
                "allowed_client_headers": pattern("x-why"),
                "allowed_client_headers_on_success": pattern("x-told"),
            }}}))),
        ),
    ])?;
    let all = |reply: Reply| {
        reply
            .header("x-user", "ann")
            .header("x-role", "new")
            .header("x-why", "so")
            .header("x-told", "yes")
            .header("www-authenticate", "Bearer")
            .header(
                "x-envoy-auth-headers-to-remove",
                "x-gone, authorization,host",
            )
            .body("no")
    };
    world.web.replies(all(Reply::ok()));
    let request = json_post("/", "{}")
        .header("x-user", "forged")
        .header("x-role", "old")
        .header("x-gone", "1");
    for (chain, user, roles, told) in [
        ("plain", "forged", 1, None),
        ("allowing", "ann", 2, Some("yes")),
    ] {
        let exchange = world.send(chain, request.clone())?;
        let arrived = exchange.arrived()?;
        assert_eq!(arrived.text(), "{}");
        assert_eq!(arrived.headers.text("x-user").as_deref(), Some(user));
        let given = arrived.headers.iter().filter(|(name, _)| *name == "x-role");
        assert_eq!(given.count(), roles, "{arrived}");
        assert!(!arrived.headers.contains("x-gone"));
        assert_eq!(arrived.headers.text("content-length").as_deref(), Some("2"));
        assert_eq!(exchange.response.headers.text("x-told").as_deref(), told);
    }
    for status in [201, 204, 301, 401, 403, 429] {
        world.web.replies(all(Reply::status(status)));
        for chain in ["plain", "allowing"] {
            let exchange = world.send(chain, request.clone())?;
            let response = &exchange.response;
            assert_eq!(response.status, status, "{chain}");
            assert!(exchange.received.is_none());
            assert!(response.headers.contains("www-authenticate"));
            assert_eq!(response.headers.text("x-why").as_deref(), Some("so"));
            assert_eq!(response.headers.contains("x-user"), chain == "plain");
            if status > 204 {
                assert_eq!(response.text(), "no");
            }
        }
    }
    Ok(())
}

#[test]
fn without_an_answer_it_fails_closed() -> Result<()> {
    let world = World::new([
        ("closed", over_http(&json!({}))),
        (
            "open",
            over_http(&check(&json!({"failure_mode_allow": true}))),
        ),
    ])?;
    for (what, reply, may_pass) in [
        ("HTTP 500", Reply::status(500), true),
        ("HTTP 503", Reply::status(503), true),
        ("a reset", Reply::reset(), true),
        (
            "half an answer",
            Reply::ok()
                .body("half")
                .pause(std::time::Duration::from_millis(5))
                .cut(),
            true,
        ),
        ("a large one", Reply::ok().body(vec![b'x'; 300_000]), false),
        (
            "a large refusal",
            Reply::status(403).body(vec![b'x'; 300_000]),
            false,
        ),
    ] {
        world.web.replies(reply);
        for (chain, passes) in [("closed", false), ("open", may_pass)] {
            let exchange = world.send(chain, json_post("/", "{}"))?;
            assert_eq!(exchange.received.is_some(), passes, "{chain}: {what}");
            let status = if passes { 200 } else { 403 };
            assert_eq!(exchange.response.status, status, "{chain}: {what}");
        }
    }
    Ok(())
}
