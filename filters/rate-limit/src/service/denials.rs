//! Requests that the service has denied, so that it need not be asked again before
//! it says otherwise.

use std::num::NonZeroUsize;

use legation::fingerprint::{Fingerprint, FingerprintState};
use lru::LruCache;

use super::Answer;

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
        if holds > 0 {
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
    /// The same some time later.
    fn after(&self, passed: u64) -> Self {
        let mut answer = self.clone();
        let retry_after = answer.retry_after.as_mut();
        if let Some(retry_after) = retry_after {
            *retry_after = retry_after.saturating_sub(passed);
        }
        if let Some(standing) = &mut answer.standing {
            standing.reset = standing.reset.saturating_sub(passed);
        }
        answer
    }
}
