//! Counting without a host call a request.

use legation::Configure;
use legation::metrics::Tally;

use crate::policies::{Policies, Policy};

/// The counters: the first five are Envoy's own. They are added up here and handed to
/// the host by [`flush`](Self::flush), and when the configuration goes.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Requests that were looked at.
    pub(crate) enabled: Tally,
    /// Those within their limits.
    pub(crate) ok: Tally,
    /// Those beyond.
    pub(crate) rate_limited: Tally,
    /// Those that were refused for it.
    pub(crate) enforced: Tally,
    /// Those beyond a limit that is only watched, and no other.
    pub(crate) shadow_mode: Tally,
    /// Those that could not be counted, as other workers were quicker each time.
    pub(crate) contended: Tally,
    /// Keys that were forgotten before their time, as there was no room.
    pub(crate) displaced: Tally,
    /// Requests beyond the limits of each policy.
    policies: Box<[Tally]>,
}

impl Counts {
    pub(crate) fn new(policies: &Policies, host: &mut Configure) -> Self {
        let policy = |policy: &Policy| {
            let name = &policy.name;
            Tally::new(host.counter(&format!("descriptor.{name}.rate_limited")))
        };
        Self {
            policies: policies.iter().map(policy).collect(),
            enabled: Tally::new(host.counter("enabled")),
            ok: Tally::new(host.counter("ok")),
            rate_limited: Tally::new(host.counter("rate_limited")),
            enforced: Tally::new(host.counter("enforced")),
            shadow_mode: Tally::new(host.counter("shadow_mode")),
            contended: Tally::new(host.counter("contended")),
            displaced: Tally::new(host.counter("displaced")),
        }
    }

    /// Counts a request beyond a policy's limits.
    pub(crate) fn limited_by(&self, policy: usize) {
        if let Some(tally) = self.policies.get(policy) {
            tally.add(1);
        }
    }

    /// Hands the host what was counted since the last time.
    pub(crate) fn flush(&self) {
        let own = [
            &self.enabled,
            &self.ok,
            &self.rate_limited,
            &self.enforced,
            &self.shadow_mode,
            &self.contended,
            &self.displaced,
        ];
        own.into_iter().chain(&self.policies).for_each(Tally::flush);
    }
}
