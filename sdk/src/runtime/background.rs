//! Futures that belong to no stream, and the ticks by which time is told.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::{Context, Waker};

use hashbrown::HashMap;

use super::Runtime;
use super::reactor::{Key, Spawned};
use super::tasks::at_once;
use crate::abi;
use crate::filter::{Callbacks, HttpFilter};
use crate::logging::StreamScope;

/// Milliseconds between ticks while somebody waits for a time that is near.
const TIMER_PERIOD: u32 = 10;

/// Milliseconds between ticks while every time that is waited for is further off
/// than that, at most: the host's clock may be set forward meanwhile.
const LONGEST_PERIOD: u32 = 1_000;

/// Nanoseconds by which a tick may come early.
const MAX_EARLY: u64 = 5_000_000;

const NANOSECONDS_A_MILLISECOND: u64 = 1_000_000;

/// The generation of what fetches a configuration: it outlives the filters that it makes.
pub(super) const FETCHING: u64 = u64::MAX;

#[derive(Default)]
pub(super) struct Background {
    jobs: RefCell<HashMap<u32, Job>>,
    next: Cell<u32>,
    /// The configuration whose ticks tell the time.
    ticking: Cell<Option<u32>>,
    /// The time that its next tick is for, in nanoseconds since 1970, if it comes
    /// later than the usual one. Whoever is to be polled sooner hastens it.
    far_off: Cell<Option<u64>>,
    /// In a tick: whose it is, and the time.
    tick: Cell<Option<(u32, u64)>>,
    /// The configuration whose next tick comes sooner than its period has it,
    /// to be in time again.
    hastened: Cell<Option<u32>>,
    ticks: RefCell<HashMap<u32, Ticks>>,
    /// That of the job that was polled last: what it spawns is of the same.
    generation: Cell<u64>,
}

/// A future that is polled when it is woken.
struct Job {
    /// The configuration that it runs for.
    root: u32,
    /// The filter that it runs for, of those that the configuration has had; or [`FETCHING`]. 0: for
    /// as long as the configuration is there.
    generation: u64,
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

    /// Whether anything runs for this filter of a configuration.
    pub(super) fn runs_for(&self, root: u32, generation: u64) -> bool {
        let jobs = self.jobs.borrow();
        jobs.values()
            .any(|job| job.root == root && job.generation == generation)
    }

    /// The next tick of a filter that wants one every `period` milliseconds is a
    /// period away.
    fn expect(&self, root: u32, period: u32, now: u64) {
        let period = u64::from(period).saturating_mul(NANOSECONDS_A_MILLISECOND);
        let mut ticks = self.ticks.borrow_mut();
        ticks.entry(root).or_default().next = now.saturating_add(period);
    }

    /// Milliseconds until that tick.
    fn until_tick(&self, root: u32, period: u32, now: u64) -> u32 {
        let ticks = self.ticks.borrow();
        let next = ticks.get(&root).map_or(now, |ticks| ticks.next);
        let left = next.saturating_sub(now).div_ceil(NANOSECONDS_A_MILLISECOND);
        u32::try_from(left)
            .unwrap_or(period)
            .clamp(1, period.max(1))
    }

    /// Whether a tick is due for a filter that wants one every `period`
    /// milliseconds.
    fn is_due(&self, root: u32, period: u32, now: u64) -> bool {
        let period = u64::from(period).saturating_mul(NANOSECONDS_A_MILLISECOND);
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
    /// A configuration has been accepted. What it spawned is its own, whoever's
    /// callback comes next, and begins with a tick.
    pub(super) fn configured(&self, root: u32, generation: u64, spawned: Vec<Spawned>) {
        for future in spawned {
            self.add_job(root, generation, future);
        }
        if let Some(period) = self.tick_period(root)
            && let Ok(now) = abi::now_nanoseconds()
        {
            // Its own first tick is a period away, whatever ticks come before it.
            self.background.expect(root, period, now);
        }
        if self.reactor.needs_ticks() {
            self.begin_ticking(root);
        }
    }

    /// The configuration whose ticks tell the time.
    pub(super) fn ticking(&self) -> Option<u32> {
        self.background.ticking.get()
    }

    /// A configuration is gone, and with it what ran for it.
    pub(super) fn root_gone(&self, root: u32) {
        for of_root in [&self.background.ticking, &self.background.hastened] {
            if of_root.get() == Some(root) {
                of_root.set(None);
            }
        }
        if self.background.ticking.get().is_none() {
            self.background.far_off.set(None);
        }
        self.background.ticks.borrow_mut().remove(&root);
        self.drop_jobs(|of, _| of == root);
        self.remote_gone(root);
        // With the last one goes what has not begun.
        let is_last = match self.contexts.try_borrow() {
            Ok(contexts) => contexts.first_root().is_none(),
            Err(_) => return,
        };
        if is_last {
            self.drop_spawned(self.reactor.take_spawned());
        }
    }

    /// Drops the futures of these configurations and filters.
    pub(super) fn drop_jobs(&self, is_over: impl Fn(u32, u64) -> bool) {
        let gone = {
            let mut jobs = self.background.jobs.borrow_mut();
            jobs.extract_if(|_, job| is_over(job.root, job.generation))
                .collect::<Vec<_>>()
        };
        for job in gone {
            drop(job);
            self.reactor.task_over();
        }
    }

    /// Drops what was spawned and never begins.
    pub(super) fn drop_spawned(&self, spawned: Vec<Spawned>) {
        self.reactor.drop_all(spawned);
    }

    /// `proxy_on_tick`, of a filter that awaits.
    pub(super) fn ticked(&self, root: u32) {
        self.outside(root, || {
            let Ok(now) = abi::now_nanoseconds() else {
                log::error!("the host does not tell the time; nobody's time comes");
                return;
            };
            self.background.tick.set(Some((root, now)));
            self.retire(root);
            self.reactor.fire(now);
            if F::CALLBACKS.contains(Callbacks::TICK)
                && let Some(period) = self.tick_period(root)
                && self.background.is_due(root, period, now)
            {
                if self.background.hastened.get() == Some(root) {
                    self.background.hastened.set(None);
                    let _ = abi::set_tick_period(period);
                }
                self.tick(root);
            }
        });
    }

    /// Makes the filter's tick, unless the last one is not over.
    fn tick(&self, root: u32) {
        let Some(filter) = self.filter(root) else {
            return;
        };
        let generation = match self.contexts.try_borrow() {
            Ok(contexts) => contexts.plugin(root).generation,
            Err(_) => return,
        };
        self.background.generation.set(generation);
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
        let job = self.add_job(
            root,
            generation,
            Box::pin(async move { filter.on_tick().await }),
        );
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
        let generation = self.background.generation.get();
        let root = match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => contexts
                .get_mut(context)
                .map(|stream| (stream.root, 0))
                .or_else(|| contexts.filter(context).map(|_| (context, generation)))
                .or_else(|| contexts.first_root().map(|root| (root, 0))),
            Err(_) => return,
        };
        let Some((root, generation)) = root else {
            return;
        };
        for future in self.reactor.take_spawned() {
            self.add_job(root, generation, future);
        }
    }

    pub(super) fn add_job(&self, root: u32, generation: u64, future: Spawned) -> u32 {
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
            generation,
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
        self.background.generation.set(job.generation);
        // It may be polled within a stream's callback, and is no part of it.
        let _scope = StreamScope::leave();
        // One whose configuration is gone goes with it.
        let over = !self.puts_in_effect(job.root)
            || self.polls(|| {
                let mut context = Context::from_waker(&job.waker);
                job.future.as_mut().poll(&mut context).is_ready()
            });
        if over {
            drop(job);
            self.reactor.task_over();
        } else {
            self.background.jobs.borrow_mut().insert(id, job);
        }
        self.install_arrived();
    }

    /// Has the host tick while somebody waits for it, and no longer.
    pub(super) fn mind_ticks(&self) {
        // Within a poll, it is for whoever polls.
        if self.polling.get() > 0 {
            return;
        }
        let tick = self.background.tick.take();
        match self.background.ticking.get() {
            None if self.reactor.needs_ticks() => {
                let root = match self.contexts.try_borrow() {
                    Ok(contexts) => contexts.first_root(),
                    Err(_) => return,
                };
                if let Some(root) = root {
                    self.begin_ticking(root);
                }
            }
            Some(root) if !self.reactor.needs_ticks() => {
                self.background.ticking.set(None);
                self.background.far_off.set(None);
                if self.puts_in_effect(root) {
                    let _ = abi::set_tick_period(self.next_tick(root));
                }
                // A callback within that call may have set another.
                if self.background.ticking.get() == Some(root) {
                    self.set_ticking(root);
                }
            }
            Some(ticking) => match tick {
                Some((root, now)) if root == ticking => self.slow_down(root, now),
                Some((root, now)) => self.watch(root, ticking, now),
                None => {
                    if let Some(far_off) = self.background.far_off.get()
                        && self.reactor.needs_ticks_before(far_off)
                        && self.puts_in_effect(ticking)
                    {
                        self.set_ticking(ticking);
                    }
                }
            },
            // It has ticked for nobody.
            None => {
                if let Some((root, _)) = tick
                    && self.tick_period(root).is_none()
                    && self.puts_in_effect(root)
                {
                    let _ = abi::set_tick_period(0);
                }
            }
        }
    }

    /// Has one configuration tick for all. Where nobody tells when it goes, the others
    /// watch it.
    fn begin_ticking(&self, root: u32) {
        if !Self::TOLD_OF_ENDS && self.background.ticking.get().is_none() {
            let others = match self.contexts.try_borrow() {
                Ok(contexts) => contexts.other_roots(root),
                Err(_) => Vec::new(),
            };
            for other in others {
                if self.tick_period(other).is_none() && self.puts_in_effect(other) {
                    let _ = abi::set_tick_period(LONGEST_PERIOD);
                }
            }
        }
        if self.puts_in_effect(root) {
            self.set_ticking(root);
        }
    }

    /// After a tick of another configuration than the one that ticks for all: its ticks
    /// are to see whether that is still there, for nobody may tell when it goes.
    fn watch(&self, root: u32, ticking: u32, now: u64) {
        if !self.puts_in_effect(ticking) {
            self.background.ticking.set(Some(root));
            if self.puts_in_effect(root) {
                self.set_ticking(root);
            }
            return;
        }
        let own = self.tick_period(root);
        let own = own.map_or(u32::MAX, |own| self.background.until_tick(root, own, now));
        if self.puts_in_effect(root) {
            let _ = abi::set_tick_period(own.min(LONGEST_PERIOD));
        }
    }

    /// After a tick: has the next one come when somebody's time does, unless that is
    /// near.
    fn slow_down(&self, root: u32, now: u64) {
        let near = u64::from(TIMER_PERIOD)
            .saturating_mul(2)
            .saturating_mul(NANOSECONDS_A_MILLISECOND);
        let was_far_off = self.background.far_off.get().is_some();
        let far_off = if self.reactor.needs_ticks_before(now.saturating_add(near)) {
            None
        } else {
            self.reactor.first_timer()
        };
        if (far_off.is_none() && !was_far_off) || !self.puts_in_effect(root) {
            return;
        }
        let Some(far_off) = far_off else {
            self.set_ticking(root);
            return;
        };
        let left = far_off
            .saturating_sub(now)
            .div_ceil(NANOSECONDS_A_MILLISECOND);
        let left = u32::try_from(left).unwrap_or(u32::MAX).min(LONGEST_PERIOD);
        let own = self.tick_period(root);
        let own = own.map_or(u32::MAX, |own| self.background.until_tick(root, own, now));
        if abi::set_tick_period(left.min(own)).is_ok() {
            self.background.far_off.set(Some(far_off));
        }
    }

    /// Has the host tick for the context in effect, a configuration.
    fn set_ticking(&self, root: u32) {
        self.background.far_off.set(None);
        let period = self.tick_period(root).unwrap_or(u32::MAX);
        if self.background.hastened.get() == Some(root) {
            self.background.hastened.set(None);
        }
        match abi::set_tick_period(period.min(TIMER_PERIOD)) {
            Ok(()) => self.background.ticking.set(Some(root)),
            Err(error) => log::error!(error:%; "the host does not tick; nobody's time comes"),
        }
    }

    /// The period by which the filter's own next tick comes in time: to set one
    /// starts it anew. 0 where the filter wants none.
    fn next_tick(&self, root: u32) -> u32 {
        let Some(period) = self.tick_period(root) else {
            return 0;
        };
        let left = match abi::now_nanoseconds() {
            Ok(now) => self.background.until_tick(root, period, now),
            Err(_) => period,
        };
        if left < period {
            self.background.hastened.set(Some(root));
        }
        left
    }

    /// Milliseconds between the filter's own ticks.
    fn tick_period(&self, root: u32) -> Option<u32> {
        let contexts = self.contexts.try_borrow().ok()?;
        u32::try_from(contexts.plugin(root).tick_period?.as_millis()).ok()
    }
}
