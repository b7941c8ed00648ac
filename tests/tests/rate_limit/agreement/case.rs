//! A case, and how it is run.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use legation_tests::{
    Client, Config, ENVOY_VERSION, Envoy, Received, Reply, Request, UPSTREAM_CLUSTER, Upstream,
    envoy_binary, envoy_version, wasm_filter,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::outcome::{Outcome, Seen};
use super::read;
use crate::{FILTER, LOCAL, native, native_as_it_is, ours, to_ours};

/// What a request header begins with that the upstream answers with.
const ANSWER: &str = "answer-";

/// A configuration, and requests one after the other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// Of both filters, as Envoy's own has it.
    configuration: Value,
    /// Whether Envoy's filter is not switched on where the configuration does not say so.
    #[serde(default)]
    as_it_is: bool,
    /// Filters before both.
    #[serde(default)]
    before: Vec<Value>,
    /// The status of a refusal.
    #[serde(default = "too_many_requests")]
    denied_with: u16,
    pub(super) requests: Vec<Step>,
}

/// A request, and what comes of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    #[serde(default = "get")]
    method: String,
    #[serde(default = "root")]
    path: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// Whether it comes over a connection of its own, as those after it do.
    #[serde(default)]
    anew: bool,
    /// How often it comes.
    #[serde(default = "once")]
    times: u32,
    /// What comes of it at both filters.
    both: Option<Outcome>,
    /// What comes of it at Envoy's own, where that differs.
    envoy: Option<Outcome>,
    /// What comes of it at ours then.
    here: Option<Outcome>,
    /// The reason's name.
    pub(super) why: Option<String>,
}

fn too_many_requests() -> u16 {
    429
}

fn get() -> String {
    "GET".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn once() -> u32 {
    1
}

impl Step {
    /// What comes of it at Envoy's own, and at ours.
    fn outcomes(&self) -> Result<(&Outcome, &Outcome)> {
        match (&self.both, &self.envoy, &self.here, &self.why) {
            (Some(both), None, None, None) => Ok((both, both)),
            (None, Some(envoy), Some(here), Some(_)) => Ok((envoy, here)),
            _ => bail!("a request has either `both`, or `envoy`, `here` and `why`"),
        }
    }

    fn request(&self) -> Request {
        let headers = self.headers.iter().map(|(name, value)| (name, value));
        Request::new(&self.method, &self.path).headers(headers)
    }
}

/// Answers with what the request asks for.
fn answer(received: &Received) -> Reply {
    let mut reply = Reply::ok();
    for (name, value) in received.headers.iter() {
        if let Some(name) = name.strip_prefix(ANSWER) {
            reply = reply.header(name, value);
        }
    }
    reply
}

/// Runs all cases of a table and tells each that is not as it says.
pub(super) fn run(table: &str) -> Result<()> {
    let cases: Vec<Case> = read(table)?;
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    ensure!(names.len() == cases.len(), "two cases have one name");

    // Envoy's filter is another one in each of its versions.
    let compares = envoy_version(&envoy_binary()?)? == ENVOY_VERSION;
    let upstream = Upstream::answering(answer)?;
    let mut config = Config::plain()?;
    for (at, case) in cases.iter().enumerate() {
        let mut configuration = case.configuration.clone();
        // No two of them share a bucket.
        configuration["stat_prefix"] = format!("{table}_{at}").into();
        let chain = |filter| case.chain(filter);
        config = config.add_chain(
            &format!("ours-{at}"),
            &chain(ours(&to_ours(&configuration))),
        );
        if compares {
            let native = match case.as_it_is {
                true => native_as_it_is(&configuration),
                false => native(&configuration),
            };
            config = config.add_chain(&format!("native-{at}"), &chain(native));
        }
    }
    let mut config = around(config, &upstream);
    // What is counted by a cluster's name needs it as it is.
    if !cases.iter().any(Case::names_clusters) {
        config = config.shared();
    }
    let envoy = Envoy::start(&config)?;

    let mut wrong = String::new();
    for (at, case) in cases.iter().enumerate() {
        let here = Side::of("ours", at, &envoy, &upstream)?;
        let native = match compares {
            true => Some(Side::of("native", at, &envoy, &upstream)?),
            false => None,
        };
        if let Err(problem) = case.run(here, native) {
            writeln!(wrong, "── {}: {problem:#}", case.name)?;
        }
    }
    ensure!(
        wrong.is_empty(),
        "{wrong}\n{}",
        envoy.module_log().join("\n")
    );
    Ok(())
}

/// Runs all cases through the filter and through its module for limits of this Envoy alone, and tells
/// each that the two do not answer alike. For each table, how many requests passed, and how many did not.
/// With `most`, the descriptors have so many tokens, and each request comes so many times more: the client is
/// not told which limit it has met, but refused by it.
pub(super) fn run_local(tables: &[(&str, Option<u32>)]) -> Result<Vec<(usize, usize)>> {
    let upstream = Upstream::answering(answer)?;
    let mut config = Config::plain()?;
    let mut all: Vec<Vec<Case>> = Vec::new();
    for (table, most) in tables {
        let cases: Vec<Case> = read(table)?;
        for (at, case) in cases.iter().enumerate() {
            let mut configuration = to_ours(&case.configuration);
            // Which that module has not.
            let fields = configuration.as_object_mut().context("an object")?;
            fields.remove("enable_x_ratelimit_headers");
            if let Some(most) = most {
                shrink(&mut configuration, *most);
            }
            for (name, filter) in [("ours", FILTER), ("local", LOCAL)] {
                configuration["stat_prefix"] = format!("{name}_{table}_{at}").into();
                let filter = wasm_filter(filter, configuration.clone());
                config = config.add_chain(&format!("{name}-{table}-{at}"), &case.chain(filter));
            }
        }
        all.push(cases);
    }
    let envoy = Envoy::start(&around(config, &upstream))?;

    let mut wrong = String::new();
    let mut counts = Vec::new();
    for ((table, most), cases) in tables.iter().zip(&all) {
        let (mut passed, mut denied) = (0, 0);
        for (at, case) in cases.iter().enumerate() {
            let mut ours = Side::named(format!("ours-{table}-{at}"), &envoy, &upstream)?;
            let mut local = Side::named(format!("local-{table}-{at}"), &envoy, &upstream)?;
            let steps = case.requests.iter();
            let again = most.unwrap_or(0);
            let steps = steps.flat_map(|step| (0..step.times + again).map(move |_| step));
            for (count, step) in (1..).zip(steps) {
                let (ours, local) = (ours.send(step, count)?, local.send(step, count)?);
                match ours.received {
                    Some(_) => passed += 1,
                    None => denied += 1,
                }
                if ours.answer(false) != local.answer(false) || ours.request() != local.request() {
                    let (name, ours, local) = (&case.name, ours.answer(false), local.answer(false));
                    writeln!(
                        wrong,
                        "── {table}: {name}, request {count}: {FILTER} answers\n{ours}\nand {LOCAL}\n{local}"
                    )?;
                    break;
                }
            }
        }
        counts.push((passed, denied));
    }
    ensure!(
        wrong.is_empty(),
        "{wrong}\n{}",
        envoy.module_log().join("\n")
    );
    Ok(counts)
}

/// Gives the buckets of descriptors so many tokens.
fn shrink(configuration: &mut Value, most: u32) {
    let list = configuration.get_mut("descriptors");
    for descriptor in list.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(bucket) = descriptor.get_mut("token_bucket") {
            bucket["max_tokens"] = most.into();
        }
    }
}

/// The Envoy around the chains.
fn around(config: Config, upstream: &Upstream) -> Config {
    config
        // Else all requests come from this machine.
        .hcm(&json!({"xff_num_trusted_hops": 1}))
        .edit(|root| root["node"] = json!({"id": "test", "cluster": "edge"}))
        .endpoint(UPSTREAM_CLUSTER, upstream.address())
}

impl Case {
    fn names_clusters(&self) -> bool {
        self.configuration.to_string().contains("cluster")
    }

    /// A filter, behind what stands before it.
    fn chain(&self, filter: Value) -> Vec<Value> {
        let before = self.before.iter().cloned();
        before.chain([filter]).collect()
    }

    /// To its first mistake: what comes after it follows from it.
    fn run(&self, mut here: Side<'_>, mut native: Option<Side<'_>>) -> Result<()> {
        let mut count = 0;
        for step in &self.requests {
            for _ in 0..step.times {
                count += 1;
                let native = match &mut native {
                    Some(native) => Some(native.send(step, count)?),
                    None => None,
                };
                let here = here.send(step, count)?;
                let judged = self.judge(step, native.as_ref(), &here);
                judged.with_context(|| format!("request {count}, {}", step.request()))?;
            }
        }
        Ok(())
    }

    fn judge(&self, step: &Step, native: Option<&Seen>, here: &Seen) -> Result<()> {
        let (of_envoy, of_ours) = step.outcomes()?;
        if let Some(problem) = native.and_then(|seen| seen.problem(of_envoy, self.denied_with)) {
            bail!("Envoy's: {problem}\nours answers\n{}", here.answer(false));
        }
        if let Some(problem) = here.problem(of_ours, self.denied_with) {
            bail!("ours: {problem}\n{}", here.answer(false));
        }
        // Of what comes out in another way, all but what clients are told of the limit is the same.
        let Some(native) = native.filter(|_| of_envoy.passes == of_ours.passes) else {
            return Ok(());
        };
        let without_limit = step.both.is_none();
        let answers = (native.answer(without_limit), here.answer(without_limit));
        ensure!(
            answers.0 == answers.1,
            "Envoy's answers\n{}\nand ours\n{}",
            answers.0,
            answers.1
        );
        let requests = (native.request(), here.request());
        ensure!(
            requests.0 == requests.1,
            "the upstream gets\n{}from Envoy's and\n{}from ours",
            requests.0.unwrap_or_default(),
            requests.1.unwrap_or_default()
        );
        Ok(())
    }
}

/// One of the two filters.
struct Side<'a> {
    name: String,
    client: Client,
    upstream: &'a Upstream,
}

impl<'a> Side<'a> {
    fn of(filter: &str, at: usize, envoy: &Envoy, upstream: &'a Upstream) -> Result<Self> {
        Self::named(format!("{filter}-{at}"), envoy, upstream)
    }

    fn named(name: String, envoy: &Envoy, upstream: &'a Upstream) -> Result<Self> {
        let client = Client::http1(envoy.listener(&name)?);
        Ok(Self {
            name,
            client,
            upstream,
        })
    }

    fn send(&mut self, step: &Step, count: u32) -> Result<Seen> {
        if step.anew {
            self.client = Client::http1(self.client.address());
        }
        let id = format!("{}-{count}", self.name);
        let response = self.client.send(step.request().id(&id))?;
        let received = self.upstream.with_id(&id);
        Ok(Seen { response, received })
    }
}
