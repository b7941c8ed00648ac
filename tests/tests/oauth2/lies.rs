//! ID tokens that are not what they are to be: nobody is let in by one.

use anyhow::{Context, Result};
use legation_tests::jwt::{Claims, Key, Mode, base64url, compact, now};
use legation_tests::oidc::{Endpoint, FakeProvider};
use serde_json::{Value, json};

use super::{Described, Site, assert_failed, at, shared, site};

pub(crate) fn sites() -> Vec<Described> {
    let rs256 = json!({"id_token": {"allowed_algorithms": ["RS256"]}});
    vec![
        site("lies-claims", json!({})),
        site("lies-signatures", json!({})),
        site("lies-rs256", rs256),
        site("lies-answers", json!({})),
        site("lies-userinfo", json!({"use_userinfo": true})),
    ]
}

type Edit = fn(Claims) -> Claims;
type EditAnswer = fn(&mut Value);

fn refused(site: &Site, what: &str) -> Result<()> {
    let mut visitor = site.visitor();
    let back = site.callback(&mut visitor, "/page")?;
    let step = visitor.go(&back)?;
    assert_failed(&step, &visitor, site).with_context(|| what.to_owned())
}

fn swap_id_token(provider: &FakeProvider, make: impl Fn(&str) -> String + Send + Sync + 'static) {
    provider.edit_answer(move |answer| {
        let token = answer["id_token"].as_str().unwrap_or_default();
        answer["id_token"] = json!(make(token));
    });
}

#[test]
fn claims_that_lie_let_nobody_in() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("lies-claims");
    let cases: &[(&str, Edit)] = &[
        ("another audience", |it| it.audience("other")),
        ("no audience", |it| it.without("aud")),
        ("an empty audience", |it| it.audience(json!([]))),
        ("an audience that begins alike", |it| it.audience("app2")),
        ("several without azp", |it| {
            it.audience(json!(["app", "other"]))
        }),
        ("another azp", |it| {
            it.audience(json!(["app", "other"])).claim("azp", "other")
        }),
        ("another azp, alone", |it| it.claim("azp", "other")),
        ("another issuer", |it| {
            it.claim("iss", "https://evil.example")
        }),
        ("no issuer", |it| it.without("iss")),
        ("another nonce", |it| it.claim("nonce", "x")),
        ("no nonce", |it| it.without("nonce")),
        ("a nonce that is a list", |it| {
            it.claim("nonce", json!(["x"]))
        }),
        ("no subject", |it| it.without("sub")),
        ("an empty subject", |it| it.claim("sub", "")),
        ("a subject that is a number", |it| it.claim("sub", 7)),
        ("over", |it| it.expires_in(-3600)),
        ("no end", |it| it.without("exp")),
        ("an end that is text", |it| it.claim("exp", "soon")),
        ("from tomorrow", |it| it.claim("iat", now() + 86_400)),
        ("not yet", |it| it.claim("nbf", now() + 86_400)),
        ("another access token", |it| {
            it.claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")
        }),
        ("an access token's hash that is no text", |it| {
            it.claim("at_hash", 1)
        }),
        ("a critical header", |it| {
            it.header("crit", json!(["x"])).header("x", 1)
        }),
        ("an access token by its type", |it| {
            it.header("typ", "at+jwt")
        }),
        ("a logout token by its type", |it| {
            it.header("typ", "logout+jwt")
        }),
    ];
    for (what, edit) in cases {
        site.provider.edit_id_token(edit);
        refused(site, what)?;
    }
    // Nothing of it stays.
    site.provider.mend();
    site.signed_in()?;
    // And what is right is not refused for being more.
    site.provider
        .edit_id_token(|it| it.audience(json!(["app", "other"])).claim("azp", "app"));
    site.signed_in()?;
    site.provider.edit_id_token(|it| it.without("at_hash"));
    site.signed_in()?;
    gateway.assert_well()
}

#[test]
fn signatures_that_lie_let_nobody_in() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("lies-signatures");
    let provider = &site.provider;
    let own = provider.key();
    for (what, key) in [
        ("another key", Key::fresh()),
        (
            "another key by the same name",
            Key::fresh().with_id("first"),
        ),
        ("another kind of key", Key::rsa().with_id("first")),
        (
            "a secret that is the client's",
            Key::hmac(super::SECRET).with_id("first"),
        ),
        (
            "a secret that is the public key",
            Key::hmac(own.public_pem()).with_id("first"),
        ),
    ] {
        provider.change(|it| it.signs_by = Some(key));
        refused(site, what)?;
    }
    provider.mend();
    let payload = |token: &str| token.split('.').nth(1).unwrap_or_default().to_owned();
    let unsigned =
        move |token: &str| format!("{}.{}.", base64url(r#"{"alg":"none"}"#), payload(token));
    swap_id_token(provider, unsigned);
    refused(site, "alg none")?;
    swap_id_token(provider, |token| {
        token.rsplit_once('.').map_or("", |it| it.0).to_owned() + "."
    });
    refused(site, "no signature")?;
    swap_id_token(provider, |token| token[..token.len() - 1].to_owned());
    refused(site, "a signature that is cut")?;
    swap_id_token(provider, |token| format!("{token}A"));
    refused(site, "a signature with more")?;
    let key = own.clone();
    swap_id_token(provider, move |_| {
        let header = json!({"alg": "ES256", "kid": "first"}).to_string();
        compact(header, "[]", |input| key.sign("ES256", input))
    });
    refused(site, "no claims")?;
    swap_id_token(provider, |_| "a.b.c".to_owned());
    refused(site, "no token")?;
    // Of another sign-in: its nonce is another's.
    provider.mend();
    let kept = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let keeps = std::sync::Arc::clone(&kept);
    provider.edit_answer(move |answer| {
        *keeps.lock().unwrap() = answer["id_token"].as_str().unwrap_or_default().to_owned();
    });
    site.signed_in()?;
    let replayed = kept.lock().unwrap().clone();
    provider.edit_answer(move |answer| answer["id_token"] = json!(replayed));
    refused(site, "an ID token of another sign-in")?;
    provider.mend();
    site.signed_in()?;

    // ES256 is not what this one takes.
    refused(
        gateway.site("lies-rs256"),
        "an algorithm that is not allowed",
    )?;
    gateway.assert_well()
}

#[test]
fn answers_that_lie_let_nobody_in() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("lies-answers");
    let cases: &[(&str, EditAnswer)] = &[
        ("no ID token", |it| it["id_token"] = json!(null)),
        ("an ID token that is a list", |it| {
            it["id_token"] = json!([])
        }),
        ("no access token", |it| {
            it.as_object_mut().map(|it| it.remove("access_token"));
        }),
        ("an empty access token", |it| it["access_token"] = json!("")),
        ("an access token that is a number", |it| {
            it["access_token"] = json!(7)
        }),
        ("an access token with a line break", |it| {
            it["access_token"] = json!("a\r\nx-evil: 1");
        }),
        ("another type of token", |it| {
            it["token_type"] = json!("mac")
        }),
        ("DPoP, which was not asked for", |it| {
            it["token_type"] = json!("DPoP")
        }),
        ("no type of token", |it| {
            it.as_object_mut().map(|it| it.remove("token_type"));
        }),
        ("an end before the beginning", |it| {
            it["expires_in"] = json!(-1)
        }),
        ("an end that is no number", |it| {
            it["expires_in"] = json!("soon")
        }),
    ];
    for (what, edit) in cases {
        site.provider.edit_answer(edit);
        refused(site, what)?;
    }
    site.provider.mend();
    // Some write the number as text, and the type in small letters.
    site.provider.edit_answer(|it| {
        it["token_type"] = json!("bearer");
    });
    site.signed_in()?;

    // Another's UserInfo (OpenID Connect Core, section 5.3.2).
    let site = gateway.site("lies-userinfo");
    for (what, said) in [
        ("another subject", json!({"sub": "mallory"})),
        ("no subject", json!({"name": "alice"})),
        ("a list", json!([{"sub": "alice"}])),
    ] {
        let reply = legation_tests::Reply::json(&said);
        site.provider.set(Endpoint::UserInfo, Mode::Reply(reply));
        refused(site, what)?;
    }
    site.provider.mend();
    let mut visitor = site.signed_in()?;
    assert_eq!(visitor.go(at("/"))?.response.status, 200);
    gateway.assert_well()
}
