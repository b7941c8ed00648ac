//! A small cache whose entries age.

use std::borrow::Borrow;
use std::hash::{Hash, RandomState};
use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use lru::LruCache;

/// How far a clock may be behind the one by which an entry was stored: the time
/// that a tick left behind, or a small correction.
const SLACK: Duration = Duration::from_mins(1);

/// How long an entry is good for, and what for (RFC 5861).
///
/// Both times of staleness begin with the end of freshness; the longer of the
/// two, or neither, is the entry's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life {
    /// So long it is as good as new.
    pub fresh: Duration,
    /// So long after that it is used while another one is fetched.
    pub stale_while_revalidate: Duration,
    /// So long after its freshness it is used if another one cannot be had.
    pub stale_if_error: Duration,
}

impl Life {
    /// Fresh for this long, and gone then.
    pub const fn fresh(fresh: Duration) -> Self {
        Self {
            fresh,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
        }
    }

    fn of<T>(self, value: T, stored: SystemTime, now: SystemTime) -> Lookup<T> {
        let age = match now.duration_since(stored) {
            Ok(age) => age,
            Err(ahead) if ahead.duration() <= SLACK => Duration::ZERO,
            // The clock was set back: how old the entry is, nobody knows.
            Err(_) if self.stale_if_error.is_zero() => return Lookup::Miss,
            Err(_) => return Lookup::OnError(value),
        };
        if age < self.fresh {
            return Lookup::Fresh(value);
        }
        let stale_for = age.saturating_sub(self.fresh);
        if stale_for < self.stale_while_revalidate {
            Lookup::Stale(value)
        } else if stale_for < self.stale_if_error {
            Lookup::OnError(value)
        } else {
            Lookup::Miss
        }
    }
}

/// What a cache has under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It is good.
    Fresh(T),
    /// It is good for now; have it fetched anew.
    Stale(T),
    /// It is good only if fetching it anew fails.
    OnError(T),
    /// Nothing that may be used.
    Miss,
}

impl<T> Lookup<T> {
    /// The same of another value.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Self::Fresh(value) => Lookup::Fresh(map(value)),
            Self::Stale(value) => Lookup::Stale(map(value)),
            Self::OnError(value) => Lookup::OnError(map(value)),
            Self::Miss => Lookup::Miss,
        }
    }
}

/// A bounded cache that forgets what was used least recently.
///
/// It is told the time, and makes no host calls. A lookup allocates nothing and
/// hashes the key once, with std's keyed hash (about 20 ns a short key): the keys
/// may come from clients. An entry costs its key and value and about 100 bytes.
/// Entries that are too old are found when they are looked up; the bound is on all
/// of them.
pub struct Cache<K, V> {
    entries: LruCache<K, Entry<V>, RandomState>,
    capacity: NonZeroUsize,
    max_weight: usize,
    weight: usize,
}

struct Entry<V> {
    value: V,
    weight: usize,
    stored: SystemTime,
    life: Life,
}

impl<K: Hash + Eq, V> Cache<K, V> {
    /// A cache for so many entries. Nothing is allocated ahead.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            entries: LruCache::unbounded_with_hasher(RandomState::new()),
            capacity,
            max_weight: usize::MAX,
            weight: 0,
        }
    }

    /// Bounds what its entries weigh together, in whatever unit they are
    /// [inserted](Self::insert) with, such as bytes.
    #[must_use]
    pub fn max_weight(mut self, max_weight: usize) -> Self {
        self.max_weight = max_weight;
        self
    }

    /// What is there under a key. To be looked up is to be used.
    pub fn get<Q>(&mut self, key: &Q, now: SystemTime) -> Lookup<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.entries.get(key) {
            Some(entry) => entry.life.of(&entry.value, entry.stored, now),
            None => Lookup::Miss,
        }
    }

    /// When what is there under a key was stored, however old it is.
    pub fn stored<Q>(&self, key: &Q) -> Option<SystemTime>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.entries.peek(key).map(|entry| entry.stored)
    }

    /// Stores a value, and gives back the one that was there.
    ///
    /// Then the cache may hold too much: [`evict`](Self::evict) until it does
    /// not. An entry that is heavier than all may be together is not stored, and
    /// is itself given back.
    pub fn insert(
        &mut self,
        key: K,
        value: V,
        weight: usize,
        life: Life,
        now: SystemTime,
    ) -> Option<V> {
        if weight > self.max_weight {
            // What was there is of another time.
            drop(self.remove(&key));
            return Some(value);
        }
        let entry = Entry {
            value,
            weight,
            stored: now,
            life,
        };
        let former = self.entries.put(key, entry);
        self.weight = self.weight.saturating_add(weight);
        former.map(|former| self.without(former))
    }

    /// Takes out the entry that was used least recently, if there are too many or
    /// they weigh too much. The caller drops it, with no borrow held.
    pub fn evict(&mut self) -> Option<(K, V)> {
        if self.entries.len() <= self.capacity.get() && self.weight <= self.max_weight {
            return None;
        }
        let (key, entry) = self.entries.pop_lru()?;
        Some((key, self.without(entry)))
    }

    /// Takes out the entry of a key.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.entries.pop(key)?;
        Some(self.without(entry))
    }

    /// How many entries there are, old ones too.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the entries weigh together.
    pub fn weight(&self) -> usize {
        self.weight
    }

    fn without(&mut self, entry: Entry<V>) -> V {
        self.weight = self.weight.saturating_sub(entry.weight);
        entry.value
    }
}

impl<K: Hash + Eq, V> std::fmt::Debug for Cache<K, V> {
    /// Without the entries: they may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("len", &self.len())
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
