//! Policies that change while Envoy runs and requests come, and how long it takes.

use std::sync::{Arc, Mutex, PoisonError};

use anstream::println;
use anyhow::{Result, bail};
use legation_tests::load::{Answer, Effects, Load, none_failed, version_of};
use legation_tests::{Config, Reply, Request, Stage, Upstream, WatchedFilter, wasm_filter};
use serde_json::{Value, json};

use super::print;
use crate::terminal::{self, BOLD, DIM, Wait};

const FILTER: &str = "header-tag";
/// By which policy an answer was made.
const VERSION: &str = "x-policy";
/// The listener whose filter fetches its policy, and the cluster that has it.
const FETCHED: &str = "fetched";
const POLICIES: &str = "policies";

const CONNECTIONS: usize = 8;
const A_SECOND: u32 = 200;
const CHANGES: usize = 10;

/// The policy of this number: answers tell it.
fn policy(number: usize) -> Value {
    json!({"rules": [{"response": {"set": {VERSION: number.to_string()}}}]})
}

/// Shows both ways; gives how many promises were kept and broken.
pub(super) fn show() -> Result<(usize, usize)> {
    terminal::heading("A policy changes while Envoy runs");
    let watched = WatchedFilter::new(FILTER, &policy(0))?;
    let document = Arc::new(Mutex::new(policy(0)));
    let current = Arc::clone(&document);
    let server = Upstream::answering(move |_| {
        Reply::json(&current.lock().unwrap_or_else(PoisonError::into_inner))
    })?;
    let remote = json!({"remote_config": {
        "http_uri": {"uri": "http://policies.example/header-tag.json", "cluster": POLICIES},
        "refresh_delay": "250ms",
        "initial": policy(0),
    }});
    let config = watched
        .insert_into(Config::plain()?)
        .add_chain(FETCHED, &[wasm_filter(FILTER, remote)])
        .add_endpoint(POLICIES, server.address())
        .concurrency(2);
    let wait = Wait::begin("starting another Envoy, with two workers".to_owned());
    let stage = Stage::start(&config)?;
    wait.done();

    let by_envoy = change(
        &stage,
        "Envoy is given another configuration of the filter: a file is replaced (ECDS)",
        None,
        |number| watched.write(&policy(number)),
    )?;
    let by_itself = change(
        &stage,
        "The filter finds another document at its URL, which it asks for every 250 ms (remote_config)",
        Some(FETCHED),
        |number| {
            *document.lock().unwrap_or_else(PoisonError::into_inner) = policy(number);
            Ok(())
        },
    )?;
    Ok((by_envoy.0 + by_itself.0, by_envoy.1 + by_itself.1))
}

fn change(
    stage: &Stage,
    title: &str,
    listener: Option<&str>,
    write: impl Fn(usize) -> Result<()>,
) -> Result<(usize, usize)> {
    let address = match listener {
        Some(listener) => stage.envoy().listener(listener)?,
        None => stage.envoy().address()?,
    };
    println!("\n{BOLD}{title}{BOLD:#}");
    let load = Load::start(address, CONNECTIONS, A_SECOND, |_| Request::get("/"));
    // A request that failed counts once, below.
    let shown = |answer: &Answer| match (&answer.outcome, version_of(answer, VERSION)) {
        (Ok(response), Ok(version)) if response.status == 200 => Ok(Some(version)),
        (Ok(response), Err(_)) if response.status == 200 => {
            bail!("answered without any policy: {response}")
        }
        _ => Ok(None),
    };
    let changed = Effects::of(&load, CHANGES, shown, write);
    let answers = load.stop();
    Ok(print::outcomes([
        changed.map(|effects| {
            let [first, first_99] = effects.first();
            let [everywhere, everywhere_99] = effects.everywhere();
            println!(
                "    {DIM}{CHANGES} changes while {A_SECOND} requests a second come over {CONNECTIONS} connections\n    \
                 from the write to the first answer: median {first:.0?}, at most {first_99:.0?}\n    \
                 to the first on every connection:   median {everywhere:.0?}, at most {everywhere_99:.0?}{DIM:#}"
            );
            "every answer is by the policy before or the one just written".to_owned()
        }),
        none_failed(&answers),
    ]))
}
