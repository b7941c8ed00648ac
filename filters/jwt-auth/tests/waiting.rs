//! Requests that wait: for keys, and for what an issuer says of their tokens; and
//! tokens that are bound to who may send them.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use jwt_auth::JwtAuth;
use legation_testing::{Callout, Exchange, Host, Request, Response};
use serde_json::{Value, json};
use support::{FAR, ISSUER};

/// The test key p256-a as a JWK, and tokens signed by it.
const JWK: &str = include_str!("support/p256.jwk.json");
const TOKEN: &str = include_str!("support/p256.token");
const BOUND: &str = include_str!("support/p256.bound.token");
/// A token bound to that key, and a proof of its holder for `/orders` at this time.
const KEY_BOUND: &str = include_str!("support/p256.dpop.token");
const PROOF: &str = include_str!("support/p256.dpop.proof");
const PROOF_TIME: u64 = 1_900_000_000;
/// SHA-256 of the certificate that [`BOUND`] is bound to.
const DIGEST: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn bearer(token: &str) -> Request {
    Request::get("/").header("authorization", format!("Bearer {}", token.trim()))
}

fn send(host: &Host<JwtAuth>, token: &str) -> Exchange {
    host.exchange(bearer(token)).run()
}

fn keys(id: &str) -> String {
    let mut key: Value = serde_json::from_str(JWK).unwrap();
    key["kid"] = id.into();
    json!({ "keys": [key] }).to_string()
}

fn remote(more: &Value) -> Value {
    let mut jwks =
        json!({"http_uri": {"uri": "https://a.example/keys", "cluster": "keys", "timeout": "1s"}});
    jwks.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({
        "providers": {"a": {"issuer": ISSUER, "remote_jwks": jwks}},
        "rules": [{"requires": {"provider_name": "a"}}]
    })
}

#[test]
fn a_request_that_comes_before_the_keys_waits_for_them_and_the_next_do_not() {
    let host = Host::<JwtAuth>::new();
    host.set_cluster("keys", |_| {
        let answer = Callout::from(Response::ok().body(keys("e")));
        answer.after(Duration::from_millis(300))
    });
    host.load(remote(&json!({}))).unwrap();

    let first = send(&host, TOKEN);
    let second = send(&host, TOKEN);

    assert_eq!((first.status(), second.status()), (200, 200));
    assert_eq!(host.http_calls().len(), 1);
}

#[test]
fn without_keys_nobody_is_let_in() {
    let host = Host::<JwtAuth>::new();
    host.set_cluster("keys", |_| Response::new(500));
    host.load(remote(&json!({"first_fetch_timeout": "1s"})))
        .unwrap();

    let refused = send(&host, TOKEN);

    assert_eq!(refused.status(), 401);
    assert_eq!(refused.response().text(), "Jwks remote fetch is failed");
}

#[test]
fn a_token_of_a_key_that_is_new_has_the_keys_fetched_anew() {
    let host = Host::<JwtAuth>::new();
    let published = Rc::new(RefCell::new(keys("old")));
    let body = Rc::clone(&published);
    host.set_cluster("keys", move |_| {
        let answer = Callout::from(Response::ok().body(body.borrow().clone()));
        answer.after(Duration::from_millis(10))
    });
    host.load(remote(&json!({}))).unwrap();
    host.run_for(Duration::from_secs(2));

    let unknown = send(&host, TOKEN);
    published.replace(keys("e"));
    host.run_for(Duration::from_secs(11));
    let known = send(&host, TOKEN);

    assert_eq!(unknown.status(), 401);
    assert_eq!(
        unknown.response().text(),
        "Jwks doesn't have key to match kid or alg from Jwt"
    );
    assert_eq!(known.status(), 200);
}

#[test]
fn a_token_is_remembered_for_as_long_as_the_keys_are_those() {
    let host = Host::<JwtAuth>::new();
    let published = Rc::new(RefCell::new(keys("e")));
    let body = Rc::clone(&published);
    host.set_cluster("keys", move |_| {
        let answer = Callout::from(Response::ok().body(body.borrow().clone()));
        answer.after(Duration::from_millis(10))
    });
    host.load(remote(
        &json!({"cache_duration": "10s", "unknown_key_refetch_interval": "1s"}),
    ))
    .unwrap();
    host.run_for(Duration::from_secs(2));
    assert_eq!(send(&host, TOKEN).status(), 200);
    assert_eq!(send(&host, TOKEN).status(), 200);

    // The issuer takes the key back.
    published.replace(keys("other"));
    host.run_for(Duration::from_secs(15));

    assert_eq!(send(&host, TOKEN).status(), 401);
}

fn introspecting(more: &Value) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "introspection": {
            "http_uri": {"uri": "https://a.example/introspect", "cluster": "login", "timeout": "1s"},
            "client_id": "gateway",
            "client_secret": {"inline_string": "s3cret"}
        },
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}]
    });
    provider
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"providers": {"a": provider}, "rules": [{"requires": {"provider_name": "a"}}]})
}

#[test]
fn an_opaque_token_is_asked_about_once() {
    let host = Host::<JwtAuth>::new();
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    host.set_cluster("login", move |call| {
        count.set(count.get() + 1);
        assert_eq!(
            call.headers.text("authorization"),
            Some("Basic Z2F0ZXdheTpzM2NyZXQ=")
        );
        let claims =
            json!({"active": true, "sub": "ann", "iss": ISSUER, "exp": FAR, "scope": "read"});
        Response::ok()
            .header("content-type", "application/json")
            .body(claims.to_string())
    });
    host.load(introspecting(&json!({"required_scopes": ["read"]})))
        .unwrap();

    for _ in 0..2 {
        let exchange = send(&host, "opaque");
        assert_eq!(exchange.status(), 200);
        assert_eq!(exchange.upstream().header("x-user"), Some("ann"));
    }
    assert_eq!(asked.get(), 1);
}

#[test]
fn what_is_said_of_an_opaque_token_is_checked_as_of_any() {
    for (answer, more, status, label) in [
        (json!({"active": false}), json!({}), 401, "inactive"),
        (json!({"active": true, "exp": 1}), json!({}), 401, "expired"),
        (
            json!({"active": true, "iss": "https://b.example"}),
            json!({}),
            401,
            "unknown_issuer",
        ),
        (
            json!({"active": true, "aud": "x"}),
            json!({"audiences": ["api"]}),
            403,
            "audience",
        ),
        (
            json!({"active": true}),
            json!({"required_scopes": ["read"]}),
            403,
            "scope",
        ),
        (json!({"active": "true"}), json!({}), 503, "introspection"),
        (json!("no"), json!({}), 503, "introspection"),
    ] {
        let host = Host::<JwtAuth>::new();
        let body = answer.to_string();
        host.set_cluster("login", move |_| Response::ok().body(body.clone()));
        host.load(introspecting(&more)).unwrap();

        let exchange = send(&host, "opaque");

        assert_eq!(exchange.status(), status, "{answer}");
        assert!(exchange.upstream.is_none(), "{answer}");
        let counter = format!("jwt_auth.refused.provider=a;.reason={label};");
        assert_eq!(exchange.counted(&counter), 1, "{answer}");
    }
}

#[test]
fn an_issuer_that_does_not_answer_lets_nobody_in() {
    for callout in ["reset", "fail", "hang", "500"] {
        let host = Host::<JwtAuth>::new();
        host.set_cluster("login", move |_| match callout {
            "reset" => Callout::reset("connection reset"),
            "fail" => Callout::fail(),
            "hang" => Callout::hang(),
            _ => Response::new(500).into(),
        });
        host.load(introspecting(&json!({}))).unwrap();

        let exchange = send(&host, "opaque");

        assert_eq!(exchange.status(), 503, "{callout}");
        assert_eq!(
            exchange.response().header("www-authenticate"),
            None,
            "{callout}"
        );
    }
}

#[test]
fn a_bound_token_comes_with_its_certificate() {
    let local = json!({
        "providers": {"a": {"issuer": ISSUER, "local_jwks": {"inline_string": keys("e")}}},
        "rules": [{"requires": {"provider_name": "a"}}]
    });
    for (digest, status) in [
        (Some(DIGEST.to_owned()), 200),
        (Some("00".repeat(32)), 401),
        (None, 401),
    ] {
        let host = Host::<JwtAuth>::configure(local.clone()).unwrap();
        if let Some(digest) = &digest {
            host.set_attribute("connection.sha256_peer_certificate_digest", digest.as_str());
        }
        // Remembered or not.
        for _ in 0..2 {
            assert_eq!(send(&host, BOUND).status(), status, "{digest:?}");
        }
    }
}

#[test]
fn a_token_bound_to_a_key_comes_with_a_proof_that_is_good_once() {
    let local = json!({
        "providers": {"a": {"issuer": ISSUER, "local_jwks": {"inline_string": keys("e")}}},
        "rules": [{"requires": {"provider_name": "a"}}]
    });
    let host = Host::<JwtAuth>::new();
    host.set_time(UNIX_EPOCH + Duration::from_secs(PROOF_TIME));
    host.load(local).unwrap();
    let send = |path: &str, scheme: &str, proofs: usize| {
        let authorization = format!("{scheme} {}", KEY_BOUND.trim());
        let request = Request::get(path).header("authorization", authorization);
        let proofs = (0..proofs).map(|_| ("dpop", PROOF.trim()));
        let exchange = host.exchange(request.headers(proofs)).run();
        let challenge = exchange.response().header("www-authenticate");
        (exchange.status(), challenge.unwrap_or("").to_owned())
    };

    let (status, challenge) = send("/orders", "Bearer", 1);
    assert_eq!(status, 401);
    assert!(challenge.starts_with("DPoP "), "{challenge}");
    for (path, proofs, error) in [
        ("/orders", 0, "invalid_dpop_proof"),
        ("/orders", 2, "invalid_dpop_proof"),
        ("/other", 1, "invalid_dpop_proof"),
    ] {
        let (status, challenge) = send(path, "DPoP", proofs);
        assert_eq!(status, 401, "{path} {proofs}");
        assert!(challenge.contains(error), "{challenge}");
    }
    assert_eq!(send("/orders?a=1", "DPoP", 1).0, 200);
    let (status, challenge) = send("/orders", "DPoP", 1);
    assert_eq!(status, 401);
    assert!(challenge.contains("used before"), "{challenge}");
}

#[test]
fn a_proof_is_looked_at_once_however_often_its_request_waits() {
    let host = Host::<JwtAuth>::new();
    host.set_time(UNIX_EPOCH + Duration::from_secs(PROOF_TIME));
    host.set_cluster("keys", |_| {
        let answer = Callout::from(Response::ok().body(keys("e")));
        answer.after(Duration::from_millis(300))
    });
    host.load(json!({
        "providers": {
            "a": {"issuer": ISSUER, "local_jwks": {"inline_string": keys("e")}},
            "b": {
                "issuer": ISSUER,
                "remote_jwks": {"http_uri": {"uri": "https://a.example/keys", "cluster": "keys"}},
                "from_headers": [{"name": "x-b"}]
            }
        },
        "rules": [{"requires": {"requires_all": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}}}]
    }))
    .unwrap();

    let request = Request::get("/orders")
        .header("authorization", format!("DPoP {}", KEY_BOUND.trim()))
        .header("dpop", PROOF.trim())
        .header("x-b", TOKEN.trim());

    assert_eq!(host.exchange(request).run().status(), 200);
}
