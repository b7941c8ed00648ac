//! Where callbacks wait, and what they wait for.

use anyhow::Result;
use legation_tests::{Config, Envoy};
use legation_tests::{DEADLINE, Reply, Request, StartError, module, module_dir};
use serde_json::json;

use super::{World, milliseconds, outcomes, text};

const PLACES: [&str; 6] = [
    "x-request-headers",
    "x-request-body",
    "x-request-trailers",
    "x-response-headers",
    "x-response-body",
    "x-response-trailers",
];

/// A world whose headers may wait for bodies, or may not.
fn world(allowed: bool) -> Result<World> {
    let configuration = json!({"allow_on_headers_stop_iteration": allowed});
    World::with(configuration, |config| {
        config.edit_plugin("callouts", |plugin| {
            plugin["allow_on_headers_stop_iteration"] = json!(allowed);
        })
    })
}

/// A request with a body and trailers, whose answer has both too.
fn full(place: &str, steps: &str) -> Request {
    Request::post("/", "from the client")
        .trailer("x-client", "1")
        .header(place, steps)
}

fn full_answer() -> Reply {
    Reply::ok()
        .body("from the upstream")
        .trailer("x-server", "1")
}

#[test]
fn every_callback_can_wait_for_an_answer() -> Result<()> {
    for allowed in [false, true] {
        let world = world(allowed)?;
        for place in PLACES {
            // HTTP/2, where trailers need no leave.
            world.stage.upstream().enqueue(full_answer());
            let request = full(place, "http other /late/20/heard; http other /hello");
            let exchange = world.stage.exchange_http2(request)?;

            let response = &exchange.response;
            assert_eq!(response.status, 200, "{place}: {response}");
            let (mut seen, mut body) = (outcomes(response), "from the upstream".to_owned());
            match place {
                "x-response-body" => body += "\n200 heard\n200 hello",
                "x-response-trailers" => {
                    let trailers = response.trailers.all("x-outcome").into_iter();
                    seen = trailers.map(text).collect();
                }
                _ => {}
            }
            if place != "x-response-body" {
                assert_eq!(seen, ["200 heard", "200 hello"], "{place}, {allowed}");
            }
            assert_eq!(response.text(), body, "{place}, {allowed}");
            assert_eq!(response.trailers.text("x-server").as_deref(), Some("1"));
            let arrived = exchange.arrived()?;
            assert_eq!(arrived.text(), "from the client", "{place}, {allowed}");
            assert_eq!(arrived.trailers.text("x-client").as_deref(), Some("1"));
            assert!(arrived.complete);
        }
        world.wait_until_idle()?;
    }
    Ok(())
}

#[test]
fn the_upstream_sees_a_request_only_when_its_callback_is_over() -> Result<()> {
    let world = World::new()?;
    let request = Request::get("/").header("x-request-headers", "http other /late/200/heard");
    let exchange = world.stage.exchange(request)?;
    // What the callout came to is among the headers that went on.
    let arrived = &exchange.arrived()?.headers;
    assert_eq!(arrived.text("x-outcome").as_deref(), Some("200 heard"));
    Ok(())
}

#[test]
fn steps_in_all_callbacks_of_one_request_are_taken_in_order() -> Result<()> {
    let world = World::new()?;
    world.stage.upstream().enqueue(full_answer());
    let mut request = Request::post("/", "body").trailer("x-client", "1");
    for (number, place) in PLACES.into_iter().enumerate() {
        request = request.header(place, format!("http other /late/5/{number}"));
    }
    let response = world.stage.send_http2(request)?;
    assert_eq!(outcomes(&response), ["200 0", "200 1", "200 2", "200 3"]);
    assert_eq!(response.text(), "from the upstream\n200 4");
    assert_eq!(
        response.trailers.text("x-outcome").as_deref(),
        Some("200 5")
    );
    let paths = world
        .other
        .requests()
        .into_iter()
        .map(|request| request.path);
    let paths = paths.collect::<Vec<_>>();
    let expected = (0..6).map(|number| format!("/late/5/{number}"));
    assert_eq!(paths, expected.collect::<Vec<_>>());
    Ok(())
}

#[test]
fn two_callouts_are_under_way_at_the_same_time() -> Result<()> {
    let world = World::new()?;
    // Neither is answered before both are there.
    let seen = world.outcomes("both other /meet/one /meet/two")?;
    assert_eq!(seen, ["200 one", "200 two"]);
    Ok(())
}

#[test]
fn a_callout_that_lost_a_race_is_let_go_by() -> Result<()> {
    let world = World::new()?;
    assert_eq!(world.outcome("race other /late/1500/late 30")?, "too late");
    assert_eq!(world.outcome("race other /hello 60000")?, "200 hello");
    // Its answer comes into the middle of another stream's waiting, and is nobody's.
    assert_eq!(world.outcome("http other /late/1800/own 60000")?, "200 own");
    Ok(())
}

#[test]
fn a_time_is_waited_for_and_not_less() -> Result<()> {
    let world = World::new()?;
    for time in [1, 50, 120] {
        let outcome = world.outcome(&format!("sleep {time}"))?;
        let slept: u64 = outcome.trim_start_matches("slept ").parse()?;
        assert!(slept >= time, "{slept} of {time} ms");
    }
    Ok(())
}

#[test]
fn a_callout_says_what_the_request_says() -> Result<()> {
    let world = World::new()?;
    for (cluster, version) in [("other", "HTTP/1.1"), ("other-http2", "HTTP/2.0")] {
        assert_eq!(
            world.outcome(&format!("post {cluster} /hello text"))?,
            "200 hello"
        );
        let arrived = world.other.last().expect("it arrived");
        assert_eq!(arrived.version, version);
        assert_eq!(arrived.method, "POST");
        assert_eq!(arrived.path, "/hello");
        assert_eq!(arrived.authority, "other.example");
        assert_eq!(arrived.text(), "text");
        assert_eq!(arrived.headers.text("content-length").as_deref(), Some("4"));
        assert_eq!(arrived.headers.get("x-bytes"), Some(&b"a\xff\x80"[..]));
        // Of trailers Envoy sends none.
        assert!(arrived.trailers.is_empty());
    }
    Ok(())
}

#[test]
fn an_answer_arrives_whole() -> Result<()> {
    let world = World::new()?;
    let both = world.outcomes("http other /bytes; http other-http2 /trailer")?;
    assert_eq!(both, [r"200 bytes \xfe\xff", r"200 body t\xfd"]);
    assert_eq!(world.outcome("http other /nothing")?, "204");
    assert_eq!(world.outcome("http other /large/1048576")?, "200 1048576");
    Ok(())
}

#[test]
fn a_large_upload_passes_a_callback_that_waited() -> Result<()> {
    let world = World::new()?;
    let body = vec![b'u'; 1 << 20];
    for (http2, place) in [
        (false, "x-request-headers"),
        (true, "x-request-headers"),
        (false, "x-response-headers"),
        (true, "x-response-headers"),
    ] {
        let answer = Reply::ok().body(vec![b'd'; 1 << 20]);
        world.stage.upstream().enqueue(answer);
        let request = Request::post("/", &body).header(place, "sleep 100");
        let exchange = if http2 {
            world.stage.exchange_http2(request)?
        } else {
            world.stage.exchange(request)?
        };
        assert_eq!(exchange.response.status, 200, "{place}, {http2}");
        assert!(exchange.arrived()?.body == body, "{place}, {http2}");
        assert!(exchange.response.body == vec![b'd'; 1 << 20]);
    }
    Ok(())
}

#[test]
fn a_body_is_awaited_beside_callouts() -> Result<()> {
    for allowed in [false, true] {
        let world = world(allowed)?;
        for steps in [
            "buffer 100; http other /hello",
            "http other /late/20/hello; buffer 100",
        ] {
            let request = Request::post("/", "one")
                .pause(milliseconds(50))
                .body("two")
                .header("x-request-headers", steps);
            let exchange = world.stage.exchange(request)?;
            let mut seen = outcomes(&exchange.response);
            seen.sort();
            assert_eq!(seen, ["200 hello", "buffered 6"], "{steps}, {allowed}");
            assert_eq!(exchange.arrived()?.text(), "onetwo", "{steps}, {allowed}");
        }
    }
    Ok(())
}

#[test]
fn a_module_that_was_not_pruned_refuses_its_configuration() -> Result<()> {
    let plain = module_dir()?.join("plain").join("callouts.wasm");
    let config = Config::with_filter("callouts", json!({}))?.module("callouts", &plain);
    let Err(error @ StartError::Refused { .. }) = Envoy::start(&config) else {
        panic!("Envoy took it");
    };
    assert_eq!(error.module_errors().len(), 1, "{error}");
    // The one of the same build that is pruned is taken.
    let config = config.module("callouts", &module("callouts")?);
    let envoy = Envoy::start(&config)?;
    envoy
        .admin()
        .wait_for_stat("server.live", DEADLINE, |live| live == 1)?;
    Ok(())
}
