//! The dashboard, by Grafana's own types. What its expressions come to is seen with the real Prometheus.

use std::fs;

use anyhow::{Result, ensure};
use legation_tests::trials::Test;
use legation_tests::{envoy_config_dir, grafana};
use serde_json::{Value, json};

pub const TESTS: &[Test] = &[(
    "the dashboard is one by Grafana's own types",
    is_a_dashboard,
)];

fn is_a_dashboard() -> Result<()> {
    let text = fs::read(envoy_config_dir().join("observability/grafana-dashboard.json"))?;
    let dashboard: Value = serde_json::from_slice(&text)?;
    // Each with a mistake, so that it is known to be looked at.
    let spoiled = |pointer: &str, name: &str, value: Value| {
        let mut spoiled = dashboard.clone();
        if let Some(place) = spoiled.pointer_mut(pointer) {
            place[name] = value;
        }
        spoiled
    };
    let panel = "/panels/1";
    let mistakes = [
        (
            spoiled("", "refres", json!("30s")),
            "'\"refres\"' does not exist",
        ),
        (
            spoiled(&format!("{panel}/gridPos"), "w", json!("8")),
            "'string' is not assignable to type 'number'",
        ),
        (
            spoiled(
                &format!("{panel}/options/tooltip"),
                "mode",
                json!("everything"),
            ),
            "'\"everything\"' is not assignable",
        ),
        (
            spoiled(
                &format!("{panel}/fieldConfig/defaults/custom"),
                "fillOpacitty",
                json!(1),
            ),
            "'\"fillOpacitty\"' does not exist",
        ),
    ];
    let mut all = vec![dashboard];
    all.extend(mistakes.iter().map(|(spoiled, _)| spoiled.clone()));
    let found = grafana::check(&all)?;
    ensure!(found[0].is_empty(), "{:#?}", found[0]);
    for ((_, message), found) in mistakes.iter().zip(&found[1..]) {
        ensure!(
            found.len() == 1 && found[0].contains(message),
            "not `{message}` but {found:#?}"
        );
    }
    Ok(())
}
