//! Sessions that the provider has ended, by back-channel logout.

use std::time::SystemTime;

use legation::Result;
use legation::shared::{Geometry, SharedError, SharedMap};

use crate::grant::seconds;
use crate::oidc::LogoutToken;
use crate::session::Session;

/// So many sign-outs are remembered with little crowding; beyond twice as many the oldest go.
/// 0.6 MB of shared data at the most.
const REMEMBERED: u32 = 16_384;
/// So many sign-ins of which the state was used.
const USED_STATES: u32 = 4_096;

/// What all workers of this Envoy know of sessions and subjects that were signed out.
#[derive(Debug)]
pub(crate) struct Ended(SharedMap<u64>);

impl Ended {
    pub(crate) fn open(scope: &str) -> std::result::Result<Self, SharedError> {
        let name = format!("legation-oauth2.{scope}.ended");
        SharedMap::open(name, Geometry::for_keys(REMEMBERED)).map(Self)
    }

    /// Notes what a logout token says. All sessions of the subject end where it names no session
    /// (`OpenID` Connect Back-Channel Logout 1.0, section 2.7).
    pub(crate) fn note(&self, token: &LogoutToken, now: SystemTime) -> Result<()> {
        let key = match (&token.sid, &token.sub) {
            (Some(sid), _) => key(Kind::Session, sid),
            (None, Some(subject)) => key(Kind::Subject, subject),
            (None, None) => return Ok(()),
        };
        let at = token.issued_at;
        let updated = self.0.update(&key, now, |known| {
            Some(known.map_or(at, |known| known.max(at)))
        });
        match updated {
            Ok(_) => Ok(()),
            Err(error) => Err(legation::Error::other(error.to_string())),
        }
    }

    /// Whether a session was ended. Two host calls, one where it has no `sid`.
    pub(crate) fn has(&self, session: &Session) -> Result<bool> {
        let ended = |key: &[u8]| match self.0.get(key) {
            Ok(at) => Ok(at.is_some_and(|at| session.signed_in_at <= at)),
            Err(error) => Err(legation::Error::other(error.to_string())),
        };
        if let Some(sid) = &session.session_id
            && ended(&key(Kind::Session, sid))?
        {
            return Ok(true);
        }
        ended(&key(Kind::Subject, &session.subject))
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Session,
    Subject,
}

/// No name of one kind is one of the other.
fn key(kind: Kind, name: &str) -> Vec<u8> {
    let kind = match kind {
        Kind::Session => b's',
        Kind::Subject => b'u',
    };
    let mut key = Vec::with_capacity(name.len().saturating_add(1));
    key.push(kind);
    key.extend_from_slice(name.as_bytes());
    key
}

/// States that came back once, which they may not twice.
#[derive(Debug)]
pub(crate) struct UsedStates(SharedMap<u64>);

impl UsedStates {
    pub(crate) fn open(scope: &str) -> std::result::Result<Self, SharedError> {
        let name = format!("legation-oauth2.{scope}.states");
        SharedMap::open(name, Geometry::for_keys(USED_STATES)).map(Self)
    }

    /// Whether it is the first time, which it is only once.
    pub(crate) fn first_use(&self, state: &[u8], now: SystemTime) -> Result<bool> {
        let updated = self.0.update(state, now, |known| match known {
            Some(_) => None,
            None => Some(seconds(now)),
        });
        match updated {
            Ok(updated) => Ok(updated.value.is_some()),
            Err(error) => Err(legation::Error::other(error.to_string())),
        }
    }
}
