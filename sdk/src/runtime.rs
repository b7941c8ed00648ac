//! Carries the host's callbacks to a filter: which filter value a stream
//! belongs to, what it remembers, and what becomes of errors.
//!
//! A filter's author does not meet this module: [`register!`](crate::register)
//! makes a [`Runtime`] and connects it to the host, the crate
//! `legation-testing` connects one to its mock host.

mod asking;
mod background;
mod contexts;
mod forgetting;
pub(crate) mod reactor;
mod refusals;
mod remote;
mod streams;
mod tasks;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::abi::{self, BufferType};
use crate::config::{self, ConfigErrors};
use crate::configure::Configure;
use crate::error::{Error, Result};
use crate::filter::{Callbacks, Flow, HttpFilter};
use crate::headers::HeaderList;
use crate::logging::{self, StreamScope};
use crate::metrics::Counter;
use crate::phase::{
    RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
    StreamLog,
};
use crate::remote_config::{Work, Written};
use background::{Background, FETCHING};
use contexts::{Contexts, Plugin, Standing, Stream};
use reactor::{Reactor, Spawned};
use remote::Remote;
use streams::Running;
pub(crate) use tasks::at_once;
use tasks::{Event, Idle, Kind};

/// The ABI's actions. That of `STOP_ALL` is Envoy's `StopAllIterationAndWatermark`:
/// after headers, nothing of the message comes before they are let on.
const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;
const STOP_ALL: u32 = 4;

/// Streams after which the log level is read again.
const STREAMS_A_LOG_LEVEL: u32 = 1_024;

/// A filter and its streams, on one worker.
///
/// The methods are the ABI's callbacks. None of them panics, whatever the
/// order in which a host calls them, and a call from within another is served.
pub struct Runtime<F: HttpFilter> {
    contexts: RefCell<Contexts<F>>,
    streams_to_log_level: Cell<u32>,
    errors: Cell<Counter>,
    /// What follows is for filters that await.
    reactor: Rc<Reactor>,
    idle: Idle<F>,
    background: Background,
    running: Cell<Running>,
    /// How many futures are being polled, one within another.
    polling: Cell<u32>,
    /// For filters whose configuration is fetched.
    remote: Remote<F>,
    /// How many filters such configurations have had.
    generations: Cell<u64>,
}

/// Where in a stream a callback stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Request,
    ResponseHeaders,
    /// The headers are gone to the client.
    Response,
}

impl From<Kind> for Phase {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::RequestHeaders | Kind::RequestBody | Kind::RequestTrailers => Self::Request,
            Kind::ResponseHeaders => Self::ResponseHeaders,
            Kind::ResponseBody | Kind::ResponseTrailers => Self::Response,
        }
    }
}

impl Standing {
    /// Whether a message may go on in this phase. A request that has a local
    /// reply goes nowhere; the reply itself goes on to the client.
    fn lets(self, phase: Phase) -> bool {
        match self {
            Self::Open | Self::Finished => true,
            Self::Overtaken | Self::Replied | Self::Left => phase != Phase::Request,
            Self::Broken => false,
        }
    }
}

/// A stream whose callback runs.
struct Entered<F: HttpFilter> {
    state: F::Stream,
    filter: Rc<F>,
    request: Option<HeaderList>,
    standing: Standing,
    holds_headers: bool,
}

/// Why a stream could not be entered.
enum Absent {
    Unknown,
    /// One of its callbacks runs already.
    Busy,
    /// Its filter's configuration is not there yet. How it stands.
    NotConfigured(Standing),
}

impl<F: HttpFilter> Default for Runtime<F> {
    fn default() -> Self {
        Self {
            contexts: RefCell::default(),
            streams_to_log_level: Cell::new(STREAMS_A_LOG_LEVEL),
            errors: Cell::new(Counter::disabled()),
            reactor: Rc::default(),
            idle: Idle::default(),
            background: Background::default(),
            running: Cell::default(),
            polling: Cell::default(),
            remote: Remote::default(),
            generations: Cell::default(),
        }
    }
}

impl<F: HttpFilter> Runtime<F> {
    /// The callbacks that the host must make: those that the filter has; that
    /// of a context's creation, where one stream must be told from another; that
    /// of its end, where no callback of the filter's is sure to be the last; and
    /// that of the request, where it is refused until there is a filter.
    pub const CALLBACKS: Callbacks = {
        let creation = if Self::KNOWS_STREAMS {
            Callbacks::CREATE
        } else {
            Callbacks::NONE
        };
        let end = if Self::TOLD_OF_ENDS {
            Callbacks::DELETE
        } else {
            Callbacks::NONE
        };
        let answers = if Self::REACTS {
            Callbacks::ANSWERS.and(Callbacks::TICK)
        } else {
            Callbacks::NONE
        };
        let request = if F::REMOTE_CONFIG {
            Callbacks::REQUEST_HEADERS
        } else {
            Callbacks::NONE
        };
        F::CALLBACKS
            .and(request)
            .and(creation)
            .and(end)
            .and(answers)
            .and(Self::BODIES)
    };

    /// Whether any callback is an `async fn`.
    const AWAITS: bool = !F::AWAITS.is_empty();

    /// Whether anything awaits, be it what fetches the configuration.
    const REACTS: bool = Self::AWAITS || F::REMOTE_CONFIG;

    /// The callbacks by which a body is taken in while that of the headers waits.
    const BODIES: Callbacks = {
        let request = if F::AWAITS.contains(Callbacks::REQUEST_HEADERS) {
            Callbacks::REQUEST_BODY.and(Callbacks::REQUEST_TRAILERS)
        } else {
            Callbacks::NONE
        };
        let response = if F::AWAITS.contains(Callbacks::RESPONSE_HEADERS) {
            Callbacks::RESPONSE_BODY.and(Callbacks::RESPONSE_TRAILERS)
        } else {
            Callbacks::NONE
        };
        request.and(response)
    };

    /// A filter value without any data is the same for every configuration, and
    /// with its one callback can neither remember a stream nor answer it twice:
    /// it need not know one stream from another.
    const KNOWS_STREAMS: bool = Self::AWAITS
        || size_of::<F>() != 0
        || size_of::<F::Stream>() != 0
        || std::mem::needs_drop::<F::Stream>()
        || !Callbacks::REQUEST_HEADERS
            .and(Callbacks::TICK)
            .contains(F::CALLBACKS);

    /// Without callbacks for bodies, trailers and the end, what is remembered of
    /// a stream goes with its response's headers. The few streams that never
    /// have any are found by asking the host, from time to time.
    ///
    /// So it is with the request's headers of a filter that seldom awaits something
    /// there, and nothing else. The few that end while they wait are found when what
    /// they await has come.
    const TOLD_OF_ENDS: bool = {
        let request = Callbacks::REQUEST_HEADERS.and(Callbacks::TICK);
        let headers = request.and(Callbacks::RESPONSE_HEADERS);
        if Self::AWAITS {
            !(F::AT_ONCE && request.contains(F::CALLBACKS))
        } else {
            Self::KNOWS_STREAMS && !headers.contains(F::CALLBACKS)
        }
    };

    /// Whether a callback comes after the request's headers that may want them,
    /// for itself or for its log lines.
    const KEEPS_HEADERS: bool = !Callbacks::REQUEST_HEADERS
        .and(Callbacks::LOG)
        .and(Callbacks::DONE)
        .and(Callbacks::TICK)
        .contains(F::CALLBACKS);

    /// `proxy_on_context_create`
    pub fn on_context_create(&self, id: u32, root: u32) {
        if root == 0 {
            if let Ok(mut contexts) = self.contexts.try_borrow_mut() {
                contexts.add_root(id);
            }
            return;
        }
        let filter = self.filter(root);
        if filter.is_some() || F::REMOTE_CONFIG && self.has_root(root) {
            if !Self::TOLD_OF_ENDS {
                self.sweep_streams(id);
            }
            // Made, like dropped, outside the borrow: it is the filter's code,
            // which may call the host, and the host the filter.
            let stream = Stream {
                root,
                filter,
                state: Some(F::Stream::default()),
                request: None,
                standing: Standing::Open,
            };
            let former = match self.contexts.try_borrow_mut() {
                Ok(mut contexts) => contexts.insert(id, stream),
                Err(_) => return,
            };
            drop(former);
        }
    }

    /// `proxy_on_configure`: whether the configuration is accepted. Each error
    /// is a line in the log.
    pub fn on_configure(&self, root: u32, size: usize) -> bool {
        logging::install(F::NAME);
        let _scope = self.reacts();
        let others = self.reactor.take_spawned();
        let configured = self.configure(root, size);
        let spawned = self.reactor.replace_spawned(others);
        let (loaded, spawned, work) = match configured {
            Ok(Configured { made, fetched }) => {
                let loaded = match made {
                    Some((filter, plugin, errors)) => {
                        self.errors.set(errors);
                        (Some(Rc::new(filter)), plugin)
                    }
                    None => (None, Plugin::default()),
                };
                match fetched {
                    // What else was spawned belongs to a filter that is not taken.
                    Some((work, of_filter)) => {
                        self.drop_spawned(spawned);
                        (loaded, of_filter, Some(work))
                    }
                    None => (loaded, spawned, None),
                }
            }
            Err(refusal) => {
                self.drop_spawned(spawned);
                for line in refusal {
                    log::error!("configuration refused: {line}");
                }
                return false;
            }
        };
        let Ok(mut contexts) = self.contexts.try_borrow_mut() else {
            self.drop_spawned(spawned);
            return false;
        };
        let is_there = contexts.has_root(root);
        let (generation, before) = (loaded.1.generation, contexts.plugin(root).generation);
        let (others, former) = contexts.set_filter(root, loaded, !Self::KNOWS_STREAMS);
        drop(contexts);
        drop(others);
        self.replaced(root, before, former);
        self.sweep_roots(root);
        if Self::REACTS {
            if is_there {
                if let Some(work) = work {
                    self.reactor.task_begins();
                    self.add_job(root, FETCHING, Box::pin(work.run()));
                }
                self.configured(root, generation, spawned);
            } else {
                // It was deleted while it was configured: nobody will end these.
                self.drop_spawned(spawned);
            }
        }
        true
    }

    /// `proxy_on_tick`
    pub fn on_tick(&self, root: u32) {
        logging::refresh_level();
        self.sweep_roots(root);
        // Where nothing is fetched, a filter that awaits nothing has its ticks and no more.
        let is_waited_for = || self.ticking().is_some() || self.reactor.needs_ticks();
        if Self::AWAITS || Self::REACTS && is_waited_for() {
            self.ticked(root);
        } else if let Some(filter) = self.filter(root) {
            // Without an `async fn` in it, it is over at once.
            let _ = at_once(filter.on_tick());
        }
    }

    /// `proxy_on_request_headers`
    pub fn on_request_headers(&self, id: u32, end_of_stream: bool) -> u32 {
        self.refresh_log_level(id);
        let action = self.event(id, Event::headers(Kind::RequestHeaders, end_of_stream));
        if !Self::TOLD_OF_ENDS
            && !Self::AWAITS
            && !F::CALLBACKS.contains(Callbacks::RESPONSE_HEADERS)
        {
            self.forget(id);
        }
        action
    }

    /// `proxy_on_request_body`
    pub fn on_request_body(&self, id: u32, size: usize, end_of_stream: bool) -> u32 {
        self.event(id, Event::body(Kind::RequestBody, size, end_of_stream))
    }

    /// `proxy_on_request_trailers`
    pub fn on_request_trailers(&self, id: u32) -> u32 {
        self.event(id, Event::trailers(Kind::RequestTrailers))
    }

    /// `proxy_on_response_headers`
    pub fn on_response_headers(&self, id: u32, end_of_stream: bool) -> u32 {
        let action = self.event(id, Event::headers(Kind::ResponseHeaders, end_of_stream));
        if !Self::TOLD_OF_ENDS {
            self.forget(id);
        }
        action
    }

    /// `proxy_on_response_body`
    pub fn on_response_body(&self, id: u32, size: usize, end_of_stream: bool) -> u32 {
        self.event(id, Event::body(Kind::ResponseBody, size, end_of_stream))
    }

    /// `proxy_on_response_trailers`
    pub fn on_response_trailers(&self, id: u32) -> u32 {
        self.event(id, Event::trailers(Kind::ResponseTrailers))
    }

    /// `proxy_on_done`: whether the host may go on to log and delete at once.
    pub fn on_done(&self, id: u32) -> bool {
        self.ending(id, || self.end(id, F::on_done));
        true
    }

    /// `proxy_on_log`
    pub fn on_log(&self, id: u32) {
        self.ending(id, || {
            self.end(id, |filter, stream| {
                filter.on_log(stream, &mut StreamLog::new());
            });
        });
    }

    /// `proxy_on_delete`
    pub fn on_delete(&self, id: u32) {
        // What the context held is dropped after the borrow: a filter's `Drop`
        // may call the host, and the host the filter.
        let Ok(mut contexts) = self.contexts.try_borrow_mut() else {
            return;
        };
        // Most streams leave nothing that notices.
        let is_quiet = |stream: &mut Stream<F>| {
            let filter = stream.filter.as_ref();
            !std::mem::needs_drop::<F::Stream>()
                && filter.is_none_or(|filter| Rc::strong_count(filter) > 1)
        };
        if contexts.pending_len() == 0
            && !contexts.has_root(id)
            && contexts.get_mut(id).is_some_and(is_quiet)
        {
            contexts.remove(id);
            return;
        }
        drop(contexts);
        self.ending(id, || {
            if Self::AWAITS {
                self.abandon(id);
            }
            let gone = match self.contexts.try_borrow_mut() {
                Ok(mut contexts) => (contexts.remove(id), contexts.remove_root(id)),
                Err(_) => return,
            };
            let was_stream = gone.0.is_some() && gone.1.is_none();
            drop(gone);
            if Self::REACTS && !was_stream {
                self.root_gone(id);
            }
        });
    }

    /// How many streams are remembered.
    pub fn streams(&self) -> usize {
        self.contexts
            .try_borrow()
            .map_or(0, |contexts| contexts.len())
    }

    /// Makes the callback for what has arrived.
    #[inline]
    fn event(&self, id: u32, event: Event) -> u32 {
        if Self::AWAITS {
            self.serve(id, event)
        } else {
            self.run(id, event)
        }
    }

    /// Makes a callback that awaits nothing.
    #[inline]
    fn run(&self, id: u32, event: Event) -> u32 {
        let phase = Phase::from(event.kind);
        let entered = match self.enter(id) {
            Ok(entered) => entered,
            // One that the filter has finished with, and that is forgotten.
            Err(Absent::Unknown) if phase != Phase::Request && !Self::TOLD_OF_ENDS => {
                return CONTINUE;
            }
            Err(Absent::NotConfigured(standing)) => {
                return self.not_configured(id, phase, standing);
            }
            Err(_) => return self.refuse_unknown(id, phase),
        };
        let passes = entered.standing.lets(phase);
        if entered.standing.is_finished() || !passes {
            self.leave(id, entered.state);
            return if passes { CONTINUE } else { PAUSE };
        }
        let Entered {
            mut state,
            filter,
            request,
            ..
        } = entered;
        let _scope = StreamScope::enter(request.clone());
        let (flow, copy) = callback(&*filter, &mut state, request, event);
        // A callback within this one may have refused the stream.
        let standing = self.leave(id, state).unwrap_or(Standing::Open);
        if copy.is_some() {
            self.keep(id, copy);
        }
        self.settle(id, phase, standing, flow)
    }

    /// What the host is answered to a callback that came to this.
    #[inline]
    fn settle(&self, id: u32, phase: Phase, standing: Standing, flow: Result<Flow>) -> u32 {
        match flow {
            Ok(Flow::Continue) if standing.lets(phase) => CONTINUE,
            Ok(Flow::Finish) if standing.lets(phase) => {
                self.finish(id);
                CONTINUE
            }
            Ok(Flow::Continue | Flow::Finish | Flow::Pause) => PAUSE,
            Ok(Flow::Reply(reply)) => self.reply(id, &reply, phase),
            Err(error) => self.refuse(id, &error, phase),
        }
    }

    /// `on_done` and `on_log`.
    fn end(&self, id: u32, callback: impl FnOnce(&F, &mut F::Stream)) {
        if Self::AWAITS {
            self.abandon(id);
        }
        let Ok(mut entered) = self.enter(id) else {
            return;
        };
        if !entered.standing.is_finished() {
            let _scope = StreamScope::enter(entered.request);
            callback(&entered.filter, &mut entered.state);
        }
        self.leave(id, entered.state);
    }

    /// The filter of a stream and what is remembered of it, for one callback.
    #[inline]
    fn enter(&self, id: u32) -> Result<Entered<F>, Absent> {
        let mut contexts = self.contexts.try_borrow_mut().map_err(|_| Absent::Busy)?;
        if Self::KNOWS_STREAMS {
            let stream = contexts.get_mut(id).ok_or(Absent::Unknown)?;
            let Some(filter) = &stream.filter else {
                return Err(Absent::NotConfigured(stream.standing));
            };
            let state = stream.state.take().ok_or(Absent::Busy)?;
            let (root, filter) = (stream.root, Rc::clone(filter));
            let (request, standing) = (stream.request.clone(), stream.standing);
            Ok(Entered {
                state,
                filter,
                request,
                standing,
                holds_headers: Self::AWAITS && contexts.plugin(root).holds_headers,
            })
        } else {
            Ok(Entered {
                state: F::Stream::default(),
                filter: contexts.last_filter().ok_or(if F::REMOTE_CONFIG {
                    Absent::NotConfigured(Standing::Open)
                } else {
                    Absent::Unknown
                })?,
                request: None,
                standing: Standing::Open,
                holds_headers: false,
            })
        }
    }

    /// Gives back what a stream remembers. How the stream is answered by now; `None`
    /// where it is gone.
    #[inline]
    fn leave(&self, id: u32, state: F::Stream) -> Option<Standing> {
        if !Self::KNOWS_STREAMS {
            return None;
        }
        let mut state = Some(state);
        let standing = match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => contexts.get_mut(id).map(|stream| {
                // A stream that is new under an old number has a state.
                if stream.state.is_none() {
                    stream.state = state.take();
                }
                stream.standing
            }),
            Err(_) => None,
        };
        // Of a stream that was deleted meanwhile nothing is left but this.
        drop(state);
        standing
    }

    /// Keeps the request's headers for the stream's later callbacks.
    fn keep(&self, id: u32, request: Option<HeaderList>) {
        if let Ok(mut contexts) = self.contexts.try_borrow_mut()
            && let Some(stream) = contexts.get_mut(id)
        {
            stream.request = request;
        }
    }

    /// Makes no more callbacks for a stream.
    fn finish(&self, id: u32) {
        if Self::TOLD_OF_ENDS || Self::AWAITS {
            if let Ok(mut contexts) = self.contexts.try_borrow_mut()
                && let Some(stream) = contexts.get_mut(id)
            {
                stream.standing = stream.standing.finished();
            }
        } else {
            self.forget(id);
        }
    }

    fn has_root(&self, root: u32) -> bool {
        let contexts = self.contexts.try_borrow();
        contexts.is_ok_and(|contexts| contexts.has_root(root))
    }

    /// The filter of a configuration.
    fn filter(&self, root: u32) -> Option<Rc<F>> {
        self.contexts.try_borrow().ok()?.filter(root)
    }

    #[inline]
    fn refresh_log_level(&self, id: u32) {
        let left = self.streams_to_log_level.get().saturating_sub(1);
        if left == 0 {
            logging::refresh_level();
            self.find_ticking(id);
            self.streams_to_log_level.set(STREAMS_A_LOG_LEVEL);
        } else {
            self.streams_to_log_level.set(left);
        }
    }
}

/// Makes a filter's callback, of those that await nothing, and takes the copy
/// of the request's headers where it made one.
#[inline]
fn callback<F: HttpFilter>(
    filter: &F,
    stream: &mut F::Stream,
    request: Option<HeaderList>,
    Event {
        kind, size, end, ..
    }: Event,
) -> (Result<Flow>, Option<HeaderList>) {
    let mut copy = None;
    let flow = match kind {
        Kind::RequestHeaders => {
            let mut headers = RequestHeaders::new(end);
            let flow = at_once(filter.on_request_headers(stream, &mut headers));
            copy = kept::<F>(&mut headers);
            flow
        }
        Kind::RequestBody => {
            at_once(filter.on_request_body(stream, &mut RequestBody::new(size, end)))
        }
        Kind::RequestTrailers => {
            at_once(filter.on_request_trailers(stream, &mut RequestTrailers::new(request)))
        }
        Kind::ResponseHeaders => {
            at_once(filter.on_response_headers(stream, &mut ResponseHeaders::new(request, end)))
        }
        Kind::ResponseBody => {
            at_once(filter.on_response_body(stream, &mut ResponseBody::new(size, end)))
        }
        Kind::ResponseTrailers => {
            at_once(filter.on_response_trailers(stream, &mut ResponseTrailers::new(request)))
        }
    };
    let flow = flow.unwrap_or_else(|| Err(Error::other("a plain `fn` has awaited something")));
    (flow, copy)
}

/// The copy of the request's headers, where a later callback may want it.
#[inline]
fn kept<F: HttpFilter>(request: &mut RequestHeaders) -> Option<HeaderList> {
    if Runtime::<F>::KEEPS_HEADERS {
        request.take_copy()
    } else {
        None
    }
}

/// A filter, what its configuration asks of the host, and the counter of its errors.
type Made<F> = (F, Plugin, Counter);

/// What became of a configuration.
struct Configured<F> {
    /// `None` where it is yet to be fetched.
    made: Option<Made<F>>,
    /// Where it is fetched: what does that, and what the filter spawned.
    fetched: Option<(Work, Vec<Spawned>)>,
}

impl<F: HttpFilter> Runtime<F> {
    /// Reads the configuration and makes the filter from it. Else the lines that say what is
    /// wrong.
    fn configure(&self, root: u32, size: usize) -> Result<Configured<F>, Vec<String>> {
        let text = if size == 0 {
            Vec::new()
        } else {
            abi::buffer(BufferType::PluginConfiguration, 0, size)
                .map_err(|error| vec![error.to_string()])?
                .unwrap_or_default()
        };
        let config = if F::REMOTE_CONFIG {
            match config::parse::<Written<F::Config>>(&text).map_err(|errors| lines(&errors))? {
                Written::Here(config) => config,
                Written::There(remote) => {
                    let begun = self.begin_remote(root, *remote)?;
                    return Ok(Configured {
                        made: begun.made,
                        fetched: Some((begun.work, begun.spawned)),
                    });
                }
            }
        } else {
            config::parse(&text).map_err(|errors| lines(&errors))?
        };
        let (filter, mut plugin, errors) =
            make::<F>(config, Configure::new(F::NAME), |errors| errors)?;
        if F::REMOTE_CONFIG {
            plugin.generation = self.next_generation();
        }
        Ok(Configured {
            made: Some((filter, plugin, errors)),
            fetched: None,
        })
    }
}

/// Makes the filter. Else the lines that say what is wrong, each where its field is `placed`.
fn make<F: HttpFilter>(
    config: F::Config,
    mut host: Configure,
    placed: impl FnOnce(ConfigErrors) -> ConfigErrors,
) -> Result<Made<F>, Vec<String>> {
    let errors = host.counter("errors");
    let filter = F::configure(config, &mut host).map_err(|errors| lines(&placed(errors)))?;
    if !host.failures().is_empty() {
        return Err(host.failures().to_vec());
    }
    let plugin = Plugin {
        tick_period: host.tick_period(),
        holds_headers: host.holds_headers(),
        generation: 0,
    };
    Ok((filter, plugin, errors))
}

fn lines(errors: &ConfigErrors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}
