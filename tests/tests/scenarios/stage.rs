//! Envoy as a stage for scenarios.

use std::time::Duration;

use anyhow::Result;
use legation_testing::scenario::{
    Bytes, Observed, RequestSpec, ResponseSpec, Scenario, Stage, Started, Step,
};
use legation_testing::{HeaderList, Message};
use legation_tests::{
    Client, Config, Envoy, Headers, Received, Reply, Request, Response, StartError, Upstream,
};
use serde_json::Value;

use super::shared::{self, Place};

/// How Envoy names the statistics of modules.
const STATS_PREFIX: &str = "wasmcustom.";
/// How much of the log is told where a step failed.
const SHOWN_LOG_LINES: usize = 30;

/// Envoy as a stage.
pub struct InEnvoy {
    envoy: Whose,
    /// Why the last step's client got no whole answer.
    broke_off: Option<String>,
}

enum Whose {
    Own(legation_tests::Stage),
    Shared(Place),
}

impl From<Whose> for InEnvoy {
    fn from(envoy: Whose) -> Self {
        Self {
            envoy,
            broke_off: None,
        }
    }
}

impl InEnvoy {
    fn envoy(&self) -> &Envoy {
        match &self.envoy {
            Whose::Own(stage) => stage.envoy(),
            Whose::Shared(place) => place.envoy(),
        }
    }

    fn upstream(&self) -> &Upstream {
        match &self.envoy {
            Whose::Own(stage) => stage.upstream(),
            Whose::Shared(place) => place.upstream(),
        }
    }

    fn client(&self, http2: bool) -> &Client {
        match &self.envoy {
            Whose::Own(stage) if http2 => stage.http2_client(),
            Whose::Own(stage) => stage.client(),
            Whose::Shared(place) => place.client(http2),
        }
    }
}

impl Stage for InEnvoy {
    const PLACE: &'static str = "in Envoy";
    /// Counters may be added up in the module for some seconds.
    const PATIENCE: Duration = Duration::from_secs(15);

    fn start(scenario: &Scenario) -> Result<Started<Self>> {
        match shared::start(scenario)? {
            None => {}
            Some(Started::Refused(lines)) => return Ok(Started::Refused(lines)),
            Some(Started::Ready(place)) => return Ok(Started::Ready(Whose::Shared(place).into())),
        }
        let mut config = config(scenario)?;
        if scenario.steps.iter().any(has_trailers) {
            config = config.http2_upstream(legation_tests::UPSTREAM_CLUSTER);
        }
        match legation_tests::Stage::start(&config) {
            Ok(stage) => Ok(Started::Ready(Whose::Own(stage).into())),
            Err(error @ StartError::Refused { .. }) => {
                let lines = error.module_errors();
                Ok(Started::Refused(
                    lines.iter().map(|line| message_of(line)).collect(),
                ))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn play(&mut self, step: &Step) -> Result<Observed> {
        let upstream = self.upstream();
        upstream.forget();
        let reply = reply(&step.upstream);
        upstream.answer(move |_| reply.clone());
        let request = request(&step.request);
        let response = self.client(step.request.http2).send(request);
        let received = upstream.last();
        self.broke_off = response.as_ref().err().map(|error| format!("{error:#}"));
        Ok(Observed {
            upstream: received.filter(|received| received.complete).map(arrived),
            response: response.ok().map(answered),
        })
    }

    fn counter(&mut self, name: &str) -> Result<u64> {
        let value = self
            .envoy()
            .admin()
            .stat(&format!("{STATS_PREFIX}{name}"))?;
        Ok(value.unwrap_or_default())
    }

    fn log(&mut self) -> Result<Vec<String>> {
        Ok(match &self.envoy {
            Whose::Own(stage) => stage.envoy().module_log(),
            Whose::Shared(place) => place.module_log(),
        })
    }

    fn story(&mut self) -> String {
        let log = match &self.envoy {
            Whose::Own(stage) => stage.envoy().log_tail(SHOWN_LOG_LINES),
            Whose::Shared(place) => place.log_tail(SHOWN_LOG_LINES),
        };
        let broke_off = self.broke_off.as_deref().unwrap_or("none");
        format!("the client's error: {broke_off}\nthe end of Envoy's log:\n{log}\n")
    }
}

/// Envoy with the scenario's filter.
pub fn config(scenario: &Scenario) -> Result<Config> {
    let filter = &scenario.filter;
    let mut config = Config::with_filter(filter, scenario.configuration.clone())?;
    for (name, value) in &scenario.environment {
        config = config.vm_environment(filter, name, value);
    }
    Ok(config)
}

pub fn has_trailers(step: &Step) -> bool {
    !step.request.trailers.0.is_empty() || !step.upstream.trailers.0.is_empty()
}

/// The message of a line, if it is JSON with one.
pub fn message_of(line: &str) -> String {
    let json: Option<Value> = serde_json::from_str(line).ok();
    let message = json.as_ref().and_then(|json| json.get("message")?.as_str());
    message.unwrap_or(line).to_owned()
}

fn request(spec: &RequestSpec) -> Request {
    let mut request = Request::new(spec.method(), spec.path()).host(spec.authority());
    for (name, Bytes(value)) in &spec.headers.0 {
        request = request.header(name, value);
    }
    for Bytes(piece) in &spec.body.0 {
        request = request.body(piece);
    }
    for (name, Bytes(value)) in &spec.trailers.0 {
        request = request.trailer(name, value);
    }
    request
}

fn reply(spec: &ResponseSpec) -> Reply {
    let mut reply = Reply::status(spec.status());
    for (name, Bytes(value)) in &spec.headers.0 {
        reply = reply.header(name, value);
    }
    for Bytes(piece) in &spec.body.0 {
        reply = reply.body(piece);
    }
    for (name, Bytes(value)) in &spec.trailers.0 {
        reply = reply.trailer(name, value);
    }
    reply
}

fn arrived(received: Received) -> Message {
    let mut headers = HeaderList::default();
    headers.add(":method", received.method);
    headers.add(":path", received.path);
    headers.add(":authority", received.authority);
    extend(&mut headers, &received.headers);
    Message {
        headers,
        body: received.body,
        trailers: list(&received.trailers),
    }
}

fn answered(response: Response) -> Message {
    let mut headers = HeaderList::default();
    headers.add(":status", response.status.to_string());
    extend(&mut headers, &response.headers);
    Message {
        headers,
        body: response.body,
        trailers: list(&response.trailers),
    }
}

fn list(headers: &Headers) -> HeaderList {
    let mut list = HeaderList::default();
    extend(&mut list, headers);
    list
}

fn extend(list: &mut HeaderList, headers: &Headers) {
    for (name, value) in headers.iter() {
        list.add(name, value);
    }
}
