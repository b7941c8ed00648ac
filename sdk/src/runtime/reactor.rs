//! What futures wait for: answers to callouts, timers, each other.
//!
//! One reactor serves one [`Runtime`](super::Runtime). Futures find it while
//! they are polled: it is then the thread's current one.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use hashbrown::HashMap;

use crate::abi;
use crate::callout::CalloutError;
use crate::error::HostError;

/// Futures spawned and not yet over, at most.
const MAX_SPAWNED: usize = 1_024;

/// A future that outlives the callback which spawned it.
pub(super) type Spawned = Pin<Box<dyn Future<Output = ()>>>;

/// What a callout came to, as the host told it.
pub(crate) type Answer<T> = Result<T, CalloutError>;

/// Which future is to be polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// That of a stream.
    Stream(u32),
    /// One that belongs to no stream.
    Task(u32),
}

impl Key {
    const TASK: u64 = 1 << 32;

    fn to_bits(self) -> u64 {
        match self {
            Self::Stream(id) => u64::from(id),
            Self::Task(id) => u64::from(id) | Self::TASK,
        }
    }

    fn from_bits(bits: u64) -> Self {
        let id = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
        if bits & Self::TASK == 0 {
            Self::Stream(id)
        } else {
            Self::Task(id)
        }
    }
}

/// The futures that something happened for, in the order it did.
#[derive(Debug, Default)]
struct Woken(Mutex<VecDeque<Key>>);

impl Woken {
    fn push(&self, key: Key) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.contains(&key) {
            keys.push_back(key);
        }
    }

    fn is_empty(&self) -> bool {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.is_empty()
    }

    /// The first of them; of streams, `only` this one, if it is given.
    fn pop(&self, only: Option<u32>) -> Option<Key> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(only) = only else {
            return keys.pop_front();
        };
        let at = keys
            .iter()
            .position(|key| matches!(key, Key::Task(_)) || *key == Key::Stream(only))?;
        keys.remove(at)
    }
}

/// Wakes whatever future it is set to: it serves one after another, so that
/// a stream need not allocate it. A wake that comes late polls a future in vain.
#[derive(Debug)]
pub(super) struct Bell {
    key: AtomicU64,
    woken: Arc<Woken>,
}

impl Bell {
    pub(super) fn set(&self, key: Key) {
        self.key.store(key.to_bits(), Ordering::Relaxed);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let key = self.key.load(Ordering::Relaxed);
        self.woken.push(Key::from_bits(key));
    }
}

/// The two kinds of callouts: each has tokens of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Http,
    Grpc,
}

/// A callout under way.
struct Call {
    /// Bytes of an answer's body that are taken.
    limit: usize,
    answer: RefCell<Option<Answer<Arrived>>>,
    waker: RefCell<Option<Waker>>,
}

/// The raw parts of an answer. Of gRPC there is a body only.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) headers: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<u8>,
}

impl Arrived {
    /// The answer, if its body is no larger than `limit`.
    fn within(self, limit: usize) -> Answer<Self> {
        let size = self.body.len();
        if size > limit {
            return Err(CalloutError::TooLarge { size, limit });
        }
        Ok(self)
    }
}

type Token = (Protocol, u32);

#[derive(Default)]
pub(crate) struct Reactor {
    woken: Arc<Woken>,
    calls: RefCell<HashMap<Token, Rc<Call>>>,
    /// Callouts that are being sent, and answers that a host gives before it
    /// has told the token.
    sending: Cell<usize>,
    early: RefCell<Vec<(Token, Answer<Arrived>)>>,
    timers: RefCell<BTreeMap<Timer, Waker>>,
    next_timer: Cell<u64>,
    spawned: RefCell<Vec<Spawned>>,
    tasks: Cell<usize>,
}

/// When it fires, in nanoseconds since 1970, and its number.
type Timer = (u64, u64);

thread_local! {
    static CURRENT: RefCell<Option<Rc<Reactor>>> = const { RefCell::new(None) };
}

/// Makes a reactor the current one, until dropped.
pub(super) struct Scope {
    outer: Option<Rc<Reactor>>,
}

impl Scope {
    pub(super) fn enter(reactor: &Rc<Reactor>) -> Self {
        let outer = CURRENT.replace(Some(Rc::clone(reactor)));
        Self { outer }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        CURRENT.set(self.outer.take());
    }
}

/// The reactor of the callback that runs. None runs in filters whose callbacks
/// are all plain `fn`.
pub(crate) fn current() -> Option<Rc<Reactor>> {
    CURRENT.with_borrow(Clone::clone)
}

impl Reactor {
    pub(super) fn bell(&self) -> Arc<Bell> {
        Arc::new(Bell {
            key: AtomicU64::new(0),
            woken: Arc::clone(&self.woken),
        })
    }

    pub(super) fn next_woken(&self, only: Option<u32>) -> Option<Key> {
        self.woken.pop(only)
    }

    pub(super) fn wake(&self, key: Key) {
        self.woken.push(key);
    }

    /// Sends a callout by `send`, which answers its token. At most `limit` bytes
    /// of the answer's body are taken.
    pub(crate) fn call(
        self: Rc<Self>,
        protocol: Protocol,
        limit: usize,
        send: impl FnOnce() -> Result<u32, HostError>,
    ) -> Result<Answered, CalloutError> {
        self.sending.set(self.sending.get().saturating_add(1));
        let token = send();
        self.sending.set(self.sending.get().saturating_sub(1));
        let token = token.map(|token| (protocol, token));
        let answer = {
            let mut early = self.early.borrow_mut();
            let arrived = early.iter().position(|(known, _)| token == Ok(*known));
            let answer = arrived.map(|at| early.swap_remove(at).1);
            let answer = answer.map(|answer| answer.and_then(|arrived| arrived.within(limit)));
            // What is left may answer a callout that this one is nested in.
            if self.sending.get() == 0 {
                early.clear();
            }
            answer
        };
        let token = token.map_err(CalloutError::NotSent)?;
        let call = Rc::new(Call {
            limit,
            answer: RefCell::new(answer),
            waker: RefCell::default(),
        });
        let former = self.calls.borrow_mut().insert(token, Rc::clone(&call));
        if let Some(former) = former {
            // A host that gives a token twice has lost the first callout.
            former.finish(Err(CalloutError::Gone));
        }
        Ok(Answered {
            reactor: self,
            token,
            call,
        })
    }

    /// How many bytes of a body are taken of the answer with this token.
    /// `None` where nobody waits for it.
    pub(super) fn limit(&self, protocol: Protocol, token: u32) -> Option<usize> {
        let calls = self.calls.try_borrow().ok()?;
        match calls.get(&(protocol, token)) {
            Some(call) => Some(call.limit),
            None if self.sending.get() > 0 => Some(usize::MAX),
            None => None,
        }
    }

    /// Hands over an answer.
    pub(super) fn answer(&self, protocol: Protocol, token: u32, answer: Answer<Arrived>) {
        let token = (protocol, token);
        let call = self.calls.borrow_mut().remove(&token);
        if let Some(call) = call {
            call.finish(answer);
        } else if self.sending.get() > 0 {
            self.early.borrow_mut().push((token, answer));
        }
    }

    /// A timer that fires at `deadline`, in nanoseconds since 1970.
    pub(crate) fn timer(self: Rc<Self>, deadline: u64) -> Alarm {
        let number = self.next_timer.get();
        self.next_timer.set(number.wrapping_add(1));
        Alarm {
            reactor: self,
            timer: (deadline, number),
            set: false,
        }
    }

    fn has_timers(&self) -> bool {
        !self.timers.borrow().is_empty()
    }

    /// Fires the timers whose time has come.
    pub(super) fn fire(&self, now: u64) {
        let due = {
            let mut timers = self.timers.borrow_mut();
            let later = timers.split_off(&(now.saturating_add(1), 0));
            std::mem::replace(&mut *timers, later)
        };
        for waker in due.into_values() {
            waker.wake();
        }
    }

    /// Whether the future was taken: there is a bound on how many there are.
    pub(crate) fn spawn(&self, future: Spawned) -> bool {
        if self.tasks.get() >= MAX_SPAWNED {
            return false;
        }
        self.task_begins();
        self.spawned.borrow_mut().push(future);
        true
    }

    /// Whether somebody waits for a callback of the host's: a tick will do.
    #[inline]
    pub(super) fn needs_ticks(&self) -> bool {
        self.has_timers() || self.has_spawned() || !self.woken.is_empty()
    }

    #[inline]
    pub(super) fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    #[inline]
    /// The same before this time.
    pub(super) fn needs_ticks_before(&self, time: u64) -> bool {
        let timer = self.first_timer().is_some_and(|first| first < time);
        timer || self.has_spawned() || !self.woken.is_empty()
    }

    /// The time that comes first of those waited for.
    pub(super) fn first_timer(&self) -> Option<u64> {
        let timers = self.timers.borrow();
        timers.first_key_value().map(|((time, _), _)| *time)
    }

    pub(super) fn has_spawned(&self) -> bool {
        !self.spawned.borrow().is_empty()
    }

    pub(super) fn take_spawned(&self) -> Vec<Spawned> {
        self.spawned.take()
    }

    pub(super) fn replace_spawned(&self, spawned: Vec<Spawned>) -> Vec<Spawned> {
        self.spawned.replace(spawned)
    }

    pub(super) fn task_begins(&self) {
        self.tasks.set(self.tasks.get().saturating_add(1));
    }

    /// A future that belongs to no stream is over.
    pub(super) fn task_over(&self) {
        self.tasks.set(self.tasks.get().saturating_sub(1));
    }

    /// Drops what was spawned and never begins.
    pub(super) fn drop_all(&self, spawned: Vec<Spawned>) {
        for future in spawned {
            drop(future);
            self.task_over();
        }
    }

    /// How many callouts, timers and spawned futures there are.
    pub(super) fn waiting(&self) -> usize {
        let calls = self.calls.borrow().len();
        let timers = self.timers.borrow().len();
        calls
            .saturating_add(timers)
            .saturating_add(self.tasks.get())
    }
}

impl Call {
    fn finish(&self, answer: Answer<Arrived>) {
        *self.answer.borrow_mut() = Some(answer);
        let waker = self.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Waits for the answer to a callout. Dropped, the answer is let go by.
pub(crate) struct Answered {
    reactor: Rc<Reactor>,
    token: Token,
    call: Rc<Call>,
}

impl Future for Answered {
    type Output = Answer<Arrived>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(answer) = self.call.answer.take() {
            return Poll::Ready(answer);
        }
        *self.call.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        let mut calls = self.reactor.calls.borrow_mut();
        let is_own = calls
            .get(&self.token)
            .is_some_and(|call| Rc::ptr_eq(call, &self.call));
        if !is_own {
            return;
        }
        calls.remove(&self.token);
        drop(calls);
        if let (Protocol::Grpc, token) = self.token {
            // HTTP callouts cannot be cancelled; the answer will find nobody.
            let _ = abi::grpc_cancel(token);
        }
    }
}

/// Waits for a time. Dropped, it is taken off.
pub(crate) struct Alarm {
    reactor: Rc<Reactor>,
    timer: Timer,
    set: bool,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timers = self.reactor.timers.borrow_mut();
        if self.set && !timers.contains_key(&self.timer) {
            return Poll::Ready(());
        }
        timers.insert(self.timer, context.waker().clone());
        drop(timers);
        self.set = true;
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let waker = self.reactor.timers.borrow_mut().remove(&self.timer);
        drop(waker);
    }
}
