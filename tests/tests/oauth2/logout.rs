//! Sessions that are ended: by the browser, and by the provider.

use anyhow::{Context, Result};
use legation_tests::jwt::{Claims, Key, base64url, now};
use legation_tests::oidc::{Endpoint, LOGOUT_EVENT};
use legation_tests::visitor::{Step, Visitor};
use legation_tests::{DEADLINE, Request, wait_for};
use serde_json::json;

use super::{Described, HOST, SESSION, Site, assert_sent_to_sign_in, at, fetch, shared, site};

const PATH: &str = "/backchannel-logout";

pub(crate) fn sites() -> Vec<Described> {
    let takes_tokens = || json!({"back_channel_logout": {"path": PATH}});
    vec![
        site(
            "leaves",
            json!({"post_logout_redirect_uri": "http://app.localhost/bye"}),
        ),
        site("alone", json!({})).told(|provider| {
            provider.change(|it| {
                it.metadata
                    .insert("end_session_endpoint".to_owned(), json!(null));
            });
        }),
        site("ended", takes_tokens()),
        site("others", takes_tokens()),
    ]
}

#[test]
fn who_signs_out_leaves_nothing_and_goes_to_the_provider() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("leaves");
    let mut visitor = site.signed_in()?;
    let out = visitor.go(at("/signout"))?;
    assert_eq!(out.response.status, 302, "{out}");
    assert!(
        out.header("cache-control")
            .unwrap_or_default()
            .contains("no-store")
    );
    let to = out.location()?;
    assert!(
        to.to_string()
            .starts_with(&site.provider.uri(Endpoint::EndSession)),
        "{to}"
    );
    assert_eq!(to.parameter("client_id").as_deref(), Some("app"));
    assert_eq!(
        to.parameter("post_logout_redirect_uri").as_deref(),
        Some("http://app.localhost/bye")
    );
    assert!(visitor.jar().names(HOST).is_empty());
    let step = visitor.visit_until(&to, |url| url.host() == HOST)?;
    assert_eq!(step.path, "/bye");

    // Whoever is not in is told no less.
    let out = site.visitor().go(at("/signout"))?;
    assert_eq!(out.response.status, 302, "{out}");

    // An image of another site does not sign anybody out.
    let mut visitor = site.signed_in()?;
    let image = Request::get("/")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "no-cors")
        .header("sec-fetch-dest", "image");
    let step = visitor.send(at("/signout"), image)?;
    assert!(step.response.status >= 400, "{step}");
    assert!(visitor.jar().get(SESSION).is_some());

    // A provider that has no such place: a page says so.
    let site = gateway.site("alone");
    let mut visitor = site.signed_in()?;
    let out = visitor.go(at("/signout"))?;
    assert_eq!(out.response.status, 200, "{out}");
    super::assert_is_error_page(&out)?;
    assert!(visitor.jar().names(HOST).is_empty());
    assert!(!gateway.did_arrive(&out));
    gateway.stage.wait_for_count("leaves.signed_out", 2)?;
    gateway.assert_well()
}

fn tell(site: &Site, token: &str) -> Result<Step> {
    site.visitor().submit(at(PATH), &[("logout_token", token)])
}

fn signed_in(site: &Site, subject: &str, session: &str) -> Result<Visitor> {
    site.provider.change(|it| {
        it.subject = subject.to_owned();
        it.session = Some(session.to_owned());
    });
    site.signed_in()
}

fn is_in(visitor: &mut Visitor) -> Result<bool> {
    Ok(visitor.send(at("/"), fetch("GET"))?.response.status == 200)
}

#[test]
fn the_provider_ends_sessions() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("ended");
    let provider = &site.provider;
    let mut first = signed_in(site, "alice", "one")?;
    let mut second = signed_in(site, "alice", "two")?;
    let mut bob = signed_in(site, "bob", "three")?;
    // A copy of the cookie is no better than the cookie.
    let thief = first.clone();
    assert!(is_in(&mut first)? && is_in(&mut second)? && is_in(&mut bob)?);

    let claims = provider.logout_claims().claim("sid", "one");
    let step = tell(site, &provider.signed(&claims))?;
    assert_eq!(step.response.status, 200, "{step}");
    assert!(
        step.header("cache-control")
            .unwrap_or_default()
            .contains("no-store"),
        "{step}"
    );
    assert!(step.set_cookies().is_empty());
    for _ in 0..10 {
        assert!(!is_in(&mut first.clone())? && !is_in(&mut thief.clone())?);
    }
    assert_sent_to_sign_in(&first.go(at("/"))?, provider)?;
    assert!(is_in(&mut second)? && is_in(&mut bob)?);

    // Without a `sid`, all of the subject.
    let claims = provider.logout_claims().claim("sub", "alice");
    assert_eq!(tell(site, &provider.signed(&claims))?.response.status, 200);
    for _ in 0..10 {
        assert!(!is_in(&mut second.clone())?);
    }
    assert!(is_in(&mut bob)?);

    // Whoever signs in later is in.
    wait_for("a sign-in after the logout", DEADLINE, || {
        let mut alice = signed_in(site, "alice", "four");
        Ok(match &mut alice {
            Ok(alice) => is_in(alice)?.then_some(()),
            Err(_) => None,
        })
    })?;
    assert_eq!(
        gateway
            .stage
            .upstream()
            .requests()
            .iter()
            .filter(|it| it.path == PATH)
            .count(),
        0
    );
    gateway
        .stage
        .wait_for_count("ended.back_channel_logout", 2)?;
    gateway.assert_well()
}

#[test]
fn whoever_is_not_the_provider_ends_nothing() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("others");
    let provider = &site.provider;
    let mut alice = signed_in(site, "alice", "one")?;
    type Edit = fn(Claims) -> Claims;
    let cases: &[(&str, Edit)] = &[
        ("another issuer", |it| {
            it.claim("iss", "https://evil.example")
        }),
        ("no issuer", |it| it.without("iss")),
        ("another audience", |it| it.audience("other")),
        ("no audience", |it| it.without("aud")),
        ("a nonce", |it| it.claim("nonce", "x")),
        ("no events", |it| it.without("events")),
        ("other events", |it| it.claim("events", json!({"x": {}}))),
        ("events in a list", |it| {
            it.claim("events", json!([LOGOUT_EVENT]))
        }),
        ("an event that is no object", |it| {
            it.claim("events", json!({(LOGOUT_EVENT): true}))
        }),
        ("neither sid nor sub", |it| it.without("sid")),
        ("a sid that is a number", |it| it.claim("sid", 1)),
        ("over", |it| it.expires_in(-3600)),
        ("from yesterday", |it| it.claim("iat", now() - 86_400)),
        ("from tomorrow", |it| it.claim("iat", now() + 86_400)),
        ("no time", |it| it.without("iat")),
        ("an ID token by its type", |it| it.header("typ", "at+jwt")),
    ];
    let good = || provider.logout_claims().claim("sid", "one");
    for (what, edit) in cases {
        let step = tell(site, &provider.signed(&edit(good())))?;
        assert_eq!(step.response.status, 400, "{what}: {step}");
        assert!(is_in(&mut alice)?, "{what}");
    }
    for (what, key) in [
        ("another key", Key::fresh().with_id("first")),
        (
            "the client's secret",
            Key::hmac(super::SECRET).with_id("first"),
        ),
    ] {
        let step = tell(site, &good().signed_by(&key))?;
        assert_eq!(step.response.status, 400, "{what}: {step}");
    }
    let unsigned = provider.signed(&good());
    let payload = unsigned.split('.').nth(1).context("a payload")?;
    let unsigned = format!("{}.{payload}.", base64url(r#"{"alg":"none"}"#));
    let twice = provider.signed(&good());
    let form = "application/x-www-form-urlencoded";
    for (what, request) in [
        (
            "alg none",
            Request::post("/", format!("logout_token={unsigned}")).header("content-type", form),
        ),
        (
            "no token",
            Request::post("/", "").header("content-type", form),
        ),
        (
            "two",
            Request::post("/", format!("logout_token={twice}&logout_token={twice}"))
                .header("content-type", form),
        ),
        ("a GET", Request::get("/")),
        (
            "1 MB",
            Request::post("/", "x".repeat(1 << 20)).header("content-type", form),
        ),
        (
            "garbage",
            Request::post("/", b"\xff\x00%zz").header("content-type", form),
        ),
    ] {
        let step = site.visitor().send(at(PATH), request);
        let step = step.with_context(|| what.to_owned())?;
        assert!((400..500).contains(&step.response.status), "{what}: {step}");
    }
    let mut query = at(PATH);
    query.push_str(&format!("?logout_token={twice}"));
    assert!(site.visitor().go(query)?.response.status >= 400);
    assert!(is_in(&mut alice)?);
    // The same, sent as it should be, is good.
    assert_eq!(tell(site, &twice)?.response.status, 200);
    assert!(!is_in(&mut alice)?);
    assert_eq!(
        gateway
            .stage
            .upstream()
            .requests()
            .iter()
            .filter(|it| it.path == PATH)
            .count(),
        0
    );
    gateway.assert_well()
}
