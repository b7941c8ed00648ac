//! Requests that an outside service judges.

mod answers;
mod beside_envoys;
mod failures;
mod over_http;
mod service;
mod told;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use legation_tests::{Client, Config, Exchange, Request, Stage, Upstream, wasm_filter};
use serde_json::{Value, json};

use super::FILTER;
use service::Service;

/// Envoy with a chain for each of several configurations, and whom they ask: the cluster `authz`, over gRPC, and
/// the cluster `web`, over HTTP. In the cluster `nobody` no service is.
struct World {
    stage: Stage,
    service: Service,
    web: Service,
    /// What the names of its counters have that no other's have.
    mark: String,
}

impl World {
    fn new(chains: impl IntoIterator<Item = (&'static str, Value)>) -> Result<Self> {
        let chains = chains.into_iter();
        Self::with(
            chains.map(|(name, rule)| (name, json!({"rules": [rule]}))),
            [],
        )
    }

    /// With whole configurations, and with filters of others beside them.
    fn with(
        ours: impl IntoIterator<Item = (&'static str, Value)>,
        others: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mark = format!("authz_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (service, web) = (Service::start()?, Service::start()?);
        web.replies(legation_tests::Reply::ok());
        let open = json!({"rules": [{"disabled": true}]});
        let mut config = Config::with_filter(FILTER, open)?
            .http1_trailers()
            .add_endpoint("authz", service.address())
            .http2_upstream("authz")
            .add_endpoint("web", web.address())
            .add_endpoint("nobody", closed_port()?)
            .http2_upstream("nobody");
        for (name, mut configuration) in ours {
            configuration["stat_prefix"] = format!("{name}_{mark}").into();
            let mut filter = wasm_filter(FILTER, configuration);
            filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = true.into();
            config = config.add_chain(name, &[filter]);
        }
        for (name, filter) in others {
            config = config.add_chain(name, &[filter]);
        }
        let upstream = Upstream::start()?;
        let stage = Stage::with_upstream(&config.shared(), upstream)?;
        Ok(Self {
            stage,
            service,
            web,
            mark,
        })
    }

    fn address(&self, chain: &str) -> Result<SocketAddr> {
        self.stage.envoy().listener(chain)
    }

    fn send(&self, chain: &str, request: Request) -> Result<Exchange> {
        self.send_by(&Client::http1(self.address(chain)?), request)
    }

    fn send_http2(&self, chain: &str, request: Request) -> Result<Exchange> {
        self.send_by(&Client::http2(self.address(chain)?), request)
    }

    /// Sends it and finds it at the upstream.
    fn send_by(&self, client: &Client, request: Request) -> Result<Exchange> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let id = format!("authz-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let response = client.send(request.id(&id))?;
        let received = self.stage.upstream().with_id(&id);
        Ok(Exchange { response, received })
    }

    /// Waits until a counter of a chain is that.
    fn wait_for_count(&self, chain: &str, name: &str, count: u64) -> Result<()> {
        let counter = format!("{chain}_{}.{name}", self.mark);
        self.stage.wait_for_count(&counter, count)
    }

    /// A counter of a chain.
    fn count(&self, chain: &str, name: &str) -> Result<u64> {
        let name = format!("wasmcustom.{chain}_{}.{name}", self.mark);
        Ok(self.stage.admin().stat(&name)?.unwrap_or_default())
    }
}

/// A rule whose requests are asked about over gRPC, with this besides or in its place.
fn over_grpc(more: &Value) -> Value {
    // A machine that is busy with other tests may take a while.
    asking(
        json!({"grpc_service": {"envoy_grpc": {"cluster_name": "authz"}, "timeout": "20s"}}),
        more,
    )
}

/// The same over HTTP.
fn over_http(more: &Value) -> Value {
    let uri = json!({"uri": "http://web.example", "cluster": "web", "timeout": "20s"});
    asking(json!({"http_service": {"server_uri": uri}}), more)
}

fn asking(service: Value, more: &Value) -> Value {
    let mut check = service;
    check["with_request_body"] = json!({"max_request_bytes": 1_000});
    let mut rule = json!({"request": {"ext_authz": check}});
    merge(&mut rule, more);
    rule
}

/// What is said of the check alone.
fn check(more: &Value) -> Value {
    json!({"request": {"ext_authz": more}})
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

/// A gRPC client's request.
fn of_grpc() -> Request {
    Request::post("/package.Service/Method", b"\0\0\0\0\0")
        .header("content-type", "application/grpc")
}

/// An address where nobody listens.
fn closed_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
