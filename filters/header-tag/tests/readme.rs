//! The README's configurations do what the README says.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::collections::BTreeMap;

use header_tag::TrailersTag;
use legation_testing::{Host, Request, Response, readme};
use serde_json::Value;

const README: &str = include_str!("../README.md");

/// The configurations of the filter in the README: blocks of their own, and the
/// one inside the complete configuration of Envoy.
fn configurations() -> Vec<Value> {
    let values = readme::configurations(README).into_iter().map(|value| {
        let chain =
            "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0";
        match value.pointer(&format!("{chain}/typed_config/config/configuration/value")) {
            Some(inner) => inner.clone(),
            None => value,
        }
    });
    values.collect()
}

fn host(configuration: &Value) -> Host<TrailersTag> {
    let host = Host::new();
    host.set_environment(BTreeMap::from([(
        "POD_NAME".to_owned(),
        "edge-0".to_owned(),
    )]));
    host.load(configuration.clone())
        .unwrap_or_else(|refused| panic!("{configuration:#}\n{refused}"));
    host
}

#[test]
fn every_configuration_is_taken() {
    let configurations = configurations();
    assert!(configurations.len() >= 6, "{configurations:#?}");
    for configuration in &configurations {
        assert!(configuration.get("rules").is_some(), "{configuration:#}");
        host(configuration);
    }
}

#[test]
fn the_first_example_is_three_lines_and_tags_every_request() {
    let first = readme::blocks(README).next().unwrap();
    assert_eq!(first.lines().count(), 3);
    let exchange = host(&configurations()[0])
        .exchange(Request::get("/").header("x-envoy-plugin", "forged"))
        .run();
    assert_eq!(exchange.upstream().values("x-envoy-plugin"), ["header-tag"]);
}

#[test]
fn the_canary_example_tags_one_in_ten_and_cannot_be_forged() {
    let host = host(&configurations()[1]);
    let mut canaries = 0;
    for _ in 0..2_000 {
        let request = Request::get("/api/users").header("x-release", "canary");
        let exchange = host
            .exchange(request)
            .upstream(Response::ok().header("server", "secret"));
        match exchange.upstream().values("x-release").as_slice() {
            [release] if release == "canary" => canaries += 1,
            [release] if release == "stable" => {}
            other => panic!("{other:?}"),
        }
        let response = exchange.response();
        assert_eq!(response.header("server"), None);
        assert_eq!(response.header("x-served-by"), Some("edge-0"));
    }
    // Six standard deviations.
    assert!((119..=281).contains(&canaries), "{canaries}");

    let other = host
        .exchange(Request::get("/").header("x-release", "canary"))
        .run();
    assert_eq!(other.upstream().values("x-release"), ["stable"]);
}

#[test]
fn the_release_example_keeps_each_user_in_one_of_two_buckets() {
    let with_buckets = configurations()
        .into_iter()
        .find(|one| one.get("weighted_buckets").is_some());
    let host = host(&with_buckets.unwrap());
    let release = |user: usize| {
        let request = Request::get("/").header("x-release", "canary");
        let request = request.header("cookie", format!("user=user-{user}"));
        let exchange = host.exchange(request).run();
        let releases = exchange.upstream().values("x-release");
        let served_by = exchange.response().header("x-served-by").map(str::to_owned);
        assert_eq!(served_by.is_some(), releases == ["canary"]);
        releases
    };
    // As many as the test of the buckets has, by the same name.
    let canaries = (0..60).filter(|user| release(*user) == ["canary"]);
    assert_eq!(canaries.collect::<Vec<_>>(), [10, 27, 37, 54, 58]);
    let nobody = host.exchange(Request::get("/")).run();
    assert_eq!(nobody.upstream().values("x-release"), ["stable"]);
}

#[test]
fn the_buckets_example_gives_each_request_one_bucket() {
    let host = host(&configurations()[2]);
    let mut buckets = BTreeMap::new();
    for _ in 0..1_000 {
        let exchange = host.exchange(Request::get("/")).run();
        let [bucket] = &exchange.upstream().values("x-bucket")[..] else {
            panic!("not one bucket");
        };
        *buckets.entry(bucket.clone()).or_insert(0) += 1;
    }
    assert_eq!(buckets.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(
        buckets["a"] < buckets["b"] && buckets["b"] < buckets["c"],
        "{buckets:?}"
    );
}
