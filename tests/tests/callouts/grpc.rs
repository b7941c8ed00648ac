//! gRPC callouts.

use anyhow::Result;
use legation_tests::{Received, Reply};

use super::{World, milliseconds};

/// What a method of `test.Service` answers.
pub(super) fn answer(method: &str, received: &Received) -> Reply {
    // Field 1, a string.
    let message = |text: &[u8]| [&[0x0a, u8::try_from(text.len()).unwrap()], text].concat();
    match method {
        "Echo" => Reply::grpc(received.grpc_message().unwrap_or(b"no message")),
        "Late" => Reply::grpc(&message(b"late")).delay(milliseconds(50)),
        "Empty" => Reply::grpc(b""),
        "Nothing" => Reply::grpc_status(0, ""),
        "Refuse" => Reply::grpc_status(7, "no%20way%21 {really}"),
        "RefuseSilently" => Reply::grpc_status(16, ""),
        "RefuseAtOnce" => Reply::ok()
            .header("content-type", "application/grpc")
            .header("grpc-status", "5")
            .header("grpc-message", "not here"),
        "Broken" => Reply::grpc(b"\x0a\x7f"),
        "Large" => Reply::grpc(&vec![0; 2 << 20]),
        "Unavailable" => Reply::status(503),
        "Reset" => Reply::reset(),
        "Hang" => Reply::hang(),
        _ => Reply::grpc_status(12, "no such method"),
    }
}

fn status(number: u32, message: &str) -> String {
    format!("Grpc {{ status: {number}, message: {message:?} }}")
}

#[test]
fn a_message_goes_there_and_one_comes_back() -> Result<()> {
    let world = World::new()?;
    assert_eq!(world.outcome("grpc other-http2 Echo")?, "grpc asked");
    let arrived = world.other.last().expect("it arrived");
    assert_eq!(arrived.path, "/test.Service/Echo");
    assert_eq!(
        arrived.headers.text("content-type").as_deref(),
        Some("application/grpc")
    );
    assert_eq!(arrived.headers.get("x-metadata"), Some(&b"m\xff"[..]));

    let outcomes = world.outcomes("grpc other-http2 Late; grpc other-http2 Empty")?;
    assert_eq!(outcomes, ["grpc late", "grpc"]);
    Ok(())
}

#[test]
fn a_status_is_an_error_with_its_message() -> Result<()> {
    let world = World::shared();
    for (method, outcome) in [
        ("Refuse", status(7, "no way! {really}")),
        ("RefuseSilently", status(16, "")),
        ("RefuseAtOnce", status(5, "not here")),
        ("Nothing", status(13, "")),
        ("Other", status(12, "no such method")),
        ("Unavailable", status(14, "")),
    ] {
        let step = format!("grpc other-http2 {method}");
        assert_eq!(world.outcome(&step)?, outcome, "{method}");
    }
    Ok(())
}

#[test]
fn a_message_that_is_none_is_malformed() -> Result<()> {
    let outcome = World::shared().outcome("grpc other-http2 Broken")?;
    assert!(outcome.starts_with("Malformed("), "{outcome}");
    Ok(())
}

#[test]
fn a_message_that_is_too_large_is_not_taken() -> Result<()> {
    let outcome = World::shared().outcome("grpc other-http2 Large")?;
    assert_eq!(outcome, "TooLarge { size: 2097152, limit: 1048576 }");
    Ok(())
}

#[test]
fn a_call_without_an_answer_in_time_times_out() -> Result<()> {
    let outcome = World::shared().outcome("grpc other-http2 Hang 100")?;
    assert_eq!(outcome, "Timeout");
    Ok(())
}

#[test]
fn a_connection_that_fails_is_unavailable() -> Result<()> {
    let world = World::shared();
    for (step, message) in [
        ("grpc other-http2 Reset", "remote reset"),
        ("grpc refused-http2 Echo", "remote connection failure"),
    ] {
        let outcome = world.outcome(step)?;
        let message = format!(
            "upstream connect error or disconnect/reset before headers. reset reason: {message}"
        );
        // Older Envoys say more, behind a comma.
        let expected = status(14, &message);
        let (expected, _) = expected.rsplit_once('"').expect("it has quotes");
        assert!(outcome.starts_with(expected), "{step}: {outcome}");
        assert!(!outcome.contains("upstream_reset"), "{step}: {outcome}");
    }
    Ok(())
}

#[test]
fn a_cluster_that_cannot_be_called_is_not_sent_to() -> Result<()> {
    let world = World::shared();
    // The second is one that Envoy would read as a message, and abort.
    for cluster in ["nowhere", "eabcd", "empty"] {
        let outcome = world.outcome(&format!("grpc {cluster} Echo"))?;
        assert!(outcome.starts_with("NotSent("), "{cluster}: {outcome}");
    }
    // Envoy tells of the end of such a call all the same, to nobody.
    assert_eq!(world.outcome("grpc other-http2 Echo")?, "grpc asked");
    Ok(())
}
