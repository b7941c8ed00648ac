//! The mock host itself: what a worker's VM knows, and what each host call
//! does. As measured on Envoy 1.40.0.

mod attributes;
mod callouts;
mod data;
mod metrics;
mod script;
mod shared;
mod stream;

use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::resume_unwind;
use std::rc::Rc;

use legation::HttpFilter;
use legation::runtime::Runtime;

use crate::allocations::{self, Allocations};
use crate::call::{Answer, Call, Callback, Made, Served, Shape, status};
use crate::guest::{Entry, Guest};
use crate::headers::HeaderList;
use crate::log::LogLine;
use crate::signatures;

pub(crate) use callouts::{Answered, Callouts, Pending, Telling, Told};
pub(crate) use metrics::Metrics;
pub(crate) use script::Script;
pub(crate) use shared::{Queues, SharedData};
pub(crate) use stream::{
    Action, Direction, LocalReply, REQUEST_HEADERS, RESPONSE_HEADERS, StreamState,
};

/// 2024-01-01T00:00:00Z, in nanoseconds since 1970.
const START: u64 = 1_704_067_200_000_000_000;

/// What answers in the host's place when every call is disturbed, and sees what
/// the callbacks return.
pub(crate) trait Disturb {
    fn answer(&self, machine: &Machine, call: &Call<'_>) -> Served;

    fn entered(&self, entry: &Entry);

    fn returned(&self, entry: &Entry, verdicts: Vec<(u32, Verdict)>, action: u32);
}

type Tell = Rc<dyn Fn(&Rc<Machine>, &Answered)>;
type Foreign = Rc<dyn Fn(&[u8]) -> Result<Vec<u8>, u32>>;

/// One worker's VM.
pub(crate) struct Machine {
    pub(crate) state: RefCell<State>,
    pub(crate) script: RefCell<Script>,
    disturb: RefCell<Option<Rc<dyn Disturb>>>,
    /// What the guest said of requests in the callback that is running, by
    /// stream: more than one where callbacks wait.
    pub(crate) verdicts: RefCell<Vec<(u32, Verdict)>>,
    pub(crate) failures: RefCell<Vec<String>>,
    /// Hands an answer over in the midst of a host call.
    pub(crate) tell: RefCell<Option<Tell>>,
}

/// How a callback of a filter ended, before the SDK made a number of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Reply,
    Failure,
}

#[derive(Default)]
pub(crate) struct State {
    running: Vec<Running>,
    next_context: u32,
    pub(crate) roots: BTreeMap<u32, RootState>,
    pub(crate) streams: HashMap<u32, StreamState>,
    pub(crate) metrics: Metrics,
    pub(crate) shared: SharedData,
    pub(crate) queues: Queues,
    pub(crate) log: Vec<LogLine>,
    pub(crate) log_level: u32,
    pub(crate) now: u64,
    pub(crate) attributes: HashMap<Vec<u8>, Vec<u8>>,
    pub(crate) foreign: HashMap<Vec<u8>, Foreign>,
    pub(crate) callouts: Callouts,
    /// What is left to do when the callback that is running has returned.
    pub(crate) after: VecDeque<After>,
    /// A local reply was asked for in this callback, of whatever stream: what
    /// the callback returns is a stop.
    pub(crate) stopped: bool,
    /// What a test's own code has panicked with, within a host call.
    panic: Option<Box<dyn Any + Send>>,
    pub(crate) calls: Vec<Made>,
    pub(crate) allocations: Vec<(u32, Callback, Allocations)>,
    plugin_name: String,
}

/// A configuration of the filter.
#[derive(Default)]
pub(crate) struct RootState {
    pub(crate) configuration: Vec<u8>,
    pub(crate) tick_period: Option<u32>,
    pub(crate) next_tick: Option<u64>,
}

/// What the host does once the callback has returned.
#[derive(Debug, Clone)]
pub(crate) enum After {
    Act(u32, Action),
    Tell(Answered),
}

impl RootState {
    /// Has the next tick come a period from now.
    pub(crate) fn set_timer(&mut self, now: u64) {
        let period = self.tick_period.map(|period| u64::from(period) * 1_000_000);
        self.next_tick = period.map(|period| now.saturating_add(period));
    }
}

struct Running {
    context: u32,
    effective: u32,
    callback: Callback,
}

thread_local! {
    static CURRENT: RefCell<Vec<Rc<Machine>>> = const { RefCell::new(Vec::new()) };
}

/// The host whose guest is running on this thread.
pub(crate) fn current() -> Option<Rc<Machine>> {
    CURRENT.with_borrow(|machines| machines.last().cloned())
}

/// Makes a host call. Where no host runs a guest, every call is unknown.
pub(crate) fn call(call: Call<'_>) -> Served {
    match current() {
        Some(machine) => machine.call(&call),
        None => Served::status(status::UNIMPLEMENTED),
    }
}

impl Machine {
    pub(crate) fn new(plugin_name: &str) -> Rc<Self> {
        let mut state = State {
            log_level: 2,
            now: START,
            plugin_name: plugin_name.to_owned(),
            ..State::default()
        };
        let name = signatures::FUNCTION.as_bytes().to_vec();
        state.foreign.insert(name, Rc::new(signatures::verify));
        Rc::new(Self {
            state: RefCell::new(state),
            script: RefCell::default(),
            disturb: RefCell::default(),
            verdicts: RefCell::default(),
            failures: RefCell::default(),
            tell: RefCell::default(),
        })
    }

    /// Makes a callback: what it returned.
    pub(crate) fn make(self: &Rc<Self>, entry: Entry, guest: impl FnOnce() -> u32) -> u32 {
        if let Some(disturb) = self.disturb() {
            disturb.entered(&entry);
        }
        let outer = self.verdicts.take();
        let action = self.enter(entry.context, entry.callback, guest);
        let verdicts = self.verdicts.replace(outer);
        if let Some(disturb) = self.disturb() {
            disturb.returned(&entry, verdicts, action);
        }
        action
    }

    /// Runs a piece of the guest, about a context.
    pub(crate) fn enter<T>(
        self: &Rc<Self>,
        context: u32,
        callback: Callback,
        guest: impl FnOnce() -> T,
    ) -> T {
        let _host = allocations::by_host();
        let _entered = Entered::new(self, context, callback);
        let before = allocations::total();
        let result = {
            let _guest = allocations::by_guest();
            guest()
        };
        let spent = allocations::total() - before;
        let panic = self.state.borrow_mut().panic.take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        let mut state = self.state.borrow_mut();
        // An answer is made to a configuration, and about a stream.
        let about = if callback.is_answer() {
            state.context()
        } else {
            context
        };
        state.allocations.push((about, callback, spent));
        result
    }

    fn call(self: &Rc<Self>, call: &Call<'_>) -> Served {
        self.state.borrow_mut().note(call);
        if let Some(disturb) = self.disturb() {
            return disturb.answer(self, call);
        }
        let answer = Script::decide(&self.script, call);
        self.answer(call, answer)
    }

    /// Carries out what was decided about a call.
    pub(crate) fn answer(&self, call: &Call<'_>, answer: Answer) -> Served {
        match answer {
            Answer::Real => self.serve(call),
            Answer::Status(status) => Served::status(status),
            Answer::RealBut(status) => Served {
                status,
                ..self.serve(call)
            },
            Answer::Bytes(bytes) => Served::bytes(bytes),
            Answer::CutTo(size) => {
                let mut served = self.serve(call);
                served.bytes.truncate(size);
                served
            }
            Answer::Null => Served::ok(),
            Answer::NullOfSize(size) => Served::of_shape(Shape::NullOfSize(size)),
            Answer::BlockOfNothing => Served::of_shape(Shape::BlockOfNothing),
            Answer::Number(number) => Served::number(number),
        }
    }

    fn serve(&self, call: &Call<'_>) -> Served {
        if let Call::Foreign {
            function,
            arguments,
        } = *call
        {
            let function = self.state.borrow().foreign.get(function).cloned();
            return match function.map(|function| function(arguments)) {
                None => Served::status(status::NOT_FOUND),
                Some(Ok(bytes)) => Served::bytes(bytes),
                Some(Err(status)) => Served::status(status),
            };
        }
        let Some(asked) = callouts::ask(&self.state, call) else {
            return self.state.borrow_mut().serve(call);
        };
        if let Some(answered) = asked.afterwards {
            let mut state = self.state.borrow_mut();
            state.after.push_back(After::Tell(answered));
        }
        if let Some(answered) = asked.at_once
            && let Some(machine) = current()
            && let Some(tell) = self.tell.borrow().clone()
        {
            tell(&machine, &answered);
        }
        asked.served
    }

    fn disturb(&self) -> Option<Rc<dyn Disturb>> {
        self.disturb.borrow().clone()
    }

    /// Has answers within a host call handed over to this filter.
    pub(crate) fn tell_through<F: HttpFilter>(&self, runtime: &Rc<Runtime<Guest<F>>>) {
        let runtime = Rc::downgrade(runtime);
        *self.tell.borrow_mut() = Some(Rc::new(move |machine, answered| {
            if let Some(runtime) = runtime.upgrade() {
                machine.told(answered, |entry| {
                    if entry.is_exported(Runtime::<Guest<F>>::CALLBACKS) {
                        machine.make(entry, || entry.call(&runtime));
                    }
                });
            }
        }));
    }

    /// Makes an answer readable while it is told.
    pub(crate) fn told(&self, answered: &Answered, tell: impl FnOnce(Entry)) {
        let root = {
            let state = self.state.borrow();
            let stream = state.streams.get(&answered.context);
            stream.map_or(answered.context, |stream| stream.root)
        };
        let (told, telling) = Told::of(root, answered);
        let entry = Entry::telling(answered.context, answered.token, &telling);
        let outer = std::mem::replace(&mut self.state.borrow_mut().callouts.told, told);
        tell(entry);
        self.state.borrow_mut().callouts.told = outer;
    }

    /// Whether no guest is running.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.borrow().running.is_empty()
    }

    pub(crate) fn set_disturb(&self, disturb: Option<Rc<dyn Disturb>>) {
        *self.disturb.borrow_mut() = disturb;
    }

    pub(crate) fn new_context(&self) -> u32 {
        let mut state = self.state.borrow_mut();
        state.next_context += 1;
        state.next_context
    }
}

/// That a guest is running, until dropped.
struct Entered(Rc<Machine>);

impl Entered {
    fn new(machine: &Rc<Machine>, context: u32, callback: Callback) -> Self {
        machine.state.borrow_mut().running.push(Running {
            context,
            effective: context,
            callback,
        });
        CURRENT.with_borrow_mut(|machines| machines.push(Rc::clone(machine)));
        Self(Rc::clone(machine))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(Vec::pop);
        if let Ok(mut state) = self.0.state.try_borrow_mut() {
            state.running.pop();
        }
    }
}

impl State {
    fn note(&mut self, call: &Call<'_>) {
        if let Some(running) = self.running.last() {
            let effective = match *call {
                Call::SetEffectiveContext { context } => context,
                _ => running.effective,
            };
            self.calls.push(Made {
                name: call.name(),
                callback: running.callback,
                context: running.context,
                effective,
            });
        }
    }

    /// The context that a call is about.
    pub(crate) fn context(&self) -> u32 {
        self.running.last().map_or(0, |running| running.effective)
    }

    /// The number of the configuration that a call is about.
    fn root_id(&self) -> u32 {
        let context = self.context();
        let stream = self.streams.get(&context);
        stream.map_or(context, |stream| stream.root)
    }

    /// The configuration that a call is about.
    fn root(&mut self) -> Option<&mut RootState> {
        let root = self.root_id();
        self.roots.get_mut(&root)
    }

    fn running(&self, callback: Callback) -> bool {
        self.running
            .last()
            .is_some_and(|running| running.callback == callback)
    }

    fn here(&mut self) -> Option<&mut StreamState> {
        let context = self.context();
        self.streams.get_mut(&context)
    }

    fn serve(&mut self, call: &Call<'_>) -> Served {
        match *call {
            Call::Log { level, message } => self.write_log(level, message),
            Call::LogLevel => Served::number(self.log_level),
            Call::Now => Served::number(self.now),
            Call::SetTickPeriod { milliseconds } => {
                let now = self.now;
                if let Some(root) = self.root() {
                    root.tick_period = (milliseconds > 0).then_some(milliseconds);
                    root.set_timer(now);
                }
                Served::ok()
            }
            Call::Buffer {
                buffer,
                start,
                max_size,
            } => self.buffer(buffer, start, max_size),
            Call::SetBuffer {
                buffer,
                start,
                size,
                data,
            } => Served::status(match self.here() {
                Some(stream) => stream.set_buffer(buffer, start, size, data),
                None => status::BAD_ARGUMENT,
            }),
            Call::Map { .. }
            | Call::MapValue { .. }
            | Call::SetMap { .. }
            | Call::ReplaceMapValue { .. }
            | Call::AddMapValue { .. }
            | Call::RemoveMapValue { .. } => self.serve_map(call),
            Call::Property { path } => self.property(path),
            Call::SetProperty { path, value } => {
                if let Some(stream) = self.here() {
                    stream.wasm_state.insert(path.to_vec(), value.to_vec());
                }
                Served::ok()
            }
            Call::SharedData { key } => self.shared.get(key),
            Call::SetSharedData { key, value, cas } => {
                Served::status(self.shared.set(key, value, cas))
            }
            Call::RegisterQueue { name } => Served::number(self.queues.register(name)),
            Call::ResolveQueue { name, .. } => match self.queues.resolve(name) {
                Some(queue) => Served::number(queue),
                None => Served::status(status::NOT_FOUND),
            },
            Call::Dequeue { queue } => self.queues.dequeue(queue),
            Call::Enqueue { queue, value } => Served::status(self.queues.enqueue(queue, value)),
            Call::ContinueStream { stream } => self.act(stream, Action::Continue),
            Call::CloseStream { stream } => self.act(stream, Action::Close),
            Call::LocalResponse {
                status,
                details,
                body,
                headers,
                grpc_status,
            } => {
                let reply = LocalReply {
                    status,
                    details: String::from_utf8_lossy(details).into_owned(),
                    body: body.to_vec(),
                    headers: HeaderList::decode(headers).unwrap_or_default(),
                    grpc_status,
                };
                self.stopped = true;
                let context = self.context();
                // Envoy sends the first local reply and crashes at some others.
                if let Some(stream) = self.here()
                    && !std::mem::replace(&mut stream.replied, true)
                {
                    let reply = After::Act(context, Action::Reply(reply));
                    self.after.push_back(reply);
                }
                Served::ok()
            }
            Call::GrpcStream { .. } | Call::GrpcSend { .. } => {
                Served::status(status::UNIMPLEMENTED)
            }
            Call::GrpcCancel { token } => Served::status(self.callouts.cancel(token)),
            Call::GrpcClose { .. } => Served::status(status::NOT_FOUND),
            Call::GrpcStatus => self.callouts.told.status(),
            Call::HttpCall { .. } | Call::GrpcCall { .. } | Call::Foreign { .. } => Served::ok(),
            Call::SetEffectiveContext { context } => self.set_effective(context),
            Call::Done => Served::status(status::INTERNAL_FAILURE),
            Call::DefineMetric { kind, name } => self.metrics.define(kind, name),
            Call::Metric { metric } => self.metrics.get(metric),
            Call::RecordMetric { metric, value } => {
                Served::status(self.metrics.record(metric, value))
            }
            Call::IncrementMetric { metric, offset } => {
                Served::status(self.metrics.increment(metric, offset))
            }
        }
    }

    fn write_log(&mut self, level: u32, message: &[u8]) -> Served {
        if level > 5 {
            return Served::status(status::BAD_ARGUMENT);
        }
        if level >= self.log_level {
            let line = LogLine::new(level, message, self.context());
            self.log.push(line);
        }
        Served::ok()
    }

    fn act(&mut self, stream: u32, action: impl FnOnce(Direction) -> Action) -> Served {
        let direction = match stream {
            0 => Direction::Request,
            1 => Direction::Response,
            2 | 3 => return Served::ok(),
            _ => return Served::status(status::BAD_ARGUMENT),
        };
        let context = self.context();
        if let Some(stream) = self.here() {
            let action = action(direction);
            if matches!(action, Action::Continue(_)) {
                stream.lose_request();
            }
            self.after.push_back(After::Act(context, action));
        }
        Served::ok()
    }

    fn set_effective(&mut self, context: u32) -> Served {
        let known = self.streams.contains_key(&context) || self.roots.contains_key(&context);
        match self.running.last_mut() {
            Some(running) if known => {
                running.effective = context;
                Served::ok()
            }
            _ => Served::status(status::BAD_ARGUMENT),
        }
    }
}
