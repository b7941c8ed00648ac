//! The file that users copy.

use anyhow::Result;
use legation_tests::{Config, DEADLINE, Reply, Request, Stage};
use serde_json::json;

use super::{FILTER, json_post, reason};

#[test]
fn the_shipped_file_does_what_it_says() -> Result<()> {
    let stage = Stage::start(&Config::filter(FILTER)?)?;
    let order = json!({"customer": {"email": "a@b.example"}, "items": [{"count": 1}]}).to_string();
    stage.upstream().answer(|_| {
        Reply::json(
            &json!({"card": "4111111111111111", "password": "x", "iban": "DE89370400440532013000"}),
        )
    });

    let good = stage.send(json_post("/api/orders", &order))?;
    let bad = stage.send(json_post("/api/orders", order.replace('1', "0")))?;
    let empty = stage.send(Request::new("POST", "/api/orders"))?;
    let list = stage.send(Request::get("/api/list"))?;
    let upload = Request::post("/api/uploads/1", [0xff; 2_000]).header("content-type", "image/png");
    let upload = stage.exchange(upload)?;

    assert_eq!(good.status, 200, "{good}");
    assert_eq!(good.json()?["card"], "[redacted]1111");
    assert_eq!(bad.status, 400, "{bad}");
    assert_eq!(bad.json()?["errors"][0]["field"], "$.items[*].count");
    assert_eq!(bad.json()?["errors"][0]["rule"], "minimum");
    assert_eq!(reason(&empty)?, "body_missing");
    assert_eq!(
        list.json()?,
        json!({"card": "[redacted]1111", "iban": "[redacted]3000"})
    );
    assert_eq!(upload.arrived()?.body.len(), 2_000);
    let labels = r#"body_guard_refused{direction="request",reason="fields"} 1"#;
    stage.admin().wait_for_stat(
        "wasmcustom.body_guard.passed.direction=request;",
        DEADLINE,
        |count| count >= 1,
    )?;
    assert!(stage.admin().prometheus()?.contains(labels));
    Ok(())
}
