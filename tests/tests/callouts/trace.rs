//! What of a request's trace goes along with what is asked for its sake, in the real Envoy.

use anyhow::{Context, Result};
use legation_tests::{DEADLINE, Received, Request, wait_for};
use serde_json::json;

use super::World;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const STATE: &str = "vendor=1";

fn trace(received: &Received) -> [Option<String>; 3] {
    ["x-request-id", "traceparent", "tracestate"].map(|name| received.headers.text(name))
}

/// What goes along with the callouts of these steps, in this callback, and what arrives at the upstream.
fn along(world: &World, callback: &str, steps: &str) -> Result<(Vec<Received>, Received)> {
    let before = world.other.requests().len();
    let request = Request::get("/")
        .header(callback, steps)
        .header("traceparent", PARENT)
        .header("tracestate", STATE);
    let exchange = world.stage.exchange(request)?;
    let asked = wait_for("the callout", DEADLINE, || {
        let asked = world.other.requests().split_off(before);
        Ok((!asked.is_empty()).then_some(asked))
    })?;
    Ok((asked, exchange.arrived()?.clone()))
}

/// A world whose cluster `other` has these ids taken out of all that goes there.
fn discreet() -> Result<World> {
    let remove = ["x-request-id", "traceparent", "tracestate"];
    let filters = json!([
        {
            "name": "envoy.filters.http.header_mutation",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": {"request_mutations": remove.map(|name| json!({"remove": name}))},
            },
        },
        {
            "name": "envoy.filters.http.upstream_codec",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
            },
        },
    ]);
    World::with(json!({}), |config| {
        config.edit(|root| {
            let clusters = root["static_resources"]["clusters"].as_array_mut();
            let mut clusters = clusters.into_iter().flatten();
            if let Some(other) = clusters.find(|cluster| cluster["name"] == "other") {
                other["typed_extension_protocol_options"] = json!({
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                        "explicit_http_config": {"http_protocol_options": {}},
                        "http_filters": filters,
                    },
                });
            }
        })
    })
}

#[test]
fn a_callout_is_in_the_trace_of_its_request() -> Result<()> {
    let world = World::new()?;
    for (callback, steps) in [
        ("x-request-headers", "http other /hello; http other /hello"),
        ("x-request-headers", "grpc other-http2 Echo"),
        ("x-response-headers", "http other /hello"),
    ] {
        let (asked, arrived) = along(&world, callback, steps)?;

        for one in &asked {
            assert_eq!(trace(one), trace(&arrived), "{callback}: {steps}");
            assert_eq!(trace(one)[1].as_deref(), Some(PARENT));
            assert_eq!(trace(one)[2].as_deref(), Some(STATE));
            trace(one)[0].as_ref().context("an id of the request")?;
        }
    }

    let (spawned, _) = along(&world, "x-request-headers", "spawn other /hello")?;

    assert_eq!(trace(&spawned[0]), [None, None, None]);
    Ok(())
}

#[test]
fn a_cluster_may_have_it_taken_out() -> Result<()> {
    let world = discreet()?;

    let (asked, arrived) = along(&world, "x-request-headers", "http other /hello")?;

    assert_eq!(trace(&asked[0]), [None, None, None]);
    assert_eq!(trace(&arrived)[1].as_deref(), Some(PARENT));
    Ok(())
}
