//! The host's foreign functions `verify_signature` and `sign`, in software.
//!
//! The first answers as Envoy does: a key that cannot be read, a hash that is not
//! known and a signature that is none are all "not valid", and the call itself goes
//! well.

use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use prost::Message;
use rsa::pkcs1::der::Decode;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, SubjectPublicKeyInfoRef};
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::call::status;

pub(crate) const FUNCTION: &str = "verify_signature";

#[derive(Clone, PartialEq, Message)]
struct Arguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    text: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(bool, tag = "1")]
    result: bool,
    #[prost(string, tag = "2")]
    error: String,
}

pub(crate) fn verify(arguments: &[u8]) -> Result<Vec<u8>, u32> {
    let arguments = Arguments::decode(arguments).map_err(|_| status::BAD_ARGUMENT)?;
    let result = is_valid(&arguments);
    let error = if result {
        ""
    } else {
        "Failed to verify digest"
    }
    .to_owned();
    Ok(Answer { result, error }.encode_to_vec())
}

/// The longest modulus, in bits: as `BoringSSL`.
const LONGEST: usize = 16384;

fn rsa(key: &[u8]) -> Option<RsaPublicKey> {
    let info = SubjectPublicKeyInfoRef::from_der(key).ok()?;
    info.algorithm
        .assert_algorithm_oid(rsa::pkcs1::ALGORITHM_OID)
        .ok()?;
    let key = rsa::pkcs1::RsaPublicKey::from_der(info.subject_public_key.raw_bytes()).ok()?;
    let number = |number: rsa::pkcs1::UintRef<'_>| BigUint::from_bytes_be(number.as_bytes());
    let (n, e) = (number(key.modulus), number(key.public_exponent));
    RsaPublicKey::new_with_max_size(n, e, LONGEST).ok()
}

/// The hash of a text, by Envoy's name for it, and RSA's padding.
fn digest(function: &str, text: &[u8]) -> Option<(Vec<u8>, Pkcs1v15Sign)> {
    Some(match function.to_lowercase().as_str() {
        "sha256" => (Sha256::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha256>()),
        "sha384" => (Sha384::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha384>()),
        "sha512" => (Sha512::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha512>()),
        _ => return None,
    })
}

#[derive(Clone, PartialEq, Message)]
struct SignArguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    private_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    text: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct SignAnswer {
    #[prost(bool, tag = "1")]
    result: bool,
    #[prost(bytes = "vec", tag = "2")]
    signature: Vec<u8>,
    #[prost(string, tag = "3")]
    error: String,
}

/// Envoy's foreign function `sign` (1.37 and newer), for
/// [`Host::set_foreign_function`](crate::Host::set_foreign_function): RSA with PKCS #1
/// v1.5 padding, and ECDSA with P-256, P-384 and P-521.
pub fn sign(arguments: &[u8]) -> Result<Vec<u8>, u32> {
    let arguments = SignArguments::decode(arguments).map_err(|_| status::BAD_ARGUMENT)?;
    let signature = signature(&arguments);
    let answer = SignAnswer {
        result: signature.is_some(),
        error: match signature {
            Some(_) => String::new(),
            None => "Failed to sign".to_owned(),
        },
        signature: signature.unwrap_or_default(),
    };
    Ok(answer.encode_to_vec())
}

fn signature(asked: &SignArguments) -> Option<Vec<u8>> {
    let SignArguments {
        private_key: key,
        text,
        ..
    } = asked;
    let (hash, padding) = digest(&asked.hash_function, text)?;
    if let Ok(key) = RsaPrivateKey::from_pkcs8_der(key) {
        return key.sign(padding, &hash).ok();
    }
    if let Ok(key) = p256::SecretKey::from_pkcs8_der(key) {
        let key = p256::ecdsa::SigningKey::from(key);
        let signature: p256::ecdsa::Signature = key.sign_prehash(&hash).ok()?;
        return Some(signature.to_der().as_bytes().to_vec());
    }
    if let Ok(key) = p384::SecretKey::from_pkcs8_der(key) {
        let key = p384::ecdsa::SigningKey::from(key);
        let signature: p384::ecdsa::Signature = key.sign_prehash(&hash).ok()?;
        return Some(signature.to_der().as_bytes().to_vec());
    }
    let key = p521::SecretKey::from_pkcs8_der(key).ok()?;
    let key = p521::ecdsa::SigningKey::from_bytes(&key.to_bytes()).ok()?;
    let signature: p521::ecdsa::Signature = key.sign_prehash(&hash).ok()?;
    Some(signature.to_der().as_bytes().to_vec())
}

fn is_valid(asked: &Arguments) -> bool {
    let Arguments {
        public_key: key,
        signature,
        text,
        ..
    } = asked;
    let Some((hash, padding)) = digest(&asked.hash_function, text) else {
        return false;
    };
    if let Some(key) = rsa(key) {
        return key.verify(padding, &hash, signature).is_ok();
    }
    if let Ok(key) = p256::PublicKey::from_public_key_der(key) {
        return p256::ecdsa::Signature::from_der(signature).is_ok_and(|signature| {
            let key = p256::ecdsa::VerifyingKey::from(key);
            key.verify_prehash(&hash, &signature).is_ok()
        });
    }
    if let Ok(key) = p384::PublicKey::from_public_key_der(key) {
        return p384::ecdsa::Signature::from_der(signature).is_ok_and(|signature| {
            let key = p384::ecdsa::VerifyingKey::from(key);
            key.verify_prehash(&hash, &signature).is_ok()
        });
    }
    if let Ok(key) = p521::PublicKey::from_public_key_der(key) {
        return p521::ecdsa::Signature::from_der(signature).is_ok_and(|signature| {
            p521::ecdsa::VerifyingKey::from_affine(*key.as_affine())
                .is_ok_and(|key| key.verify_prehash(&hash, &signature).is_ok())
        });
    }
    false
}
