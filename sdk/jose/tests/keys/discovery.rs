use std::cell::RefCell;
use std::rc::Rc;

use legation_testing::{Callout, HttpCall, Response};
use serde_json::{Value, json};

use crate::support::{MS, SECOND, World, keys};

const ISSUER: &str = "https://issuer.example/realm";

fn configuration(more: Value) -> Value {
    let mut discovery = json!({ "cluster": "idp", "timeout": "1s" });
    discovery
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({ "issuer": ISSUER, "openid_configuration": discovery })
}

fn metadata(issuer: &str, jwks_uri: &str) -> Callout {
    let metadata =
        json!({ "issuer": issuer, "jwks_uri": jwks_uri, "scopes_supported": ["openid"] });
    Response::ok().body(metadata.to_string()).into()
}

/// An issuer whose metadata is this, and which has a key wherever it is asked.
fn issuer(configuration: Value, answer: impl Fn(&HttpCall) -> Callout + 'static) -> World {
    let world = World::new();
    world.answers(move |call| {
        if call.path().contains("/.well-known/") {
            answer(call)
        } else {
            keys(&["one"]).into()
        }
    });
    world.host.load(configuration).unwrap();
    world.pass(200 * MS);
    world
}

fn asked(world: &World) -> Vec<String> {
    let calls = world.host.http_calls();
    calls
        .iter()
        .map(|call| {
            let authority = call.headers.text(":authority").unwrap();
            format!(
                "{} {authority}{}",
                String::from_utf8_lossy(&call.upstream),
                call.path()
            )
        })
        .collect()
}

#[test]
fn the_metadata_says_where_the_keys_are() {
    let world = issuer(configuration(json!({ "jwks_cluster": "keys" })), |_| {
        metadata(ISSUER, "https://keys.example/v1/keys?x=1")
    });

    assert_eq!(world.ask("/get"), "200 one");

    assert_eq!(
        asked(&world),
        [
            "idp issuer.example/realm/.well-known/openid-configuration",
            "keys keys.example/v1/keys?x=1",
        ]
    );
    assert_eq!(world.counted("fetches"), 1);
}

#[test]
fn one_cluster_does_for_both_and_the_uri_may_be_another() {
    let uri = "https://issuer.example/.well-known/oauth-authorization-server/realm";
    let world = issuer(configuration(json!({ "uri": uri })), |_| {
        metadata(ISSUER, "https://issuer.example/keys")
    });
    assert_eq!(world.ask("/get"), "200 one");
    assert_eq!(
        asked(&world),
        [
            "idp issuer.example/.well-known/oauth-authorization-server/realm",
            "idp issuer.example/keys",
        ]
    );
}

#[test]
fn metadata_that_is_not_the_issuers_is_refused() {
    let text = |text: &str| Callout::from(Response::ok().body(text));
    let good = "https://issuer.example/keys";
    for (answer, reason) in [
        (metadata("https://issuer.example/realm/", good), "issuer"),
        (metadata("https://issuer.example", good), "issuer"),
        (metadata("https://ISSUER.example/realm", good), "issuer"),
        (metadata("https://evil.example", good), "issuer"),
        (metadata("", good), "issuer"),
        (metadata(ISSUER, "http://issuer.example/keys"), "jwks_uri"),
        (metadata(ISSUER, "file:///etc/passwd"), "jwks_uri"),
        (metadata(ISSUER, "/keys"), "jwks_uri"),
        (
            metadata(ISSUER, "https://a@issuer.example/keys"),
            "jwks_uri",
        ),
        (
            metadata(ISSUER, "https://issuer.example/keys#a"),
            "jwks_uri",
        ),
        (
            metadata(ISSUER, "https://issuer.example/keys\r\nx: y"),
            "jwks_uri",
        ),
        (text("<html>"), "no_metadata"),
        (text("[]"), "no_metadata"),
        (text("{}"), "no_metadata"),
        (text(&format!(r#"{{"issuer":"{ISSUER}"}}"#)), "no_metadata"),
        (
            text(&format!(
                r#"{{"issuer":"{ISSUER}","issuer":"{ISSUER}","jwks_uri":"{good}"}}"#
            )),
            "no_metadata",
        ),
        (
            text(&format!(r#"{{"issuer":["{ISSUER}"],"jwks_uri":"{good}"}}"#)),
            "no_metadata",
        ),
        (Response::new(302).header("location", good).into(), "status"),
        (Response::new(500).into(), "status"),
    ] {
        let told = format!("{answer:?}");
        let world = issuer(configuration(json!({})), move |_| answer.clone());

        assert_eq!(world.ask("/get"), "503 NotYet", "{told}");

        assert!(world.failures(reason) > 0, "{reason}: {told}");
        assert!(
            asked(&world)
                .iter()
                .all(|asked| asked.contains("/.well-known/")),
            "{told}"
        );
    }
}

#[test]
fn an_issuer_without_tls_may_have_its_keys_without() {
    let mut configuration = configuration(json!({}));
    *configuration.pointer_mut("/issuer").unwrap() = json!("http://127.0.0.1:8080/realm/");
    let world = issuer(configuration, |_| {
        metadata("http://127.0.0.1:8080/realm/", "http://127.0.0.1:8080/keys")
    });
    assert_eq!(world.ask("/get"), "200 one");
    assert_eq!(
        asked(&world).first().unwrap(),
        "idp 127.0.0.1:8080/realm/.well-known/openid-configuration"
    );
}

#[test]
fn metadata_is_read_anew_with_each_refresh_and_not_for_an_unknown_key() {
    let world = issuer(configuration(json!({ "cache_duration": "10s" })), |_| {
        metadata(ISSUER, "https://issuer.example/keys")
    });
    assert_eq!(asked(&world).len(), 2);

    world.ask("/newer/two");
    assert_eq!(asked(&world).last().unwrap(), "idp issuer.example/keys");
    assert_eq!(asked(&world).len(), 3);

    world.pass(11 * SECOND);
    assert_eq!(asked(&world).len(), 5);
}

#[test]
fn the_rest_of_the_metadata_is_told_and_shared_with_the_keys() {
    let endpoint = Rc::new(RefCell::new("https://issuer.example/token"));
    let told = Rc::clone(&endpoint);
    let world = issuer(
        configuration(json!({ "cache_duration": "10s" })),
        move |_| {
            let metadata = json!({
                "issuer": ISSUER,
                "jwks_uri": "https://issuer.example/keys",
                "token_endpoint": *told.borrow(),
                "userinfo_endpoint": ["of a wrong type"]
            });
            Response::ok().body(metadata.to_string()).into()
        },
    );
    assert_eq!(world.ask("/metadata"), "200 https://issuer.example/token");
    assert_eq!(world.ask("/newer/unknown"), "200 one");
    assert_eq!(world.ask("/metadata"), "200 https://issuer.example/token");

    // It changes while the keys stay.
    endpoint.replace("https://issuer.example/other");
    world.pass(12 * SECOND);
    assert_eq!(world.ask("/metadata"), "200 https://issuer.example/other");

    // Another configuration reads what is shared.
    let fetched = world.host.http_calls().len();
    world.host.load(configuration(json!({}))).unwrap();
    assert_eq!(world.ask("/metadata"), "200 https://issuer.example/other");
    assert_eq!(world.host.http_calls().len(), fetched);
}
