//! Bodies that are read on their way: JSON that is checked and masked, and text that is masked.

use serde_json::{Value, json};

use super::cases::Case;
use super::config::Route;
use super::filters::{Filter, Module, lua, native, wasm};
use super::page::Kind;

const SMALL: usize = 4 * 1024;
const MIDDLE: usize = 64 * 1024;
const LARGE: usize = 1024 * 1024;

/// Longer than what it stands for, which shows that it does.
const REPLACEMENT: &str = "[an address of e-mail]";

pub(super) fn cases() -> Vec<Case> {
    [without(), requests(), responses()].concat()
}

fn guard(rule: &Value) -> Filter {
    let filter = wasm(Module::Built("body-guard")).configured(json!({ "rules": [rule] }));
    filter.holding_headers()
}

/// A case of JSON.
fn reading(
    name: &'static str,
    what: &'static str,
    filter: Filter,
    peer: Option<&'static str>,
) -> Case {
    Case {
        name,
        what,
        filters: vec![filter],
        route: Route::Upstream,
        kind: Kind::Json,
        peer,
        ..Case::default()
    }
}

/// Requests that have nothing to be read.
fn without() -> Vec<Case> {
    vec![Case {
        name: "body-guard",
        what: "body-guard lets a request without a body pass",
        filters: vec![guard(&json!({
            "match": { "path": { "prefix": "/api/" } },
            "request": { "max_bytes": 262_144, "json": {} },
            "response": { "redact": [{ "preset": "credit_card", "keep_last": 4 }] },
        }))],
        ..Case::default()
    }]
}

fn requests() -> Vec<Case> {
    let fields = json!({
        "request": {
            "json": {},
            "fields": [
                { "path": "$.items[*].count", "required": true, "minimum": 1, "maximum": 1000 },
                { "path": "$.items[*].currency", "enum": ["CHF", "EUR", "USD"] },
                { "path": "$..is_admin", "forbidden": true },
            ],
        },
    });
    let measured = json!({ "request": { "max_bytes": 262_144 } });
    let case = |name, what, size, filter, peer| Case {
        request_body: size,
        ..reading(name, what, filter, peer)
    };
    vec![
        case(
            "native-json-4k",
            "Envoy's own json_to_metadata parses 4 KiB of JSON",
            SMALL,
            json_to_metadata(),
            None,
        ),
        case(
            "body-guard-measured-4k",
            "body-guard measures a request of 4 KiB",
            SMALL,
            guard(&measured),
            None,
        ),
        case(
            "body-guard-request-4k",
            "body-guard checks the fields of 4 KiB of JSON",
            SMALL,
            guard(&fields),
            Some("native-json-4k"),
        ),
        case(
            "native-json-64k",
            "Envoy's own json_to_metadata parses 64 KiB of JSON",
            MIDDLE,
            json_to_metadata(),
            None,
        ),
        case(
            "body-guard-request-64k",
            "body-guard checks the fields of 64 KiB of JSON",
            MIDDLE,
            guard(&fields),
            Some("native-json-64k"),
        ),
    ]
}

fn responses() -> Vec<Case> {
    let by_path = json!({ "response": { "redact": [
        { "path": "$.items[*].customer.email", "replacement": REPLACEMENT },
    ] } });
    let by_preset = json!({ "response": { "redact": [
        { "preset": "email", "replacement": REPLACEMENT },
        { "preset": "credit_card", "keep_last": 4 },
    ] } });
    let in_text = |pattern| {
        json!({ "response": { "redact": [
            { "pattern": pattern, "replacement": REPLACEMENT },
            { "preset": "credit_card", "keep_last": 4 },
        ] } })
    };
    let case = |name, what, size, filter, peer| Case {
        page: size,
        is_page_rewritten: true,
        ..reading(name, what, filter, peer)
    };
    let page = |name, what, pattern| Case {
        kind: Kind::Page,
        ..case(name, what, MIDDLE, guard(&in_text(pattern)), None)
    };
    let script = format!(
        "function envoy_on_response(handle)\n\
           local body = handle:body()\n\
           local text = body:getBytes(0, body:length())\n\
           body:setBytes((text:gsub('\"email\":\"[^\"]*\"', '\"email\":\"{REPLACEMENT}\"')))\n\
         end"
    );
    vec![
        case(
            "lua-mask-64k",
            "Envoy's Lua masks what looks like a field in an answer of 64 KiB",
            MIDDLE,
            lua(&script),
            None,
        ),
        case(
            "body-guard-path-64k",
            "body-guard masks a field by its path in 64 KiB of JSON",
            MIDDLE,
            guard(&by_path),
            Some("lua-mask-64k"),
        ),
        case(
            "body-guard-path-1m",
            "the same in 1 MiB, which flows",
            LARGE,
            guard(&by_path),
            None,
        ),
        case(
            "body-guard-preset-64k",
            "body-guard looks for e-mail addresses and cards in the texts of 64 KiB of JSON",
            MIDDLE,
            guard(&by_preset),
            None,
        ),
        page(
            "body-guard-text-64k",
            "body-guard looks for a pattern and cards in a page of 64 KiB",
            "data-item=\"[0-9]+\"",
        ),
        page(
            "body-guard-text-anywhere-64k",
            "the same where the pattern begins with no text of its own",
            "[d]ata-item=\"[0-9]+\"",
        ),
    ]
}

fn json_to_metadata() -> Filter {
    let rule = json!({
        "selectors": [{ "key": "currency" }],
        "on_present": { "metadata_namespace": "bench", "key": "currency" },
    });
    native(
        "envoy.filters.http.json_to_metadata",
        "envoy.extensions.filters.http.json_to_metadata.v3.JsonToMetadata",
        json!({ "request_rules": { "rules": [rule] } }),
    )
}
