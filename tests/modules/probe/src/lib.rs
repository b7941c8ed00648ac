//! A filter that shows what the SDK can do: the request's path says what it
//! tries, and what came of it goes upstream or back in headers.

use std::time::UNIX_EPOCH;

use deserr::Deserr;
use legation::config::{BoundedDuration, ConfigErrors};
use legation::http::{HeaderName, Method, header};
use legation::metrics::{Counter, Gauge, Histogram};
use legation::{
    Configure, Error, Flow, GrpcStatus, HttpFilter, LocalReply, RequestBody, RequestHeaders,
    RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers, Result, StreamLog,
    attributes, clock, random,
};

/// What a test configures.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    /// Put before the metrics' names.
    #[deserr(default)]
    stat_prefix: Option<String>,
    /// How often the filter ticks.
    #[deserr(default)]
    tick: Option<BoundedDuration<1, 60_000>>,
}

/// The filter.
#[derive(Debug)]
pub struct Probe {
    requests: Counter,
    open: Gauge,
    path_length_bytes: Histogram,
    ticks: Counter,
    logged: Counter,
}

/// What a stream's path asked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Asked(String);

impl Asked {
    fn is(&self, path: &str) -> bool {
        self.0 == path
    }
}

#[legation::filter]
impl HttpFilter for Probe {
    const NAME: &'static str = "probe";
    type Config = Config;
    type Stream = Asked;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        if let Some(prefix) = &config.stat_prefix {
            host.stat_prefix(prefix);
        }
        if let Some(period) = config.tick {
            host.tick_every(period.get());
        }
        Ok(Self {
            requests: host.counter("requests"),
            open: host.gauge("open"),
            path_length_bytes: host.histogram("path_length_bytes"),
            ticks: host.counter("ticks"),
            logged: host.counter("logged"),
        })
    }

    fn on_request_headers(&self, asked: &mut Asked, request: &mut RequestHeaders) -> Result<Flow> {
        let path = String::from_utf8_lossy(request.path()?.unwrap_or_default()).into_owned();
        self.requests.increment();
        self.open.add(1);
        self.path_length_bytes
            .record(u64::try_from(path.len()).unwrap_or(u64::MAX));
        asked.0 = path;
        match asked.0.as_str() {
            "/attributes" => show_attributes(request)?,
            "/headers" => change_headers(request)?,
            "/replace-all" => replace_all(request)?,
            "/rewrite" => {
                request.set_path("/rewritten?by=probe")?;
                request.set_method(&Method::PUT)?;
            }
            "/services" => show_services(request)?,
            "/log" => log_at_each_level(),
            "/reply" | "/reply-twice" => return Ok(refusal().into()),
            "/error" => return Err(Error::other("asked to fail")),
            "/inject" => request.headers().set(&X_PROBE, "a\r\nx-injected: 1")?,
            "/upper" => {
                request.headers().remove(&header::CONTENT_LENGTH)?;
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }

    fn on_request_body(&self, asked: &mut Asked, request: &mut RequestBody) -> Result<Flow> {
        if !asked.is("/upper") {
            return Ok(Flow::Continue);
        }
        if !request.is_end_of_stream() {
            return Ok(Flow::Pause);
        }
        let body = request.read(0, request.size())?;
        request.replace(&body.to_ascii_uppercase())?;
        Ok(Flow::Continue)
    }

    fn on_request_trailers(&self, _: &mut Asked, request: &mut RequestTrailers) -> Result<Flow> {
        request.trailers().set(&X_PROBE, "request trailers")?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(
        &self,
        asked: &mut Asked,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        match asked.0.as_str() {
            "/reply-twice" => return Ok(LocalReply::new(418).into()),
            "/error-response" => return Err(Error::other("asked to fail")),
            "/upper" => response.headers().remove(&header::CONTENT_LENGTH)?,
            _ => {}
        }
        let status = response.status()?.unwrap_or_default();
        let method = response
            .request_headers()
            .and_then(|request| request.get(":method"))
            .unwrap_or(b"unknown")
            .to_vec();
        let headers = response.headers();
        headers.set(&X_PROBE, format!("saw {status}"))?;
        headers.append(&HeaderName::from_static("x-probe-method"), method)?;
        Ok(Flow::Continue)
    }

    fn on_response_body(&self, asked: &mut Asked, response: &mut ResponseBody) -> Result<Flow> {
        match asked.0.as_str() {
            "/error-response-body" => Err(Error::other("asked to fail")),
            "/upper" => {
                let piece = response.read(0, response.size())?;
                response.replace(&piece.to_ascii_uppercase())?;
                Ok(Flow::Continue)
            }
            _ => Ok(Flow::Continue),
        }
    }

    fn on_response_trailers(&self, _: &mut Asked, response: &mut ResponseTrailers) -> Result<Flow> {
        response.trailers().set(&X_PROBE, "response trailers")?;
        Ok(Flow::Continue)
    }

    fn on_done(&self, _: &mut Asked) {
        self.open.add(-1);
    }

    fn on_log(&self, asked: &mut Asked, end: &mut StreamLog) {
        self.logged.increment();
        if asked.is("/log") {
            let status = end
                .attribute(attributes::RESPONSE_CODE)
                .ok()
                .flatten()
                .unwrap_or_default();
            log::warn!(status; "stream over");
        }
    }

    fn on_tick(&self) {
        self.ticks.increment();
    }
}

legation::register!(Probe);

const X_PROBE: HeaderName = HeaderName::from_static("x-probe");

fn refusal() -> LocalReply {
    LocalReply::new(403)
        .header("x-reason", "asked")
        .body("asked to refuse\n")
        .details("probe asked to refuse")
        .grpc_status(GrpcStatus::FailedPrecondition)
}

fn show_attributes(request: &mut RequestHeaders) -> Result<()> {
    let address = request.attribute(attributes::SOURCE_ADDRESS)?;
    let port = request.attribute(attributes::SOURCE_PORT)?;
    let ip = request.source_ip()?;
    let protocol = request.attribute(attributes::REQUEST_PROTOCOL)?;
    let mtls = request.attribute(attributes::CONNECTION_MTLS)?;
    let time = request.attribute(attributes::REQUEST_TIME)?;
    let plugin = request.attribute(attributes::PLUGIN_NAME)?;
    let response_code = request.attribute(attributes::RESPONSE_CODE)?;
    let headers = request.headers();
    let mut show = |name: &'static str, value: Option<Vec<u8>>| {
        let value = value.unwrap_or_else(|| b"none".to_vec());
        headers.set(&HeaderName::from_static(name), value)
    };
    let text = |value: String| Some(value.into_bytes());
    show("x-source-address", address)?;
    show(
        "x-source-port",
        port.and_then(|port| text(port.to_string())),
    )?;
    show("x-source-ip", ip.and_then(|ip| text(ip.to_string())))?;
    show("x-protocol", protocol)?;
    show("x-mtls", mtls.and_then(|mtls| text(mtls.to_string())))?;
    show("x-plugin", plugin)?;
    show(
        "x-response-code",
        response_code.and_then(|code| text(code.to_string())),
    )?;
    let age = time.and_then(|time| clock::now().ok()?.duration_since(time).ok());
    show(
        "x-age-seconds",
        age.and_then(|age| text(age.as_secs().to_string())),
    )
}

fn change_headers(request: &mut RequestHeaders) -> Result<()> {
    let headers = request.headers();
    let count = headers.len()?;
    let both = headers.get_all("x-twice")?.collect::<Vec<_>>().join(&b'+');
    let twice = headers.get_unique("x-twice").is_err();
    headers.set(&HeaderName::from_static("x-count"), count.to_string())?;
    headers.set(&HeaderName::from_static("x-both"), both)?;
    headers.set(&HeaderName::from_static("x-was-twice"), twice.to_string())?;
    headers.set(&HeaderName::from_static("x-twice"), "once")?;
    headers.append(&HeaderName::from_static("x-added"), "1")?;
    headers.append(&HeaderName::from_static("x-added"), "2")?;
    headers.remove(&HeaderName::from_static("x-remove"))?;
    let left = headers.len()?;
    headers.set(&HeaderName::from_static("x-left"), left.to_string())
}

fn replace_all(request: &mut RequestHeaders) -> Result<()> {
    let headers = request.headers();
    let mut kept = headers
        .all()?
        .filter(|(name, _)| name.starts_with(b":") || *name == b"x-forwarded-proto")
        .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.to_vec()))
        .collect::<Vec<_>>();
    kept.push(("x-only".to_owned(), vec![b'o', 0xff]));
    headers.replace_all(kept)
}

fn show_services(request: &mut RequestHeaders) -> Result<()> {
    let seconds = clock::now()?
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (one, two) = (random::next_u64()?, random::next_u64()?);
    let headers = request.headers();
    headers.set(&HeaderName::from_static("x-seconds"), seconds.to_string())?;
    headers.set(
        &HeaderName::from_static("x-random"),
        format!("{one:016x}{two:016x}"),
    )
}

fn log_at_each_level() {
    log::error!(code = 1; "at error");
    log::warn!(reason = "a \"quoted\" word"; "at warn");
    log::info!(ratio = 0.5; "at info");
    log::debug!(done = true; "at debug");
    log::trace!("at trace");
}
