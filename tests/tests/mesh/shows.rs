//! What each filter does as it ships, wherever it runs.

use anyhow::{Result, bail};
use legation_tests::{DEADLINE, RawConnection, Request, wait_for};
use serde_json::json;

use crate::world::Site;

/// Requests that show the filter of a file at work: what it lets through, and what it does not.
pub fn show(file: &str, site: &Site) -> Result<()> {
    match file {
        "body-guard" => body_guard(site),
        "csp" => csp(site),
        "header-tag" => header_tag(site),
        "jwt-auth" => jwt_auth(site),
        "oauth2" => oauth2(site),
        "rate-limit" => rate_limit(site),
        "rate-limit-global" => rate_limit_global(site),
        "suite" => suite(site),
        other => bail!("nothing shows what {other} does"),
    }
}

/// What does without reading requests, and so holds of each form.
fn body_guard(site: &Site) -> Result<()> {
    let order = |kind| Request::post("/api/orders", "{}").header("content-type", kind);
    assert_eq!(site.status(order("application/json"))?, 200);
    let refused = site.send(order("text/plain"))?;
    assert_eq!(refused.response.status, 415);
    assert!(refused.received.is_none());

    // By its stated length alone.
    let mut raw = RawConnection::open(site.address())?;
    raw.send(
        b"POST /api/orders HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 262145\r\n\r\n",
    )?;
    let answer = raw.read_until(b"\r\n\r\n")?;
    assert!(answer.starts_with(b"HTTP/1.1 413"));

    let masked = site.send(Request::get("/api/orders"))?;
    assert_eq!(masked.response.text(), "[redacted]1111");
    let page = site.send(Request::get("/"))?;
    assert_eq!(page.response.text(), "4111 1111 1111 1111");
    Ok(())
}

fn csp(site: &Site) -> Result<()> {
    let page = site.send(Request::get("/"))?;
    let nonce = page.arrived()?.headers.text("x-csp-nonce");
    let nonce = nonce.unwrap_or_default();
    let policy = page.response.headers.text("content-security-policy");
    let policy = policy.unwrap_or_default();
    assert!(!nonce.is_empty());
    assert!(policy.contains(&format!("'nonce-{nonce}'")), "{policy}");

    let api = site.send(Request::get("/api/x"))?;
    assert!(!api.arrived()?.headers.contains("x-csp-nonce"));
    assert!(api.response.headers.contains("content-security-policy"));
    Ok(())
}

fn header_tag(site: &Site) -> Result<()> {
    let api = site.send(Request::get("/api/x").header("user-agent", "tester"))?;
    let arrived = api.arrived()?;
    assert_eq!(arrived.headers.all("x-envoy-plugin"), [b"header-tag"]);
    assert_eq!(arrived.headers.all("x-client"), [b"tester"]);
    assert!(!api.response.headers.contains("x-powered-by"));
    let other = site.send(Request::get("/x").header("user-agent", "tester"))?;
    assert!(!other.arrived()?.headers.contains("x-client"));
    Ok(())
}

fn jwt_auth(site: &Site) -> Result<()> {
    assert_eq!(site.status(Request::get("/healthz"))?, 200);
    assert_eq!(site.status(Request::get("/orders"))?, 401);

    let read = site.token("orders:read");
    let seen = site.send(Request::get("/orders").header("authorization", &read))?;
    assert_eq!(seen.response.status, 200, "{}", seen.response.text());
    assert_eq!(seen.arrived()?.headers.all("x-user"), [b"alice"]);

    let order = |token: &str| Request::post("/orders", "{}").header("authorization", token);
    assert_eq!(site.status(order(&read))?, 403);
    assert_eq!(site.status(order(&site.token("orders:write")))?, 200);
    Ok(())
}

fn oauth2(site: &Site) -> Result<()> {
    assert_eq!(site.status(Request::get("/healthz"))?, 200);
    let program = Request::get("/").header("accept", "application/json");
    assert_eq!(site.status(program)?, 401);

    let sent_away = site.send(Request::get("/").header("accept", "text/html"))?;
    assert!(sent_away.received.is_none());
    assert_eq!(sent_away.response.status, 302);
    let location = sent_away.response.headers.text("location");
    let location = location.unwrap_or_default();
    let provider = "https://login.example/authorize?";
    assert!(location.starts_with(provider), "{location}");
    assert!(location.contains("client_id=gateway"), "{location}");
    Ok(())
}

fn rate_limit(site: &Site) -> Result<()> {
    let sign_in = || Request::post("/login", "");
    for _ in 0..5 {
        assert_eq!(site.status(sign_in())?, 200);
    }
    let refused = site.send(sign_in())?;
    assert_eq!(refused.response.status, 429);
    assert!(refused.received.is_none());
    assert_eq!(site.status(Request::get("/"))?, 200);
    Ok(())
}

/// The service says no to everybody; while it says nothing, or too late, everybody passes.
fn rate_limit_global(site: &Site) -> Result<()> {
    let refused = wait_for("a refusal of the service", DEADLINE, || {
        let exchange = site.send(Request::get("/"))?;
        Ok((exchange.response.status == 429).then_some(()))
    });
    assert!(refused.is_ok(), "{refused:?}");
    Ok(())
}

fn suite(site: &Site) -> Result<()> {
    assert_eq!(site.status(Request::get("/"))?, 401);
    let token = site.token("");
    let exchange = site.send(Request::get("/").header("authorization", token))?;
    let arrived = exchange.arrived()?;
    assert_eq!(arrived.headers.all("x-user"), [b"alice"]);
    assert_eq!(arrived.headers.all("x-envoy-plugin"), [b"suite"]);
    assert!(!exchange.response.headers.contains("x-powered-by"));
    Ok(())
}

/// A browser's report is taken in: its body is read before the request goes anywhere.
pub fn reports_are_collected(site: &Site) -> Result<()> {
    let report = json!({"csp-report": {
        "document-uri": "https://shop.example/",
        "effective-directive": "script-src-elem",
        "blocked-uri": "https://evil.example/x.js",
    }});
    let request = Request::post("/.well-known/csp-reports", report.to_string());
    let exchange = site.send(request.header("content-type", "application/csp-report"))?;
    assert_eq!(exchange.response.status, 204);
    assert!(exchange.received.is_none());
    Ok(())
}

/// A logout token is read before its request goes anywhere: this one is none.
pub fn logout_tokens_are_read(site: &Site) -> Result<()> {
    let request = Request::post("/oauth2/backchannel-logout", "logout_token=none");
    let kind = "application/x-www-form-urlencoded";
    let exchange = site.send(request.header("content-type", kind))?;
    assert_eq!(exchange.response.status, 400);
    assert!(exchange.received.is_none());
    Ok(())
}

/// Requests are read before they go on: strictly, with rules for fields, and as far as `max_bytes` allows.
pub fn requests_are_read(site: &Site) -> Result<()> {
    let order =
        |body: &str| Request::post("/api/orders", body).header("content-type", "application/json");
    for bad in [
        r#"{"a":"#,
        r#"{"a":1,"a":2}"#,
        r#"{"user":{"is_admin":true}}"#,
    ] {
        let refused = site.send(order(bad))?;
        assert_eq!(refused.response.status, 400, "{bad}");
        assert!(refused.received.is_none(), "{bad}");
    }
    let large = format!("{:?}", "a".repeat(200_000));
    let passed = site.send(order(&large))?;
    assert_eq!(passed.response.status, 200, "{}", passed.response);
    assert_eq!(passed.arrived()?.body.len(), large.len());
    assert_eq!(site.send_http2(order(&large))?.status, 200);
    Ok(())
}
