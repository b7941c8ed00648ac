//! Tokens that a filter signs.

use legation::foreign::ForeignError;
use legation_jose::signing::{SigningKey, SigningKeyError as E};
use legation_jose::{Algorithm, Algorithms, KeySet, Limits, Token};
use legation_testing::sign;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use serde_json::json;

use crate::signing::Signer;
use crate::working::{calls, host, host_without};

fn key(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/../../tests/keys/{name}.test-key.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(path).unwrap()
}

/// Signs a token with a key that a [`Signer`] has, and verifies it.
fn round(pem: &str, jwk: &str, algorithm: Algorithm) {
    let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
    assert_eq!(key.algorithm(), algorithm);
    let keys = KeySet::from_jwks(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).unwrap();
    let host = host();
    host.set_foreign_function("sign", sign);
    let calls = calls(&host, move || {
        key.probe().unwrap();
        for number in 0..3 {
            let claims = json!({ "sub": number.to_string() });
            let text = key.sign(None, "JWT", claims.as_object().unwrap()).unwrap();
            let token = Token::parse(text.as_bytes(), &Limits::default()).unwrap();
            assert_eq!(token.typ(), Some("JWT"));
            assert_eq!(keys.verify(&token, Algorithms::of(&[algorithm])), Ok(()));
        }
    });
    assert!(calls > 3);
}

#[test]
fn what_is_signed_is_verified() {
    let signer = Signer::new();
    let p256 = p256::SecretKey::from_slice(&[1; 32]).unwrap();
    let p384 = p384::SecretKey::from_slice(&[1; 48]).unwrap();
    for (pem, algorithm) in [
        (p256.to_pkcs8_pem(LineEnding::CRLF), Algorithm::ES256),
        (p384.to_pkcs8_pem(LineEnding::LF), Algorithm::ES384),
    ] {
        round(&pem.unwrap(), &signer.jwk(algorithm), algorithm);
    }
    let rsa = signer.rsa().to_pkcs8_pem(LineEnding::LF).unwrap();
    round(&rsa, &signer.jwk(Algorithm::RS256), Algorithm::RS256);
}

#[test]
fn a_host_that_cannot_sign_says_so() {
    let key = SigningKey::from_pem(&key("p521")).unwrap();
    assert_eq!(key.algorithm(), Algorithm::ES512);
    let asked = calls(&host_without(), move || {
        assert!(matches!(
            key.probe(),
            Err(ForeignError::NotSupported { function: "sign" })
        ));
    });
    assert_eq!(asked, 1);

    let key = SigningKey::from_pem(&self::key("p256-a")).unwrap();
    let host = host();
    // A signature of another curve, as a host would never say.
    host.set_foreign_function("sign", |_| {
        Ok(vec![
            8, 1, 18, 42, 48, 40, 2, 33, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 1, 1, 1,
        ])
    });
    calls(&host, move || {
        assert!(key.probe().is_err());
    });
}

#[test]
fn a_text_that_is_no_private_key_is_told_apart() {
    let block = |label: &str, body: &str| {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let whole = String::from_utf8(key("p256-a")).unwrap();
    let short = "MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAA==";
    for (text, error) in [
        (String::new(), E::NoPem),
        ("MIGH".to_owned(), E::NoPem),
        (block("ENCRYPTED PRIVATE KEY", "MIGH"), E::Encrypted),
        (block("RSA PRIVATE KEY", "MIGH"), E::NotPkcs8),
        (block("EC PRIVATE KEY", "MIGH"), E::NotPkcs8),
        (block("PUBLIC KEY", "MIGH"), E::Public),
        (block("CERTIFICATE", "MIGH"), E::Public),
        (block("PRIVATE KEY", "MIGH"), E::Malformed),
        (block("PRIVATE KEY", "?"), E::Malformed),
        (block("PRIVATE KEY", short), E::Malformed),
        (whole.replace("-----END", "----END"), E::Malformed),
        (format!("{whole}{whole}"), E::Several),
        (String::from_utf8(key("ed25519-a")).unwrap(), E::UnknownType),
    ] {
        assert_eq!(
            SigningKey::from_pem(text.as_bytes()).unwrap_err(),
            error,
            "{text}"
        );
    }
    for cut in 40..whole.len() - 30 {
        let text = format!("{}\n-----END PRIVATE KEY-----\n", &whole[..cut]);
        assert!(SigningKey::from_pem(text.as_bytes()).is_err(), "{cut}");
    }
    let shown = format!("{:?}", SigningKey::from_pem(whole.as_bytes()).unwrap());
    assert_eq!(shown, "SigningKey { algorithm: ES256, .. }");
}
