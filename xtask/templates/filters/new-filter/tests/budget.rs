//! What a request costs: host calls and allocations, counted.

#![allow(
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use legation_testing::{Callback, Host, Request};
use serde_json::json;

use new_filter::NewFilter;

legation_testing::count_allocations!();

fn host() -> Host<NewFilter> {
    let host = Host::configure(json!({ "required_header": "x-client-id" })).unwrap();
    // The first requests fetch the log level, and memory that is kept.
    host.exchange(good()).run();
    host.exchange(Request::get("/")).run();
    host
}

fn good() -> Request {
    let others = (0..30).map(|number| (format!("x-{number}"), format!("value {number}")));
    Request::get("/")
        .headers(others)
        .header("x-client-id", "shop")
}

#[test]
fn a_request_that_passes_is_one_host_call_and_no_allocation_but_its_answer() {
    let exchange = host().exchange(good()).run();

    // In the whole exchange, its end included.
    assert_eq!(exchange.calls().names(), ["proxy_get_header_map_pairs"]);
    let allocations = exchange.allocations_in(Callback::RequestHeaders);
    assert_eq!(
        (allocations.count, allocations.answers),
        (0, 1),
        "{allocations:?}"
    );
}

#[test]
fn a_refusal_costs_its_counter_its_log_line_and_its_reply_besides() {
    let exchange = host().exchange(Request::get("/")).run();

    let calls = exchange.calls_in(Callback::RequestHeaders);
    for name in [
        "proxy_increment_metric",
        "proxy_log",
        "proxy_send_local_response",
    ] {
        assert_eq!(calls.count(name), 1, "{name}");
    }
    // A log line asks for the request's id and its trace's.
    assert!(calls.total() <= 6, "{:?}", calls.names());
}
