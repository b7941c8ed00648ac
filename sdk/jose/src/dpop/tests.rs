//! Proofs as RFC 9449 has them, and as it does not. The proofs are signed here, by
//! a key of their own; the RFC's examples as they stand in it.

use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

use super::*;
use crate::confirmation::Digest;

/// RFC 9449, section 4.1, figure 2: to a token endpoint.
const RFC_TOKEN_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
/// Section 7.1, figure 12: to a protected resource.
const RFC_RESOURCE_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const RFC_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
/// Section 6.1.
const RFC_THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

const NOW: u64 = 1_800_000_000;
const TOKEN: &str = "an.access.token";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn hash(token: &str) -> String {
    use sha2::Digest as _;
    URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(token))
}

/// A client with a key.
struct Client(SigningKey);

impl Client {
    fn new(byte: u8) -> Self {
        Self(SigningKey::from_slice(&[byte; 32]).unwrap())
    }

    fn jwk(&self) -> Value {
        let point = self.0.verifying_key().to_encoded_point(false);
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": URL_SAFE_NO_PAD.encode(point.x().unwrap()),
            "y": URL_SAFE_NO_PAD.encode(point.y().unwrap()),
        })
    }

    fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", encode(header), encode(claims));
        let signature: Signature = self.0.sign(text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    fn digest(&self) -> Digest {
        let jwk = self.jwk();
        Digest::from_base64url(&crate::thumbprint(jwk.as_object().unwrap()).unwrap()).unwrap()
    }
}

fn claims() -> Value {
    json!({
        "jti": "one",
        "htm": "POST",
        "htu": "https://api.example/orders",
        "iat": NOW,
        "ath": hash(TOKEN),
    })
}

fn dpop(config: &str) -> Dpop {
    let config: DpopConfig = legation::config::parse(config.as_bytes()).unwrap();
    Dpop::new(&config, "test").unwrap()
}

/// Without the table of proofs seen, which is the host's.
fn plain() -> Dpop {
    dpop(r#"{"replay_cache_size": 0}"#)
}

fn check(dpop: &Dpop, key: Digest, proofs: &[&str], now: u64) -> Result<Accepted, DpopError> {
    let proofs: Vec<_> = proofs.iter().map(|proof| proof.as_bytes()).collect();
    let shown = Shown {
        proofs: &proofs,
        method: b"POST",
        scheme: b"https",
        authority: b"api.example",
        path: b"/orders?page=2",
    };
    let confirmation = Confirmation {
        key: Some(key),
        ..Confirmation::default()
    };
    dpop.check(TOKEN.as_bytes(), &confirmation, &shown, at(now))
}

#[test]
fn the_examples_of_rfc_9449_hold() {
    let key = Digest::from_base64url(RFC_THUMBPRINT);
    for (proof, method, url, token, made) in [
        (
            RFC_TOKEN_REQUEST,
            "POST",
            ("server.example.com", "/token"),
            None,
            1_562_262_616,
        ),
        (
            RFC_RESOURCE_REQUEST,
            "GET",
            ("resource.example.org", "/protectedresource"),
            Some(RFC_TOKEN),
            1_562_262_618,
        ),
    ] {
        let origin = Origin::new(b"https", url.0.as_bytes()).unwrap();
        let target = Target::new(vec![origin], url.1.as_bytes());
        let expected = Expected {
            method: method.as_bytes(),
            target: &target,
            token: token.map(str::as_bytes),
            key,
            max_age: Duration::from_mins(1),
            clock_skew: Duration::ZERO,
            algorithms: Algorithms::ASYMMETRIC,
        };
        let proof = Proof::parse(proof.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(proof.key().ok(), key);
        assert_eq!(proof.check(&expected, at(made + 1)), Ok(at(made + 60)));
        let other = Expected {
            token: Some(b"another"),
            ..expected
        };
        let refused = proof.check(&other, at(made)).unwrap_err();
        assert!(matches!(
            refused,
            DpopError::OtherToken | DpopError::Claim("ath")
        ));
    }
}

type Change = fn(&mut Value, &mut Value);

/// What is wrong with a proof, and what is said of it.
const WRONG: &[(&str, Change, DpopError)] = &[
    ("typ JWT", |h, _| h["typ"] = json!("JWT"), DpopError::Type),
    (
        "no typ",
        |h, _| drop(h.as_object_mut().unwrap().remove("typ")),
        DpopError::Type,
    ),
    (
        "no jwk",
        |h, _| drop(h.as_object_mut().unwrap().remove("jwk")),
        DpopError::Key,
    ),
    ("jwk a text", |h, _| h["jwk"] = json!("key"), DpopError::Key),
    ("jwk empty", |h, _| h["jwk"] = json!({}), DpopError::Key),
    (
        "private jwk",
        |h, _| h["jwk"]["d"] = json!("AQ"),
        DpopError::Key,
    ),
    (
        "private jwk of RSA",
        |h, _| h["jwk"]["p"] = json!("AQ"),
        DpopError::Key,
    ),
    (
        "symmetric jwk",
        |h, _| h["jwk"] = json!({"kty": "oct", "k": "AAAA"}),
        DpopError::Key,
    ),
    (
        "jwk of another curve",
        |h, _| h["jwk"]["crv"] = json!("P-384"),
        DpopError::OtherKey,
    ),
    ("htm get", |_, c| c["htm"] = json!("GET"), DpopError::Method),
    (
        "htm in lower case",
        |_, c| c["htm"] = json!("post"),
        DpopError::Method,
    ),
    (
        "no htm",
        |_, c| c["htm"] = Value::Null,
        DpopError::Claim("htm"),
    ),
    (
        "htu elsewhere",
        |_, c| c["htu"] = json!("https://evil.example/orders"),
        DpopError::Target,
    ),
    (
        "htu by http",
        |_, c| c["htu"] = json!("http://api.example/orders"),
        DpopError::Target,
    ),
    (
        "htu of another path",
        |_, c| c["htu"] = json!("https://api.example/orders/1"),
        DpopError::Target,
    ),
    (
        "htu a list",
        |_, c| c["htu"] = json!(["https://api.example/orders"]),
        DpopError::Claim("htu"),
    ),
    (
        "no jti",
        |_, c| c["jti"] = Value::Null,
        DpopError::Malformed(TokenError::Claim("jti")),
    ),
    (
        "empty jti",
        |_, c| c["jti"] = json!(""),
        DpopError::Claim("jti"),
    ),
    (
        "long jti",
        |_, c| c["jti"] = json!("x".repeat(257)),
        DpopError::Claim("jti"),
    ),
    (
        "number jti",
        |_, c| c["jti"] = json!(1),
        DpopError::Malformed(TokenError::Claim("jti")),
    ),
    (
        "no ath",
        |_, c| drop(c.as_object_mut().unwrap().remove("ath")),
        DpopError::Claim("ath"),
    ),
    (
        "ath of another",
        |_, c| c["ath"] = json!(hash("another")),
        DpopError::OtherToken,
    ),
    (
        "ath the token",
        |_, c| c["ath"] = json!(TOKEN),
        DpopError::OtherToken,
    ),
    (
        "no iat",
        |_, c| drop(c.as_object_mut().unwrap().remove("iat")),
        DpopError::Claim("iat"),
    ),
    (
        "too old",
        |_, c| c["iat"] = json!(NOW - 66),
        DpopError::TooOld,
    ),
    (
        "too new",
        |_, c| c["iat"] = json!(NOW + 6),
        DpopError::TooNew,
    ),
];

#[test]
fn a_proof_is_for_one_request_by_one_key_and_for_a_short_time() {
    let client = Client::new(1);
    let dpop = plain();
    let good = client.sign(&client.header(), &claims());
    assert!(check(&dpop, client.digest(), &[&good], NOW).is_ok());

    for (name, change, expected) in WRONG {
        let (mut header, mut claims) = (client.header(), claims());
        change(&mut header, &mut claims);
        let proof = client.sign(&header, &claims);
        let refused = check(&dpop, client.digest(), &[&proof], NOW);
        assert_eq!(refused.as_ref(), Err(expected), "{name}");
    }
}

#[test]
fn a_proof_may_be_written_in_several_ways() {
    let client = Client::new(1);
    let dpop = plain();
    let taken: &[(&str, Change)] = &[
        ("typ in capitals", |h, _| h["typ"] = json!("DPOP+JWT")),
        ("htu with a query", |_, c| {
            c["htu"] = json!("https://API.example:443/x/../orders?page=9#a");
        }),
        ("a kid of its own", |h, _| h["kid"] = json!("mine")),
        ("a kid in the key", |h, _| h["jwk"]["kid"] = json!("mine")),
        ("alg and use in the key", |h, _| {
            h["jwk"]["alg"] = json!("ES256");
            h["jwk"]["use"] = json!("sig");
        }),
        ("the oldest", |_, c| c["iat"] = json!(NOW - 65)),
        ("the newest", |_, c| c["iat"] = json!(NOW + 5)),
        ("a fraction", |_, c| c["iat"] = json!(1_799_999_999.5)),
        ("a nonce that nobody asked for", |_, c| {
            c["nonce"] = json!("x");
        }),
        ("the longest jti", |_, c| c["jti"] = json!("x".repeat(256))),
    ];
    for (name, change) in taken {
        let (mut header, mut claims) = (client.header(), claims());
        change(&mut header, &mut claims);
        let proof = client.sign(&header, &claims);
        let verdict = check(&dpop, client.digest(), &[&proof], NOW);
        assert!(verdict.is_ok(), "{name}: {verdict:?}");
    }
}

#[test]
fn a_proof_is_signed_by_the_key_it_carries_and_that_is_the_tokens() {
    let (client, thief) = (Client::new(1), Client::new(2));
    let dpop = plain();
    // A proper proof by another key.
    let theirs = thief.sign(&thief.header(), &claims());
    assert_eq!(
        check(&dpop, client.digest(), &[&theirs], NOW),
        Err(DpopError::OtherKey)
    );
    // The right key shown, another one used.
    let forged = thief.sign(&client.header(), &claims());
    let refused = check(&dpop, client.digest(), &[&forged], NOW);
    assert!(
        matches!(
            refused,
            Err(DpopError::Signature(VerifyError::BadSignature))
        ),
        "{refused:?}"
    );
    // A proof with other claims under the same signature.
    let good = client.sign(&client.header(), &claims());
    let mut parts: Vec<_> = good.split('.').map(str::to_owned).collect();
    let mut changed = claims();
    changed["jti"] = json!("two");
    parts[1] = encode(&changed);
    let refused = check(&dpop, client.digest(), &[&parts.join(".")], NOW);
    assert!(
        matches!(refused, Err(DpopError::Signature(_))),
        "{refused:?}"
    );
}

#[test]
fn a_symmetric_algorithm_and_none_are_never_taken() {
    let client = Client::new(1);
    let dpop = plain();
    for alg in ["HS256", "HS512"] {
        let mut header = client.header();
        header["alg"] = json!(alg);
        let proof = client.sign(&header, &claims());
        assert_eq!(
            check(&dpop, client.digest(), &[&proof], NOW),
            Err(DpopError::Algorithm)
        );
    }
    let mut header = client.header();
    header["alg"] = json!("none");
    let proof = client.sign(&header, &claims());
    let refused = check(&dpop, client.digest(), &[&proof], NOW);
    assert!(
        matches!(refused, Err(DpopError::Malformed(_))),
        "{refused:?}"
    );

    // Not even where all are named.
    let mut header = client.header();
    header["alg"] = json!("HS256");
    let symmetric = client.sign(&header, &claims());
    let proof = Proof::parse(symmetric.as_bytes(), &Limits::default()).unwrap();
    let origin = Origin::new(b"https", b"api.example").unwrap();
    let expected = Expected {
        method: b"POST",
        target: &Target::new(vec![origin], b"/orders"),
        token: Some(TOKEN.as_bytes()),
        key: Some(client.digest()),
        max_age: Duration::from_mins(1),
        clock_skew: Duration::ZERO,
        algorithms: Algorithms::ALL,
    };
    assert_eq!(proof.check(&expected, at(NOW)), Err(DpopError::Algorithm));

    let only_es384 = self::dpop(r#"{"replay_cache_size": 0, "algorithms": ["ES384"]}"#);
    let proof = client.sign(&client.header(), &claims());
    assert_eq!(
        check(&only_es384, client.digest(), &[&proof], NOW),
        Err(DpopError::Algorithm)
    );
}

#[test]
fn there_is_one_proof_and_it_is_a_token() {
    let client = Client::new(1);
    let dpop = plain();
    let good = client.sign(&client.header(), &claims());
    assert_eq!(
        check(&dpop, client.digest(), &[], NOW),
        Err(DpopError::NoProof)
    );
    assert_eq!(
        check(&dpop, client.digest(), &[&good, &good], NOW),
        Err(DpopError::ManyProofs)
    );
    let joined = format!("{good}, {good}");
    for proof in [
        "",
        "a",
        "a.b.c",
        &joined,
        &format!("{good}."),
        &format!(" {good}"),
    ] {
        let refused = check(&dpop, client.digest(), &[proof], NOW);
        assert!(
            matches!(refused, Err(DpopError::Malformed(_))),
            "{proof}: {refused:?}"
        );
    }
}

#[test]
fn a_bound_token_is_taken_by_its_own_scheme() {
    use Binding::{Ignore, Required, WhenBound};
    use Scheme::{Bearer, Dpop as ByDpop, Elsewhere};
    let bound = Confirmation {
        key: Some(Client::new(1).digest()),
        ..Confirmation::default()
    };
    let free = Confirmation::default();
    for (mode, scheme, confirmation, expected) in [
        (WhenBound, Bearer, free, Ok(false)),
        (WhenBound, Elsewhere, free, Ok(false)),
        (WhenBound, ByDpop, free, Err(DpopError::NotBound)),
        (WhenBound, Bearer, bound, Err(DpopError::ShownAsBearer)),
        (WhenBound, ByDpop, bound, Ok(true)),
        (WhenBound, Elsewhere, bound, Ok(true)),
        (Required, Bearer, free, Err(DpopError::NotBound)),
        (Required, Elsewhere, free, Err(DpopError::NotBound)),
        (Required, ByDpop, free, Err(DpopError::NotBound)),
        (Required, Bearer, bound, Err(DpopError::ShownAsBearer)),
        (Required, ByDpop, bound, Ok(true)),
        (Ignore, Bearer, bound, Ok(false)),
        (Ignore, ByDpop, free, Ok(false)),
    ] {
        let name = match mode {
            WhenBound => "when_bound",
            Required => "required",
            Ignore => "ignore",
        };
        let dpop = dpop(&format!(r#"{{"mode": "{name}", "replay_cache_size": 0}}"#));
        let verdict = dpop.needs_proof(scheme, &confirmation);
        assert_eq!(verdict, expected, "{name} {scheme:?} {confirmation:?}");
    }
}

#[test]
fn the_scheme_is_read_without_case() {
    for (value, expected) in [
        (&b"Bearer a"[..], Some((Scheme::Bearer, &b"a"[..]))),
        (b"bEARER  a", Some((Scheme::Bearer, b"a"))),
        (b"DPoP a", Some((Scheme::Dpop, b"a"))),
        (b"dpop a", Some((Scheme::Dpop, b"a"))),
        (b"Basic a", None),
        (b"DPoP", None),
        (b"DPoPa b", None),
        (b" DPoP a", None),
        (b"", None),
    ] {
        assert_eq!(Scheme::split(value), expected, "{value:?}");
    }
}

#[test]
fn a_nonce_is_asked_for_last_and_replaced_in_time() {
    let client = Client::new(1);
    let dpop = dpop(
        r#"{"replay_cache_size": 0, "nonce": {"lifetime": "300s", "secret": {"inline_string": "s"}}}"#,
    );
    let sign = |nonce: Option<String>, now: u64| {
        let mut claims = claims();
        claims["iat"] = json!(now);
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        client.sign(&client.header(), &claims)
    };
    let nonce = dpop.nonce(at(NOW));
    let verdict = |nonce, now| check(&dpop, client.digest(), &[&sign(nonce, now)], now);

    assert_eq!(verdict(None, NOW), Err(DpopError::Nonce));
    assert_eq!(
        verdict(Some("guessed".to_owned()), NOW),
        Err(DpopError::Nonce)
    );
    let fresh = Accepted {
        renew_nonce: false,
        displaced: false,
    };
    let aging = Accepted {
        renew_nonce: true,
        displaced: false,
    };
    assert_eq!(verdict(nonce.clone(), NOW), Ok(fresh));
    assert_eq!(verdict(nonce.clone(), NOW + 150), Ok(aging));
    assert_eq!(verdict(nonce, NOW + 300), Err(DpopError::Nonce));
    assert_eq!(plain().nonce(at(NOW)), None);

    // A bad proof is a bad proof, nonce or not.
    let theirs = Client::new(2).sign(&client.header(), &claims());
    let refused = check(&dpop, client.digest(), &[&theirs], NOW);
    assert!(
        matches!(refused, Err(DpopError::Signature(_))),
        "{refused:?}"
    );
    assert_eq!(DpopError::Nonce.code(), "use_dpop_nonce");
}

#[test]
fn clients_may_know_the_server_by_other_names() {
    let client = Client::new(1);
    let named = dpop(
        r#"{"replay_cache_size": 0, "origins": ["https://public.example", "https://other.example:8443"]}"#,
    );
    for (htu, expected) in [
        ("https://public.example/orders", true),
        ("https://other.example:8443/orders", true),
        ("https://other.example/orders", false),
        ("https://api.example/orders", false),
    ] {
        let mut claims = claims();
        claims["htu"] = json!(htu);
        let proof = client.sign(&client.header(), &claims);
        let verdict = check(&named, client.digest(), &[&proof], NOW);
        assert_eq!(verdict.is_ok(), expected, "{htu}");
    }
}

#[test]
fn a_configuration_that_cannot_be_is_told() {
    for (text, told) in [
        (r#"{"mode": "always"}"#, "mode: unknown value"),
        (
            r#"{"algorithms": ["HS256"]}"#,
            "algorithms[0]: HS256 is no algorithm for proofs",
        ),
        (r#"{"algorithms": []}"#, "algorithms"),
        (r#"{"max_age": "0s"}"#, "max_age: out of range"),
        (r#"{"clock_skew": "10m"}"#, "clock_skew: out of range"),
        (
            r#"{"origins": ["https://api.example/v1"]}"#,
            "origins[0]: not an origin",
        ),
        (
            r#"{"nonce": {"lifetime": "1s"}}"#,
            "nonce.lifetime: out of range",
        ),
        (
            r#"{"nonce": {"secret": "hush"}}"#,
            "nonce.secret: expected an object",
        ),
        (
            r#"{"replay_cache_size": -1}"#,
            "replay_cache_size: out of range",
        ),
        (r#"{"replay": 1}"#, "replay: unknown field"),
    ] {
        let errors = legation::config::parse::<DpopConfig>(text.as_bytes()).unwrap_err();
        let errors = errors.to_string();
        assert!(errors.contains(told), "{text}: {errors}");
        assert!(!errors.contains("hush"), "{errors}");
    }
    let defaults: DpopConfig = legation::config::parse(b"{}").unwrap();
    assert_eq!(defaults.mode, Binding::WhenBound);
    assert_eq!(defaults.max_age(), Duration::from_mins(1));
    assert_eq!(defaults.replay_cache_size(), 10_000);
    assert_eq!(defaults.algorithms(), Algorithms::ASYMMETRIC);
}

/// The mock host, without a module in it, checks no signature.
#[test]
fn an_algorithm_that_cannot_be_verified_is_not_offered_and_not_taken() {
    let all = plain().algorithms();
    assert!(all.contains(Algorithm::ES256));
    assert!(!all.contains(Algorithm::ES512));
    let config = br#"{"algorithms": ["ES256", "ES512"], "replay_cache_size": 0}"#;
    let config: DpopConfig = legation::config::parse(config).unwrap();
    let refused = Dpop::new(&config, "test").unwrap_err().to_string();
    let told = "proofs signed by ES512 cannot be verified here";
    assert!(refused.contains(told), "{refused}");
    let ignored = dpop(r#"{"mode": "ignore", "algorithms": ["ES512"]}"#);
    assert!(ignored.algorithms().contains(Algorithm::ES512));
}
