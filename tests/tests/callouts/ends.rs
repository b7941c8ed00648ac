//! How streams end that wait.

use std::time::Duration;

use anyhow::Result;
use legation_tests::{Client, DEADLINE, Request, Upstream};
use serde_json::json;

use super::{World, milliseconds};

#[test]
fn a_local_reply_follows_on_an_answer() -> Result<()> {
    let world = World::new()?;
    for place in ["x-request-headers", "x-request-body", "x-request-trailers"] {
        for http2 in [false, true] {
            let request = Request::post("/", "a body")
                .trailer("x-client", "1")
                .header(place, "http other /late/10/heard; reply 403");
            let response = if http2 {
                world.stage.send_http2(request)?
            } else {
                world.stage.send(request)?
            };
            assert_eq!(response.status, 403, "{place}, {http2}");
            assert_eq!(response.text(), "200 heard", "{place}, {http2}");
        }
    }
    // The headers had gone on in the two latter.
    let request = Request::get("/").header("x-request-headers", "http other /hello; reply 403");
    assert!(world.stage.exchange(request)?.received.is_none());
    world.wait_until_idle()
}

#[test]
fn a_local_reply_takes_the_place_of_a_response_that_waited() -> Result<()> {
    let world = World::new()?;
    let request = Request::get("/").header("x-response-headers", "http other /hello; reply 403");
    let exchange = world.stage.exchange(request)?;
    assert!(exchange.received.is_some());
    assert_eq!(exchange.response.status, 403);
    assert_eq!(exchange.response.text(), "200 hello");
    world.wait_until_idle()
}

#[test]
fn an_error_after_an_answer_refuses_the_request() -> Result<()> {
    let world = World::new()?;
    let request = Request::get("/").header("x-request-headers", "http other /hello; fail");
    let exchange = world.stage.exchange(request)?;
    assert_eq!(exchange.response.status, 500);
    assert!(exchange.received.is_none());
    world.wait_until_idle()
}

#[test]
fn nothing_is_left_of_clients_that_went_away() -> Result<()> {
    let world = World::new()?;
    let address = world.stage.envoy().address()?;
    let clients = [Client::http1(address), Client::http2(address)];
    let steps = [
        "http other /hang 60000",
        "grpc other-http2 Hang 60000",
        "sleep 60000",
        "both other /hang /late/600/late",
    ];
    for client in clients {
        let client = client.deadline(milliseconds(150));
        for step in steps {
            for place in ["x-request-headers", "x-response-headers", "x-request-body"] {
                let request = Request::post("/", "body").header(place, step);
                client.send(request).expect_err("nothing answers");
            }
        }
    }
    world.wait_until_idle()?;
    // The gRPC calls are given up, and the others are over when their time is.
    assert_eq!(world.outcome("http other /hello")?, "200 hello");
    Ok(())
}

#[test]
fn envoys_own_timeouts_end_a_stream_that_waits() -> Result<()> {
    let world = World::with(json!({}), |config| {
        config.hcm(&json!({"stream_idle_timeout": "1s"}))
    })?;
    for place in ["x-request-headers", "x-request-body", "x-response-headers"] {
        let request = Request::post("/", "body").header(place, "http other /late/3000/late");
        let response = world.stage.send(request)?;
        assert_eq!(response.status, 504, "{place}");
    }
    world.wait_until_idle()?;
    // The answers come to nobody.
    world.other.wait_for_count(3, DEADLINE)?;
    assert_eq!(world.outcome("sleep 100")?.split(' ').next(), Some("slept"));
    Ok(())
}

#[test]
fn an_answer_of_the_upstream_overtakes_a_request_that_waits_for_its_body() -> Result<()> {
    // Answers before the request is over: a server on plain TCP.
    let early = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = early.local_addr()?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        use std::io::{Read, Write};
        let (mut stream, _) = early.accept()?;
        let mut byte = [0; 1];
        stream.read_exact(&mut byte)?;
        stream.write_all(b"HTTP/1.1 429 Enough\r\ncontent-length: 6\r\n\r\nenough")?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).map(drop)
    });
    let world = World::with(json!({}), |config| {
        config.add_endpoint("early", address).edit(|root| {
            let listener = &mut root["static_resources"]["listeners"][0];
            let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
            let route = &mut manager["route_config"]["virtual_hosts"][0]["routes"][0];
            route["route"]["cluster"] = json!("early");
        })
    })?;
    let request = Request::post("/", "beginning")
        .pause(Duration::from_secs(20))
        .body("end")
        .header("x-request-headers", "buffer 1000");
    let response = world.stage.send(request)?;
    assert_eq!(response.status, 429);
    assert_eq!(response.text(), "enough");
    world.wait_until_idle()?;
    drop(world);
    server.join().expect("the server ran")?;
    Ok(())
}

#[test]
fn replies_to_streams_whose_answers_come_together_leave_envoy_alive() -> Result<()> {
    let world = World::new()?;
    // All at once: many answers are read in one turn of Envoy's loop.
    for place in ["x-request-headers", "x-request-body", "x-response-headers"] {
        let requests = (0..40).map(|_| {
            let steps = "both other /late/100/a /late/100/b; reply 403";
            Request::post("/", "body").header(place, steps)
        });
        for response in world.stage.http2_client().send_all(requests.collect()) {
            assert_eq!(response?.status, 403, "{place}");
        }
    }
    world.wait_until_idle()
}

#[test]
fn an_upstream_that_resets_while_the_response_waits_ends_it() -> Result<()> {
    let world = World::new()?;
    let upstream: &Upstream = world.stage.upstream();
    upstream.enqueue(
        legation_tests::Reply::ok()
            .header("content-length", "100")
            .body("beginning")
            .pause(milliseconds(50))
            .cut(),
    );
    let request = Request::get("/").header("x-response-headers", "http other /late/300/late");
    let outcome = world.stage.client().send(request);
    assert!(
        outcome
            .as_ref()
            .map_or(true, |response| response.status >= 500),
        "{outcome:?}"
    );
    world.wait_until_idle()?;
    assert_eq!(world.outcome("sleep 400")?.split(' ').next(), Some("slept"));
    Ok(())
}
