//! A browser signs in, header by header.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use legation_tests::jwt::base64;
use legation_tests::oidc::{Endpoint, challenge, form};
use legation_tests::visitor::Url;
use legation_tests::{DEADLINE, Request, wait_for};
use serde_json::json;

use super::{
    CALLBACK, Described, FLOW, HOST, ORIGIN, SECRET, SESSION, assert_failed,
    assert_sent_to_sign_in, at, fetch, is_callback, parts, shared, site,
};

/// 32 bytes as base64url.
fn is_random(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    text.len() == 43 && text.bytes().all(is_letter)
}

pub(crate) fn sites() -> Vec<Described> {
    let uri = |path: &str| json!({"uri": format!("{{issuer}}{path}"), "cluster": "basic"});
    vec![
        site("happy", json!({})),
        site("random", json!({})),
        site("tabs", json!({})),
        site("loop", json!({})),
        site("short", json!({"csrf_token_expires_in": "10s"})),
        site("refuses", json!({})),
        site(
            "basic",
            json!({
                "openid_configuration": null,
                "authorization_endpoint": "{issuer}/authorize",
                "token_endpoint": uri("/token"),
                "remote_jwks": {"http_uri": uri("/jwks")},
                "auth_type": "BASIC_AUTH",
                "auth_scopes": ["openid", "email", "offline_access"],
                "resources": ["https://api.example/a", "https://api.example/b"],
                "authorization_parameters": {"prompt": "consent", "acr_values": "urn:a b"},
            }),
        ),
        site(
            "public",
            json!({"auth_type": "NONE", "credentials": {"client_secret": null}}),
        )
        .told(|provider| provider.change(|it| it.client_secret = None)),
        // As GitHub is: no ID tokens, and UserInfo tells who it is.
        site(
            "plain-oauth",
            json!({
                "issuer": null,
                "openid_configuration": null,
                "authorization_endpoint": "{issuer}/authorize",
                "token_endpoint": {"uri": "{issuer}/token", "cluster": "plain-oauth"},
                "userinfo_endpoint": {"uri": "{issuer}/userinfo", "cluster": "plain-oauth"},
                "auth_scopes": ["read:user"],
            }),
        ),
        site(
            "central",
            json!({
                "redirect_uri": "%REQ(x-forwarded-proto)%://auth.localhost/callback",
                "allowed_redirect_domains": [HOST],
                "credentials": {"cookie_domain": "localhost"},
            }),
        ),
        site("pushed", json!({"use_pushed_authorization_requests": true})),
        site(
            "pushed-basic",
            json!({"use_pushed_authorization_requests": true, "auth_type": "BASIC_AUTH"}),
        ),
        site(
            "userinfo",
            json!({
                "use_userinfo": true,
                "claim_to_headers": [
                    {"header_name": "x-user", "claim_name": "sub"},
                    {"header_name": "x-team", "claim_name": "team"},
                ],
            }),
        )
        .told(|provider| {
            provider.change(|it| {
                it.claims.insert("team".to_owned(), json!("blue"));
            });
        }),
    ]
}

#[test]
fn header_by_header() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("happy");
    let mut visitor = site.visitor();
    visitor.jar_mut().put(HOST, "theirs", "1");

    // Off to the provider.
    let page = at("/orders?a=1&b=%20x&c=%2F%3A");
    let step = visitor.go(&page)?;
    assert_sent_to_sign_in(&step, &site.provider)?;
    assert!(!gateway.did_arrive(&step));
    assert!(step.response.body.is_empty(), "{step}");
    assert!(
        step.header("cache-control")
            .unwrap_or_default()
            .contains("no-store")
    );
    let to = step.location()?;
    let parameter = |name: &str| to.parameter(name).unwrap_or_default();
    let mut names: Vec<_> = to.parameters().into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "nonce",
            "redirect_uri",
            "response_type",
            "scope",
            "state",
        ]
    );
    assert_eq!(parameter("response_type"), "code");
    assert_eq!(parameter("client_id"), "app");
    assert_eq!(parameter("redirect_uri"), at(CALLBACK));
    assert_eq!(parameter("scope"), "openid");
    assert_eq!(parameter("code_challenge_method"), "S256");
    for random in ["state", "nonce", "code_challenge"] {
        assert!(is_random(&parameter(random)), "{random}: {to}");
    }

    // One cookie for this sign-in, which tells nothing of it.
    let line = step.set_cookie(FLOW)?;
    assert_eq!(step.set_cookies().len(), 1, "{step}");
    let (name, value, attributes) = parts(&line)?;
    let mark = name.strip_prefix(&format!("{FLOW}.")).unwrap_or_default();
    assert_eq!(mark.len(), 8, "{name}");
    assert!(!line.contains(&parameter("state")) && !line.contains(&parameter("nonce")));
    assert!(value.len() > 100, "{value}");
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(
            attributes.iter().any(|one| one == attribute),
            "{attribute}: {line}"
        );
    }
    assert!(
        attributes.iter().any(|one| one.starts_with("Max-Age=")),
        "{line}"
    );
    assert!(!line.contains("Domain="), "{line}");

    // And back.
    let back = visitor.visit_until(&to, is_callback)?;
    let done = visitor.go(&back)?;
    assert_eq!(done.response.status, 302, "{done}");
    assert_eq!(done.location()?.to_string(), page);
    assert!(
        done.header("cache-control")
            .unwrap_or_default()
            .contains("no-store")
    );
    assert!(!gateway.did_arrive(&done), "the callback goes no further");
    let session = done.set_cookie(&format!("{SESSION}="))?;
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(session.contains(attribute), "{attribute}: {session}");
    }
    assert!(session.len() <= 4_000, "{}", session.len());
    let ended = done.set_cookie(&format!("{name}="))?;
    assert!(ended.contains("Max-Age=0"), "{ended}");
    assert_eq!(visitor.refused(), [""; 0]);

    // What the provider got.
    let exchanges = site.provider.token_requests("authorization_code");
    assert_eq!(exchanges.len(), 1);
    let exchange = &exchanges[0];
    assert_eq!(exchange.get("code"), back.parameter("code").as_deref());
    assert_eq!(exchange.get("redirect_uri"), Some(at(CALLBACK).as_str()));
    assert_eq!(exchange.get("client_id"), Some("app"));
    assert_eq!(exchange.get("client_secret"), Some(SECRET));
    let verifier = exchange.get("code_verifier").context("a verifier")?;
    assert_eq!(challenge(verifier), parameter("code_challenge"));
    assert!(!line.contains(verifier));
    let request = &site.provider.requests_of(Endpoint::Token)[0];
    assert_eq!(
        request.headers.text("content-type").as_deref(),
        Some("application/x-www-form-urlencoded")
    );
    assert!(!request.headers.contains("authorization"));
    assert!(!request.headers.contains("cookie"), "{request}");

    // Let in, as alice and nobody else, without our cookies.
    for _ in 0..2 {
        let step = visitor.send(&page, Request::get("/").header("x-user", "forged"))?;
        assert_eq!(step.response.status, 200, "{step}");
        assert!(step.set_cookies().is_empty(), "{step}");
        let arrived = gateway.arrived(&step)?;
        assert_eq!(arrived.path, "/orders?a=1&b=%20x&c=%2F%3A");
        assert_eq!(arrived.headers.all("x-user"), [b"alice"]);
        assert_eq!(arrived.headers.text("cookie").as_deref(), Some("theirs=1"));
        assert!(!arrived.headers.contains("authorization"));
    }
    let post = visitor.send(at("/orders"), fetch("POST").body("an order"))?;
    assert_eq!(gateway.arrived(&post)?.text(), "an order");

    gateway.stage.wait_for_count("happy.signed_in", 1)?;
    gateway.assert_well()
}

#[test]
fn what_is_random_is_new_every_time() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("random");
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let step = site.visitor().go(at("/"))?;
        let to = step.location()?;
        let (name, value, _) = parts(&step.set_cookie(FLOW)?)?;
        let random = ["state", "nonce", "code_challenge"].map(|name| to.parameter(name));
        for one in random.into_iter().flatten().chain([name, value]) {
            assert!(seen.insert(one.clone()), "{one} comes twice");
        }
    }
    assert_eq!(seen.len(), 250);
    Ok(())
}

#[test]
fn providers_are_asked_as_they_want_it() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("basic");
    site.signed_in()?;
    assert_eq!(site.provider.count(Endpoint::Discovery), 0);
    let asked = form(&site.provider.requests_of(Endpoint::Authorization)[0]);
    assert_eq!(asked.get("scope"), Some("openid email offline_access"));
    assert_eq!(
        asked.all("resource"),
        ["https://api.example/a", "https://api.example/b"]
    );
    assert_eq!(asked.get("prompt"), Some("consent"));
    assert_eq!(asked.get("acr_values"), Some("urn:a b"));
    let request = &site.provider.requests_of(Endpoint::Token)[0];
    // RFC 6749, section 2.3.1: escaped first.
    let basic = format!("Basic {}", base64("app:s3cret+%26+more"));
    assert_eq!(request.headers.text("authorization"), Some(basic));
    let exchange = form(request);
    assert_eq!(exchange.get("client_secret"), None);
    assert_eq!(
        exchange.all("resource"),
        ["https://api.example/a", "https://api.example/b"]
    );

    let site = gateway.site("public");
    site.signed_in()?;
    let request = &site.provider.requests_of(Endpoint::Token)[0];
    assert!(!request.headers.contains("authorization"));
    assert_eq!(form(request).get("client_id"), Some("app"));
    assert_eq!(form(request).get("client_secret"), None);

    let site = gateway.site("plain-oauth");
    let mut visitor = site.signed_in()?;
    let arrived = gateway.arrived(&visitor.go(at("/"))?)?;
    assert_eq!(arrived.headers.all("x-user"), [b"alice"]);
    let asked = form(&site.provider.requests_of(Endpoint::Authorization)[0]);
    assert_eq!(
        (asked.get("scope"), asked.get("nonce")),
        (Some("read:user"), None)
    );
    assert!(asked.get("code_challenge").is_some());

    gateway.site("pushed-basic").signed_in()?;
    let site = gateway.site("pushed");
    site.signed_in()?;
    let pushed = form(&site.provider.requests_of(Endpoint::PushedRequests)[0]);
    for name in ["state", "nonce", "code_challenge"] {
        assert!(
            pushed.get(name).is_some_and(is_random),
            "{name}: {pushed:?}"
        );
    }
    assert_eq!(pushed.get("client_secret"), Some(SECRET));
    let asked = &site.provider.requests_of(Endpoint::Authorization)[0];
    let asked = Url::parse(&format!("{ORIGIN}{}", asked.path))?;
    let names: Vec<_> = asked
        .parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["client_id", "request_uri"]);

    let site = gateway.site("userinfo");
    let mut visitor = site.signed_in()?;
    let arrived = gateway.arrived(&visitor.go(at("/"))?)?;
    assert_eq!(arrived.headers.all("x-team"), [b"blue"]);
    assert_eq!(site.provider.count(Endpoint::UserInfo), 1);
    gateway.assert_well()
}

#[test]
fn one_callback_serves_the_hosts_that_are_named() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("central");
    let mut visitor = site
        .visitor()
        .knows("auth.localhost", site.address)
        .knows("other.localhost", site.address);
    let step = visitor.visit(at("/page?x=1"))?;
    assert_eq!(step.url.to_string(), at("/page?x=1"));
    assert_eq!(step.response.status, 200, "{step}");
    assert_eq!(visitor.steps_to("auth.localhost", CALLBACK).len(), 1);
    // Nobody is brought to a host that is not named.
    visitor.jar_mut().retain(|_| false);
    let step = visitor.go("http://other.localhost/page")?;
    assert_eq!(step.response.status, 400, "{step}");
    assert!(step.set_cookies().is_empty(), "{step}");
    Ok(())
}

#[test]
fn tabs_sign_in_side_by_side() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("tabs");
    let mut visitor = site.visitor();
    let mut backs = Vec::new();
    for tab in 0..5 {
        let path = format!("/tab/{tab}");
        backs.push((site.callback(&mut visitor, &path)?, path));
    }
    assert_eq!(visitor.jar().names(HOST).len(), 5);
    // The last one opened comes back first.
    while let Some((back, path)) = backs.pop() {
        let done = visitor.go(&back)?;
        assert_eq!(done.location()?.to_string(), at(&path), "{done}");
    }
    let kept = visitor.jar().names(HOST);
    assert!(
        !kept.iter().any(|name| name.starts_with("__Host-flow.")),
        "{kept:?}"
    );
    assert_eq!(visitor.go(at("/"))?.response.status, 200);

    // However many are begun, a browser keeps a few, and the latest can be ended.
    let mut visitor = site.visitor();
    let mut last = None;
    for tab in 0..20 {
        last = Some(site.callback(&mut visitor, &format!("/tab/{tab}"))?);
        let flows = visitor.jar().names(HOST).len();
        assert!(flows <= 9, "{flows} cookies of sign-ins");
    }
    let done = visitor.go(last.context("a callback")?)?;
    assert_eq!(done.location()?.to_string(), at("/tab/19"), "{done}");
    Ok(())
}

#[test]
fn who_comes_late_or_is_refused_is_told_and_can_try_again() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("short");
    // Each state is good once, so each look needs a sign-in that was begun at the start.
    let mut begun = Vec::new();
    for _ in 0..30 {
        let mut visitor = site.visitor();
        let began = Instant::now();
        let back = site.callback(&mut visitor, "/late?x=1")?;
        begun.push((visitor, back, began));
    }
    let start = Instant::now();
    let mut looks = 0;
    let (step, visitor, lasted) = wait_for("the sign-ins to be over", DEADLINE, || {
        if start.elapsed().as_secs() < looks {
            return Ok(None);
        }
        looks += 1;
        let (mut visitor, back, began) = begun.pop().context("one that is not used")?;
        let step = visitor.go(&back)?;
        Ok((step.response.status != 302).then_some((step, visitor, began.elapsed())))
    })?;
    // It has ten, of which the first is counted whole.
    assert!(lasted >= Duration::from_secs(9), "over after {lasted:?}");
    assert_failed(&step, &visitor, site)?;
    // It knows the way back to the page.
    assert!(step.response.text().contains("/late?x=1"), "{step}");

    let site = gateway.site("refuses");
    for (error, status) in [
        ("access_denied", 403),
        ("temporarily_unavailable", 503),
        ("login_required", 403),
        ("server_error", 502),
    ] {
        site.provider
            .change(|it| it.refuses = Some(error.to_owned()));
        let mut visitor = site.visitor();
        let back = site.callback(&mut visitor, "/page")?;
        let step = visitor.go(&back)?;
        assert_failed(&step, &visitor, site)?;
        assert_eq!(step.response.status, status, "{error}: {step}");
        let text = step.response.text();
        // What the provider says is text, if it is shown.
        assert!(!text.contains("<b>no</b>"), "{text}");
    }
    assert_eq!(site.exchanges(), 0);
    gateway.assert_well()
}

#[test]
fn who_comes_back_without_a_cookie_again_and_again_is_stopped() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("loop");
    let mut visitor = site.visitor();
    let mut rounds = 0;
    let stopped = loop {
        let step = visitor.go(at("/"))?;
        if step.response.status != 302 {
            break step;
        }
        let back = visitor.visit_until(step.location()?, is_callback)?;
        visitor.go(&back)?;
        // A session that is not kept, as where it is too large for the browser.
        visitor
            .jar_mut()
            .retain(|one| !one.name.starts_with(SESSION));
        rounds += 1;
        assert!(rounds < 20, "it never ends");
    };
    assert!((2..=10).contains(&rounds), "{rounds}");
    assert!(stopped.response.status >= 400, "{stopped}");
    super::assert_is_error_page(&stopped)
}
