//! Who checks signatures.
//!
//! | algorithms | by Envoy (`verify_signature`) | in the module |
//! |---|---|---|
//! | RS256, RS384, RS512 | yes | feature `portable` |
//! | ES256, ES384 | yes | feature `portable` |
//! | ES512 | yes | no |
//! | PS256, PS384, PS512 | no | feature `pss` |
//! | `EdDSA` (Ed25519) | no | feature `eddsa` |
//! | HS256, HS384, HS512 | no | always |
//!
//! What Envoy can check, it does: that takes it a thirtieth of what it takes the
//! module. A host without the function is noticed at the first signature, and
//! the module does it from then on. What neither can check is refused with
//! [`VerifyError::Unsupported`].
//!
//! All but ES512, which `jsonwebtoken` does not know, goes through its
//! [`verify`](jsonwebtoken::crypto::verify) and so through our
//! [`CryptoProvider`], which [`install`] makes that of the process. Its keys may
//! be of any form that `jsonwebtoken` reads; a `SubjectPublicKeyInfo` in
//! `from_rsa_der` or `from_ec_der` is the one that needs no work.

mod ecdsa;
#[cfg(feature = "eddsa")]
mod eddsa;
mod hmac;
mod host;
mod keys;
mod modulus;
#[cfg(feature = "portable")]
mod portable;
mod provider;
#[cfg(any(feature = "portable", feature = "pss"))]
mod rsa;

use std::cell::Cell;
use std::sync::OnceLock;

use jsonwebtoken::crypto::CryptoProvider;
use legation::foreign::ForeignError;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::key::Key;
use crate::key_set::VerifyError;

pub(crate) use modulus::Modulus;
pub use provider::PROVIDER;

/// Makes ours the process's [`CryptoProvider`], as every
/// [`KeySet`](crate::KeySet) does. `false` if there is another one already: then
/// no token verifies.
pub fn install() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| CryptoProvider::install_default(&PROVIDER).is_ok())
}

/// Who verifies an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verifier {
    /// Envoy's own cryptography.
    Host,
    /// The module.
    Module,
}

/// What can be verified here, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    host: bool,
}

/// Asks the host once, by a signature that is known to be good: for a filter
/// that says what it cannot do when it is configured. At most one host call.
pub fn support() -> Support {
    Support {
        host: host::verifies(),
    }
}

impl Support {
    /// Who verifies this algorithm; `None` if it cannot be verified.
    pub fn of(self, algorithm: Algorithm) -> Option<Verifier> {
        if self.host && host::knows(algorithm) {
            return Some(Verifier::Host);
        }
        carries(algorithm).then_some(Verifier::Module)
    }
}

/// Whether the module has what the algorithm needs.
const fn carries(algorithm: Algorithm) -> bool {
    use Algorithm as A;
    match algorithm {
        A::HS256 | A::HS384 | A::HS512 => true,
        A::RS256 | A::RS384 | A::RS512 | A::ES256 | A::ES384 => cfg!(feature = "portable"),
        A::PS256 | A::PS384 | A::PS512 => cfg!(feature = "pss"),
        A::EdDSA => cfg!(feature = "eddsa"),
        A::ES512 => false,
    }
}

/// Why a signature could not be checked, which is not to say that it is bad.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Failure {
    #[error("neither the host nor the module can verify it")]
    Unsupported,
    #[error(transparent)]
    Host(ForeignError),
}

thread_local! {
    /// `jsonwebtoken` has one word for a bad signature and for one that could
    /// not be checked. A worker's VM has one thread and this to itself.
    static FAILURE: Cell<Option<Failure>> = const { Cell::new(None) };
}

/// Whether the signature, in base64url, is the key's.
pub(crate) fn verify(
    key: &Key,
    algorithm: Algorithm,
    text: &[u8],
    signature: &str,
) -> Result<bool, VerifyError> {
    let explain = |failure| match failure {
        Failure::Unsupported => VerifyError::Unsupported(algorithm),
        Failure::Host(error) => VerifyError::Host(error),
    };
    let Some(known) = algorithm.known() else {
        return es512(key, text, signature).map_err(explain);
    };
    if !install() {
        return Err(VerifyError::OtherProvider);
    }
    FAILURE.set(None);
    let verified = jsonwebtoken::crypto::verify(signature, text, &key.material, known);
    match (FAILURE.take(), verified) {
        (Some(failure), _) => Err(explain(failure)),
        (None, Ok(verified)) => Ok(verified),
        // The key or the signature is none.
        (None, Err(_)) => Ok(false),
    }
}

fn es512(key: &Key, text: &[u8], signature: &str) -> Result<bool, Failure> {
    let (Ok(spki), Some(signature)) = (
        key.material.try_get_as_bytes(),
        base64url::decode(signature),
    ) else {
        return Ok(false);
    };
    match ecdsa::to_der(&signature, 66) {
        Some(signature) => host::verify(Algorithm::ES512, spki, &signature, text),
        None => Ok(false),
    }
}

/// The encodings of the points of small order of edwards25519, for which
/// anybody can make signatures. The sign bit is left out.
const SMALL_ORDER: [[u8; 32]; 7] = {
    const fn filled(first: u8, middle: u8, last: u8) -> [u8; 32] {
        let mut point = [middle; 32];
        let [start, .., end] = &mut point;
        *start = first;
        *end = last;
        point
    }
    [
        // y = 0, 1, -1, and 0 and 1 written with p added.
        filled(0, 0, 0),
        filled(1, 0, 0),
        filled(0xec, 0xff, 0x7f),
        filled(0xed, 0xff, 0x7f),
        filled(0xee, 0xff, 0x7f),
        // The points of order 8.
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ]
};

/// Whether a point is of small order, or is no point at all as far as can be
/// told.
pub(crate) fn is_weak_ed25519(point: &[u8; 32]) -> bool {
    let mut unsigned = *point;
    let [.., last] = &mut unsigned;
    *last &= 0x7f;
    #[cfg(feature = "eddsa")]
    if !eddsa::is_strong(point) {
        return true;
    }
    SMALL_ORDER.contains(&unsigned)
}
