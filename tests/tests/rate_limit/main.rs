//! rate-limit, as Envoy runs it: beside Envoy's own filters, by many workers at once, and with a rate limit
//! service.

mod agreement;
mod exact;
mod flood;
mod keys;
mod local;
mod observed;
mod paths;
mod recipes;
mod service;
mod updated;

use legation_tests::wasm_filter;
use serde_json::{Value, json};

const FILTER: &str = "rate-limit";
/// The module for limits of one Envoy of which only refusals tell.
const LOCAL: &str = "rate-limit-local";

/// Envoy's own filter, as an entry of `http_filters`. Unlike ours it is switched off unless told otherwise.
fn native(configuration: &Value) -> Value {
    let mut configuration = configuration.clone();
    for share in ["filter_enabled", "filter_enforced"] {
        if configuration[share].is_null() {
            configuration[share] = json!({"default_value": {"numerator": 100}});
        }
    }
    native_as_it_is(&configuration)
}

/// Envoy's own filter as it is configured.
fn native_as_it_is(configuration: &Value) -> Value {
    let mut typed = configuration.clone();
    typed["@type"] = json!(
        "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
    );
    json!({"name": "envoy.filters.http.local_ratelimit", "typed_config": typed})
}

/// This filter, as an entry of `http_filters`.
fn ours(configuration: &Value) -> Value {
    wasm_filter(FILTER, configuration.clone())
}

/// A configuration of Envoy's filter as one of ours: the same but for the tests in actions, which are
/// written as the matcher that all filters share has them.
fn to_ours(configuration: &Value) -> Value {
    let mut ours = configuration.clone();
    let rate_limits = ours.get_mut("rate_limits").and_then(Value::as_array_mut);
    for rate_limit in rate_limits.into_iter().flatten() {
        let actions = rate_limit.get_mut("actions").and_then(Value::as_array_mut);
        for action in actions.into_iter().flatten() {
            if let Some(test) = action.get_mut("header_value_match") {
                test["headers"] = named(&test["headers"]);
            }
            if let Some(test) = action.get_mut("query_parameter_value_match") {
                test["query_parameters"] = named(&test["query_parameters"]);
            }
            if let Some(test) = action.get_mut("remote_address_match") {
                networks(test);
            }
        }
    }
    ours
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

/// `address_matcher: {ranges: [{address_prefix, prefix_len}], invert_match}`.
fn networks(test: &mut Value) {
    let matcher = test["address_matcher"].take();
    let one = |range: &Value| {
        let prefix = range["address_prefix"].as_str().expect("a text");
        format!("{prefix}/{}", range["prefix_len"])
    };
    let ranges = matcher["ranges"].as_array().into_iter().flatten();
    let cidrs: Vec<_> = ranges.map(one).collect();
    let all = test.as_object_mut().expect("an object");
    all.remove("address_matcher");
    all.insert("cidrs".to_owned(), json!(cidrs));
    if let Some(invert) = matcher.get("invert_match") {
        all.insert("invert_match".to_owned(), invert.clone());
    }
}
