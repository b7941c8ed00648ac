#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use deserr::{Deserr, ValuePointerRef};
use legation::config::{ConfigErrors, parse};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::config::Config;

impl Deserr<ConfigErrors> for ProviderConfig {
    fn deserialize_from_value<V: deserr::IntoValue>(
        value: deserr::Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        Config::deserialize_from_value(value, location).map(|config| config.provider)
    }
}

/// A document that is right, with these changes (RFC 7396: `null` takes away).
pub(crate) fn document(changes: Value) -> Value {
    let mut document = json!({
        "issuer": "https://idp.example",
        "openid_configuration": {"cluster": "idp"},
        "credentials": {
            "client_id": "app",
            "client_secret": {"inline_string": "s:e+c%r&t"},
            "cookie_secrets": [{"inline_string": "0123456789abcdef0123456789abcdef"}]
        }
    });
    merge(&mut document, changes);
    document
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, change) in changes {
                if change.is_null() {
                    into.remove(&name);
                } else {
                    merge(into.entry(name).or_insert(Value::Null), change);
                }
            }
        }
        (into, changes) => *into = changes,
    }
}

pub(crate) fn read(changes: Value) -> Result<ProviderConfig, String> {
    parse(document(changes).to_string().as_bytes()).map_err(|errors| errors.to_string())
}

const KEY: &str = include_str!("../../../../../tests/keys/p256-a.test-key.pem");

#[wasm_bindgen_test(unsupported = test)]
fn an_issuer_and_who_we_are_is_enough() {
    let config = read(json!({})).unwrap();

    assert!(config.is_openid());
    assert_eq!(config.auth_type, AuthType::UrlEncodedBody);
    assert_eq!(config.scopes().collect::<Vec<_>>(), ["openid"]);
    assert_eq!(config.id_token.algorithms(), Algorithms::ASYMMETRIC);
    assert_eq!(config.id_token.clock_skew(), Duration::from_mins(1));
    assert_eq!(config.id_token.max_age(), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn plain_oauth_has_neither_keys_nor_openid() {
    let plain = json!({
        "issuer": null,
        "openid_configuration": null,
        "authorization_endpoint": "https://github.example/login/oauth/authorize",
        "token_endpoint": {"uri": "https://github.example/login/oauth/access_token", "cluster": "github"},
        "userinfo_endpoint": {"uri": "https://api.github.example/user", "cluster": "github"}
    });
    let config = read(plain).unwrap();

    assert!(!config.is_openid() && config.asks_userinfo());
    assert_eq!(config.scopes().count(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_endpoint_of_another_cluster_need_not_say_where_it_is() {
    let config = read(json!({"token_endpoint": {"cluster": "tokens", "timeout": "2s"}})).unwrap();
    let endpoint = config.token_endpoint.0.unwrap();
    assert_eq!((endpoint.uri(), endpoint.cluster()), (None, "tokens"));
}

#[wasm_bindgen_test(unsupported = test)]
fn secrets_are_in_no_debug_text() {
    let key = json!({
        "auth_type": "PRIVATE_KEY_JWT",
        "credentials": {"client_secret": null, "private_key": {"inline_string": KEY}}
    });
    for changes in [json!({}), key] {
        let text = format!("{:?}", read(changes).unwrap());
        for secret in ["s:e+c%r&t", "0123456789abcdef", "MIG"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_are_told_at_their_field() {
    let key = |pem: &str| {
        json!({
            "auth_type": "PRIVATE_KEY_JWT",
            "credentials": {"client_secret": null, "private_key": {"inline_string": pem}}
        })
    };
    for (changes, told) in [
        (json!({"issuer": null}), "issuer: is missing"),
        (
            json!({"openid_configuration": null}),
            "issuer: there are no keys",
        ),
        (
            json!({"remote_jwks": {"http_uri": {"uri": "https://a.example/keys", "cluster": "a"}}}),
            "remote_jwks: there are keys by `openid_configuration` already",
        ),
        (
            json!({"auth_scopes": ["email"]}),
            "auth_scopes: `openid` is missing",
        ),
        (
            json!({"auth_scopes": ["openid email"]}),
            "auth_scopes[0]: a scope has no space",
        ),
        (
            json!({"openid_configuration": null, "issuer": null}),
            "userinfo_endpoint: is missing",
        ),
        (
            json!({"openid_configuration": null, "token_endpoint": {"cluster": "a"}}),
            "token_endpoint: has no `uri`",
        ),
        (
            json!({"auth_type": "NONE"}),
            "credentials.client_secret: is not used with `auth_type: NONE`",
        ),
        (
            json!({"credentials": {"client_secret": null}}),
            "credentials.client_secret: is required by `auth_type: URL_ENCODED_BODY`",
        ),
        (
            json!({"auth_type": "PRIVATE_KEY_JWT", "credentials": {"client_secret": null}}),
            "credentials.private_key: is required",
        ),
        (
            json!({"credentials": {"private_key_id": "a"}}),
            "credentials.private_key_id: is for `auth_type: PRIVATE_KEY_JWT`",
        ),
        (json!({"auth_type": "BASIC"}), "auth_type: "),
        (
            key("hush"),
            "credentials.private_key: not a private key in PEM",
        ),
        (
            key("-----BEGIN EC PRIVATE KEY-----\nhush\n-----END EC PRIVATE KEY-----"),
            "credentials.private_key: not a PKCS #8 key; make it one with `openssl pkcs8",
        ),
        (
            json!({"credentials": {"cookie_secrets": [{"inline_string": "hush"}]}}),
            "credentials.cookie_secrets[0]: a secret has at least 32 bytes, got 4",
        ),
        (
            json!({"credentials": {"cookie_secrets": null}}),
            "credentials.cookie_secrets: ",
        ),
        (
            json!({"credentials": {"cookie_domain": "https://a.example"}}),
            "credentials.cookie_domain: ",
        ),
        (
            json!({"credentials": {"cookie_names": {"session": "__Host-a"}}}),
            "credentials.cookie_names.session: a prefix is put before the name by itself",
        ),
        (
            json!({"credentials": {"cookie_names": {"session": "a", "flow": "a"}}}),
            "credentials.cookie_names.flow: `session` has the same name",
        ),
        (
            json!({"credentials": {"cookie_names": {"bearer_token": "a"}}}),
            "credentials.cookie_names.bearer_token: no cookie holds a bare token",
        ),
        (
            json!({"credentials": {"token_secret": {"name": "hush"}}}),
            "credentials.token_secret: is `client_secret` here",
        ),
        (
            json!({"credentials": {"hmac_secret": {"name": "hush"}}}),
            "credentials.hmac_secret: is `cookie_secrets` here",
        ),
        (
            json!({"id_token": {"allowed_algorithms": ["RS256", "HS256"]}}),
            "id_token.allowed_algorithms[1]: `HS256` is not for ID tokens here",
        ),
        (
            json!({"authorization_parameters": {"state": "a"}}),
            "authorization_parameters.state: is the filter's to say",
        ),
        (
            json!({"resources": ["api"]}),
            "resources[0]: expected an absolute URI",
        ),
        (
            json!({"authorization_endpoint": "https://a.example/\r\nx: y"}),
            "authorization_endpoint: has characters that a URL does not have",
        ),
        (
            json!({"authorization_endpoint": "https://a.example/#f"}),
            "authorization_endpoint: a URL without a fragment",
        ),
        (
            json!({"end_session_endpoint": "javascript:alert(1)"}),
            "end_session_endpoint: ",
        ),
    ] {
        let errors = read(changes.clone()).unwrap_err();
        assert!(errors.contains(told), "{changes}: {errors}");
        assert!(!errors.contains("hush"), "{errors}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn several_mistakes_are_told_at_once() {
    let errors = read(json!({
        "issuer": null,
        "auth_type": "NONE",
        "auth_scopes": ["email"],
        "use_userinfo": true
    }))
    .unwrap_err();

    assert_eq!(errors.lines().count(), 3, "{errors}");
}
