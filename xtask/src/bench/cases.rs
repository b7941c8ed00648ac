//! What is measured: one table. A filter adds its rows here.

use serde_json::{Value, json};

use super::body_guard;
use super::config::Route;
use super::csp;
use super::filters::{Filter, Module, lua, native, wasm};
use super::jwt;
use super::oauth2;
use super::page::Kind;
use super::rate_limit;
use super::tokens::Tokens;

/// The case that every other is a multiple of.
pub(super) const FLOOR: &str = "floor";

/// A chain of filters whose cost is measured.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Short, for the table and for `--only`.
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// What stands before the router.
    pub(super) filters: Vec<Filter>,
    /// What stands there where the case is measured beside more than no filter.
    pub(super) baseline: Vec<Filter>,
    /// Where its requests are answered, unless all are answered by the upstream.
    pub(super) route: Route,
    /// How often a request does what is measured.
    pub(super) times: u32,
    /// Headers that the requests have, past those that every request has.
    pub(super) request_headers: Vec<(&'static str, &'static str)>,
    /// The tokens that the requests have as `authorization`, if they have any: without one a
    /// request must be refused.
    pub(super) tokens: Option<Tokens>,
    /// Whether the requests have the cookies of a sign-in at its listener.
    pub(super) signs_in: bool,
    /// How many values the requests' `x-key` has, one after another, if they have it.
    pub(super) keys: usize,
    /// Bytes of the requests' body.
    pub(super) request_body: usize,
    /// What bodies are: the page's, and the requests'.
    pub(super) kind: Kind,
    /// Bytes of the page that the upstream answers with, if it is one.
    pub(super) page: usize,
    /// Whether the page comes back longer than it was.
    pub(super) is_page_rewritten: bool,
    /// The status that a request gets.
    pub(super) status: u16,
    /// A request header and value that must leave the chain: that a filter does its
    /// work is checked before it is measured.
    pub(super) proof: Option<(&'static str, &'static str)>,
    /// The same of a header of the answer, and of its value's beginning.
    pub(super) answer_proof: Option<(&'static str, &'static str)>,
    /// The case that does the same in another way.
    pub(super) peer: Option<&'static str>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            name: "",
            what: "",
            filters: Vec::new(),
            baseline: Vec::new(),
            route: Route::Direct,
            times: 1,
            request_headers: Vec::new(),
            tokens: None,
            signs_in: false,
            keys: 0,
            request_body: 0,
            kind: Kind::Page,
            page: 0,
            is_page_rewritten: false,
            status: 200,
            proof: None,
            answer_proof: None,
            peer: None,
        }
    }
}

impl Case {
    /// Whether the other is the difference to the same baseline, with the same requests.
    pub(super) fn is_measured_as(&self, other: &Self) -> bool {
        self.has_baseline_of(other)
            && self.request_headers == other.request_headers
            && self.tokens == other.tokens
            && self.signs_in == other.signs_in
            && self.keys == other.keys
            && self.request_body == other.request_body
            && self.kind == other.kind
            && self.page == other.page
    }

    /// Bytes of what is read, where the case is about a body.
    pub(super) fn body(&self) -> usize {
        self.page.max(self.request_body)
    }

    /// Whether the other is the difference to the same baseline.
    pub(super) fn has_baseline_of(&self, other: &Self) -> bool {
        self.baseline == other.baseline && self.route == other.route
    }
}

/// All chains of filters, in the table's order.
pub(super) fn chains() -> Vec<Case> {
    [
        control(),
        doing_nothing(),
        setting_a_header(),
        setting_three_headers(),
        jwt::cases(),
        rate_limit::cases(),
        csp::cases(),
        body_guard::cases(),
        oauth2::cases(),
    ]
    .concat()
}

/// What the method itself shows where there is nothing to see.
fn control() -> Vec<Case> {
    vec![Case {
        name: "control",
        what: "no filter, measured as if it were one",
        ..Case::default()
    }]
}

fn doing_nothing() -> Vec<Case> {
    vec![
        Case {
            name: FLOOR,
            what: "hand-written Wasm with one callback that does nothing",
            filters: vec![wasm(Module::Text("floor"))],
            ..Case::default()
        },
        Case {
            name: "floor-contexts",
            what: "the same, told of contexts too",
            filters: vec![wasm(Module::Text("floor-contexts"))],
            ..Case::default()
        },
        Case {
            name: "quiet",
            what: "a filter of the SDK that does nothing",
            filters: vec![wasm(Module::Built("quiet"))],
            peer: Some("proxy-wasm-quiet"),
            ..Case::default()
        },
        Case {
            name: "quiet-plain",
            what: "the same module as `cargo build` leaves it",
            filters: vec![wasm(Module::Plain("quiet"))],
            peer: Some("proxy-wasm-quiet"),
            ..Case::default()
        },
        Case {
            name: "quiet-with-state",
            what: "a filter of the SDK that remembers something",
            filters: vec![wasm(Module::Built("quiet-with-state"))],
            peer: Some("floor-contexts"),
            ..Case::default()
        },
        Case {
            name: "quiet-async",
            what: "a filter of the SDK that does nothing and could await something",
            filters: vec![wasm(Module::Built("quiet-async"))],
            peer: Some("quiet"),
            ..Case::default()
        },
        Case {
            name: "quiet-at-once",
            what: "the same, asked for an answer without awaiting first",
            filters: vec![wasm(Module::Built("quiet-at-once"))],
            peer: Some("quiet-with-state"),
            ..Case::default()
        },
        Case {
            name: "proxy-wasm-quiet",
            what: "a filter of the bare proxy-wasm crate that does nothing",
            filters: vec![wasm(Module::Built("proxy-wasm-quiet"))],
            ..Case::default()
        },
    ]
}

fn setting_a_header() -> Vec<Case> {
    const HEADER: (&str, &str) = ("x-envoy-plugin", "header-tag");
    let config = json!({ "rules": [{ "request": { "set": { HEADER.0: HEADER.1 } } }] });
    let script = format!(
        "function envoy_on_request(handle) handle:headers():replace('{}', '{}') end",
        HEADER.0, HEADER.1
    );
    let case = |name, what, filter, peer| Case {
        name,
        what,
        filters: vec![filter],
        proof: Some(HEADER),
        peer,
        ..Case::default()
    };
    vec![
        case(
            "floor-set-header",
            "hand-written Wasm sets a request header",
            wasm(Module::Text("floor-set-header")),
            Some("lua-set-header"),
        ),
        case(
            "set-header",
            "a filter of the SDK sets it",
            wasm(Module::Built("set-header")),
            Some("floor-set-header"),
        ),
        case(
            "floor-header-tag",
            "hand-written Wasm with header-tag's callbacks sets it",
            wasm(Module::Text("floor-header-tag")),
            Some("lua-set-header"),
        ),
        case(
            "header-tag",
            "header-tag sets it",
            wasm(Module::Built("header-tag")).configured(config.clone()),
            Some("lua-set-header"),
        ),
        case(
            "header-tag-request",
            "header-tag's module for requests only sets it",
            wasm(Module::Built("header-tag-request")).configured(config.clone()),
            Some("lua-set-header"),
        ),
        case(
            "header-tag-trailers",
            "header-tag's module that knows trailers too sets it",
            wasm(Module::Built("header-tag-trailers")).configured(config.clone()),
            Some("lua-set-header"),
        ),
        case(
            "header-tag-plain",
            "header-tag as `cargo build` leaves it sets it",
            wasm(Module::Plain("header-tag")).configured(config),
            Some("lua-set-header"),
        ),
        case(
            "proxy-wasm-set-header",
            "a filter of the bare proxy-wasm crate sets it",
            wasm(Module::Built("proxy-wasm-set-header")),
            Some("lua-set-header"),
        ),
        case("lua-set-header", "Envoy's Lua sets it", lua(&script), None),
        case(
            "native-set-header",
            "Envoy's own header_mutation sets it",
            header_mutation(HEADER),
            Some("lua-set-header"),
        ),
    ]
}

/// Three tags, each taken from another header: by one filter, by three in one module, and by
/// three in a row.
fn setting_three_headers() -> Vec<Case> {
    const FIELDS: [(&str, &str); 3] = [
        ("x-team", "orders"),
        ("x-release", "canary"),
        ("x-region", "eu-west-1"),
    ];
    let rule = |(from, _): (&str, &str)| {
        let tag = format!("x-tag{}", from.trim_start_matches('x'));
        json!({ "request": { "set": { tag: format!("%REQ({from})%") } } })
    };
    let rules = |fields: &[(&str, &str)]| {
        let rules: Vec<_> = fields.iter().map(|field| rule(*field)).collect();
        json!({ "rules": rules })
    };
    let alone = |field| wasm(Module::Built("header-tag")).configured(rules(&[field]));
    let member = |field| json!({ "name": "header-tag", "config": rules(&[field]) });
    let case = |name, what, filters, peer| Case {
        name,
        what,
        filters,
        request_headers: FIELDS.to_vec(),
        proof: Some(("x-tag-region", "eu-west-1")),
        peer,
        ..Case::default()
    };
    vec![
        case(
            "three-header-tags",
            "three header-tags in a row, each copies a header",
            FIELDS.map(alone).to_vec(),
            None,
        ),
        case(
            "suite-header-tags",
            "the same three in one module, suite",
            vec![wasm(Module::Built("suite")).configured(json!({ "filters": FIELDS.map(member) }))],
            Some("three-header-tags"),
        ),
        case(
            "header-tag-rules",
            "one header-tag with three such rules",
            vec![wasm(Module::Built("header-tag")).configured(rules(&FIELDS))],
            Some("three-header-tags"),
        ),
        case(
            "one-header-tag",
            "one header-tag with one such rule",
            vec![alone(FIELDS[2])],
            Some("three-header-tags"),
        ),
    ]
}

fn header_mutation((key, value): (&str, &str)) -> Filter {
    let mutation: Value = json!({
        "append": {
            "header": { "key": key, "value": value },
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    });
    native(
        "envoy.filters.http.header_mutation",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        json!({ "mutations": { "request_mutations": [mutation] } }),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::services;
    use super::*;

    fn every_case() -> Vec<Case> {
        [chains(), services::cases()].concat()
    }

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let mut names = HashSet::new();

        for case in every_case() {
            assert!(!case.name.is_empty() && !case.what.is_empty());
            assert!(names.insert(case.name), "{} is there twice", case.name);
        }
        assert!(names.contains(FLOOR));
    }

    #[test]
    fn every_peer_is_another_case() {
        let cases = every_case();

        for case in &cases {
            let Some(peer) = case.peer else { continue };
            assert_ne!(peer, case.name);
            assert!(
                cases.iter().any(|other| other.name == peer),
                "`{}` is compared with `{peer}`, which is no case",
                case.name
            );
        }
    }
}
