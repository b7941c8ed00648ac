//! The filters' metrics, as Prometheus gets to see them by the shipped `stats_tags`.

use std::collections::BTreeSet;

use anyhow::Result;
use legation_tests::{DEADLINE, wait_for};

use crate::traffic::world;
use legation_tests::trials::Test;

pub const TESTS: &[Test] = &[(
    "every metric of the filters has its labels, and none of them in its name",
    has_its_labels,
)];

/// How the names of the filters' metrics begin.
pub const OURS: [&str; 7] = [
    "body_guard_",
    "csp_",
    "envoy_wasm_vm_reload",
    "header_tag_",
    "jwt_auth_",
    "oauth2_",
    "rate_limit_",
];

/// What must be there, of each filter: all kinds of labels.
const LABELLED: [&str; 16] = [
    r#"body_guard_redacted{direction="response"}"#,
    r#"body_guard_refused{direction="request",reason="duplicate_name"}"#,
    r#"body_guard_reported{direction="request",reason="body_missing"}"#,
    r#"csp_reports{directive="script-src-elem",disposition="enforce"}"#,
    r#"envoy_extension_config_discovery_http_filter_update_rejected{extension="header-tag"}"#,
    r#"envoy_wasm_vm_reload{plugin="jwt-auth"}"#,
    r#"header_tag_rule_matched{header_rule="plugin"}"#,
    r#"jwt_auth_keys_failures{provider="down",reason="reset"}"#,
    r#"jwt_auth_keys_usable{provider="issuer"}"#,
    r#"jwt_auth_refused{provider="issuer",reason="expired"}"#,
    r#"jwt_auth_upstream_requests{envoy_cluster_name="issuer"}"#,
    r#"oauth2_keys_age_seconds{provider="oauth2"}"#,
    r#"oauth2_oauth_failure{reason="status"}"#,
    r#"oauth2_upstream_failures_status{envoy_cluster_name="login"}"#,
    r#"rate_limit_descriptor_rate_limited{descriptor="login"}"#,
    r#"rate_limit_upstream_circuit_breakers_open{envoy_cluster_name="ratelimit"}"#,
];

fn has_its_labels() -> Result<()> {
    let world = world()?;

    // What is added up in the modules comes a moment later.
    let text = wait_for("the metrics", DEADLINE, || {
        let text = world.admin().prometheus()?;
        let has = |start: &&str| text.lines().any(|line| line.starts_with(*start));
        Ok(LABELLED.iter().all(has).then_some(text))
    })?;

    let ours = text
        .lines()
        .filter(|line| OURS.iter().any(|start| line.starts_with(start)));
    let names: BTreeSet<&str> = ours
        .filter_map(|line| Some(line.split_once('{')?.0))
        .collect();
    // What stood between the dots of a name is a label's value: a cluster's, a rule's, a limit's, a filter's.
    let values = [
        "login",
        "issuer",
        "down",
        "ratelimit_c",
        "plugin",
        "header_tag_rule_plugin",
    ];
    for name in names {
        let middles = ["_upstream_", "_descriptor_", "_rule_", "_vm_reload_"];
        let after = middles
            .iter()
            .find_map(|middle| Some(name.split_once(middle)?.1));
        let is_value = values
            .iter()
            .any(|value| after.is_some_and(|it| it.starts_with(value)));
        // `=` and `;` of a tag without an entry become these.
        assert!(
            !is_value && !name.ends_with('_') && !name.contains("__"),
            "{name}"
        );
    }
    Ok(())
}
