//! What `jsonwebtoken` asks of keys, and the forms that it has them in.

use std::borrow::Cow;

use jsonwebtoken::crypto::KeyUtils;
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::der::{self, PublicKey, Reader};

/// Every function answers; those that would have to compute a public point of a
/// private key answer that they do not.
pub(super) const UTILITIES: KeyUtils = KeyUtils {
    rsa_pub_components_from_private_key: rsa_of_private,
    rsa_pub_components_from_public_key: rsa_of_public,
    ec_pub_components_from_private_key: |_, _| Err(ErrorKind::InvalidEcdsaKey.into()),
    ed_pub_components_from_private_key: |_, _| Err(ErrorKind::InvalidEddsaKey.into()),
    compute_digest: |data, hash| compute_digest(data, &hash),
};

type Components = (Vec<u8>, Vec<u8>);

fn no_rsa() -> ErrorKind {
    ErrorKind::InvalidRsaKey("the key cannot be read".to_owned())
}

fn rsa_of_public(der: &[u8]) -> Result<Components> {
    match PublicKey::from_spki(der).or_else(|| PublicKey::from_pkcs1(der)) {
        Some(PublicKey::Rsa { n, e }) => Ok((n.to_vec(), e.to_vec())),
        _ => Err(no_rsa().into()),
    }
}

/// Of an `RSAPrivateKey` (RFC 8017 appendix A.1.2), or a `PrivateKeyInfo` (RFC
/// 5208) with one.
fn rsa_of_private(der: &[u8]) -> Result<Components> {
    let read = || {
        let mut key = Reader::new(der).sequence()?;
        key.take(der::INTEGER)?;
        let mut ahead = key;
        if ahead.sequence().is_some() {
            key = Reader::new(ahead.take(der::OCTET_STRING)?).sequence()?;
            key.take(der::INTEGER)?;
        }
        Some((key.positive()?.to_vec(), key.positive()?.to_vec()))
    };
    read().ok_or_else(|| no_rsa().into())
}

fn compute_digest(data: &[u8], hash: &ThumbprintHash) -> Result<Vec<u8>> {
    Ok(match hash {
        ThumbprintHash::SHA256 => Sha256::digest(data).to_vec(),
        ThumbprintHash::SHA384 => Sha384::digest(data).to_vec(),
        ThumbprintHash::SHA512 => Sha512::digest(data).to_vec(),
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    })
}

/// An RSA or EC key as a `SubjectPublicKeyInfo`.
pub(super) fn spki(key: &DecodingKey, algorithm: Algorithm) -> Option<Cow<'_, [u8]>> {
    match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => {
            Some(Cow::Owned(PublicKey::Rsa { n, e }.to_spki()))
        }
        DecodingKeyKind::SecretOrDer(bytes) => {
            if PublicKey::from_spki(bytes).is_some() {
                return Some(Cow::Borrowed(bytes));
            }
            let curve = match algorithm {
                Algorithm::ES256 => der::P256,
                Algorithm::ES384 => der::P384,
                _ => return PublicKey::from_pkcs1(bytes).map(|key| Cow::Owned(key.to_spki())),
            };
            let point = bytes.as_slice();
            Some(Cow::Owned(PublicKey::Ec { curve, point }.to_spki()))
        }
    }
}
