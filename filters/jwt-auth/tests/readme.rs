//! The README's configurations are taken, and let nobody in who has no token.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::collections::BTreeMap;

use jwt_auth::JwtAuth;
use legation_testing::{Host, Outcome, Request, readme};
use serde_json::Value;

const README: &str = include_str!("../README.md");

/// The ten recipes, by their titles.
const RECIPES: [&str; 10] = [
    "Auth0",
    "Keycloak",
    "Google",
    "Azure AD (Entra ID)",
    "Amazon Cognito",
    "Kubernetes service accounts",
    "Several issuers",
    "Service to service",
    "DPoP",
    "Introspection",
];

fn host(configuration: &Value) -> Host<JwtAuth> {
    let host = Host::new();
    let set = ["INTROSPECTION_SECRET", "DPOP_NONCE_SECRET"];
    host.set_environment(BTreeMap::from(
        set.map(|name| (name.to_owned(), "a secret".to_owned())),
    ));
    host.load(configuration.clone())
        .unwrap_or_else(|refused| panic!("{configuration:#}\n{refused}"));
    host
}

#[test]
fn every_configuration_is_taken_and_asks_for_a_token() {
    let configurations = readme::configurations(README);
    assert_eq!(configurations.len(), RECIPES.len() + 2);
    for configuration in &configurations {
        let host = host(configuration);
        for path in ["/", "/orders", "/admin", "/internal/a?b=c"] {
            for method in ["GET", "POST", "OPTIONS"] {
                let exchange = host.exchange(Request::new(method, path)).run();
                assert_eq!(exchange.outcome, Outcome::Replied, "{configuration:#}");
                assert_eq!(exchange.status(), 401, "{configuration:#}");
            }
        }
    }
}

#[test]
fn the_first_examples_do_what_is_said_of_them() {
    let configurations = readme::configurations(README);
    let [first, second, ..] = configurations.as_slice() else {
        panic!("{configurations:#?}");
    };
    let closed = host(first).exchange(Request::get("/healthz")).run();
    assert_eq!(closed.status(), 401);
    let open = Request::get("/healthz")
        .header("x-user", "forged")
        .header("x_user", "forged");
    let exchange = host(second).exchange(open).run();
    assert_eq!(exchange.status(), 200);
    assert_eq!(exchange.upstream().header("x-user"), None);
    assert_eq!(exchange.upstream().header("x_user"), None);
}

#[test]
fn the_recipe_of_several_issuers_shows_the_catalogue_to_those_without_a_token() {
    let host = host(&readme::recipe(README, "Several issuers"));
    let open = host.exchange(Request::get("/catalogue")).run();
    assert_eq!(open.status(), 200);
    let bad = Request::get("/catalogue").header("authorization", "Bearer a.b.c");
    assert_eq!(host.exchange(bad).run().status(), 401);
}

#[test]
fn every_recipe_has_its_place() {
    for title in RECIPES {
        let recipe = readme::recipe(README, title);
        assert!(recipe.get("providers").is_some(), "{title}");
    }
}
