//! Which key of a set verifies.

use anyhow::Result;
use legation_tests::jwt::{Claims, Key};
use serde_json::{Value, json};

use super::reasons::{EMPTY_ID, NO_CURVE, USE};
use super::{Group, case};
use crate::{ISSUER, bearer, local, rule};

/// A JWK with more members, or without one that is null.
fn with(key: &Key, members: Value) -> Value {
    let mut jwk = key.jwk();
    let all = jwk.as_object_mut().expect("a JWK is an object");
    all.extend(members.as_object().expect("members").clone());
    all.retain(|_, value| !value.is_null());
    jwk
}

pub(super) fn group() -> Group {
    let rsa = Key::rsa().with_id("a");
    let other = Key::other_rsa().with_id("b");
    let ec = Key::p256().with_id("a");
    let plain = Key::rsa();
    let claims = || Claims::of(ISSUER);
    let mut providers = serde_json::Map::new();
    let mut rules = Vec::new();
    let mut cases = Vec::new();
    // A key set, a token, and what Envoy's filter says.
    let mut add = |name: &'static str, keys: Vec<Value>, token: String, status: u16| {
        let path = format!("/{}/", providers.len());
        let set = json!({"keys": keys});
        providers.insert(name.to_owned(), json!({"local_jwks": local(&set)}));
        rules.push(rule(&path, name));
        cases.push((case(name, bearer(&path, &token)).both(status), None));
        cases.len() - 1
    };
    add(
        "the key that `kid` names",
        vec![rsa.jwk(), other.jwk()],
        claims().signed_by(&other),
        200,
    );
    add(
        "the key of another `kid`",
        vec![rsa.jwk(), other.jwk()],
        claims().header("kid", "a").signed_by(&other),
        401,
    );
    add(
        "a `kid` that no key has",
        vec![rsa.jwk(), other.jwk()],
        claims().header("kid", "c").signed_by(&rsa),
        401,
    );
    add(
        "no `kid`, the first of two keys",
        vec![rsa.jwk(), other.jwk()],
        claims().signed_by(&Key::rsa()),
        200,
    );
    add(
        "no `kid`, the second of two keys",
        vec![rsa.jwk(), other.jwk()],
        claims().signed_by(&Key::other_rsa()),
        200,
    );
    add(
        "no `kid`, no key of the set",
        vec![rsa.jwk()],
        claims().signed_by(&Key::other_rsa()),
        401,
    );
    let empty = add(
        "an empty `kid`",
        vec![rsa.jwk(), other.jwk()],
        claims().header("kid", "").signed_by(&other),
        200,
    );
    add(
        "a `kid` where the keys have none",
        vec![plain.jwk()],
        claims().signed_by(&rsa),
        200,
    );
    add(
        "`kid` in another case",
        vec![rsa.jwk()],
        claims().header("kid", "A").signed_by(&rsa),
        401,
    );
    add(
        "two keys of one `kid`, the first",
        vec![rsa.jwk(), ec.jwk()],
        claims().signed_by(&rsa),
        200,
    );
    add(
        "two keys of one `kid`, the second",
        vec![rsa.jwk(), ec.jwk()],
        claims().signed_by(&ec),
        200,
    );
    add(
        "two RSA keys of one `kid`",
        vec![rsa.jwk(), other.clone().with_id("a").jwk()],
        claims().header("kid", "a").signed_by(&other),
        200,
    );
    add(
        "the key's `alg`",
        vec![with(&rsa, json!({"alg": "RS384"}))],
        claims().signed_as(&rsa, "RS384"),
        200,
    );
    add(
        "not the key's `alg`",
        vec![with(&rsa, json!({"alg": "RS384"}))],
        claims().signed_as(&rsa, "RS256"),
        401,
    );
    add(
        "not the key's `alg`, PSS",
        vec![with(&rsa, json!({"alg": "RS256"}))],
        claims().signed_as(&rsa, "PS256"),
        401,
    );
    add(
        "one key twice, by two `alg`",
        vec![
            with(&rsa, json!({"alg": "RS256"})),
            with(&rsa, json!({"alg": "PS256"})),
        ],
        claims().signed_as(&rsa, "PS256"),
        200,
    );
    add(
        "`use` sig",
        vec![with(&rsa, json!({"use": "sig"}))],
        claims().signed_by(&rsa),
        200,
    );
    let first = add(
        "`use` enc",
        vec![with(&rsa, json!({"use": "enc"})), other.jwk()],
        claims().signed_by(&rsa),
        200,
    );
    add(
        "`key_ops` verify",
        vec![with(&rsa, json!({"key_ops": ["verify"]}))],
        claims().signed_by(&rsa),
        200,
    );
    let second = add(
        "`key_ops` encrypt",
        vec![with(&rsa, json!({"key_ops": ["encrypt"]})), other.jwk()],
        claims().signed_by(&rsa),
        200,
    );
    add(
        "beside a key of an unknown type",
        vec![
            json!({"kty": "AKP", "kid": "a", "alg": "ML-DSA-44", "pub": "AAAA"}),
            rsa.jwk(),
        ],
        claims().signed_by(&rsa),
        200,
    );
    add(
        "beside a key that is broken",
        vec![
            json!({"kty": "RSA", "kid": "a", "n": "!", "e": "AQAB"}),
            rsa.jwk(),
        ],
        claims().signed_by(&rsa),
        200,
    );
    add(
        "beside something that is no key",
        vec![json!({"kid": "a"}), rsa.jwk()],
        claims().signed_by(&rsa),
        200,
    );
    add(
        "HS256 beside an RSA key",
        vec![rsa.jwk(), Key::hmac([5; 32]).with_id("s").jwk()],
        claims().signed_by(&Key::hmac([5; 32]).with_id("s")),
        200,
    );
    let no_curve = add(
        "a P-256 key without `crv`",
        vec![with(&ec, json!({"crv": null, "alg": "ES256"})), rsa.jwk()],
        claims().signed_by(&ec),
        200,
    );
    add(
        "members that nobody knows",
        vec![with(
            &rsa,
            json!({"ext": true, "x5t": "AAAA", "x-own": {"a": 1}}),
        )],
        claims().signed_by(&rsa),
        200,
    );
    add(
        "e of 3 bytes, and of 4",
        vec![with(&rsa, json!({"e": "AAEAAQ"}))],
        claims().signed_by(&rsa),
        200,
    );
    for (at, reason) in [
        (first, USE),
        (second, USE),
        (empty, EMPTY_ID),
        (no_curve, NO_CURVE),
    ] {
        cases[at].1 = Some(reason);
    }
    let cases = cases.into_iter().map(|(case, reason)| match reason {
        Some(reason) => case.but(401, reason),
        None => case,
    });
    let cases = cases.collect();
    Group::new(json!({"providers": providers, "rules": rules}), cases)
}

#[test]
fn which_key_of_a_set_verifies() -> Result<()> {
    group().run()
}
