//! Several filters in one module, in Envoy.

use anyhow::Result;
use legation_tests::{Config, Received, Reply, Request, Stage, Upstream};
use serde_json::{Value, json};

/// Two filters that mark, and between them one that asks the cluster `auth`.
fn members() -> Value {
    json!({ "filters": [
        { "name": "mark", "config": { "mark": "outer" } },
        { "name": "ask", "config": { "cluster": "auth" } },
        { "name": "mark", "config": { "mark": "inner" } },
    ]})
}

fn stage(auth: &Upstream) -> Result<Stage> {
    let config = Config::with_filter("mixed", members())?.add_endpoint("auth", auth.address());
    Ok(Stage::start(&config)?)
}

#[test]
fn a_filter_that_waits_holds_those_after_it_and_the_chain_goes_on_in_order() -> Result<()> {
    let auth = Upstream::answering(|request: &Received| Reply::ok().body(request.path.clone()))?;
    let stage = stage(&auth)?;

    for path in ["/one", "/two"] {
        let exchange = stage.exchange(Request::post(path, "body"))?;

        let arrived = exchange.arrived()?;
        assert_eq!(
            arrived.headers.all("x-order"),
            [b"outer".as_slice(), path.as_bytes(), b"inner"]
        );
        assert_eq!(arrived.text(), "body");
        assert_eq!(
            exchange.response.headers.all("x-order"),
            [b"inner".as_slice(), b"outer"]
        );
    }
    assert_eq!(auth.count(), 2);
    Ok(())
}

#[test]
fn a_refusal_after_an_answer_goes_back_through_those_that_saw_the_request() -> Result<()> {
    let auth = Upstream::answering(|_: &Received| Reply::status(401))?;
    let stage = stage(&auth)?;

    let exchange = stage.exchange(Request::get("/"))?;

    assert!(exchange.received.is_none());
    assert_eq!(exchange.response.status, 403);
    assert_eq!(exchange.response.headers.all("x-order"), [b"outer"]);
    Ok(())
}

#[test]
fn separate_filters_see_a_refusal_in_the_same_way() -> Result<()> {
    let auth = Upstream::answering(|_: &Received| Reply::status(401))?;
    let one = |name: &str, config: Value| {
        let mut filter = legation_tests::wasm_filter(
            "mixed",
            json!({ "filters": [{ "name": name, "config": config }] }),
        );
        filter["name"] = json!(format!("{name}-{config}"));
        filter
    };
    let config = Config::plain()?
        .insert_filter(one("mark", json!({ "mark": "outer" })))
        .insert_filter(one("ask", json!({ "cluster": "auth" })))
        .insert_filter(one("mark", json!({ "mark": "inner" })))
        .add_endpoint("auth", auth.address());
    let stage = Stage::start(&config)?;

    let exchange = stage.exchange(Request::get("/"))?;

    assert_eq!(exchange.response.status, 403);
    assert_eq!(exchange.response.headers.all("x-order"), [b"outer"]);
    Ok(())
}

#[test]
fn the_configuration_as_shipped_does_what_it_says() -> Result<()> {
    let upstream = Upstream::answering(|_: &Received| Reply::ok().header("x-powered-by", "x"))?;
    let stage = Stage::with_upstream(&Config::filter("suite")?, upstream)?;

    let api = stage.exchange(Request::get("/api/x").header("user-agent", "tester"))?;
    let other = stage.exchange(Request::get("/x").header("user-agent", "tester"))?;

    assert_eq!(api.arrived()?.headers.all("x-envoy-plugin"), [b"suite"]);
    assert_eq!(api.arrived()?.headers.all("x-client"), [b"tester"]);
    assert!(!api.response.headers.contains("x-powered-by"));
    assert_eq!(other.arrived()?.headers.all("x-envoy-plugin"), [b"suite"]);
    assert!(!other.arrived()?.headers.contains("x-client"));
    Ok(())
}
