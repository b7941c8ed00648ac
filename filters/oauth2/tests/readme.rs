//! The README's configurations are taken, and let nobody in who is not signed in; its tables have
//! every option and no other.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::collections::{BTreeMap, BTreeSet};

use legation_testing::{Host, Outcome, Request, readme};
use oauth2::OAuth2;
use serde_json::{Value, json};

const README: &str = include_str!("../README.md");
/// Where the fields of the configuration are, of which there are more than an error lists.
const CONFIG: &str = include_str!("../src/config.rs");
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The recipes, by their titles.
const RECIPES: [&str; 6] = [
    "Keycloak",
    "Auth0",
    "Google",
    "Entra ID (Azure AD)",
    "Okta",
    "GitHub",
];

fn configure(configuration: &Value) -> Result<Host<OAuth2>, String> {
    let host = Host::new();
    let set = ["OAUTH2_CLIENT_SECRET", "OAUTH2_COOKIE_SECRET"];
    host.set_environment(BTreeMap::from(
        set.map(|name| (name.to_owned(), SECRET.to_owned())),
    ));
    // As the shipped file has it, for logout tokens.
    host.set_allow_on_headers_stop_iteration(true);
    match host.load(configuration.clone()) {
        Ok(_) => Ok(host),
        Err(refused) => Err(refused.to_string()),
    }
}

fn host(configuration: &Value) -> Host<OAuth2> {
    configure(configuration).unwrap_or_else(|refused| panic!("{configuration:#}\n{refused}"))
}

fn refused(configuration: &Value) -> String {
    match configure(configuration) {
        Ok(_) => panic!("taken: {configuration:#}"),
        Err(refused) => refused,
    }
}

fn from_app(method: &str, path: &str) -> Request {
    Request::new(method, path)
        .header(":authority", "app.example")
        .header("x-forwarded-proto", "https")
}

/// The rows of the first table below a heading, as their first cells.
fn table(heading: &str) -> Vec<&'static str> {
    let (_, rest) = README
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no {heading}"));
    let lines = rest.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let cell = |row: &'static str| row.trim_start_matches('|').split('|').next();
    rows.filter_map(cell).collect()
}

/// The names in the first cells of a table: what stands between backticks.
fn names(heading: &str) -> BTreeSet<String> {
    let cells = table(heading).into_iter();
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// The same, without what they begin with.
fn names_within(heading: &str, place: &str) -> BTreeSet<String> {
    let all = names(heading);
    let within = all.iter().filter_map(|name| name.strip_prefix(place));
    within.map(str::to_owned).collect()
}

/// The fields that are known where an unknown one stands, but for those that are Envoy's
/// alone.
fn fields(place: &str) -> BTreeSet<String> {
    let mut document = readme::configurations(README).remove(0);
    document["cookie_configs"] = json!({"session": {}});
    document["id_token"] = json!({});
    document["rules"] = json!([{}]);
    document.pointer_mut(place).unwrap()["zzz"] = json!(1);
    let refused = refused(&document);
    let line = refused.lines().find(|line| line.contains("zzz")).unwrap();
    let (_, known) = line.split_once("known: ").unwrap();
    let known = known.split(')').next().unwrap().split(", ");
    let is_envoys = |name: &str| {
        ["token_secret", "hmac_secret"].contains(&name) || name.ends_with("_cookie_config")
    };
    let ours = known.filter(|name| !is_envoys(name));
    ours.map(str::to_owned).collect()
}

#[test]
fn every_configuration_is_taken_and_lets_nobody_in() {
    let configurations = readme::configurations(README);
    assert_eq!(configurations.len(), RECIPES.len() + 2);
    for configuration in &configurations {
        let host = host(configuration);
        for path in ["/", "/orders", "/admin/", "/api/a?b=c", "/healthz;/../a"] {
            for method in ["GET", "POST", "OPTIONS"] {
                let program = from_app(method, path).header("accept", "application/json");
                let exchange = host.exchange(program).run();
                let case = format!("{method} {path} {configuration:#}");
                assert_eq!(exchange.outcome, Outcome::Replied, "{case}");
                assert_eq!(exchange.status(), 401, "{case}");
                assert!(exchange.upstream.is_none(), "{case}");
            }
        }
    }
}

#[test]
fn the_fuller_example_does_what_is_said_of_it() {
    let host = host(&readme::configurations(README)[1]);
    let open = from_app("GET", "/healthz")
        .header("x-user", "forged")
        .header("x_groups", "forged");
    let exchange = host.exchange(open).run();
    assert_eq!(exchange.status(), 200);
    assert_eq!(exchange.upstream().header("x-user"), None);
    assert_eq!(exchange.upstream().header("x_groups"), None);
    let api = from_app("GET", "/api/a").header("accept", "text/html");
    assert_eq!(host.exchange(api).run().status(), 401);
}

#[test]
fn the_recipe_of_plain_oauth_sends_browsers_to_sign_in() {
    let host = host(&readme::recipe(README, "GitHub"));
    let exchange = host.exchange(from_app("GET", "/a?b")).run();
    assert_eq!(exchange.status(), 302);
    let location = exchange.response().header("location").unwrap();
    assert!(location.starts_with("https://github.com/login/oauth/authorize?"));
    for part in [
        "client_id=CLIENT_ID",
        "redirect_uri=https%3A%2F%2Fapp.example%2Fcallback",
        "scope=read%3Auser",
        "code_challenge_method=S256",
    ] {
        assert!(location.contains(part), "{location}");
    }
    assert!(!location.contains("nonce="), "{location}");
}

#[test]
fn every_recipe_has_its_place() {
    for title in RECIPES {
        let recipe = readme::recipe(README, title);
        assert!(recipe.get("credentials").is_some(), "{title}");
    }
}

#[test]
fn the_tables_have_every_option_and_no_other() {
    let headings = [
        "### The provider",
        "### Who we are",
        "### Places",
        "### Which requests",
        "### Who may come in",
        "### What upstreams get",
        "### How long it lasts",
    ];
    let told = headings.iter().flat_map(|heading| names(heading));
    let mut told: BTreeSet<_> = told.filter(|name| !name.contains('.')).collect();
    // Which has a section of its own.
    told.insert("cookie_configs".to_owned());
    let (_, written) = CONFIG.split_once("\nstruct Written {").unwrap();
    let (written, _) = written.split_once("\n}").unwrap();
    let fields_of_config = written
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(": "))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_lowercase()));
    assert_eq!(told, fields_of_config.collect());

    let credentials = names_within("### Who we are", "credentials.");
    assert_eq!(credentials, fields("/credentials"));
    assert_eq!(names("### A rule"), fields("/rules/0"));
    assert_eq!(
        names_within("### ID tokens", "id_token."),
        fields("/id_token")
    );
    assert_eq!(names("### Cookies"), fields("/cookie_configs/session"));
    let cookies = BTreeSet::from(["flow", "session"].map(str::to_owned));
    assert_eq!(fields("/cookie_configs"), cookies);
}

#[test]
fn what_is_envoys_alone_is_refused_and_told_of() {
    let (_, section) = README.split_once("\n## Coming from Envoy").unwrap();
    for (name, value) in [
        ("config", json!({})),
        (
            "redirect_path_matcher",
            json!({"path": {"exact": "/callback"}}),
        ),
        ("disable_access_token_set_cookie", json!(true)),
        ("disable_id_token_set_cookie", json!(true)),
        ("disable_refresh_token_set_cookie", json!(true)),
        ("disable_token_encryption", json!(true)),
    ] {
        assert!(section.contains(&format!("`{name}")), "{name}");
        let mut document = readme::configurations(README).remove(0);
        document[name] = value;
        assert!(refused(&document).contains(name), "{name}");
    }
}
