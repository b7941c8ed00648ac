//! What an issuer says of itself.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What is read of an issuer's metadata (`OpenID` Connect Discovery 1.0 section 3, RFC
/// 8414 section 2), each member once. Of the rest nothing is kept.
///
/// Only `issuer` and `jwks_uri` have been checked. An endpoint that is no text, or longer
/// than 2048 bytes, is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metadata {
    /// Who it is, as it was asked for.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where browsers sign in.
    #[serde(default, deserialize_with = "text")]
    pub authorization_endpoint: Option<String>,
    /// Where codes and refresh tokens are exchanged.
    #[serde(default, deserialize_with = "text")]
    pub token_endpoint: Option<String>,
    /// Where it is asked about its users.
    #[serde(default, deserialize_with = "text")]
    pub userinfo_endpoint: Option<String>,
    /// Where requests are pushed (RFC 9126).
    #[serde(default, deserialize_with = "text")]
    pub pushed_authorization_request_endpoint: Option<String>,
    /// Where browsers sign out (`OpenID` Connect RP-Initiated Logout 1.0).
    #[serde(default, deserialize_with = "text")]
    pub end_session_endpoint: Option<String>,
    /// Whether its answers to browsers say who it is (RFC 9207 section 3). `false` where
    /// it says nothing of it.
    #[serde(default, deserialize_with = "truth")]
    pub authorization_response_iss_parameter_supported: bool,
}

/// As long as a URL may be anywhere here.
const LONGEST: usize = 2_048;

fn text<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(reader)? {
        Value::String(text) if text.len() <= LONGEST => Some(text),
        _ => None,
    })
}

fn truth<'de, D: Deserializer<'de>>(reader: D) -> Result<bool, D::Error> {
    Value::deserialize(reader).map(|value| value == Value::Bool(true))
}
