//! A filter whose callbacks wait. A request's headers say where, and for what:
//!
//! ```text
//! x-request-headers: http other /path 250; sleep 20; reply 403
//! ```
//!
//! What came of each step goes back in headers `x-outcome`, one a step, or in the
//! body of a reply.

mod step;

use std::future::Future;
use std::time::Duration;

use deserr::Deserr;
use legation::callout::HttpRequest;
use legation::config::{BoundedDuration, ConfigErrors};
use legation::http::HeaderName;
use legation::metrics::{Counter, Gauge};
use legation::{
    Configure, Flow, HttpFilter, LocalReply, RequestBody, RequestHeaders, RequestTrailers,
    ResponseBody, ResponseHeaders, ResponseTrailers, Result,
};

use crate::step::Step;

/// What a test configures.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    /// A callout at each tick.
    #[deserr(default)]
    tick: Option<Tick>,
    /// A callout that is spawned while the filter is configured.
    #[deserr(default)]
    at_start: Option<Target>,
    /// What the plugin says in Envoy's configuration.
    #[deserr(default)]
    allow_on_headers_stop_iteration: bool,
}

/// How long a callout of the plugin's has, on a machine that may be busy, and one that is made at a tick.
const PATIENCE: Duration = Duration::from_secs(20);
const AT_TICK: Duration = Duration::from_secs(1);

/// When the filter ticks, and where its callouts go.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Tick {
    every: BoundedDuration<1, 60_000>,
    target: Target,
}

/// Where a callout goes.
#[derive(Debug, Clone, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Target {
    cluster: String,
    path: String,
}

impl Target {
    async fn ask(&self, timeout: Duration, metrics: Metrics) {
        let request = HttpRequest::get(self.cluster.as_str(), self.path.as_str());
        match request.timeout(timeout).send().await {
            Ok(_) => metrics.answered.increment(),
            Err(_) => metrics.failed.increment(),
        }
    }
}

/// The filter.
#[derive(Debug)]
pub struct Callouts {
    tick: Option<Target>,
    /// Whether headers wait for a body.
    holds_headers: bool,
    metrics: Metrics,
}

#[derive(Debug, Clone, Copy)]
struct Metrics {
    /// Streams there are.
    streams: Gauge,
    /// Callbacks under way.
    waiting: Gauge,
    /// Callouts of the plugin's own that were answered.
    answered: Counter,
    /// Callouts of the plugin's own that were not.
    failed: Counter,
}

/// Counts something for as long as it lives.
#[derive(Debug)]
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.add(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// What a request asked for, and what came of it so far.
#[derive(Debug, Default)]
pub struct Stream {
    counted: Option<Counted>,
    request_body: Vec<Step>,
    request_trailers: Vec<Step>,
    response_headers: Vec<Step>,
    response_body: Vec<Step>,
    response_trailers: Vec<Step>,
    outcomes: Vec<Vec<u8>>,
}

#[legation::filter]
impl HttpFilter for Callouts {
    const NAME: &'static str = "callouts";
    type Config = Config;
    type Stream = Stream;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let metrics = Metrics {
            streams: host.gauge("streams"),
            waiting: host.gauge("waiting"),
            answered: host.counter("answered"),
            failed: host.counter("failed"),
        };
        host.allow_on_headers_stop_iteration(config.allow_on_headers_stop_iteration);
        if let Some(tick) = &config.tick {
            host.tick_every(tick.every.get());
        }
        if let Some(target) = config.at_start {
            spawn(metrics, async move { target.ask(PATIENCE, metrics).await });
        }
        Ok(Self {
            tick: config.tick.map(|tick| tick.target),
            holds_headers: config.allow_on_headers_stop_iteration,
            metrics,
        })
    }

    async fn on_request_headers(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        stream.counted = Some(Counted::new(self.metrics.streams));
        let _waiting = Counted::new(self.metrics.waiting);
        let mut said = |place: &str| -> Result<Vec<Step>> {
            let steps = request.headers().get(place)?.unwrap_or_default();
            Step::read(&String::from_utf8_lossy(steps))
        };
        let steps = said("x-request-headers")?;
        stream.request_body = said("x-request-body")?;
        stream.request_trailers = said("x-request-trailers")?;
        stream.response_headers = said("x-response-headers")?;
        stream.response_body = said("x-response-body")?;
        stream.response_trailers = said("x-response-trailers")?;
        let mut gone = false;
        for step in &steps {
            if let Step::Buffer(most) = step {
                gone = !self.holds_headers;
                let body = request.buffer_body(*most).await?;
                let outcome = format!("buffered {}", body.len());
                stream.outcomes.push(outcome.into_bytes());
            } else if let Some(reply) = self.take(step, &mut stream.outcomes).await? {
                return Ok(reply.into());
            }
        }
        if !gone {
            for outcome in &stream.outcomes {
                request.headers().append(&X_OUTCOME, outcome)?;
            }
        }
        Ok(Flow::Continue)
    }

    async fn on_request_body(&self, stream: &mut Stream, _: &mut RequestBody) -> Result<Flow> {
        let steps = std::mem::take(&mut stream.request_body);
        self.take_all(&steps, &mut stream.outcomes).await
    }

    async fn on_request_trailers(
        &self,
        stream: &mut Stream,
        _: &mut RequestTrailers,
    ) -> Result<Flow> {
        let steps = std::mem::take(&mut stream.request_trailers);
        self.take_all(&steps, &mut stream.outcomes).await
    }

    async fn on_response_headers(
        &self,
        stream: &mut Stream,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        let _waiting = Counted::new(self.metrics.waiting);
        let steps = std::mem::take(&mut stream.response_headers);
        for step in &steps {
            if let Some(reply) = self.take(step, &mut stream.outcomes).await? {
                return Ok(reply.into());
            }
        }
        for outcome in stream.outcomes.drain(..) {
            response.headers().append(&X_OUTCOME, outcome)?;
        }
        Ok(Flow::Continue)
    }

    async fn on_response_body(
        &self,
        stream: &mut Stream,
        response: &mut ResponseBody,
    ) -> Result<Flow> {
        if stream.response_body.is_empty() {
            return Ok(Flow::Continue);
        }
        let steps = std::mem::take(&mut stream.response_body);
        let flow = self.take_all(&steps, &mut stream.outcomes).await?;
        // The headers have gone: what came of it goes behind the first piece.
        let mut body = response.read(0, response.size())?;
        for outcome in stream.outcomes.drain(..) {
            body.push(b'\n');
            body.extend(outcome);
        }
        response.replace(&body)?;
        Ok(flow)
    }

    async fn on_response_trailers(
        &self,
        stream: &mut Stream,
        response: &mut ResponseTrailers,
    ) -> Result<Flow> {
        let steps = std::mem::take(&mut stream.response_trailers);
        let flow = self.take_all(&steps, &mut stream.outcomes).await?;
        for outcome in stream.outcomes.drain(..) {
            response.trailers().append(&X_OUTCOME, outcome)?;
        }
        Ok(flow)
    }

    async fn on_tick(&self) {
        if let Some(target) = &self.tick {
            target.ask(AT_TICK, self.metrics).await;
        }
    }
}

impl Callouts {
    async fn take_all(&self, steps: &[Step], outcomes: &mut Vec<Vec<u8>>) -> Result<Flow> {
        let _waiting = Counted::new(self.metrics.waiting);
        for step in steps {
            if let Some(reply) = self.take(step, outcomes).await? {
                return Ok(reply.into());
            }
        }
        Ok(Flow::Continue)
    }

    /// Takes a step and notes what came of it, unless it is the last one: a reply.
    async fn take(&self, step: &Step, outcomes: &mut Vec<Vec<u8>>) -> Result<Option<LocalReply>> {
        match step {
            Step::Spawn(cluster, path) => {
                let target = Target {
                    cluster: cluster.clone(),
                    path: path.clone(),
                };
                let metrics = self.metrics;
                spawn(metrics, async move { target.ask(PATIENCE, metrics).await });
                outcomes.push(b"spawned".to_vec());
            }
            Step::Reply(status) => {
                let body = outcomes.join(b"\n".as_slice());
                return Ok(Some(LocalReply::new(*status).body(body)));
            }
            step => outcomes.extend(step.take().await?),
        }
        Ok(None)
    }
}

fn spawn(metrics: Metrics, future: impl Future<Output = ()> + 'static) {
    if legation::spawn(future).is_err() {
        metrics.failed.increment();
    }
}

legation::register!(Callouts);

const X_OUTCOME: HeaderName = HeaderName::from_static("x-outcome");
