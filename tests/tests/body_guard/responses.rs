//! What comes from the upstream.

use std::time::Duration;

use anyhow::Result;
use legation_tests::{Reply, Request};
use serde_json::{Value, json};

use super::{assert_unharmed, gzip, reason, shared};

/// A record of a long list. Its comma is the next one's.
const RECORD: &str = r#"{"id": 12345, "card": "4111 1111 1111 1111", "iban":"DE89370400440532013000", "note": "call \u0061nn, pay with 5500-0000-0000-0004 \u20ac", "password" : {"hash": "x"}, "ok":true}"#;
const MASKED: &str = r#"{"id": 12345, "card": "***1111", "iban":"***", "note": "call \u0061nn, pay with ***0004 \u20ac", "ok":true}"#;
const RECORDS: usize = 30_000;

pub(super) fn rules() -> Vec<Value> {
    let redact = json!([
        {"path": "$[*].iban", "replacement": "***"},
        {"path": "$..password", "action": "remove"},
        {"preset": "credit_card", "replacement": "***", "keep_last": 4}
    ]);
    vec![
        json!({"match": {"path": {"prefix": "/list"}}, "response": {"redact": redact}}),
        json!({"match": {"path": {"prefix": "/strict"}}, "response": {"max_bytes": 1_000, "json": {}}}),
        json!({"match": {"path": {"prefix": "/text"}}, "response": {"redact": [{"preset": "credit_card", "replacement": "***"}]}}),
    ]
}

fn list(records: usize, record: &str) -> String {
    format!("[{}]", vec![record; records].join(","))
}

pub(super) fn answer(path: &str) -> Option<Reply> {
    let json = || Reply::ok().header("content-type", "application/json");
    let text = || Reply::ok().header("content-type", "text/plain");
    Some(match path {
        "/list/long" => {
            let body = list(RECORDS, RECORD);
            let pieces = body.as_bytes().chunks(61_003);
            pieces.fold(json(), Reply::body)
        }
        "/list/slow" => {
            let body = list(2, RECORD);
            let pieces = body.as_bytes().chunks(7);
            pieces.fold(
                json().header("etag", "\"1\"").header("repr-digest", "x"),
                |reply, piece| reply.body(piece).pause(Duration::from_millis(1)),
            )
        }
        "/list/gzip" => json()
            .header("content-encoding", "gzip")
            .body(gzip(list(100, RECORD).as_bytes()).ok()?),
        "/list/bomb" => json()
            .header("content-encoding", "gzip")
            .body(gzip(format!("[\"{}\"]", "a".repeat(3_000_000)).as_bytes()).ok()?),
        "/list/trailers" => json().body(list(1, RECORD)).trailer("x-t", "1"),
        "/list/half" => json().body(&RECORD[..40]),
        "/list/page" => Reply::ok()
            .header("content-type", "text/html")
            .body("4111111111111111"),
        "/list/reset" => Reply::reset(),
        "/strict/stated" => json().body(format!("{:1001}", 1)),
        "/strict/chunked" => json()
            .body(format!("{:600}", 1))
            .pause(Duration::from_millis(20))
            .body(format!("{:600}", "")),
        "/text/whole" => text().body("card 4111111111111111\n").trailer("x-t", "1"),
        "/text/half" => text().body("card 4111111111111111").trailer("x-t", "1"),
        _ => return None,
    })
}

#[test]
fn five_megabytes_are_masked_while_they_flow_in_bounded_memory() -> Result<()> {
    let stage = shared()?;
    let memory = || stage.admin().stat("server.memory_allocated");
    // What is kept for requests to come is there after the first.
    stage.send(Request::get("/list/slow"))?;
    let before = memory()?;

    let response = stage.send(Request::get("/list/long"))?;

    assert_eq!(response.status, 200);
    assert!(RECORDS * RECORD.len() > 5_000_000);
    // Not by assert_eq: nobody reads a difference of megabytes.
    assert!(response.body == list(RECORDS, MASKED).as_bytes());
    if let (Some(before), Some(after)) = (before, memory()?) {
        assert!(
            after < before + 8_000_000,
            "{before} bytes before, {after} after"
        );
    }
    assert_unharmed(stage)
}

#[test]
fn what_is_masked_says_no_more_what_it_was() -> Result<()> {
    let stage = shared()?;
    for response in [
        stage.send(Request::get("/list/slow").header("accept-encoding", "br"))?,
        stage.send_http2(Request::get("/list/slow"))?,
    ] {
        assert_eq!(response.text(), list(2, MASKED));
        for name in ["etag", "repr-digest", "content-length"] {
            assert!(!response.headers.contains(name), "{name}");
        }
    }
    let response = stage.send(Request::get("/list/trailers").header("te", "trailers"))?;
    assert_eq!(response.text(), list(1, MASKED));
    let exchange = stage.exchange(
        Request::get("/list/slow")
            .header("accept-encoding", "br, gzip")
            .header("range", "bytes=0-9"),
    )?;
    let arrived = &exchange.arrived()?.headers;
    assert_eq!(arrived.text("accept-encoding").as_deref(), Some("identity"));
    assert!(!arrived.contains("range"));
    assert_unharmed(stage)
}

#[test]
fn a_compressed_response_is_read_and_a_bomb_is_cut_off() -> Result<()> {
    let stage = shared()?;
    let response = stage.send(Request::get("/list/gzip"))?;
    assert_eq!(response.text(), list(100, MASKED));
    assert!(!response.headers.contains("content-encoding"));

    let bomb = stage.send(Request::get("/list/bomb"));
    assert!(bomb.is_err(), "{bomb:?}");
    assert_unharmed(stage)
}

#[test]
fn what_cannot_be_read_does_not_pass() -> Result<()> {
    let stage = shared()?;
    let page = stage.send(Request::get("/list/page"))?;
    assert_eq!(page.status, 502);
    assert_eq!(reason(&page)?, "content_type");
    assert!(!page.text().contains("4111"));
    // The headers are gone when it is seen to be no JSON.
    let half = stage.send(Request::get("/list/half"));
    assert!(half.is_err(), "{half:?}");
    let half = stage.send_http2(Request::get("/list/half"));
    assert!(half.is_err(), "{half:?}");
    // What Envoy answers by itself is no response of the upstream's.
    let reset = stage.send(Request::get("/list/reset"))?;
    assert_eq!(reset.status, 503, "{reset}");
    assert_unharmed(stage)
}

#[test]
fn a_line_without_an_end_is_cut_off_where_trailers_follow_it() -> Result<()> {
    let stage = shared()?;
    let whole = stage.send(Request::get("/text/whole").header("te", "trailers"))?;
    assert_eq!(whole.text(), "card ***\n");
    let half = stage.send(Request::get("/text/half").header("te", "trailers"));
    assert!(half.is_err(), "{half:?}");
    let name = "wasmcustom.body_guard.refused.direction=response;.reason=trailers;";
    assert_eq!(stage.admin().stat(name)?, Some(1));
    assert_unharmed(stage)
}

#[test]
fn a_response_that_is_too_large_is_replaced_or_cut_off() -> Result<()> {
    let stage = shared()?;
    let stated = stage.send(Request::get("/strict/stated"))?;
    assert_eq!(stated.status, 502);
    assert_eq!(reason(&stated)?, "too_large");
    let chunked = stage.send(Request::get("/strict/chunked"));
    assert!(chunked.is_err(), "{chunked:?}");
    assert_unharmed(stage)
}
