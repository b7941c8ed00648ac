//! The dashboard and the alerts, by the real Prometheus.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use legation_tests::prometheus::{Prometheus, promtool};
use legation_tests::{DEADLINE, envoy_config_dir, read_yaml, wait_for};
use serde_json::{Value, json};

use crate::traffic::{World, world};
use legation_tests::trials::Test;

pub const TESTS: &[Test] = &[
    (
        "each panel of the dashboard shows something, and each alert goes by metrics that are there",
        dashboard_and_alerts,
    ),
    (
        "each alert has a test, and fires when it should",
        alerts_are_tested,
    ),
];

const ALERTS: &str = "prometheus-alerts.yaml";
const ALERT_TESTS: &str = "prometheus-alerts.test.yaml";

fn folder() -> PathBuf {
    envoy_config_dir().join("observability")
}

/// The Prometheus of the compose file, but for where things are and how often it looks.
fn prometheus(world: &World) -> Result<Prometheus> {
    let mut config = read_yaml(&envoy_config_dir().join("compose/prometheus.yml"))?;
    config["global"] = json!({"scrape_interval": "200ms", "evaluation_interval": "200ms"});
    config["rule_files"] = json!([folder().join(ALERTS)]);
    let targets = &mut config["scrape_configs"][0]["static_configs"][0]["targets"];
    *targets = json!([world.admin().address().to_string()]);
    Prometheus::start(&config)
}

fn dashboard_and_alerts() -> Result<()> {
    let world = world()?;
    let prometheus = prometheus(world)?;
    let scrapes = |times: f64| {
        wait_for("Prometheus to scrape", DEADLINE, || {
            let scraped = prometheus.query("count_over_time(up[5m])")?;
            Ok(scraped
                .first()
                .is_some_and(|one| one.value >= times)
                .then_some(()))
        })
    };
    // A rate is that of what comes between two scrapes.
    scrapes(1.0)?;
    world.send_all()?;
    scrapes(1.0 + prometheus.query("count_over_time(up[5m])")?[0].value)?;
    wait_for("what was added up in the modules", DEADLINE, || {
        let shown = prometheus.query("increase(jwt_auth_allowed[5m]) > 0")?;
        Ok((!shown.is_empty()).then_some(()))
    })?;

    let known: BTreeSet<String> = prometheus.names()?.into_iter().collect();
    for (panel, target) in targets()? {
        check_target(&prometheus, &target).with_context(|| format!("the panel {panel:?}"))?;
    }
    for rule in rules()? {
        let expression = rule["expr"].as_str().context("an expression")?;
        for name in metric_names(expression) {
            // There without dynamic configuration: not here.
            let dynamic = name.ends_with("ds_update_rejected");
            ensure!(known.contains(&name) || dynamic, "{name} in {expression}");
        }
    }
    alerts_are_pending(&prometheus)
}

/// The panels' titles, each with one of what they show.
fn targets() -> Result<Vec<(String, Value)>> {
    let text = fs::read_to_string(folder().join("grafana-dashboard.json"))?;
    let dashboard: Value = serde_json::from_str(&text)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let mut all = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().context("a title")?;
        let targets = panel["targets"].as_array().into_iter().flatten();
        all.extend(targets.map(|target| (title.to_owned(), target.clone())));
    }
    ensure!(
        all.len() > 20,
        "the dashboard has {} expressions",
        all.len()
    );
    Ok(all)
}

fn check_target(prometheus: &Prometheus, target: &Value) -> Result<()> {
    let expression = target["expr"].as_str().context("an expression")?;
    // As Grafana puts it.
    let asked = (expression.replace("$__rate_interval", "1m"))
        .replace("$job", ".+")
        .replace("$instance", ".+");
    // What is left is a group of a regular expression, which Grafana leaves alone.
    ensure!(!asked.replace("\"$1\"", "").contains('$'), "{asked}");
    let samples = prometheus.query(&asked)?;
    ensure!(!samples.is_empty(), "{asked} shows nothing");
    ensure!(
        samples.iter().all(|it| it.value.is_finite()),
        "{asked}: {samples:?}"
    );
    let legend = target["legendFormat"].as_str().context("a legend")?;
    for label in legend
        .split("{{")
        .skip(1)
        .filter_map(|part| Some(part.split_once("}}")?.0))
    {
        ensure!(
            samples.iter().all(|it| it.labels.contains_key(label)),
            "{label} in {asked}: {samples:?}"
        );
    }
    Ok(())
}

fn rules() -> Result<Vec<Value>> {
    let mut file = read_yaml(&folder().join(ALERTS))?;
    let groups = file["groups"].as_array_mut().context("groups")?;
    let rules = groups
        .iter_mut()
        .filter_map(|group| group["rules"].as_array().cloned());
    Ok(rules.flatten().collect())
}

/// The words of an expression that a selector or a range stands behind.
fn metric_names(expression: &str) -> Vec<String> {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    let mut names = Vec::new();
    for (at, _) in expression.match_indices(['{', '[']) {
        let before = &expression[..at];
        let name = &before[before.rfind(|char| !is_word(char)).map_or(0, |at| at + 1)..];
        if !name.is_empty() {
            names.push(name.to_owned());
        }
    }
    names
}

/// What is wrong with this Envoy is seen, and nothing else.
fn alerts_are_pending(prometheus: &Prometheus) -> Result<()> {
    let expected = [
        "LegationCalloutsFailing",
        "LegationConfigRejected",
        "LegationNoKeys",
        "LegationNotConfigured",
        "LegationRateLimitServiceFailing",
        "LegationRemoteConfigFailing",
        "LegationResponsesRefused",
    ];
    let alerts = || -> Result<BTreeSet<String>> {
        let alerts = prometheus.query("ALERTS")?;
        Ok(alerts
            .into_iter()
            .filter_map(|mut one| one.labels.remove("alertname"))
            .collect())
    };
    wait_for("the alerts", DEADLINE, || {
        let alerts = alerts()?;
        Ok(expected
            .iter()
            .all(|one| alerts.contains(*one))
            .then_some(()))
    })
    .with_context(|| format!("{:?}", alerts()))?;
    // Not LegationSlow, nor that a scrape took too long: a busy machine may well be slow.
    for none in [
        "LegationFilterErrors",
        "LegationVmReloaded",
        "LegationKeysStale",
        "LegationRemoteConfigStale",
    ] {
        ensure!(!alerts()?.contains(none), "{none}");
    }
    wait_for("a scrape in time", DEADLINE, || {
        Ok((!alerts()?.contains("EnvoyDown")).then_some(()))
    })
}

fn alerts_are_tested() -> Result<()> {
    promtool(&folder(), &["check", "rules", ALERTS])?;
    promtool(&folder(), &["test", "rules", ALERT_TESTS])?;
    let tests = fs::read_to_string(folder().join(ALERT_TESTS))?;
    for rule in rules()?.iter().filter(|rule| rule["alert"].is_string()) {
        let name = rule["alert"].as_str().unwrap_or_default();
        ensure!(
            tests.contains(&format!("alertname=\"{name}\"")),
            "{name} has no test"
        );
        for annotation in ["summary", "runbook"] {
            ensure!(
                rule["annotations"][annotation].is_string(),
                "{name} has no {annotation}"
            );
        }
        ensure!(
            ["page", "ticket"]
                .iter()
                .any(|it| rule["labels"]["severity"] == *it),
            "{name}"
        );
    }
    Ok(())
}
