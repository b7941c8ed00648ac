//! Bodies that a filter holds, replaces and streams, in the real Envoy, by the module `bodies`.

use std::time::Duration;

use anyhow::{Result, ensure};
use legation_tests::{Client, Config, DEADLINE, Exchange, Reply, Request, Stage};
use serde_json::json;

/// What the module's callbacks of headers are told in `buffer 1000`.
const CAP: usize = 1_000;

fn config(allowed: bool) -> Result<Config> {
    let configuration = json!({"allow_on_headers_stop_iteration": allowed});
    let config = Config::with_filter("bodies", configuration)?;
    Ok(config
        .edit_plugin("bodies", |plugin| {
            plugin["allow_on_headers_stop_iteration"] = json!(allowed);
        })
        .http1_trailers())
}

fn stage(allowed: bool) -> Result<Stage> {
    Ok(Stage::start(&config(allowed)?)?)
}

/// How a body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunks,
    Trailers,
}

const FRAMINGS: [Framing; 3] = [Framing::Length, Framing::Chunks, Framing::Trailers];

/// Two pieces with time between; none that is empty, of which Envoy takes no two by HTTP/2.
macro_rules! in_pieces {
    ($message:expr, $one:expr, $other:expr) => {{
        let message = $message;
        let message = if $one.is_empty() {
            message
        } else {
            message.body($one)
        };
        let message = message.pause(Duration::from_millis(10));
        if $other.is_empty() {
            message
        } else {
            message.body($other)
        }
    }};
}

impl Framing {
    fn request(self, size: usize) -> Request {
        let [one, other] = halves(size);
        let request = Request::new("POST", "/");
        match self {
            Self::Length => request.body(body(size)),
            Self::Chunks => in_pieces!(request, one, other),
            Self::Trailers => in_pieces!(request, one, other).trailer("x-client", "1"),
        }
    }

    fn answer(self, size: usize) -> Reply {
        let [one, other] = halves(size);
        let reply = Reply::ok();
        match self {
            Self::Length => reply.body(body(size)),
            Self::Chunks => in_pieces!(reply, one, other),
            Self::Trailers => in_pieces!(reply, one, other).trailer("x-server", "1"),
        }
    }
}

fn halves(size: usize) -> [Vec<u8>; 2] {
    let mut one = body(size);
    let other = one.split_off(size / 2);
    [one, other]
}

/// Bytes of which no two neighbours are alike.
fn body(size: usize) -> Vec<u8> {
    (0..size).map(byte_at).collect()
}

fn byte_at(place: usize) -> u8 {
    u8::try_from(place % 251).expect("less than 251")
}

fn summary(size: usize) -> String {
    let sum: u64 = body(size).into_iter().map(u64::from).sum();
    format!("{size} bytes, sum {sum}")
}

/// Runs a check with headers that wait for bodies and without, in both versions of HTTP.
fn in_every_way(
    check: impl Fn(&dyn Fn(Request) -> Result<Exchange>, &Stage, bool, &str) -> Result<()>,
) -> Result<()> {
    for allowed in [false, true] {
        let stage = stage(allowed)?;
        let say = |version| format!("headers wait: {allowed}, {version}");
        check(
            &|request| stage.exchange(request),
            &stage,
            allowed,
            &say("HTTP/1"),
        )?;
        check(
            &|request| stage.exchange_http2(request),
            &stage,
            allowed,
            &say("HTTP/2"),
        )?;
    }
    Ok(())
}

#[test]
fn a_request_body_up_to_the_cap_is_given_and_goes_on() -> Result<()> {
    in_every_way(|send, _, allowed, way| {
        for framing in FRAMINGS {
            for size in [0, 1, CAP - 1, CAP] {
                let way = format!("{way}, {framing:?}, {size} bytes");
                let request = framing.request(size).header("x-request", "buffer 1000");
                let exchange = send(request)?;
                assert_eq!(exchange.response.status, 200, "{way}");
                let arrived = exchange.arrived()?;
                assert!(arrived.complete, "{way}");
                assert!(arrived.body == body(size), "{way}");
                if framing == Framing::Trailers {
                    assert_eq!(
                        arrived.trailers.text("x-client").as_deref(),
                        Some("1"),
                        "{way}"
                    );
                }
                // Headers that have gone on cannot tell.
                if allowed || size == 0 && framing == Framing::Length {
                    let buffered = arrived.headers.text("x-buffered");
                    assert_eq!(buffered, Some(summary(size)), "{way}");
                }
            }
        }
        Ok(())
    })
}

#[test]
fn a_request_body_over_the_cap_is_answered_413() -> Result<()> {
    in_every_way(|send, stage, allowed, way| {
        // No trailers: on a stream that has its answer, Envoy takes them for an error of HTTP/2's.
        for framing in [Framing::Length, Framing::Chunks] {
            for size in [CAP + 1, 20_000] {
                let way = format!("{way}, {framing:?}, {size} bytes");
                let request = framing.request(size).header("x-request", "buffer 1000");
                let exchange = send(request)?;
                assert_eq!(exchange.response.status, 413, "{way}");
                // A length that is stated is refused before anything has gone on.
                if allowed || framing == Framing::Length {
                    assert!(exchange.received.is_none(), "{way}");
                }
            }
        }
        let whole = stage.upstream().requests();
        assert!(whole.iter().all(|request| !request.complete), "{way}");
        Ok(())
    })
}

#[test]
fn a_response_body_up_to_the_cap_is_given_and_goes_on() -> Result<()> {
    in_every_way(|send, stage, allowed, way| {
        for framing in FRAMINGS {
            for size in [0, 1, CAP - 1, CAP] {
                let way = format!("{way}, {framing:?}, {size} bytes");
                stage.upstream().enqueue(framing.answer(size));
                let request = Request::get("/").header("x-response", "buffer 1000");
                let response = send(request.header("te", "trailers"))?.response;
                assert_eq!(response.status, 200, "{way}");
                assert!(response.body == body(size), "{way}");
                if allowed {
                    let buffered = response.headers.text("x-buffered");
                    assert_eq!(buffered, Some(summary(size)), "{way}");
                }
            }
        }
        Ok(())
    })
}

#[test]
fn a_response_body_over_the_cap_is_answered_502() -> Result<()> {
    in_every_way(|send, stage, allowed, way| {
        for framing in FRAMINGS {
            for size in [CAP + 1, 20_000] {
                let way = format!("{way}, {framing:?}, {size} bytes");
                stage.upstream().enqueue(framing.answer(size));
                let request = Request::get("/").header("x-response", "buffer 1000");
                let outcome = send(request);
                if allowed || framing == Framing::Length {
                    assert_eq!(outcome?.response.status, 502, "{way}");
                } else {
                    assert!(broke_off(outcome), "{way}");
                }
            }
        }
        Ok(())
    })
}

/// Whether nothing followed on headers that had gone. (A client may take the reset
/// of a stream of HTTP/2 for its end.)
fn broke_off(outcome: Result<Exchange>) -> bool {
    outcome.map_or(true, |exchange| exchange.response.body.is_empty())
}

#[test]
fn a_replaced_request_body_arrives_with_its_length() -> Result<()> {
    in_every_way(|send, _, allowed, way| {
        for framing in FRAMINGS {
            for (size, replacement) in [(500, 7), (500, 500), (500, 5_000), (1, 0)] {
                let way = format!("{way}, {framing:?}, {size} to {replacement} bytes");
                let wish = format!("replace 1000 {replacement}");
                let exchange = send(framing.request(size).header("x-request", wish))?;
                if !allowed && framing == Framing::Length && size != replacement {
                    // The headers have gone on, with another length.
                    assert_eq!(exchange.response.status, 500, "{way}");
                    assert!(exchange.received.is_none_or(|seen| !seen.complete), "{way}");
                    continue;
                }
                assert_eq!(exchange.response.status, 200, "{way}");
                let arrived = exchange.arrived()?;
                assert!(arrived.body == vec![b'R'; replacement], "{way}");
                let length = (framing == Framing::Length).then(|| replacement.to_string());
                assert_eq!(arrived.headers.text("content-length"), length, "{way}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_replaced_response_body_arrives_with_its_length() -> Result<()> {
    in_every_way(|send, stage, allowed, way| {
        for framing in FRAMINGS {
            for (size, replacement) in [(500, 7), (500, 500), (500, 5_000), (1, 0)] {
                let way = format!("{way}, {framing:?}, {size} to {replacement} bytes");
                stage.upstream().enqueue(framing.answer(size));
                let wish = format!("replace 1000 {replacement}");
                let outcome = send(Request::get("/").header("x-response", wish));
                if !allowed && framing == Framing::Length && size != replacement {
                    assert!(broke_off(outcome), "{way}");
                    continue;
                }
                let response = outcome?.response;
                assert_eq!(response.status, 200, "{way}");
                assert!(response.body == vec![b'R'; replacement], "{way}");
                let length = (framing == Framing::Length).then(|| replacement.to_string());
                assert_eq!(response.headers.text("content-length"), length, "{way}");
            }
        }
        Ok(())
    })
}

#[test]
fn both_bodies_of_one_exchange_are_replaced() -> Result<()> {
    let stage = stage(true)?;
    stage.upstream().enqueue(Framing::Chunks.answer(900));
    let request = Framing::Chunks.request(900);
    let request = request
        .header("x-request", "replace 1000 10")
        .header("x-response", "replace 1000 20");
    let exchange = stage.exchange(request)?;
    assert_eq!(exchange.arrived()?.text(), "R".repeat(10));
    assert_eq!(exchange.response.text(), "R".repeat(20));
    Ok(())
}

#[test]
fn a_body_over_envoys_own_limit_is_refused_by_envoy() -> Result<()> {
    // 32 KiB in the shipped files; the filter would take 1 MB.
    let stage = stage(true)?;
    let request = Framing::Length.request(500_000);
    let exchange = stage.exchange(request.header("x-request", "buffer 1000000"))?;
    assert_eq!(exchange.response.status, 413);
    assert!(exchange.received.is_none());

    stage.upstream().enqueue(Framing::Length.answer(500_000));
    let request = Request::get("/").header("x-response", "buffer 1000000");
    assert_eq!(stage.send(request)?.status, 500);

    // It lets more pass where it is told to.
    let config = config(true)?.listeners(&json!({"per_connection_buffer_limit_bytes": 1_000_000}));
    let stage = Stage::start(&config)?;
    let request = Framing::Length.request(500_000);
    let exchange = stage.exchange(request.header("x-request", "buffer 1000000"))?;
    assert_eq!(
        exchange.arrived()?.headers.text("x-buffered"),
        Some(summary(500_000))
    );
    Ok(())
}

#[test]
fn a_client_that_goes_away_while_its_body_is_awaited_leaves_nothing() -> Result<()> {
    for allowed in [false, true] {
        let stage = stage(allowed)?;
        let client = stage.client().clone().deadline(Duration::from_millis(100));
        for _ in 0..10 {
            let request = Request::post("/", "beginning")
                .pause(Duration::from_secs(60))
                .body("end")
                .header("x-request", "buffer 1000");
            client.send(request).expect_err("nothing answers");
        }
        let open = "http.ingress.downstream_rq_active";
        stage
            .admin()
            .wait_for_stat(open, DEADLINE, |open| open == 0)?;
        let exchange = stage.exchange(Framing::Chunks.request(CAP))?;
        assert_eq!(exchange.response.status, 200);
    }
    Ok(())
}

/// How much is streamed, and what the module may have: 1 MiB, in pages.
const STREAMED: usize = 10_000_000;
const MAX_PAGES: usize = 16;

#[test]
fn ten_megabytes_are_changed_on_the_way_to_the_upstream_in_less_than_one() -> Result<()> {
    for (allowed, framing) in [(false, Framing::Length), (true, Framing::Chunks)] {
        let stage = stage(allowed)?;
        for client in [stage.client(), stage.http2_client()] {
            let request = framing.request(STREAMED).header("x-request", "stream");
            let response = client.clone().deadline(DEADLINE * 2).send(request)?;
            assert_eq!(response.status, 200);
            let arrived = stage.upstream().last().expect("it arrived");
            assert!(arrived.complete);
            check_twice(&arrived.body)?;
            assert!(pages(client)? <= MAX_PAGES, "{} pages", pages(client)?);
            stage.upstream().forget();
        }
    }
    Ok(())
}

#[test]
fn ten_megabytes_are_changed_on_the_way_to_the_client_in_less_than_one() -> Result<()> {
    for (allowed, framing) in [(false, Framing::Length), (true, Framing::Chunks)] {
        let stage = stage(allowed)?;
        for client in [stage.client(), stage.http2_client()] {
            stage.upstream().enqueue(framing.answer(STREAMED));
            let request = Request::get("/").header("x-response", "stream");
            let response = client.clone().deadline(DEADLINE * 2).send(request)?;
            assert_eq!(response.status, 200);
            check_twice(&response.body)?;
            assert!(pages(client)? <= MAX_PAGES, "{} pages", pages(client)?);
        }
    }
    Ok(())
}

/// Whether these are the bytes that were streamed, each twice.
fn check_twice(bytes: &[u8]) -> Result<()> {
    ensure!(bytes.len() == 2 * STREAMED, "{} bytes", bytes.len());
    let mut places = bytes.iter().enumerate();
    let wrong = places.find(|(place, byte)| **byte != byte_at(place / 2));
    ensure!(wrong.is_none(), "{wrong:?}");
    Ok(())
}

/// How many pages of 64 KiB the module's memory has. It never becomes smaller.
fn pages(client: &Client) -> Result<usize> {
    Ok(client.send(Request::get("/memory"))?.text().parse()?)
}
