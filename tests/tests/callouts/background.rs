//! Callouts of the plugin's own: at ticks, spawned by streams, at the start.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use anyhow::Result;
use legation_tests::{DEADLINE, Reply, Request};
use serde_json::json;

use super::World;

const ANSWERED: &str = "wasmcustom.callouts.answered";
const FAILED: &str = "wasmcustom.callouts.failed";

#[test]
fn every_tick_makes_a_callout() -> Result<()> {
    let tick = json!({"every": "20ms", "target": {"cluster": "other", "path": "/hello"}});
    let world = World::with(json!({"tick": tick}), |config| config)?;
    world
        .stage
        .admin()
        .wait_for_stat(ANSWERED, DEADLINE, |answered| answered >= 3)?;
    // A stream that waits meanwhile keeps its own answers.
    for number in 0..10 {
        let outcome = world.outcome(&format!("http other /late/30/own{number}"))?;
        assert_eq!(outcome, format!("200 own{number}"));
    }
    Ok(())
}

#[test]
fn a_tick_waits_for_the_last_one() -> Result<()> {
    let tick = json!({"every": "10ms", "target": {"cluster": "other", "path": "/hang"}});
    let world = World::with(json!({"tick": tick}), |config| config)?;
    // A callout of a tick's has a second.
    world
        .stage
        .admin()
        .wait_for_stat(FAILED, DEADLINE, |failed| failed >= 2)?;
    let asked = world.other.count() as u64;
    // Each of Envoy's two VMs, the main thread's and the worker's, has one under way.
    let failed = world.stage.admin().stat(FAILED)?.unwrap_or(0);
    assert!(asked <= failed + 2, "{asked} callouts, {failed} are over");
    Ok(())
}

#[test]
fn a_spawned_callout_outlives_its_stream() -> Result<()> {
    let world = World::new()?;
    let (release, held) = channel();
    let held = Mutex::new(held);
    world.other.answer(move |_| {
        let _ = held.lock().map(|held| held.recv_timeout(DEADLINE));
        Reply::ok()
    });
    let request = Request::get("/").header("x-request-headers", "spawn other /held");
    assert_eq!(world.stage.send(request)?.status, 200);
    world.wait_until_idle()?;
    assert_eq!(world.stage.admin().stat(ANSWERED)?.unwrap_or_default(), 0);
    release.send(())?;
    world
        .stage
        .admin()
        .wait_for_stat(ANSWERED, DEADLINE, |answered| answered == 1)?;
    Ok(())
}

#[test]
fn a_spawned_callout_outlives_a_stream_that_is_refused() -> Result<()> {
    let world = World::new()?;
    let steps = "http other /hello; spawn other /late/50/late; reply 403";
    for _ in 0..20 {
        let request = Request::get("/").header("x-request-headers", steps);
        assert_eq!(world.stage.send(request)?.status, 403);
    }
    world
        .stage
        .admin()
        .wait_for_stat(ANSWERED, DEADLINE, |answered| answered == 20)?;
    Ok(())
}

#[test]
fn a_callout_can_be_spawned_while_the_filter_is_configured() -> Result<()> {
    let target = json!({"cluster": "other", "path": "/hello"});
    let world = World::with(json!({"at_start": target}), |config| config)?;
    world
        .stage
        .admin()
        .wait_for_stat(ANSWERED, DEADLINE, |answered| answered >= 1)?;
    Ok(())
}

#[test]
fn a_callout_of_the_plugins_that_fails_costs_no_request() -> Result<()> {
    let target = json!({"cluster": "nowhere", "path": "/hello"});
    let tick = json!({"every": "20ms", "target": {"cluster": "refused", "path": "/"}});
    let world = World::with(json!({"at_start": target, "tick": tick}), |config| config)?;
    world
        .stage
        .admin()
        .wait_for_stat(FAILED, DEADLINE, |failed| failed >= 3)?;
    assert_eq!(world.outcome("http other /hello")?, "200 hello");
    Ok(())
}
