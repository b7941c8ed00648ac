//! The access log of the whole chain.

use anyhow::{Context, Result};
use legation_tests::{DEADLINE, wait_for};
use serde_json::{Value, json};

use crate::traffic::{SECRET, TRACE, world};
use legation_tests::trials::Test;

pub const TESTS: &[Test] = &[(
    "the access log says who it was and why a filter refused it",
    says_who_and_why,
)];

fn says_who_and_why() -> Result<()> {
    let world = world()?;

    // Envoy writes it every ten seconds; the reports came last.
    let log = wait_for("the access log", DEADLINE, || {
        let log = world.envoy().access_log();
        Ok(log.contains("csp-reports").then_some(log))
    })?;

    let lines: Result<Vec<Value>, _> = log.lines().map(serde_json::from_str).collect();
    let lines = lines.with_context(|| log.clone())?;
    let of = |status: u64, path: &str| {
        let mut found = lines.iter();
        found
            .find(|line| line["status"] == status && line["path"] == path)
            .with_context(|| format!("no {status} for {path}:\n{log}"))
    };

    let good = of(200, "/api/orders")?;
    assert_eq!(good["user"], "alice");
    assert_eq!(good["jwt"], Value::Null);
    assert_eq!(
        good["traceparent"].as_str().map(|it| it.contains(TRACE)),
        Some(true)
    );
    assert_eq!(good["client"], "127.0.0.1");
    assert!(good["request_id"].is_string(), "{good}");
    assert!(good["upstream"].is_string(), "{good}");
    assert!(
        good["rate_limit"]
            .as_str()
            .is_some_and(|it| it.contains("\"client\"")),
        "{good}"
    );

    let reasons: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["jwt"].as_str())
        .collect();
    let reasons: Result<Vec<Value>, _> = reasons.into_iter().map(serde_json::from_str).collect();
    let reasons: Vec<Value> = reasons?.iter().map(|it| it["reason"].clone()).collect();
    assert!(reasons.contains(&json!("expired")), "{reasons:?}\n{log}");
    let refused = of(401, "/api/orders")?;
    assert_eq!(refused["upstream"], Value::Null);
    assert!(
        refused["details"]
            .as_str()
            .is_some_and(|it| it.contains("Jwt")),
        "{refused}"
    );

    assert_eq!(of(200, "/")?["user"], Value::Null);
    assert!(of(429, "/login")?["rate_limit"].is_string());
    assert!(!log.contains(SECRET) && !log.contains("code="), "{log}");
    Ok(())
}
