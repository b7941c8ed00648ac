//! Attacks on the keys that are fetched: by whoever sends tokens, and by whoever serves keys.

use std::time::Duration;

use anyhow::Result;
use legation_tests::jwt::{Claims, Issuer, Key, Mode, jwks};
use legation_tests::{Config, DEADLINE, Request, Stage, wait_for};
use serde_json::{Value, json};

use super::{FILTER, ISSUER, bearer, local};

fn key() -> Key {
    Key::p256().with_id("k")
}

fn good() -> String {
    Claims::of(ISSUER).signed_by(&key())
}

/// A provider whose keys are the issuer's, in this cluster.
fn remote(issuer: &Issuer, cluster: &str) -> Value {
    json!({
        "issuer": issuer.name(),
        "remote_jwks": {
            "http_uri": issuer.jwks_uri(cluster),
            "first_fetch_timeout": "10s",
            "async_fetch": {"failed_refetch_duration": "0.1s"},
        },
    })
}

/// One provider for every request.
fn config(issuer: &Issuer, provider: &Value) -> Result<Config> {
    let configuration = json!({
        "providers": {"p": provider},
        "rules": [{"requires": {"provider_name": "p"}}],
    });
    let config = Config::with_filter(FILTER, configuration)?;
    Ok(config.add_endpoint("issuer", issuer.address()).shared())
}

/// It has lost no VM, and takes this request still.
fn assert_well(stage: &Stage, request: Request) -> Result<()> {
    assert_eq!(stage.send(request)?.status, 200);
    let reloads = stage.admin().stat("wasm.jwt-auth.vm_reload")?;
    assert_eq!(reloads.unwrap_or(0), 0);
    Ok(())
}

#[test]
fn cve_2024_45809_clearing_the_route_with_remote_keys_crashes_nothing() -> Result<()> {
    let issuer = Issuer::start(ISSUER, &[&key()])?;
    let mut provider = remote(&issuer, "issuer");
    provider["clear_route_cache"] = json!(true);
    provider["claim_to_headers"] = json!([{"header_name": "x-sub", "claim_name": "sub"}]);
    // Routes that the token's own headers lead away from.
    let routes = json!([
        {"match": {"prefix": "/", "headers": [{"name": "x-sub", "present_match": true, "invert_match": true}]},
            "route": {"cluster": "upstream"}},
        {"match": {"prefix": "/both"}, "route": {"cluster": "upstream"}},
    ]);
    let config =
        config(&issuer, &provider)?.edit(|root| {
            let hcm = &mut root["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
                [0]["typed_config"];
            hcm["route_config"]["virtual_hosts"][0]["routes"] = routes;
        });
    let stage = Stage::start(&config)?;
    for _ in 0..5 {
        assert_eq!(stage.send(bearer("/", &good()))?.status, 404);
        assert_eq!(stage.send_http2(bearer("/", &good()))?.status, 404);
        assert_eq!(stage.send(bearer("/", "x"))?.status, 401);
    }
    assert_well(&stage, bearer("/both", &good()))
}

/// Every way to fail, each of an issuer of its own, of the provider and below the path of that number, with a
/// provider `q` that needs nobody.
fn failing(more: &Value) -> Result<(Vec<(Mode, Issuer)>, Stage)> {
    let modes = [
        Mode::Hang,
        Mode::Die,
        Mode::Status(500),
        Mode::Status(204),
        Mode::Garbage,
        Mode::Html,
        Mode::Empty,
        Mode::Nonsense,
        Mode::Cut,
        Mode::Huge(10 << 20),
        Mode::Redirect("http://127.0.0.1:1/jwks".to_owned()),
    ];
    let own = json!({"issuer": "https://q.example", "local_jwks": local(&jwks(&[&key()]))});
    let mut configuration = json!({
        "providers": {"q": own},
        "rules": [{"match": {"path": "/q"}, "requires": {"provider_name": "q"}}],
    });
    let mut issuers = Vec::new();
    for (number, mode) in modes.into_iter().enumerate() {
        let issuer = Issuer::start(&format!("https://{number}.example"), &[&key()])?;
        issuer.set(mode.clone());
        let name = number.to_string();
        let mut provider = remote(&issuer, &name);
        // For the one that hangs.
        provider["remote_jwks"]["first_fetch_timeout"] = json!("1s");
        provider["remote_jwks"]["http_uri"]["timeout"] = json!("1s");
        let all = provider.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        configuration["providers"][&name] = provider;
        let own = || json!({"provider_name": name});
        let rules = configuration["rules"].as_array_mut().expect("a list");
        let mut add = |path: String, requires: Value| {
            rules.push(json!({"match": {"path": path}, "requires": requires}));
        };
        add(format!("/{number}"), own());
        let failed = json!({"requirements": [own(), {"allow_missing_or_failed": {}}]});
        add(format!("/{number}/any"), json!({"requires_any": failed}));
        issuers.push((mode, issuer));
    }
    let rules = configuration["rules"].as_array_mut().expect("a list");
    rules.push(json!({"match": {"path": "/failed"}, "requires": {"allow_missing_or_failed": {}}}));
    let mut config = Config::with_filter(FILTER, configuration)?;
    for (number, (_, issuer)) in issuers.iter().enumerate() {
        config = config.add_endpoint(&number.to_string(), issuer.address());
    }
    let stage = Stage::start(&config.shared())?;
    Ok((issuers, stage))
}

#[test]
fn cve_2025_64527_several_tokens_and_a_dead_key_server_crash_nothing() -> Result<()> {
    let from = json!({"from_headers": [{"name": "x-a"}, {"name": "x-b"}]});
    let (issuers, stage) = failing(&from)?;
    for (number, (mode, issuer)) in issuers.iter().enumerate() {
        let claims = Claims::of(issuer.name());
        let request = |path: &str| {
            Request::get(path)
                .header("x-a", claims.signed_by(&key()))
                .header("x-b", claims.clone().claim("sub", "bob").signed_by(&key()))
                .header("x-b", "garbage")
        };
        assert_eq!(stage.send(request("/failed"))?.status, 200, "{mode:?}");
        assert_eq!(
            stage.send(request(&format!("/{number}/any")))?.status,
            200,
            "{mode:?}"
        );
        let refused = stage.send(request(&format!("/{number}")))?.status;
        assert!([401, 503].contains(&refused), "{mode:?}: {refused}");
    }
    let own = Claims::of("https://q.example").signed_by(&key());
    assert_well(&stage, bearer("/q", &own))
}

#[test]
fn a_key_server_that_hangs_dies_lies_or_floods_lets_nobody_in_and_is_got_over() -> Result<()> {
    let (issuers, stage) = failing(&json!({}))?;
    let request = |number: usize, issuer: &Issuer| {
        bearer(
            &format!("/{number}"),
            &Claims::of(issuer.name()).signed_by(&key()),
        )
    };
    for (number, (mode, issuer)) in issuers.iter().enumerate() {
        let refused = stage.send(request(number, issuer))?;
        assert!([401, 503].contains(&refused.status), "{mode:?}: {refused}");
        issuer.set(Mode::Well);
    }
    assert_eq!(stage.upstream().count(), 0);

    for (number, (mode, issuer)) in issuers.iter().enumerate() {
        // Whoever has failed for long is asked again within a minute.
        let what = format!("a token to pass after {mode:?}");
        wait_for(&what, Duration::from_secs(90), || {
            let status = stage.send(request(number, issuer))?.status;
            Ok((status == 200).then_some(()))
        })?;
    }
    let own = Claims::of("https://q.example").signed_by(&key());
    assert_well(&stage, bearer("/q", &own))
}

#[test]
fn a_key_set_without_the_key_lets_nobody_in() -> Result<()> {
    let issuer = Issuer::start(ISSUER, &[&Key::other_p256().with_id("other")])?;
    let config = config(&issuer, &remote(&issuer, "issuer"))?;
    let stage = Stage::start(&config)?;
    for _ in 0..3 {
        assert_eq!(stage.send(bearer("/", &good()))?.status, 401);
    }
    assert_eq!(stage.upstream().count(), 0);
    Ok(())
}

#[test]
fn a_storm_of_unknown_key_ids_costs_a_fetch_and_not_one_each() -> Result<()> {
    let issuer = Issuer::start(ISSUER, &[&key()])?;
    let config = config(&issuer, &remote(&issuer, "issuer"))?.concurrency(4);
    let stage = Stage::start(&config)?;
    assert_eq!(stage.send(bearer("/", &good()))?.status, 200);
    let before = issuer.key_fetches();

    let attacker = Key::fresh();
    let storm = (0..200).map(|number| {
        let kid = format!("unknown-{number}");
        bearer(
            "/",
            &Claims::of(ISSUER).signed_by(&attacker.clone().with_id(&kid)),
        )
    });
    for requests in storm.collect::<Vec<_>>().chunks(20) {
        for response in stage.client().send_all(requests.to_vec()) {
            assert_eq!(response?.status, 401);
        }
    }

    let fetches = issuer.key_fetches() - before;
    assert!(fetches <= 2, "{fetches} fetches for 200 tokens");
    assert_well(&stage, bearer("/", &good()))
}

#[test]
fn a_token_refused_for_an_unknown_key_passes_once_the_key_is_there() -> Result<()> {
    let issuer = Issuer::start(ISSUER, &[&key()])?;
    let mut provider = remote(&issuer, "issuer");
    provider["remote_jwks"]["unknown_key_refetch_interval"] = json!("1s");
    let config = config(&issuer, &provider)?;
    let stage = Stage::start(&config)?;
    let old = good();
    assert_eq!(stage.send(bearer("/", &old))?.status, 200);
    let next = Key::fresh().with_id("next");
    let token = Claims::of(ISSUER).signed_by(&next);
    assert_eq!(stage.send(bearer("/", &token))?.status, 401);

    issuer.publish(&[&next]);

    // A forged token has the keys fetched, too. With the old key its tokens are gone, the
    // remembered ones as well, and before another is remembered.
    let forged = Claims::of(ISSUER).signed_by(&Key::fresh().with_id("next"));
    wait_for("the old key to be gone", DEADLINE, || {
        assert_eq!(stage.send(bearer("/", &forged))?.status, 401);
        let status = stage.send(bearer("/", &old))?.status;
        Ok((status == 401).then_some(()))
    })?;
    assert_eq!(stage.send(bearer("/", &token))?.status, 200);
    Ok(())
}
