//! What the workers of the real Envoy know together, shown by the module
//! `shared`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use legation_tests::{Client, Config, DEADLINE, Request, Stage, wait_for};
use serde_json::{Value, json};

/// Connections of a load, which Envoy spreads over its workers.
const CONNECTIONS: usize = 16;

fn start(configuration: Value) -> Result<Stage> {
    let config = Config::with_filter("shared", configuration)?;
    Ok(Stage::start(&config.concurrency(4))?)
}

fn ask(client: &Client, path: &str) -> Result<Value> {
    let response = client.send(Request::get(path))?;
    ensure!(
        response.status == 200,
        "{path} is answered with\n{response}"
    );
    response.json()
}

/// Sends so many requests over all connections, as fast as they are answered.
fn load(
    stage: &Stage,
    requests: usize,
    path: impl Fn(usize) -> String + Sync,
) -> Result<Vec<Value>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<Value>> {
        let client = stage.envoy().client()?;
        let mut answers = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= requests {
                return Ok(answers);
            }
            answers.push(ask(&client, &path(n))?);
        }
    };
    let answers = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the load does not panic"))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(answers.concat())
}

fn sum(answers: &[Value], field: &str) -> u64 {
    let numbers = answers.iter().filter_map(|answer| answer[field].as_u64());
    numbers.sum()
}

fn workers(answers: &[Value]) -> BTreeSet<&str> {
    let names = answers
        .iter()
        .filter_map(|answer| answer["worker"].as_str());
    names.collect()
}

#[test]
fn counting_is_exact_whatever_the_workers_race() -> Result<()> {
    // With one try, each race that is lost is given up, and the caller begins
    // again.
    for (tries, requests) in [(64, 2_000), (1, 500)] {
        let stage = start(json!({ "tries": tries }))?;
        let began = Instant::now();
        let answers = load(&stage, requests, |_| "/add/total/50".to_owned())?;
        let (retried, gave_up) = (sum(&answers, "retried"), sum(&answers, "gave_up"));
        let workers = workers(&answers).len();
        println!(
            "{tries} tries: {} increments on {workers} workers in {:?}, {retried} tries failed, {gave_up} updates gave up",
            sum(&answers, "added"),
            began.elapsed(),
        );
        assert!(workers > 1, "one worker alone races with nobody");
        let wanted = u64::try_from(requests)? * 50;
        assert_eq!(sum(&answers, "added"), wanted);
        let stored = ask(&stage.envoy().client()?, "/value/total")?;
        assert_eq!(stored["value"], wanted);
    }
    Ok(())
}

/// Nobody has set the values: the first updates of each race.
#[test]
fn first_updates_are_not_lost() -> Result<()> {
    const ROUNDS: usize = 5;
    const VALUES: usize = 400;
    let stage = start(json!({}))?;
    let barrier = Barrier::new(CONNECTIONS);
    let retried = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| -> Result<u64> {
                    let client = stage.envoy().client()?;
                    ask(&client, "/value/none")?;
                    let mut retried = 0;
                    for round in 0..ROUNDS {
                        barrier.wait();
                        let answer = ask(&client, &format!("/add-each/round-{round}/{VALUES}"));
                        retried += sum(&[answer?], "retried");
                    }
                    Ok(retried)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the load does not panic"))
            .sum::<Result<u64>>()
    })?;
    println!("{retried} tries failed");
    let client = stage.envoy().client()?;
    for round in 0..ROUNDS {
        let stored = ask(&client, &format!("/values/round-{round}/{VALUES}"))?;
        assert_eq!(
            stored["values"],
            json!(vec![CONNECTIONS; VALUES]),
            "{round}"
        );
    }
    Ok(())
}

/// The bytes that Envoy has allocated, with all its shared data.
fn allocated(stage: &Stage) -> Result<u64> {
    let memory: Value = serde_json::from_str(&stage.admin().get("/memory")?)?;
    let allocated = memory["allocated"].as_str();
    Ok(allocated.context("no `allocated` in /memory")?.parse()?)
}

/// The bytes of each worker's VM.
fn memories(stage: &Stage) -> Result<BTreeMap<String, u64>> {
    let mut memories = BTreeMap::new();
    for answer in load(stage, 200, |_| "/memory".to_owned())? {
        let worker = answer["worker"].as_str().context("no worker")?;
        memories.insert(worker.to_owned(), answer["bytes"].as_u64().unwrap_or(0));
    }
    Ok(memories)
}

#[test]
fn a_million_keys_take_no_more_room_than_the_map_has() -> Result<()> {
    const A_REQUEST: usize = 500;
    let stage = start(json!({ "buckets": 1024 }))?;
    let touch = |first: usize, keys: usize| {
        load(&stage, keys / A_REQUEST, |n| {
            format!("/touch/{}/{A_REQUEST}", first + n * A_REQUEST)
        })
    };

    // 8,192 entries: full after these.
    let began = Instant::now();
    let mut answers = touch(0, 100_000)?;
    let full = (allocated(&stage)?, memories(&stage)?);
    answers.extend(touch(100_000, 900_000)?);
    let later = (allocated(&stage)?, memories(&stage)?);
    println!(
        "{} displaced, {} tries, {:?}; Envoy has {} bytes allocated, then {}; VMs {:?}, then {:?}",
        sum(&answers, "displaced"),
        sum(&answers, "tries"),
        began.elapsed(),
        full.0,
        later.0,
        full.1.values(),
        later.1.values(),
    );

    // With a million buckets in place of 1,024 it is 86 MB.
    let grown = later.0.saturating_sub(full.0);
    assert!(grown < 2 << 20, "Envoy has {grown} bytes more");
    for (worker, bytes) in &later.1 {
        let before = full.1.get(worker).copied().unwrap_or(*bytes);
        assert!(
            *bytes <= before + (1 << 20),
            "{before} bytes became {bytes}"
        );
    }
    assert!(workers(&answers).len() > 1);
    assert_eq!(sum(&answers, "others"), 0, "a key met another's entry");
    // All that were new had to displace one, but for those that filled the map
    // and the key that is used all the time.
    assert_eq!(sum(&answers, "displaced"), 1_000_000 + 1 - 8 * 1024);
    let client = stage.envoy().client()?;
    assert_eq!(ask(&client, "/hot")?["hot"], sum(&answers, "hot"));
    Ok(())
}

struct Term {
    leader: String,
    from: u64,
    until: u64,
}

fn terms(client: &Client) -> Result<(Vec<Term>, usize)> {
    let answer = ask(client, "/terms")?;
    let terms = answer["terms"].as_array().into_iter().flatten();
    let terms = terms
        .map(|term| {
            Ok(Term {
                leader: term["leader"].as_str().context("no leader")?.to_owned(),
                from: term["from"].as_u64().context("no beginning")?,
                until: term["until"].as_u64().context("no end")?,
            })
        })
        .collect::<Result<_>>()?;
    let candidates = answer["candidates"].as_array().map_or(0, Vec::len);
    Ok((terms, candidates))
}

#[test]
fn one_worker_leads_at_a_time_and_another_takes_over() -> Result<()> {
    const CHANGES: usize = 3;
    let stage = start(json!({ "tick": "10ms", "lease": "300ms" }))?;
    let client = stage.envoy().client()?;
    wait_for("a tick of each worker", DEADLINE, || {
        Ok((terms(&client)?.1 >= 4).then_some(()))
    })?;
    for _ in 0..CHANGES {
        let stopped = wait_for("a leader", DEADLINE, || {
            let answer = ask(&client, "/stop")?;
            Ok(answer["stopped"].as_str().map(str::to_owned))
        })?;
        wait_for("another leader", DEADLINE, || {
            let (terms, _) = terms(&client)?;
            let last = terms.last();
            Ok(last.filter(|last| last.leader != stopped).map(|_| ()))
        })?;
    }

    let (terms, candidates) = terms(&client)?;
    println!("{candidates} candidates, {} terms", terms.len());
    assert!(terms.len() > CHANGES);
    for pair in terms.windows(2) {
        assert!(
            pair[0].until <= pair[1].from,
            "{} led to {}, {} from {}",
            pair[0].leader,
            pair[0].until,
            pair[1].leader,
            pair[1].from,
        );
    }
    Ok(())
}

#[test]
fn what_one_worker_queues_is_popped_once() -> Result<()> {
    let stage = start(json!({ "tick": "5ms" }))?;
    let client = stage.envoy().client()?;
    let answers = load(&stage, 8, |n| format!("/push/{}/10", n * 10))?;
    assert_eq!(sum(&answers, "pushed"), 80);
    let popped = wait_for("all items", DEADLINE, || {
        let answer = ask(&client, "/popped")?;
        let popped = answer["popped"].as_array().cloned().unwrap_or_default();
        Ok((popped.len() >= 80).then_some(popped))
    })?;
    let mut popped: Vec<_> = popped.iter().filter_map(Value::as_u64).collect();
    popped.sort_unstable();
    assert_eq!(popped, (0..80).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn a_queue_takes_no_more_than_its_limit() -> Result<()> {
    // Nobody pops.
    let stage = start(json!({}))?;
    let answers = load(&stage, 40, |n| format!("/push/{}/10", n * 10))?;
    assert_eq!(sum(&answers, "pushed"), 100);
    assert_eq!(sum(&answers, "full"), 300);
    Ok(())
}
