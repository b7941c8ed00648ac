//! Requests that the service has denied, so that it need not be asked again before
//! it says otherwise.

use std::num::NonZeroUsize;
use std::time::Duration;

use legation::fingerprint::{Fingerprint, FingerprintState};
use legation::http::HeaderValue;
use legation::http::header::RETRY_AFTER;
use lru::LruCache;

use super::Answer;

/// The largest answer that is remembered, in bytes of its body and headers: the service
/// may say a megabyte, of as many clients as there are.
const LARGEST: usize = 8 * 1_024;

/// Denials of one worker.
pub(super) struct Denials {
    answers: LruCache<Fingerprint, Denial, FingerprintState>,
    /// In nanoseconds. 0: none are remembered.
    max_age: u64,
}

struct Denial {
    since: u64,
    until: u64,
    answer: Answer,
}

impl Denials {
    /// So many; what was used least recently is forgotten first.
    pub(super) fn new(answers: NonZeroUsize, max_age: u64) -> Self {
        Self {
            answers: LruCache::with_hasher(answers, FingerprintState::default()),
            max_age,
        }
    }

    /// Whether something is remembered, which may hold no longer.
    pub(super) fn knows(&self, question: Fingerprint) -> bool {
        self.answers.contains(&question)
    }

    /// What holds at this time.
    pub(super) fn find(&mut self, question: Fingerprint, at: u64) -> Option<Answer> {
        let denial = self.answers.get(&question)?;
        // A clock that was put back has nobody wait for its old time.
        if !(denial.since..denial.until).contains(&at) {
            self.answers.pop(&question);
            return None;
        }
        Some(denial.answer.after(at.saturating_sub(denial.since)))
    }

    /// Remembers a denial for as long as the service says that it holds.
    pub(super) fn put(&mut self, question: Fingerprint, answer: &Answer, now: u64) {
        let holds = answer.retry_after.unwrap_or(0).min(self.max_age);
        if holds > 0 && answer.size() <= LARGEST {
            let denial = Denial {
                since: now,
                until: now.saturating_add(holds),
                answer: answer.clone(),
            };
            self.answers.put(question, denial);
        }
    }
}

impl Answer {
    /// The bytes of its body and its headers.
    fn size(&self) -> usize {
        let headers = self.request_headers.iter().chain(&self.response_headers);
        let headers = headers.map(|(name, value)| name.as_str().len().saturating_add(value.len()));
        let policies = self.standing.as_ref();
        let policies = policies.map_or(0, |standing| standing.policies.len());
        headers.fold(
            self.body.len().saturating_add(policies),
            usize::saturating_add,
        )
    }

    /// The same so many nanoseconds later.
    fn after(&self, passed: u64) -> Self {
        let mut answer = self.clone();
        for (name, value) in &mut answer.response_headers {
            if *name == RETRY_AFTER {
                less(value, passed);
            }
        }
        let retry_after = answer.retry_after.as_mut();
        if let Some(retry_after) = retry_after {
            *retry_after = retry_after.saturating_sub(passed);
        }
        if let Some(standing) = &mut answer.standing {
            let reset = standing.reset.as_mut();
            if let Some(reset) = reset {
                *reset = reset.saturating_sub(passed);
            }
        }
        answer
    }
}

/// A header's seconds so many nanoseconds later. What holds no seconds, such as a date,
/// stays.
fn less(value: &mut HeaderValue, passed: u64) {
    let seconds = value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    if let Some(seconds) = seconds {
        let passed = Duration::from_nanos(passed).as_secs();
        *value = seconds.saturating_sub(passed).max(1).into();
    }
}

#[cfg(test)]
mod tests {
    use legation::fingerprint::Fingerprints;
    use legation::http::header::DATE;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::super::Standing;
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn denial(retry_after: &'static str) -> Answer {
        let header = |value| (RETRY_AFTER, HeaderValue::from_static(value));
        Answer {
            is_over_limit: true,
            standing: Some(Standing {
                limit: 5,
                remaining: 0,
                window: Some(60),
                reset: Some(30 * SECOND),
                policies: Box::default(),
            }),
            retry_after: Some(30 * SECOND),
            request_headers: Vec::new(),
            response_headers: vec![header(retry_after), (DATE, HeaderValue::from_static("9"))],
            body: Vec::new(),
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_time_in_an_answer_goes_on() {
        let later = denial("9").after(4 * SECOND + 1);
        let standing = later.standing.expect("it had one");
        assert_eq!(later.retry_after, Some(26 * SECOND - 1));
        assert_eq!(standing.reset, Some(26 * SECOND - 1));
        let values: Vec<_> = later
            .response_headers
            .iter()
            .map(|(_, value)| value)
            .collect();
        assert_eq!(values, ["5", "9"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn it_never_says_at_once_nor_what_it_cannot_know() {
        for (given, expected) in [
            ("9", "1"),
            ("0", "1"),
            (
                "Wed, 21 Oct 2026 07:28:00 GMT",
                "Wed, 21 Oct 2026 07:28:00 GMT",
            ),
            ("-5", "-5"),
        ] {
            let later = denial(given).after(u64::MAX);
            assert_eq!(later.response_headers[0].1, expected, "{given}");
            assert_eq!(later.retry_after, Some(0));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_denial_holds_as_long_as_it_says_and_no_longer_than_it_may() {
        let fingerprints = Fingerprints::new().expect("there is randomness");
        let (one, other) = (fingerprints.of(b"one"), fingerprints.of(b"other"));
        let since = 1_000 * SECOND;
        for (max_age, holds) in [(60 * SECOND, 30 * SECOND), (5 * SECOND, 5 * SECOND)] {
            let mut denials = Denials::new(NonZeroUsize::MIN.saturating_add(9), max_age);
            denials.put(one, &denial("9"), since);
            assert!(denials.knows(one) && !denials.knows(other));
            assert_eq!(denials.find(other, since), None);
            assert_eq!(denials.find(one, since), Some(denial("9")));
            assert!(denials.find(one, since + holds - 1).is_some());
            assert_eq!(denials.find(one, since + holds), None);
            assert!(!denials.knows(one));

            // Nobody waits for the time of a clock that was put back.
            denials.put(one, &denial("9"), since);
            assert_eq!(denials.find(one, since - 1), None);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_large_is_not_remembered() {
        let fingerprints = Fingerprints::new().expect("there is randomness");
        let question = fingerprints.of(b"one");
        let others = denial("9").size();
        for (body, is_known) in [(LARGEST - others, true), (LARGEST - others + 1, false)] {
            let mut denials = Denials::new(NonZeroUsize::MIN, 60 * SECOND);
            let answer = Answer {
                body: vec![b'x'; body],
                ..denial("9")
            };
            denials.put(question, &answer, 0);
            assert_eq!(denials.knows(question), is_known, "{body}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_oldest_are_forgotten_and_what_says_no_time_is_never_known() {
        let fingerprints = Fingerprints::new().expect("there is randomness");
        let question = |number: u8| fingerprints.of(&[number]);
        let mut denials = Denials::new(NonZeroUsize::MIN.saturating_add(1), SECOND);
        (0..3).for_each(|number| denials.put(question(number), &denial("9"), 0));
        let known: Vec<_> = (0..3)
            .map(|number| denials.knows(question(number)))
            .collect();
        assert_eq!(known, [false, true, true]);

        for (retry_after, max_age) in [(None, SECOND), (Some(0), SECOND), (Some(SECOND), 0)] {
            let mut denials = Denials::new(NonZeroUsize::MIN, max_age);
            let answer = Answer {
                retry_after,
                ..denial("9")
            };
            denials.put(question(0), &answer, 0);
            assert!(!denials.knows(question(0)), "{retry_after:?}, {max_age}");
        }
    }
}
