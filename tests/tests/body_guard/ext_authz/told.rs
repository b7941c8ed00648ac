//! What the service is shown of requests, and what becomes of their bodies.

use std::time::Duration;

use anyhow::Result;
use legation_tests::{RawConnection, Request};
use serde_json::json;

use super::service::{Answer, Question};
use super::{World, check, over_grpc};
use crate::{gzip, json_post};

/// The only question that came.
fn only(world: &World) -> Question {
    let mut asked = world.service.asked();
    assert_eq!(asked.len(), 1, "{asked:#?}");
    asked.remove(0)
}

#[test]
fn it_is_shown_the_request_as_envoys_own_filter_shows_it() -> Result<()> {
    let world = World::new([(
        "all",
        over_grpc(&check(&json!({
            "grpc_service": {
                "envoy_grpc": {"authority": "check.example"},
                "initial_metadata": [{"key": "x-api-key", "value": "s3cret"}],
            },
            "context_extensions": {"tenant": "a"},
            "disallowed_headers": {"patterns": [{"prefix": "x-secret"}]},
        }))),
    )])?;
    let request = Request::post("/orders?id=1", "body, ü \u{1f600}")
        .host("shop.example")
        .header("X-Twice", "1")
        .header("x-twice", "2")
        .header("x-latin", b"gr\xfcn")
        .header("x-secret-one", "s3cret")
        .header("x-envoy-auth-partial-body", "true")
        .header("content-type", "text/plain");

    let exchange = world.send("all", request)?;

    assert_eq!(exchange.arrived()?.text(), "body, ü \u{1f600}");
    let call = world.service.requests().remove(0);
    assert_eq!(call.authority, "check.example");
    assert_eq!(call.headers.text("x-api-key").as_deref(), Some("s3cret"));
    world.send("all", Request::get("/?"))?;
    let bare = only(&world);
    assert_eq!((bare.http().method.as_str(), bare.http().size), ("GET", 0));
    assert_eq!(bare.http().path, "/?");

    let asked = prost::Message::decode(call.grpc_message().unwrap_or_default());
    let asked: Question = asked?;
    let told = asked.http();
    assert_eq!(told.method, "POST");
    assert_eq!(told.path, "/orders?id=1");
    assert_eq!(told.host, "shop.example");
    assert_eq!(told.scheme, "http");
    assert_eq!(told.protocol, "HTTP/1.1");
    assert_eq!(told.body, "body, ü \u{1f600}");
    assert_eq!(told.size, 13);
    assert!(told.raw_body.is_empty());
    let header = |name: &str| told.headers.get(name).map(String::as_str);
    assert_eq!(header("x-twice"), Some("1,2"));
    assert_eq!(header("x-latin"), Some("gr!n"));
    assert_eq!(header("x-secret-one"), None);
    assert_eq!(header(":path"), Some("/orders?id=1"));
    // What a client says of it is not believed.
    assert_eq!(header("x-envoy-auth-partial-body"), Some("false"));
    let attributes = asked.attributes();
    assert_eq!(attributes.context_extensions["tenant"], "a");
    let source = attributes.source.clone().unwrap_or_default();
    let socket = source.address.and_then(|address| address.socket);
    let socket = socket.unwrap_or_default();
    assert_eq!(socket.address, "127.0.0.1");
    assert!(socket.port > 0);
    let time = attributes.request.as_ref().and_then(|request| request.time);
    assert!(time.is_some_and(|time| time.seconds > 1_700_000_000));
    Ok(())
}

#[test]
fn what_may_not_pass_is_not_shown_either() -> Result<()> {
    let redact = json!({"request": {"redact": [{"path": "$.card", "keep_last": 4}]}});
    let mut watched = redact.clone();
    watched["mode"] = "report".into();
    let world = World::new([
        ("masked", over_grpc(&redact)),
        ("watched", over_grpc(&watched)),
    ])?;
    let body = r#"{"card":"4111111111111111"}"#;
    let masked = r#"{"card":"[redacted]1111"}"#;
    for (chain, arrives) in [("masked", masked), ("watched", body)] {
        let exchange = world.send(chain, json_post("/", body))?;
        assert_eq!(exchange.arrived()?.text(), arrives);
        assert_eq!(only(&world).http().body, masked, "{chain}");

        let zipped = json_post("/", gzip(body.as_bytes())?).header("content-encoding", "gzip");
        let exchange = world.send(chain, zipped)?;
        assert_eq!(exchange.response.status, 200);
        let asked = only(&world);
        assert_eq!(asked.http().body, masked, "{chain}");
        assert!(!asked.http().headers.contains_key("content-encoding"));
        let is_zipped = exchange.arrived()?.headers.contains("content-encoding");
        assert_eq!(is_zipped, chain == "watched");
    }
    Ok(())
}

#[test]
fn what_our_own_rules_refuse_is_not_asked_about() -> Result<()> {
    let world = World::new([(
        "strict",
        over_grpc(&json!({"request": {"required": true, "json": {}}})),
    )])?;
    for (request, status) in [
        (json_post("/", "{"), 400),
        (
            Request::post("/", "x").header("content-type", "text/plain"),
            415,
        ),
        (Request::new("POST", "/"), 400),
        (json_post("/", "").body("").body(""), 400),
    ] {
        let exchange = world.send("strict", request)?;
        assert_eq!(exchange.response.status, status, "{}", exchange.response);
        assert!(exchange.received.is_none());
    }
    assert_eq!(world.service.asked(), []);
    Ok(())
}

#[test]
fn nothing_of_a_body_is_lost_however_it_comes() -> Result<()> {
    let world = World::new([(
        "whole",
        over_grpc(&check(&json!({
            "with_request_body": {"max_request_bytes": 900_000, "pack_as_bytes": true},
        }))),
    )])?;
    world
        .service
        .answers(|_| Answer::ok().for_request("x-asked", "yes", super::service::How::Action(2)));
    let large: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    let in_pieces = |piece: usize| {
        let request = Request::new("POST", "/upload");
        large.chunks(piece).fold(request, Request::body)
    };
    let slow = Request::new("POST", "/upload")
        .body(&large[..100])
        .pause(Duration::from_millis(20))
        .body(&large[100..]);
    for request in [
        Request::post("/upload", &large),
        in_pieces(9_999),
        in_pieces(1_000).trailer("x-sum", "1"),
        slow.trailer("x-sum", "1"),
    ] {
        for is_http2 in [false, true] {
            let has_trailers = request.to_string().contains("x-sum");
            let exchange = if is_http2 {
                world.send_http2("whole", request.clone())?
            } else {
                world.send("whole", request.clone())?
            };
            assert_eq!(exchange.response.status, 200, "{}", exchange.response);
            let arrived = exchange.arrived()?;
            // Not by assert_eq: nobody reads a difference of megabytes.
            assert!(arrived.body == large, "{} bytes", arrived.body.len());
            assert_eq!(arrived.headers.text("x-asked").as_deref(), Some("yes"));
            assert_eq!(arrived.trailers.contains("x-sum"), has_trailers);
            let asked = only(&world);
            assert!(asked.http().raw_body == large);
            assert_eq!(asked.http().body, "");
        }
    }
    Ok(())
}

#[test]
fn a_client_that_waits_to_be_told_to_go_on_is_told() -> Result<()> {
    let world = World::new([("whole", over_grpc(&json!({})))])?;
    let mut raw = RawConnection::open(world.address("whole")?)?;
    raw.send(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\nconnection: close\r\n\r\n")?;
    let interim = raw.read_until(b"\r\n\r\n")?;
    assert!(interim.starts_with(b"HTTP/1.1 100"));
    raw.send(b"body")?;
    let answer = raw.read_until(b"\r\n\r\n")?;
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        answer.escape_ascii()
    );
    assert_eq!(only(&world).http().body, "body");
    Ok(())
}

#[test]
fn a_body_that_is_longer_than_is_shown_is_refused_or_judged_by_its_beginning() -> Result<()> {
    let ten = |more| check(&json!({"with_request_body": more}));
    let partial = json!({"max_request_bytes": 10, "allow_partial_message": true});
    let world = World::new([
        ("whole", over_grpc(&ten(json!({"max_request_bytes": 10})))),
        ("part", over_grpc(&ten(partial))),
        ("read", {
            let mut rule = over_grpc(&ten(json!({"max_request_bytes": 10})));
            super::merge(&mut rule, &json!({"request": {"json": {}}}));
            rule
        }),
    ])?;
    for (chain, body, status, shown) in [
        ("whole", "\"4567890\"", 200, Some("\"4567890\"")),
        ("whole", "\"45678901\"", 200, Some("\"45678901\"")),
        ("whole", "\"456789012\"", 413, None),
        ("read", "\"45678901\"", 200, Some("\"45678901\"")),
        ("read", "\"456789012\"", 413, None),
        ("part", "\"45678901\"", 200, Some("\"45678901\"")),
        ("part", "\"456789012\"", 200, Some("\"456789012")),
        // Cut in the middle of a character.
        ("part", "\"45678€\"", 200, Some("\"45678€\"")),
        ("part", "\"4567890€\"", 200, Some("\"4567890!!")),
    ] {
        for request in [
            json_post("/", body),
            json_post("/", &body[..3]).body(&body[3..]),
        ] {
            let exchange = world.send(chain, request)?;
            assert_eq!(exchange.response.status, status, "{chain} {body}");
            let asked = world.service.asked();
            let asked: Vec<_> = asked.iter().map(Question::http).collect();
            assert_eq!(asked.first().map(|one| &*one.body), shown, "{chain} {body}");
            if let (Some(shown), [asked]) = (shown, asked.as_slice()) {
                assert_eq!(exchange.arrived()?.text(), body);
                let is_part = shown.len() < body.len() || shown.contains('!');
                assert_eq!(
                    asked.headers["x-envoy-auth-partial-body"],
                    is_part.to_string()
                );
                assert_eq!(asked.size, i64::try_from(body.len())?);
            }
        }
    }
    Ok(())
}

#[test]
fn many_at_once_are_each_told_of_themselves() -> Result<()> {
    let world = World::new([("many", over_grpc(&json!({})))])?;
    world.service.answers(|asked| {
        if asked.http().body.ends_with(['1', '3', '5', '7', '9']) {
            Answer::denied(403).body(&asked.http().body)
        } else {
            Answer::ok()
        }
    });
    let client = legation_tests::Client::http2(world.address("many")?);
    let requests = (0..500).map(|number| Request::post("/", number.to_string()));
    let responses = client.send_all(requests.collect());
    for (number, response) in responses.into_iter().enumerate() {
        let response = response?;
        let expected = if number % 2 == 1 { 403 } else { 200 };
        assert_eq!(response.status, expected, "{number}");
        if expected == 403 {
            assert_eq!(response.text(), number.to_string());
        }
    }
    world.wait_for_count("many", "ext_authz.ok", 250)?;
    world.wait_for_count("many", "ext_authz.denied", 250)
}
