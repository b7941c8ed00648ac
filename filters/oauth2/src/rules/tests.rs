use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::sent::Sent;

fn get(path: &str) -> Sent<String> {
    Sent(vec![
        (":method", "GET".to_owned()),
        (":path", path.to_owned()),
    ])
}

fn rules(more: &Value) -> Rules {
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
    let text = document.to_string();
    let config: Config = legation::config::parse(text.as_bytes()).unwrap();
    Rules::new(&config)
}

fn verdict(rules: &Rules, path: &str) -> Verdict {
    let Ok(verdict) = rules.of(&mut get(path));
    verdict
}

fn may(rules: &Rules, path: &str, claims: &Value) -> Result<(), Denied> {
    rules.check(&verdict(rules, path), claims.as_object().unwrap())
}

#[wasm_bindgen_test(unsupported = test)]
fn without_rules_every_request_needs_a_session() {
    let rules = rules(&json!({}));
    let verdict = verdict(&rules, "/a");
    assert!(!verdict.is_exempt() && !verdict.allows_failed() && !verdict.denies_redirect());
    assert_eq!(rules.check(&verdict, &Map::new()), Ok(()));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_first_rule_that_matches_decides_beside_what_is_demanded_of_all() {
    let rules = rules(&json!({
        "allowed_groups": ["staff"],
        "rules": [
            {"match": {"path": "/admin/help"}},
            {"match": {"path": {"prefix": "/admin/"}}, "allowed_groups": ["admins"]},
            {"required_claims": [{"claim_name": "tenant", "equals": "a"}]}
        ]
    }));
    let staff = json!({"groups": ["staff"]});
    let admins = json!({"groups": ["admins", "staff"]});
    let tenant = json!({"groups": ["staff"], "tenant": "a"});
    for (path, claims, expected) in [
        ("/admin/help", &staff, Ok(())),
        ("/admin/x", &staff, Err(Denied::Group)),
        ("/admin/x", &admins, Ok(())),
        (
            "/admin/x",
            &json!({"groups": ["admins"]}),
            Err(Denied::Group),
        ),
        ("/x", &admins, Err(Denied::Claim)),
        ("/x", &tenant, Ok(())),
        ("/x", &json!({"tenant": "a"}), Err(Denied::Group)),
    ] {
        assert_eq!(may(&rules, path, claims), expected, "{path} {claims}");
    }
    let overall = |claims: &Value| rules.check_overall(claims.as_object().unwrap());
    assert_eq!(overall(&staff), Ok(()));
    assert_eq!(overall(&json!({})), Err(Denied::Group));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_lets_a_request_pass_holds_by_every_reading_of_its_path() {
    let exempt = json!({"rules": [{"match": {"path": {"prefix": "/public/"}}, "disabled": true}]});
    let passes = json!({"pass_through_matcher": [{"path": {"prefix": "/public/"}}]});
    let failed = json!({"allow_failed_matcher": [{"path": {"prefix": "/public/"}}]});
    for configuration in [exempt, passes, failed] {
        let rules = rules(&configuration);
        let lets_pass = |path: &str| {
            let verdict = verdict(&rules, path);
            verdict.is_exempt() || verdict.allows_failed()
        };
        for path in [
            "/public/a",
            "/public/a;b",
            "/public/a%2Fb",
            "/public/a?b=/../c",
        ] {
            assert!(lets_pass(path), "{configuration} {path}");
        }
        for path in [
            "/admin",
            "/public",
            "/public/..;/admin",
            "/public/..%2fadmin",
            "/public/..%252fadmin",
            "/public/%2e%2e/admin",
            "/public/..%5cadmin",
            "/public/../admin",
            "//admin/../public/../admin",
        ] {
            assert!(!lets_pass(path), "{configuration} {path}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_demanded_is_by_any_reading_of_the_path() {
    let rules = rules(&json!({
        "deny_redirect_matcher": [{"path": {"prefix": "/api/"}}],
        "rules": [
            {"match": {"path": {"prefix": "/admin/"}}, "allowed_groups": ["admins"]},
            {"match": {"path": {"prefix": "/public/"}}, "allowed_groups": ["guests"]}
        ]
    }));
    let guests = json!({"groups": ["guests"]});
    let both = json!({"groups": ["guests", "admins"]});
    assert_eq!(may(&rules, "/public/a", &guests), Ok(()));
    for path in ["/public/..;/admin/a", "/public/..%2fadmin/a"] {
        assert_eq!(may(&rules, path, &guests), Err(Denied::Group), "{path}");
        assert_eq!(may(&rules, path, &both), Ok(()), "{path}");
    }
    assert!(verdict(&rules, "/x/..;/api/a").denies_redirect());
    assert!(!verdict(&rules, "/x/api/a").denies_redirect());
}

#[wasm_bindgen_test(unsupported = test)]
fn preflights_pass_where_that_is_said() {
    let preflight = || {
        Sent(
            [
                (":method", "OPTIONS"),
                (":path", "/a"),
                ("origin", "https://b.example"),
                ("access-control-request-method", "POST"),
            ]
            .map(|(name, value)| (name, value.to_owned()))
            .into(),
        )
    };
    let is_exempt = |rules: &Rules, mut sent: Sent<String>| {
        let Ok(verdict) = rules.of(&mut sent);
        verdict.is_exempt()
    };
    let bypass = rules(&json!({"bypass_cors_preflight": true}));
    assert!(is_exempt(&bypass, preflight()));
    assert!(!is_exempt(&rules(&json!({})), preflight()));
    for left_out in 0..4 {
        let mut sent = preflight();
        sent.0.remove(left_out);
        // But for the path, which says nothing of it.
        assert_eq!(is_exempt(&bypass, sent), left_out == 1, "{left_out}");
    }
    let mut get = preflight();
    get.0[0].1 = "GET".to_owned();
    assert!(!is_exempt(&bypass, get));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_without_a_path_is_let_through_by_no_path() {
    let rules = rules(&json!({
        "pass_through_matcher": [{"path": {"prefix": "/"}, "host": "a.example"}],
        "rules": [{"match": {"path": {"prefix": "/a"}}, "disabled": true}]
    }));
    let Ok(verdict) = rules.of(&mut Sent::<String>(Vec::new()));
    assert!(!verdict.is_exempt());
}
