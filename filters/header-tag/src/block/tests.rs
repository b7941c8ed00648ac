use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::fake::{self, Fake};

/// What becomes of a request's headers under these changes (JSON).
fn changed(changes: &str, headers: &[(&str, &str)]) -> Vec<String> {
    let (message, _) = apply(changes, Fake::request(headers));
    message.headers()
}

fn apply(changes: &str, mut message: Fake) -> (Fake, u64) {
    let config = fake::config(&format!(r#"{{"rules": [{{"request": {changes}}}]}}"#));
    let changes = config.rules.into_iter().next().unwrap().request.0.unwrap();
    let block = Block::new(changes.0);
    let Ok(empty) = block.apply(&mut message, &mut Strings::default());
    (message, empty)
}

#[wasm_bindgen_test(unsupported = test)]
fn set_leaves_its_values_and_nothing_of_what_was_there() {
    let sent = [("x-a", "1"), ("x-b", "2"), ("x-a", "3")];
    assert_eq!(
        changed(r#"{"set": {"X-A": "new"}}"#, &sent),
        ["x-b: 2", "x-a: new"]
    );
    assert_eq!(
        changed(r#"{"set": {"x-a": ["new", "newer"]}}"#, &sent),
        ["x-b: 2", "x-a: new", "x-a: newer"]
    );
    assert_eq!(changed(r#"{"set": {"x-a": "new"}}"#, &[]), ["x-a: new"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn overwrite_if_exists_touches_only_what_is_there() {
    let changes = r#"{"overwrite_if_exists": {"x-a": ["new", "newer"]}}"#;
    assert_eq!(
        changed(changes, &[("x-a", "1"), ("x-a", "2")]),
        ["x-a: new", "x-a: newer"]
    );
    assert_eq!(changed(changes, &[("x-b", "1")]), ["x-b: 1"]);
    // A header that is there and empty is there.
    assert_eq!(changed(changes, &[("x-a", "")]), ["x-a: new", "x-a: newer"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn add_if_absent_adds_all_its_values_or_none() {
    let changes = r#"{"add_if_absent": {"x-a": ["new", "newer"]}}"#;
    assert_eq!(changed(changes, &[]), ["x-a: new", "x-a: newer"]);
    assert_eq!(changed(changes, &[("x-a", "1")]), ["x-a: 1"]);
    assert_eq!(changed(changes, &[("x-a", "")]), ["x-a: "]);
}

#[wasm_bindgen_test(unsupported = test)]
fn append_adds_to_what_is_there() {
    let changes = r#"{"append": {"x-a": ["new", "newer"]}}"#;
    assert_eq!(
        changed(changes, &[("x-a", "1")]),
        ["x-a: 1", "x-a: new", "x-a: newer"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn remove_removes_every_value() {
    let sent = [("x-a", "1"), ("x-b", "2"), ("x-a", "3"), ("x-c", "4")];
    assert_eq!(
        changed(r#"{"remove": ["X-A", "x-c", "x-none"]}"#, &sent),
        ["x-b: 2"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn rename_moves_every_value_over_what_has_the_new_name() {
    let changes = r#"{"rename": {"x-old": "x-new"}}"#;
    let sent = [("x-old", "1"), ("x-new", "client"), ("x-old", "2")];
    assert_eq!(changed(changes, &sent), ["x-new: 1", "x-new: 2"]);
    assert_eq!(changed(changes, &[("x-new", "client")]), ["x-new: client"]);
    assert_eq!(changed(changes, &[("x-old", "")]), ["x-new: "]);
}

#[wasm_bindgen_test(unsupported = test)]
fn operations_run_in_their_documented_order_whatever_the_document_has() {
    let changes = r#"{
        "append": {"x-new": "appended", "x-appended": "1"},
        "add_if_absent": {"x-kept": "default"},
        "set": {"x-old": "fresh"},
        "rename": {"x-old": "x-new"},
        "remove": ["x-new"]
    }"#;
    assert_eq!(
        changed(changes, &[("x-new", "forged"), ("x-old", "1")]),
        [
            "x-new: 1",
            "x-old: fresh",
            "x-kept: default",
            "x-new: appended",
            "x-appended: 1"
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn values_are_made_from_the_message_as_it_was() {
    let changes = r#"{
        "remove": ["x-gone"],
        "rename": {"x-moved": "x-there"},
        "set": {
            "x-1": "%REQ(x-gone)%/%REQ(x-moved)%/%REQ(x-there)%/%REQ(x-2)%",
            "x-2": "%REQ(x-1)%",
            "x-self": "[%REQ(x-self)%]"
        }
    }"#;
    let sent = [
        ("x-gone", "g"),
        ("x-moved", "m"),
        ("x-there", "t"),
        ("x-1", "one"),
        ("x-2", "two"),
        ("x-self", "me"),
    ];
    assert_eq!(
        changed(changes, &sent),
        ["x-there: m", "x-1: g/m/t/two", "x-2: one", "x-self: [me]"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_value_that_comes_out_empty_adds_nothing_and_is_counted() {
    for (operation, left) in [
        // These replace: nothing takes the old value's place.
        ("set", vec![]),
        ("overwrite_if_exists", vec![]),
        ("append", vec!["x-a: client"]),
        ("add_if_absent", vec!["x-a: client"]),
    ] {
        let changes = format!(r#"{{"{operation}": {{"x-a": "%REQ(x-none)%"}}}}"#);
        let (message, empty) = apply(&changes, Fake::request(&[("x-a", "client")]));
        assert_eq!(message.headers(), left, "{operation}");
        assert_eq!(empty, 1, "{operation}");
    }
    let absent = changed(r#"{"add_if_absent": {"x-a": "%REQ(x-none)%"}}"#, &[]);
    assert_eq!(absent, Vec::<String>::new());
    let some = changed(r#"{"append": {"x-a": ["%REQ(x-none)%", "1"]}}"#, &[]);
    assert_eq!(some, ["x-a: 1"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn keep_empty_value_writes_what_came_out_empty() {
    for (operation, left) in [
        ("set", vec!["x-a: "]),
        ("overwrite_if_exists", vec!["x-a: "]),
        ("append", vec!["x-a: client", "x-a: "]),
        ("add_if_absent", vec!["x-a: client"]),
    ] {
        let changes =
            format!(r#"{{"keep_empty_value": true, "{operation}": {{"x-a": "%REQ(x-none)%"}}}}"#);
        let (message, empty) = apply(&changes, Fake::request(&[("x-a", "client")]));
        assert_eq!(message.headers(), left, "{operation}");
        assert_eq!(empty, 0, "{operation}");
    }
    let literal = changed(
        r#"{"keep_empty_value": true, "add_if_absent": {"x-a": ""}}"#,
        &[],
    );
    assert_eq!(literal, ["x-a: "]);
}

#[wasm_bindgen_test(unsupported = test)]
fn values_come_from_all_that_is_known_of_a_request() {
    let message = Fake::request(&[("cookie", "s=1; t=tea"), ("x-a", "\u{e9}")]);
    let (message, empty) = apply(
        r#"{"set": {
            "x-1": "a %REQ(X-A)% b",
            "x-2": "%QUERY_PARAM(tag)%",
            "x-3": "%COOKIE(t)%",
            "x-4": "%ATTRIBUTE(source.address)%",
            "x-5": "%REQ(:method)% 100%%",
            "x-6": "%REQ(x-none?x-a)%"
        }}"#,
        message.path("/p?tag=b%20c%0d%0ax-evil:%201"),
    );
    assert_eq!(empty, 0);
    assert_eq!(
        message.headers()[2..],
        [
            "x-1: a \u{e9} b",
            "x-2: b c  x-evil: 1",
            "x-3: tea",
            "x-4: 10.0.0.1:4000",
            "x-5: GET 100%",
            "x-6: \u{e9}"
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_scratch_holds_from_a_rule_before_is_not_seen() {
    let config = fake::config(
        r#"{"rules": [{"request": {"set": {"x-a": "%REQ(x-1)%"}, "rename": {"x-1": "x-2"}}}]}"#,
    );
    let changes = config.rules.into_iter().next().unwrap().request.0.unwrap();
    let block = Block::new(changes.0);
    let mut scratch = Strings::default();
    let mut first = Fake::request(&[("x-1", "one")]);
    let Ok(_) = block.apply(&mut first, &mut scratch);
    let mut second = Fake::request(&[("x-1", "two")]);
    let Ok(_) = block.apply(&mut second, &mut scratch);
    assert_eq!(first.headers(), ["x-2: one", "x-a: one"]);
    assert_eq!(second.headers(), ["x-2: two", "x-a: two"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_value_is_rewritten_mapped_and_has_a_default_in_this_order() {
    let value = |long: &str, sent: &str| {
        let changes = format!(r#"{{"set": {{"x-a": {long}}}}}"#);
        changed(&changes, &[("x-in", sent)]).pop().unwrap()
    };
    let rewritten = r#"{"value": "%REQ(x-in)%", "regex_rewrite": {"pattern": "^v([0-9]+).*", "substitution": "\\1"}}"#;
    assert_eq!(value(rewritten, "v12-b"), "x-a: 12");
    assert_eq!(value(rewritten, "b"), "x-a: b");

    let mapped = r#"{"value": "%REQ(x-in)%", "map": {"gold": "1", "silver": "2"}, "default": "9"}"#;
    for (sent, made) in [("gold", "1"), ("silver", "2"), ("lead", "9"), ("", "9")] {
        assert_eq!(value(mapped, sent), format!("x-a: {made}"));
    }
    let default = r#"{"value": "%REQ(x-none)%", "default": "none"}"#;
    assert_eq!(value(default, "1"), "x-a: none");
    let all = r#"{"value": "%REQ(x-in)%", "regex_rewrite": {"pattern": "-.*"}, "map": {"gold": ""}, "default": "d"}"#;
    assert_eq!(value(all, "gold-1"), "x-a: d");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_made_for_the_occasion_is_made() {
    let lines = changed(
        r#"{"set": {
            "x-a": "%SHA256(REQ(x-in)):16%", "x-b": "%SHA256(REQ(x-none))%", "x-c": "%UUID_V7%",
            "x-d": "%UNIQUE_ID%", "x-e": "%SHA256(COOKIE(a))%"
        }}"#,
        &[("x-in", "abc"), ("cookie", "a=abc")],
    );
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(
        lines[2..],
        [
            "x-a: ba7816bf8f01cfea",
            "x-c: 01541b91-cb96-7000-8000-000000000000",
            "x-d: 00000000-0000-4000-8000-000000000000",
            &format!("x-e: {abc}"),
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_are_removed_by_their_names_but_for_those_that_are_nobodys_to_change() {
    let sent = [
        ("x-internal-a", "1"),
        ("content-length", "1"),
        ("x-a", "2"),
        ("x-internal-b", "3"),
        ("x-internal-a", "4"),
    ];
    assert_eq!(
        changed(r#"{"remove_on_match": {"prefix": "x-internal-"}}"#, &sent),
        ["content-length: 1", "x-a: 2"]
    );
    // Names have no case, however a test is written.
    for test in [
        r#"{"prefix": "X-Internal-"}"#,
        r#"{"contains": "-Internal-", "ignore_case": true}"#,
        r#"[{"suffix": "AL-A"}, {"exact": "X-INTERNAL-B"}]"#,
        r#"{"regex": "X-Internal-[A-Z]"}"#,
    ] {
        let changes = format!(r#"{{"remove_on_match": {test}}}"#);
        assert_eq!(
            changed(&changes, &sent),
            ["content-length: 1", "x-a: 2"],
            "{test}"
        );
    }
    let (message, _) = apply(
        r#"{"remove_on_match": [{"regex": ".*"}]}"#,
        Fake::request(&sent),
    );
    assert_eq!(message.headers(), ["content-length: 1"]);
    assert_eq!(message.request.len(), 4);
}

#[wasm_bindgen_test(unsupported = test)]
fn values_are_replaced_where_a_pattern_finds_something() {
    let changes =
        r#"{"regex_rewrite": {"x-a": {"pattern": "([a-z])\\d", "substitution": "<\\1>"}}}"#;
    let sent = [("x-a", "a1b2"), ("x-b", "c3"), ("x-a", "d")];
    assert_eq!(
        changed(changes, &sent),
        ["x-b: c3", "x-a: <a><b>", "x-a: d"]
    );
    let untouched = [("x-a", "a"), ("x-b", "c3"), ("x-a", "d")];
    assert_eq!(
        changed(changes, &untouched),
        ["x-a: a", "x-b: c3", "x-a: d"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn repeated_values_are_dropped() {
    let sent = [("x-a", "1"), ("x-a", "2"), ("x-a", "1"), ("x-b", "3")];
    for (kept, left) in [
        ("RETAIN_FIRST", vec!["x-b: 3", "x-a: 1"]),
        ("RETAIN_LAST", vec!["x-b: 3", "x-a: 1"]),
        ("RETAIN_UNIQUE", vec!["x-b: 3", "x-a: 1", "x-a: 2"]),
    ] {
        let changes = format!(r#"{{"dedupe": {{"x-a": "{kept}"}}}}"#);
        assert_eq!(changed(&changes, &sent), left, "{kept}");
    }
    // So nothing is appended twice to a request that comes by again.
    let changes = r#"{"append": {"x-a": "tag"}, "dedupe": {"x-a": "RETAIN_UNIQUE"}}"#;
    let once = changed(changes, &[("x-a", "own")]);
    assert_eq!(once, ["x-a: own", "x-a: tag"]);
    assert_eq!(changed(changes, &[("x-a", "own"), ("x-a", "tag")]), once);
}

#[wasm_bindgen_test(unsupported = test)]
fn filter_state_is_set_and_the_route_chosen_anew() {
    let (message, empty) = apply(
        r#"{"filter_state": {"tag": "a %REQ(x-in)%", "none": "%REQ(x-none)%"}, "clear_route_cache": true}"#,
        Fake::request(&[("x-in", "1")]),
    );
    assert_eq!(
        (message.states, message.cleared, empty),
        (vec!["tag=a 1".to_owned()], 1, 1)
    );
    assert_eq!(message.request.len(), 4);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_query_is_changed_and_the_path_is_not() {
    let path = |changes: &str, path: &str| {
        let (message, empty) = apply(changes, Fake::request(&[]).path(path));
        let path = message.request.iter().find(|(name, _)| name == ":path");
        (String::from_utf8(path.unwrap().1.clone()).unwrap(), empty)
    };
    let changes = r#"{"query": {
        "remove": "debug", "rename": {"u": "user"},
        "set": {"tag": "%QUERY_PARAM(u)% x", "none": "%REQ(x-none)%"}, "append": {"via": "edge"}
    }}"#;
    assert_eq!(
        path(
            changes,
            "/a;b/../c?x=%2f&debug=1&u=%C3%A9&tag=forged&none=forged&y"
        ),
        (
            "/a;b/../c?x=%2f&user=%C3%A9&tag=%C3%A9%20x&y&via=edge".to_owned(),
            1
        )
    );
    assert_eq!(path(changes, "*"), ("*".to_owned(), 1));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_trace_is_made_where_there_is_none_and_a_valid_one_is_left_alone() {
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let made = "traceparent: 00-00000000000000000000000000000001-0000000000000001-0";
    for (changes, sampled) in [
        (r#"{"traceparent": {}}"#, "0"),
        (r#"{"traceparent": {"sampled": 100}}"#, "1"),
    ] {
        let made = format!("{made}{sampled}");
        let sent = [("traceparent", given), ("tracestate", "a=b")];
        let lines = [
            format!("traceparent: {given}"),
            "tracestate: a=b".to_owned(),
        ];
        assert_eq!(changed(changes, &sent), lines);
        assert_eq!(changed(changes, &[]), [made.as_str()]);
        for wrong in [
            "",
            "00-1-2-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-00",
        ] {
            let sent = [("traceparent", wrong), ("tracestate", "a=b")];
            assert_eq!(changed(changes, &sent), [made.as_str()], "{wrong}");
        }
        // Nobody knows which of two is meant.
        let twice = [("traceparent", given), ("traceparent", given)];
        assert_eq!(changed(changes, &twice), [made.as_str()]);
    }
}
