//! ES*, in the module.

use jsonwebtoken::Algorithm;
use p256::ecdsa::signature::Verifier;

/// Whether the signature of two numbers side by side is good. `None` if the
/// algorithm is none that is carried.
pub(super) fn verify(
    algorithm: Algorithm,
    point: &[u8],
    text: &[u8],
    signature: &[u8],
) -> Option<bool> {
    match algorithm {
        Algorithm::ES256 => Some(es256(point, text, signature).is_some()),
        Algorithm::ES384 => Some(es384(point, text, signature).is_some()),
        _ => None,
    }
}

fn es256(point: &[u8], text: &[u8], signature: &[u8]) -> Option<()> {
    use p256::ecdsa::{Signature, VerifyingKey};
    let key = VerifyingKey::from_sec1_bytes(point).ok()?;
    let signature = Signature::from_slice(signature).ok()?;
    key.verify(text, &signature).ok()
}

fn es384(point: &[u8], text: &[u8], signature: &[u8]) -> Option<()> {
    use p384::ecdsa::{Signature, VerifyingKey};
    let key = VerifyingKey::from_sec1_bytes(point).ok()?;
    let signature = Signature::from_slice(signature).ok()?;
    key.verify(text, &signature).ok()
}
