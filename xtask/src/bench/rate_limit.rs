//! Requests limited: by Envoy's own `local_ratelimit`, and by rate-limit.

use serde_json::{Value, json};

use super::cases::Case;
use super::filters::{Filter, Module, native, wasm};
use super::stand::KEY;

/// What one key may do: more than is ever measured, so that nobody is refused.
const LIMIT: u32 = 4_000_000_000;
/// Keys of the cases with many.
const MANY: usize = 10_000;

pub(super) fn cases() -> Vec<Case> {
    [one_key(), many_keys()].concat()
}

fn case(
    name: &'static str,
    what: &'static str,
    keys: usize,
    filter: Filter,
    peer: Option<&'static str>,
) -> Case {
    Case {
        name,
        what,
        keys,
        filters: vec![filter],
        peer,
        ..Case::default()
    }
}

fn one_key() -> Vec<Case> {
    vec![
        case(
            "floor-key",
            "hand-written Wasm that only reads the key from its header",
            1,
            wasm(Module::Text("floor-key")),
            None,
        ),
        case(
            "local-ratelimit",
            "Envoy's own local_ratelimit, one key",
            1,
            native_filter(),
            Some("floor-key"),
        ),
        case(
            "rate-limit-lease",
            "rate-limit, tokens taken ten at a time, one key",
            1,
            own_filter("rate-limit", Some(10)),
            Some("floor-key"),
        ),
        case(
            "rate-limit-strict",
            "rate-limit, each token taken from what all workers share, one key",
            1,
            own_filter("rate-limit", None),
            Some("floor-key"),
        ),
        case(
            "floor-rate-limit-lease",
            "hand-written Wasm that takes tokens ten at a time and checks nothing, one key",
            1,
            wasm(Module::Text("floor-lease")),
            Some("floor-key"),
        ),
        case(
            "rate-limit-local-lease",
            "rate-limit's module for local limits, tokens taken ten at a time, one key",
            1,
            own_filter("rate-limit-local", Some(10)),
            Some("floor-key"),
        ),
        case(
            "rate-limit-local-strict",
            "rate-limit's module for local limits, each token taken from what all workers share, one key",
            1,
            own_filter("rate-limit-local", None),
            Some("floor-key"),
        ),
    ]
}

fn many_keys() -> Vec<Case> {
    vec![
        case(
            "floor-key-many",
            "hand-written Wasm that only reads the key, 10,000 keys",
            MANY,
            wasm(Module::Text("floor-key")),
            None,
        ),
        case(
            "local-ratelimit-many",
            "Envoy's own local_ratelimit, 10,000 keys",
            MANY,
            native_filter(),
            Some("floor-key-many"),
        ),
        case(
            "rate-limit-lease-many",
            "rate-limit, tokens taken ten at a time, 10,000 keys",
            MANY,
            own_filter("rate-limit", Some(10)),
            Some("floor-key-many"),
        ),
        case(
            "rate-limit-strict-many",
            "rate-limit, each token taken from what all workers share, 10,000 keys",
            MANY,
            own_filter("rate-limit", None),
            Some("floor-key-many"),
        ),
        case(
            "rate-limit-local-lease-many",
            "rate-limit's module for local limits, tokens taken ten at a time, 10,000 keys",
            MANY,
            own_filter("rate-limit-local", Some(10)),
            Some("floor-key-many"),
        ),
        case(
            "rate-limit-local-strict-many",
            "rate-limit's module for local limits, each token taken from what all workers share, 10,000 keys",
            MANY,
            own_filter("rate-limit-local", None),
            Some("floor-key-many"),
        ),
    ]
}

/// The same for both: each value of the header has a bucket of its own.
fn config() -> Value {
    let action = json!({ "request_headers": { "header_name": KEY, "descriptor_key": "key" } });
    let bucket = json!({ "max_tokens": LIMIT, "tokens_per_fill": 1_000, "fill_interval": "1s" });
    json!({
        "rate_limits": [{ "actions": [action] }],
        "descriptors": [{ "entries": [{ "key": "key" }], "token_bucket": bucket }],
        "max_dynamic_descriptors": 2 * MANY,
    })
}

fn native_filter() -> Filter {
    let mut config = config();
    let all = json!({ "default_value": { "numerator": 100 } });
    config["stat_prefix"] = json!("bench");
    config["filter_enabled"] = all.clone();
    config["filter_enforced"] = all;
    native(
        "envoy.filters.http.local_ratelimit",
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        config,
    )
}

fn own_filter(module: &'static str, lease: Option<u32>) -> Filter {
    let mut config = config();
    if let Some(size) = lease {
        config["lease"] = json!({ "size": size, "max_age": "1s" });
    }
    wasm(Module::Built(module)).configured(config)
}
