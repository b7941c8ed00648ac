//! What all workers know together of a source: when it was asked, who asks now, and
//! which document came of it. Nothing here calls the host.

use std::time::Duration;

use legation::resilience::Backoff;

use super::config::Schedule;

/// Another one when the form changes.
const FORMAT: u8 = 1;
const FIELDS: usize = 9;

/// The longest wait after fetches that fail, unless `failed_refetch_duration` is
/// longer.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How much later than its fetch may take a claim ends: the host's timers are
/// late by less.
const CLAIM_MARGIN: Duration = Duration::from_secs(1);

/// No claim is longer: its fetch takes 10 min at most.
const LONGEST_CLAIM: Duration = Duration::from_mins(11);

/// By so much a time may be ahead, before the clock counts as set back.
const SLACK: Duration = Duration::from_mins(1);

/// Times are nanoseconds since 1970; 0 is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State {
    /// The number of the document that is there, drawn at random. 0: there is none.
    pub(super) document: u64,
    /// When it was last fetched, changed or not.
    pub(super) fetched: u64,
    /// When the issuer's metadata was last read.
    pub(super) discovered: u64,
    /// When the last fetch began.
    pub(super) began: u64,
    /// When it was over.
    pub(super) ended: u64,
    /// Who fetches; 0: nobody.
    pub(super) claimant: u64,
    /// When whoever fetches counts as gone.
    pub(super) claimed_until: u64,
    /// When a fetch for an unknown key last began.
    pub(super) forced: u64,
    /// Fetches in a row that failed.
    pub(super) failures: u64,
}

/// Why keys are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// There are none, or their time is over, or the last fetch failed.
    Due,
    /// Somebody asks for a key that is not among them.
    UnknownKey,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Fetch now.
    Fetch(Why),
    /// Somebody does.
    UnderWay,
    /// Nothing before this time.
    Wait(u64),
}

impl State {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        for field in [
            self.document,
            self.fetched,
            self.discovered,
            self.began,
            self.ended,
            self.claimant,
            self.claimed_until,
            self.forced,
            self.failures,
        ] {
            bytes.extend(field.to_le_bytes());
        }
        bytes
    }

    /// What is no state is none: another version's, which is fetched over.
    pub(super) fn from_bytes(bytes: Option<&[u8]>) -> Self {
        let read = || {
            let (format, fields) = bytes?.split_first()?;
            let (fields, rest) = fields.as_chunks::<8>();
            let fields: [u64; FIELDS] = fields
                .iter()
                .map(|field| u64::from_le_bytes(*field))
                .collect::<Vec<_>>()
                .try_into()
                .ok()?;
            let [
                document,
                fetched,
                discovered,
                began,
                ended,
                claimant,
                claimed_until,
                forced,
                failures,
            ] = fields;
            (*format == FORMAT && rest.is_empty()).then_some(Self {
                document,
                fetched,
                discovered,
                began,
                ended,
                claimant,
                claimed_until,
                forced,
                failures,
            })
        };
        read().unwrap_or_default()
    }

    /// What is to be done at `now`, where somebody has `asked` for an unknown key
    /// at that time.
    pub(super) fn next(&self, now: u64, schedule: &Schedule, asked: Option<u64>) -> Next {
        if self.is_claimed(now) {
            return Next::UnderWay;
        }
        let due = self.due(schedule);
        if due <= now || is_beyond(self.fetched.max(self.ended), now) {
            return Next::Fetch(Why::Due);
        }
        match asked {
            // One that was under way may have been answered before the key was there.
            Some(asked) if self.began <= asked && self.limited_until(now, schedule) <= now => {
                Next::Fetch(Why::UnknownKey)
            }
            _ => Next::Wait(due),
        }
    }

    /// Until when there is no fetch for an unknown key.
    pub(super) fn limited_until(&self, now: u64, schedule: &Schedule) -> u64 {
        if self.forced == 0 || is_beyond(self.forced, now) {
            return 0;
        }
        after(self.forced, schedule.unknown_key_refetch_interval)
    }

    /// Whether somebody fetches, and is not gone.
    fn is_claimed(&self, now: u64) -> bool {
        let left = self.claimed_until.saturating_sub(now);
        // A claim further off was made before the clock was set back.
        self.claimant != 0 && left > 0 && left <= nanoseconds(LONGEST_CLAIM)
    }

    /// When the next fetch is due.
    fn due(&self, schedule: &Schedule) -> u64 {
        if self.claimant != 0 {
            // Whoever fetched is gone, or is of a time before the clock was set back.
            return 0;
        }
        if self.failures > 0 {
            return after(self.ended, self.wait(schedule));
        }
        if self.document == 0 {
            return 0;
        }
        // In the last tenth of the time: all workers know the same, and each source
        // has a moment of its own.
        let tenth = nanoseconds(schedule.cache_duration) / 10;
        let early = part(tenth, self.document ^ self.fetched);
        after(self.fetched, schedule.cache_duration).saturating_sub(early)
    }

    /// The wait after fetches that failed: the first is as long as it says; later
    /// ones are longer, by a random time that grows.
    fn wait(&self, schedule: &Schedule) -> Duration {
        let base = schedule.failed_refetch;
        let more = u32::try_from(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        if more == 0 {
            return base;
        }
        let random = scatter(self.ended);
        let longest = LONGEST_WAIT.saturating_sub(base);
        base.saturating_add(Backoff::new(base, longest).delay(more.min(31), random))
    }

    /// The first moment at which the document is too old to be used.
    pub(super) fn over(&self, schedule: &Schedule) -> u64 {
        let good = schedule
            .cache_duration
            .saturating_add(schedule.stale_if_error);
        after(self.fetched, good)
    }

    /// With the claim of somebody who begins to fetch.
    pub(super) fn claimed(self, claimant: u64, why: Why, now: u64, schedule: &Schedule) -> Self {
        // Whoever had a claim and is gone has failed.
        let gone = u64::from(self.claimant != 0);
        Self {
            claimant,
            claimed_until: after(now, claim(schedule)),
            began: now,
            forced: match why {
                Why::UnknownKey => now,
                Why::Due => self.forced,
            },
            failures: self.failures.saturating_add(gone),
            ..self
        }
    }

    /// Whether it is this claimant's turn still.
    pub(super) fn is_of(&self, claimant: u64) -> bool {
        self.claimant == claimant
    }

    /// After a fetch that brought a document, of this number.
    pub(super) fn succeeded(self, document: u64, discovered: u64, now: u64) -> Self {
        Self {
            document,
            fetched: now,
            discovered,
            failures: 0,
            ..self.released(now)
        }
    }

    /// After a fetch that brought nothing.
    pub(super) fn failed(self, now: u64) -> Self {
        Self {
            failures: self.failures.saturating_add(1),
            ..self.released(now)
        }
    }

    /// After a fetch that was given up: its configuration is gone. Whoever is left
    /// begins anew.
    pub(super) fn given_up(self) -> Self {
        Self {
            claimant: 0,
            claimed_until: 0,
            began: 0,
            ..self
        }
    }

    fn released(self, now: u64) -> Self {
        Self {
            claimant: 0,
            claimed_until: 0,
            ended: now,
            ..self
        }
    }
}

/// How long a claim is good for.
fn claim(schedule: &Schedule) -> Duration {
    schedule.fetch_timeout.saturating_add(CLAIM_MARGIN)
}

/// Whether a time lies so far ahead that the clock was set back.
fn is_beyond(time: u64, now: u64) -> bool {
    time.saturating_sub(now) > nanoseconds(SLACK)
}

pub(super) fn after(time: u64, duration: Duration) -> u64 {
    time.saturating_add(nanoseconds(duration))
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A part of `whole` that a number picks, the same each time.
fn part(whole: u64, number: u64) -> u64 {
    let picked = u128::from(whole).saturating_mul(u128::from(scatter(number))) >> 64;
    u64::try_from(picked).unwrap_or(whole)
}

/// A number's bits, mixed (the finalizer of `SplitMix64`).
const fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1_800_000_000 * SECOND;

    fn schedule() -> Schedule {
        let seconds = Duration::from_secs;
        Schedule {
            cache_duration: seconds(600),
            stale_if_error: seconds(3_600),
            failed_refetch: seconds(1),
            unknown_key_refetch_interval: seconds(10),
            first_fetch_timeout: seconds(3),
            fetch_timeout: seconds(5),
        }
    }

    /// After a fetch that was good.
    fn good() -> State {
        let claimed = State::default().claimed(7, Why::Due, NOW - SECOND, &schedule());
        claimed.succeeded(42, 0, NOW)
    }

    fn next(state: State, now: u64) -> Next {
        state.next(now, &schedule(), None)
    }

    #[test]
    fn what_was_written_is_read_and_what_is_none_is_nothing() {
        let state = good()
            .claimed(3, Why::UnknownKey, NOW, &schedule())
            .failed(NOW + 1);
        let bytes = state.to_bytes();
        assert_eq!(State::from_bytes(Some(&bytes)), state);

        let (last, shorter) = bytes.split_last().unwrap();
        let longer = [&bytes[..], &[*last]].concat();
        let other = [&[FORMAT + 1], &bytes[1..]].concat();
        for wrong in [&[], shorter, &longer, &other] {
            assert_eq!(State::from_bytes(Some(wrong)), State::default());
        }
        assert_eq!(State::from_bytes(None), State::default());
    }

    #[test]
    fn one_fetches_and_whoever_dies_is_replaced() {
        let state = State::default();
        assert_eq!(next(state, NOW), Next::Fetch(Why::Due));
        let claimed = state.claimed(7, Why::Due, NOW, &schedule());
        assert_eq!(next(claimed, NOW), Next::UnderWay);
        assert_eq!(next(claimed, NOW + 6 * SECOND - 1), Next::UnderWay);
        assert_eq!(next(claimed, NOW + 6 * SECOND), Next::Fetch(Why::Due));

        let second = claimed.claimed(8, Why::Due, NOW + 6 * SECOND, &schedule());
        assert!(second.is_of(8) && !second.is_of(7));
        assert_eq!(second.failures, 1);
    }

    #[test]
    fn a_refresh_is_in_the_last_tenth_and_each_has_its_moment() {
        let mut moments: Vec<u64> = (1..100)
            .map(|document| match next(State { document, ..good() }, NOW) {
                Next::Wait(due) => due - NOW,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(
            moments
                .iter()
                .all(|due| (540 * SECOND..=600 * SECOND).contains(due))
        );
        moments.sort_unstable();
        moments.dedup();
        assert_eq!(moments.len(), 99);
    }

    #[test]
    fn waits_after_failures_grow_to_a_minute() {
        let mut state = State::default();
        let mut longest = 0;
        for failures in 1..100 {
            state = state
                .claimed(1, Why::Due, NOW, &schedule())
                .failed(NOW + failures);
            let Next::Wait(due) = next(state, NOW + failures) else {
                panic!("{state:?}");
            };
            let wait = due - (NOW + failures);
            assert!((SECOND..=60 * SECOND).contains(&wait), "{failures}: {wait}");
            assert!(failures > 1 || wait == SECOND);
            longest = wait.max(longest);
        }
        assert!(longest > 30 * SECOND);
        assert_eq!(state.succeeded(1, 0, NOW).failures, 0);
    }

    #[test]
    fn an_unknown_key_is_fetched_once_in_the_interval() {
        let state = good();
        let asked = |state: State, now| state.next(now, &schedule(), Some(now));
        assert_eq!(asked(state, NOW + 1), Next::Fetch(Why::UnknownKey));

        let forced = state.claimed(1, Why::UnknownKey, NOW + 1, &schedule());
        assert_eq!(asked(forced, NOW + 2), Next::UnderWay);
        for over in [forced.failed(NOW + 2), forced.succeeded(2, 0, NOW + 2)] {
            assert!(matches!(asked(over, NOW + 3), Next::Wait(_)));
            // One that asked before the fetch is answered by it.
            assert!(matches!(
                over.next(NOW + 3, &schedule(), Some(NOW)),
                Next::Wait(_)
            ));
            let later = NOW + 10 * SECOND + 1;
            assert!(matches!(asked(over, later), Next::Fetch(_)));
            assert_eq!(over.limited_until(NOW + 3, &schedule()), later);
        }
    }

    #[test]
    fn one_that_asked_in_the_middle_of_a_fetch_has_another() {
        let refresh = good().claimed(1, Why::Due, NOW + SECOND, &schedule());
        let over = refresh.succeeded(42, 0, NOW + 3 * SECOND);
        let asked = |at| over.next(NOW + 3 * SECOND, &schedule(), Some(at));
        assert_eq!(asked(NOW + 2 * SECOND), Next::Fetch(Why::UnknownKey));
        assert!(matches!(asked(NOW), Next::Wait(_)));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let early = NOW - 10_000 * SECOND;
        assert_eq!(next(good(), early), Next::Fetch(Why::Due));
        let claimed = good().claimed(1, Why::UnknownKey, NOW, &schedule());
        assert_eq!(next(claimed, early), Next::Fetch(Why::Due));
        assert_eq!(claimed.limited_until(early, &schedule()), 0);
        // A little is nothing.
        assert!(matches!(next(good(), NOW - SECOND), Next::Wait(_)));
    }

    #[test]
    fn keys_are_over_after_their_time_and_that_of_stale_ones() {
        assert_eq!(good().over(&schedule()), NOW + 4_200 * SECOND);
    }
}
