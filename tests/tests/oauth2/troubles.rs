//! Providers that hang, die, lie or flood.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use legation_tests::jwt::Mode;
use legation_tests::oidc::{Endpoint, FakeProvider};
use legation_tests::{DEADLINE, wait_for};
use serde_json::json;

use super::{Described, Gateway, SESSION, Site, assert_failed, at, shared, site};

pub(crate) fn sites() -> Vec<Described> {
    vec![
        site(
            "answers-token",
            json!({
                "retry_policy": {"num_retries": 0},
                // One that hangs is waited for.
                "token_endpoint": {"timeout": "2s"},
            }),
        ),
        site("answers-userinfo", json!({"use_userinfo": true})),
        site("rotated", json!({})),
        site("gone-plain", json!({})),
        site(
            "gone-pushed",
            json!({"use_pushed_authorization_requests": true}),
        ),
    ]
}

fn modes() -> Vec<Mode> {
    vec![
        Mode::Status(500),
        Mode::Status(503),
        Mode::Status(429),
        Mode::Status(204),
        Mode::Status(404),
        Mode::Die,
        Mode::Garbage,
        Mode::Html,
        Mode::Empty,
        Mode::Nonsense,
        Mode::Cut,
        Mode::Huge(10 << 20),
        Mode::Redirect("http://127.0.0.1:1/".to_owned()),
        Mode::Hang,
    ]
}

/// A sign-in passes again: at once, or when the provider is tried again.
fn is_got_over(site: &Site, what: &str) -> Result<()> {
    let what = format!("a sign-in to pass after {what}");
    wait_for(&what, Duration::from_secs(60), || {
        let mut visitor = site.visitor();
        let step = visitor.visit(at("/"));
        Ok(step
            .is_ok_and(|step| step.response.status == 200)
            .then_some(()))
    })
}

#[test]
fn whatever_the_token_endpoint_answers_nobody_is_let_in_and_it_is_got_over() -> Result<()> {
    let gateway = shared()?;
    for (name, endpoint) in [
        ("answers-token", Endpoint::Token),
        ("answers-userinfo", Endpoint::UserInfo),
    ] {
        let site = gateway.site(name);
        let mut known = site.signed_in()?;
        for mode in modes() {
            let what = format!("{endpoint:?}: {mode:?}");
            site.provider.set(endpoint, mode);
            let mut visitor = site.visitor();
            let back = site.callback(&mut visitor, "/page")?;
            let before = site.exchanges();
            let step = visitor.go(&back).with_context(|| what.clone())?;
            assert_failed(&step, &visitor, site).with_context(|| what.clone())?;
            assert!(
                [500, 502, 503, 504].contains(&step.response.status),
                "{what}: {step}"
            );
            // A code is good once, so it is sent once.
            assert!(site.exchanges() - before <= 1, "{what}");
            // Whoever is in stays in.
            assert_eq!(known.go(at("/"))?.response.status, 200, "{what}");
            site.provider.mend();
        }
        is_got_over(site, "all of them")?;
        site.provider
            .set(endpoint, Mode::Slow(Duration::from_millis(500)));
        site.signed_in()?;
        site.provider.mend();
    }
    gateway.assert_well()
}

#[test]
fn while_the_provider_cannot_be_found_browsers_are_told_to_come_again() -> Result<()> {
    let modes = modes();
    let names: Vec<String> = (0..modes.len())
        .map(|number| format!("s{number}"))
        .collect();
    let mut sites = Vec::new();
    for (name, mode) in names.iter().zip(&modes) {
        let mode = mode.clone();
        let told = move |provider: &FakeProvider| provider.set(Endpoint::Discovery, mode.clone());
        sites.push(site(name, json!({})).told(told));
    }
    sites.push(site("another", json!({})).told(|provider| {
        provider.change(|it| {
            let issuer = json!("https://evil.example");
            it.metadata.insert("issuer".to_owned(), issuer);
        });
    }));
    // They are asked from the start on, and so have an Envoy of their own.
    let gateway = Gateway::start(sites, |config| config)?;
    let other = gateway.site("another");
    let mut visitor = other.visitor();
    let step = visitor.go(at("/"))?;
    assert_failed(&step, &visitor, other)?;
    // All at once, as each has to be waited for.
    super::at_once(names.iter().zip(&modes), |(name, mode)| {
        is_not_found_and_then_is(gateway.site(name), mode)
    })?;
    gateway.assert_well()
}

fn is_not_found_and_then_is(site: &Site, mode: &Mode) -> Result<()> {
    let mut visitor = site.visitor();
    let step = visitor.go(at("/"))?;
    assert_failed(&step, &visitor, site).with_context(|| format!("{mode:?}"))?;
    ensure!(step.response.status == 503, "{mode:?}: {step}");
    ensure!(step.header("retry-after").is_some(), "{mode:?}: {step}");
    site.provider.mend();
    is_got_over(site, &format!("{mode:?}"))
}

#[test]
fn keys_are_rotated_by_the_provider_and_nobody_is_refused() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("rotated");
    site.signed_in()?;
    let before = site.provider.count(Endpoint::Keys);
    site.provider.rotate_keys();
    let mut visitor = site.visitor();
    assert_eq!(visitor.visit(at("/"))?.response.status, 200);
    assert_eq!(site.provider.count(Endpoint::Keys) - before, 1);

    // Keys that cannot be had: sessions go on, sign-ins fail, and are got over.
    site.provider.set(Endpoint::Keys, Mode::Status(500));
    site.provider.rotate_keys();
    let mut other = site.visitor();
    let back = site.callback(&mut other, "/")?;
    let step = other.go(&back)?;
    assert_failed(&step, &other, site)?;
    assert_eq!(visitor.go(at("/"))?.response.status, 200);
    site.provider.mend();
    is_got_over(site, "keys that could not be had")?;
    gateway.assert_well()
}

#[test]
fn a_provider_that_is_gone_keeps_nobody_out_who_is_in() -> Result<()> {
    let gateway = shared()?;
    for name in ["gone-plain", "gone-pushed"] {
        let site = gateway.site(name);
        let mut visitor = site.signed_in()?;
        let (mut other, back) = {
            let mut visitor = site.visitor();
            let back = site.callback(&mut visitor, "/page")?;
            (visitor, back)
        };
        site.provider.stop();
        assert_eq!(visitor.go(at("/"))?.response.status, 200);
        let step = other.go(&back)?;
        assert_failed(&step, &other, site)?;
        let mut third = site.visitor();
        let step = third.go(at("/"))?;
        // Where to sign in is known already; what has to be pushed cannot be.
        if name == "gone-pushed" {
            assert_failed(&step, &third, site)?;
        } else {
            assert_eq!(step.response.status, 302, "{step}");
        }
        assert!(third.jar().get(SESSION).is_none());
        site.provider.restart()?;
        is_got_over(site, "the provider's absence")?;
    }
    let active = || {
        gateway
            .stage
            .admin()
            .stat("http.gone-plain.downstream_rq_active")
    };
    wait_for("no request to be left", DEADLINE, || {
        Ok((active()? == Some(0)).then_some(()))
    })?;
    gateway.assert_well()
}
