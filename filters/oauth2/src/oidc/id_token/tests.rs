#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::time::UNIX_EPOCH;

use legation_jose::{ClaimError, TokenError};
use serde_json::{Map, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

pub(in crate::oidc) const NOW: u64 = 1_800_000_000;

pub(in crate::oidc) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

pub(in crate::oidc) fn rules() -> Rules {
    Rules {
        issuer: "https://idp.example".into(),
        client_id: "app".into(),
        clock_skew: Duration::from_mins(1),
    }
}

/// A token with a signature that nobody looks at.
pub(in crate::oidc) fn compact(header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.AAAA", part(header), part(claims))
}

/// Claims with these changed; `null` takes one away.
pub(in crate::oidc) fn changed(claims: &Value, changes: &Value) -> Value {
    let mut all: Map<String, Value> = claims.as_object().unwrap().clone();
    all.extend(changes.as_object().unwrap().clone());
    all.retain(|_, value| !value.is_null());
    all.into()
}

fn claims() -> Value {
    json!({
        "iss": "https://idp.example", "aud": "app", "sub": "ann",
        "iat": NOW, "exp": NOW + 300, "nonce": "n"
    })
}

fn check_with(
    changes: &Value,
    header: &Value,
    expected: &Expected<'_>,
) -> Result<(), IdTokenError> {
    let token = compact(header, &changed(&claims(), changes));
    let token = Token::parse(token.as_bytes(), &LIMITS)?;
    rules().check(&token, expected, now())
}

fn check(changes: &Value) -> Result<(), IdTokenError> {
    let expected = Expected {
        nonce: Some("n"),
        subject: Some("ann"),
        ..Expected::default()
    };
    check_with(changes, &json!({"alg": "ES256"}), &expected)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_that_says_all_that_it_must_is_taken() {
    for changes in [
        json!({}),
        json!({"aud": ["app"]}),
        json!({"aud": ["app", "api"], "azp": "app"}),
        json!({"azp": "app"}),
        // Clocks differ.
        json!({"iat": NOW + 59, "nbf": NOW + 59}),
        json!({"exp": NOW - 59}),
    ] {
        assert_eq!(check(&changes), Ok(()), "{changes}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn each_rule_refuses() {
    use IdTokenError as E;
    for (changes, error) in [
        (json!({"iss": null}), E::Claim(ClaimError::Issuer)),
        (
            json!({"iss": "https://idp.example/"}),
            E::Claim(ClaimError::Issuer),
        ),
        (
            json!({"iss": "https://other.example"}),
            E::Claim(ClaimError::Issuer),
        ),
        (json!({"aud": null}), E::Claim(ClaimError::Audience)),
        (
            json!({"aud": "application"}),
            E::Claim(ClaimError::Audience),
        ),
        (json!({"aud": []}), E::Claim(ClaimError::Audience)),
        (json!({"aud": ["app", "api"]}), E::AuthorizedParty),
        (json!({"azp": "other"}), E::AuthorizedParty),
        (json!({"azp": ["app"]}), E::AuthorizedParty),
        (json!({"exp": null}), E::Claim(ClaimError::NoExpiration)),
        (json!({"exp": NOW - 60}), E::Claim(ClaimError::Expired)),
        (json!({"nbf": NOW + 61}), E::Claim(ClaimError::NotYetValid)),
        (json!({"iat": null}), E::Missing("iat")),
        (json!({"iat": NOW + 61}), E::IssuedAt),
        (json!({"sub": null}), E::Missing("sub")),
        (json!({"sub": ""}), E::Missing("sub")),
        (json!({"sub": "a".repeat(256)}), E::Missing("sub")),
        (json!({"sub": "bob"}), E::Subject),
        (json!({"nonce": null}), E::Missing("nonce")),
        (json!({"nonce": ""}), E::Nonce),
        (json!({"nonce": "nn"}), E::Nonce),
        (json!({"nonce": ["n"]}), E::Missing("nonce")),
        (json!({"events": {}}), E::Kind("events")),
    ] {
        assert_eq!(check(&changes), Err(error), "{changes}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_another_kind_of_token_is_no_id_token() {
    for typ in [
        "at+jwt",
        "application/AT+JWT",
        "logout+jwt",
        "secevent+jwt",
        "dpop+jwt",
    ] {
        let header = json!({"alg": "ES256", "typ": typ});
        let checked = check_with(&json!({}), &header, &Expected::default());
        assert_eq!(checked, Err(IdTokenError::Kind("typ")), "{typ}");
    }
    let none = check_with(&json!({}), &json!({"alg": "none"}), &Expected::default());
    assert_eq!(none, Err(IdTokenError::Token(TokenError::Unsecured)));
    assert_eq!(none.unwrap_err().reason(), "algorithm");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_sign_in_is_as_recent_as_it_must_be() {
    let check = |changes: Value| {
        let expected = Expected {
            max_age: Some(Duration::from_mins(10)),
            ..Expected::default()
        };
        check_with(&changes, &json!({"alg": "ES256"}), &expected)
    };

    assert_eq!(check(json!({"auth_time": NOW - 660})), Ok(()));
    assert_eq!(
        check(json!({"auth_time": NOW - 661})),
        Err(IdTokenError::TooOld)
    );
    assert_eq!(
        check(json!({"auth_time": NOW + 61})),
        Err(IdTokenError::IssuedAt)
    );
    for none in [
        json!({}),
        json!({"auth_time": "now"}),
        json!({"auth_time": -1}),
    ] {
        assert_eq!(check(none), Err(IdTokenError::Missing("auth_time")));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_access_token_is_the_one_it_came_with() {
    // OpenID Connect Core 1.0, appendix A.3.
    let of_the_standard = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    let check = |hash: Value, algorithm: &str| {
        let expected = Expected {
            access_token: Some(of_the_standard),
            ..Expected::default()
        };
        check_with(
            &json!({"at_hash": hash}),
            &json!({"alg": algorithm}),
            &expected,
        )
    };

    assert_eq!(check(json!("77QmUPtjPfzWtF2AnpK9RQ"), "RS256"), Ok(()));
    // It may be absent in the code flow.
    assert_eq!(check(Value::Null, "RS256"), Ok(()));
    for wrong in [json!("77QmUPtjPfzWtF2AnpK9RA"), json!(""), json!(7)] {
        assert_eq!(
            check(wrong.clone(), "RS256"),
            Err(IdTokenError::AccessToken),
            "{wrong}"
        );
    }
    assert_eq!(
        check(json!("77QmUPtjPfzWtF2AnpK9RQ"), "RS512"),
        Err(IdTokenError::AccessToken)
    );
}
