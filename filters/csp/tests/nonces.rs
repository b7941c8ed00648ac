//! No nonce is drawn twice.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::collections::HashSet;

use csp::Csp;
use legation_testing::{Host, Request};
use serde_json::json;

/// The nonces that the upstream is told in so many requests, in all different ones.
fn different(requests: usize) -> usize {
    let host = Host::<Csp>::configure(json!({"rules": [
        {"policy": "script-src 'nonce-{nonce}'", "nonce": {"request_header": "x-nonce"}}
    ]}));
    let host = host.unwrap();
    let nonces = (0..requests).map(|_| {
        let exchange = host.exchange(Request::get("/")).run();
        exchange.upstream().header("x-nonce").unwrap().to_owned()
    });
    nonces.collect::<HashSet<_>>().len()
}

#[test]
fn ten_thousand_are_different() {
    assert_eq!(different(10_000), 10_000);
}

mod soak {
    #[test]
    #[ignore = "takes a minute"]
    fn a_million_are_different() {
        assert_eq!(super::different(1_000_000), 1_000_000);
    }
}
