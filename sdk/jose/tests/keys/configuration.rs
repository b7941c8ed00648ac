use legation_testing::Host;
use serde_json::{Value, json};

use crate::support::{Keyed, remote};

fn refused(configuration: &Value) -> Vec<String> {
    match Host::<Keyed>::configure(configuration.clone()) {
        Ok(_) => Vec::new(),
        Err(refused) => refused.lines,
    }
}

#[test]
fn everything_that_envoy_has_is_taken() {
    let lines = refused(&remote(json!({
        "cache_duration": "300s",
        "async_fetch": { "fast_listener": true, "failed_refetch_duration": "2s" },
        "retry_policy": {
            "num_retries": 3,
            "retry_back_off": { "base_interval": "0.1s", "max_interval": "1s" },
        },
        "stale_if_error": "0s",
        "unknown_key_refetch_interval": "5s",
        "first_fetch_timeout": "1s",
        "max_response_bytes": 65536,
    })));
    assert_eq!(lines, [""; 0]);
}

#[test]
fn mistakes_are_told() {
    let with =
        |uri: &str| json!({ "remote_jwks": { "http_uri": { "uri": uri, "cluster": "idp" } } });
    for (configuration, told) in [
        (
            with("issuer.example/keys"),
            "remote_jwks.http_uri.uri: expected a URL, got \"issuer.example/keys\"",
        ),
        (
            with("/keys"),
            "expected a URL that begins with https:// or http://",
        ),
        (
            with("ftp://issuer.example/keys"),
            "expected a URL that begins with https:// or http://",
        ),
        (
            with("https://me@issuer.example/"),
            "expected a URL with a host, and without a user",
        ),
        (
            with("https://issuer.example/#keys"),
            "a URL without a fragment is expected",
        ),
        (with("https://issuer.example/a b"), "expected a URL"),
        (with(""), "expected a URL"),
        (
            with(&format!("https://issuer.example/{}", "a".repeat(2_048))),
            "a URL has at most 2048 bytes",
        ),
        (
            json!({ "remote_jwks": { "http_uri": { "uri": "https://a/", "cluster": "https://a" } } }),
            "got a URL",
        ),
        (
            remote(json!({ "cache_duration": "0s" })),
            "cache_duration: out of range",
        ),
        (
            remote(json!({ "max_response_bytes": 10 })),
            "max_response_bytes: ",
        ),
        (remote(json!({ "cache_control": true })), "unknown field"),
        (
            json!({ "issuer": "accounts.example", "openid_configuration": { "cluster": "idp" } }),
            "`issuer` is not the beginning of a URL",
        ),
    ] {
        let lines = refused(&configuration);
        assert!(
            lines.iter().any(|line| line.contains(told)),
            "{configuration}: {lines:?}"
        );
    }
}
