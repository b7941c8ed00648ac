//! Responses with a policy: in a header, and in pages that are rewritten on their way.

use serde_json::{Value, json};

use super::cases::Case;
use super::config::Route;
use super::filters::{Filter, Module, native, wasm};

const HEADER: &str = "content-security-policy";
const POLICY: &str = "default-src 'self'; object-src 'none'";
const WITH_NONCE: &str = "script-src 'nonce-{nonce}' 'strict-dynamic'; object-src 'none'";
/// What Envoy's own answers are, whose policies are measured.
const TYPES: [&str; 2] = ["text/html", "text/plain"];

pub(super) fn cases() -> Vec<Case> {
    [headers(), pages()].concat()
}

fn headers() -> Vec<Case> {
    let case = |name, what, filter, peer| Case {
        name,
        what,
        filters: vec![filter],
        answer_proof: Some((HEADER, POLICY)),
        peer,
        ..Case::default()
    };
    let fixed = json!({ "rules": [{ "policy": POLICY, "content_types": TYPES }] });
    let nonce = json!({ "rules": [{
        "policy": WITH_NONCE,
        "content_types": TYPES,
        "nonce": { "request_header": "x-csp-nonce" },
    }] });
    vec![
        case(
            "floor-csp",
            "hand-written Wasm reads a response's type and sets a header on it",
            wasm(Module::Text("floor-csp")),
            None,
        ),
        case(
            "native-csp",
            "Envoy's own header_mutation sets it",
            header_mutation(),
            Some("floor-csp"),
        ),
        case(
            "csp-header",
            "csp's module for headers only sets it",
            wasm(Module::Built("csp-header")).configured(fixed.clone()),
            Some("floor-csp"),
        ),
        case(
            "csp",
            "csp sets it",
            wasm(Module::Built("csp")).configured(fixed),
            Some("floor-csp"),
        ),
        Case {
            answer_proof: Some((HEADER, "script-src 'nonce-")),
            ..case(
                "csp-header-nonce",
                "the same module draws a nonce and tells the upstream",
                wasm(Module::Built("csp-header")).configured(nonce),
                Some("csp-header"),
            )
        },
    ]
}

/// Pages, beside the same ones that pass as they are.
fn pages() -> Vec<Case> {
    const SMALL: usize = 64 * 1024;
    const LARGE: usize = 1024 * 1024;
    let case = |name, what, size, nonce: Value| Case {
        name,
        what,
        filters: vec![wasm(Module::Built("csp")).configured(
            json!({ "rules": [{ "policy": WITH_NONCE, "content_types": TYPES, "nonce": nonce }] }),
        )],
        route: Route::Upstream,
        page: size,
        is_page_rewritten: true,
        answer_proof: Some((HEADER, "script-src 'nonce-")),
        ..Case::default()
    };
    let elements = json!({ "elements": super::page::SCRIPTS });
    vec![
        case(
            "csp-page-64k",
            "csp gives the scripts of a page of 64 KiB their nonce",
            SMALL,
            elements.clone(),
        ),
        case(
            "csp-page-1m",
            "csp gives the scripts of a page of 1 MiB their nonce",
            LARGE,
            elements,
        ),
        case(
            "csp-placeholders-1m",
            "csp puts the nonce into the placeholders of a page of 1 MiB",
            LARGE,
            json!({ "placeholder": super::page::PLACEHOLDER }),
        ),
    ]
}

fn header_mutation() -> Filter {
    let mutation = json!({
        "append": {
            "header": { "key": HEADER, "value": POLICY },
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    });
    native(
        "envoy.filters.http.header_mutation",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        json!({ "mutations": { "response_mutations": [mutation] } }),
    )
}
