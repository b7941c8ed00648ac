//! jwt-auth, as Envoy runs it: beside Envoy's own `jwt_authn`, and against those who try to get past.

mod minter;

use legation_tests::wasm_filter;
use serde_json::{Value, json};

const FILTER: &str = "jwt-auth";
const ISSUER: &str = "https://issuer.example";

/// Envoy's own filter, as an entry of `http_filters`.
fn native(configuration: &Value) -> Value {
    let mut typed = configuration.clone();
    typed["@type"] =
        json!("type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication");
    json!({"name": "envoy.filters.http.jwt_authn", "typed_config": typed})
}

/// This filter, as an entry of `http_filters`.
#[allow(dead_code)]
fn ours(configuration: &Value) -> Value {
    wasm_filter(FILTER, configuration.clone())
}

/// `local_jwks` of this key set.
fn local(jwks: &Value) -> Value {
    json!({"inline_string": jwks.to_string()})
}
