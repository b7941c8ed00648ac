//! Who has nothing left, so that shared data need not be asked about them again.

use std::num::NonZeroUsize;

use legation::fingerprint::{Fingerprint, FingerprintState};
use lru::LruCache;

use super::Outcome;
use crate::slots::Report;

/// How long a denial is believed at most, in nanoseconds: then shared data is asked, and
/// written, so that a key which is refused again and again is not forgotten there for
/// those that come anew.
const BELIEVED: u64 = 1_000_000_000;

/// Denials of one worker. Nobody gets tokens back before their time, so that a denial
/// holds until there is one again.
pub(super) struct Denials(LruCache<Fingerprint, Denial, FingerprintState>);

struct Denial {
    /// So many hits were denied. Others wait for another time.
    hits: u32,
    /// When that was, and how long it is believed.
    since: u64,
    until: u64,
    /// Nanoseconds from then until they would be admitted.
    retry_after: u64,
    /// How things stood then.
    report: Report,
}

impl Denials {
    /// Of so many keys; what was used least recently is forgotten first.
    pub(super) fn new(keys: NonZeroUsize) -> Self {
        Self(LruCache::with_hasher(keys, FingerprintState::default()))
    }

    /// Whether there is one, which may be over.
    pub(super) fn knows(&self, key: Fingerprint) -> bool {
        self.0.contains(&key)
    }

    /// The denial that so many hits meet at this time.
    pub(super) fn find(&mut self, key: Fingerprint, hits: u32, at: u64) -> Option<Outcome> {
        let denial = self.0.get(&key)?;
        // A clock that was put back has nobody wait for its old time.
        if !(denial.since..denial.until).contains(&at) {
            self.0.pop(&key);
            return None;
        }
        let passed = at.saturating_sub(denial.since);
        (hits == denial.hits).then(|| Outcome::Denied {
            retry_after: match denial.retry_after {
                u64::MAX => u64::MAX,
                retry_after => retry_after.saturating_sub(passed),
            },
            report: denial.report.after(passed),
        })
    }

    /// Where something is left, others may take it meanwhile and have all wait longer: then
    /// nothing is noted.
    pub(super) fn put(
        &mut self,
        key: Fingerprint,
        hits: u32,
        since: u64,
        retry_after: u64,
        report: Report,
    ) {
        if report.standing.remaining > 0 {
            return;
        }
        let denial = Denial {
            hits,
            since,
            until: since.saturating_add(report.standing.next.min(BELIEVED)),
            retry_after,
            report,
        };
        self.0.put(key, denial);
    }
}
