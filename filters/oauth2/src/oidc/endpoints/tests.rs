#![allow(
    clippy::needless_pass_by_value,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::config::provider::tests::read;

fn endpoints(config: Value, found: &Value) -> Result<Endpoints, (&'static str, String)> {
    let mut metadata = json!({
        "issuer": "https://idp.example",
        "jwks_uri": "https://idp.example/keys",
        "authorization_endpoint": "https://idp.example/auth?tenant=1",
        "token_endpoint": "https://tokens.example/token",
        "authorization_response_iss_parameter_supported": true
    });
    let all = metadata.as_object_mut().unwrap();
    all.extend(found.as_object().unwrap().clone());
    let metadata: Metadata = serde_json::from_value(metadata).unwrap();
    let written = Written::new(&read(config).unwrap());
    let endpoints = written.endpoints(Some(&metadata));
    endpoints.map_err(|(field, problem)| (field, problem.to_string()))
}

#[wasm_bindgen_test(unsupported = test)]
fn the_metadata_says_where_the_provider_is() {
    let found = endpoints(json!({}), &json!({})).unwrap();

    assert_eq!(found.issuer.as_deref(), Some("https://idp.example"));
    assert_eq!(
        found.authorization.as_str(),
        "https://idp.example/auth?tenant=1"
    );
    assert_eq!(found.token.to_text(), "https://tokens.example/token");
    assert_eq!(
        (found.userinfo, found.par, found.end_session),
        (None, None, None)
    );
    assert!(found.iss_parameter_supported);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_written_goes_before_what_is_found() {
    let config = json!({
        "authorization_endpoint": "http://localhost:8080/auth",
        "token_endpoint": {"uri": "http://idp.internal/token", "cluster": "idp"},
        "end_session_endpoint": "https://idp.example/out",
        "signout_path": "/signout"
    });
    let found = endpoints(
        config,
        &json!({"token_endpoint": "ftp://a", "end_session_endpoint": "https://b.example/"}),
    )
    .unwrap();

    assert_eq!(found.authorization.as_str(), "http://localhost:8080/auth");
    assert_eq!(found.token.to_text(), "http://idp.internal/token");
    assert_eq!(
        found.end_session.unwrap().as_str(),
        "https://idp.example/out"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_leads_nobody_astray() {
    let push = json!({"use_pushed_authorization_requests": true});
    let userinfo = json!({"use_userinfo": true});
    for (config, found, field, told) in [
        (
            json!({}),
            json!({"authorization_endpoint": null}),
            "authorization_endpoint",
            "is missing",
        ),
        (
            json!({}),
            json!({"authorization_endpoint": "http://idp.example/auth"}),
            "authorization_endpoint",
            "is not https",
        ),
        (
            json!({}),
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            "authorization_endpoint",
            "URL",
        ),
        (
            json!({}),
            json!({"authorization_endpoint": "https://a.example/\r\nx: y"}),
            "authorization_endpoint",
            "characters",
        ),
        (
            json!({}),
            json!({"authorization_endpoint": "https://idp.example@evil.example/"}),
            "authorization_endpoint",
            "without a user",
        ),
        (
            json!({}),
            json!({"token_endpoint": "http://idp.example/token"}),
            "token_endpoint",
            "is not https",
        ),
        (
            json!({}),
            json!({"token_endpoint": 7}),
            "token_endpoint",
            "is missing",
        ),
        (
            push.clone(),
            json!({}),
            "pushed_authorization_request_endpoint",
            "is missing",
        ),
        (
            userinfo,
            json!({"userinfo_endpoint": "http://a.example/"}),
            "userinfo_endpoint",
            "is not https",
        ),
    ] {
        let (at, problem) = endpoints(config, &found).unwrap_err();
        assert_eq!(at, field, "{found}: {problem}");
        assert!(problem.contains(told), "{found}: {problem}");
    }
    // What nobody asks for is in nobody's way, and a sign-out ends here without it.
    let found = json!({"userinfo_endpoint": "http://a.example/", "end_session_endpoint": "http://a.example/"});
    let found = endpoints(json!({}), &found).unwrap();
    assert_eq!((found.userinfo, found.end_session), (None, None));
}
