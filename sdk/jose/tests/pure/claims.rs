use std::time::{Duration, SystemTime};

use legation::matcher::StringMatch;
use legation_jose::{ClaimError, Claims, TokenError, Validation};
use wasm_bindgen_test::wasm_bindgen_test;

fn claims(json: &str) -> Claims {
    Claims::parse(json.into(), 32).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn strict() -> Validation {
    Validation {
        clock_skew: Duration::ZERO,
        ..Validation::default()
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn registered_claims_are_of_their_types() {
    for (json, claim) in [
        (r#"{"iss":1}"#, "iss"),
        (r#"{"iss":null}"#, "iss"),
        (r#"{"sub":["a"]}"#, "sub"),
        (r#"{"jti":{}}"#, "jti"),
        (r#"{"aud":1}"#, "aud"),
        (r#"{"aud":["a",1]}"#, "aud"),
        (r#"{"aud":{"a":"b"}}"#, "aud"),
        (r#"{"aud":null}"#, "aud"),
        (r#"{"exp":"1300819380"}"#, "exp"),
        (r#"{"exp":null}"#, "exp"),
        (r#"{"exp":true}"#, "exp"),
        (r#"{"exp":-1}"#, "exp"),
        (r#"{"exp":-0.5}"#, "exp"),
        (r#"{"exp":1e300}"#, "exp"),
        (r#"{"exp":9007199254740992}"#, "exp"),
        (r#"{"exp":18446744073709551615}"#, "exp"),
        (r#"{"exp":18446744073709551616}"#, "exp"),
        (r#"{"nbf":[]}"#, "nbf"),
        (r#"{"iat":"now"}"#, "iat"),
    ] {
        let error = Claims::parse(json.into(), 32).unwrap_err();
        assert_eq!(error, TokenError::Claim(claim), "{json}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn dates_may_have_fractions() {
    for (json, millis) in [
        (r#"{"exp":1}"#, 1000),
        (r#"{"exp":1.0}"#, 1000),
        (r#"{"exp":1.5}"#, 1500),
        (r#"{"exp":15e-1}"#, 1500),
        (r#"{"exp":1e3}"#, 1_000_000),
        (r#"{"exp":0}"#, 0),
        (r#"{"exp":-0.0}"#, 0),
    ] {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(claims(json).expires_at(), Some(expected), "{json}");
    }
    assert!(claims(r#"{"exp":9007199254740991}"#).expires_at().is_some());
    assert_eq!(claims("{}").expires_at(), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_are_found_by_name_and_by_path() {
    let claims = claims(r#"{"a.b":1,"a":{"b":{"c":2},"d":[3]},"aud":["x","y"],"jti":"j"}"#);

    assert_eq!(claims.get("a.b"), Some(&1.into()));
    assert_eq!(claims.at(&["a", "b", "c"]), Some(&2.into()));
    assert_eq!(claims.at(&["a.b"]), Some(&1.into()));
    for none in [
        &["a", "b", "x"][..],
        &["a", "d", "0"],
        &["a", "b", "c", "d"],
        &["x"],
        &[],
    ] {
        assert_eq!(claims.at(none), None, "{none:?}");
    }
    assert_eq!(claims.audiences().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(claims.id(), Some("j"));
    assert_eq!(claims.as_map().len(), 4);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_is_taken_from_its_first_moment_to_before_its_last() {
    let claims = claims(r#"{"nbf":1000,"exp":2000}"#);
    for (skew, now, expected) in [
        (0, 999, Err(ClaimError::NotYetValid)),
        (0, 1000, Ok(())),
        (0, 1999, Ok(())),
        (0, 2000, Err(ClaimError::Expired)),
        (60, 939, Err(ClaimError::NotYetValid)),
        (60, 940, Ok(())),
        (60, 2059, Ok(())),
        (60, 2060, Err(ClaimError::Expired)),
        (u64::MAX, 0, Ok(())),
        (u64::MAX, 1_000_000, Ok(())),
    ] {
        let validation = Validation {
            clock_skew: Duration::from_secs(skew),
            ..Validation::default()
        };
        assert_eq!(validation.check(&claims, at(now)), expected, "{skew} {now}");
    }
    assert_eq!(Validation::default().clock_skew, Duration::from_mins(1));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lifetime_is_bounded_and_must_be_told() {
    let longest = Validation {
        max_lifetime: Some(Duration::from_secs(100)),
        ..strict()
    };
    assert_eq!(longest.check(&claims(r#"{"exp":1100}"#), at(1000)), Ok(()));
    let long = claims(r#"{"exp":1101}"#);
    assert_eq!(
        longest.check(&long, at(1000)),
        Err(ClaimError::LifetimeTooLong)
    );
    assert_eq!(
        longest.check(&claims("{}"), at(1000)),
        Err(ClaimError::NoExpiration)
    );

    let required = Validation {
        require_expiration: true,
        ..strict()
    };
    assert_eq!(
        required.check(&claims("{}"), at(0)),
        Err(ClaimError::NoExpiration)
    );
    assert_eq!(required.check(&long, at(0)), Ok(()));
    assert_eq!(strict().check(&claims("{}"), at(0)), Ok(()));
    // Not, as to Envoy, a token that never expires.
    let zero = claims(r#"{"exp":0}"#);
    assert_eq!(strict().check(&zero, at(1)), Err(ClaimError::Expired));
}

#[wasm_bindgen_test(unsupported = test)]
fn issuer_audience_and_subject_are_compared_exactly() {
    let validation = Validation {
        issuer: Some("https://a".into()),
        audiences: vec!["x".into(), "y".into()],
        subjects: Some(StringMatch::exact("s")),
        ..strict()
    };
    for (json, expected) in [
        (r#"{"iss":"https://a","aud":"x","sub":"s"}"#, Ok(())),
        (r#"{"iss":"https://a","aud":["z","y"],"sub":"s"}"#, Ok(())),
        (
            r#"{"iss":"https://a/","aud":"x","sub":"s"}"#,
            Err(ClaimError::Issuer),
        ),
        (
            r#"{"iss":"https://A","aud":"x","sub":"s"}"#,
            Err(ClaimError::Issuer),
        ),
        (r#"{"aud":"x","sub":"s"}"#, Err(ClaimError::Issuer)),
        (
            r#"{"iss":"https://a","aud":"X","sub":"s"}"#,
            Err(ClaimError::Audience),
        ),
        (
            r#"{"iss":"https://a","aud":"x/","sub":"s"}"#,
            Err(ClaimError::Audience),
        ),
        (
            r#"{"iss":"https://a","aud":"https://x","sub":"s"}"#,
            Err(ClaimError::Audience),
        ),
        (
            r#"{"iss":"https://a","aud":[],"sub":"s"}"#,
            Err(ClaimError::Audience),
        ),
        (
            r#"{"iss":"https://a","sub":"s"}"#,
            Err(ClaimError::Audience),
        ),
        (
            r#"{"iss":"https://a","aud":"x","sub":"t"}"#,
            Err(ClaimError::Subject),
        ),
        (r#"{"iss":"https://a","aud":"x"}"#, Err(ClaimError::Subject)),
    ] {
        assert_eq!(validation.check(&claims(json), at(0)), expected, "{json}");
    }
}
