//! The README's configurations do what the README says, and its tables hold what there is.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use body_guard::BodyGuard;
use legation_testing::{Callout, GrpcCall, Host, Request, Response, readme};
use serde_json::{Value, json};

const README: &str = include_str!("../README.md");

fn host(configuration: &Value) -> Host<BodyGuard> {
    let host = Host::configure(configuration.clone())
        .unwrap_or_else(|refused| panic!("{configuration:#}\n{refused}"));
    host.set_allow_on_headers_stop_iteration(true);
    host
}

fn post(path: &str, body: &str) -> Request {
    Request::post(path)
        .header("content-type", "application/json")
        .body(body)
}

#[test]
fn the_first_examples_do_what_is_said_of_them() {
    let configurations = readme::configurations(README);
    assert_eq!(configurations.len(), 3, "{configurations:#?}");
    let first = host(&configurations[0]);
    assert_eq!(first.exchange(post("/api/a", "{}")).run().status(), 200);
    assert_eq!(first.exchange(post("/api/a", "{")).run().status(), 400);
    let card = Response::ok()
        .header("content-type", "application/json")
        .body(r#"["4111 1111 1111 1111"]"#);
    let answer = first.exchange(Request::get("/api/a")).upstream(card);
    assert_eq!(answer.response().text(), r#"["[redacted]1111"]"#);

    let second = host(&configurations[1]);
    let watched = second
        .exchange(post("/api/orders", r#"{"customer":{"note":"x"}}"#))
        .run();
    assert_eq!(watched.upstream().text(), r#"{"customer":{"note":"x"}}"#);
    assert_eq!(
        second.counter("body_guard.reported.direction=request;.reason=fields;"),
        1
    );
}

#[test]
fn the_outside_check_is_asked_as_shown() {
    let host = host(&readme::configurations(README)[2]);
    let masked = std::rc::Rc::new(std::cell::Cell::new(false));
    let seen = std::rc::Rc::clone(&masked);
    host.set_grpc_cluster("moderation", move |call: &GrpcCall| {
        assert_eq!(call.service, b"envoy.service.auth.v3.Authorization");
        assert_eq!(call.timeout, 500);
        let message = String::from_utf8_lossy(&call.message);
        seen.set(message.contains(r#"["[redacted]1111"]"#) && !message.contains("4111"));
        // `status: {code: 7}`
        Callout::message(b"\x0a\x02\x08\x07")
    });
    let prompt = || post("/v1/chat/completions", r#"["4111 1111 1111 1111"]"#);
    assert_eq!(host.exchange(prompt()).run().status(), 403);
    assert!(masked.get());
    host.set_grpc_cluster("moderation", |_: &_| Callout::grpc_status(14, "down"));
    assert_eq!(host.exchange(prompt()).run().status(), 503);
}

/// Those of the outside check stand in the README with what is inside them.
#[test]
fn every_field_of_the_outside_check_has_its_place() {
    let grpc = json!({"envoy_grpc": {"cluster_name": "a"}, "zzz": 1});
    let uri = json!({"uri": "http://a", "cluster": "a"});
    let response = json!({"zzz": 1});
    for check in [
        json!({ "zzz": 1 }),
        json!({ "grpc_service": grpc }),
        json!({"http_service": {"server_uri": uri, "zzz": 1}}),
        json!({"http_service": {"server_uri": uri, "authorization_response": response}}),
        json!({"with_request_body": {"zzz": 1}}),
    ] {
        for field in fields(&json!({"rules": [{"request": {"ext_authz": check}}]})) {
            assert!(README.contains(&field), "{field} is not in the README");
        }
    }
}

#[test]
fn the_refusal_shown_is_the_one_that_is_sent() {
    let mut configuration = readme::configurations(README).remove(1);
    configuration["mode"] = json!("enforce");
    let body = r#"{"customer":{"email":"a@b.example"},"items":[{"count":0}]}"#;
    let refused = host(&configuration)
        .exchange(post("/api/orders", body))
        .run();
    let shown = README.split_once("application/problem+json\n\n").unwrap().1;
    let shown = shown.split_once("\n\n").unwrap().0;
    let [shown, sent] = [shown, &refused.response().text()]
        .map(|text| serde_json::from_str::<Value>(text).unwrap());
    assert_eq!(sent, shown);
}

/// The names in the first cells of the table below a heading.
fn names(heading: &str) -> Vec<String> {
    let (_, rest) = README.split_once(&format!("\n{heading}\n")).unwrap();
    let rows = rest.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let mut names: Vec<_> = rows
        .flat_map(|row| {
            let cell = row.split(" | ").next().unwrap_or_default();
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    names.sort();
    names
}

/// The fields that are known where an unknown one stands.
fn fields(configuration: &Value) -> Vec<String> {
    let refused = Host::<BodyGuard>::configure(configuration.clone()).unwrap_err();
    let mut lines = refused.lines.iter();
    let line = lines.find(|line| line.contains("zzz")).unwrap();
    let (_, known) = line.split_once("known: ").unwrap();
    let known = known.split(')').next().unwrap().split(", ");
    let mut known: Vec<_> = known.map(str::to_owned).collect();
    known.sort();
    known
}

#[test]
fn the_tables_have_every_option_and_no_other() {
    for (heading, configuration) in [
        ("## Options", json!({"zzz": 1})),
        ("### A rule", json!({"rules": [{"zzz": 1}]})),
        ("### A body", json!({"rules": [{"request": {"zzz": 1}}]})),
        (
            "### JSON",
            json!({"rules": [{"request": {"json": {"zzz": 1}}}]}),
        ),
        (
            "### Fields",
            json!({"rules": [{"request": {"fields": [{"zzz": 1}]}}]}),
        ),
        (
            "### Redactions",
            json!({"rules": [{"request": {"redact": [{"zzz": 1}]}}]}),
        ),
    ] {
        assert_eq!(names(heading), fields(&configuration), "{heading}");
    }
}
