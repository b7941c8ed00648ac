//! Every option, and every mistake with the whole of what is said of it.

mod refused;

use legation::config;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// What is said of a configuration.
fn errors(json: &str) -> Vec<String> {
    match config::parse::<Config>(json.as_bytes()) {
        Ok(config) => panic!("{json} is taken: {config:?}"),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn accept(json: &str) -> Config {
    config::parse(json.as_bytes()).unwrap_or_else(|errors| panic!("{json}\n{errors}"))
}

const BUCKET: &str = r#""token_bucket":{"max_tokens":1,"fill_interval":"1s"}"#;

fn in_action(action: &str) -> String {
    format!(r#"{{"rate_limits":[{{"actions":[{action}]}}],{BUCKET}}}"#)
}

fn in_rate_limit(field: &str) -> String {
    format!(r#"{{"rate_limits":[{{"actions":[{{"method":{{}}}}],{field}}}],{BUCKET}}}"#)
}

fn in_top(field: &str) -> String {
    format!("{{{field},{BUCKET}}}")
}

/// Each is refused with these words, and no others.
fn assert_refused(cases: &[(&str, &[&str])], around: impl Fn(&str) -> String) {
    for (written, expected) in cases {
        assert_eq!(errors(&around(written)), *expected, "{written}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_action_that_is_wrong_says_where_and_what_would_be_right() {
    assert_refused(refused::ACTION, in_action);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_rate_limit_that_is_wrong_says_where_and_what_would_be_right() {
    assert_refused(refused::RATE_LIMIT, in_rate_limit);
    assert_eq!(
        errors(&format!(r#"{{"rate_limits":[{{}}],{BUCKET}}}"#)),
        ["rate_limits[0].actions: missing field"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_limit_that_is_wrong_says_where_and_what_would_be_right() {
    assert_refused(refused::TOP, str::to_owned);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_option_that_is_wrong_says_where_and_what_would_be_right() {
    assert_refused(refused::BESIDE, in_top);
}

#[wasm_bindgen_test(unsupported = test)]
fn parts_that_do_not_fit_together_are_refused() {
    assert_refused(refused::ACROSS, str::to_owned);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_service_that_is_wrong_says_where_and_what_would_be_right() {
    assert_refused(refused::SERVICE, |service| {
        let asked = r#""rate_limits":[{"actions":[{"remote_address":{}}]}]"#;
        format!(r#"{{{asked},"rate_limit_service":{service}}}"#)
    });
}

#[wasm_bindgen_test(unsupported = test)]
fn the_shortest_configuration_has_defaults() {
    let config = accept(r#"{"token_bucket":{"max_tokens":100,"fill_interval":"60s"}}"#);

    let [Limit::TokenBucket(bucket)] = config.default_limits.as_slice() else {
        panic!("{config:?}");
    };
    assert_eq!(bucket.max_tokens.get(), 100);
    assert_eq!(bucket.tokens_per_fill.get(), 1);
    assert_eq!(bucket.fill_interval.get(), Duration::from_mins(1));
    assert_eq!(config.mode, Mode::Enforce);
    assert!(config.stat_prefix.0.is_none());
    assert!(config.always_consume_default_token_bucket);
    assert_eq!(config.filter_enabled.0.ppm(), 1_000_000);
    assert_eq!(config.filter_enforced.0.ppm(), 1_000_000);
    assert_eq!(config.reply.status, 429);
    assert!(!config.reply.x_ratelimit_headers);
    assert!(!config.reply.ratelimit_headers);
    assert!(!config.reply.rate_limited_as_resource_exhausted);
    assert!(!config.local_rate_limit_per_downstream_connection);
    assert_eq!(config.max_dynamic_descriptors, 100_000);
    assert_eq!(config.lease, None);
    assert_eq!(config.xff_num_trusted_hops, 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn every_option_is_taken() {
    let config = accept(
        r#"{
            "stat_prefix": "edge", "mode": "report",
            "rate_limits": [
                {
                    "match": {"path": {"prefix": "/login"}},
                    "actions": [
                        {"source_cluster": {}}, {"destination_cluster": {}},
                        {"request_headers": {"header_name": "X-User", "descriptor_key": "user", "skip_if_absent": true}},
                        {"query_parameters": {"query_parameter_name": "q", "descriptor_key": "q", "skip_if_absent": true}},
                        {"remote_address": {}},
                        {"masked_remote_address": {"v4_prefix_mask_len": 24, "v6_prefix_mask_len": 56}},
                        {"remote_address_match": {"descriptor_value": "in", "cidrs": ["10.0.0.0/8", "::1"], "invert_match": true, "descriptor_key": "a", "default_value": "b"}},
                        {"generic_key": {"descriptor_value": "a", "descriptor_key": "b", "default_value": "c"}},
                        {"header_value_match": {"descriptor_value": "a", "headers": [{"name": "x-a", "exact": "b"}], "expect_match": false, "descriptor_key": "b", "default_value": "c"}},
                        {"query_parameter_value_match": {"descriptor_value": "a", "query_parameters": [{"name": "a", "present": true}], "expect_match": false, "descriptor_key": "b", "default_value": "c"}},
                        {"metadata": {"descriptor_key": "a", "metadata_key": {"key": "com.example", "path": [{"key": "a"}, {"key": "b"}]}, "source": "ROUTE_ENTRY", "default_value": "c", "skip_if_absent": true}},
                        {"jwt_claim": {"claim": "realm.name", "filter_state": "user", "descriptor_key": "a", "default_value": "c", "skip_if_absent": true}},
                        {"cookie": {"name": "session", "descriptor_key": "a", "default_value": "c", "skip_if_absent": true}},
                        {"path_template": {"template": ["/a/{id}", "/b/{id}/**"], "capture": "id", "descriptor_key": "a", "default_value": "c", "skip_if_absent": true}},
                        {"method": {"descriptor_key": "a"}},
                        {"format": {"format": "%REQ(x-a)%", "descriptor_key": "a", "default_value": "c", "skip_if_absent": true}}
                    ],
                    "hits_addend": {"number": 5}
                },
                {"actions": [{"method": {}}], "hits_addend": {"format": "%REQ(x-cost)%"}}
            ],
            "descriptors": [
                {"name": "writes", "entries": [{"key": "method", "value": "POST"}], "concurrency": {"max": 3}, "shadow_mode": true},
                {"entries": [{"key": "method"}], "limits": [
                    {"token_bucket": {"max_tokens": 10, "tokens_per_fill": 2, "fill_interval": "0.5s"}},
                    {"fixed_window": {"requests": 100, "window": "1h"}},
                    {"sliding_window": {"requests": 1000, "window": "24h"}}
                ]}
            ],
            "fixed_window": {"requests": 7, "window": "1s"},
            "always_consume_default_token_bucket": false,
            "filter_enabled": {"default_value": {"numerator": 5}},
            "filter_enforced": 12.5,
            "status": {"code": 503},
            "response_headers_to_add": [{"header": {"key": "x-a", "value": "%REQ(x-b)%"}, "append_action": "OVERWRITE_IF_EXISTS", "keep_empty_value": true}],
            "request_headers_to_add_when_not_enforced": [{"header": {"key": "x-a", "value": "b"}}],
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "enable_ratelimit_headers": "DRAFT_VERSION_10",
            "rate_limited_as_resource_exhausted": true,
            "local_rate_limit_per_downstream_connection": true,
            "max_dynamic_descriptors": 5,
            "xff_num_trusted_hops": 2
        }"#,
    );

    assert_eq!(config.mode, Mode::Report);
    assert_eq!(config.rate_limits[0].actions.len(), 16);
    let hits = config.rate_limits[0].hits_addend.0.as_ref();
    assert_eq!(hits.and_then(HitsAddend::number), Some(5));
    assert_eq!(config.descriptors[0].name.as_str(), "writes");
    assert!(config.descriptors[0].shadow_mode);
    assert_eq!(config.descriptors[1].name.as_str(), "method");
    assert_eq!(config.descriptors[1].limits.len(), 3);
    assert!(matches!(
        config.default_limits.as_slice(),
        [Limit::FixedWindow(_)]
    ));
    assert!(!config.always_consume_default_token_bucket);
    assert_eq!(config.filter_enabled.0.ppm(), 50_000);
    assert_eq!(config.filter_enforced.0.ppm(), 125_000);
    assert_eq!(config.reply.status, 503);
    let [header] = config.reply.response_headers_to_add.0.as_slice() else {
        panic!("{config:?}");
    };
    assert_eq!(header.append_action, AppendAction::OverwriteIfExists);
    assert!(header.keep_empty_value);
    assert!(config.reply.x_ratelimit_headers);
    assert!(config.reply.ratelimit_headers);
    assert!(config.reply.rate_limited_as_resource_exhausted);
    assert!(config.local_rate_limit_per_downstream_connection);
    assert_eq!(config.max_dynamic_descriptors, 5);
    assert_eq!(config.xff_num_trusted_hops, 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_service_has_defaults() {
    let config = accept(
        r#"{
            "rate_limits": [{"actions": [{"remote_address": {}}]}],
            "rate_limit_service": {
                "grpc_service": {"envoy_grpc": {"cluster_name": "limits"}},
                "domain": "edge"
            }
        }"#,
    );

    assert!(config.default_limits.is_empty());
    let service = config.service.unwrap();
    assert_eq!(service.domain(), "edge");
    assert!(!service.failure_mode_deny);
    assert_eq!(service.status_on_error(), 500);
    assert!(!service.disable_x_envoy_ratelimited_header);
    assert_eq!(service.deny_cache_max_age(), Duration::from_mins(1));
}

#[wasm_bindgen_test(unsupported = test)]
fn every_option_of_a_service_is_taken() {
    let config = accept(
        r#"{
            "rate_limits": [{
                "actions": [{"remote_address": {}}],
                "limit": {"requests_per_unit": 5, "unit": "MINUTE"}
            }],
            "rate_limit_service": {
                "grpc_service": {"envoy_grpc": {"cluster_name": "limits"}, "timeout": "50ms"},
                "domain": "edge",
                "failure_mode_deny": true,
                "status_on_error": {"code": 503},
                "disable_x_envoy_ratelimited_header": true,
                "deny_cache": {"max_age": "0s"},
                "retry_policy": {"num_retries": 1},
                "circuit_breaker": {"consecutive_failures": 5}
            }
        }"#,
    );

    let limit = config.rate_limits[0].limit.0.unwrap();
    assert_eq!((limit.requests_per_unit(), limit.unit), (5, Unit::Minute));
    let service = config.service.unwrap();
    assert!(service.failure_mode_deny);
    assert_eq!(service.status_on_error(), 503);
    assert!(service.disable_x_envoy_ratelimited_header);
    assert_eq!(service.deny_cache_max_age(), Duration::ZERO);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lease_has_its_size_and_age() {
    let config = accept(&in_top(r#""lease":{"size":10,"max_age":"1.5s"}"#));
    let lease = Lease {
        size: 10,
        max_age: Duration::from_millis(1500),
    };
    assert_eq!(config.lease, Some(lease));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fraction_is_a_share_of_its_denominator() {
    for (written, ppm) in [
        (r#"{"default_value":{"numerator":0}}"#, 0),
        (
            r#"{"default_value":{"numerator":100,"denominator":"HUNDRED"}}"#,
            1_000_000,
        ),
        (
            r#"{"default_value":{"numerator":5,"denominator":"TEN_THOUSAND"}}"#,
            500,
        ),
        (
            r#"{"default_value":{"numerator":5,"denominator":"MILLION"}}"#,
            5,
        ),
        ("0", 0),
        ("0.0001", 1),
    ] {
        let config = accept(&in_top(&format!(r#""filter_enabled":{written}"#)));
        assert_eq!(config.filter_enabled.0.ppm(), ppm, "{written}");
        assert!(!config.filter_enabled.0.admits(u64::from(ppm)) || ppm == 1_000_000);
        assert_eq!(config.filter_enabled.0.admits(0), ppm > 0);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn descriptors_without_names_have_those_of_their_keys_each_another() {
    let entries = [
        r#"[{"key":"Path.Template"},{"key":"method","value":"GET"}]"#,
        r#"[{"key":"Path.Template"},{"key":"method","value":"POST"}]"#,
        r#"[{"key":"Path.Template"},{"key":"method"}]"#,
    ];
    let descriptors = entries.map(|entries| format!(r#"{{"entries":{entries},{BUCKET}}}"#));
    let config = accept(&format!(
        r#"{{
            "rate_limits":[
                {{"actions":[
                    {{"path_template":{{"template":"/a","descriptor_key":"Path.Template"}}}},
                    {{"method":{{}}}}
                ]}},
                {{"actions":[{{"generic_key":{{"descriptor_value":"a","descriptor_key":"default"}}}}]}}
            ],
            "descriptors":[{},
                {{"name":"path_template_method_2","entries":[{{"key":"default","value":"a"}}],{BUCKET}}},
                {{"entries":[{{"key":"default"}}],{BUCKET}}}
            ]
        }}"#,
        descriptors.join(",")
    ));

    let names: Vec<_> = config
        .descriptors
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "path_template_method",
            "path_template_method_3",
            "path_template_method_4",
            "path_template_method_2",
            "default_2"
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_descriptor_may_lack_what_an_action_may_leave_out() {
    let with = |keys: &[&str]| {
        let entries: Vec<_> = keys
            .iter()
            .map(|key| format!(r#"{{"key":"{key}"}}"#))
            .collect();
        let header = |name: &str, skip: bool| {
            format!(
                r#"{{"request_headers":{{"header_name":"{name}","descriptor_key":"{name}","skip_if_absent":{skip}}}}}"#
            )
        };
        let actions = [header("a", true), header("b", false), header("a", true)];
        format!(
            r#"{{"rate_limits":[{{"actions":[{}]}}],"descriptors":[{{"entries":[{}],{BUCKET}}}]}}"#,
            actions.join(","),
            entries.join(",")
        )
    };
    for keys in [&["b"][..], &["a", "b"], &["b", "a"], &["a", "b", "a"]] {
        accept(&with(keys));
    }
    for keys in [&["a"][..], &["a", "a"], &["b", "b"], &["a", "b", "a", "a"]] {
        let errors = errors(&with(keys));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].starts_with("descriptors[0].entries: none of `rate_limits` makes such"),
            "{errors:?}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_value_is_one_that_the_action_can_give() {
    let with = |action: &str, value: &str| {
        format!(
            r#"{{"rate_limits":[{{"actions":[{action}]}}],"descriptors":[{{"entries":[{{"key":"k","value":"{value}"}}],{BUCKET}}}]}}"#
        )
    };
    let fixed = r#"{"generic_key":{"descriptor_value":"a","descriptor_key":"k"}}"#;
    let open = r#"{"format":{"format":"%REQ(x-a)%","descriptor_key":"k","default_value":"a"}}"#;
    accept(&with(fixed, "a"));
    accept(&with(open, "a"));
    accept(&with(open, "b"));
    assert_eq!(
        errors(&with(fixed, "b")),
        [
            "descriptors[0].entries: none of `rate_limits` makes such a descriptor; the keys are those of rate_limits[0], and a value is another there"
        ]
    );
}
