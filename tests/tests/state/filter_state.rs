//! State that filters hand to one another, to Envoy and to the access log.

use anyhow::{Context, Result};
use legation_tests::{Config, DEADLINE, Request, Stage, module, wait_for, wasm_filter};
use serde_json::{Value, json};

use crate::{config, hex, noted};

/// The shipped example of an access log, with a filter that sets `user` and one after it, in a
/// VM of its own, that reads it.
fn observed() -> Result<Config> {
    let set = json!({ "set": [{ "name": "user", "value": "alice" }] });
    let get = json!({ "get": ["user"], "objects": ["wasm.user"] });
    Ok(Config::file("observability.yaml")?
        .insert_filter_before("header-tag", wasm_filter("setter", set))
        .module("setter", &module("state")?)
        .insert_filter(wasm_filter("getter", get))
        .module("getter", &module("state")?))
}

#[test]
fn what_one_filter_sets_the_next_one_reads() -> Result<()> {
    let stage = Stage::start(&observed()?)?;

    let with = stage.exchange(Request::get("/with"))?;
    let without = stage.exchange(Request::get("/without").header("x-skip-set", "1"))?;

    assert_eq!(noted(&with, "set-user")?, "()");
    assert_eq!(noted(&with, "get-user")?, "Some(\"alice\")");
    assert_eq!(noted(&with, "object-wasm.user")?, "Some(\"alice\")");
    assert_eq!(noted(&without, "get-user")?, "None");
    assert_eq!(noted(&without, "object-wasm.user")?, "None");
    Ok(())
}

#[test]
fn the_access_log_shows_what_a_filter_set() -> Result<()> {
    let stage = Stage::start(&observed()?)?;
    let hostile = "a\"\r\n{\"user\": \"root\"}\u{7f}";

    stage.send(Request::get("/with"))?;
    stage.send(Request::get("/without").header("x-skip-set", "1"))?;
    stage.send(Request::get("/hostile").header("x-value", hex(hostile)))?;

    // Envoy writes it every ten seconds.
    let lines = wait_for("three lines of the access log", DEADLINE, || {
        let log = stage.envoy().access_log();
        let lines: Vec<_> = log.lines().map(str::to_owned).collect();
        Ok((lines.len() >= 3).then_some(lines))
    })?;
    let parsed: Result<Vec<Value>, _> = lines
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect();
    let shown = parsed.with_context(|| format!("{lines:?}"))?;
    assert_eq!(shown.len(), 3, "{lines:?}");
    let user = |line: usize| (shown[line]["path"].as_str(), &shown[line]["user"]);
    assert_eq!(user(0), (Some("/with"), &json!("alice")));
    assert_eq!(user(1), (Some("/without"), &Value::Null));
    assert_eq!(user(2), (Some("/hostile"), &json!(hostile)));
    assert_eq!(shown[0]["status"], 200);
    Ok(())
}

#[test]
fn a_property_is_what_it_was_declared() -> Result<()> {
    let stage = Stage::start(&config(json!({
        "declare": [
            { "name": "once", "read_only": true },
            { "name": "words", "text": true },
            { "name": "once" },
        ],
        "set": [
            { "name": "once", "value": "first" },
            { "name": "once", "value": "second" },
            { "name": "words", "value": "as text" },
            { "name": "bytes", "value": "as bytes" },
        ],
        "get": ["once", "bytes"],
        "expression": "words == 'as text' && bytes == b'as bytes' && once == b'first'",
    }))?)?;

    let exchange = stage.exchange(Request::get("/"))?;
    let declared = stage.send(Request::get("/foreign/declared"))?.text();

    assert_eq!(declared, "Ok(true) Ok(true) Ok(false) ");
    assert_eq!(
        noted(&exchange, "set-once")?,
        "host call proxy_set_property: bad argument"
    );
    assert_eq!(noted(&exchange, "get-once")?, "Some(\"first\")");
    assert_eq!(noted(&exchange, "get-bytes")?, "Some(\"as bytes\")");
    assert_eq!(noted(&exchange, "is-true")?, "true");
    Ok(())
}

#[test]
fn state_of_a_connection_is_there_for_its_next_request() -> Result<()> {
    let stage = Stage::start(&config(json!({
        "declare": [{ "name": "mine", "connection": true }],
        "set": [{ "name": "mine", "value": "1" }, { "name": "brief", "value": "1" }],
        "get": ["mine", "brief"],
    }))?)?;
    // Two requests on one connection.
    let client = stage.client();

    client.send(Request::get("/first").id("first"))?;
    client.send(Request::get("/next").id("next").header("x-skip-set", "1"))?;
    let next = stage
        .upstream()
        .with_id("next")
        .context("it went upstream")?;

    assert_eq!(
        next.headers.text("x-get-mine").as_deref(),
        Some("Some(\"1\")")
    );
    assert_eq!(next.headers.text("x-get-brief").as_deref(), Some("None"));
    Ok(())
}

#[test]
fn a_name_that_could_not_be_read_is_refused() -> Result<()> {
    let stage = Stage::start(&config(json!({
        "set": [{ "name": "request", "value": "1" }],
        "get": ["request"],
    }))?)?;

    let exchange = stage.exchange(Request::get("/"))?;

    let refused = "`request` is an attribute of Envoy's and no name for a filter's state";
    assert_eq!(noted(&exchange, "set-request")?, refused);
    assert_eq!(noted(&exchange, "get-request")?, refused);
    Ok(())
}

#[test]
fn what_envoy_itself_reads_is_set_by_its_keys_alone() -> Result<()> {
    let keys = [
        ("envoy.network.upstream_server_name", "a.example"),
        ("envoy.tcp_proxy.cluster", "upstream"),
        ("envoy.ratelimit.hits_addend", "5"),
    ];
    let set = keys.map(|(name, value)| json!({ "name": name, "value": value }));
    let stage = Stage::start(&config(json!({
        "set_envoy": set,
        "objects": keys.map(|(name, _)| name),
    }))?)?;

    let exchange = stage.exchange(Request::get("/"))?;

    for (key, value) in keys {
        let key = key.replace('_', "-");
        assert_eq!(noted(&exchange, &format!("envoy-{key}"))?, "()");
        assert_eq!(
            noted(&exchange, &format!("object-{key}"))?,
            format!("Some(\"{value}\")")
        );
    }
    Ok(())
}

#[test]
fn a_key_or_a_value_that_envoy_does_not_take_is_refused() -> Result<()> {
    let stage = Stage::start(&config(json!({
        "set_envoy": [
            { "name": "envoy.no.such.object", "value": "1" },
            { "name": "envoy.ratelimit.hits_addend", "value": "many" },
        ],
    }))?)?;

    // The first refusal asks once more whether the function is there, the second does not.
    for path in ["/first", "/second"] {
        let exchange = stage.exchange(Request::get(path))?;
        assert_eq!(
            noted(&exchange, "envoy-envoy.no.such.object")?,
            "foreign function `set_envoy_filter_state`: there is no object \
             `envoy.no.such.object`, or no request"
        );
        assert_eq!(
            noted(&exchange, "envoy-envoy.ratelimit.hits-addend")?,
            "foreign function `set_envoy_filter_state`: `envoy.ratelimit.hits_addend` does not \
             take this value"
        );
    }
    Ok(())
}

#[test]
fn metadata_of_native_filters_is_typed() -> Result<()> {
    let field =
        |path: &[&str], kind: &str| json!({ "namespace": "mine", "path": path, "kind": kind });
    let native = json!({
        "name": "set-metadata",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
            "metadata": [{
                "metadata_namespace": "mine",
                "value": {
                    "text": "some",
                    "number": 1.5,
                    "flag": true,
                    "nothing": null,
                    "object": { "inner": "deep" },
                    "list": ["a", "b"],
                },
            }],
        },
    });
    let stage = Stage::start(
        &config(json!({ "metadata": [
            field(&["text"], "text"),
            field(&["number"], "number"),
            field(&["flag"], "flag"),
            field(&["nothing"], "text"),
            field(&["object", "inner"], "text"),
            field(&["object", "other"], "text"),
            field(&["list", "1"], "text"),
            field(&["list", "2"], "text"),
        ]}))?
        .insert_filter_before("state", native),
    )?;

    let exchange = stage.exchange(Request::get("/"))?;

    for (path, value) in [
        ("text", "Some(\"some\")"),
        ("number", "Some(1.5)"),
        ("flag", "Some(true)"),
        ("nothing", "None"),
        ("object-inner", "Some(\"deep\")"),
        ("object-other", "None"),
        ("list-1", "Some(\"b\")"),
        ("list-2", "None"),
    ] {
        assert_eq!(
            noted(&exchange, &format!("metadata-{path}"))?,
            value,
            "{path}"
        );
    }
    Ok(())
}

/// A route for requests whose state `colour` is `blue` and one for the others.
fn by_colour(clear_route_cache: bool) -> Result<Config> {
    let configured = json!({
        "set": [{ "name": "colour", "value": "blue" }],
        "clear_route_cache": clear_route_cache,
    });
    Ok(config(configured)?.edit(|root| {
        let manager =
            &mut root["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
        manager["typed_config"]["route_config"]["virtual_hosts"][0]["routes"] = json!([
            {
                "match": {
                    "prefix": "/",
                    "filter_state": [{ "key": "wasm.colour", "string_match": { "exact": "blue" } }],
                },
                "direct_response": { "status": 200, "body": { "inline_string": "blue" } },
            },
            {
                "match": { "prefix": "/" },
                "direct_response": { "status": 200, "body": { "inline_string": "any" } },
            },
        ]);
    }))
}

#[test]
fn a_cleared_route_cache_has_the_route_chosen_by_the_new_state() -> Result<()> {
    for (clear_route_cache, route) in [(false, "any"), (true, "blue")] {
        let stage = Stage::start(&by_colour(clear_route_cache)?)?;

        // What the module notes in headers has Envoy choose anew as well.
        let response = stage.send(Request::get("/").header("x-quiet", "1"))?;

        assert_eq!(response.text(), route, "cleared: {clear_route_cache}");
    }
    Ok(())
}
