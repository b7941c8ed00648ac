//! Tokens that are bound to a key: by a client's certificate (RFC 8705), by DPoP (RFC 9449).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use legation_tests::jwt::{Claims, Key, base64url, jwks, now};
use legation_tests::{Client, Config, Request, Response, Stage};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tls::Authority;
use super::{ISSUER, bearer, local, ours};

fn key() -> Key {
    Key::p256().with_id("k")
}

/// Envoy with these chains, each of a provider with more settings of its own.
fn config(chains: &[(&str, Value)]) -> Result<Config> {
    let mut config = Config::plain()?;
    for (name, more) in chains {
        let mut provider = json!({"issuer": ISSUER, "local_jwks": local(&jwks(&[&key()]))});
        let all = provider.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        let configuration = json!({
            "providers": {"p": provider},
            "rules": [{"requires": {"provider_name": "p"}}],
        });
        config = config.add_chain(name, &[ours(&configuration)]);
    }
    Ok(config)
}

/// Four workers, and a chain for each way to look at possession.
fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let config = config(&[
            ("default", json!({})),
            ("when_bound", json!({"dpop": {"mode": "when_bound"}})),
            ("required", json!({"dpop": {"mode": "required"}})),
            ("nonce", json!({"dpop": {"mode": "required", "nonce": {}}})),
            (
                "ignored",
                json!({"certificate_bound": {"mode": "ignore"}, "dpop": {"mode": "ignore"}}),
            ),
        ]);
        let config = config.expect("the shipped file is there");
        Stage::start(&config.concurrency(4).shared()).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// A client of one of the chains.
fn client(chain: &str) -> Result<Client> {
    Ok(Client::http1(stage().envoy().listener(chain)?))
}

/// Sends a request, which reaches the upstream if and only if it is answered with 200.
fn send(client: &Client, request: Request) -> Result<Response> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = format!("possession-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let response = client.send(request.id(&id))?;
    let arrived = stage().upstream().with_id(&id);
    assert_eq!(arrived.is_some(), response.status == 200, "{response}");
    Ok(response)
}

fn status(client: &Client, request: Request) -> Result<u16> {
    Ok(send(client, request)?.status)
}

// ── Certificates

#[test]
fn a_token_bound_to_a_certificate_passes_with_that_certificate_alone() -> Result<()> {
    let authority = Authority::new()?;
    let (alice, mallory) = (authority.client("alice")?, authority.client("mallory")?);
    let bound = Claims::of(ISSUER)
        .claim("cnf", json!({"x5t#S256": alice.thumbprint()}))
        .signed_by(&key());
    let unbound = Claims::of(ISSUER).signed_by(&key());
    let socket = authority.listener();
    let config = config(&[
        ("default", json!({})),
        (
            "when_bound",
            json!({"certificate_bound": {"mode": "when_bound"}}),
        ),
        (
            "required",
            json!({"certificate_bound": {"mode": "required"}}),
        ),
    ])?;
    let config = config.edit(|root| {
        for listener in root["static_resources"]["listeners"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            listener["filter_chains"][0]["transport_socket"] = socket.clone();
        }
    });
    let stage = Stage::start(&config.shared())?;
    for (mode, of_unbound) in [("default", 200), ("when_bound", 200), ("required", 401)] {
        let address = stage.envoy().listener(mode)?;
        let status = |client, token: &str| -> Result<u16> {
            let value = format!("Bearer {token}");
            let headers = [("authorization", value.as_str())];
            Ok(authority.get(address, client, "/", &headers)?.0)
        };

        // Again and again: from the cache of tokens too.
        for _ in 0..2 {
            assert_eq!(status(Some(&alice), &bound)?, 200, "{mode}");
            assert_eq!(status(Some(&mallory), &bound)?, 401, "{mode}");
            assert_eq!(status(None, &bound)?, 401, "{mode}");
            assert_eq!(status(Some(&alice), &unbound)?, of_unbound, "{mode}");
            assert_eq!(status(None, &unbound)?, of_unbound, "{mode}");
        }
    }
    Ok(())
}

#[test]
fn a_certificate_that_a_header_speaks_of_is_none() -> Result<()> {
    let authority = Authority::new()?;
    let alice = authority.client("alice")?;
    let bound = Claims::of(ISSUER)
        .claim("cnf", json!({"x5t#S256": alice.thumbprint()}))
        .signed_by(&key());
    let client = client("default")?;
    let request = bearer("/", &bound)
        .header(
            "x-forwarded-client-cert",
            format!("Hash={}", alice.thumbprint()),
        )
        .header("x-ssl-client-sha256", alice.thumbprint());
    assert_eq!(status(&client, request)?, 401);
    let http2 = Client::http2(client.address());
    assert_eq!(http2.send(bearer("/", &bound))?.status, 401);
    Ok(())
}

#[test]
fn a_binding_that_is_ignored_binds_nobody() -> Result<()> {
    let bound = Claims::of(ISSUER)
        .claim("cnf", json!({"x5t#S256": base64url([0; 32])}))
        .signed_by(&key());
    let client = client("ignored")?;
    assert_eq!(status(&client, bearer("/", &bound))?, 200);
    Ok(())
}

#[test]
fn a_binding_that_cannot_be_read_lets_nobody_in() -> Result<()> {
    let client = client("default")?;
    for cnf in [
        json!("x"),
        json!([]),
        json!({"x5t#S256": 1}),
        json!({"x5t#S256": ""}),
        json!({"x5t#S256": "!"}),
        json!({"jkt": 1}),
        json!({"jkt": ""}),
        json!({"jkt": {"a": "b"}}),
    ] {
        let token = Claims::of(ISSUER)
            .claim("cnf", cnf.clone())
            .signed_by(&key());
        assert_eq!(status(&client, bearer("/", &token))?, 401, "{cnf}");
    }
    Ok(())
}

// ── DPoP

/// A proof of this key for a GET of `/`, with this token.
fn proof(token: &str) -> Claims {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Claims::from(json!({
        "htm": "GET",
        "htu": "http://localhost/",
        "iat": now(),
        "jti": format!("proof-{number}"),
        "ath": base64url(Sha256::digest(token)),
    }))
    .header("typ", "dpop+jwt")
}

fn signed(proof: &Claims, holder: &Key) -> String {
    proof.clone().header("jwk", holder.jwk()).signed_by(holder)
}

fn with_proof(token: &str, proof: &str) -> Request {
    Request::get("/")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", proof)
}

fn bound_to(holder: &Key) -> String {
    let cnf = json!({"jkt": holder.thumbprint()});
    Claims::of(ISSUER).claim("cnf", cnf).signed_by(&key())
}

fn challenge(response: &Response) -> String {
    let all = response.headers.all("www-authenticate");
    let all: Vec<_> = all.iter().map(|one| String::from_utf8_lossy(one)).collect();
    all.join(", ")
}

#[test]
fn a_token_bound_to_a_key_passes_with_a_proof_of_that_key() -> Result<()> {
    for mode in ["when_bound", "required"] {
        let client = client(mode)?;
        for holder in [Key::fresh(), Key::rsa(), Key::ed25519(), Key::p384()] {
            let token = bound_to(&holder);
            for _ in 0..2 {
                let request = with_proof(&token, &signed(&proof(&token), &holder));
                let response = send(&client, request)?;
                assert_eq!(response.status, 200, "{mode}, {holder:?}: {response}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_bound_token_without_a_right_proof_does_not_pass() -> Result<()> {
    let client = client("when_bound")?;
    let holder = Key::fresh();
    let mallory = Key::fresh();
    let token = bound_to(&holder);
    let good = || proof(&token);
    let by_holder = |proof: Claims| signed(&proof, &holder);
    let long_ago = now() - 3600;
    let cases: Vec<(&str, String)> = vec![
        ("another key's", signed(&good(), &mallory)),
        (
            "another key's with the holder's jwk",
            good().header("jwk", holder.jwk()).signed_by(&mallory),
        ),
        ("of another method", by_holder(good().claim("htm", "POST"))),
        (
            "of a method in lower case",
            by_holder(good().claim("htm", "get")),
        ),
        (
            "of another path",
            by_holder(good().claim("htu", "http://localhost/other")),
        ),
        (
            "of another host",
            by_holder(good().claim("htu", "http://other.example/")),
        ),
        (
            "of another scheme",
            by_holder(good().claim("htu", "https://localhost/")),
        ),
        ("of no URL", by_holder(good().claim("htu", "/"))),
        (
            "of another token",
            by_holder(good().claim("ath", base64url(Sha256::digest("other")))),
        ),
        ("of no token", by_holder(good().without("ath"))),
        ("without htm", by_holder(good().without("htm"))),
        ("without htu", by_holder(good().without("htu"))),
        ("without iat", by_holder(good().without("iat"))),
        ("without jti", by_holder(good().without("jti"))),
        ("of an hour ago", by_holder(good().claim("iat", long_ago))),
        (
            "of an hour ahead",
            by_holder(good().claim("iat", now() + 3600)),
        ),
        (
            "with a jti that is a number",
            by_holder(good().claim("jti", 1)),
        ),
        ("of another typ", by_holder(good().header("typ", "JWT"))),
        ("without typ", by_holder(good().header("typ", Value::Null))),
        ("without a key", good().signed_by(&holder)),
        ("with a secret for a key", {
            let secret = Key::hmac([9; 32]);
            good().header("jwk", secret.jwk()).signed_by(&secret)
        }),
        ("unsigned", {
            let unsigned = by_holder(good().header("alg", "none"));
            let (input, _) = unsigned.rsplit_once('.').context("three parts")?;
            format!("{input}.")
        }),
        ("that is the token itself", token.clone()),
        ("that is garbage", "garbage".to_owned()),
        ("that is empty", String::new()),
        ("with its private key", {
            let mut jwk = holder.jwk();
            jwk["d"] = json!(base64url([1; 32]));
            good().header("jwk", jwk).signed_by(&holder)
        }),
    ];
    for (what, proof) in cases {
        let response = send(&client, with_proof(&token, &proof))?;
        assert_eq!(response.status, 401, "a proof {what}");
        assert!(challenge(&response).contains("DPoP"), "{what}: {response}");
    }
    // None, two, and the token as a bearer's.
    let without = Request::get("/").header("authorization", format!("DPoP {token}"));
    assert_eq!(status(&client, without)?, 401);
    assert_eq!(status(&client, bearer("/", &token))?, 401);
    let as_bearer = bearer("/", &token).header("dpop", by_holder(good()));
    assert_eq!(status(&client, as_bearer)?, 401);
    let two = with_proof(&token, &by_holder(good())).header("dpop", by_holder(good()));
    assert_eq!(status(&client, two)?, 401);

    assert_eq!(
        status(&client, with_proof(&token, &by_holder(good())))?,
        200
    );
    Ok(())
}

#[test]
fn a_proof_is_good_once_over_all_workers() -> Result<()> {
    let chain = "required";
    let holder = Key::fresh();
    let token = bound_to(&holder);
    for _ in 0..5 {
        let proof = signed(&proof(&token), &holder);
        // Each on a connection of its own, so on any worker.
        let mut passed = 0;
        for _ in 0..8 {
            let status = status(&client(chain)?, with_proof(&token, &proof))?;
            assert!([200, 401].contains(&status));
            passed += u32::from(status == 200);
        }
        assert_eq!(passed, 1);
        // At the same time as well.
        let proof = signed(&self::proof(&token), &holder);
        let requests = vec![with_proof(&token, &proof); 8];
        let answers = client(chain)?.send_all(requests);
        let passed = answers
            .into_iter()
            .filter(|it| matches!(it, Ok(response) if response.status == 200));
        assert_eq!(passed.count(), 1);
    }
    Ok(())
}

#[test]
fn a_proof_is_for_the_path_without_its_query() -> Result<()> {
    let client = client("required")?;
    let holder = Key::fresh();
    let token = bound_to(&holder);
    for (path, htu, expected) in [
        ("/a?b=c", "http://localhost/a", 200),
        ("/a?b=c", "http://localhost/a?b=c", 200),
        ("/a", "http://localhost/a#x", 200),
        ("/a", "HTTP://LOCALHOST/a", 200),
        ("/a", "http://localhost:80/a", 200),
        ("/a", "http://localhost:8080/a", 401),
        ("/a", "http://localhost/A", 401),
        ("/a", "http://localhost/a/", 401),
        ("/a", "http://localhost/a/../b", 401),
        ("/a", "http://user@localhost/a", 401),
    ] {
        let proof = signed(&proof(&token).claim("htu", htu), &holder);
        let request = Request::get(path)
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof);
        assert_eq!(status(&client, request)?, expected, "{path} and {htu}");
    }
    Ok(())
}

#[test]
fn an_unbound_token_needs_no_proof_unless_one_is_required() -> Result<()> {
    let token = Claims::of(ISSUER).signed_by(&key());
    let optional = client("when_bound")?;
    assert_eq!(status(&optional, bearer("/", &token))?, 200);
    let required = client("required")?;
    assert_eq!(status(&required, bearer("/", &token))?, 401);
    // A proof of one's own does not bind a token that is bound to nobody.
    let holder = Key::fresh();
    let request = with_proof(&token, &signed(&proof(&token), &holder));
    assert_eq!(status(&required, request)?, 401);
    Ok(())
}

#[test]
fn a_nonce_is_asked_for_and_taken() -> Result<()> {
    let client = client("nonce")?;
    let holder = Key::fresh();
    let token = bound_to(&holder);

    let refused = send(
        &client,
        with_proof(&token, &signed(&proof(&token), &holder)),
    )?;

    assert_eq!(refused.status, 401);
    assert!(challenge(&refused).contains("use_dpop_nonce"), "{refused}");
    let nonce = refused.headers.text("dpop-nonce").context("a nonce")?;
    let with_nonce = |nonce: &str| signed(&proof(&token).claim("nonce", nonce), &holder);
    assert_eq!(
        status(&client, with_proof(&token, &with_nonce(&nonce)))?,
        200
    );
    assert_eq!(
        status(&client, with_proof(&token, &with_nonce("made-up")))?,
        401
    );
    let mut changed = nonce.clone().into_bytes();
    changed[0] ^= 1;
    let changed = String::from_utf8_lossy(&changed).into_owned();
    assert_eq!(
        status(&client, with_proof(&token, &with_nonce(&changed)))?,
        401
    );
    Ok(())
}

#[test]
fn the_upstream_does_not_get_a_token_that_has_served() -> Result<()> {
    let client = client("required")?;
    let holder = Key::fresh();
    let token = bound_to(&holder);
    let request = with_proof(&token, &signed(&proof(&token), &holder));
    assert_eq!(client.send(request.id("stripped"))?.status, 200);
    let arrived = stage()
        .upstream()
        .with_id("stripped")
        .context("it arrived")?;
    assert!(!arrived.headers.contains("authorization"), "{arrived}");
    Ok(())
}
