//! Runs tasks in tests, with a clock that the test moves.

#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::coalesce::Task;
use crate::error::{Error, Result};

/// When a task is polled for the first time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Later,
    /// Before `spawn` returns.
    AtOnce,
    /// Never: `spawn` refuses it.
    Refused,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Running {
    task: Option<Task>,
    woken: Arc<Woken>,
}

struct Executor {
    tasks: BTreeMap<u64, Running>,
    next: u64,
    now: Duration,
    sleepers: Vec<(Duration, Waker)>,
    start: Start,
    no_clock: bool,
}

thread_local! {
    static EXECUTOR: RefCell<Executor> = const { RefCell::new(Executor {
        tasks: BTreeMap::new(),
        next: 0,
        now: Duration::ZERO,
        sleepers: Vec::new(),
        start: Start::Later,
        no_clock: false,
    }) };
}

fn with<T>(act: impl FnOnce(&mut Executor) -> T) -> T {
    EXECUTOR.with_borrow_mut(act)
}

/// Begins a test: no tasks, time 0.
pub(super) fn reset(start: Start) {
    drop_tasks();
    with(|executor| {
        executor.now = Duration::ZERO;
        executor.sleepers.clear();
        executor.start = start;
        executor.no_clock = false;
    });
}

/// As the module's unloading does.
pub(super) fn drop_tasks() {
    let tasks = with(|executor| std::mem::take(&mut executor.tasks));
    drop(tasks);
}

pub(super) fn tasks() -> usize {
    with(|executor| executor.tasks.len())
}

pub(super) fn spawn(task: Task) -> Result<()> {
    let woken = Arc::new(Woken::default());
    woken.0.store(true, Ordering::Relaxed);
    let start = with(|executor| executor.start);
    if start == Start::Refused {
        return Err(Error::other("no tasks here"));
    }
    let id = with(|executor| {
        executor.next += 1;
        let task = Some(task);
        executor
            .tasks
            .insert(executor.next, Running { task, woken });
        executor.next
    });
    if start == Start::AtOnce {
        poll(id);
    }
    Ok(())
}

fn poll(id: u64) {
    let taken = with(|executor| {
        let running = executor.tasks.get_mut(&id)?;
        let woken = running.woken.0.swap(false, Ordering::Relaxed);
        let task = if woken { running.task.take() } else { None };
        Some((task?, Arc::clone(&running.woken)))
    });
    if let Some((mut task, woken)) = taken {
        let waker = Waker::from(woken);
        let done = task.as_mut().poll(&mut Context::from_waker(&waker));
        let gone = with(|executor| match done {
            Poll::Ready(()) => executor.tasks.remove(&id),
            Poll::Pending => {
                let running = executor.tasks.get_mut(&id)?;
                running.task = Some(task);
                None
            }
        });
        drop(gone);
    }
}

/// Polls what is awake until nothing is.
pub(super) fn run() {
    loop {
        let awake: Vec<u64> = with(|executor| {
            let awake = executor.tasks.iter();
            let awake = awake.filter(|(_, running)| running.woken.0.load(Ordering::Relaxed));
            awake.map(|(id, _)| *id).collect()
        });
        if awake.is_empty() {
            return;
        }
        for id in awake {
            poll(id);
        }
    }
}

/// Runs a future and all tasks to its end, moving the clock when all of them sleep.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Some(value) = poll_once(future.as_mut()) {
            return value;
        }
        run();
        if let Some(value) = poll_once(future.as_mut()) {
            return value;
        }
        let next = with(|executor| {
            let wakes = executor.sleepers.iter().map(|(at, _)| *at);
            wakes.min().map(|at| at.saturating_sub(executor.now))
        });
        advance(next.expect("nothing will ever wake this"));
    }
}

pub(super) fn poll_once<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

pub(super) fn advance(by: Duration) {
    let awake = with(|executor| {
        executor.now += by;
        let now = executor.now;
        let (awake, asleep) = std::mem::take(&mut executor.sleepers)
            .into_iter()
            .partition::<Vec<_>, _>(|(at, _)| *at <= now);
        executor.sleepers = asleep;
        awake
    });
    for (_, waker) in awake {
        waker.wake();
    }
    run();
}

pub(super) async fn sleep(duration: Duration) {
    let until = with(|executor| executor.now) + duration;
    poll_fn(|context| {
        with(|executor| {
            if executor.now >= until {
                return Poll::Ready(());
            }
            executor.sleepers.push((until, context.waker().clone()));
            Poll::Pending
        })
    })
    .await;
}

/// Time since the test began.
pub(super) fn elapsed() -> Duration {
    with(|executor| executor.now)
}

pub(super) fn now() -> Option<SystemTime> {
    let (now, stopped) = with(|executor| (executor.now, executor.no_clock));
    (!stopped).then(|| UNIX_EPOCH + Duration::from_hours(24 * 365) + now)
}

pub(super) fn stop_clock() {
    with(|executor| executor.no_clock = true);
}
