//! What an ID token must claim.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use legation_jose::{Algorithm, Claims, Limits, Token, Validation};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::error::IdTokenError;

/// Those of users with many groups have more than tokens of APIs.
pub(super) const LIMITS: Limits = Limits {
    max_length: 16_384,
    max_depth: 32,
};

/// `OpenID` Connect Core 1.0 section 2: `sub` has at most 255 characters.
const LONGEST_NAME: usize = 255;

/// What an ID token must agree with.
#[derive(Clone, Copy, Default)]
pub(crate) struct Expected<'a> {
    /// What was sent with the sign-in. `None` where the token is not of one, but came with
    /// a refresh.
    pub(crate) nonce: Option<&'a str>,
    /// What came with it, which its `at_hash` is of if it has one.
    pub(crate) access_token: Option<&'a str>,
    /// How long ago the user may have signed in.
    pub(crate) max_age: Option<Duration>,
    /// Whom it is about: after a refresh, the same as before (section 12.2).
    pub(crate) subject: Option<&'a str>,
}

/// What all tokens of the provider must be like.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) issuer: Box<str>,
    pub(super) client_id: Box<str>,
    pub(super) clock_skew: Duration,
}

impl Rules {
    /// Whether an ID token is right, but for its signature (`OpenID` Connect Core 1.0
    /// section 3.1.3.7).
    pub(super) fn check(
        &self,
        token: &Token<'_>,
        expected: &Expected<'_>,
        now: SystemTime,
    ) -> Result<(), IdTokenError> {
        let claims = token.claims();
        // What the provider signs is not all an ID token: an access token with the client
        // for its audience (RFC 9068), a logout token, an assertion of events (RFC 8417).
        if ["at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt"]
            .iter()
            .any(|kind| token.is_type(kind))
        {
            return Err(IdTokenError::Kind("typ"));
        }
        if claims.get("events").is_some() {
            return Err(IdTokenError::Kind("events"));
        }
        self.check_common(claims, true, now)?;
        self.check_party(claims)?;
        let subject = subject(claims)?.ok_or(IdTokenError::Missing("sub"))?;
        if expected.subject.is_some_and(|before| before != subject) {
            return Err(IdTokenError::Subject);
        }
        if let Some(nonce) = expected.nonce {
            let got = claims.get("nonce").and_then(Value::as_str);
            let got = got.ok_or(IdTokenError::Missing("nonce"))?;
            if !bool::from(got.as_bytes().ct_eq(nonce.as_bytes())) {
                return Err(IdTokenError::Nonce);
            }
        }
        if let Some(longest) = expected.max_age {
            self.check_age(claims, longest, now)?;
        }
        match (expected.access_token, claims.get("at_hash")) {
            (Some(access_token), Some(Value::String(hash))) => {
                let right = half_hash(token.algorithm(), access_token);
                if !bool::from(hash.as_bytes().ct_eq(right.as_bytes())) {
                    return Err(IdTokenError::AccessToken);
                }
                Ok(())
            }
            (Some(_), Some(_)) => Err(IdTokenError::AccessToken),
            _ => Ok(()),
        }
    }

    /// What ID tokens and logout tokens have in common: who made them, for whom and when.
    pub(super) fn check_common(
        &self,
        claims: &Claims,
        require_expiration: bool,
        now: SystemTime,
    ) -> Result<SystemTime, IdTokenError> {
        let validation = Validation {
            issuer: Some(self.issuer.to_string()),
            audiences: vec![self.client_id.to_string()],
            require_expiration,
            clock_skew: self.clock_skew,
            ..Validation::default()
        };
        validation.check(claims, now)?;
        let issued_at = claims.issued_at().ok_or(IdTokenError::Missing("iat"))?;
        let latest = now.checked_add(self.clock_skew);
        if latest.is_none_or(|latest| issued_at > latest) {
            return Err(IdTokenError::IssuedAt);
        }
        Ok(issued_at)
    }

    /// Who asked for it (rules 4 and 5; section 2 on `azp`).
    fn check_party(&self, claims: &Claims) -> Result<(), IdTokenError> {
        let is_ours = match claims.get("azp") {
            Some(party) => party.as_str() == Some(&self.client_id),
            // Others could have it made for them, and bring it here.
            None => claims
                .audiences()
                .all(|audience| audience == &*self.client_id),
        };
        is_ours.then_some(()).ok_or(IdTokenError::AuthorizedParty)
    }

    /// When the user signed in (rule 13).
    fn check_age(
        &self,
        claims: &Claims,
        longest: Duration,
        now: SystemTime,
    ) -> Result<(), IdTokenError> {
        let at = claims.get("auth_time").and_then(Value::as_f64);
        let at = at.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let at = at.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
        let at = at.ok_or(IdTokenError::Missing("auth_time"))?;
        let allowed = longest.saturating_add(self.clock_skew);
        match now.duration_since(at) {
            Ok(age) if age <= allowed => Ok(()),
            Ok(_) => Err(IdTokenError::TooOld),
            Err(ahead) if ahead.duration() <= self.clock_skew => Ok(()),
            Err(_) => Err(IdTokenError::IssuedAt),
        }
    }
}

/// `sub`, if it is there.
pub(super) fn subject(claims: &Claims) -> Result<Option<&str>, IdTokenError> {
    name(claims, "sub")
}

/// A claim that names something: 1 to 255 bytes.
pub(super) fn name<'a>(
    claims: &'a Claims,
    claim: &'static str,
) -> Result<Option<&'a str>, IdTokenError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(name)) if (1..=LONGEST_NAME).contains(&name.len()) => Ok(Some(name)),
        Some(_) => Err(IdTokenError::Missing(claim)),
    }
}

/// The left half of a token's hash, by the hash of the algorithm (section 3.1.3.6). For
/// `EdDSA`, of which it says nothing, that of Ed25519.
fn half_hash(algorithm: Algorithm, text: &str) -> String {
    use Algorithm as A;

    let hash = match algorithm {
        A::RS256 | A::PS256 | A::ES256 | A::HS256 => Sha256::digest(text).to_vec(),
        A::RS384 | A::PS384 | A::ES384 | A::HS384 => Sha384::digest(text).to_vec(),
        A::RS512 | A::PS512 | A::ES512 | A::HS512 | A::EdDSA => Sha512::digest(text).to_vec(),
    };
    let half = hash.len() / 2;
    URL_SAFE_NO_PAD.encode(hash.get(..half).unwrap_or_default())
}

#[cfg(test)]
pub(super) mod tests;
