//! A host that answers anything at all: the filter never panics, and lets no
//! request through that it could not tag.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use header_tag::{HeaderTag, TrailersTag};
use legation_testing::chaos::{case, spoil};
use legation_testing::{Answer, Host, Outcome, Request, Response, chaos};
use serde_json::{Value, json};

/// Cases for each configuration; there are eight.
const CASES: u64 = 21_000;

/// Trailers, and what else is the larger module's alone.
fn with_trailers() -> [Value; 2] {
    let values = json!([
        "%REQUEST_TRAILER(x-1?x-2)%%REQ(x-1)%%BUCKET(b)%%CAPTURE(b)%",
        {"value": "%BASE64_DECODE(REQ(x-2))%%TRACE_ID%", "map": {"a": "b"}, "default": "c"},
    ]);
    let more = json!({"value": "%TRAILER(x-1)%%RESP(x-1?x-2)%%REQ(x-1)%", "default": "d"});
    [
        json!({
            "weighted_buckets": {
                "name": "b", "hash_key": "%BASE64_DECODE(COOKIE(c))%", "default_bucket": "x",
                "buckets": [{"name": "x", "weight": 1}, {"name": "y", "weight": 2}]
            },
            "rules": [
                {
                    "when": {"path": {"template": "/a/{b}/**"}},
                    "request": {"set": {"x-tag": "%TRACE_ID%%SHA256(BASE64_DECODE(REQ(x-1)))%"}},
                },
                {
                    "when": {"path": [{"template": "/a/{b}/**"}, {"regex": "/(?P<b>.*)"}]},
                    "request": {"append": {"x-tag": "1"}},
                    "request_trailers": {
                        "remove": "x-3", "rename": {"x-4": "x-5"}, "append": {"x-8": values},
                        "filter_state": {"tag": "%REQUEST_TRAILER(x-1)%"},
                    },
                    "response_trailers": {
                        "remove_on_match": {"suffix": "1"},
                        "regex_rewrite": {"grpc-status": {"pattern": "(.)", "substitution": "\\1\\1"}},
                        "set": {"x-8": more}, "add_if_absent": {"x-9": "%RESPONSE_CODE%"},
                        "overwrite_if_exists": {"x-2": "%REQ(:path)%"}, "dedupe": {"x-6": "RETAIN_UNIQUE"},
                    },
                },
            ],
        }),
        json!({"rules": vec![json!({
            "when": {"percentage": 50},
            "request_trailers": {"set": {"x-8": "%REQUEST_TRAILER(x-1)%"}},
            "response_trailers": {"overwrite_if_exists": {"grpc-status": "%RESP(x-1)%"}},
        }); 130]}),
    ]
}

fn configurations() -> [Value; 6] {
    [
        json!({"rules": [{"request": {"set": {"x-tag": "1"}}}]}),
        json!({
            "strip": ["x-tag", "x-1"],
            "rules": [
                {
                    "name": "all",
                    "when": {
                        "path": [{"template": "/a/{b}/**"}, {"regex": "/.*"}],
                        "headers": [{"name": "x-2", "range": {"start": 1, "end": 5}}],
                        "query": [{"name": "q", "contains": "a"}],
                        "cookies": [{"name": "c", "present": true}]
                    },
                    "request": {
                        "remove": "x-3",
                        "rename": {"x-4": "x-5", "x-6": "x-7"},
                        "set": {"x-8": ["%REQ(x-8)%", "%COOKIE(c)%", "%PATH()%"]},
                        "overwrite_if_exists": {"x-9": "%QUERY_PARAM(q)%"},
                        "add_if_absent": {"x-10": "%ATTRIBUTE(source.address)%"},
                        "append": {"x-11": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%"}
                    }
                },
                {"when": {"not": {"source_ip": "10.0.0.0/8"}}, "disabled": true},
                {"when": {"percentage": 50}, "request": {"set": {"x-tag": "2"}}}
            ]
        }),
        json!({"apply": "first_match", "rules": [
            {
                "when": {"host": "*.test", "method": ["GET", "POST"]},
                "request": {"keep_empty_value": true, "set": {"x-tag": "%REQ(x-none)%"}},
                "response": {
                    "when_status": ["2xx", 404],
                    "rename": {"x-4": "x-5"},
                    "set": {"x-8": "%REQ(x-8)%%RESP(x-8)%%RESPONSE_CODE%"},
                    "append": {"x-9": "%ATTRIBUTE(request.url_path)%"}
                }
            },
            {"response": {"set": {"x-tag": "%RESP(x-1?x-2)%"}}}
        ]}),
        json!({"mode": "report", "rules": [
            {"name": "a", "when": {"path": {"prefix": "/"}}, "request": {"set": {"x-tag": "1"}}}
        ]}),
        json!({
            "weighted_buckets": {
                "name": "b", "hash_key": ["%COOKIE(c)%", "%REQ(x-1)%"], "override_by": "%REQ(x-2)%",
                "random_without_key": true, "buckets": [{"name": "x", "weight": 1}, {"name": "y", "weight": 2}]
            },
            "rules": [{
                "when": {
                    "path": [{"template": "/a/{b}/**"}, {"regex": "/(?P<b>.*)"}],
                    "any": [{"bucket": {"b": "x"}}, {"jwt_claims": {"name": "user:a.b", "contains": "a"}}, {"method": "GET"}]
                },
                "request": {
                    "remove_on_match": {"suffix": "1"},
                    "regex_rewrite": {"x-2": {"pattern": "(.)a", "substitution": "\\1"}},
                    "set": {"x-8": ["%BUCKET(b)%%CAPTURE(b)%", "%SHA256(REQ(x-3))%%JWT_CLAIM(user:a)%%UUID_V7%%START_TIME(%s)%"]},
                    "dedupe": {"x-4": "RETAIN_UNIQUE"},
                    "query": {"set": {"q": {"value": "%REQ(x-1)%", "map": {"a": "b"}, "default": "c"}}, "remove": "r"},
                    "traceparent": {"sampled": 50},
                    "filter_state": {"tag": "%BUCKET(b)%"},
                    "clear_route_cache": true
                },
                "response": {"set": {"x-8": "%BUCKET(b)%%CAPTURE(b)%"}, "dedupe": {"x-1": "RETAIN_LAST"}}
            }]
        }),
        json!({"rules": vec![json!({"response": {"add_if_absent": {"x-tag": "1"}}}); 130]}),
    ]
}

#[test]
fn no_answer_of_the_host_makes_it_panic_or_let_a_failure_pass() {
    for (number, configuration) in configurations().into_iter().enumerate() {
        let report = chaos::run::<HeaderTag>(configuration, CASES, 1);
        println!("{number}: {report}");
        // Chaos that never fails, or always, would show nothing.
        assert_eq!(report.cases, CASES);
        assert!(report.failures > CASES / 100, "{number}: {report}");
        assert!(report.let_through > CASES / 100, "{number}: {report}");
    }
}

#[test]
fn no_answer_makes_it_panic_or_let_a_failure_pass_where_it_changes_trailers() {
    for (number, configuration) in with_trailers().into_iter().enumerate() {
        let report = chaos::run::<TrailersTag>(configuration, CASES, 2);
        println!("{number}: {report}");
        assert_eq!(report.cases, CASES);
        assert!(report.failures > CASES / 100, "{number}: {report}");
        assert!(report.let_through > CASES / 100, "{number}: {report}");
    }
}

#[test]
fn no_answer_while_it_is_configured_makes_it_panic() {
    chaos::configure::<HeaderTag>(&configurations(), 2_000);
    chaos::configure::<TrailersTag>(&with_trailers(), 2_000);
}

#[test]
fn no_bytes_make_the_configuration_panic() {
    let all = configurations().into_iter().chain(with_trailers());
    let whole: Vec<_> = all.map(|one| one.to_string().into_bytes()).collect();
    for seed in 0..5_000 {
        case(seed, |rng| {
            let mut text = rng.choice(&whole).unwrap().clone();
            spoil(&mut text, rng);
            let _ = Host::<TrailersTag>::configure(text);
        });
    }
}

#[test]
fn a_request_that_could_not_be_tagged_is_refused() {
    for (configuration, call) in [
        (
            json!({"request": {"set": {"x-tag": "1"}}}),
            "proxy_replace_header_map_value",
        ),
        (
            json!({"request": {"append": {"x-tag": "1"}}}),
            "proxy_add_header_map_value",
        ),
        (
            json!({"request": {"remove": "x-tag"}}),
            "proxy_remove_header_map_value",
        ),
        (
            json!({"request": {"set": {"x-tag": "%REQ(x-a)%"}}}),
            "proxy_get_header_map_pairs",
        ),
        (
            json!({"request": {"set": {"x-tag": "%PROTOCOL%"}}}),
            "proxy_get_property",
        ),
        (
            json!({"request": {"add_if_absent": {"x-tag": "1"}}}),
            "proxy_get_header_map_value",
        ),
        (
            json!({"when": {"method": "GET"}, "request": {"set": {"x-tag": "1"}}}),
            "proxy_get_header_map_pairs",
        ),
        (
            json!({"response": {"set": {"x-tag": "%REQ(x-a)%"}}}),
            "proxy_get_header_map_pairs",
        ),
    ] {
        for status in [2, 10, 12, 99, u32::MAX] {
            let host = Host::<HeaderTag>::configure(json!({"rules": [configuration]})).unwrap();
            host.answer_nth(call, 1, Answer::Status(status));

            let refused = host.exchange(Request::get("/")).run();
            let next = host.exchange(Request::get("/")).run();

            let case = format!("{configuration} {call} {status}");
            assert_eq!(refused.outcome, Outcome::Replied, "{case}");
            assert_eq!(refused.status(), 500, "{case}");
            assert!(refused.upstream.is_none(), "{case}");
            assert_eq!(refused.counted("header_tag.errors"), 1, "{case}");
            assert_eq!(next.outcome, Outcome::Answered, "{case}");
        }
    }
}

#[test]
fn a_response_that_could_not_be_changed_is_refused() {
    let configuration = json!({"rules": [{"response": {"remove": "x-secret"}}]});
    let host = Host::<HeaderTag>::configure(configuration).unwrap();
    host.answer_nth("proxy_remove_header_map_value", 1, Answer::Status(10));
    let response = || Response::ok().header("x-secret", "1");

    let refused = host.exchange(Request::get("/")).upstream(response());
    let next = host.exchange(Request::get("/")).upstream(response());

    assert_eq!(refused.outcome, Outcome::Replied);
    assert_eq!(refused.response().header("x-secret"), None);
    assert_eq!(
        (next.status(), next.response().header("x-secret")),
        (200, None)
    );
}

#[test]
fn trailers_that_could_not_be_changed_go_nowhere() {
    let trailers = json!({"remove": "x-secret"});
    let configuration = json!({"rules": [
        {"request_trailers": trailers, "response_trailers": trailers},
    ]});
    let host = || Host::<TrailersTag>::configure(configuration.clone()).unwrap();
    let request = || Request::post("/").body("a").trailer("x-secret", "1");
    let response = || Response::ok().body("b").trailer("x-secret", "1");
    let well = host().exchange(request()).upstream(response());
    assert_eq!(well.outcome, Outcome::Answered);
    assert_eq!(well.upstream().trailers.text("x-secret"), None);
    assert_eq!(well.response().trailers.text("x-secret"), None);
    for nth in [1, 2] {
        let host = host();
        host.answer_nth("proxy_remove_header_map_value", nth, Answer::Status(10));

        let failed = host.exchange(request()).upstream(response());

        assert_ne!(failed.outcome, Outcome::Answered, "{nth}");
        assert_eq!(failed.upstream.is_some(), nth == 2, "{nth}");
        assert_eq!(failed.counted("header_tag.errors"), 1, "{nth}");
    }
}
