//! A host that answers anything at all: the filter never panics, and lets no response through
//! that it could not give its policy. Configurations of any kind.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use csp::{Csp, CspHeader};
use legation_testing::chaos::{Spoiler, case};
use legation_testing::{Answer, Host, Outcome, Request, Response, chaos};
use serde_json::{Value, json};

/// Cases for each configuration; there are five.
const CASES: u64 = 5_000;

fn configurations() -> [Value; 5] {
    [
        json!({"rules": [{"preset": "helmet"}]}),
        json!({
            "stat_prefix": "edge",
            "lint": "off",
            "reporting_endpoints": {"csp": "/reports", "other": "https://reports.example/csp"},
            "rules": [
                {"name": "legacy", "when": {"path": {"prefix": "/legacy/"}}, "disabled": true},
                {
                    "name": "api",
                    "when": {"path": {"prefix": "/api/"}},
                    "preset": "api",
                    "content_types": ["*/*"],
                    "remove_headers": ["x-1", "x-2"]
                },
                {
                    "when": {"headers": [{"name": "x-1", "present": true}]},
                    "preset": "strict",
                    "nonce": {"request_header": "x-2"},
                    "existing_policy": "merge",
                    "existing_headers": "keep",
                    "security_headers": {
                        "strict_transport_security": "max-age=5; includeSubDomains",
                        "x_frame_options": "SAMEORIGIN",
                        "referrer_policy": "no-referrer, origin",
                        "permissions_policy": "camera=(self \"https://a.example\")",
                        "clear_site_data": true,
                        "x_xss_protection": false
                    }
                },
                {
                    "policy": {"default-src": ["'self'"], "img-src": "*", "upgrade-insecure-requests": true, "report-to": "csp"},
                    "report_only_policy": "script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; report-to other",
                    "existing_policy": "keep",
                    "content_types": ["text/html", "text/javascript"]
                }
            ]
        }),
        json!({"rules": [{
            "policy": "script-src 'nonce-{nonce}' 'strict-dynamic'",
            "nonce": {
                "request_header": "x-nonce",
                "placeholder": "{{csp-nonce-8f3b1c}}",
                "elements": ["script[src^=\"https://cdn.example/\"]", "script[data-trusted=\"8f3b1c\"]"]
            },
            "existing_policy": "append"
        }]}),
        json!({
            "rules": [{"learn": true, "report_only_policy": "default-src 'none'"}],
            "collector": {"path": "/reports", "max_bytes": 1_000, "max_reports_per_second": 5},
            "learning": {
                "path": "/proposal",
                "allow": {"headers": [{"name": "x-operator", "exact": "secret"}]},
                "max_entries": 3
            }
        }),
        json!({"mode": "report", "lint": "deny", "rules": [{
            "preset": "strict",
            "nonce": {"elements": "script[data-trusted=\"8f3b1c\"]"},
            "learn": true
        }], "learning": {"path": "/proposal", "allow": {"source_ip": "10.0.0.0/8"}}}),
    ]
}

#[test]
fn no_answer_of_the_host_makes_it_panic_or_let_a_failure_pass() {
    for (number, configuration) in configurations().into_iter().enumerate() {
        let report = chaos::run::<Csp>(configuration, CASES, 1);
        println!("{number}: {report}");
        // Chaos that never fails, or always, would show nothing.
        assert_eq!(report.cases, CASES);
        assert!(report.failures > CASES / 100, "{number}: {report}");
        assert!(report.let_through > CASES / 100, "{number}: {report}");
    }
}

#[test]
fn nor_the_module_for_headers() {
    for configuration in configurations().into_iter().take(2) {
        let report = chaos::run::<CspHeader>(configuration, CASES, 1);
        assert!(report.failures > CASES / 100, "{report}");
        assert!(report.let_through > CASES / 100, "{report}");
    }
}

#[test]
fn no_answer_while_it_is_configured_makes_it_panic() {
    chaos::configure::<Csp>(&configurations(), 1_000);
}

const PAGE: &str = "<!doctype html><script src=https://cdn.example/a.js></script><script \
    data-trusted=8f3b1c nonce={{csp-nonce-8f3b1c}}>a()</script><p onclick=b()>";

/// Loads spoilt configurations. Those that are taken are shown some responses.
fn fuzz_configurations(seeds: std::ops::Range<u64>) -> u64 {
    let donors = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!("*"),
        json!("'nonce-{nonce}'"),
        json!("'sha256-{hash}'"),
        json!("default-src 'self'; script-src 'nonce-{nonce}' 'unsafe-inline'"),
        json!({"script-src": ["'none'", "https:"], "sandbox": true}),
        json!("script:not([a]) > b"),
        json!("/a/../b"),
        json!({}),
        json!([]),
    ];
    let names = &[
        "policy",
        "nonce",
        "learn",
        "collector",
        "script-src",
        "report-to",
        "x_frame_options",
        "x",
    ];
    let spoiler = Spoiler::new(&configurations(), &donors, names);
    let mut taken = 0;
    for seed in seeds {
        case(seed, |rng| {
            let configuration = spoiler.configuration(rng);
            // It takes no more than the other.
            let light = Host::<CspHeader>::configure(configuration.clone()).is_ok();
            let Ok(host) = Host::<Csp>::configure(configuration) else {
                assert!(!light);
                return;
            };
            taken += 1;
            host.set_allow_on_headers_stop_iteration(true);
            for (path, content_type) in [("/api/a", ""), ("/", "text/html"), ("/x", "a/b")] {
                let response = Response::ok()
                    .header("content-type", content_type)
                    .header("content-security-policy", "img-src 'self', font-src *");
                let request = Request::get(path)
                    .header("x-1", "a")
                    .header("x-2", "forged");
                let exchange = host.exchange(request).upstream(response.body(PAGE));
                // It fails at none that Envoy would give it.
                assert_eq!(exchange.outcome, Outcome::Answered);
            }
            host.exchange(
                Request::post("/reports")
                    .body("{\"csp-report\":{\"effective-directive\":\"img-src\"}}"),
            )
            .run();
            host.tick();
        });
    }
    taken
}

#[test]
fn no_configuration_makes_it_panic() {
    let taken = fuzz_configurations(0..100_000);
    assert!(taken > 1_000, "{taken}");
}

mod soak {
    /// `cargo xtask soak`
    #[test]
    #[ignore = "takes minutes"]
    fn none_of_a_million_configurations_makes_it_panic() {
        super::fuzz_configurations(1_000_000..2_000_000);
    }
}

/// A response without its policy is one that the filter has failed at.
#[test]
fn a_response_that_could_not_get_its_policy_is_refused() {
    let nonce = json!({"request_header": "x-nonce"});
    for (rule, call) in [
        (
            json!({"policy": "default-src 'self'"}),
            "proxy_get_header_map_value",
        ),
        (
            json!({"policy": "default-src 'self'"}),
            "proxy_replace_header_map_value",
        ),
        (
            json!({"policy": "default-src 'self'", "existing_policy": "append"}),
            "proxy_add_header_map_value",
        ),
        (
            json!({"policy": "default-src 'self'", "existing_policy": "merge"}),
            "proxy_get_header_map_pairs",
        ),
        (
            json!({"policy": "script-src 'nonce-{nonce}'", "nonce": nonce}),
            "proxy_get_header_map_pairs",
        ),
        (
            json!({"remove_headers": "x-secret"}),
            "proxy_remove_header_map_value",
        ),
    ] {
        for status in [2, 10, 12, 99, u32::MAX] {
            let host = Host::<Csp>::configure(json!({"lint": "off", "rules": [rule]})).unwrap();
            host.answer_nth(call, 1, Answer::Status(status));
            let page = || {
                Response::ok()
                    .header("content-type", "text/html")
                    .header("x-secret", "1")
            };

            let refused = host.exchange(Request::get("/")).upstream(page());
            let next = host.exchange(Request::get("/")).upstream(page());

            let case = format!("{rule} {call} {status}");
            assert_eq!(refused.outcome, Outcome::Replied, "{case}");
            assert_eq!(refused.status(), 500, "{case}");
            assert_eq!(refused.response().header("x-secret"), None, "{case}");
            assert_eq!(next.status(), 200, "{case}");
        }
    }
}

#[test]
fn a_request_of_which_the_upstream_could_not_be_told_is_refused() {
    let configuration = json!({"rules": [
        {"when": {"path": {"prefix": "/plain/"}}, "preset": "helmet"},
        {"preset": "strict", "nonce": {"request_header": "x-nonce"}}
    ]});
    for (path, call) in [
        ("/", "proxy_get_header_map_pairs"),
        ("/", "proxy_replace_header_map_value"),
        // A nonce that a client made up stays on it.
        ("/plain/", "proxy_remove_header_map_value"),
    ] {
        let host = Host::<Csp>::configure(configuration.clone()).unwrap();
        host.answer_nth(call, 1, Answer::Status(10));
        let forged = || Request::get(path).header("x-nonce", "forged");

        let refused = host.exchange(forged()).run();
        let next = host.exchange(forged()).run();

        assert_eq!(refused.status(), 500, "{path} {call}");
        assert!(refused.upstream.is_none(), "{path} {call}");
        assert_eq!(next.status(), 200, "{path} {call}");
    }
}
