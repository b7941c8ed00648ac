//! Token buckets.

use std::num::{NonZeroU32, NonZeroU64, NonZeroU128};
use std::time::Duration;

use super::{MAX_FILL, SKEW, Slot, nanoseconds};

/// A bucket of tokens, one a hit, that is full at first and fills continuously: a
/// token comes as soon as its share of the interval is over, not when all of it is.
///
/// What is kept is when it will be full again (as in GCRA, the generic cell rate
/// algorithm), and exactly so: time is counted in ticks, `tokens_per_fill` to the
/// nanosecond, of which a token takes as many as the interval has nanoseconds.
///
/// Of its [`Slot`]s `until` is the nanosecond by which it will be full, and `a` how
/// many ticks before that it is: fewer than a nanosecond has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenBucket {
    max_tokens: NonZeroU32,
    /// The ticks in a nanosecond.
    tokens_per_fill: NonZeroU32,
    /// In nanoseconds: the ticks that a token takes.
    fill_interval: NonZeroU64,
}

impl TokenBucket {
    /// `None` where a number is 0, the interval is not from 1 ms to 366 days, or the
    /// bucket would take more than 200 years to fill.
    pub(crate) fn new(
        max_tokens: u32,
        tokens_per_fill: u32,
        fill_interval: Duration,
    ) -> Option<Self> {
        let bucket = Self {
            max_tokens: NonZeroU32::new(max_tokens)?,
            tokens_per_fill: NonZeroU32::new(tokens_per_fill)?,
            fill_interval: nanoseconds(fill_interval)?,
        };
        (bucket.fill_time() <= MAX_FILL).then_some(bucket)
    }

    pub(super) fn max_tokens(&self) -> u32 {
        self.max_tokens.get()
    }

    /// The nanoseconds in which an empty bucket fills, rounded up.
    pub(super) fn fill_time(&self) -> u64 {
        self.nanoseconds(self.size())
    }

    /// So many tokens in so many nanoseconds.
    pub(super) fn rate(&self) -> (u32, u64) {
        (self.tokens_per_fill.get(), self.fill_interval.get())
    }

    pub(super) fn account(self, slot: Option<Slot>, now: u64) -> Account {
        let owed = slot.map_or(0, |slot| {
            // Bytes that are no slot may have more than a nanosecond's ticks.
            let early = slot.a.min(self.tokens_per_fill.get().saturating_sub(1));
            self.ticks(slot.until.saturating_sub(now))
                .saturating_sub(u128::from(early))
        });
        let is_made_up = owed > self.size().saturating_add(self.ticks(SKEW));
        Account {
            bucket: self,
            now,
            owed: if is_made_up { self.size() } else { owed },
            is_made_up,
        }
    }

    /// The ticks in which an empty bucket fills.
    fn size(&self) -> u128 {
        self.price(self.max_tokens.get())
    }

    /// The ticks that so many tokens take: fewer than 2⁹⁰.
    fn price(&self, tokens: u32) -> u128 {
        u128::from(tokens).saturating_mul(u128::from(self.fill_interval.get()))
    }

    /// The ticks in so many nanoseconds: fewer than 2⁹⁶.
    fn ticks(&self, nanoseconds: u64) -> u128 {
        u128::from(nanoseconds).saturating_mul(u128::from(self.tokens_per_fill.get()))
    }

    /// The nanoseconds in which so many ticks are over.
    fn nanoseconds(&self, ticks: u128) -> u64 {
        let nanoseconds = ticks.div_ceil(u128::from(self.tokens_per_fill.get()));
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }
}

/// What a bucket lacks at one moment.
pub(super) struct Account {
    bucket: TokenBucket,
    now: u64,
    /// The ticks until it is full. More than its size where time stands still.
    owed: u128,
    is_made_up: bool,
}

impl super::Account for Account {
    fn remaining(&self) -> u32 {
        let filled = self.bucket.size().saturating_sub(self.owed);
        let tokens = filled / NonZeroU128::from(self.bucket.fill_interval);
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    fn reset(&self) -> u64 {
        self.bucket.nanoseconds(self.owed)
    }

    fn wait(&self, hits: u32) -> u64 {
        let owed = self.owed.saturating_add(self.bucket.price(hits));
        let excess = owed.saturating_sub(self.bucket.size());
        self.bucket.nanoseconds(excess)
    }

    fn charge(&mut self, hits: u32) {
        self.owed = self.owed.saturating_add(self.bucket.price(hits));
    }

    fn refund(&mut self, hits: u32, _taken: u64) {
        self.owed = self.owed.saturating_sub(self.bucket.price(hits));
    }

    fn slot(&self) -> Slot {
        let whole = self.bucket.nanoseconds(self.owed);
        let early = self.bucket.ticks(whole).saturating_sub(self.owed);
        Slot {
            until: self.now.saturating_add(whole),
            // Fewer than a nanosecond has, which is a `u32`.
            a: u32::try_from(early).unwrap_or(u32::MAX),
            b: 0,
        }
    }

    fn is_made_up(&self) -> bool {
        self.is_made_up
    }
}
