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
    let block = Block::new(changes.into_changes());
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
    let block = Block::new(changes.into_changes());
    let mut scratch = Strings::default();
    let mut first = Fake::request(&[("x-1", "one")]);
    let Ok(_) = block.apply(&mut first, &mut scratch);
    let mut second = Fake::request(&[("x-1", "two")]);
    let Ok(_) = block.apply(&mut second, &mut scratch);
    assert_eq!(first.headers(), ["x-2: one", "x-a: one"]);
    assert_eq!(second.headers(), ["x-2: two", "x-a: two"]);
}
