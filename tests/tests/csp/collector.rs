//! Reports, as browsers send them and as others do.

use anyhow::Result;
use legation_tests::{Config, DEADLINE, Request, Stage};
use serde_json::{Value, json};

use super::{FILTER, assert_unharmed};

const PATH: &str = "/.well-known/csp-reports";

/// With counters whose names begin so.
fn start(prefix: &str, collector: &Value) -> Result<Stage> {
    let configuration = json!({
        "rules": [{"policy": "default-src 'self'"}],
        "collector": collector,
        "stat_prefix": prefix,
    });
    // As the shipped file: headers wait for the body.
    let config = Config::filter(FILTER)?.configuration(FILTER, configuration);
    Ok(Stage::start(&config.shared())?)
}

fn report(directive: &str) -> String {
    json!({"csp-report": {
        "document-uri": "https://shop.example/cart?token=secret",
        "effective-directive": directive,
        "blocked-uri": "https://evil.example/x.js?user=secret",
        "disposition": "enforce",
    }})
    .to_string()
}

#[test]
fn reports_are_counted_and_logged_without_secrets_and_reach_no_upstream() -> Result<()> {
    let stage = start("reports", &json!({"path": PATH}))?;
    for (content_type, body) in [
        ("application/csp-report", report("script-src-elem")),
        (
            "application/reports+json",
            json!([
                {"type": "csp-violation", "age": 1, "url": "https://shop.example/?secret", "body": {
                    "effectiveDirective": "img-src", "blockedURL": "data", "disposition": "report"
                }},
                {"type": "deprecation", "body": {}}
            ])
            .to_string(),
        ),
        ("application/csp-report", report("what-a-client-makes-up")),
    ] {
        let request = Request::post(PATH, body).header("content-type", content_type);
        assert_eq!(stage.send(request)?.status, 204);
    }

    assert_eq!(stage.upstream().count(), 0);
    let stats = stage.admin().stats()?;
    let counted = |directive: &str, disposition: &str| {
        let name = |name: &&String| {
            name.starts_with("wasmcustom.reports.reports")
                && name.contains(directive)
                && name.contains(disposition)
        };
        stats
            .keys()
            .find(name)
            .and_then(|name| stats.get(name))
            .copied()
    };
    assert_eq!(counted("script-src-elem", "enforce"), Some(1), "{stats:#?}");
    assert_eq!(counted("img-src", "report"), Some(1), "{stats:#?}");
    assert_eq!(counted("other", "enforce"), Some(1), "{stats:#?}");
    // Others who share this Envoy report from there too.
    let own = stage.envoy().module_log().join("\n");
    assert!(own.contains("evil.example/x.js"), "{own}");
    let log = stage.envoy().log();
    assert!(!log.contains("secret"), "{log}");
    assert_unharmed(&stage)
}

#[test]
fn what_is_no_report_is_refused() -> Result<()> {
    let stage = start("none", &json!({"path": PATH, "max_bytes": 1_000}))?;
    for (request, status) in [
        (Request::get(PATH), 405),
        (Request::new("PUT", PATH).body("{}"), 405),
        (Request::post(PATH, "nonsense"), 400),
        (Request::post(PATH, ""), 400),
        (Request::post(PATH, b"\xff\xfe\x00"), 400),
        (Request::post(PATH, "[".repeat(900)), 400),
        (Request::post(PATH, "x".repeat(1_001)), 413),
        // Chunked: its length is not known before.
        (
            Request::post(PATH, "x".repeat(600)).body("x".repeat(600)),
            413,
        ),
        (Request::new("OPTIONS", PATH), 204),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(stage.send(request)?.status, status, "{shown}");
    }
    assert_eq!(stage.upstream().count(), 0);
    // Another path is the upstream's.
    assert_eq!(
        stage
            .send(Request::post("/other", report("img-src")))?
            .status,
        200
    );
    // No spelling of it goes round the collector.
    assert_eq!(
        stage
            .send(Request::post(
                "/.well-known/x/../csp-reports?x=1",
                report("img-src")
            ))?
            .status,
        204
    );
    assert_eq!(stage.upstream().count(), 1);
    assert_unharmed(&stage)
}

#[test]
fn a_flood_of_reports_is_dropped_and_counted() -> Result<()> {
    let stage = start("flood", &json!({"path": PATH, "max_reports_per_second": 5}))?;
    let one = json!({"type": "csp-violation", "body": {"effectiveDirective": "img-src"}});
    let body = Value::Array(vec![one; 200]).to_string();

    assert_eq!(stage.send(Request::post(PATH, body))?.status, 204);

    // All of them came in one second, or in two.
    stage
        .admin()
        .wait_for_stat("wasmcustom.flood.reports_dropped", DEADLINE, |dropped| {
            (190..=195).contains(&dropped)
        })?;
    assert_unharmed(&stage)
}
