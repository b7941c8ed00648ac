//! The README's configuration does what the README says.

#![allow(
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use legation_testing::{Host, Request};
use serde_json::Value;
use suite::Suite;

const README: &str = include_str!("../README.md");

#[test]
fn the_example_runs_two_filters_in_order() {
    let (_, block) = README.split_once("```yaml\n").unwrap();
    let (block, rest) = block.split_once("```").unwrap();
    assert!(!rest.contains("```yaml"), "another example is not tested");
    let configuration: Value = serde_saphyr::from_str(block).unwrap();
    let host = Host::<Suite>::configure(configuration).unwrap();

    let exchange = host
        .exchange(Request::get("/api/x").header("user-agent", "tester"))
        .run();

    assert_eq!(exchange.upstream().header("x-envoy-plugin"), Some("suite"));
    assert_eq!(exchange.upstream().header("x-client"), Some("tester"));
}
