//! With limits here, retries and a circuit breaker, clients that leave, and many workers.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use legation_tests::{DEADLINE, RawConnection, Reply, Request, wait_for, wasm_filter};
use serde_json::{Value, json};

use super::rls::Answer;
use super::{REFUSED, World, asking, chain, of};
use crate::FILTER;
use crate::flood::flood;

#[test]
fn nobody_is_asked_about_what_a_limit_here_refuses() -> Result<()> {
    let world = World::new([chain(
        "local",
        &json!({
            "descriptors": [{
                "entries": [{"key": "client"}],
                "token_bucket": {"max_tokens": 2, "fill_interval": "3600s"},
            }],
        }),
    )])?;
    for _ in 0..2 {
        assert_eq!(world.status("local", "a")?, 200);
    }
    assert_eq!(world.service.calls(), 2);
    for _ in 0..3 {
        let response = world.send("local", of("a"))?.response;
        assert_eq!(
            (response.status, response.text().as_str()),
            (REFUSED, "local_rate_limited")
        );
        assert!(!response.headers.contains("x-envoy-ratelimited"));
    }
    assert_eq!(world.service.calls(), 0);
    assert_eq!(world.status("local", "b")?, 200);
    assert_eq!(world.service.calls(), 1);
    Ok(())
}

fn failing(name: &'static str, service: &Value) -> (&'static str, Value) {
    chain(name, &json!({"rate_limit_service": service}))
}

#[test]
fn a_breaker_leaves_a_service_alone_that_fails() -> Result<()> {
    let breaker = |cool_down: &str| {
        json!({
            "failure_mode_deny": true,
            "circuit_breaker": {"consecutive_failures": 3, "cool_down": cool_down},
        })
    };
    let world = World::alone([
        failing("open", &breaker("3600s")),
        failing("closes", &breaker("0.1s")),
    ])?;
    world.service.replies(Reply::grpc_status(14, ""));
    for _ in 0..10 {
        assert_eq!(world.status("open", "a")?, 500);
    }
    assert_eq!(world.service.calls(), 3);
    world.wait_for_count("open", "upstream.rls.circuit_open", 7)?;
    world.wait_for_count("open", "ratelimit.error", 10)?;

    for _ in 0..3 {
        assert_eq!(world.status("closes", "a")?, 500);
    }
    world.service.says(Answer::ok());
    wait_for("the breaker closes", DEADLINE, || {
        Ok((world.status("closes", "a")? == 200).then_some(()))
    })?;
    Ok(())
}

#[test]
fn a_call_is_repeated_only_where_it_has_not_been_sent() -> Result<()> {
    let retries = |cluster: &str| {
        json!({
            "grpc_service": {"envoy_grpc": {"cluster_name": cluster}},
            "retry_policy": {"num_retries": 2, "retry_back_off": {"base_interval": "1ms"}},
        })
    };
    let world = World::alone([
        failing("nowhere", &retries("nobody")),
        failing("there", &retries("rls")),
    ])?;
    assert_eq!(world.status("nowhere", "a")?, 200);
    world.wait_for_count("nowhere", "upstream.nobody.retries", 2)?;
    world.wait_for_count("nowhere", "ratelimit.error", 1)?;
    // It may have counted the request.
    for reply in [
        Reply::reset(),
        Reply::grpc_status(14, ""),
        Reply::status(503),
    ] {
        world.service.replies(reply);
        assert_eq!(world.status("there", "a")?, 200);
        assert_eq!(world.service.calls(), 1);
    }
    Ok(())
}

#[test]
fn a_client_that_leaves_while_the_service_is_asked_leaves_nothing_behind() -> Result<()> {
    let world = World::new([chain("leaving", &json!({"concurrency": {"max": 1}}))])?;
    world.service.replies(Reply::hang());
    for round in 0..3 {
        let mut connection = RawConnection::open(world.address("leaving")?)?;
        connection.send(b"GET / HTTP/1.1\r\nhost: leaving\r\nx-client: a\r\n\r\n")?;
        world
            .service
            .upstream()
            .wait_for_count(round + 1, DEADLINE)?;
        // The place is taken.
        assert_eq!(world.status("leaving", "b")?, REFUSED);
        drop(connection);
        let active = "http.leaving.downstream_rq_active";
        world
            .stage
            .admin()
            .wait_for_stat(active, DEADLINE, |count| count == 0)?;
    }
    assert_eq!(world.stage.upstream().count(), 0);
    world
        .service
        .says(Answer::ok().for_request("x-asked", "yes"));
    let exchange = world.send("leaving", of("a"))?;
    assert!(exchange.arrived()?.headers.contains("x-asked"));
    Ok(())
}

#[test]
fn a_body_waits_with_its_request() -> Result<()> {
    let world = World::new([chain("body", &json!({}))])?;
    let body = vec![b'x'; 1 << 20];
    let request = || Request::post("/", &body).header("x-client", "a");
    let late = |answer: Answer| answer.reply().delay(Duration::from_millis(100));
    world.service.replies(late(Answer::ok()));
    let exchange = world.send("body", request())?;
    assert_eq!(exchange.response.status, 200);
    let arrived = exchange.arrived()?;
    assert!(arrived.complete && arrived.body == body);

    // A client may be told before it has sent it all, or find the connection closed meanwhile.
    world.service.replies(late(Answer::over_limit()));
    if let Ok(exchange) = world.send("body", request()) {
        assert_eq!(exchange.response.status, REFUSED);
    }
    assert_eq!(world.stage.upstream().count(), 1);
    Ok(())
}

/// A limit of so many for each client, which the service counts.
fn counting(world: &World, limit: u64) {
    let counts = Mutex::new(HashMap::<String, u64>::new());
    world.service.answers(move |question| {
        let mut counts = counts.lock().expect("no test has failed with it");
        let count = counts.entry(question.values().concat()).or_default();
        *count += 1;
        match *count {
            count if count <= limit => Answer::ok(),
            _ => Answer::over_limit_for(3_600),
        }
    });
}

#[test]
fn four_workers_under_load_do_as_the_service_says() -> Result<()> {
    const REQUESTS: u64 = 4_000;
    const CLIENTS: u64 = 8;
    const LIMIT: u64 = 200;
    let off = json!({"rate_limit_service": {"deny_cache": {"max_age": "0s"}}});
    let chains = [("remembers", json!({})), ("asks", off)];
    let filters = chains.map(|(name, more)| (name, wasm_filter(FILTER, asking(name, &more))));
    let world = World::with(filters, |config| config.concurrency(4))?;
    for (name, remembers) in [("remembers", true), ("asks", false)] {
        counting(&world, LIMIT);
        let address = world.address(name)?;
        let flood = flood(address, REQUESTS, |number| {
            format!("x-client: {}\r\n", number % CLIENTS)
        })?;
        println!("{name}: {flood:?}");
        assert_eq!(flood.admitted, CLIENTS * LIMIT, "{name}");
        let calls = u64::try_from(world.service.calls())?;
        if remembers {
            // Those that pass, and of those that do not some of each client and worker.
            let most = CLIENTS * (LIMIT + 16);
            assert!((CLIENTS * LIMIT..=most).contains(&calls), "{calls} calls");
        } else {
            assert_eq!(calls, REQUESTS);
        }
    }
    Ok(())
}

#[test]
fn workers_under_load_get_over_a_service_that_comes_and_goes() -> Result<()> {
    const REQUESTS: u64 = 3_000;
    let name = "flaky";
    let filter = wasm_filter(
        FILTER,
        asking(name, &json!({"rate_limit_service": {"timeout": "0.1s"}})),
    );
    let world = World::with([(name, filter)], |config| config.concurrency(4))?;
    let count = AtomicU64::new(0);
    let garbage = Reply::grpc(b"\xff");
    world
        .service
        .upstream()
        .answer(move |_| match count.fetch_add(1, Ordering::Relaxed) % 50 {
            0 => Reply::hang(),
            1..=5 => Reply::reset(),
            6..=10 => Reply::grpc_status(13, "oh"),
            11..=15 => garbage.clone(),
            16..=20 => Reply::status(502),
            _ => Answer::ok().reply(),
        });
    let flood = flood(world.address(name)?, REQUESTS, |number| {
        format!("x-client: {number}\r\n")
    })?;
    assert_eq!(flood.admitted, REQUESTS, "{flood:?}");
    wait_for("each is counted once", DEADLINE, || {
        let ok = world.count(name, "ratelimit.ok")?.unwrap_or(0);
        let error = world.count(name, "ratelimit.error")?.unwrap_or(0);
        Ok((ok + error == REQUESTS && ok > 0 && error > 0).then_some(()))
    })?;
    world.service.says(Answer::over_limit());
    // A tenth of a second may be too short for a busy machine.
    wait_for("an answer in time", DEADLINE, || {
        Ok((world.status(name, "after")? == REFUSED).then_some(()))
    })
}
