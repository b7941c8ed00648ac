use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

fn read<T: Deserr<ConfigErrors>>(value: &Value) -> Result<T, String> {
    config::parse(value.to_string().as_bytes()).map_err(|errors| errors.to_string())
}

fn claims(value: &Value) -> Claims {
    value.as_object().unwrap().clone()
}

#[wasm_bindgen_test(unsupported = test)]
fn scopes_are_words_or_elements_of_scope_and_scp() {
    let all = json!(["orders:read", "orders:write"]);
    let any = json!({"any": ["orders:read", "orders:write"]});
    for (token, has_all, has_any) in [
        (json!({"scope": "orders:read orders:write"}), true, true),
        (
            json!({"scope": "openid orders:write x orders:read"}),
            true,
            true,
        ),
        (
            json!({"scope": ["orders:read", "orders:write"]}),
            true,
            true,
        ),
        (json!({"scp": "orders:read orders:write"}), true, true),
        (json!({"scp": ["orders:read", "orders:write"]}), true, true),
        (
            json!({"scope": "orders:read", "scp": ["orders:write"]}),
            true,
            true,
        ),
        (json!({"scope": "orders:read"}), false, true),
        (json!({"scp": ["orders:write"]}), false, true),
        (
            json!({"scope": "orders:reader orders:write2"}),
            false,
            false,
        ),
        (json!({"scope": "ORDERS:READ"}), false, false),
        (json!({"scope": "orders:read,orders:write"}), false, false),
        (json!({"scope": "orders:read\torders:write"}), false, false),
        (json!({"scope": ["orders:read orders:write"]}), false, false),
        (json!({"scope": {"orders:read": true}}), false, false),
        (json!({"scope": null}), false, false),
        (json!({"scopes": "orders:read orders:write"}), false, false),
        (json!({}), false, false),
    ] {
        let verdict = |required: &Value| {
            let required: RequiredScopes = read(required).unwrap();
            required.check(&claims(&token)).is_ok()
        };
        assert_eq!(verdict(&all), has_all, "{token}");
        assert_eq!(verdict(&json!({"all": all})), has_all, "{token}");
        assert_eq!(verdict(&any), has_any, "{token}");
    }
    let one: RequiredScopes = read(&json!("orders:read")).unwrap();
    assert_eq!(one.check(&claims(&json!({"scp": "orders:read"}))), Ok(()));
    assert_eq!(one.check(&claims(&json!({}))), Err(Insufficient::Scope));
    assert_eq!(
        read::<RequiredScopes>(&any).unwrap().to_challenge(),
        "orders:read orders:write"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn scopes_that_no_token_can_have_are_refused() {
    for (written, told) in [
        (json!([]), ""),
        (json!({"all": []}), ""),
        (json!("orders:read orders:write"), "not a scope"),
        (json!(["a", "b\"c"]), "[1]: not a scope"),
        (json!([""]), "not a scope"),
        (json!({"some": ["a"]}), "unknown"),
        (json!({"any": ["a"], "all": ["b"]}), "only one of these"),
        (json!(7), "expected"),
    ] {
        let errors = read::<RequiredScopes>(&written).unwrap_err();
        assert!(errors.contains(told), "{written}: {errors}");
    }
}

fn member() -> Claims {
    claims(&json!({
        "tenant": "acme",
        "level": 3,
        "ratio": 1.0,
        "admin": true,
        "empty": [],
        "nothing": null,
        "groups": ["dev", "ops", 7],
        "realm_access": {"roles": ["user", "editor"]},
        "resources": [{"name": "a", "rights": ["read"]}, {"name": "b", "rights": ["write"]}],
        "https://example.com/roles": ["boss"],
        "nested": [["deep"]],
    }))
}

#[wasm_bindgen_test(unsupported = test)]
fn a_claim_is_tested_where_it_stands() {
    let token = member();
    for (required, expected) in [
        // equals
        (json!({"claim_name": "tenant", "equals": "acme"}), true),
        (json!({"claim_name": "tenant", "equals": "acm"}), false),
        (json!({"claim_name": "tenant", "equals": "ACME"}), false),
        (json!({"claim_name": "level", "equals": 3}), true),
        (json!({"claim_name": "level", "equals": 3.0}), true),
        (json!({"claim_name": "level", "equals": "3"}), false),
        (json!({"claim_name": "level", "equals": 4}), false),
        (json!({"claim_name": "ratio", "equals": 1}), true),
        (json!({"claim_name": "admin", "equals": true}), true),
        (json!({"claim_name": "admin", "equals": false}), false),
        (json!({"claim_name": "admin", "equals": "true"}), false),
        (json!({"claim_name": "admin", "equals": 1}), false),
        (json!({"claim_name": "nothing", "equals": false}), false),
        // in, and of a list one element
        (
            json!({"claim_name": "tenant", "in": ["other", "acme"]}),
            true,
        ),
        (json!({"claim_name": "tenant", "in": ["other"]}), false),
        (json!({"claim_name": "groups", "equals": "ops"}), true),
        (json!({"claim_name": "groups", "equals": 7}), true),
        (
            json!({"claim_name": "groups", "in": ["admin", "dev"]}),
            true,
        ),
        (json!({"claim_name": "groups", "in": ["admin"]}), false),
        (json!({"claim_name": "empty", "in": ["admin"]}), false),
        (json!({"claim_name": "nested", "equals": "deep"}), false),
        // regex: the whole text
        (json!({"claim_name": "tenant", "regex": "a.*e"}), true),
        (json!({"claim_name": "tenant", "regex": "acm"}), false),
        (json!({"claim_name": "groups", "regex": "o.s"}), true),
        (json!({"claim_name": "level", "regex": "3"}), false),
        // contains: all of them, in a list
        (json!({"claim_name": "groups", "contains": "ops"}), true),
        (
            json!({"claim_name": "groups", "contains": ["ops", "dev", 7]}),
            true,
        ),
        (
            json!({"claim_name": "groups", "contains": ["ops", "admin"]}),
            false,
        ),
        (json!({"claim_name": "tenant", "contains": "acme"}), false),
        (json!({"claim_name": "tenant", "contains": "cm"}), false),
        (json!({"claim_name": "empty", "contains": "ops"}), false),
        // exists
        (json!({"claim_name": "tenant", "exists": true}), true),
        (json!({"claim_name": "empty", "exists": true}), true),
        (json!({"claim_name": "nothing", "exists": true}), false),
        (json!({"claim_name": "absent", "exists": true}), false),
        (json!({"claim_name": "absent", "exists": false}), true),
        (json!({"claim_name": "tenant", "exists": false}), false),
        (
            json!({"claim_name": "realm_access.groups", "exists": false}),
            true,
        ),
        // paths
        (
            json!({"claim_name": "realm_access.roles", "contains": "editor"}),
            true,
        ),
        (
            json!({"claim_path": ["realm_access", "roles"], "equals": "editor"}),
            true,
        ),
        (
            json!({"claim_path": ["realm_access.roles"], "exists": true}),
            false,
        ),
        (
            json!({"claim_path": ["https://example.com/roles"], "equals": "boss"}),
            true,
        ),
        (json!({"claim_name": "resources.name", "equals": "b"}), true),
        (
            json!({"claim_name": "resources.rights", "contains": "write"}),
            true,
        ),
        (
            json!({"claim_name": "resources.rights", "contains": ["read", "write"]}),
            false,
        ),
        (json!({"claim_name": "tenant.name", "exists": true}), false),
        (json!({"claim_name": "Tenant", "exists": true}), false),
    ] {
        let claim: RequiredClaim = read(&required).unwrap();
        let verdict = claim.check(&token);
        assert_eq!(verdict.is_ok(), expected, "{required}");
        assert!(expected || verdict == Err(Insufficient::Claim));
    }
    let claim: RequiredClaim = read(&json!({"claim_path": ["a", "b.c"], "exists": true})).unwrap();
    assert_eq!(claim.name(), "a.b.c");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_claim_has_one_name_and_one_test() {
    for (written, told) in [
        (
            json!({"claim_name": "a"}),
            "one of these must be given: equals, in, regex, contains, exists",
        ),
        (
            json!({"equals": "a"}),
            "one of these must be given: claim_name, claim_path",
        ),
        (
            json!({"claim_name": "a", "claim_path": ["a"], "equals": 1}),
            "only one of these",
        ),
        (
            json!({"claim_name": "a", "equals": 1, "exists": true}),
            "only one of these",
        ),
        (
            json!({"claim_name": "a..b", "exists": true}),
            "the name of a claim is missing",
        ),
        (
            json!({"claim_path": [""], "exists": true}),
            "the name of a claim is missing",
        ),
        (json!({"claim_name": "a", "in": []}), "in"),
        (json!({"claim_name": "a", "contains": []}), "contains"),
        (
            json!({"claim_name": "a", "equals": ["a"]}),
            "equals: expected a text",
        ),
        (json!({"claim_name": "a", "equals": null}), "equals"),
        (json!({"claim_name": "a", "regex": "("}), "regex"),
        (json!({"claim_name": "a", "exists": "yes"}), "exists"),
        (json!({"claim_name": "a", "matches": "b"}), "unknown field"),
    ] {
        let errors = read::<RequiredClaim>(&written).unwrap_err();
        assert!(errors.contains(told), "{written}: {errors}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_sign_in_must_be_strong_and_late_enough() {
    let now = UNIX_EPOCH.checked_add(Duration::from_secs(1_000)).unwrap();
    let both = json!({"acr_values": ["gold", "silver"], "max_age": "300s"});
    for (token, expected) in [
        (json!({"acr": "gold", "auth_time": 700}), true),
        (json!({"acr": "silver", "auth_time": 999.5}), true),
        (json!({"acr": "gold", "auth_time": 1_001}), true),
        (json!({"acr": "gold", "auth_time": 699}), false),
        (json!({"acr": "gold", "auth_time": -1}), false),
        (json!({"acr": "gold", "auth_time": 1e300}), false),
        (json!({"acr": "gold", "auth_time": "999"}), false),
        (json!({"acr": "gold"}), false),
        (json!({"acr": "bronze", "auth_time": 999}), false),
        (json!({"acr": ["gold"], "auth_time": 999}), false),
        (json!({"auth_time": 999}), false),
    ] {
        let required: RequiredAuthentication = read(&both).unwrap();
        let verdict = required.check(&claims(&token), now);
        assert_eq!(verdict.is_ok(), expected, "{token}");
    }
    for written in [
        json!({}),
        json!({"acr_values": []}),
        json!({"acr_values": ["a b"]}),
        json!({"max_age": "0s"}),
        json!({"max_age": 300}),
    ] {
        assert!(
            read::<RequiredAuthentication>(&written).is_err(),
            "{written}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_access_token_of_rfc_9068_has_its_type_and_its_claims() {
    // RFC 9068, section 3.
    let proper = json!({
        "iss": "https://authorization-server.example.com/",
        "sub": "5ba552d67",
        "aud": "https://rs.example.com/",
        "exp": 1_639_528_912,
        "iat": 1_618_354_090,
        "jti": "dbe39bf3a3ba4238a513f51d6e1691c4",
        "client_id": "s6BhdRkqt3",
        "scope": "openid profile reademail",
    });
    let profile: Profile = read(&json!("rfc9068")).unwrap();
    for (typ, expected) in [
        (Some("at+jwt"), Ok(())),
        (Some("application/at+jwt"), Ok(())),
        (Some("AT+JWT"), Ok(())),
        (Some("JWT"), Err(ProfileError::Type)),
        (Some("at+jwt "), Err(ProfileError::Type)),
        (Some("dpop+jwt"), Err(ProfileError::Type)),
        (None, Err(ProfileError::Type)),
    ] {
        assert_eq!(profile.check(typ, &claims(&proper)), expected, "{typ:?}");
    }
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        for wrong in [
            None,
            Some(json!(null)),
            Some(json!("")),
            Some(json!([])),
            Some(json!({})),
        ] {
            let mut token = claims(&proper);
            match &wrong {
                Some(value) => token.insert(name.to_owned(), value.clone()),
                None => token.remove(name),
            };
            let verdict = profile.check(Some("at+jwt"), &token);
            assert_eq!(verdict, Err(ProfileError::Claim(name)), "{wrong:?}");
        }
    }
    let mut several = claims(&proper);
    several.insert("aud".to_owned(), json!(["a", "b"]));
    assert_eq!(profile.check(Some("at+jwt"), &several), Ok(()));
    assert!(
        read::<Profile>(&json!("rfc9086"))
            .unwrap_err()
            .contains("did you mean `rfc9068`?")
    );
}
