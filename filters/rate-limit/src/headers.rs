//! What clients are told of their limits.

use std::fmt::{self, Write as _};
use std::time::Duration;

use legation::http::HeaderName;
use smallvec::SmallVec;

use crate::limit::Limit;
use crate::policies::{Kind, Policies, Policy};
use crate::service::Standing;
use crate::slots::Report;

const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// What limits of the rate limit service are called, as a structured field's string.
const SERVICE: &str = "\"service\"";

/// Which headers responses get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announce {
    /// `X-RateLimit-*`, of draft-polli-ratelimit-headers-03, as Envoy has them.
    pub(crate) x_ratelimit: bool,
    /// `RateLimit` and `RateLimit-Policy`, of draft-ietf-httpapi-ratelimit-headers-10.
    pub(crate) ratelimit: bool,
}

/// What is told: how a client stands with a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Policy(OfPolicy),
    Service(Standing),
}

/// How it stands with a limit of this Envoy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OfPolicy {
    pub(crate) policy: usize,
    pub(crate) report: Report,
}

impl Told {
    /// How many more requests would pass now.
    pub(crate) fn remaining(&self) -> u32 {
        match self {
            Self::Policy(own) => own.report.standing.remaining,
            Self::Service(standing) => standing.remaining,
        }
    }
}

impl Announce {
    pub(crate) fn is_nothing(self) -> bool {
        !self.x_ratelimit && !self.ratelimit
    }

    /// The headers and their values.
    pub(crate) fn headers(
        self,
        told: &Told,
        policies: &Policies,
    ) -> SmallVec<[(HeaderName, String); 5]> {
        let mut headers = SmallVec::new();
        match told {
            Told::Policy(own) => {
                if let Some(policy) = policies.get(own.policy) {
                    self.of_policy(policy, &own.report, &mut headers);
                }
            }
            Told::Service(standing) => self.of_service(standing, &mut headers),
        }
        headers
    }

    fn of_policy(
        self,
        policy: &Policy,
        report: &Report,
        headers: &mut SmallVec<[(HeaderName, String); 5]>,
    ) {
        let standing = report.standing;
        let limits = policy.limits();
        let quota = match &policy.kind {
            Kind::Rate(limits) => limits.get(report.limit).map_or(0, Limit::quota),
            Kind::Concurrency(most) => *most,
        };
        if self.x_ratelimit {
            headers.push((X_LIMIT, quota.to_string()));
            headers.push((X_REMAINING, standing.remaining.to_string()));
            // As Envoy has it: until one more would pass.
            headers.push((X_RESET, seconds(standing.next).to_string()));
        }
        // What has no time has no place in these.
        if self.ratelimit && !limits.is_empty() {
            let name = |number| LimitName {
                policy: &policy.name,
                number,
                of: limits.len(),
            };
            let mut all = String::new();
            for (number, limit) in limits.iter().enumerate() {
                let separator = if number == 0 { "" } else { ", " };
                let (name, quota) = (name(number), limit.quota());
                let window = whole_seconds(limit.window());
                // Writing to a string does not fail.
                let _ = write!(all, "{separator}{name};q={quota};w={window}");
            }
            headers.push((POLICY, all));
            let (remaining, reset) = (standing.remaining, seconds(standing.reset));
            let name = name(report.limit);
            headers.push((STANDING, format!("{name};r={remaining};t={reset}")));
        }
    }

    fn of_service(self, standing: &Standing, headers: &mut SmallVec<[(HeaderName, String); 5]>) {
        let Standing {
            limit,
            remaining,
            window,
            reset,
            policies,
        } = standing;
        if self.x_ratelimit {
            headers.push((X_LIMIT, format!("{limit}{policies}")));
            headers.push((X_REMAINING, remaining.to_string()));
            // As Envoy has it: rounded down.
            let reset = Duration::from_nanos(reset.unwrap_or(0)).as_secs();
            headers.push((X_RESET, reset.to_string()));
        }
        if self.ratelimit {
            if let Some(window) = window {
                headers.push((POLICY, format!("{SERVICE};q={limit};w={window}")));
            }
            let mut stands = format!("{SERVICE};r={remaining}");
            if let Some(reset) = reset {
                // Writing to a string does not fail.
                let _ = write!(stands, ";t={}", seconds(*reset));
            }
            headers.push((STANDING, stands));
        }
    }
}

/// The name of a policy's limit, as a structured field's string.
struct LimitName<'a> {
    policy: &'a str,
    number: usize,
    of: usize,
}

impl fmt::Display for LimitName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            0 | 1 => write!(f, "\"{}\"", self.policy),
            _ => write!(f, "\"{}-{}\"", self.policy, self.number.saturating_add(1)),
        }
    }
}

/// Whole seconds, rounded up.
pub(crate) fn seconds(nanoseconds: u64) -> u64 {
    whole_seconds(Duration::from_nanos(nanoseconds))
}

fn whole_seconds(duration: Duration) -> u64 {
    let more = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(more)
}

#[cfg(test)]
mod tests;
