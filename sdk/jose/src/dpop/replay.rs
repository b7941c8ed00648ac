//! Proofs that were seen before.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use legation::shared::{Geometry, MapValue, SharedError, SharedMap};

use crate::confirmation::Digest;

/// The proofs that all workers have accepted, for as long as they could be shown
/// again: by key and `jti`, of which only a keyed hash is kept, in a table of fixed
/// size ([`SharedMap`]).
///
/// Where it is full, the proof that was seen first makes room, and could be
/// replayed for what is left of its time. Only who has a valid token and its key
/// gets that far.
#[derive(Debug)]
pub struct ReplayCache {
    seen: SharedMap<Until>,
}

/// The second from which on a proof is too old to be shown again.
#[derive(Debug, Clone, Copy)]
struct Until(u64);

impl MapValue for Until {
    type Bytes = [u8; 8];

    fn to_bytes(&self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(bytes)))
    }

    fn is_expendable(&self, now: SystemTime) -> bool {
        self.0 < seconds(now)
    }
}

/// What is known of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Not seen before; it is now.
    New,
    /// Not seen before; and another one had to be forgotten before its time.
    NewForAnother,
    /// Seen before.
    Before,
}

impl ReplayCache {
    /// Room for so many proofs at a time, under this name in shared data. For
    /// `configure`.
    pub fn open(name: &str, proofs: u32) -> Result<Self, SharedError> {
        Ok(Self {
            seen: SharedMap::open(name, Geometry::for_keys(proofs))?,
        })
    }

    /// Remembers a proof until that time. About 1 µs.
    pub fn remember(
        &self,
        key: Digest,
        id: &str,
        now: SystemTime,
        until: SystemTime,
    ) -> Result<Seen, SharedError> {
        let proof = [&key.as_bytes()[..], id.as_bytes()].concat();
        let until = Until(seconds(until).saturating_add(1));
        let (mut seen, current) = (false, seconds(now));
        let updated = self.seen.update(&proof, now, |old| {
            seen = old.is_some_and(|old| old.0 >= current);
            (!seen).then_some(until)
        })?;
        Ok(match (seen, updated.displaced) {
            (true, _) => Seen::Before,
            (false, true) => Seen::NewForAnother,
            (false, false) => Seen::New,
        })
    }

    /// The most bytes that it takes in shared data.
    pub fn max_bytes(&self) -> u64 {
        self.seen.max_bytes()
    }
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}
