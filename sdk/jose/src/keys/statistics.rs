//! What is counted of a source.

use legation::Configure;
use legation::metrics::{Counter, Gauge};

use super::fetch::Failure;

#[derive(Debug)]
pub(super) struct Statistics {
    fetches: Counter,
    failures: [Counter; Failure::REASONS.len()],
    unknown_key_fetches: Counter,
    unknown_key_limited: Counter,
    age_seconds: Gauge,
    usable: Gauge,
}

impl Statistics {
    pub(super) fn new(provider: &str, host: &mut Configure) -> Self {
        let tag = ("provider", provider);
        Self {
            fetches: host.counter_with_tags("keys.fetches", &[tag]),
            failures: Failure::REASONS
                .map(|reason| host.counter_with_tags("keys.failures", &[tag, ("reason", reason)])),
            unknown_key_fetches: host.counter_with_tags("keys.unknown_key_fetches", &[tag]),
            unknown_key_limited: host.counter_with_tags("keys.unknown_key_limited", &[tag]),
            age_seconds: host.gauge_with_tags("keys.age_seconds", &[tag]),
            usable: host.gauge_with_tags("keys.usable", &[tag]),
        }
    }

    pub(super) fn fetch(&self, for_unknown_key: bool) {
        self.fetches.increment();
        if for_unknown_key {
            self.unknown_key_fetches.increment();
        }
    }

    pub(super) fn failure(&self, failure: &Failure) {
        let reason = failure.reason();
        let counters = Failure::REASONS.iter().zip(&self.failures);
        for (_, counter) in counters.filter(|(known, _)| **known == reason) {
            counter.increment();
        }
    }

    pub(super) fn limited(&self) {
        self.unknown_key_limited.increment();
    }

    /// How old the keys are, and how many.
    pub(super) fn keys(&self, age_seconds: u64, usable: usize) {
        self.age_seconds.set(age_seconds);
        self.usable.set(u64::try_from(usable).unwrap_or(u64::MAX));
    }
}
