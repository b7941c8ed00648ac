//! Several filters as one, on the mock host.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::marker::PhantomData;
use std::time::Duration;

use deserr::Deserr;
use http::HeaderName;
use legation::callout::HttpRequest;
use legation::config::ConfigErrors;
use legation::metrics::Counter;
use legation::{
    Configure, Error, Flow, HttpFilter, LocalReply, RequestBody, RequestHeaders, RequestTrailers,
    ResponseBody, ResponseHeaders, Result, Suite, filters,
};
use legation_testing::{Callout, Host, Outcome, Request, Response};
use serde_json::{Value, json};

const X_ORDER: HeaderName = HeaderName::from_static("x-order");
const X_BACK: HeaderName = HeaderName::from_static("x-back");

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

/// What a member does.
#[derive(Deserr, Clone, Copy, Default, PartialEq)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
enum Does {
    /// Marks headers.
    #[default]
    Mark,
    /// Refuses requests.
    Refuse,
    /// Fails.
    Fail,
    /// Is finished with the request's headers.
    Finish,
    /// Holds a body for its end.
    Hold,
    /// Doubles each piece of a body.
    Double,
    /// Awaits the whole body with the headers.
    Buffer,
    /// Awaits an answer.
    Ask,
}

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Config {
    mark: String,
    #[deserr(default)]
    does: Does,
    #[deserr(default)]
    tick_seconds: Option<u64>,
}

struct Member<N> {
    mark: String,
    does: Does,
    ticks: Counter,
    name: PhantomData<N>,
}

/// What was seen of a body.
#[derive(Default)]
struct Seen(Vec<usize>);

#[legation::filter]
impl<N: Named> HttpFilter for Member<N> {
    const NAME: &'static str = N::NAME;
    type Config = Config;
    type Stream = Seen;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.allow_on_headers_stop_iteration(true);
        if config.mark.is_empty() {
            return Err(ConfigErrors::of_document("a mark must not be empty"));
        }
        if let Some(seconds) = config.tick_seconds {
            host.tick_every(Duration::from_secs(seconds));
        }
        Ok(Self {
            mark: config.mark,
            does: config.does,
            ticks: host.counter("ticks"),
            name: PhantomData,
        })
    }

    async fn on_request_headers(&self, _: &mut Seen, request: &mut RequestHeaders) -> Result<Flow> {
        request.remove_content_length()?;
        let mut mark = self.mark.clone();
        match self.does {
            Does::Refuse => return Ok(LocalReply::new(403).into()),
            Does::Fail => return Err(Error::other("asked to fail")),
            Does::Finish => {
                request.headers().append(&X_ORDER, &mark)?;
                return Ok(Flow::Finish);
            }
            Does::Buffer => {
                let body = request.buffer_body(100).await?;
                mark = format!("{mark}{}", body.len());
            }
            Does::Ask => {
                log::info!("asking");
                let answer = HttpRequest::get("auth", "/").send().await?;
                log::info!("answered");
                mark = format!("{mark}{}", answer.status());
            }
            _ => {}
        }
        request.headers().append(&X_ORDER, mark)?;
        Ok(Flow::Continue)
    }

    fn on_request_body(&self, seen: &mut Seen, request: &mut RequestBody) -> Result<Flow> {
        seen.0.push(request.size());
        match self.does {
            Does::Hold if !request.is_end_of_stream() => return Ok(Flow::Pause),
            Does::Double => {
                let piece = request.read(0, request.size())?;
                request.replace(&[piece.as_slice(), &piece].concat())?;
            }
            _ => {}
        }
        if request.is_end_of_stream() {
            log::info!(seen:? = seen.0; "body");
        }
        Ok(Flow::Continue)
    }

    fn on_request_trailers(&self, seen: &mut Seen, _: &mut RequestTrailers) -> Result<Flow> {
        log::info!(seen:? = seen.0; "trailers");
        Ok(Flow::Continue)
    }

    fn on_response_headers(&self, _: &mut Seen, response: &mut ResponseHeaders) -> Result<Flow> {
        response.remove_content_length()?;
        response.headers().append(&X_BACK, &self.mark)?;
        Ok(Flow::Continue)
    }

    fn on_response_body(&self, _: &mut Seen, response: &mut ResponseBody) -> Result<Flow> {
        if response.size() > 0 {
            let piece = response.read(0, response.size())?;
            response.replace(&[piece.as_slice(), self.mark.as_bytes()].concat())?;
        }
        Ok(Flow::Continue)
    }

    fn on_tick(&self) {
        self.ticks.increment();
    }
}

type Two = Suite<filters![Member<First>, Member<Second>]>;

/// A suite of members that do this, named first and second by turns.
fn suite(members: &[(&str, &str)]) -> Value {
    let names = ["first", "second"].into_iter().cycle();
    let filters = members.iter().zip(names).map(
        |((mark, does), name)| json!({ "name": name, "config": { "mark": mark, "does": does } }),
    );
    json!({ "filters": filters.collect::<Vec<_>>() })
}

fn host(members: &[(&str, &str)]) -> Host<Two> {
    let host = Host::new();
    host.set_allow_on_headers_stop_iteration(true);
    host.load(suite(members)).unwrap();
    host
}

#[test]
fn filters_run_in_the_order_configured_and_responses_in_reverse() {
    let host = host(&[("a", "mark"), ("b", "mark"), ("c", "mark")]);

    let exchange = host
        .exchange(Request::get("/"))
        .upstream(Response::ok().body("x"));

    assert_eq!(exchange.upstream().values("x-order"), ["a", "b", "c"]);
    assert_eq!(exchange.response().values("x-back"), ["c", "b", "a"]);
    assert_eq!(exchange.response().text(), "xcba");
}

#[test]
fn a_refusal_ends_the_chain_and_goes_back_through_those_that_saw_the_request() {
    let host = host(&[("a", "mark"), ("b", "refuse"), ("c", "mark")]);

    let exchange = host.exchange(Request::get("/")).run();

    assert_eq!(exchange.outcome, Outcome::Replied);
    assert_eq!(exchange.status(), 403);
    assert_eq!(exchange.response().values("x-back"), ["b", "a"]);
}

#[test]
fn a_failure_refuses_the_request_and_names_the_filter() {
    let host = host(&[("a", "mark"), ("b", "fail")]);

    let exchange = host.exchange(Request::get("/")).run();

    assert_eq!(exchange.status(), 500);
    assert_eq!(host.counter("suite.errors"), 1);
    let line = exchange.log.last().unwrap();
    assert_eq!(
        line.field("error").as_deref(),
        Some("`second`: asked to fail")
    );
}

#[test]
fn a_filter_that_has_finished_is_left_out_of_the_response() {
    let host = host(&[("a", "finish"), ("b", "mark")]);

    let exchange = host.exchange(Request::get("/")).run();

    assert_eq!(exchange.upstream().values("x-order"), ["a", "b"]);
    assert_eq!(exchange.response().values("x-back"), ["b"]);
}

#[test]
fn a_filter_that_awaits_holds_those_after_it() {
    let host = host(&[("a", "mark"), ("b", "ask"), ("c", "mark")]);
    host.set_cluster("auth", |_| Callout::answer(Response::new(204)));
    let mut stream = host.stream(Request::get("/"));
    stream.send_request();
    assert!(!host.pending_callouts().is_empty());

    host.deliver_all();
    stream.send_response(Response::ok());
    let exchange = stream.end();

    assert_eq!(exchange.upstream().values("x-order"), ["a", "b204", "c"]);
    let names: Vec<_> = exchange
        .log
        .iter()
        .map(|line| line.field("filter"))
        .collect();
    assert!(
        names.iter().all(|name| name.as_deref() == Some("second")),
        "{names:?}"
    );
    assert_eq!(names.len(), 2);
}

#[test]
fn a_body_that_one_filter_holds_reaches_the_next_whole() {
    let host = host(&[("a", "double"), ("b", "hold"), ("c", "mark")]);

    let exchange = host
        .exchange(Request::post("/").body("12").body("345"))
        .run();

    assert_eq!(exchange.upstream().text(), "1212345345");
    let seen: Vec<_> = exchange.log.iter().map(|line| line.field("seen")).collect();
    let seen: Vec<_> = seen.iter().flatten().map(String::as_str).collect();
    assert_eq!(seen, ["[2, 3, 0]", "[4, 10, 10]", "[10]"]);
}

#[test]
fn trailers_let_on_a_body_that_was_held_for_its_end() {
    let host = host(&[("a", "hold"), ("b", "double")]);

    let exchange = host
        .exchange(Request::post("/").body("12").body("3").trailer("x-t", "1"))
        .run();

    assert_eq!(exchange.upstream().text(), "123123");
    assert_eq!(exchange.upstream().trailers.text("x-t"), Some("1"));
}

#[test]
fn a_body_that_one_filter_awaited_is_shown_to_the_others() {
    let host = host(&[("a", "mark"), ("b", "buffer"), ("c", "double")]);

    let exchange = host
        .exchange(Request::post("/").body("12").body("345"))
        .run();

    assert_eq!(exchange.upstream().values("x-order"), ["a", "b5", "c"]);
    assert_eq!(exchange.upstream().text(), "1234512345");
    let seen: Vec<_> = exchange.log.iter().map(|line| line.field("seen")).collect();
    let seen: Vec<_> = seen.iter().flatten().map(String::as_str).collect();
    assert_eq!(seen, ["[5]", "[5]"]);
}

#[test]
fn a_body_over_one_filters_limit_is_refused() {
    let host = host(&[("a", "buffer"), ("b", "mark")]);

    let exchange = host
        .exchange(Request::post("/").body("x".repeat(101)))
        .run();

    assert_eq!(exchange.status(), 413);
}

#[test]
fn each_filter_ticks_at_its_own_period() {
    let member =
        |name, seconds| json!({ "name": name, "config": { "mark": "x", "tick_seconds": seconds } });
    let host = Host::<Two>::configure(json!({
        "filters": [member("first", 1), member("second", 3)]
    }))
    .unwrap();

    host.run_for(Duration::from_secs(6));

    assert_eq!(host.counter("first.ticks"), 6);
    assert_eq!(host.counter("second.ticks"), 2);
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let refused = |configuration: Value| {
        let refused = Host::<Two>::configure(configuration);
        refused.err().unwrap().lines
    };

    assert_eq!(
        refused(json!({})),
        ["filters: missing field; name the filters to run"]
    );
    let lines = refused(json!({ "filters": [
        { "config": {} },
        { "name": "frist", "config": {} },
        { "name": "third" },
        { "name": "first", "confg": {} },
        { "name": "second", "config": { "mark": 1 } },
    ]}));
    assert_eq!(
        lines,
        [
            "filters[0].name: missing field; one of first, second",
            "filters[1].name: there is no filter `frist` in this module; did you mean `first`?",
            "filters[2].name: there is no filter `third` in this module; it has first, second",
            "filters[3].confg: unknown field; did you mean `config`? (known: name, config)",
            "filters[4].config.mark: expected a string, got the number 1; put it in quotes",
        ]
    );
    assert_eq!(
        refused(json!({ "filters": [{ "name": "first", "config": { "mark": "" } }] })),
        ["filters[0].config: a mark must not be empty"]
    );
}
