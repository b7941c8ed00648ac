//! new-filter, as Envoy runs it.

use anyhow::Result;
use legation_tests::{Config, DEADLINE, Envoy, Request, Stage};
use serde_json::json;

const FILTER: &str = "new-filter";

#[test]
fn the_shipped_file_refuses_requests_without_the_header() -> Result<()> {
    let stage = Stage::start(&Config::filter(FILTER)?)?;

    let good = stage.exchange(Request::get("/").header("x-client-id", "shop"))?;
    let bad = stage.exchange(Request::get("/"))?;

    assert_eq!(good.response.status, 200);
    assert_eq!(good.arrived()?.headers.all("x-client-id"), [b"shop"]);
    assert_eq!(bad.response.status, 400);
    assert_eq!(bad.response.text(), "the header `x-client-id` is missing\n");
    assert!(bad.received.is_none());
    let refused = "wasmcustom.new_filter.refused";
    stage
        .admin()
        .wait_for_stat(refused, DEADLINE, |count| count == 1)?;
    Ok(())
}

#[test]
fn a_grpc_client_is_refused_in_grpc() -> Result<()> {
    let stage = Stage::start(&Config::filter(FILTER)?)?;
    let call = Request::post("/shop.Orders/List", "").header("content-type", "application/grpc");

    let answer = stage.send_http2(call)?;

    assert_eq!(answer.status, 200);
    let message = answer.headers.text("grpc-message");
    assert!(
        message.is_some_and(|text| text.contains("x-client-id")),
        "{answer}"
    );
    Ok(())
}

#[test]
fn a_wrong_configuration_stops_envoy_with_a_line_for_each_mistake() -> Result<()> {
    let config = Config::with_filter(FILTER, json!({ "required_header": "", "more": true }))?;

    let refused = Envoy::start(&config).expect_err("a wrong configuration");

    let errors = refused.module_errors();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    for line in ["required_header: ", "more: unknown field"] {
        let told = errors.iter().any(|error| error.contains(line));
        assert!(told, "no `{line}` in {errors:#?}");
    }
    Ok(())
}
