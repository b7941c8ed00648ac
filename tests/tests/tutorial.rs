//! The filter `tutorial`, as Envoy runs it.

use anyhow::Result;
use legation_tests::{Config, DEADLINE, Received, Reply, Request, Stage, Upstream};
use serde_json::json;

const FILTER: &str = "tutorial";

#[test]
fn a_key_is_good_if_the_service_says_so() -> Result<()> {
    let keys = Upstream::answering(|question: &Received| {
        let good = question.headers.text("x-key").as_deref() == Some("good");
        Reply::status(if good { 200 } else { 404 })
    })?;
    let configuration = json!({ "header": "x-api-key", "cluster": "keys" });
    let config = Config::with_filter(FILTER, configuration)?.add_endpoint("keys", keys.address());
    let stage = Stage::start(&config)?;

    for (key, status) in [("good", 200), ("bad", 403)] {
        let exchange = stage.exchange(Request::get("/").header("x-api-key", key))?;

        assert_eq!(exchange.response.status, status, "{key}");
        assert_eq!(exchange.received.is_some(), status == 200);
    }
    let refused = "wasmcustom.tutorial.refused";
    stage
        .admin()
        .wait_for_stat(refused, DEADLINE, |count| count == 1)?;
    Ok(())
}
