//! What a token must claim.

use std::time::{Duration, SystemTime};

use legation::matcher::StringMatch;

use crate::claims::Claims;

/// What a token must claim. The default asks only that it is in its time, with a
/// skew of 60 s.
#[derive(Debug, Clone)]
pub struct Validation {
    /// The issuer, compared exactly. `None` takes any, and none.
    pub issuer: Option<String>,
    /// One of these must be among the token's, compared exactly. Empty takes
    /// any, and none.
    pub audiences: Vec<String>,
    /// What the subject must be like. `None` takes any, and none.
    pub subjects: Option<StringMatch>,
    /// Whether it must say when it expires.
    pub require_expiration: bool,
    /// The longest that it may have left. It must then say when it expires.
    pub max_lifetime: Option<Duration>,
    /// How far the issuer's clock may be from ours. 60 s by default.
    pub clock_skew: Duration,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            issuer: None,
            audiences: Vec::new(),
            subjects: None,
            require_expiration: false,
            max_lifetime: None,
            clock_skew: Duration::from_mins(1),
        }
    }
}

/// Why a token is not taken for what it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// It is past `exp`.
    #[error("the token has expired")]
    Expired,
    /// It is before `nbf`.
    #[error("the token is not yet valid")]
    NotYetValid,
    /// `iss` is not what it must be.
    #[error("the token is of another issuer")]
    Issuer,
    /// No `aud` is one that it must be.
    #[error("the token is for another audience")]
    Audience,
    /// `sub` is not what it must be.
    #[error("the token is about a subject that is not allowed")]
    Subject,
    /// It has no `exp` and must have one.
    #[error("the token does not say when it expires")]
    NoExpiration,
    /// It has more time left than it may have.
    #[error("the token is valid for longer than is allowed")]
    LifetimeTooLong,
}

impl Validation {
    /// Whether a token with these claims is taken at this time.
    pub fn check(&self, claims: &Claims, now: SystemTime) -> Result<(), ClaimError> {
        self.check_issuer(claims)?;
        self.check_subject(claims)?;
        self.check_time(claims.not_before(), claims.expires_at(), now)?;
        self.check_audience(claims)
    }

    /// The issuer alone.
    pub fn check_issuer(&self, claims: &Claims) -> Result<(), ClaimError> {
        match &self.issuer {
            Some(issuer) if claims.issuer() != Some(issuer) => Err(ClaimError::Issuer),
            _ => Ok(()),
        }
    }

    /// The subject alone.
    pub fn check_subject(&self, claims: &Claims) -> Result<(), ClaimError> {
        match (&self.subjects, claims.subject()) {
            (Some(allowed), Some(subject)) if !allowed.matches(subject.as_bytes()) => {
                Err(ClaimError::Subject)
            }
            (Some(_), None) => Err(ClaimError::Subject),
            _ => Ok(()),
        }
    }

    /// The audience alone.
    pub fn check_audience(&self, claims: &Claims) -> Result<(), ClaimError> {
        let taken = self.audiences.is_empty()
            || claims
                .audiences()
                .any(|audience| self.audiences.iter().any(|allowed| allowed == audience));
        if taken {
            Ok(())
        } else {
            Err(ClaimError::Audience)
        }
    }

    /// The times alone, for a token whose other claims are known to be right.
    ///
    /// It is taken from `nbf` on (RFC 7519 section 4.1.5) and before `exp`
    /// (section 4.1.4), each moved by the skew. What it may have left is counted
    /// without the skew, as Envoy does.
    pub fn check_time(
        &self,
        not_before: Option<SystemTime>,
        expires_at: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<(), ClaimError> {
        // A time that cannot be told is beyond all others.
        let later = |time: SystemTime| time.checked_add(self.clock_skew);
        if not_before.is_some_and(|from| later(now).is_some_and(|now| now < from)) {
            return Err(ClaimError::NotYetValid);
        }
        let Some(end) = expires_at else {
            return if self.require_expiration || self.max_lifetime.is_some() {
                Err(ClaimError::NoExpiration)
            } else {
                Ok(())
            };
        };
        if later(end).is_some_and(|end| now >= end) {
            return Err(ClaimError::Expired);
        }
        match (self.max_lifetime, end.duration_since(now)) {
            (Some(longest), Ok(left)) if left > longest => Err(ClaimError::LifetimeTooLong),
            _ => Ok(()),
        }
    }
}
