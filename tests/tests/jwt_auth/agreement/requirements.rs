//! Every shape of a requirement, with every mix of tokens.

use anyhow::Result;
use legation_tests::Request;
use legation_tests::jwt::{Claims, Key, jwks};
use serde_json::{Value, json};

use super::reasons::{EXTRACTED, FORGED_MARK, ONE_BAD, TWICE};
use super::{Case, Group, case};
use crate::local;

const A: &str = "https://a.example";
const B: &str = "https://b.example";

/// What a request carries: the headers of the providers `a` and `b`.
struct Carried {
    name: &'static str,
    a: Option<String>,
    b: Option<String>,
}

fn key_a() -> Key {
    Key::p256().with_id("a")
}

fn key_b() -> Key {
    Key::rsa().with_id("b")
}

fn carried() -> Vec<Carried> {
    let good_a = Claims::of(A).audience("x").signed_by(&key_a());
    let good_b = Claims::of(B).audience("x").signed_by(&key_b());
    let bad_a = Claims::of(A).signed_by(&Key::other_p256().with_id("a"));
    let bad_b = Claims::of(B).signed_by(&Key::other_rsa().with_id("b"));
    let expired_a = Claims::of(A)
        .audience("x")
        .expires_in(-1000)
        .signed_by(&key_a());
    let audience_a = Claims::of(A).audience("y").signed_by(&key_a());
    let unknown = Claims::of("https://c.example").signed_by(&key_a());
    let b_as_a = Claims::of(B).signed_by(&key_a());
    let garbage = "garbage".to_owned();
    let one = |name, a: Option<&String>, b: Option<&String>| Carried {
        name,
        a: a.cloned(),
        b: b.cloned(),
    };
    vec![
        one("no token", None, None),
        one("a", Some(&good_a), None),
        one("b", None, Some(&good_b)),
        one("a and b", Some(&good_a), Some(&good_b)),
        one("a bad a", Some(&bad_a), None),
        one("a bad b", None, Some(&bad_b)),
        one("a bad a and b", Some(&bad_a), Some(&good_b)),
        one("a and a bad b", Some(&good_a), Some(&bad_b)),
        one("both bad", Some(&bad_a), Some(&bad_b)),
        one("an expired a", Some(&expired_a), None),
        one("a for another audience", Some(&audience_a), None),
        one("an unknown issuer's", Some(&unknown), None),
        one("b's issuer by a's key", Some(&b_as_a), None),
        one("b in a's place", Some(&good_b), None),
        one("garbage", Some(&garbage), None),
        one("garbage and b", Some(&garbage), Some(&good_b)),
    ]
}

/// A requirement, and what Envoy's filter says to each of [`carried`]: `.` lets pass, `1` is 401, `3` is 403.
fn shapes() -> Vec<(&'static str, Value, &'static str)> {
    let a = || json!({"provider_name": "a"});
    let b = || json!({"provider_name": "b"});
    let audience = || json!({"provider_and_audiences": {"provider_name": "a", "audiences": ["x"]}});
    let any = |list: &[Value]| json!({"requires_any": {"requirements": list}});
    let all = |list: &[Value]| json!({"requires_all": {"requirements": list}});
    let missing = || json!({"allow_missing": {}});
    let failed = || json!({"allow_missing_or_failed": {}});
    vec![
        ("a", a(), "1.1.111.11.11111"),
        ("a for x", audience(), "1.1.313.31311111"),
        ("a or b", any(&[a(), b()]), "1...11..11.1111."),
        ("a and b", all(&[a(), b()]), "111.111111111111"),
        ("a or nothing", any(&[a(), missing()]), "....1.1.11.11111"),
        ("a, or whatever", any(&[a(), failed()]), "................"),
        (
            "a or b or nothing",
            any(&[a(), b(), missing()]),
            "....11..11.1111.",
        ),
        (
            "a or b, or whatever",
            any(&[a(), b(), failed()]),
            "................",
        ),
        ("nothing or a", any(&[missing(), a()]), "....1.1.11.11111"),
        ("nothing", missing(), "....111.11.11111"),
        ("whatever", failed(), "................"),
        (
            "b and (a or nothing)",
            all(&[b(), any(&[a(), missing()])]),
            "11..111111111111",
        ),
        (
            "(a and b) or b",
            any(&[all(&[a(), b()]), b()]),
            "11..11.11111111.",
        ),
        (
            "(a or b) and (b or nothing)",
            all(&[any(&[a(), b()]), any(&[b(), missing()])]),
            "1...11.111.1111.",
        ),
        ("a for x, or b", any(&[audience(), b()]), "1...31..1131111."),
        ("b, or a for x", any(&[b(), audience()]), "1...31..3131111."),
        ("no requirement", json!({}), "................"),
    ]
}

pub(super) fn group() -> Group {
    let provider = |issuer: &str, key: &Key, header: &str| {
        json!({
            "issuer": issuer,
            "local_jwks": local(&jwks(&[key])),
            "from_headers": [{"name": header}],
            "forward_payload_header": format!("{header}-payload"),
        })
    };
    let mut rules = vec![
        json!({"match": {"prefix": "/named/"}, "requirement_name": "a-or-b"}),
        json!({"match": {"prefix": "/nothing-at-all/"}}),
    ];
    let mut cases = Vec::new();
    for (at, (name, requires, expected)) in shapes().into_iter().enumerate() {
        let path = format!("/{at}/");
        rules.push(json!({"match": {"prefix": path}, "requires": requires}));
        cases.extend(of(&path, name, expected));
    }
    cases.extend(of("/named/", "`requirement_name`", "1...11..11.1111."));
    cases.extend(of(
        "/nothing-at-all/",
        "a rule without any",
        "................",
    ));
    cases.extend(of("/elsewhere", "no rule", "................"));
    let configuration = json!({
        "providers": {
            "a": provider(A, &key_a(), "x-a"),
            "b": provider(B, &key_b(), "x-b"),
        },
        "requirement_map": {
            "a-or-b": {"requires_any": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}},
        },
        "rules": rules,
    });
    Group::new(configuration, cases)
}

fn of(path: &str, name: &str, expected: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (carried, expected) in carried().into_iter().zip(expected.chars()) {
        let mut request = Request::get(path);
        for (header, token) in [("x-a", carried.a), ("x-b", carried.b)] {
            if let Some(token) = token {
                request = request.header(header, token);
            }
        }
        let case = case(format!("{name}; the request has {}", carried.name), request);
        let case = match expected {
            '.' => case.both(200),
            '1' => case.both(401),
            _ => case.both(403),
        };
        cases.push(match (name, carried.name) {
            ("extracted", carried) if !["no token", "garbage and b"].contains(&carried) => case
                .differs(
                    "verifies it, and marks it where that fails",
                    "does not verify it, and marks it",
                    EXTRACTED,
                ),
            ("nothing", "a and a bad b") => case.but(401, ONE_BAD),
            ("(a or b) and (b or nothing)", "b" | "a bad a and b" | "garbage and b") => {
                case.differs("no payload header", "the payload header", TWICE)
            }
            _ => case,
        });
    }
    cases
}

/// What tokens say, passed on and not verified.
pub(super) fn extracted() -> Group {
    let provider = |issuer: &str, key: &Key, header: &str| {
        json!({
            "issuer": issuer,
            "local_jwks": local(&jwks(&[key])),
            "from_headers": [{"name": header}],
            "forward_payload_header": format!("{header}-payload"),
            "claim_to_headers": [{"header_name": format!("{header}-sub"), "claim_name": "sub"}],
        })
    };
    let configuration = json!({
        "providers": {
            "a": provider(A, &key_a(), "x-a"),
            "b": provider(B, &key_b(), "x-b"),
        },
        "rules": [{
            "match": {"prefix": "/extract"},
            "requires": {"extract_only_without_validation": {}},
        }],
    });
    let mut cases = of("/extract", "extracted", "................");
    let forged = Request::get("/extract")
        .header("x-jwt-signature-verified", "true")
        .header("x-a-sub", "admin");
    cases.push(
        case("extracted; all headers forged", forged)
            .both(200)
            .differs("passes it on", "strips it", FORGED_MARK),
    );
    Group::new(configuration, cases)
}

#[test]
fn what_is_extracted_without_being_verified() -> Result<()> {
    extracted().run()
}

#[test]
fn requirements_of_every_shape() -> Result<()> {
    group().run()
}
