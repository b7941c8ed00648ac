//! What of a request's trace goes along with what is asked for its sake, on the mock host.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use legation::callout::{GrpcRequest, HttpRequest, TraceContext};
use legation::config::{ConfigErrors, NoConfig};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, ResponseHeaders, Result, spawn};
use legation_testing::{Callback, Exchange, Host, Request, Response};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const ANOTHER: &str = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-00";
const STATE: &str = "vendor=1,other=2";

/// Asks in the way that the path says.
struct Asking;

fn ask() -> HttpRequest {
    HttpRequest::get("auth", "/check")
}

#[legation::filter]
impl HttpFilter for Asking {
    const NAME: &'static str = "asking";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        match request.path()?.unwrap_or_default() {
            b"/grpc" => {
                let call = GrpcRequest::encoded("auth", "a.Service", "Check", b"");
                let _ = call.send::<()>().await;
            }
            b"/spawned" => spawn(async {
                let _ = ask().send().await;
            })?,
            b"/spawned-for-it" => {
                let trace = TraceContext::of_stream();
                spawn(async {
                    let _ = ask().trace_context(trace).send().await;
                })?;
            }
            b"/elsewhere" => {
                let request = ask().trace_context(TraceContext::none());
                let _ = request.send().await;
            }
            b"/at-hand" => {
                let trace = TraceContext::of_request(request.headers());
                let _ = ask().trace_context(trace).send().await;
            }
            b"/own" => {
                let _ = ask().header("Traceparent", ANOTHER).send().await;
            }
            b"/response" => {}
            _ => {
                let _ = ask().send().await;
                let _ = ask().send().await;
            }
        }
        Ok(Flow::Continue)
    }

    async fn on_response_headers(&self, (): &mut (), _: &mut ResponseHeaders) -> Result<Flow> {
        let _ = ask().send().await;
        Ok(Flow::Continue)
    }
}

/// Reads nothing of the request, and asks when the response is there.
struct Late;

#[legation::filter]
impl HttpFilter for Late {
    const NAME: &'static str = "late";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    async fn on_response_headers(&self, (): &mut (), _: &mut ResponseHeaders) -> Result<Flow> {
        let _ = ask().send().await;
        Ok(Flow::Continue)
    }
}

/// How many single headers the host was asked for in a callback.
fn reads(exchange: &Exchange, callback: Callback) -> usize {
    let calls = exchange.calls_in(callback);
    calls.count("proxy_get_header_map_value")
}

#[test]
fn no_more_is_read_than_there_is() {
    let host = Host::<Asking>::configure("").unwrap();
    host.set_cluster("auth", |_: &_| Response::ok());
    for (request, expected) in [
        (Request::get("/grpc"), 2),
        (traced("/grpc"), 3),
        // A state without its trace.
        (Request::get("/grpc").header("tracestate", STATE), 2),
        // Those of the copy that was read anyway.
        (traced("/at-hand"), 0),
        (traced("/elsewhere"), 0),
    ] {
        let exchange = host.exchange(request).upstream(Response::ok());
        assert_eq!(reads(&exchange, Callback::RequestHeaders), expected);
        assert_eq!(reads(&exchange, Callback::ResponseHeaders), 0);
    }
    assert_eq!(along(traced("/at-hand")).first(), Some(&whole()));

    let host = Host::<Late>::configure("").unwrap();
    host.set_cluster("auth", |_: &_| Response::ok());
    let exchange = host.exchange(traced("/")).upstream(Response::ok());
    assert_eq!(reads(&exchange, Callback::ResponseHeaders), 1);
    assert_eq!(host.http_calls().len(), 1);
}

/// What went along, by name: of each callout that came of a request to this path.
fn along(request: Request) -> Vec<Vec<(String, String)>> {
    let host = Host::<Asking>::configure("").unwrap();
    host.set_cluster("auth", |_: &_| Response::ok());
    drop(host.exchange(request).upstream(|_: &_| Response::ok()));
    host.deliver_all();
    let calls = host.http_calls().into_iter().map(|call| call.headers);
    let calls = calls.chain(host.grpc_calls().into_iter().map(|call| call.metadata));
    let traced = |name: &str| name.starts_with("trace") || name == "x-request-id";
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    calls
        .map(|headers| {
            let headers = headers
                .iter()
                .map(|(name, value)| (text(name), text(value)));
            headers
                .filter(|(name, _)| traced(&name.to_lowercase()))
                .collect()
        })
        .collect()
}

fn traced(path: &str) -> Request {
    Request::get(path)
        .header("x-request-id", "one")
        .header("traceparent", PARENT)
        .header("tracestate", STATE)
}

fn whole() -> Vec<(String, String)> {
    let pairs = [
        ("x-request-id", "one"),
        ("traceparent", PARENT),
        ("tracestate", STATE),
    ];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

#[test]
fn what_a_callback_asks_belongs_to_its_requests_trace() {
    // In a row; by gRPC; in a callback after which the request is gone.
    assert_eq!(along(traced("/")), [whole(), whole(), whole()]);
    assert_eq!(along(traced("/response")), [whole()]);
    let by_grpc = along(traced("/grpc"));
    assert_eq!(by_grpc.last(), Some(&whole()));
}

#[test]
fn what_is_asked_for_nobody_in_particular_belongs_to_none() {
    let [spawned, _] = along(traced("/spawned")).try_into().unwrap();
    assert_eq!(spawned, []);
    assert_eq!(along(traced("/spawned-for-it")).first(), Some(&whole()));
}

#[test]
fn whoever_asks_may_say_otherwise() {
    assert_eq!(along(traced("/elsewhere")).first(), Some(&vec![]));
    let own = along(traced("/own")).swap_remove(0);
    let parents: Vec<_> = own
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("traceparent"))
        .collect();
    assert_eq!(parents.len(), 1, "{own:?}");
    assert_eq!(parents[0].1, ANOTHER);
    // Nor the state of a trace that it is not of.
    assert!(own.iter().all(|(name, _)| name != "tracestate"), "{own:?}");
    assert!(own.contains(&("x-request-id".to_owned(), "one".to_owned())));
}

#[test]
fn nothing_that_a_client_sends_keeps_a_callout_from_going_out() {
    let hostile = Request::get("/")
        .header("x-request-id", b"\xff\x01")
        .header("traceparent", "nonsense")
        .header("tracestate", STATE);
    assert_eq!(along(hostile), [vec![], vec![], vec![]]);
    assert_eq!(along(Request::get("/")), [vec![], vec![], vec![]]);
}
