//! Ours as what `jsonwebtoken` knows: a provider like another.

use base64::Engine;
use jsonwebtoken::crypto::rust_crypto;
use jsonwebtoken::jwk::{EllipticCurve, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm as Known, DecodingKey, EncodingKey, Header, Validation};
use legation_jose::crypto::{PROVIDER, install};
use legation_jose::{Algorithm, thumbprint};
use rsa::pkcs1::{EncodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey};

use crate::signing::Signer;

#[derive(Debug, serde::Serialize, serde::Deserialize, PartialEq)]
struct Subject {
    sub: String,
}

#[test]
fn jsonwebtoken_itself_decodes_by_it() {
    assert!(install() && install());
    let signer = Signer::new();
    for &algorithm in Algorithm::ALL {
        let Ok(known) = algorithm.name().parse::<Known>() else {
            continue;
        };
        let jwk: Jwk = serde_json::from_str(&signer.jwk(algorithm)).unwrap();
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        let token = signer.token(algorithm, r#"{"sub":"me"}"#);
        let mut validation = Validation::new(known);
        validation.required_spec_claims.clear();

        let decoded = jsonwebtoken::decode::<Subject>(&token, &key, &validation).unwrap();
        assert_eq!(decoded.claims.sub, "me");
        let forged = token.replacen('.', ".e30", 1);
        assert!(jsonwebtoken::decode::<Subject>(&forged, &key, &validation).is_err());
    }
}

#[test]
fn it_signs_by_hmac_alone() {
    assert!(install());
    let subject = Subject { sub: "me".into() };
    let secret = EncodingKey::from_secret(&[7; 64]);
    for known in [Known::HS256, Known::HS384, Known::HS512] {
        let token = jsonwebtoken::encode(&Header::new(known), &subject, &secret).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        let key = DecodingKey::from_secret(&[7; 64]);
        let reference = (rust_crypto::DEFAULT_PROVIDER.verifier_factory)(&known, &key).unwrap();
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(signature)
            .unwrap();
        assert!(reference.verify(text.as_bytes(), &signature).is_ok());
    }
    for known in [Known::RS256, Known::PS256, Known::ES256, Known::EdDSA] {
        assert!(jsonwebtoken::encode(&Header::new(known), &subject, &secret).is_err());
    }
    assert!((PROVIDER.signer_factory)(&Known::HS256, &EncodingKey::from_rsa_der(&[])).is_err());
}

#[test]
fn keys_of_another_family_make_no_verifier() {
    let keys = [
        DecodingKey::from_secret(&[7; 64]),
        DecodingKey::from_rsa_der(&[7; 64]),
        DecodingKey::from_ec_der(&[7; 64]),
        DecodingKey::from_ed_der(&[7; 64]),
        DecodingKey::from_ed_der(&[]),
        DecodingKey::from_rsa_raw_components(&[], &[]),
        DecodingKey::from_rsa_raw_components(&[0xff; 256], &[0xff; 9]),
        DecodingKey::from_rsa_raw_components(&[1], &[1, 0, 1]),
        DecodingKey::from_ec_der(&[]),
    ];
    for &algorithm in Algorithm::ALL {
        let Ok(known) = algorithm.name().parse::<Known>() else {
            continue;
        };
        for key in &keys {
            match (PROVIDER.verifier_factory)(&known, key) {
                Err(_) => {}
                Ok(verifier) => {
                    assert_eq!(known.family(), key.family());
                    for signature in [vec![], vec![0], vec![0; 64], vec![0xff; 256]] {
                        assert!(verifier.verify(b"text", &signature).is_err());
                    }
                }
            }
        }
    }
}

#[test]
fn every_utility_answers_without_a_panic() {
    let utilities = &PROVIDER.key_utils;
    let reference = &rust_crypto::DEFAULT_PROVIDER.key_utils;
    let signer = Signer::new();
    let private = signer.rsa();
    let public = private.to_public_key();
    let pkcs1 = public.to_pkcs1_der().unwrap();
    let expected = (reference.rsa_pub_components_from_public_key)(pkcs1.as_bytes()).unwrap();

    let spki = public.to_public_key_der().unwrap();
    for der in [pkcs1.as_bytes(), spki.as_bytes()] {
        assert_eq!(
            (utilities.rsa_pub_components_from_public_key)(der).unwrap(),
            expected
        );
    }
    let (pkcs1, pkcs8) = (
        private.to_pkcs1_der().unwrap(),
        private.to_pkcs8_der().unwrap(),
    );
    for der in [pkcs1.as_bytes(), pkcs8.as_bytes()] {
        assert_eq!(
            (utilities.rsa_pub_components_from_private_key)(der).unwrap(),
            expected
        );
        for cut in 0..der.len() {
            drop((utilities.rsa_pub_components_from_private_key)(&der[..cut]));
            drop((utilities.rsa_pub_components_from_public_key)(&der[..cut]));
        }
    }
    assert!((utilities.ec_pub_components_from_private_key)(&[], Known::ES256).is_err());
    assert!((utilities.ed_pub_components_from_private_key)(&[], &EllipticCurve::Ed25519).is_err());
    for hash in [
        ThumbprintHash::SHA256,
        ThumbprintHash::SHA384,
        ThumbprintHash::SHA512,
    ] {
        let ours = (utilities.compute_digest)(b"text", hash.clone()).unwrap();
        assert_eq!(ours, (reference.compute_digest)(b"text", hash).unwrap());
    }
}

#[test]
fn thumbprints_are_those_of_jsonwebtoken() {
    assert!(install());
    let signer = Signer::new();
    for &algorithm in Algorithm::ALL {
        let text = signer.jwk(algorithm);
        let ours = serde_json::from_str(&text).unwrap();
        let theirs: Jwk = serde_json::from_str(&text).unwrap();
        assert_eq!(
            thumbprint(&ours).unwrap(),
            theirs.thumbprint(ThumbprintHash::SHA256).unwrap(),
            "{algorithm}"
        );
    }
}
