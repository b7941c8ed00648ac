//! The README's configuration does what the README says.

#![allow(
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use legation_testing::{Host, Request, readme};
use suite::Suite;

const README: &str = include_str!("../README.md");

#[test]
fn the_example_runs_two_filters_in_order() {
    let [configuration] = &*readme::configurations(README) else {
        panic!("another example is not tested");
    };
    let host = Host::<Suite>::configure(configuration.clone()).unwrap();

    let exchange = host
        .exchange(Request::get("/api/x").header("user-agent", "tester"))
        .run();

    assert_eq!(exchange.upstream().header("x-envoy-plugin"), Some("suite"));
    assert_eq!(exchange.upstream().header("x-client"), Some("tester"));
}
