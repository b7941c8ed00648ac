//! A host that answers anything at all: the filter never panics, and lets no
//! request through of which it could not decide. Configurations of any kind.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

mod support;

use jwt_auth::JwtAuth;
use legation_testing::chaos::{Spoiler, case};
use legation_testing::{Answer, Host, Outcome, Request, chaos};
use serde_json::{Value, json};
use support::{configuration, provider, token};

/// Cases for each configuration; there are four.
const CASES: u64 = 5_000;

fn configurations() -> [Value; 4] {
    let good = token(&json!({}));
    [
        configuration(&json!({})),
        json!({
            "bypass_cors_preflight": true,
            "realm": "the api",
            "providers": {
                "a": provider(&json!({
                    "audiences": ["api"],
                    "subjects": {"prefix": "a"},
                    "max_lifetime": "876000h",
                    "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
                    "from_params": ["token"],
                    "from_cookies": ["session"],
                    "forward_payload_header": "x-payload",
                    "pad_forward_payload_header": true,
                    "claim_to_headers": [
                        {"header_name": "x-user", "claim_name": "sub"},
                        {"header_name": "x-roles", "claim_path": ["realm", "roles"], "list_separator": " "}
                    ],
                    "payload_in_filter_state": "payload",
                    "header_in_filter_state": "header",
                    "failed_status_in_filter_state": "failed",
                    "clear_route_cache": true,
                    "required_scopes": {"any": ["read", "write"]},
                    "required_claims": [{"claim_name": "tenant", "regex": "t[0-9]+"}]
                })),
                "b": provider(&json!({"issuer": "https://b.example", "forward": true}))
            },
            "requirement_map": {
                "either": {"requires_any": {"requirements": [
                    {"provider_name": "a"},
                    {"provider_and_audiences": {"provider_name": "b", "audiences": ["x"]}},
                    {"allow_missing": {}}
                ]}}
            },
            "rules": [
                {"match": {"path": {"prefix": "/a"}}, "requirement_name": "either"},
                {"match": {"method": "GET", "headers": [{"name": "x-1", "exact": good}]},
                 "requires": {"requires_all": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}}},
                {"match": {"percentage": 50}, "requires": {"allow_missing_or_failed": {}}},
                {"match": {"path": {"prefix": "/b"}}, "requires": {"extract_only_without_validation": {}}},
                {"match": {"path": {"prefix": "/c"}}, "disabled": true},
                {"requires": {"provider_name": "a"}, "required_authentication": {"max_age": "60s"}}
            ]
        }),
        json!({
            "mode": "report",
            "providers": {"a": {
                "issuer": support::ISSUER,
                "remote_jwks": {"http_uri": {"uri": "https://a.example/keys", "cluster": "keys", "timeout": "1s"}},
                "dpop": {"mode": "required", "nonce": {}},
                "certificate_bound": {"mode": "required"}
            }},
            "rules": [{"match": {"path": {"prefix": "/"}}, "requires": {"provider_name": "a"}}]
        }),
        json!({
            "providers": {
                "a": {
                    "issuer": support::ISSUER,
                    "openid_configuration": {"cluster": "login"}
                },
                "b": {"introspection": {
                    "http_uri": {"uri": "https://a.example/introspect", "cluster": "login"},
                    "client_id": "c", "client_secret": {"inline_string": "s"}
                }}
            },
            "rules": [{"requires": {"requires_any": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}}}]
        }),
    ]
}

#[test]
fn no_answer_of_the_host_makes_it_panic_or_let_a_failure_pass() {
    for (number, configuration) in configurations().into_iter().enumerate() {
        let report = chaos::run::<JwtAuth>(configuration, CASES, 1);
        println!("{number}: {report}");
        assert_eq!(report.cases, CASES);
        assert!(report.failures > CASES / 100, "{number}: {report}");
    }
}

#[test]
fn no_answer_while_it_is_configured_makes_it_panic() {
    chaos::configure::<JwtAuth>(&configurations(), 1_000);
}

/// Loads spoilt configurations. Those that are taken decide about a request.
fn fuzz_configurations(seeds: std::ops::Range<u64>) -> u64 {
    let donors = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!({}),
        json!([]),
        json!("%ENVIRONMENT(X)%"),
    ];
    let names = &["a", "requires", "issuer", "rules", "dpop", "x"];
    let spoiler = Spoiler::new(&configurations(), &donors, names);
    let mut taken = 0;
    for seed in seeds {
        case(seed, |rng| {
            if let Ok(host) = Host::<JwtAuth>::configure(spoiler.configuration(rng)) {
                taken += 1;
                let authorization = format!("Bearer {}", token(&json!({})));
                host.exchange(Request::get("/a?token=x").header("authorization", authorization))
                    .run();
            }
        });
    }
    taken
}

#[test]
fn no_configuration_makes_it_panic() {
    assert!(fuzz_configurations(0..3_000) > 30);
}

mod soak {
    /// `cargo xtask soak`
    #[test]
    #[ignore = "takes minutes"]
    fn none_of_a_million_configurations_makes_it_panic() {
        super::fuzz_configurations(1_000_000..2_000_000);
    }
}

#[test]
fn a_request_of_which_it_could_not_decide_is_refused() {
    let stripping = json!({"claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}]});
    for (more, call) in [
        (json!({}), "proxy_get_header_map_pairs"),
        (json!({}), "proxy_get_current_time_nanoseconds"),
        (json!({}), "proxy_remove_header_map_value"),
        (stripping, "proxy_add_header_map_value"),
        (
            json!({"payload_in_filter_state": "p"}),
            "proxy_set_property",
        ),
    ] {
        for status in [2, 10, 12, 99, u32::MAX] {
            let host = Host::<JwtAuth>::configure(configuration(&more)).unwrap();
            let request = || {
                let token = format!("Bearer {}", token(&json!({})));
                Request::get("/").header("authorization", token)
            };
            host.answer_nth(call, 1, Answer::Status(status));

            let refused = host.exchange(request()).run();
            let next = host.exchange(request()).run();

            let case = format!("{more} {call} {status}");
            assert_eq!(refused.outcome, Outcome::Replied, "{case}");
            assert_eq!(refused.status(), 500, "{case}");
            assert!(refused.upstream.is_none(), "{case}");
            assert_eq!(next.status(), 200, "{case}");
        }
    }
}
