//! A service that is of no help.

use std::time::{Duration, Instant};

use anyhow::Result;
use legation_tests::{DEADLINE, Reply, Request};
use serde_json::json;

use super::service::Answer;
use super::{World, check, of_grpc, over_grpc};
use crate::{json_post, reason};

/// How long a request waits here for an answer.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Later is too late, on any machine.
const TOO_LATE: Duration = Duration::from_secs(10);

/// Answers that are none.
fn failures() -> Vec<(&'static str, Reply)> {
    let mut all = Reply::useless_grpc();
    all.extend([
        ("half a message", Reply::grpc(b"\x0a\x00\x1a\x7f")),
        ("the empty message", Reply::grpc(b"")),
        ("it says that it has failed", Answer::error(503).reply()),
        ("HTTP 403", Reply::status(403)),
    ]);
    all
}

#[test]
fn without_an_answer_it_goes_as_configured_and_then_well_again() -> Result<()> {
    let world = World::new([
        ("closed", over_grpc(&json!({}))),
        (
            "open",
            over_grpc(&check(&json!({"failure_mode_allow": true}))),
        ),
        (
            "unavailable",
            over_grpc(&check(&json!({"status_on_error": {"code": 503}}))),
        ),
    ])?;
    for (what, reply) in failures() {
        for (chain, status) in [("closed", 403), ("open", 200), ("unavailable", 503)] {
            world.service.replies(reply.clone());
            let exchange = world.send(chain, json_post("/", "{}"))?;
            assert_eq!(exchange.response.status, status, "{chain}: {what}");
            assert_eq!(
                exchange.received.is_some(),
                status == 200,
                "{chain}: {what}"
            );
            if status == 200 {
                assert_eq!(exchange.arrived()?.text(), "{}");
            } else {
                assert_eq!(reason(&exchange.response)?, "ext_authz_error");
            }
            world.service.says(&Answer::ok());
            let exchange = world.send(chain, json_post("/", "{}"))?;
            assert!(exchange.received.is_some(), "{chain}: after {what}");
        }
    }
    let failed = u64::try_from(failures().len())?;
    world.wait_for_count("open", "ext_authz.error", failed)?;
    world.wait_for_count("open", "ext_authz.failure_mode_allowed", failed)?;
    world.wait_for_count("closed", "ext_authz.error", failed)?;
    world.wait_for_count("closed", "ext_authz.ok", failed)?;
    world.wait_for_count(
        "closed",
        "refused.direction=request;.reason=ext_authz_error;",
        failed,
    )?;
    assert_eq!(world.count("closed", "ext_authz.failure_mode_allowed")?, 0);
    Ok(())
}

#[test]
fn an_answer_that_is_too_large_lets_nothing_pass() -> Result<()> {
    let world = World::new([
        ("closed", over_grpc(&json!({}))),
        (
            "open",
            over_grpc(&check(&json!({"failure_mode_allow": true}))),
        ),
    ])?;
    let page = "x".repeat(300_000);
    for reply in [
        // A refusal whose size a client may have a hand in.
        Answer::denied(403).body(&page).reply(),
        Answer::ok().body(&page).reply(),
    ] {
        world.service.replies(reply);
        for chain in ["closed", "open"] {
            let exchange = world.send(chain, json_post("/", "{}"))?;
            assert_eq!(exchange.response.status, 403, "{chain}");
            assert!(exchange.received.is_none(), "{chain}");
        }
    }
    world.wait_for_count("open", "ext_authz.invalid", 2)
}

#[test]
fn a_service_that_is_silent_slow_or_not_there_is_not_waited_for() -> Result<()> {
    let quick = json!({"grpc_service": {"timeout": format!("{}s", TIMEOUT.as_secs_f64())}});
    let mut open = quick.clone();
    open["failure_mode_allow"] = true.into();
    let nobody = json!({"grpc_service": {"envoy_grpc": {"cluster_name": "nobody"}}});
    let missing = json!({"grpc_service": {"envoy_grpc": {"cluster_name": "missing"}}});
    let world = World::new([
        ("closed", over_grpc(&check(&quick))),
        ("open", over_grpc(&check(&open))),
        ("nobody", over_grpc(&check(&nobody))),
        ("missing", over_grpc(&check(&missing))),
    ])?;
    let stuck = Reply::grpc_status(0, "").pause(DEADLINE);
    for (what, reply) in [
        ("silent", Reply::hang()),
        ("slow", Answer::ok().reply().delay(TIMEOUT * 4)),
        ("stuck", stuck),
    ] {
        for (chain, status) in [("open", 200), ("closed", 403)] {
            world.service.replies(reply.clone());
            let began = Instant::now();
            let exchange = world.send(chain, json_post("/", "{}"))?;
            let took = began.elapsed();
            assert_eq!(exchange.response.status, status, "{chain}: {what}");
            assert!(took < TOO_LATE, "{chain}: {what}: {took:?}");
            assert_eq!(exchange.received.is_some(), status == 200);
        }
    }
    for chain in ["nobody", "missing"] {
        for request in [json_post("/", "{}"), Request::get("/")] {
            let exchange = world.send(chain, request)?;
            assert_eq!(exchange.response.status, 403, "{chain}");
            assert!(exchange.received.is_none(), "{chain}");
        }
    }
    // To a gRPC client, in its own way.
    let response = world.send_http2("nobody", of_grpc())?.response;
    assert_eq!(
        response.headers.text("grpc-status").as_deref(),
        Some("7"),
        "{response}"
    );
    Ok(())
}

#[test]
fn a_client_that_leaves_while_it_waits_harms_nobody() -> Result<()> {
    let world = World::new([("plain", over_grpc(&json!({})))])?;
    world.service.replies(Reply::hang());
    for _ in 0..20 {
        let mut raw = legation_tests::RawConnection::open(world.address("plain")?)?;
        raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody")?;
    }
    world.service.says(&Answer::ok());
    let exchange = world.send("plain", json_post("/", "{}"))?;
    exchange.arrived()?;
    crate::assert_unharmed(&world.stage)
}
