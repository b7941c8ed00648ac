//! What the upstream is told.

use anyhow::Result;
use legation_tests::Request;
use legation_tests::jwt::{Claims, Key, compact, jwks};
use serde_json::{Value, json};

use super::reasons::{LISTS, NO_HEADER, NUMBERS, OBJECTS, UNDERSCORES};
use super::{Case, Group, case};
use crate::{ISSUER, bearer, local, rule};

fn key() -> Key {
    Key::p256().with_id("k")
}

fn with(name: &str, claim: Value) -> Case {
    let token = Claims::of(ISSUER).claim("c", claim).signed_by(&key());
    case(name, bearer("/", &token)).both(200)
}

/// A claim whose value is this text, which no `Value` can hold.
fn literal(name: &str, text: &str) -> Case {
    let header = Claims::of(ISSUER).complete_header(&key(), "ES256");
    let payload = Claims::of(ISSUER).to_value().to_string();
    let payload = payload.replacen('{', &format!(r#"{{"c":{text},"#), 1);
    let token = compact(header, payload, |input| key().sign("ES256", input));
    case(name, bearer("/", &token)).both(200)
}

pub(super) fn group() -> Group {
    let provider = |more: Value| {
        let mut provider = json!({"issuer": ISSUER, "local_jwks": local(&jwks(&[&key()]))});
        let all = provider.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        provider
    };
    let to_header = |header: &str, claim: &str| json!({"header_name": header, "claim_name": claim});
    let configuration = json!({
        "providers": {
            "claims": provider(json!({"claim_to_headers": [
                to_header("x-c", "c"),
                to_header("x-sub", "sub"),
                to_header("x-nested", "n.a.b"),
                to_header("x-exp-missing", "missing"),
                to_header("x-again", "sub"),
            ]})),
            "payload": provider(json!({"forward_payload_header": "x-payload"})),
            "padded": provider(json!({
                "forward_payload_header": "x-payload",
                "pad_forward_payload_header": true,
            })),
        },
        "rules": [
            rule("/payload", "payload"),
            rule("/padded", "padded"),
            {"match": {"prefix": "/open"}},
            {"match": {"prefix": "/optional"}, "requires": {"requires_any": {"requirements": [
                {"provider_name": "claims"}, {"allow_missing": {}},
            ]}}},
            {"match": {"prefix": "/whatever"}, "requires": {"requires_any": {"requirements": [
                {"provider_name": "claims"}, {"allow_missing_or_failed": {}},
            ]}}},
            rule("/", "claims"),
        ],
    });
    let mut cases = claims();
    cases.extend(payloads());
    cases.extend(forged());
    let mut group = Group::new(configuration, cases);
    group.hcm =
        json!({"common_http_protocol_options": {"headers_with_underscores_action": "ALLOW"}});
    group
}

fn claims() -> Vec<Case> {
    vec![
        with("a claim, text", json!("text")),
        with("a claim, text with spaces around", json!("  text  ")),
        with("a claim, text beyond ASCII", json!("é ü 漢")),
        with("a claim, empty text", json!("")),
        with("a claim, text with a line break", json!("a\r\nx-evil: 1"))
            .both(503)
            .but(200, NO_HEADER),
        with("a claim, text with a NUL", json!("a\u{0}b"))
            .both(503)
            .but(200, NO_HEADER),
        with("a claim, text with a tab", json!("a\tb")),
        with("a claim, text with a comma", json!("a,b")),
        with("a claim of 4 KB", json!("y".repeat(4 << 10))),
        with("a claim, zero", json!(0)),
        with("a claim, an integer", json!(42)),
        with("a claim, a negative integer", json!(-42)).differs(
            "rounds it",
            "as the issuer wrote it",
            NUMBERS,
        ),
        with("a claim, 2 to the 53rd", json!(9_007_199_254_740_992_u64)),
        with(
            "a claim, 2 to the 53rd and one",
            json!(9_007_199_254_740_993_u64),
        )
        .differs("rounds it", "as the issuer wrote it", NUMBERS),
        with("a claim, the largest of 63 bits", json!(i64::MAX)).differs(
            "rounds it",
            "as the issuer wrote it",
            NUMBERS,
        ),
        with("a claim, the largest of 64 bits", json!(u64::MAX)).differs(
            "rounds it",
            "as the issuer wrote it",
            NUMBERS,
        ),
        with("a claim, a fraction", json!(1.5)).differs(
            "rounds it",
            "as the issuer wrote it",
            NUMBERS,
        ),
        with("a claim, a small fraction", json!(0.1)).differs(
            "rounds it",
            "as the issuer wrote it",
            NUMBERS,
        ),
        with("a claim, a negative fraction", json!(-0.25)).differs(
            "rounds it",
            "as the issuer wrote it",
            NUMBERS,
        ),
        literal("a claim, 1.0", "1.0"),
        literal("a claim, 1e2", "1e2"),
        literal("a claim, 1e21", "1e21").differs("rounds it", "as the issuer wrote it", NUMBERS),
        literal("a claim, 1e-7", "1e-7").differs("rounds it", "as the issuer wrote it", NUMBERS),
        literal("a claim, -0", "-0"),
        with("a claim, true", json!(true)),
        with("a claim, false", json!(false)),
        with("a claim, null", json!(null)),
        with("a claim, a list", json!(["a", "b"])).differs(
            "base64 of its JSON",
            "its elements, joined",
            LISTS,
        ),
        with("a claim, a list of one", json!(["a"])).differs(
            "base64 of its JSON",
            "its elements, joined",
            LISTS,
        ),
        with("a claim, an empty list", json!([])).differs(
            "base64 of its JSON",
            "no header",
            OBJECTS,
        ),
        with("a claim, an object", json!({"a": 1})).differs(
            "base64 of its JSON",
            "no header",
            OBJECTS,
        ),
        case(
            "a nested claim",
            bearer(
                "/",
                &Claims::of(ISSUER)
                    .claim("n", json!({"a": {"b": "deep"}}))
                    .signed_by(&key()),
            ),
        )
        .both(200),
        case(
            "a nested claim that ends early",
            bearer(
                "/",
                &Claims::of(ISSUER)
                    .claim("n", json!({"a": "b"}))
                    .signed_by(&key()),
            ),
        )
        .both(200),
        case(
            "a claim with dots in its name",
            bearer(
                "/",
                &Claims::of(ISSUER).claim("n.a.b", "flat").signed_by(&key()),
            ),
        )
        .both(200),
    ]
}

fn payloads() -> Vec<Case> {
    // One, two and no characters of padding.
    let token = |fill: &str| Claims::of(ISSUER).claim("f", fill).signed_by(&key());
    let mut cases = Vec::new();
    for fill in ["", "a", "aa"] {
        let padding = fill.len();
        cases.push(
            case(
                format!("the payload, {padding}"),
                bearer("/payload", &token(fill)),
            )
            .both(200),
        );
        cases.push(
            case(
                format!("the payload padded, {padding}"),
                bearer("/padded", &token(fill)),
            )
            .both(200),
        );
    }
    cases.push(
        case(
            "the payload forged",
            bearer("/payload", &token("")).header("x-payload", "forged"),
        )
        .both(200),
    );
    cases
}

fn forged() -> Vec<Case> {
    let good = Claims::of(ISSUER).signed_by(&key());
    let bad = Claims::of(ISSUER).signed_by(&Key::other_p256().with_id("k"));
    let forge = |request: Request| request.header("x-sub", "admin").header("x-c", "admin");
    vec![
        case("claim headers forged", forge(bearer("/", &good))).both(200),
        case(
            "a claim header forged twice",
            forge(forge(bearer("/", &good))),
        )
        .both(200),
        case(
            "a claim header forged in capitals",
            bearer("/", &good).header("X-SUB", "admin"),
        )
        .both(200),
        case(
            "a claim header forged with an underscore",
            bearer("/", &good).header("x_sub", "admin"),
        )
        .both(200)
        .differs("passes it on", "strips it", UNDERSCORES),
        case(
            "claim headers forged without a token",
            forge(Request::get("/")),
        )
        .both(401),
        case(
            "claim headers forged, where a token may be missing",
            forge(Request::get("/optional")),
        )
        .both(200),
        case(
            "claim headers forged, where a token may be bad",
            forge(bearer("/whatever", &bad)),
        )
        .both(200),
        case(
            "claim headers forged, where nothing is required",
            forge(Request::get("/open")),
        )
        .both(200),
        case(
            "another provider's header forged",
            bearer("/", &good).header("x-payload", "forged"),
        )
        .both(200),
        case("a bad token where it may be bad", bearer("/whatever", &bad)).both(200),
        case(
            "a good token where it may be missing",
            bearer("/optional", &good),
        )
        .both(200),
        case("a token where nothing is required", bearer("/open", &good)).both(200),
    ]
}

#[test]
fn what_the_upstream_is_told() -> Result<()> {
    group().run()
}
