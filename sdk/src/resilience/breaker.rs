//! A circuit breaker: an upstream that fails is left alone for a while.

use std::time::{Duration, SystemTime};

/// Parts of the window over which failures are set against requests: the
/// oldest goes when a new one begins.
const PARTS: u32 = 10;

/// When a [`CircuitBreaker`] opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it. Without this they do not.
    pub consecutive_failures: Option<u32>,
    /// The share of failures that opens it. Without this it does not.
    pub failure_ratio: Option<FailureRatio>,
    /// How long it stays open before it lets a request through again.
    pub cool_down: Duration,
    /// Half-open, it lets this many requests through, and closes when so many
    /// have succeeded. 0 is taken for 1.
    pub half_open_requests: u32,
}

impl Default for BreakerSettings {
    /// Opens for 5 s after 5 failures in a row; closes after 1 success.
    fn default() -> Self {
        Self {
            consecutive_failures: Some(5),
            failure_ratio: None,
            cool_down: Duration::from_secs(5),
            half_open_requests: 1,
        }
    }
}

/// The share of failures that is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureRatio {
    /// In percent of the requests in the window, from 1 to 100.
    pub percent: u32,
    /// The time over which requests count. It is counted in tenths.
    pub window: Duration,
    /// Fewer requests than these in the window say nothing.
    pub min_requests: u32,
}

/// What a request that was let through says of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Success,
    /// It does not.
    Failure,
    /// Nothing: the request was given up, or was wrong in itself.
    Nothing,
}

/// How a [`CircuitBreaker`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests go through.
    Closed,
    /// None does.
    Open,
    /// A few do, to see whether the upstream works again.
    HalfOpen,
}

/// Leave to send one request. Give it back with what became of it; one that is
/// lost half-open holds its place for ever, so
/// `SharedBreaker` gives back what is dropped.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit has to be given back"]
pub struct Permit {
    /// Of which state of the breaker it is: what comes in after a change says
    /// nothing of the upstream as it is now.
    epoch: u64,
}

/// The breaker is open: no request goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// When it may let one through at the soonest. Zero where it waits for those
    /// that it has let through.
    pub retry_in: Duration,
}

/// Closed, it lets all requests through; open, none; half-open, a few.
///
/// A state machine that is told the time: no host calls, no allocation, about 200
/// bytes. One is for one upstream, on one worker.
#[derive(Debug)]
pub struct CircuitBreaker {
    settings: BreakerSettings,
    state: State,
    epoch: u64,
}

#[derive(Debug)]
enum State {
    Closed { in_a_row: u32, window: Window },
    Open { since: SystemTime },
    HalfOpen { in_flight: u32, succeeded: u32 },
}

impl CircuitBreaker {
    /// A closed breaker.
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: State::closed(),
            epoch: 0,
        }
    }

    /// How it stands. An open breaker whose time is over is open until the next
    /// [`admit`](Self::admit).
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Asks leave for one request.
    pub fn admit(&mut self, now: SystemTime) -> Result<Permit, Refused> {
        let places = self.settings.half_open_requests.max(1);
        match &mut self.state {
            State::Closed { .. } => {}
            State::Open { since } => {
                let Ok(passed) = now.duration_since(*since) else {
                    // The clock was set back: nobody knows by how much too long
                    // this would be open.
                    *since = now;
                    return Err(Refused {
                        retry_in: self.settings.cool_down,
                    });
                };
                let retry_in = self.settings.cool_down.saturating_sub(passed);
                if !retry_in.is_zero() {
                    return Err(Refused { retry_in });
                }
                self.change(State::HalfOpen {
                    in_flight: 1,
                    succeeded: 0,
                });
            }
            State::HalfOpen {
                in_flight,
                succeeded,
            } => {
                if in_flight.saturating_add(*succeeded) >= places {
                    return Err(Refused {
                        retry_in: Duration::ZERO,
                    });
                }
                *in_flight = in_flight.saturating_add(1);
            }
        }
        Ok(Permit { epoch: self.epoch })
    }

    /// Takes a permit back, with what became of its request.
    #[expect(clippy::needless_pass_by_value, reason = "it is good for once")]
    pub fn settle(&mut self, permit: Permit, verdict: Verdict, now: SystemTime) {
        if permit.epoch != self.epoch {
            return;
        }
        let places = self.settings.half_open_requests.max(1);
        let becomes = match &mut self.state {
            State::Open { .. } => None,
            State::Closed { in_a_row, window } => {
                let trips = match verdict {
                    Verdict::Nothing => false,
                    Verdict::Success => {
                        *in_a_row = 0;
                        window.trips(self.settings.failure_ratio, false, now)
                    }
                    Verdict::Failure => {
                        *in_a_row = in_a_row.saturating_add(1);
                        let too_many = self.settings.consecutive_failures;
                        let too_many = too_many.is_some_and(|too_many| *in_a_row >= too_many);
                        window.trips(self.settings.failure_ratio, true, now) || too_many
                    }
                };
                trips.then_some(State::Open { since: now })
            }
            State::HalfOpen {
                in_flight,
                succeeded,
            } => {
                *in_flight = in_flight.saturating_sub(1);
                match verdict {
                    Verdict::Nothing => None,
                    Verdict::Failure => Some(State::Open { since: now }),
                    Verdict::Success => {
                        *succeeded = succeeded.saturating_add(1);
                        (*succeeded >= places).then(State::closed)
                    }
                }
            }
        };
        if let Some(state) = becomes {
            self.change(state);
        }
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.epoch = self.epoch.wrapping_add(1);
    }
}

impl State {
    fn closed() -> Self {
        Self::Closed {
            in_a_row: 0,
            window: Window::default(),
        }
    }
}

/// Requests and failures of the last while, in parts that age one by one.
#[derive(Debug, Default)]
struct Window {
    parts: [Part; PARTS as usize],
    /// The number of the newest part, counted from 1970.
    newest: u128,
}

#[derive(Debug, Default, Clone, Copy)]
struct Part {
    requests: u32,
    failures: u32,
}

impl Window {
    /// Counts a request, and tells whether there are now too many failures.
    fn trips(&mut self, ratio: Option<FailureRatio>, failed: bool, now: SystemTime) -> bool {
        let Some(ratio) = ratio else {
            return false;
        };
        self.go_to(now, ratio.window);
        if let Some(newest) = self.parts.first_mut() {
            newest.requests = newest.requests.saturating_add(1);
            newest.failures = newest.failures.saturating_add(u32::from(failed));
        }
        let sum = |of: fn(&Part) -> u32| self.parts.iter().map(|part| u64::from(of(part))).sum();
        let (requests, failures): (u64, u64) = (sum(|p| p.requests), sum(|p| p.failures));
        failed
            && requests >= u64::from(ratio.min_requests)
            && failures.saturating_mul(100) >= requests.saturating_mul(u64::from(ratio.percent))
    }

    /// Makes the part of this time the first.
    fn go_to(&mut self, now: SystemTime, window: Duration) {
        let length = window.as_nanos().checked_div(u128::from(PARTS));
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH);
        let number = since_1970
            .unwrap_or_default()
            .as_nanos()
            .checked_div(length.unwrap_or_default().max(1))
            .unwrap_or_default();
        // Of a clock that was set back nothing is known: begin anew.
        let ahead = number
            .checked_sub(self.newest)
            .and_then(|parts| usize::try_from(parts).ok())
            .map_or(self.parts.len(), |parts| parts.min(self.parts.len()));
        self.parts.rotate_right(ahead);
        for part in self.parts.iter_mut().take(ahead) {
            *part = Part::default();
        }
        self.newest = number;
    }
}

#[cfg(test)]
mod tests;
