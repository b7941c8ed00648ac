//! Counting without a host call a request.

use std::cell::Cell;

use legation::Configure;
use legation::metrics::{Counter, Family};

use crate::refusal::Refusal;

/// Refusals that are told apart by provider and reason.
const REFUSALS: usize = 1_000;

/// The counters. What happens often is added up here and handed to the host by
/// [`flush`](Self::flush), and when the configuration goes.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Requests that were let in, as Envoy counts them: those that need no token
    /// too.
    pub(crate) allowed: Tally,
    /// Requests that were refused, or would have been.
    pub(crate) denied: Tally,
    pub(crate) cors_preflight_bypassed: Tally,
    pub(crate) cache_hit: Tally,
    pub(crate) cache_miss: Tally,
    /// Headers that somebody sent who may not.
    pub(crate) headers_stripped: Tally,
    refused: Family<Counter, 2>,
}

#[derive(Debug)]
pub(crate) struct Tally {
    counter: Counter,
    pending: Cell<u64>,
}

impl Counts {
    pub(crate) fn new(host: &mut Configure) -> Self {
        Self {
            allowed: Tally::new("allowed", host),
            denied: Tally::new("denied", host),
            cors_preflight_bypassed: Tally::new("cors_preflight_bypassed", host),
            cache_hit: Tally::new("jwt_cache_hit", host),
            cache_miss: Tally::new("jwt_cache_miss", host),
            headers_stripped: Tally::new("trusted_headers_stripped", host),
            refused: (host.counter_family("refused", ["provider", "reason"])).at_most(REFUSALS),
        }
    }

    /// Counts a refusal: one host call.
    pub(crate) fn refused(&self, provider: &str, refusal: &Refusal) {
        self.denied.add(1);
        let values = [provider, refusal.reason.label()];
        self.refused.with(values).increment();
    }

    /// Hands the host what was counted since the last time.
    pub(crate) fn flush(&self) {
        for tally in [
            &self.allowed,
            &self.denied,
            &self.cors_preflight_bypassed,
            &self.cache_hit,
            &self.cache_miss,
            &self.headers_stripped,
        ] {
            tally.flush();
        }
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Tally {
    fn new(name: &str, host: &mut Configure) -> Self {
        Self {
            counter: host.counter(name),
            pending: Cell::new(0),
        }
    }

    pub(crate) fn add(&self, amount: u64) {
        self.pending.set(self.pending.get().saturating_add(amount));
    }

    fn flush(&self) {
        let pending = self.pending.take();
        if pending > 0 {
            self.counter.add(pending);
        }
    }
}
