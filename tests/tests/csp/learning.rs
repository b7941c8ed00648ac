//! From no policy to one.

use anyhow::Result;
use legation_tests::{Config, Request, Stage};
use serde_json::json;

use super::{FILTER, POLICY, REPORT_ONLY, assert_unharmed, page};

const PROPOSAL: &str = "/.well-known/csp-proposal";
const REPORTS: &str = "/.well-known/csp-reports";

fn start(max_entries: u32) -> Result<Stage> {
    let configuration = json!({
        "rules": [{"learn": true}],
        "collector": {"path": REPORTS},
        "learning": {
            "path": PROPOSAL,
            "allow": {"headers": [{"name": "x-operator", "exact": "a secret of the test"}]},
            "max_entries": max_entries
        }
    });
    let config = Config::filter(FILTER)?.configuration(FILTER, configuration);
    Ok(Stage::start(&config.shared())?)
}

#[test]
fn what_pages_hold_and_browsers_report_becomes_a_policy() -> Result<()> {
    let stage = start(100)?;
    let html = "<!doctype html><script>start()</script><style>p{}</style><script src='https://cdn.example/a.js?v=1'></script><img src=/logo.png>";
    stage
        .upstream()
        .answer(move |_| page(html).header("etag", "\"1\""));

    let response = stage.send(Request::get("/"))?;
    // Nothing is enforced, and the page is as it was.
    assert!(!response.headers.contains(POLICY));
    assert!(
        response
            .headers
            .text(REPORT_ONLY)
            .is_some_and(|policy| policy.contains("report-uri"))
    );
    assert!(response.headers.contains("etag"));
    assert_eq!(response.text(), html);
    let report = json!({"csp-report": {
        "document-uri": "https://shop.example/cart",
        "effective-directive": "connect-src",
        "blocked-uri": "https://api.example/v1?secret",
    }});
    assert_eq!(
        stage
            .send(Request::post(REPORTS, report.to_string()))?
            .status,
        204
    );

    let read = || Request::get(PROPOSAL).header("x-operator", "a secret of the test");
    let proposal = stage.send(read())?.json()?;
    let policy = proposal["policy"].as_str().unwrap_or_default().to_owned();
    for part in [
        "default-src 'none'",
        "base-uri 'none'",
        "connect-src https://api.example",
        "https://cdn.example",
        "'sha256-",
        "img-src 'self'",
    ] {
        assert!(policy.contains(part), "{part} in {proposal:#}");
    }
    assert!(!proposal.to_string().contains("secret"), "{proposal:#}");

    // Others learn nothing, not even that it is there.
    for request in [
        Request::get(PROPOSAL),
        Request::get(PROPOSAL).header("x-operator", "guess"),
        Request::new("POST", PROPOSAL).header("x-operator", "a secret of the test"),
    ] {
        assert_eq!(stage.send(request)?.status, 404);
    }

    // The proposal is a policy that the filter takes, and under it the page has its header.
    let configuration = json!({"rules": [{"policy": policy}]});
    let enforced = Stage::start(&Config::with_filter(FILTER, configuration)?.shared())?;
    enforced.upstream().enqueue(page(html));
    assert_eq!(
        enforced.send(Request::get("/"))?.headers.text(POLICY),
        Some(policy)
    );
    assert_unharmed(&stage)
}

#[test]
fn a_site_that_invents_sources_fills_its_room_and_no_more() -> Result<()> {
    let stage = start(10)?;
    for batch in 0..5 {
        let reports: Vec<_> = (0..10)
            .map(|index| {
                json!({"type": "csp-violation", "body": {
                    "effectiveDirective": "img-src",
                    "blockedURL": format!("https://host-{batch}-{index}.example/")
                }})
            })
            .collect();
        let body = serde_json::Value::Array(reports).to_string();
        assert_eq!(stage.send(Request::post(REPORTS, body))?.status, 204);
    }
    let read = Request::get(PROPOSAL).header("x-operator", "a secret of the test");
    let proposal = stage.send(read)?.json()?;
    assert_eq!(proposal["is_full"], true);
    assert_eq!(proposal["seen"].as_array().map(Vec::len), Some(10));
    assert_unharmed(&stage)
}
