//! jwt-auth, as Envoy runs it: beside Envoy's own `jwt_authn`, and against those who try to get past.

mod agreement;
mod attacks;
mod idp;
mod key_servers;
mod memory;
mod minter;
mod observed;
mod possession;
mod recipes;
mod tls;

use legation_tests::{Request, wasm_filter};
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
fn ours(configuration: &Value) -> Value {
    wasm_filter(FILTER, configuration.clone())
}

/// `local_jwks` of this key set.
fn local(jwks: &Value) -> Value {
    json!({"inline_string": jwks.to_string()})
}

/// A configuration of Envoy's filter as one of ours: the same but for the form of `match`, which is the
/// matcher that all filters share.
fn to_ours(configuration: &Value) -> Value {
    let mut ours = configuration.clone();
    for rule in ours["rules"].as_array_mut().into_iter().flatten() {
        let found = rule["match"].take();
        rule["match"] = to_our_match(&found);
    }
    for provider in ours["providers"]
        .as_object_mut()
        .into_iter()
        .flat_map(|all| all.values_mut())
    {
        let regex = provider.pointer("/subjects/safe_regex/regex").cloned();
        if let Some(regex) = regex {
            provider["subjects"] = json!({"regex": regex});
        }
    }
    ours
}

fn to_our_match(route: &Value) -> Value {
    let mut ours = serde_json::Map::new();
    for (name, value) in route.as_object().into_iter().flatten() {
        let (name, value) = match name.as_str() {
            "prefix" | "path_separated_prefix" => ("path", json!({(name.clone()): value})),
            "path" => ("path", json!({"exact": value})),
            "safe_regex" => ("path", json!({"regex": value["regex"]})),
            "headers" => ("headers", named(value)),
            "query_parameters" => ("query", named(value)),
            other => panic!("no translation of `{other}`"),
        };
        ours.insert(name.to_owned(), value);
    }
    Value::Object(ours)
}

/// `[{name, string_match: {exact}}]` and `[{name, present_match}]`.
fn named(list: &Value) -> Value {
    let one = |entry: &Value| {
        let mut ours = entry["string_match"].clone();
        if ours.is_null() {
            ours = json!({"present": entry["present_match"]});
        }
        ours["name"] = entry["name"].clone();
        ours
    };
    list.as_array().into_iter().flatten().map(one).collect()
}

/// A rule of Envoy's filter: this provider for paths that begin so.
fn rule(prefix: &str, provider: &str) -> Value {
    json!({"match": {"prefix": prefix}, "requires": {"provider_name": provider}})
}

/// A GET with this token.
fn bearer(path: &str, token: &str) -> Request {
    Request::get(path).header("authorization", format!("Bearer {token}"))
}
