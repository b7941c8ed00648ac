use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::config::parse;

fn read(text: &str) -> HttpServiceConfig {
    parse(text.as_bytes()).unwrap()
}

fn lines(text: &str) -> Vec<String> {
    let errors = parse::<HttpServiceConfig>(text.as_bytes()).unwrap_err();
    let without_place = |line: &str| line.split(" (line ").next().map(str::to_owned);
    errors
        .to_string()
        .lines()
        .filter_map(without_place)
        .collect()
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cluster_is_enough() {
    let config = read(r#"{"cluster": "outbound|443||idp.example"}"#);

    assert_eq!(config.cluster(), "outbound|443||idp.example");
    assert_eq!(config.timeout(), ms(5_000));
    assert_eq!(config.max_response_bytes(), 1_048_576);
    assert_eq!(config.retry_policy(), RetryPolicy::once(ms(5_000)));
    assert_eq!(config.circuit_breaker(), None);
    let made = HttpServiceConfig::of_cluster("outbound|443||idp.example");
    assert_eq!(format!("{made:?}"), format!("{config:?}"));
}

#[wasm_bindgen_test(unsupported = test)]
fn empty_objects_mean_the_usual() {
    let config =
        read(r#"{"cluster": "c", "retry_policy": {"retry_back_off": {}}, "circuit_breaker": {}}"#);

    let usual = RetryPolicy {
        num_retries: 1,
        retry_on: RetryOn::USUAL,
        back_off: Backoff::new(ms(25), ms(250)),
        ..RetryPolicy::once(ms(5_000))
    };
    assert_eq!(config.retry_policy(), usual);
    assert_eq!(config.circuit_breaker(), Some(BreakerSettings::default()));
}

#[wasm_bindgen_test(unsupported = test)]
fn reads_everything() {
    let config = read(
        r#"{
            "cluster": "c", "timeout": "2s", "max_response_bytes": 1,
            "retry_policy": {
                "num_retries": 3, "per_try_timeout": "250ms",
                "retry_on": ["5xx", "timeout, retriable-status-codes"],
                "retriable_status_codes": [409, 429],
                "retry_back_off": {"base_interval": "10ms", "max_interval": "15ms"}
            },
            "circuit_breaker": {
                "consecutive_failures": 7,
                "failure_ratio": {"percent": 50, "window": "1m", "min_requests": 3},
                "cool_down": "30s", "half_open_requests": 2
            }
        }"#,
    );

    assert_eq!(config.max_response_bytes(), 1);
    assert_eq!(
        config.retry_policy(),
        RetryPolicy {
            num_retries: 3,
            per_try_timeout: Some(ms(250)),
            timeout: ms(2_000),
            retry_on: RetryOn::FIVE_XX
                .and(RetryOn::TIMEOUT)
                .and(RetryOn::RETRIABLE_STATUS_CODES),
            retriable_status_codes: vec![409, 429],
            back_off: Backoff::new(ms(10), ms(15)),
        }
    );
    assert_eq!(
        config.circuit_breaker(),
        Some(BreakerSettings {
            consecutive_failures: Some(7),
            failure_ratio: Some(FailureRatio {
                percent: 50,
                window: ms(60_000),
                min_requests: 3,
            }),
            cool_down: ms(30_000),
            half_open_requests: 2,
        })
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn codes_alone_are_retried_beside_the_usual() {
    let config = read(r#"{"cluster": "c", "retry_policy": {"retriable_status_codes": 429}}"#);

    let usual = RetryOn::USUAL.and(RetryOn::RETRIABLE_STATUS_CODES);
    assert_eq!(config.retry_policy().retry_on, usual);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_ratio_alone_counts_no_rows() {
    let config =
        read(r#"{"cluster": "c", "circuit_breaker": {"failure_ratio": {"percent": 100}}}"#);

    let settings = config.circuit_breaker().unwrap();
    assert_eq!(settings.consecutive_failures, None);
    let ratio = settings.failure_ratio.unwrap();
    assert_eq!((ratio.window, ratio.min_requests), (ms(10_000), 20));
}

#[wasm_bindgen_test(unsupported = test)]
fn refuses_with_every_mistake() {
    assert_eq!(
        lines(
            r#"{
                "cluster": " ", "timeout": "9ms", "max_response_bytes": 0,
                "retry_policy": {
                    "num_retries": 11, "per_try_timeout": "6m",
                    "retry_on": "5XX,,retriable-4xx",
                    "retriable_status_codes": [199],
                    "retry_back_off": {"base_interval": "0s", "max_intervall": "1s"}
                },
                "circuit_breaker": {
                    "consecutive_failures": 0, "failure_ratio": {"window": "1ms"},
                    "cool_down": "2h", "half_open_requests": 101
                }
            }"#
        ),
        [
            "cluster: the name of a cluster must not be empty, nor begin or end with a space",
            "timeout: out of range: 9ms, allowed are 10ms to 5m",
            "max_response_bytes: out of range: 0, allowed are 1 to 33554432",
            "retry_policy.num_retries: out of range: 11, allowed are 0 to 10",
            "retry_policy.per_try_timeout: out of range: 6m, allowed are 10ms to 5m",
            "retry_policy.retry_on: unknown condition \"5XX\"; did you mean `5xx`? (known: 5xx, gateway-error, reset, connect-failure, retriable-status-codes, timeout, cancelled, deadline-exceeded, resource-exhausted, internal, unavailable)",
            "retry_policy.retry_on: unknown condition \"\"; known: 5xx, gateway-error, reset, connect-failure, retriable-status-codes, timeout, cancelled, deadline-exceeded, resource-exhausted, internal, unavailable",
            "retry_policy.retry_on: unknown condition \"retriable-4xx\"; name the status by `retriable-status-codes` and `retriable_status_codes: 409`",
            "retry_policy.retriable_status_codes[0]: out of range: 199, allowed are 200 to 599",
            "retry_policy.retry_back_off.base_interval: out of range: 0s, allowed are 1ms to 1m",
            "retry_policy.retry_back_off.max_intervall: unknown field; did you mean `max_interval`? (known: base_interval, max_interval)",
            "circuit_breaker.consecutive_failures: out of range: 0, allowed are 1 to 1000",
            "circuit_breaker.failure_ratio.percent: missing field",
            "circuit_breaker.failure_ratio.window: out of range: 1ms, allowed are 1s to 10m",
            "circuit_breaker.cool_down: out of range: 2h, allowed are 100ms to 1h",
            "circuit_breaker.half_open_requests: out of range: 101, allowed are 1 to 100",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn refuses_what_contradicts_itself() {
    for (text, line) in [
        (
            r#"{"cluster": "c", "timeout": "1s", "retry_policy": {"per_try_timeout": "1.001s"}}"#,
            "retry_policy.per_try_timeout: longer than `timeout`, which is for all tries together; give `timeout` room for more than one try",
        ),
        (
            r#"{"cluster": "c", "retry_policy": {"retry_on": "5xx", "retriable_status_codes": 429}}"#,
            "retry_policy.retriable_status_codes: `retry_on` does not name `retriable-status-codes`; without that word the codes say nothing",
        ),
        (
            r#"{"cluster": "c", "retry_policy": {"retry_on": "retriable-status-codes"}}"#,
            "retry_policy.retry_on: names `retriable-status-codes`, and there are none; list them in `retriable_status_codes`",
        ),
        (
            r#"{"cluster": "c", "retry_policy": {"retry_back_off": {"max_interval": "24ms"}}}"#,
            "retry_policy.retry_back_off.max_interval: shorter than `base_interval`, which is 25ms unless given",
        ),
        (
            r#"{"cluster": "https://idp.example/keys"}"#,
            "cluster: expected the name of a cluster, got a URL; Envoy reaches it by one of its clusters: name that",
        ),
        (
            r#"{"cluster": "c", "retry_policy": null}"#,
            "retry_policy: null; give a value, or leave the field out",
        ),
    ] {
        assert_eq!(lines(text), [line]);
    }
}
