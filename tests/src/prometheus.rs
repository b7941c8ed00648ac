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
//! It is the machine's own, as `promtool` is: see [`prometheus_is_missing`].

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::client::Client;
use crate::message::Request;
use crate::process::Process;
use crate::run_folder::RunFolder;
use crate::target::target_dir;
use crate::wait::{DEADLINE, wait_for};

const SERVER: &str = "prometheus";
const TOOL: &str = "promtool";
const LOG: &str = "log";
/// How often a port that was free a moment ago may have gone to somebody else.
const ATTEMPTS: usize = 5;

/// Why there is no Prometheus on this machine, and how there could be.
pub fn prometheus_is_missing() -> Option<&'static str> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let has =
        |program: &str| env::split_paths(&folders).any(|folder| folder.join(program).is_file());
    (!has(SERVER) || !has(TOOL)).then_some(
        "there is no prometheus and promtool on PATH: on Debian or Ubuntu, apt-get install prometheus",
    )
}

/// A running Prometheus. Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus {
    // Before the folder: the process ends before its files go.
    _process: Process,
    client: Client,
    _folder: RunFolder,
}

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
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::start_once(configuration) {
                Err(error) if format!("{error:#}").contains("address already in use") => {
                    last = Some(error);
                }
                outcome => return outcome,
            }
        }
        Err(last.context("no attempt was made")?)
    }

    fn start_once(configuration: &Value) -> Result<Self> {
        let folder = RunFolder::create(&target_dir()?.join("legation-tests"))?;
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, configuration.to_string())?;
        // Prometheus does not tell which port it has chosen itself.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = File::create(folder.path().join(LOG))?;
        let mut command = Command::new(SERVER);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut process = Process::start(command).context("cannot run prometheus")?;
        let client = Client::http1(address);
        wait_for("Prometheus to start", DEADLINE, || {
            if let Some(status) = process.ended()? {
                bail!("Prometheus ended with {status}");
            }
            let answer = client.send(Request::get("/-/ready"));
            Ok(answer
                .is_ok_and(|answer| answer.status == 200)
                .then_some(()))
        })
        .with_context(|| fs::read_to_string(folder.path().join(LOG)).unwrap_or_default())?;
        Ok(Self {
            _process: process,
            client,
            _folder: folder,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.client.address()
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
        let answer = self.client.send(Request::get(&format!("/api/v1/{path}")))?;
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
