//! Who is let in without signing in, who is refused, and what the upstream is told.

use anyhow::{Context, Result};
use legation_tests::visitor::Step;
use legation_tests::{Request, Response};
use serde_json::{Value, json};

use super::{
    Described, Gateway, HOST, SESSION, assert_sent_to_sign_in, at, fetch, raw, shared, site,
};

pub(crate) fn sites() -> Vec<Described> {
    let path = |prefix: &str| json!([{"path": {"prefix": prefix}}]);
    vec![
        site("programs", json!({})),
        site(
            "matchers",
            json!({
                "pass_through_matcher": path("/public/"),
                "allow_failed_matcher": path("/maybe/"),
                "deny_redirect_matcher": path("/api/"),
                "rules": [{"match": {"path": {"prefix": "/open/"}}, "disabled": true}],
                "bypass_cors_preflight": true,
            }),
        ),
        site("groups", json!({"allowed_groups": ["staff"]})),
        site(
            "emails",
            json!({
                "allowed_emails": ["alice@a.example"],
                "allowed_email_domains": ["b.example"],
            }),
        ),
        site(
            "claims",
            json!({"required_claims": [{"claim_name": "level", "in": [3, 4]}]}),
        ),
        site(
            "rules",
            json!({"rules": [
                {"match": {"path": {"prefix": "/admin"}}, "allowed_groups": ["admin"]},
            ]}),
        ),
        site(
            "bearer",
            json!({
                "forward_bearer_token": true,
                "forward_id_token": {"header": "x-id-token"},
                "claim_to_headers": [
                    {"header_name": "x-user", "claim_name": "sub"},
                    {"header_name": "x-groups", "claim_name": "groups", "list_separator": ","},
                    {"header_name": "x-city", "claim_name": "address.city"},
                    {"header_name": "x-none", "claim_name": "none"},
                ],
            }),
        ),
        site("auth-kept", json!({"preserve_authorization_header": true})),
        site("auth-plain", json!({})),
        site("report", json!({"mode": "report", "allowed_groups": ["x"]})),
    ]
}

fn assert_is_told_by_json(step: &Step, status: u16) -> Result<()> {
    assert_eq!(step.response.status, status, "{step}");
    let header = |name: &str| step.header(name).unwrap_or_default();
    assert!(
        header("content-type").starts_with("application/json"),
        "{step}"
    );
    assert!(header("cache-control").contains("no-store"), "{step}");
    assert!(step.response.json()?["error"].is_string(), "{step}");
    assert!(step.set_cookies().is_empty(), "{step}");
    Ok(())
}

#[test]
fn programs_are_refused_and_not_sent_to_sign_in() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("programs");
    let mut visitor = site.visitor();
    let get = || Request::get("/");
    for (what, request) in [
        ("a fetch", fetch("GET")),
        (
            "a fetch for anything",
            get()
                .header("sec-fetch-mode", "cors")
                .header("accept", "*/*"),
        ),
        (
            "an image",
            get()
                .header("sec-fetch-mode", "no-cors")
                .header("accept", "image/*"),
        ),
        (
            "a frame's socket",
            get().header("sec-fetch-mode", "websocket"),
        ),
        (
            "XMLHttpRequest",
            get().header("x-requested-with", "XMLHttpRequest"),
        ),
        ("JSON alone", get().header("accept", "application/json")),
        (
            "no pages",
            get().header("accept", "application/json, text/html;q=0"),
        ),
        (
            "a POST",
            Request::post("/", "a=b").header("content-type", "application/x-www-form-urlencoded"),
        ),
        ("a DELETE", Request::new("DELETE", "/")),
    ] {
        let step = visitor.send(at("/api"), request)?;
        assert_eq!(step.response.status, 401, "{what}: {step}");
        assert!(step.set_cookies().is_empty(), "{what}: {step}");
        assert!(step.header("www-authenticate").is_some(), "{what}: {step}");
        assert!(!gateway.did_arrive(&step), "{what}");
    }
    let step = visitor.send(at("/api"), fetch("GET"))?;
    assert_is_told_by_json(&step, 401)?;
    // An old browser, or curl, says nothing of itself: what it takes decides.
    for request in [
        Request::get("/").header("accept", "*/*"),
        Request::new("HEAD", "/"),
    ] {
        assert_sent_to_sign_in(&visitor.send(at("/api"), request)?, &site.provider)?;
    }

    let grpc = Request::post("/a.Service/Method", b"\x00\x00\x00\x00\x00")
        .host(HOST)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let client = legation_tests::Client::http2(site.address);
    let response: Response = client.send(grpc)?;
    let field = |name: &str| response.headers.text(name).or(response.trailers.text(name));
    assert_eq!(response.status, 200, "{response}");
    assert_eq!(field("grpc-status").as_deref(), Some("16"), "{response}");
    assert!(!response.headers.contains("set-cookie"), "{response}");
    assert_eq!(gateway.arrivals("programs"), []);
    gateway
        .stage
        .wait_for_count("programs.oauth_unauthorized_rq", 11)
}

#[test]
fn matchers_decide_in_their_order() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("matchers");
    let mut stranger = site.visitor();
    stranger.jar_mut().put(HOST, SESSION, "made-up");
    stranger.jar_mut().put(HOST, "theirs", "1");
    let mut known = site.signed_in()?;
    let forged = || Request::get("/").header("x-user", "forged");

    for path in ["/public/a", "/open/a", "/maybe/a"] {
        let arrived = gateway.arrived(&stranger.send(at(path), forged())?)?;
        assert!(!arrived.headers.contains("x-user"), "{path}: {arrived}");
        assert_eq!(
            arrived.headers.text("cookie").as_deref(),
            Some("theirs=1"),
            "{path}"
        );
    }
    // What is open is open to all alike, and where somebody may be known he is.
    for (path, users) in [
        ("/public/a", None),
        ("/open/a", None),
        ("/maybe/a", Some("alice")),
    ] {
        let arrived = gateway.arrived(&known.send(at(path), forged())?)?;
        assert_eq!(arrived.headers.text("x-user").as_deref(), users, "{path}");
        assert!(!arrived.headers.contains("cookie"), "{path}: {arrived}");
    }
    let step = stranger.go(at("/api/a"))?;
    assert_eq!(step.response.status, 401, "{step}");
    assert_eq!(known.go(at("/api/a"))?.response.status, 200);
    assert_sent_to_sign_in(&stranger.go(at("/a"))?, &site.provider)?;

    let preflight = Request::new("OPTIONS", "/")
        .header("sec-fetch-mode", "cors")
        .header("origin", "https://other.example")
        .header("access-control-request-method", "POST");
    let step = stranger.send(at("/a"), preflight)?;
    assert_eq!(step.response.status, 200, "{step}");
    let step = stranger.send(
        at("/a"),
        Request::new("OPTIONS", "/").header("accept", "*/*"),
    )?;
    assert_eq!(
        step.response.status, 401,
        "an OPTIONS that is no preflight:\n{step}"
    );

    // No spelling of another path is one that is open.
    for path in [
        "/public/../a",
        "/public/..%2fa",
        "/public/%2e%2e/a",
        "/public/..\\a",
        "/public",
        "/Public/a",
        "//public/a",
        "/a;/public/",
        "/a?/public/",
        "/public%2fa",
        "/public%5c..%5ca",
        "/a/public/",
        "/public/..;/a",
    ] {
        let before = gateway.arrivals("matchers").len();
        let answer = raw(site, path, HOST)?;
        let passed = gateway.arrivals("matchers").len() > before;
        assert_eq!(
            passed,
            answer.starts_with("HTTP/1.1 200"),
            "{path}: {answer}"
        );
        // Envoy itself makes one of some: what arrives is below `/public/` then, as the upstream sees it.
        if passed {
            let last = gateway.arrivals("matchers").pop().context("it arrived")?;
            assert!(
                last.path.starts_with("/public/") && !last.path.contains(".."),
                "{path} arrived as {}:\n{answer}",
                last.path
            );
        }
    }
    gateway.assert_well()
}

fn status(gateway: &Gateway, site: &str, claims: &Value, path: &str) -> Result<u16> {
    let site = gateway.site(site);
    let claims = claims.as_object().context("claims")?.clone();
    site.provider.change(|it| it.claims = claims);
    let mut visitor = site.visitor();
    let step = visitor.visit(at(path))?;
    let has_session = visitor.jar().get(SESSION).is_some();
    if step.response.status == 200 {
        gateway.arrived(&step)?;
    } else {
        assert!(!gateway.did_arrive(&step), "{step}");
    }
    // Whoever may nowhere come in gets no session.
    Ok(match (step.response.status, has_session) {
        (403, true) => 1403,
        (status, _) => status,
    })
}

#[test]
fn who_may_not_come_in_is_told_so() -> Result<()> {
    let gateway = shared()?;
    for (site, claims, path, expected) in [
        ("groups", json!({"groups": ["x", "staff"]}), "/", 200),
        ("groups", json!({"groups": "staff"}), "/", 200),
        ("groups", json!({"groups": ["Staff", "staff "]}), "/", 403),
        ("groups", json!({}), "/", 403),
        ("emails", json!({"email": "alice@a.example"}), "/", 200),
        ("emails", json!({"email": "bob@a.example"}), "/", 403),
        (
            "emails",
            json!({"email": "bob@B.example", "email_verified": true}),
            "/",
            200,
        ),
        (
            "emails",
            json!({"email": "bob@b.example", "email_verified": false}),
            "/",
            403,
        ),
        (
            "emails",
            json!({"email": "bob@b.example.evil.example"}),
            "/",
            403,
        ),
        ("emails", json!({"email": "b.example"}), "/", 403),
        (
            "emails",
            json!({"email": "bob@evil.example@b.example"}),
            "/",
            403,
        ),
        ("claims", json!({"level": 4}), "/", 200),
        ("claims", json!({"level": 2}), "/", 403),
        ("rules", json!({"groups": ["admin"]}), "/admin", 200),
        ("rules", json!({"groups": ["staff"]}), "/admin", 1403),
        ("rules", json!({"groups": ["staff"]}), "/", 200),
    ] {
        let got = status(&gateway, site, &claims, path)?;
        assert_eq!(got, expected, "{site}, {claims}, {path}");
    }
    // A program is told by JSON, and by 403 as it has a session.
    let mut visitor = gateway.site("rules").signed_in()?;
    let step = visitor.send(at("/admin"), fetch("GET"))?;
    assert_is_told_by_json(&step, 403)?;
    // No other spelling of the path gets around a rule.
    for path in [
        "/%61dmin",
        "//admin",
        "/admin/",
        "/x/../admin",
        "/admin;x",
        "/admin?x",
    ] {
        let step = visitor.visit(at(path))?;
        if step.response.status == 200 {
            let arrived = gateway.arrived(&step)?;
            assert!(!arrived.path.starts_with("/admin"), "{path}: {arrived}");
        }
    }
    gateway.assert_well()
}

#[test]
fn the_upstream_gets_what_it_is_to_get() -> Result<()> {
    let gateway = shared()?;
    let with = |name: &str| -> Result<(legation_tests::Received, String)> {
        let site = gateway.site(name);
        site.provider.change(|it| {
            it.claims.insert("groups".to_owned(), json!(["a", "b"]));
            it.claims
                .insert("address".to_owned(), json!({"city": "Köln\r\nx-evil: 1"}));
        });
        let mut visitor = site.signed_in()?;
        let request = Request::get("/")
            .header("authorization", "Bearer mine")
            .header("x-id-token", "mine")
            .header("x-none", "mine");
        let arrived = gateway.arrived(&visitor.send(at("/"), request)?)?;
        let authorization = arrived.headers.text("authorization").unwrap_or_default();
        Ok((arrived, authorization))
    };
    let (arrived, authorization) = with("bearer")?;
    let token = authorization
        .strip_prefix("Bearer ")
        .context("a bearer token")?;
    let secrets = gateway.site("bearer").provider.secrets();
    assert!(
        token.starts_with("access+") && secrets.contains(&token.to_owned()),
        "{token}"
    );
    assert_eq!(arrived.headers.all("authorization").len(), 1);
    let id_token = arrived.headers.text("x-id-token").context("an ID token")?;
    assert_eq!(id_token.split('.').count(), 3);
    assert_eq!(arrived.headers.all("x-id-token").len(), 1);
    assert_eq!(arrived.headers.all("x-groups"), [b"a,b"]);
    assert!(!arrived.headers.contains("x-none"), "{arrived}");
    assert!(!arrived.headers.contains("x-evil"), "{arrived}");
    let (_, authorization) = with("auth-kept")?;
    assert_eq!(authorization, "Bearer mine");
    let (_, authorization) = with("auth-plain")?;
    assert_eq!(authorization, "");
    gateway.assert_well()
}

#[test]
fn report_mode_lets_everybody_in_and_believes_nobody() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("report");
    let request = Request::get("/").header("x-user", "forged");
    let step = site.visitor().send(at("/"), request)?;
    assert_eq!(step.response.status, 200, "{step}");
    assert!(!gateway.arrived(&step)?.headers.contains("x-user"));
    gateway.assert_well()
}
