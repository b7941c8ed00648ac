//! The SDK's runtime on the mock host: streams, configurations, refusals.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::cell::Cell;
use std::rc::Rc;

use deserr::Deserr;
use http::HeaderName;
use legation::config::{ConfigErrors, NoConfig};
use legation::metrics::Counter;
use legation::{
    Configure, Error, Flow, GrpcStatus, HttpFilter, LocalReply, RequestBody, RequestHeaders,
    ResponseBody, ResponseHeaders, Result, StreamLog, attributes,
};
use legation_testing::{Callback, Door, Host, LogLine, Outcome, Progress, Request, Response};
use serde_json::json;

const X_SEEN: HeaderName = HeaderName::from_static("x-seen");
const X_GREETING: HeaderName = HeaderName::from_static("x-greeting");

/// Remembers the path of a request and tells it in the response.
struct Remembering {
    greeting: String,
    requests: Counter,
}

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Greeting {
    greeting: String,
}

#[legation::filter]
impl HttpFilter for Remembering {
    const NAME: &'static str = "remembering";
    type Config = Greeting;
    type Stream = Option<String>;

    fn configure(config: Greeting, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self {
            greeting: config.greeting,
            requests: host.counter("requests"),
        })
    }

    fn on_request_headers(
        &self,
        path: &mut Option<String>,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        self.requests.increment();
        let seen = request.path()?.unwrap_or_default();
        *path = Some(String::from_utf8_lossy(seen).into_owned());
        request.headers().set(&X_GREETING, &self.greeting)?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(
        &self,
        path: &mut Option<String>,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        let path = path.as_deref().unwrap_or_default();
        response.headers().set(&X_SEEN, path)?;
        Ok(Flow::Continue)
    }
}

fn greeting(word: &str) -> serde_json::Value {
    json!({ "greeting": word })
}

fn remembering() -> Host<Remembering> {
    Host::configure(greeting("hello")).unwrap()
}

#[test]
fn a_stream_has_its_own_state_and_leaves_nothing_behind() {
    let host = remembering();

    let mut one = host.stream(Request::get("/one"));
    let mut two = host.stream(Request::get("/two"));
    assert_eq!(one.send_request(), Progress::Continued);
    assert_eq!(two.send_request(), Progress::Continued);
    assert_eq!(host.streams(), 2);
    two.send_response(Response::ok());
    one.send_response(Response::ok());
    let (one, two) = (one.end(), two.end());

    assert_eq!(one.response().header("x-seen"), Some("/one"));
    assert_eq!(two.response().header("x-seen"), Some("/two"));
    assert_eq!(host.streams(), 0);
}

#[test]
fn two_configurations_live_in_one_vm() {
    let host = Host::<Remembering>::new();
    let hello = host.load(greeting("hello")).unwrap();
    let ahoy = host.load(greeting("ahoy")).unwrap();

    for (root, word) in [(hello, "hello"), (ahoy, "ahoy"), (hello, "hello")] {
        let exchange = host.exchange_on(root, Request::get("/")).run();
        assert_eq!(exchange.upstream().header("x-greeting"), Some(word));
    }
    assert_eq!(host.counter("remembering.requests"), 3);
}

#[test]
fn an_update_leaves_running_streams_with_their_configuration() {
    let host = Host::<Remembering>::new();
    let old = host.load(greeting("old")).unwrap();
    let mut running = host.stream(Request::get("/running"));

    let new = host.load(greeting("new")).unwrap();
    host.unload(old);
    running.send_request();
    running.send_response(Response::ok());
    let running = running.end();
    let next = host.exchange(Request::get("/next")).run();

    assert_eq!(host.root(), new);
    assert_eq!(running.upstream().header("x-greeting"), Some("old"));
    assert_eq!(running.response().header("x-seen"), Some("/running"));
    assert_eq!(next.upstream().header("x-greeting"), Some("new"));
    assert_eq!(host.streams(), 0);
}

#[test]
fn a_refused_configuration_says_why_and_leaves_the_old_one() {
    let host = remembering();

    let refused = host.load(json!({ "greting": 1 })).unwrap_err();

    let text = refused.to_string();
    assert!(text.contains("did you mean `greeting`"), "{text}");
    assert_eq!(refused.lines.len(), 1, "{text}");
    let exchange = host.exchange(Request::get("/")).run();
    assert_eq!(exchange.upstream().header("x-greeting"), Some("hello"));
}

#[test]
fn a_callback_for_a_stream_that_is_not_known_is_refused() {
    let host = remembering();

    let action = host.raw(4_711, Callback::RequestHeaders, |runtime| {
        runtime.on_request_headers(4_711, true)
    });

    assert_eq!(action, 1, "paused");
    assert_eq!(host.counter("remembering.errors"), 1);
    assert_eq!(host.streams(), 0);
}

#[test]
fn a_stream_outlives_its_configuration() {
    let host = remembering();
    let mut stream = host.stream(Request::get("/"));
    host.unload(host.root());

    assert_eq!(stream.send_request(), Progress::Continued);
    assert_eq!(stream.send_response(Response::ok()), Progress::Continued);
    let exchange = stream.end();

    assert_eq!(exchange.upstream().header("x-greeting"), Some("hello"));
    assert_eq!(exchange.response().header("x-seen"), Some("/"));
    assert_eq!(host.streams(), 0);
}

#[test]
fn the_dispatcher_of_the_proxy_wasm_crate_is_as_good_a_door() {
    let host = Host::<Remembering>::new();
    host.enter_by(Door::Dispatcher);
    let root = host.load(greeting("hello")).unwrap();

    for path in ["/one", "/two"] {
        let exchange = host
            .exchange(Request::post(path).body("in").trailer("x-t", "1"))
            .upstream(Response::ok().body("out"));
        assert_eq!(exchange.upstream().header("x-greeting"), Some("hello"));
        assert_eq!(exchange.upstream().text(), "in");
        assert_eq!(exchange.response().header("x-seen"), Some(path));
        assert_eq!(exchange.response().text(), "out");
    }
    assert_eq!(host.streams(), 0);
    host.unload(root);
}

/// Does in each phase what a request header tells it to.
struct Obedient;

#[derive(Default)]
struct Orders(String);

fn obey(orders: &str, phase: &str) -> Result<Flow> {
    let order = orders
        .split(", ")
        .find_map(|order| order.strip_prefix(phase));
    Ok(match order.unwrap_or_default() {
        " fails" => return Err(Error::other("as ordered")),
        " pauses" => Flow::Pause,
        " replies" => LocalReply::new(403)
            .header("x-local", "yes")
            .body("no\n")
            .details("as ordered")
            .grpc_status(GrpcStatus::PermissionDenied)
            .into(),
        _ => Flow::Continue,
    })
}

#[legation::filter]
impl HttpFilter for Obedient {
    const NAME: &'static str = "obedient";
    type Config = NoConfig;
    type Stream = Orders;

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(
        &self,
        stream: &mut Orders,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        let orders = request.headers().get("x-orders")?.unwrap_or_default();
        *stream = Orders(String::from_utf8_lossy(orders).into_owned());
        obey(&stream.0, "request headers")
    }

    fn on_request_body(&self, stream: &mut Orders, _: &mut RequestBody) -> Result<Flow> {
        obey(&stream.0, "request body")
    }

    fn on_response_headers(&self, stream: &mut Orders, _: &mut ResponseHeaders) -> Result<Flow> {
        obey(&stream.0, "response headers")
    }

    fn on_response_body(&self, stream: &mut Orders, _: &mut ResponseBody) -> Result<Flow> {
        obey(&stream.0, "response body")
    }
}

fn obedient() -> Host<Obedient> {
    Host::configure(json!({})).unwrap()
}

fn ordered(orders: &str) -> Request {
    Request::post("/").header("x-orders", orders).body("in")
}

#[test]
fn an_error_refuses_the_request_is_counted_and_logged() {
    for phase in ["request headers", "request body", "response headers"] {
        let host = obedient();
        let exchange = host
            .exchange(ordered(&format!("{phase} fails")).header("x-request-id", "abc"))
            .upstream(Response::ok().body("secret"));

        assert_eq!(exchange.outcome, Outcome::Replied, "{phase}");
        assert_eq!(exchange.status(), 500, "{phase}");
        assert_eq!(exchange.response().text(), "internal error\n", "{phase}");
        assert_eq!(exchange.counted("obedient.errors"), 1, "{phase}");
        assert_eq!(exchange.failures, ["as ordered"], "{phase}");
        let [line] = exchange.log.as_slice() else {
            panic!("{phase}: one line in the log\n{exchange}");
        };
        assert_eq!(
            line.field("error").as_deref(),
            Some("as ordered"),
            "{phase}"
        );
        assert_eq!(line.field("request_id").as_deref(), Some("abc"), "{phase}");
        let reaches_upstream = phase == "response headers";
        assert_eq!(exchange.upstream.is_some(), reaches_upstream, "{phase}");
    }
}

#[test]
fn an_error_after_the_response_has_begun_breaks_it_off() {
    let exchange = obedient()
        .exchange(ordered("response body fails"))
        .upstream(Response::ok().body("secret"));

    assert_eq!(exchange.outcome, Outcome::Reset);
    assert_eq!(exchange.response, None);
    assert_eq!(exchange.counted("obedient.errors"), 1);
    assert_eq!(exchange.calls().count("proxy_send_local_response"), 0);
}

#[test]
fn a_local_reply_answers_in_the_upstreams_place() {
    for phase in ["request headers", "request body"] {
        let exchange = obedient()
            .exchange(ordered(&format!("{phase} replies")))
            .run();

        assert_eq!(exchange.outcome, Outcome::Replied, "{phase}");
        assert_eq!(exchange.upstream, None, "{phase}");
        let response = exchange.response();
        assert_eq!(response.status(), 403, "{phase}");
        assert_eq!(response.text(), "no\n", "{phase}");
        assert_eq!(response.header("x-local"), Some("yes"), "{phase}");
        assert_eq!(
            response.header("content-type"),
            Some("text/plain"),
            "{phase}"
        );
        assert_eq!(exchange.counted("obedient.errors"), 0, "{phase}");
    }
}

#[test]
fn a_local_reply_in_the_response_takes_the_upstreams_place() {
    let exchange = obedient()
        .exchange(ordered("response headers replies"))
        .upstream(Response::ok().body("from the upstream"));

    assert!(exchange.upstream.is_some());
    assert_eq!(exchange.status(), 403);
    assert_eq!(exchange.response().text(), "no\n");
}

#[test]
fn a_local_reply_to_a_grpc_client_is_grpc() {
    let exchange = obedient()
        .exchange(ordered("request headers replies").header("content-type", "application/grpc"))
        .run();

    let response = exchange.response();
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("grpc-status"), Some("7"));
    assert_eq!(response.header("grpc-message"), Some("no%0A"));
    assert_eq!(response.text(), "");
}

#[test]
fn a_second_local_reply_is_not_sent() {
    for order in ["fails", "replies"] {
        let orders = format!("request headers replies, response headers {order}");
        let exchange = obedient().exchange(ordered(&orders)).run();

        assert_eq!(
            exchange.calls().count("proxy_send_local_response"),
            1,
            "{order}"
        );
        assert_eq!(exchange.status(), 403, "{order}");
        let last = exchange.log.last().map(LogLine::message);
        assert_eq!(
            last.as_deref(),
            Some("the stream has its local reply; a second one is not sent"),
            "{order}"
        );
    }
}

#[test]
fn what_a_filter_holds_reaches_nobody() {
    for phase in ["request headers", "request body"] {
        let exchange = obedient()
            .exchange(ordered(&format!("{phase} pauses")))
            .run();
        assert_eq!(exchange.outcome, Outcome::Held, "{phase}");
        assert_eq!(exchange.upstream, None, "{phase}");
        assert_eq!(exchange.response, None, "{phase}");
    }
}

#[test]
fn a_body_that_is_held_has_a_limit() {
    let host = obedient();
    host.set_buffer_limit(8);

    let request = ordered("request body pauses").body("12345678");
    let exchange = host.exchange(request).run();

    assert_eq!(exchange.status(), 413);
    assert_eq!(exchange.upstream, None);
}

/// Has no data and one callback: it needs no contexts.
struct Stateless;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

#[legation::filter]
impl HttpFilter for Stateless {
    const NAME: &'static str = "stateless";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        CALLS.set(CALLS.get().saturating_add(1));
        match request.attribute(attributes::SOURCE_PORT)? {
            Some(4_000) => Ok(LocalReply::new(403).into()),
            _ => Ok(Flow::Continue),
        }
    }
}

#[test]
fn a_filter_that_remembers_nothing_has_no_contexts() {
    let host = Host::<Stateless>::configure("").unwrap();

    let allowed = host.exchange(Request::get("/").from("10.0.0.9:4001")).run();
    let refused = host.exchange(Request::get("/").from("10.0.0.9:4000")).run();

    assert_eq!(CALLS.get(), 2);
    assert_eq!(allowed.status(), 200);
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.upstream, None);
    assert_eq!(host.streams(), 0);
    assert_eq!(allowed.calls_in(Callback::ContextCreate).total(), 0);
}

/// Tells when a stream's state is dropped.
struct Dropping;

#[derive(Default)]
struct Told(Option<Rc<Cell<bool>>>);

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(told) = &self.0 {
            told.set(true);
        }
    }
}

thread_local! {
    static TOLD: Rc<Cell<bool>> = Rc::default();
}

#[legation::filter]
impl HttpFilter for Dropping {
    const NAME: &'static str = "dropping";
    type Config = NoConfig;
    type Stream = Told;

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, told: &mut Told, _: &mut RequestHeaders) -> Result<Flow> {
        told.0 = Some(TOLD.with(Rc::clone));
        Ok(Flow::Continue)
    }

    fn on_log(&self, _: &mut Told, _: &mut StreamLog) {}
}

#[test]
fn what_a_stream_remembers_is_dropped_when_the_stream_is_deleted() {
    let host = Host::<Dropping>::configure("").unwrap();

    let mut stream = host.stream(Request::get("/"));
    stream.send_request();
    assert!(!TOLD.with(|told| told.get()));
    drop(stream);

    assert!(TOLD.with(|told| told.get()));
}
