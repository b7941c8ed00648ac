//! The real Prometheus, which scrapes the real Envoy.
//!
//! ```no_run
//! use legation_tests::prometheus::Prometheus;
//!
//! # fn main() -> anyhow::Result<()> {
//! let prometheus = Prometheus::start(&serde_json::json!({
//!     "global": {"scrape_interval": "200ms"},
//!     "scrape_configs": [{
//!         "job_name": "envoy",
//!         "metrics_path": "/stats/prometheus",
//!         "static_configs": [{"targets": ["127.0.0.1:9901"]}],
//!     }],
//! }))?;
//! for sample in prometheus.query("sum by (reason) (jwt_auth_refused)")? {
//!     println!("{:?} {}", sample.labels, sample.value);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It is the machine's own, as `promtool` is: see [`NEED`].

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::binary::on_path;
use crate::message::Request;
use crate::server::Server;
use crate::trials::Need;

const SERVER: &str = "prometheus";
const TOOL: &str = "promtool";

/// What tests with one need.
pub const NEED: Need = Need {
    what: SERVER,
    missing: || {
        let is_there = on_path(SERVER).is_some() && on_path(TOOL).is_some();
        (!is_there).then_some(
            "there is no prometheus and promtool on PATH: on Debian or Ubuntu, apt-get install prometheus",
        )
    },
};

/// A running Prometheus. Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus(Server);

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels, by name.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Prometheus {
    /// Starts one with this `prometheus.yml`, on a free port of loopback.
    pub fn start(configuration: &Value) -> Result<Self> {
        let server = Server::start("Prometheus", "/-/ready", |address, folder| {
            let file = folder.join("prometheus.yml");
            fs::write(&file, configuration.to_string())?;
            let mut command = Command::new(SERVER);
            command
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.join("data").display()
                ))
                .arg(format!("--web.listen-address={address}"));
            Ok(command)
        })?;
        Ok(Self(server))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// What an expression comes to now. An error where Prometheus has one.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let query: String = form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let data = self.api(&format!("query?query={query}"))?;
        let result = &data["result"];
        let samples = match data["resultType"].as_str() {
            Some("vector") => result.as_array().map(Vec::as_slice).unwrap_or_default(),
            _ => bail!("{expression} comes to no vector: {data}"),
        };
        samples.iter().map(sample).collect()
    }

    /// The names of all metrics that it has scraped.
    pub fn names(&self) -> Result<Vec<String>> {
        let names = self.api("label/__name__/values")?;
        Ok(serde_json::from_value(names)?)
    }

    /// The `data` of what its API (`/api/v1/…`) says.
    pub fn api(&self, path: &str) -> Result<Value> {
        let answer = self
            .0
            .client()
            .send(Request::get(&format!("/api/v1/{path}")))?;
        let mut body = answer.json()?;
        ensure!(body["status"] == "success", "{path}: {body}");
        Ok(body["data"].take())
    }
}

fn sample(series: &Value) -> Result<Sample> {
    let value = series["value"][1].as_str().context("a value")?;
    Ok(Sample {
        labels: serde_json::from_value(series["metric"].clone())?,
        value: value.parse()?,
    })
}

/// Runs `promtool` in a folder: what it says, as an error where it is not content.
pub fn promtool(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(TOOL)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .context("cannot run promtool")?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "promtool {}:\n{said}",
        arguments.join(" ")
    );
    Ok(said.into_owned())
}
