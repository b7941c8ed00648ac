//! When what the SDK remembers of streams and configurations ends, and what
//! comes after, on the mock host.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::cell::Cell;
use std::marker::PhantomData;

use http::HeaderName;
use legation::config::{ConfigErrors, NoConfig};
use legation::{
    Callbacks, Configure, Flow, HttpFilter, RequestHeaders, ResponseHeaders, Result, StreamLog,
};
use legation_testing::{Callback, Exchange, Host, Outcome, Request, Response};

const X_REQUEST: HeaderName = HeaderName::from_static("x-request");
const X_RESPONSE: HeaderName = HeaderName::from_static("x-response");

/// Streams that are remembered before the host is asked which are left.
const SWEEP_FROM: usize = 1_024;

thread_local! {
    static FILTERS: Cell<usize> = const { Cell::new(0) };
    static STATES: Cell<usize> = const { Cell::new(0) };
    static LOGS: Cell<usize> = const { Cell::new(0) };
}

/// Counts how many of its kind are alive.
struct Alive(&'static std::thread::LocalKey<Cell<usize>>);

impl Alive {
    fn new(count: &'static std::thread::LocalKey<Cell<usize>>) -> Self {
        count.set(count.get().saturating_add(1));
        Self(count)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

struct State(#[expect(dead_code, reason = "is alive")] Alive);

impl Default for State {
    fn default() -> Self {
        Self(Alive::new(&STATES))
    }
}

/// What a filter says of its end.
trait End: 'static {
    const MORE: Callbacks;
}

/// Has callbacks of headers alone: the host does not tell it of ends.
struct Untold;

impl End for Untold {
    const MORE: Callbacks = Callbacks::NONE;
}

/// Has a callback at the end too.
struct Told;

impl End for Told {
    const MORE: Callbacks = Callbacks::LOG;
}

/// Marks requests and responses; finishes with a request that says so.
struct Marking<E> {
    _alive: Alive,
    end: PhantomData<E>,
}

impl<E: End> HttpFilter for Marking<E> {
    const NAME: &'static str = "marking";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS
        .and(Callbacks::RESPONSE_HEADERS)
        .and(Callbacks::TICK)
        .and(E::MORE);
    type Config = NoConfig;
    type Stream = State;

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self {
            _alive: Alive::new(&FILTERS),
            end: PhantomData,
        })
    }

    async fn on_request_headers(
        &self,
        _: &mut State,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        request.headers().set(&X_REQUEST, "seen")?;
        Ok(match request.path()? {
            Some(b"/finish") => Flow::Finish,
            _ => Flow::Continue,
        })
    }

    async fn on_response_headers(
        &self,
        _: &mut State,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        response.headers().set(&X_RESPONSE, "seen")?;
        Ok(Flow::Continue)
    }

    fn on_log(&self, _: &mut State, _: &mut StreamLog) {
        LOGS.set(LOGS.get().saturating_add(1));
    }
}

fn host<E: End>() -> Host<Marking<E>> {
    Host::configure("").unwrap()
}

fn exchange<E: End>(host: &Host<Marking<E>>, path: &str) -> Exchange {
    let response = Response::ok().body("x").trailer("x-t", "1");
    host.exchange(Request::post(path).body("y"))
        .upstream(response)
}

#[test]
fn a_stream_of_a_filter_with_header_callbacks_alone_ends_with_the_responses_headers() {
    let host = host::<Untold>();
    let mut stream = host.stream(Request::get("/"));
    stream.send_request();
    assert_eq!((host.streams(), STATES.get()), (1, 1));

    stream.response_headers(Response::ok().open());

    assert_eq!((host.streams(), STATES.get()), (0, 0));
    stream.response_body(b"x", true);
    let exchange = stream.end();
    assert_eq!(exchange.response().header("x-response"), Some("seen"));
    assert_eq!(exchange.calls_in(Callback::Delete).total(), 0);
}

#[test]
fn streams_that_have_no_response_are_swept_when_there_are_many() {
    let host = host::<Untold>();
    let mut open = host.stream(Request::get("/"));
    open.send_request();
    for _ in 0..SWEEP_FROM {
        drop(host.stream(Request::get("/")));
    }
    assert!(host.streams() > 1_000, "{} streams", host.streams());

    exchange(&host, "/");
    exchange(&host, "/");

    // The one that the host still has is left.
    assert!(host.streams() <= 2, "{} streams", host.streams());
    assert_eq!(STATES.get(), host.streams());
    open.send_response(Response::ok());
    assert_eq!(open.end().response().header("x-response"), Some("seen"));
}

#[test]
fn the_calls_that_find_what_to_sweep_leave_the_stream_in_effect() {
    let host = host::<Untold>();
    for _ in 0..=SWEEP_FROM {
        drop(host.stream(Request::get("/")));
    }

    let exchange = exchange(&host, "/");

    assert!(exchange.calls().count("proxy_set_effective_context") > SWEEP_FROM);
    assert_eq!(exchange.upstream().header("x-request"), Some("seen"));
}

#[test]
fn an_old_configuration_is_dropped_at_the_next_tick_or_configuration() {
    for tick in [true, false] {
        let host = host::<Untold>();
        let old = host.root();
        host.load("").unwrap();
        host.unload(old);
        assert_eq!(FILTERS.get(), 2, "the filter was not told");

        if tick {
            host.tick();
            assert_eq!(FILTERS.get(), 1);
        } else {
            host.load("").unwrap();
            assert_eq!(FILTERS.get(), 2, "the newest, and the one before it");
        }
        drop(host);
        assert_eq!(FILTERS.get(), 0);
    }
}

#[test]
fn a_configuration_of_a_filter_that_is_told_of_ends_is_dropped_at_once() {
    let host = host::<Told>();
    let old = host.root();
    host.load("").unwrap();

    host.unload(old);

    assert_eq!(FILTERS.get(), 1);
}

#[test]
fn a_filter_that_has_finished_with_a_stream_hears_no_more_of_it() {
    let (untold, told) = (host::<Untold>(), host::<Told>());
    for exchange in [exchange(&untold, "/finish"), exchange(&told, "/finish")] {
        assert_eq!(exchange.outcome, Outcome::Answered);
        assert_eq!(exchange.upstream().header("x-request"), Some("seen"));
        assert_eq!(exchange.response().header("x-response"), None);
        assert_eq!(exchange.response().text(), "x");
        assert_eq!(exchange.calls_in(Callback::ResponseHeaders).total(), 0);
        assert_eq!(exchange.counted("marking.errors"), 0);
    }
    assert_eq!(LOGS.get(), 0);
    assert_eq!((untold.streams(), told.streams(), STATES.get()), (0, 0, 0));

    exchange(&told, "/");
    assert_eq!(LOGS.get(), 1);
}

#[test]
fn the_response_of_an_unknown_stream_passes_where_a_filter_is_not_told_of_ends() {
    const CONTINUE: u32 = 0;
    const PAUSE: u32 = 1;
    let (untold, told) = (host::<Untold>(), host::<Told>());

    let passes = untold.raw(99, Callback::ResponseHeaders, |filter| {
        filter.on_response_headers(99, true)
    });
    let request = untold.raw(99, Callback::RequestHeaders, |filter| {
        filter.on_request_headers(99, true)
    });
    let refused = told.raw(99, Callback::ResponseHeaders, |filter| {
        filter.on_response_headers(99, true)
    });

    assert_eq!((passes, request, refused), (CONTINUE, PAUSE, PAUSE));
}

#[test]
fn what_a_configuration_holds_lives_as_long_as_a_stream_under_it() {
    let host = host::<Told>();
    let old = host.root();
    let mut stream = host.stream(Request::get("/"));
    stream.send_request();
    host.load("").unwrap();

    host.unload(old);
    assert_eq!(FILTERS.get(), 2);

    stream.send_response(Response::ok());
    drop(stream);
    assert_eq!(FILTERS.get(), 1);
}
