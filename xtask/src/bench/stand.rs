//! One Envoy that has every case, and the load on it.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use legation_tests::{Client, Config, Envoy, Request};

use super::cases::Case;
use super::config::{self, Listener, PROOF, PROOF_PATH, Route, UPSTREAM};
use super::cpu::{self, Cores, Worker};
use super::load::{Exchange, Load, Upstream};
use super::modules::Modules;
use super::rounds::{Rounds, Subject};

/// The listener without filters.
const BASELINE: &str = "baseline";
/// What a case without a proof could show.
const ANY_HEADER: &str = "x-any";

/// What is the same for every Envoy of a run.
pub(super) struct Plan<'a> {
    pub(super) cases: &'a [Case],
    pub(super) modules: &'a Modules,
    pub(super) cores: Cores,
    pub(super) slice: Duration,
    pub(super) route: Route,
}

/// An Envoy, ready to be measured. It stops when this is dropped.
pub(super) struct Stand {
    pub(super) envoy: Envoy,
    pub(super) rounds: Rounds,
}

impl Stand {
    /// Starts an Envoy, has every case prove that it works, and gives Envoy and the load
    /// a core each.
    pub(super) fn set_up(plan: &Plan) -> Result<Self> {
        let upstream = Upstream::bind()?;
        let config = config::bootstrap(&listeners(plan), plan.route);
        let config = Config::from_value(config, "the benchmark's configuration")
            .add_endpoint(UPSTREAM, upstream.address()?);
        let envoy = Envoy::start(&config)?;
        for case in plan.cases {
            prove(&envoy, case)
                .with_context(|| format!("the case `{}` does not do its work", case.name))?;
        }
        for thread in envoy.threads()? {
            cpu::pin_thread(thread.id, plan.cores.envoy)?;
        }
        cpu::pin_this_thread(plan.cores.load)?;
        let workers = envoy.workers()?;
        let worker = workers.first().context("Envoy has no worker")?;
        let subjects = plan.cases.iter().map(|case| {
            Ok(Subject {
                load: Load::connect(envoy.listener(case.name)?)?,
                exchange: Exchange {
                    request: request(case),
                    status: case.status,
                },
            })
        });
        let rounds = Rounds {
            worker: Worker::new(envoy.pid(), worker.id),
            slice: plan.slice,
            baseline: Load::connect(envoy.listener(BASELINE)?)?,
            subjects: subjects.collect::<Result<_>>()?,
            upstream,
        };
        Ok(Self { envoy, rounds })
    }

    /// Envoy's version, as it tells it: `REVISION/1.40.0/Clean/RELEASE/BoringSSL`.
    pub(super) fn envoy_version(&self) -> Result<String> {
        let info = self.envoy.admin().get("/server_info")?;
        let info: serde_json::Value = serde_json::from_str(&info)?;
        let version = info["version"].as_str().unwrap_or_default();
        Ok(version.split('/').nth(1).unwrap_or(version).to_owned())
    }
}

/// All listeners have the same routes, also those that have nothing to prove: the more
/// routes, the dearer a change of headers, after which Envoy chooses one anew.
fn listeners(plan: &Plan) -> Vec<Listener> {
    let baseline = Listener {
        name: BASELINE.to_owned(),
        filters: Vec::new(),
        proof: ANY_HEADER.to_owned(),
    };
    let of_cases = plan.cases.iter().map(|case| {
        let filters = case.filters.iter().enumerate().map(|(index, filter)| {
            let id = format!("{}-{index}", case.name);
            filter.to_config(&id, |module| plan.modules.file(module).into())
        });
        Listener {
            name: case.name.to_owned(),
            filters: filters.collect(),
            proof: case
                .proof
                .map_or(ANY_HEADER, |(header, _)| header)
                .to_owned(),
        }
    });
    std::iter::once(baseline).chain(of_cases).collect()
}

/// Has a case show that its filters do their work.
fn prove(envoy: &Envoy, case: &Case) -> Result<()> {
    let Some((header, value)) = case.proof else {
        return Ok(());
    };
    let mut request = Request::get(PROOF_PATH);
    for (name, value) in &case.request_headers {
        request = request.header(name, value);
    }
    let response = Client::http1(envoy.listener(case.name)?).send(request)?;
    ensure!(
        response.headers.get(PROOF) == Some(value.as_bytes()),
        "the header `{header}: {value}` should leave its filters, and the answer is\n{response}"
    );
    Ok(())
}

/// A plain request with a case's headers.
fn request(case: &Case) -> Vec<u8> {
    let mut request = "GET /api/items?page=2 HTTP/1.1\r\n\
         host: shop.example\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
         accept: application/json\r\n\
         accept-language: en\r\n"
        .to_owned();
    for (name, value) in &case.request_headers {
        // Writing to a string does not fail.
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_cases_headers() {
        let case = Case {
            request_headers: vec![("authorization", "Bearer x")],
            ..Case::default()
        };

        let request = String::from_utf8(request(&case)).expect("is text");

        assert!(request.contains("\r\nhost: "), "{request}");
        assert!(
            request.ends_with("\r\nauthorization: Bearer x\r\n\r\n"),
            "{request}"
        );
    }
}
