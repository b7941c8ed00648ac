//! What a logout token must say.

use std::time::{Duration, SystemTime};

use legation_jose::Token;
use serde_json::Value;

use super::error::IdTokenError;
use super::id_token::{Rules, name, subject};

/// The event that it is about.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How long ago it may have been made. The standard recommends two minutes for its life
/// (`OpenID` Connect Back-Channel Logout 1.0 section 2.4); providers try again when we did
/// not answer, and some send what they made at first.
const LONGEST_LIFE: Duration = Duration::from_mins(10);

/// What a provider says of a session that is over, or of all of a user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogoutToken {
    /// Which session; all of the subject's, if it is none.
    pub(crate) sid: Option<Box<str>>,
    /// Whose.
    pub(crate) sub: Option<Box<str>>,
    /// When it was made, in seconds since 1970: sessions that began later go on.
    pub(crate) issued_at: u64,
    /// Its own id, by which one that comes twice is known.
    pub(crate) jti: Box<str>,
}

impl LogoutToken {
    /// Reads one whose signature is still to be checked (section 2.6).
    ///
    /// `exp` is held to if it is there. The final standard requires it, and earlier drafts
    /// did not have it: without it, `iat` bounds its life as well.
    pub(super) fn read(
        rules: &Rules,
        token: &Token<'_>,
        now: SystemTime,
    ) -> Result<Self, IdTokenError> {
        let claims = token.claims();
        let is_typed = |kind| token.is_type(kind);
        if token.typ().is_some() && !is_typed("logout+jwt") && !is_typed("JWT") {
            return Err(IdTokenError::Kind("typ"));
        }
        // An ID token is none (section 2.4).
        if claims.get("nonce").is_some() {
            return Err(IdTokenError::Kind("nonce"));
        }
        let event = claims.get("events").and_then(|events| events.get(EVENT));
        if !event.is_some_and(Value::is_object) {
            return Err(IdTokenError::Missing("events"));
        }
        let issued_at = rules.check_common(claims, false, now)?;
        let allowed = LONGEST_LIFE.saturating_add(rules.clock_skew);
        if now.duration_since(issued_at).is_ok_and(|age| age > allowed) {
            return Err(IdTokenError::IssuedAt);
        }
        let sid = name(claims, "sid")?;
        let sub = subject(claims)?;
        if sid.is_none() && sub.is_none() {
            return Err(IdTokenError::Missing("sub"));
        }
        let jti = name(claims, "jti")?.ok_or(IdTokenError::Missing("jti"))?;
        let issued_at = issued_at.duration_since(SystemTime::UNIX_EPOCH);
        Ok(Self {
            sid: sid.map(Box::from),
            sub: sub.map(Box::from),
            issued_at: issued_at.map_or(0, |since| since.as_secs()),
            jti: jti.into(),
        })
    }
}

#[cfg(test)]
mod tests;
