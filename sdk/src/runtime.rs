//! Carries the host's callbacks to a filter: which filter value a stream
//! belongs to, what it remembers, and what becomes of errors.
//!
//! A filter's author does not meet this module: [`register!`](crate::register)
//! makes a [`Runtime`] and connects it to the host, the crate
//! `legation-testing` connects one to its mock host.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hashbrown::HashMap;

use crate::abi::{self, BufferType, StreamType};
use crate::config::{self, ConfigErrors};
use crate::configure::Configure;
use crate::error::{Error, Result};
use crate::filter::{Callbacks, Flow, HttpFilter};
use crate::headers::RequestCopy;
use crate::logging::{self, StreamScope};
use crate::metrics::Counter;
use crate::phase::{
    RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
    StreamLog,
};
use crate::reply::{GrpcStatus, LocalReply};

/// The ABI's `Action`.
const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;

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
}

struct Contexts<F: HttpFilter> {
    /// One for each configuration: few, and one most of the time.
    roots: Vec<Root<F>>,
    streams: HashMap<u32, Stream<F>>,
}

struct Root<F> {
    id: u32,
    filter: Option<Rc<F>>,
}

struct Stream<F: HttpFilter> {
    filter: Rc<F>,
    /// `None` while a callback of the stream has it.
    state: Option<F::Stream>,
    request: Option<RequestCopy>,
    replied: bool,
}

/// How a stream whose filter failed is refused.
#[derive(Clone, Copy)]
enum Refusal {
    Reply,
    Reset,
}

impl<F: HttpFilter> Default for Runtime<F> {
    fn default() -> Self {
        Self {
            contexts: RefCell::new(Contexts {
                roots: Vec::new(),
                streams: HashMap::new(),
            }),
            streams_to_log_level: Cell::new(STREAMS_A_LOG_LEVEL),
            errors: Cell::new(Counter::disabled()),
        }
    }
}

impl<F: HttpFilter> Runtime<F> {
    /// The callbacks that the host must make: those that the filter has, and
    /// where a stream must be told from another, the coming and going of
    /// contexts.
    ///
    /// A filter value without any data is the same for every configuration,
    /// and with its one callback can neither remember a stream nor answer it
    /// twice: it needs no contexts.
    pub const CALLBACKS: Callbacks = if size_of::<F>() == 0
        && size_of::<F::Stream>() == 0
        && !std::mem::needs_drop::<F::Stream>()
        && Callbacks::REQUEST_HEADERS
            .and(Callbacks::TICK)
            .contains(F::CALLBACKS)
    {
        F::CALLBACKS
    } else {
        F::CALLBACKS.and(Callbacks::CONTEXTS)
    };

    const HAS_CONTEXTS: bool = Self::CALLBACKS.contains(Callbacks::CONTEXTS);

    /// Whether a callback comes after the request's headers that may want them,
    /// for itself or for its log lines.
    const KEEPS_HEADERS: bool = !Callbacks::REQUEST_HEADERS
        .and(Callbacks::LOG)
        .and(Callbacks::DONE)
        .and(Callbacks::TICK)
        .contains(F::CALLBACKS);

    /// `proxy_on_context_create`
    pub fn on_context_create(&self, id: u32, root: u32) {
        let Ok(mut contexts) = self.contexts.try_borrow_mut() else {
            return;
        };
        if root == 0 {
            contexts.roots.push(Root { id, filter: None });
        } else if let Some(filter) = contexts.filter(root) {
            contexts.streams.insert(
                id,
                Stream {
                    filter,
                    state: Some(F::Stream::default()),
                    request: None,
                    replied: false,
                },
            );
        }
    }

    /// `proxy_on_configure`: whether the configuration is accepted. Each error
    /// is a line in the log.
    pub fn on_configure(&self, root: u32, size: usize) -> bool {
        logging::install(F::NAME);
        let filter = match configure::<F>(size) {
            Ok((filter, errors)) => {
                self.errors.set(errors);
                filter
            }
            Err(refusal) => {
                for line in refusal {
                    log::error!("configuration refused: {line}");
                }
                return false;
            }
        };
        let Ok(mut contexts) = self.contexts.try_borrow_mut() else {
            return false;
        };
        if !Self::HAS_CONTEXTS {
            contexts.roots.clear();
        }
        match contexts.roots.iter_mut().find(|known| known.id == root) {
            Some(known) => known.filter = Some(Rc::new(filter)),
            None => contexts.roots.push(Root {
                id: root,
                filter: Some(Rc::new(filter)),
            }),
        }
        true
    }

    /// `proxy_on_tick`
    pub fn on_tick(&self, root: u32) {
        logging::refresh_level();
        let filter = match self.contexts.try_borrow() {
            Ok(contexts) => contexts.filter(root),
            Err(_) => None,
        };
        if let Some(filter) = filter {
            filter.on_tick();
        }
    }

    /// `proxy_on_request_headers`
    pub fn on_request_headers(&self, id: u32, end_of_stream: bool) -> u32 {
        self.refresh_log_level();
        let mut copy = None;
        let action = self.run(id, Refusal::Reply, |filter, stream, _| {
            let mut request = RequestHeaders::new(end_of_stream);
            let flow = filter.on_request_headers(stream, &mut request);
            if Self::KEEPS_HEADERS {
                copy = request.into_copy();
            }
            flow
        });
        if copy.is_some() {
            self.keep(id, copy);
        }
        action
    }

    /// `proxy_on_request_body`
    pub fn on_request_body(&self, id: u32, size: usize, end_of_stream: bool) -> u32 {
        self.run(id, Refusal::Reply, |filter, stream, _| {
            filter.on_request_body(stream, &mut RequestBody::new(size, end_of_stream))
        })
    }

    /// `proxy_on_request_trailers`
    pub fn on_request_trailers(&self, id: u32) -> u32 {
        self.run(id, Refusal::Reply, |filter, stream, _| {
            filter.on_request_trailers(stream, &mut RequestTrailers::new())
        })
    }

    /// `proxy_on_response_headers`
    pub fn on_response_headers(&self, id: u32, end_of_stream: bool) -> u32 {
        self.run(id, Refusal::Reply, |filter, stream, request| {
            filter.on_response_headers(stream, &mut ResponseHeaders::new(request, end_of_stream))
        })
    }

    /// `proxy_on_response_body`
    pub fn on_response_body(&self, id: u32, size: usize, end_of_stream: bool) -> u32 {
        self.run(id, Refusal::Reset, |filter, stream, _| {
            filter.on_response_body(stream, &mut ResponseBody::new(size, end_of_stream))
        })
    }

    /// `proxy_on_response_trailers`
    pub fn on_response_trailers(&self, id: u32) -> u32 {
        self.run(id, Refusal::Reset, |filter, stream, _| {
            filter.on_response_trailers(stream, &mut ResponseTrailers::new())
        })
    }

    /// `proxy_on_done`: whether the host may go on to log and delete at once.
    pub fn on_done(&self, id: u32) -> bool {
        self.end(id, F::on_done);
        true
    }

    /// `proxy_on_log`
    pub fn on_log(&self, id: u32) {
        self.end(id, |filter, stream| {
            filter.on_log(stream, &mut StreamLog::new());
        });
    }

    /// `proxy_on_delete`
    pub fn on_delete(&self, id: u32) {
        // What the context held is dropped after the borrow: a filter's `Drop`
        // may call the host, and the host the filter.
        let gone = match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => (contexts.streams.remove(&id), contexts.remove_root(id)),
            Err(_) => return,
        };
        drop(gone);
    }

    /// How many streams are remembered.
    pub fn streams(&self) -> usize {
        self.contexts
            .try_borrow()
            .map_or(0, |contexts| contexts.streams.len())
    }

    fn run(
        &self,
        id: u32,
        refusal: Refusal,
        callback: impl FnOnce(&F, &mut F::Stream, Option<RequestCopy>) -> Result<Flow>,
    ) -> u32 {
        let entered = self.enter(id);
        let request = entered.as_ref().and_then(|(.., request)| request.clone());
        let _scope = StreamScope::enter(request);
        let flow = match entered {
            Some((filter, mut stream, request)) => {
                let flow = callback(&filter, &mut stream, request);
                self.leave(id, stream);
                flow
            }
            None => Err(Error::other("a callback for a stream that is not known")),
        };
        match flow {
            Ok(Flow::Continue) => CONTINUE,
            Ok(Flow::Pause) => PAUSE,
            Ok(Flow::Reply(reply)) => self.reply(id, &reply, refusal),
            Err(error) => self.refuse(id, &error, refusal),
        }
    }

    /// `on_done` and `on_log`.
    fn end(&self, id: u32, callback: impl FnOnce(&F, &mut F::Stream)) {
        if let Some((filter, mut stream, request)) = self.enter(id) {
            let _scope = StreamScope::enter(request);
            callback(&filter, &mut stream);
            self.leave(id, stream);
        }
    }

    /// The filter of a stream and what is remembered of it, for one callback.
    #[inline]
    fn enter(&self, id: u32) -> Option<(Rc<F>, F::Stream, Option<RequestCopy>)> {
        let mut contexts = self.contexts.try_borrow_mut().ok()?;
        if Self::HAS_CONTEXTS {
            let stream = contexts.streams.get_mut(&id)?;
            let state = stream.state.take()?;
            Some((Rc::clone(&stream.filter), state, stream.request.clone()))
        } else {
            let filter = contexts.roots.last()?.filter.as_ref()?;
            Some((Rc::clone(filter), F::Stream::default(), None))
        }
    }

    #[inline]
    fn leave(&self, id: u32, state: F::Stream) {
        if !Self::HAS_CONTEXTS {
            return;
        }
        // A stream that was deleted meanwhile stays deleted.
        if let Ok(mut contexts) = self.contexts.try_borrow_mut()
            && let Some(stream) = contexts.streams.get_mut(&id)
        {
            stream.state = Some(state);
        }
    }

    /// Keeps the request's headers for the stream's later callbacks.
    fn keep(&self, id: u32, request: Option<RequestCopy>) {
        if let Ok(mut contexts) = self.contexts.try_borrow_mut()
            && let Some(stream) = contexts.streams.get_mut(&id)
        {
            stream.request = request;
        }
    }

    #[cold]
    fn refuse(&self, id: u32, error: &Error, refusal: Refusal) -> u32 {
        self.errors.get().increment();
        log::error!(error:%; "the filter failed; the request is refused");
        let reply = LocalReply::new(500)
            .body("internal error\n")
            .details("legation_internal_error")
            .grpc_status(GrpcStatus::Internal);
        self.reply(id, &reply, refusal)
    }

    /// Answers a stream, once: a second local reply crashes some hosts.
    #[cold]
    fn reply(&self, id: u32, reply: &LocalReply, refusal: Refusal) -> u32 {
        if self.has_replied(id) {
            log::warn!("the stream has its local reply; a second one is not sent");
            return CONTINUE;
        }
        let sent = match refusal {
            Refusal::Reply => reply.send(),
            // The headers are gone to the client: all that is left is to break off.
            Refusal::Reset => abi::close_stream(StreamType::HttpResponse).map_err(Error::from),
        };
        if let Err(error) = sent {
            self.errors.get().increment();
            log::error!(error:%; "the local reply could not be sent; the stream is reset");
            // If this fails too, the stream stays paused: it is let in nowhere.
            let _ = abi::close_stream(StreamType::HttpResponse);
        }
        PAUSE
    }

    /// Whether the stream had its reply already; from now on it has.
    fn has_replied(&self, id: u32) -> bool {
        match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => contexts
                .streams
                .get_mut(&id)
                .is_some_and(|stream| std::mem::replace(&mut stream.replied, true)),
            Err(_) => false,
        }
    }

    #[inline]
    fn refresh_log_level(&self) {
        let left = self.streams_to_log_level.get().saturating_sub(1);
        if left == 0 {
            logging::refresh_level();
            self.streams_to_log_level.set(STREAMS_A_LOG_LEVEL);
        } else {
            self.streams_to_log_level.set(left);
        }
    }
}

impl<F: HttpFilter> Contexts<F> {
    fn filter(&self, root: u32) -> Option<Rc<F>> {
        let root = self.roots.iter().find(|known| known.id == root)?;
        root.filter.clone()
    }

    fn remove_root(&mut self, id: u32) -> Option<Root<F>> {
        let at = self.roots.iter().position(|root| root.id == id)?;
        Some(self.roots.remove(at))
    }
}

/// Reads the configuration and makes the filter from it, and the counter of
/// its errors. Else the lines that say what is wrong.
fn configure<F: HttpFilter>(size: usize) -> Result<(F, Counter), Vec<String>> {
    let text = if size == 0 {
        Vec::new()
    } else {
        abi::buffer(BufferType::PluginConfiguration, 0, size)
            .map_err(|error| vec![error.to_string()])?
            .unwrap_or_default()
    };
    let lines = |errors: ConfigErrors| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    let config = config::parse::<F::Config>(&text).map_err(lines)?;
    let mut host = Configure::new(F::NAME);
    let errors = host.counter("errors");
    let filter = F::configure(config, &mut host).map_err(lines)?;
    if host.failures().is_empty() {
        Ok((filter, errors))
    } else {
        Err(host.failures().iter().map(ToString::to_string).collect())
    }
}
