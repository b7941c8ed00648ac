//! A key, and what it may be used for.

use std::fmt;

use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::crypto::{self, Modulus};
use crate::der::{self, PublicKey};

/// RSA moduli, in bits: weaker ones are refused (RFC 7518 section 3.3), and
/// longer ones cost more than any signature is worth.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The longest exponent, in bits: as `BoringSSL`.
const EXPONENT_BITS: usize = 33;
/// The shortest secret, in bytes: of HS256.
pub(crate) const SHORTEST_SECRET: usize = 32;
/// The longest secret, in bytes. A hash of it is what counts beyond 128.
const LONGEST_SECRET: usize = 4096;

/// Why a key is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is no JSON object.
    #[error("no JSON object")]
    NoObject,
    /// It cannot be read: no DER, or not of the form that its label says.
    #[error("no key that can be read")]
    Malformed,
    /// This member is missing, of a wrong type, or not what RFC 7518 has it be.
    #[error("`{0}` is missing or not what it must be")]
    Member(&'static str),
    /// Its `kty` is not known here.
    #[error("a type of key that is not known")]
    UnknownType,
    /// Its curve is not known here.
    #[error("a curve that is not known")]
    UnknownCurve,
    /// Its `alg` is not one of a signature, or not known here.
    #[error("an algorithm that is not known for signatures")]
    UnknownAlgorithm,
    /// Its `alg` is not for keys of its type.
    #[error("an algorithm that is not for keys of its type")]
    AlgorithmMismatch,
    /// Its `use` or `key_ops` are not for verifying signatures.
    #[error("not for verifying signatures")]
    OtherUse,
    /// It is a private key, which whoever verifies must not have: whoever reads
    /// it could sign.
    #[error("a private key: publish the public one, and take this one out of use")]
    Private,
    /// It is a secret, where only public keys are taken.
    #[error("a secret, where only public keys are taken")]
    Secret,
    /// It is shorter than is safe: RSA under 2048 bits, a secret under its hash.
    #[error("shorter than is safe")]
    TooShort,
    /// It is longer than is of use: RSA over 8192 bits, a secret over 4096
    /// bytes.
    #[error("longer than is of use")]
    TooLong,
    /// It is not of the group, or weak in it: an RSA modulus that is even, an
    /// exponent that is even, 1 or over 33 bits, a point that is not on its
    /// curve or of small order.
    #[error("weak, or no key of its type")]
    Weak,
}

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
    /// A secret of so many bytes.
    Secret(usize),
}

impl Kind {
    /// Whether a key of this kind makes signatures of this algorithm.
    pub(crate) fn fits(self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        match algorithm {
            A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512 => self == Self::Rsa,
            A::ES256 => self == Self::P256,
            A::ES384 => self == Self::P384,
            A::ES512 => self == Self::P521,
            A::EdDSA => self == Self::Ed25519,
            // As long as the hash (RFC 7518 section 3.2).
            A::HS256 => matches!(self, Self::Secret(32..)),
            A::HS384 => matches!(self, Self::Secret(48..)),
            A::HS512 => matches!(self, Self::Secret(64..)),
        }
    }
}

/// A key that verifies signatures.
pub(crate) struct Key {
    pub(crate) id: Option<Box<str>>,
    /// The one algorithm that it is for.
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) kind: Kind,
    pub(crate) material: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// Whether it may verify signatures of this algorithm.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.kind.fits(algorithm) && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// A key without an id, for every algorithm that it fits.
    fn new(kind: Kind, material: DecodingKey) -> Self {
        Self {
            id: None,
            algorithm: None,
            kind,
            material,
        }
    }

    /// A JWK (RFC 7517 section 4).
    pub(crate) fn from_jwk(jwk: &Map<String, Value>, secrets: bool) -> Result<Self, KeyError> {
        check_use(jwk)?;
        let mut key = match text(jwk, "kty")? {
            "RSA" => {
                refuse_private(jwk, &["d", "p", "q", "dp", "dq", "qi", "oth"])?;
                let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
                Self::rsa(&n, &e)?
            }
            "EC" => {
                refuse_private(jwk, &["d"])?;
                let curve = Curve::named(text(jwk, "crv")?)?;
                let mut point = vec![UNCOMPRESSED];
                for name in ["x", "y"] {
                    let coordinate = bytes(jwk, name)?;
                    // Of full length (RFC 7518 section 6.2.1.2).
                    if coordinate.len() != curve.coordinate {
                        return Err(KeyError::Member(name));
                    }
                    point.extend_from_slice(&coordinate);
                }
                Self::ec(&curve, &point)?
            }
            "OKP" => {
                refuse_private(jwk, &["d"])?;
                match text(jwk, "crv")? {
                    "Ed25519" => Self::ed25519(&bytes(jwk, "x")?)?,
                    _ => return Err(KeyError::UnknownCurve),
                }
            }
            "oct" if secrets => Self::secret(&bytes(jwk, "k")?)?,
            "oct" => return Err(KeyError::Secret),
            _ => return Err(KeyError::UnknownType),
        };
        key.id = optional_text(jwk, "kid")?.map(Box::from);
        if let Some(name) = optional_text(jwk, "alg")? {
            let algorithm = name.parse().map_err(|_| KeyError::UnknownAlgorithm)?;
            if !key.kind.fits(algorithm) {
                return Err(match key.kind {
                    Kind::Secret(_) if algorithm.is_symmetric() => KeyError::TooShort,
                    _ => KeyError::AlgorithmMismatch,
                });
            }
            key.algorithm = Some(algorithm);
        }
        Ok(key)
    }

    /// A `SubjectPublicKeyInfo`.
    pub(crate) fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        match PublicKey::from_spki(der).ok_or(KeyError::Malformed)? {
            PublicKey::Rsa { n, e } => Self::rsa(n, e),
            PublicKey::Ec { curve, point } => Self::ec(&Curve::identified(curve)?, point),
            PublicKey::Ed25519(point) => Self::ed25519(point),
        }
    }

    /// An `RSAPublicKey`.
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        match PublicKey::from_pkcs1(der) {
            Some(PublicKey::Rsa { n, e }) => Self::rsa(n, e),
            _ => Err(KeyError::Malformed),
        }
    }

    /// An X.509 certificate's key.
    pub(crate) fn from_certificate(der: &[u8]) -> Result<Self, KeyError> {
        let spki = PublicKey::spki_of_certificate(der).ok_or(KeyError::Malformed)?;
        Self::from_spki(&spki)
    }

    /// A secret.
    pub(crate) fn secret(secret: &[u8]) -> Result<Self, KeyError> {
        match secret.len() {
            ..SHORTEST_SECRET => Err(KeyError::TooShort),
            length @ SHORTEST_SECRET..=LONGEST_SECRET => Ok(Self::new(
                Kind::Secret(length),
                DecodingKey::from_secret(secret),
            )),
            _ => Err(KeyError::TooLong),
        }
    }

    fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (der::without_zeros(n), der::without_zeros(e));
        match bits(n) {
            short if short < *RSA_BITS.start() => return Err(KeyError::TooShort),
            long if long > *RSA_BITS.end() => return Err(KeyError::TooLong),
            _ => {}
        }
        let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !odd(n) || !odd(e) || e == [1] || bits(e) > EXPONENT_BITS {
            return Err(KeyError::Weak);
        }
        let spki = PublicKey::Rsa { n, e }.to_spki();
        Ok(Self::new(Kind::Rsa, DecodingKey::from_rsa_der(&spki)))
    }

    fn ec(curve: &Curve, point: &[u8]) -> Result<Self, KeyError> {
        let length = curve.coordinate.saturating_mul(2).saturating_add(1);
        if point.len() != length || point.first() != Some(&UNCOMPRESSED) {
            return Err(KeyError::Malformed);
        }
        if !curve.has(point) {
            return Err(KeyError::Weak);
        }
        let key = PublicKey::Ec {
            curve: curve.identifier,
            point,
        };
        let material = DecodingKey::from_ec_der(&key.to_spki());
        Ok(Self::new(curve.kind, material))
    }

    fn ed25519(point: &[u8]) -> Result<Self, KeyError> {
        let point: &[u8; 32] = point.try_into().map_err(|_| KeyError::Malformed)?;
        if crypto::is_weak_ed25519(point) {
            return Err(KeyError::Weak);
        }
        Ok(Self::new(Kind::Ed25519, DecodingKey::from_ed_der(point)))
    }
}

/// The first byte of a point that is written in full (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A curve y^2 = x^3 - 3x + b (FIPS 186-5, SP 800-186 section 3.2.1).
struct Curve {
    name: &'static str,
    identifier: &'static [u8],
    kind: Kind,
    /// The length of a coordinate, in bytes.
    coordinate: usize,
    /// What coordinates are taken modulo.
    prime: &'static [u8],
    b: &'static [u8],
}

const CURVES: [Curve; 3] = [
    Curve {
        name: "P-256",
        identifier: der::P256,
        kind: Kind::P256,
        coordinate: 32,
        prime: &[
            0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff,
        ],
        b: &[
            0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd, 0x55, 0x76, 0x98,
            0x86, 0xbc, 0x65, 0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e,
            0x27, 0xd2, 0x60, 0x4b,
        ],
    },
    Curve {
        name: "P-384",
        identifier: der::P384,
        kind: Kind::P384,
        coordinate: 48,
        prime: &[
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0xff, 0xff, 0xff, 0xff,
        ],
        b: &[
            0xb3, 0x31, 0x2f, 0xa7, 0xe2, 0x3e, 0xe7, 0xe4, 0x98, 0x8e, 0x05, 0x6b, 0xe3, 0xf8,
            0x2d, 0x19, 0x18, 0x1d, 0x9c, 0x6e, 0xfe, 0x81, 0x41, 0x12, 0x03, 0x14, 0x08, 0x8f,
            0x50, 0x13, 0x87, 0x5a, 0xc6, 0x56, 0x39, 0x8d, 0x8a, 0x2e, 0xd1, 0x9d, 0x2a, 0x85,
            0xc8, 0xed, 0xd3, 0xec, 0x2a, 0xef,
        ],
    },
    Curve {
        name: "P-521",
        identifier: der::P521,
        kind: Kind::P521,
        coordinate: 66,
        prime: &[
            0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
        b: &[
            0x00, 0x51, 0x95, 0x3e, 0xb9, 0x61, 0x8e, 0x1c, 0x9a, 0x1f, 0x92, 0x9a, 0x21, 0xa0,
            0xb6, 0x85, 0x40, 0xee, 0xa2, 0xda, 0x72, 0x5b, 0x99, 0xb3, 0x15, 0xf3, 0xb8, 0xb4,
            0x89, 0x91, 0x8e, 0xf1, 0x09, 0xe1, 0x56, 0x19, 0x39, 0x51, 0xec, 0x7e, 0x93, 0x7b,
            0x16, 0x52, 0xc0, 0xbd, 0x3b, 0xb1, 0xbf, 0x07, 0x35, 0x73, 0xdf, 0x88, 0x3d, 0x2c,
            0x34, 0xf1, 0xef, 0x45, 0x1f, 0xd4, 0x6b, 0x50, 0x3f, 0x00,
        ],
    },
];

impl Curve {
    fn named(name: &str) -> Result<Self, KeyError> {
        Self::find(|curve| curve.name == name)
    }

    fn identified(identifier: &[u8]) -> Result<Self, KeyError> {
        Self::find(|curve| curve.identifier == identifier)
    }

    /// Whether a point that is written in full is on the curve.
    fn has(&self, point: &[u8]) -> bool {
        let on_curve = || {
            let prime = Modulus::new(self.prime)?;
            let (x, y) = point.get(1..)?.split_at_checked(self.coordinate)?;
            let (x, y) = (prime.residue(x)?, prime.residue(y)?);
            // y^2 + 3x = x^3 + b
            let three_x = prime.add(&prime.add(&x, &x), &x);
            let left = prime.add(&prime.power(&y, 2), &three_x);
            let right = prime.add(&prime.power(&x, 3), &prime.residue(self.b)?);
            (left == right).then_some(())
        };
        on_curve().is_some()
    }

    fn find(is_it: impl Fn(&Self) -> bool) -> Result<Self, KeyError> {
        CURVES.into_iter().find(is_it).ok_or(KeyError::UnknownCurve)
    }
}

/// The length of a number without zeros in front, in bits.
fn bits(number: &[u8]) -> usize {
    let spare = number.first().map_or(0, |first| first.leading_zeros());
    (number.len().saturating_mul(8)).saturating_sub(spare as usize)
}

/// A key that says what it is for must say that it verifies (RFC 7517 sections
/// 4.2 and 4.3).
fn check_use(jwk: &Map<String, Value>) -> Result<(), KeyError> {
    match optional_text(jwk, "use")? {
        None | Some("sig") => {}
        Some(_) => return Err(KeyError::OtherUse),
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|name| name == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(KeyError::OtherUse),
        Some(_) => Err(KeyError::Member("key_ops")),
    }
}

fn refuse_private(jwk: &Map<String, Value>, members: &[&str]) -> Result<(), KeyError> {
    if members.iter().any(|name| jwk.contains_key(*name)) {
        return Err(KeyError::Private);
    }
    Ok(())
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, KeyError> {
    optional_text(jwk, name)?.ok_or(KeyError::Member(name))
}

fn optional_text<'a>(
    jwk: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, KeyError> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyError::Member(name)),
    }
}

fn bytes(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    base64url::decode(text(jwk, name)?)
        .filter(|bytes| !bytes.is_empty())
        .ok_or(KeyError::Member(name))
}
