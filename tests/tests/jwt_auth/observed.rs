//! What operators, callers and later filters see.

use anyhow::{Context, Result};
use legation_tests::jwt::{Claims, Key, jwks};
use legation_tests::{Config, DEADLINE, Request, Stage, wait_for};
use serde_json::{Value, json};

use super::{FILTER, ISSUER, bearer, local};

fn key() -> Key {
    Key::p256().with_id("k")
}

fn good() -> String {
    Claims::of(ISSUER).signed_by(&key())
}

fn expired() -> String {
    Claims::of(ISSUER).expires_in(-1000).signed_by(&key())
}

fn start(provider: Value, more: Value) -> Result<Stage> {
    Ok(Stage::start(&config(provider, more)?.shared())?)
}

fn config(provider: Value, more: Value) -> Result<Config> {
    let mut own = json!({"issuer": ISSUER, "local_jwks": local(&jwks(&[&key()]))});
    extend(&mut own, provider);
    let mut configuration = json!({
        "providers": {"p": own},
        "rules": [{"requires": {"provider_name": "p"}}],
    });
    extend(&mut configuration, more);
    Config::with_filter(FILTER, configuration)
}

fn extend(value: &mut Value, more: Value) {
    let all = value.as_object_mut().expect("an object");
    all.extend(more.as_object().expect("an object").clone());
}

#[test]
fn report_lets_all_pass_counts_and_logs_and_changes_nothing() -> Result<()> {
    let provider = json!({"claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}]});
    let stage = start(provider, json!({"mode": "report", "stat_prefix": "report"}))?;
    let (good, expired) = (good(), expired());

    for request in [
        Request::get("/"),
        bearer("/", &expired),
        bearer("/", "garbage"),
        Request::get(&format!("/?access_token={good}&a=b")),
        bearer("/", &good),
    ] {
        let before = request.to_string();
        let exchange = stage.exchange(request.header("x-sub", "forged"))?;
        assert_eq!(exchange.response.status, 200, "{before}");
        let arrived = exchange.arrived()?;
        // What came arrives, but for what may not come from outside.
        for line in before
            .lines()
            .filter(|line| line.starts_with("authorization"))
        {
            assert!(arrived.to_string().contains(line), "{arrived}");
        }
        assert!(
            before.starts_with(&format!("GET {}\n", arrived.path)),
            "{arrived}"
        );
        assert!(!arrived.headers.contains("x-sub"), "{arrived}");
    }
    stage.wait_for_count("report.allowed", 2)?;
    stage.wait_for_count("report.denied", 3)?;
    stage.wait_for_count("report.refused.provider=p;.reason=expired;", 1)?;
    stage.wait_for_count("report.trusted_headers_stripped", 5)?;
    stage.envoy().wait_for_log("would be refused", DEADLINE)?;
    Ok(())
}

#[test]
fn refusals_are_counted_by_provider_and_reason() -> Result<()> {
    let provider = json!({"audiences": ["api"], "require_expiration": true});
    let stage = start(provider, json!({"stat_prefix": "edge.jwt"}))?;
    let of = |claims: Claims| claims.signed_by(&key());
    let api = || Claims::of(ISSUER).audience("api");
    for (token, status) in [
        (of(api()), 200),
        (of(api().audience("other")), 403),
        (of(api().expires_in(-1000)), 401),
        (of(api().claim("nbf", 99_999_999_999_u64)), 401),
        (of(api().without("exp")), 401),
        (of(api().claim("iss", "https://evil.example")), 401),
        (api().signed_by(&Key::fresh().with_id("k")), 401),
        (api().signed_by(&Key::fresh().with_id("other")), 401),
        ("garbage".to_owned(), 401),
    ] {
        assert_eq!(stage.send(bearer("/", &token))?.status, status);
    }
    assert_eq!(stage.send(Request::get("/"))?.status, 401);

    for (counter, value) in [
        ("allowed", 1),
        ("denied", 9),
        ("refused.provider=p;.reason=missing;", 1),
        ("refused.provider=p;.reason=malformed;", 1),
        ("refused.provider=p;.reason=audience;", 1),
        ("refused.provider=p;.reason=expired;", 1),
        ("refused.provider=p;.reason=not_yet_valid;", 1),
        ("refused.provider=p;.reason=no_expiration;", 1),
        ("refused.provider=p;.reason=unknown_issuer;", 1),
        ("refused.provider=p;.reason=signature;", 1),
        ("refused.provider=p;.reason=unknown_key;", 1),
    ] {
        stage
            .wait_for_count(&format!("edge.jwt.{counter}"), value)
            .with_context(|| format!("{:#?}", stage.admin().stats_with_prefix("wasmcustom")))?;
    }
    let scraped = stage.admin().prometheus()?;
    let line = r#"edge_jwt_refused{provider="p",reason="expired"} 1"#;
    assert!(scraped.contains(line), "{scraped}");
    Ok(())
}

#[test]
fn a_token_seen_before_is_found_again_on_each_worker() -> Result<()> {
    let stage = Stage::start(&config(json!({}), json!({}))?.concurrency(4))?;
    let token = good();
    for _ in 0..40 {
        // A connection of its own each, so that all workers have some.
        let response = stage.envoy().client()?.send(bearer("/", &token))?;
        assert_eq!(response.status, 200);
    }
    stage.wait_for_count("jwt_auth.allowed", 40)?;
    let hits = stage
        .admin()
        .stat("wasmcustom.jwt_auth.jwt_cache_hit")?
        .unwrap_or(0);
    let misses = stage
        .admin()
        .stat("wasmcustom.jwt_auth.jwt_cache_miss")?
        .unwrap_or(0);
    assert_eq!(hits + misses, 40);
    assert!((1..=4).contains(&misses), "{misses} misses on 4 workers");
    Ok(())
}

#[test]
fn a_remembered_token_expires_all_the_same() -> Result<()> {
    let stage = start(json!({"clock_skew_seconds": 1}), json!({}))?;
    let token = Claims::of(ISSUER).expires_in(2).signed_by(&key());
    assert_eq!(stage.send(bearer("/", &token))?.status, 200);
    assert_eq!(stage.send(bearer("/", &token))?.status, 200);
    let refused = wait_for("the token to expire", DEADLINE, || {
        let response = stage.send(bearer("/", &token))?;
        Ok((response.status != 200).then_some(response))
    })?;
    assert_eq!(
        (refused.status, refused.text()),
        (401, "Jwt is expired".to_owned())
    );
    Ok(())
}

#[test]
fn the_access_log_shows_the_payload_the_header_and_the_reason() -> Result<()> {
    let provider = json!({
        "payload_in_filter_state": "jwt.payload",
        "header_in_filter_state": "jwt.header",
        "failed_status_in_filter_state": "jwt.failed",
    });
    let config = config(provider, json!({}))?.hcm(&json!({"access_log": [{
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": {
                "path": "%REQ(:PATH)%",
                "payload": "%FILTER_STATE(wasm.jwt.payload:PLAIN)%",
                "header": "%FILTER_STATE(wasm.jwt.header:PLAIN)%",
                "failed": "%FILTER_STATE(wasm.jwt.failed:PLAIN)%",
                "details": "%RESPONSE_CODE_DETAILS%",
            }},
        },
    }]}));
    let stage = Stage::start(&config.shared())?;
    let claims = Claims::of(ISSUER).claim("quote", "a\"\r\n}");
    stage.send(bearer("/good", &claims.signed_by(&key())))?;
    stage.send(bearer("/expired", &expired()))?;
    stage.send(Request::get("/missing"))?;

    // Envoy writes it every ten seconds.
    let lines = wait_for("three lines of the access log", DEADLINE, || {
        let log = stage.envoy().access_log();
        // Those of others who share this Envoy are no JSON.
        let lines = log.lines().filter(|line| line.starts_with('{'));
        let lines: Vec<_> = lines.map(str::to_owned).collect();
        Ok((lines.len() >= 3).then_some(lines))
    })?;
    let line = |path: &str| -> Result<Value> {
        let parsed = lines.iter().map(|line| serde_json::from_str::<Value>(line));
        let found = parsed
            .filter_map(Result::ok)
            .find(|line| line["path"] == path);
        found.with_context(|| format!("{path} in {lines:#?}"))
    };
    let inner = |value: &Value| -> Result<Value> {
        Ok(serde_json::from_str(value.as_str().context("text")?)?)
    };
    let good = line("/good")?;
    assert_eq!(inner(&good["payload"])?, claims.to_value());
    assert_eq!(inner(&good["header"])?, json!({"alg": "ES256", "kid": "k"}));
    assert_eq!(good["failed"], Value::Null);
    let expired = line("/expired")?;
    assert_eq!(expired["payload"], Value::Null);
    assert_eq!(inner(&expired["failed"])?["reason"], "expired");
    assert!(
        expired["details"].to_string().contains("Jwt_is_expired"),
        "{expired}"
    );
    assert_eq!(inner(&line("/missing")?["failed"])?["reason"], "missing");
    Ok(())
}

#[test]
fn a_later_filter_reads_the_payload() -> Result<()> {
    let tag = json!({"rules": [{"request": {"set": {"x-t-state": "%ATTRIBUTE(filter_state['wasm.jwt'])%"}}}]});
    let config = config(json!({"payload_in_filter_state": "jwt"}), json!({}))?
        .insert_filter(legation_tests::wasm_filter("header-tag", tag));
    let stage = Stage::start(&config.shared())?;
    let exchange = stage.exchange(bearer("/", &good()))?;
    let state = exchange
        .arrived()?
        .headers
        .text("x-t-state")
        .context("the state")?;
    assert_eq!(serde_json::from_str::<Value>(&state)?["sub"], "alice");
    Ok(())
}

#[test]
fn claims_that_nobody_verified_are_none_to_later_filters() -> Result<()> {
    let provider = json!({
        "payload_in_filter_state": "jwt",
        "header_in_filter_state": "jwt_header",
        "claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}],
    });
    let rules = json!({"rules": [
        {"match": {"path": "/extracted"}, "requires": {"extract_only_without_validation": {}}},
        {"match": {"path": "/any"}, "requires": {"allow_missing_or_failed": {}}},
        {"requires": {"provider_name": "p"}},
    ]});
    let tag = json!({"rules": [{"request": {"set": {
        "x-user": "%JWT_CLAIM(jwt:sub)%",
        "x-algorithm": "%JWT_CLAIM(jwt_header:alg)%",
    }}}]});
    let config =
        config(provider, rules)?.insert_filter(legation_tests::wasm_filter("header-tag", tag));
    let stage = Stage::start(&config.shared())?;
    let forged = Claims::of(ISSUER).signed_by(&Key::fresh().with_id("k"));
    for (path, token, verified, extracted) in [
        ("/", &good(), true, false),
        ("/any", &good(), true, false),
        ("/any", &forged, false, false),
        ("/extracted", &forged, false, true),
        ("/extracted", &good(), false, true),
    ] {
        let request = bearer(path, token).header("x-user", "admin");
        let exchange = stage.exchange(request)?;

        let arrived = &exchange.arrived()?.headers;
        let of = |name: &str| arrived.text(name);
        let user = verified.then(|| "alice".to_owned());
        assert_eq!(of("x-user"), user, "{path}: {arrived:?}");
        assert_eq!(of("x-algorithm").is_some(), verified, "{path}: {arrived:?}");
        // Headers say whose word it is.
        let mark = extracted.then(|| "false".to_owned());
        assert_eq!(of("x-jwt-signature-verified"), mark, "{path}: {arrived:?}");
        assert_eq!(of("x-sub").is_some(), verified || extracted, "{path}");
    }
    Ok(())
}

#[test]
fn grpc_calls_are_refused_as_grpc_has_it() -> Result<()> {
    let stage = start(json!({"audiences": ["api"]}), json!({}))?;
    let call = |token: Option<&str>| {
        let mut request = Request::post("/package.Service/Method", [0_u8; 5])
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        stage.send_http2(request)
    };
    let other = Claims::of(ISSUER).audience("other").signed_by(&key());
    for (token, status, message) in [
        // 16 is UNAUTHENTICATED, 7 is PERMISSION_DENIED.
        (None, "16", "Jwt is missing"),
        (Some(expired()), "16", "Jwt is expired"),
        (Some(other), "7", "Audiences in Jwt are not allowed"),
    ] {
        let response = call(token.as_deref())?;
        assert_eq!(response.status, 200, "{response}");
        let field = |name: &str| {
            let of_headers = response.headers.text(name);
            of_headers.or_else(|| response.trailers.text(name))
        };
        assert_eq!(field("grpc-status").as_deref(), Some(status), "{response}");
        let told = field("grpc-message")
            .unwrap_or_default()
            .replace("%20", " ");
        assert_eq!(told, message);
    }
    Ok(())
}

#[test]
fn challenges_tell_what_the_rfcs_have_them_tell() -> Result<()> {
    let provider = json!({"audiences": ["api"], "required_scopes": ["read", "write"]});
    let stage = start(provider, json!({"realm": "the realm"}))?;
    let challenge = |request: Request| -> Result<(u16, String)> {
        let response = stage.send(request)?;
        let challenge = response
            .headers
            .text("www-authenticate")
            .unwrap_or_default();
        Ok((response.status, challenge))
    };
    let scope = |scope: &str| {
        Claims::of(ISSUER)
            .audience("api")
            .claim("scope", scope)
            .signed_by(&key())
    };

    // RFC 6750, section 3.1: no error where no token came.
    let (status, missing) = challenge(Request::get("/"))?;
    assert_eq!(status, 401);
    assert!(
        missing.starts_with(r#"Bearer realm="the realm""#),
        "{missing}"
    );
    assert!(!missing.contains("error"), "{missing}");
    let (status, invalid) = challenge(bearer("/", &expired()))?;
    assert_eq!(status, 401);
    assert!(invalid.contains(r#"error="invalid_token""#), "{invalid}");
    let (status, scopes) = challenge(bearer("/", &scope("read")))?;
    assert_eq!(status, 403);
    assert!(scopes.contains(r#"error="insufficient_scope""#), "{scopes}");
    assert!(scopes.contains(r#"scope="read write""#), "{scopes}");
    assert_eq!(
        stage.send(bearer("/", &scope("write other read")))?.status,
        200
    );
    Ok(())
}

#[test]
fn refusals_can_keep_their_reason_to_themselves() -> Result<()> {
    let stage = start(json!({}), json!({"strip_failure_response": true}))?;
    for request in [Request::get("/"), bearer("/", &expired())] {
        let response = stage.send(request)?;
        assert_eq!((response.status, response.text()), (401, String::new()));
        assert!(!response.headers.contains("www-authenticate"), "{response}");
    }
    Ok(())
}

#[test]
fn no_log_line_and_no_metric_holds_a_token_or_a_key() -> Result<()> {
    let secret = "a-secret-that-no-log-should-hold-!";
    let set = jwks(&[&key(), &Key::hmac(secret).with_id("s")]);
    let provider = json!({"local_jwks": local(&set), "claim_to_headers": [
        {"header_name": "x-sub", "claim_name": "sub"},
    ]});
    let config = config(provider, json!({}))?.log_level("warning", "wasm:trace");
    let stage = Stage::start(&config)?;
    let claims = Claims::of(ISSUER).claim("sub", "a-very-private-person");
    let tokens = [
        claims.signed_by(&key()),
        claims.clone().expires_in(-1000).signed_by(&key()),
        claims.signed_by(&Key::fresh().with_id("k")),
        claims.signed_by(&Key::fresh().with_id("a-very-private-kid")),
        claims.signed_by(&Key::hmac(secret).with_id("s")),
        claims
            .claim("iss", "https://very-private.example")
            .signed_by(&key()),
    ];
    for token in &tokens {
        stage.send(bearer("/", token))?;
        stage.send(Request::get(&format!("/?access_token={token}")))?;
    }
    stage.wait_for_count("jwt_auth.denied", 8)?;

    let log = stage.envoy().module_log().join("\n");
    let stats = format!("{:?}", stage.admin().stats()?);
    for text in [log, stats] {
        for token in &tokens {
            for part in token.split('.') {
                assert!(!text.contains(part), "{text}");
            }
        }
        for private in [
            "very-private",
            secret,
            &legation_tests::jwt::base64url(secret),
        ] {
            assert!(!text.contains(private), "{private}: {text}");
        }
    }
    Ok(())
}
