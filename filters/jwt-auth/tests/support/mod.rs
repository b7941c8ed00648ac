//! Tokens and configurations for tests.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test takes what it needs; what fails here fails the test"
)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

pub(crate) const ISSUER: &str = "https://a.example";
pub(crate) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
/// In the year 2100.
pub(crate) const FAR: u64 = 4_102_444_800;

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token signed by HS256.
pub(crate) fn signed(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let (header, claims) = (header.to_string(), claims.to_string());
    let text = format!("{}.{}", base64url(header), base64url(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(text.as_bytes());
    format!("{text}.{}", base64url(mac.finalize().into_bytes()))
}

/// A good token with these claims besides.
pub(crate) fn token(more: &Value) -> String {
    let mut claims = json!({"iss": ISSUER, "sub": "ann", "aud": "api", "exp": FAR});
    let (claims_of, more) = (claims.as_object_mut().unwrap(), more.as_object().unwrap());
    claims_of.extend(more.clone());
    signed(&json!({"alg": "HS256"}), &claims, SECRET)
}

/// A key set with a secret.
pub(crate) fn secret_keys(id: Option<&str>) -> Value {
    let mut key = json!({"kty": "oct", "alg": "HS256", "k": base64url(SECRET)});
    if let Some(id) = id {
        key["kid"] = id.into();
    }
    json!({ "keys": [key] })
}

/// A configuration with one provider, of which every token must be.
pub(crate) fn configuration(more: &Value) -> Value {
    json!({
        "providers": {"a": provider(more)},
        "rules": [{"requires": {"provider_name": "a"}}]
    })
}

/// A provider with local keys.
pub(crate) fn provider(more: &Value) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "local_jwks": {"inline_string": secret_keys(None).to_string()}
    });
    let (of, more) = (provider.as_object_mut().unwrap(), more.as_object().unwrap());
    of.extend(more.clone());
    provider
}
