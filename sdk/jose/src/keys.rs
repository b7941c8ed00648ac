//! Keys that others publish: fetched, refreshed and shared by all workers.
//!
//! A [`KeySource`] is a key set behind a URL ([`RemoteJwks`]) or behind an issuer's
//! metadata ([`OpenIdConfiguration`]). Requests ask it for what is there
//! ([`current`](KeySource::current)), which costs nothing, and wait only where there is
//! nothing yet ([`get`](KeySource::get)) or a token names a key that is not among
//! them ([`get_newer`](KeySource::get_newer)).
//!
//! # How it fetches
//!
//! - In the background, on one worker of all: whoever sees first that a fetch is due
//!   claims it in shared data, by compare-and-swap. A claim ends with the fetch, or
//!   when that should be over (its timeout and 1 s), so that one who died is
//!   replaced. Requests never fetch.
//! - What came is shared, and the other workers read it within a second; within
//!   60 ms where somebody waits for it. A new configuration begins with what is
//!   there.
//! - Keys are fetched anew in the last tenth of `cache_duration`; after a failure, in
//!   `failed_refetch_duration`, and later each time as long as failures go on, up
//!   to a minute.
//! - When no others can be fetched, keys are used until `stale_if_error` after their
//!   `cache_duration`, and then no more: [`KeysError::Stale`].
//! - An answer counts if its status is 200, it is no larger than
//!   `max_response_bytes`, and it is a key set with a key in it that can be used.
//!   No other answer replaces one that was good. Redirects are not followed.
//! - An unknown key has the keys fetched once in `unknown_key_refetch_interval`, over
//!   all workers: a storm of them costs one fetch.
//!
//! # Statistics
//!
//! With the tag `provider`:
//!
//! | name | |
//! |---|---|
//! | `keys.fetches` | fetches that were begun, of one request or two |
//! | `keys.failures` | fetches that brought nothing, by `reason` |
//! | `keys.unknown_key_fetches` | those begun for an unknown key |
//! | `keys.unknown_key_limited` | requests with an unknown key that had to do with what is there |
//! | `keys.age_seconds` | how long ago the keys were fetched (a gauge) |
//! | `keys.usable` | how many keys there are (a gauge) |
//!
//! `reason` is `not_sent`, `timeout`, `reset`, `too_large`, `status`, `no_key_set`,
//! `no_metadata`, `issuer`, `jwks_uri` or `late`. Beside them stand those of the
//! [`HttpService`](legation::resilience::HttpService).

mod config;
mod document;
mod fetch;
mod local;
mod metadata;
mod signal;
mod state;
mod statistics;
mod work;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use legation::Configure;
use legation::clock;
use legation::config::Problem;

pub use config::{OpenIdConfiguration, RemoteJwks, Timeout};
pub use legation::resilience::HttpUri;
pub use local::LocalJwks;
pub use metadata::Metadata;

use crate::KeySet;
use config::Schedule;
use fetch::Origin;
use signal::{Signal, first};
use statistics::Statistics;
use work::Work;

/// The most requests that wait on one worker.
const MAX_WAITING: usize = 10_000;

/// So much longer than a fetch may take is waited for one.
const MARGIN: Duration = Duration::from_millis(1_500);

/// Why there are no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// None have been fetched yet.
    #[error("the keys have not been fetched yet")]
    NotYet,
    /// Those that were fetched are too old, and no others can be had.
    #[error("the keys are too old, and no others can be fetched")]
    Stale,
}

/// Keys that are fetched; see [the module](self). To clone it is to have the same
/// one.
///
/// It runs in filters with an `async fn` among their callbacks, for as long as the
/// configuration that made it.
#[derive(Clone)]
pub struct KeySource(Rc<Inner>);

struct Inner {
    provider: String,
    origin: Origin,
    schedule: Schedule,
    statistics: Statistics,
    keys: RefCell<Option<Rc<KeySet>>>,
    metadata: RefCell<Option<Rc<Metadata>>>,
    /// Why there are none.
    missing: Cell<KeysError>,
    generation: Cell<u64>,
    /// The time of the first request with an unknown key that is not settled, in
    /// nanoseconds since 1970.
    asked: Cell<Option<u64>>,
    /// Until when such requests have to do with what is there.
    limited_until: Cell<u64>,
    /// When the next fetch is due after one that failed.
    retry_at: Cell<u64>,
    /// To whoever waits: the keys are others, or an unknown key is settled.
    news: Signal,
    /// To the work in the background: somebody waits.
    nudge: Signal,
}

impl KeySource {
    /// The keys of a URL, for the `provider` of this name.
    pub fn remote(provider: &str, config: &RemoteJwks, host: &mut Configure) -> Self {
        let origin = Origin::jwks(config, host);
        Self::start(provider, origin, config.schedule(), host)
    }

    /// The keys of an issuer, for the `provider` of this name.
    ///
    /// An error is of the field `uri`: without it, `issuer` must be a URL.
    pub fn discovered(
        provider: &str,
        issuer: &str,
        config: &OpenIdConfiguration,
        host: &mut Configure,
    ) -> Result<Self, Problem> {
        let origin = Origin::issuer(issuer, config.url(issuer)?, config, host);
        Ok(Self::start(provider, origin, config.schedule(), host))
    }

    fn start(provider: &str, origin: Origin, schedule: Schedule, host: &mut Configure) -> Self {
        let inner = Rc::new(Inner {
            provider: provider.to_owned(),
            statistics: Statistics::new(provider, host),
            origin,
            schedule,
            keys: RefCell::default(),
            metadata: RefCell::default(),
            missing: Cell::new(KeysError::NotYet),
            generation: Cell::new(0),
            asked: Cell::new(None),
            limited_until: Cell::new(0),
            retry_at: Cell::new(0),
            news: Signal::default(),
            nudge: Signal::default(),
        });
        let work = Work::new(Rc::clone(&inner));
        // What others have fetched is there for the first request.
        work.look();
        if let Err(error) = legation::spawn(work.run()) {
            log::error!(provider, error:%; "keys cannot be fetched");
        }
        Self(inner)
    }

    /// The keys, if there are any that may be used. No host call.
    pub fn current(&self) -> Option<Rc<KeySet>> {
        self.0.current()
    }

    /// The issuer's metadata, by which the keys of [`current`](Self::current) were found;
    /// `None` where the keys are not [`discovered`](Self::discovered). No host call.
    pub fn metadata(&self) -> Option<Rc<Metadata>> {
        self.0.metadata.try_borrow().ok()?.clone()
    }

    /// Another number whenever the keys or the metadata are others, or are there no more: what was
    /// found out with those of another generation is to be forgotten. No host call.
    pub fn generation(&self) -> u64 {
        self.0.generation.get()
    }

    /// The keys. Waits for the first ones up to `first_fetch_timeout`.
    ///
    /// No host call where there are keys; to wait takes those of
    /// [`sleep`](clock::sleep).
    pub async fn get(&self) -> Result<Rc<KeySet>, KeysError> {
        let inner = &*self.0;
        if let Some(keys) = inner.current() {
            return Ok(keys);
        }
        let timeout = inner.schedule.first_fetch_timeout;
        if inner.missing.get() == KeysError::NotYet && !timeout.is_zero() {
            let deadline = now().map(|now| state::after(now, timeout));
            // While fetches fail and none is due before that, it is in vain.
            if deadline.is_some_and(|deadline| inner.retry_at.get() <= deadline) {
                inner
                    .wait(timeout, || {
                        inner.current().is_some() || inner.missing.get() != KeysError::NotYet
                    })
                    .await;
            }
        }
        inner.current().ok_or(inner.missing.get())
    }

    /// The keys, after an attempt to get newer ones `than` those of this generation:
    /// for a token that none of them verifies. With its `kid`, keys that have one of
    /// this id are newer; without, whatever is fetched.
    ///
    /// It waits until a fetch is done, or has timed out, and gives what there is then.
    /// Within `unknown_key_refetch_interval` of the last such fetch there is none, and
    /// nothing is waited for: one host call for the time, and one for the counter.
    pub async fn get_newer(&self, kid: Option<&str>, than: u64) -> Result<Rc<KeySet>, KeysError> {
        let inner = &*self.0;
        let mut keys = self.get().await?;
        // A fetch that was under way already may bring other keys, and not yet this one:
        // then it is worth another.
        for _ in 0..2 {
            if inner.has_newer(kid, than) {
                return Ok(keys);
            }
            let Some(now) = now() else {
                return Ok(keys);
            };
            if now < inner.limited_until.get() || inner.news.waiting() >= MAX_WAITING {
                inner.statistics.limited();
                return Ok(keys);
            }
            if inner.asked.get().is_none() {
                inner.asked.set(Some(now));
            }
            let generation = inner.generation.get();
            let timeout = inner.schedule.fetch_timeout.saturating_mul(2);
            inner
                .wait(timeout.saturating_add(MARGIN), || {
                    let settled = inner.asked.get().is_none_or(|asked| asked > now);
                    settled || inner.has_newer(kid, than)
                })
                .await;
            keys = inner.current().ok_or(inner.missing.get())?;
            if inner.generation.get() == generation {
                break;
            }
        }
        Ok(keys)
    }
}

impl Inner {
    fn current(&self) -> Option<Rc<KeySet>> {
        self.keys.try_borrow().ok()?.clone()
    }

    /// Has these be the keys from here on.
    fn set(&self, keys: Result<(KeySet, Option<Metadata>), KeysError>) {
        let (keys, metadata) = match keys {
            Ok((keys, metadata)) => {
                // Whoever asked looks whether these will do.
                self.asked.set(None);
                (Some(Rc::new(keys)), metadata.map(Rc::new))
            }
            Err(missing) => {
                self.missing.set(missing);
                (None, None)
            }
        };
        let Ok(mut current) = self.keys.try_borrow_mut() else {
            return;
        };
        let former = std::mem::replace(&mut *current, keys);
        drop(current);
        drop(former);
        if let Ok(mut current) = self.metadata.try_borrow_mut() {
            *current = metadata;
        }
        self.generation.set(self.generation.get().wrapping_add(1));
        self.news.happens();
    }

    fn has_newer(&self, kid: Option<&str>, than: u64) -> bool {
        let named = |kid| {
            let keys = self.current();
            keys.is_some_and(|keys| keys.ids().any(|id| id == kid))
        };
        self.generation.get() != than && kid.is_none_or(named)
    }

    /// Waits until something is so, and no longer than this.
    async fn wait(&self, longest: Duration, is_so: impl Fn() -> bool) {
        if self.news.waiting() >= MAX_WAITING {
            return;
        }
        let mut timeout = std::pin::pin!(clock::sleep(longest));
        loop {
            let times = self.news.times();
            if is_so() {
                return;
            }
            let news = self.news.after(times);
            self.nudge.happens();
            if !first(news, timeout.as_mut()).await {
                return;
            }
        }
    }
}

/// The time, in nanoseconds since 1970.
fn now() -> Option<u64> {
    let since = clock::now().ok()?.duration_since(SystemTime::UNIX_EPOCH);
    since.ok().map(state::nanoseconds)
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySource")
            .field("provider", &self.0.provider)
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}
