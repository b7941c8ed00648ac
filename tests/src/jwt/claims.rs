//! The minter.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::base64url;
use super::key::Key;

/// A token to be: its claims and its header, changed at will, then signed.
///
/// [`Claims::of`] has what a good token has: `iss`, `sub`, and an `exp` in one hour.
#[derive(Clone, Debug)]
pub struct Claims {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Claims {
    /// A good token of this issuer: subject `alice`, valid for an hour.
    pub fn of(issuer: &str) -> Self {
        Self::from(json!({"iss": issuer, "sub": "alice", "exp": now() + 3600}))
    }

    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Takes a claim away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets `aud`: a string, or a list.
    #[must_use]
    pub fn audience(self, audience: impl Into<Value>) -> Self {
        self.claim("aud", audience)
    }

    /// Sets `exp` so many seconds from now; negative is in the past.
    #[must_use]
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// Sets a header member; `alg` too, whatever the key then signs by.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// The claims.
    pub fn to_value(&self) -> Value {
        Value::Object(self.claims.clone())
    }

    /// The token. `alg` and `kid` are the key's, unless [`Claims::header`] has set them; a null
    /// there leaves the member out. The signature is by the key's algorithm, whatever `alg` says.
    pub fn signed_by(&self, key: &Key) -> String {
        self.signed_as(key, key.algorithm())
    }

    /// The token, with a signature by this algorithm of the key's; see [`Key::sign`].
    pub fn signed_as(&self, key: &Key, algorithm: &str) -> String {
        let header = self.complete_header(key, algorithm);
        let claims = self.to_value().to_string();
        compact(&header, &claims, |input| key.sign(algorithm, input))
    }

    /// The header that [`Claims::signed_as`] gives the token, as JSON text.
    pub fn complete_header(&self, key: &Key, algorithm: &str) -> String {
        let mut header = Map::new();
        header.insert("alg".to_owned(), algorithm.into());
        if let Some(id) = key.id() {
            header.insert("kid".to_owned(), id.into());
        }
        header.extend(self.header.clone());
        header.retain(|_, value| !value.is_null());
        Value::Object(header).to_string()
    }
}

impl From<Value> for Claims {
    /// A token with these claims alone; panics where they are no object.
    fn from(claims: Value) -> Self {
        let Value::Object(claims) = claims else {
            panic!("claims are an object, not {claims}");
        };
        Self {
            header: Map::new(),
            claims,
        }
    }
}

/// A token of any header and payload, signed by a function of its signing input.
pub fn compact(
    header: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> String {
    let input = format!("{}.{}", base64url(header), base64url(payload));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", base64url(signature))
}

/// The time as tokens have it: seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.expect("this is after 1970");
    i64::try_from(since.as_secs()).expect("this is before the year 292 billion")
}
