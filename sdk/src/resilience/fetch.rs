//! A cache that fetches what it does not have.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::cache::{Cache, Life, Lookup};
use super::coalesce::{Coalesce, Spawn};
use crate::callout::CalloutError;

/// How a [`FetchCache`] keeps what it fetched.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// The most values that are kept. The errors of as many keys are kept beside
    /// them.
    pub capacity: NonZeroUsize,
    /// What they may weigh together ([`Fetched::weight`]); anything, unless given.
    pub max_weight: Option<usize>,
    /// How long a value is fresh, unless it says so itself ([`Fetched::ttl`]).
    pub ttl: Duration,
    /// The same of a [negative](Fetched::negative) value. These are never stale.
    pub negative_ttl: Duration,
    /// So long after that, a value is used while another is fetched.
    pub stale_while_revalidate: Duration,
    /// So long after its freshness, a value is used if another cannot be fetched.
    pub stale_if_error: Duration,
    /// After a fetch that failed, so long there is no other for that key: the
    /// answer is the old value, or the error.
    pub retry_interval: Duration,
    /// The most fetches at a time.
    pub max_fetches: usize,
    /// The most that wait for one fetch.
    pub max_waiters: usize,
}

impl Default for FetchSettings {
    /// 1,000 values, fresh for 5 minutes; negative ones for 10 s; no stale ones; 1 s
    /// between fetches that fail; 100 fetches at a time, for each of which
    /// 10,000 may wait.
    fn default() -> Self {
        const THOUSAND: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);
        Self {
            capacity: THOUSAND,
            max_weight: None,
            ttl: Duration::from_mins(5),
            negative_ttl: Duration::from_secs(10),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            retry_interval: Duration::from_secs(1),
            max_fetches: 100,
            max_waiters: 10_000,
        }
    }
}

/// What a fetch brought, and how long it is good for.
#[derive(Debug, Clone)]
pub struct Fetched<V> {
    value: V,
    ttl: Option<Duration>,
    negative: bool,
    weight: usize,
}

impl<V> Fetched<V> {
    /// A value that is fresh for as long as the settings say.
    pub const fn new(value: V) -> Self {
        Self {
            value,
            ttl: None,
            negative: false,
            weight: 0,
        }
    }

    /// It is fresh for this long instead, such as a token that expires. Zero: it
    /// is for those who wait for it, and not kept.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// It says that there is nothing, such as a token that is not valid: it is kept
    /// for a time of its own, and never used stale.
    #[must_use]
    pub fn negative(mut self) -> Self {
        self.negative = true;
        self
    }

    /// What it weighs, such as its bytes. Nothing, unless given.
    #[must_use]
    pub fn weight(mut self, weight: usize) -> Self {
        self.weight = weight;
        self
    }
}

/// What tells the time; `None` if it cannot be told.
pub(super) type Clock = fn() -> Option<SystemTime>;

/// A [`Cache`] that fetches what it does not have, once for all who ask
/// ([`Coalesce`]), and anew in the background what is stale.
///
/// - Fresh values are given at once.
/// - Stale ones are given at once, and a fetch is started.
/// - Older ones, and what is not there, are waited for; if the fetch fails, an old
///   value is used that may be (`stale_if_error`).
/// - While a fetch for a key is in flight there is no other for it; after one that
///   failed, none for `retry_interval`.
///
/// What counts as failure is for the fetch to say: an answer such as “there is no
/// such token” is a [negative](Fetched::negative) value and no error.
///
/// To clone it is to have the same cache. Values are shared, not cloned.
///
/// Cost of a fresh value: one host call, for the time, and no allocation. Of a
/// fetch: what [`Coalesce`] takes, one more call for the time, two copies of the key
/// more, and two allocations for the value that is kept. Where the time cannot be told nothing is kept, and everything
/// fetched.
pub struct FetchCache<K, V, E = CalloutError> {
    inner: Rc<Inner<K, V, E>>,
    flights: Coalesce<K, Rc<V>, E>,
}

struct Inner<K, V, E> {
    values: RefCell<Cache<K, Rc<V>>>,
    failures: RefCell<Cache<K, Rc<E>>>,
    settings: FetchSettings,
    clock: Clock,
}

impl<K, V, E> FetchCache<K, V, E>
where
    K: Clone + Hash + Eq + 'static,
    V: 'static,
    E: Clone + From<CalloutError> + 'static,
{
    /// An empty cache.
    pub fn new(settings: FetchSettings) -> Self {
        let clock = || crate::clock::now().ok();
        Self::with(settings, clock, crate::spawn)
    }

    pub(super) fn with(settings: FetchSettings, clock: Clock, spawn: Spawn) -> Self {
        let values = Cache::new(settings.capacity);
        let inner = Inner {
            values: RefCell::new(values.max_weight(settings.max_weight.unwrap_or(usize::MAX))),
            failures: RefCell::new(Cache::new(settings.capacity)),
            clock,
            settings,
        };
        let settings = &inner.settings;
        Self {
            flights: Coalesce::with_spawn(settings.max_fetches, settings.max_waiters, spawn),
            inner: Rc::new(inner),
        }
    }

    /// The value of a key, fetched if need be.
    ///
    /// Errors are those of the fetch, for `retry_interval` the last one again, and
    /// those of [`Coalesce`].
    pub async fn get_or_fetch<Q, F, Fut>(&self, key: &Q, fetch: F) -> Result<Rc<V>, E>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, E>> + 'static,
    {
        let now = (self.inner.clock)();
        match self.inner.look(key, now) {
            Lookup::Fresh(value) => return Ok(value),
            Lookup::Stale(value) => {
                if self.inner.failure(key, now).is_none() {
                    // Whether it is in flight already or there are too many, the
                    // value is good.
                    let task = || Rc::clone(&self.inner).keep(key.to_owned(), fetch());
                    let _ = self.flights.start(key.to_owned(), task);
                }
                return Ok(value);
            }
            Lookup::OnError(_) | Lookup::Miss => {}
        }
        self.fetch_or_use(key, now, fetch).await
    }

    /// The value of a key, fetched anew unless it is younger than this: for one
    /// that is known to be out of date, such as a set of keys in which one is
    /// missing. However many ask, there is one fetch in `age`.
    ///
    /// If the fetch fails the value that is there is used, as far as it may be
    /// used at all.
    pub async fn fetch_if_older<Q, F, Fut>(
        &self,
        key: &Q,
        age: Duration,
        fetch: F,
    ) -> Result<Rc<V>, E>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, E>> + 'static,
    {
        let now = (self.inner.clock)();
        if let Lookup::Fresh(value) | Lookup::Stale(value) = self.inner.look(key, now)
            && self.inner.is_younger(key, age, now)
        {
            return Ok(value);
        }
        self.fetch_or_use(key, now, fetch).await
    }

    /// The value of a key, if it may be used without waiting: a fresh or a stale
    /// one. Fetches nothing.
    pub fn get<Q>(&self, key: &Q) -> Option<Rc<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.inner.look(key, (self.inner.clock)()) {
            Lookup::Fresh(value) | Lookup::Stale(value) => Some(value),
            Lookup::OnError(_) | Lookup::Miss => None,
        }
    }

    /// Stores a value that was come by otherwise.
    pub fn insert(&self, key: K, value: Fetched<V>) -> Rc<V> {
        self.inner.store(key, value)
    }

    /// Forgets a key. A fetch that is in flight stores its value all the same.
    pub fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        drop(change(&self.inner.values, |values| values.remove(key)));
        drop(change(&self.inner.failures, |failures| {
            failures.remove(key)
        }));
    }

    /// How many values are kept, old ones too.
    pub fn len(&self) -> usize {
        change(&self.inner.values, |values| values.len()).unwrap_or_default()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fetches, and if that fails, uses the value that may be used by then.
    async fn fetch_or_use<Q, F, Fut>(
        &self,
        key: &Q,
        now: Option<SystemTime>,
        fetch: F,
    ) -> Result<Rc<V>, E>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, E>> + 'static,
    {
        let fetched = if let Some(error) = self.inner.failure(key, now) {
            Err(E::clone(&error))
        } else {
            let task = || Rc::clone(&self.inner).keep(key.to_owned(), fetch());
            self.flights.run(key.to_owned(), task).await
        };
        fetched.or_else(|error| {
            // The fetch took its time, and the value may have run out, or been removed.
            match self.inner.look(key, (self.inner.clock)()) {
                Lookup::Fresh(value) | Lookup::Stale(value) | Lookup::OnError(value) => Ok(value),
                Lookup::Miss => Err(error),
            }
        })
    }
}

impl<K: Hash + Eq, V, E: Clone> Inner<K, V, E> {
    fn look<Q>(&self, key: &Q, now: Option<SystemTime>) -> Lookup<Rc<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        now.and_then(|now| change(&self.values, |values| values.get(key, now).map(Rc::clone)))
            .unwrap_or(Lookup::Miss)
    }

    /// The error of a fetch that failed a short while ago.
    fn failure<Q>(&self, key: &Q, now: Option<SystemTime>) -> Option<Rc<E>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let failure = |failures: &mut Cache<K, Rc<E>>| match failures.get(key, now?) {
            Lookup::Fresh(error) => Some(Rc::clone(error)),
            _ => None,
        };
        change(&self.failures, failure).flatten()
    }

    fn is_younger<Q>(&self, key: &Q, age: Duration, now: Option<SystemTime>) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let stored = change(&self.values, |values| values.stored(key)).flatten();
        match (stored, now) {
            // What is ahead of the clock has no age.
            (Some(stored), Some(now)) => now.duration_since(stored).unwrap_or_default() < age,
            _ => false,
        }
    }

    /// Keeps what a fetch brings.
    async fn keep<Fut>(self: Rc<Self>, key: K, fetch: Fut) -> Result<Rc<V>, E>
    where
        Fut: Future<Output = Result<Fetched<V>, E>>,
    {
        match fetch.await {
            Ok(fetched) => Ok(self.store(key, fetched)),
            Err(error) => {
                self.store_failure(key, &error);
                Err(error)
            }
        }
    }

    fn store(&self, key: K, fetched: Fetched<V>) -> Rc<V> {
        let value = Rc::new(fetched.value);
        let settings = &self.settings;
        let life = if fetched.negative {
            Life::fresh(fetched.ttl.unwrap_or(settings.negative_ttl))
        } else {
            Life {
                fresh: fetched.ttl.unwrap_or(settings.ttl),
                stale_while_revalidate: settings.stale_while_revalidate,
                stale_if_error: settings.stale_if_error,
            }
        };
        drop(change(&self.failures, |failures| failures.remove(&key)));
        if life.fresh.is_zero() {
            drop(change(&self.values, |values| values.remove(&key)));
        } else {
            put(&self.values, key, &value, fetched.weight, life, self.clock);
        }
        value
    }

    fn store_failure(&self, key: K, error: &E) {
        let life = Life::fresh(self.settings.retry_interval);
        let error = Rc::new(error.clone());
        put(&self.failures, key, &error, 0, life, self.clock);
    }
}

/// Puts a value into a cache. What has to go for it is dropped when nothing is
/// borrowed: dropping it is the user's code.
fn put<K: Hash + Eq, T>(
    cache: &RefCell<Cache<K, Rc<T>>>,
    key: K,
    value: &Rc<T>,
    weight: usize,
    life: Life,
    clock: Clock,
) {
    drop(change(cache, |cache| cache.remove(&key)));
    if let Some(now) = clock() {
        let value = Rc::clone(value);
        drop(change(cache, |cache| {
            cache.insert(key, value, weight, life, now)
        }));
    }
    loop {
        let evicted = change(cache, Cache::evict).flatten();
        if evicted.is_none() {
            break;
        }
    }
}

fn change<K, V, T>(
    cache: &RefCell<Cache<K, V>>,
    change: impl FnOnce(&mut Cache<K, V>) -> T,
) -> Option<T> {
    cache
        .try_borrow_mut()
        .ok()
        .map(|mut cache| change(&mut cache))
}

impl<K, V, E> Clone for FetchCache<K, V, E> {
    /// The same one.
    fn clone(&self) -> Self {
        Self {
            inner: Rc::clone(&self.inner),
            flights: self.flights.clone(),
        }
    }
}

impl<K, V, E> std::fmt::Debug for FetchCache<K, V, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
