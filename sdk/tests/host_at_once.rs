//! Requests that are answered before a future is made for them, on the mock host.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::marker::PhantomData;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use deserr::Deserr;
use http::HeaderName;
use legation::callout::HttpRequest;
use legation::clock::sleep;
use legation::config::{ConfigErrors, NoConfig};
use legation::metrics::Counter;
use legation::{Configure, Error, Flow, HttpFilter, LocalReply, RequestHeaders, Result};
use legation::{Suite, filters};
use legation_testing::{Answer, Callback, Callout, Host, Outcome, Request, Response};
use serde_json::json;

const X_MARK: HeaderName = HeaderName::from_static("x-mark");

/// The name of a filter.
trait Named: 'static {
    const NAME: &'static str;
}

struct First;

impl Named for First {
    const NAME: &'static str = "first";
}

struct Second;

impl Named for Second {
    const NAME: &'static str = "second";
}

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Config {
    #[deserr(default)]
    mark: String,
}

/// Does what `x-first` and `x-second` say, the one that is its name.
struct Asked<N> {
    mark: String,
    asks: Counter,
    awaited: Counter,
    name: PhantomData<N>,
}

#[legation::filter]
impl<N: Named> HttpFilter for Asked<N> {
    const NAME: &'static str = N::NAME;
    type Config = Config;
    type Stream = Vec<u8>;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.allow_on_headers_stop_iteration(true);
        Ok(Self {
            mark: config.mark,
            asks: host.counter("asked"),
            awaited: host.counter("awaited"),
            name: PhantomData,
        })
    }

    fn on_request_headers_at_once(
        &self,
        stream: &mut Vec<u8>,
        request: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        self.asks.increment();
        let headers = request.headers();
        let name = format!("x-{}", N::NAME);
        let does = match headers.get(&name) {
            Ok(does) => does.unwrap_or_default().to_vec(),
            Err(error) => return Some(Err(error.into())),
        };
        if let Err(error) = headers.append(&X_MARK, format!("{}at-once", self.mark)) {
            return Some(Err(error));
        }
        *stream = does;
        match stream.as_slice() {
            b"wait" | b"wait-and-reply" | b"sleep" | b"buffer" | b"yield" => None,
            b"reply" => Some(Ok(LocalReply::new(403).into())),
            b"fail" => Some(Err(Error::other("asked to fail"))),
            b"finish" => Some(Ok(Flow::Finish)),
            _ => Some(Ok(Flow::Continue)),
        }
    }

    async fn on_request_headers(
        &self,
        stream: &mut Vec<u8>,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        self.awaited.increment();
        let does = String::from_utf8(stream.clone()).unwrap_or_default();
        if !request.headers().contains(&format!("x-{}", N::NAME))? {
            return Err(Error::other("the headers are others"));
        }
        match does.as_str() {
            "sleep" => {
                sleep(Duration::from_millis(15)).await?;
                return Ok(Flow::Continue);
            }
            "yield" => {
                let mut yielded = false;
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    if std::mem::replace(&mut yielded, true) {
                        return Poll::Ready(());
                    }
                    Poll::Pending
                })
                .await;
                return Ok(Flow::Continue);
            }
            "buffer" => {
                let size = request.buffer_body(100).await?.len();
                request.headers().append(&X_MARK, size.to_string())?;
                return Ok(Flow::Continue);
            }
            _ => {}
        }
        let answer = HttpRequest::get("auth", "/").send().await?;
        if does == "wait-and-reply" {
            return Ok(LocalReply::new(403).into());
        }
        let mark = format!("{}{does}-{}", self.mark, answer.status());
        request.headers().append(&X_MARK, mark)?;
        Ok(Flow::Continue)
    }
}

type Alone = Asked<First>;
type Two = Suite<filters![Asked<First>, Asked<Second>]>;

fn answers_to(host: &Host<impl HttpFilter>) {
    host.set_cluster("auth", |_| Callout::answer(Response::new(204)));
}

#[test]
fn what_is_answered_at_once_takes_no_future() {
    let host = Host::<Alone>::configure("{}").unwrap();

    for (does, outcome, status) in [
        ("pass", Outcome::Answered, 200),
        ("finish", Outcome::Answered, 200),
        ("reply", Outcome::Replied, 403),
        ("fail", Outcome::Replied, 500),
    ] {
        let exchange = host
            .exchange(Request::get("/").header("x-first", does))
            .run();

        assert_eq!((exchange.outcome, exchange.status()), (outcome, status));
        if outcome == Outcome::Answered {
            assert_eq!(exchange.upstream().values("x-mark"), ["at-once"], "{does}");
        }
    }

    assert_eq!(host.counter("first.asked"), 4);
    assert_eq!(host.counter("first.awaited"), 0);
    assert_eq!(host.counter("first.errors"), 1);
    assert_eq!((host.streams(), host.waiting()), (2, 0), "those refused");
}

#[test]
fn what_waits_goes_on_with_what_was_read_and_noted() {
    let host = Host::<Alone>::configure("{}").unwrap();
    answers_to(&host);
    let mut stream = host.stream(Request::get("/").header("x-first", "wait"));
    stream.send_request();
    assert!(!stream.reached_upstream());

    host.deliver_all();
    stream.send_response(Response::ok());

    let exchange = stream.end();
    let marks = exchange.upstream().values("x-mark");
    assert_eq!(marks, ["at-once", "wait-204"]);
    assert_eq!(exchange.calls().count("proxy_get_header_map_pairs"), 1);
    assert_eq!(host.counter("first.asked"), 1);
}

#[test]
fn what_waits_no_longer_than_its_callback_goes_on_in_it() {
    let host = Host::<Alone>::configure("{}").unwrap();

    let exchange = host
        .exchange(Request::get("/").header("x-first", "yield"))
        .run();

    assert_eq!(exchange.outcome, Outcome::Answered);
    assert_eq!((host.streams(), host.waiting()), (0, 0));
}

#[test]
fn an_error_of_a_host_call_refuses_what_is_answered_at_once() {
    let host = Host::<Alone>::configure("{}").unwrap();
    host.answer("proxy_get_header_map_pairs", Answer::Status(10));

    let exchange = host.exchange(Request::get("/")).run();

    assert_eq!(exchange.status(), 500);
}

/// A suite of members that mark requests so, named first and second by turns.
fn suite(marks: &[&str]) -> Host<Two> {
    let names = ["first", "second"].into_iter().cycle();
    let filters = marks.iter().zip(names);
    let filters = filters.map(|(mark, name)| json!({ "name": name, "config": { "mark": mark } }));
    let host = Host::configure(json!({ "filters": filters.collect::<Vec<_>>() })).unwrap();
    answers_to(&host);
    host
}

#[test]
fn a_suite_answers_at_once_what_all_of_its_filters_do() {
    let host = suite(&["a-", "b-", "c-"]);

    let exchange = host.exchange(Request::get("/")).run();

    let marks = exchange.upstream().values("x-mark");
    assert_eq!(marks, ["a-at-once", "b-at-once", "c-at-once"]);
    assert_eq!(host.counter("first.awaited"), 0);
    assert_eq!(host.counter("first.asked"), 2);
}

#[test]
fn a_suite_goes_on_with_the_filter_that_waits_and_asks_each_once() {
    let host = suite(&["a-", "b-", "c-", "d-"]);
    let request = Request::get("/").header("x-second", "wait");
    let mut stream = host.stream(request);
    stream.send_request();
    assert!(!stream.reached_upstream());

    host.deliver();
    assert!(!stream.reached_upstream(), "the fourth waits too");
    host.deliver();
    stream.send_response(Response::ok());

    let exchange = stream.end();
    assert_eq!(
        exchange.upstream().values("x-mark"),
        [
            "a-at-once",
            "b-at-once",
            "b-wait-204",
            "c-at-once",
            "d-at-once",
            "d-wait-204"
        ]
    );
    let counted = [
        "first.asked",
        "first.awaited",
        "second.asked",
        "second.awaited",
    ];
    let counted = counted.map(|name| host.counter(name));
    assert_eq!(counted, [2, 0, 2, 2]);
}

#[test]
fn a_refusal_at_once_ends_a_suites_chain() {
    let host = suite(&["a-", "b-", "c-"]);

    let exchange = host
        .exchange(Request::get("/").header("x-second", "reply"))
        .run();

    assert_eq!(exchange.status(), 403);
    assert_eq!(host.counter("first.asked"), 1);
}

fn alone() -> Host<Alone> {
    let host = Host::new();
    host.set_allow_on_headers_stop_iteration(true);
    host.load("{}").unwrap();
    answers_to(&host);
    host
}

/// A request of a client that goes away while it waits, if it does.
fn left_alone(host: &Host<Alone>, does: &str) {
    let mut stream = host.stream(Request::post("/").header("x-first", does).body("x"));
    stream.request_headers();
    drop(stream);
}

/// How often the host was told something about a stream.
fn said(host: &Host<Alone>) -> usize {
    let said = ["proxy_continue_stream", "proxy_send_local_response"];
    let calls = host.calls();
    calls
        .iter()
        .filter(|made| said.contains(&made.name))
        .count()
}

#[test]
fn a_filter_that_seldom_waits_is_not_told_of_ends_and_leaves_nothing() {
    let host = alone();

    for does in ["pass", "finish"] {
        let request = Request::post("/").header("x-first", does);
        let exchange = host
            .exchange(request.body("12").body("3").trailer("x-t", "1"))
            .run();

        assert_eq!(exchange.upstream().text(), "123");
        assert_eq!(exchange.calls_in(Callback::Delete).total(), 0);
        assert_eq!(host.streams(), 0);
    }
}

#[test]
fn what_has_waited_leaves_nothing_either() {
    let host = alone();
    for does in ["wait", "buffer", "sleep"] {
        let request = Request::post("/").header("x-first", does);
        let mut stream = host.stream(request.body("12").body("3"));
        stream.send_request();
        host.deliver_all();
        host.run_for(Duration::from_millis(30));
        stream.send_response(Response::ok());

        assert_eq!(stream.end().upstream().text(), "123", "{does}");
        assert_eq!((host.streams(), host.waiting()), (0, 0), "{does}");
    }
}

#[test]
fn the_body_of_a_refused_request_does_not_let_it_on() {
    let host = alone();
    let mut stream = host.stream(Request::post("/").header("x-first", "reply").body("x"));
    stream.request_headers();
    let id = stream.id();

    let action = host.raw(id, Callback::RequestBody, |filter| {
        filter.on_request_body(id, 1, true)
    });

    assert_eq!(action, 1, "held");
}

#[test]
fn clients_that_leave_while_they_wait_leave_nothing_when_the_answers_have_come() {
    let host = alone();
    for _ in 0..500 {
        for does in ["wait", "wait-and-reply", "sleep"] {
            left_alone(&host, does);
        }
    }
    assert!(host.waiting() > 0);

    host.deliver_all();
    host.run_for(Duration::from_millis(30));

    assert_eq!((host.streams(), host.waiting()), (0, 0));
    assert_eq!(said(&host), 0);
}

#[test]
fn clients_that_leave_while_they_wait_for_what_never_comes_are_swept_when_they_are_many() {
    let host = alone();

    for _ in 0..5_000 {
        left_alone(&host, "buffer");
    }

    assert!(host.streams() <= 1_025, "{} streams", host.streams());
    assert!(host.waiting() <= 1_025, "{} waiting", host.waiting());
    assert_eq!(said(&host), 0);
}

#[test]
fn nothing_is_said_to_a_stream_that_is_over_and_not_yet_gone() {
    for does in ["wait", "wait-and-reply"] {
        let host = alone();
        let mut stream = host.stream(Request::get("/").header("x-first", does));
        stream.send_request();

        // Envoy tells how long a request took once it is over.
        host.set_attribute("request.duration", 1_i64);
        host.deliver_all();

        assert_eq!(said(&host), 0, "{does}");
        assert_eq!((host.streams(), host.waiting()), (0, 0), "{does}");
        drop(stream);
    }
}

#[test]
fn a_stream_that_waits_for_a_time_finds_another_configuration_to_tick() {
    let host = alone();
    let first = host.root();
    let second = host.load("{}").unwrap();
    left_alone(&host, "sleep");
    host.unload(first);

    let mut stream = host.stream_on(second, Request::get("/").header("x-first", "sleep"));
    stream.send_request();
    host.run_for(Duration::from_millis(30));

    assert!(stream.reached_upstream());
    drop(stream);
    assert_eq!(host.waiting(), 0);
}

/// Whoever waits for something in the module itself, and who does it.
#[derive(Default)]
struct Help {
    asked: Cell<bool>,
    given: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

impl Help {
    fn set(&self, what: &Cell<bool>) {
        what.set(true);
        for waker in self.wakers.take() {
            waker.wake();
        }
    }

    async fn until(&self, what: &Cell<bool>) {
        poll_fn(|context| {
            if what.get() {
                return Poll::Ready(());
            }
            self.wakers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Has each request wait for a future in the background, which is quick.
struct Helped(Rc<Help>);

#[legation::filter]
impl HttpFilter for Helped {
    const NAME: &'static str = "helped";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        let help = Rc::new(Help::default());
        let helper = Rc::clone(&help);
        let spawned = legation::spawn(async move {
            loop {
                helper.until(&helper.asked).await;
                helper.asked.set(false);
                helper.set(&helper.given);
            }
        });
        spawned.map_err(|error| ConfigErrors::of_document(error.to_string()))?;
        Ok(Self(help))
    }

    fn on_request_headers_at_once(
        &self,
        (): &mut (),
        _: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        None
    }

    async fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        let help = &self.0;
        help.given.set(false);
        help.set(&help.asked);
        help.until(&help.given).await;
        Ok(Flow::Finish)
    }
}

#[test]
fn what_is_done_in_the_background_before_the_callback_is_over_lets_the_request_go_on() {
    let host = Host::<Helped>::configure("").unwrap();
    host.tick();
    for _ in 0..2 {
        let exchange = host.exchange(Request::get("/")).run();
        assert_eq!(exchange.outcome, Outcome::Answered);
        assert_eq!(exchange.status(), 200);
    }
    assert_eq!(host.streams(), 0);
}
