//! The minter and the issuer of the harness, tried on Envoy's own filter.

use std::time::Duration;

use anyhow::Result;
use legation_tests::jwt::{Claims, Endpoint, Issuer, Key, Mode, hostile, jwks};
use legation_tests::{Config, Request, Stage};
use serde_json::{Value, json};

use super::{ISSUER, local, native};

fn bearer(token: &str) -> Request {
    Request::get("/").header("authorization", format!("Bearer {token}"))
}

fn with_provider(provider: &Value) -> Result<Config> {
    let configuration = json!({
        "providers": {"p": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
    });
    Ok(Config::plain()?.insert_filter(native(&configuration)))
}

fn keys() -> Vec<(Key, &'static [&'static str])> {
    let secret = Key::hmac([7; 64]).with_id("secret");
    vec![
        (
            Key::rsa().with_id("rsa"),
            &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        ),
        (Key::long_rsa().with_id("long"), &["RS256", "PS512"]),
        (Key::p256().with_id("p256"), &["ES256"]),
        (Key::fresh().with_id("fresh"), &["ES256"]),
        (Key::p384().with_id("p384"), &["ES384"]),
        (Key::p521().with_id("p521"), &["ES512"]),
        (Key::ed25519().with_id("ed"), &["EdDSA"]),
        (secret, &["HS256", "HS384", "HS512"]),
    ]
}

#[test]
fn envoy_accepts_what_every_key_signs() -> Result<()> {
    let keys = keys();
    let set = jwks(&keys.iter().map(|(key, _)| key).collect::<Vec<_>>());
    let stage = Stage::start(&with_provider(&json!({"local_jwks": local(&set)}))?)?;

    for (key, algorithms) in &keys {
        for algorithm in *algorithms {
            let token = Claims::of(ISSUER).signed_as(key, algorithm);
            assert_eq!(stage.send(bearer(&token))?.status, 200, "{algorithm}");
            // The same of another's claims.
            let other = Claims::of(ISSUER).claim("sub", "mallory");
            let (input, signature) = token.rsplit_once('.').expect("three parts");
            let (header, _) = input.split_once('.').expect("three parts");
            let other = other.signed_as(key, algorithm);
            let payload = other.split('.').nth(1).expect("three parts");
            let forged = format!("{header}.{payload}.{signature}");
            assert_eq!(stage.send(bearer(&forged))?.status, 401, "{algorithm}");
        }
    }
    Ok(())
}

#[test]
fn a_thumbprint_is_of_the_key_alone() {
    let print = Key::ed25519().thumbprint();
    assert_eq!(print.len(), 43, "SHA-256 in base64url");
    assert_ne!(print, Key::other_ed25519().thumbprint());
    assert_eq!(print, Key::ed25519().with_id("other").thumbprint());
}

#[test]
fn hostile_tokens_have_names_of_their_own_and_differ_from_the_good_one() {
    let claims = Claims::of(ISSUER);
    let key = Key::rsa().with_id("rsa");
    let good = claims.signed_by(&key);
    let all = hostile(&claims, &key);
    assert!(all.len() > 60, "{}", all.len());
    assert!(all.iter().all(|one| one.token != good));
}

#[test]
fn an_issuer_serves_rotates_counts_and_fails() -> Result<()> {
    let first = Key::p256().with_id("first");
    let second = Key::fresh().with_id("second");
    let mut issuer = Issuer::start(ISSUER, &[&first])?;
    let mut provider = json!({
        "issuer": ISSUER,
        "remote_jwks": {"http_uri": issuer.jwks_uri("issuer"), "cache_duration": "0.001s"},
    });
    provider["remote_jwks"]["http_uri"]["timeout"] = json!("1s");
    let config = with_provider(&provider)?.add_endpoint("issuer", issuer.address());
    let stage = Stage::start(&config)?;
    let status = |key: &Key| -> Result<u16> {
        let token = Claims::of(ISSUER).signed_by(key);
        Ok(stage.send(bearer(&token))?.status)
    };

    assert_eq!(status(&first)?, 200);
    assert_eq!(issuer.key_fetches(), 1);
    assert_eq!(status(&second)?, 401);
    issuer.publish(&[&second]);
    assert_eq!(status(&second)?, 200);

    for mode in [
        Mode::Hang,
        Mode::Die,
        Mode::Status(500),
        Mode::Garbage,
        Mode::Html,
        Mode::Empty,
        Mode::Nonsense,
        Mode::Cut,
        Mode::Redirect("http://127.0.0.1:1/jwks".to_owned()),
        Mode::Slow(Duration::from_secs(2)),
    ] {
        issuer.set_one(Endpoint::Keys, mode.clone());
        assert_eq!(status(&second)?, 401, "{mode:?}");
    }
    issuer.set(Mode::Huge(10 << 20));
    assert_eq!(status(&second)?, 200);

    let count = issuer.key_fetches();
    issuer.stop();
    assert_eq!(status(&second)?, 401);
    assert_eq!(issuer.key_fetches(), count);
    issuer.restart()?;
    issuer.set(Mode::Well);
    assert_eq!(status(&second)?, 200);
    assert_eq!(issuer.key_fetches(), count + 1);
    Ok(())
}
