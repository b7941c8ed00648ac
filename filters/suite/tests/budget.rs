//! What a request costs beside the same filters alone: host calls and
//! allocations, counted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use header_tag::HeaderTag;
use legation::HttpFilter;
use legation_testing::{Callback, Exchange, Host, Request};
use serde_json::{Value, json};
use suite::Suite;

legation_testing::count_allocations!();

fn rules(name: &str) -> Value {
    json!({ "rules": [{ "request": { "set": { (name): "%REQ(user-agent)%" } } }] })
}

/// The second exchange of a filter: the first fetches what is kept.
fn exchange<F: HttpFilter>(configuration: Value) -> Exchange {
    let host = Host::<F>::configure(configuration).unwrap();
    let request = || Request::get("/").header("user-agent", "tester");
    host.exchange(request()).run();
    host.exchange(request()).run()
}

#[test]
fn three_filters_fetch_the_headers_once() {
    let filters =
        ["x-a", "x-b", "x-c"].map(|name| json!({ "name": "header-tag", "config": rules(name) }));

    let together = exchange::<Suite>(json!({ "filters": filters }));

    let calls = together.calls_in(Callback::RequestHeaders);
    assert_eq!(calls.count("proxy_get_header_map_pairs"), 1);
    assert_eq!(calls.count("proxy_replace_header_map_value"), 3);
    assert_eq!(calls.total(), 4);
}

#[test]
fn a_filter_in_a_suite_allocates_what_it_does_alone() {
    let member = json!({ "name": "header-tag", "config": rules("x-a") });

    let together = exchange::<Suite>(json!({ "filters": [member] }));
    let alone = exchange::<HeaderTag>(rules("x-a"));

    for callback in [Callback::ContextCreate, Callback::RequestHeaders] {
        assert_eq!(
            together.allocations_in(callback).count,
            alone.allocations_in(callback).count,
            "{callback}"
        );
    }
}
