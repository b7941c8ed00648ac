//! A service that is of no help.

use std::time::{Duration, Instant};

use anyhow::Result;
use legation_tests::{Client, DEADLINE, Reply, has_waited, wait_for};
use serde_json::{Value, json};

use super::rls::{Answer, Service};
use super::{World, chain, grpc_of, of};

/// How long a filter waits here for an answer.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Later is too late, on any machine.
const TOO_LATE: Duration = Duration::from_secs(20);

fn closed(more: &Value) -> Value {
    let mut configuration = json!({"rate_limit_service": {"failure_mode_deny": true}});
    super::merge(&mut configuration, more);
    configuration
}

fn quick() -> Value {
    json!({"rate_limit_service": {"timeout": format!("{}s", TIMEOUT.as_secs_f64())}})
}

/// Answers that are none.
fn failures() -> Vec<(&'static str, Reply)> {
    let mut all = Reply::useless_grpc();
    all.extend([
        ("it is at its own limit", Reply::grpc_status(8, "busy")),
        ("half a message", Reply::grpc(b"\x08\x01\x12\x7f")),
        ("2 MiB", Reply::grpc(&vec![0; 2 << 20])),
        ("HTTP 404", Reply::status(404)),
    ]);
    all
}

#[test]
fn without_an_answer_it_goes_as_configured_and_then_well_again() -> Result<()> {
    let world = World::new([
        chain("open", &json!({})),
        chain(
            "closed",
            &closed(
                &json!({"response_headers_to_add": [{"header": {"key": "x-over", "value": "yes"}}]}),
            ),
        ),
        chain(
            "unavailable",
            &closed(&json!({"rate_limit_service": {"status_on_error": {"code": 503}}})),
        ),
    ])?;
    for (what, reply) in failures() {
        for (name, status) in [("open", 200), ("closed", 500), ("unavailable", 503)] {
            world.service.replies(reply.clone());
            let exchange = world.send(name, of("a"))?;
            let response = exchange.response;
            assert_eq!(response.status, status, "{name}: {what}");
            assert_eq!(response.body, b"", "{name}: {what}");
            for header in [
                "x-over",
                "x-envoy-ratelimited",
                "content-type",
                "retry-after",
            ] {
                assert!(
                    !response.headers.contains(header),
                    "{name}: {what}:\n{response}"
                );
            }
            assert_eq!(exchange.received.is_some(), status == 200, "{name}: {what}");

            world
                .service
                .says(Answer::ok().for_request("x-asked", "yes"));
            let exchange = world.send(name, of("a"))?;
            let asked = exchange.arrived()?.headers.contains("x-asked");
            assert!(asked, "{name}: after {what}");
        }
    }
    let failed = failures().len();
    assert_eq!(world.service.calls(), failed * 3 * 2);
    let failed = u64::try_from(failed)?;
    world.wait_for_count("open", "ratelimit.error", failed)?;
    world.wait_for_count("open", "ratelimit.failure_mode_allowed", failed)?;
    world.wait_for_count("closed", "ratelimit.error", failed)?;
    world.wait_for_count("closed", "ratelimit.ok", failed)?;
    let allowed = world.count("closed", "ratelimit.failure_mode_allowed")?;
    assert_eq!(allowed, Some(0));
    Ok(())
}

#[test]
fn grpc_clients_get_a_status_too() -> Result<()> {
    let world = World::new([chain("closed", &closed(&json!({})))])?;
    world.service.replies(Reply::grpc_status(14, ""));
    let client = Client::http2(world.address("closed")?);
    let response = world.send_by(&client, grpc_of("a"))?.response;
    assert_eq!(response.status, 200);
    assert_eq!(response.headers.get("grpc-status"), Some(&b"2"[..]));
    Ok(())
}

#[test]
fn a_service_that_is_silent_or_slow_is_not_waited_for() -> Result<()> {
    let mut closed = closed(&json!({}));
    super::merge(&mut closed, &quick());
    let world = World::new([chain("open", &quick()), chain("closed", &closed)])?;
    let silent = Reply::grpc_status(0, "").pause(DEADLINE);
    for (what, reply) in [
        ("silent", Reply::hang()),
        ("slow", Answer::over_limit().reply().delay(TIMEOUT * 4)),
        ("stuck", silent),
    ] {
        for (name, status) in [("open", 200), ("closed", 500)] {
            world.service.replies(reply.clone());
            let began = Instant::now();
            let got = world.status(name, "a")?;
            let took = began.elapsed();
            assert_eq!(got, status, "{name}: {what}");
            assert!(
                has_waited(took, TIMEOUT) && took < TOO_LATE,
                "{name}: {what}: {took:?}"
            );
        }
    }
    // The slow answers come late, to nobody.
    world
        .service
        .says(Answer::ok().for_request("x-asked", "yes"));
    for name in ["open", "closed"] {
        wait_for("an answer in time", DEADLINE, || {
            let exchange = world.send(name, of("a"))?;
            let received = exchange.received;
            Ok(received.filter(|one| one.headers.contains("x-asked")))
        })?;
    }
    Ok(())
}

#[test]
fn many_wait_at_once_and_no_longer_than_one() -> Result<()> {
    let world = World::new([chain("open", &quick())])?;
    world.service.replies(Reply::hang());
    let client = Client::http1(world.address("open")?);
    let began = Instant::now();
    let all = client.send_all((0..50).map(|one: u32| of(&one.to_string())).collect());
    let took = began.elapsed();
    for response in all {
        assert_eq!(response?.status, 200);
    }
    assert!(took < TOO_LATE, "{took:?}");
    assert_eq!(world.service.calls(), 50);
    // Meanwhile, and after it, the worker answers others.
    world
        .send("open", legation_tests::Request::get("/"))?
        .arrived()?;
    Ok(())
}

#[test]
fn a_service_that_goes_down_is_asked_again_when_it_is_back() -> Result<()> {
    let world = World::new([
        chain("open", &json!({})),
        chain("closed", &closed(&json!({}))),
        chain(
            "nowhere",
            &closed(&json!({
                "rate_limit_service": {"grpc_service": {"envoy_grpc": {"cluster_name": "nobody"}}},
            })),
        ),
    ])?;
    assert_eq!(world.status("nowhere", "a")?, 500);
    let World { stage, service, .. } = world;
    let address = service.address();
    drop(service);
    let client = |name: &str| -> Result<_> { Ok(Client::http1(stage.envoy().listener(name)?)) };
    for _ in 0..3 {
        assert_eq!(client("open")?.send(of("a"))?.status, 200);
        assert_eq!(client("closed")?.send(of("a"))?.status, 500);
    }
    let service = Service::start_on(address)?;
    service.says(Answer::over_limit());
    for name in ["open", "closed"] {
        assert_eq!(client(name)?.send(of("a"))?.status, 429);
    }
    Ok(())
}

#[test]
fn the_log_tells_of_it_once() -> Result<()> {
    let world = World::with(
        [(
            "open",
            legation_tests::wasm_filter(super::FILTER, super::asking("open", &json!({}))),
        )],
        |config| config,
    )?;
    world.service.replies(Reply::grpc_status(14, "down"));
    for _ in 0..5 {
        world.status("open", "a")?;
    }
    world.service.says(Answer::ok());
    world.status("open", "a")?;
    let log = world.stage.envoy().module_log();
    let about: Vec<_> = log
        .iter()
        .filter(|line| line.contains("rate limit service"))
        .collect();
    assert_eq!(about.len(), 2, "{about:?}");
    assert!(
        about[0].contains("is of no help") && about[0].contains("down"),
        "{about:?}"
    );
    assert!(about[1].contains("answers again"), "{about:?}");
    Ok(())
}
