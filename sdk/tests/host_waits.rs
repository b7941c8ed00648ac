//! Ticks that wait, and callbacks of a stream that wait one after another, on the
//! mock host.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::time::Duration;

use http::HeaderName;
use legation::callout::{self, CalloutError, HttpRequest};
use legation::clock::sleep;
use legation::config::{ConfigErrors, NoConfig};
use legation::{Configure, Flow, HttpFilter, RequestBody, RequestHeaders, Result, StreamLog};
use legation_testing::{Callout, Host, Request, Response};

const X_ANSWER: HeaderName = HeaderName::from_static("x-answer");

/// The answer, in a word.
async fn ask(path: &str) -> String {
    let request = HttpRequest::get("auth", path).max_response_bytes(10);
    match request.timeout(Duration::from_millis(300)).send().await {
        Ok(answer) => {
            let body = String::from_utf8_lossy(answer.body()).into_owned();
            format!("{} {body}", answer.status())
        }
        Err(CalloutError::TooLarge { size, .. }) => format!("{size} bytes"),
        Err(error) => format!("{error:?}"),
    }
}

/// Ticks, and asks on each.
struct Ticking;

#[legation::filter]
impl HttpFilter for Ticking {
    const NAME: &'static str = "ticking";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.tick_every(Duration::from_secs(1));
        let spawned = callout::spawn(async {
            log::warn!("at first {}", ask("/configured").await);
        });
        assert!(spawned.is_ok(), "spawned while it is configured");
        Ok(Self)
    }

    async fn on_tick(&self) {
        log::warn!("then {}", ask("/tick").await);
        if sleep(Duration::from_millis(100)).await.is_ok() {
            log::warn!("over");
        }
    }
}

/// Lets time go by, and delivers what there is: the lines that were logged, each
/// with the milliseconds since the start.
fn lines(host: &Host<Ticking>, milliseconds: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let began = host.time();
    for _ in 0..milliseconds.div_ceil(10) {
        host.run_for(Duration::from_millis(10));
        host.deliver_all();
        let elapsed = host.time().duration_since(began).unwrap().as_millis();
        let new = host.log().split_off(lines.len());
        lines.extend(
            new.iter()
                .map(|line| format!("{elapsed} {}", line.message())),
        );
    }
    lines
}

#[test]
fn ticks_and_configurations_ask_too() {
    let host = Host::<Ticking>::new();
    host.set_cluster("auth", |call| Response::ok().body(call.path()));
    host.load("").unwrap();

    let lines = lines(&host, 2_500);

    let told = [
        "10 at first 11 bytes",
        "1000 then 200 /tick",
        "1100 over",
        "2000 then 200 /tick",
        "2100 over",
    ];
    assert_eq!(lines, told);
    assert_eq!(host.waiting(), 0);
}

#[test]
fn a_tick_that_is_not_over_is_not_made_again() {
    let host = Host::<Ticking>::new();
    host.set_cluster("auth", |call| {
        let delay = if call.path() == "/tick" { 290 } else { 0 };
        Callout::from(Response::ok()).after(Duration::from_millis(delay))
    });
    host.load("").unwrap();
    host.run_for(Duration::from_millis(500));
    let token = host.http_calls()[0].token;

    host.run_for(Duration::from_secs(2));
    assert_eq!(token, 4);
    let calls = host.http_calls().len();
    assert_eq!(calls, 3, "one of the configuration, and of each tick");
}

/// Waits in every callback of a request, and counts.
struct Slow;

#[legation::filter]
impl HttpFilter for Slow {
    const NAME: &'static str = "slow";
    type Config = NoConfig;
    type Stream = Vec<String>;

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    async fn on_request_headers(
        &self,
        seen: &mut Vec<String>,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        let answer = ask("/headers").await;
        request.headers().set(&X_ANSWER, &answer)?;
        seen.push(answer);
        Ok(Flow::Continue)
    }

    async fn on_request_body(
        &self,
        seen: &mut Vec<String>,
        request: &mut RequestBody,
    ) -> Result<Flow> {
        let body = request.read(0, request.size())?;
        let answer = ask("/body").await;
        let body = String::from_utf8_lossy(&body).into_owned();
        seen.push(format!("{body} {} {answer}", request.is_end_of_stream()));
        Ok(Flow::Continue)
    }

    fn on_log(&self, seen: &mut Vec<String>, _: &mut StreamLog) {
        log::warn!("{}", seen.join("; "));
    }
}

#[test]
fn callbacks_of_a_stream_come_one_after_another() {
    for allow in [false, true] {
        let host = Host::<Slow>::new();
        host.set_allow_on_headers_stop_iteration(allow);
        host.set_cluster("auth", |call| Response::ok().body(call.path()));
        host.load("").unwrap();

        let exchange = host
            .exchange(Request::post("/").body("one").body("two"))
            .run();

        assert_eq!(exchange.upstream().text(), "onetwo", "{exchange}");
        assert_eq!(exchange.upstream().header("x-answer"), Some("200 /headers"));
        let log = exchange.log[0].message();
        assert_eq!(log, "200 /headers; onetwo true 200 /body", "allow: {allow}");
        assert_eq!((host.waiting(), host.streams()), (0, 0));
    }
}

#[test]
fn a_stream_may_end_at_any_point() {
    for deliveries in 0..=3 {
        let host = Host::<Slow>::configure("").unwrap();
        host.set_cluster("auth", |call| Response::ok().body(call.path()));
        let mut stream = host.stream(Request::post("/").body("one").trailer("x-t", "1"));
        stream.send_request();
        for _ in 0..deliveries {
            host.deliver();
        }

        let exchange = stream.end();
        host.deliver_all();

        assert_eq!(exchange.upstream_began, deliveries > 0);
        assert_eq!(exchange.upstream.is_some(), deliveries > 1, "{exchange}");
        assert_eq!((host.waiting(), host.streams()), (0, 0));
    }
}
