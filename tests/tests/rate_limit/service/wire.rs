//! What the service is asked.

use anyhow::Result;
use legation_tests::{DEADLINE, Request};
use serde_json::json;

use super::rls::{DAY, Descriptor, Entry, MONTH, Override, Question};
use super::{World, asking, chain, of};

fn entry(key: &str, value: &str) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

/// A request of the chain's, and the one question that came of it.
fn question(world: &World, chain: &str, request: Request) -> Result<Question> {
    let exchange = world.send(chain, request)?;
    exchange.arrived()?;
    let mut asked = world.service.asked();
    assert_eq!(world.service.calls(), 1, "{asked:?}");
    Ok(asked.remove(0))
}

#[test]
fn a_question_holds_the_domain_and_every_descriptor() -> Result<()> {
    let header =
        |name: &str| json!({"request_headers": {"header_name": name, "descriptor_key": name}});
    let world = World::new([chain(
        "wire",
        &json!({
            "rate_limits": [
                {"actions": [header("x-client"), {"generic_key": {"descriptor_value": "all"}}]},
                {"actions": [header("x-cost")], "hits_addend": {"format": "%REQ(x-cost)%"}},
                {"actions": [header("x-five")], "hits_addend": {"number": 5}},
                {"actions": [header("x-none")], "hits_addend": {"number": 0}},
                {"actions": [header("x-day")], "limit": {"requests_per_unit": 7, "unit": "DAY"}},
                {"actions": [header("x-month")], "limit": {"requests_per_unit": 9, "unit": "MONTH"}},
            ],
        }),
    )])?;
    let names = ["x-cost", "x-five", "x-none", "x-day", "x-month"];
    let request = names
        .iter()
        .fold(of("a"), |request, name| request.header(name, "3"));

    let asked = question(&world, "wire", request)?;

    let one = |name: &str, hits_addend, limit: Option<(u32, i32)>| Descriptor {
        entries: vec![entry(name, "3")],
        hits_addend,
        limit: limit.map(|(requests_per_unit, unit)| Override {
            requests_per_unit,
            unit,
        }),
    };
    let client = Descriptor {
        entries: vec![entry("x-client", "a"), entry("generic_key", "all")],
        ..Descriptor::default()
    };
    let expected = Question {
        domain: "edge".to_owned(),
        descriptors: vec![
            client,
            one("x-cost", Some(3), None),
            one("x-five", Some(5), None),
            one("x-none", Some(0), None),
            one("x-day", None, Some((7, DAY))),
            one("x-month", None, Some((9, MONTH))),
        ],
        hits_addend: 0,
    };
    assert_eq!(asked, expected);
    Ok(())
}

#[test]
fn the_call_is_the_one_of_envoys_interface() -> Result<()> {
    let mut usual = asking("usual", &json!({}));
    if let Some(service) = usual["rate_limit_service"].as_object_mut() {
        service.remove("timeout");
    }
    let world = World::new([chain("call", &json!({})), ("usual", usual)])?;
    world.send("call", of("a"))?;
    let call = world.service.upstream().last().expect("it was asked");
    let header = |name: &str| call.headers.text(name);
    assert_eq!(call.method, "POST");
    assert_eq!(
        call.path,
        "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
    );
    assert_eq!(header("content-type").as_deref(), Some("application/grpc"));
    assert_eq!(header("te").as_deref(), Some("trailers"));
    assert_eq!(header("grpc-timeout").as_deref(), Some("20000m"));
    // It is told of the request by descriptors alone.
    assert_eq!(header("x-client"), None);

    // However that ends: so long it would have, unless told otherwise.
    world.send("usual", of("a"))?.arrived()?;
    let calls = world.service.upstream().wait_for_count(2, DEADLINE)?;
    let timeout = calls[1].headers.text("grpc-timeout");
    assert_eq!(timeout.as_deref(), Some("20m"));
    Ok(())
}

#[test]
fn the_service_is_called_as_the_configuration_says() -> Result<()> {
    let called = json!({"rate_limit_service": {"grpc_service": {"envoy_grpc": {
        "authority": "limits.example:8081",
    }}}});
    // Alone: where an Envoy is shared, clusters have other names.
    let world = World::alone([chain("called", &called), chain("plain", &json!({}))])?;
    for (chain, authority) in [("called", "limits.example:8081"), ("plain", "rls")] {
        world.send(chain, of("a"))?.arrived()?;
        let call = world.service.upstream().last().expect("it was asked");
        assert_eq!(call.authority, authority, "{chain}");
    }
    Ok(())
}

#[test]
fn nobody_is_asked_about_a_request_without_a_descriptor() -> Result<()> {
    let optional = json!([{"actions": [{"request_headers": {
        "header_name": "x-client", "descriptor_key": "client", "skip_if_absent": true,
    }}]}]);
    let world = World::new([
        chain("needed", &json!({})),
        chain("optional", &json!({"rate_limits": optional})),
        chain("off", &json!({"filter_enabled": 0})),
    ])?;
    for name in ["needed", "optional"] {
        world.send(name, Request::get("/"))?.arrived()?;
    }
    world.send("off", of("a"))?.arrived()?;
    assert_eq!(world.service.asked(), []);
    Ok(())
}

#[test]
fn different_values_are_different_texts() -> Result<()> {
    let world = World::new([chain("bytes", &json!({}))])?;
    let client = |value: &[u8]| Request::get("/").header("x-client", value);
    let values: [(&[u8], &str); 4] = [
        (b"\xc3\xbc", "ü"),
        (b"\xfe\\", "\u{fffd}\\xfe\\\\"),
        // What is written like the one before.
        (
            "\u{fffd}\\xfe\\\\".as_bytes(),
            "\u{fffd}\\xef\\xbf\\xbd\\\\xfe\\\\\\\\",
        ),
        (b"a\xff", "\u{fffd}a\\xff"),
    ];
    for (value, text) in values {
        assert_eq!(question(&world, "bytes", client(value))?.values(), [text]);
    }
    let long = "a".repeat(9_000);
    let asked = question(&world, "bytes", client(long.as_bytes()))?;
    assert_eq!(asked.values(), [long.as_str()]);
    Ok(())
}
