//! What comes back to the callback that did not come from the provider.

use anyhow::{Context, Result};
use legation_tests::Request;
use legation_tests::visitor::Url;
use serde_json::json;

use super::{Described, FLOW, HOST, SESSION, Site, assert_failed, at, raw, shared, site};

pub(crate) fn sites() -> Vec<Described> {
    let plain = ["lacks", "other-browser", "further", "planted", "honest"];
    let mut all: Vec<_> = plain.map(|name| site(name, json!({}))).into();
    // Else the provider itself would refuse what comes twice.
    let once = site("once", json!({}));
    all.push(once.told(|provider| provider.change(|it| it.takes_codes_again = true)));
    all.push(site("silent", json!({})).told(|provider| {
        provider.change(|it| {
            let promised = "authorization_response_iss_parameter_supported";
            it.metadata.insert(promised.to_owned(), json!(null));
            it.iss = None;
        });
    }));
    all
}

fn begun(site: &Site) -> Result<(legation_tests::visitor::Visitor, Url)> {
    let mut visitor = site.visitor();
    let back = site.callback(&mut visitor, "/page")?;
    Ok((visitor, back))
}

#[test]
fn cve_2023_27496_a_callback_that_lacks_something_or_has_it_twice_is_refused() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("lacks");
    let (visitor, back) = begun(site)?;
    let twice = |name: &str, value: &str| {
        let mut url = back.clone();
        url.path = format!("{}&{name}={value}", url.path);
        url
    };
    let mut bare = back.clone();
    bare.path = "/callback".to_owned();
    let state = back.parameter("state").context("a state")?;
    let long = "x".repeat(9_000);
    let mut cases = vec![
        ("nothing", bare),
        ("no state", back.with_parameter("state", None)),
        ("an empty state", back.with_parameter("state", Some(""))),
        (
            "another state",
            back.with_parameter("state", Some(&"A".repeat(43))),
        ),
        (
            "a longer state",
            back.with_parameter("state", Some(&format!("{state}A"))),
        ),
        (
            "a shorter state",
            back.with_parameter("state", Some(&state[1..])),
        ),
        (
            "another case",
            back.with_parameter("state", Some(&state.to_ascii_uppercase())),
        ),
        ("two states", twice("state", &state)),
        ("two codes", twice("code", "x")),
        ("two issuers", twice("iss", "x")),
        ("an error too", twice("error", "access_denied")),
        ("a long code", back.with_parameter("code", Some(&long))),
        ("a long state", back.with_parameter("state", Some(&long))),
    ];
    let mut broken = back.clone();
    broken.path = format!("{}%", broken.path.replace("state=", "state=%ff%zz"));
    cases.push(("no text", broken));
    for (what, url) in cases {
        let mut thief = visitor.clone();
        let step = thief.go(&url)?;
        assert!(step.response.status >= 400, "{what}: {step}");
        assert!(thief.jar().get(SESSION).is_none(), "{what}: {step}");
        assert!(!gateway.did_arrive(&step), "{what}");
        super::assert_is_error_page(&step).context(what)?;
    }
    assert_eq!(site.exchanges(), 0);

    // Without a code, but with the state: the sign-in is over.
    let mut thief = visitor.clone();
    let step = thief.go(back.with_parameter("code", None))?;
    assert_failed(&step, &thief, site)?;
    assert_eq!(site.exchanges(), 0);
    gateway.assert_well()
}

#[test]
fn a_callback_in_a_browser_that_did_not_begin_it_is_refused() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("other-browser");

    // Login CSRF: the attacker has a victim come back with the attacker's code.
    let (_, back) = begun(site)?;
    let mut victim = site.visitor();
    let step = victim.go(&back)?;
    assert_failed(&step, &victim, site)?;

    // The victim is in the middle of a sign-in of its own, which goes on.
    let (mut victim, own) = begun(site)?;
    let step = victim.go(&back)?;
    assert!(step.response.status >= 400, "{step}");
    assert!(victim.jar().get(SESSION).is_none());
    assert_eq!(victim.go(&own)?.response.status, 302);

    // Mixed: the attacker's code with the victim's state. The verifier is the victim's.
    let (mut victim, own) = begun(site)?;
    let code = back.parameter("code");
    let step = victim.go(own.with_parameter("code", code.as_deref()))?;
    assert_failed(&step, &victim, site)?;
    gateway.assert_well()
}

#[test]
fn a_callback_counts_once() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("once");
    let (mut visitor, back) = begun(site)?;
    // With the cookie that a thief has copied before.
    let thief = visitor.clone();
    assert_eq!(visitor.go(&back)?.response.status, 302);
    let exchanges = site.exchanges();
    for _ in 0..5 {
        let mut thief = thief.clone();
        let step = thief.go(&back)?;
        assert!(step.response.status >= 400, "{step}");
        assert!(thief.jar().get(SESSION).is_none(), "{step}");
    }
    // Back and reload in the same browser, whose cookie is gone.
    let step = visitor.go(&back)?;
    assert!(step.response.status >= 400, "{step}");
    assert_eq!(site.exchanges(), exchanges, "the code is not sent again");
    // The session that is there stays.
    assert_eq!(visitor.go(at("/"))?.response.status, 200);

    // All at once.
    let (visitor, back) = begun(site)?;
    let before = site.exchanges();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let mut visitor = visitor.clone();
                let back = back.clone();
                scope.spawn(move || visitor.go(&back).map_or(0, |step| step.response.status))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0))
            .collect()
    });
    assert_eq!(site.exchanges() - before, 1, "{statuses:?}");
    assert_eq!(
        statuses.iter().filter(|status| **status == 302).count(),
        1,
        "{statuses:?}"
    );
    gateway.assert_well()
}

#[test]
fn whatever_goes_to_the_callback_goes_no_further() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("further");
    let mut known = site.signed_in()?;
    let before = gateway.arrivals("further").len();
    for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"] {
        let step = known.send(
            at("/callback?code=x&state=y"),
            Request::new(method, "/").body(""),
        )?;
        assert!(step.response.status >= 400, "{method}: {step}");
    }
    // Nor its other spellings, of which the upstream may have another opinion.
    for path in [
        "/callback?",
        "//callback",
        "/./callback",
        "/x/../callback",
        "/%63allback",
    ] {
        raw(site, path, HOST)?;
    }
    assert_eq!(gateway.arrivals("further").len(), before);
    Ok(())
}

#[test]
fn mixed_up_providers_are_told_apart() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("honest");
    // RFC 9207: who answers says so, and what another says does not count.
    for iss in [Some("https://evil.example"), Some(""), None] {
        site.provider.mend();
        let (mut visitor, back) = begun(site)?;
        let step = visitor.go(back.with_parameter("iss", iss))?;
        assert_failed(&step, &visitor, site).with_context(|| format!("{iss:?}"))?;
    }
    let with_slash = format!("{}/", site.provider.issuer());
    let (mut visitor, back) = begun(site)?;
    let step = visitor.go(back.with_parameter("iss", Some(&with_slash)))?;
    assert_failed(&step, &visitor, site)?;
    assert_eq!(site.exchanges(), 0);

    // One that does not promise it need not say it.
    let site = gateway.site("silent");
    site.signed_in()?;
    // But what it says counts.
    let (mut visitor, back) = begun(site)?;
    let step = visitor.go(back.with_parameter("iss", Some("https://evil.example")))?;
    assert_failed(&step, &visitor, site)?;
    gateway.assert_well()
}

#[test]
fn a_session_that_was_planted_is_not_the_one_after_the_sign_in() -> Result<()> {
    // GHSA-f24x-5g9q-753f
    let gateway = shared()?;
    let site = gateway.site("planted");
    site.provider.change(|it| it.subject = "mallory".to_owned());
    let attacker = site.signed_in()?;
    let planted = attacker
        .jar()
        .get(SESSION)
        .context("a session")?
        .value
        .clone();

    site.provider.change(|it| it.subject = "alice".to_owned());
    let (mut victim, back) = begun(site)?;
    victim.jar_mut().put(HOST, SESSION, &planted);
    let done = victim.go(&back)?;
    assert_eq!(done.response.status, 302, "{done}");
    let own = victim
        .jar()
        .get(SESSION)
        .context("a session")?
        .value
        .clone();
    assert_ne!(own, planted);
    let arrived = gateway.arrived(&victim.go(at("/"))?)?;
    assert_eq!(arrived.headers.all("x-user"), [b"alice"]);

    // A sign-in that was planted is the attacker's: it is bound to a cookie that other sites cannot
    // set, by its name.
    let (attacker, back) = begun(site)?;
    let names = attacker.jar().names(HOST);
    let flow = names.iter().find(|name| name.starts_with(FLOW));
    assert!(flow.context("a cookie")?.starts_with("__Host-"));
    let mut victim = site.visitor();
    let step = victim.go(&back)?;
    assert_failed(&step, &victim, site)
}
