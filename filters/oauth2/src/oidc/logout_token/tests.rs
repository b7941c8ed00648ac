use legation_jose::{ClaimError, Limits};
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use super::super::id_token::tests::{NOW, changed, compact, now, rules};
use super::*;

fn read_with(changes: &Value, header: &Value) -> Result<LogoutToken, IdTokenError> {
    let claims = json!({
        "iss": "https://idp.example", "aud": "app", "iat": NOW, "exp": NOW + 120, "jti": "j",
        "sub": "ann", "sid": "s", "events": {EVENT: {}}
    });
    let token = compact(header, &changed(&claims, changes));
    let token = Token::parse(token.as_bytes(), &Limits::default())?;
    LogoutToken::read(&rules(), &token, now())
}

fn read(changes: &Value) -> Result<LogoutToken, IdTokenError> {
    read_with(changes, &json!({"alg": "ES256", "typ": "logout+jwt"}))
}

#[wasm_bindgen_test(unsupported = test)]
fn it_says_which_session_is_over_or_whose() {
    let token = read(&json!({})).unwrap();
    assert_eq!(token.sid.as_deref(), Some("s"));
    assert_eq!(token.sub.as_deref(), Some("ann"));
    assert_eq!((token.issued_at, &*token.jti), (NOW, "j"));

    for changes in [
        json!({"sub": null}),
        json!({"sid": null}),
        json!({"exp": null}),
        json!({"iat": NOW - 660}),
    ] {
        assert!(read(&changes).is_ok(), "{changes}");
    }
    for header in [
        json!({"alg": "ES256"}),
        json!({"alg": "ES256", "typ": "jwt"}),
    ] {
        assert!(read_with(&json!({}), &header).is_ok(), "{header}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn each_rule_refuses() {
    use IdTokenError as E;
    for (changes, error) in [
        (json!({"nonce": "n"}), E::Kind("nonce")),
        (json!({"events": null}), E::Missing("events")),
        (json!({"events": {}}), E::Missing("events")),
        (json!({"events": {EVENT: "yes"}}), E::Missing("events")),
        (json!({"events": [EVENT]}), E::Missing("events")),
        (json!({"sub": null, "sid": null}), E::Missing("sub")),
        (json!({"sid": 7}), E::Missing("sid")),
        (json!({"sid": "s".repeat(256)}), E::Missing("sid")),
        (json!({"jti": null}), E::Missing("jti")),
        (
            json!({"iss": "https://other.example"}),
            E::Claim(ClaimError::Issuer),
        ),
        (json!({"aud": "other"}), E::Claim(ClaimError::Audience)),
        (json!({"exp": NOW - 60}), E::Claim(ClaimError::Expired)),
        (json!({"iat": null}), E::Missing("iat")),
        (json!({"iat": NOW + 61}), E::IssuedAt),
        (json!({"iat": NOW - 661}), E::IssuedAt),
    ] {
        assert_eq!(read(&changes), Err(error), "{changes}");
    }
    for typ in ["at+jwt", "dpop+jwt", ""] {
        let header = json!({"alg": "ES256", "typ": typ});
        assert_eq!(read_with(&json!({}), &header), Err(E::Kind("typ")), "{typ}");
    }
}
