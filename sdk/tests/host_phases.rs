//! What a filter may do in its phases, on the mock host: headers, bodies,
//! attributes, metrics, log lines.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::time::Duration;

use deserr::Deserr;
use http::HeaderName;
use legation::config::{ConfigErrors, NoConfig};
use legation::format::Format;
use legation::headers::HeaderList;
use legation::metrics::{Counter, Gauge, Histogram};
use legation::{
    Configure, Flow, HttpFilter, RequestBody, RequestHeaders, RequestTrailers, ResponseBody,
    ResponseHeaders, ResponseTrailers, Result, StreamLog, attributes,
};
use legation_testing::{Answer, Host, Outcome, Progress, Request, Response};
use serde_json::json;

const X_A: HeaderName = HeaderName::from_static("x-a");
const X_NEW: HeaderName = HeaderName::from_static("x-new");
const X_STATUS: HeaderName = HeaderName::from_static("x-status");
const CONTENT_LENGTH: HeaderName = http::header::CONTENT_LENGTH;

/// Changes everything there is to change.
struct Changing;

#[legation::filter]
impl HttpFilter for Changing {
    const NAME: &'static str = "changing";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        request.set_path("/changed?x=1")?;
        let headers = request.headers();
        let sizes: Vec<_> = headers.get_all("x-a")?.map(<[u8]>::len).collect();
        headers.remove(&X_A)?;
        headers.append(&X_A, format!("{sizes:?}"))?;
        headers.append(&X_A, "second")?;
        headers.overwrite_if_exists(&X_NEW, "is not there")?;
        headers.add_if_absent(&X_NEW, [0xff, b'\t', 0x80])?;
        headers.remove(&CONTENT_LENGTH)?;
        Ok(Flow::Continue)
    }

    fn on_request_body(&self, (): &mut (), request: &mut RequestBody) -> Result<Flow> {
        if !request.is_end_of_stream() {
            return Ok(Flow::Pause);
        }
        let mut bytes = request.read(0, request.size())?;
        bytes.reverse();
        request.replace(&bytes)?;
        Ok(Flow::Continue)
    }

    fn on_request_trailers(&self, (): &mut (), request: &mut RequestTrailers) -> Result<Flow> {
        request.trailers().set(&X_A, "trailer")?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(&self, (): &mut (), response: &mut ResponseHeaders) -> Result<Flow> {
        let status = response.status()?.unwrap_or_default();
        let count = response.headers().len()?;
        response
            .headers()
            .set(&X_STATUS, format!("{status} in {count}"))?;
        Ok(Flow::Continue)
    }

    fn on_response_body(&self, (): &mut (), response: &mut ResponseBody) -> Result<Flow> {
        if response.size() > 0 {
            let upper = response.read(0, usize::MAX)?.to_ascii_uppercase();
            response.replace(&upper)?;
        }
        Ok(Flow::Continue)
    }

    fn on_response_trailers(&self, (): &mut (), response: &mut ResponseTrailers) -> Result<Flow> {
        let count = response.trailers().len()?;
        response.trailers().set(&X_A, count.to_string())?;
        Ok(Flow::Continue)
    }
}

fn changing() -> Host<Changing> {
    Host::configure("").unwrap()
}

#[test]
fn headers_are_bytes_and_keep_their_number() {
    let exchange = changing()
        .exchange(
            Request::get("/?x=0")
                .header("x-a", b"\xff\xfe")
                .header("X-A", "")
                .header("x-a", "1"),
        )
        .run();

    let upstream = exchange.upstream();
    assert_eq!(upstream.path(), Some("/changed?x=1"));
    assert_eq!(upstream.values("x-a"), ["[2, 0, 1]", "second"]);
    assert_eq!(
        upstream.headers.get("x-new"),
        Some(&[0xff, b'\t', 0x80][..])
    );
    assert_eq!(exchange.response().header("x-status"), Some("200 in 1"));
}

#[test]
fn a_body_is_read_and_replaced() {
    let exchange = changing()
        .exchange(Request::post("/").body("abc").body("def").body(""))
        .upstream(
            Response::ok()
                .body("h\u{e9}llo")
                .body("again")
                .header("content-length", "11"),
        );

    let upstream = exchange.upstream();
    assert_eq!(upstream.text(), "fedcba");
    assert_eq!(upstream.header("content-length"), None);
    assert_eq!(exchange.response().text(), "H\u{e9}LLOAGAIN");
}

#[test]
fn trailers_are_changed() {
    let exchange = changing()
        .exchange(Request::post("/").body("abc").trailer("x-t", "1"))
        .upstream(
            Response::ok()
                .body("x")
                .trailer("x-t", "1")
                .trailer("x-u", "2"),
        );

    // The filter waits for an end that the body does not have: with trailers to
    // come, it is theirs.
    assert_eq!(exchange.upstream().trailers.text("x-a"), Some("trailer"));
    assert_eq!(exchange.upstream().text(), "abc");
    assert_eq!(exchange.response().trailers.text("x-a"), Some("2"));
}

#[test]
fn a_thousand_headers_and_a_big_one_pass() {
    let headers = (0..1_000).map(|n| (format!("x-{n}"), "v".repeat(n % 50)));
    let request = Request::get("/")
        .headers(headers)
        .header("x-a", "v".repeat(60 * 1024));

    let exchange = changing().exchange(request).run();

    let upstream = exchange.upstream();
    assert_eq!(upstream.values("x-a"), ["[61440]", "second"]);
    assert_eq!(upstream.header("x-999").map(str::len), Some(999 % 50));
}

#[test]
fn a_header_map_that_is_none_refuses_the_request() {
    let malformed: [&[u8]; 5] = [
        b"\x01",
        b"\x01\0\0\0",
        b"\xff\xff\xff\xff",
        b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x01\0\0\0\x03\0\0\0\x01\0\0\0x-a\0",
    ];
    for bytes in malformed {
        let host = changing();
        host.answer_nth(
            "proxy_get_header_map_pairs",
            1,
            Answer::Bytes(bytes.to_vec()),
        );
        let exchange = host.exchange(Request::get("/")).run();

        assert_eq!(exchange.outcome, Outcome::Replied, "{bytes:?}");
        assert_eq!(exchange.status(), 500, "{bytes:?}");
        assert_eq!(exchange.upstream, None, "{bytes:?}");
        assert_eq!(
            exchange.failures,
            ["host call proxy_get_header_map_pairs: malformed answer"],
            "{bytes:?}"
        );
    }
}

#[test]
fn any_status_of_any_call_refuses_the_request_or_does_not_matter() {
    let calls = [
        "proxy_get_header_map_pairs",
        "proxy_replace_header_map_value",
        "proxy_add_header_map_value",
        "proxy_remove_header_map_value",
    ];
    for call in calls {
        for status in (2..20).chain([0x8000_0000, u32::MAX]) {
            if call == "proxy_get_header_map_pairs" && status == 7 {
                continue; // empty: a map without headers
            }
            let host = changing();
            host.answer(call, Answer::Status(status));
            let exchange = host.exchange(Request::get("/").header("x-a", "1")).run();
            assert_eq!(exchange.status(), 500, "{call} answers {status}");
            assert_eq!(exchange.upstream, None, "{call} answers {status}");
        }
    }
}

#[test]
fn where_no_reply_can_be_sent_the_stream_is_reset_and_else_held() {
    let host = changing();
    host.answer("proxy_get_header_map_pairs", Answer::Status(10));
    host.answer("proxy_send_local_response", Answer::Status(10));
    let reset = host.exchange(Request::get("/")).run();
    assert_eq!(
        (reset.outcome, reset.upstream_began),
        (Outcome::Reset, false)
    );

    host.answer("proxy_close_stream", Answer::Status(10));
    let mut held = host.stream(Request::post("/").body("x"));
    assert_eq!(held.send_request(), Progress::Paused);
    let held = held.end();
    assert_eq!((held.outcome, held.upstream_began), (Outcome::Held, false));
    assert_eq!(
        held.counted("changing.errors"),
        2,
        "the failure, and the reply's"
    );
}

/// Tells in headers what it knows of a request.
struct Telling;

fn told(attribute: Option<impl std::fmt::Debug>) -> String {
    attribute.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
}

#[legation::filter]
impl HttpFilter for Telling {
    const NAME: &'static str = "telling";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let time = request.attribute(attributes::REQUEST_TIME)?;
        let now = legation::clock::now()?;
        let lines = [
            told(
                request
                    .attribute(attributes::REQUEST_QUERY)?
                    .map(String::from_utf8),
            ),
            told(request.attribute(attributes::SOURCE_PORT)?),
            told(request.source_ip()?),
            told(request.attribute(attributes::CONNECTION_MTLS)?),
            told(request.attribute(attributes::CONNECTION_TLS_VERSION)?),
            told(request.attribute(attributes::RESPONSE_CODE)?),
            told(time.and_then(|time| now.duration_since(time).ok())),
            told(
                request
                    .attribute_bytes("xds.cluster_name")?
                    .map(String::from_utf8),
            ),
        ];
        for line in lines {
            request.headers().append(&X_A, line)?;
        }
        Ok(Flow::Continue)
    }
}

#[test]
fn attributes_are_typed() {
    let host = Host::<Telling>::configure("").unwrap();
    host.set_attribute("connection.mtls", true);
    let mut stream = host.stream(Request::get("/a?b=c").from("[2001:db8::1]:443"));
    host.advance(Duration::from_millis(1500));
    stream.send_request();
    stream.send_response(Response::ok());
    let exchange = stream.end();

    assert_eq!(
        exchange.upstream().values("x-a"),
        [
            "Ok(\"b=c\")",
            "443",
            "2001:db8::1",
            "true",
            "none",
            "none",
            "1.5s",
            "Ok(\"upstream\")",
        ]
    );
}

#[test]
fn an_attribute_of_the_wrong_size_is_an_error() {
    let host = Host::<Telling>::configure("").unwrap();
    for bytes in [vec![], vec![1], vec![0; 7], vec![0; 9]] {
        let exchange = host
            .exchange(Request::get("/").attribute("source.port", bytes))
            .run();
        assert_eq!(exchange.status(), 500);
        assert_eq!(
            exchange.failures,
            ["host call proxy_get_property: malformed answer"]
        );
    }
}

/// Counts, measures and logs.
struct Observing {
    requests: Counter,
    open: Gauge,
    sizes: Histogram,
}

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Observe {
    #[deserr(default)]
    prefix: Option<String>,
}

#[legation::filter]
impl HttpFilter for Observing {
    const NAME: &'static str = "obs-erving";
    type Config = Observe;
    type Stream = ();

    fn configure(config: Observe, host: &mut Configure) -> Result<Self, ConfigErrors> {
        if let Some(prefix) = config.prefix {
            host.stat_prefix(&prefix);
        }
        host.tick_every(Duration::from_secs(5));
        Ok(Self {
            requests: host.counter("requests"),
            open: host.gauge("open"),
            sizes: host.histogram("path_bytes"),
        })
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        self.requests.increment();
        self.open.add(1);
        self.sizes
            .record(request.path()?.map_or(0, <[u8]>::len) as u64);
        log::debug!(size = 3, name = "a\"b"; "headers");
        Ok(Flow::Continue)
    }

    fn on_response_body(&self, (): &mut (), response: &mut ResponseBody) -> Result<Flow> {
        if response.is_end_of_stream() {
            log::warn!("body");
        }
        Ok(Flow::Continue)
    }

    fn on_log(&self, (): &mut (), _: &mut StreamLog) {
        self.open.add(-1);
        log::info!("over");
    }

    fn on_tick(&self) {
        log::info!("tick");
    }
}

#[test]
fn metrics_count_under_the_filters_name_or_another() {
    let host = Host::<Observing>::configure("").unwrap();
    let mut stream = host.stream(Request::get("/a"));
    stream.send_request();
    assert_eq!(host.gauge("obs_erving.open"), 1);
    drop(stream);
    host.load(json!({ "prefix": "other" })).unwrap();
    let exchange = host.exchange(Request::get("/abc")).run();

    assert_eq!(host.counter("obs_erving.requests"), 1);
    assert_eq!(host.counter("other.requests"), 1);
    assert_eq!(exchange.counted("other.requests"), 1);
    assert_eq!(exchange.counted("obs_erving.requests"), 0);
    assert_eq!(host.gauge("obs_erving.open"), 0);
    assert_eq!(host.histogram("obs_erving.path_bytes"), [2]);
    assert_eq!(host.histogram("other.path_bytes"), [4]);
    assert_eq!(host.tick_period(host.root()), Some(Duration::from_secs(5)));
}

#[test]
fn a_metric_that_the_host_refuses_has_the_configuration_refused() {
    let host = Host::<Observing>::new();
    host.answer_nth("proxy_define_metric", 2, Answer::Status(10));
    host.answer("proxy_set_tick_period_milliseconds", Answer::Status(2));

    let refused = host.load("").unwrap_err();

    assert_eq!(
        refused.lines,
        [
            "host call proxy_set_tick_period_milliseconds: bad argument",
            "host call proxy_define_metric: internal failure",
        ]
    );
}

#[test]
fn log_lines_are_json_with_request_and_trace_id() {
    let host = Host::<Observing>::new();
    host.set_log_level(1);
    host.load("").unwrap();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let exchange = host
        .exchange(
            Request::get("/")
                .header("x-request-id", "id-1")
                .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01")),
        )
        .upstream(Response::ok().body("x"));

    let told: Vec<_> = exchange
        .log
        .iter()
        .map(|line| {
            (
                line.field("level").unwrap(),
                line.message(),
                line.field("request_id"),
                line.field("trace_id"),
            )
        })
        .collect();
    let (id, trace) = (Some("id-1".to_owned()), Some(trace.to_owned()));
    for (at, (level, message)) in [("debug", "headers"), ("warn", "body"), ("info", "over")]
        .into_iter()
        .enumerate()
    {
        let expected = (
            level.to_owned(),
            message.to_owned(),
            id.clone(),
            trace.clone(),
        );
        assert_eq!(told[at], expected);
    }
    let first = &exchange.log[0];
    assert_eq!(first.field("filter").as_deref(), Some("obs-erving"));
    assert_eq!(first.field("size").as_deref(), Some("3"));
    assert_eq!(first.field("name").as_deref(), Some("a\"b"));
}

#[test]
fn the_log_level_is_read_again_on_a_tick_and_after_many_streams() {
    let host = Host::<Observing>::configure("").unwrap();
    let debug_lines = |host: &Host<Observing>| {
        let exchange = host.exchange(Request::get("/")).run();
        exchange.log.iter().filter(|line| line.level == 1).count()
    };
    assert_eq!(debug_lines(&host), 0);

    host.set_log_level(1);
    assert_eq!(debug_lines(&host), 0, "not read yet");
    host.tick();
    assert_eq!(debug_lines(&host), 1);

    host.set_log_level(4);
    let streams = (0..1_100).position(|_| {
        let calls = host.calls().len();
        host.exchange(Request::get("/")).run();
        host.calls()[calls..]
            .iter()
            .any(|call| call.name == "proxy_get_log_level")
    });
    assert!(streams.is_some(), "read after many streams");
    assert_eq!(
        host.exchange(Request::get("/"))
            .run()
            .calls()
            .count("proxy_log"),
        0
    );
}

/// Writes into trailers what formats give there.
struct Quoting(Format);

#[derive(Debug, Default)]
struct Quoted(Option<HeaderList>);

#[legation::filter]
impl HttpFilter for Quoting {
    const NAME: &'static str = "quoting";
    type Config = Format;
    type Stream = Quoted;

    fn configure(format: Format, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self(format))
    }

    fn on_request_headers(&self, _: &mut Quoted, request: &mut RequestHeaders) -> Result<Flow> {
        request.headers().set(&X_NEW, "own")?;
        request.keep_headers()?;
        Ok(Flow::Continue)
    }

    fn on_request_trailers(&self, _: &mut Quoted, request: &mut RequestTrailers) -> Result<Flow> {
        let mut value = Vec::new();
        self.0.render(request, &mut value)?;
        request.trailers().set(&X_A, value)?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(
        &self,
        stream: &mut Quoted,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        if response.is_trailers_only()? {
            let mut value = Vec::new();
            self.0.render(response, &mut value)?;
            response.headers().set(&X_A, value)?;
        } else {
            response.headers().set(&X_STATUS, "seen")?;
            stream.0 = Some(response.copy_headers()?);
        }
        Ok(Flow::Continue)
    }

    fn on_response_trailers(
        &self,
        stream: &mut Quoted,
        response: &mut ResponseTrailers,
    ) -> Result<Flow> {
        let mut value = Vec::new();
        if let Some(headers) = stream.0.take() {
            response.remember_headers(headers);
        }
        self.0.render(response, &mut value)?;
        response.trailers().set(&X_A, value)?;
        Ok(Flow::Continue)
    }
}

#[test]
fn formats_read_trailers_and_the_headers_that_were_before_them() {
    let format = "%REQ(x-in)% %REQ(x-new)% %REQUEST_TRAILER(x-t)% %RESP(x-in)% %RESP(x-status)% \
                  %TRAILER(x-t)% %ATTRIBUTE(request.method)%";
    let host = Host::<Quoting>::configure(json!(format)).unwrap();
    let request = || {
        let request = Request::post("/").body("a").header("x-in", "in");
        request.trailer("x-t", "first")
    };

    let exchange = host.exchange(request()).upstream(
        Response::ok()
            .header("x-in", "out")
            .body("b")
            .trailer("x-t", "last"),
    );
    let trailers = &exchange.upstream().trailers;
    assert_eq!(trailers.text("x-a"), Some("in own first    POST"));
    let trailers = &exchange.response().trailers;
    assert_eq!(trailers.text("x-a"), Some("in own  out seen last POST"));

    let only = Response::ok()
        .header("grpc-status", "5")
        .header("x-t", "all");
    let exchange = host.exchange(request()).upstream(only);
    let headers = exchange.response();
    assert_eq!(headers.header("x-a"), Some("in own    all POST"));

    // With a body to come, or without a status, they are no trailers.
    for other in [
        Response::ok().header("grpc-status", "5").body("b"),
        Response::ok().header("x-t", "all"),
    ] {
        let exchange = host.exchange(request()).upstream(other);
        assert_eq!(exchange.response().header("x-a"), None);
    }
}
