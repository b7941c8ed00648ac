//! Tokens of a real identity provider: by its metadata, by its key set, by asking it.

use anyhow::{Context, Result};
use legation_tests::idp::{GATEWAY, Idp, JWT, JWT_RS256, OPAQUE, SECRET, proof};
use legation_tests::jwt::Key;
use legation_tests::{Config, DEADLINE, Request, Response, Stage, wait_for};
use serde_json::json;

use super::FILTER;

/// How clients call the gateway.
const HOST: &str = "api.example";

/// The gateway before three kinds of tokens of one provider: `/jwt` finds the keys by
/// discovery, `/rs256` by their URL, `/opaque` asks about each token.
fn gateway(idp: &Idp) -> Result<Stage> {
    let uri = |path: &str| json!({"uri": idp.uri(path), "cluster": "provider", "timeout": "10s"});
    let requires = |path: &str, provider: &str| {
        json!({
            "match": {"path": {"prefix": path}},
            "requires": {"provider_name": provider},
            "required_scopes": "orders:read",
        })
    };
    let configuration = json!({
        "providers": {
            "discovered": {
                "issuer": idp.issuer(),
                "audiences": [JWT],
                "openid_configuration": {"cluster": "provider"},
                "profile": "rfc9068",
                "claim_to_headers": [{"header_name": "x-client", "claim_name": "client_id"}],
            },
            "fetched": {
                "issuer": idp.issuer(),
                "audiences": [JWT_RS256],
                "remote_jwks": {"http_uri": uri("/jwks")},
                "allowed_algorithms": ["RS256"],
            },
            "asked": {
                "issuer": idp.issuer(),
                "audiences": [OPAQUE],
                "introspection": {
                    "http_uri": uri("/token/introspection"),
                    "client_id": GATEWAY,
                    "client_secret": {"inline_string": SECRET},
                    "cache": {"ttl": "1s", "negative_ttl": "1s"},
                },
                "claim_to_headers": [{"header_name": "x-client", "claim_name": "client_id"}],
            },
        },
        "rules": [
            requires("/jwt", "discovered"),
            requires("/rs256", "fetched"),
            requires("/opaque", "asked"),
        ],
    });
    let config = Config::with_filter(FILTER, configuration)?;
    let config = config.add_endpoint("provider", idp.address());
    Ok(Stage::start(&config.shared())?)
}

fn bearer(path: &str, token: &str) -> Request {
    let request = Request::get(path).host(HOST);
    request.header("authorization", format!("Bearer {token}"))
}

/// A request with a proof by this key, for this path.
fn with_proof(path: &str, token: &str, key: &Key, proven: &str) -> Request {
    let proof = proof(key, "GET", &format!("http://{HOST}{proven}"), Some(token));
    let request = Request::get(path).host(HOST);
    let request = request.header("authorization", format!("DPoP {token}"));
    request.header("dpop", proof)
}

fn challenge(response: &Response) -> String {
    let all = response.headers.all("www-authenticate");
    let all = all
        .iter()
        .map(|value| String::from_utf8_lossy(value).into_owned());
    all.collect::<Vec<_>>().join("\n")
}

#[test]
fn its_json_web_tokens_are_taken_by_keys_that_were_found() -> Result<()> {
    let idp = Idp::start()?;
    let stage = gateway(&idp)?;
    for (path, resource) in [("/jwt", JWT), ("/rs256", JWT_RS256)] {
        let token = idp
            .client_credentials(resource, "orders:read")?
            .access_token;
        for _ in 0..2 {
            let exchange = stage.exchange(bearer(path, &token))?;
            assert_eq!(exchange.response.status, 200, "{}", exchange.response);
            assert!(!exchange.arrived()?.headers.contains("authorization"));
        }

        let other = idp
            .client_credentials(resource, "orders:write")?
            .access_token;
        let response = stage.send(bearer(path, &other))?;
        assert_eq!(response.status, 403, "{response}");
        let challenge = challenge(&response);
        assert!(
            challenge.contains(r#"error="insufficient_scope""#),
            "{challenge}"
        );
        assert!(challenge.contains(r#"scope="orders:read""#), "{challenge}");

        let mut forged = token.clone().into_bytes();
        let last = forged.last_mut().context("a signature")?;
        *last = if *last == b'A' { b'Q' } else { b'A' };
        let forged = String::from_utf8(forged)?;
        assert_eq!(stage.send(bearer(path, &forged))?.status, 401);
    }
    let elsewhere = idp
        .client_credentials(JWT_RS256, "orders:read")?
        .access_token;
    assert_eq!(stage.send(bearer("/jwt", &elsewhere))?.status, 403);

    let token = idp.client_credentials(JWT, "orders:read")?.access_token;
    let exchange = stage.exchange(bearer("/jwt", &token).header("x-client", "forged"))?;
    assert_eq!(exchange.arrived()?.headers.all("x-client"), [b"service"]);
    Ok(())
}

#[test]
fn its_opaque_tokens_are_taken_until_they_are_revoked() -> Result<()> {
    let idp = Idp::start()?;
    let stage = gateway(&idp)?;
    let token = idp.client_credentials(OPAQUE, "orders:read")?.access_token;
    let exchange = stage.exchange(bearer("/opaque", &token))?;
    assert_eq!(exchange.response.status, 200, "{}", exchange.response);
    assert_eq!(exchange.arrived()?.headers.all("x-client"), [b"service"]);

    let other = idp.client_credentials(OPAQUE, "orders:write")?.access_token;
    assert_eq!(stage.send(bearer("/opaque", &other))?.status, 403);
    assert_eq!(stage.send(bearer("/opaque", "made-up"))?.status, 401);
    assert_eq!(stage.send(bearer("/jwt", &token))?.status, 401);

    idp.revoke(&token)?;
    wait_for("the revoked token to be refused", DEADLINE, || {
        let status = stage.send(bearer("/opaque", &token))?.status;
        Ok((status == 401).then_some(()))
    })
}

#[test]
fn its_bound_tokens_are_taken_from_whoever_holds_the_key() -> Result<()> {
    let idp = Idp::start()?;
    let stage = gateway(&idp)?;
    let (own, other) = (Key::p256(), Key::other_p256());
    for (path, resource) in [("/jwt", JWT), ("/opaque", OPAQUE)] {
        let token = idp.bound_to(&own, resource, "orders:read")?.access_token;
        for _ in 0..2 {
            let exchange = stage.exchange(with_proof(path, &token, &own, path))?;
            assert_eq!(exchange.response.status, 200, "{}", exchange.response);
            assert!(!exchange.arrived()?.headers.contains("authorization"));
        }

        let once = with_proof(path, &token, &own, path);
        assert_eq!(stage.send(once.clone())?.status, 200);
        let unproven = Request::get(path).host(HOST);
        let unproven = unproven.header("authorization", format!("DPoP {token}"));
        for (what, request, error) in [
            (
                "another key",
                with_proof(path, &token, &other, path),
                "invalid_token",
            ),
            (
                "another path",
                with_proof(path, &token, &own, "/else"),
                "invalid_dpop_proof",
            ),
            ("the same proof again", once, "invalid_dpop_proof"),
            ("no proof", unproven, "invalid_dpop_proof"),
            ("as a bearer", bearer(path, &token), "invalid_token"),
        ] {
            let response = stage.send(request)?;
            assert_eq!(response.status, 401, "{path}, {what}: {response}");
            let challenge = challenge(&response);
            assert!(challenge.contains("DPoP"), "{path}, {what}: {challenge}");
            let error = format!("error=\"{error}\"");
            assert!(challenge.contains(&error), "{path}, {what}: {challenge}");
        }

        // A token that is bound to nothing needs no proof, and gets none.
        let free = idp
            .client_credentials(resource, "orders:read")?
            .access_token;
        assert_eq!(stage.send(bearer(path, &free))?.status, 200);
        let response = stage.send(with_proof(path, &free, &own, path))?;
        assert_eq!(response.status, 401, "{response}");
    }
    Ok(())
}
