//! Numbers used once.

use std::collections::HashSet;

use anyhow::{Context, Result};
use legation_tests::{Config, Request, Stage};
use serde_json::json;

use super::{FILTER, POLICY, assert_unharmed, nonce, page, start};

#[test]
fn no_two_responses_of_four_workers_have_the_same_nonce() -> Result<()> {
    let config = Config::with_filter(
        FILTER,
        json!({"rules": [{"policy": "script-src 'nonce-{nonce}'", "nonce": {"request_header": "x-nonce"}}]}),
    )?;
    let stage = Stage::start(&config.concurrency(4))?;
    stage.upstream().answer(|_| page(""));

    let mut seen = HashSet::new();
    for _ in 0..50 {
        let requests = (0..100).map(|_| Request::get("/")).collect();
        for response in stage.client().send_all(requests) {
            let nonce = nonce(&response?.headers).context("a nonce")?;
            assert_eq!(nonce.len(), 24);
            assert!(seen.insert(nonce));
        }
    }
    assert_eq!(seen.len(), 5_000);
    assert_unharmed(&stage)
}

#[test]
fn a_clients_own_nonce_reaches_no_upstream() -> Result<()> {
    let stage = start(&json!({"rules": [
        {"when": {"path": {"prefix": "/plain/"}}, "policy": "default-src 'self'"},
        {"when": {"path": {"prefix": "/none/"}}, "disabled": true},
        {"policy": "script-src 'nonce-{nonce}'", "nonce": {"request_header": "x-nonce"}}
    ]}))?;
    stage.upstream().answer(|_| page(""));
    for path in ["/plain/x", "/none/x", "/x"] {
        let exchange = stage.exchange(Request::get(path).header("x-nonce", "forged"))?;
        let told = exchange.arrived()?.headers.all("x-nonce").concat();
        assert!(!told.starts_with(b"forged"), "{path}");
        assert_eq!(told.is_empty(), path != "/x");
    }
    assert_unharmed(&stage)
}

#[test]
fn a_page_with_a_nonce_is_kept_by_no_cache() -> Result<()> {
    let stage = start(&json!({"rules": [
        {"policy": "script-src 'nonce-{nonce}'", "nonce": {"request_header": "x-nonce"}}
    ]}))?;
    let cacheable = || {
        page("x")
            .header("cache-control", "public, max-age=3600")
            .header("etag", "\"1\"")
            .header("last-modified", "Sat, 21 Nov 2026 00:00:00 GMT")
            .header("expires", "Sun, 22 Nov 2026 00:00:00 GMT")
    };
    stage.upstream().enqueue(cacheable());
    let response = stage.send(Request::get("/"))?;
    assert_eq!(response.headers.all("cache-control"), [b"no-store"]);
    for name in ["etag", "last-modified", "expires"] {
        assert!(!response.headers.contains(name), "{name}");
    }
    // What has none is cached as it was.
    stage
        .upstream()
        .enqueue(cacheable().header("content-type", "x"));
    assert!(response.headers.contains(POLICY));
    stage.upstream().forget();

    let plain = start(&json!({"rules": [{"policy": "default-src 'self'"}]}))?;
    plain.upstream().enqueue(cacheable());
    let response = plain.send(Request::get("/"))?;
    assert_eq!(
        response.headers.text("cache-control").as_deref(),
        Some("public, max-age=3600")
    );
    assert!(response.headers.contains("etag"));
    assert_unharmed(&stage)
}
