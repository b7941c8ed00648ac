//! Keys fetched from an issuer, and introspection, in the real Envoy, by the module
//! `keyed`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use legation_tests::jwt::{Claims, Endpoint, Issuer, Key, Mode};
use legation_tests::{Client, Config, DEADLINE, Request, Response, Stage, wait_for};
use serde_json::{Value, json};

const NAME: &str = "https://issuer.example";

/// Envoy with the module, and the issuer of its keys: the cluster `idp`.
struct World {
    stage: Stage,
    issuer: Issuer,
}

fn remote(issuer: &Issuer, more: &Value) -> Value {
    let mut remote = json!({ "http_uri": issuer.jwks_uri("idp") });
    for (name, value) in more.as_object().into_iter().flatten() {
        remote[name] = value.clone();
    }
    json!({ "remote_jwks": remote })
}

/// An `http_uri` of an issuer that may hang, with so long for its answer.
fn within(time: &str, mut http_uri: Value) -> Value {
    http_uri["timeout"] = time.into();
    http_uri
}

impl World {
    fn new(issuer: Issuer, configuration: Value) -> Result<Self> {
        let config = Config::with_filter("keyed", configuration)?
            .concurrency(4)
            .add_endpoint("idp", issuer.address());
        let stage = Stage::start(&config)?;
        Ok(Self { stage, issuer })
    }

    fn with_keys(keys: &[&Key], more: &Value) -> Result<Self> {
        let issuer = Issuer::start(NAME, keys)?;
        let configuration = remote(&issuer, more);
        Self::new(issuer, configuration)
    }

    fn send(&self, token: &str) -> Result<Response> {
        self.stage.send(with_token(token))
    }

    fn token(key: &Key) -> String {
        Claims::of(NAME).signed_by(key)
    }

    /// A client of its own for each: Envoy spreads connections over its workers.
    fn clients(&self, count: usize) -> Result<Vec<Client>> {
        let address = self.stage.envoy().address()?;
        Ok((0..count).map(|_| Client::http1(address)).collect())
    }

    fn stat(&self, name: &str) -> Result<u64> {
        let name = format!("wasmcustom.keyed.{name}");
        Ok(self.stage.admin().stat(&name)?.unwrap_or(0))
    }

    fn failures(&self) -> Result<u64> {
        let stats = self
            .stage
            .admin()
            .stats_with_prefix("wasmcustom.keyed.keys.failures.")?;
        Ok(stats.values().sum())
    }
}

fn with_token(token: &str) -> Request {
    Request::get("/").header("authorization", format!("Bearer {token}"))
}

#[test]
fn all_workers_have_the_keys_by_one_fetch_a_refresh() -> Result<()> {
    let key = Key::p256().with_id("one");
    let world = World::with_keys(&[&key], &json!({ "cache_duration": "1s" }))?;
    let token = World::token(&key);
    let clients = world.clients(12)?;

    let began = Instant::now();
    let mut sent = 0;
    while world.issuer.key_fetches() < 5 {
        for client in &clients {
            let response = client.send(with_token(&token))?;
            ensure!(response.status == 200, "{response}");
            sent += 1;
        }
        ensure!(began.elapsed() < DEADLINE, "too few fetches");
    }

    // The fifth is four refreshes after the first, of 0.9 s at least.
    let elapsed = began.elapsed();
    assert!(
        elapsed > Duration::from_millis(3_300),
        "{elapsed:?}, {sent} requests"
    );
    assert_eq!(world.failures()?, 0);
    assert_eq!(
        world.stat("keys.fetches.provider=p;")?,
        world.issuer.key_fetches() as u64
    );
    Ok(())
}

#[test]
fn keys_change_under_load_and_nobody_is_refused_or_let_in_wrongly() -> Result<()> {
    const ROTATIONS: usize = 6;
    const GRACE: Duration = Duration::from_secs(5);
    let first = Key::fresh().with_id("key 0");
    let world = World::with_keys(
        &[&first],
        &json!({ "unknown_key_refetch_interval": "0.2s" }),
    )?;
    ensure!(
        world.send(&World::token(&first))?.status == 200,
        "the keys are there"
    );
    // A key that is published by nobody, under the id of one that is.
    let forger = Key::fresh();
    let tokens = Mutex::new((vec![World::token(&first)], String::from("key 0")));
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let in_grace = AtomicUsize::new(0);
    let load = |client: Client| -> Result<()> {
        while !over.load(Ordering::Relaxed) {
            let (good, id) = tokens
                .lock()
                .map(|tokens| tokens.clone())
                .unwrap_or_default();
            for token in good {
                // A fetch that a busy machine had begin late leaves the interval for grace.
                let mut response = client.send(with_token(&token))?;
                let began = Instant::now();
                let rotated = || tokens.lock().is_ok_and(|tokens| tokens.1 != id);
                while response.status == 401 && !rotated() && began.elapsed() < GRACE {
                    in_grace.fetch_add(1, Ordering::Relaxed);
                    response = client.send(with_token(&token))?;
                }
                // With the next rotation the older of the two is good no more.
                ensure!(response.status == 200 || rotated(), "{id}: {response}");
            }
            let forged = World::token(&forger.clone().with_id(&id));
            let response = client.send(with_token(&forged))?;
            ensure!(response.status == 401, "{id}, forged: {response}");
            sent.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };

    let clients = world.clients(8)?;
    thread::scope(|scope| -> Result<()> {
        let loads: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(|| load(client)))
            .collect();
        let mut last = first.clone();
        for rotation in 1..=ROTATIONS {
            let next = Key::fresh().with_id(&format!("key {rotation}"));
            world.issuer.publish(&[&next, &last]);
            // From now on both are good; the one before the last is not, and is not sent.
            let both = vec![World::token(&next), World::token(&last)];
            if let Ok(mut tokens) = tokens.lock() {
                *tokens = (both, format!("key {rotation}"));
            }
            let began = Instant::now();
            wait_for("a second", DEADLINE, || {
                Ok((began.elapsed() > Duration::from_secs(1)).then_some(()))
            })?;
            last = next;
        }
        over.store(true, Ordering::Relaxed);
        for load in loads {
            load.join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(())
    })?;

    let sent = sent.into_inner();
    assert!(sent > 100, "{sent}");
    // One of the beginning, and one for each new key, whichever workers saw it first.
    // A machine that is busy may have had one fail.
    let fetches = world.issuer.key_fetches();
    let expected = 1 + ROTATIONS..=1 + ROTATIONS + usize::try_from(world.failures()?)?;
    let in_grace = in_grace.into_inner();
    assert!(
        expected.contains(&fetches),
        "{fetches}, {sent} rounds, {in_grace} in grace"
    );
    // The first key is published no more.
    for client in world.clients(8)? {
        let token = World::token(&first);
        wait_for("the first key to be gone", DEADLINE, || {
            Ok((client.send(with_token(&token))?.status == 401).then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn a_storm_of_unknown_keys_is_a_fetch_in_an_interval() -> Result<()> {
    let key = Key::p256().with_id("one");
    let world = World::with_keys(&[&key], &json!({ "unknown_key_refetch_interval": "60s" }))?;
    let token = World::token(&key);
    ensure!(world.send(&token)?.status == 200, "the keys are there");

    thread::scope(|scope| -> Result<()> {
        let storms: Vec<_> = world
            .clients(8)?
            .into_iter()
            .enumerate()
            .map(|(number, client)| {
                let (key, token) = (&key, &token);
                scope.spawn(move || -> Result<()> {
                    for each in 0..100 {
                        let unknown = key.clone().with_id(&format!("{number} {each}"));
                        let response = client.send(with_token(&World::token(&unknown)))?;
                        ensure!(response.status == 401, "{response}");
                        let response = client.send(with_token(token))?;
                        ensure!(response.status == 200, "{response}");
                    }
                    Ok(())
                })
            })
            .collect();
        for storm in storms {
            storm
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(())
    })?;

    assert_eq!(world.issuer.key_fetches(), 2);
    assert_eq!(world.stat("keys.unknown_key_fetches.provider=p;")?, 1);
    let limited = world.stat("keys.unknown_key_limited.provider=p;")?;
    assert!((700..800).contains(&limited), "{limited}");
    Ok(())
}

#[test]
fn whatever_the_issuer_does_the_good_keys_stay() -> Result<()> {
    let key = Key::rsa().with_id("one");
    let issuer = Issuer::start(NAME, &[&key])?;
    let configuration = remote(
        &issuer,
        &json!({
            "http_uri": within("1s", issuer.jwks_uri("idp")),
            "cache_duration": "1s",
            "async_fetch": { "failed_refetch_duration": "50ms" },
            "stale_if_error": "600s",
        }),
    );
    let mut world = World::new(issuer, configuration)?;
    let token = World::token(&key);
    ensure!(world.send(&token)?.status == 200, "the keys are there");
    let redirect = format!("http://{}/more/jwks", world.issuer.address());
    let modes = [
        Mode::Hang,
        Mode::Die,
        Mode::Status(500),
        Mode::Status(404),
        Mode::Garbage,
        Mode::Html,
        Mode::Empty,
        Mode::Nonsense,
        Mode::Huge(10_000_000),
        Mode::Cut,
        Mode::Redirect(redirect),
    ];
    let wait_for_failures = |world: &World, what: &str| {
        let before = world.failures()?;
        wait_for(&format!("failures: {what}"), DEADLINE, || {
            Ok((world.failures()? >= before + 2).then_some(()))
        })
    };
    for mode in modes {
        let told = format!("{mode:?}");
        world.issuer.set(mode);
        wait_for_failures(&world, &told)?;
        for client in world.clients(4)? {
            let response = client.send(with_token(&token))?;
            ensure!(response.status == 200, "{told}: {response}");
        }
        world.issuer.set(Mode::Well);
        let fetched = world.issuer.key_fetches();
        world.issuer.wait_for_key_fetches(fetched + 1)?;
    }
    world.issuer.publish(&[]);
    wait_for_failures(&world, "no keys")?;
    ensure!(world.send(&token)?.status == 200, "no keys");
    world.issuer.stop();
    wait_for_failures(&world, "no issuer")?;
    ensure!(world.send(&token)?.status == 200, "no issuer");

    // It comes back with another key.
    let other = Key::other_rsa().with_id("two");
    world.issuer.publish(&[&other]);
    world.issuer.restart()?;
    let token = World::token(&other);
    wait_for("the other key", DEADLINE, || {
        Ok((world.send(&token)?.status == 200).then_some(()))
    })
}

#[test]
fn stale_keys_are_refused_in_the_end() -> Result<()> {
    let key = Key::p256().with_id("one");
    let mut world = World::with_keys(
        &[&key],
        &json!({ "cache_duration": "1s", "stale_if_error": "1s" }),
    )?;
    let token = World::token(&key);
    ensure!(world.send(&token)?.status == 200, "the keys are there");
    world.issuer.stop();

    let refused = wait_for("the keys to be too old", DEADLINE, || {
        Ok(Some(world.send(&token)?).filter(|response| response.status != 200))
    })?;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("too old"), "{refused}");

    world.issuer.restart()?;
    wait_for("the keys to be back", DEADLINE, || {
        Ok((world.send(&token)?.status == 200).then_some(()))
    })
}

#[test]
fn a_request_waits_for_the_first_keys_and_not_for_ever() -> Result<()> {
    let key = Key::p256().with_id("one");
    let issuer = Issuer::start(NAME, &[&key])?;
    issuer.set(Mode::Slow(Duration::from_millis(600)));
    let configuration = remote(&issuer, &json!({}));
    let world = World::new(issuer, configuration)?;
    let token = World::token(&key);
    let response = world.send(&token)?;
    assert_eq!(response.status, 200, "{response}");
    assert_eq!(world.issuer.key_fetches(), 1);

    let issuer = Issuer::start(NAME, &[&key])?;
    issuer.set(Mode::Hang);
    let configuration = remote(
        &issuer,
        &json!({
            "http_uri": within("60s", issuer.jwks_uri("idp")),
            "first_fetch_timeout": "0.3s",
        }),
    );
    let world = World::new(issuer, configuration)?;
    let began = Instant::now();
    let response = world.send(&token)?;
    assert_eq!(response.status, 503, "{response}");
    // The fetch itself has a minute.
    let took = began.elapsed();
    assert!(took < DEADLINE, "{took:?}");
    Ok(())
}

#[test]
fn an_issuer_is_found_by_its_name_and_only_by_it() -> Result<()> {
    let key = Key::p256().with_id("one");
    let token = World::token(&key);
    let world = |publish: &dyn Fn(&Issuer)| {
        let issuer = Issuer::start(NAME, &[&key])?;
        publish(&issuer);
        World::new(
            issuer,
            json!({
                "issuer": NAME,
                "openid_configuration": { "cluster": "idp", "timeout": "1s", "first_fetch_timeout": "1s" },
            }),
        )
    };

    let found = world(&|_| {})?;
    let response = found.send(&token)?;
    assert_eq!(response.status, 200, "{response}");
    let asked = found.issuer.requests_of(Endpoint::Discovery);
    let asked = asked.first().context("it was asked")?;
    assert_eq!(asked.authority.as_str(), "issuer.example");
    assert_eq!(found.issuer.requests().len(), 2);

    let other = world(&|issuer| {
        let mut document = issuer.discovery();
        document["issuer"] = json!("https://issuer.example/");
        issuer.publish_discovery(document);
    })?;
    let response = other.send(&token)?;
    assert_eq!(response.status, 503, "{response}");
    assert_eq!(other.issuer.key_fetches(), 0);
    assert!(other.stat("keys.failures.provider=p;.reason=issuer;")? > 0);
    Ok(())
}

#[test]
fn two_configurations_of_one_source_share_a_fetch() -> Result<()> {
    let key = Key::p256().with_id("one");
    let issuer = Issuer::start(NAME, &[&key])?;
    let configuration = remote(&issuer, &json!({}));
    let mut other = configuration.clone();
    other["remote_jwks"]["stale_if_error"] = json!("1s");
    let filter = legation_tests::wasm_filter("keyed", other);
    let config = Config::with_filter("keyed", configuration)?
        .concurrency(2)
        .add_chain("other", &[filter])
        .add_endpoint("idp", issuer.address());
    let stage = Stage::start(&config)?;
    let token = World::token(&key);
    for address in [stage.envoy().address()?, stage.envoy().listener("other")?] {
        for _ in 0..4 {
            let response = Client::http1(address).send(with_token(&token))?;
            assert_eq!(response.status, 200, "{response}");
        }
    }
    assert_eq!(issuer.key_fetches(), 1);
    Ok(())
}

#[test]
fn an_opaque_token_is_asked_about_and_its_answer_kept() -> Result<()> {
    let issuer = Issuer::start(NAME, &[])?;
    issuer.know("opaque", json!({ "active": true, "sub": "alice" }));
    issuer.require_client("module", "hush");
    let configuration = |issuer: &Issuer, secret: &str| {
        json!({ "introspection": {
            "http_uri": within("3s", issuer.introspection_uri("idp")),
            "client_id": "module",
            "client_secret": { "inline_string": secret },
            "cache": { "ttl": "1s", "negative_ttl": "1s" },
        }})
    };
    let hush = configuration(&issuer, "hush");
    let world = World::new(issuer, hush)?;
    let client = world.clients(1)?.pop().context("a client")?;
    let ask = |token: &str| -> Result<String> {
        let response = client.send(with_token(token))?;
        Ok(format!("{} {}", response.status, response.text()))
    };

    for _ in 0..5 {
        assert_eq!(ask("opaque")?, "200 let in alice");
        assert_eq!(ask("made up")?, "401 inactive");
    }
    assert!(
        world.issuer.introspections() <= 4,
        "{}",
        world.issuer.introspections()
    );

    world.issuer.revoke("opaque");
    wait_for("the token to be revoked", DEADLINE, || {
        Ok((ask("opaque")? == "401 inactive").then_some(()))
    })?;

    for (mode, reason) in [
        (Mode::Hang, "503 timeout"),
        (Mode::Die, "503 reset"),
        (Mode::Status(500), "503 status"),
        (Mode::Html, "503 answer"),
        (Mode::Nonsense, "503 answer"),
        (Mode::Empty, "503 answer"),
        (Mode::Huge(200_000), "503 answer"),
        (Mode::Cut, "503 reset"),
        (Mode::Redirect("/".to_owned()), "503 status"),
    ] {
        let told = format!("{mode:?}");
        world.issuer.set(mode);
        assert_eq!(ask(&format!("new {told}"))?, reason, "{told}");
    }
    world.issuer.set(Mode::Well);
    world.issuer.require_client("module", "another");
    assert_eq!(ask("who am I")?, "503 unauthorized");
    Ok(())
}
