//! Limits that a rate limit service counts.

mod answers;
mod beside_envoys;
mod denials;
mod failures;
mod rls;
mod together;
mod wire;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use legation_tests::{
    Client, Config, ENVOY_VERSION, Exchange, Request, Stage, envoy_binary, envoy_version,
    wasm_filter,
};
use serde_json::{Value, json};

use crate::FILTER;
use rls::Service;

/// The status of a refusal.
const REFUSED: u16 = 429;

/// Envoy with a chain for each of several configurations of the filter, the service that they ask, which
/// is the cluster `rls`, and the cluster `nobody`, where no service is.
struct World {
    stage: Stage,
    service: Service,
    /// What the names of its counters have that no other's have.
    mark: String,
}

impl World {
    fn new(chains: impl IntoIterator<Item = (&'static str, Value)>) -> Result<Self> {
        let filters = chains
            .into_iter()
            .map(|(name, configuration)| (name, wasm_filter(FILTER, configuration)));
        Self::with(filters, |config| config)
    }

    /// With any filters, and other changes.
    fn with(
        chains: impl IntoIterator<Item = (&'static str, Value)>,
        edit: impl FnOnce(Config) -> Config,
    ) -> Result<Self> {
        Self::start(chains, |config| edit(config).shared())
    }

    /// In an Envoy of its own: for counters that tell of a cluster.
    fn alone(chains: impl IntoIterator<Item = (&'static str, Value)>) -> Result<Self> {
        let filters = chains
            .into_iter()
            .map(|(name, configuration)| (name, wasm_filter(FILTER, configuration)));
        Self::start(filters, |config| config)
    }

    fn start(
        chains: impl IntoIterator<Item = (&'static str, Value)>,
        edit: impl FnOnce(Config) -> Config,
    ) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mark = format!("_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let service = Service::start()?;
        let mut config = Config::plain()?
            .add_endpoint("rls", service.address())
            .http2_upstream("rls")
            .add_endpoint("nobody", closed_port()?)
            .http2_upstream("nobody");
        for (name, filter) in chains {
            config = config.add_chain(name, &[counted_as(filter, name, &mark)]);
        }
        let stage = Stage::start(&edit(config))?;
        Ok(Self {
            stage,
            service,
            mark,
        })
    }

    fn address(&self, chain: &str) -> Result<SocketAddr> {
        self.stage.envoy().listener(chain)
    }

    fn send(&self, chain: &str, request: Request) -> Result<Exchange> {
        self.send_by(&Client::http1(self.address(chain)?), request)
    }

    /// Sends it and finds it at the upstream.
    fn send_by(&self, client: &Client, request: Request) -> Result<Exchange> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let id = format!("service-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let response = client.send(request.id(&id))?;
        let received = self.stage.upstream().with_id(&id);
        Ok(Exchange { response, received })
    }

    /// A request of a client, and the status that it gets.
    fn status(&self, chain: &str, client: &str) -> Result<u16> {
        Ok(self.send(chain, of(client))?.response.status)
    }

    /// Waits until a counter of a chain is that.
    fn wait_for_count(&self, chain: &str, name: &str, count: u64) -> Result<()> {
        let counter = format!("{chain}{}.{name}", self.mark);
        self.stage.wait_for_count(&counter, count)
    }

    /// A counter of a chain.
    fn count(&self, chain: &str, name: &str) -> Result<Option<u64>> {
        let name = format!("wasmcustom.{chain}{}.{name}", self.mark);
        self.stage.admin().stat(&name)
    }
}

/// A filter of this project's, with names of its own for its counters; any other as it is.
fn counted_as(mut filter: Value, name: &str, mark: &str) -> Value {
    let text = filter.pointer_mut("/typed_config/config/configuration/value");
    if let Some(Value::String(text)) = text
        && let Ok(mut configuration) = serde_json::from_str::<Value>(text)
        && configuration["stat_prefix"] == name
    {
        configuration["stat_prefix"] = format!("{name}{mark}").into();
        *text = configuration.to_string();
    }
    filter
}

/// A request of a client.
fn of(client: &str) -> Request {
    Request::get("/").header("x-client", client)
}

/// A gRPC client's.
fn grpc_of(client: &str) -> Request {
    Request::post("/package.Service/Method", b"\0\0\0\0\0")
        .header("content-type", "application/grpc")
        .header("x-client", client)
}

/// A configuration that asks about each `x-client`, with this besides or in its place.
fn asking(name: &str, more: &Value) -> Value {
    let mut configuration = json!({
        "stat_prefix": name,
        "rate_limits": [
            {"actions": [{"request_headers": {"header_name": "x-client", "descriptor_key": "client"}}]},
        ],
        "rate_limit_service": {
            "grpc_service": {"envoy_grpc": {"cluster_name": "rls"}},
            "domain": "edge",
            // A machine that is busy with other tests may take a while.
            "timeout": "20s",
        },
    });
    merge(&mut configuration, more);
    configuration
}

/// The same chain and configuration.
fn chain(name: &'static str, more: &Value) -> (&'static str, Value) {
    (name, asking(name, more))
}

fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

/// An address where nobody listens.
fn closed_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Envoy's filter is another one in each of its versions.
fn compares() -> Result<bool> {
    Ok(envoy_version(&envoy_binary()?)? == ENVOY_VERSION)
}
