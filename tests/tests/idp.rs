//! The identity provider of the harness gives what tests ask it for.

use anyhow::Result;
use legation_tests::Request;
use legation_tests::idp::{Idp, JWT, JWT_RS256, OPAQUE};
use legation_tests::jwt::{Key, from_base64url};
use serde_json::{Value, json};

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("a part");
    serde_json::from_slice(&from_base64url(part)).expect("JSON")
}

#[test]
fn it_gives_tokens_of_every_kind() -> Result<()> {
    let idp = Idp::start()?;
    let metadata = idp
        .send(Request::get("/.well-known/openid-configuration"))?
        .json()?;
    assert_eq!(metadata["issuer"], idp.issuer());
    assert_eq!(metadata["jwks_uri"], idp.uri("/jwks"));
    assert_eq!(
        metadata["introspection_endpoint"],
        idp.uri("/token/introspection")
    );

    for (resource, algorithm) in [(JWT, "ES256"), (JWT_RS256, "RS256")] {
        let grant = idp.client_credentials(resource, "orders:read")?;
        assert_eq!(
            (grant.token_type.as_str(), grant.scope.as_str()),
            ("Bearer", "orders:read")
        );
        let (header, claims) = (part(&grant.access_token, 0), part(&grant.access_token, 1));
        assert_eq!(
            (&header["alg"], &header["typ"]),
            (&json!(algorithm), &json!("at+jwt"))
        );
        assert_eq!(
            (&claims["iss"], &claims["aud"]),
            (&json!(idp.issuer()), &json!(resource))
        );
    }

    let opaque = idp.client_credentials(OPAQUE, "orders:read orders:write")?;
    assert!(!opaque.access_token.contains('.'));
    let known = idp.introspect(&opaque.access_token)?;
    assert_eq!(
        (&known["active"], &known["scope"]),
        (&json!(true), &json!("orders:read orders:write"))
    );
    idp.revoke(&opaque.access_token)?;
    assert_eq!(
        idp.introspect(&opaque.access_token)?,
        json!({"active": false})
    );

    let key = Key::p256();
    let bound = idp.bound_to(&key, JWT, "orders:read")?;
    assert_eq!(bound.token_type, "DPoP");
    assert_eq!(part(&bound.access_token, 1)["cnf"]["jkt"], key.thumbprint());
    let bound = idp.bound_to(&key, OPAQUE, "orders:read")?;
    assert_eq!(
        idp.introspect(&bound.access_token)?["cnf"]["jkt"],
        key.thumbprint()
    );
    Ok(())
}

#[test]
fn it_takes_clients_of_the_tests_own_and_says_what_is_wrong_with_them() -> Result<()> {
    let client = json!({
        "client_id": "browser",
        "client_secret": "x",
        "redirect_uris": ["https://app.example/callback"],
    });
    let idp = Idp::start_with(&json!({"clients": [client]}))?;
    let path = "/auth?client_id=browser&response_type=code&scope=openid\
                &redirect_uri=https://app.example/callback&code_challenge_method=S256\
                &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let response = idp.send(Request::get(path))?;
    assert_eq!(response.status, 303, "{response}");
    let form = response.headers.text("location").unwrap_or_default();
    assert!(
        form.starts_with("/interaction/") || form.starts_with(&idp.uri("/interaction/")),
        "{form}"
    );

    let twice = json!([{"client_id": "a"}, {"client_id": "a"}]);
    let settings = json!({"configuration": {"clients": twice}});
    let error = format!("{:#}", Idp::start_with(&settings).unwrap_err());
    assert!(error.contains("client"), "{error}");
    Ok(())
}
