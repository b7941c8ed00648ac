//! The README's configurations are taken, and do what is said of them.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::time::Duration;

use legation_testing::{Exchange, Host, Progress, Request, Response, readme};
use rate_limit::RateLimit;
use serde_json::{Value, json};

const README: &str = include_str!("../README.md");

/// The ten recipes, by their titles.
const RECIPES: [&str; 10] = [
    "Per IP",
    "Per user",
    "Per API key",
    "Per path",
    "Tiered plans",
    "Login endpoint",
    "Concurrency per user",
    "Several windows",
    "Shadow before enforcing",
    "Global with limitador",
];

/// A host with a recipe.
fn recipe(title: &str) -> Host<RateLimit> {
    host(&readme::recipe(README, title))
}

fn host(configuration: &Value) -> Host<RateLimit> {
    let host = Host::configure(configuration.clone());
    host.unwrap_or_else(|refused| panic!("{configuration:#}\n{refused}"))
}

/// How many of so many requests pass.
fn passed(host: &Host<RateLimit>, sent: usize, request: impl Fn() -> Request) -> usize {
    let exchanges = (0..sent).map(|_| host.exchange(request()).run());
    exchanges
        .filter(|exchange| exchange.status() == 200)
        .count()
}

fn once(host: &Host<RateLimit>, request: Request) -> Exchange {
    host.exchange(request).run()
}

fn with_claims(request: Request, claims: &Value) -> Request {
    request.attribute("filter_state\0wasm.login", claims.to_string().as_str())
}

fn user(name: &str) -> Request {
    with_claims(Request::get("/"), &json!({ "sub": name }))
}

fn from(address: &str) -> Request {
    Request::get("/").from(&format!("{address}:1234"))
}

#[test]
fn every_configuration_is_taken_and_lets_the_first_request_pass() {
    let configurations = readme::configurations(README);
    assert_eq!(configurations.len(), RECIPES.len() + 2);
    for configuration in &configurations {
        let host = host(configuration);
        if configuration.get("rate_limit_service").is_some() {
            host.set_grpc_cluster("limitador", |_: &_| {
                legation_testing::Callout::message(Vec::new())
            });
        }
        assert_eq!(passed(&host, 1, || Request::get("/")), 1);
    }
}

#[test]
fn every_recipe_has_its_place() {
    for title in RECIPES {
        recipe(title);
    }
}

/// The fields that the configuration takes, by what is said of one that it does not.
#[test]
fn every_field_has_its_place() {
    let unknown = [
        json!({ "zzz": 1 }),
        json!({ "rate_limits": [{ "zzz": 1 }] }),
        json!({ "rate_limits": [{ "actions": [{ "zzz": {} }] }] }),
        json!({ "descriptors": [{ "zzz": 1 }] }),
        json!({ "rate_limit_service": { "zzz": 1 } }),
        json!({ "token_bucket": { "zzz": 1 } }),
        json!({ "sliding_window": { "zzz": 1 } }),
        json!({ "concurrency": { "zzz": 1 } }),
        json!({ "lease": { "zzz": 1 } }),
    ];
    for configuration in unknown {
        let refused = Host::<RateLimit>::configure(configuration.clone()).unwrap_err();
        let lines = refused.lines.iter();
        let line = lines.clone().find(|line| line.contains("zzz")).unwrap();
        let (_, known) = line.split_once("known: ").unwrap();
        let fields: Vec<_> = known.trim_end_matches(')').split(", ").collect();
        assert!(fields.len() > 1 || configuration.get("concurrency").is_some());
        for field in fields {
            assert!(README.contains(field), "{field} is not in the README");
        }
    }
}

#[test]
fn the_first_examples_do_what_is_said_of_them() {
    let configurations = readme::configurations(README);
    let [first, second, ..] = configurations.as_slice() else {
        panic!("{configurations:#?}");
    };
    let host_of_first = host(first);
    assert_eq!(passed(&host_of_first, 150, || from("192.0.2.1")), 100);
    assert_eq!(passed(&host_of_first, 1, || from("192.0.2.2")), 1);

    let host = host(second);
    let guess = || Request::post("/login").from("[2001:db8::1]:1234");
    assert_eq!(passed(&host, 6, guess), 5);
    let other = Request::post("/login").from("[2001:db8::2]:1234");
    let refused = once(&host, other);
    assert_eq!(refused.status(), 429);
    let response = refused.response();
    assert_eq!(
        response.header("ratelimit-policy"),
        Some(r#""login-1";q=5;w=60, "login-2";q=20;w=3600"#)
    );
    assert!(response.header("retry-after").is_some());
}

#[test]
fn networks_count_as_one() {
    let host = recipe("Per IP");
    assert_eq!(passed(&host, 250, || from("192.0.2.1")), 200);
    assert_eq!(passed(&host, 1, || from("192.0.2.200")), 0);
    assert_eq!(passed(&host, 1, || from("192.0.3.1")), 1);
    assert_eq!(passed(&host, 250, || from("198.51.100.1")), 250);
}

#[test]
fn users_have_limits_of_their_own() {
    let host = recipe("Per user");
    assert_eq!(passed(&host, 80, || user("ann")), 60);
    assert_eq!(passed(&host, 80, || user("bob")), 60);
}

#[test]
fn made_up_keys_meet_the_limit_by_address() {
    let host = recipe("Per API key");
    let numbers = std::cell::Cell::new(0);
    let made_up = || {
        numbers.set(numbers.get() + 1);
        Request::get("/").header("x-api-key", numbers.get().to_string())
    };
    assert_eq!(passed(&host, 2_100, made_up), 2_000);

    let host = recipe("Per API key");
    let key = || Request::get("/").header("x-api-key", "one");
    assert_eq!(passed(&host, 1_100, key), 1_000);
    assert_eq!(passed(&host, 30, || Request::get("/")), 20);
}

#[test]
fn paths_have_limits_of_their_own() {
    let host = recipe("Per path");
    assert_eq!(passed(&host, 30, || Request::get("/search?q=1")), 20);
    assert_eq!(passed(&host, 3, || Request::get("/orders/1/pdf")), 3);
    assert_eq!(passed(&host, 3, || Request::get("/orders/2/pdf")), 2);
    let dear = || Request::post("/graphql").header("x-query-cost", "6000");
    assert_eq!(passed(&host, 2, dear), 1);
    assert_eq!(passed(&host, 50, || Request::get("/orders")), 50);
}

#[test]
fn plans_that_are_not_listed_are_free() {
    let host = recipe("Tiered plans");
    let on = |plan: &'static str| {
        move || with_claims(Request::get("/"), &json!({ "sub": plan, "plan": plan }))
    };
    assert_eq!(passed(&host, 300, on("pro")), 200);
    assert_eq!(passed(&host, 20, on("free")), 10);
    assert_eq!(passed(&host, 20, on("gold")), 10);
    assert_eq!(passed(&host, 20, || user("ann")), 10);
}

#[test]
fn all_who_guess_are_slowed_down() {
    let host = recipe("Login endpoint");
    let numbers = std::cell::Cell::new(0);
    let guess = || {
        let number = numbers.replace(numbers.get() + 1);
        let address = format!("192.0.{}.{}:1", number / 250, number % 250);
        Request::post("/login").from(&address)
    };
    assert_eq!(passed(&host, 150, guess), 100);
    let refused = once(&host, guess());
    assert_eq!(refused.response().header("cache-control"), Some("no-store"));
}

#[test]
fn a_place_is_free_again_when_the_response_has_ended() {
    let host = recipe("Concurrency per user");
    let report = || with_claims(Request::get("/reports/1"), &json!({ "sub": "ann" }));
    let mut first = host.stream(report());
    let mut second = host.stream(report());
    assert_eq!(first.request_headers(), Progress::Continued);
    assert_eq!(second.request_headers(), Progress::Continued);
    assert_eq!(once(&host, report()).status(), 429);
    first.send_response(Response::ok());
    first.end();
    assert_eq!(once(&host, report()).status(), 200);
    second.send_response(Response::ok());
    second.end();
}

#[test]
fn the_tightest_window_is_told() {
    let host = recipe("Several windows");
    let exchange = once(&host, Request::get("/"));
    let response = exchange.response();
    assert_eq!(
        response.header("ratelimit-policy"),
        Some(r#""client-1";q=20;w=2, "client-2";q=300;w=60, "client-3";q=10000;w=86400"#)
    );
    assert_eq!(response.header("ratelimit"), Some(r#""client-1";r=19;t=1"#));
}

#[test]
fn a_shadow_is_counted_and_refuses_nobody() {
    let host = recipe("Shadow before enforcing");
    assert_eq!(passed(&host, 30, || Request::post("/")), 30);
    host.run_for(Duration::from_secs(2));
    assert_eq!(host.counter("rate_limit.descriptor.new.rate_limited"), 10);
    assert_eq!(host.counter("rate_limit.enforced"), 0);
}
