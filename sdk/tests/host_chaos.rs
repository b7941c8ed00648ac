//! Filters on a host that lies: nothing panics, leaks or lets through what it
//! should not.

use std::time::Duration;

use http::HeaderName;
use legation::callout::{GrpcRequest, HttpRequest};
use legation::clock::sleep;
use legation::config::{ConfigErrors, NoConfig};
use legation::metrics::Counter;
use legation::{
    Configure, Error, Flow, HttpFilter, LocalReply, RequestBody, RequestHeaders, RequestTrailers,
    ResponseBody, ResponseHeaders, ResponseTrailers, Result, StreamLog, attributes, spawn,
};
use legation_testing::{Answer, HOST_CALLS, Host, Outcome, Request, Response, chaos};

const X_A: HeaderName = HeaderName::from_static("x-a");
const X_B: HeaderName = HeaderName::from_static("x-b");

/// Uses every service of every phase.
struct Busy {
    requests: Counter,
}

/// Calls the host when it is made and when it is dropped.
struct Noisy(u64);

impl Default for Noisy {
    fn default() -> Self {
        log::info!("made");
        Self(0)
    }
}

impl Drop for Noisy {
    fn drop(&mut self) {
        log::info!(seen = self.0; "dropped");
    }
}

#[legation::filter]
impl HttpFilter for Busy {
    const NAME: &'static str = "busy";
    type Config = NoConfig;
    type Stream = Noisy;

    fn configure(_: NoConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.tick_every(Duration::from_secs(1));
        Ok(Self {
            requests: host.counter("requests"),
        })
    }

    fn on_request_headers(&self, seen: &mut Noisy, request: &mut RequestHeaders) -> Result<Flow> {
        self.requests.increment();
        seen.0 = seen.0.saturating_add(1);
        if request.method()? == Some(b"CONNECT") {
            return Ok(LocalReply::new(403).header("x-a", "1").body("no").into());
        }
        if request.headers().get_unique("x-b")?.is_some() {
            return Err(Error::other("x-b is not wanted"));
        }
        request.source_ip()?;
        request.attribute(attributes::CONNECTION_ID)?;
        request.attribute(attributes::REQUEST_TIME)?;
        let path = request.path()?.unwrap_or_default().to_vec();
        request.headers().set(&X_A, path)?;
        request.headers().append(&X_A, "2")?;
        request.headers().remove(&X_B)?;
        request.headers().peek("cookie")?;
        let now = legation::clock::now()?;
        log::info!(now:?; "request");
        Ok(Flow::Continue)
    }

    fn on_request_body(&self, seen: &mut Noisy, request: &mut RequestBody) -> Result<Flow> {
        seen.0 = seen.0.saturating_add(request.size() as u64);
        if !request.is_end_of_stream() {
            return Ok(Flow::Pause);
        }
        let bytes = request.read(0, request.size())?;
        request.replace(&bytes)?;
        Ok(Flow::Continue)
    }

    fn on_request_trailers(&self, _: &mut Noisy, request: &mut RequestTrailers) -> Result<Flow> {
        request.trailers().set(&X_A, "1")?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(&self, _: &mut Noisy, response: &mut ResponseHeaders) -> Result<Flow> {
        if response.status()? == Some(418) {
            return Ok(LocalReply::new(502).into());
        }
        response.headers().append(&X_B, "1")?;
        Ok(Flow::Continue)
    }

    fn on_response_body(&self, _: &mut Noisy, response: &mut ResponseBody) -> Result<Flow> {
        response.replace(b"other")?;
        Ok(Flow::Continue)
    }

    fn on_response_trailers(&self, _: &mut Noisy, response: &mut ResponseTrailers) -> Result<Flow> {
        response.trailers().len()?;
        Ok(Flow::Continue)
    }

    fn on_log(&self, seen: &mut Noisy, _: &mut StreamLog) {
        log::warn!(seen = seen.0; "over");
    }

    fn on_done(&self, seen: &mut Noisy) {
        seen.0 = 0;
    }

    fn on_tick(&self) {
        log::info!("tick");
    }
}

/// Remembers nothing and has no contexts.
struct Stateless;

#[legation::filter]
impl HttpFilter for Stateless {
    const NAME: &'static str = "stateless";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        if request.headers().contains("authorization")? {
            Ok(Flow::Continue)
        } else {
            Ok(LocalReply::new(401).into())
        }
    }
}

/// Remembers something between its two callbacks, and is not told of ends.
struct Echoing;

#[legation::filter]
impl HttpFilter for Echoing {
    const NAME: &'static str = "echoing";
    type Config = NoConfig;
    type Stream = Vec<u8>;

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, path: &mut Vec<u8>, request: &mut RequestHeaders) -> Result<Flow> {
        *path = request.path()?.unwrap_or_default().to_vec();
        Ok(match request.method()? {
            Some(b"GET") => Flow::Finish,
            Some(b"CONNECT") => LocalReply::new(403).into(),
            _ => Flow::Continue,
        })
    }

    fn on_response_headers(
        &self,
        path: &mut Vec<u8>,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        response.headers().set(&X_A, path)?;
        Ok(Flow::Continue)
    }
}

/// Waits wherever it may.
struct Waiting;

#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(string, tag = "1")]
    text: String,
}

async fn ask(path: &str) -> Result<u16> {
    let request = HttpRequest::post("auth", path).header(X_A.as_str(), "1");
    let answer = request.timeout(Duration::from_millis(100)).send().await?;
    Ok(answer.status())
}

async fn take_note() -> Result<String> {
    let text = "text".to_owned();
    let request = GrpcRequest::new("notes", "a.Notes", "Take", &Note { text });
    Ok(request.send::<Note>().await?.text)
}

#[legation::filter]
impl HttpFilter for Waiting {
    const NAME: &'static str = "waiting";
    type Config = NoConfig;
    type Stream = Noisy;

    fn configure(_: NoConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.tick_every(Duration::from_secs(1));
        host.allow_on_headers_stop_iteration(true);
        // It may be that there are too many.
        let _ = spawn(async {
            let _ = ask("/configured").await;
        });
        Ok(Self)
    }

    async fn on_request_headers(
        &self,
        seen: &mut Noisy,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        seen.0 = 1;
        match request.method()? {
            Some(b"GET") => {
                let status = ask("/first").await?;
                request.headers().set(&X_A, status.to_string())?;
            }
            Some(b"POST") => {
                let body = request.buffer_body(100).await?;
                request.replace_body(body.repeat(2))?;
            }
            Some(b"HEAD") => {
                let text = take_note().await?;
                request.headers().set(&X_B, text)?;
            }
            Some(b"CONNECT") => {
                sleep(Duration::from_millis(20)).await?;
                return Ok(LocalReply::new(403).into());
            }
            _ => spawn(async {
                if let Ok(status) = ask("/spawned").await {
                    log::info!(status; "spawned");
                }
            })?,
        }
        Ok(match ask("/second").await? {
            500.. => LocalReply::new(502).into(),
            400..500 => Flow::Finish,
            _ => Flow::Continue,
        })
    }

    async fn on_request_body(&self, seen: &mut Noisy, request: &mut RequestBody) -> Result<Flow> {
        seen.0 = seen.0.saturating_add(1);
        let bytes = request.read(0, request.size())?;
        take_note().await?;
        request.replace(&bytes)?;
        Ok(Flow::Continue)
    }

    async fn on_request_trailers(
        &self,
        _: &mut Noisy,
        request: &mut RequestTrailers,
    ) -> Result<Flow> {
        sleep(Duration::from_millis(1)).await?;
        request.trailers().set(&X_A, "1")?;
        Ok(Flow::Continue)
    }

    async fn on_response_headers(
        &self,
        _: &mut Noisy,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        let body = response.buffer_body(1000).await?;
        response.headers().set(&X_B, body.len().to_string())?;
        ask("/response").await?;
        Ok(Flow::Continue)
    }

    async fn on_response_body(&self, _: &mut Noisy, response: &mut ResponseBody) -> Result<Flow> {
        sleep(Duration::from_millis(5)).await?;
        response.replace(b"other")?;
        Ok(Flow::Continue)
    }

    fn on_log(&self, seen: &mut Noisy, _: &mut StreamLog) {
        let _ = spawn(async {
            let _ = take_note().await;
        });
        log::warn!(seen = seen.0; "over");
    }

    async fn on_tick(&self) {
        let _ = ask("/tick").await;
    }
}

/// Waits for some requests, and is not told when they end.
struct Seldom;

#[legation::filter]
impl HttpFilter for Seldom {
    const NAME: &'static str = "seldom";
    type Config = NoConfig;
    type Stream = Noisy;

    fn configure(_: NoConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.allow_on_headers_stop_iteration(true);
        Ok(Self)
    }

    fn on_request_headers_at_once(
        &self,
        seen: &mut Noisy,
        request: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        seen.0 = 1;
        match request.method() {
            Ok(Some(b"GET" | b"POST" | b"HEAD")) => None,
            Ok(Some(b"CONNECT")) => Some(Ok(LocalReply::new(403).into())),
            Ok(_) => Some(request.headers().set(&X_A, "1").map(|()| Flow::Continue)),
            Err(error) => Some(Err(error.into())),
        }
    }

    async fn on_request_headers(
        &self,
        _: &mut Noisy,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        match request.method()? {
            Some(b"GET") => {
                let status = ask("/first").await?;
                request.headers().set(&X_A, status.to_string())?;
            }
            Some(b"POST") => {
                let body = request.buffer_body(100).await?;
                request.replace_body(body.repeat(2))?;
            }
            _ => sleep(Duration::from_millis(20)).await?,
        }
        Ok(match ask("/second").await? {
            500.. => LocalReply::new(502).into(),
            400..500 => Flow::Finish,
            _ => Flow::Continue,
        })
    }
}

#[test]
fn a_filter_that_seldom_waits_survives_them_too() {
    let report = chaos::run::<Seldom>("{}", 30_000, 6);

    assert!(report.lies > 40_000, "{report}");
    assert!(report.reentered > 2_000, "{report}");
    assert!(report.let_through > 400, "{report}");
    assert!(report.refused > 2_000, "{report}");
}

#[test]
fn a_filter_that_waits_survives_them_too() {
    let report = chaos::run::<Waiting>("{}", 20_000, 5);

    assert!(report.lies > 100_000, "{report}");
    assert!(report.reentered > 10_000, "{report}");
    assert!(report.let_through > 500, "{report}");
    assert!(report.refused > 2_000, "{report}");
}

#[test]
fn a_busy_filter_survives_a_hundred_thousand_lies() {
    let report = chaos::run::<Busy>("{}", 100_000, 1);

    assert!(report.lies > 100_000, "{report}");
    assert!(report.reentered > 10_000, "{report}");
    assert!(report.let_through > 10_000, "{report}");
    assert!(report.failures > 10_000, "{report}");
}

#[test]
fn a_filter_without_contexts_survives_them_too() {
    let report = chaos::run::<Stateless>("", 20_000, 2);
    assert!(
        report.refused > 1_000 && report.let_through > 1_000,
        "{report}"
    );
}

#[test]
fn a_filter_that_is_not_told_of_ends_survives_them_too() {
    let report = chaos::run::<Echoing>("", 20_000, 4);
    assert!(
        report.failures > 1_000 && report.let_through > 1_000,
        "{report}"
    );
}

#[test]
fn every_status_of_every_host_call_is_met() {
    for call in HOST_CALLS {
        for status in (1..32).chain([0x8000_0000, u32::MAX]) {
            let host = Host::<Busy>::new();
            host.answer(call, Answer::Status(status));
            // Refused or not: both are well.
            if host.load("{}").is_err() {
                continue;
            }
            let exchange = host
                .exchange(Request::post("/").body("in").trailer("x-t", "1"))
                .upstream(Response::ok().body("out").trailer("x-t", "1"));
            host.tick();

            let passed = exchange.outcome == Outcome::Answered;
            assert!(
                exchange.failures.is_empty() || !passed,
                "{call} answers {status}\n{exchange}"
            );
            assert_eq!(host.streams(), 0, "{call} answers {status}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || chaos::run::<Busy>("{}", 300, 3);
    assert_eq!(run(), run());
}
