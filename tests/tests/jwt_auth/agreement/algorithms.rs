//! Every algorithm over every key.

use anyhow::Result;
use legation_tests::jwt::{Claims, Key, jwks};
use serde_json::json;

use super::reasons::{ALGORITHM, SHORT_SECRET};
use super::{Case, Group, case};
use crate::{ISSUER, bearer, local, rule};

const ALGORITHMS: &[&str] = &[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256",
    "HS384", "HS512", "EdDSA",
];

/// A key under its name, and the algorithms that it is for.
fn asymmetric() -> Vec<(Key, &'static [&'static str])> {
    vec![
        (Key::rsa().with_id("RSA"), &ALGORITHMS[..6]),
        (Key::p256().with_id("P-256"), &["ES256"]),
        (Key::p384().with_id("P-384"), &["ES384"]),
        (Key::p521().with_id("P-521"), &["ES512"]),
        (Key::ed25519().with_id("Ed25519"), &["EdDSA"]),
    ]
}

fn secrets() -> Vec<(Key, &'static [&'static str])> {
    vec![
        (
            Key::hmac([1; 32]).with_id("a secret of 32 bytes"),
            &["HS256"],
        ),
        (
            Key::hmac([2; 48]).with_id("a secret of 48 bytes"),
            &["HS256", "HS384"],
        ),
        (
            Key::hmac([3; 64]).with_id("a secret of 64 bytes"),
            &["HS256", "HS384", "HS512"],
        ),
        (Key::hmac([4; 31]).with_id("a secret of 31 bytes"), &[]),
        (Key::hmac(b"a").with_id("a secret of 1 byte"), &[]),
    ]
}

pub(super) fn group() -> Group {
    let asymmetric = asymmetric();
    let secrets = secrets();
    let set = |keys: &[(Key, _)]| jwks(&keys.iter().map(|(key, _)| key).collect::<Vec<_>>());
    let configuration = json!({
        "providers": {
            "asymmetric": {"local_jwks": local(&set(&asymmetric))},
            "secrets": {"local_jwks": local(&set(&secrets))},
        },
        "rules": [rule("/asymmetric", "asymmetric"), rule("/secrets", "secrets")],
    });
    let mut cases = Vec::new();
    for (path, keys) in [("/asymmetric", &asymmetric), ("/secrets", &secrets)] {
        for (key, fitting) in keys {
            for algorithm in ALGORITHMS {
                cases.push(one(path, key, fitting, algorithm));
            }
        }
    }
    for (key, fitting) in asymmetric.iter().chain(&secrets) {
        let path = if secrets.iter().any(|(one, _)| one.id() == key.id()) {
            "/secrets"
        } else {
            "/asymmetric"
        };
        cases.extend(fitting.iter().map(|algorithm| forged(path, key, algorithm)));
    }
    Group::new(configuration, cases)
}

/// Signed by the key as well as it can: by that algorithm, or by its own under that name.
fn one(path: &str, key: &Key, fitting: &[&str], algorithm: &str) -> Case {
    let id = key.id().unwrap_or_default();
    let token = Claims::of(ISSUER).signed_as(key, algorithm);
    let case = case(format!("{algorithm} over {id}"), bearer(path, &token));
    if fitting.contains(&algorithm) {
        return case.both(200);
    }
    if path == "/secrets" && algorithm.starts_with("HS") {
        return case.both(200).but(401, SHORT_SECRET);
    }
    // Envoy chooses the hash by the algorithm's name, SHA-256 where the name says none, and for
    // these keys looks no further.
    let taken = match id {
        "P-256" => !["ES384", "ES512"].contains(&algorithm),
        "Ed25519" => true,
        _ => path == "/secrets",
    };
    if taken {
        case.both(200).but(401, ALGORITHM)
    } else {
        case.both(401)
    }
}

/// The signature of another payload.
fn forged(path: &str, key: &Key, algorithm: &str) -> Case {
    let token = Claims::of(ISSUER).signed_as(key, algorithm);
    let other = Claims::of(ISSUER)
        .claim("sub", "mallory")
        .signed_as(key, algorithm);
    let (input, _) = other.rsplit_once('.').expect("three parts");
    let (_, signature) = token.rsplit_once('.').expect("three parts");
    let id = key.id().unwrap_or_default();
    case(
        format!("{algorithm} over {id}, another payload"),
        bearer(path, &format!("{input}.{signature}")),
    )
    .both(401)
}

#[test]
fn every_algorithm_over_every_key() -> Result<()> {
    group().run()
}
