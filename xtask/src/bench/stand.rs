//! One Envoy that has every case, and the load on it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use legation_tests::oidc::FakeProvider;
use legation_tests::{Client, Config, Envoy, Request};

use super::cases::Case;
use super::config::{self, Listener, PROOF, PROOF_PATH, PROVIDER, Route, UPSTREAM, UPSTREAM_GRPC};
use super::cpu::{self, Cores, Worker};
use super::filters::Filter;
use super::load::{CONNECTIONS, Exchange, Load, Upstream};
use super::modules::Modules;
use super::oauth2;
use super::rounds::{Rounds, Subject};
use super::tokens::Pools;

/// Pages that are under way at a time: enough that the worker always has one.
const PAGES: usize = 2;
/// What a case without a proof could show.
const ANY_HEADER: &str = "x-any";

/// What is the same for every Envoy of a run.
pub(super) struct Plan<'a> {
    pub(super) cases: &'a [Case],
    pub(super) modules: &'a Modules,
    pub(super) pools: &'a Pools,
    pub(super) cores: Cores,
    pub(super) slice: Duration,
    /// Where requests are answered, unless a case says it itself.
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
        let mut upstream = Upstream::bind()?;
        let baselines = baselines(plan.cases);
        let provider = FakeProvider::start()?;
        let config = config::bootstrap(&listeners(plan, &baselines), &oauth2::secrets());
        let config = oauth2::at_provider(&config, &provider)?;
        let config = Config::from_value(config, "the benchmark's configuration")
            .add_endpoint(UPSTREAM, upstream.address()?)
            .add_endpoint(UPSTREAM_GRPC, upstream.address()?)
            .add_endpoint(PROVIDER, provider.address())
            .http2_upstream(UPSTREAM_GRPC);
        let envoy = Envoy::start(&config)?;
        for case in plan.cases {
            prove(&envoy, case, plan.pools)
                .with_context(|| format!("the case `{}` does not do its work", case.name))?;
        }
        for thread in envoy.threads()? {
            cpu::pin_thread(thread.id, plan.cores.envoy)?;
        }
        cpu::pin_this_thread(plan.cores.load)?;
        let workers = envoy.workers()?;
        let worker = workers.first().context("Envoy has no worker")?;
        let subjects = plan.cases.iter().map(|case| {
            let baseline = baselines
                .iter()
                .position(|other| case.has_baseline_of(other));
            let mut load = Load::connect(envoy.listener(case.name)?)?;
            let exchange = Exchange {
                requests: requests(case, plan.pools, &envoy)?,
                status: case.status,
                at_once: if case.page > 0 { PAGES } else { CONNECTIONS },
            };
            if case.is_page_rewritten {
                load.run(&exchange, Duration::ZERO, &mut upstream)?;
                let (name, length) = (case.name, load.last_body());
                ensure!(
                    length > case.page,
                    "the case `{name}` does not rewrite its page: it has {length} bytes"
                );
            }
            Ok(Subject {
                baseline: baseline.context("a case has no baseline")?,
                load,
                exchange,
            })
        });
        let baselines = (0..baselines.len())
            .map(|number| Load::connect(envoy.listener(&baseline_name(number))?));
        let rounds = Rounds {
            worker: Worker::new(envoy.pid(), worker.id),
            slice: plan.slice,
            baselines: baselines.collect::<Result<_>>()?,
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

/// A case for each baseline that is needed.
fn baselines(cases: &[Case]) -> Vec<&Case> {
    let mut baselines: Vec<&Case> = Vec::new();
    for case in cases {
        if !baselines.iter().any(|other| case.has_baseline_of(other)) {
            baselines.push(case);
        }
    }
    baselines
}

fn baseline_name(number: usize) -> String {
    format!("baseline-{number}")
}

/// All listeners have the same routes, also those that have nothing to prove: the more
/// routes, the dearer a change of headers, after which Envoy chooses one anew.
fn listeners(plan: &Plan, baselines: &[&Case]) -> Vec<Listener> {
    let listener = |name: &str, filters: &[Filter], case: &Case| {
        let filters = filters.iter().enumerate().map(|(index, filter)| {
            let id = format!("{name}-{index}");
            filter.to_config(&id, |module| plan.modules.file(module).into())
        });
        Listener {
            name: name.to_owned(),
            filters: filters.collect(),
            proof: case
                .proof
                .map_or(ANY_HEADER, |(header, _)| header)
                .to_owned(),
            route: match plan.route {
                Route::Direct => case.route,
                Route::Upstream => Route::Upstream,
            },
        }
    };
    let baselines = baselines.iter().enumerate();
    let baselines =
        baselines.map(|(number, case)| listener(&baseline_name(number), &case.baseline, case));
    let of_cases = plan
        .cases
        .iter()
        .map(|case| listener(case.name, &case.filters, case));
    baselines.chain(of_cases).collect()
}

/// Has a case show that its filters do their work.
fn prove(envoy: &Envoy, case: &Case, pools: &Pools) -> Result<()> {
    if let Some(tokens) = case.tokens {
        let client = Client::http1(envoy.listener(case.name)?);
        let refused = client.send(Request::get("/"))?;
        ensure!(
            refused.status == 401,
            "a request without a token should be refused, and the answer is\n{refused}"
        );
        for token in pools.of(tokens).iter().take(2) {
            let accepted = client.send(Request::get("/").header("authorization", bearer(token)))?;
            ensure!(
                accepted.status == 200,
                "a good token should be accepted, and the answer is\n{accepted}"
            );
        }
    }
    if case.proof.is_none() && case.answer_proof.is_none() {
        return Ok(());
    }
    let mut request = Request::get(PROOF_PATH);
    for (name, value) in &case.request_headers {
        request = request.header(name, value);
    }
    let response = Client::http1(envoy.listener(case.name)?).send(request)?;
    if let Some((header, value)) = case.proof {
        ensure!(
            response.headers.get(PROOF) == Some(value.as_bytes()),
            "the header `{header}: {value}` should leave its filters, and the answer is\n{response}"
        );
    }
    if let Some((header, value)) = case.answer_proof {
        let found = response.headers.get(header).unwrap_or_default();
        ensure!(
            found.starts_with(value.as_bytes()),
            "the answer should have the header `{header}: {value}…`, and is\n{response}"
        );
    }
    Ok(())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The requests that a case gets, one after another and then from the first again.
fn requests(case: &Case, pools: &Pools, envoy: &Envoy) -> Result<Arc<[Vec<u8>]>> {
    if case.signs_in {
        let cookies = oauth2::sign_in(envoy, case)
            .with_context(|| format!("no session for the case `{}`", case.name))?;
        return Ok([request(case, &[("cookie", &cookies)])].into());
    }
    if let Some(tokens) = case.tokens {
        let tokens = pools.of(tokens).iter();
        return Ok(tokens
            .map(|token| request(case, &[("authorization", &bearer(token))]))
            .collect());
    }
    Ok(match case.keys {
        0 => [request(case, &[])].into(),
        keys => (0..keys)
            .map(|key| request(case, &[(KEY, &format!("customer-{key:05}"))]))
            .collect(),
    })
}

/// What requests are counted by that are limited.
pub(super) const KEY: &str = "x-key";

/// A plain request with a case's headers, its own, and a body of the case's size.
fn request(case: &Case, own: &[(&str, &str)]) -> Vec<u8> {
    let method = if case.request_body == 0 {
        "GET"
    } else {
        "POST"
    };
    let path = match case.page {
        0 => "/api/items?page=2".to_owned(),
        size => case.kind.path(size),
    };
    let host = if case.signs_in {
        oauth2::HOST
    } else {
        "shop.example"
    };
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\n\
         host: {host}\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
         accept: application/json\r\n\
         accept-language: en\r\n"
    );
    for (name, value) in case.request_headers.iter().chain(own) {
        // Writing to a string does not fail.
        let _ = write!(request, "{name}: {value}\r\n");
    }
    if case.request_body > 0 {
        let (media_type, size) = (case.kind.media_type(), case.request_body);
        let _ = write!(
            request,
            "content-type: {media_type}\r\ncontent-length: {size}\r\n"
        );
    }
    request.push_str("\r\n");
    let mut request = request.into_bytes();
    request.append(&mut case.kind.body(case.request_body));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_cases_headers() {
        let case = Case {
            request_headers: vec![("x-team", "orders")],
            ..Case::default()
        };

        let request =
            String::from_utf8(request(&case, &[("authorization", "Bearer x")])).expect("is text");

        assert!(request.contains("\r\nhost: "), "{request}");
        assert!(
            request.ends_with("\r\nx-team: orders\r\nauthorization: Bearer x\r\n\r\n"),
            "{request}"
        );
    }
}
