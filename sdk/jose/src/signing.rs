//! Tokens that a filter signs itself, by the host's foreign function `sign` (Envoy 1.37
//! and newer): assertions of who it is (RFC 7523).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use legation::foreign::{self, ForeignError, Hash};
use serde_json::{Map, Value, json};

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::der::{self, Reader};

/// RFC 7518 section 3.3.
const SHORTEST_RSA: usize = 2_048;

/// A private key, and the algorithm it signs by: RS256 for RSA, and ES256, ES384 or
/// ES512 by the curve.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    /// A `PrivateKeyInfo` in DER.
    pkcs8: Vec<u8>,
}

/// Why a text is no private key to sign with. No error holds a piece of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// There is no PEM block.
    #[error("not a private key in PEM; it begins with `-----BEGIN PRIVATE KEY-----`")]
    NoPem,
    /// There are several.
    #[error("more than one PEM block; give the private key alone")]
    Several,
    /// It is a public key, or a certificate.
    #[error("not a private key, but a public one")]
    Public,
    /// It is encrypted.
    #[error("the key is encrypted; decrypt it with `openssl pkcs8 -in KEY`")]
    Encrypted,
    /// It is an older form.
    #[error("not a PKCS #8 key; make it one with `openssl pkcs8 -topk8 -nocrypt -in KEY`")]
    NotPkcs8,
    /// It cannot be read.
    #[error("the key cannot be read: it is not whole, or not PEM of PKCS #8")]
    Malformed,
    /// It is neither RSA nor of a curve that is known.
    #[error("a key that the host cannot sign with; it takes RSA, P-256, P-384 and P-521")]
    UnknownType,
    /// It is too short to be safe.
    #[error("an RSA key of {0} bits; at least 2048 are safe")]
    TooShort(usize),
}

impl SigningKey {
    /// Reads a PKCS #8 `PRIVATE KEY` in PEM (RFC 7468 section 10). No host call: whether
    /// the host can sign with it is told by [`probe`](Self::probe).
    pub fn from_pem(text: &[u8]) -> Result<Self, SigningKeyError> {
        use SigningKeyError as E;

        let text = std::str::from_utf8(text).map_err(|_| E::NoPem)?;
        let (_, block) = text.split_once("-----BEGIN ").ok_or(E::NoPem)?;
        let (label, rest) = block.split_once("-----").ok_or(E::NoPem)?;
        let end = format!("-----END {label}-----");
        match label {
            "PRIVATE KEY" => {}
            "ENCRYPTED PRIVATE KEY" => return Err(E::Encrypted),
            other if other.ends_with("PRIVATE KEY") => return Err(E::NotPkcs8),
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => return Err(E::Public),
            _ => return Err(E::UnknownType),
        }
        let (body, after) = rest.split_once(&end).ok_or(E::Malformed)?;
        if after.contains("-----BEGIN ") {
            return Err(E::Several);
        }
        let body: String = body.split_ascii_whitespace().collect();
        let pkcs8 = STANDARD.decode(body).map_err(|_| E::Malformed)?;
        let algorithm = algorithm(&pkcs8)?;
        Ok(Self { algorithm, pkcs8 })
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the host has `sign`, and takes the key. One host call; a second one where
    /// the host has not been asked before.
    pub fn probe(&self) -> Result<(), ForeignError> {
        self.signature(b"legation").map(drop)
    }

    /// A JWS in the compact form (RFC 7515 section 7.1) with these claims. The header has
    /// `alg`, `typ` and, where it is given, `kid`.
    ///
    /// One host call.
    pub fn sign(
        &self,
        key_id: Option<&str>,
        typ: &str,
        claims: &Map<String, Value>,
    ) -> Result<String, ForeignError> {
        let mut header = json!({"alg": self.algorithm.name(), "typ": typ});
        if let (Some(id), Some(header)) = (key_id, header.as_object_mut()) {
            header.insert("kid".to_owned(), id.into());
        }
        let mut text = base64url::encode(header.to_string());
        text.push('.');
        text.push_str(&base64url::encode(
            serde_json::to_vec(claims).unwrap_or_default(),
        ));
        let signature = self.signature(text.as_bytes())?;
        text.push('.');
        text.push_str(&base64url::encode(signature));
        Ok(text)
    }

    /// As JOSE has it (RFC 7518 section 3).
    fn signature(&self, text: &[u8]) -> Result<Vec<u8>, ForeignError> {
        let (hash, coordinate) = match self.algorithm {
            Algorithm::ES256 => (Hash::Sha256, Some(32)),
            Algorithm::ES384 => (Hash::Sha384, Some(48)),
            Algorithm::ES512 => (Hash::Sha512, Some(66)),
            _ => (Hash::Sha256, None),
        };
        let signature = foreign::sign(hash, &self.pkcs8, text)?;
        match coordinate {
            None => Ok(signature),
            Some(length) => side_by_side(&signature, length).ok_or(ForeignError::Refused {
                function: "sign",
                reason: "the signature is not of the key's curve".to_owned(),
            }),
        }
    }
}

/// Says nothing of the key itself.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// By what a `PrivateKeyInfo` (RFC 5958 section 2) signs.
fn algorithm(pkcs8: &[u8]) -> Result<Algorithm, SigningKeyError> {
    use SigningKeyError as E;

    let read = || {
        let mut outer = Reader::new(pkcs8);
        let mut info = outer.sequence()?;
        info.take(der::INTEGER)?;
        let mut algorithm = info.sequence()?;
        let kind = algorithm.take(der::OBJECT_IDENTIFIER)?;
        let curve = algorithm.take(der::OBJECT_IDENTIFIER);
        let key = info.take(der::OCTET_STRING)?;
        outer.is_empty().then_some((kind, curve, key))
    };
    match read().ok_or(E::Malformed)? {
        (der::RSA, _, key) => {
            // RFC 8017 appendix A.1.2: a version, and then the modulus.
            let modulus = || {
                let mut key = Reader::new(key).sequence()?;
                key.take(der::INTEGER)?;
                key.positive()
            };
            let bits = modulus().ok_or(E::Malformed)?.len().saturating_mul(8);
            if bits < SHORTEST_RSA {
                return Err(E::TooShort(bits));
            }
            Ok(Algorithm::RS256)
        }
        (der::EC, Some(der::P256), _) => Ok(Algorithm::ES256),
        (der::EC, Some(der::P384), _) => Ok(Algorithm::ES384),
        (der::EC, Some(der::P521), _) => Ok(Algorithm::ES512),
        _ => Err(E::UnknownType),
    }
}

/// ECDSA's two numbers, of DER's, each in so many bytes (RFC 7518 section 3.4).
fn side_by_side(signature: &[u8], coordinate: usize) -> Option<Vec<u8>> {
    let mut outer = Reader::new(signature);
    let mut numbers = outer.sequence()?;
    let (r, s) = (numbers.positive()?, numbers.positive()?);
    if !outer.is_empty() || !numbers.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(coordinate.saturating_mul(2));
    for number in [r, s] {
        let zeros = coordinate.checked_sub(number.len())?;
        bytes.extend(std::iter::repeat_n(0, zeros));
        bytes.extend_from_slice(number);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_signature_are_as_long_as_the_curve_has_them() {
        let signature = |r: &[u8], s: &[u8]| {
            der::element(der::SEQUENCE, &[&der::unsigned(r), &der::unsigned(s)])
        };
        let short = side_by_side(&signature(&[1], &[0x80; 4]), 4);
        assert_eq!(short, Some(vec![0, 0, 0, 1, 0x80, 0x80, 0x80, 0x80]));

        for (wrong, why) in [
            (signature(&[1; 5], &[1]), "too long"),
            (signature(&[], &[1]), "none"),
            ([signature(&[1], &[1]), vec![0]].concat(), "more behind it"),
            (vec![], "nothing"),
        ] {
            assert_eq!(side_by_side(&wrong, 4), None, "{why}");
        }
    }
}
