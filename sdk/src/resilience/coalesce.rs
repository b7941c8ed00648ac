//! Requests for the same thing share one fetch.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::callout::CalloutError;
use crate::error::Result;

/// A task as [`spawn`](crate::spawn) takes it.
pub(super) type Task = Pin<Box<dyn Future<Output = ()>>>;
/// What runs tasks.
pub(super) type Spawn = fn(Task) -> Result<()>;

/// Lets identical requests in flight share one fetch.
///
/// The first that [asks](Self::run) for a key starts the fetch, as a task of its
/// own ([`spawn`](crate::spawn)): it goes on when the stream that asked has gone.
/// Whoever asks meanwhile waits for the same. Nothing is remembered of a fetch that
/// is done: that is what a [`FetchCache`](super::FetchCache) is for.
///
/// Errors are of the type `E`, which must be able to say what may go wrong here:
///
/// - [`CalloutError::Gone`]: the task was dropped before it was done, because the
///   module is unloaded or the task could not be started.
/// - [`CalloutError::Overloaded`]: as many keys are in flight, or as many wait for
///   this key, as are allowed.
///
/// Host calls: none of its own. Allocations: four for a fetch and its first waiter,
/// and what [`spawn`](crate::spawn) takes; none for another waiter, unless the list
/// of them grows.
///
/// A fetch must not ask for its own key: it would wait for itself.
pub struct Coalesce<K, V, E = CalloutError> {
    inner: Rc<Inner<K, V, E>>,
}

struct Inner<K, V, E> {
    flights: RefCell<HashMap<K, Rc<Flight<V, E>>>>,
    max_keys: usize,
    max_waiters: usize,
    spawn: Spawn,
}

/// One fetch.
struct Flight<V, E> {
    state: RefCell<State<V, E>>,
}

enum State<V, E> {
    /// With those that wait for it. One that was not polled yet has no waker.
    Flying(Slab<Option<Waker>>),
    Landed(Rc<Result<V, E>>),
}

impl<K, V, E> Coalesce<K, V, E>
where
    K: Clone + Hash + Eq + 'static,
    V: Clone + 'static,
    E: Clone + From<CalloutError> + 'static,
{
    /// At most `max_keys` fetches at a time, for each of which at most
    /// `max_waiters` wait.
    pub fn new(max_keys: usize, max_waiters: usize) -> Self {
        Self::with_spawn(max_keys, max_waiters, crate::spawn)
    }

    pub(super) fn with_spawn(max_keys: usize, max_waiters: usize, spawn: Spawn) -> Self {
        let inner = Inner {
            flights: RefCell::new(HashMap::new()),
            max_keys,
            max_waiters,
            spawn,
        };
        Self {
            inner: Rc::new(inner),
        }
    }

    /// Waits for the fetch of this key, and starts it if it is not in flight.
    ///
    /// To drop the future is to wait no more; the fetch goes on.
    pub async fn run<F, Fut>(&self, key: K, fetch: F) -> Result<V, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + 'static,
    {
        let (flight, launch) = self.inner.join(key)?;
        // It waits before the fetch starts: it may be done before this returns.
        let waiter = Waiter::new(flight, self.inner.max_waiters)?;
        if let Some(launch) = launch {
            launch.go(fetch);
        }
        let landed = waiter.await;
        // Cloned here, where nothing is borrowed: cloning is the user's code.
        Result::clone(&landed)
    }

    /// Starts the fetch of this key, if it is not in flight, and does not wait for
    /// it. Whether it was started.
    pub fn start<F, Fut>(&self, key: K, fetch: F) -> Result<bool, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + 'static,
    {
        match self.inner.join(key)? {
            (_, Some(launch)) => {
                launch.go(fetch);
                Ok(true)
            }
            (_, None) => Ok(false),
        }
    }

    /// How many fetches are in flight.
    pub fn in_flight(&self) -> usize {
        self.inner
            .flights
            .try_borrow()
            .map_or(0, |flights| flights.len())
    }
}

impl<K, V, E> Clone for Coalesce<K, V, E> {
    /// The same one.
    fn clone(&self) -> Self {
        Self {
            inner: Rc::clone(&self.inner),
        }
    }
}

impl<K, V, E> std::fmt::Debug for Coalesce<K, V, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coalesce").finish_non_exhaustive()
    }
}

type Joined<K, V, E> = (Rc<Flight<V, E>>, Option<Launch<K, V, E>>);

impl<K, V, E> Inner<K, V, E>
where
    K: Clone + Hash + Eq + 'static,
    V: 'static,
    E: From<CalloutError> + 'static,
{
    /// The flight of a key, and how to start it if it is new.
    fn join(self: &Rc<Self>, key: K) -> Result<Joined<K, V, E>, E> {
        let overloaded = || E::from(CalloutError::Overloaded);
        // Only the key's own code runs under this borrow: its hash and its
        // comparison, and a clone.
        let mut flights = self.flights.try_borrow_mut().map_err(|_| overloaded())?;
        let full = flights.len() >= self.max_keys;
        match flights.entry(key) {
            Entry::Occupied(entry) => Ok((Rc::clone(entry.get()), None)),
            Entry::Vacant(_) if full => Err(overloaded()),
            Entry::Vacant(entry) => {
                let flight = Rc::new(Flight {
                    state: RefCell::new(State::Flying(Slab::new())),
                });
                let launch = Launch {
                    inner: Rc::clone(self),
                    key: entry.key().clone(),
                    flight: Rc::clone(&flight),
                };
                entry.insert(Rc::clone(&flight));
                Ok((flight, Some(launch)))
            }
        }
    }
}

/// Lands its flight, at the latest when it is dropped.
struct Launch<K: Hash + Eq, V, E: From<CalloutError>> {
    inner: Rc<Inner<K, V, E>>,
    key: K,
    flight: Rc<Flight<V, E>>,
}

impl<K, V, E> Launch<K, V, E>
where
    K: Hash + Eq + 'static,
    V: 'static,
    E: From<CalloutError> + 'static,
{
    fn go<F, Fut>(self, fetch: F)
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + 'static,
    {
        let spawn = self.inner.spawn;
        let fetched = fetch();
        let task = async move {
            let launch = self;
            let result = fetched.await;
            launch.land(result);
        };
        // A task that cannot be started is dropped, and so lands.
        if let Err(error) = spawn(Box::pin(task)) {
            log::warn!(error:%; "a fetch could not be started");
        }
    }
}

impl<K: Hash + Eq, V, E: From<CalloutError>> Launch<K, V, E> {
    /// Gives the result to those that wait, unless they have one.
    fn land(&self, result: Result<V, E>) {
        let former = match self.flight.state.try_borrow_mut() {
            Ok(mut state) if matches!(*state, State::Flying(_)) => {
                std::mem::replace(&mut *state, State::Landed(Rc::new(result)))
            }
            _ => return,
        };
        // From here on whoever asks starts a new one.
        let gone = match self.inner.flights.try_borrow_mut() {
            Ok(mut flights) => flights.remove_entry(&self.key),
            Err(_) => None,
        };
        drop(gone);
        if let State::Flying(waiters) = former {
            for (_, waker) in waiters {
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
    }
}

impl<K: Hash + Eq, V, E: From<CalloutError>> Drop for Launch<K, V, E> {
    fn drop(&mut self) {
        self.land(Err(E::from(CalloutError::Gone)));
    }
}

/// One that waits for a flight.
struct Waiter<V, E> {
    flight: Rc<Flight<V, E>>,
    place: usize,
}

impl<V, E: From<CalloutError>> Waiter<V, E> {
    fn new(flight: Rc<Flight<V, E>>, max_waiters: usize) -> Result<Self, E> {
        let place = match flight.state.try_borrow_mut().as_deref_mut() {
            Ok(State::Flying(waiters)) if waiters.len() < max_waiters => waiters.insert(None),
            // It lands with the next poll.
            Ok(State::Landed(_)) => usize::MAX,
            Ok(State::Flying(_)) | Err(_) => return Err(E::from(CalloutError::Overloaded)),
        };
        Ok(Self { flight, place })
    }
}

impl<V, E> Future for Waiter<V, E> {
    type Output = Rc<Result<V, E>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = context.waker().clone();
        let former = match self.flight.state.try_borrow_mut().as_deref_mut() {
            Ok(State::Landed(landed)) => return Poll::Ready(Rc::clone(landed)),
            Ok(State::Flying(waiters)) => waiters
                .get_mut(self.place)
                .and_then(|place| place.replace(waker)),
            // Polled from within a poll of its own: there will be another.
            Err(_) => {
                context.waker().wake_by_ref();
                None
            }
        };
        drop(former);
        Poll::Pending
    }
}

impl<V, E> Drop for Waiter<V, E> {
    fn drop(&mut self) {
        let waker = match self.flight.state.try_borrow_mut().as_deref_mut() {
            Ok(State::Flying(waiters)) => waiters.try_remove(self.place),
            _ => None,
        };
        drop(waker);
    }
}

#[cfg(test)]
mod tests;
