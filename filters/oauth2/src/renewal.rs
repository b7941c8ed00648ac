//! Tokens renewed once, for all who wait for it.
//!
//! A refresh token may be good for one use (RFC 9700, section 4.14.2), and a page asks for ten things at
//! once: so one request of all workers renews, and the others wait. Where they meet is a place of
//! shared data, found by a hash of the refresh token. It holds a claim while somebody asks the
//! provider, and then the new session, sealed, for requests which were under way with the old cookie.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use legation::metrics::{Counter, Family};
use legation::shared::{SharedError, SharedValue};
use legation::{Configure, Result, clock, random};
use sha2::{Digest, Sha256};

use crate::grant::{Failure, Grants};
use crate::session::Session;

/// Where renewals meet, of which two may want the same place. Each takes as much memory as the largest
/// session that was in it.
const PLACES: u16 = 1_024;
/// For so long after a renewal the old cookie gets the new session.
const GRACE: Duration = Duration::from_secs(30);
/// For so long a failure is everybody's.
const FAILURE: Duration = Duration::from_secs(1);
/// So much longer than the provider itself its keys may take, where an ID token came with a new one.
const KEYS: Duration = Duration::from_secs(30);
/// Between two looks of those who wait.
const LOOK: Duration = Duration::from_millis(20);

/// Renews sessions. To clone it is to have the same one.
#[derive(Clone)]
pub(crate) struct Renewals(Rc<Inner>);

struct Inner {
    scope: Box<str>,
    grants: Grants,
    /// The longest that the provider is waited for.
    patience: Duration,
    success: Counter,
    failure: Family<Counter, 1>,
}

/// What became of a session whose tokens were to be renewed.
pub(crate) enum Renewed {
    /// The new cookie's text.
    Sealed(String),
    /// The provider takes the refresh token no more.
    Ended,
    /// It cannot be told.
    Unavailable,
}

/// What a place holds.
enum Place {
    Claimed { by: u64 },
    Renewed { sealed: String },
    Ended,
    Failed,
}

/// A place's content, and until when it counts, in nanoseconds since 1970.
struct Entry {
    key: [u8; 16],
    until: u64,
    place: Place,
}

impl Renewals {
    pub(crate) fn new(
        scope: &str,
        grants: Grants,
        patience: Duration,
        host: &mut Configure,
    ) -> Self {
        Self(Rc::new(Inner {
            scope: scope.into(),
            grants,
            patience,
            success: host.counter("oauth_refreshtoken_success"),
            failure: host.counter_family("oauth_refreshtoken_failure", ["reason"]),
        }))
    }

    /// Renews a session, or waits for whoever does. A stream that goes meanwhile leaves the renewal to
    /// its end: the old refresh token may be worth nothing already.
    pub(crate) async fn renew(&self, session: &Rc<Session>) -> Result<Renewed> {
        let Some(refresh_token) = &session.refresh_token else {
            return Ok(Renewed::Ended);
        };
        let inner = &*self.0;
        let key = inner.grants.key_of(session, refresh_token);
        let place = inner.place(key);
        let claimant = random::next_u64()?;
        let deadline = after(now()?, inner.patience.saturating_add(LOOK));
        loop {
            let now = now()?;
            if now > deadline {
                return Ok(Renewed::Unavailable);
            }
            let mut found = None;
            let updated = place.update(|bytes| {
                let entry = bytes.as_deref().and_then(Entry::read);
                let entry = entry.filter(|entry| now < entry.until);
                // Another's claim stays: who has it could not leave the new session.
                if let Some(entry) = entry
                    && (entry.key == key || matches!(entry.place, Place::Claimed { .. }))
                {
                    found = (entry.key == key).then_some(entry);
                    return None;
                }
                found = None;
                let claim = Entry {
                    key,
                    until: after(now, inner.patience.saturating_add(KEYS)),
                    place: Place::Claimed { by: claimant },
                };
                Some(claim.write())
            });
            let is_claimed = match updated {
                Ok(updated) => updated.value.is_some(),
                // Whoever was quicker is waited for.
                Err(SharedError::Contended { .. }) => false,
                Err(error) => return Err(legation::Error::other(error.to_string())),
            };
            if is_claimed {
                let work = Rc::clone(&self.0).work(Rc::clone(session), key, claimant);
                if let Err(error) = legation::spawn(work) {
                    // Nobody works at it: nobody is to wait for it.
                    inner.leave(key, claimant, Place::Failed, FAILURE);
                    return Err(error);
                }
            }
            match found.map(|entry| entry.place) {
                Some(Place::Renewed { sealed }) => return Ok(Renewed::Sealed(sealed)),
                Some(Place::Ended) => return Ok(Renewed::Ended),
                Some(Place::Failed) => return Ok(Renewed::Unavailable),
                Some(Place::Claimed { .. }) | None => clock::sleep(LOOK).await?,
            }
        }
    }
}

impl Inner {
    fn place(&self, key: [u8; 16]) -> SharedValue<Vec<u8>> {
        let [first, second, ..] = key;
        let number = u16::from_le_bytes([first, second]) % PLACES;
        SharedValue::new(format!("legation-oauth2.{}.renewal.{number}", self.scope))
    }

    async fn work(self: Rc<Self>, session: Rc<Session>, key: [u8; 16], claimant: u64) {
        let renewed = self.grants.renew(&session).await;
        if let Err(failure) = &renewed {
            let reason = failure.reason();
            self.failure.with([reason]).increment();
            log::info!(reason; "the tokens of a session are not renewed");
        } else {
            self.success.increment();
        }
        let (place, lifetime) = match renewed {
            Ok(sealed) => (Place::Renewed { sealed }, GRACE),
            Err(Failure::Ended) => (Place::Ended, GRACE),
            Err(_) => (Place::Failed, FAILURE),
        };
        self.leave(key, claimant, place, lifetime);
    }

    /// Puts what came of a renewal in the place that is claimed for it.
    fn leave(&self, key: [u8; 16], claimant: u64, place: Place, lifetime: Duration) {
        let Ok(now) = now() else {
            return;
        };
        let entry = Entry {
            key,
            until: after(now, lifetime),
            place,
        };
        let entry = entry.write();
        let updated = self.place(key).update(|bytes| {
            let known = bytes.as_deref().and_then(Entry::read);
            let is_mine = known.is_some_and(
                |known| matches!(known.place, Place::Claimed { by } if by == claimant),
            );
            is_mine.then(|| entry.clone())
        });
        if let Err(error) = updated {
            log::error!(error:%; "a renewed session cannot be handed to those who wait for it");
        }
    }
}

impl Entry {
    /// Sixteen bytes of key, eight of time, one of kind, and what belongs to it.
    fn write(&self) -> Vec<u8> {
        let (kind, rest) = match &self.place {
            Place::Claimed { by } => (0, by.to_le_bytes().to_vec()),
            Place::Renewed { sealed } => (1, sealed.as_bytes().to_vec()),
            Place::Ended => (2, Vec::new()),
            Place::Failed => (3, Vec::new()),
        };
        let mut bytes = Vec::with_capacity(rest.len().saturating_add(25));
        bytes.extend_from_slice(&self.key);
        bytes.extend_from_slice(&self.until.to_le_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(&rest);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (key, bytes) = bytes.split_first_chunk::<16>()?;
        let (until, bytes) = bytes.split_first_chunk::<8>()?;
        let (kind, rest) = bytes.split_first()?;
        let place = match (kind, rest) {
            (0, by) => Place::Claimed {
                by: u64::from_le_bytes(by.try_into().ok()?),
            },
            (1, sealed) => Place::Renewed {
                sealed: str::from_utf8(sealed).ok()?.to_owned(),
            },
            (2, []) => Place::Ended,
            (3, []) => Place::Failed,
            _ => return None,
        };
        Some(Self {
            key: *key,
            until: u64::from_le_bytes(*until),
            place,
        })
    }
}

/// What finds the place of a renewal, by all that makes it another. Whoever reads shared data learns nothing of
/// the token.
pub(crate) fn key_of(parts: [&str; 4]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        hash.update(length.to_le_bytes());
        hash.update(part);
    }
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    key
}

fn now() -> Result<u64> {
    let since = clock::now()?.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO);
    Ok(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn after(time: u64, duration: Duration) -> u64 {
    time.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Entry, Place, key_of};

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let places = [
            Place::Claimed { by: 7 },
            Place::Renewed {
                sealed: "text".to_owned(),
            },
            Place::Ended,
            Place::Failed,
        ];
        for place in places {
            let entry = Entry {
                key: [3; 16],
                until: 9,
                place,
            };
            let bytes = entry.write();
            let read = Entry::read(&bytes).expect("an entry");
            assert_eq!((read.key, read.until), ([3; 16], 9));
            assert_eq!(read.write(), bytes);
            for length in 0..25 {
                assert!(Entry::read(&bytes[..length]).is_none());
            }
        }
        assert!(Entry::read(&[9; 25]).is_none());
    }

    #[test]
    fn parts_that_are_joined_otherwise_have_another_key() {
        assert_ne!(key_of(["ab", "c", "d", "1"]), key_of(["a", "bc", "d", "1"]));
        assert_ne!(key_of(["a", "b", "cd", "1"]), key_of(["a", "b", "c", "d1"]));
        assert_eq!(key_of(["a", "b", "c", "1"]), key_of(["a", "b", "c", "1"]));
    }
}
