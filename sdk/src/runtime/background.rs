//! Futures that belong to no stream, and the ticks by which time is told.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hashbrown::HashMap;

use super::Runtime;
use super::reactor::{Key, Spawned};
use super::tasks::at_once;
use crate::abi;
use crate::filter::{Callbacks, HttpFilter};

/// Milliseconds between ticks while somebody waits for a time.
const TIMER_PERIOD: u32 = 10;

/// Nanoseconds by which a tick may come early.
const MAX_EARLY: u64 = 5_000_000;

#[derive(Default)]
pub(super) struct Background {
    jobs: RefCell<HashMap<u32, Job>>,
    next: Cell<u32>,
    /// The configuration whose ticks tell the time.
    ticking: Cell<Option<u32>>,
    ticks: RefCell<HashMap<u32, Ticks>>,
}

/// A future that is polled when it is woken.
struct Job {
    /// The configuration that it runs for.
    root: u32,
    future: Spawned,
    waker: Waker,
}

/// A filter's own ticks.
#[derive(Default)]
struct Ticks {
    /// When the next is due, in nanoseconds since 1970.
    next: u64,
    /// The job of the last one.
    job: Option<u32>,
}

impl Background {
    fn is_under_way(&self, job: u32) -> bool {
        self.jobs.borrow().contains_key(&job)
    }

    /// Whether a tick is due for a filter that wants one every `period`.
    fn is_due(&self, root: u32, period: Duration, now: u64) -> bool {
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let early = MAX_EARLY.min(period / 2);
        let mut ticks = self.ticks.borrow_mut();
        let ticks = ticks.entry(root).or_default();
        // A clock that was set back does not silence the filter.
        let set_back = ticks.next > now.saturating_add(period.saturating_mul(2));
        let due = now.saturating_add(early) >= ticks.next || set_back;
        if due {
            ticks.next = now.saturating_add(period);
        }
        due
    }
}

impl<F: HttpFilter> Runtime<F> {
    /// A configuration has been accepted: what it spawned begins with a tick.
    pub(super) fn configured(&self, root: u32) {
        if self.reactor.has_spawned() || self.reactor.has_timers() {
            self.set_ticking(root);
        }
    }

    /// A configuration is gone, and with it what ran for it.
    pub(super) fn root_gone(&self, root: u32) {
        if self.background.ticking.get() == Some(root) {
            self.background.ticking.set(None);
        }
        self.background.ticks.borrow_mut().remove(&root);
        let gone = {
            let mut jobs = self.background.jobs.borrow_mut();
            jobs.extract_if(|_, job| job.root == root)
                .collect::<Vec<_>>()
        };
        for job in gone {
            drop(job);
            self.reactor.task_over();
        }
    }

    /// `proxy_on_tick`, of a filter that awaits.
    pub(super) fn ticked(&self, root: u32) {
        self.outside(root, || {
            let Ok(now) = abi::now_nanoseconds() else {
                log::error!("the host does not tell the time; nobody's time comes");
                return;
            };
            self.reactor.fire(now);
            let period = self
                .contexts
                .try_borrow()
                .ok()
                .and_then(|contexts| contexts.plugin(root).tick_period);
            if F::CALLBACKS.contains(Callbacks::TICK)
                && let Some(period) = period
                && self.background.is_due(root, period, now)
            {
                self.tick(root);
            }
        });
    }

    /// Makes the filter's tick, unless the last one is not over.
    fn tick(&self, root: u32) {
        let Some(filter) = self.filter(root) else {
            return;
        };
        if !F::AWAITS.contains(Callbacks::TICK) {
            let _ = at_once(filter.on_tick());
            return;
        }
        let last = self
            .background
            .ticks
            .borrow()
            .get(&root)
            .and_then(|ticks| ticks.job);
        if last.is_some_and(|job| self.background.is_under_way(job)) {
            return;
        }
        self.reactor.task_begins();
        let job = self.add_job(root, Box::pin(async move { filter.on_tick().await }));
        if let Some(ticks) = self.background.ticks.borrow_mut().get_mut(&root) {
            ticks.job = Some(job);
        }
    }

    /// Begins the futures that were spawned since.
    pub(super) fn start_spawned(&self) {
        if !self.reactor.has_spawned() {
            return;
        }
        let context = self.running.get().context;
        let root = match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => contexts
                .get_mut(context)
                .map(|stream| stream.root)
                .or_else(|| contexts.filter(context).map(|_| context))
                .or_else(|| contexts.first_root()),
            Err(_) => return,
        };
        let Some(root) = root else {
            return;
        };
        for future in self.reactor.take_spawned() {
            self.add_job(root, future);
        }
    }

    fn add_job(&self, root: u32, future: Spawned) -> u32 {
        let mut id = self.background.next.get();
        while self.background.is_under_way(id) {
            id = id.wrapping_add(1);
        }
        self.background.next.set(id.wrapping_add(1));
        let bell = self.reactor.bell();
        bell.set(Key::Task(id));
        let waker = Waker::from(Arc::clone(&bell));
        let job = Job {
            root,
            future,
            waker,
        };
        self.background.jobs.borrow_mut().insert(id, job);
        self.reactor.wake(Key::Task(id));
        id
    }

    pub(super) fn poll_task(&self, id: u32) {
        let job = self.background.jobs.borrow_mut().remove(&id);
        let Some(mut job) = job else {
            return;
        };
        // One whose configuration is gone goes with it.
        let over = !self.puts_in_effect(job.root)
            || matches!(
                job.future
                    .as_mut()
                    .poll(&mut Context::from_waker(&job.waker)),
                Poll::Ready(())
            );
        if over {
            drop(job);
            self.reactor.task_over();
        } else {
            self.background.jobs.borrow_mut().insert(id, job);
        }
    }

    /// Has the host tick while somebody waits for a time, and no longer.
    pub(super) fn mind_ticks(&self) {
        match self.background.ticking.get() {
            None if self.reactor.has_timers() => {
                let root = match self.contexts.try_borrow() {
                    Ok(contexts) => contexts.first_root(),
                    Err(_) => return,
                };
                if let Some(root) = root
                    && self.puts_in_effect(root)
                {
                    self.set_ticking(root);
                }
            }
            Some(root) if !self.reactor.has_timers() && !self.reactor.has_spawned() => {
                self.background.ticking.set(None);
                if self.puts_in_effect(root) {
                    let period = self.tick_period(root).unwrap_or_default();
                    let _ = abi::set_tick_period(period);
                }
            }
            _ => {}
        }
    }

    /// Has the host tick for the context in effect, a configuration.
    fn set_ticking(&self, root: u32) {
        let period = self.tick_period(root).unwrap_or(u32::MAX);
        match abi::set_tick_period(period.min(TIMER_PERIOD)) {
            Ok(()) => self.background.ticking.set(Some(root)),
            Err(error) => log::error!(error:%; "the host does not tick; nobody's time comes"),
        }
    }

    /// Milliseconds between the filter's own ticks.
    fn tick_period(&self, root: u32) -> Option<u32> {
        let contexts = self.contexts.try_borrow().ok()?;
        u32::try_from(contexts.plugin(root).tick_period?.as_millis()).ok()
    }
}
