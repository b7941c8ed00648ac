//! Sign-ins at a real provider.

use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use legation_tests::idp::{Idp, SECRET};
use legation_tests::jwt::Key;
use legation_tests::visitor::{Url, Visitor};
use legation_tests::{Config, DEADLINE, Received, ReportOnPanic, Stage, wait_for, workspace_root};
use serde_json::json;

use super::{COOKIE_SECRET, HOST, SESSION, at, fetch, is_callback};

const BACK_CHANNEL: &str = "/backchannel-logout";
const OTHER_HOST: &str = "other.localhost";
/// A site for each way to say who we are.
const SITES: [&str; 4] = ["body", "basic", "by-key", "public"];

struct Real {
    idp: Idp,
    stage: Stage,
}

/// Tests share it, as a start takes longer than most of them.
fn shared() -> Result<(&'static Real, ReportOnPanic<'static>)> {
    static REAL: OnceLock<Result<Real, String>> = OnceLock::new();
    let started = REAL.get_or_init(|| start().map_err(|error| format!("{error:?}")));
    let real = started.as_ref().map_err(|error| anyhow!(error.clone()))?;
    Ok((real, real.stage.report_on_panic()))
}

fn start() -> Result<Real> {
    let idp = Idp::start_with(&json!({
        "accounts": {
            "alice": {"groups": ["staff", "admin"]},
            "bob": {"groups": ["guests"]},
        },
        "configuration": {"rotateRefreshToken": true, "ttl": {"AccessToken": 4}},
    }))?;
    let pem = workspace_root().join("tests/keys/rsa-2048-a.test-key.pem");
    let pem = std::fs::read_to_string(pem)?;
    let mut config = Config::plain()?.concurrency(2);
    for name in SITES {
        let mut own = json!({
            "issuer": idp.issuer(),
            "openid_configuration": {"cluster": "idp"},
            "credentials": {
                "client_id": name,
                "client_secret": {"inline_string": SECRET},
                "cookie_names": {"session": "sess", "flow": "flow"},
                "cookie_secrets": [{"inline_string": COOKIE_SECRET}],
            },
            "auth_scopes": ["openid", "offline_access", "email", "groups"],
            "authorization_parameters": {"prompt": "consent"},
            "redirect_uri": "%REQ(x-forwarded-proto)%://%REQ(:authority)%/callback",
            "redirect_path": "/callback",
            "signout_path": "/signout",
            "post_logout_redirect_uri": "http://app.localhost/bye",
            "pass_through_matcher": [{"path": {"exact": "/bye"}}],
            "back_channel_logout": {"path": BACK_CHANNEL},
            "refresh_before_expiry": "1s",
            "forward_id_token": {"header": "x-id-token"},
            "forward_bearer_token": true,
            "claim_to_headers": [
                {"header_name": "x-user", "claim_name": "sub"},
                {"header_name": "x-email", "claim_name": "email"},
                {"header_name": "x-groups", "claim_name": "groups"},
            ],
            "allowed_groups": ["staff"],
            "stat_prefix": name,
        });
        let more = match name {
            "basic" => {
                json!({"auth_type": "BASIC_AUTH", "use_pushed_authorization_requests": true})
            }
            "by-key" => json!({
                "auth_type": "PRIVATE_KEY_JWT",
                "use_userinfo": true,
                "credentials": {
                    "client_secret": null,
                    "private_key": {"inline_string": pem},
                    "private_key_id": "own",
                },
            }),
            "public" => json!({"auth_type": "NONE", "credentials": {"client_secret": null}}),
            _ => json!({}),
        };
        super::merge(&mut own, &more);
        config = config.add_chain(name, &[super::filter(own)]);
    }
    let stage = Stage::start(&config.add_endpoint("idp", idp.address()))?;
    for name in SITES {
        let address = stage.envoy().listener(name)?;
        let mut client = json!({
            "client_id": name,
            "redirect_uris": [at("/callback"), format!("http://{OTHER_HOST}/callback")],
            "post_logout_redirect_uris": ["http://app.localhost/bye"],
            "backchannel_logout_uri": format!("http://{address}{BACK_CHANNEL}"),
            "backchannel_logout_session_required": true,
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": "openid offline_access email groups",
        });
        let more = match name {
            "basic" => json!({
                "token_endpoint_auth_method": "client_secret_basic",
                "require_pushed_authorization_requests": true,
            }),
            "by-key" => json!({
                "token_endpoint_auth_method": "private_key_jwt",
                "jwks": {"keys": [Key::rsa().with_id("own").jwk()]},
            }),
            "public" => json!({"token_endpoint_auth_method": "none"}),
            _ => json!({"token_endpoint_auth_method": "client_secret_post"}),
        };
        super::merge(&mut client, &more);
        idp.register(&client)?;
    }
    Ok(Real { idp, stage })
}

impl Real {
    fn visitor(&self, site: &str) -> Result<Visitor> {
        Ok(Visitor::new().knows(HOST, self.stage.envoy().listener(site)?))
    }

    /// Goes to a page and signs in as this account; gives the address of the callback.
    fn to_callback(&self, visitor: &mut Visitor, path: &str, account: &str) -> Result<Url> {
        let step = visitor.go(at(path))?;
        let to = step.location().with_context(|| self.idp.log())?;
        let back = self.idp.sign_in(visitor, to, account)?;
        assert!(is_callback(&back), "{back}\n{}", self.idp.log());
        Ok(back)
    }

    fn arrived(&self, visitor: &mut Visitor, path: &str) -> Result<Received> {
        let step = visitor.go(at(path))?;
        let received = self.stage.upstream().with_id(&step.id());
        received.with_context(|| format!("not let in:\n{step}\n{}", self.idp.log()))
    }
}

#[test]
fn browsers_sign_in_stay_in_and_sign_out() -> Result<()> {
    let (real, _report) = shared()?;
    super::at_once(SITES, |site| {
        let mut visitor = real.visitor(site)?;
        let back = real.to_callback(&mut visitor, "/orders?a=1", "alice")?;
        let done = visitor.go(&back)?;
        assert_eq!(
            done.location()?.to_string(),
            at("/orders?a=1"),
            "{site}: {done}\n{}",
            real.idp.log()
        );
        assert_eq!(visitor.refused(), [""; 0]);
        let arrived = real.arrived(&mut visitor, "/orders?a=1")?;
        let header = |name: &str| arrived.headers.text(name).unwrap_or_default();
        assert_eq!(header("x-user"), "alice", "{site}");
        assert_eq!(header("x-email"), "alice@users.example", "{site}");
        assert_eq!(
            header("x-groups").replace(' ', ","),
            "staff,admin",
            "{site}"
        );
        assert_eq!(header("x-id-token").split('.').count(), 3, "{site}");

        // Renewed, by a token that rotates.
        let first = header("authorization");
        for _ in 0..2 {
            let before = real
                .arrived(&mut visitor, "/")?
                .headers
                .text("authorization");
            wait_for("a renewal", DEADLINE, || {
                let now = real
                    .arrived(&mut visitor, "/")?
                    .headers
                    .text("authorization");
                Ok((now != before).then_some(()))
            })?;
        }
        let now = real
            .arrived(&mut visitor, "/")?
            .headers
            .text("authorization");
        assert_ne!(now, Some(first), "{site}");
        Ok(())
    })?;
    let reloads = real.stage.admin().stat("wasm.oauth2.vm_reload")?;
    assert_eq!(reloads.unwrap_or(0), 0);
    Ok(())
}

#[test]
fn who_may_not_come_in_has_no_session() -> Result<()> {
    let (real, _report) = shared()?;
    let mut visitor = real.visitor("body")?;
    let back = real.to_callback(&mut visitor, "/", "bob")?;
    let step = visitor.go(&back)?;
    assert_eq!(step.response.status, 403, "{step}");
    assert!(visitor.jar().get(SESSION).is_none());
    assert!(real.stage.upstream().with_id(&step.id()).is_none());

    // Who does not agree comes back with an error.
    let mut visitor = real.visitor("body")?;
    let to = visitor.go(at("/"))?.location()?;
    let page = visitor.visit(&to)?;
    let text = page.response.text();
    let abort = text.split('"').find(|part| part.ends_with("/abort"));
    let abort = page.url.join(abort.context("a way out")?)?;
    let back = visitor.visit_until(abort, is_callback)?;
    assert_eq!(back.parameter("error").as_deref(), Some("access_denied"));
    let step = visitor.go(&back)?;
    assert_eq!(step.response.status, 403, "{step}");
    Ok(())
}

#[test]
fn signing_out_at_the_provider_ends_the_session_everywhere() -> Result<()> {
    let (real, _report) = shared()?;
    // Two applications in one browser, which signs in once.
    let other = real.stage.envoy().listener("basic")?;
    let mut visitor = real.visitor("body")?.knows(OTHER_HOST, other);
    let back = real.to_callback(&mut visitor, "/", "alice")?;
    visitor.go(&back)?;
    real.arrived(&mut visitor, "/")?;
    let page = format!("http://{OTHER_HOST}/");
    let to = visitor.go(&page)?.location()?;
    let back = real.idp.sign_in(&mut visitor, to, "nobody else")?;
    assert_eq!(back.host(), OTHER_HOST);
    visitor.go(&back)?;
    assert_eq!(visitor.go(&page)?.response.status, 200);
    let mut thief = visitor.clone();

    let out = visitor.go(at("/signout"))?;
    let to = out.location()?;
    assert!(
        to.to_string().starts_with(&real.idp.uri("/session/end")),
        "{to}"
    );
    assert!(to.parameter("id_token_hint").is_some(), "{to}");
    assert!(visitor.jar().names(HOST).is_empty());
    let bye = real.idp.sign_out(&mut visitor, to)?;
    assert_eq!(bye.to_string(), "http://app.localhost/bye");

    // The provider has told both, and cookies that were kept are worth nothing.
    for page in [at("/"), page] {
        let step = thief.send(&page, fetch("GET"))?;
        assert_eq!(step.response.status, 401, "{step}\n{}", real.idp.log());
    }
    for site in ["body", "basic"] {
        real.stage
            .wait_for_count(&format!("{site}.back_channel_logout"), 1)?;
    }
    Ok(())
}
