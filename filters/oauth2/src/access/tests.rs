use legation::config::parse;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::config::Rule;

fn access(demands: &Value, groups_claim: &str) -> Access {
    let rule: Rule = parse(demands.to_string().as_bytes()).unwrap();
    let path = parse(json!(groups_claim).to_string().as_bytes()).unwrap();
    Access::new(&rule.demands, &path)
}

fn check(demands: &Value, claims: &Value) -> Result<(), Denied> {
    access(demands, "groups").check(claims.as_object().unwrap())
}

#[wasm_bindgen_test(unsupported = test)]
fn where_nothing_is_demanded_everybody_comes_in() {
    assert_eq!(check(&json!({}), &json!({})), Ok(()));
    assert!(access(&json!({}), "groups").is_empty());
    assert!(!access(&json!({"allowed_groups": ["a"]}), "groups").is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_group_is_one_of_a_list_or_the_only_one_and_is_compared_exactly() {
    let demands = json!({"allowed_groups": ["admins", "/staff", "two words"]});
    for (claims, expected) in [
        (json!({"groups": ["admins"]}), true),
        (json!({"groups": ["x", "/staff"]}), true),
        (json!({"groups": "admins"}), true),
        (json!({"groups": "two words"}), true),
        (json!({"groups": ["Admins"]}), false),
        (json!({"groups": ["admins2", "staff", "/staff/a"]}), false),
        (json!({"groups": "admins,x"}), false),
        (json!({"groups": "x admins"}), false),
        (json!({"groups": [["admins"]]}), false),
        (json!({"groups": {"admins": true}}), false),
        (json!({"groups": [1, null, true]}), false),
        (json!({"groups": []}), false),
        (json!({"groups": null}), false),
        (json!({"group": ["admins"]}), false),
        (json!({}), false),
    ] {
        let expected = if expected { Ok(()) } else { Err(Denied::Group) };
        assert_eq!(check(&demands, &claims), expected, "{claims}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn groups_are_where_the_claim_leads() {
    let demands = json!({"allowed_groups": ["admin"]});
    let access = access(&demands, "realm_access.roles");
    let check = |claims: Value| access.check(claims.as_object().unwrap());
    assert_eq!(check(json!({"realm_access": {"roles": ["admin"]}})), Ok(()));
    for claims in [
        json!({"groups": ["admin"]}),
        json!({"realm_access.roles": ["admin"]}),
        json!({"realm_access": ["admin"]}),
        json!({"realm_access": [{"roles": ["admin"]}]}),
    ] {
        assert_eq!(check(claims), Err(Denied::Group));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_address_is_one_of_those_or_of_their_domains() {
    let demands = json!({
        "allowed_emails": ["Ann@partner.example"],
        "allowed_email_domains": ["example.com", ".example.org", "*.Example.net"]
    });
    for (email, expected) in [
        ("Ann@partner.example", true),
        ("Ann@PARTNER.example", true),
        ("bo@example.com", true),
        ("bo@EXAMPLE.com", true),
        ("bo+tag@example.com", true),
        ("b\u{f6}@example.com", true),
        ("bo@a.example.org", true),
        ("bo@a.b.example.net", true),
        // Whose mailbox it is in another case is that server's to say.
        ("ann@partner.example", false),
        ("bo@partner.example", false),
        ("bo@a.example.com", false),
        ("bo@example.org", false),
        ("bo@anexample.com", false),
        ("bo@aexample.org", false),
        ("bo@example.com.evil.example", false),
        ("bo@example.com@evil.example", false),
        ("bo@evil.example@example.com", false),
        ("\"bo@evil.example\"@example.com", false),
        ("bo@evil.example,x@example.com", false),
        ("bo@evil.example\n@example.com", false),
        ("bo <x@example.com", false),
        ("bo@example.com ", false),
        ("bo@example.com.", false),
        ("bo@\u{435}xample.com", false),
        ("@example.com", false),
        ("example.com", false),
        ("", false),
    ] {
        let expected = if expected { Ok(()) } else { Err(Denied::Email) };
        let claims = json!({"email": email, "email_verified": true});
        assert_eq!(check(&demands, &claims), expected, "{email}");
    }
    for claims in [
        json!({}),
        json!({"email": null}),
        json!({"email": ["bo@example.com"]}),
        json!({"emails": ["bo@example.com"]}),
        json!({"preferred_username": "bo@example.com", "upn": "bo@example.com"}),
    ] {
        assert_eq!(check(&demands, &claims), Err(Denied::Email), "{claims}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_address_that_the_provider_says_it_has_not_verified_is_nobodys() {
    let demands = json!({"allowed_email_domains": ["example.com"]});
    for (verified, expected) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(false), false),
        (json!("false"), false),
        (json!(null), false),
        (json!(1), false),
        (json!("True"), false),
        (json!([true]), false),
    ] {
        let claims = json!({"email": "bo@example.com", "email_verified": verified});
        let expected = if expected {
            Ok(())
        } else {
            Err(Denied::EmailNotVerified)
        };
        assert_eq!(check(&demands, &claims), expected, "{verified}");
    }
    // Some providers do not say.
    let claims = json!({"email": "bo@example.com"});
    assert_eq!(check(&demands, &claims), Ok(()));
    // It matters where addresses do.
    let claims = json!({"email_verified": false, "groups": "a"});
    assert_eq!(check(&json!({"allowed_groups": ["a"]}), &claims), Ok(()));
}

#[wasm_bindgen_test(unsupported = test)]
fn all_that_is_demanded_must_hold() {
    let demands = json!({
        "allowed_groups": ["a"],
        "allowed_emails": ["bo@example.com"],
        "required_claims": [{"claim_name": "t", "equals": 1}, {"claim_name": "u", "exists": false}]
    });
    let good = json!({"groups": ["a"], "email": "bo@example.com", "t": 1});
    assert_eq!(check(&demands, &good), Ok(()));
    for (name, value, denied) in [
        ("groups", json!(["b"]), Denied::Group),
        ("email", json!("al@example.com"), Denied::Email),
        ("email_verified", json!(false), Denied::EmailNotVerified),
        ("t", json!(2), Denied::Claim),
        ("u", json!(0), Denied::Claim),
    ] {
        let mut claims = good.clone();
        claims[name] = value;
        assert_eq!(check(&demands, &claims), Err(denied), "{claims}");
    }
}

#[cfg(not(target_family = "wasm"))]
mod random {
    use proptest::prelude::*;

    use super::*;

    const PIECES: [&str; 12] = [
        "example.com",
        "evil.example",
        "@",
        ".",
        "\"",
        "<",
        ">",
        ",",
        " ",
        "bo",
        "\\",
        "\n",
    ];

    proptest! {
        /// Whatever stands in an address, it is of the domain that every reader sees.
        #[test]
        fn no_address_of_elsewhere_passes(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..6),
        ) {
            let email = pieces.concat();
            let claims = json!({"email": email});
            let demands = json!({"allowed_email_domains": ["example.com"]});
            let expected = email.split_once('@').is_some_and(|(local, domain)| {
                let is_plain = |char: char| char.is_ascii_lowercase() || char == '.';
                !local.is_empty() && local.chars().all(is_plain) && domain == "example.com"
            });
            prop_assert_eq!(check(&demands, &claims).is_ok(), expected);
        }
    }
}
