//! The providers and the visitor of the harness sign in, with nothing between them.

use std::time::Duration;

use anyhow::{Context, Result};
use legation_tests::idp::{Idp, SECRET};
use legation_tests::jwt::{Key, Mode, base64, from_base64url};
use legation_tests::oidc::{Endpoint, FakeProvider, RefreshTokens, challenge};
use legation_tests::visitor::{Url, Visitor};
use legation_tests::{DEADLINE, Reply, Request, Response, Upstream};
use serde_json::{Value, json};

const CALLBACK: &str = "http://app.localhost/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn authorization(endpoint: &str, client: &str, scope: &str) -> Result<Url> {
    let url = Url::parse(endpoint)?
        .with_parameter("client_id", Some(client))
        .with_parameter("response_type", Some("code"))
        .with_parameter("redirect_uri", Some(CALLBACK))
        .with_parameter("scope", Some(scope))
        .with_parameter("state", Some("st&te"))
        .with_parameter("nonce", Some("n0nce"))
        .with_parameter("prompt", Some("consent"))
        .with_parameter("code_challenge", Some(&challenge(VERIFIER)))
        .with_parameter("code_challenge_method", Some("S256"));
    Ok(url)
}

fn form(pairs: &[(&str, &str)]) -> Request {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    Request::post("/token", body).header("content-type", "application/x-www-form-urlencoded")
}

fn exchange(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

fn basic(client: &str, secret: &str) -> String {
    let escape = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = base64(format!("{}:{}", escape(client), escape(secret)));
    format!("Basic {credentials}")
}

fn payload(token: &Value) -> Result<Value> {
    let token = token.as_str().context("a token")?;
    let part = token.split('.').nth(1).context("a payload")?;
    Ok(serde_json::from_slice(&from_base64url(part))?)
}

/// Signs in at a fake provider, and gives the address that the browser comes back to.
fn signed_in(provider: &FakeProvider) -> Result<Url> {
    let url = authorization(&provider.uri(Endpoint::Authorization), "app", "openid")?;
    Visitor::new().visit_until(url, |url| url.host() == "app.localhost")
}

fn ask(provider: &FakeProvider, pairs: &[(&str, &str)]) -> Result<Response> {
    let client = legation_tests::Client::http1(provider.address());
    client.send(form(pairs).header("authorization", basic("app", "s3cret & more")))
}

#[test]
fn the_fake_provider_is_strict_by_itself() -> Result<()> {
    let provider = FakeProvider::start()?;
    let back = signed_in(&provider)?;
    assert_eq!(back.parameter("state").as_deref(), Some("st&te"));
    assert_eq!(back.parameter("iss").as_deref(), Some(provider.issuer()));
    let code = back.parameter("code").context("a code")?;

    let answer = ask(&provider, &exchange(&code))?;
    assert_eq!(answer.status, 200, "{answer}");
    let answer = answer.json()?;
    let claims = payload(&answer["id_token"])?;
    assert_eq!(
        (
            &claims["iss"],
            &claims["aud"],
            &claims["nonce"],
            &claims["sub"]
        ),
        (
            &json!(provider.issuer()),
            &json!("app"),
            &json!("n0nce"),
            &json!("alice")
        )
    );
    let again = ask(&provider, &exchange(&code))?;
    assert_eq!(
        (again.status, again.json()?["error"].as_str()),
        (400, Some("invalid_grant"))
    );

    let refresh = answer["refresh_token"]
        .as_str()
        .context("a refresh token")?;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let refreshed = ask(&provider, &refresh)?;
    assert_eq!(refreshed.status, 200, "{refreshed}");
    let claims = payload(&refreshed.json()?["id_token"])?;
    assert_eq!(
        (&claims["sub"], &claims["nonce"]),
        (&json!("alice"), &Value::Null)
    );
    assert_eq!(ask(&provider, &refresh)?.status, 400);

    let userinfo = |token: &str| {
        let request = Request::get("/userinfo").header("authorization", format!("Bearer {token}"));
        legation_tests::Client::http1(provider.address()).send(request)
    };
    let access = answer["access_token"].as_str().context("an access token")?;
    assert_eq!(userinfo(access)?.json()?, json!({"sub": "alice"}));
    assert_eq!(userinfo("x")?.status, 401);
    assert!(provider.secrets().iter().any(|one| one == access));
    assert!(provider.secrets().contains(&code));

    // Another verifier, another redirect URI, another secret.
    for (name, value) in [
        ("code_verifier", "x"),
        ("redirect_uri", "http://evil.localhost/"),
    ] {
        let code = signed_in(&provider)?.parameter("code").context("a code")?;
        let mut pairs = exchange(&code);
        for pair in pairs.iter_mut().filter(|pair| pair.0 == name) {
            pair.1 = value;
        }
        assert_eq!(ask(&provider, &pairs)?.status, 400, "{name}");
    }
    let code = signed_in(&provider)?.parameter("code").context("a code")?;
    let client = legation_tests::Client::http1(provider.address());
    let wrong = form(&exchange(&code)).header("authorization", basic("app", "s3cret"));
    assert_eq!(client.send(wrong)?.status, 401);
    Ok(())
}

#[test]
fn the_fake_provider_does_what_it_is_told() -> Result<()> {
    let provider = FakeProvider::start()?;
    provider.change(|it| {
        it.refresh_tokens = RefreshTokens::None;
        it.iss = None;
        it.nonce = Some("another".to_owned());
        it.expires_in = None;
        it.takes_codes_again = true;
        it.claims.insert("groups".to_owned(), json!(["staff"]));
    });
    provider.edit_id_token(|claims| claims.audience(json!(["app", "b"])).without("at_hash"));
    provider.edit_answer(|answer| answer["scope"] = json!("openid"));
    let back = signed_in(&provider)?;
    assert_eq!(back.parameter("iss"), None);
    let code = back.parameter("code").context("a code")?;
    for _ in 0..2 {
        let answer = ask(&provider, &exchange(&code))?.json()?;
        assert_eq!(answer.get("refresh_token"), None);
        assert_eq!(answer.get("expires_in"), None);
        assert_eq!(answer["scope"], "openid");
        let claims = payload(&answer["id_token"])?;
        assert_eq!(claims["aud"], json!(["app", "b"]));
        assert_eq!(
            (&claims["nonce"], &claims["groups"]),
            (&json!("another"), &json!(["staff"]))
        );
        assert_eq!(claims.get("at_hash"), None);
    }

    provider.change(|it| it.refuses = Some("access_denied".to_owned()));
    let back = signed_in(&provider)?;
    assert_eq!(back.parameter("error").as_deref(), Some("access_denied"));
    assert_eq!(back.parameter("code"), None);

    provider.set(Endpoint::Token, Mode::Status(500));
    assert_eq!(ask(&provider, &[])?.status, 500);
    provider.mend();
    assert_eq!(ask(&provider, &[])?.status, 400);

    let old = provider.key();
    let new = provider.rotate_keys();
    let client = legation_tests::Client::http1(provider.address());
    let keys = client.send(Request::get("/jwks"))?.json()?;
    assert_eq!(keys["keys"][0]["kid"].as_str(), new.id());
    assert_ne!(old.id(), new.id());

    provider.stop();
    assert!(signed_in(&provider).is_err());
    provider.restart()?;
    signed_in(&provider)?;
    Ok(())
}

#[test]
fn the_visitor_goes_from_server_to_server_with_its_cookies() -> Result<()> {
    let shop = Upstream::answering(|request| match request.path.as_str() {
        "/" => Reply::status(302)
            .header("location", "http://login.localhost/?back")
            .header("set-cookie", "__Host-flow=1; Path=/; Secure; HttpOnly"),
        _ => Reply::ok()
            .header("set-cookie", "__Host-flow=; Path=/; Secure; Max-Age=0")
            .header("set-cookie", "session=2; Path=/; Max-Age=60")
            .header("set-cookie", "__Host-bad=3; Path=/"),
    })?;
    let login =
        Upstream::answering(|_| Reply::status(303).header("location", "//shop.localhost/in"))?;
    let mut visitor = Visitor::new()
        .knows("shop.localhost", shop.address())
        .knows("login.localhost", login.address());

    let end = visitor.visit("http://shop.localhost/")?;

    assert_eq!(end.url.to_string(), "http://shop.localhost/in");
    assert_eq!(
        end.request_header("cookie").as_deref(),
        Some("__Host-flow=1")
    );
    assert_eq!(visitor.steps_to("login.localhost", "/").len(), 1);
    assert!(
        login
            .last()
            .context("it came")?
            .headers
            .get("cookie")
            .is_none()
    );
    assert_eq!(visitor.jar().names("shop.localhost"), ["session"]);
    assert_eq!(visitor.refused().len(), 1);
    visitor.jar_mut().age(Duration::from_secs(61));
    assert!(visitor.jar().names("shop.localhost").is_empty());
    assert!(visitor.visit("http://elsewhere.localhost/").is_err());

    shop.answer(|_| Reply::status(302).header("location", "/"));
    assert!(visitor.visit("http://shop.localhost/").is_err());
    Ok(())
}

#[test]
fn the_real_provider_signs_browsers_in_and_out() -> Result<()> {
    let key = Key::rsa().with_id("own");
    let accounts = json!({"alice": {"groups": ["staff", "admin"]}});
    let idp = Idp::start_with(&json!({
        "accounts": accounts,
        "configuration": {"rotateRefreshToken": true, "ttl": {"AccessToken": 7}},
    }))?;
    let app = Upstream::start()?;
    let own = |path: &str| format!("http://{}{path}", app.address());
    let client = json!({
        "client_id": "app",
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": ["http://app.localhost/bye"],
        "backchannel_logout_uri": own("/backchannel-logout"),
        "backchannel_logout_session_required": true,
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid offline_access email groups",
    });
    idp.register(&client)?;
    idp.register(&json!({
        "client_id": "by key",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.jwk()]},
    }))?;
    let error = format!(
        "{:#}",
        idp.register(&json!({"client_id": "x"})).unwrap_err()
    );
    assert!(error.contains("redirect_uris"), "{error}");

    // Everything on the way is the provider's.
    let mut visitor = Visitor::new();
    let at = authorization(
        &idp.uri("/auth"),
        "app",
        "openid offline_access email groups",
    )?;
    let back = idp.sign_in(&mut visitor, at, "alice")?;
    assert_eq!(back.host(), "app.localhost");
    assert_eq!(back.parameter("state").as_deref(), Some("st&te"));
    assert_eq!(back.parameter("iss").as_deref(), Some(idp.issuer()));
    let code = back.parameter("code").with_context(|| idp.log())?;
    let request = |pairs: &[(&str, &str)]| {
        idp.send(form(pairs).header("authorization", basic("app", SECRET)))
    };
    let answer = request(&exchange(&code))?;
    assert_eq!(answer.status, 200, "{answer}");
    let answer = answer.json()?;
    assert_eq!(answer["expires_in"], 7);
    let claims = payload(&answer["id_token"])?;
    assert_eq!(claims["groups"], json!(["staff", "admin"]));
    assert_eq!(claims["email"], "alice@users.example");
    let session = claims["sid"].as_str().context("a sid")?.to_owned();
    let refresh = answer["refresh_token"]
        .as_str()
        .context("a refresh token")?;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let refreshed = request(&refresh)?;
    assert_eq!(refreshed.status, 200, "{refreshed}");
    assert_ne!(refreshed.json()?["refresh_token"], answer["refresh_token"]);

    // The same browser is known.
    let before = visitor.steps().len();
    let at = authorization(&idp.uri("/auth"), "app", "openid")?.with_parameter("prompt", None);
    assert!(
        idp.sign_in(&mut visitor, at, "bob")?
            .parameter("code")
            .is_some()
    );
    assert_eq!(visitor.steps().len(), before + 1);

    let token = answer["id_token"].as_str().context("an ID token")?;
    let leave = Url::parse(&idp.uri("/session/end"))?
        .with_parameter("id_token_hint", Some(token))
        .with_parameter("post_logout_redirect_uri", Some("http://app.localhost/bye"));
    let bye = idp.sign_out(&mut visitor, leave)?;
    assert_eq!(bye.to_string(), "http://app.localhost/bye");
    let told = app.wait_for("the logout", DEADLINE, |one| {
        one.path == "/backchannel-logout"
    })?;
    let form = legation_tests::oidc::form(&told);
    let claims = payload(&json!(form.get("logout_token")))?;
    assert_eq!(claims["sid"], session.as_str());
    Ok(())
}
