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

use legation_testing::chaos::{Spoiler, case};
use legation_testing::{Answer, Host, Outcome, Request, chaos};
use rate_limit::RateLimit;
use serde_json::{Value, json};

/// Cases for each configuration; there are five.
const CASES: u64 = 5_000;

fn configurations() -> [Value; 5] {
    let address = || json!({"actions": [{"remote_address": {}}]});
    [
        json!({"token_bucket": {"max_tokens": 3, "fill_interval": "1s"}}),
        json!({
            "stat_prefix": "edge",
            "rate_limits": [
                {
                    "match": {"path": {"prefix": "/a"}},
                    "actions": [
                        {"remote_address": {}},
                        {"request_headers": {"header_name": "x-1", "descriptor_key": "user", "skip_if_absent": true}}
                    ],
                    "hits_addend": {"format": "%REQ(x-2)%"}
                },
                {"actions": [
                    {"masked_remote_address": {"v4_prefix_mask_len": 24}},
                    {"query_parameters": {"query_parameter_name": "q", "descriptor_key": "q"}}
                ]},
                {"actions": [
                    {"jwt_claim": {"claim": "sub", "filter_state": "user", "descriptor_key": "sub"}},
                    {"path_template": {"template": "/a/{id}/**", "capture": "id"}}
                ]},
                {"actions": [{"destination_cluster": {}}, {"method": {}}, {"cookie": {"name": "a", "descriptor_key": "a"}}]},
                {"actions": [{"header_value_match": {"descriptor_value": "a", "headers": [{"name": "x-1", "present": true}]}}]}
            ],
            "descriptors": [
                {"entries": [{"key": "remote_address"}], "limits": [
                    {"token_bucket": {"max_tokens": 2, "tokens_per_fill": 2, "fill_interval": "1s"}},
                    {"fixed_window": {"requests": 3, "window": "60s"}},
                    {"sliding_window": {"requests": 5, "window": "1h"}}
                ]},
                {"entries": [{"key": "remote_address"}, {"key": "user"}], "sliding_window": {"requests": 1, "window": "1s"}},
                {"entries": [{"key": "sub"}, {"key": "path_template"}], "concurrency": {"max": 1}},
                {"entries": [{"key": "header_match", "value": "a"}], "fixed_window": {"requests": 1, "window": "1s"}, "shadow_mode": true}
            ],
            "concurrency": {"max": 2},
            "filter_enabled": 90,
            "response_headers_to_add": [{"header": {"key": "x-limited", "value": "%REQ(x-1)%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "enable_ratelimit_headers": "DRAFT_VERSION_10",
            "local_rate_limit_per_downstream_connection": true,
            "xff_num_trusted_hops": 1
        }),
        json!({
            "rate_limits": [address()],
            "descriptors": [{"entries": [{"key": "remote_address"}], "fixed_window": {"requests": 1_000, "window": "1s"}}],
            "sliding_window": {"requests": 100, "window": "1s"},
            "lease": {"size": 10, "max_age": "1s"},
            "max_dynamic_descriptors": 10,
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03"
        }),
        json!({
            "mode": "report",
            "rate_limits": [address()],
            "descriptors": [{"entries": [{"key": "remote_address"}], "token_bucket": {"max_tokens": 1, "fill_interval": "1s"}}],
            "filter_enforced": 50,
            "request_headers_to_add_when_not_enforced": [{"header": {"key": "x-limited", "value": "true"}}]
        }),
        json!({
            "rate_limits": [
                address(),
                {"actions": [{"method": {}}], "limit": {"requests_per_unit": 5, "unit": "MINUTE"}}
            ],
            "rate_limit_service": {
                "grpc_service": {"envoy_grpc": {"cluster_name": "limits"}},
                "domain": "edge",
                "failure_mode_deny": true,
                "retry_policy": {"num_retries": 1},
                "circuit_breaker": {"consecutive_failures": 5}
            },
            "token_bucket": {"max_tokens": 10, "fill_interval": "1s"},
            "filter_enforced": 50,
            "rate_limited_as_resource_exhausted": true
        }),
    ]
}

#[test]
fn no_answer_of_the_host_makes_it_panic_or_let_a_failure_pass() {
    for (number, configuration) in configurations().into_iter().enumerate() {
        let report = chaos::run::<RateLimit>(configuration, CASES, 1);
        println!("{number}: {report}");
        assert_eq!(report.cases, CASES);
        assert!(report.failures > CASES / 100, "{number}: {report}");
    }
}

#[test]
fn no_answer_while_it_is_configured_makes_it_panic() {
    chaos::configure::<RateLimit>(&configurations(), 1_000);
}

/// Loads spoilt configurations. Those that are taken decide about some requests.
fn fuzz_configurations(seeds: std::ops::Range<u64>) -> u64 {
    let donors = [
        json!(null),
        json!(0),
        json!(-1),
        json!(4_294_967_295_u32),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!("1ms"),
        json!("8784h"),
        json!({}),
        json!([]),
        json!("%REQ(x-1)%"),
    ];
    let names = &[
        "actions",
        "limits",
        "hits_addend",
        "token_bucket",
        "lease",
        "x",
    ];
    let spoiler = Spoiler::new(&configurations(), &donors, names);
    let mut taken = 0;
    for seed in seeds {
        case(seed, |rng| {
            if let Ok(host) = Host::<RateLimit>::configure(spoiler.configuration(rng)) {
                taken += 1;
                for _ in 0..3 {
                    let request = Request::get("/a/b/c?q=x").header("x-1", "a");
                    host.exchange(request.header("x-2", "2")).run();
                }
                host.tick();
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
    let by_address = |more: Value| {
        let mut configuration = json!({
            "rate_limits": [{"actions": [{"remote_address": {}}, {"method": {}}]}],
            "descriptors": [{
                "entries": [{"key": "remote_address"}, {"key": "method"}],
                "token_bucket": {"max_tokens": 100, "fill_interval": "1s"}
            }]
        });
        let (whole, more) = (
            configuration.as_object_mut().unwrap(),
            more.as_object().unwrap(),
        );
        whole.extend(more.clone());
        configuration
    };
    let connection = json!({"local_rate_limit_per_downstream_connection": true});
    for (more, call) in [
        (json!({}), "proxy_get_header_map_pairs"),
        (json!({}), "proxy_get_property"),
        (json!({}), "proxy_get_current_time_nanoseconds"),
        (json!({}), "proxy_get_shared_data"),
        (json!({}), "proxy_set_shared_data"),
        (connection, "proxy_get_property"),
    ] {
        // Neither "there is none" nor "somebody was quicker".
        for status in [2, 10, 12, 99, u32::MAX] {
            let host = Host::<RateLimit>::configure(by_address(more.clone())).unwrap();
            host.answer_nth(call, 1, Answer::Status(status));

            let refused = host.exchange(Request::get("/")).run();
            let next = host.exchange(Request::get("/")).run();

            let case = format!("{more} {call} {status}");
            assert_eq!(refused.outcome, Outcome::Replied, "{case}");
            assert_eq!(refused.status(), 500, "{case}");
            assert!(refused.upstream.is_none(), "{case}");
            assert_eq!(next.status(), 200, "{case}");
        }
    }
}
