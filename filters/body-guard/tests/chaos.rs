//! A host that answers anything at all: the filter never panics, and lets nothing through that it
//! could not read. Configurations of any kind.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use body_guard::BodyGuard;
use legation_testing::chaos::{Spoiler, case};
use legation_testing::{Answer, Callout, Host, Message, Outcome, Request, Response, chaos};
use serde_json::{Value, json};

/// Cases for each configuration; there are four.
const CASES: u64 = 2_000;

fn configurations() -> [Value; 4] {
    [
        json!({"rules": [
            {"match": {"path": {"prefix": "/a"}}, "request": {"max_bytes": 50, "required": true}, "response": {"max_bytes": 50}},
            {"match": {"path": "/open"}, "disabled": true},
            {"request": {"json": {"max_depth": 3}, "content_types": ["*/*"]}}
        ]}),
        json!({"stat_prefix": "edge", "rules": [{
            "name": "all",
            "request": {
                "content_types": ["*/*"],
                "fields": [
                    {"path": "$.a.b", "required": true, "type": ["string", "null"], "pattern": "a+", "max_length": 5},
                    {"path": "$..c[*]", "type": "integer", "minimum": -1.5, "maximum": 3, "enum": [1, "a", null]}
                ],
                "redact": [{"preset": "email", "keep_last": 3}, {"pattern": "x[0-9]+y", "action": "remove"}]
            },
            "response": {
                "content_types": ["*/*"],
                "json": {"max_object_entries": 3, "max_array_elements": 3, "max_name_length": 9, "max_string_length": 100},
                "redact": [{"path": "$.a", "replacement": "\""}, {"path": "$['b'][0]", "action": "remove"}, {"path": "$..d", "action": "deny"}]
            }
        }]}),
        json!({"mode": "report", "rules": [
            {"match": {"method": "POST"}, "mode": "enforce", "response": {"redact": [{"preset": "credit_card"}, {"preset": "jwt"}, {"preset": "iban"}]}},
            {"request": {"json": {"allow_duplicate_names": true}}, "response": {"json": {}}}
        ]}),
        json!({"rules": [
            {"match": {"path": {"prefix": "/a"}}, "request": {
                "content_types": ["*/*"],
                "redact": [{"preset": "email"}],
                "ext_authz": {
                    "grpc_service": {"envoy_grpc": {"cluster_name": "judge"}},
                    "with_request_body": {"max_request_bytes": 20, "allow_partial_message": true},
                    "failure_mode_allow": true
                }
            }},
            {"request": {"ext_authz": {
                "http_service": {
                    "server_uri": {"uri": "http://judge", "cluster": "judge"},
                    "path_prefix": "/check",
                    "authorization_response": {
                        "allowed_upstream_headers": {"patterns": [{"prefix": "x-"}]},
                        "allowed_client_headers_on_success": {"patterns": [{"prefix": "x-"}]}
                    }
                },
                "with_request_body": {"max_request_bytes": 1_000},
                "allowed_headers": {"patterns": [{"regex": ".*"}]},
                "retry_policy": {},
                "circuit_breaker": {}
            }}}
        ]}),
    ]
}

#[test]
fn no_answer_of_the_host_makes_it_panic_or_let_a_failure_pass() {
    for (number, configuration) in configurations().into_iter().enumerate() {
        let report = chaos::run::<BodyGuard>(configuration, CASES, 1);
        println!("{number}: {report}");
        // Chaos that never fails, or always, would show nothing.
        assert_eq!(report.cases, CASES);
        assert!(report.failures > CASES / 100, "{number}: {report}");
        assert!(report.let_through > CASES / 100, "{number}: {report}");
    }
}

#[test]
fn no_answer_while_it_is_configured_makes_it_panic() {
    chaos::configure::<BodyGuard>(&configurations(), 1_000);
}

const DOCUMENT: &str =
    r#"{"a": {"b": "aaa"}, "c": [1, "a@b.example", 4111111111111111], "d": "x1y\u0041"}"#;

/// Loads spoilt configurations. Those that are taken are shown some messages.
fn fuzz_configurations(seeds: std::ops::Range<u64>) -> u64 {
    let donors = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!("*/*"),
        json!("$..a[*]['b'][0]"),
        json!("$"),
        json!("."),
        json!("[^a]"),
        json!("remove"),
        json!({}),
        json!([]),
    ];
    let names = &[
        "path", "pattern", "preset", "type", "enum", "action", "json", "x",
    ];
    let spoiler = Spoiler::new(&configurations(), &donors, names);
    let mut taken = 0;
    for seed in seeds {
        case(seed, |rng| {
            let Ok(host) = Host::<BodyGuard>::configure(spoiler.configuration(rng)) else {
                return;
            };
            taken += 1;
            host.set_allow_on_headers_stop_iteration(true);
            for (path, content_type) in [("/a", "application/json"), ("/", "text/plain")] {
                let response = Response::ok()
                    .header("content-type", content_type)
                    .body(&DOCUMENT.as_bytes()[..30])
                    .body(&DOCUMENT.as_bytes()[30..]);
                let request = Request::post(path)
                    .header("content-type", content_type)
                    .body(DOCUMENT);
                let exchange = host.exchange(request).upstream(response);
                // What is refused is, and nothing hangs.
                assert_ne!(exchange.outcome, Outcome::Held);
            }
            host.tick();
        });
    }
    taken
}

#[test]
fn no_configuration_makes_it_panic() {
    let taken = fuzz_configurations(0..10_000);
    assert!(taken > 150, "{taken}");
}

mod soak {
    /// `cargo xtask soak`
    #[test]
    #[ignore = "takes minutes"]
    fn none_of_a_million_configurations_makes_it_panic() {
        super::fuzz_configurations(1_000_000..2_000_000);
    }
}

fn host() -> Host<BodyGuard> {
    let redact = json!({"redact": [{"path": "$.card"}]});
    let rules = json!({"rules": [{"request": redact, "response": redact}]});
    let host = Host::configure(rules).unwrap();
    host.set_allow_on_headers_stop_iteration(true);
    host
}

fn request() -> Request {
    Request::post("/")
        .header("content-type", "application/json")
        .body(r#"{"card":"s3cret"}"#)
}

/// A body that could not be read or masked is one that the filter has failed at.
#[test]
fn a_request_that_could_not_be_read_or_masked_is_refused() {
    for call in [
        "proxy_get_header_map_pairs",
        "proxy_get_buffer_bytes",
        "proxy_set_buffer_bytes",
    ] {
        for status in [2, 10, 12, 99, u32::MAX] {
            let host = host();
            host.answer_nth(call, 1, Answer::Status(status));

            let refused = host.exchange(request()).run();
            let next = host.exchange(request()).run();

            assert!(refused.upstream.is_none(), "{call} {status}");
            assert_eq!(refused.status(), 500, "{call} {status}");
            assert_eq!(next.upstream().text(), r#"{"card":"[redacted]"}"#);
        }
    }
}

#[test]
fn a_response_that_could_not_be_read_or_masked_does_not_pass() {
    for call in [
        "proxy_get_buffer_bytes",
        "proxy_set_buffer_bytes",
        "proxy_get_property",
    ] {
        for status in [2, 10, 12, 99, u32::MAX] {
            let host = host();
            host.answer_nth(call, 1, Answer::Status(status));
            let response = || {
                Response::ok()
                    .header("content-type", "application/json")
                    .body(r#"{"card":"s3cret"}"#)
            };

            let refused = host.exchange(Request::get("/")).upstream(response());
            let next = host.exchange(Request::get("/")).upstream(response());

            let shown = refused.response.as_ref().map(Message::text);
            assert!(
                !shown.unwrap_or_default().contains("s3cret"),
                "{call} {status}"
            );
            assert_eq!(next.response().text(), r#"{"card":"[redacted]"}"#);
        }
    }
}

#[test]
fn a_host_that_gives_less_of_a_body_than_there_is_gets_nothing_through() {
    let host = host();
    host.answer_nth("proxy_get_buffer_bytes", 1, Answer::Bytes(b"{}".to_vec()));
    let response = Response::ok()
        .header("content-type", "application/json")
        .body(r#"{"card":"s3cret"}"#);
    let cut = host.exchange(Request::get("/")).upstream(response);
    assert_eq!(cut.outcome, Outcome::Reset);
}

/// One that a service judges: over gRPC, or over HTTP.
fn judged(is_grpc: bool) -> Host<BodyGuard> {
    let service = if is_grpc {
        json!({"grpc_service": {"envoy_grpc": {"cluster_name": "judge"}}})
    } else {
        json!({"http_service": {"server_uri": {"uri": "http://judge", "cluster": "judge"}}})
    };
    let mut check = service;
    check["with_request_body"] = json!({"max_request_bytes": 1_000});
    let rules = json!({"rules": [{"request": {"ext_authz": check}}]});
    let host = Host::configure(rules).unwrap();
    host.set_allow_on_headers_stop_iteration(true);
    // `status: {code: 0}`, and over HTTP a 200.
    host.set_grpc_cluster("judge", |_: &_| Callout::message(b"\x0a\x00"));
    host.set_cluster("judge", |_: &_| Callout::answer(Response::ok()));
    host
}

#[test]
fn a_request_that_could_not_be_asked_about_goes_nowhere() {
    for is_grpc in [false, true] {
        let call = if is_grpc {
            "proxy_grpc_call"
        } else {
            "proxy_http_call"
        };
        for status in [1, 2, 3, 7, 10, 12, 99, u32::MAX] {
            let host = judged(is_grpc);
            host.answer_nth(call, 1, Answer::Status(status));

            let refused = host.exchange(request()).run();
            let next = host.exchange(request()).run();

            assert!(refused.upstream.is_none(), "{call} {status}");
            assert_eq!(refused.status(), 403, "{call} {status}");
            assert_eq!(next.upstream().text(), r#"{"card":"s3cret"}"#);
        }
    }
}

#[test]
fn an_answer_that_cannot_be_read_lets_nothing_pass() {
    for (is_grpc, call) in [
        (true, "proxy_get_buffer_bytes"),
        (false, "proxy_get_header_map_pairs"),
    ] {
        for status in [1, 2, 10, 12, 99, u32::MAX] {
            let host = judged(is_grpc);
            // The first is the request's own.
            host.answer_nth(call, 2, Answer::Status(status));
            let refused = host.exchange(request()).run();
            assert!(refused.upstream.is_none(), "{call} {status}");
            assert_eq!(refused.status(), 403, "{call} {status}");
        }
    }
}

#[test]
fn whatever_becomes_of_the_call_the_request_is_refused() {
    for is_grpc in [false, true] {
        for callout in [
            Callout::hang(),
            Callout::fail(),
            Callout::reset("connection termination"),
            Callout::grpc_status(7, "not you"),
            Callout::refuse(10),
            Callout::grpc_status(14, "down").at_once(),
        ] {
            let host = judged(is_grpc);
            let said = callout.clone();
            host.set_grpc_cluster("judge", move |_: &_| said.clone());
            let said = callout.clone();
            host.set_cluster("judge", move |_: &_| said.clone());
            let refused = host.exchange(request()).run();
            assert!(refused.upstream.is_none(), "{callout:?}");
            assert_eq!(refused.status(), 403, "{callout:?}");
            assert_eq!(host.waiting(), 0);
        }
    }
}

/// By HTTP/2 an upstream may send a body where there is none.
#[test]
fn a_body_where_there_is_none_does_not_pass_unread() {
    let response = |status| {
        Response::new(status)
            .header("content-type", "application/json")
            .body(r#"{"card":"s3cret"}"#)
    };
    let head = Request::new("HEAD", "/");
    for (request, status) in [
        (Request::get("/"), 204),
        (Request::get("/"), 304),
        (head, 200),
    ] {
        let host = host();
        let exchange = host.exchange(request).upstream(response(status));
        assert_eq!(exchange.outcome, Outcome::Reset, "{status}");
    }
    // One that has none ends as it came.
    let host = host();
    let exchange = host
        .exchange(Request::get("/"))
        .upstream(Response::new(204).body(""));
    assert_eq!(exchange.status(), 204);
}

/// Whoever judges a body sees what the upstream will, and not what it is wrapped in.
#[test]
fn what_comes_compressed_is_judged_as_it_is_read() {
    let gzip = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"forbidden").unwrap();
        encoder.finish().unwrap()
    };
    let host = judged(true);
    host.set_grpc_cluster("judge", |call: &legation_testing::GrpcCall| {
        let message = String::from_utf8_lossy(&call.message);
        let is_seen = message.contains("forbidden") && !message.contains("gzip");
        // `status: {code: 7}`, or 0.
        Callout::message(if is_seen {
            b"\x0a\x02\x08\x07".as_slice()
        } else {
            b"\x0a\x00"
        })
    });
    let send = |coding: &str, body: &[u8]| {
        let request = Request::post("/")
            .header("content-encoding", coding)
            .body(body);
        host.exchange(request).run()
    };
    let refused = send("gzip", &gzip);
    assert_eq!(refused.status(), 403);
    assert!(refused.upstream.is_none());
    assert_eq!(send("br", b"forbidden").status(), 415);
    assert_eq!(send("gzip", b"forbidden").status(), 415);
}
