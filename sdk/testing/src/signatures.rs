//! The host's foreign function `verify_signature`, in software.
//!
//! It answers as Envoy does: a key that cannot be read, a hash that is not known
//! and a signature that is none are all "not valid", and the call itself goes
//! well.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use prost::Message;
use rsa::pkcs1::der::Decode;
use rsa::pkcs8::{DecodePublicKey, SubjectPublicKeyInfoRef};
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
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

fn is_valid(asked: &Arguments) -> bool {
    let Arguments {
        public_key: key,
        signature,
        text,
        ..
    } = asked;
    let (hash, padding) = match asked.hash_function.to_lowercase().as_str() {
        "sha256" => (Sha256::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha256>()),
        "sha384" => (Sha384::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha384>()),
        "sha512" => (Sha512::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha512>()),
        _ => return false,
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
