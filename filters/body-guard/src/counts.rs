//! What is counted.

use legation::Configure;
use legation::metrics::{Counter, Family, Tally};

use crate::refusal::Reason;

/// One family has as many members: a direction and a reason.
const REASONS: usize = 40;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// The counters. What every message counts is added up here and handed to the host by
/// [`flush`](Self::flush), and when the configuration goes.
pub(crate) struct Counts {
    /// Requests that no rule is for.
    pub(crate) unmatched: Tally,
    /// Bodies that passed, and values and places that were redacted in them.
    passed: [Tally; 2],
    redacted: [Tally; 2],
    /// Messages that were refused, and those that would have been.
    refused: Family<Counter, 2>,
    reported: Family<Counter, 2>,
    /// What the outside check said.
    pub(crate) ext_authz: ExtAuthzCounts,
}

/// What the outside check said, in the names of Envoy's own `ext_authz`.
pub(crate) struct ExtAuthzCounts {
    pub(crate) ok: Tally,
    pub(crate) denied: Tally,
    /// Requests that it had no answer to.
    pub(crate) error: Tally,
    /// Answers that could not be taken, or asked for what may not be done.
    pub(crate) invalid: Tally,
    /// Requests that went on without an answer.
    pub(crate) failure_mode_allowed: Tally,
}

impl ExtAuthzCounts {
    fn new(host: &mut Configure) -> Self {
        let tally = |host: &mut Configure, name: &str| {
            Tally::new(host.counter(&format!("ext_authz.{name}")))
        };
        Self {
            ok: tally(host, "ok"),
            denied: tally(host, "denied"),
            error: tally(host, "error"),
            invalid: tally(host, "invalid"),
            failure_mode_allowed: tally(host, "failure_mode_allowed"),
        }
    }

    fn flush(&self) {
        let all = [
            &self.ok,
            &self.denied,
            &self.error,
            &self.invalid,
            &self.failure_mode_allowed,
        ];
        all.into_iter().for_each(Tally::flush);
    }
}

impl Counts {
    pub(crate) fn new(host: &mut Configure) -> Self {
        let family = |host: &mut Configure, name: &str| {
            host.counter_family(name, ["direction", "reason"])
                .at_most(REASONS)
        };
        let both = |host: &mut Configure, name: &str| {
            [Direction::Request, Direction::Response].map(|direction| {
                Tally::new(host.counter_with_tags(name, &[("direction", direction.as_str())]))
            })
        };
        Self {
            unmatched: Tally::new(host.counter("unmatched")),
            passed: both(host, "passed"),
            redacted: both(host, "redacted"),
            refused: family(host, "refused"),
            reported: family(host, "reported"),
            ext_authz: ExtAuthzCounts::new(host),
        }
    }

    pub(crate) fn passed(&self, direction: Direction, redacted: u64) {
        let [of_requests, of_responses] = &self.passed;
        let [in_requests, in_responses] = &self.redacted;
        match direction {
            Direction::Request => {
                of_requests.add(1);
                in_requests.add(redacted);
            }
            Direction::Response => {
                of_responses.add(1);
                in_responses.add(redacted);
            }
        }
    }

    pub(crate) fn refused(&self, direction: Direction, reason: Reason, is_enforced: bool) {
        let family = if is_enforced {
            &self.refused
        } else {
            &self.reported
        };
        family
            .with([direction.as_str(), reason.as_str()])
            .increment();
    }

    /// Hands the host what was counted since the last time.
    pub(crate) fn flush(&self) {
        self.unmatched.flush();
        for tally in self.passed.iter().chain(&self.redacted) {
            tally.flush();
        }
        self.ext_authz.flush();
    }
}
