//! `EdDSA` with Ed25519, in the module.

use ed25519_dalek::{Signature, VerifyingKey};

/// Whether the signature is good, by the strict rule: neither the key nor the
/// signature's point may be of small order.
pub(super) fn verify(key: &[u8; 32], text: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (
        VerifyingKey::from_bytes(key),
        Signature::from_slice(signature),
    ) else {
        return false;
    };
    key.verify_strict(text, &signature).is_ok()
}

/// Whether it is a point of the curve, and not of small order.
pub(super) fn is_strong(key: &[u8; 32]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak())
}
