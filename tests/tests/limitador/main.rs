//! rate-limit with a real rate limit service, limitador, in front of which stands Envoy: one or two of them.
//!
//! Where the machine has no Redis the tests with it are skipped, which is told.

mod memory;
mod recipe;
mod redis;

use std::net::SocketAddr;
use std::thread;

use anyhow::{Result, ensure};
use legation_tests::limitador::REDIS;
use legation_tests::trials::Trials;
use legation_tests::{Client, Config, Request, Response, Stage, wasm_filter};
use serde_json::{Value, json};

const FILTER: &str = "rate-limit";
const DOMAIN: &str = "edge";
/// The status of a refusal.
const REFUSED: u16 = 429;
/// The status where the service does not answer, of those who are refused then.
const NO_ANSWER: u16 = 503;

fn main() {
    Trials::new()
        .with(memory::TESTS)
        .with(recipe::TESTS)
        .with_needing(&REDIS, redis::TESTS)
        .with_needing(&REDIS, recipe::TESTS_WITH_REDIS)
        .run()
}

/// So many requests an hour of each `x-client`.
fn limit(requests: u64) -> Value {
    json!([{
        "namespace": DOMAIN,
        "max_value": requests,
        "seconds": 3600,
        "conditions": [],
        "variables": ["descriptors[0].client"],
    }])
}

/// An Envoy before a service.
struct Gateway(Stage);

impl Gateway {
    /// With the chains `open`, where requests pass when there is no answer, and `closed`, where they
    /// do not. Both count together.
    fn start(service: SocketAddr) -> Result<Self> {
        let chain = |name, more| (name, wasm_filter(FILTER, asking(name, more)));
        Self::with(
            service,
            &[chain("open", &json!({})), chain("closed", &closed())],
        )
    }

    fn with(service: SocketAddr, chains: &[(&str, Value)]) -> Result<Self> {
        let mut config = Config::plain()?
            .add_endpoint("limitador", service)
            .http2_upstream("limitador");
        for (name, filter) in chains {
            config = config.add_chain(name, std::slice::from_ref(filter));
        }
        Ok(Self(Stage::start(&config)?))
    }

    fn send(&self, chain: &str, client: &str) -> Result<Response> {
        let address = self.0.envoy().listener(chain)?;
        Client::http1(address).send(of(client))
    }

    fn status(&self, chain: &str, client: &str) -> Result<u16> {
        Ok(self.send(chain, client)?.status)
    }
}

/// A request of a client.
fn of(client: &str) -> Request {
    Request::get("/").header("x-client", client)
}

/// Whoever gets no answer is refused.
fn closed() -> Value {
    json!({"failure_mode_deny": true, "status_on_error": {"code": NO_ANSWER}})
}

/// A configuration that asks limitador about each `x-client`.
fn asking(name: &str, service: &Value) -> Value {
    let mut configuration = json!({
        "stat_prefix": name,
        "rate_limits": [
            {"actions": [{"request_headers": {"header_name": "x-client", "descriptor_key": "client"}}]},
        ],
        "rate_limit_service": {
            "grpc_service": {"envoy_grpc": {"cluster_name": "limitador"}},
            "domain": DOMAIN,
            // A machine that is busy with other tests may take a while.
            "timeout": "20s",
        },
    });
    for (name, value) in service.as_object().into_iter().flatten() {
        configuration["rate_limit_service"][name] = value.clone();
    }
    configuration
}

/// How many requests a flood has.
const FLOOD: usize = 120;
/// How many of them are under way at a time.
const FLOOD_AT_ONCE: usize = 6;

/// A flood of one client at two gateways, under this limit.
///
/// limitador looks whether there is room, and then counts, in its memory and in Redis: of many at once, no more
/// pass beyond the limit than are under way beside the one that is the last within it.
fn flood(gateways: &[Gateway; 2], who: &str, limit: usize) -> Result<()> {
    let some = |gateway: &Gateway| -> Result<Vec<u16>> {
        let client = Client::http1(gateway.0.envoy().listener("closed")?);
        let requests = 0..FLOOD / FLOOD_AT_ONCE;
        requests.map(|_| Ok(client.send(of(who))?.status)).collect()
    };
    let statuses: Result<Vec<_>> = thread::scope(|scope| {
        let each = gateways.iter().cycle().take(FLOOD_AT_ONCE);
        let threads: Vec<_> = each
            .map(|gateway| scope.spawn(move || some(gateway)))
            .collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.map(|statuses| statuses.expect("no panic")).collect()
    });
    let statuses = statuses?.concat();
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    let (admitted, refused) = (count(200), count(REFUSED));
    ensure!(admitted + refused == FLOOD, "{statuses:?}");
    ensure!(
        (limit..limit + FLOOD_AT_ONCE).contains(&admitted),
        "{admitted} of {limit} are admitted"
    );
    Ok(())
}
