//! oauth2, as a real browser and a real provider have it: forms, cookies with `__Host-`, several tabs.
//!
//! The site is `http://app.localhost`, which is as secure to Chromium as HTTPS. The provider is on
//! `127.0.0.1`, which is another site.

use anyhow::{Context, Result, ensure};
use legation_tests::browser::{Page, run_tests};
use legation_tests::idp::{Idp, SECRET};
use legation_tests::jwt::Mode;
use legation_tests::oidc::{Endpoint, FakeProvider};
use legation_tests::{Browser, Config, Reply, Stage, wasm_filter};
use serde_json::{Value, json};

const FILTER: &str = "oauth2";
const SESSION: &str = "__Host-sess";
const FLOW: &str = "__Host-flow";

fn main() {
    run_tests(&[
        (
            "a_person_signs_in_stays_in_and_signs_out",
            a_person_signs_in_stays_in_and_signs_out,
        ),
        (
            "tabs_do_not_disturb_each_other",
            tabs_do_not_disturb_each_other,
        ),
        (
            "a_cookie_for_the_site_alone_works_from_the_first_page_on",
            a_cookie_for_the_site_alone_works_from_the_first_page_on,
        ),
        (
            "a_large_session_is_kept_in_pieces",
            a_large_session_is_kept_in_pieces,
        ),
        (
            "a_sign_in_that_fails_shows_a_page_with_a_way_on",
            a_sign_in_that_fails_shows_a_page_with_a_way_on,
        ),
    ]);
}

/// What is the same for all providers, and more.
fn configuration(issuer: &str, secret: &str, more: &Value) -> Value {
    let mut all = json!({
        "issuer": issuer,
        "openid_configuration": {"cluster": "idp"},
        "credentials": {
            "client_id": "app",
            "client_secret": {"inline_string": secret},
            "cookie_names": {"session": "sess", "flow": "flow"},
            "cookie_secrets": [{"inline_string": "0123456789abcdef0123456789abcdef"}],
        },
        "redirect_uri": "%REQ(x-forwarded-proto)%://%REQ(:authority)%/callback",
        "redirect_path": "/callback",
        "signout_path": "/signout",
        "pass_through_matcher": [{"path": {"exact": "/bye"}}],
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    all
}

/// Sites by their names, before an upstream whose pages say who has come.
fn stage(sites: &[(&str, Value)], provider: std::net::SocketAddr) -> Result<Stage> {
    let mut config = Config::plain()?;
    for (name, own) in sites {
        config = config.add_chain(name, &[wasm_filter(FILTER, own.clone())]);
    }
    let config = config.add_endpoint("idp", provider).header_limits(100, 512);
    let stage = Stage::start(&config)?;
    stage.upstream().answer(|request| {
        let user = request.headers.text("x-user").unwrap_or_default();
        let path = request.path.replace('<', "&lt;").replace('&', "&amp;");
        Reply::ok()
            .header("content-type", "text/html; charset=utf-8")
            .body(format!(
                "<!doctype html><title>App</title><h1>{user}</h1><p>{path}</p>
                 <a id=out href=/signout>Sign out</a>"
            ))
    });
    Ok(stage)
}

fn origin(stage: &Stage, site: &str) -> Result<String> {
    let port = stage.envoy().listener(site)?.port();
    Ok(format!("http://app.localhost:{port}"))
}

/// With the real provider, which knows the sites as soon as they have their ports.
fn with_idp(sites: &[(&str, Value)]) -> Result<(Idp, Stage)> {
    let idp = Idp::start()?;
    let sites: Vec<_> = sites
        .iter()
        .map(|(name, more)| (*name, configuration(idp.issuer(), SECRET, more)))
        .collect();
    let stage = stage(&sites, idp.address())?;
    let mut redirects = Vec::new();
    let mut goodbyes = Vec::new();
    for (name, _) in &sites {
        let origin = origin(&stage, name)?;
        redirects.push(format!("{origin}/callback"));
        goodbyes.push(format!("{origin}/bye"));
    }
    idp.register(&json!({
        "client_id": "app",
        "redirect_uris": redirects,
        "post_logout_redirect_uris": goodbyes,
        "token_endpoint_auth_method": "client_secret_post",
    }))?;
    Ok((idp, stage))
}

/// Fills the provider's forms in: who it is, and that it is agreed to.
fn fill_in(page: &Page, account: &str) -> Result<()> {
    page.fill("input[name=login]", account)?;
    page.fill("input[name=password]", "x")?;
    page.click_through("button[type=submit]")?;
    // What was agreed to before is not asked again.
    if page.url()?.contains("/interaction/") {
        page.click_through("button[type=submit]")?;
    }
    Ok(())
}

/// The names of the site's cookies.
fn cookies(page: &Page) -> Result<Vec<String>> {
    let mut all = page.cookies()?;
    all.retain(|cookie| cookie.domain == "app.localhost");
    Ok(all.into_iter().map(|cookie| cookie.name).collect())
}

fn flows(page: &Page) -> Result<usize> {
    let names = cookies(page)?;
    let is_flow = |name: &&String| name.starts_with(&format!("{FLOW}."));
    Ok(names.iter().filter(is_flow).count())
}

fn a_person_signs_in_stays_in_and_signs_out(browser: &Browser) -> Result<()> {
    let bye =
        json!({"post_logout_redirect_uri": "%REQ(x-forwarded-proto)%://%REQ(:authority)%/bye"});
    let (idp, stage) = with_idp(&[("app", bye)])?;
    let origin = origin(&stage, "app")?;
    let page = browser.page()?;
    page.goto(&format!("{origin}/orders?a=1&b=%20x"))?;
    assert!(page.url()?.starts_with(idp.issuer()), "{}", page.url()?);
    assert_eq!(flows(&page)?, 1);

    fill_in(&page, "alice")?;
    assert_eq!(page.url()?, format!("{origin}/orders?a=1&b=%20x"));
    assert_eq!(page.text("h1")?, "alice");

    let all = page.cookies()?;
    let session = all.iter().find(|one| one.name == SESSION);
    let session = session.context("there is no session")?;
    assert!(session.secure && session.http_only, "{session:?}");
    assert_eq!(
        (session.domain.as_str(), session.path.as_str()),
        ("app.localhost", "/")
    );
    assert_eq!(session.same_site.as_deref(), Some("Lax"));
    assert_eq!(flows(&page)?, 0);
    let readable = page.evaluate("document.cookie")?;
    assert_eq!(readable, "", "scripts can read {readable}");

    // Scripts of the page are in, too, and one without cookies is told and not sent away.
    let fetch = |how: &str| page.evaluate(&format!("fetch('/api', {how}).then(it => it.status)"));
    assert_eq!(fetch("{method: 'POST', body: 'x'}")?, 200);
    assert_eq!(fetch("{credentials: 'omit'}")?, 401);
    page.reload()?;
    assert_eq!(page.text("h1")?, "alice");

    page.click_through("#out")?;
    assert!(
        page.url()?.starts_with(&idp.uri("/session/end")),
        "{}",
        page.url()?
    );
    assert!(cookies(&page)?.is_empty(), "{:?}", cookies(&page)?);
    page.click_through("button[value=yes]")?;
    assert_eq!(page.url()?, format!("{origin}/bye"));
    assert_eq!(page.text("h1")?, "");
    page.goto(&format!("{origin}/orders"))?;
    assert!(page.url()?.starts_with(idp.issuer()), "{}", page.url()?);
    // What was seen stays where it was: nobody gets it back by going back.
    assert_eq!(page.text("button[type=submit]")?, "Sign-in");
    Ok(())
}

fn tabs_do_not_disturb_each_other(browser: &Browser) -> Result<()> {
    let (idp, stage) = with_idp(&[("app", json!({}))])?;
    let origin = origin(&stage, "app")?;
    let page = browser.page()?;
    page.goto(&format!("{origin}/one"))?;
    let first = page.url()?;
    page.goto(&format!("{origin}/two"))?;
    assert_eq!(flows(&page)?, 2);
    fill_in(&page, "alice")?;
    assert_eq!(page.url()?, format!("{origin}/two"));
    // The form that was opened first is sent last.
    assert!(first.starts_with(idp.issuer()), "{first}");
    page.goto(&first)?;
    fill_in(&page, "alice")?;
    assert_eq!(page.url()?, format!("{origin}/one"));
    assert_eq!(page.text("h1")?, "alice");
    assert_eq!(flows(&page)?, 0);
    // And back once more, to a callback that was used.
    page.back()?;
    page.goto(&format!("{origin}/three"))?;
    assert_eq!(page.text("h1")?, "alice");
    Ok(())
}

/// `SameSite=Strict` is not sent with what another site's form has led to, which the way back from the
/// provider is.
fn a_cookie_for_the_site_alone_works_from_the_first_page_on(browser: &Browser) -> Result<()> {
    let strict = json!({"cookie_configs": {"session": {"same_site": "STRICT"}}});
    let (_idp, stage) = with_idp(&[("app", strict)])?;
    let origin = origin(&stage, "app")?;
    let page = browser.page()?;
    page.goto(&format!("{origin}/page"))?;
    fill_in(&page, "alice")?;
    page.wait_for("document.querySelector('h1')?.textContent === 'alice'")?;
    assert_eq!(page.url()?, format!("{origin}/page"));
    Ok(())
}

fn a_large_session_is_kept_in_pieces(browser: &Browser) -> Result<()> {
    let provider = FakeProvider::start()?;
    // It does not shrink: each letter is of a hash.
    let large: String = (0..600)
        .map(|number| format!("{:016x}", hash(number)))
        .collect();
    provider.change(|it| {
        it.claims.insert("large".to_owned(), json!(large));
    });
    let more = json!({"claim_to_headers": [
        {"header_name": "x-user", "claim_name": "sub"},
        {"header_name": "x-large", "claim_name": "large"},
    ]});
    let own = configuration(provider.issuer(), "s3cret & more", &more);
    let stage = stage(&[("app", own)], provider.address())?;
    let origin = origin(&stage, "app")?;
    let page = browser.page()?;
    page.goto(&format!("{origin}/"))?;
    assert_eq!(page.text("h1")?, "alice");
    let names = cookies(&page)?;
    let pieces = names
        .iter()
        .filter(|name| name.starts_with(SESSION))
        .count();
    assert!(pieces >= 3, "{names:?}");
    page.reload()?;
    assert_eq!(page.text("h1")?, "alice");
    let arrived = stage.upstream().last().context("it arrived")?;
    assert!(!arrived.headers.contains("cookie"), "{arrived}");

    page.goto(&format!("{origin}/signout"))?;
    assert!(cookies(&page)?.is_empty(), "{:?}", cookies(&page)?);
    Ok(())
}

fn a_sign_in_that_fails_shows_a_page_with_a_way_on(browser: &Browser) -> Result<()> {
    let provider = FakeProvider::start()?;
    let more = json!({"retry_policy": {"num_retries": 0}});
    let own = configuration(provider.issuer(), "s3cret & more", &more);
    let stage = stage(&[("app", own)], provider.address())?;
    let origin = origin(&stage, "app")?;
    provider.set(Endpoint::Token, Mode::Status(500));
    let page = browser.page()?;
    page.goto(&format!("{origin}/page?x=1"))?;
    assert!(
        page.url()?.starts_with(&format!("{origin}/callback?")),
        "{}",
        page.url()?
    );
    assert!(!page.text("h1")?.is_empty());
    assert_eq!(page.evaluate("document.documentElement.lang !== ''")?, true);
    assert_eq!(flows(&page)?, 0);
    let violations = page.console();
    ensure!(
        !violations
            .iter()
            .any(|line| line.text.contains("Content Security Policy")),
        "the page violates its own policy: {violations:?}"
    );
    provider.mend();
    page.click_through("a")?;
    assert_eq!(page.url()?, format!("{origin}/page?x=1"));
    assert_eq!(page.text("h1")?, "alice");
    Ok(())
}

fn hash(number: u64) -> u64 {
    // SplitMix64.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
