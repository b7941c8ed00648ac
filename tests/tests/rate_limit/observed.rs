//! What clients, upstreams and operators see.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use legation_tests::jwt::{Claims, Key, jwks};
use legation_tests::{Config, DEADLINE, Reply, Request, Response, Stage, Upstream, wasm_filter};
use serde_json::{Value, json};

use super::FILTER;

/// So many in a day, and none comes back while a test runs.
fn a_day(tokens: u32) -> Value {
    json!({"max_tokens": tokens, "fill_interval": "86400s"})
}

fn by_header(name: &str, key: &str) -> Value {
    json!({"actions": [{"request_headers": {"header_name": name, "descriptor_key": key}}]})
}

fn start(configuration: Value) -> Result<Stage> {
    let config = Config::with_filter(FILTER, configuration)?;
    Ok(Stage::start(&config.shared())?)
}

fn statuses(stage: &Stage, requests: usize, request: impl Fn() -> Request) -> Result<Vec<u16>> {
    let sent = (0..requests).map(|_| stage.send(request()).map(|response| response.status));
    sent.collect()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    response.headers.get(name).map(String::from_utf8_lossy)
}

#[test]
fn a_refusal_says_when_to_come_back() -> Result<()> {
    let bucket = json!({"max_tokens": 2, "tokens_per_fill": 1, "fill_interval": "100s"});
    let stage = start(json!({
        "token_bucket": bucket,
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "enable_ratelimit_headers": "DRAFT_VERSION_10",
    }))?;
    let first = stage.send(Request::get("/"))?;
    assert_eq!(first.status, 200);
    assert_eq!(
        header(&first, "x-ratelimit-remaining").as_deref(),
        Some("1")
    );
    assert_eq!(
        header(&first, "ratelimit-policy").as_deref(),
        Some(r#""default";q=2;w=200"#)
    );
    assert_eq!(
        header(&first, "ratelimit").as_deref(),
        Some(r#""default";r=1;t=100"#)
    );
    assert_eq!(header(&first, "retry-after"), None);
    stage.send(Request::get("/"))?;

    let refused = stage.send(Request::get("/"))?;
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (429, "local_rate_limited")
    );
    let seconds = header(&refused, "retry-after").context("no retry-after")?;
    assert!((90..=100).contains(&seconds.parse::<u32>()?), "{seconds}");
    assert_eq!(
        header(&refused, "x-ratelimit-remaining").as_deref(),
        Some("0")
    );
    assert_eq!(header(&refused, "x-ratelimit-reset"), Some(seconds));
    Ok(())
}

#[test]
fn several_windows_are_one_limit_and_all_must_allow() -> Result<()> {
    let stage = start(json!({
        "limits": [
            {"sliding_window": {"requests": 3, "window": "86400s"}},
            {"fixed_window": {"requests": 2, "window": "31536000s"}},
        ],
        "enable_ratelimit_headers": "DRAFT_VERSION_10",
    }))?;
    assert_eq!(
        statuses(&stage, 4, || Request::get("/"))?,
        [200, 200, 429, 429]
    );
    let refused = stage.send(Request::get("/"))?;
    let policy = r#""default-1";q=3;w=86400, "default-2";q=2;w=31536000"#;
    assert_eq!(
        header(&refused, "ratelimit-policy").as_deref(),
        Some(policy)
    );
    let standing = header(&refused, "ratelimit").context("no ratelimit")?;
    assert!(standing.starts_with(r#""default-2";r=0;t="#), "{standing}");
    Ok(())
}

#[test]
fn report_lets_all_pass_and_tells_clients_nothing() -> Result<()> {
    let config = Config::with_filter(
        FILTER,
        json!({
            "mode": "report",
            "token_bucket": a_day(1),
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "request_headers_to_add_when_not_enforced": [{"header": {"key": "x-limited", "value": "yes"}}],
        }),
    )?;
    let stage = Stage::start(&config.log_level("warning", "wasm:info"))?;
    for _ in 0..3 {
        let exchange = stage.exchange(Request::get("/"))?;
        assert_eq!(exchange.response.status, 200);
        assert!(!exchange.response.headers.contains("x-ratelimit-limit"));
        assert!(!exchange.arrived()?.headers.contains("x-limited"));
    }
    stage.wait_for_count("rate_limit.enabled", 3)?;
    stage.wait_for_count("rate_limit.ok", 1)?;
    stage.wait_for_count("rate_limit.rate_limited", 2)?;
    stage.wait_for_count("rate_limit.descriptor.default.rate_limited", 2)?;
    stage
        .envoy()
        .wait_for_log("beyond the limit; it is let on", DEADLINE)?;
    Ok(())
}

#[test]
fn a_shadow_is_counted_and_stops_nothing() -> Result<()> {
    let stage = start(json!({
        "stat_prefix": "edge",
        "rate_limits": [by_header("x-user", "user")],
        "descriptors": [{
            "name": "per-user",
            "entries": [{"key": "user"}],
            "token_bucket": a_day(1),
            "shadow_mode": true,
        }],
        "token_bucket": a_day(3),
    }))?;
    let user = || Request::get("/").header("x-user", "ann");
    assert_eq!(statuses(&stage, 4, user)?, [200, 200, 200, 429]);
    stage.wait_for_count("edge.descriptor.per-user.rate_limited", 3)?;
    stage.wait_for_count("edge.shadow_mode", 2)?;
    stage.wait_for_count("edge.enforced", 1)?;
    Ok(())
}

#[test]
fn grpc_calls_are_refused_as_grpc_has_it() -> Result<()> {
    for (exhausted, status) in [(false, "14"), (true, "8")] {
        let stage = start(json!({
            "fixed_window": {"requests": 1, "window": "31536000s"},
            "rate_limited_as_resource_exhausted": exhausted,
        }))?;
        let call = || Request::post("/a.B/C", "").header("content-type", "application/grpc");
        stage.send_http2(call())?;
        let refused = stage.send_http2(call())?;
        assert_eq!(refused.status, 200);
        assert_eq!(header(&refused, "grpc-status").as_deref(), Some(status));
        assert_eq!(
            header(&refused, "grpc-message").as_deref(),
            Some("local_rate_limited")
        );
    }
    Ok(())
}

#[test]
fn clients_are_told_apart_by_who_they_are_and_not_by_what_they_say() -> Result<()> {
    let stage = start(json!({
        "rate_limits": [{"actions": [{"remote_address": {}}]}],
        "descriptors": [{"entries": [{"key": "remote_address"}], "token_bucket": a_day(2)}],
    }))?;
    let mut numbers = 0..;
    let mut forged = || {
        let address = format!("192.0.2.{}", numbers.next().unwrap_or(0));
        stage.send(Request::get("/").header("x-forwarded-for", address))
    };
    assert_eq!(
        (forged()?.status, forged()?.status, forged()?.status),
        (200, 200, 429)
    );
    Ok(())
}

#[test]
fn behind_trusted_proxies_it_is_the_address_that_they_saw() -> Result<()> {
    let stage = start(json!({
        "rate_limits": [{"actions": [{"remote_address": {}}]}],
        "descriptors": [{"entries": [{"key": "remote_address"}], "token_bucket": a_day(1)}],
        "xff_num_trusted_hops": 1,
    }))?;
    let from = |forwarded: &str| -> Result<u16> {
        let request = Request::get("/").header("x-forwarded-for", forwarded);
        Ok(stage.send(request)?.status)
    };
    // The trusted proxy wrote the last one; what stands before it, anybody may have written.
    assert_eq!(from("198.51.100.1, 192.0.2.1")?, 200);
    assert_eq!(from("198.51.100.2, 192.0.2.1")?, 429);
    assert_eq!(from("198.51.100.1, 192.0.2.2")?, 200);
    Ok(())
}

#[test]
fn a_verified_claim_is_a_key_and_a_header_of_that_name_is_none() -> Result<()> {
    let key = Key::p256().with_id("k");
    let issuer = "https://issuer.example";
    let jwt = json!({
        "providers": {"p": {
            "issuer": issuer,
            "local_jwks": {"inline_string": jwks(&[&key]).to_string()},
            "payload_in_filter_state": "user",
        }},
        "rules": [{"requires": {"requires_any": {"requirements": [
            {"provider_name": "p"}, {"allow_missing": {}},
        ]}}}],
    });
    let action =
        json!({"jwt_claim": {"filter_state": "user", "claim": "sub", "descriptor_key": "user"}});
    let limit = json!({
        "rate_limits": [{"actions": [action]}],
        "descriptors": [{"entries": [{"key": "user"}], "token_bucket": a_day(1)}],
    });
    let config = Config::with_filter(FILTER, limit)?
        .insert_filter_before(FILTER, wasm_filter("jwt-auth", jwt));
    let stage = Stage::start(&config.shared())?;
    let of = |subject: &str| -> Result<u16> {
        let token = Claims::of(issuer).claim("sub", subject).signed_by(&key);
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        Ok(stage.send(request)?.status)
    };
    assert_eq!((of("ann")?, of("ann")?, of("bob")?), (200, 429, 200));
    // Who is not known has no such key, and no limit here.
    assert_eq!(
        statuses(&stage, 2, || Request::get("/").header("user", "ann"))?,
        [200, 200]
    );
    Ok(())
}

#[test]
fn each_connection_has_its_own_where_it_is_asked_for() -> Result<()> {
    let config = json!({
        "token_bucket": a_day(2),
        "local_rate_limit_per_downstream_connection": true,
    });
    let stage = start(config)?;
    for _ in 0..2 {
        let client = stage.envoy().client()?;
        let sent = (0..3).map(|_| {
            client
                .send(Request::get("/"))
                .map(|response| response.status)
        });
        assert_eq!(sent.collect::<Result<Vec<_>>>()?, [200, 200, 429]);
    }
    Ok(())
}

#[test]
fn filters_of_one_prefix_share_a_limit_and_others_do_not() -> Result<()> {
    let limit = |prefix: &str| json!({"stat_prefix": prefix, "token_bucket": a_day(2)});
    let config = Config::with_filter(FILTER, limit("one"))?;
    let entry = |prefix: &str| wasm_filter(FILTER, limit(prefix));
    let config = config
        .add_chain("same", &[entry("one")])
        .add_chain("other", &[entry("two")]);
    let stage = Stage::start(&config.shared())?;
    let envoy = stage.envoy();
    let send = |chain: &str| -> Result<u16> {
        let client = legation_tests::Client::http1(envoy.listener(chain)?);
        Ok(client.send(Request::get("/"))?.status)
    };
    assert_eq!(stage.send(Request::get("/"))?.status, 200);
    assert_eq!((send("same")?, send("same")?), (200, 429));
    assert_eq!(stage.send(Request::get("/"))?.status, 429);
    assert_eq!(
        (send("other")?, send("other")?, send("other")?),
        (200, 200, 429)
    );
    Ok(())
}

/// Holds requests until they are let go, one by one.
struct Held {
    stage: Stage,
    arrived: Receiver<()>,
    release: Sender<()>,
}

impl Held {
    fn start(configuration: Value) -> Result<Self> {
        let (arrive, arrived) = channel();
        let (release, released) = channel();
        let released = Mutex::new(released);
        let upstream = Upstream::answering(move |_| {
            let _ = arrive.send(());
            // Who waits for long is let go.
            let _ = released
                .lock()
                .map(|released| released.recv_timeout(DEADLINE));
            Reply::ok()
        })?;
        let config = Config::with_filter(FILTER, configuration)?.concurrency(2);
        let stage = Stage::with_upstream(&config, upstream)?;
        Ok(Self {
            stage,
            arrived,
            release,
        })
    }
}

/// On a connection of its own.
fn send(stage: &Stage) -> Result<u16> {
    Ok(stage.envoy().client()?.send(Request::get("/"))?.status)
}

#[test]
fn so_many_at_a_time_and_the_next_when_one_is_gone() -> Result<()> {
    let held = Held::start(json!({"concurrency": {"max": 2}}))?;
    let stage = &held.stage;
    std::thread::scope(|scope| -> Result<()> {
        let waiting: Vec<_> = (0..2).map(|_| scope.spawn(|| send(stage))).collect();
        for _ in 0..2 {
            held.arrived.recv_timeout(DEADLINE)?;
        }
        assert_eq!((send(stage)?, send(stage)?), (429, 429));
        held.release.send(())?;
        held.release.send(())?;
        for waiting in waiting {
            assert_eq!(waiting.join().expect("it ran")?, 200);
        }
        Ok(())
    })?;
    // Their places are given back as their streams end, which may be a moment later.
    held.release.send(())?;
    legation_tests::wait_for("a place", DEADLINE, || {
        Ok((send(stage)? == 200).then_some(()))
    })?;
    Ok(())
}

#[test]
fn what_a_worker_has_not_spent_comes_back() -> Result<()> {
    let config = Config::with_filter(
        FILTER,
        json!({"token_bucket": a_day(100), "lease": {"size": 10, "max_age": "100ms"}}),
    )?;
    let stage = Stage::start(&config.concurrency(4).shared())?;
    let mut admitted = 0_u32;
    // Each connection may be another worker's, which takes some tokens ahead.
    for _ in 0..60 {
        admitted += u32::from(stage.envoy().client()?.send(Request::get("/"))?.status == 200);
    }
    assert_eq!(admitted, 60);
    let began = std::time::Instant::now();
    while admitted < 100 && began.elapsed() < DEADLINE + Duration::from_secs(5) {
        admitted += u32::from(stage.send(Request::get("/"))?.status == 200);
    }
    assert_eq!(admitted, 100, "all that were taken ahead came back");
    assert_eq!(stage.send(Request::get("/"))?.status, 429);
    Ok(())
}
