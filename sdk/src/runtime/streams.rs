//! Streams whose callbacks may wait.
//!
//! A stream has one callback under way at a time. What arrives while it waits is
//! kept in [`Later`] and held by the host; the callback for it is made when the
//! first is over. So a filter's author meets no two callbacks at once, and nothing
//! goes on that its callback has not let go on.

use std::cell::RefMut;
use std::rc::Rc;
use std::task::Poll;

use super::contexts::{Contexts, Later, Pending, Standing};
use super::reactor::{Arrived, Key, Protocol, Scope};
use super::tasks::{Direction, Done, Event, Kind, Task};
use super::{Absent, CONTINUE, Entered, PAUSE, Phase, Runtime, STOP_ALL, callback};
use crate::abi::{self, BufferType, MapType, StreamType};
use crate::callout::CalloutError;
use crate::error::{HostError, Result};
use crate::filter::{Flow, HttpFilter};
use crate::logging::StreamScope;
use crate::phase::{Inbox, RequestHeaders};

/// Futures polled in one callback. More than this wake each other in circles.
const MAX_POLLS: usize = 10_000;

/// The callback of the host's that runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Running {
    /// The context that host calls are about.
    pub(super) context: u32,
    /// The stream and the direction that the host waits to be told of.
    awaited: Option<(u32, Direction)>,
    /// What it is told.
    answer: u32,
}

/// What of a body has come while a callback ran.
#[derive(Debug, Clone, Copy)]
struct Body {
    /// Whether the callback of the headers has had it.
    taken: bool,
    /// Bytes that the host holds.
    held: usize,
}

impl<F: HttpFilter> Runtime<F> {
    /// How many streams and other futures wait, and for how many answers and times.
    pub fn waiting(&self) -> usize {
        let streams = self
            .contexts
            .try_borrow()
            .map_or(0, |contexts| contexts.pending_len());
        streams.saturating_add(self.reactor.waiting())
    }

    /// `proxy_on_http_call_response`
    pub fn on_http_call_response(
        &self,
        context: u32,
        token: u32,
        headers: usize,
        body_size: usize,
        trailers: usize,
    ) {
        self.answered(context, Protocol::Http, token, |limit| {
            if headers == 0 {
                return Err(CalloutError::NoHeaders);
            }
            let map = |map| abi::header_map_pairs(map).map(Option::unwrap_or_default);
            Ok(Arrived {
                headers: map(MapType::HttpCallResponseHeaders)?,
                body: body(BufferType::HttpCallResponseBody, body_size, limit)?,
                trailers: if trailers == 0 {
                    Vec::new()
                } else {
                    map(MapType::HttpCallResponseTrailers)?
                },
            })
        });
    }

    /// `proxy_on_grpc_receive`
    pub fn on_grpc_receive(&self, context: u32, token: u32, size: usize) {
        self.answered(context, Protocol::Grpc, token, |limit| {
            Ok(Arrived {
                body: body(BufferType::GrpcReceiveBuffer, size, limit)?,
                ..Arrived::default()
            })
        });
    }

    /// `proxy_on_grpc_close`
    pub fn on_grpc_close(&self, context: u32, token: u32, status: u32) {
        self.answered(context, Protocol::Grpc, token, |_| {
            let message = abi::grpc_status().map(|(_, message)| message);
            let message = String::from_utf8_lossy(&message.unwrap_or_default()).into_owned();
            Err(CalloutError::Grpc { status, message })
        });
    }

    /// Passes on the answer to a callout, if anybody waits for it.
    fn answered(
        &self,
        context: u32,
        protocol: Protocol,
        token: u32,
        read: impl FnOnce(usize) -> Result<Arrived, CalloutError>,
    ) {
        if !Self::REACTS {
            return;
        }
        self.outside(context, || {
            if let Some(limit) = self.reactor.limit(protocol, token) {
                self.reactor.answer(protocol, token, read(limit));
            }
        });
    }

    /// Runs in a callback of the host's that is none of a stream's.
    pub(super) fn outside(&self, context: u32, call: impl FnOnce()) {
        self.within(context, || {
            call();
            self.run_woken(None);
        });
    }

    /// Runs in a callback of the host's that tells the end of a stream, or of a
    /// configuration. Whoever that wakes is polled in the next tick: a host that
    /// takes a connection apart is asked for nothing that concerns others.
    pub(super) fn ending(&self, context: u32, call: impl FnOnce()) {
        if Self::REACTS {
            self.within(context, call);
        } else {
            call();
        }
    }

    fn within(&self, context: u32, call: impl FnOnce()) {
        let _scope = Scope::enter(&self.reactor);
        let outer = self.running.replace(Running {
            context,
            ..Running::default()
        });
        call();
        self.mind_ticks();
        self.running.set(outer);
    }

    /// The reactor as the thread's current one, if this filter has use for it.
    pub(super) fn reacts(&self) -> Option<Scope> {
        Self::REACTS.then(|| Scope::enter(&self.reactor))
    }

    /// Makes the callback for what has arrived, now or later.
    pub(super) fn serve(&self, id: u32, event: Event) -> u32 {
        let _scope = Scope::enter(&self.reactor);
        let outer = self.running.replace(Running {
            context: id,
            awaited: Some((id, event.kind.direction())),
            answer: held(event.kind, false),
        });
        if !self.arrived_meanwhile(id, event) {
            match self.ask(id, event) {
                Ok(action) => {
                    self.answer_if_awaited(id, event.kind.direction(), action);
                }
                Err(begun) => self.begin_from(id, event, begun, Later::default()),
            }
        }
        self.run_woken(Some(id));
        self.mind_ticks();
        let answer = self.running.replace(outer).answer;
        // What ran meanwhile may have refused the stream.
        let lets = || match self.standing(id) {
            Some(standing) => standing.lets(event.kind.into()),
            None => Self::passes_unknown(event.kind),
        };
        if answer == CONTINUE && !lets() {
            return PAUSE;
        }
        self.forget_if_over(id);
        answer
    }

    /// Keeps an event for later if a callback of its stream waits.
    #[inline]
    fn arrived_meanwhile(&self, id: u32, event: Event) -> bool {
        let Ok(contexts) = self.contexts.try_borrow_mut() else {
            return false;
        };
        contexts.pending_len() > 0 && self.arrived_while_some_wait(contexts, id, event)
    }

    fn arrived_while_some_wait(
        &self,
        mut contexts: RefMut<Contexts<F>>,
        id: u32,
        event: Event,
    ) -> bool {
        let Some(pending) = contexts.pending(id) else {
            return false;
        };
        let mut satisfied = false;
        if let Some(task) = &pending.task {
            let own = pending.kind.direction() == event.kind.direction();
            if event.kind == Kind::ResponseHeaders && !own && task.inbox.is_awaited() {
                // What the request waits for may never come.
                drop(contexts);
                self.abandon(id);
                self.set_standing(id, Standing::Overtaken);
                return false;
            }
            if own && event.kind.is_body() {
                task.inbox.arrived(event.size, event.end);
            } else if own {
                task.inbox.arrived(task.inbox.size(), true);
            }
            satisfied = own && task.inbox.is_satisfied();
        }
        pending.later.put(event);
        drop(contexts);
        if satisfied {
            self.reactor.wake(Key::Stream(id));
        }
        true
    }

    /// Makes a callback. `later` are events that come after it.
    fn begin(&self, id: u32, event: Event, later: Later) {
        self.begin_from(id, event, None, later);
    }

    /// Makes a callback that has been asked for an answer at once.
    fn begin_from(&self, id: u32, event: Event, begun: Option<Box<RequestHeaders>>, later: Later) {
        let (kind, phase) = (event.kind, Phase::from(event.kind));
        let entered = match self.enter(id) {
            Ok(entered) => entered,
            Err(Absent::Unknown) if Self::passes_unknown(kind) => {
                self.answer(id, kind.direction(), CONTINUE);
                return;
            }
            Err(Absent::NotConfigured(standing)) => {
                let action = self.not_configured(id, phase, standing);
                self.answer(id, kind.direction(), action);
                return;
            }
            Err(Absent::Unknown | Absent::Busy) => {
                let action = self.refuse_unknown(id, phase);
                self.answer(id, kind.direction(), action);
                return;
            }
        };
        let Entered {
            mut state,
            filter,
            request,
            standing,
            holds_headers,
        } = entered;
        if standing.is_finished()
            || !standing.lets(phase)
            || !F::CALLBACKS.contains(kind.callback())
        {
            self.leave(id, state);
            if standing.lets(phase) {
                self.pass(id, kind, later);
            }
            return;
        }
        let scope = StreamScope::enter(request.clone());
        if F::AWAITS.contains(kind.callback()) {
            let event = (event, holds_headers);
            let filter = (filter, state);
            let mut task = self
                .idle
                .start(&self.reactor, id, filter, request, begun, event);
            let polled = self.polls(|| task.poll());
            self.polled(id, kind, task, polled, later);
        } else {
            let (flow, copy) = callback(&*filter, &mut state, request, event);
            self.leave(id, state);
            let done = Done {
                flow,
                copy,
                body_end: event.size,
            };
            let body = Body {
                taken: false,
                held: event.size,
            };
            self.completed(id, kind, done, body, later);
        }
        drop(scope);
    }

    /// Lets go on what no callback is made for.
    fn pass(&self, id: u32, kind: Kind, later: Later) {
        let done = Done {
            flow: Ok(Flow::Continue),
            copy: None,
            body_end: 0,
        };
        let body = Body {
            taken: false,
            held: 0,
        };
        self.completed(id, kind, done, body, later);
    }

    /// A stream's future has been polled.
    fn polled(&self, id: u32, kind: Kind, mut task: Task<F>, polled: Poll<Done>, later: Later) {
        let Poll::Ready(done) = polled else {
            let inbox = Rc::clone(&task.inbox);
            let pending = Pending {
                kind,
                task: Some(task),
                later,
            };
            if self.suspend(id, pending) {
                self.hold(id, kind, &inbox);
                self.find_ticking(id);
            }
            return;
        };
        let body = Body {
            taken: task.inbox.is_taken(),
            held: task.inbox.size(),
        };
        let state = task.end();
        self.idle.put(kind, task);
        self.leave(id, state);
        self.completed(id, kind, done, body, later);
    }

    /// Keeps a future until it is woken. Whether there is a stream for it.
    fn suspend(&self, id: u32, pending: Pending<F>) -> bool {
        // Of a stream that was deleted meanwhile the future is dropped, after the
        // borrow.
        let mut pending = Some(pending);
        let mut former = None;
        if let Ok(mut contexts) = self.contexts.try_borrow_mut()
            && contexts.get_mut(id).is_some()
            && let Some(pending) = pending.take()
        {
            former = contexts.set_pending(id, pending);
        }
        drop(former);
        pending.is_none()
    }

    /// A future waits: its headers with it, unless it waits for a body that comes
    /// only after them.
    fn hold(&self, id: u32, kind: Kind, inbox: &Inbox) {
        if !kind.is_headers() {
            return;
        }
        if inbox.holds_headers() {
            self.answer_if_awaited(id, kind.direction(), PAUSE);
        } else if inbox.is_awaited() && !inbox.is_released() {
            inbox.release();
            self.answer(id, kind.direction(), CONTINUE);
        }
    }

    /// A callback is over. What its flow says is done, and the callbacks are made
    /// that waited for it.
    fn completed(&self, id: u32, kind: Kind, done: Done, body: Body, mut later: Later) {
        let direction = kind.direction();
        if done.copy.is_some() {
            self.keep(id, done.copy);
        }
        // Of a stream that is gone nothing may be said to the host, which may delete it
        // within the very call that answers it.
        let Some(standing) = self.standing(id) else {
            return;
        };
        let action = self.settle(id, kind.into(), standing, done.flow);
        let is_answered = self.standing(id).is_none_or(|standing| {
            matches!(standing, Standing::Replied | Standing::Broken) && action != CONTINUE
        });
        if is_answered {
            // Nothing that waits goes on.
            self.answer_if_awaited(id, direction, PAUSE);
            return;
        }
        let (body_kind, trailers_kind) = parts(direction);
        if body.taken {
            later.take(body_kind);
        }
        if let Some(mut event) = later.take(body_kind) {
            if kind.is_headers() || kind.is_body() {
                event.size = if kind.is_body() {
                    body.held
                } else {
                    event.size
                };
                event.offset = if kind.is_body() && action == CONTINUE {
                    done.body_end
                } else {
                    0
                };
            }
            self.begin(id, event, later);
            return;
        }
        if let Some(event) = later.take(trailers_kind) {
            self.begin(id, event, later);
            return;
        }
        self.answer(id, direction, action);
        if let Some(event) = later.next() {
            self.begin(id, event, later);
        }
    }

    /// Tells the host what becomes of what it holds in a direction: in the callback
    /// that it waits for, or by a host call.
    fn answer(&self, id: u32, direction: Direction, action: u32) {
        if self.answer_if_awaited(id, direction, action) || action != CONTINUE {
            return;
        }
        let stream = match direction {
            Direction::Request => StreamType::HttpRequest,
            Direction::Response => StreamType::HttpResponse,
        };
        if let Err(error) = abi::continue_stream(stream) {
            // Held for ever: it is let on nowhere.
            self.errors.get().increment();
            log::error!(error:%; "the stream could not be resumed");
        }
    }

    fn answer_if_awaited(&self, id: u32, direction: Direction, action: u32) -> bool {
        let mut running = self.running.get();
        let awaited = running.awaited == Some((id, direction));
        if awaited {
            running.answer = action;
            self.running.set(running);
        }
        awaited
    }

    /// Drops the future of a stream that is over.
    pub(super) fn abandon(&self, id: u32) {
        let pending = match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => contexts.take_pending(id),
            Err(_) => return,
        };
        if let Some(Pending {
            kind,
            task: Some(mut task),
            ..
        }) = pending
        {
            let state = task.end();
            self.idle.put(kind, task);
            self.leave(id, state);
        }
    }

    /// Polls the futures that something happened for: in the callback of a stream
    /// (`only`), those of no other. Envoy takes a local reply for another stream to
    /// stop the one whose callback runs. The others are polled in the next tick.
    #[inline]
    pub(super) fn run_woken(&self, only: Option<u32>) {
        if self.reactor.has_woken() || self.reactor.has_spawned() {
            self.run_all_woken(only);
        }
    }

    fn run_all_woken(&self, only: Option<u32>) {
        // Within the poll of a future, it may be that one which is woken: whoever
        // polls it goes on with the others.
        if self.polling.get() > 0 {
            return;
        }
        for _ in 0..MAX_POLLS {
            self.start_spawned();
            match self.reactor.next_woken(only) {
                Some(Key::Stream(id)) => self.poll_stream(id),
                Some(Key::Task(id)) => self.poll_task(id),
                None => return,
            }
        }
    }

    /// Polls a future.
    pub(super) fn polls<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.polling.set(self.polling.get().saturating_add(1));
        let polled = poll();
        self.polling.set(self.polling.get().saturating_sub(1));
        polled
    }

    fn poll_stream(&self, id: u32) {
        let taken = match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => {
                let request = contexts
                    .get_mut(id)
                    .and_then(|stream| stream.request.clone());
                contexts
                    .pending(id)
                    .and_then(|pending| Some((pending.task.take()?, pending.kind)))
                    .map(|(task, kind)| (task, kind, request))
            }
            Err(_) => return,
        };
        // Without a future it was woken late.
        let Some((mut task, kind, request)) = taken else {
            return;
        };
        let is_own = self.running.get().context == id;
        if !self.puts_in_effect(id) || !is_own && Self::is_over() {
            // The stream is gone, and the host has not said so.
            drop(task);
            self.abandon(id);
            self.forget(id);
            return;
        }
        let _scope = StreamScope::enter(request);
        let polled = self.polls(|| task.poll());
        let later = match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => contexts.take_pending(id).map(|pending| pending.later),
            Err(_) => None,
        };
        self.polled(id, kind, task, polled, later.unwrap_or_default());
        // The stream whose callback runs is looked at once more when that is over.
        let is_awaited = |(own, _)| own == id;
        if !self.running.get().awaited.is_some_and(is_awaited) {
            self.forget_if_over(id);
        }
    }

    /// Has host calls be about a context, if the host has it.
    pub(super) fn puts_in_effect(&self, id: u32) -> bool {
        let mut running = self.running.get();
        if running.context == id {
            return true;
        }
        let exists = abi::has_context(id);
        if exists {
            running.context = id;
            self.running.set(running);
        }
        exists
    }

    /// How a stream stands. `None` of one that is gone.
    fn standing(&self, id: u32) -> Option<Standing> {
        match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => contexts.get_mut(id).map(|stream| stream.standing),
            Err(_) => None,
        }
    }
}

/// What the host is told of an event that is held.
fn held(kind: Kind, takes_body: bool) -> u32 {
    if kind.is_headers() && !takes_body {
        STOP_ALL
    } else {
        PAUSE
    }
}

fn parts(direction: Direction) -> (Kind, Kind) {
    match direction {
        Direction::Request => (Kind::RequestBody, Kind::RequestTrailers),
        Direction::Response => (Kind::ResponseBody, Kind::ResponseTrailers),
    }
}

/// The body of an answer, if it is no larger than `limit`.
fn body(buffer: BufferType, size: usize, limit: usize) -> Result<Vec<u8>, CalloutError> {
    if size > limit {
        return Err(CalloutError::TooLarge { size, limit });
    }
    if size == 0 {
        return Ok(Vec::new());
    }
    let body = abi::buffer(buffer, 0, size)?.unwrap_or_default();
    if body.len() == size {
        Ok(body)
    } else {
        Err(HostError::malformed("proxy_get_buffer_bytes").into())
    }
}
