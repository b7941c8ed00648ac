//! The same answers of one service, at Envoy's own `ratelimit` and at this filter.
//!
//! Both ask it the same, do the same with a request, and answer the same: status, headers and body. What
//! differs stands at the end.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use legation_tests::{Client, Exchange, Reply, wasm_filter};
use serde_json::{Value, json};

use super::rls::{Answer, DAY, HOUR, MINUTE, SECOND, Status, WEEK};
use super::{World, asking, compares, grpc_of, of};
use crate::FILTER;

/// The chain of ours, the one of Envoy's own, and the configuration of both.
type Variant = (&'static str, &'static str, Value);

fn variants() -> Vec<Variant> {
    let header = |name: &str, value: &str| json!({"header": {"key": name, "value": value}});
    vec![
        ("plain", "plain_native", json!({})),
        (
            "told",
            "told_native",
            json!({
                "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
                "enable_retry_after_header": true,
            }),
        ),
        (
            "closed",
            "closed_native",
            json!({"rate_limit_service": {"failure_mode_deny": true}}),
        ),
        (
            "unavailable",
            "unavailable_native",
            json!({
                "rate_limit_service": {"failure_mode_deny": true, "status_on_error": {"code": 503}},
                "response_headers_to_add": [header("x-over", "%REQ(x-client)%")],
            }),
        ),
        (
            "other",
            "other_native",
            json!({
                "status": {"code": 503},
                "response_headers_to_add": [header("x-over", "%REQ(x-client)%")],
                "rate_limited_as_resource_exhausted": true,
                "rate_limit_service": {"disable_x_envoy_ratelimited_header": true},
            }),
        ),
        (
            "unenforced",
            "unenforced_native",
            json!({"filter_enforced": {"default_value": {"numerator": 0}}}),
        ),
        (
            "many",
            "many_native",
            json!({
                "rate_limits": [
                    {"actions": [{"request_headers": {"header_name": "x-client", "descriptor_key": "client"}}]},
                    {
                        "actions": [
                            {"generic_key": {"descriptor_value": "paid"}},
                            {"request_headers": {"header_name": ":path", "descriptor_key": "path"}},
                        ],
                        "hits_addend": {"number": 5},
                    },
                    {"actions": [{"request_headers": {"header_name": "x-not-there", "descriptor_key": "none"}}]},
                    {
                        "actions": [{"generic_key": {"descriptor_value": "free"}}],
                        "hits_addend": {"number": 0},
                    },
                ],
            }),
        ),
    ]
}

/// The same for Envoy's own filter.
fn to_native(ours: &Value) -> Value {
    let mut native = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
        "rate_limit_service": {
            "grpc_service": ours["rate_limit_service"]["grpc_service"],
            "transport_api_version": "V3",
        },
    });
    for (name, value) in ours["rate_limit_service"].as_object().into_iter().flatten() {
        if name != "grpc_service" {
            native[name] = value.clone();
        }
    }
    for (name, value) in ours.as_object().into_iter().flatten() {
        match name.as_str() {
            "stat_prefix" | "rate_limit_service" => {}
            "status" => native["rate_limited_status"] = value.clone(),
            _ => native[name] = value.clone(),
        }
    }
    json!({"name": "envoy.filters.http.ratelimit", "typed_config": native})
}

/// What the service answers.
fn answers() -> Vec<(&'static str, Reply)> {
    let over = Answer::over_limit;
    let added = |answer: Answer| {
        answer
            .for_response("X-Left", "none")
            .for_response("x-left", "at all")
            .for_request("X-Plan", "gold")
            .for_request("x-client", "known")
    };
    let statuses = |answer: Answer| {
        answer
            .status(Status::within(10, MINUTE, 7).reset(30, 500_000_000))
            .status(Status::unlimited())
            .status(Status::over(5, HOUR).reset(100, 0).name("hourly"))
            .status(Status::within(900, WEEK, 0).reset(1, 0))
            .status(Status::over(9, DAY).reset(90, 0))
    };
    vec![
        ("OK", Answer::ok().reply()),
        (
            "OK with headers",
            added(Answer::ok()).body("of no use").reply(),
        ),
        ("OK with statuses", statuses(Answer::ok()).reply()),
        (
            "OK with a second",
            Answer::ok()
                .status(Status::within(3, SECOND, 2).reset(0, 900_000_000))
                .reply(),
        ),
        ("beyond", over().reply()),
        (
            "beyond with a body",
            over().body("too many\nof you, ü").reply(),
        ),
        ("beyond with headers", added(over()).reply()),
        (
            "beyond with JSON",
            added(over())
                .for_response("content-type", "application/json")
                .body("{\"error\":429}")
                .reply(),
        ),
        ("beyond with statuses", statuses(over()).body("no").reply()),
        (
            "beyond with a time of its own",
            statuses(over()).for_response("retry-after", "3").reply(),
        ),
        ("beyond for less than a second", {
            let status = Status::over(5, SECOND).reset(0, 200_000_000);
            over().status(status).reply()
        }),
        ("an unknown code", added(Answer::code(0)).reply()),
        ("a code of the future", added(Answer::code(9)).reply()),
        ("an empty message", Reply::grpc(b"")),
        ("no message", Reply::grpc_status(0, "")),
        ("garbage", Reply::grpc(b"\xff\xff")),
        ("unavailable", Reply::grpc_status(14, "down")),
        ("not permitted", Reply::grpc_status(7, "")),
        (
            "a web page",
            Reply::ok()
                .header("content-type", "text/html")
                .body("<html>"),
        ),
        ("HTTP 503", Reply::status(503)),
        ("a reset", Reply::reset()),
    ]
}

/// Headers that differ between any two.
const APART: [&str; 4] = [
    "date",
    "x-envoy-upstream-service-time",
    "x-legation-test",
    "x-request-id",
];

fn headers(headers: &legation_tests::Headers) -> String {
    let mut lines: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !APART.contains(name))
        .map(|(name, value)| format!("{name}: {}\n", value.escape_ascii()))
        .collect();
    // The order among different names means nothing, that of equal ones stays.
    lines.sort_by(|a, b| a.split(':').next().cmp(&b.split(':').next()));
    lines.concat()
}

/// What came of it, and what the service was asked.
fn seen(world: &World, exchange: &Exchange) -> String {
    let response = &exchange.response;
    let mut all = format!("{}\n{}", response.status, headers(&response.headers));
    let _ = writeln!(all, "{}{}", headers(&response.trailers), response.text());
    match &exchange.received {
        None => all.push_str("refused\n"),
        Some(received) => {
            let _ = writeln!(all, "passes\n{}", headers(&received.headers));
        }
    }
    let asked = world.service.asked();
    world.service.calls();
    let _ = writeln!(all, "{asked:#?}");
    all
}

/// Both filters in each of these configurations.
fn beside(variants: &[Variant]) -> Result<World> {
    let mut filters = Vec::new();
    for (name, native, more) in variants {
        let mut configuration = asking(name, more);
        // Ours tells unless told otherwise.
        if configuration["enable_retry_after_header"].is_null() {
            configuration["enable_retry_after_header"] = false.into();
        }
        // Each answer is asked for, and no request has a client of its own.
        let mut ours = configuration.clone();
        ours["rate_limit_service"]["deny_cache"] = json!({"max_age": "0s"});
        filters.push((*name, wasm_filter(FILTER, ours)));
        filters.push((*native, to_native(&configuration)));
    }
    World::with(filters, |config| config)
}

#[test]
fn envoys_own_filter_does_the_same_with_every_answer() -> Result<()> {
    if !compares()? {
        return Ok(());
    }
    let variants = variants();
    let world = beside(&variants)?;
    let mut wrong = String::new();
    let mut compared = 0;
    for (ours, native, _) in &variants {
        for is_grpc in [false, true] {
            let client = |chain: &str| -> Result<_> {
                let address = world.address(chain)?;
                Ok(if is_grpc {
                    Client::http2(address)
                } else {
                    Client::http1(address)
                })
            };
            let (here, envoys) = (client(ours)?, client(native)?);
            for (what, reply) in answers() {
                world.service.replies(reply);
                let request = || if is_grpc { grpc_of("a") } else { of("a") };
                let expected = seen(&world, &world.send_by(&envoys, request())?);
                let got = seen(&world, &world.send_by(&here, request())?);
                compared += 1;
                if expected != got {
                    let kind = if is_grpc { "gRPC" } else { "HTTP" };
                    writeln!(
                        wrong,
                        "── {ours}, {kind}, {what}: Envoy's\n{expected}ours\n{got}"
                    )?;
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "of {compared}:\n{wrong}");
    Ok(())
}

#[test]
fn what_is_otherwise_is_known() -> Result<()> {
    if !compares()? {
        return Ok(());
    }
    let world = beside(&[
        (
            "told",
            "told_native",
            json!({
                "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
                "enable_retry_after_header": true,
            }),
        ),
        (
            "unenforced",
            "unenforced_native",
            json!({
                "filter_enforced": {"default_value": {"numerator": 0}},
                "rate_limit_service": {"failure_mode_deny": true},
            }),
        ),
    ])?;
    let over = |nanos| Answer::over_limit().status(Status::over(5, HOUR).reset(100, nanos));
    let three_weeks = Status::within(900, WEEK, 1).units(3);
    for (what, chain, reply, header, envoys, ours) in [
        (
            "a window of several units is as long as that",
            "told",
            Answer::ok().status(three_weeks).reply(),
            "x-ratelimit-limit",
            "200 900, 900;w=604800",
            "200 900, 900;w=1814400",
        ),
        (
            "who comes again when told does not come too early",
            "told",
            over(500_000_000).reply(),
            "retry-after",
            "429 100",
            "429 101",
        ),
        (
            "nor before a limit that does not say when it begins anew",
            "told",
            over(0).status(Status::over(5, HOUR)).reply(),
            "retry-after",
            "429 100",
            "429",
        ),
        (
            "what is not enforced refuses nobody, whatever happens",
            "unenforced",
            Reply::grpc_status(14, ""),
            "x-over",
            "500",
            "200",
        ),
        (
            "a header that is none does not break the answer",
            "told",
            Answer::ok().for_response(":status", "299").reply(),
            "x-over",
            "502",
            "200",
        ),
    ] {
        world.service.replies(reply);
        let seen = |chain: &str| -> Result<_> {
            let response = world.send(chain, of("a"))?.response;
            let told = response.headers.text(header);
            let words = [Some(response.status.to_string()), told];
            Ok(words.into_iter().flatten().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(seen(&format!("{chain}_native"))?, envoys, "Envoy's: {what}");
        assert_eq!(seen(chain)?, ours, "{what}");
    }
    Ok(())
}
