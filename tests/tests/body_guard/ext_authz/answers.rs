//! What the service says is done.

use anyhow::Result;
use legation_tests::{Headers, Request};
use serde_json::json;

use super::service::{Answer, How};
use super::{World, check, of_grpc, over_grpc};
use crate::json_post;

fn all(headers: &Headers, name: &str) -> Vec<String> {
    let values = headers.iter().filter(|(own, _)| *own == name);
    values
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

#[test]
fn who_is_refused_gets_the_answer_of_the_service_and_goes_no_further() -> Result<()> {
    let world = World::new([("plain", over_grpc(&json!({})))])?;
    let denied = Answer::denied(418)
        .for_client("x-why", "tea", How::Append(false))
        .for_client("set-cookie", "a=1", How::Append(true))
        .for_client("set-cookie", "b=2", How::Append(true))
        .for_client("content-type", "text/html", How::Append(false))
        .body("<p>no");
    for (answer, status, body) in [
        (denied.clone(), 418, "<p>no"),
        (Answer::code(7), 403, ""),
        (Answer::code(16), 403, ""),
        (Answer::denied(0), 403, ""),
        (Answer::denied(99), 403, ""),
        (
            Answer::denied(302).for_client("location", "/login", How::Append(false)),
            302,
            "",
        ),
        // What says both is a refusal.
        (denied.clone().with_code(Some(0)), 418, "<p>no"),
        (denied.clone().with_code(None), 418, "<p>no"),
        (denied.clone().with_ok(), 418, "<p>no"),
    ] {
        world.service.says(&answer);
        let exchange = world.send("plain", json_post("/", "{}"))?;
        let response = &exchange.response;
        assert_eq!(response.status, status, "{answer:?}");
        assert_eq!(response.text(), body, "{answer:?}");
        assert!(exchange.received.is_none(), "{answer:?}");
        if status == 418 {
            assert_eq!(all(&response.headers, "set-cookie"), ["a=1", "b=2"]);
            assert_eq!(response.headers.text("x-why").as_deref(), Some("tea"));
            let content_type = response.headers.text("content-type");
            assert_eq!(content_type.as_deref(), Some("text/html"));
        }
    }
    world.service.says(&denied);
    let response = world.send_http2("plain", of_grpc())?.response;
    assert_eq!(response.status, 200);
    assert_eq!(
        response.headers.text("content-type").as_deref(),
        Some("application/grpc")
    );
    assert!(response.headers.contains("grpc-status"), "{response}");
    world.wait_for_count("plain", "ext_authz.denied", 10)?;
    world.wait_for_count(
        "plain",
        "refused.direction=request;.reason=ext_authz_denied;",
        10,
    )?;
    assert_eq!(world.count("plain", "ext_authz.ok")?, 0);
    Ok(())
}

#[test]
fn a_refusal_with_what_cannot_be_sent_is_one_without_it() -> Result<()> {
    let world = World::new([(
        "open",
        over_grpc(&check(&json!({"failure_mode_allow": true}))),
    )])?;
    let denied = || Answer::denied(401).body("no");
    let long = "x".repeat(70_000);
    for answer in [
        denied().for_client("x-cut", "a\r\nx-injected: 1", How::Append(false)),
        denied().for_client(":status", "200", How::Append(false)),
        denied().for_client("content-length", "1", How::Append(false)),
        denied().for_client("transfer-encoding", "chunked", How::Append(false)),
        denied().for_client("bad name", "1", How::Append(false)),
        denied().for_client("x-long", &long, How::Append(false)),
        (0..200).fold(denied(), |answer, number| {
            answer.for_client(&format!("x-{number}"), "1", How::Append(false))
        }),
    ] {
        world.service.says(&answer);
        let exchange = world.send("open", json_post("/", "{}"))?;
        assert_eq!(exchange.response.status, 401, "{}", exchange.response);
        assert_eq!(exchange.response.text(), "no");
        assert!(!exchange.response.headers.contains("x-injected"));
        assert!(exchange.received.is_none());
    }
    Ok(())
}

#[test]
fn headers_of_request_and_response_are_changed_as_it_says() -> Result<()> {
    let world = World::new([
        ("plain", over_grpc(&json!({}))),
        (
            "both",
            over_grpc(&json!({"response": {"max_bytes": 100_000}})),
        ),
        ("watched", over_grpc(&json!({"mode": "report"}))),
    ])?;
    let answer = Answer::ok()
        .for_request("x-set", "new", How::Append(false))
        .for_request("x-more", "new", How::Append(true))
        .for_request("x-never", "new", How::Append(true))
        .for_request("x-usual", "new", How::Action(0))
        .for_request("x-absent", "new", How::Action(1))
        .for_request("x-here", "new", How::Action(1))
        .for_request("x-over", "new", How::Action(2))
        .for_request("x-only", "new", How::Action(3))
        .for_request("x-here", "newer", How::Action(3))
        .remove("x-gone")
        .remove("host")
        .remove(":path")
        .for_client("x-told", "1", How::Action(0));
    world.service.says(&answer);
    let request = ["x-set", "x-more", "x-usual", "x-here", "x-over", "x-gone"]
        .iter()
        .fold(json_post("/a?b", "{}"), |request, name| {
            request.header(name, "old")
        });
    for chain in ["plain", "both"] {
        let exchange = world.send(chain, request.clone())?;
        let arrived = exchange.arrived()?;
        assert_eq!(arrived.path, "/a?b");
        let values = |name| all(&arrived.headers, name).join(",");
        assert_eq!(values("x-set"), "new");
        assert_eq!(values("x-more"), "old,new");
        assert_eq!(values("x-never"), "");
        assert_eq!(values("x-usual"), "new");
        assert_eq!(values("x-absent"), "new");
        assert_eq!(values("x-here"), "newer");
        assert_eq!(values("x-over"), "new");
        assert_eq!(values("x-only"), "");
        assert_eq!(values("x-gone"), "");
        assert_eq!(
            exchange.response.headers.text("x-told").as_deref(),
            Some("1"),
            "{chain}"
        );
    }
    let exchange = world.send("watched", request)?;
    let arrived = exchange.arrived()?;
    assert_eq!(all(&arrived.headers, "x-set"), ["old"]);
    assert_eq!(all(&arrived.headers, "x-gone"), ["old"]);
    assert!(!exchange.response.headers.contains("x-told"));
    Ok(())
}

#[test]
fn where_a_request_goes_and_where_it_ends_is_not_the_services_to_say() -> Result<()> {
    let world = World::new([
        ("closed", over_grpc(&json!({}))),
        (
            "open",
            over_grpc(&check(&json!({"failure_mode_allow": true}))),
        ),
    ])?;
    let answers = [
        Answer::ok().for_request(":path", "/admin", How::Append(false)),
        Answer::ok().for_request(":method", "GET", How::Append(false)),
        Answer::ok().for_request("host", "elsewhere", How::Append(false)),
        Answer::ok().for_request("Content-Length", "1", How::Append(false)),
        Answer::ok().for_request("transfer-encoding", "chunked", How::Append(false)),
        Answer::ok().for_request("x-cut", "a\r\nx-injected: 1", How::Append(false)),
        Answer::ok().for_request("", "1", How::Append(false)),
        Answer::ok().for_request("x-action", "1", How::Action(9)),
        Answer::ok().for_client(":status", "200", How::Append(false)),
        Answer::ok().query("admin", "true"),
        Answer::ok().for_request("x-long", &"x".repeat(70_000), How::Append(false)),
        (0..101).fold(Answer::ok(), |answer, number| {
            answer.for_request(&format!("x-{number}"), "1", How::Append(false))
        }),
    ];
    for answer in &answers {
        world.service.says(answer);
        for chain in ["closed", "open"] {
            let exchange = world.send(chain, json_post("/", "{}"))?;
            assert_eq!(exchange.response.status, 403, "{chain}: {answer:?}");
            assert!(exchange.received.is_none());
        }
    }
    let count = u64::try_from(answers.len())?;
    world.wait_for_count("open", "ext_authz.invalid", count)?;
    assert_eq!(world.count("open", "ext_authz.failure_mode_allowed")?, 0);
    Ok(())
}

#[test]
fn in_report_mode_all_passes_and_is_counted() -> Result<()> {
    let world = World::new([("watched", over_grpc(&json!({"mode": "report"})))])?;
    let reported = |reason: &str| format!("reported.direction=request;.reason={reason};");
    world.service.says(&Answer::denied(401).body("no"));
    let exchange = world.send("watched", json_post("/", "{}"))?;
    assert_eq!(exchange.response.status, 200);
    assert_eq!(exchange.arrived()?.text(), "{}");
    world.wait_for_count("watched", &reported("ext_authz_denied"), 1)?;

    world
        .service
        .replies(legation_tests::Reply::grpc_status(14, ""));
    let exchange = world.send("watched", Request::get("/"))?;
    exchange.arrived()?;
    world.wait_for_count("watched", &reported("ext_authz_error"), 1)?;
    world.wait_for_count("watched", "ext_authz.error", 1)?;
    let exchange = world.send("watched", json_post("/", " ".repeat(1_001)))?;
    assert_eq!(exchange.arrived()?.body.len(), 1_001);
    world.wait_for_count("watched", &reported("too_large"), 1)
}
