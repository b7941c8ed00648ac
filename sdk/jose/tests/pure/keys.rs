//! Which keys are used, and for what.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use legation_jose::json::JsonError;
use legation_jose::{
    Algorithm, Algorithms, KeyError, KeySet, KeySetError, KeyUse, MAX_KEYS, MAX_TRIALS, VerifyError,
};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::examples::EXAMPLES;

fn set(jwk: &str) -> String {
    format!(r#"{{"keys":[{jwk}]}}"#)
}

/// Why one key is not used, or `None`.
fn refused(jwk: &str, key_use: KeyUse) -> Option<KeyError> {
    match KeySet::from_jwks_for(set(jwk).as_bytes(), key_use) {
        Ok(keys) => {
            assert_eq!((keys.len(), keys.skipped()), (1, &[][..]));
            None
        }
        Err(KeySetError::NoneUsable(skipped)) => Some(skipped[0].error),
        Err(other) => panic!("{other}"),
    }
}

fn rsa(bits: usize, modulus_end: u8, exponent: &[u8], more: &str) -> String {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    if !bits.is_multiple_of(8) {
        modulus[0] = (1 << (bits % 8)) - 1;
    }
    *modulus.last_mut().unwrap() = modulus_end;
    let (n, e) = (
        URL_SAFE_NO_PAD.encode(modulus),
        URL_SAFE_NO_PAD.encode(exponent),
    );
    format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"{more}}}"#)
}

const F4: &[u8] = &[1, 0, 1];
const P256: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
const ED: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

fn secret(length: usize, more: &str) -> String {
    let k = URL_SAFE_NO_PAD.encode(vec![7; length]);
    format!(r#"{{"kty":"oct","k":"{k}"{more}}}"#)
}

#[wasm_bindgen_test(unsupported = test)]
fn weak_and_odd_keys_are_refused() {
    use KeyError as E;
    let with = |start: &str, more: &str| format!("{{{start},{more}}}");
    let cases = [
        ("RSA 2048", rsa(2048, 0xff, F4, ""), None),
        ("RSA 2048, exponent 3", rsa(2048, 0xff, &[3], ""), None),
        ("RSA 8192", rsa(8192, 0xff, F4, ""), None),
        ("RSA 2047", rsa(2047, 0xff, F4, ""), Some(E::TooShort)),
        ("RSA 1024", rsa(1024, 0xff, F4, ""), Some(E::TooShort)),
        ("RSA 8193", rsa(8193, 0xff, F4, ""), Some(E::TooLong)),
        ("RSA even", rsa(2048, 0xfe, F4, ""), Some(E::Weak)),
        ("exponent 1", rsa(2048, 0xff, &[1], ""), Some(E::Weak)),
        (
            "exponent 1 with a zero",
            rsa(2048, 0xff, &[0, 1], ""),
            Some(E::Weak),
        ),
        (
            "exponent even",
            rsa(2048, 0xff, &[1, 0, 0], ""),
            Some(E::Weak),
        ),
        ("exponent 0", rsa(2048, 0xff, &[0], ""), Some(E::Weak)),
        (
            "exponent of 40 bits",
            rsa(2048, 0xff, &[0xff; 5], ""),
            Some(E::Weak),
        ),
        (
            "no modulus",
            r#"{"kty":"RSA","e":"AQAB"}"#.into(),
            Some(E::Member("n")),
        ),
        (
            "an empty modulus",
            r#"{"kty":"RSA","n":"","e":"AQAB"}"#.into(),
            Some(E::Member("n")),
        ),
        (
            "padding",
            r#"{"kty":"RSA","n":"AQ==","e":"AQAB"}"#.into(),
            Some(E::Member("n")),
        ),
        (
            "a private exponent",
            rsa(2048, 0xff, F4, r#","d":"AQ""#),
            Some(E::Private),
        ),
        (
            "a prime",
            rsa(2048, 0xff, F4, r#","p":"AQ""#),
            Some(E::Private),
        ),
        (
            "a private member of a wrong type",
            rsa(2048, 0xff, F4, r#","qi":null"#),
            Some(E::Private),
        ),
        (
            "a private point",
            with(P256, r#""d":"AQ""#),
            Some(E::Private),
        ),
        ("a private seed", with(ED, r#""d":"AQ""#), Some(E::Private)),
        (
            "for encryption",
            with(P256, r#""use":"enc""#),
            Some(E::OtherUse),
        ),
        (
            "for nothing known",
            with(P256, r#""use":"SIG""#),
            Some(E::OtherUse),
        ),
        (
            "a use of a wrong type",
            with(P256, r#""use":["sig"]"#),
            Some(E::Member("use")),
        ),
        (
            "for signing alone",
            with(P256, r#""key_ops":["sign"]"#),
            Some(E::OtherUse),
        ),
        (
            "for no operation",
            with(P256, r#""key_ops":[]"#),
            Some(E::OtherUse),
        ),
        (
            "operations of a wrong type",
            with(P256, r#""key_ops":"verify""#),
            Some(E::Member("key_ops")),
        ),
        (
            "for verifying",
            with(P256, r#""use":"sig","key_ops":["verify"],"alg":"ES256""#),
            None,
        ),
        (
            "of another curve's algorithm",
            with(P256, r#""alg":"ES384""#),
            Some(E::AlgorithmMismatch),
        ),
        (
            "of another type's algorithm",
            with(P256, r#""alg":"HS256""#),
            Some(E::AlgorithmMismatch),
        ),
        (
            "of an encryption's algorithm",
            rsa(2048, 0xff, F4, r#","alg":"RSA-OAEP""#),
            Some(E::UnknownAlgorithm),
        ),
        (
            "an algorithm of a wrong type",
            with(P256, r#""alg":null"#),
            Some(E::Member("alg")),
        ),
        (
            "an id of a wrong type",
            with(P256, r#""kid":1"#),
            Some(E::Member("kid")),
        ),
        (
            "another curve",
            P256.replace("P-256", "secp256k1"),
            Some(E::UnknownCurve),
        ),
        (
            "the wrong curve",
            P256.replace("P-256", "P-384"),
            Some(E::Member("x")),
        ),
        (
            "X25519",
            ED.replace("Ed25519", "X25519"),
            Some(E::UnknownCurve),
        ),
        (
            "Ed448",
            ED.replace("Ed25519", "Ed448"),
            Some(E::UnknownCurve),
        ),
        (
            "a short coordinate",
            P256.replace("f83O", ""),
            Some(E::Member("x")),
        ),
        (
            "another type",
            r#"{"kty":"AKP"}"#.into(),
            Some(E::UnknownType),
        ),
        ("no type", "{}".into(), Some(E::Member("kty"))),
        ("no object", "1".into(), Some(E::NoObject)),
        ("a secret", secret(64, ""), Some(E::Secret)),
    ];
    for (what, jwk, expected) in cases {
        let jwk = if jwk.starts_with('"') {
            format!("{{{jwk}}}")
        } else {
            jwk
        };
        assert_eq!(refused(&jwk, KeyUse::Public), expected, "{what}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn points_off_their_curve_are_refused() {
    for jwk in [
        P256.replace("x_FE", "x_FF"),
        EXAMPLES[3].jwk.replace("ADSm", "ADSn")[1..]
            .trim_end_matches('}')
            .to_owned(),
        // The coordinates at the field's size and beyond.
        format!(
            r#""kty":"EC","crv":"P-256","x":"{0}","y":"{0}""#,
            URL_SAFE_NO_PAD.encode([0xff; 32])
        ),
        format!(
            r#""kty":"EC","crv":"P-256","x":"{0}","y":"{0}""#,
            URL_SAFE_NO_PAD.encode([0; 32])
        ),
        format!(
            r#""kty":"EC","crv":"P-384","x":"{0}","y":"{0}""#,
            URL_SAFE_NO_PAD.encode([1; 48])
        ),
        format!(
            r#""kty":"EC","crv":"P-521","x":"{0}","y":"{0}""#,
            URL_SAFE_NO_PAD.encode([1; 66])
        ),
    ] {
        let jwk = format!("{{{jwk}}}");
        assert_eq!(refused(&jwk, KeyUse::Public), Some(KeyError::Weak), "{jwk}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn points_of_small_order_are_refused() {
    let mut points = Vec::new();
    for (first, middle, last) in [
        (0, 0, 0),
        (1, 0, 0),
        (0xec, 0xff, 0x7f),
        (0xed, 0xff, 0x7f),
        (0xee, 0xff, 0x7f),
    ] {
        let mut point = [middle; 32];
        (point[0], point[31]) = (first, last);
        points.push(point);
    }
    points.extend(
        [
            "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
            "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
        ]
        .map(|point| <[u8; 32]>::try_from(URL_SAFE_NO_PAD.decode(point).unwrap()).unwrap()),
    );
    for mut point in points {
        for sign in [0, 0x80] {
            point[31] = point[31] & 0x7f | sign;
            let x = URL_SAFE_NO_PAD.encode(point);
            let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
            assert_eq!(refused(&jwk, KeyUse::Public), Some(KeyError::Weak), "{x}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_secret_is_as_long_as_its_hash() {
    use KeyError as E;
    let refused = |jwk: &str| refused(jwk, KeyUse::PublicAndSecret);
    assert_eq!(refused(&secret(31, "")), Some(E::TooShort));
    assert_eq!(refused(&secret(4097, "")), Some(E::TooLong));
    assert_eq!(refused(&secret(32, r#","alg":"HS384""#)), Some(E::TooShort));
    assert_eq!(
        refused(&secret(64, r#","alg":"RS256""#)),
        Some(E::AlgorithmMismatch)
    );
    for (length, expected) in [
        (32, &[Algorithm::HS256][..]),
        (48, &[Algorithm::HS256, Algorithm::HS384]),
        (64, &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]),
    ] {
        let keys = KeySet::from_secret(&vec![7; length]).unwrap();
        assert_eq!(keys.algorithms().iter().collect::<Vec<_>>(), expected);
    }
    assert_eq!(KeySet::from_secret(&[7; 31]).unwrap_err(), E::TooShort);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_set_without_a_usable_key_is_an_error_and_says_why() {
    let error = |json: &str| KeySet::from_jwks(json.as_bytes()).unwrap_err();
    assert_eq!(error("<html>"), KeySetError::Json(JsonError::Malformed));
    assert_eq!(error("[]"), KeySetError::Json(JsonError::NoObject));
    assert_eq!(
        error(r#"{"keys":[],"keys":[]}"#),
        KeySetError::Json(JsonError::Duplicate)
    );
    assert_eq!(error("{}"), KeySetError::NoKeys);
    assert_eq!(error(r#"{"keys":{}}"#), KeySetError::NoKeys);
    assert_eq!(error(r#"{"keys":[]}"#), KeySetError::NoneUsable(Vec::new()));
    let many = vec!["{}"; MAX_KEYS + 1].join(",");
    assert_eq!(error(&set(&many)), KeySetError::TooManyKeys);
    let both = format!(r#"{},{{"kty":"RSA","kid":"b"}}"#, secret(64, ""));
    assert_eq!(
        error(&set(&both)).to_string(),
        "the key set has no key that can be used: key 0: a secret, where only public keys are \
         taken; key 1 (`b`): `n` is missing or not what it must be"
    );
}

/// A set of P-256's key under these ids, and what comes of the example's
/// signature by it.
fn verify(more: &[&str], key_id: Option<&str>) -> Result<(), VerifyError> {
    let keys = more
        .iter()
        .map(|more| format!("{{{P256}{more}}}"))
        .collect::<Vec<_>>()
        .join(",");
    let keys = KeySet::from_jwks(set(&keys).as_bytes()).unwrap();
    let (text, signature) = EXAMPLES[2].jws.rsplit_once('.').unwrap();
    keys.verify_text(Algorithm::ES256, key_id, text.as_bytes(), signature)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_is_chosen_by_the_tokens_id() {
    const A: &str = r#","kid":"a""#;
    const B: &str = r#","kid":"b""#;
    assert_eq!(verify(&[A, B], Some("a")), Ok(()));
    assert_eq!(verify(&[A, B], Some("c")), Err(VerifyError::UnknownKey));
    assert_eq!(verify(&[A, B], Some("")), Err(VerifyError::UnknownKey));
    assert_eq!(verify(&[A, B], None), Ok(()));
    // Keys without an id are anybody's.
    assert_eq!(verify(&[""], Some("c")), Ok(()));
    assert_eq!(verify(&["", A], Some("c")), Ok(()));
    let full = vec![""; MAX_TRIALS];
    assert_eq!(verify(&full, None), Ok(()));
    let over = vec![""; MAX_TRIALS + 1];
    assert_eq!(verify(&over, None), Err(VerifyError::Ambiguous));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_with_the_tokens_id_that_does_not_fit_is_not_replaced_by_another() {
    let keys = format!(r#"{{{ED},"kid":"a"}},{{{P256}}}"#);
    let keys = KeySet::from_jwks(set(&keys).as_bytes()).unwrap();
    let (text, signature) = EXAMPLES[2].jws.rsplit_once('.').unwrap();
    let verify = |key_id| keys.verify_text(Algorithm::ES256, key_id, text.as_bytes(), signature);

    assert_eq!(verify(Some("a")), Err(VerifyError::KeyMismatch));
    assert_eq!(verify(None), Ok(()));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_hmac_is_never_verified_with_a_public_keys_bytes() {
    // RFC 8725 section 2.1: signed with what everybody has as the secret.
    for example in &EXAMPLES[1..] {
        let keys = KeySet::from_jwks(set(example.jwk).as_bytes());
        let Ok(keys) = keys else { continue };
        for algorithm in Algorithms::SYMMETRIC.iter() {
            let result = keys.verify_text(algorithm, None, b"text", "AAAA");
            assert_eq!(result, Err(VerifyError::KeyMismatch), "{}", example.of);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_is_for_its_own_algorithm_alone() {
    let keys = set(&rsa(2048, 0xff, F4, r#","alg":"PS256""#));
    let keys = KeySet::from_jwks(keys.as_bytes()).unwrap();
    assert_eq!(
        keys.algorithms().iter().collect::<Vec<_>>(),
        [Algorithm::PS256]
    );
    let result = keys.verify_text(Algorithm::RS256, None, b"text", "AAAA");
    assert_eq!(result, Err(VerifyError::KeyMismatch));

    let keys = KeySet::from_jwks(set(&rsa(2048, 0xff, F4, "")).as_bytes()).unwrap();
    let keys = keys.with_default_algorithm(Algorithm::RS512);
    assert_eq!(
        keys.algorithms().iter().collect::<Vec<_>>(),
        [Algorithm::RS512]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn ecdsa_signatures_are_of_one_length() {
    let keys = KeySet::from_jwks(set(EXAMPLES[2].jwk).as_bytes()).unwrap();
    let (text, signature) = EXAMPLES[2].jws.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut spread = vec![0];
    spread.extend_from_slice(&bytes[..32]);
    spread.push(0);
    spread.extend_from_slice(&bytes[32..]);
    for wrong in [
        &bytes[..63],
        &[&bytes[..], &[0]].concat(),
        &spread,
        &[0; 64],
        &[0; 1],
    ] {
        let signature = URL_SAFE_NO_PAD.encode(wrong);
        let result = keys.verify_text(Algorithm::ES256, None, text.as_bytes(), &signature);
        assert_eq!(result, Err(VerifyError::BadSignature), "{}", wrong.len());
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\r\n")
    )
}

#[wasm_bindgen_test(unsupported = test)]
fn pem_is_read_with_what_stands_around_it() {
    let keys = KeySet::from_pem(PEM.as_bytes()).unwrap();

    assert_eq!(keys.skipped(), &[]);
    assert_eq!(keys.len(), 6);
    assert_eq!(keys.ids().count(), 0);
    let expected = Algorithms::ASYMMETRIC;
    assert_eq!(keys.algorithms(), expected);
    // A.3's key is the first.
    let (text, signature) = EXAMPLES[2].jws.rsplit_once('.').unwrap();
    assert_eq!(
        keys.verify_text(Algorithm::ES256, Some("any"), text.as_bytes(), signature),
        Ok(())
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn pem_that_is_no_public_key_is_refused() {
    use KeyError as E;
    for (text, error) in [
        (pem("PRIVATE KEY", &[0x30, 0]), E::Private),
        (pem("RSA PRIVATE KEY", &[0x30, 0]), E::Private),
        (pem("ENCRYPTED PRIVATE KEY", &[0x30, 0]), E::Private),
        (pem("CERTIFICATE REQUEST", &[0x30, 0]), E::UnknownType),
        (pem("PUBLIC KEY", &[]), E::Malformed),
        (pem("PUBLIC KEY", &[0x30, 0]), E::Malformed),
        (
            pem("CERTIFICATE", &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
            E::Malformed,
        ),
        (
            "-----BEGIN PUBLIC KEY-----\n%%\n-----END PUBLIC KEY-----".into(),
            E::Malformed,
        ),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n".into(), E::Malformed),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END CERTIFICATE-----".into(),
            E::Malformed,
        ),
    ] {
        match KeySet::from_pem(text.as_bytes()) {
            Err(KeySetError::NoneUsable(skipped)) => assert_eq!(skipped[0].error, error, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    for none in ["", "AAAA", r#"{"keys":[]}"#] {
        assert_eq!(
            KeySet::from_pem(none.as_bytes()).unwrap_err(),
            KeySetError::NoPem
        );
    }
    assert_eq!(KeySet::from_pem(b"\xff").unwrap_err(), KeySetError::NoPem);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cut_or_altered_key_is_read_without_harm() {
    for block in PEM.split("-----BEGIN ").skip(1) {
        let (label, rest) = block.split_once("-----\n").unwrap();
        let body = rest.split("-----").next().unwrap();
        let body: String = body.split_whitespace().collect();
        let der = STANDARD.decode(body).unwrap();
        for cut in 0..der.len() {
            drop(KeySet::from_pem(pem(label, &der[..cut]).as_bytes()));
            let mut altered = der.clone();
            for byte in [0, 0x80, 0xff, der[cut] ^ 1] {
                altered[cut] = byte;
                drop(KeySet::from_pem(pem(label, &altered).as_bytes()));
            }
        }
    }
}

const PEM: &str = include_str!("keys.pem");
