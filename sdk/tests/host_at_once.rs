//! Requests that are answered before a future is made for them, on the mock host.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::marker::PhantomData;

use deserr::Deserr;
use http::HeaderName;
use legation::callout::HttpRequest;
use legation::config::ConfigErrors;
use legation::metrics::Counter;
use legation::{Configure, Error, Flow, HttpFilter, LocalReply, RequestHeaders, Result};
use legation::{Suite, filters};
use legation_testing::{Answer, Callout, Host, Outcome, Request, Response};
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
            b"wait" => None,
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
        let answer = HttpRequest::get("auth", "/").send().await?;
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
    assert_eq!((host.streams(), host.waiting()), (0, 0));
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
