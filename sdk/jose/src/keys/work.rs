//! What runs in the background, on each worker.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use legation::shared::{SharedError, SharedValue};
use legation::{clock, random};

use super::document::Document;
use super::fetch::{Failure, Fetched};
use super::state::{Next, State, Why};
use super::{Inner, KeysError, now};
use crate::KeySet;

/// Between two looks at shared data.
const LOOK: u64 = 1_000_000_000;
/// The same while somebody waits.
const LOOK_WAITED: u64 = 50_000_000;

/// Looks at shared data from time to time, and fetches where it is its turn.
pub(super) struct Work {
    inner: Rc<Inner>,
    state: SharedValue<Vec<u8>>,
    document: SharedValue<Vec<u8>>,
    /// The number of the document that the keys are of, and where it came from.
    seen: Cell<u64>,
    told_age: Cell<Option<u64>>,
}

impl Work {
    pub(super) fn new(inner: Rc<Inner>) -> Self {
        // Names of one `vm_id` are for all its filters: those that ask the same of the
        // same may share the answer.
        let name = inner.origin.name();
        Self {
            state: SharedValue::new(format!("legation-jose.keys.state\n{name}")),
            document: SharedValue::new(format!("legation-jose.keys.document\n{name}")),
            inner,
            seen: Cell::new(0),
            told_age: Cell::new(None),
        }
    }

    /// For as long as the configuration lives.
    pub(super) async fn run(self) {
        let mut fetch: Option<Pin<Box<dyn Future<Output = ()> + '_>>> = None;
        loop {
            let nudged = self.inner.nudge.times();
            let (next, now) = self.look();
            if let (Next::Fetch(why), None) = (next, &fetch)
                && let Some(claim) = self.claim(why)
            {
                fetch = Some(Box::pin(self.fetch(claim)));
            }
            let pause = self.pause(next, now);
            let mut pause = pin!(clock::pause(pause));
            let mut nudge = pin!(self.inner.nudge.after(nudged));
            let paused = poll_fn(|context| {
                if let Some(fetching) = &mut fetch
                    && fetching.as_mut().poll(context).is_ready()
                {
                    fetch = None;
                    return Poll::Ready(Ok(()));
                }
                if nudge.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                pause.as_mut().poll(context)
            })
            .await;
            if paused.is_err() {
                return;
            }
        }
    }

    /// Takes over what others have fetched, and lets go of what is too old. What is to
    /// be done then, and the time.
    pub(super) fn look(&self) -> (Next, u64) {
        let inner = &*self.inner;
        let Some(now) = now() else {
            return (Next::Wait(u64::MAX), 0);
        };
        let state = self.read();
        if state.document != 0 && now < state.over(&inner.schedule) {
            if self.seen.get() != state.document {
                self.take_over(&state);
            }
        } else if inner.current().is_some() {
            log::error!(provider = inner.provider.as_str(); "the keys are too old to be used");
            self.seen.set(0);
            inner.set(Err(KeysError::Stale));
        }
        self.tell_age(&state, now);
        let asked = inner.asked.get();
        let next = state.next(now, &inner.schedule, asked);
        inner.retry_at.set(match next {
            Next::Wait(due) if state.failures > 0 => due,
            _ => 0,
        });
        if asked.is_some() && matches!(next, Next::Wait(_)) {
            // It was fetched for, or may not be.
            inner
                .limited_until
                .set(state.limited_until(now, &inner.schedule));
            inner.asked.set(None);
            inner.news.happens();
        }
        (next, now)
    }

    fn pause(&self, next: Next, now: u64) -> Duration {
        // With none at all, the next request waits.
        let is_bare = next == Next::UnderWay && self.inner.current().is_none();
        let is_waited_for = is_bare || self.inner.news.waiting() > 0;
        let look = if is_waited_for { LOOK_WAITED } else { LOOK };
        let pause = match next {
            Next::Wait(due) => due.saturating_sub(now).min(look),
            // Claimed by whoever it was.
            Next::Fetch(_) | Next::UnderWay => look,
        };
        Duration::from_nanos(pause)
    }

    fn read(&self) -> State {
        let bytes = self.state.get().unwrap_or_else(|error| {
            self.complain(&error);
            None
        });
        State::from_bytes(bytes.as_deref())
    }

    /// Makes the document that is there its own.
    fn take_over(&self, state: &State) {
        // Whatever it is, it is looked at once.
        self.seen.set(state.document);
        let Some(document) = self.document() else {
            return;
        };
        match KeySet::from_jwks(&document.jwks) {
            Ok(keys) => self.inner.set(Ok((keys, document.metadata))),
            Err(error) => {
                let provider = self.inner.provider.as_str();
                log::error!(provider, error:%; "shared keys cannot be used");
            }
        }
    }

    fn document(&self) -> Option<Document> {
        match self.document.get() {
            Ok(bytes) => Document::from_bytes(&bytes?),
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    /// Claims a fetch, unless another worker was quicker.
    fn claim(&self, why: Why) -> Option<Claim<'_>> {
        let inner = &*self.inner;
        let now = now()?;
        let claimant = random::next_u64().ok()?.max(1);
        let asked = inner.asked.get();
        let updated = self.state.update(|stored| {
            let state = State::from_bytes(stored.as_deref());
            let is_due = state.next(now, &inner.schedule, asked) == Next::Fetch(why);
            is_due.then(|| {
                state
                    .claimed(claimant, why, now, &inner.schedule)
                    .to_bytes()
            })
        });
        match updated {
            Ok(updated) => updated.value.map(|state| Claim {
                work: self,
                claimant,
                why,
                before: State::from_bytes(Some(&state)),
                settled: false,
            }),
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    async fn fetch(&self, claim: Claim<'_>) {
        let inner = &*self.inner;
        inner.statistics.fetch(claim.why == Why::UnknownKey);
        // Where the keys are is known well enough for a key that is missing, unless
        // fetches fail.
        let known = match claim.why {
            Why::UnknownKey if claim.before.failures == 0 => self.document(),
            _ => None,
        };
        let known = known.and_then(|document| document.metadata);
        let fetched = inner.origin.fetch(known).await;
        if let Err(failure) = claim.settle(fetched) {
            inner.statistics.failure(&failure);
            let provider = inner.provider.as_str();
            let (url, reason) = (inner.origin.url(), failure.reason());
            log::warn!(provider, url:%, reason, failure:%; "keys could not be fetched");
        }
    }

    fn tell_age(&self, state: &State, now: u64) {
        let age = (state.fetched > 0).then(|| now.saturating_sub(state.fetched) / 1_000_000_000);
        if self.told_age.replace(age) != age {
            let usable = self.inner.current().map_or(0, |keys| keys.len());
            self.inner.statistics.keys(age.unwrap_or(0), usable);
        }
    }

    fn complain(&self, error: &SharedError) {
        log::error!(provider = self.inner.provider.as_str(), error:%; "shared data fails");
    }
}

/// The right to fetch, until it is settled or too late.
struct Claim<'a> {
    work: &'a Work,
    claimant: u64,
    why: Why,
    /// What was known when it was claimed.
    before: State,
    settled: bool,
}

impl Claim<'_> {
    /// Shares what came of it.
    fn settle(mut self, fetched: Result<Fetched, Failure>) -> Result<(), Failure> {
        self.settled = true;
        let work = self.work;
        let now = now().unwrap_or(self.before.began);
        if now >= self.before.claimed_until {
            return Err(Failure::Late);
        }
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(failure) => {
                self.update(|state| state.failed(now));
                return Err(failure);
            }
        };
        let discovered = if fetched.discovered {
            now
        } else {
            self.before.discovered
        };
        let mut number = self.before.document;
        let known = work.document().filter(|known| known.number == number);
        let is_known = known
            .is_some_and(|known| known.jwks == fetched.jwks && known.metadata == fetched.metadata);
        let is_seen = is_known && work.seen.get() == number;
        if !is_known {
            number = random::next_u64().unwrap_or(now).max(1);
            let document = Document {
                number,
                metadata: fetched.metadata.clone(),
                jwks: fetched.jwks,
            };
            if let Err(error) = work.document.set(&document.to_bytes()) {
                work.complain(&error);
            }
        }
        let is_own = self.update(|state| state.succeeded(number, discovered, now));
        if is_own && !is_seen {
            work.seen.set(number);
            work.inner.set(Ok((fetched.keys, fetched.metadata)));
        }
        Ok(())
    }

    /// Whether it was its turn still.
    fn update(&self, change: impl Fn(State) -> State) -> bool {
        let updated = self.work.state.update(|stored| {
            let state = State::from_bytes(stored.as_deref());
            state.is_of(self.claimant).then(|| change(state).to_bytes())
        });
        match updated {
            Ok(updated) => updated.value.is_some(),
            Err(error) => {
                self.work.complain(&error);
                false
            }
        }
    }
}

impl Drop for Claim<'_> {
    /// The configuration is gone in the middle of it.
    fn drop(&mut self) {
        if !self.settled {
            self.update(State::given_up);
        }
    }
}
