//! Callouts and times that callbacks wait for, on the mock host.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::time::Duration;

use http::HeaderName;
use legation::callout::{self, CalloutError, GrpcRequest, HttpRequest};
use legation::clock::sleep;
use legation::config::{ConfigErrors, NoConfig};
use legation::{
    Configure, Flow, HttpFilter, LocalReply, RequestHeaders, ResponseHeaders, Result, StreamLog,
};
use legation::{HostError, Reason, Status};
use legation_testing::{
    Allocations, Answer, Call, Callback, Callout, Host, HttpCall, Outcome, Progress, Request,
    Response, Stream,
};

legation_testing::count_allocations!();

const X_ANSWER: HeaderName = HeaderName::from_static("x-answer");
const X_RESPONSE: HeaderName = HeaderName::from_static("x-response");

/// Asks what the path says, and tells the upstream what came of it.
struct Asking;

#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(string, tag = "1")]
    text: String,
}

/// The answer, in a word.
fn told(answer: Result<callout::HttpResponse, CalloutError>) -> String {
    match answer {
        Ok(answer) => {
            let body = String::from_utf8_lossy(answer.body()).into_owned();
            format!("{} {body}", answer.status())
        }
        Err(error) => format!("{error:?}"),
    }
}

fn http(path: &str) -> HttpRequest {
    HttpRequest::post("auth", path)
        .header("x-key", "1")
        .body("question")
        .trailer("x-end", "1")
        .timeout(Duration::from_millis(300))
        .max_response_bytes(10)
}

fn note(text: &str) -> GrpcRequest {
    let text = text.to_owned();
    GrpcRequest::new("notes", "a.Notes", "Take", &Note { text })
        .metadata("x-key", "1")
        .timeout(Duration::from_millis(300))
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
        let path = String::from_utf8_lossy(request.path()?.unwrap_or_default()).into_owned();
        let answer = match path.as_str() {
            "/nothing" => return Ok(Flow::Continue),
            "/finish" => return Ok(Flow::Finish),
            "/fails" => {
                http("/fails").send().await?;
                "sent".to_owned()
            }
            "/guarded" => match http("/guarded").send().await?.status() {
                200 => "let in".to_owned(),
                status => return Ok(LocalReply::new(status).body("go away").into()),
            },
            "/twice" => {
                let first = told(http("/first").send().await);
                first + ", " + &told(http("/second").send().await)
            }
            "/relative" => told(HttpRequest::get("auth", "relative").send().await),
            "/host" => told(http("/").header("Host", "a").send().await),
            "/note" => match note("hello").send::<Note>().await {
                Ok(Note { text }) => text,
                Err(error) => format!("{error:?}"),
            },
            "/sleep" => {
                sleep(Duration::from_millis(25)).await?;
                "slept".to_owned()
            }
            "/spawn" => {
                callout::spawn(async {
                    let answer = told(http("/spawned").send().await);
                    log::info!("the plugin has {answer}");
                })?;
                "spawned".to_owned()
            }
            path => told(http(path).send().await),
        };
        request.headers().set(&X_ANSWER, answer)?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(&self, (): &mut (), response: &mut ResponseHeaders) -> Result<Flow> {
        response.headers().set(&X_RESPONSE, "seen")?;
        Ok(Flow::Continue)
    }

    fn on_log(&self, (): &mut (), _: &mut StreamLog) {}
}

fn asking() -> Host<Asking> {
    Host::configure("").unwrap()
}

/// A host with a cluster that says this.
fn answering(callout: impl Into<Callout>) -> Host<Asking> {
    let (host, callout) = (asking(), callout.into());
    host.set_cluster("auth", move |_| callout.clone());
    host
}

/// A host whose cluster says what it was asked.
fn echoing() -> Host<Asking> {
    let host = asking();
    host.set_cluster("auth", |call| Response::ok().body(call.path()));
    host
}

fn answer_to(host: &Host<Asking>, path: &str) -> String {
    let exchange = host.exchange(Request::get(path)).run();
    let answer = exchange.upstream().header("x-answer");
    assert_eq!((host.waiting(), host.streams()), (0, 0), "{exchange}");
    answer.unwrap_or("none").to_owned()
}

/// The way a stream went, while it goes on.
fn waiting<'h>(host: &'h Host<Asking>, path: &str) -> Stream<'h, Asking> {
    let mut stream = host.stream(Request::get(path));
    assert_eq!(stream.send_request(), Progress::Paused);
    stream
}

#[test]
fn an_answer_lets_the_request_go_on() {
    let host = asking();
    host.set_cluster("auth", |call: &HttpCall| {
        assert_eq!(call.headers.text(":method"), Some("POST"));
        assert_eq!(call.headers.text(":authority"), Some("auth"));
        assert_eq!(call.headers.text("x-key"), Some("1"));
        assert_eq!(call.body, b"question");
        assert_eq!(call.trailers.text("x-end"), Some("1"));
        assert_eq!(call.timeout, 300);
        Response::new(201)
            .body("well")
            .body(" done")
            .trailer("x-t", "1")
    });

    let exchange = host.exchange(Request::post("/a").body("b")).run();

    assert_eq!(
        exchange.upstream().header("x-answer"),
        Some("201 well done")
    );
    assert_eq!(exchange.upstream().text(), "b");
    assert_eq!(exchange.response().header("x-response"), Some("seen"));
    assert_eq!((host.waiting(), host.streams()), (0, 0));
}

#[test]
fn an_answer_may_take_a_while() {
    let slow = Callout::from(Response::ok()).after(Duration::from_millis(299));
    let host = answering(slow);
    let began = host.time();

    assert_eq!(answer_to(&host, "/"), "200 ");
    // Exchanges do not wait for what is sure to come.
    assert_eq!(host.time(), began);

    let stream = waiting(&host, "/");
    host.run_for(Duration::from_millis(298));
    assert!(!stream.reached_upstream());
    host.run_for(Duration::from_millis(1));
    assert!(stream.reached_upstream());
}

fn not_sent(status: Status) -> CalloutError {
    CalloutError::NotSent(HostError {
        call: "proxy_http_call",
        reason: Reason::Status(status),
    })
}

#[test]
fn a_callout_comes_to_nothing_in_many_ways() {
    let reset = CalloutError::Reset("connection termination".to_owned());
    let too_large = CalloutError::TooLarge {
        size: 11,
        limit: 10,
    };
    let cases = [
        (Callout::refuse(2), not_sent(Status::BAD_ARGUMENT)),
        (Callout::refuse(10), not_sent(Status::INTERNAL_FAILURE)),
        (Callout::hang(), CalloutError::Timeout),
        (Callout::fail(), CalloutError::NoHeaders),
        (Callout::reset("connection termination"), reset),
        (Response::ok().body("12345678901").into(), too_large),
    ];
    for (callout, error) in cases {
        assert_eq!(answer_to(&answering(callout), "/"), format!("{error:?}"));
    }
    let unknown = answer_to(&asking(), "/");
    assert_eq!(unknown, format!("{:?}", not_sent(Status::BAD_ARGUMENT)));
}

#[test]
fn a_callout_that_cannot_be_put_into_words_is_not_sent() {
    for path in ["/relative", "/host"] {
        let host = echoing();
        assert!(answer_to(&host, path).starts_with("Invalid("), "{path}");
        assert_eq!(host.http_calls(), []);
    }
}

#[test]
fn a_callout_has_its_time_and_no_longer() {
    let host = answering(Callout::hang());
    let began = host.time();
    let stream = waiting(&host, "/");

    host.advance(Duration::from_millis(299));
    assert_eq!((stream.reached_upstream(), host.waiting()), (false, 2));
    host.advance(Duration::from_millis(1));

    assert!(stream.reached_upstream());
    assert_eq!(stream.end().upstream().header("x-answer"), Some("Timeout"));
    assert_eq!(host.time(), began + Duration::from_millis(300));
}

#[test]
fn an_answer_like_envoys_own_is_told_from_it() {
    let host = answering(Response::new(504).body("upstream request timeout"));
    host.exchange(Request::get("/fails")).run();

    let own = CalloutError::TooLarge {
        size: 24,
        limit: 10,
    };
    assert_eq!(answer_to(&host, "/"), format!("{own:?}"));
}

#[test]
fn an_answer_that_cannot_be_read_is_an_error() {
    let lies: [(&str, Answer); 6] = [
        ("proxy_get_header_map_pairs", Answer::Bytes(vec![1, 2, 3])),
        ("proxy_get_header_map_pairs", Answer::Null),
        ("proxy_get_header_map_pairs", Answer::Status(10)),
        ("proxy_get_buffer_bytes", Answer::CutTo(3)),
        ("proxy_get_buffer_bytes", Answer::Null),
        ("proxy_get_buffer_bytes", Answer::Status(2)),
    ];
    for (name, lie) in lies {
        let host = answering(Response::ok().body("body"));
        host.answer_by(move |call| match call {
            Call::Map { map: 6 } | Call::Buffer { buffer: 4, .. } if call.name() == name => {
                lie.clone()
            }
            _ => Answer::Real,
        });
        assert!(answer_to(&host, "/").starts_with("Malformed("), "{name}");
    }
}

#[test]
fn an_error_passed_on_refuses_the_request() {
    let exchange = answering(Callout::fail())
        .exchange(Request::post("/fails").body("x"))
        .run();

    assert_eq!(
        (exchange.outcome, exchange.status()),
        (Outcome::Replied, 500)
    );
    assert!(!exchange.upstream_began);
    assert_eq!(exchange.failures, ["the callout was broken off"]);
    assert_eq!(exchange.counted("asking.errors"), 1);
}

#[test]
fn a_reply_to_an_answer_goes_through_the_responses_callbacks() {
    let exchange = answering(Response::new(403))
        .exchange(Request::post("/guarded").body("x"))
        .run();

    assert_eq!(
        (exchange.outcome, exchange.status()),
        (Outcome::Replied, 403)
    );
    assert_eq!(exchange.response().header("x-response"), Some("seen"));
    assert!(!exchange.upstream_began);
}

#[test]
fn callouts_are_made_one_after_another() {
    assert_eq!(answer_to(&echoing(), "/twice"), "200 /first, 200 /second");
}

#[test]
fn each_stream_gets_its_own_answer_whatever_the_order() {
    let host = echoing();
    let streams: Vec<_> = ["/a", "/b", "/c"].map(|path| waiting(&host, path)).into();
    let tokens: Vec<_> = host.http_calls().iter().map(|call| call.token).collect();

    assert!(host.deliver_call(tokens[2]));
    assert!(!streams[0].reached_upstream() && streams[2].reached_upstream());
    assert!(host.deliver_call(tokens[0]));
    assert!(host.deliver_call(tokens[1]));

    let answers = streams.into_iter().map(|stream| {
        let exchange = stream.end();
        exchange.upstream().header("x-answer").unwrap().to_owned()
    });
    assert_eq!(answers.collect::<Vec<_>>(), ["200 /a", "200 /b", "200 /c"]);
    assert_eq!((host.waiting(), host.streams()), (0, 0));
}

#[test]
fn a_stream_that_is_over_takes_no_answer() {
    let host = echoing();
    let gone = waiting(&host, "/gone");
    let stays = waiting(&host, "/stays");

    let gone = gone.end();
    assert_eq!((gone.outcome, host.waiting()), (Outcome::Held, 2));
    assert_eq!(host.deliver_all(), 2);

    assert_eq!(
        stays.end().upstream().header("x-answer"),
        Some("200 /stays")
    );
    assert_eq!((host.waiting(), host.streams()), (0, 0));
}

#[test]
fn an_answer_that_nobody_waits_for_is_let_go_by() {
    let host = echoing();
    let root = host.root();
    let stream = waiting(&host, "/a");
    let token = host.http_calls()[0].token;
    let (id, other) = (stream.id(), Response::ok().body("other"));

    // Of another kind, another number, and of none.
    host.deliver_raw_grpc(root.id(), token, Callout::message(*b"x"));
    for token in [0, 1, token + 4, u32::MAX] {
        host.deliver_raw(root.id(), token, other.clone());
    }
    assert!(!stream.reached_upstream());
    // The context that it is told to does not matter: the number does.
    host.deliver_raw(id, token, Response::ok().body("first"));
    assert!(stream.reached_upstream());
    // The second to come.
    assert!(host.deliver_call(token));

    let exchange = stream.end();
    assert_eq!(exchange.upstream().header("x-answer"), Some("200 first"));
    assert_eq!(exchange.failures, [""; 0]);
}

#[test]
fn an_answer_within_the_call_is_taken() {
    for callout in [
        Callout::from(Response::ok().body("early")),
        Callout::from(Response::ok().body("much too large")),
        Callout::fail(),
        Callout::reset("overflow"),
    ] {
        let (host, later) = (answering(callout.clone().at_once()), answering(callout));
        assert_eq!(answer_to(&host, "/"), answer_to(&later, "/"));
        assert_eq!(answer_to(&host, "/twice"), answer_to(&later, "/twice"));
    }
    for callout in [
        Callout::message(*b"\x0a\x01x"),
        Callout::message(vec![0; 1024 * 1024 + 1]),
        Callout::grpc_status(7, "no"),
    ] {
        let answers = [callout.clone().at_once(), callout].map(|callout| {
            let host = asking();
            host.set_grpc_cluster("notes", move |_| callout.clone());
            answer_to(&host, "/note")
        });
        assert_eq!(answers[0], answers[1]);
    }
}

#[test]
fn a_message_of_grpc_is_taken() {
    let host = asking();
    host.set_grpc_cluster("notes", |call| {
        assert_eq!(
            (&*call.service, &*call.method),
            (&b"a.Notes"[..], &b"Take"[..])
        );
        assert_eq!(call.metadata.text("x-key"), Some("1"));
        Callout::message(call.message.clone())
    });

    assert_eq!(answer_to(&host, "/note"), "hello");
}

#[test]
fn a_grpc_callout_comes_to_nothing_in_many_ways() {
    let large = vec![0; 1024 * 1024 + 1];
    let cases = [
        (
            Callout::grpc_status(7, "n\u{e9}"),
            "Grpc { status: 7, message: \"n\u{e9}\" }",
        ),
        (
            Callout::grpc_status(4, ""),
            "Grpc { status: 4, message: \"\" }",
        ),
        (Callout::message(*b"\x0a\xff"), "Malformed("),
        (
            Callout::message(large),
            "TooLarge { size: 1048577, limit: 1048576 }",
        ),
        (Callout::hang(), "Timeout"),
        (Callout::refuse(10), "NotSent("),
        (Callout::refuse(2), "NotSent("),
    ];
    for (callout, error) in cases {
        let host = asking();
        host.set_grpc_cluster("notes", move |_| callout.clone());
        let answer = answer_to(&host, "/note");
        assert!(answer.starts_with(error), "{answer}");
    }
    assert!(answer_to(&asking(), "/note").starts_with("NotSent("));
}

#[test]
fn a_grpc_callout_is_cancelled_when_its_stream_is_over() {
    let host = asking();
    host.set_grpc_cluster("notes", |_| Callout::message(*b""));
    let stream = waiting(&host, "/note");
    let token = host.grpc_calls()[0].token;

    drop(stream);

    assert_eq!(host.cancelled_calls(), [token]);
    assert_eq!((host.waiting(), host.pending_callouts()), (0, vec![]));
    assert_eq!(answer_to(&host, "/note"), "");
    assert_eq!(host.cancelled_calls(), [token]);
}

#[test]
fn a_time_is_waited_for_by_ticks_that_end_with_it() {
    let host = asking();
    let stream = waiting(&host, "/sleep");
    assert_eq!(
        host.tick_period(host.root()),
        Some(Duration::from_millis(10))
    );

    host.run_for(Duration::from_millis(24));
    assert!(!stream.reached_upstream());
    host.run_for(Duration::from_millis(10));

    assert!(stream.reached_upstream());
    assert_eq!(host.tick_period(host.root()), None);
    assert_eq!(stream.end().upstream().header("x-answer"), Some("slept"));
}

#[test]
fn a_stream_that_ends_while_it_sleeps_leaves_no_timer() {
    let host = asking();
    drop(waiting(&host, "/sleep"));
    assert_eq!(host.waiting(), 0);

    host.run_for(Duration::from_millis(10));
    assert_eq!(host.tick_period(host.root()), None);
}

#[test]
fn what_is_spawned_outlives_its_stream() {
    let host = echoing();
    let mut stream = host.stream(Request::get("/spawn"));
    assert_eq!(stream.send_request(), Progress::Continued);
    stream.send_response(Response::ok());
    drop(stream);
    assert_eq!((host.waiting(), host.streams()), (2, 0));

    assert_eq!(host.deliver_all(), 1);

    let last = host.log().pop().unwrap();
    assert_eq!(last.message(), "the plugin has 200 /spawned");
    assert_eq!(host.waiting(), 0);
}

#[test]
fn what_is_spawned_goes_with_its_configuration() {
    let host = echoing();
    let old = host.root();
    drop(
        host.exchange(Request::get("/spawn"))
            .upstream(|_: &_| Response::ok()),
    );
    let mut stream = host.stream(Request::get("/spawn"));
    stream.send_request();
    drop(stream);
    assert_eq!(host.waiting(), 2);

    host.load("").unwrap();
    host.unload(old);

    assert_eq!((host.waiting(), host.pending_callouts()), (0, vec![]));
}

#[test]
fn a_response_that_comes_first_waits_for_the_requests_callback() {
    let host = echoing();
    let mut stream = waiting(&host, "/a");

    // Envoy's own: the route's timeout.
    let progress = stream.send_response(Response::new(504).body("upstream request timeout"));
    assert_eq!(progress, Progress::Paused);
    host.deliver_all();

    let exchange = stream.end();
    assert_eq!(exchange.status(), 504);
    assert_eq!(exchange.response().header("x-response"), Some("seen"));
    assert_eq!((host.waiting(), host.streams()), (0, 0));
}

/// Waits for a body, and has nothing to wait for without one.
struct Idle;

#[legation::filter]
impl HttpFilter for Idle {
    const NAME: &'static str = "idle";
    type Config = NoConfig;
    type Stream = u64;

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    async fn on_request_headers(
        &self,
        seen: &mut u64,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        *seen = 1;
        if !request.is_end_of_stream() {
            sleep(Duration::from_millis(1)).await?;
        }
        Ok(Flow::Continue)
    }

    async fn on_response_headers(&self, seen: &mut u64, _: &mut ResponseHeaders) -> Result<Flow> {
        match *seen {
            1 => Ok(Flow::Continue),
            _ => Ok(LocalReply::new(500).into()),
        }
    }
}

#[test]
fn a_request_that_awaits_nothing_allocates_nothing_for_it() {
    let host = Host::<Idle>::configure("").unwrap();
    let exchange = || host.exchange(Request::get("/")).upstream(Response::ok());
    exchange();

    let warm = exchange();

    assert_eq!(warm.status(), 200);
    assert_eq!(warm.calls().total(), 0);
    assert_eq!(warm.allocations(), Allocations::default());
}

#[test]
fn a_place_of_a_future_that_was_dropped_is_used_again() {
    let host = Host::<Idle>::configure("").unwrap();
    let mut stream = host.stream(Request::post("/").body("x"));
    assert_eq!(stream.send_request(), Progress::Paused);
    drop(stream);

    let next = host.exchange(Request::get("/")).run();

    let spent = next.allocations_in(Callback::RequestHeaders);
    assert_eq!((next.status(), spent.count), (200, 0));
    assert_eq!(host.waiting(), 0);
}

#[test]
fn what_a_callout_costs() {
    let host = echoing();
    let exchange = || host.exchange(Request::get("/a")).upstream(Response::ok());
    exchange();

    let warm = exchange();

    assert_eq!(
        warm.calls_in(Callback::RequestHeaders).names(),
        [
            "proxy_get_header_map_pairs",
            // Of the trace that it belongs to.
            "proxy_get_header_map_value",
            "proxy_get_header_map_value",
            "proxy_get_current_time_nanoseconds",
            "proxy_http_call",
        ]
    );
    assert_eq!(
        warm.calls_in(Callback::HttpCallResponse).names(),
        [
            "proxy_set_effective_context",
            "proxy_replace_header_map_value",
            "proxy_continue_stream",
        ]
    );
}
