//! Malformed and hostile tokens.

use anyhow::Result;
use legation_tests::jwt::{Claims, Key, hostile, jwks};
use serde_json::json;

use super::reasons::{BASE64, CRITICAL, HEADER_TYPES, NO_OBJECT, PARTS, Reason, SIGNATURE_LENGTH};
use super::{Group, case};
use crate::{ISSUER, bearer, local, rule};

/// What Envoy's filter lets pass, and why ours does not.
fn let_pass(what: &str, algorithm: &str) -> Option<&'static Reason> {
    let reason = match what {
        "a dot behind" | "a dot before" | "two dots in a row" => PARTS,
        "padded signature" | "stray bits in the signature" => BASE64,
        "long signature" if algorithm == "ES256" => SIGNATURE_LENGTH,
        "crit of what nobody knows" | "empty crit" | "b64" => CRITICAL,
        "typ a number" => HEADER_TYPES,
        "payload null" => NO_OBJECT,
        _ => return None,
    };
    Some(reason)
}

pub(super) fn group() -> Group {
    let keys = [
        Key::rsa().with_id("rsa"),
        Key::p256().with_id("p256"),
        Key::ed25519().with_id("ed"),
    ];
    let configuration = json!({
        "providers": {"p": {
            "local_jwks": local(&jwks(&keys.iter().collect::<Vec<_>>())),
            "forward_payload_header": "x-payload",
        }},
        "rules": [rule("/", "p")],
    });
    let mut cases = Vec::new();
    for key in &keys {
        let mut names = std::collections::BTreeMap::<_, u32>::new();
        for one in hostile(&Claims::of(ISSUER), key) {
            // Unsigned and signed ones of one kind.
            let count = names.entry(one.what).or_default();
            *count += 1;
            let more = if *count > 1 { ", signed" } else { "" };
            let algorithm = key.algorithm();
            let case = case(
                format!("{}{more} ({algorithm})", one.what),
                bearer("/", &one.token),
            );
            cases.push(match let_pass(one.what, algorithm) {
                Some(reason) => case.both(200).but(401, reason),
                None => case.both(401),
            });
        }
    }
    Group::new(configuration, cases)
}

#[test]
fn malformed_and_hostile_tokens() -> Result<()> {
    group().run()
}
