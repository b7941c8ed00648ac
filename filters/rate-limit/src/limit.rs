//! How much may pass in which time.
//!
//! Everything here is a function of what is [stored](Slot), the time and the hits:
//! no host, no clock, and integers only. Times are nanoseconds since the epoch and
//! spans are nanoseconds. Where something does not come out even it is rounded to
//! the strict side: what remains is rounded down and what must be waited for up, so
//! nothing passes a nanosecond too early, and whoever waits as long as
//! [`retry_after`](Taken::Denied) says does pass if nobody else took it meanwhile.
//!
//! **Time going back.** Workers read the clock a little before they write, so what
//! is stored may be of a later time than `now`. By up to [`SKEW`] it is believed,
//! and time stands still until it is caught up with. What is of a later time than
//! that was written before the clock was set back, or was never a slot: it counts as
//! all used up at this moment, and must be [stored anew](Taken::Denied) for it to
//! refill from here. So going back gives nobody anything (only going forward again
//! does, as it always has), and locks nobody out for longer than a limit that
//! is used up takes to let one more pass, and [`SKEW`].

use std::cmp::Ordering;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) use bucket::TokenBucket;
pub(crate) use slot::Slot;
pub(crate) use window::Window;

mod bucket;
mod slot;
#[cfg(test)]
mod tests;
mod window;

/// How far ahead of the time what is stored may be and yet be believed, in
/// nanoseconds: one second, which is longer than a worker that reads the clock has to
/// wait before it writes.
const SKEW: u64 = 1_000_000_000;

/// How long a bucket's interval and a window may be: longer than any leap year.
const SPANS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(366 * 24);

/// The most time, in nanoseconds, that a bucket may take to fill: 200 years. As many
/// tokens as a `u32` counts, one a second, take 136.
const MAX_FILL: u64 = 200 * 366 * 24 * 60 * 60 * 1_000_000_000;

/// The time that is taken for each later one, in the year 2354, so that no end of
/// anything is beyond what a `u64` counts.
const LATEST: u64 = u64::MAX - MAX_FILL;

/// How much may pass in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    /// Bursts up to a bucket's size, and a steady rate beyond.
    TokenBucket(TokenBucket),
    /// So many requests in each window, of windows that are aligned to the epoch. At
    /// the seam of two windows twice as many may pass at once.
    FixedWindow(Window),
    /// The same, where what passed in the window before counts for as much of it as
    /// still lies within one window's length of now, as if it had come evenly. In
    /// each window at most so many pass, and in any span of a window's length fewer
    /// than twice as many, which are never at once. What counts is rounded up: of
    /// windows with one request each, every other one may stay empty.
    SlidingWindow(Window),
}

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whole hits that would pass now.
    pub(crate) remaining: u32,
    /// Nanoseconds until nothing is counted any more: the bucket is full, the window
    /// over. 0 where that is so.
    pub(crate) reset: u64,
    /// Nanoseconds until one hit would pass. 0 while any remain.
    pub(crate) next: u64,
}

/// What came of hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// They pass.
    Admitted {
        /// What to store; `None` (with 0 hits): leave it as it is.
        slot: Option<Slot>,
        /// With them taken.
        standing: Standing,
    },
    /// None of them does.
    Denied {
        /// Nanoseconds until they would pass, all at once. `u64::MAX`: they never
        /// would, being more than the whole [quota](Limit::quota).
        retry_after: u64,
        /// What to store, whatever other limits say, in place of a slot from a time
        /// to come, which nobody would get past before then. `None`, as a rule: leave
        /// it as it is.
        slot: Option<Slot>,
        /// With nothing taken.
        standing: Standing,
    },
}

/// What one limit has counted of one key, at one moment.
trait Account {
    /// Whole hits that would pass.
    fn remaining(&self) -> u32;

    /// Nanoseconds until nothing is counted any more.
    fn reset(&self) -> u64;

    /// Nanoseconds until hits would pass that do not now: more than
    /// [remain](Self::remaining), and no more than the quota.
    fn wait(&self, hits: u32) -> u64;

    /// Counts hits, no more than [remain](Self::remaining).
    fn charge(&mut self, hits: u32);

    /// Counts hits no longer that were counted at this time, so far as they still
    /// are.
    fn refund(&mut self, hits: u32, taken: u64);

    /// What to store of it.
    fn slot(&self) -> Slot;

    /// Whether it was made up, the slot being from a time to come.
    fn is_made_up(&self) -> bool;
}

impl Limit {
    /// Takes all of these hits, or none. No hits at all always pass.
    pub(crate) fn take(&self, slot: Option<Slot>, now: u64, hits: u32) -> Taken {
        self.with_account(slot, now, |account| {
            if hits <= account.remaining() {
                let slot = (hits > 0).then(|| {
                    account.charge(hits);
                    account.slot()
                });
                let standing = standing(account);
                return Taken::Admitted { slot, standing };
            }
            Taken::Denied {
                retry_after: if hits > self.quota() {
                    u64::MAX
                } else {
                    account.wait(hits)
                },
                slot: account.is_made_up().then(|| account.slot()),
                standing: standing(account),
            }
        })
    }

    /// Gives back hits that were taken at this time and not used: what to store
    /// (`None`: leave it as it is).
    ///
    /// There is never more than a full quota for it. What was taken in a window that
    /// counts no more is gone, and so is what would overfill a bucket.
    pub(crate) fn give_back(
        &self,
        slot: Option<Slot>,
        now: u64,
        hits: u32,
        taken: u64,
    ) -> Option<Slot> {
        self.with_account(slot, now, |account| {
            let before = account.slot();
            account.refund(hits, taken);
            let after = account.slot();
            (after != before || account.is_made_up()).then_some(after)
        })
    }

    /// The most hits that ever pass at once: a bucket's tokens, a window's requests.
    pub(crate) fn quota(&self) -> u32 {
        match self {
            Self::TokenBucket(bucket) => bucket.max_tokens(),
            Self::FixedWindow(window) | Self::SlidingWindow(window) => window.requests(),
        }
    }

    /// The time that the quota is for: a window's length, and for a bucket the time
    /// in which it fills.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_nanos(match self {
            Self::TokenBucket(bucket) => bucket.fill_time(),
            Self::FixedWindow(window) | Self::SlidingWindow(window) => window.length(),
        })
    }

    /// Which of two limits lets more pass in the long run, exactly. The less is the
    /// slower.
    pub(crate) fn cmp_rate(&self, other: &Self) -> Ordering {
        let (hits, span) = self.rate();
        let (other_hits, other_span) = other.rate();
        // A `u32` by a `u64` each.
        let crosswise = |hits: u32, span: u64| u128::from(hits).saturating_mul(u128::from(span));
        crosswise(hits, other_span).cmp(&crosswise(other_hits, span))
    }

    /// So many hits in so many nanoseconds.
    fn rate(&self) -> (u32, u64) {
        match self {
            Self::TokenBucket(bucket) => bucket.rate(),
            Self::FixedWindow(window) | Self::SlidingWindow(window) => {
                (window.requests(), window.length())
            }
        }
    }

    fn with_account<T>(
        &self,
        slot: Option<Slot>,
        now: u64,
        work: impl FnOnce(&mut dyn Account) -> T,
    ) -> T {
        let now = now.min(LATEST);
        match self {
            Self::TokenBucket(bucket) => work(&mut bucket.account(slot, now)),
            Self::FixedWindow(window) => work(&mut window.fixed(slot, now)),
            Self::SlidingWindow(window) => work(&mut window.sliding(slot, now)),
        }
    }
}

fn standing(account: &dyn Account) -> Standing {
    let remaining = account.remaining();
    Standing {
        remaining,
        reset: account.reset(),
        next: if remaining > 0 { 0 } else { account.wait(1) },
    }
}

/// A span in nanoseconds, if it is one that limits take.
fn nanoseconds(span: Duration) -> Option<NonZeroU64> {
    let nanoseconds = u64::try_from(span.as_nanos()).ok()?;
    NonZeroU64::new(nanoseconds).filter(|_| SPANS.contains(&span))
}
