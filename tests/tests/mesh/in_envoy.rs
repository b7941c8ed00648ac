//! What ships, in Envoy.

use anyhow::{Context, Result};
use legation_testing::scenario;
use legation_tests::Request;

use crate::manifest::of_kind;
use crate::shows::{self, show};
use crate::stage::InEnvoy;
use crate::world::{Site, scenarios_of};

#[test]
fn every_wasm_plugin_does_what_it_says() -> Result<()> {
    for plugin in of_kind("WasmPlugin", "istio")? {
        show(
            plugin.name(),
            &Site::of(&format!("wasmplugin.{}", plugin.name()))?,
        )?;
    }
    Ok(())
}

#[test]
fn every_envoy_filter_does_what_it_says() -> Result<()> {
    for filter in of_kind("EnvoyFilter", "istio/envoyfilter")? {
        show(
            filter.name(),
            &Site::of(&format!("envoyfilter.{}", filter.name()))?,
        )?;
    }
    shows::reports_are_collected(&Site::of("envoyfilter.csp")?)?;
    shows::logout_tokens_are_read(&Site::of("envoyfilter.oauth2")?)?;
    shows::requests_are_read(&Site::of("envoyfilter.body-guard")?)
}

#[test]
fn every_envoy_extension_policy_does_what_it_says() -> Result<()> {
    for policy in of_kind("EnvoyExtensionPolicy", "envoy-gateway")? {
        let site = Site::of(&format!("gateway.{}", policy.name()))?;
        show(policy.name(), &site)?;
        // A route without the policy: nothing is refused, nothing is added.
        let other = site.send(Request::get("/no-policy/x"))?;
        assert_eq!(other.response.status, 200, "{}", policy.name());
        assert!(!other.response.headers.contains("content-security-policy"));
        assert!(!other.arrived()?.headers.contains("x-envoy-plugin"));
    }
    shows::reports_are_collected(&Site::of("gateway.csp")?)?;
    shows::logout_tokens_are_read(&Site::of("gateway.oauth2")?)?;
    shows::requests_are_read(&Site::of("gateway.body-guard")?)
}

#[test]
fn scenarios_go_as_ever_where_a_wasm_plugin_delivers_the_configuration() -> Result<()> {
    let mut count = 0;
    for plugin in of_kind("WasmPlugin", "istio")? {
        for scenario in scenarios_of(&plugin)? {
            scenario::run::<InEnvoy>(&scenario)
                .with_context(|| scenario.file.display().to_string())?;
            count += 1;
        }
    }
    assert!(count >= 6, "{count} scenarios");
    Ok(())
}

/// Who is refused by a filter has met those before it, and none of those after it.
#[test]
fn the_plugins_of_a_gateway_are_passed_in_their_order() -> Result<()> {
    for listener in ["wasmplugins", "envoyfilters", "gateway"] {
        let site = Site::of(listener)?;
        let program = || Request::get("/api/x").header("accept", "application/json");

        let refused = site.send(program())?;

        // By oauth2: after csp, and before jwt-auth, which would say so in words of its own.
        assert_eq!(refused.response.status, 401);
        let headers = &refused.response.headers;
        assert!(headers.contains("content-security-policy"), "{listener}");
        assert!(!headers.contains("ratelimit"), "{listener}");
        assert!(
            refused.response.text().contains("unauthorized"),
            "{listener}"
        );

        // oauth2 lets health checks pass, and jwt-auth; the rate limit service denies.
        let health = site.send(Request::get("/healthz"))?;
        let headers = &health.response.headers;
        assert!(headers.contains("ratelimit"), "{listener}");
        assert!(headers.contains("content-security-policy"), "{listener}");
    }
    Ok(())
}

#[test]
fn a_filter_that_is_switched_off_for_a_route_is_on_for_the_others() -> Result<()> {
    for listener in ["switch.wasmplugin", "switch.envoyfilter"] {
        let site = Site::of(listener)?;
        for _ in 0..2 {
            assert_eq!(site.status(Request::get("/open/x"))?, 200, "{listener}");
            assert_eq!(site.status(Request::get("/orders"))?, 401, "{listener}");
            assert_eq!(site.status(Request::get("/open"))?, 401, "{listener}");
        }
        let token = site.token("");
        let request = Request::get("/orders").header("authorization", token);
        assert_eq!(site.status(request)?, 200, "{listener}");
    }
    // The other way round: off for all, and on for a route.
    let site = Site::of("switch.on")?;
    assert_eq!(site.status(Request::get("/open/x"))?, 401);
    assert_eq!(site.status(Request::get("/orders"))?, 200);
    Ok(())
}
