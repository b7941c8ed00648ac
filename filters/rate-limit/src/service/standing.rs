//! How a client stands, by the service's word.

use std::fmt::Write as _;

use super::wire::{Code, DescriptorStatus, Duration, Unit};

/// How a client stands with the limit that leaves it the least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// Nanoseconds until its window is over.
    pub(crate) reset: u64,
    /// All limits there are, as `X-RateLimit-Limit` has them after the first:
    /// `, 10;w=60;name="minute"`.
    pub(crate) policies: Box<str>,
}

impl Standing {
    pub(super) fn of(statuses: &[DescriptorStatus]) -> Option<Self> {
        let mut policies = String::new();
        let mut least: Option<(&DescriptorStatus, u32)> = None;
        for status in statuses {
            let Some(limit) = &status.current_limit else {
                continue;
            };
            let requests = limit.requests_per_unit;
            if least.is_none_or(|(least, _)| status.limit_remaining < least.limit_remaining) {
                least = Some((status, requests));
            }
            let window =
                seconds_in(limit.unit()).saturating_mul(limit.unit_multiplier.max(1).into());
            if window > 0 {
                // Writing to a string does not fail.
                let _ = write!(policies, ", {requests};w={window}");
                let name = limit.name.replace(['"', '\\'], "");
                if !name.is_empty() && name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                    let _ = write!(policies, ";name=\"{name}\"");
                }
            }
        }
        least.map(|(status, limit)| Self {
            limit,
            remaining: status.limit_remaining,
            reset: status.duration_until_reset.map_or(0, nanoseconds),
            policies: policies.into(),
        })
    }
}

/// Nanoseconds until every limit that a request is beyond has begun anew: earlier it
/// would be denied again. `None` where one of them does not say.
pub(super) fn retry_after(statuses: &[DescriptorStatus]) -> Option<u64> {
    let over = statuses
        .iter()
        .filter(|status| status.code() == Code::OverLimit);
    let resets = over.map(|status| status.duration_until_reset.map(nanoseconds));
    resets.reduce(|one, other| Some(one?.max(other?))).flatten()
}

fn nanoseconds(duration: Duration) -> u64 {
    let seconds = u64::try_from(duration.seconds).unwrap_or(0);
    let nanos = u64::try_from(duration.nanos).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// As Envoy counts them: what has no fixed length, or is not known, is no window.
fn seconds_in(unit: Unit) -> u64 {
    match unit {
        Unit::Second => 1,
        Unit::Minute => 60,
        Unit::Hour => 3_600,
        Unit::Day => 86_400,
        Unit::Week => 604_800,
        Unit::Unknown | Unit::Month | Unit::Year => 0,
    }
}
