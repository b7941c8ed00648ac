//! Whether there is another try, and when.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::backoff::Backoff;

/// Less time than this is none: a try shorter than the clock's resolution fails
/// for certain, and Envoy takes a timeout of 0 for none at all.
pub const SHORTEST_TRY: Duration = Duration::from_millis(10);

/// How a try ended, as far as retries are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The upstream answered with this HTTP status.
    Status(u16),
    /// The upstream answered a gRPC call with this status.
    GrpcStatus(u32),
    /// The request did not reach the upstream: there was no connection.
    NotConnected,
    /// The connection broke off before there was an answer.
    Reset,
    /// There was no answer in time.
    Timeout,
    /// Something that another try does not mend: the request cannot be sent, or
    /// the answer is larger than it may be.
    Final,
}

/// What is retried, in Envoy's words.
///
/// As in Envoy, `5xx`, `gateway-error` and `reset` all hold for a try without
/// any answer: not connected, reset, or timed out. Different from Envoy:
/// `timeout` is a word of ours, for tries that timed out and nothing else.
/// Envoy's other words (`retriable-4xx`, `refused-stream`, `retriable-headers`,
/// `envoy-ratelimited`, `reset-before-request`, …) are not known here: what they
/// name cannot be told by a filter, or is a status that
/// `retriable-status-codes` can name.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryOn(u16);

impl RetryOn {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `5xx`: any status from 500 to 599, and no answer at all.
    pub const FIVE_XX: Self = Self(1);
    /// `gateway-error`: the statuses 502, 503 and 504, and no answer at all.
    pub const GATEWAY_ERROR: Self = Self(1 << 1);
    /// `reset`: no answer at all.
    pub const RESET: Self = Self(1 << 2);
    /// `connect-failure`: there was no connection.
    pub const CONNECT_FAILURE: Self = Self(1 << 3);
    /// `retriable-status-codes`: the statuses of a list.
    pub const RETRIABLE_STATUS_CODES: Self = Self(1 << 4);
    /// `timeout`: no answer in time.
    pub const TIMEOUT: Self = Self(1 << 5);
    /// `cancelled`: the gRPC status 1.
    pub const CANCELLED: Self = Self(1 << 6);
    /// `deadline-exceeded`: the gRPC status 4.
    pub const DEADLINE_EXCEEDED: Self = Self(1 << 7);
    /// `resource-exhausted`: the gRPC status 8.
    pub const RESOURCE_EXHAUSTED: Self = Self(1 << 8);
    /// `internal`: the gRPC status 13.
    pub const INTERNAL: Self = Self(1 << 9);
    /// `unavailable`: the gRPC status 14, and no connection, which is told as that.
    pub const UNAVAILABLE: Self = Self(1 << 10);

    /// What is retried where nothing is said: `gateway-error`,
    /// `connect-failure`, `reset` and, of gRPC, `unavailable`.
    pub const USUAL: Self = Self::GATEWAY_ERROR
        .and(Self::CONNECT_FAILURE)
        .and(Self::RESET)
        .and(Self::UNAVAILABLE);

    /// Every word with what it stands for.
    pub const WORDS: [(&str, Self); 11] = [
        ("5xx", Self::FIVE_XX),
        ("gateway-error", Self::GATEWAY_ERROR),
        ("reset", Self::RESET),
        ("connect-failure", Self::CONNECT_FAILURE),
        ("retriable-status-codes", Self::RETRIABLE_STATUS_CODES),
        ("timeout", Self::TIMEOUT),
        ("cancelled", Self::CANCELLED),
        ("deadline-exceeded", Self::DEADLINE_EXCEEDED),
        ("resource-exhausted", Self::RESOURCE_EXHAUSTED),
        ("internal", Self::INTERNAL),
        ("unavailable", Self::UNAVAILABLE),
    ];

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of this is named.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Debug for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::WORDS.iter().filter(|(_, on)| self.contains(*on));
        f.debug_set().entries(named.map(|(word, _)| word)).finish()
    }
}

/// A word that [`RetryOn`] does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a condition of a retry")]
pub struct UnknownWord;

impl FromStr for RetryOn {
    type Err = UnknownWord;

    /// Reads one word.
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::WORDS
            .iter()
            .find(|(known, _)| *known == word)
            .map_or(Err(UnknownWord), |(_, on)| Ok(*on))
    }
}

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It may: twice does what once does.
    Safe,
    /// It may not: it is sent again only where it did not reach the upstream
    /// ([`Outcome::NotConnected`]).
    Unsafe,
}

impl Repeat {
    /// By the method: safe for those that RFC 9110 calls idempotent (section
    /// 9.2.2: GET, HEAD, OPTIONS, TRACE, PUT, DELETE) and for QUERY, unsafe for all
    /// others.
    pub fn of(method: &http::Method) -> Self {
        if method.is_idempotent() {
            Self::Safe
        } else {
            Self::Unsafe
        }
    }
}

/// When a request is tried again, and for how long.
///
/// Different from Envoy's router: a request that is not idempotent is tried
/// again only where it did not reach the upstream, whatever is named, unless
/// whoever sends it knows better ([`Repeat`]).
///
/// Pure: no host calls, no allocation. [`Tries`] counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries after the first. 0 for none.
    pub num_retries: u32,
    /// The time for one try; the whole time that is left, unless given.
    pub per_try_timeout: Option<Duration>,
    /// The time for all tries and the waits between them.
    pub timeout: Duration,
    /// What is retried.
    pub retry_on: RetryOn,
    /// The statuses of [`RetryOn::RETRIABLE_STATUS_CODES`].
    pub retriable_status_codes: Vec<u16>,
    /// The waits between tries.
    pub back_off: Backoff,
}

impl RetryPolicy {
    /// One try, with this timeout.
    pub const fn once(timeout: Duration) -> Self {
        Self {
            num_retries: 0,
            per_try_timeout: None,
            timeout,
            retry_on: RetryOn::NONE,
            retriable_status_codes: Vec::new(),
            back_off: Backoff::new(Duration::ZERO, Duration::ZERO),
        }
    }

    /// The time for a first try.
    pub fn longest_try(&self) -> Duration {
        let one = self.per_try_timeout.unwrap_or(self.timeout);
        one.min(self.timeout).max(SHORTEST_TRY)
    }

    /// Whether a try that ended so is one to repeat, were there time and tries.
    pub fn retries(&self, outcome: Outcome, repeat: Repeat) -> bool {
        if repeat == Repeat::Unsafe && outcome != Outcome::NotConnected {
            return false;
        }
        let mut named_by = match outcome {
            Outcome::Status(502..=504) => RetryOn::FIVE_XX.and(RetryOn::GATEWAY_ERROR),
            Outcome::Status(500..=599) => RetryOn::FIVE_XX,
            Outcome::GrpcStatus(1) => RetryOn::CANCELLED,
            Outcome::GrpcStatus(4) => RetryOn::DEADLINE_EXCEEDED,
            Outcome::GrpcStatus(8) => RetryOn::RESOURCE_EXHAUSTED,
            Outcome::GrpcStatus(13) => RetryOn::INTERNAL,
            Outcome::GrpcStatus(14) => RetryOn::UNAVAILABLE,
            Outcome::NotConnected => NO_ANSWER
                .and(RetryOn::CONNECT_FAILURE)
                .and(RetryOn::UNAVAILABLE),
            Outcome::Reset => NO_ANSWER,
            Outcome::Timeout => NO_ANSWER.and(RetryOn::TIMEOUT),
            Outcome::Status(_) | Outcome::GrpcStatus(_) | Outcome::Final => RetryOn::NONE,
        };
        if let Outcome::Status(status) = outcome
            && self.retriable_status_codes.contains(&status)
        {
            named_by = named_by.and(RetryOn::RETRIABLE_STATUS_CODES);
        }
        self.retry_on.has_any(named_by)
    }
}

/// The words for a try without any answer.
const NO_ANSWER: RetryOn = RetryOn::FIVE_XX
    .and(RetryOn::GATEWAY_ERROR)
    .and(RetryOn::RESET);

/// The tries of one request: how many there were, and the time that is left.
#[derive(Debug, Clone)]
pub struct Tries<'a> {
    policy: &'a RetryPolicy,
    repeat: Repeat,
    started: SystemTime,
    retries: u32,
}

impl<'a> Tries<'a> {
    /// Before the first try.
    pub const fn start(policy: &'a RetryPolicy, repeat: Repeat, now: SystemTime) -> Self {
        Self {
            policy,
            repeat,
            started: now,
            retries: 0,
        }
    }

    /// The retries made, or about to be.
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// The time for a try that begins now, or `None` if there is none left:
    /// less than [`SHORTEST_TRY`].
    pub fn timeout(&self, now: SystemTime) -> Option<Duration> {
        let left = self.left(now);
        (left >= SHORTEST_TRY).then_some(left.min(self.policy.longest_try()))
    }

    /// Whether there may be another try after one that ended so, if time is left.
    pub fn may_go_on(&self, outcome: Outcome) -> bool {
        self.retries < self.policy.num_retries && self.policy.retries(outcome, self.repeat)
    }

    /// The wait before another try, or `None` if that was the last: because it
    /// is not one to repeat, or there are no more, or no time is left for one.
    ///
    /// `retry_after` is what the upstream asked for ([`retry_after`]): the next
    /// try is not made before it, and if that is too late, it is not made at
    /// all. The jitter comes on top of it.
    ///
    /// [`retry_after`]: super::retry_after
    pub fn next(
        &mut self,
        outcome: Outcome,
        retry_after: Option<Duration>,
        now: SystemTime,
        random: u64,
    ) -> Option<Duration> {
        if !self.may_go_on(outcome) {
            return None;
        }
        let delay = self.policy.back_off.delay(self.retries, random);
        let delay = delay.saturating_add(retry_after.unwrap_or_default());
        if self.left(now) < delay.saturating_add(SHORTEST_TRY) {
            return None;
        }
        self.retries = self.retries.saturating_add(1);
        Some(delay)
    }

    fn left(&self, now: SystemTime) -> Duration {
        // A clock that was set back has not run meanwhile.
        let passed = now.duration_since(self.started).unwrap_or_default();
        self.policy.timeout.saturating_sub(passed)
    }
}

#[cfg(test)]
mod tests;
