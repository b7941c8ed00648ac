//! What a token claims.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::json;
use crate::token::{Part, TokenError};

/// The claims of a token (RFC 7519 section 4), or of another JSON object that
/// has them.
#[derive(Clone)]
pub struct Claims {
    json: Vec<u8>,
    members: Map<String, Value>,
    expires_at: Option<SystemTime>,
    not_before: Option<SystemTime>,
    issued_at: Option<SystemTime>,
}

/// The last second that a date may name: 2^53 - 1, beyond which JSON's numbers
/// skip some (RFC 8259 section 6).
const LAST_SECOND: u64 = (1 << 53) - 1;

impl Claims {
    /// Reads a JSON object of at most this depth; the claims that RFC 7519
    /// registers must be of their types.
    pub fn parse(json: Vec<u8>, max_depth: usize) -> Result<Self, TokenError> {
        let members = json::object(&json, max_depth)
            .map_err(|error| TokenError::Json(Part::Payload, error))?;
        for name in ["iss", "sub", "jti"] {
            if members.get(name).is_some_and(|value| !value.is_string()) {
                return Err(TokenError::Claim(name));
            }
        }
        let audiences = match members.get("aud") {
            None | Some(Value::String(_)) => true,
            Some(Value::Array(audiences)) => audiences.iter().all(Value::is_string),
            Some(_) => false,
        };
        if !audiences {
            return Err(TokenError::Claim("aud"));
        }
        Ok(Self {
            expires_at: date(&members, "exp")?,
            not_before: date(&members, "nbf")?,
            issued_at: date(&members, "iat")?,
            members,
            json,
        })
    }

    /// Who issued it (`iss`).
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// Whom it is about (`sub`).
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// Whom it is for (`aud`): one, several or nobody.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        let several = match self.members.get("aud") {
            Some(Value::Array(audiences)) => audiences.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        several.iter().filter_map(Value::as_str)
    }

    /// From when on it must not be taken (`exp`).
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Before when it must not be taken (`nbf`).
    pub fn not_before(&self) -> Option<SystemTime> {
        self.not_before
    }

    /// When it was issued (`iat`).
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.issued_at
    }

    /// Its own id (`jti`).
    pub fn id(&self) -> Option<&str> {
        self.text("jti")
    }

    /// A claim by its name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// A claim within objects, by the names that lead to it.
    pub fn at<S: AsRef<str>>(&self, path: &[S]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.members.get(first.as_ref())?, |value, name| {
                value.as_object()?.get(name.as_ref())
            })
    }

    /// The text they were read from.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// All of them.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.members
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }
}

/// Says nothing of the claims themselves.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}

/// A `NumericDate` (RFC 7519 section 2): seconds since 1970, with a fraction or
/// without.
fn date(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<SystemTime>, TokenError> {
    let Some(value) = members.get(name) else {
        return Ok(None);
    };
    let since_1970 = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => Some(Duration::from_secs(seconds)),
        (None, Some(seconds)) => Duration::try_from_secs_f64(seconds).ok(),
        (None, None) => None,
    };
    since_1970
        .filter(|since_1970| since_1970.as_secs() <= LAST_SECOND)
        .and_then(|since_1970| SystemTime::UNIX_EPOCH.checked_add(since_1970))
        .map(Some)
        .ok_or(TokenError::Claim(name))
}
