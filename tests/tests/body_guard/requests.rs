//! What goes to the upstream.

use std::time::Duration;

use anyhow::Result;
use legation_tests::{DEADLINE, RawConnection, Request};
use serde_json::{Value, json};

use super::{assert_unharmed, gzip, json_post, reason, shared};

pub(super) fn rules() -> Vec<Value> {
    vec![
        json!({"match": {"path": "/capped"}, "request": {"max_bytes": 100_000}}),
        json!({"match": {"path": "/json"}, "request": {"max_bytes": 100_000, "json": {}}}),
        json!({"match": {"path": "/deep"}, "request": {"json": {"max_depth": 1_024}}}),
        json!({"match": {"path": "/masked"}, "request": {"redact": [{"path": "$.card", "keep_last": 4}]}}),
        json!({"match": {"path": "/searched"}, "request": {"redact": [{"pattern": "a(.*b)?"}]}}),
        json!({"match": {"path": "/watched"}, "mode": "report", "request": {"max_bytes": 1_000, "json": {}}}),
    ]
}

#[test]
fn a_size_that_is_stated_is_refused_before_the_body_comes() -> Result<()> {
    let stage = shared()?;
    for path in ["/capped", "/json"] {
        let mut raw = RawConnection::open(stage.client().address())?;
        let head = format!(
            "POST {path}?stated HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100001\r\n\r\n"
        );
        raw.send(head.as_bytes())?;

        let answer = raw.read_until(b"\r\n\r\n")?;

        assert!(answer.starts_with(b"HTTP/1.1 413"), "{path}");
        let paths = stage.upstream().requests().into_iter().map(|one| one.path);
        assert!(!paths.into_iter().any(|one| one == format!("{path}?stated")));
    }
    assert_unharmed(stage)
}

#[test]
fn what_grows_too_large_never_reaches_the_upstream_whole() -> Result<()> {
    let stage = shared()?;
    let pieces = |path: &str| {
        let mut request = Request::new("POST", path).header("content-type", "application/json");
        for _ in 0..6 {
            request = request.body([b' '; 20_000]).pause(Duration::from_millis(5));
        }
        request
    };
    let held = stage.exchange(pieces("/json"))?;
    assert_eq!(held.response.status, 413, "{}", held.response);
    assert_eq!(reason(&held.response)?, "too_large");
    assert!(held.received.is_none());

    // One that is only measured flows; the upstream sees that it is broken off.
    let flowing = stage.send_http2(pieces("/capped").id("flowing"))?;
    assert_eq!(flowing.status, 413, "{flowing}");
    let seen = stage
        .upstream()
        .wait_for("a request that is broken off", DEADLINE, |one| {
            one.id().as_deref() == Some("flowing")
        })?;
    assert!(!seen.complete, "{} bytes", seen.body.len());
    assert!(seen.body.len() <= 100_000, "{} bytes", seen.body.len());
    assert_unharmed(stage)
}

#[test]
fn what_is_as_large_as_it_may_be_passes() -> Result<()> {
    let stage = shared()?;
    let body = format!("1{}", " ".repeat(99_999));
    for path in ["/capped", "/json"] {
        let exchange = stage.exchange(json_post(path, &body))?;
        assert_eq!(exchange.response.status, 200, "{}", exchange.response);
        assert_eq!(exchange.arrived()?.body, body.as_bytes());
        let exchange = stage.exchange_http2(json_post(path, &body).body("").trailer("x-t", "1"))?;
        assert_eq!(exchange.arrived()?.body, body.as_bytes());
    }
    assert_unharmed(stage)
}

#[test]
fn what_is_no_strict_json_is_refused() -> Result<()> {
    let stage = shared()?;
    for (body, expected) in [
        (&b"{\"a\":1"[..], "invalid_json"),
        (b"{\"a\":01}", "invalid_json"),
        (b"{'a':1}", "invalid_json"),
        (b"\"\xff\"", "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b"{} {}", "invalid_json"),
        (b"{\"a\":1,\"\\u0061\":2}", "duplicate_name"),
    ] {
        let exchange = stage.exchange(json_post("/json", body))?;
        assert_eq!(exchange.response.status, 400, "{}", exchange.response);
        assert_eq!(reason(&exchange.response)?, expected);
        assert!(exchange.received.is_none());
    }
    assert_unharmed(stage)
}

#[test]
fn nesting_a_million_deep_is_refused_and_costs_no_stack() -> Result<()> {
    let stage = shared()?;
    for body in ["[".repeat(1_000_000), "{\"a\":".repeat(199_999)] {
        let exchange = stage.exchange(json_post("/deep", body))?;
        assert_eq!(exchange.response.status, 400, "{}", exchange.response);
        assert_eq!(reason(&exchange.response)?, "json_limit");
        assert!(exchange.received.is_none());
    }
    assert_unharmed(stage)
}

#[test]
fn a_compressed_request_goes_on_as_it_was_read_and_a_bomb_does_not() -> Result<()> {
    let stage = shared()?;
    let send = |body: &[u8]| {
        let body = gzip(body)?;
        assert!(body.len() < 20_000);
        stage.exchange(json_post("/json", body).header("content-encoding", "gzip"))
    };
    let good = send(br#"{ "a" : [1, 2.50] }"#)?;
    assert_eq!(good.response.status, 200, "{}", good.response);
    let arrived = good.arrived()?;
    assert_eq!(arrived.text(), r#"{ "a" : [1, 2.50] }"#);
    assert!(!arrived.headers.contains("content-encoding"));
    assert_eq!(
        arrived.headers.text("content-length").as_deref(),
        Some("19")
    );

    let bomb = send(format!("\"{}\"", "a".repeat(1_000_000)).as_bytes())?;
    assert_eq!(bomb.response.status, 413, "{}", bomb.response);
    assert!(bomb.received.is_none());
    let unknown = json_post("/json", "{}").header("content-encoding", "zstd");
    let unknown = stage.exchange(unknown)?;
    assert_eq!(unknown.response.status, 415, "{}", unknown.response);
    assert!(unknown.received.is_none());
    assert_unharmed(stage)
}

#[test]
fn a_value_is_masked_before_it_goes_on() -> Result<()> {
    let stage = shared()?;
    let body = r#"{"card": "4111111111111111", "to": "a"}"#;
    let masked = r#"{"card": "[redacted]1111", "to": "a"}"#;
    let requests = [
        json_post("/masked", body),
        // In chunks, cut in the middle of it.
        json_post("/masked", &body[..15])
            .pause(Duration::from_millis(20))
            .body(&body[15..]),
    ];
    for request in requests {
        let exchange = stage.exchange(request.clone())?;
        assert_eq!(exchange.arrived()?.text(), masked);
        let exchange = stage.exchange_http2(request)?;
        assert_eq!(exchange.arrived()?.text(), masked);
    }
    assert_unharmed(stage)
}

#[test]
fn in_report_mode_all_passes_and_is_counted() -> Result<()> {
    let stage = shared()?;
    let count = "wasmcustom.body_guard.reported.direction=request;.reason=";
    for (body, reason) in [
        ("{".to_owned(), "invalid_json"),
        (format!("{:2000}", 1), "too_large"),
    ] {
        let exchange = stage.exchange(json_post("/watched", &body))?;
        assert_eq!(exchange.response.status, 200, "{}", exchange.response);
        assert_eq!(exchange.arrived()?.text(), body);
        let counter = format!("{count}{reason};");
        stage
            .admin()
            .wait_for_stat(&counter, DEADLINE, |count| count == 1)?;
    }
    assert_unharmed(stage)
}

#[test]
fn a_text_that_would_take_minutes_to_look_through_is_refused() -> Result<()> {
    let stage = shared()?;
    let response = stage.send(json_post(
        "/searched",
        json!("a".repeat(900_000)).to_string(),
    ))?;
    assert_eq!(response.status, 403, "{response}");
    assert_eq!(reason(&response)?, "denied");
    let exchange = stage.exchange(json_post("/searched", json!("aaa").to_string()))?;
    let masked = json!("[redacted]".repeat(3)).to_string();
    assert_eq!(exchange.arrived()?.text(), masked);
    assert_unharmed(stage)
}
