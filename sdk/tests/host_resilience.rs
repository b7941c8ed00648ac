//! Services and caches on the mock host: what a filter that talks to an upstream
//! does, host calls, statistics and all.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "what a test needs has to be there"
)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use deserr::Deserr;
use http::HeaderName;
use legation::callout::{CalloutError, HttpResponse};
use legation::config::ConfigErrors;
use legation::resilience::{
    FetchCache, FetchSettings, Fetched, HttpService, HttpServiceConfig, Repeat,
};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result};
use legation_testing::{Callout, Host, HttpCall, Progress, Request, Response, Stream};
use serde_json::{Value, json};

legation_testing::count_allocations!();

const X_ANSWER: HeaderName = HeaderName::from_static("x-answer");

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Config {
    service: HttpServiceConfig,
}

/// Asks its service what the path says, and tells the upstream what came of it.
struct Asking {
    service: HttpService,
    cache: FetchCache<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(string, tag = "1")]
    text: String,
}

fn told(answer: Result<HttpResponse, CalloutError>) -> String {
    match answer {
        Ok(answer) => answer.status().to_string(),
        Err(error) => format!("{error:?}"),
    }
}

#[legation::filter]
impl HttpFilter for Asking {
    const NAME: &'static str = "asking";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let settings = FetchSettings {
            capacity: NonZeroUsize::new(2).unwrap(),
            ttl: Duration::from_secs(10),
            stale_while_revalidate: Duration::from_secs(10),
            stale_if_error: Duration::from_mins(1),
            max_waiters: 3,
            ..FetchSettings::default()
        };
        Ok(Self {
            service: HttpService::new(&config.service, host),
            cache: FetchCache::new(settings),
        })
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let path = String::from_utf8_lossy(request.path()?.unwrap_or_default()).into_owned();
        let service = &self.service;
        let answer = match path.as_str() {
            "/nothing" => "1".to_owned(),
            "/post" => told(service.send(service.post("/post").body("x")).await),
            "/introspect" => {
                let request = service.post("/introspect").body("token=a");
                told(service.send_as(request, Repeat::Safe).await)
            }
            "/grpc" | "/grpc-once" => {
                let text = "hello".to_owned();
                let call = service.grpc("a.Notes", "Take", &Note { text });
                let repeat = if path == "/grpc" {
                    Repeat::Safe
                } else {
                    Repeat::Unsafe
                };
                match service.send_grpc::<Note>(call, repeat).await {
                    Ok(Note { text }) => text,
                    Err(error) => format!("{error:?}"),
                }
            }
            path if path.starts_with("/cached/") => {
                let fetch = || {
                    let (service, path) = (service.clone(), path.to_owned());
                    async move {
                        let answer = service.send(service.get(path)).await?;
                        let text = String::from_utf8_lossy(answer.body()).into_owned();
                        match answer.status() {
                            200 => Ok(Fetched::new(text)),
                            404 => Ok(Fetched::new("none".to_owned()).negative()),
                            status => Err(CalloutError::Malformed(status.to_string())),
                        }
                    }
                };
                match self.cache.get_or_fetch(path, fetch).await {
                    Ok(text) => text.to_string(),
                    Err(error) => format!("{error:?}"),
                }
            }
            path => told(service.send(service.get(path)).await),
        };
        request.headers().set(&X_ANSWER, answer)?;
        Ok(Flow::Continue)
    }
}

fn asking(service: &Value) -> Host<Asking> {
    Host::configure(json!({ "service": service })).unwrap()
}

/// A host whose cluster does these one after another.
fn following(service: &Value, script: impl IntoIterator<Item = Callout>) -> Host<Asking> {
    let host = asking(service);
    let script: RefCell<VecDeque<_>> = RefCell::new(script.into_iter().collect());
    host.set_cluster("idp", move |_| script.borrow_mut().pop_front().unwrap());
    host
}

fn status(status: u16) -> Callout {
    Response::new(status).into()
}

fn refused() -> Callout {
    Callout::reset("remote connection failure, transport failure reason: x")
}

/// Streams, and callouts without an answer.
fn left_over(host: &Host<Asking>) -> (usize, usize) {
    (host.streams(), host.pending_callouts().len())
}

fn answer_to(host: &Host<Asking>, path: &str) -> String {
    let exchange = host.exchange(Request::get(path)).run();
    let answer = exchange.upstream().header("x-answer");
    assert_eq!(left_over(host), (0, 0), "{exchange}");
    answer.unwrap_or("none").to_owned()
}

/// A stream that waits.
fn waiting<'h>(host: &'h Host<Asking>, path: &str) -> Stream<'h, Asking> {
    let mut stream = host.stream(Request::get(path));
    assert_eq!(stream.send_request(), Progress::Paused);
    stream
}

fn answer_of(stream: Stream<'_, Asking>) -> String {
    let exchange = stream.end();
    exchange.upstream().header("x-answer").unwrap().to_owned()
}

/// The statistics of the service that are not 0.
fn counted(host: &Host<Asking>) -> Vec<(&'static str, u64)> {
    [
        "requests",
        "retries",
        "failures_not_sent",
        "failures_connect",
        "failures_reset",
        "failures_timeout",
        "failures_status",
        "failures_answer",
        "circuit_open",
    ]
    .map(|name| (name, host.counter(&format!("asking.upstream.idp.{name}"))))
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .collect()
}

fn open_breakers(host: &Host<Asking>) -> u64 {
    host.gauge("asking.upstream.idp.circuit_breakers_open")
}

fn once() -> Value {
    json!({ "cluster": "idp", "timeout": "2s" })
}

fn retrying() -> Value {
    json!({
        "cluster": "idp",
        "timeout": "1s",
        "max_response_bytes": 10,
        "retry_policy": {
            "num_retries": 2,
            "per_try_timeout": "300ms",
            "retry_on": "5xx",
            "retry_back_off": { "base_interval": "20ms", "max_interval": "40ms" },
        },
    })
}

fn breaking() -> Value {
    json!({
        "cluster": "idp",
        "circuit_breaker": { "consecutive_failures": 2, "cool_down": "5s" },
    })
}

#[test]
fn one_try_unless_more_are_configured() {
    let host = following(&once(), [status(503)]);

    assert_eq!(answer_to(&host, "/a"), "503");

    assert_eq!(host.http_calls()[0].timeout, 2_000);
    assert_eq!(counted(&host), [("requests", 1), ("failures_status", 1)]);
}

#[test]
fn tries_again_after_waits_until_there_is_an_answer() {
    let host = following(&retrying(), [status(500), refused(), status(200)]);
    let began = host.time();

    assert_eq!(answer_to(&host, "/a"), "200");

    assert_eq!(
        counted(&host),
        [
            ("requests", 1),
            ("retries", 2),
            ("failures_connect", 1),
            ("failures_status", 1)
        ]
    );
    let timeouts: Vec<_> = host.http_calls().iter().map(|call| call.timeout).collect();
    assert_eq!(timeouts, [300; 3]);
    // At most 20 ms and 40 ms of wait, and two ticks.
    assert!(host.time() <= began + Duration::from_millis(80));
}

#[test]
fn the_trace_is_read_once_however_often_it_is_tried() {
    for path in ["/a", "/grpc"] {
        let mut service = retrying();
        service["retry_policy"]["retry_on"] = json!(["5xx", "unavailable"]);
        let host = asking(&service);
        host.set_cluster("idp", |_: &_| status(500));
        host.set_grpc_cluster("idp", |_: &_| Callout::grpc_status(14, "later"));
        let request = Request::get(path).header("x-request-id", "one");

        let exchange = host.exchange(request).run();

        assert_eq!(host.counter("asking.upstream.idp.retries"), 2, "{path}");
        let reads = exchange.calls().count("proxy_get_header_map_value");
        assert_eq!(reads, 2, "{path}");
        let ids = host.http_calls().into_iter().map(|call| call.headers);
        let ids = ids.chain(host.grpc_calls().into_iter().map(|call| call.metadata));
        let ids: Vec<_> = ids
            .map(|headers| headers.text("x-request-id").map(str::to_owned))
            .collect();
        assert_eq!(ids, vec![Some("one".to_owned()); 3], "{path}");
    }
}

#[test]
fn all_tries_together_keep_to_the_timeout() {
    let host = following(
        &retrying(),
        [Callout::hang(), Callout::hang(), Callout::hang()],
    );
    let began = host.time();

    assert_eq!(answer_to(&host, "/a"), "Timeout");

    assert_eq!(host.time().duration_since(began).unwrap().as_secs(), 0);
    assert_eq!(host.http_calls().len(), 3);
    assert_eq!(
        counted(&host),
        [("requests", 1), ("retries", 2), ("failures_timeout", 3)]
    );
}

#[test]
fn a_post_is_repeated_only_where_it_did_not_arrive_or_its_sender_says_so() {
    let broken = || Callout::reset("connection termination");

    let host = following(&retrying(), [refused(), broken()]);
    assert_eq!(
        answer_to(&host, "/post"),
        r#"Reset("connection termination")"#
    );
    assert_eq!(host.http_calls().len(), 2);

    let host = following(&retrying(), [broken(), status(503), status(200)]);
    assert_eq!(answer_to(&host, "/introspect"), "200");
    assert_eq!(host.http_calls().len(), 3);
    assert!(host.http_calls().iter().all(|call| call.body == b"token=a"));
}

#[test]
fn waits_as_long_as_the_upstream_asks_or_not_at_all() {
    let busy = |asked: &str| Response::new(503).header("retry-after", asked).into();
    let mut patient = retrying();
    patient["timeout"] = json!("5s");
    let host = following(&patient, [busy("2"), status(200)]);
    let began = host.time();
    assert_eq!(answer_to(&host, "/a"), "200");
    let waited = host.time().duration_since(began).unwrap();
    assert!((2_000..2_050).contains(&waited.as_millis()), "{waited:?}");

    for late in ["9", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let host = following(&patient, [busy(late)]);
        assert_eq!(answer_to(&host, "/a"), "503");
    }
    for nonsense in ["soon", "-1"] {
        let host = following(&patient, [busy(nonsense), status(200)]);
        assert_eq!(answer_to(&host, "/a"), "200");
    }
}

#[test]
fn answers_that_are_too_large_are_errors_and_final() {
    let host = following(&retrying(), [Response::ok().body("12345678901").into()]);

    assert_eq!(answer_to(&host, "/a"), "TooLarge { size: 11, limit: 10 }");

    assert_eq!(counted(&host), [("requests", 1), ("failures_answer", 1)]);
}

#[test]
fn a_cluster_that_is_not_there_is_an_error_and_final() {
    let host = asking(&retrying());

    assert!(answer_to(&host, "/a").starts_with("NotSent("));

    assert_eq!(counted(&host), [("requests", 1), ("failures_not_sent", 1)]);
}

#[test]
fn a_cluster_without_hosts_is_tried_again() {
    let host = following(&retrying(), [Callout::refuse(10), status(200)]);

    assert_eq!(answer_to(&host, "/post"), "200");
}

#[test]
fn the_breaker_opens_refuses_and_closes() {
    let broken = || Callout::reset("connection termination");
    let host = following(&breaking(), [status(500), broken(), broken(), status(200)]);
    answer_to(&host, "/a");
    assert_eq!(open_breakers(&host), 0);
    answer_to(&host, "/a");
    assert_eq!(open_breakers(&host), 1);

    let began = host.time();
    assert_eq!(answer_to(&host, "/a"), "CircuitOpen");
    assert_eq!(
        (host.http_calls().len(), host.time()),
        (2, began),
        "at once"
    );

    host.advance(Duration::from_secs(5));
    answer_to(&host, "/a");
    assert_eq!(answer_to(&host, "/a"), "CircuitOpen", "the probe failed");
    host.advance(Duration::from_secs(5));
    assert_eq!(answer_to(&host, "/a"), "200");

    assert_eq!(open_breakers(&host), 0);
    assert_eq!(
        counted(&host),
        [
            ("requests", 6),
            ("failures_reset", 2),
            ("failures_status", 1),
            ("circuit_open", 2)
        ]
    );
}

#[test]
fn a_stream_that_dies_with_the_probe_frees_its_place() {
    let host = following(
        &breaking(),
        [status(500), status(500), Callout::hang(), status(200)],
    );
    answer_to(&host, "/a");
    answer_to(&host, "/a");
    host.advance(Duration::from_secs(5));

    let probe = waiting(&host, "/a");
    assert_eq!(answer_to_while_waiting(&host, "/a"), "CircuitOpen");
    probe.end();

    assert_eq!(answer_to_while_waiting(&host, "/a"), "200");
    assert_eq!(open_breakers(&host), 0);
}

/// As [`answer_to`], while another callout has no answer.
fn answer_to_while_waiting(host: &Host<Asking>, path: &str) -> String {
    let mut stream = host.stream(Request::get(path));
    stream.send_request();
    host.deliver();
    answer_of(stream)
}

#[test]
fn the_gauge_goes_down_with_the_configuration() {
    let host = following(&breaking(), [status(500), status(500)]);
    answer_to(&host, "/a");
    answer_to(&host, "/a");
    assert_eq!(open_breakers(&host), 1);

    let old = host.root();
    host.load(json!({ "service": breaking() })).unwrap();
    host.unload(old);
    host.tick();

    assert_eq!(open_breakers(&host), 0);
}

#[test]
fn grpc_calls_are_tried_again_where_they_may_be() {
    let note = || Callout::message(prost::Message::encode_to_vec(&Note { text: "hi".into() }));
    let mut service = retrying();
    service["retry_policy"]["retry_on"] = json!(["unavailable", "reset"]);
    let script = |script: Vec<Callout>| {
        let host = asking(&service);
        let script = RefCell::new(VecDeque::from(script));
        host.set_grpc_cluster("idp", move |_| script.borrow_mut().pop_front().unwrap());
        host
    };
    let unavailable = || Callout::grpc_status(14, "later");

    let host = script(vec![unavailable(), Callout::hang(), note()]);
    assert_eq!(answer_to(&host, "/grpc"), "hi");
    assert_eq!(host.grpc_calls()[0].timeout, 300);
    assert_eq!(
        counted(&host),
        [
            ("requests", 1),
            ("retries", 2),
            ("failures_timeout", 1),
            ("failures_status", 1)
        ]
    );

    let host = script(vec![unavailable()]);
    assert!(answer_to(&host, "/grpc-once").starts_with("Grpc { status: 14"));

    let host = script(vec![Callout::grpc_status(7, "no")]);
    assert!(answer_to(&host, "/grpc").starts_with("Grpc { status: 7"));
    assert_eq!(counted(&host), [("requests", 1)], "an answer");
}

#[test]
fn a_request_costs_its_callout_and_the_statistics() {
    let calls_and_allocations = |service: &Value| {
        let host = following(service, [status(200), status(200)]);
        host.exchange(Request::get("/warm")).run();
        let exchange = host.exchange(Request::get("/a")).run();
        (exchange.calls().names(), exchange.allocations())
    };

    let (plain, allocated) = calls_and_allocations(&once());
    let (with_retries, with_retries_allocated) = calls_and_allocations(&retrying());
    let (with_breaker, with_breaker_allocated) = calls_and_allocations(&breaking());

    let count = |calls: &[&str], name: &str| calls.iter().filter(|call| **call == name).count();
    let clock = "proxy_get_current_time_nanoseconds";
    assert_eq!(count(&plain, "proxy_increment_metric"), 1);
    assert_eq!(with_retries.len(), plain.len() + 1);
    assert_eq!(count(&with_retries, clock), count(&plain, clock) + 1);
    assert_eq!(with_breaker.len(), plain.len() + 2);
    assert_eq!(count(&with_breaker, clock), count(&plain, clock) + 2);
    assert_eq!(with_retries_allocated.count, allocated.count);
    assert_eq!(with_breaker_allocated.count, allocated.count);
}

/// A host whose cluster counts what it is asked, and answers that.
fn numbering() -> (Host<Asking>, Rc<RefCell<Option<Callout>>>) {
    let host = asking(&once());
    let instead = Rc::new(RefCell::new(None));
    let (mut asked, other) = (0, Rc::clone(&instead));
    host.set_cluster("idp", move |_: &HttpCall| {
        asked += 1;
        let answer = || Response::ok().body(asked.to_string()).into();
        other.borrow().clone().unwrap_or_else(answer)
    });
    (host, instead)
}

#[test]
fn what_is_cached_is_asked_for_once() {
    let (host, _) = numbering();

    assert_eq!(answer_to(&host, "/cached/a"), "1");
    assert_eq!(answer_to(&host, "/cached/a"), "1");
    assert_eq!(answer_to(&host, "/cached/b"), "2");

    assert_eq!(host.http_calls().len(), 2);
}

#[test]
fn a_value_that_is_there_costs_the_time_and_no_allocation_of_its_own() {
    let (host, _) = numbering();
    answer_to(&host, "/cached/a");
    let plain = host.exchange(Request::get("/nothing")).run();

    let exchange = host.exchange(Request::get("/cached/a")).run();

    let calls = exchange.calls();
    assert_eq!(calls.count("proxy_get_current_time_nanoseconds"), 1);
    assert_eq!(calls.total(), plain.calls().total() + 1);
    assert_eq!(exchange.allocations().count, plain.allocations().count);
}

#[test]
fn streams_that_want_the_same_wait_for_one_fetch() {
    let (host, _) = numbering();
    let streams = ["/cached/a"; 3].map(|path| waiting(&host, path));
    let one_too_many = answer_to_while_waiting_for_others(&host, "/cached/a");
    assert_eq!(one_too_many, "Overloaded");
    assert_eq!(host.http_calls().len(), 1);

    host.deliver_all();

    for stream in streams {
        assert!(stream.reached_upstream());
        assert_eq!(answer_of(stream), "1");
    }
    assert_eq!(left_over(&host), (0, 0));
}

/// The answer of a stream that does not wait.
fn answer_to_while_waiting_for_others(host: &Host<Asking>, path: &str) -> String {
    let mut stream = host.stream(Request::get(path));
    assert_eq!(stream.send_request(), Progress::Continued);
    answer_of(stream)
}

#[test]
fn the_fetch_outlives_the_stream_that_began_it() {
    let (host, _) = numbering();
    let first = waiting(&host, "/cached/a");
    let second = waiting(&host, "/cached/a");
    first.end();

    host.deliver_all();

    assert_eq!(answer_of(second), "1");
    assert_eq!(host.http_calls().len(), 1);
    let (host, _) = numbering();
    waiting(&host, "/cached/a").end();
    host.deliver_all();
    assert_eq!(answer_to(&host, "/cached/a"), "1", "it was kept");
    assert_eq!(host.http_calls().len(), 1);
}

#[test]
fn what_is_stale_is_given_at_once_and_fetched_behind_it() {
    let (host, _) = numbering();
    answer_to(&host, "/cached/a");
    host.advance(Duration::from_secs(10));

    for _ in 0..3 {
        assert_eq!(answer_to_while_waiting_for_others(&host, "/cached/a"), "1");
    }
    assert_eq!(host.http_calls().len(), 2);
    host.deliver_all();

    assert_eq!(answer_to(&host, "/cached/a"), "2");
    assert_eq!(left_over(&host), (0, 0));
}

#[test]
fn what_is_old_is_used_if_the_upstream_is_down() {
    let (host, instead) = numbering();
    answer_to(&host, "/cached/a");
    host.advance(Duration::from_secs(30));
    instead.replace(Some(Callout::fail()));

    assert_eq!(answer_to(&host, "/cached/a"), "1");
    assert_eq!(answer_to_while_waiting_for_others(&host, "/cached/a"), "1");
    assert_eq!(
        host.http_calls().len(),
        2,
        "no more often than once a second"
    );

    host.advance(Duration::from_mins(1));
    assert_eq!(answer_to(&host, "/cached/a"), "NoHeaders", "too old");
}

#[test]
fn answers_that_there_is_nothing_are_kept_for_a_while() {
    let (host, instead) = numbering();
    instead.replace(Some(status(404)));
    assert_eq!(answer_to(&host, "/cached/a"), "none");
    instead.replace(None);

    assert_eq!(answer_to(&host, "/cached/a"), "none");
    host.advance(Duration::from_secs(10));

    assert_eq!(answer_to(&host, "/cached/a"), "2");
}

#[test]
fn a_mistake_in_the_service_has_the_configuration_refused() {
    let mut service = retrying();
    service["retry_policy"]["retry_on"] = json!("5xx,connect-fail");
    service["circuit_breaker"] = json!({ "cool_down": "1ms" });

    let refused = Host::<Asking>::configure(json!({ "service": service })).unwrap_err();

    assert_eq!(refused.lines.len(), 2, "{refused:?}");
}
