//! The mock host itself: what a worker's VM knows, and what each host call
//! does. As measured on Envoy 1.40.0.

mod attributes;
mod metrics;
mod script;
mod shared;
mod stream;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::allocations::{self, Allocations};
use crate::call::{Answer, Call, Callback, Made, Served, Shape, status};
use crate::guest::Entry;
use crate::headers::{self, HeaderList, Kind};
use crate::log::LogLine;

pub(crate) use metrics::Metrics;
pub(crate) use script::Script;
pub(crate) use shared::{Queues, SharedData};
pub(crate) use stream::{
    Action, Direction, LocalReply, REQUEST_HEADERS, REQUEST_TRAILERS, RESPONSE_HEADERS,
    RESPONSE_TRAILERS, StreamState,
};

/// 2024-01-01T00:00:00Z, in nanoseconds since 1970.
const START: u64 = 1_704_067_200_000_000_000;

/// What answers in the host's place when every call is disturbed, and sees what
/// the callbacks return.
pub(crate) trait Disturb {
    fn answer(&self, machine: &Machine, call: &Call<'_>) -> Served;

    fn entered(&self, entry: &Entry);

    fn returned(&self, entry: &Entry, verdict: Option<Verdict>, action: u32);
}

type Foreign = Rc<dyn Fn(&[u8]) -> Result<Vec<u8>, u32>>;

/// One worker's VM.
pub(crate) struct Machine {
    pub(crate) state: RefCell<State>,
    pub(crate) script: RefCell<Script>,
    disturb: RefCell<Option<Rc<dyn Disturb>>>,
    /// What the guest said in the callback that is running.
    pub(crate) verdict: Cell<Option<Verdict>>,
    pub(crate) failures: RefCell<Vec<String>>,
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
    pub(crate) callouts: Vec<HttpCall>,
    pub(crate) calls: Vec<Made>,
    pub(crate) allocations: Vec<(u32, Callback, Allocations)>,
    plugin_name: String,
}

/// A configuration of the filter.
#[derive(Default)]
pub(crate) struct RootState {
    pub(crate) configuration: Vec<u8>,
    pub(crate) tick_period: Option<u32>,
}

/// An HTTP callout that the filter asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// The context that asked.
    pub context: u32,
    /// The number that the answer will bear.
    pub token: u32,
    /// The cluster.
    pub upstream: Vec<u8>,
    /// The request's headers.
    pub headers: HeaderList,
    /// The request's body.
    pub body: Vec<u8>,
    /// The request's trailers.
    pub trailers: HeaderList,
    /// How long it may take, in milliseconds.
    pub timeout: u32,
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
        let state = State {
            log_level: 2,
            now: START,
            plugin_name: plugin_name.to_owned(),
            ..State::default()
        };
        Rc::new(Self {
            state: RefCell::new(state),
            script: RefCell::default(),
            disturb: RefCell::default(),
            verdict: Cell::new(None),
            failures: RefCell::default(),
        })
    }

    /// Makes a callback: what it returned.
    pub(crate) fn make(self: &Rc<Self>, entry: Entry, guest: impl FnOnce() -> u32) -> u32 {
        if let Some(disturb) = self.disturb() {
            disturb.entered(&entry);
        }
        let outer = self.verdict.replace(None);
        let action = self.enter(entry.context, entry.callback, guest);
        let verdict = self.verdict.replace(outer);
        if let Some(disturb) = self.disturb() {
            disturb.returned(&entry, verdict, action);
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
        let mut state = self.state.borrow_mut();
        state.allocations.push((context, callback, spent));
        result
    }

    fn call(&self, call: &Call<'_>) -> Served {
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
        self.state.borrow_mut().serve(call)
    }

    fn disturb(&self) -> Option<Rc<dyn Disturb>> {
        self.disturb.borrow().clone()
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
            self.calls.push(Made {
                name: call.name(),
                callback: running.callback,
                context: running.context,
            });
        }
    }

    /// The context that a call is about.
    fn context(&self) -> u32 {
        self.running.last().map_or(0, |running| running.effective)
    }

    /// The configuration that a call is about.
    fn root(&mut self) -> Option<&mut RootState> {
        let context = self.context();
        let root = self
            .streams
            .get(&context)
            .map_or(context, |stream| stream.root);
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
                if let Some(root) = self.root() {
                    root.tick_period = (milliseconds > 0).then_some(milliseconds);
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
                if let Some(stream) = self.here() {
                    stream.reply(reply);
                }
                Served::ok()
            }
            Call::HttpCall {
                upstream,
                headers,
                body,
                trailers,
                timeout,
            } => self.http_call(upstream, headers, body, trailers, timeout),
            Call::GrpcCall { .. } | Call::GrpcStream { .. } | Call::GrpcSend { .. } => {
                Served::status(status::UNIMPLEMENTED)
            }
            Call::GrpcCancel { .. } | Call::GrpcClose { .. } => Served::status(status::NOT_FOUND),
            Call::GrpcStatus | Call::Foreign { .. } => Served::ok(),
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

    fn serve_map(&mut self, call: &Call<'_>) -> Served {
        match *call {
            Call::Map { map } => self.map(map),
            Call::MapValue { map, name } => match self.here() {
                Some(stream) => stream.map_value(map, name),
                None => Served::status(status::BAD_ARGUMENT),
            },
            Call::SetMap { map, pairs } => self.change(map, |list| {
                let pairs = HeaderList::decode(pairs).unwrap_or_default();
                list.clear();
                for (name, value) in pairs.iter() {
                    list.add(name, value);
                }
            }),
            Call::ReplaceMapValue { map, name, value } => {
                self.change(map, |list| list.set(name, value))
            }
            Call::AddMapValue { map, name, value } => {
                self.change(map, |list| list.add(name, value))
            }
            Call::RemoveMapValue { map, name } => self.change(map, |list| {
                list.remove(name);
            }),
            _ => Served::status(status::UNIMPLEMENTED),
        }
    }

    fn write_log(&mut self, level: u32, message: &[u8]) -> Served {
        if level > 5 {
            return Served::status(status::BAD_ARGUMENT);
        }
        if level >= self.log_level {
            let context = self.running.last().map_or(0, |running| running.context);
            self.log.push(LogLine::new(level, message, context));
        }
        Served::ok()
    }

    fn buffer(&mut self, buffer: u32, start: usize, max_size: usize) -> Served {
        const VM_CONFIGURATION: u32 = 6;
        const PLUGIN_CONFIGURATION: u32 = 7;
        const LAST: u32 = 8;
        let bytes = match buffer {
            0 | 1 => self.here().map(|stream| stream.buffer(buffer).to_vec()),
            PLUGIN_CONFIGURATION => {
                let readable =
                    self.running(Callback::Configure) || self.running(Callback::ContextCreate);
                match self.root() {
                    Some(root) if readable => Some(root.configuration.clone()),
                    _ => return Served::status(status::NOT_FOUND),
                }
            }
            VM_CONFIGURATION => None,
            2..=LAST => return Served::status(status::NOT_FOUND),
            _ => return Served::status(status::BAD_ARGUMENT),
        };
        let Some(end) = start.checked_add(max_size) else {
            return Served::status(status::BAD_ARGUMENT);
        };
        let bytes = bytes.unwrap_or_default();
        let end = end.min(bytes.len());
        Served::bytes(bytes.get(start..end).unwrap_or_default())
    }

    fn map(&mut self, map: u32) -> Served {
        if map > stream::LAST_MAP {
            return Served::status(status::BAD_ARGUMENT);
        }
        let list = self.here().and_then(|stream| stream.readable(map));
        match list {
            Some(list) if !list.is_empty() => Served::bytes(headers::encode(list.iter())),
            _ => Served::ok(),
        }
    }

    fn change(&mut self, map: u32, change: impl FnOnce(&mut HeaderList)) -> Served {
        match self.here().and_then(|stream| stream.writable(map)) {
            Some(list) => {
                change(list);
                Served::ok()
            }
            None => Served::status(status::BAD_ARGUMENT),
        }
    }

    fn act(&mut self, stream: u32, action: impl FnOnce(Direction) -> Action) -> Served {
        let direction = match stream {
            0 => Direction::Request,
            1 => Direction::Response,
            2 | 3 => return Served::ok(),
            _ => return Served::status(status::BAD_ARGUMENT),
        };
        if let Some(stream) = self.here() {
            stream.actions.push_back(action(direction));
        }
        Served::ok()
    }

    fn http_call(
        &mut self,
        upstream: &[u8],
        headers: &[u8],
        body: &[u8],
        trailers: &[u8],
        timeout: u32,
    ) -> Served {
        let headers = HeaderList::decode(headers)
            .unwrap_or_default()
            .into_kind(Kind::Request);
        let complete = [":method", ":path", ":authority"]
            .iter()
            .all(|name| headers.contains(name));
        if upstream.is_empty() || !complete {
            return Served::status(status::BAD_ARGUMENT);
        }
        let token = u32::try_from(self.callouts.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        self.callouts.push(HttpCall {
            context: self.context(),
            token,
            upstream: upstream.to_vec(),
            headers,
            body: body.to_vec(),
            trailers: HeaderList::decode(trailers).unwrap_or_default(),
            timeout,
        });
        Served::number(token)
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
