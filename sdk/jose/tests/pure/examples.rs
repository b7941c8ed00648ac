//! The examples of the RFCs, verified by the module itself.

use legation_jose::{
    Algorithm, Algorithms, Claims, KeySet, KeyUse, Limits, Token, TokenError, VerifyError,
    thumbprint,
};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::examples::EXAMPLES;

fn verify(keys: &KeySet, jws: &str) -> Result<(), VerifyError> {
    let (text, signature) = jws.rsplit_once('.').unwrap();
    let header = text.split_once('.').unwrap().0;
    let example = EXAMPLES
        .iter()
        .find(|example| example.jws.starts_with(&format!("{header}.")))
        .unwrap();
    let algorithm = example.algorithm.parse().unwrap();
    keys.verify_text(algorithm, None, text.as_bytes(), signature)
}

fn keys(jwk: &str) -> KeySet {
    let set = format!(r#"{{"keys":[{jwk}]}}"#);
    KeySet::from_jwks_for(set.as_bytes(), KeyUse::PublicAndSecret).unwrap()
}

#[wasm_bindgen_test(unsupported = test)]
fn signatures_of_the_rfcs_verify_without_a_host() {
    for example in EXAMPLES {
        let expected = match example.algorithm {
            "ES512" => Err(VerifyError::Unsupported(Algorithm::ES512)),
            _ => Ok(()),
        };
        assert_eq!(
            verify(&keys(example.jwk), example.jws),
            expected,
            "{}",
            example.of
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn another_key_or_text_does_not_verify() {
    for example in EXAMPLES
        .iter()
        .filter(|example| example.algorithm != "ES512")
    {
        let keys = keys(example.jwk);
        let (text, signature) = example.jws.rsplit_once('.').unwrap();
        let algorithm = example.algorithm.parse().unwrap();

        let other = keys.verify_text(algorithm, None, format!("{text}A").as_bytes(), signature);
        assert_eq!(other, Err(VerifyError::BadSignature), "{}", example.of);

        let of_another = EXAMPLES
            .iter()
            .find(|other| other.algorithm != example.algorithm)
            .unwrap();
        let signature = of_another.jws.rsplit_once('.').unwrap().1;
        let other = keys.verify_text(algorithm, None, text.as_bytes(), signature);
        assert_eq!(other, Err(VerifyError::BadSignature), "{}", example.of);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_tokens_of_rfc_7515_are_read_and_verified_whole() {
    for (index, algorithm) in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256]
        .into_iter()
        .enumerate()
    {
        let example = &EXAMPLES[index];
        let token = Token::parse(example.jws.as_bytes(), &Limits::default()).unwrap();
        let keys = keys(example.jwk);

        assert_eq!(token.algorithm(), algorithm);
        assert_eq!(token.claims().issuer(), Some("joe"));
        assert_eq!(
            token.claims().get("http://example.com/is_root"),
            Some(&true.into())
        );
        assert_eq!(token.payload_text(), example.jws.split('.').nth(1).unwrap());
        assert_eq!(keys.verify(&token, Algorithms::ALL), Ok(()));
        let without = Algorithms::ALL
            .iter()
            .filter(|&other| other != algorithm)
            .collect();
        assert_eq!(
            keys.verify(&token, without),
            Err(VerifyError::AlgorithmNotAllowed)
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_unsecured_token_is_never_read() {
    let payload = EXAMPLES[0].jws.split('.').nth(1).unwrap();
    // RFC 7515 A.5: its signature is empty.
    let unsecured = format!("eyJhbGciOiJub25lIn0.{payload}.");
    // With something where the signature would be.
    let pretending = format!("eyJhbGciOiJub25lIn0.{payload}.AA");

    let parse = |text: &str| Token::parse(text.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(parse(&unsecured), TokenError::NotThreeParts);
    assert_eq!(parse(&pretending), TokenError::Unsecured);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_claims_of_rfc_7519_are_read() {
    // Section 3.1.
    let json = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
    let claims = Claims::parse(json.into(), 8).unwrap();

    assert_eq!(claims.issuer(), Some("joe"));
    let exp = claims.expires_at().unwrap();
    assert_eq!(
        exp.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
        1_300_819_380
    );
    assert_eq!(claims.json(), json.as_bytes());
}

#[wasm_bindgen_test(unsupported = test)]
fn the_keys_of_rfc_7517_are_read() {
    // Appendix A.1; one of its two keys is for encryption.
    let set = concat!(
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","#,
        r#""y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"},"#,
        r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","#,
        r#""e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}"#,
    );
    let keys = KeySet::from_jwks(set.as_bytes()).unwrap();

    assert_eq!(keys.ids().collect::<Vec<_>>(), ["2011-04-29"]);
    assert_eq!(
        keys.skipped()[0].to_string(),
        "key 0 (`1`): not for verifying signatures"
    );
    assert_eq!(
        keys.algorithms().iter().collect::<Vec<_>>(),
        [Algorithm::RS256]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn the_thumbprints_of_the_rfcs_are_computed() {
    for (jwk, expected) in [
        // RFC 7638 section 3.1.
        (
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        ),
        // RFC 8037 A.3.
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
    ] {
        let jwk = legation_jose::json::object(jwk.as_bytes(), 2).unwrap();
        assert_eq!(thumbprint(&jwk).as_deref(), Ok(expected));
    }
    let jwk = |text: &str| legation_jose::json::object(text.as_bytes(), 2).unwrap();
    for none in [
        r#"{"kty":"RSA","e":"AQAB"}"#,
        r#"{"kty":"RSA","e":1,"n":"AA"}"#,
        r#"{"kty":"x"}"#,
        "{}",
    ] {
        assert!(thumbprint(&jwk(none)).is_err(), "{none}");
    }
}
