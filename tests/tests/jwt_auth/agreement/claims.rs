//! Issuer, audience, subject, time.

use anyhow::Result;
use legation_tests::jwt::{Claims, Key, compact, jwks, now};
use serde_json::{Value, json};

use super::reasons::{AUDIENCE, DEPTH, FAR_AHEAD, LAST_SECOND, NO_EXPIRY};
use super::{Case, Group, case, case_of};
use crate::{ISSUER, bearer, local, rule};

fn key() -> Key {
    Key::p256().with_id("k")
}

/// A token with one claim of one's choice, beside a good issuer, subject and expiry.
fn of(path: &str, name: &str, claim: &str, value: Value) -> Case {
    let token = Claims::of(ISSUER).claim(claim, value).signed_by(&key());
    case(name, bearer(path, &token))
}

fn without(path: &str, name: &str, claim: &str) -> Case {
    let token = Claims::of(ISSUER).without(claim).signed_by(&key());
    case(name, bearer(path, &token))
}

/// A claim whose value is this text, which no `Value` can hold.
fn literal(path: &str, name: &str, claim: &str, text: &str) -> Case {
    let header = Claims::of(ISSUER).complete_header(&key(), "ES256");
    let rest = Claims::of(ISSUER).without(claim).to_value().to_string();
    let payload = rest.replacen('{', &format!(r#"{{"{claim}":{text},"#), 1);
    let token = compact(header, payload, |input| key().sign("ES256", input));
    case(name, bearer(path, &token))
}

/// So many seconds from the second in which it is sent.
fn seconds(path: &'static str, name: &str, claim: &'static str, from_now: i64) -> Case {
    case_of(name, move || {
        let claims = Claims::of(ISSUER).claim(claim, now() + from_now);
        bearer(path, &claims.signed_by(&key()))
    })
    .by_one_clock()
}

pub(super) fn group() -> Group {
    let provider = |more: Value| {
        let mut provider = json!({"issuer": ISSUER, "local_jwks": local(&jwks(&[&key()]))});
        let all = provider.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        provider
    };
    let configuration = json!({
        "providers": {
            "p": provider(json!({})),
            "any-issuer": {"local_jwks": local(&jwks(&[&key()]))},
            "audiences": provider(json!({"audiences": ["https://api.example/", "b"]})),
            "exact": provider(json!({"subjects": {"exact": "alice"}})),
            "prefix": provider(json!({"subjects": {"prefix": "spiffe://example/"}})),
            "regex": provider(json!({"subjects": {"safe_regex": {"regex": "[a-z]+-[0-9]+"}}})),
            "expiring": provider(json!({"require_expiration": true})),
            "short": provider(json!({"max_lifetime": "60s"})),
            "skew": provider(json!({"clock_skew_seconds": 5})),
        },
        "rules": [
            rule("/any-issuer", "any-issuer"),
            rule("/audiences", "audiences"),
            rule("/exact", "exact"),
            rule("/prefix", "prefix"),
            rule("/regex", "regex"),
            rule("/expiring", "expiring"),
            rule("/short", "short"),
            rule("/skew", "skew"),
            rule("/", "p"),
        ],
    });
    let mut cases = issuer();
    cases.extend(audience());
    cases.extend(subject());
    cases.extend(depth());
    cases.extend(time());
    Group::new(configuration, cases)
}

fn issuer() -> Vec<Case> {
    vec![
        of("/", "the issuer", "iss", json!(ISSUER)).both(200),
        of("/", "another issuer", "iss", json!("https://evil.example")).both(401),
        of(
            "/",
            "the issuer and a slash",
            "iss",
            json!(format!("{ISSUER}/")),
        )
        .both(401),
        of(
            "/",
            "the issuer in capitals",
            "iss",
            json!(ISSUER.to_uppercase()),
        )
        .both(401),
        of("/", "an empty issuer", "iss", json!("")).both(401),
        of("/", "the issuer a number", "iss", json!(1)).both(401),
        of("/", "the issuer a list", "iss", json!([ISSUER])).both(401),
        of("/", "the issuer null", "iss", json!(null)).both(401),
        without("/", "no issuer", "iss").both(401),
        of(
            "/any-issuer",
            "any issuer",
            "iss",
            json!("https://other.example"),
        )
        .both(200),
        without("/any-issuer", "no issuer where any will do", "iss").both(200),
        of(
            "/any-issuer",
            "the issuer a number where any will do",
            "iss",
            json!(1),
        )
        .both(401),
    ]
}

fn audience() -> Vec<Case> {
    let aud = |name: &str, value: Value| of("/audiences", name, "aud", value);
    vec![
        aud("an audience", json!("b")).both(200),
        aud("an audience, in a list", json!(["x", "b"])).both(200),
        aud("another audience", json!("c")).both(403),
        aud("other audiences", json!(["c", "d"])).both(403),
        without("/audiences", "no audience", "aud").both(403),
        aud("an empty audience", json!("")).both(403),
        aud("no audience in a list", json!([])).both(403),
        aud("an audience in capitals", json!("B")).both(403),
        aud("an audience as sent", json!("https://api.example/")).both(200),
        aud(
            "an audience without its slash",
            json!("https://api.example"),
        )
        .both(200)
        .but(403, AUDIENCE),
        aud("an audience without its scheme", json!("api.example"))
            .both(200)
            .but(403, AUDIENCE),
        aud(
            "an audience of another scheme",
            json!("http://api.example/"),
        )
        .both(200)
        .but(403, AUDIENCE),
        aud("an audience with a slash more", json!("b/"))
            .both(200)
            .but(403, AUDIENCE),
        aud("an audience with a scheme more", json!("https://b"))
            .both(200)
            .but(403, AUDIENCE),
        aud("an audience with a space", json!("b ")).both(403),
        aud("an audience a number", json!(1)).both(401),
        aud("an audience null", json!(null)).both(401),
        aud("an audience an object", json!({"b": 1})).both(401),
        aud("a number among audiences", json!(["b", 1])).both(401),
        aud("two audiences in one string", json!("b c")).both(403),
        of("/", "an audience that nobody asks for", "aud", json!("x")).both(200),
        of(
            "/",
            "a wrong audience that nobody asks for",
            "aud",
            json!(1),
        )
        .both(401),
    ]
}

fn subject() -> Vec<Case> {
    vec![
        of("/exact", "the subject", "sub", json!("alice")).both(200),
        of("/exact", "another subject", "sub", json!("bob")).both(401),
        without("/exact", "no subject", "sub").both(401),
        of(
            "/prefix",
            "a subject by its prefix",
            "sub",
            json!("spiffe://example/a"),
        )
        .both(200),
        of(
            "/prefix",
            "a subject of another prefix",
            "sub",
            json!("spiffe://other/a"),
        )
        .both(401),
        of("/regex", "a subject by a regex", "sub", json!("api-1")).both(200),
        of(
            "/regex",
            "a subject that a regex matches in part",
            "sub",
            json!("api-1x"),
        )
        .both(401),
        of("/", "a subject that is a number", "sub", json!(7)).both(401),
        of("/", "a subject that is a list", "sub", json!(["a"])).both(401),
        of("/", "an empty subject", "sub", json!("")).both(200),
        of("/", "a subject that is null", "sub", json!(null)).both(401),
        of("/", "jti a string", "jti", json!("a")).both(200),
        of("/", "jti a number", "jti", json!(1)).both(401),
    ]
}

fn depth() -> Vec<Case> {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    // The payload itself is the first level.
    vec![
        literal("/", "nested 32 deep", "deep", &nested(31)).both(200),
        literal("/", "nested 33 deep", "deep", &nested(32))
            .both(200)
            .but(401, DEPTH),
        literal("/", "nested 90 deep", "deep", &nested(89))
            .both(200)
            .but(401, DEPTH),
        literal("/", "nested 101 deep", "deep", &nested(100)).both(401),
    ]
}

fn time() -> Vec<Case> {
    vec![
        seconds("/", "expired at the edge of the skew", "exp", -60)
            .both(200)
            .but(401, LAST_SECOND),
        seconds("/", "expired a second past the skew", "exp", -61).both(401),
        seconds("/", "expires now", "exp", 0).both(200),
        seconds("/", "begins at the edge of the skew", "nbf", 60).both(200),
        seconds("/", "begins a second past the skew", "nbf", 61).both(401),
        seconds("/", "begins now", "nbf", 0).both(200),
        seconds("/skew", "expired at the edge of a skew of five", "exp", -5)
            .both(200)
            .but(401, LAST_SECOND),
        seconds("/skew", "expired a second past a skew of five", "exp", -6).both(401),
        seconds("/skew", "begins at the edge of a skew of five", "nbf", 5).both(200),
        seconds("/skew", "begins a second past a skew of five", "nbf", 6).both(401),
        seconds("/short", "lives as long as it may", "exp", 60).both(200),
        seconds("/short", "lives a second longer than it may", "exp", 61).both(401),
        seconds("/short", "has expired where life is short", "exp", -59).both(200),
        without("/short", "lives for ever where life is short", "exp").both(401),
        without("/expiring", "no expiry where there must be one", "exp").both(401),
        of(
            "/expiring",
            "an expiry where there must be one",
            "exp",
            json!(now() + 60),
        )
        .both(200),
        without("/", "no expiry", "exp").both(200),
        of("/", "exp zero", "exp", json!(0))
            .both(200)
            .but(401, NO_EXPIRY),
        of(
            "/expiring",
            "exp zero where there must be one",
            "exp",
            json!(0),
        )
        .both(401),
        of("/", "exp one", "exp", json!(1)).both(401),
        of("/", "exp negative", "exp", json!(-1)).both(401),
        of("/", "exp a string", "exp", json!("9999999999")).both(401),
        of("/", "exp null", "exp", json!(null)).both(401),
        of("/", "exp true", "exp", json!(true)).both(401),
        of("/", "exp a list", "exp", json!([9_999_999_999_u64])).both(401),
        literal("/", "exp with a fraction", "exp", "9999999999.5").both(200),
        literal("/", "exp with an exponent", "exp", "9.9e9").both(200),
        literal(
            "/",
            "exp of the year 292 billion",
            "exp",
            "9223372036854775807",
        )
        .both(200)
        .but(401, FAR_AHEAD),
        literal("/", "exp past 64 bits", "exp", "18446744073709551616").both(401),
        literal("/", "exp 1e300", "exp", "1e300").both(401),
        literal("/", "exp past every double", "exp", "1e400").both(401),
        literal("/", "exp with a zero before", "exp", "09999999999").both(401),
        literal("/", "exp with a plus", "exp", "+9999999999").both(401),
        literal("/", "exp in hexadecimal", "exp", "0xffffffff").both(401),
        literal("/", "exp NaN", "exp", "NaN").both(401),
        of("/", "nbf zero", "nbf", json!(0)).both(200),
        of("/", "nbf negative", "nbf", json!(-1)).both(401),
        of("/", "nbf a string", "nbf", json!("0")).both(401),
        literal("/", "nbf with a fraction", "nbf", "1.5").both(200),
        of("/", "nbf far ahead", "nbf", json!(now() + 100_000)).both(401),
        of("/", "iat ahead", "iat", json!(now() + 100_000)).both(200),
        of("/", "iat a string", "iat", json!("1")).both(401),
        of("/", "iat negative", "iat", json!(-1)).both(401),
        of("/", "iat long ago", "iat", json!(1)).both(200),
    ]
}

#[test]
fn issuer_audience_subject_and_time() -> Result<()> {
    group().run()
}
