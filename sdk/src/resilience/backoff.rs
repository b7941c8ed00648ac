//! How long to wait before another try.

use std::time::{Duration, SystemTime};

/// The longest wait that [`retry_after`] tells of.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Exponential waits with full jitter: before retry `n`, counted from 0, a random
/// time from nothing to `base * 2^n`, which is `max` at most.
///
/// Full jitter spreads the retries of many workers over the whole time, so that
/// an upstream that comes back is not met by all of them at once.
///
/// Pure: no host calls, no allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
}

impl Backoff {
    /// Waits from `base` up. A `max` below `base` holds from the first wait on.
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max }
    }

    /// What it begins with.
    pub const fn base(&self) -> Duration {
        self.base
    }

    /// The longest wait before this retry, counted from 0.
    pub fn ceiling(&self, retry: u32) -> Duration {
        1_u32
            .checked_shl(retry)
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.longest(), |wait| wait.min(self.max))
    }

    /// The wait before this retry, counted from 0, that a random number picks:
    /// from nothing to [`ceiling`](Self::ceiling), each as likely.
    pub fn delay(&self, retry: u32, random: u64) -> Duration {
        let ceiling = u64::try_from(self.ceiling(retry).as_nanos()).unwrap_or(u64::MAX);
        // A number below `ceiling + 1`, without the bias of a remainder.
        let picked = u128::from(ceiling)
            .saturating_add(1)
            .saturating_mul(u128::from(random))
            >> 64;
        Duration::from_nanos(u64::try_from(picked).unwrap_or(ceiling))
    }

    /// Doubling without end comes to this; doubling nothing, to nothing.
    fn longest(&self) -> Duration {
        if self.base.is_zero() {
            Duration::ZERO
        } else {
            self.max
        }
    }
}

impl Default for Backoff {
    /// Envoy's: from 25 ms to 250 ms.
    fn default() -> Self {
        Self::new(Duration::from_millis(25), Duration::from_millis(250))
    }
}

/// Reads the value of a `Retry-After` header (RFC 9110, section 10.2.3): seconds,
/// or a date, of which the time from `now` counts. A date that has passed asks
/// for no wait; more than [`MAX_RETRY_AFTER`] is taken for that. `None` for a
/// value that is neither.
pub fn retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    let text = str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    if text.is_empty() {
        return None;
    }
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // What is too long for the number is too long for the cap.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]

    use std::time::UNIX_EPOCH;

    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_ceiling_doubles_up_to_the_maximum() {
        let backoff = Backoff::new(ms(25), ms(250));

        let ceilings = [0, 1, 2, 3, 4, 31, 32, u32::MAX].map(|retry| backoff.ceiling(retry));

        assert_eq!(ceilings, [25, 50, 100, 200, 250, 250, 250, 250].map(ms));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_delay_is_any_part_of_the_ceiling() {
        let backoff = Backoff::new(ms(100), ms(1_000));

        assert_eq!(backoff.delay(0, 0), ms(0));
        assert_eq!(backoff.delay(0, u64::MAX / 2), ms(50));
        assert_eq!(backoff.delay(0, u64::MAX), ms(100));
        assert_eq!(backoff.delay(1, u64::MAX), ms(200));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn extreme_settings_overflow_nothing() {
        let huge = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!(huge.ceiling(u32::MAX), Duration::MAX);
        assert_eq!(huge.delay(9, u64::MAX), Duration::from_nanos(u64::MAX));

        let none = Backoff::new(Duration::ZERO, ms(9));
        assert_eq!(none.delay(u32::MAX, u64::MAX), Duration::ZERO);

        let less = Backoff::new(ms(100), ms(10));
        assert_eq!(less.delay(0, u64::MAX), ms(10));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn reads_retry_after() {
        // 1994-11-06 08:49:37, the date of RFC 9110's examples, less ten seconds.
        let now = UNIX_EPOCH + Duration::from_secs(784_111_767);
        for (value, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7\t", Some(7)),
            ("86401", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(10)),
            ("Sun Nov  6 08:49:37 1994", Some(10)),
            ("Sun, 06 Nov 1994 08:49:26 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("", None),
            (" ", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1 2", None),
            ("soon", None),
            ("Sun, 31 Feb 1994 08:49:37 UTC", None),
        ] {
            assert_eq!(
                retry_after(value.as_bytes(), now),
                seconds.map(Duration::from_secs),
                "{value:?}"
            );
        }
        assert_eq!(retry_after(b"\xff", now), None);
    }

    #[cfg(not(target_family = "wasm"))]
    mod properties {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn no_delay_is_above_the_ceiling_or_the_maximum(
                base: Duration, max: Duration, retry: u32, random: u64,
            ) {
                let backoff = Backoff::new(base, max);
                prop_assert!(backoff.delay(retry, random) <= backoff.ceiling(retry));
                prop_assert!(backoff.ceiling(retry) <= max);
                prop_assert!(backoff.ceiling(retry) <= backoff.ceiling(retry.saturating_add(1)));
            }

            #[test]
            fn a_larger_random_number_never_shortens_a_delay(
                base: Duration, max: Duration, retry in 0..40_u32, one: u64, two: u64,
            ) {
                let backoff = Backoff::new(base, max);
                let (low, high) = (one.min(two), one.max(two));
                prop_assert!(backoff.delay(retry, low) <= backoff.delay(retry, high));
            }

            #[test]
            fn retry_after_takes_any_bytes(value: Vec<u8>, seconds in 0..4_000_000_000_u64) {
                let now = UNIX_EPOCH + Duration::from_secs(seconds);
                let wait = retry_after(&value, now);
                prop_assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
            }

            #[test]
            fn retry_after_reads_every_date(then in 0..4_000_000_000_u64, now in 0..4_000_000_000_u64) {
                let [date, now] = [then, now].map(|time| UNIX_EPOCH + Duration::from_secs(time));
                let wait = date.duration_since(now).unwrap_or_default().min(MAX_RETRY_AFTER);
                prop_assert_eq!(retry_after(httpdate::fmt_http_date(date).as_bytes(), now), Some(wait));
            }
        }
    }
}
