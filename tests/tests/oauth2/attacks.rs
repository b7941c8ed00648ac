//! Attacks that have been made on others, by their names; those with a module of their own are there.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use legation_tests::jwt::Mode;
use legation_tests::oidc::Endpoint;
use legation_tests::visitor::Url;
use legation_tests::{DEADLINE, RawConnection, Request, wait_for};
use serde_json::json;

use super::{
    Described, FLOW, Gateway, HOST, SESSION, Shared, assert_sent_to_sign_in, at, fetch,
    is_callback, raw, shared, site,
};

pub(crate) fn sites() -> Vec<Described> {
    let credentials = |id: &str, session: &str| json!({"credentials": {"client_id": id, "cookie_names": {"session": session}}});
    vec![
        site("token", json!({"forward_bearer_token": true})),
        site("answers", json!({})),
        site("sealed-a", credentials("app", "sess")),
        site("sealed-b", credentials("other", "sess"))
            .told(|provider| provider.change(|it| it.client_id = "other".to_owned())),
        site("sealed-c", credentials("app", "ss")),
        site(
            "sealed-d",
            json!({"credentials": {"cookie_names": {"session": "ses", "flow": "s"}}}),
        ),
        site("gone", json!({"use_userinfo": true})),
        site("flood", json!({})),
    ]
}

/// An Envoy that does nothing by itself with paths and with the names of headers.
fn bare() -> Result<Shared> {
    static GATEWAY: OnceLock<Result<Gateway, String>> = OnceLock::new();
    Shared::of(&GATEWAY, || {
        let path = |prefix: &str| json!({"path": {"prefix": prefix}});
        let plain = ["open", "forwarded", "hosts"].map(|name| site(name, json!({})));
        let mut sites = Vec::from(plain);
        sites.push(site(
            "spellings",
            json!({
                "pass_through_matcher": [path("/public/")],
                "allow_failed_matcher": [path("/maybe/")],
                "rules": [
                    {"match": path("/open/"), "disabled": true},
                    {"match": path("/admin"), "allowed_groups": ["admin"]},
                ],
            }),
        ));
        Gateway::start(sites, |config| {
            config.hcm(&json!({
                "normalize_path": false,
                "merge_slashes": false,
                "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
                "common_http_protocol_options": {"headers_with_underscores_action": "ALLOW"},
            }))
        })
    })
}

#[test]
fn cve_2022_29226_a_token_that_the_filter_has_not_given_is_none() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("token");
    // Envoy's filter took any of these once.
    let far = "9999999999";
    for cookies in [
        vec![
            ("BearerToken", "x"),
            ("OauthHMAC", "x"),
            ("OauthExpires", far),
        ],
        vec![("BearerToken", "x")],
        vec![("IdToken", "x"), ("RefreshToken", "x")],
        vec![(SESSION, "")],
        vec![(SESSION, "1")],
        vec![(SESSION, "1AAAA")],
        vec![(SESSION, "x"), ("__Host-sess.1", "y")],
        vec![("sess", "x")],
    ] {
        let mut visitor = site.visitor();
        for (name, value) in &cookies {
            visitor.jar_mut().put(HOST, name, value);
        }
        let bearer = Request::get("/").header("authorization", "Bearer x");
        let step = visitor.send(at("/"), bearer)?;
        assert_sent_to_sign_in(&step, &site.provider).with_context(|| format!("{cookies:?}"))?;
        assert_eq!(visitor.send(at("/"), fetch("GET"))?.response.status, 401);
    }
    assert_eq!(gateway.arrivals("token"), []);
    gateway.assert_well()
}

#[test]
fn cve_2022_29228_after_an_answer_nothing_goes_on() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("answers");
    let body = "x".repeat(300_000);
    for _ in 0..5 {
        for path in ["/", "/callback", "/callback?state=x&code=y", "/signout"] {
            for method in ["POST", "GET"] {
                let request = Request::new(method, "/").body(&body).body(&body).host(HOST);
                // The answer may come before the body's end, and the connection go.
                site.visitor().send(at(path), request.clone()).ok();
                let client = legation_tests::Client::http2(site.address);
                let mut request = Request::new(method, path).host(HOST);
                request = request.body(&body).trailer("x-t", "1");
                client.send(request).ok();
            }
        }
    }
    assert_eq!(gateway.arrivals("answers"), []);
    site.signed_in()?;
    gateway.assert_well()
}

#[test]
fn cve_2023_35941_what_is_sealed_for_one_is_not_good_for_another() -> Result<()> {
    let gateway = shared()?;
    let alice = gateway.site("sealed-a").signed_in()?;
    let session = alice.jar().get(SESSION).context("a session")?.value.clone();
    for (site, name) in [
        ("sealed-b", "__Host-sess"),
        ("sealed-c", "__Host-ss"),
        ("sealed-d", "__Host-ses"),
        ("sealed-d", "__Host-s"),
        ("sealed-a", "__Host-flow.AAAAAAAA"),
    ] {
        let site = gateway.site(site);
        let mut visitor = site.visitor();
        visitor.jar_mut().put(HOST, name, &session);
        assert_sent_to_sign_in(&visitor.go(at("/"))?, &site.provider).context(name)?;
    }

    // A sign-in's cookie is no session, and a session is no sign-in's cookie.
    let site = gateway.site("sealed-a");
    let mut visitor = site.visitor();
    let back = site.callback(&mut visitor, "/")?;
    let names = visitor.jar().names(HOST);
    let flow = names.iter().find(|name| name.starts_with(FLOW));
    let flow = flow.context("a sign-in's cookie")?;
    let value = visitor.jar().get(flow).context("its value")?.value.clone();
    let mut thief = site.visitor();
    thief.jar_mut().put(HOST, SESSION, &value);
    assert_sent_to_sign_in(&thief.go(at("/"))?, &site.provider)?;
    let mut thief = site.visitor();
    thief.jar_mut().put(HOST, flow, &session);
    assert!(thief.go(&back)?.response.status >= 400);
    assert!(visitor.go(&back)?.response.status == 302);
    gateway.assert_well()
}

#[test]
fn cve_2026_48090_tokens_that_come_when_the_browser_has_gone_hurt_nobody() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("gone");
    for endpoint in [Endpoint::Token, Endpoint::UserInfo] {
        site.provider.mend();
        site.provider
            .set(endpoint, Mode::Slow(Duration::from_millis(300)));
        for round in 0..5 {
            let mut visitor = site.visitor();
            let back = site.callback(&mut visitor, "/")?;
            let cookies = visitor.jar().header(&back).unwrap_or_default();
            let mut raw = RawConnection::open(site.address)?;
            raw.send(
                format!(
                    "GET {} HTTP/1.1\r\nhost: {HOST}\r\ncookie: {cookies}\r\n\r\n",
                    back.path
                )
                .as_bytes(),
            )?;
            // The provider has been asked, and its answer is on the way.
            let asked = site.provider.count(endpoint);
            wait_for("the provider to be asked", DEADLINE, || {
                let now = site.provider.count(endpoint);
                Ok((now > asked || now > round).then_some(()))
            })?;
            drop(raw);
        }
    }
    site.provider.mend();
    let aborted = || gateway.stage.admin().stat("http.gone.downstream_rq_active");
    wait_for("the streams to be gone", DEADLINE, || {
        Ok((aborted()? == Some(0)).then_some(()))
    })?;
    site.signed_in()?;
    gateway.assert_well()
}

#[test]
fn nobody_is_sent_to_another_site() -> Result<()> {
    let gateway = bare()?;
    let site = gateway.site("open");
    for path in [
        "//evil.example/",
        "//evil.example",
        "///evil.example/",
        "/\\evil.example/",
        "/\\/evil.example/",
        "/%5cevil.example/",
        "/%2f%2fevil.example/",
        "/%2fevil.example/",
        "/.//evil.example/",
        "/..//evil.example/",
        "/%09/evil.example/",
        "/%0d%0alocation:%20http://evil.example/",
        "/https:evil.example",
        "/@evil.example/",
        "/;@evil.example/",
        "/x?rd=https://evil.example/",
        "/x?redirect=//evil.example/&state=y",
        "/x#@evil.example/",
        "http://evil.example/",
        "https:evil.example",
    ] {
        let answer = raw(site, path, HOST)?;
        // What cannot be brought back to is refused, or brought back to a place of ours.
        let Some((_, location)) = answer.split_once("location: ") else {
            assert!(!answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            continue;
        };
        let location = location.lines().next().unwrap_or_default();
        let mut visitor = site.visitor();
        let here = Url::parse(&at("/"))?;
        for line in answer
            .lines()
            .filter_map(|line| line.strip_prefix("set-cookie: "))
        {
            visitor
                .jar_mut()
                .set(&here, line)
                .map_err(anyhow::Error::msg)?;
        }
        let to = here.join(location)?;
        if to.host() == HOST {
            continue;
        }
        assert!(
            location.starts_with(&site.provider.uri(Endpoint::Authorization)),
            "{path}: {answer}"
        );
        let back = visitor.visit_until(&to, |url| url.path_alone() == "/callback");
        let back = back.with_context(|| path.to_owned())?;
        // The host of an absolute target is the one that was asked for; where it goes, the provider checks.
        if back.host() != HOST {
            assert_eq!(path, "http://evil.example/", "{back}");
            continue;
        }
        let done = visitor.go(&back)?;
        let end = done.location().with_context(|| path.to_owned())?;
        assert_eq!(end.origin(), at(""), "{path} leads to {end}:\n{done}");
    }
    assert_eq!(gateway.arrivals("open"), []);
    gateway.assert_well()
}

#[test]
fn no_spelling_of_a_path_gets_past_a_rule() -> Result<()> {
    // Nobody has made one spelling of all: what is behind may read each in its own way.
    let gateway = bare()?;
    let site = gateway.site("spellings");
    for open in ["/public/", "/open/", "/maybe/"] {
        let head = raw(site, &format!("{open}a"), HOST)?;
        assert!(head.starts_with("HTTP/1.1 200"), "{open}: {head}");
        for way_out in [
            "../a",
            "..%2fa",
            "%2e%2e/a",
            "%2E%2e%2Fa",
            ".%2e/a",
            "..\\a",
            "..%5ca",
            "..;/a",
            "..;x/a",
            "x/../../a",
            "x//../../a",
            "./../a",
            "..%252fa",
        ] {
            let path = format!("{open}{way_out}");
            let head = raw(site, &path, HOST)?;
            // What is escaped twice is another name to all but those who undo it twice.
            let is_let_in = head.starts_with("HTTP/1.1 200");
            assert!(!is_let_in || way_out.contains("%25"), "{path}: {head}");
        }
    }
    let visitor = site.signed_in()?;
    let session = visitor.jar().get(SESSION).context("a session")?;
    let host = format!("{HOST}\r\ncookie: {SESSION}={}", session.value);
    assert!(raw(site, "/a", &host)?.starts_with("HTTP/1.1 200"));
    for path in [
        "/admin",
        "/admin/",
        "/admin?x",
        "/%61dmin",
        "/%61%64%6d%69%6E/x",
        "//admin",
        "///admin",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/..%2fadmin",
        "/x/..\\admin",
        "/%2fadmin",
        "/admin;x",
        "/;x/admin",
        "/x/..;/admin",
        "/admin%2fx",
        "/admin%3bx",
        "/public/../admin",
    ] {
        let head = raw(site, path, &host)?;
        assert!(!head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    }
    gateway.assert_well()
}

#[test]
fn ghsa_7x63_xv5r_3p2x_spoofed_x_forwarded_headers_lead_nowhere() -> Result<()> {
    let gateway = bare()?;
    let site = gateway.site("forwarded");
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "666"),
        ("x-forwarded-uri", "http://evil.example/"),
        ("x-original-url", "/public/"),
        ("x-rewrite-url", "/callback"),
        ("x-envoy-original-path", "/public/"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-auth-request-redirect", "https://evil.example/"),
    ] {
        let mut visitor = site.visitor();
        let step = visitor.send(at("/page"), Request::get("/").header(name, value))?;
        assert_sent_to_sign_in(&step, &site.provider)?;
        let to = step.location()?;
        assert_eq!(
            to.parameter("redirect_uri"),
            Some(at("/callback")),
            "{name}: {value}"
        );
        let back = visitor.visit_until(&to, is_callback)?;
        let done = visitor.send(&back, Request::get("/").header(name, value))?;
        assert_eq!(done.location()?.to_string(), at("/page"), "{name}: {done}");
    }
    // One name in two spellings, of which the upstream may see only one.
    let mut visitor = site.signed_in()?;
    for name in ["x-user", "X-User", "x_user", "X_USER"] {
        let step = visitor.send(at("/"), Request::get("/").header(name, "admin"))?;
        let arrived = gateway.arrived(&step)?;
        let users: Vec<_> = arrived
            .headers
            .iter()
            .filter(|(name, _)| name.to_ascii_lowercase().replace('_', "-") == "x-user")
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect();
        assert_eq!(users, ["alice"], "{name}: {arrived}");
    }
    gateway.assert_well()
}

#[test]
fn hosts_that_are_none_are_not_sent_anywhere() -> Result<()> {
    let gateway = bare()?;
    let site = gateway.site("hosts");
    for host in [
        "app.localhost@evil.example",
        "app.localhost:x",
        "app.localhost:99999",
        "app.localhost/evil",
        "app.localhost?x",
        "app.localhost,evil.example",
        "[::1",
        "evil.example\\@app.localhost",
        "\u{e9}vil.example",
        "a b",
    ] {
        let answer = raw(site, "/x", host)?;
        assert!(answer.starts_with("HTTP/1.1 4"), "{host}: {answer}");
        assert!(!answer.contains("location:"), "{host}: {answer}");
    }
    assert_eq!(gateway.arrivals("hosts"), []);
    gateway.assert_well()
}

#[test]
fn a_flood_of_cookies_breaks_nothing() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("flood");
    let long = "x".repeat(4_000);
    let many: Vec<String> = (0..600).map(|n| format!("c{n}={n}")).collect();
    let chunks: Vec<String> = (0..60).map(|n| format!("{SESSION}.{n}={long}")).collect();
    let flows: Vec<String> = (0..300).map(|n| format!("{FLOW}.{n:08}=AAAA")).collect();
    let same: Vec<String> = (0..300).map(|_| format!("{SESSION}=1AAAA")).collect();
    for cookies in [
        many.join("; "),
        chunks.join("; "),
        flows.join("; "),
        same.join("; "),
        ";".repeat(50_000),
        "=".repeat(50_000),
        format!("{SESSION}={}", "A".repeat(100_000)),
        format!("{SESSION}=9{}", "A".repeat(4_000)),
        format!("{SESSION}=\"1AAAA\""),
        SESSION.to_owned(),
    ] {
        for path in ["/", "/callback?state=x&code=y", "/signout"] {
            let request = Request::get("/").header("cookie", &cookies);
            let step = site.visitor().send(at(path), request)?;
            assert_ne!(step.response.status, 200, "{}", &cookies[..40]);
            assert!(
                step.response.status < 503,
                "{}: {}",
                &cookies[..40],
                step.response
            );
            assert!(!gateway.did_arrive(&step));
        }
    }
    // In many headers, too: HTTP/2 has one for each.
    let mut request = Request::get("/").host(HOST).header("accept", "text/html");
    for cookie in chunks.iter().chain(&flows) {
        request = request.header("cookie", cookie);
    }
    let client = legation_tests::Client::http2(site.address);
    assert_eq!(client.send(request)?.status, 302);
    gateway.assert_well()
}
