//! Tokens that are renewed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use legation_tests::jwt::Mode;
use legation_tests::oidc::{Endpoint, RefreshTokens};
use legation_tests::visitor::{Step, Visitor};
use legation_tests::{DEADLINE, wait_for};
use serde_json::{Value, json};

use super::{Described, Gateway, SESSION, Site, assert_sent_to_sign_in, at, fetch, shared, site};

/// Tokens that are renewed a second before their end.
fn renewing(more: Value) -> Value {
    let mut all = json!({"refresh_before_expiry": "1s", "forward_bearer_token": true});
    super::merge(&mut all, &more);
    all
}

pub(crate) fn sites() -> Vec<Described> {
    let renewed = |name: &str, more: Value| {
        let site = site(&format!("renew-{name}"), renewing(more));
        site.told(|provider| provider.change(|it| it.expires_in = Some(3)))
    };
    let told = |name: &str, tokens: RefreshTokens| {
        renewed(name, json!({})).told(move |provider| {
            provider.change(|it| {
                it.expires_in = Some(3);
                it.refresh_tokens = tokens;
            });
        })
    };
    vec![
        renewed("rotating", json!({})),
        told("kept", RefreshTokens::Kept),
        renewed("basic", json!({"auth_type": "BASIC_AUTH"})),
        renewed("page", json!({})),
        renewed("body", json!({})),
        renewed("workers", json!({})),
        renewed("revoked", json!({})),
        renewed("other", json!({})),
        told("none", RefreshTokens::None),
        renewed(
            "unused",
            json!({"use_refresh_token": false, "refresh_before_expiry": null}),
        ),
        renewed("bounded", json!({"session_lifetime": "8s"})),
        renewed("down", json!({"retry_policy": {"num_retries": 0}})),
        site(
            "renew-told",
            json!({
                "refresh_before_expiry": "1s",
                "forward_bearer_token": true,
                "issuer": null,
                "openid_configuration": null,
                "authorization_endpoint": "{issuer}/authorize",
                "token_endpoint": {"uri": "{issuer}/token", "cluster": "renew-told"},
                "userinfo_endpoint": {"uri": "{issuer}/userinfo", "cluster": "renew-told"},
                "auth_scopes": ["read:user"],
                "claim_to_headers": [{"header_name": "x-groups", "claim_name": "groups"}],
            }),
        )
        .told(|provider| {
            provider.change(|it| {
                it.expires_in = Some(3);
                it.claims.insert("groups".to_owned(), json!(["admins"]));
            });
        }),
    ]
}

/// For how long a token may seem to be over that was good when it was sent: this machine may be busy.
const BUSY: Duration = Duration::from_secs(5);

/// Asks until the session is renewed: nobody is refused on the way, and the upstream gets no token that is over.
fn until_renewed(gateway: &Gateway, site: &Site, visitor: &mut Visitor) -> Result<Step> {
    let before = site.refreshes();
    wait_for("a renewal", DEADLINE, || {
        let step = visitor.go(at("/"))?;
        ensure!(step.response.status == 200, "refused:\n{step}");
        let token = gateway.arrived(&step)?.headers.text("authorization");
        let token = token.unwrap_or_default();
        let token = token.strip_prefix("Bearer ").unwrap_or_default();
        if let Some(over) = site.provider.over_for(token) {
            ensure!(
                over < BUSY,
                "{}: a token that is over for {over:?}",
                site.name
            );
        }
        Ok((site.refreshes() > before).then_some(step))
    })
}

/// Asks until it is answered otherwise.
fn until_over(visitor: &mut Visitor) -> Result<Step> {
    wait_for("the session to be over", DEADLINE, || {
        let step = visitor.go(at("/"))?;
        Ok((step.response.status != 200).then_some(step))
    })
}

#[test]
fn tokens_are_renewed_before_their_end_and_nobody_notices() -> Result<()> {
    let gateway = shared()?;
    super::at_once(["renew-rotating", "renew-kept", "renew-basic"], |name| {
        let site = gateway.site(name);
        let mut visitor = site.signed_in()?;
        let bearer = |step: &Step| -> Result<String> {
            let arrived = gateway.arrived(step)?;
            arrived
                .headers
                .text("authorization")
                .context("a bearer token")
        };
        let mut tokens = vec![bearer(&visitor.go(at("/"))?)?];
        for _ in 0..2 {
            let step = until_renewed(&gateway, site, &mut visitor)?;
            step.set_cookie(&format!("{SESSION}="))?;
            tokens.push(bearer(&step)?);
            // Whoever comes with the new cookie does not have it renewed again.
            assert!(visitor.go(at("/"))?.set_cookies().is_empty());
        }
        tokens.dedup();
        assert_eq!(tokens.len(), 3, "{name}");
        // What was given comes back as it was, letter by letter: it has `+`, `/` and `=`, which forms escape.
        for form in site.provider.token_requests("refresh_token") {
            let token = form.get("refresh_token").context("a refresh token")?;
            assert!(
                token.starts_with("refresh+") && token.ends_with('='),
                "{token}"
            );
        }
        let before = site.exchanges();
        assert_eq!(before, 1, "{name}: nobody has signed in again");
        Ok(())
    })?;
    gateway.assert_well()
}

#[test]
fn a_page_that_asks_for_twenty_things_at_once_renews_once() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("renew-page");
    site.provider
        .set(Endpoint::Token, Mode::Slow(Duration::from_millis(50)));
    let mut visitor = site.signed_in()?;
    // Due, but not over: then all at once.
    for round in 1..=3 {
        let old = visitor.clone();
        until_renewed(&gateway, site, &mut visitor)?;
        // The others were under way with the old cookie.
        let outcomes: Vec<Result<(u16, Vec<String>)>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..20)
                .map(|_| {
                    let mut visitor = old.clone();
                    scope.spawn(move || {
                        let step = visitor.send(at("/"), fetch("GET"))?;
                        Ok((step.response.status, step.set_cookies()))
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("panicked")))
                .collect()
        });
        for outcome in outcomes {
            let (status, _) = outcome?;
            assert_eq!(status, 200);
        }
        assert_eq!(site.refreshes(), round);
    }
    assert_eq!(site.provider.live_refresh_tokens(), 1);
    gateway.assert_well()
}

#[test]
fn what_is_sent_while_tokens_are_renewed_arrives_whole() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("renew-body");
    let mut visitor = site.signed_in()?;
    site.provider
        .set(Endpoint::Token, Mode::Slow(Duration::from_millis(200)));
    let halves = ["a".repeat(70_000), "b".repeat(70_000)];
    let step = wait_for("a renewal", DEADLINE, || {
        let request = fetch("POST").body(&halves[0]);
        let request = request.pause(Duration::from_millis(50)).body(&halves[1]);
        let step = visitor.send(at("/upload"), request)?;
        ensure!(step.response.status == 200, "refused:\n{step}");
        let arrived = gateway.arrived(&step)?;
        ensure!(
            arrived.complete && arrived.text() == halves.concat(),
            "not whole:\n{arrived}"
        );
        Ok((site.refreshes() > 0).then_some(step))
    })?;
    step.set_cookie(&format!("{SESSION}="))?;
    gateway.assert_well()
}

#[test]
fn all_at_once_is_one_renewal_by_two_workers() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("renew-workers");
    let visitor = site.signed_in()?;
    site.provider
        .set(Endpoint::Token, Mode::Slow(Duration::from_millis(100)));
    // Many threads ask again and again until the token is renewed, each with the old cookie.
    let statuses: Vec<Result<u16>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let visitor = visitor.clone();
                scope.spawn(move || {
                    wait_for("a renewal", DEADLINE, || {
                        let mut visitor = visitor.clone();
                        let step = visitor.send(at("/"), fetch("GET"))?;
                        ensure!(step.response.status == 200, "refused:\n{step}");
                        Ok((!step.set_cookies().is_empty()).then_some(step.response.status))
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("panicked")))
            .collect()
    });
    for status in statuses {
        assert_eq!(status?, 200);
    }
    assert_eq!(site.refreshes(), 1);
    gateway.assert_well()
}

#[test]
fn what_cannot_be_renewed_ends() -> Result<()> {
    let gateway = shared()?;
    super::at_once(
        [is_revoked, is_anothers, has_none, is_bounded],
        |what_ends: fn(&Gateway) -> Result<()>| what_ends(&gateway),
    )?;
    gateway.assert_well()
}

/// The provider takes it back: pages sign in again, programs are told.
fn is_revoked(gateway: &Gateway) -> Result<()> {
    let site = gateway.site("renew-revoked");
    let mut visitor = site.signed_in()?;
    site.provider.revoke_refresh_tokens();
    let step = until_over(&mut visitor.clone())?;
    assert_sent_to_sign_in(&step, &site.provider)?;
    assert_eq!(visitor.send(at("/"), fetch("GET"))?.response.status, 401);
    assert!(site.refreshes() <= 2, "{} renewals", site.refreshes());
    Ok(())
}

/// Another subject is somebody else.
fn is_anothers(gateway: &Gateway) -> Result<()> {
    let site = gateway.site("renew-other");
    let mut visitor = site.signed_in()?;
    site.provider
        .edit_id_token(|claims| claims.claim("sub", "mallory"));
    until_over(&mut visitor)?;
    for step in visitor.steps() {
        if let Ok(arrived) = gateway.arrived(step) {
            assert_eq!(arrived.headers.all("x-user"), [b"alice"]);
        }
    }
    Ok(())
}

fn has_none(gateway: &Gateway) -> Result<()> {
    super::at_once(["renew-none", "renew-unused"], |name| {
        let site = gateway.site(name);
        let mut visitor = site.signed_in()?;
        let step = until_over(&mut visitor)?;
        assert_sent_to_sign_in(&step, &site.provider)?;
        assert_eq!(site.refreshes(), 0, "{name}");
        Ok(())
    })
}

/// However often it is renewed, in the end who it is has to be shown again.
fn is_bounded(gateway: &Gateway) -> Result<()> {
    let site = gateway.site("renew-bounded");
    let mut visitor = site.signed_in()?;
    let step = until_over(&mut visitor)?;
    assert_sent_to_sign_in(&step, &site.provider)?;
    assert!(site.refreshes() >= 1);
    Ok(())
}

/// Where no ID token says it, a group goes for as long as the provider tells it.
#[test]
fn who_leaves_a_group_is_out_of_it_when_the_session_is_renewed() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("renew-told");
    let mut visitor = site.signed_in()?;
    let groups = |step: &Step| -> Result<Option<String>> {
        Ok(gateway.arrived(step)?.headers.text("x-groups"))
    };
    assert_eq!(groups(&visitor.go(at("/"))?)?.as_deref(), Some("admins"));

    site.provider.change(|it| {
        it.claims.remove("groups");
    });
    until_renewed(&gateway, site, &mut visitor)?;

    assert_eq!(groups(&visitor.go(at("/"))?)?, None);
    gateway.assert_well()
}

#[test]
fn a_provider_that_is_down_ends_no_session_before_its_time() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("renew-down");
    let mut visitor = site.signed_in()?;
    site.provider.stop();
    let step = until_over(&mut visitor)?;
    assert!([502, 503].contains(&step.response.status), "{step}");
    super::assert_is_error_page(&step)?;
    assert!(
        visitor.jar().get(SESSION).is_some(),
        "the session may be renewed later"
    );
    site.provider.restart()?;
    wait_for("the session to be renewed", DEADLINE, || {
        let step = visitor.go(at("/"))?;
        Ok((step.response.status == 200).then_some(()))
    })?;
    assert_eq!(site.exchanges(), 1);
    gateway.assert_well()
}
