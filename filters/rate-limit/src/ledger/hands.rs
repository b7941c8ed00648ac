//! Tokens that a worker has taken ahead, to spend without asking shared data.

use std::num::NonZeroUsize;

use legation::fingerprint::{Fingerprint, FingerprintState};
use lru::LruCache;

use super::Account;
use crate::slots::Report;

/// How many tokens a worker takes at a time, and how long it keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    /// At most so many, beside those that a request asks for.
    pub(crate) size: u32,
    /// In nanoseconds.
    pub(crate) max_age: u64,
}

/// What is left in shared data when a worker takes some: it takes one part of so many,
/// so that the last tokens lie where everybody finds them.
const SHARES: u32 = 8;

/// The part of what is left that may be taken ahead.
pub(super) fn share(wanted: u32, remaining: u32) -> u32 {
    wanted.min(remaining / SHARES)
}

/// The hands of one worker: tokens by key.
pub(super) struct Hands {
    lease: Lease,
    keys: LruCache<Fingerprint, Hand, FingerprintState>,
    /// The time of the last tick.
    tick: u64,
}

struct Hand {
    key: Box<[u8]>,
    policy: usize,
    left: u32,
    /// How many were taken the last time, and when.
    size: u32,
    taken: u64,
    until: u64,
    report: Report,
}

/// Tokens that were not spent in time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unspent {
    pub(super) key: Box<[u8]>,
    pub(super) policy: usize,
    pub(super) tokens: u32,
    pub(super) taken: u64,
}

impl Hands {
    /// Of so many keys; what was used least recently is given up first.
    pub(super) fn new(lease: Lease, keys: NonZeroUsize) -> Self {
        Self {
            lease,
            keys: LruCache::with_hasher(keys, FingerprintState::default()),
            tick: 0,
        }
    }

    /// Spends tokens that are at hand.
    pub(super) fn spend(&mut self, key: Fingerprint, hits: u32) -> Option<Report> {
        let tick = self.tick;
        let hand = self.keys.get_mut(&key)?;
        if hand.until <= tick {
            return None;
        }
        hand.left = hand.left.checked_sub(hits)?;
        Some(hand.report())
    }

    /// How many tokens are to be taken ahead for a key: none for one that has not been
    /// seen lately, then one more than twice as many each time. No more are ever at hand
    /// than the lease says.
    pub(super) fn wanted(&self, key: Fingerprint) -> u32 {
        let known = self.keys.peek(&key);
        known.map_or(0, |hand| {
            let doubled = hand.size.saturating_mul(2).saturating_add(1);
            doubled.min(self.lease.size.saturating_sub(hand.left))
        })
    }

    /// Notes what was taken ahead, beside what is at hand. Gives how the key stands then,
    /// and what had to go for it.
    pub(super) fn put(
        &mut self,
        fingerprint: Fingerprint,
        account: Account<'_>,
        tokens: u32,
        report: Report,
        now: u64,
    ) -> (Report, Option<Unspent>) {
        let hand = Hand {
            // Nothing is given back where there is nothing.
            key: if tokens > 0 {
                account.key.into()
            } else {
                Box::default()
            },
            policy: account.policy,
            left: tokens,
            size: tokens,
            taken: now,
            until: now.saturating_add(self.lease.max_age),
            report,
        };
        let told = hand.report();
        // Another key's, or what is at hand of the same key.
        let Some((other, before)) = self.keys.push(fingerprint, hand) else {
            return (told, None);
        };
        if other == fingerprint
            && before.left > 0
            && before.until > self.tick
            && let Some(hand) = self.keys.get_mut(&fingerprint)
        {
            hand.left = hand.left.saturating_add(before.left);
            // They are as old as the oldest of them: none is kept for longer than it may be,
            // nor given back to a window that it was not taken from.
            hand.key = before.key;
            hand.taken = before.taken;
            hand.until = before.until;
            return (hand.report(), None);
        }
        (told, before.unspent())
    }

    /// Takes away what was not spent in time, of at most so many keys.
    pub(super) fn expire(&mut self, now: u64, at_most: usize) -> Vec<Unspent> {
        self.tick = now;
        let old = self.keys.iter().rev();
        let old = old.filter(|(_, hand)| hand.until <= now).take(at_most);
        let old: Vec<_> = old.map(|(key, _)| *key).collect();
        let old = old.iter().filter_map(|key| self.keys.pop(key));
        old.filter_map(Hand::unspent).collect()
    }
}

impl Hand {
    /// How the key stands, with what is at hand.
    fn report(&self) -> Report {
        let mut report = self.report;
        let standing = &mut report.standing;
        standing.remaining = standing.remaining.saturating_add(self.left);
        if standing.remaining > 0 {
            standing.next = 0;
        }
        report
    }

    fn unspent(self) -> Option<Unspent> {
        (self.left > 0).then_some(Unspent {
            key: self.key,
            policy: self.policy,
            tokens: self.left,
            taken: self.taken,
        })
    }
}
