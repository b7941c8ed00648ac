//! The mock host as a stage.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use legation::HttpFilter;

use super::format::{Scenario, Step};
use super::stage::{Observed, Stage, Started};
use super::value::Bytes;
use crate::host::Host;
use crate::message::{Request, Response};

/// `per_connection_buffer_limit_bytes` of the Envoy configurations that are
/// shipped, by which scenarios run in Envoy.
const BUFFER_LIMIT: usize = 32_768;

/// The mock host as a stage.
pub struct MockStage<F: HttpFilter> {
    host: Host<F>,
}

impl<F: HttpFilter> Stage for MockStage<F> {
    const PLACE: &'static str = "on the mock host";
    const PATIENCE: Duration = Duration::ZERO;

    fn start(scenario: &Scenario) -> Result<Started<Self>> {
        let host = Host::new();
        host.set_buffer_limit(BUFFER_LIMIT);
        host.set_allow_on_headers_stop_iteration(scenario.allow_on_headers_stop_iteration);
        host.set_environment(scenario.environment.clone());
        let loaded = match &scenario.configuration {
            serde_json::Value::String(text) => host.load(text.as_str()),
            json => host.load(json.clone()),
        };
        Ok(match loaded {
            Ok(_) => Started::Ready(Self { host }),
            Err(refused) => Started::Refused(refused.lines),
        })
    }

    fn play(&mut self, step: &Step) -> Result<Observed> {
        let exchange = self.host.exchange(request(step)).upstream(response(step));
        // Time goes by between requests.
        if let Some(period) = self.host.tick_period(self.host.root()) {
            self.host.advance(period);
            self.host.tick();
        }
        Ok(Observed {
            upstream: exchange.upstream,
            response: exchange.response,
        })
    }

    fn counter(&mut self, name: &str) -> Result<u64> {
        Ok(self.host.counter(name))
    }

    fn log(&mut self) -> Result<Vec<String>> {
        Ok(self.host.log().into_iter().map(|line| line.text).collect())
    }
}

impl<F: HttpFilter> fmt::Debug for MockStage<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.host, f)
    }
}

/// The request as a filter sees it behind Envoy's connection manager, which
/// adds two headers of its own.
fn request(step: &Step) -> Request {
    let spec = &step.request;
    let mut request =
        Request::new(spec.method(), spec.path()).header(":authority", spec.authority());
    for (name, Bytes(value)) in &spec.headers.0 {
        request = request.header(name, value);
    }
    for (name, value) in [
        ("x-forwarded-proto", "http"),
        ("x-request-id", "00000000-0000-4000-8000-000000000000"),
    ] {
        if !request.headers.contains(name) {
            request = request.header(name, value);
        }
    }
    for Bytes(piece) in &spec.body.0 {
        request = request.body(piece);
    }
    for (name, Bytes(value)) in &spec.trailers.0 {
        request = request.trailer(name, value);
    }
    if spec.http2 {
        request = request.attribute("request.protocol", "HTTP/2");
    }
    request
}

fn response(step: &Step) -> Response {
    let spec = &step.upstream;
    let mut response = Response::new(spec.status());
    for (name, Bytes(value)) in &spec.headers.0 {
        response = response.header(name, value);
    }
    for Bytes(piece) in &spec.body.0 {
        response = response.body(piece);
    }
    for (name, Bytes(value)) in &spec.trailers.0 {
        response = response.trailer(name, value);
    }
    response
}
