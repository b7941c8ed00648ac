//! It counts in its memory.

use anyhow::Result;
use legation_tests::limitador::Limitador;
use legation_tests::trials::Test;
use legation_tests::{DEADLINE, ENVOY_VERSION, envoy_binary, envoy_version, wait_for, wasm_filter};
use serde_json::{Value, json};

use crate::{FILTER, Gateway, NO_ANSWER, REFUSED, asking, closed, flood, limit};

pub(crate) const TESTS: &[Test] = &[
    (
        "memory::each_client_is_admitted_exactly_its_limit",
        each_client_is_admitted_exactly_its_limit,
    ),
    (
        "memory::two_gateways_share_one_count",
        two_gateways_share_one_count,
    ),
    (
        "memory::a_condition_on_a_descriptor_that_is_not_there_is_no_answer",
        a_condition_on_a_descriptor_that_is_not_there_is_no_answer,
    ),
    (
        "memory::envoys_own_filter_gets_and_gives_the_same",
        envoys_own_filter_gets_and_gives_the_same,
    ),
    (
        "memory::while_it_is_down_the_configuration_decides_and_then_it_counts_anew",
        while_it_is_down_the_configuration_decides_and_then_it_counts_anew,
    ),
];

/// What limitador tells of a limit: the most, what is left, and the seconds until it begins anew.
fn told(response: &legation_tests::Response) -> Vec<String> {
    let names = [
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ];
    let text = |name: &&str| response.headers.text(name);
    names.iter().filter_map(text).collect()
}

fn each_client_is_admitted_exactly_its_limit() -> Result<()> {
    let limitador = Limitador::start(&limit(5), None)?;
    let gateway = Gateway::start(limitador.address())?;
    for left in (0..5).rev() {
        let response = gateway.send("closed", "a")?;
        assert_eq!(response.status, 200);
        let told = told(&response);
        assert_eq!(told[..2], ["5, 5;w=3600".to_owned(), left.to_string()]);
        let reset: u64 = told[2].parse()?;
        assert!((3_500..=3_600).contains(&reset), "{told:?}");
        assert!(!response.headers.contains("x-envoy-ratelimited"));
    }
    for _ in 0..3 {
        let response = gateway.send("closed", "a")?;
        assert_eq!((response.status, response.text().as_str()), (REFUSED, ""));
        assert_eq!(told(&response)[..2], ["5, 5;w=3600", "0"]);
        assert_eq!(
            response.headers.text("x-envoy-ratelimited").as_deref(),
            Some("true")
        );
        // limitador says in no form that we know by when to come again.
        assert!(!response.headers.contains("retry-after"));
    }
    // Another client has a limit of its own, and the other chain counts under the same one.
    assert_eq!(gateway.status("closed", "b")?, 200);
    assert_eq!(gateway.status("open", "a")?, REFUSED);
    // What arrived is what was admitted.
    assert_eq!(gateway.0.upstream().count(), 6);
    for (name, count) in [("ok", 6), ("over_limit", 3)] {
        let name = format!("wasmcustom.closed.ratelimit.{name}");
        gateway
            .0
            .admin()
            .wait_for_stat(&name, DEADLINE, |value| value == count)?;
    }
    Ok(())
}

fn two_gateways_share_one_count() -> Result<()> {
    let limitador = Limitador::start(&limit(20), None)?;
    let gateways = [
        Gateway::start(limitador.address())?,
        Gateway::start(limitador.address())?,
    ];
    for turn in 0..24 {
        let status = if turn < 20 { 200 } else { REFUSED };
        assert_eq!(gateways[turn % 2].status("closed", "a")?, status);
    }
    let arrived = gateways.each_ref().map(|one| one.0.upstream().count());
    assert_eq!(arrived, [10, 10]);
    flood(&gateways, "b", 20)
}

/// Of limitador 0.14: its thread panics. The README tells how to write such a condition.
fn a_condition_on_a_descriptor_that_is_not_there_is_no_answer() -> Result<()> {
    let mut limits = limit(1);
    limits[0]["conditions"] = json!(["descriptors[1].client == 'a'"]);
    let limitador = Limitador::start(&limits, None)?;
    let gateway = Gateway::start(limitador.address())?;
    for _ in 0..2 {
        assert_eq!(gateway.status("closed", "a")?, NO_ANSWER);
        assert_eq!(gateway.status("open", "a")?, 200);
    }
    assert!(
        limitador.log().contains("IndexOutOfBounds"),
        "{}",
        limitador.log()
    );
    Ok(())
}

/// Both under limits of the same kind, of which each has its own.
fn envoys_own_filter_gets_and_gives_the_same() -> Result<()> {
    // Envoy's filter is another one in each of its versions.
    if envoy_version(&envoy_binary()?)? != ENVOY_VERSION {
        return Ok(());
    }
    let mut limits = limit(3);
    let mut envoys = limits[0].clone();
    envoys["namespace"] = json!("envoys");
    limits.as_array_mut().expect("limits").push(envoys);
    let mut limitador = Limitador::start(&limits, None)?;

    let mut ours = asking("ours", &closed());
    ours["enable_retry_after_header"] = json!(false);
    let native = native(&ours);
    let gateway = Gateway::with(
        limitador.address(),
        &[("ours", wasm_filter(FILTER, ours)), ("native", native)],
    )?;
    let seen = |chain: &str, client: &str| -> Result<_> {
        let response = gateway.send(chain, client)?;
        let headers = response.headers.iter();
        let apart = [
            "date",
            "x-envoy-upstream-service-time",
            "x-request-id",
            "x-ratelimit-reset",
        ];
        let headers = headers.filter(|(name, _)| !apart.contains(name));
        let mut headers: Vec<_> = headers
            .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
            .collect();
        headers.sort();
        Ok((response.status, headers, response.text()))
    };
    let mut statuses = Vec::new();
    for client in ["a", "b", "a", "a", "b", "a", "a", "b", "b"] {
        let ours = seen("ours", client)?;
        assert_eq!(ours, seen("native", client)?);
        statuses.push(ours.0);
    }
    assert_eq!(
        statuses,
        [200, 200, 200, 200, 200, REFUSED, REFUSED, 200, REFUSED]
    );
    limitador.kill();
    let ours = seen("ours", "a")?;
    assert_eq!(ours, seen("native", "a")?);
    assert_eq!(ours.0, NO_ANSWER);
    Ok(())
}

/// The same for Envoy's own filter, in a domain of its own.
fn native(ours: &Value) -> Value {
    let service = &ours["rate_limit_service"];
    json!({
        "name": "envoy.filters.http.ratelimit",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
            "domain": "envoys",
            "timeout": service["timeout"],
            "failure_mode_deny": service["failure_mode_deny"],
            "status_on_error": service["status_on_error"],
            "rate_limits": ours["rate_limits"],
            "rate_limit_service": {
                "grpc_service": service["grpc_service"],
                "transport_api_version": "V3",
            },
        },
    })
}

fn while_it_is_down_the_configuration_decides_and_then_it_counts_anew() -> Result<()> {
    let mut limitador = Limitador::start(&limit(2), None)?;
    let gateway = Gateway::start(limitador.address())?;
    for status in [200, 200, REFUSED] {
        assert_eq!(gateway.status("closed", "a")?, status);
    }
    limitador.kill();
    for _ in 0..3 {
        assert_eq!(gateway.status("open", "a")?, 200);
        assert_eq!(gateway.status("closed", "a")?, NO_ANSWER);
    }
    let allowed = "wasmcustom.open.ratelimit.failure_mode_allowed";
    gateway
        .0
        .admin()
        .wait_for_stat(allowed, DEADLINE, |value| value == 3)?;

    limitador.start_again()?;
    let first = wait_for("an answer of limitador", DEADLINE, || {
        let status = gateway.status("closed", "a")?;
        Ok((status != NO_ANSWER).then_some(status))
    })?;
    // What it counted went with its memory.
    assert_eq!(first, 200);
    for status in [200, REFUSED, REFUSED] {
        assert_eq!(gateway.status("open", "a")?, status);
    }
    Ok(())
}
