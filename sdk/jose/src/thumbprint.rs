//! Thumbprints of keys.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::base64url;
use crate::key::KeyError;

/// The SHA-256 thumbprint of a JWK (RFC 7638), in base64url.
///
/// Only what makes the key is looked at, and only for its form: the key may
/// still be one that [`KeySet`](crate::KeySet) refuses.
pub fn thumbprint(jwk: &Map<String, Value>) -> Result<String, KeyError> {
    let text = |name: &'static str| {
        jwk.get(name)
            .and_then(Value::as_str)
            .ok_or(KeyError::Member(name))
    };
    // In the order of their names (section 3.3).
    let members: &[&'static str] = match text("kty")? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "oct" => &["k", "kty"],
        _ => return Err(KeyError::UnknownType),
    };
    let mut hash = Sha256::new();
    let mut before = '{';
    for name in members {
        // Written as JSON, whatever it holds.
        let value = Value::from(text(name)?);
        hash.update(format!("{before}\"{name}\":{value}"));
        before = ',';
    }
    hash.update("}");
    Ok(base64url::encode(hash.finalize()))
}
