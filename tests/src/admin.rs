//! Envoy's admin interface.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::client::Client;
use crate::message::{Request, Response};
use crate::wait::wait_for;

/// Envoy's admin interface: counters, log levels, what is configured.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
}

impl Admin {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let client = Client::http1(address);
        Self { client }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    /// What it answers to a GET, such as `/server_info`.
    pub fn get(&self, path: &str) -> Result<String> {
        self.ask(Request::get(path))
    }

    /// What it answers to a POST, such as `/reset_counters`.
    pub fn post(&self, path: &str) -> Result<String> {
        self.ask(Request::post(path, ""))
    }

    fn ask(&self, request: Request) -> Result<String> {
        let what = format!("{} {}", request.method, request.path);
        let response = self.client.send(request)?;
        if response.status != 200 {
            bail!("the admin interface answers {what} with\n{response}");
        }
        Ok(response.text())
    }

    /// The answer of `/ready`: 200 as soon as the listeners take requests.
    pub(crate) fn ready(&self) -> Result<Response> {
        self.client.send(Request::get("/ready"))
    }

    /// Each listener's name and the address that it really has.
    pub fn listeners(&self) -> Result<Vec<(String, SocketAddr)>> {
        let text = self.get("/listeners?format=json")?;
        let answer: Value = serde_json::from_str(&text)?;
        let statuses = answer["listener_statuses"].as_array();
        let mut listeners = Vec::new();
        for status in statuses.into_iter().flatten() {
            // One on a Unix socket has no port to tell.
            if let Some(address) = socket_address(&status["local_address"]) {
                let name = status["name"].as_str().unwrap_or_default();
                listeners.push((name.to_owned(), address));
            }
        }
        Ok(listeners)
    }

    /// Every counter and gauge, by its full name. Those of a Wasm module are named `wasmcustom.NAME`.
    pub fn stats(&self) -> Result<BTreeMap<String, u64>> {
        let text = self.get("/stats")?;
        let pairs = text.lines().filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            // Histograms and texts are no numbers.
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(pairs.collect())
    }

    /// One counter or gauge; none where Envoy has never heard of it.
    pub fn stat(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.stats()?.remove(name))
    }

    /// The counters and gauges whose names begin so.
    pub fn stats_with_prefix(&self, prefix: &str) -> Result<BTreeMap<String, u64>> {
        let mut stats = self.stats()?;
        stats.retain(|name, _| name.starts_with(prefix));
        Ok(stats)
    }

    /// Waits until a counter or gauge fits, and gives its value.
    pub fn wait_for_stat(
        &self,
        name: &str,
        deadline: Duration,
        fits: impl Fn(u64) -> bool,
    ) -> Result<u64> {
        let mut last = None;
        let found = wait_for(&format!("the counter {name}"), deadline, || {
            last = self.stat(name)?;
            Ok(last.filter(|value| fits(*value)))
        });
        found.with_context(|| match last {
            Some(value) => format!("{name} is {value}"),
            None => format!("there is no counter {name}"),
        })
    }

    /// All counters, gauges and histograms as Prometheus gets them.
    pub fn prometheus(&self) -> Result<String> {
        self.get("/stats/prometheus")
    }

    /// Changes the log level of a component such as `wasm`, while Envoy runs.
    pub fn set_log_level(&self, component: &str, level: &str) -> Result<()> {
        self.post(&format!("/logging?{component}={level}"))?;
        Ok(())
    }

    /// What Envoy says it is configured with.
    pub fn config_dump(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.get("/config_dump")?)?)
    }
}

fn socket_address(address: &Value) -> Option<SocketAddr> {
    let socket = &address["socket_address"];
    let ip = socket["address"].as_str()?.parse().ok()?;
    let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
    Some(SocketAddr::new(ip, port))
}
