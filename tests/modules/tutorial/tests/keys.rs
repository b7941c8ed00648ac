//! What the service says of a key, on the mock host.

#![allow(
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use legation_testing::{Callout, Host, Request, Response};
use serde_json::json;

use tutorial::Tutorial;

fn host() -> Host<Tutorial> {
    let host = Host::configure(json!({ "header": "x-api-key", "cluster": "keys" })).unwrap();
    host.set_cluster("keys", |question| {
        match question.headers.text("x-key").unwrap_or_default() {
            "good" => Callout::from(Response::new(200)),
            "unlucky" => Callout::fail(),
            _ => Callout::from(Response::new(404)),
        }
    });
    host
}

#[test]
fn a_key_is_good_if_the_service_says_so() {
    for (key, status) in [("good", 200), ("bad", 403), ("unlucky", 503)] {
        let exchange = host()
            .exchange(Request::get("/").header("x-api-key", key))
            .run();

        assert_eq!(exchange.status(), status, "{key}");
    }
}

#[test]
fn without_a_key_nobody_is_asked() {
    let host = host();

    assert_eq!(host.exchange(Request::get("/")).run().status(), 401);
    assert!(host.http_calls().is_empty());
}
