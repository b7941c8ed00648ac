//! Which responses get which headers.

use anyhow::Result;
use legation_tests::{Config, Reply, Request, Stage};
use serde_json::{Value, json};

use super::{FILTER, HEADER_FILTER, POLICY, REPORT_ONLY, assert_unharmed, nonce, page, start};

#[test]
fn the_shipped_file_sends_a_strict_policy_to_pages_and_another_to_the_api() -> Result<()> {
    let stage = Stage::start(&Config::filter(FILTER)?.shared())?;
    stage
        .upstream()
        .answer(|request| match request.path.as_str() {
            "/api/x" => Reply::json(&json!({})),
            "/app.js" => Reply::ok().header("content-type", "text/javascript"),
            _ => page("<p>hello</p>").header("x-powered-by", "secret"),
        });

    let pages = stage.exchange(Request::get("/"))?;
    let told = pages.arrived()?.headers.text("x-csp-nonce");
    let headers = &pages.response.headers;
    assert_eq!(nonce(headers), told);
    assert!(told.is_some_and(|nonce| nonce.len() == 24));
    let policy = headers.text(POLICY).unwrap_or_default();
    assert!(policy.contains("'strict-dynamic'"), "{policy}");
    assert!(
        policy.ends_with("; report-uri /.well-known/csp-reports"),
        "{policy}"
    );
    assert_eq!(headers.text("cache-control").as_deref(), Some("no-store"));
    assert_eq!(headers.text("x-frame-options").as_deref(), Some("DENY"));
    assert!(!headers.contains("x-powered-by"));
    // Not over a connection that is none of TLS (RFC 6797, section 7.2).
    assert!(!headers.contains("strict-transport-security"));

    let script = stage.send(Request::get("/app.js"))?;
    assert!(!script.headers.contains(POLICY));
    assert_eq!(
        script.headers.text("x-content-type-options").as_deref(),
        Some("nosniff")
    );

    let api = stage.send(Request::get("/api/x"))?;
    let policy = api.headers.text(POLICY).unwrap_or_default();
    assert!(
        policy.starts_with("default-src 'none'; frame-ancestors 'none'"),
        "{policy}"
    );
    assert_unharmed(&stage)
}

#[test]
fn a_policy_of_the_upstream_is_replaced_kept_joined_or_merged() -> Result<()> {
    let own = "script-src 'self' https://cdn.example";
    for (existing, expected) in [
        ("replace", vec![own]),
        ("keep", vec!["default-src 'self'; script-src 'self'"]),
        ("append", vec!["default-src 'self'; script-src 'self'", own]),
    ] {
        let stage = start(&json!({"rules": [{"policy": own, "existing_policy": existing}]}))?;
        stage
            .upstream()
            .enqueue(page("").header(POLICY, "default-src 'self'; script-src 'self'"));

        let response = stage.send(Request::get("/"))?;

        assert_eq!(texts(response.headers.all(POLICY)), expected, "{existing}");
        // Without one, ours is there whatever was said.
        stage.upstream().enqueue(page(""));
        let response = stage.send(Request::get("/"))?;
        assert_eq!(texts(response.headers.all(POLICY)), [own], "{existing}");
        assert_unharmed(&stage)?;
    }

    let stage = start(&json!({"rules": [{"policy": own, "existing_policy": "merge"}]}))?;
    stage
        .upstream()
        .enqueue(page("").header(POLICY, "default-src 'self'; script-src 'self'"));
    let response = stage.send(Request::get("/"))?;
    let merged = texts(response.headers.all(POLICY));
    assert_eq!(merged.len(), 1, "{merged:?}");
    assert!(!merged[0].contains("cdn.example"), "{merged:?}");
    assert_unharmed(&stage)
}

#[test]
fn both_policies_are_sent_and_in_report_mode_neither_is_enforced() -> Result<()> {
    let rule = json!({
        "policy": "default-src 'self'",
        "report_only_policy": "default-src 'none'",
        "security_headers": {"x_frame_options": "DENY"}
    });
    let stage = start(&json!({"rules": [rule]}))?;
    stage
        .upstream()
        .answer(|_| page("").header(REPORT_ONLY, "img-src 'none'"));
    let response = stage.send(Request::get("/"))?;
    assert_eq!(texts(response.headers.all(POLICY)), ["default-src 'self'"]);
    assert_eq!(
        texts(response.headers.all(REPORT_ONLY)),
        ["default-src 'none'"]
    );
    assert!(response.headers.contains("x-frame-options"));

    let stage = start(&json!({"mode": "report", "rules": [rule]}))?;
    stage
        .upstream()
        .answer(|_| page("").header(REPORT_ONLY, "img-src 'none'"));
    let response = stage.send(Request::get("/"))?;
    assert!(!response.headers.contains(POLICY));
    assert!(!response.headers.contains("x-frame-options"));
    assert_eq!(
        texts(response.headers.all(REPORT_ONLY)),
        ["default-src 'self'", "default-src 'none'"]
    );
    assert_unharmed(&stage)
}

#[test]
fn endpoints_are_named_where_a_policy_uses_them() -> Result<()> {
    let stage = start(&json!({
        "reporting_endpoints": {"csp": "/reports", "other": "https://reports.example/csp"},
        "rules": [
            {"when": {"path": {"prefix": "/plain"}}, "policy": "default-src 'self'"},
            {"policy": "default-src 'self'; report-to csp"}
        ]
    }))?;
    stage.upstream().answer(|_| page(""));
    let named = stage.send(Request::get("/"))?;
    assert_eq!(
        named.headers.text("reporting-endpoints").as_deref(),
        Some(r#"csp="/reports", other="https://reports.example/csp""#)
    );
    let plain = stage.send(Request::get("/plain"))?;
    assert!(!plain.headers.contains("reporting-endpoints"));
    assert_unharmed(&stage)
}

#[test]
fn the_first_rule_that_matches_is_the_one() -> Result<()> {
    let stage = start(&json!({"rules": [
        {"when": {"path": {"prefix": "/legacy/"}}, "disabled": true},
        {"when": {"path": {"prefix": "/admin/"}}, "policy": "default-src 'none'"},
        {"policy": "default-src 'self'"}
    ]}))?;
    for (path, expected) in [
        ("/legacy/x", vec![]),
        ("/admin/x", vec!["default-src 'none'"]),
        ("/x", vec!["default-src 'self'"]),
        // Servers may read another path in it.
        ("/legacy/..;/x", vec!["default-src 'self'"]),
        ("/legacy/;x", vec![]),
    ] {
        stage.upstream().enqueue(page(""));
        let response = stage.send(Request::get(path))?;
        assert_eq!(texts(response.headers.all(POLICY)), expected, "{path}");
    }
    assert_unharmed(&stage)
}

#[test]
fn what_is_no_page_and_what_freshens_a_stored_page_has_no_policy() -> Result<()> {
    let stage = start(&json!({"rules": [{"policy": "default-src 'self'"}]}))?;
    for (reply, has_policy) in [
        (page(""), true),
        (Reply::ok().header("content-type", "TEXT/HTML"), true),
        (
            Reply::ok().header("content-type", "application/xhtml+xml"),
            true,
        ),
        (
            Reply::ok()
                .header("content-type", "application/json")
                .header("content-type", "text/html"),
            true,
        ),
        // Browsers guess what it is.
        (Reply::ok().header("content-type", ""), true),
        (Reply::ok(), true),
        (Reply::status(404).header("content-type", "text/html"), true),
        (Reply::ok().header("content-type", "text/htmlx"), false),
        (
            Reply::ok().header("content-type", "application/json"),
            false,
        ),
        (
            Reply::ok().header("content-type", "text/event-stream"),
            false,
        ),
        (Reply::status(304), false),
    ] {
        let shown = format!("{reply:?}");
        stage.upstream().enqueue(reply);
        let response = stage.send(Request::get("/"))?;
        assert_eq!(response.headers.contains(POLICY), has_policy, "{shown}");
    }
    // A local reply of Envoy's or another filter's is a response too.
    assert_unharmed(&stage)
}

#[test]
fn the_module_for_headers_does_the_same_with_headers() -> Result<()> {
    let configurations = [
        json!({"rules": [{"preset": "helmet"}]}),
        json!({"rules": [{"preset": "strict", "nonce": {"request_header": "x-nonce"}}]}),
        json!({"rules": [{"preset": "api", "content_types": ["*/*"], "remove_headers": ["x-a"]}]}),
        json!({"rules": [{"policy": "default-src 'self'", "existing_policy": "append"}]}),
        json!({"mode": "report", "rules": [{"policy": {"default-src": ["'self'"]}}]}),
    ];
    for configuration in configurations {
        let [full, light] = [FILTER, HEADER_FILTER].map(|module| -> Result<_> {
            let stage = Stage::start(&with_module(module, &configuration)?)?;
            stage
                .upstream()
                .answer(|_| page("x").header("x-a", "1").header(POLICY, "img-src *"));
            let response = stage.send(Request::get("/"))?;
            assert_unharmed(&stage)?;
            let mut headers: Vec<String> = response
                .headers
                .iter()
                .filter(|(name, _)| !matches!(*name, "date" | "x-envoy-upstream-service-time"))
                .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
                .collect();
            headers.sort();
            let nonce = nonce(&response.headers).unwrap_or_else(|| "none".to_owned());
            Ok(headers.join("\n").replace(&nonce, "NONCE"))
        });
        assert_eq!(full?, light?, "{configuration}");
    }
    Ok(())
}

/// The shipped file with another module and configuration.
fn with_module(module: &str, configuration: &Value) -> Result<Config> {
    let config = Config::with_filter(FILTER, configuration.clone())?;
    let file = legation_tests::module_dir()?.join(format!("{module}.wasm"));
    Ok(config.module(FILTER, &file).shared())
}

fn texts(values: Vec<&[u8]>) -> Vec<String> {
    values
        .into_iter()
        .map(|value| value.escape_ascii().to_string().replace("\\'", "'"))
        .collect()
}
