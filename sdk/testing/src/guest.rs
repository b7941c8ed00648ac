//! The filter as the host calls it: through the SDK's own entry points, or
//! through the dispatcher of the crate `proxy-wasm`.

#![allow(unsafe_code)]

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use legation::config::ConfigErrors;
use legation::register::Registered;
use legation::runtime::Runtime;
use legation::{
    Callbacks, Configure, Flow, HttpFilter, RequestBody, RequestHeaders, RequestTrailers,
    ResponseBody, ResponseHeaders, ResponseTrailers, Result, StreamLog,
};

use crate::allocations;
use crate::call::Callback;
use crate::machine::{self, Telling, Verdict};

/// The door by which the host enters the filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Door {
    /// The SDK's own entry points, only those that the filter needs: a module
    /// that `cargo xtask build` made.
    #[default]
    Pruned,
    /// The exports of the crate `proxy-wasm`, which are all there are: a module
    /// straight from `cargo build`.
    Dispatcher,
}

/// A filter, and what its callbacks returned before the SDK made numbers of it.
#[derive(Debug)]
pub struct Guest<F>(F);

fn note(callback: &str, result: Result<Flow>) -> Result<Flow> {
    let _scope = allocations::by_host();
    let verdict = match &result {
        Err(_) => Verdict::Failure,
        Ok(Flow::Reply(_)) => Verdict::Reply,
        Ok(_) => return result,
    };
    if let Some(machine) = machine::current() {
        if callback.starts_with("on_request") {
            let context = machine.state.borrow().context();
            machine.verdicts.borrow_mut().push((context, verdict));
        }
        if let Err(error) = &result {
            machine.failures.borrow_mut().push(error.to_string());
        }
    }
    result
}

macro_rules! passed_on {
    ($($callback:ident($phase:ident);)*) => {
        $(async fn $callback(
            &self,
            stream: &mut Self::Stream,
            message: &mut $phase,
        ) -> Result<Flow> {
            note(stringify!($callback), self.0.$callback(stream, message).await)
        })*
    };
}

impl<F: HttpFilter> HttpFilter for Guest<F> {
    const NAME: &'static str = F::NAME;
    const CALLBACKS: Callbacks = F::CALLBACKS;
    const AWAITS: Callbacks = F::AWAITS;
    const REMOTE_CONFIG: bool = F::REMOTE_CONFIG;
    const AT_ONCE: bool = F::AT_ONCE;
    type Config = F::Config;
    type Stream = F::Stream;

    fn configure(config: F::Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        F::configure(config, host).map(Self)
    }

    fn on_request_headers_at_once(
        &self,
        stream: &mut Self::Stream,
        request: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        let flow = self.0.on_request_headers_at_once(stream, request)?;
        Some(note("on_request_headers_at_once", flow))
    }

    passed_on! {
        on_request_headers(RequestHeaders);
        on_request_body(RequestBody);
        on_request_trailers(RequestTrailers);
        on_response_headers(ResponseHeaders);
        on_response_body(ResponseBody);
        on_response_trailers(ResponseTrailers);
    }

    fn on_log(&self, stream: &mut Self::Stream, log: &mut StreamLog) {
        self.0.on_log(stream, log);
    }

    fn on_done(&self, stream: &mut Self::Stream) {
        self.0.on_done(stream);
    }

    async fn on_tick(&self) {
        self.0.on_tick().await;
    }
}

/// A callback with its arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) callback: Callback,
    pub(crate) context: u32,
    /// The root of a new context, or a count, size or status.
    pub(crate) number: usize,
    pub(crate) end: bool,
    /// Of an answer, its callout's number and the sizes of body and trailers.
    pub(crate) token: u32,
    pub(crate) body: usize,
    pub(crate) trailers: usize,
}

impl Entry {
    pub(crate) fn new(callback: Callback, context: u32) -> Self {
        Self {
            callback,
            context,
            number: 0,
            end: false,
            token: 0,
            body: 0,
            trailers: 0,
        }
    }

    /// The callback that tells an answer.
    pub(crate) fn telling(root: u32, token: u32, telling: &Telling) -> Self {
        let (callback, number, body, trailers) = match *telling {
            Telling::Response {
                headers,
                body,
                trailers,
            } => (Callback::HttpCallResponse, headers, body, trailers),
            Telling::Receive { size } => (Callback::GrpcReceive, size, 0, 0),
            Telling::Close { status } => (Callback::GrpcClose, status as usize, 0, 0),
        };
        Self {
            number,
            token,
            body,
            trailers,
            ..Self::new(callback, root)
        }
    }

    /// Whether a module of these callbacks exports the entry point.
    pub(crate) fn is_exported(&self, callbacks: Callbacks) -> bool {
        callbacks.contains(match self.callback {
            Callback::ContextCreate => Callbacks::CREATE,
            Callback::Delete => Callbacks::DELETE,
            Callback::Configure => Callbacks::NONE,
            Callback::Tick => Callbacks::TICK,
            Callback::RequestHeaders => Callbacks::REQUEST_HEADERS,
            Callback::RequestBody => Callbacks::REQUEST_BODY,
            Callback::RequestTrailers => Callbacks::REQUEST_TRAILERS,
            Callback::ResponseHeaders => Callbacks::RESPONSE_HEADERS,
            Callback::ResponseBody => Callbacks::RESPONSE_BODY,
            Callback::ResponseTrailers => Callbacks::RESPONSE_TRAILERS,
            Callback::HttpCallResponse | Callback::GrpcReceive | Callback::GrpcClose => {
                Callbacks::ANSWERS
            }
            Callback::Log => Callbacks::LOG,
            Callback::Done => Callbacks::DONE,
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "contexts and statuses are numbers of 32 bits"
    )]
    fn short(&self) -> u32 {
        self.number as u32
    }

    /// Calls the SDK's runtime.
    pub(crate) fn call<F: HttpFilter>(&self, runtime: &Runtime<F>) -> u32 {
        let id = self.context;
        match self.callback {
            Callback::ContextCreate => runtime.on_context_create(id, self.short()),
            Callback::Configure => return runtime.on_configure(id, self.number).into(),
            Callback::Tick => runtime.on_tick(id),
            Callback::RequestHeaders => return runtime.on_request_headers(id, self.end),
            Callback::RequestBody => return runtime.on_request_body(id, self.number, self.end),
            Callback::RequestTrailers => return runtime.on_request_trailers(id),
            Callback::ResponseHeaders => return runtime.on_response_headers(id, self.end),
            Callback::ResponseBody => return runtime.on_response_body(id, self.number, self.end),
            Callback::ResponseTrailers => return runtime.on_response_trailers(id),
            Callback::HttpCallResponse => {
                runtime.on_http_call_response(
                    id,
                    self.token,
                    self.number,
                    self.body,
                    self.trailers,
                );
            }
            Callback::GrpcReceive => runtime.on_grpc_receive(id, self.token, self.number),
            Callback::GrpcClose => runtime.on_grpc_close(id, self.token, self.short()),
            Callback::Log => runtime.on_log(id),
            Callback::Done => return runtime.on_done(id).into(),
            Callback::Delete => runtime.on_delete(id),
        }
        0
    }

    /// Calls the export of the crate `proxy-wasm`.
    pub(crate) fn dispatch<F: HttpFilter>(&self, runtime: &Rc<Runtime<Guest<F>>>) -> u32 {
        let _runtime = Dispatched::new(Rc::clone(runtime) as Rc<dyn Any>);
        legation::register::use_dispatcher::<Guest<F>>();
        let id = self.context;
        // SAFETY: these take numbers and keep no contract but the order of
        // callbacks, which the host keeps.
        unsafe {
            match self.callback {
                Callback::ContextCreate => proxy_on_context_create(id, self.short()),
                Callback::Configure => return proxy_on_configure(id, self.number).into(),
                Callback::Tick => proxy_on_tick(id),
                Callback::RequestHeaders => {
                    return proxy_on_request_headers(id, self.number, self.end);
                }
                Callback::RequestBody => return proxy_on_request_body(id, self.number, self.end),
                Callback::RequestTrailers => return proxy_on_request_trailers(id, self.number),
                Callback::ResponseHeaders => {
                    return proxy_on_response_headers(id, self.number, self.end);
                }
                Callback::ResponseBody => return proxy_on_response_body(id, self.number, self.end),
                Callback::ResponseTrailers => return proxy_on_response_trailers(id, self.number),
                // A filter that makes callouts refuses to be entered here.
                Callback::HttpCallResponse | Callback::GrpcReceive | Callback::GrpcClose => {}
                Callback::Log => proxy_on_log(id),
                Callback::Done => return proxy_on_done(id).into(),
                Callback::Delete => proxy_on_delete(id),
            }
        }
        0
    }
}

// Defined by the crate `proxy-wasm`. Its `Action` is a number of 32 bits.
unsafe extern "C" {
    fn proxy_on_context_create(id: u32, root: u32);
    fn proxy_on_configure(id: u32, size: usize) -> bool;
    fn proxy_on_tick(id: u32);
    fn proxy_on_request_headers(id: u32, count: usize, end: bool) -> u32;
    fn proxy_on_request_body(id: u32, size: usize, end: bool) -> u32;
    fn proxy_on_request_trailers(id: u32, count: usize) -> u32;
    fn proxy_on_response_headers(id: u32, count: usize, end: bool) -> u32;
    fn proxy_on_response_body(id: u32, size: usize, end: bool) -> u32;
    fn proxy_on_response_trailers(id: u32, count: usize) -> u32;
    fn proxy_on_log(id: u32);
    fn proxy_on_done(id: u32) -> bool;
    fn proxy_on_delete(id: u32);
}

thread_local! {
    static DISPATCHED: RefCell<Vec<Rc<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// The runtime that the dispatcher's callbacks are for, until dropped.
struct Dispatched;

impl Dispatched {
    fn new(runtime: Rc<dyn Any>) -> Self {
        DISPATCHED.with_borrow_mut(|runtimes| runtimes.push(runtime));
        Self
    }
}

impl Drop for Dispatched {
    fn drop(&mut self) {
        DISPATCHED.with_borrow_mut(Vec::pop);
    }
}

impl<F: HttpFilter> Registered for Guest<F> {
    type Filter = Self;

    fn with_runtime<T>(call: impl FnOnce(&Runtime<Self>) -> T) -> T {
        let runtime = DISPATCHED.with_borrow(|runtimes| runtimes.last().cloned());
        let runtime = runtime.and_then(|runtime| runtime.downcast::<Runtime<Self>>().ok());
        // A dispatcher that outlives its host drops contexts of its own accord.
        call(&runtime.unwrap_or_default())
    }
}
