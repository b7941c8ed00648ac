use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::fake::{self, Fake};

fn rules(config: &str) -> Rules {
    Rules::new(fake::config(config))
}

fn decide(rules: &Rules, message: &mut Fake) -> Decision {
    let Ok(decision) = rules.on_request(message, &mut Strings::default());
    decision
}

fn matched(decision: &Decision) -> Vec<usize> {
    decision.matched.iter().collect()
}

const THREE: &str = r#"
    {"name": "all", "request": {"append": {"x-tag": "all"}}},
    {"name": "api", "when": {"path": {"prefix": "/api/"}}, "request": {"append": {"x-tag": "api"}}},
    {"name": "get", "when": {"method": "GET"}, "request": {"append": {"x-tag": "get"}}}"#;

#[wasm_bindgen_test(unsupported = test)]
fn every_rule_that_matches_is_applied_in_order() {
    let rules = rules(&format!(r#"{{"rules": [{THREE}]}}"#));
    let mut request = Fake::request(&[]).path("/api/x");
    assert_eq!(matched(&decide(&rules, &mut request)), [0, 1, 2]);
    assert_eq!(
        request.headers(),
        ["x-tag: all", "x-tag: api", "x-tag: get"]
    );

    let mut request = Fake::request(&[]).path("/other");
    assert_eq!(matched(&decide(&rules, &mut request)), [0, 2]);
}

#[wasm_bindgen_test(unsupported = test)]
fn first_match_stops_at_the_first_rule_that_matches() {
    let config = r#"{"apply": "first_match", "rules": [
        {"when": {"path": {"prefix": "/api/"}}, "request": {"append": {"x-tag": "api"}}},
        {"when": {"path": {"prefix": "/"}}, "request": {"append": {"x-tag": "rest"}}}
    ]}"#;
    for (path, tag) in [("/api/x", "x-tag: api"), ("/x", "x-tag: rest")] {
        let mut request = Fake::request(&[]).path(path);
        decide(&rules(config), &mut request);
        assert_eq!(request.headers(), [tag]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_disabled_rule_leaves_its_requests_to_no_later_rule() {
    let config = r#"{"rules": [
        {"request": {"append": {"x-tag": "all"}}},
        {"when": {"path": "/health"}, "disabled": true},
        {"request": {"append": {"x-tag": "rest"}}}
    ]}"#;
    let mut request = Fake::request(&[]).path("/health");
    assert_eq!(matched(&decide(&rules(config), &mut request)), [0, 1]);
    assert_eq!(request.headers(), ["x-tag: all"]);

    let mut request = Fake::request(&[]).path("/healthy");
    decide(&rules(config), &mut request);
    assert_eq!(request.headers(), ["x-tag: all", "x-tag: rest"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_rule_sees_what_earlier_rules_made_of_the_request() {
    let config = r#"{"rules": [
        {"request": {"set": {"x-stage": "one"}}},
        {"when": {"headers": [{"name": "x-stage", "exact": "one"}]},
         "request": {"set": {"x-seen": "%REQ(x-stage)%"}}}
    ]}"#;
    let mut request = Fake::request(&[("x-stage", "forged")]);
    decide(&rules(config), &mut request);
    assert_eq!(request.headers(), ["x-stage: one", "x-seen: one"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn stripped_headers_are_gone_before_any_rule_looks_and_whether_or_not_one_matches() {
    let config = r#"{"strip": ["x-tag"], "rules": [
        {"when": {"headers": [{"name": "x-tag", "present": true}]}, "request": {"set": {"x-b": "1"}}}
    ]}"#;
    let mut request = Fake::request(&[("x-tag", "forged"), ("x-tag", "again"), ("x-a", "1")]);
    assert!(decide(&rules(config), &mut request).matched.is_empty());
    assert_eq!(request.headers(), ["x-a: 1"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn report_matches_and_changes_nothing() {
    let config = r#"{"mode": "report", "strip": ["x-a"], "rules": [
        {"request": {"set": {"x-tag": "1"}}, "response": {"set": {"x-tag": "1"}}}
    ]}"#;
    let sent = Fake::request(&[("x-a", "1")]);
    let mut request = sent.clone();
    let decision = decide(&rules(config), &mut request);
    assert_eq!(matched(&decision), [0]);
    assert!(!decision.awaits_more);
    assert_eq!(request, sent);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_percentage_is_drawn_once_for_all_rules() {
    let config = r#"{"apply": "first_match", "rules": [
        {"when": {"percentage": 10}, "request": {"set": {"x-bucket": "a"}}},
        {"when": {"percentage": 30}, "request": {"set": {"x-bucket": "b"}}},
        {"request": {"set": {"x-bucket": "c"}}}
    ]}"#;
    let rules = rules(config);
    let mut buckets = [0; 3];
    for hundredth in 0..100_u64 {
        let mut request = Fake::request(&[]);
        request.random = hundredth * 10_000;
        let decision = decide(&rules, &mut request);
        assert_eq!(request.draws, 1);
        for rule in decision.matched.iter() {
            buckets[rule] += 1;
        }
    }
    assert_eq!(buckets, [10, 20, 70]);
}

#[wasm_bindgen_test(unsupported = test)]
fn only_rules_with_changes_to_the_response_are_remembered() {
    let config = r#"{"rules": [
        {"when": {"path": "/a"}, "request": {"set": {"x-tag": "1"}}},
        {"when": {"path": "/b"}, "response": {"set": {"x-tag": "1"}}}
    ]}"#;
    for (path, awaits) in [("/a", false), ("/b", true), ("/c", false)] {
        let mut request = Fake::request(&[]).path(path);
        assert_eq!(
            decide(&rules(config), &mut request).awaits_more,
            awaits,
            "{path}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_request_is_kept_for_rules_that_need_it_at_the_response_as_the_rules_left_it() {
    for (value, kept) in [
        ("1", false),
        ("%RESP(x-a)%", false),
        ("%REQ(x-a)%", true),
        ("%QUERY_PARAM(a)%", true),
        ("%ATTRIBUTE(request.path)%", true),
    ] {
        let config = format!(
            r#"{{"rules": [
                {{"request": {{"set": {{"x-new": "1"}}}}}},
                {{"when": {{"path": "/"}}, "response": {{"set": {{"x-tag": "{value}"}}}}}}
            ]}}"#
        );
        let mut request = Fake::request(&[]);
        decide(&rules(&config), &mut request);
        let as_left = kept.then(|| vec!["x-new: 1".to_owned()]);
        assert_eq!(request.kept, as_left, "{value}");
        let mut other = Fake::request(&[]).path("/other");
        decide(&rules(&config), &mut other);
        assert_eq!(other.kept, None, "{value}");
    }
}

fn on_response(config: &str, matched: &[usize], mut response: Fake) -> Vec<String> {
    let mut set = Matched::default();
    for rule in matched {
        set.insert(*rule);
    }
    let Ok(_) = rules(config).on_response(
        &set,
        Assigned::default(),
        &mut response,
        &mut Strings::default(),
    );
    response.headers()
}

#[wasm_bindgen_test(unsupported = test)]
fn the_rules_that_matched_the_request_change_its_response_in_order() {
    let config = r#"{"rules": [
        {"response": {"append": {"x-tag": "0"}}},
        {"when": {"method": "GET"}, "response": {"append": {"x-tag": "1 %RESP(x-tag)%"}}},
        {"when": {"method": "GET"}, "request": {"append": {"x-tag": "never"}}},
        {"when": {"method": "GET"}, "response": {"append": {"x-tag": "3 %REQ(:path)%"}}}
    ]}"#;
    let response = Fake::response("200", &[("x-own", "1")]);
    assert_eq!(
        on_response(config, &[0, 1, 2, 3], response.clone()),
        ["x-own: 1", "x-tag: 0", "x-tag: 1 0", "x-tag: 3 /"]
    );
    assert_eq!(
        on_response(config, &[3], response.clone()),
        ["x-own: 1", "x-tag: 3 /"]
    );
    assert_eq!(on_response(config, &[2, 99], response), ["x-own: 1"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn when_status_takes_codes_and_classes() {
    let config = |statuses: &str| {
        format!(
            r#"{{"rules": [{{"response": {{"when_status": {statuses}, "set": {{"x-tag": "1"}}}}}}]}}"#
        )
    };
    for (statuses, status, tagged) in [
        ("404", "404", true),
        ("\"404\"", "404", true),
        ("404", "403", false),
        ("\"5xx\"", "499", false),
        ("\"5xx\"", "500", true),
        ("\"5xx\"", "599", true),
        ("[200, \"4xx\"]", "200", true),
        ("[200, \"4xx\"]", "418", true),
        ("[200, \"4xx\"]", "201", false),
        ("\"2xx\"", "nonsense", false),
    ] {
        let headers = on_response(&config(statuses), &[0], Fake::response(status, &[]));
        assert_eq!(!headers.is_empty(), tagged, "{statuses} {status}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_only_read_there_is_knows_that_it_is_alone() {
    let add = r#""request": {"add_if_absent": {"x-a": "1"}}"#;
    for (config, alone) in [
        (format!("{{{add}}}"), vec![true]),
        (
            format!(r#"{{"when": {{"percentage": 100}}, {add}}}"#),
            vec![true],
        ),
        (
            format!(r#"{{"when": {{"method": "GET"}}, {add}}}"#),
            vec![false],
        ),
        (format!("{{{add}}}, {{{add}}}"), vec![false, false]),
        (
            format!(r#"{{{add}}}, {{"request": {{"set": {{"x-b": "%REQ(x-c)%"}}}}}}"#),
            vec![false],
        ),
        (
            format!(r#"{{{add}, "response": {{"rename": {{"x-b": "x-c"}}}}}}"#),
            vec![true],
        ),
    ] {
        let mut request = Fake::request(&[]);
        decide(&rules(&format!(r#"{{"rules": [{config}]}}"#)), &mut request);
        assert_eq!(request.alone, alone, "{config}");
    }
}

const RELEASE: &str = r#""weighted_buckets": {
    "name": "release", "hash_key": "%REQ(x-user)%", "default_bucket": "stable",
    "buckets": [{"name": "canary", "weight": 50}, {"name": "stable", "weight": 50}]
}"#;

#[wasm_bindgen_test(unsupported = test)]
fn a_rule_is_for_those_in_a_bucket_also_inside_not_and_any() {
    let config = format!(
        r#"{{{RELEASE}, "rules": [
        {{"when": {{"bucket": {{"release": "canary"}}}}, "request": {{"append": {{"x-tag": "canary"}}}}}},
        {{"when": {{"not": {{"bucket": {{"release": "canary"}}}}}}, "request": {{"append": {{"x-tag": "not"}}}}}},
        {{"when": {{"any": [{{"bucket": {{"release": ["stable", "canary"]}}}}]}}, "request": {{"append": {{"x-tag": "any"}}}}}},
        {{"request": {{"set": {{"x-bucket": "%BUCKET(release)%"}}}}}}
    ]}}"#
    );
    let rules = rules(&config);
    let mut seen = [0; 2];
    for user in 0..40 {
        let mut request = Fake::request(&[("x-user", &user.to_string())]);
        decide(&rules, &mut request);
        let headers = request.headers();
        let headers: Vec<_> = headers.iter().skip(1).map(String::as_str).collect();
        let canary = ["x-tag: canary", "x-tag: any", "x-bucket: canary"];
        let stable = ["x-tag: not", "x-tag: any", "x-bucket: stable"];
        assert!(headers == canary || headers == stable, "{headers:?}");
        seen[usize::from(headers == canary)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_stays_in_its_bucket_whatever_rules_make_of_its_key() {
    let config = format!(
        r#"{{{RELEASE}, "rules": [
        {{"request": {{"set": {{"x-before": "%BUCKET(release)%"}}}}}},
        {{"request": {{"set": {{"x-user": "other"}}}}}},
        {{"request": {{"set": {{"x-after": "%BUCKET(release)%"}}}}, "response": {{"set": {{"x-a": "%BUCKET(release)%"}}}}}}
    ]}}"#
    );
    let rules = rules(&config);
    for user in 0..20 {
        let mut request = Fake::request(&[("x-user", &user.to_string())]);
        let decision = decide(&rules, &mut request);
        let header = |name: &str| {
            request
                .headers()
                .iter()
                .find_map(|line| Some(line.strip_prefix(name)?.to_owned()))
        };
        let before = header("x-before: ").unwrap();
        assert_eq!(header("x-after: ").as_ref(), Some(&before));
        // The response's is that of its request, whose headers it does not need.
        assert_eq!(request.kept, None);
        let mut response = Fake::response("200", &[]);
        let mut scratch = Strings::default();
        let Ok(_) = rules.on_response(
            &decision.matched,
            decision.assigned,
            &mut response,
            &mut scratch,
        );
        assert_eq!(response.headers(), [format!("x-a: {before}")]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_are_conditions_and_values() {
    let config = r#"{"rules": [
        {"when": {"jwt_claims": {"name": "user:realm.roles", "exact": "admin"}}, "request": {"set": {"x-admin": "%JWT_CLAIM(user:sub)%"}}},
        {"when": {"jwt_claims": {"name": "user:level", "range": {"start": 3, "end": 9}}}, "request": {"set": {"x-level": "%JWT_CLAIM(user:level)%"}}},
        {"when": {"jwt_claims": {"name": "user:['https://a.b/c']", "present": false}}, "request": {"set": {"x-roles": "%JWT_CLAIM(user:realm.roles)%"}}},
        {"request": {"set": {"x-none": "%JWT_CLAIM(user:realm)%%JWT_CLAIM(user:sub.x)%%JWT_CLAIM(user:no)%"}}}
    ]}"#;
    for (payload, expected) in [
        (
            r#"{"sub": "ann", "level": 4, "realm": {"roles": ["dev", "admin"]}}"#,
            vec!["x-admin: ann", "x-level: 4", "x-roles: dev,admin"],
        ),
        (
            r#"{"level": 2, "realm": {"roles": "admin"}, "https://a.b/c": true}"#,
            vec![],
        ),
        ("not JSON", vec![]),
        // What would read as somebody else, or as more, is nothing.
        (
            r#"{"sub": "ann\u0000", "level": 4, "realm": {"roles": ["admin", "dev,root"]}}"#,
            vec!["x-level: 4"],
        ),
        (
            r#"{"sub": " ann", "level": 4, "realm": {"roles": ["admin", "dev\n"]}}"#,
            vec!["x-level: 4"],
        ),
        (
            r#"{"sub": "ann\t", "level": 4, "realm": {"roles": ["admin "]}}"#,
            vec!["x-level: 4"],
        ),
        // A text is one value, whatever is in it.
        (
            r#"{"sub": "Doe, Ann", "level": 4, "realm": {"roles": ["admin", "a b"]}}"#,
            vec!["x-admin: Doe, Ann", "x-level: 4", "x-roles: admin,a b"],
        ),
    ] {
        let mut request = Fake::request(&[]);
        let state = ("filter_state.wasm.user".to_owned(), payload.into());
        request.attributes.push(state);
        decide(&rules(config), &mut request);
        assert_eq!(request.headers(), expected, "{payload}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn parts_of_the_path_are_values_of_its_rule_on_both_sides() {
    let config = r#"{"rules": [
        {"when": {"path": {"template": "/users/{id}/{rest=**}"}},
         "request": {"set": {"x-id": "%CAPTURE(id)%", "x-rest": "%CAPTURE(rest)%"}},
         "response": {"set": {"x-id": "%CAPTURE(id)%"}}},
        {"when": {"all": [{"path": {"regex": "/(?P<kind>[a-z]+)/.*"}}]}, "request": {"set": {"x-kind": "%CAPTURE(kind)%"}}}
    ]}"#;
    let mut request = Fake::request(&[]).path("/users/./7/a/b?q=1");
    decide(&rules(config), &mut request);
    assert_eq!(
        request.headers(),
        ["x-id: 7", "x-rest: a/b", "x-kind: users"]
    );
    assert!(request.kept.is_some());
    let response = Fake::response("200", &[]).path("/users/8/");
    assert_eq!(on_response(config, &[0], response), ["x-id: 8"]);
}
