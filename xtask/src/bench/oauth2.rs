//! Requests with a session: by Envoy's own `oauth2`, and by oauth2.

use anyhow::{Context, Result, ensure};
use legation_tests::Envoy;
use legation_tests::oidc::{Endpoint, FakeProvider};
use legation_tests::visitor::Visitor;
use serde_json::{Value, json};

use super::cases::Case;
use super::config::PROVIDER;
use super::filters::{Filter, Module, native, wasm};

/// The host of all requests, which browsers trust without TLS.
pub(super) const HOST: &str = "shop.localhost";
/// Stands in configurations for where the provider is, which is known when it runs.
const ISSUER: &str = "http://provider.invalid";
const CLIENT: &str = "app";
const CLIENT_SECRET: &str = "s3cret & more";
const CALLBACK: &str = "/callback";

/// What Envoy's own filter takes its secrets from.
pub(super) fn secrets() -> Value {
    let secret = |name: &str, text: &str| json!({ "name": name, "generic_secret": { "secret": { "inline_string": text } } });
    json!([
        secret("oauth2-token", CLIENT_SECRET),
        secret("oauth2-hmac", "thirty-two bytes of a test secret")
    ])
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name, what, filter, peer| Case {
        name,
        what,
        filters: vec![filter],
        signs_in: true,
        peer,
        ..Case::default()
    };
    vec![
        case(
            "oauth2-native",
            "Envoy's own oauth2, a signed-in request with its access token",
            native_filter(),
            None,
        ),
        case(
            "oauth2",
            "oauth2, the same",
            own_filter(&json!({})),
            Some("oauth2-native"),
        ),
        case(
            "oauth2-without-cache",
            "the same, each session read anew",
            own_filter(&json!({ "session_cache": { "size": 0 } })),
            Some("oauth2-native"),
        ),
    ]
}

fn native_filter() -> Filter {
    native(
        "envoy.filters.http.oauth2",
        "envoy.extensions.filters.http.oauth2.v3.OAuth2",
        json!({ "config": {
            "authorization_endpoint": format!("{ISSUER}{}", Endpoint::Authorization.path()),
            "token_endpoint": {
                "uri": format!("{ISSUER}{}", Endpoint::Token.path()),
                "cluster": PROVIDER,
                "timeout": "5s",
            },
            "credentials": {
                "client_id": CLIENT,
                "token_secret": { "name": "oauth2-token" },
                "hmac_secret": { "name": "oauth2-hmac" },
            },
            "redirect_uri": format!("http://%REQ(:authority)%{CALLBACK}"),
            "redirect_path_matcher": { "path": { "exact": CALLBACK } },
            "signout_path": { "path": { "exact": "/sign-out" } },
            "auth_scopes": ["openid"],
            "forward_bearer_token": true,
        }}),
    )
}

fn own_filter(more: &Value) -> Filter {
    let mut configuration = json!({
        "issuer": ISSUER,
        "openid_configuration": { "cluster": PROVIDER },
        "credentials": {
            "client_id": CLIENT,
            "client_secret": { "inline_string": CLIENT_SECRET },
            "cookie_secrets": [{ "inline_string": "thirty-two bytes of a test secret" }],
        },
        "redirect_uri": format!("http://%REQ(:authority)%{CALLBACK}"),
        "redirect_path": CALLBACK,
        "cookie_configs": { "session": { "secure": false }, "flow": { "secure": false } },
        "auth_scopes": ["openid"],
        "forward_bearer_token": true,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        configuration[name] = value.clone();
    }
    wasm(Module::Built("oauth2")).configured(configuration)
}

/// The configuration with the provider in it.
pub(super) fn at_provider(config: &Value, provider: &FakeProvider) -> Result<Value> {
    let text = config.to_string().replace(ISSUER, provider.issuer());
    Ok(serde_json::from_str(&text)?)
}

/// Signs in at a case's listener, and gives the cookies that it is signed in by.
pub(super) fn sign_in(envoy: &Envoy, case: &Case) -> Result<String> {
    let address = envoy.listener(case.name)?;
    let mut visitor = Visitor::new().knows(HOST, address);
    let page = format!("http://{HOST}/api/items?page=2");
    let arrived = visitor.visit(&page)?;
    ensure!(
        arrived.response.status == 200 && arrived.url.to_string() == page,
        "nobody is signed in: {arrived}"
    );
    let cookies = visitor
        .steps()
        .last()
        .and_then(|step| step.request_header("cookie"));
    cookies.context("a browser that is signed in has no cookies")
}
