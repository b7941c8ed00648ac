//! Metrics with tags in the real Envoy: what `/stats` and Prometheus get to see, by the
//! `stats_tags` that are shipped.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use legation_tests::{Config, DEADLINE, Envoy, Request, Stage, StartError, wait_for};
use serde_json::{Value, json};

fn config(configuration: Value) -> Result<Config> {
    Ok(Config::with_filter("state", configuration)?.edit(|root| {
        // Histograms are shown once they are flushed.
        root["stats_flush_interval"] = json!("0.1s");
    }))
}

/// A count of one request refused for this reason, with a token of this issuer.
fn count(stage: &Stage, reason: &str, issuer: &str) -> Result<()> {
    let request = Request::get("/count").header("x-reason", reason);
    stage.send(request.header("x-issuer", issuer))?;
    Ok(())
}

/// What Prometheus gets to see of the metrics that begin so, without the buckets.
fn scraped(stage: &Stage, prefix: &str) -> Result<BTreeSet<String>> {
    let text = stage.admin().prometheus()?;
    let lines = text.lines().filter(|line| line.starts_with(prefix));
    let lines = lines.filter(|line| !line.contains("_bucket{"));
    Ok(lines.map(str::to_owned).collect())
}

fn lines<const N: usize>(lines: [&str; N]) -> BTreeSet<String> {
    lines.map(str::to_owned).into()
}

#[test]
fn tags_are_labels_and_metrics_without_tags_have_none() -> Result<()> {
    let stage = Stage::start(&config(json!({ "provider": "login.example" }))?)?;

    count(&stage, "expired", "https://login.example/a")?;
    count(&stage, "expired", "https://login.example/a")?;
    count(&stage, "expired", "other.example")?;
    count(&stage, "signature", "other.example")?;

    let counters = lines([
        "state_errors{} 0",
        "state_provided{provider=\"login.example\",reason=\"static\"} 8",
        "state_refused{issuer=\"https://login.example/a\",reason=\"expired\"} 2",
        "state_refused{issuer=\"other.example\",reason=\"expired\"} 1",
        "state_refused{issuer=\"other.example\",reason=\"signature\"} 1",
        "state_requests{} 4",
    ]);
    let gauges = lines([
        "state_open{provider=\"login.example\",reason=\"static\"} 5",
        "state_waiting{reason=\"expired\"} 3",
        "state_waiting{reason=\"signature\"} 3",
    ]);
    let histograms = lines([
        "state_latency_ms_count{reason=\"expired\"} 3",
        "state_latency_ms_count{reason=\"signature\"} 1",
        "state_path_bytes_count{provider=\"login.example\",reason=\"static\"} 4",
    ]);
    wait_for("the histograms", DEADLINE, || {
        Ok(histograms
            .is_subset(&scraped(&stage, "state_")?)
            .then_some(()))
    })
    .with_context(|| format!("{:#?}", scraped(&stage, "state_")))?;
    let mut all = scraped(&stage, "state_")?;
    all.retain(|line| !line.contains("_sum{") && !histograms.contains(line));
    assert_eq!(all, counters.union(&gauges).cloned().collect());
    let text = stage.admin().prometheus()?;
    for kind in [
        "# TYPE state_refused counter",
        "# TYPE state_waiting gauge",
        "# TYPE state_latency_ms histogram",
    ] {
        assert_eq!(
            text.lines().filter(|line| *line == kind).count(),
            1,
            "{kind}"
        );
    }
    Ok(())
}

#[test]
fn stats_show_the_tags_as_the_end_of_the_name() -> Result<()> {
    let stage = Stage::start(&config(
        json!({ "stat_prefix": "mine", "provider": "a.b" }),
    )?)?;

    count(&stage, "expired", "x")?;

    let stats = stage.admin().stats_with_prefix("wasmcustom.mine")?;
    let expected = [
        ("wasmcustom.mine.open.provider=a.b;.reason=static;", 5),
        ("wasmcustom.mine.provided.provider=a.b;.reason=static;", 2),
        ("wasmcustom.mine.refused.issuer=x;.reason=expired;", 1),
        ("wasmcustom.mine.requests", 1),
        ("wasmcustom.mine.waiting.reason=expired;", 3),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(stats, expected.into());
    Ok(())
}

#[test]
fn no_value_passes_for_another_tag_or_breaks_the_scrape() -> Result<()> {
    let stage = Stage::start(&config(json!({}))?)?;

    count(&stage, "x;.issuer=admin;", "a\"b\\c,d|e")?;
    count(&stage, ".reason=expired", "Z\u{fc}rich 100%")?;
    count(&stage, "", "")?;

    assert_eq!(
        scraped(&stage, "state_refused")?,
        lines([
            "state_refused{issuer=\"a%22b%5Cc%2Cd%7Ce\",reason=\"x%3B.issuer%3Dadmin%3B\"} 1",
            "state_refused{issuer=\"Z%C3%BCrich 100%25\",reason=\".reason%3Dexpired\"} 1",
            "state_refused{issuer=\"\",reason=\"\"} 1",
        ])
    );
    Ok(())
}

#[test]
fn a_family_has_a_bound_and_then_counts_as_other() -> Result<()> {
    // One worker: the bound is each one's own.
    let config = config(json!({ "combinations": 3 }))?.concurrency(1);
    let stage = Stage::start(&config)?;

    for issuer in 0..10 {
        count(&stage, "expired", &issuer.to_string())?;
    }
    count(&stage, "expired", &"long".repeat(100))?;
    count(&stage, "expired", "0")?;

    assert_eq!(
        scraped(&stage, "state_refused")?,
        lines([
            "state_refused{issuer=\"0\",reason=\"expired\"} 2",
            "state_refused{issuer=\"1\",reason=\"expired\"} 1",
            "state_refused{issuer=\"2\",reason=\"expired\"} 1",
            "state_refused{issuer=\"other\",reason=\"other\"} 8",
        ])
    );
    Ok(())
}

#[test]
fn a_tag_without_its_line_in_stats_tags_stays_in_the_name() -> Result<()> {
    let config = config(json!({ "tag": "colour" }))?;
    let stage = Stage::start(&config)?;

    assert_eq!(
        scraped(&stage, "state_tagged")?,
        lines(["state_tagged_colour_1_{} 0"])
    );
    Ok(())
}

#[test]
fn a_tag_that_is_no_label_has_the_configuration_refused() -> Result<()> {
    for (tag, said) in [("Reason", "`Reason` is not"), ("le", "histogram")] {
        match Envoy::validate(&config(json!({ "tag": tag }))?) {
            Err(StartError::Refused { log, .. }) => assert!(log.contains(said), "{log}"),
            other => panic!("{tag}: {other:?}"),
        }
    }
    Ok(())
}
