use legation::config::parse;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

fn outputs(more: &Value) -> Outputs {
    let mut document = json!({
        "issuer": "https://login.example",
        "openid_configuration": {"cluster": "login"},
        "auth_type": "NONE",
        "credentials": {
            "client_id": "gateway",
            "cookie_secrets": [{"inline_string": "0123456789abcdef0123456789abcdef"}]
        }
    });
    let members = document.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    let config: Config = parse(document.to_string().as_bytes()).unwrap();
    Outputs::new(&config)
}

fn session(claims: &Value) -> Session {
    Session {
        access_token: Some("access".into()),
        id_token: Some("id".into()),
        claims: claims.as_object().unwrap().clone(),
        ..Session::default()
    }
}

fn headers(outputs: &Outputs, session: &Session) -> Vec<(String, String)> {
    let headers = outputs.headers(session);
    let text = |(name, value): &(HeaderName, Box<[u8]>)| {
        let value = String::from_utf8(value.to_vec()).unwrap();
        (name.to_string(), value)
    };
    headers.iter().map(text).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    expected.iter().map(owned).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn upstreams_get_what_is_said_and_no_more() {
    let session = session(&json!({"sub": "ann", "realm": {"roles": ["a", "b"]}, "age": 7}));
    for (more, expected) in [
        (json!({}), &[][..]),
        (
            json!({"forward_bearer_token": true}),
            &[("authorization", "Bearer access")],
        ),
        (
            json!({"forward_id_token": {"header": "x-id-token"}}),
            &[("x-id-token", "id")],
        ),
        (
            json!({"forward_id_token": {"header": "Authorization"}}),
            &[("authorization", "Bearer id")],
        ),
        (
            json!({"claim_to_headers": [
                {"header_name": "X-User", "claim_name": "sub"},
                {"header_name": "x-roles", "claim_name": "realm.roles", "list_separator": " "},
                {"header_name": "x-age", "claim_name": "age"},
                {"header_name": "x-none", "claim_name": "none"},
                {"header_name": "x-realm", "claim_name": "realm"}
            ]}),
            &[("x-user", "ann"), ("x-roles", "a b"), ("x-age", "7")],
        ),
    ] {
        assert_eq!(
            headers(&outputs(&more), &session),
            pairs(expected),
            "{more}"
        );
    }
    let none = Session::default();
    let all = json!({"forward_bearer_token": true, "forward_id_token": {"header": "x-id-token"}});
    assert_eq!(headers(&outputs(&all), &none), []);
}

#[wasm_bindgen_test(unsupported = test)]
fn no_claim_breaks_out_of_its_header() {
    let outputs = outputs(&json!({"claim_to_headers": [
        {"header_name": "x-user", "claim_name": "sub"},
        {"header_name": "x-roles", "claim_name": "roles"}
    ]}));
    for claims in [
        json!({"sub": "a\r\nx-admin: 1"}),
        json!({"sub": "a\u{0}"}),
        json!({"roles": ["a", "b,admin"]}),
        json!({"sub": "", "roles": []}),
    ] {
        assert_eq!(headers(&outputs, &session(&claims)), [], "{claims}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_upstreams_trust_is_stripped_under_every_spelling() {
    let outputs = outputs(&json!({
        "forward_id_token": {"header": "x-id-token"},
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}]
    }));
    let sent = ["x-user", "X_User", "x_id_token", "authorization", "x-users"];
    let found = (outputs.trusted()).find(sent.iter().map(|name| (name.as_bytes(), &b""[..])));
    assert_eq!(found, [&b"x-user"[..], b"X_User", b"x_id_token"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clients_own_authorization_stays_unless_it_is_preserved() {
    assert!(outputs(&json!({})).removes_authorization());
    assert!(outputs(&json!({"forward_bearer_token": true})).removes_authorization());
    assert!(!outputs(&json!({"preserve_authorization_header": true})).removes_authorization());
    // What needs no session of ours may have one of its own.
    let own = outputs(&json!({"forward_id_token": {"header": "authorization"}}));
    assert!(own.trusted().is_empty() && own.removes_authorization());
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_are_needed_where_they_are_forwarded() {
    let none = outputs(&json!({}));
    assert!(!none.needs_access_token() && !none.needs_id_token());
    assert!(outputs(&json!({"forward_bearer_token": true})).needs_access_token());
    assert!(outputs(&json!({"forward_id_token": {"header": "a"}})).needs_id_token());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_keeps_what_is_looked_at_and_nothing_else() {
    let outputs = outputs(&json!({
        "claim_to_headers": [
            {"header_name": "x-user", "claim_name": "sub"},
            {"header_name": "x-city", "claim_name": "address.city"}
        ],
        "allowed_groups": ["a"],
        "groups_claim": "realm.roles",
        "rules": [
            {"match": {"path": "/a"}, "allowed_email_domains": ["example.com"]},
            {"required_claims": [{"claim_path": ["list", "id"], "equals": 1}]}
        ]
    }));
    let kept = outputs.keep(
        json!({
            "sub": "ann",
            "name": "Ann",
            "address": {"city": "C", "street": "S"},
            "realm": {"roles": ["a", "b"], "other": 1},
            "email": "ann@example.com",
            "email_verified": true,
            "list": [{"id": 1, "more": 2}],
            "picture": "https://a.example/large.png"
        })
        .as_object()
        .unwrap(),
    );
    assert_eq!(
        Value::from(kept),
        json!({
            "sub": "ann",
            "address": {"city": "C"},
            "realm": {"roles": ["a", "b"]},
            "email": "ann@example.com",
            "email_verified": true,
            "list": [{"id": 1, "more": 2}]
        })
    );
    assert_eq!(outputs.keep(&Map::new()), Map::new());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_claim_and_a_part_of_it_are_kept_in_any_order() {
    for order in [["a", "a.b"], ["a.b", "a"]] {
        let claims = order.map(|name| json!({"claim_name": name, "exists": true}));
        let outputs = outputs(&json!({"required_claims": claims}));
        let whole = json!({"a": {"b": 1, "c": 2}});
        let kept = outputs.keep(whole.as_object().unwrap());
        assert_eq!(Value::from(kept), whole, "{order:?}");
    }
}

#[cfg(not(target_family = "wasm"))]
mod random {
    use legation_jose::claims_rules::RequiredClaim;
    use proptest::prelude::*;

    use super::*;

    /// JSON of few names, so that paths lead somewhere.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            Just(json!(1)),
            Just(json!("x")),
            Just(json!(true))
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[abc]", inner, 0..3)
                    .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        /// What is decided by what is kept is what is decided by all.
        #[test]
        fn what_is_kept_decides_as_all_would(
            value in prop::collection::btree_map("[abc]", values(), 0..3),
            paths in prop::collection::vec(prop::collection::vec("[abc]", 1..4), 1..4),
            test in 0..4_usize,
        ) {
            let claims: Map<String, Value> = value.into_iter().collect();
            let rules: Vec<Value> = paths.iter().map(|path| match test {
                0 => json!({"claim_path": path, "equals": 1}),
                1 => json!({"claim_path": path, "exists": false}),
                2 => json!({"claim_path": path, "contains": "x"}),
                _ => json!({"claim_path": path, "exists": true}),
            }).collect();
            let outputs = outputs(&json!({"required_claims": rules}));
            let kept = outputs.keep(&claims);
            for rule in rules {
                let rule: RequiredClaim = parse(rule.to_string().as_bytes()).unwrap();
                prop_assert_eq!(rule.check(&claims).is_ok(), rule.check(&kept).is_ok());
            }
        }
    }
}
