use legation::config;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

fn errors(json: &str) -> Vec<String> {
    match config::parse::<Config>(json.as_bytes()) {
        Ok(config) => panic!("{json} is taken: {config:?}"),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The errors of one rule's `request`.
fn request_errors(request: &str) -> Vec<String> {
    errors(&format!(r#"{{"rules": [{{"request": {request}}}]}}"#))
}

fn accept(json: &str) -> Config {
    config::parse(json.as_bytes()).unwrap_or_else(|errors| panic!("{json}\n{errors}"))
}

/// Each error begins with its path and problem, in this order.
fn assert_begin(errors: &[String], begins: &[&str]) {
    assert_eq!(errors.len(), begins.len(), "{errors:#?}");
    for (error, begin) in errors.iter().zip(begins) {
        assert!(
            error.starts_with(begin),
            "{error}\ndoes not begin with\n{begin}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_first_example_is_three_lines_and_means_what_it_says() {
    let config = accept(r#"{"rules": [{"request": {"set": {"X-Envoy-Plugin": "header-tag"}}}]}"#);
    assert_eq!(config.apply, Apply::EveryMatch);
    assert_eq!(config.mode, Mode::Enforce);
    assert!(config.stat_prefix.0.is_none());
    let [rule] = &*config.rules else {
        panic!("{config:?}");
    };
    assert!(rule.when.is_unconditional());
    assert!(rule.response.0.is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn every_option_is_taken() {
    let config = accept(
        r#"{
            "apply": "first_match", "mode": "report", "stat_prefix": "edge.tags",
            "strip": ["x-a", "X-B"],
            "rules": [
                {
                    "name": "canary",
                    "when": {"path": {"prefix": "/api/"}},
                    "request": {
                        "remove": "x-1", "rename": {"x-2": "x-3"}, "set": {"x-4": "1"},
                        "overwrite_if_exists": {"x-5": ["1", "2"]}, "add_if_absent": {"x-6": ""},
                        "append": {"x-7": "%REQ(x-8)%"}, "keep_empty_value": true
                    },
                    "response": {"when_status": [404, "5xx"], "set": {"x-4": "%RESP(x-1)% %RESPONSE_CODE%"}}
                },
                {"disabled": true}
            ]
        }"#,
    );
    assert_eq!(config.apply, Apply::FirstMatch);
    assert_eq!(config.mode, Mode::Report);
    assert_eq!(config.strip.len(), 2);
    assert!(config.rules[1].disabled);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_empty_rule_set_is_refused() {
    assert_begin(&errors(""), &["rules: missing field"]);
    assert_begin(&errors("{}"), &["rules: missing field"]);
    assert_begin(&errors(r#"{"rules": []}"#), &["rules: an empty list"]);
    assert_begin(&errors(r#"{"rules": null}"#), &["rules: expected a list"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_rule_that_changes_nothing_is_refused() {
    assert_begin(
        &errors(r#"{"rules": [{}]}"#),
        &["rules[0]: the rule changes nothing"],
    );
    assert_begin(
        &errors(r#"{"rules": [{"when": {"method": "GET"}, "name": "a"}]}"#),
        &["rules[0]: the rule changes nothing"],
    );
    assert_begin(
        &request_errors("{}"),
        &["rules[0].request: nothing is changed here"],
    );
    assert_begin(
        &request_errors(r#"{"set": {}}"#),
        &["rules[0].request: nothing is changed here"],
    );
    assert_begin(&request_errors("null"), &["rules[0].request: null"]);
    assert_begin(
        &errors(r#"{"rules": [{"response": {"when_status": 404}}]}"#),
        &["rules[0].response: nothing is changed here"],
    );
    assert_begin(
        &errors(r#"{"rules": [{"disabled": true, "request": {"remove": "x-a"}}]}"#),
        &["rules[0]: the rule is `disabled` and has changes"],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_that_are_not_a_rules_to_change_are_refused_wherever_they_stand() {
    for (name, problem) in [
        (":path", "\":path\" is a pseudo-header"),
        (":status", "\":status\" is a pseudo-header"),
        ("Host", "`host` is not a header"),
        ("Content-Length", "`content-length` may not be changed"),
        (
            "transfer-encoding",
            "`transfer-encoding` may not be changed",
        ),
        ("x a", "\"x a\" is not the name of a header"),
        ("", "\"\" is not the name of a header"),
    ] {
        for (request, path) in [
            (
                format!(r#"{{"remove": ["x-b", "{name}"]}}"#),
                "remove[1]".to_owned(),
            ),
            (
                format!(r#"{{"rename": {{"x-b": "{name}"}}}}"#),
                "rename.x-b".to_owned(),
            ),
            (
                format!(r#"{{"set": {{"{name}": "1"}}}}"#),
                format!("set.{name}"),
            ),
            (
                format!(r#"{{"append": {{"{name}": "1"}}}}"#),
                format!("append.{name}"),
            ),
        ] {
            let errors = request_errors(&request);
            assert_eq!(errors.len(), 1, "{errors:#?}");
            assert!(errors[0].contains(&format!(": {problem}")), "{}", errors[0]);
            if !name.contains(' ') && !name.is_empty() {
                assert!(
                    errors[0].starts_with(&format!("rules[0].request.{path}: ")),
                    "{}",
                    errors[0]
                );
            }
        }
        let strip = errors(&format!(
            r#"{{"strip": "{name}", "rules": [{{"request": {{"remove": "x-b"}}}}]}}"#
        ));
        assert_begin(&strip, &[&format!("strip: {problem}")]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn changes_that_get_in_each_others_way_are_refused() {
    for (request, error) in [
        (
            r#"{"remove": ["x-a", "X-A"]}"#,
            "remove: `x-a` is named twice",
        ),
        (
            r#"{"remove": "x-a", "rename": {"X-A": "x-b"}}"#,
            "rename.X-A: `x-a` stands under `remove` too; it is removed before",
        ),
        (
            r#"{"remove": "x-a", "set": {"X-A": "1"}}"#,
            "set.X-A: `x-a` stands under `remove` too; `set` leaves nothing",
        ),
        (
            r#"{"remove": "x-a", "overwrite_if_exists": {"x-a": "1"}}"#,
            "overwrite_if_exists.x-a: `x-a` stands under `remove` too; by then",
        ),
        (
            r#"{"remove": "x-a", "add_if_absent": {"x-a": "1"}}"#,
            "add_if_absent.x-a: `x-a` stands under `remove` too; by then it is not there: write `set`",
        ),
        (
            r#"{"remove": "x-a", "append": {"x-a": "1"}}"#,
            "append.x-a: `x-a` stands under `remove` too; by then it is not there: write `set`",
        ),
        (
            r#"{"rename": {"x-a": "x-b"}, "append": {"x-a": "1"}}"#,
            "append.x-a: `x-a` stands under `rename` too; by then",
        ),
        (
            r#"{"rename": {"x-a": "x-b"}, "set": {"x-b": "1"}}"#,
            "set.x-b: `x-b` stands under `rename` too; what was renamed would be lost",
        ),
        (
            r#"{"set": {"x-a": "1"}, "append": {"X-A": "2"}}"#,
            "append.X-A: `x-a` stands under `set` too; write it once",
        ),
        (
            r#"{"set": {"x-a": "1"}, "overwrite_if_exists": {"x-a": "2"}}"#,
            "overwrite_if_exists.x-a: `x-a` stands under `set` too",
        ),
        (
            r#"{"overwrite_if_exists": {"x-a": "1"}, "add_if_absent": {"x-a": "2"}}"#,
            "add_if_absent.x-a: `x-a` stands under `overwrite_if_exists` too",
        ),
        (
            r#"{"set": {"x-a": "1", "X-A": "2"}}"#,
            "set.X-A: duplicate key",
        ),
        (
            r#"{"rename": {"x-a": "X-A"}}"#,
            "rename.x-a: `x-a` is renamed to itself",
        ),
        (
            r#"{"rename": {"x-a": "x-b", "x-b": "x-c"}}"#,
            "rename.x-a: `x-b` is renamed too",
        ),
    ] {
        assert_begin(
            &request_errors(request),
            &[&format!("rules[0].request.{error}")],
        );
    }
    assert_begin(
        &request_errors(r#"{"rename": {"x-a": "x-c", "x-b": "x-c"}}"#),
        &[
            "rules[0].request.rename.x-a: two headers are renamed to `x-c`",
            "rules[0].request.rename.x-b: two headers are renamed to `x-c`",
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn changes_that_make_sense_together_are_taken() {
    for request in [
        r#"{"remove": "x-b", "rename": {"x-a": "x-b"}}"#,
        r#"{"rename": {"x-a": "x-b"}, "set": {"x-a": "1"}}"#,
        r#"{"rename": {"x-a": "x-b"}, "add_if_absent": {"x-b": "1"}}"#,
        r#"{"rename": {"x-a": "x-b"}, "append": {"x-b": "1"}}"#,
        r#"{"set": {"x-a": "1", "x_a": "2"}}"#,
    ] {
        accept(&format!(r#"{{"rules": [{{"request": {request}}}]}}"#));
    }
    // The two sides are two messages.
    accept(r#"{"rules": [{"request": {"set": {"x-a": "1"}}, "response": {"remove": "x-a"}}]}"#);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_response_is_no_source_for_the_request() {
    for value in [
        "%RESP(x-b)%",
        "a %TRAILER(x-b)%",
        "%RESPONSE_CODE%",
        "%ATTRIBUTE(response.size)%",
    ] {
        assert_begin(
            &request_errors(&format!(r#"{{"set": {{"x-a": ["ok", "{value}"]}}}}"#)),
            &["rules[0].request.set.x-a[1]: a request's header cannot be made from the response"],
        );
    }
    assert_begin(
        &errors(r#"{"rules": [{"response": {"set": {"x-a": "%TRAILER(x-b)%"}}}]}"#),
        &["rules[0].response.set.x-a: a header cannot be made from the trailers"],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn an_empty_value_that_would_do_nothing_is_refused() {
    for operation in ["set", "overwrite_if_exists", "add_if_absent", "append"] {
        assert_begin(
            &request_errors(&format!(r#"{{"{operation}": {{"X-A": ["1", " "]}}}}"#)),
            &[&format!(
                "rules[0].request.{operation}.X-A: the value is empty"
            )],
        );
    }
    assert_begin(
        &request_errors(r#"{"append": {"x-a": []}}"#),
        &["rules[0].request.append.x-a: an empty list"],
    );
    accept(r#"{"rules": [{"request": {"keep_empty_value": true, "append": {"x-a": ""}}}]}"#);
}

#[wasm_bindgen_test(unsupported = test)]
fn statuses_are_codes_and_classes() {
    for status in [
        "99",
        "600",
        "\"6xx\"",
        "\"0xx\"",
        "\"xx\"",
        "\"4XX\"",
        "\"200-299\"",
        "true",
    ] {
        let config = format!(
            r#"{{"rules": [{{"response": {{"when_status": {status}, "remove": "x-a"}}}}]}}"#
        );
        assert_begin(
            &errors(&config),
            &["rules[0].response.when_status: expected a status from 100 to 599"],
        );
    }
    assert_begin(
        &request_errors(r#"{"when_status": 200, "remove": "x-a"}"#),
        &["rules[0].request.when_status: unknown field"],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn names_become_counters_and_are_words_each_once() {
    let rule = |name: &str| format!(r#"{{"name": "{name}", "request": {{"remove": "x-a"}}}}"#);
    for name in ["", "a.b", "a b", "ä", &"a".repeat(65)] {
        assert_begin(
            &errors(&format!(r#"{{"rules": [{}]}}"#, rule(name))),
            &["rules[0].name: a name is 1 to 64 characters"],
        );
    }
    assert_begin(
        &errors(&format!(
            r#"{{"rules": [{}, {}, {}]}}"#,
            rule("a"),
            rule("b"),
            rule("a")
        )),
        &["rules[2].name: another rule is called `a`"],
    );
    for prefix in ["", ".", "a.", "a..b", "a b", &"a".repeat(65)] {
        assert_begin(
            &errors(&format!(
                r#"{{"stat_prefix": "{prefix}", "rules": [{}]}}"#,
                rule("a")
            )),
            &["stat_prefix: a prefix is 1 to 64 characters"],
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn rules_that_are_never_reached_are_refused() {
    let rule = r#"{"request": {"remove": "x-a"}}"#;
    let get = r#"{"when": {"method": "GET"}, "request": {"remove": "x-a"}}"#;
    assert_begin(
        &errors(&format!(
            r#"{{"apply": "first_match", "rules": [{get}, {rule}, {get}, {rule}]}}"#
        )),
        &[
            "rules[2]: the rule is never reached; rules[1] takes",
            "rules[3]: the rule is never",
        ],
    );
    assert_begin(
        &errors(&format!(r#"{{"rules": [{{"disabled": true}}, {rule}]}}"#)),
        &["rules[1]: the rule is never reached"],
    );
    accept(&format!(r#"{{"rules": [{rule}, {get}, {rule}]}}"#));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_configuration_with_five_mistakes_is_told_all_five() {
    let config = r#"{
        "mode": "enforced",
        "rules": [
            {"when": {"path": {"prefx": "/"}}, "request": {"set": {"x-a": "1"}}},
            {"request": {"set": {":path": "/"}, "append": {"x-b": "%REQ(x-c%"}}},
            {"request": {"rename": {"x-a": "x-a"}}}
        ]
    }"#;
    assert_begin(
        &errors(config),
        &[
            "mode: unknown value \"enforced\"; did you mean `enforce`?",
            "rules[0].when.path.prefx: unknown field; did you mean `prefix`?",
            "rules[1].request.set.:path: \":path\" is a pseudo-header",
            "rules[1].request.append.x-b: column 1: `REQ(` is not closed",
            "rules[2].request.rename.x-a: `x-a` is renamed to itself",
        ],
    );
    assert!(errors(config).iter().all(|error| error.contains("(line ")));
}

fn with_release(rule: &str) -> String {
    format!(
        r#"{{"weighted_buckets": [{{"name": "release", "hash_key": "%COOKIE(user)%",
            "buckets": [{{"name": "canary", "weight": 10}}, {{"name": "stable", "weight": 90}}]}}],
            "rules": [{rule}]}}"#
    )
}

#[wasm_bindgen_test(unsupported = test)]
fn buckets_that_nobody_could_be_in_are_refused() {
    let given = |fields: &str| {
        format!(
            r#"{{"weighted_buckets": {{"name": "r", {fields}}}, "rules": [{{"request": {{"remove": "x-a"}}}}]}}"#
        )
    };
    let buckets = r#""buckets": [{"name": "a", "weight": 1}, {"name": "b", "weight": 2}]"#;
    let key = r#""hash_key": "%COOKIE(user)%""#;
    for (fields, error) in [
        (
            buckets.to_owned(),
            "weighted_buckets.hash_key: missing field",
        ),
        (
            format!("{buckets}, \"hash_key\": []"),
            "weighted_buckets.hash_key: an empty list",
        ),
        (
            format!("{buckets}, \"hash_key\": \"user\""),
            "weighted_buckets.hash_key: the same for all requests; name what",
        ),
        (
            format!("{buckets}, \"hash_key\": \"%RESP(x-a)%\""),
            "weighted_buckets.hash_key: the response has no say in its request's bucket",
        ),
        (
            format!("{buckets}, \"hash_key\": \"%BUCKET(r)%\""),
            "weighted_buckets.hash_key: column 1: unknown operator `BUCKET`",
        ),
        (key.to_owned(), "weighted_buckets.buckets: missing field"),
        (
            format!(r#"{key}, "buckets": [{{"name": "a", "weight": 0}}]"#),
            "weighted_buckets.buckets: every weight is 0",
        ),
        (
            format!(r#"{key}, "buckets": [{{"name": "a", "weight": -1}}]"#),
            "weighted_buckets.buckets[0].weight: ",
        ),
        (
            format!(
                r#"{key}, "buckets": [{{"name": "a", "weight": 1}}, {{"name": "a", "weight": 2}}]"#
            ),
            "weighted_buckets.buckets[1].name: another bucket is called `a`",
        ),
        (
            format!(r#"{key}, {buckets}, "default_bucket": "c""#),
            "weighted_buckets.default_bucket: no bucket is called `c`; known: a, b",
        ),
        (
            format!(r#"{key}, {buckets}, "default_bucket": "a", "random_without_key": true"#),
            "weighted_buckets.default_bucket: `random_without_key` is given too",
        ),
        (
            format!(r#"{key}, {buckets}, "salt": """#),
            "weighted_buckets.salt: a salt is 1 to 256 bytes",
        ),
    ] {
        assert_begin(&errors(&given(&fields)), &[error]);
    }
    let division = |name: &str| format!(r#"{{"name": "{name}", {key}, {buckets}}}"#);
    let divisions = |names: &[&str]| {
        let all: Vec<_> = names.iter().map(|name| division(name)).collect();
        format!(
            r#"{{"weighted_buckets": [{}], "rules": [{{"request": {{"remove": "x-a"}}}}]}}"#,
            all.join(", ")
        )
    };
    assert_begin(
        &errors(&divisions(&["a", "b", "a"])),
        &["weighted_buckets[2].name: others are called `a` too"],
    );
    let nine = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    accept(&divisions(&nine[..8]));
    assert_begin(
        &errors(&divisions(&nine)),
        &["weighted_buckets: more than 8 divisions"],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn buckets_and_captures_that_are_not_there_are_refused_where_they_are_named() {
    for (rule, error) in [
        (
            r#"{"when": {"bucket": {"relase": "canary"}}, "disabled": true}"#,
            "rules[0].when.bucket: no division into buckets is called `relase`; did you mean `release`?",
        ),
        (
            r#"{"when": {"not": {"bucket": {"release": ["canary", "blue"]}}}, "disabled": true}"#,
            "rules[0].when.bucket.release: no bucket is called `blue`; known: canary, stable",
        ),
        (
            r#"{"request": {"set": {"X-A": "%BUCKET(releas)%"}}}"#,
            "rules[0].request.set.X-A: no division into buckets is called `releas`; did you mean `release`?",
        ),
        (
            r#"{"response": {"filter_state": {"tag": "%SHA256(BUCKET(other))%"}}}"#,
            "rules[0].response.filter_state.tag: no division into buckets is called `other`; known: release",
        ),
        (
            r#"{"when": {"path": {"template": "/a/{id}"}}, "request": {"set": {"x-a": "%CAPTURE(di)%"}}}"#,
            "rules[0].request.set.x-a: the rule's condition captures no `di`; name a part of `when.path`",
        ),
        (
            r#"{"when": {"any": [{"path": {"template": "/a/{id}"}}]}, "request": {"append": {"x-a": "%CAPTURE(id)%"}}}"#,
            "rules[0].request.append.x-a: the rule's condition captures no `id`",
        ),
        (
            r#"{"when": {"jwt_claims": {"name": "sub", "present": true}}, "disabled": true}"#,
            "rules[0].when.jwt_claims.name: \"sub\" names no claim; write `STATE:CLAIM`",
        ),
        (
            r#"{"request": {"set": {"x-a": "%JWT_CLAIM(request:sub)%"}}}"#,
            "rules[0].request.set.x-a: column 1: \"request\" is no filter state's name",
        ),
    ] {
        assert_begin(&errors(&with_release(rule)), &[error]);
    }
    assert_begin(
        &errors(r#"{"rules": [{"request": {"set": {"x-a": "%BUCKET(release)%"}}}]}"#),
        &[
            "rules[0].request.set.x-a: no division into buckets is called `release`; there is none: `weighted_buckets` is not given",
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn long_values_and_the_other_operations_name_their_mistakes() {
    for (request, error) in [
        (
            r#"{"set": {"x-a": {"valu": "1"}}}"#,
            "set.x-a.valu: unknown field; did you mean `value`?",
        ),
        (
            r#"{"set": {"x-a": {"value": "%RESP(x-b)%", "default": "1"}}}"#,
            "set.x-a.value: a request's header cannot be made from the response",
        ),
        (
            r#"{"set": {"x-a": {"value": "1", "default": "a\nb"}}}"#,
            "set.x-a.default: a control character",
        ),
        (
            r#"{"regex_rewrite": {"x-a": {"pattern": "("}}}"#,
            "regex_rewrite.x-a.pattern: not a regular expression",
        ),
        (
            r#"{"remove_on_match": "x-a"}"#,
            "remove_on_match: a name stands under `remove`",
        ),
        (
            r#"{"dedupe": {"x-a": "RETAIN_FIST"}}"#,
            "dedupe.x-a: unknown value \"RETAIN_FIST\"; did you mean `RETAIN_FIRST`?",
        ),
        (
            r#"{"filter_state": {"request": "1"}}"#,
            "filter_state.request: `request` is an attribute of Envoy's",
        ),
        (
            r#"{"remove": "x-a", "regex_rewrite": {"x-a": {"pattern": "a"}}}"#,
            "regex_rewrite.x-a: `x-a` stands under `remove` too; by then it is not there",
        ),
        (
            r#"{"regex_rewrite": {"x-a": {"pattern": "a"}}, "set": {"x-a": "1"}}"#,
            "set.x-a: `x-a` stands under `regex_rewrite` too; what was rewritten would be lost",
        ),
        (
            r#"{"rename": {"x-a": "x-b"}, "dedupe": {"x-a": "RETAIN_LAST"}}"#,
            "dedupe.x-a: `x-a` stands under `rename` too; by then it is not there",
        ),
    ] {
        assert_begin(
            &request_errors(request),
            &[&format!("rules[0].request.{error}")],
        );
    }
    for (query, error) in [
        ("{}", "query: nothing is changed here"),
        (
            r#"{"set": {"": "1"}}"#,
            "query.set[\"\"]: not the name of a parameter",
        ),
        (
            r#"{"set": {"a": "%RESP(x)%"}}"#,
            "query.set.a: a request's header cannot be made",
        ),
        (
            r#"{"set": {"a": "1"}, "append": {"a": "1"}}"#,
            "query.append: `a` stands under `set` too",
        ),
        (
            r#"{"remove": "a", "rename": {"b": "a"}}"#,
            "query.rename: `a` stands under `remove` too",
        ),
    ] {
        assert_begin(
            &request_errors(&format!(r#"{{"query": {query}}}"#)),
            &[&format!("rules[0].request.{error}")],
        );
    }
    assert_begin(
        &request_errors(r#"{"traceparent": {"sampled": 101}}"#),
        &["rules[0].request.traceparent.sampled: "],
    );
    for request in [
        r#"{"traceparent": {}}"#,
        r#"{"clear_route_cache": true}"#,
        r#"{"filter_state": {"tag": "1"}}"#,
        r#"{"remove_on_match": [{"prefix": "x-"}]}"#,
        r#"{"rename": {"x-a": "x-b"}, "regex_rewrite": {"x-b": {"pattern": {"regex": "a"}}}, "dedupe": {"x-b": "RETAIN_LAST"}}"#,
    ] {
        accept(&format!(r#"{{"rules": [{{"request": {request}}}]}}"#));
    }
    assert_begin(
        &errors(r#"{"rules": [{"response": {"clear_route_cache": true}}]}"#),
        &[
            "rules[0].response.clear_route_cache: unknown field",
            "rules[0].response: nothing is changed here",
        ][..1],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn trailers_are_spared_what_is_not_for_them_and_a_call_keeps_its_status() {
    for (rule, error) in [
        (
            r#"{"request_trailers": {"set": {"x-a": "%TRAILER(x-b)%"}}}"#,
            "request_trailers.set.x-a: a request's trailer cannot be made from the response",
        ),
        (
            r#"{"request_trailers": {"set": {"x-a": {"value": "%RESP(x-b)%"}}}}"#,
            "request_trailers.set.x-a.value: a request's trailer cannot be made",
        ),
        (
            r#"{"response_trailers": {"append": {"x-a": ["1", "%REQUEST_TRAILER(x-b)%"]}}}"#,
            "response_trailers.append.x-a[1]: a response cannot be made from the request's trailers",
        ),
        (
            r#"{"request": {"set": {"x-a": "%REQUEST_TRAILER(x-b)%"}}}"#,
            "request.set.x-a: a header cannot be made from the trailers",
        ),
        (
            r#"{"response": {"set": {"x-a": "%REQUEST_TRAILER(x-b)%"}}}"#,
            "response.set.x-a: a header cannot be made from the trailers",
        ),
        (
            r#"{"response_trailers": {"set": {"x-a": "%CAPTURE(id)%"}}}"#,
            "response_trailers.set.x-a: the rule's condition captures no `id`",
        ),
        (
            r#"{"response_trailers": {}}"#,
            "response_trailers: nothing is changed here",
        ),
        (
            r#"{"response_trailers": {"when_status": 200, "remove": "x-a"}}"#,
            "response_trailers.when_status: unknown field",
        ),
        (
            r#"{"request_trailers": {"query": {"remove": "x"}}}"#,
            "request_trailers.query: unknown field",
        ),
        (
            r#"{"response_trailers": {"set": {"Content-Type": "a/b"}}}"#,
            "response_trailers.set.Content-Type: `content-type` is not for trailers",
        ),
        (
            r#"{"request_trailers": {"remove": ["x-a", "trailer"]}}"#,
            "request_trailers.remove: `trailer` is not for trailers",
        ),
        (
            r#"{"response_trailers": {"remove": "grpc-status"}}"#,
            "response_trailers.remove: a gRPC answer has one `grpc-status`, and no other has any; where",
        ),
        (
            r#"{"response": {"set": {"grpc-status": "0"}}}"#,
            "response.set.grpc-status: a gRPC answer has one `grpc-status`",
        ),
        (
            r#"{"response_trailers": {"rename": {"x-a": "grpc-status"}}}"#,
            "response_trailers.rename.x-a: a gRPC answer has one `grpc-status`",
        ),
        (
            r#"{"response_trailers": {"overwrite_if_exists": {"grpc-status": "UNAVAILABLE"}}}"#,
            "response_trailers.overwrite_if_exists.grpc-status: a gRPC status is one number from 0 to 16",
        ),
        (
            r#"{"response_trailers": {"overwrite_if_exists": {"grpc-status": ["1", "2"]}}}"#,
            "response_trailers.overwrite_if_exists.grpc-status: a gRPC status is one number",
        ),
    ] {
        assert_begin(
            &errors(&format!(r#"{{"rules": [{rule}]}}"#)),
            &[&format!("rules[0].{error}")],
        );
    }
    for rule in [
        r#"{"request_trailers": {"set": {"x-a": "%REQ(x-b)% %REQUEST_TRAILER(x-c)%"}}}"#,
        r#"{"response_trailers": {"set": {"x-a": "%REQ(x-b)% %RESP(x-c)% %TRAILER(x-d)% %RESPONSE_CODE%"}}}"#,
        r#"{"response_trailers": {"remove": "grpc-message", "overwrite_if_exists": {"grpc-status": "14"}}}"#,
        r#"{"response": {"regex_rewrite": {"grpc-status": {"pattern": "5", "substitution": "7"}}}}"#,
        r#"{"response_trailers": {"filter_state": {"a": "%TRAILER(grpc-status)%"}}}"#,
        r#"{"request": {"remove": "content-type"}, "response": {"remove": "trailer"}}"#,
    ] {
        accept(&format!(r#"{{"rules": [{rule}]}}"#));
    }
}
