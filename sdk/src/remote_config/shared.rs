//! What all workers know of a document: which one is good, and when the next fetch is due.

use std::time::Duration;

use crate::resilience::Backoff;
use crate::shared::{SharedError, SharedValue};

/// The wait after a first fetch that failed.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// By so much a time may be ahead, before the clock counts as set back.
const SLACK: u64 = 60_000_000_000;

/// Times are nanoseconds since 1970; 0 is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State {
    /// The number of the document that is there, drawn at random. 0: there is none.
    pub(super) document: u64,
    /// When the last fetch was over.
    pub(super) ended: u64,
    /// When the next one is due.
    pub(super) due: u64,
    /// Fetches in a row that failed.
    pub(super) failures: u64,
}

impl State {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let fields = [self.document, self.ended, self.due, self.failures];
        fields
            .iter()
            .flat_map(|field| field.to_le_bytes())
            .collect()
    }

    /// What is no state is none: another version's, which is fetched over.
    pub(super) fn from_bytes(bytes: Option<&[u8]>) -> Self {
        let read = || {
            let (fields, rest) = bytes?.as_chunks::<8>();
            let [document, ended, due, failures] = fields else {
                return None;
            };
            rest.is_empty().then_some(Self {
                document: u64::from_le_bytes(*document),
                ended: u64::from_le_bytes(*ended),
                due: u64::from_le_bytes(*due),
                failures: u64::from_le_bytes(*failures),
            })
        };
        read().unwrap_or_default()
    }

    /// Whether it is time for a fetch, where one is wanted so often: a configuration before this one may have
    /// wanted it less often. A clock that was set back stops nothing.
    pub(super) fn is_due(&self, now: u64, refresh_delay: Duration) -> bool {
        let latest = self.ended.saturating_add(nanoseconds(refresh_delay));
        now >= self.due.min(latest) || self.ended > now.saturating_add(SLACK)
    }

    /// After a fetch that brought this document, or none that is better.
    pub(super) fn fetched(document: u64, now: u64, refresh_delay: Duration, random: u64) -> Self {
        // Somewhere in the last tenth: many Envoys that began together do not ask together.
        let tenth = nanoseconds(refresh_delay) / 10;
        let early = Backoff::new(Duration::from_nanos(tenth), Duration::from_nanos(tenth));
        let wait = refresh_delay.saturating_sub(early.delay(0, random));
        Self {
            document,
            ended: now,
            due: now.saturating_add(nanoseconds(wait)),
            failures: 0,
        }
    }

    /// After a fetch that brought nothing.
    pub(super) fn failed(self, now: u64, refresh_delay: Duration) -> Self {
        let backoff = Backoff::new(FIRST_WAIT.min(refresh_delay), refresh_delay);
        let wait = backoff.ceiling(u32::try_from(self.failures).unwrap_or(u32::MAX));
        Self {
            ended: now,
            due: now.saturating_add(nanoseconds(wait)),
            failures: self.failures.saturating_add(1),
            ..self
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A good document, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) number: u64,
    /// By which its server knows it; empty where it did not say.
    pub(super) etag: Vec<u8>,
    pub(super) text: Vec<u8>,
}

impl Document {
    fn to_bytes(&self) -> Vec<u8> {
        let length = u64::try_from(self.etag.len()).unwrap_or_default();
        let head = [self.number.to_le_bytes(), length.to_le_bytes()].concat();
        [&head[..], &self.etag, &self.text].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (etag, text) = rest.split_at_checked(length)?;
        Some(Self {
            number: u64::from_le_bytes(*number),
            etag: etag.to_vec(),
            text: text.to_vec(),
        })
    }
}

/// Where workers find both.
#[derive(Debug)]
pub(super) struct Board {
    state: SharedValue<Vec<u8>>,
    document: SharedValue<Vec<u8>>,
}

impl Board {
    /// Of what one filter fetches from one place.
    pub(super) fn new(name: &str) -> Self {
        Self {
            state: SharedValue::new(format!("legation.remote_config.state\n{name}")),
            document: SharedValue::new(format!("legation.remote_config.document\n{name}")),
        }
    }

    pub(super) fn state(&self) -> Result<State, SharedError> {
        Ok(State::from_bytes(self.state.get()?.as_deref()))
    }

    pub(super) fn set_state(&self, state: State) -> Result<(), SharedError> {
        self.state.set(&state.to_bytes())
    }

    pub(super) fn document(&self) -> Result<Option<Document>, SharedError> {
        let bytes = self.document.get()?;
        Ok(bytes.as_deref().and_then(Document::from_bytes))
    }

    pub(super) fn set_document(&self, document: &Document) -> Result<(), SharedError> {
        self.document.set(&document.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1_800_000_000 * SECOND;
    const REFRESH: Duration = Duration::from_secs(30);

    #[test]
    fn what_was_written_is_read_and_what_is_none_is_nothing() {
        let state = State::fetched(7, NOW, REFRESH, 1).failed(NOW + 1, REFRESH);
        let bytes = state.to_bytes();
        assert_eq!(State::from_bytes(Some(&bytes)), state);
        for wrong in [&[], &bytes[1..], &[&bytes[..], &[0; 8]].concat()[..]] {
            assert_eq!(State::from_bytes(Some(wrong)), State::default());
        }

        let document = Document {
            number: 7,
            etag: b"\"a\"".to_vec(),
            text: b"{}".to_vec(),
        };
        let bytes = document.to_bytes();
        assert_eq!(Document::from_bytes(&bytes), Some(document));
        assert_eq!(Document::from_bytes(&bytes[..12]), None);
        assert_eq!(Document::from_bytes(&bytes[..17]), None);
    }

    #[test]
    fn a_fetch_is_due_in_the_last_tenth() {
        assert!(State::default().is_due(NOW, REFRESH));
        for random in [0, u64::MAX / 2, u64::MAX] {
            let state = State::fetched(7, NOW, REFRESH, random);
            assert!((NOW + 27 * SECOND..=NOW + 30 * SECOND).contains(&state.due));
            assert!(!state.is_due(state.due - 1, REFRESH));
            assert!(state.is_due(state.due, REFRESH));
        }
    }

    #[test]
    fn waits_after_failures_grow_and_are_no_longer_than_the_usual_one() {
        let mut state = State::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            state = state.failed(NOW, REFRESH);
            waits.push((state.due - NOW) / SECOND);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(State::fetched(1, NOW, REFRESH, 0).failures, 0);

        let often = Duration::from_millis(200);
        assert_eq!(State::default().failed(NOW, often).due, NOW + SECOND / 5);
    }

    #[test]
    fn neither_a_longer_wait_of_before_nor_a_clock_set_back_stops_it() {
        let rarely = Duration::from_hours(24);
        let state = State::fetched(7, NOW, rarely, 0);
        assert!(!state.is_due(NOW + 31 * SECOND, rarely));
        assert!(state.is_due(NOW + 31 * SECOND, REFRESH));
        assert!(state.is_due(NOW - 3_600 * SECOND, rarely));
    }
}
