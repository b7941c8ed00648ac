//! What is masked and taken out.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

#[wasm_bindgen_test(unsupported = test)]
fn values_of_any_kind_are_masked_and_nothing_else_changes() {
    let plan = plan(vec![
        mask("$.card.number", "****", 4),
        mask("$..secret", "[redacted]", 0),
    ]);
    for (document, expected) in [
        (
            r#"{ "card" : { "number" : "4111111111111111" , "name":"A\u0020B" } }"#,
            r#"{ "card" : { "number" : "****1111" , "name":"A\u0020B" } }"#,
        ),
        (
            r#"{"card":{"number":4111111111111111}}"#,
            r#"{"card":{"number":"****1111"}}"#,
        ),
        // Of what is short nothing is kept.
        (
            r#"{"card":{"number":"1234567"}}"#,
            r#"{"card":{"number":"****"}}"#,
        ),
        (
            r#"{"card":{"number":"12345678"}}"#,
            r#"{"card":{"number":"****5678"}}"#,
        ),
        (
            r#"{"card":{"number":"aaaa\"\u20ac\\\n"}}"#,
            "{\"card\":{\"number\":\"****\\\"€\\\\\\n\"}}",
        ),
        (
            r#"{"secret":{"a":[1,"}",{"secret":2}]},"b":1}"#,
            r#"{"secret":"[redacted]","b":1}"#,
        ),
        (
            r#"[{"secret":true},{"secret":null},{"secret":[]},{"secret":-1.5e3}]"#,
            r#"[{"secret":"[redacted]"},{"secret":"[redacted]"},{"secret":"[redacted]"},{"secret":"[redacted]"}]"#,
        ),
        (r#"{"\u0073ecret":1}"#, r#"{"\u0073ecret":"[redacted]"}"#),
        (r#"{"Secret":"secret"}"#, r#"{"Secret":"secret"}"#),
    ] {
        assert_eq!(text(&plan, document), expected);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_taken_out_goes_with_its_comma() {
    let plan = plan(vec![
        remove("$..x"),
        remove("$.list[0]"),
        remove("$.list[2]"),
    ]);
    for (document, expected) in [
        (r#"{"x":1}"#, "{}"),
        (r#"{"x":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{"a":2,"x":1}"#, r#"{"a":2}"#),
        (r#"{"a":2,"x":1,"b":3}"#, r#"{"a":2,"b":3}"#),
        (
            r#"{ "a" : 2 , "x" : {"x":[1]} , "b" : 3 }"#,
            r#"{ "a" : 2  , "b" : 3 }"#,
        ),
        (r#"{ "x" : "1" , "b" : 3 }"#, r#"{  "b" : 3 }"#),
        (
            r#"{"x":1,"y":{"x":2},"z":[{"x":3}]}"#,
            r#"{"y":{},"z":[{}]}"#,
        ),
        (r#"{"list":[1,2,3,4]}"#, r#"{"list":[2,4]}"#),
        (r#"{"list":[[1]]}"#, r#"{"list":[]}"#),
        ("[ ]", "[ ]"),
        ("{ }", "{ }"),
    ] {
        let masked = text(&plan, document);
        assert_eq!(masked, expected);
        assert!(serde_json::from_str::<serde_json::Value>(&masked).is_ok());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn white_space_is_not_hoarded() {
    let plan = plan(vec![remove("$.x")]);
    let document = format!("{{\"a\":1,{}\"b\":2}}", " ".repeat(100_000));
    let masked = text(&plan, &document);
    assert!(masked.len() < 2_000, "{}", masked.len());
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&masked).unwrap(),
        serde_json::json!({"a": 1, "b": 2})
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn patterns_are_found_in_texts_however_they_are_written() {
    let plan = looking_for(&[Preset::CreditCard, Preset::Email], 4);
    for (document, expected) in [
        (
            r#"{"note":"card 4111 1111 1111 1111 of a@b.example."}"#,
            r#"{"note":"card ***1111 of ***mple."}"#,
        ),
        // Escapes that are no part of it stay as they are.
        (
            r#"["\u0041\/ a\u0040b.example \u00e9"]"#,
            r#"["\u0041\/ ***mple \u00e9"]"#,
        ),
        (
            r#"["4111\u00201111\u00201111\u00201111"]"#,
            r#"["***1111"]"#,
        ),
        ("[4111111111111111, 12]", r#"["***1111", 12]"#),
        (
            r#"{"a@b.example":"4111111111111112"}"#,
            r#"{"a@b.example":"4111111111111112"}"#,
        ),
    ] {
        assert_eq!(text(&plan, document), expected);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn patterns_are_found_wherever_a_long_text_is_looked_through() {
    let plan = looking_for(&[Preset::CreditCard], 0);
    for before in (16_300..16_420).chain(12_270..12_310).chain(28_600..28_680) {
        let text = |card: &str| {
            format!(
                "[\"{} {card} {}\"]",
                "é".repeat(before / 2) + &"x".repeat(before % 2),
                "y".repeat(20_000)
            )
        };
        let document = text("4111-1111-1111-1111");
        let (masked, count) = read(&plan, document.as_bytes().chunks(1_000)).unwrap();
        assert_eq!(String::from_utf8(masked).unwrap(), text("***"), "{before}");
        assert_eq!(count, 1);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn memory_is_bounded_however_long_a_text_is() {
    let plan = looking_for(&[Preset::CreditCard], 0);
    let mut document = Document::new(&plan);
    let mut out = Vec::new();
    document.push(b"[\"", &mut out).unwrap();
    let mut last = 0;
    for _ in 0..1_000 {
        document.push(&[b'a'; 1_000], &mut out).unwrap();
        last = last.max(document.scan.held());
        out.clear();
    }
    assert!(last < 40_000, "{last}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_match_without_an_end_is_refused() {
    let plan = looking_for(&[Preset::Jwt], 0);
    let token = |length: usize| format!("[\"eyJh.a.{}\"]", "b".repeat(length));
    assert_eq!(text(&plan, &token(3_000)), "[\"***\"]");
    assert_eq!(
        reads(&plan, token(50_000).as_bytes()),
        Err(Fault::LongMatch)
    );
}
