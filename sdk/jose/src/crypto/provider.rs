//! What `jsonwebtoken` is given.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{self, Error};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};

use super::{FAILURE, Failure, ecdsa, hmac, host, keys};
use crate::algorithm::Algorithm as Ours;
#[cfg(feature = "portable")]
use crate::der;
#[cfg(any(feature = "portable", feature = "pss"))]
use crate::der::PublicKey;

/// Verifies by Envoy what Envoy can, and the rest in the module. It signs by HS*
/// alone.
///
/// [`install`](super::install) installs it.
pub static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| signer(*algorithm, key),
    verifier_factory: |algorithm, key| verifier(*algorithm, key),
    key_utils: keys::UTILITIES,
};

fn signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if algorithm.family() != AlgorithmFamily::Hmac {
        return Err(ErrorKind::UnsupportedAlgorithm.into());
    }
    if key.family() != AlgorithmFamily::Hmac {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(HmacSigner(algorithm, key.clone())))
}

struct HmacSigner(Algorithm, EncodingKey);

impl signature::Signer<Vec<u8>> for HmacSigner {
    fn try_sign(&self, text: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        hmac::sign(self.0, self.1.as_bytes(), text).ok_or_else(Error::new)
    }
}

impl JwtSigner for HmacSigner {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let key = match algorithm.family() {
        AlgorithmFamily::Rsa | AlgorithmFamily::Ec => keys::spki(key, algorithm)
            .ok_or(ErrorKind::InvalidKeyFormat)?
            .into_owned(),
        AlgorithmFamily::Hmac | AlgorithmFamily::Ed => key.try_get_as_bytes()?.to_vec(),
    };
    Ok(Box::new(Verifier { algorithm, key }))
}

struct Verifier {
    algorithm: Algorithm,
    /// A `SubjectPublicKeyInfo`, a point of Ed25519, or a secret.
    key: Vec<u8>,
}

impl JwtVerifier for Verifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl signature::Verifier<Vec<u8>> for Verifier {
    fn verify(&self, text: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        match self.check(text, signature) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::new()),
            Err(failure) => {
                let error = Error::from_source(failure.to_string());
                FAILURE.set(Some(failure));
                Err(error)
            }
        }
    }
}

impl Verifier {
    fn check(&self, text: &[u8], signature: &[u8]) -> std::result::Result<bool, Failure> {
        use Algorithm as A;
        let (ours, coordinate) = match self.algorithm {
            A::RS256 => (Ours::RS256, None),
            A::RS384 => (Ours::RS384, None),
            A::RS512 => (Ours::RS512, None),
            A::ES256 => (Ours::ES256, Some(32)),
            A::ES384 => (Ours::ES384, Some(48)),
            A::HS256 | A::HS384 | A::HS512 => {
                return Ok(hmac::verify(self.algorithm, &self.key, text, signature));
            }
            _ => return self.check_here(text, signature),
        };
        let answer = match coordinate {
            None => host::verify(ours, &self.key, signature, text),
            Some(coordinate) => match ecdsa::to_der(signature, coordinate) {
                Some(signature) => host::verify(ours, &self.key, &signature, text),
                None => return Ok(false),
            },
        };
        match answer {
            Err(Failure::Unsupported) => self.check_here(text, signature),
            answered => answered,
        }
    }

    /// In the module, if it carries what that takes.
    #[cfg_attr(
        not(any(feature = "portable", feature = "pss", feature = "eddsa")),
        expect(unused_variables, reason = "it carries nothing")
    )]
    fn check_here(&self, text: &[u8], signature: &[u8]) -> std::result::Result<bool, Failure> {
        let verified = match self.algorithm.family() {
            #[cfg(feature = "eddsa")]
            AlgorithmFamily::Ed => Some(
                self.key
                    .as_slice()
                    .try_into()
                    .is_ok_and(|key| super::eddsa::verify(key, text, signature)),
            ),
            #[cfg(feature = "portable")]
            AlgorithmFamily::Ec => match (self.algorithm, PublicKey::from_spki(&self.key)) {
                (
                    Algorithm::ES256,
                    Some(PublicKey::Ec {
                        curve: der::P256,
                        point,
                    }),
                )
                | (
                    Algorithm::ES384,
                    Some(PublicKey::Ec {
                        curve: der::P384,
                        point,
                    }),
                ) => super::portable::verify(self.algorithm, point, text, signature),
                _ => Some(false),
            },
            #[cfg(any(feature = "portable", feature = "pss"))]
            AlgorithmFamily::Rsa => match PublicKey::from_spki(&self.key) {
                Some(PublicKey::Rsa { n, e }) => {
                    super::rsa::verify(self.algorithm, (n, e), text, signature)
                }
                _ => Some(false),
            },
            _ => None,
        };
        verified.ok_or(Failure::Unsupported)
    }
}
