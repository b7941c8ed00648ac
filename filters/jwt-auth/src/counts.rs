//! Counting without a host call a request.

use legation::Configure;
use legation::metrics::{Counter, Family, Tally};

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

impl Counts {
    pub(crate) fn new(host: &mut Configure) -> Self {
        Self {
            allowed: Tally::new(host.counter("allowed")),
            denied: Tally::new(host.counter("denied")),
            cors_preflight_bypassed: Tally::new(host.counter("cors_preflight_bypassed")),
            cache_hit: Tally::new(host.counter("jwt_cache_hit")),
            cache_miss: Tally::new(host.counter("jwt_cache_miss")),
            headers_stripped: Tally::new(host.counter("trusted_headers_stripped")),
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
