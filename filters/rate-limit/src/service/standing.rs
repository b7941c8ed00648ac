//! How a client stands, by the service's word.

use std::fmt::Write as _;

use super::wire::{Code, DescriptorStatus, Duration, Unit};

/// How a client stands with the limit that leaves it the least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// The seconds of its window, if they are always as many.
    pub(crate) window: Option<u64>,
    /// Nanoseconds until its window is over, if that is known.
    pub(crate) reset: Option<u64>,
    /// All limits there are, as `X-RateLimit-Limit` has them after the first:
    /// `, 10;w=60;name="minute"`.
    pub(crate) policies: Box<str>,
}

impl Standing {
    pub(super) fn of(statuses: &[DescriptorStatus]) -> Option<Self> {
        let mut policies = String::new();
        let mut least: Option<Self> = None;
        for status in statuses {
            let Some(limit) = &status.current_limit else {
                continue;
            };
            let requests = limit.requests_per_unit;
            let window =
                seconds_in(limit.unit()).saturating_mul(limit.unit_multiplier.max(1).into());
            let remaining = status.limit_remaining;
            if least
                .as_ref()
                .is_none_or(|least| remaining < least.remaining)
            {
                least = Some(Self {
                    limit: requests,
                    remaining,
                    window: (window > 0).then_some(window),
                    reset: status.duration_until_reset.map(nanoseconds),
                    policies: Box::default(),
                });
            }
            if window > 0 {
                // Writing to a string does not fail.
                let _ = write!(policies, ", {requests};w={window}");
                let name = limit.name.replace(['"', '\\'], "");
                if !name.is_empty() && name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                    let _ = write!(policies, ";name=\"{name}\"");
                }
            }
        }
        least.map(|least| Self {
            policies: policies.into(),
            ..least
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

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::super::wire::CurrentLimit;
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn status(code: Code, seconds: Option<(i64, i32)>) -> DescriptorStatus {
        DescriptorStatus {
            code: code.into(),
            duration_until_reset: seconds.map(|(seconds, nanos)| Duration { seconds, nanos }),
            ..DescriptorStatus::default()
        }
    }

    fn limited(requests: u32, unit: Unit, remaining: u32, name: &str) -> DescriptorStatus {
        DescriptorStatus {
            current_limit: Some(CurrentLimit {
                requests_per_unit: requests,
                unit: unit.into(),
                name: name.to_owned(),
                unit_multiplier: 0,
            }),
            limit_remaining: remaining,
            ..status(Code::Ok, None)
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn it_is_worth_trying_again_when_all_let_a_request_pass() {
        let over = |seconds| status(Code::OverLimit, seconds);
        let within = || status(Code::Ok, Some((900, 0)));
        for (statuses, expected) in [
            (vec![], None),
            (vec![within()], None),
            (vec![over(None)], None),
            (vec![over(Some((3, 5)))], Some(3 * SECOND + 5)),
            (
                vec![over(Some((3, 0))), within(), over(Some((7, 0)))],
                Some(7 * SECOND),
            ),
            (vec![over(Some((3, 0))), over(None)], None),
            (vec![over(Some((-3, -5)))], Some(0)),
            (vec![over(Some((i64::MAX, i32::MAX)))], Some(u64::MAX)),
        ] {
            assert_eq!(retry_after(&statuses), expected, "{statuses:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_limit_that_leaves_the_least_is_told() {
        let all = [
            status(Code::Ok, None),
            limited(100, Unit::Hour, 9, "hour"),
            limited(10, Unit::Minute, 3, ""),
            limited(900, Unit::Year, 3, "year"),
        ];
        let expected = Standing {
            limit: 10,
            remaining: 3,
            window: Some(60),
            reset: None,
            policies: ", 100;w=3600;name=\"hour\", 10;w=60".into(),
        };
        assert_eq!(Standing::of(&all), Some(expected));
        assert_eq!(Standing::of(&all[..1]), None);
        assert_eq!(Standing::of(&[]), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn names_cannot_end_the_text_they_stand_in() {
        let policies = |name: &str| {
            let standing = Standing::of(&[limited(1, Unit::Second, 1, name)]);
            standing.map(|standing| standing.policies)
        };
        let plain = ", 1;w=1";
        assert_eq!(
            policies("a\", b\\").as_deref(),
            Some(", 1;w=1;name=\"a, b\"")
        );
        for name in ["\"", "ü", "a\nb", "\0"] {
            assert_eq!(policies(name).as_deref(), Some(plain), "{name:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_not_known_is_no_window() {
        let mut status = limited(1, Unit::Minute, 1, "");
        if let Some(limit) = &mut status.current_limit {
            limit.unit = 99;
            limit.unit_multiplier = u32::MAX;
        }
        let standing = Standing::of(&[status]).expect("it has a limit");
        assert_eq!((standing.window, &*standing.policies), (None, ""));
    }
}
