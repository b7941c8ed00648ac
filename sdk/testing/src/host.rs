//! A mock host with a filter in it.

mod callouts;
mod time;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;

use legation::HttpFilter;
use legation::runtime::Runtime;

use crate::call::{Answer, Call, Callback, Made};
use crate::exchange::{Exchange, Upstream};
use crate::guest::{Door, Entry, Guest};
use crate::log::LogLine;
use crate::machine::{After, Machine, RootState};
use crate::message::{AttributeValue, Request};
use crate::stream::{Road, Stream, Way};

/// Envoy's default for a connection, and what a filter may hold of a body.
const BUFFER_LIMIT: usize = 1024 * 1024;
/// What a callback that was stopped by a local reply comes to.
const STOP: u32 = 1;

/// A worker with a filter in it: the filter's real code, linked natively,
/// between a client and an upstream that a test plays.
///
/// Each host is a worker of its own. It stays on its thread; tests that run at
/// the same time have nothing to do with each other.
pub struct Host<F: HttpFilter> {
    pub(crate) machine: Rc<Machine>,
    pub(crate) runtime: Rc<Runtime<Guest<F>>>,
    pub(crate) door: Cell<Door>,
    pub(crate) buffer_limit: Cell<usize>,
    pub(crate) allows_stop_iteration: Cell<bool>,
    /// How far the streams have come that are not over.
    pub(crate) ways: RefCell<HashMap<u32, Rc<RefCell<Way>>>>,
    newest: Cell<Option<Root>>,
    environment: RefCell<Option<BTreeMap<String, String>>>,
}

/// A configuration that a host has loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root(pub(crate) u32);

impl Root {
    /// The number by which host and filter know the configuration.
    pub fn id(self) -> u32 {
        self.0
    }
}

/// A configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration was refused:\n{}", lines.join("\n"))]
pub struct Refused {
    /// What the filter wrote to the log: a line for each error, without the
    /// words that say what it is about.
    pub lines: Vec<String>,
}

/// The configuration of a filter, as the bytes that Envoy hands over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration(pub(crate) Vec<u8>);

impl From<serde_json::Value> for Configuration {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::default(),
            json => Self(json.to_string().into_bytes()),
        }
    }
}

impl From<&str> for Configuration {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Configuration {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<Vec<u8>> for Configuration {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl<F: HttpFilter> Default for Host<F> {
    fn default() -> Self {
        let machine = Machine::new(F::NAME);
        let runtime = Rc::default();
        machine.tell_through(&runtime);
        // A new VM: what another on this thread learned of its host is not its.
        legation::foreign::forget();
        Self {
            machine,
            runtime,
            door: Cell::default(),
            buffer_limit: Cell::new(BUFFER_LIMIT),
            allows_stop_iteration: Cell::new(false),
            ways: RefCell::default(),
            newest: Cell::new(None),
            environment: RefCell::default(),
        }
    }
}

impl<F: HttpFilter> Host<F> {
    /// A host that has loaded the filter with this configuration.
    pub fn configure(configuration: impl Into<Configuration>) -> Result<Self, Refused> {
        let host = Self::new();
        host.load(configuration)?;
        Ok(host)
    }

    /// A host without a configuration yet: to set something up first, and then
    /// [`load`](Self::load) one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads a configuration, beside those that are there. Exchanges go to the
    /// newest.
    pub fn load(&self, configuration: impl Into<Configuration>) -> Result<Root, Refused> {
        let root = Root(self.new_context());
        self.state().roots.insert(root.0, RootState::default());
        self.enter(Entry::new(Callback::ContextCreate, root.0));
        self.load_again(root, configuration)
            .inspect_err(|_| self.unload(root))?;
        self.newest.set(Some(root));
        Ok(root)
    }

    /// Configures one that is there once more, as a host may.
    pub fn load_again(
        &self,
        root: Root,
        configuration: impl Into<Configuration>,
    ) -> Result<(), Refused> {
        let Configuration(configuration) = configuration.into();
        let entry = Entry {
            number: configuration.len(),
            ..Entry::new(Callback::Configure, root.0)
        };
        if let Some(state) = self.state().roots.get_mut(&root.0) {
            state.configuration = configuration;
        }
        let before = self.state().log.len();
        if self.in_environment(|| self.enter(entry)) != Some(0) {
            return Ok(());
        }
        let lines = self.log().split_off(before);
        let lines = lines.iter().map(|line| {
            let message = line.message();
            let bare = message.strip_prefix("configuration refused: ");
            bare.unwrap_or(&message).to_owned()
        });
        Err(Refused {
            lines: lines.collect(),
        })
    }

    /// Takes a configuration away, as Envoy does when an update has replaced
    /// it. Streams that run under it stay.
    pub fn unload(&self, root: Root) {
        self.enter(Entry::new(Callback::Done, root.0));
        self.enter(Entry::new(Callback::Delete, root.0));
        {
            let mut state = self.state();
            state.roots.remove(&root.0);
            state.callouts.forget(root.0);
        }
        if self.newest.get() == Some(root) {
            let left = self.state().roots.keys().next_back().copied();
            self.newest.set(left.map(Root));
        }
    }

    /// The configuration loaded last.
    ///
    /// # Panics
    ///
    /// Where there is none.
    #[track_caller]
    pub fn root(&self) -> Root {
        self.newest
            .get()
            .expect("the host has a configuration loaded")
    }

    /// A request to the filter; say what the upstream answers to have it run.
    #[track_caller]
    pub fn exchange(&self, request: Request) -> Pending<'_, F> {
        self.exchange_on(self.root(), request)
    }

    /// As [`exchange`](Self::exchange), to a filter of this configuration.
    pub fn exchange_on(&self, root: Root, request: Request) -> Pending<'_, F> {
        Pending {
            host: self,
            root,
            request,
        }
    }

    /// A request that the test carries on step by step.
    #[track_caller]
    pub fn stream(&self, request: Request) -> Stream<'_, F> {
        self.stream_on(self.root(), request)
    }

    /// As [`stream`](Self::stream), to a filter of this configuration.
    pub fn stream_on(&self, root: Root, request: Request) -> Stream<'_, F> {
        Stream::start(self, root, request)
    }

    /// The door by which the filter is entered from here on. Choose it before a
    /// configuration is loaded.
    pub fn enter_by(&self, door: Door) {
        self.door.set(door);
    }

    /// What `%ENVIRONMENT(…)%` finds in configurations loaded from here on.
    /// Unset, it is the environment of the test's own process.
    pub fn set_environment(&self, environment: BTreeMap<String, String>) {
        *self.environment.borrow_mut() = Some(environment);
    }

    /// The level of the host's log: 0 trace to 5 critical, 6 off.
    pub fn set_log_level(&self, level: u32) {
        self.state().log_level = level;
    }

    /// Gives an attribute of every request this value; see
    /// [`Request::attribute`].
    pub fn set_attribute(&self, path: &str, value: impl Into<AttributeValue>) {
        let AttributeValue(bytes) = value.into();
        self.state().attributes.insert(nul_joined(path), bytes);
    }

    /// How much of a body the filter may hold before the host answers 413.
    pub fn set_buffer_limit(&self, bytes: usize) {
        self.buffer_limit.set(bytes);
    }

    /// `allow_on_headers_stop_iteration` of the filter's configuration: whether
    /// a filter may have headers wait and see the body meanwhile. Unset, as in
    /// Envoy, the body waits too.
    pub fn set_allow_on_headers_stop_iteration(&self, allow: bool) {
        self.allows_stop_iteration.set(allow);
    }

    /// Gives the host a foreign function. An error is the status it answers.
    ///
    /// It has `verify_signature` to begin with, which really verifies; [`sign`](crate::sign)
    /// is there to be given.
    pub fn set_foreign_function(
        &self,
        name: &str,
        function: impl Fn(&[u8]) -> Result<Vec<u8>, u32> + 'static,
    ) {
        let name = name.as_bytes().to_vec();
        self.state().foreign.insert(name, Rc::new(function));
    }

    /// Takes a foreign function from the host, which is then one that was built
    /// without it.
    pub fn remove_foreign_function(&self, name: &str) {
        self.state().foreign.remove(name.as_bytes());
    }

    /// Has every call of this ABI name answered so.
    ///
    /// # Panics
    ///
    /// Where the ABI has no such call.
    #[track_caller]
    pub fn answer(&self, call: &str, answer: Answer) {
        let name = known(call);
        self.machine.script.borrow_mut().add(name, None, answer);
    }

    /// Has the nth call of this ABI name from now answered so; 1 is the next.
    ///
    /// # Panics
    ///
    /// Where the ABI has no such call.
    #[track_caller]
    pub fn answer_nth(&self, call: &str, nth: usize, answer: Answer) {
        let name = known(call);
        self.machine
            .script
            .borrow_mut()
            .add(name, Some(nth), answer);
    }

    /// Has every call that no other rule answers answered by this.
    pub fn answer_by(&self, decide: impl FnMut(&Call<'_>) -> Answer + 'static) {
        self.machine.script.borrow_mut().decide_by(Box::new(decide));
    }

    /// Has every call answered as Envoy does again.
    pub fn answer_truly(&self) {
        *self.machine.script.borrow_mut() = crate::machine::Script::default();
    }

    /// Every line that the filter has written to the log.
    pub fn log(&self) -> Vec<LogLine> {
        self.state().log.clone()
    }

    /// Every host call made so far.
    pub fn calls(&self) -> Vec<Made> {
        self.state().calls.clone()
    }

    /// The value of a counter, by the name that the host knows it by.
    pub fn counter(&self, name: &str) -> u64 {
        self.state()
            .metrics
            .counters
            .get(name)
            .copied()
            .unwrap_or_default()
    }

    /// The value of a gauge.
    pub fn gauge(&self, name: &str) -> u64 {
        self.state()
            .metrics
            .gauges
            .get(name)
            .copied()
            .unwrap_or_default()
    }

    /// The values that a histogram has recorded.
    pub fn histogram(&self, name: &str) -> Vec<u64> {
        self.state()
            .metrics
            .histograms
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    /// How many streams the filter remembers.
    pub fn streams(&self) -> usize {
        self.runtime.streams()
    }

    /// How many futures the filter has under way, and how many answers and times
    /// they wait for. 0 is at rest.
    pub fn waiting(&self) -> usize {
        self.runtime.waiting()
    }

    /// Makes a callback as the host would, whatever the order: the answer is
    /// the number that the filter gave. For tests of what no sane host does.
    pub fn raw<T>(
        &self,
        context: u32,
        callback: Callback,
        call: impl FnOnce(&Runtime<Guest<F>>) -> T,
    ) -> T {
        let runtime = Rc::clone(&self.runtime);
        let result = self
            .machine
            .enter(context, callback, move || call(&runtime));
        self.returned();
        result
    }

    /// Makes a callback if the module exports it, and does what it has left to
    /// do. What it returned, or what the host makes of it.
    pub(crate) fn enter(&self, entry: Entry) -> Option<u32> {
        let action = self.make(entry)?;
        let stopped = self.returned();
        Some(match action {
            _ if stopped && entry.callback.is_of_message() => STOP,
            action => action,
        })
    }

    fn make(&self, entry: Entry) -> Option<u32> {
        let door = self.door.get();
        if door == Door::Pruned && !entry.is_exported(Runtime::<Guest<F>>::CALLBACKS) {
            return None;
        }
        let runtime = &self.runtime;
        Some(self.machine.make(entry, || match door {
            Door::Pruned => entry.call(runtime),
            Door::Dispatcher => entry.dispatch(runtime),
        }))
    }

    /// Does what callbacks have left to do, unless one is running. Whether the
    /// last one was stopped by a local reply.
    fn returned(&self) -> bool {
        if !self.machine.is_idle() {
            return false;
        }
        let stopped = std::mem::take(&mut self.state().stopped);
        loop {
            let next = self.state().after.pop_front();
            match next {
                None => return stopped,
                Some(After::Tell(answered)) => self.tell(&answered),
                Some(After::Act(id, action)) => {
                    let way = self.ways.borrow().get(&id).cloned();
                    if let Some(way) = way {
                        Road::new(self, id, way).act(action);
                    }
                }
            }
        }
    }

    pub(crate) fn new_context(&self) -> u32 {
        match self.door.get() {
            Door::Pruned => self.machine.new_context(),
            // The dispatcher is one for the thread, whatever hosts there are.
            Door::Dispatcher => LAST_DISPATCHED.with(|last| {
                last.set(last.get() + 1);
                last.get()
            }),
        }
    }

    pub(crate) fn state(&self) -> std::cell::RefMut<'_, crate::machine::State> {
        self.machine.state.borrow_mut()
    }

    fn in_environment<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.environment.borrow().clone() {
            None => work(),
            Some(environment) => legation::format::within(Rc::new(environment), work),
        }
    }
}

thread_local! {
    static LAST_DISPATCHED: Cell<u32> = const { Cell::new(0) };
}

impl<F: HttpFilter> fmt::Debug for Host<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", F::NAME)
    }
}

/// A request that waits for what the upstream will say.
#[must_use = "the exchange runs when the upstream's answer is known"]
pub struct Pending<'h, F: HttpFilter> {
    host: &'h Host<F>,
    root: Root,
    request: Request,
}

impl<F: HttpFilter> Pending<'_, F> {
    /// Runs the exchange. The upstream gives this response, or the one that the
    /// closure makes of the request as it arrived.
    pub fn upstream(self, upstream: impl Upstream) -> Exchange {
        let mut stream = Stream::start(self.host, self.root, self.request);
        stream.run(upstream);
        stream.end()
    }

    /// Runs the exchange with an upstream that answers 200 and no more.
    pub fn run(self) -> Exchange {
        self.upstream(crate::message::Response::ok())
    }
}

#[track_caller]
fn known(call: &str) -> &'static str {
    let found = crate::call::HOST_CALLS.iter().find(|name| **name == call);
    found.unwrap_or_else(|| panic!("the ABI has no host call `{call}`"))
}

pub(crate) fn nul_joined(path: &str) -> Vec<u8> {
    if path.contains('\0') {
        path.as_bytes().to_vec()
    } else {
        path.replace('.', "\0").into_bytes()
    }
}
