//! Sets of keys.

use std::fmt;

use legation::foreign::ForeignError;
use serde_json::{Map, Value};

use crate::algorithm::{Algorithm, Algorithms};
use crate::crypto;
use crate::json::{self, JsonError};
use crate::key::{Key, KeyError};
use crate::pem;
use crate::token::Token;

/// The most keys of a set. Issuers have a handful.
pub const MAX_KEYS: usize = 256;
/// The most signatures that are checked for one token. A token without a `kid`
/// is tried with each key that fits, and its sender decides how often.
pub const MAX_TRIALS: usize = 8;
/// How deep the JSON of a set may nest.
const MAX_DEPTH: usize = 16;

/// Whether a set may have secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Public keys alone: for keys that come from elsewhere, which must not turn
    /// what everybody knows into a secret.
    Public,
    /// Secrets for HS* too: for keys from the configuration.
    PublicAndSecret,
}

/// The keys that tokens are verified with.
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

/// A key of a set that is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {index}{}: {error}", .id.as_ref().map(|id| format!(" (`{id}`)")).unwrap_or_default())]
pub struct SkippedKey {
    /// Its place in the set, from 0.
    pub index: usize,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Why.
    pub error: KeyError,
}

/// Why there is no set of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// It cannot be read.
    #[error("the key set is {0}")]
    Json(JsonError),
    /// It has no member `keys`, or one that is no array.
    #[error("the key set has no array `keys`")]
    NoKeys,
    /// It has more than [`MAX_KEYS`].
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooManyKeys,
    /// It is no text with blocks of PEM in it.
    #[error("there is no PEM block")]
    NoPem,
    /// It has no keys that can be used.
    #[error("the key set has no key that can be used{}", listed(.0))]
    NoneUsable(Vec<SkippedKey>),
}

fn listed(skipped: &[SkippedKey]) -> String {
    let mut text = String::new();
    for key in skipped {
        text.push_str(if text.is_empty() { ": " } else { "; " });
        text.push_str(&key.to_string());
    }
    text
}

/// Why a signature is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The token's algorithm is not allowed.
    #[error("the token's algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// No key has the token's `kid`.
    #[error("no key has the token's key id")]
    UnknownKey,
    /// The keys that could be meant are not for the token's algorithm.
    #[error("no key is for the token's algorithm")]
    KeyMismatch,
    /// More than [`MAX_TRIALS`] keys could be meant.
    #[error("the token does not say which of too many keys it is signed with")]
    Ambiguous,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// Neither the host nor the module can verify it.
    #[error("{0} cannot be verified here")]
    Unsupported(Algorithm),
    /// The host failed.
    #[error(transparent)]
    Host(ForeignError),
    /// Another provider of cryptography has been installed.
    #[error("jsonwebtoken has another provider of cryptography")]
    OtherProvider,
}

impl KeySet {
    /// The public keys of a JWK set (RFC 7517 section 5).
    ///
    /// Keys that are not known or not safe are [skipped](Self::skipped). It is
    /// an error if none is left.
    pub fn from_jwks(json: &[u8]) -> Result<Self, KeySetError> {
        Self::from_jwks_for(json, KeyUse::Public)
    }

    /// The keys of a JWK set, with or without secrets (`oct`).
    pub fn from_jwks_for(json: &[u8], key_use: KeyUse) -> Result<Self, KeySetError> {
        let set = json::object(json, MAX_DEPTH).map_err(KeySetError::Json)?;
        let Some(Value::Array(keys)) = set.get("keys") else {
            return Err(KeySetError::NoKeys);
        };
        let secrets = key_use == KeyUse::PublicAndSecret;
        Self::of(keys.iter().map(|jwk| match jwk {
            Value::Object(jwk) => (
                jwk.get("kid").and_then(Value::as_str).map(str::to_owned),
                Key::from_jwk(jwk, secrets),
            ),
            _ => (None, Err(KeyError::NoObject)),
        }))
    }

    /// One public key, as a JWK.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, KeyError> {
        Key::from_jwk(jwk, false).map(Self::one)
    }

    /// The public keys of a text in PEM: `PUBLIC KEY`, `RSA PUBLIC KEY` and
    /// `CERTIFICATE`.
    ///
    /// They have no ids, and so are tried for tokens with any. Of a certificate
    /// only the key counts: neither its time nor who signed it.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeySetError> {
        let text = std::str::from_utf8(text).map_err(|_| KeySetError::NoPem)?;
        let keys = pem::keys(text);
        if keys.is_empty() {
            return Err(KeySetError::NoPem);
        }
        Self::of(keys.into_iter().map(|key| (None, key)))
    }

    /// One secret, for each HS* whose hash is not longer.
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        Key::secret(secret).map(Self::one)
    }

    /// Every key without an algorithm of its own is for this one alone.
    #[must_use]
    pub fn with_default_algorithm(mut self, algorithm: Algorithm) -> Self {
        for key in &mut self.keys {
            key.algorithm.get_or_insert(algorithm);
        }
        self
    }

    fn one(key: Key) -> Self {
        crypto::install();
        Self {
            keys: vec![key],
            skipped: Vec::new(),
        }
    }

    fn of(
        found: impl ExactSizeIterator<Item = (Option<String>, Result<Key, KeyError>)>,
    ) -> Result<Self, KeySetError> {
        crypto::install();
        if found.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let mut keys = Vec::new();
        let mut skipped = Vec::new();
        for (index, (id, key)) in found.enumerate() {
            match key {
                Ok(key) => keys.push(key),
                Err(error) => skipped.push(SkippedKey { index, id, error }),
            }
        }
        if keys.is_empty() {
            return Err(KeySetError::NoneUsable(skipped));
        }
        Ok(Self { keys, skipped })
    }

    /// The keys that are not used, and why.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// The ids of the keys that have one.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.id.as_deref())
    }

    /// How many keys are used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: there is no set without a key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What the keys can verify, whether or not it can be [done
    /// here](crypto::support).
    pub fn algorithms(&self) -> Algorithms {
        Algorithm::ALL
            .iter()
            .copied()
            .filter(|algorithm| self.keys.iter().any(|key| key.fits(*algorithm)))
            .collect()
    }

    /// Whether the token is signed by one of the keys, by an algorithm that is
    /// allowed.
    ///
    /// If the token has a `kid`, the keys with that id are tried, and if there
    /// are none, those without an id. Else all are, up to [`MAX_TRIALS`].
    pub fn verify(&self, token: &Token<'_>, allowed: Algorithms) -> Result<(), VerifyError> {
        if !allowed.contains(token.algorithm()) {
            return Err(VerifyError::AlgorithmNotAllowed);
        }
        self.verify_text(
            token.algorithm(),
            token.key_id(),
            token.signing_input().as_bytes(),
            token.signature(),
        )
    }

    /// Whether a text is signed by one of the keys: for a JWS whose payload is no
    /// set of claims. The signature is in base64url.
    pub fn verify_text(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        text: &[u8],
        signature: &str,
    ) -> Result<(), VerifyError> {
        let wanted = key_id;
        let named = |key: &&Key| key.id.as_deref() == wanted;
        let unnamed = |key: &&Key| key.id.is_none();
        let (any, fitting): (bool, Vec<&Key>) = if wanted.is_none() {
            (true, self.fitting(algorithm, |_| true))
        } else if self.keys.iter().any(|key| named(&key)) {
            (true, self.fitting(algorithm, named))
        } else {
            let any = self.keys.iter().any(|key| unnamed(&key));
            (any, self.fitting(algorithm, unnamed))
        };
        match fitting.len() {
            0 if any => return Err(VerifyError::KeyMismatch),
            0 => return Err(VerifyError::UnknownKey),
            1..=MAX_TRIALS => {}
            _ => return Err(VerifyError::Ambiguous),
        }
        for key in fitting {
            if crypto::verify(key, algorithm, text, signature)? {
                return Ok(());
            }
        }
        Err(VerifyError::BadSignature)
    }

    fn fitting(&self, algorithm: Algorithm, meant: impl Fn(&&Key) -> bool) -> Vec<&Key> {
        self.keys
            .iter()
            .filter(|key| meant(key) && key.fits(algorithm))
            .collect()
    }
}

/// The keys' ids alone.
impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("keys", &self.keys)
            .field("skipped", &self.skipped)
            .finish()
    }
}
