//! Retries, circuit breakers and caches in the real Envoy, by the module
//! `services`.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use anyhow::{Result, ensure};
use legation_tests::{Config, DEADLINE, RawConnection, Reply, Request, Stage, Upstream, wait_for};
use serde_json::{Value, json};

/// Envoy with the module, and the upstream of its service: the cluster `idp`.
struct World {
    stage: Stage,
    idp: Upstream,
}

impl World {
    fn new(service: &Value, edit: impl FnOnce(Config) -> Config) -> Result<Self> {
        let idp = Upstream::start()?;
        let config = Config::with_filter("services", json!({ "service": service }))?
            .concurrency(1)
            .add_endpoint("idp", idp.address())
            .add_endpoint("refused", TcpListener::bind("127.0.0.1:0")?.local_addr()?);
        let stage = Stage::start(&edit(config))?;
        Ok(Self { stage, idp })
    }

    fn say(&self, request: Request) -> Result<String> {
        let response = self.stage.send(request)?;
        ensure!(response.status == 200, "{response}");
        Ok(response.text())
    }

    fn get(&self, path: &str) -> Result<String> {
        self.say(Request::get(path))
    }

    /// The statistics of the service that are not 0.
    fn counted(&self, cluster: &str) -> Result<BTreeMap<String, u64>> {
        let prefix = format!("wasmcustom.services.upstream.{cluster}.");
        let stats = self.stage.admin().stats_with_prefix(&prefix)?;
        let stats = stats.into_iter().filter(|(_, count)| *count > 0);
        Ok(stats
            .map(|(name, count)| (name.trim_start_matches(&prefix).to_owned(), count))
            .collect())
    }
}

fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.map(|(name, count)| (name.to_owned(), count)).into()
}

fn retrying(cluster: &str) -> Value {
    json!({
        "cluster": cluster,
        "timeout": "10s",
        "retry_policy": {
            "num_retries": 2,
            "retry_on": "5xx,unavailable",
            "retry_back_off": { "base_interval": "1ms", "max_interval": "2ms" },
        },
    })
}

#[test]
fn a_request_is_tried_again_until_there_is_an_answer() -> Result<()> {
    let world = World::new(&retrying("idp"), |config| config)?;
    world.idp.enqueue(Reply::status(503));
    world.idp.enqueue(Reply::reset());
    world.idp.enqueue(Reply::ok().body("well"));

    assert_eq!(world.get("/send/a")?, "200 well");

    assert_eq!(world.idp.count(), 3);
    let counted = [
        ("requests", 1),
        ("retries", 2),
        ("failures_status", 1),
        ("failures_reset", 1),
    ];
    assert_eq!(world.counted("idp")?, counts(counted));
    Ok(())
}

#[test]
fn a_post_is_sent_again_only_where_its_sender_says_so() -> Result<()> {
    let world = World::new(&retrying("idp"), |config| config)?;
    world.idp.enqueue(Reply::reset());
    let answer = world.say(Request::post("/send/a", "x"))?;
    assert!(answer.starts_with("Reset("), "{answer}");
    assert_eq!(world.idp.count(), 1);

    world.idp.enqueue(Reply::reset());
    world.idp.enqueue(Reply::ok());
    assert_eq!(world.say(Request::post("/repeat/a", "x"))?, "200 ");
    assert_eq!(world.idp.count(), 3);
    Ok(())
}

#[test]
fn a_post_that_finds_no_connection_is_sent_again() -> Result<()> {
    let world = World::new(&retrying("refused"), |config| config)?;

    let answer = world.say(Request::post("/send/a", "x"))?;

    assert!(
        answer.starts_with("Reset(\"remote connection failure"),
        "{answer}"
    );
    let counted = [("requests", 1), ("retries", 2), ("failures_connect", 3)];
    assert_eq!(world.counted("refused")?, counts(counted));
    Ok(())
}

#[test]
fn a_cluster_without_hosts_counts_as_no_connection() -> Result<()> {
    let world = World::new(&retrying("empty"), |config| {
        config.add_cluster(json!({
            "name": "empty",
            "type": "STATIC",
            "load_assignment": {"cluster_name": "empty", "endpoints": []},
        }))
    })?;

    world.say(Request::post("/send/a", "x"))?;
    world.get("/grpc/Note")?;

    let counted = [("requests", 2), ("retries", 4), ("failures_connect", 6)];
    assert_eq!(world.counted("empty")?, counts(counted));
    Ok(())
}

#[test]
fn a_grpc_call_that_finds_no_connection_is_made_again() -> Result<()> {
    let world = World::new(&retrying("refused"), |config| {
        config.http2_upstream("refused")
    })?;

    let answer = world.get("/grpc/Note")?;

    assert!(answer.starts_with("Grpc { status: 14"), "{answer}");
    let counted = [("requests", 1), ("retries", 2), ("failures_connect", 3)];
    assert_eq!(world.counted("refused")?, counts(counted));
    Ok(())
}

#[test]
fn each_try_has_its_time_and_all_have_theirs() -> Result<()> {
    let mut service = retrying("idp");
    service["timeout"] = json!("2.5s");
    service["retry_policy"]["per_try_timeout"] = json!("1s");
    let world = World::new(&service, |config| config)?;
    world.idp.answer(|_| Reply::hang());

    assert_eq!(world.get("/send/a")?, "Timeout");

    assert_eq!(
        world.counted("idp")?["failures_timeout"],
        world.idp.count() as u64
    );
    assert!(
        (2..=3).contains(&world.idp.count()),
        "{}",
        world.idp.count()
    );
    Ok(())
}

#[test]
fn an_upstream_that_asks_for_too_long_a_wait_is_left_alone() -> Result<()> {
    let world = World::new(&retrying("idp"), |config| config)?;
    world
        .idp
        .answer(|_| Reply::status(503).header("retry-after", "3600"));

    assert_eq!(world.get("/send/a")?, "503 ");

    assert_eq!(world.idp.count(), 1);
    Ok(())
}

#[test]
fn a_breaker_opens_and_closes_again() -> Result<()> {
    let service = json!({
        "cluster": "idp",
        "circuit_breaker": { "consecutive_failures": 2, "cool_down": "2s" },
    });
    let world = World::new(&service, |config| config)?;
    world.idp.answer(|_| Reply::status(500));
    assert_eq!(world.get("/send/a")?, "500 ");
    assert_eq!(world.get("/send/a")?, "500 ");

    assert_eq!(world.get("/send/a")?, "CircuitOpen");
    assert_eq!(world.idp.count(), 2);
    assert_eq!(world.counted("idp")?["circuit_breakers_open"], 1);
    world.idp.answer(|_| Reply::ok());
    wait_for("the breaker to close", DEADLINE, || {
        Ok((world.get("/send/a")? == "200 ").then_some(()))
    })?;

    assert!(!world.counted("idp")?.contains_key("circuit_breakers_open"));
    Ok(())
}

#[test]
fn requests_that_want_the_same_share_a_fetch() -> Result<()> {
    const CLIENTS: u64 = 20;
    let service = json!({ "cluster": "idp", "timeout": "20s" });
    let world = World::new(&service, |config| config)?;
    let (release, held) = channel();
    let held = Mutex::new(held);
    world.idp.answer(move |_| {
        let _ = held.lock().map(|held| held.recv_timeout(DEADLINE));
        Reply::ok().body("known")
    });

    // The one that begins the fetch does not stay.
    let mut first = RawConnection::open(world.stage.envoy().address()?)?;
    first.send(b"GET /cached/a HTTP/1.1\r\nhost: a\r\n\r\n")?;
    world.idp.wait_for_count(1, DEADLINE)?;
    drop(first);
    let answers = thread::scope(|scope| {
        let get = || scope.spawn(|| world.get("/cached/a"));
        let waiting: Vec<_> = (0..CLIENTS).map(|_| get()).collect();
        let active = "http.ingress.downstream_rq_active";
        let admin = world.stage.admin();
        admin.wait_for_stat(active, DEADLINE, |active| active == CLIENTS)?;
        release.send(())?;
        let answers = waiting.into_iter().map(|thread| thread.join());
        answers
            .map(|answer| answer.unwrap_or_else(|_| anyhow::bail!("a client panicked")))
            .collect::<Result<Vec<_>>>()
    })?;

    assert!(
        answers.iter().all(|answer| answer == "200 known"),
        "{answers:?}"
    );
    assert_eq!(world.idp.count(), 1);
    Ok(())
}

#[test]
fn what_is_known_is_used_while_the_upstream_is_down() -> Result<()> {
    let world = World::new(&json!({ "cluster": "idp" }), |config| config)?;
    world.idp.enqueue(Reply::ok().body("known"));
    world.idp.answer(|_| Reply::status(500));

    // It is fresh for a millisecond.
    wait_for("the upstream to be asked again", DEADLINE, || {
        assert_eq!(world.get("/cached/a")?, "200 known");
        Ok((world.idp.count() > 1).then_some(()))
    })?;

    assert_eq!(world.get("/cached/a")?, "200 known");
    let error = world.get("/cached/b")?;
    assert!(error.starts_with("Malformed("), "{error}");
    Ok(())
}
