//! Counting without a host call a request.

use legation::Configure;
use legation::metrics::Tally;

use crate::html::Found;

/// The counters. They are added up here and handed to the host by
/// [`flush`](Self::flush), and when the configuration goes.
pub(crate) struct Counts {
    /// Responses that got a policy.
    pub(crate) policies: Tally,
    /// Responses whose upstream's policy was left in the place of ours.
    pub(crate) kept: Tally,
    /// Responses without a policy for their type.
    pub(crate) other_types: Tally,
    /// Requests that no rule is for.
    pub(crate) unmatched: Tally,
    /// Pages that were looked at, and those that could not be.
    pub(crate) rewritten: Tally,
    pub(crate) not_rewritten: Tally,
    /// Pages of which a part could not be looked at, and went on as it was.
    pub(crate) given_up: Tally,
    /// Pages that were cut off.
    pub(crate) failed: Tally,
    /// Elements and placeholders that got a nonce, and selected elements that did not.
    pub(crate) nonces: Tally,
    pub(crate) nonces_refused: Tally,
}

impl Counts {
    pub(crate) fn new(host: &mut Configure) -> Self {
        let mut tally = |name: &str| Tally::new(host.counter(name));
        Self {
            policies: tally("policies_sent"),
            kept: tally("policies_kept"),
            other_types: tally("responses_of_other_types"),
            unmatched: tally("requests_unmatched"),
            rewritten: tally("pages_rewritten"),
            not_rewritten: tally("pages_not_rewritten"),
            given_up: tally("pages_given_up"),
            failed: tally("pages_failed"),
            nonces: tally("nonces_written"),
            nonces_refused: tally("nonces_refused"),
        }
    }

    /// Counts a page that came to its end.
    pub(crate) fn page(&self, found: &Found) {
        self.rewritten.add(1);
        self.given_up.add(found.skipped.is_some().into());
        self.nonces
            .add(found.nonces.saturating_add(found.placeholders).into());
        self.nonces_refused.add(found.refused.into());
    }

    /// Hands the host what was counted since the last time.
    pub(crate) fn flush(&self) {
        for tally in [
            &self.policies,
            &self.kept,
            &self.other_types,
            &self.unmatched,
            &self.rewritten,
            &self.not_rewritten,
            &self.given_up,
            &self.failed,
            &self.nonces,
            &self.nonces_refused,
        ] {
            tally.flush();
        }
    }
}
