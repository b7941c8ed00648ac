//! What is JSON, limits, and the rules of fields.

use legation::matcher::Regex;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

fn fault(plan: &Rc<Plan>, document: &str) -> Option<Fault> {
    reads(plan, document.as_bytes()).err()
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_json_goes_on_as_it_is_and_nothing_else_does() {
    let plan = plan(Vec::new());
    for document in [
        "0",
        "-0",
        "1",
        "-12.50e+10",
        "1E5",
        "0.0",
        "\"\"",
        "true",
        "false",
        "null",
        " [ ] ",
        "{ }",
        "\t{\"a\" : [1 , 2,{\"b\":null}]\r\n}\n",
        r#""\"\\\/\b\f\n\r\t\u0000\uD83D\uDE00""#,
        "\"ÿ€😀\"",
        "[[],[[]]]",
    ] {
        assert_eq!(text(&plan, document), document);
        assert!(serde_json::from_str::<serde_json::Value>(document).is_ok());
    }
    for document in [
        "",
        " ",
        "\u{feff}1",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "tru",
        "True",
        "nul",
        "truee",
        "1 2",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":}",
        "[",
        "]",
        "{",
        "}",
        "[}",
        "{]",
        "[1}",
        "{\"a\":1]",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\ud800\\n\"",
        "\"\n\"",
        "\"\u{1}\"",
        "1,",
        ":",
        "\"a\":1",
        "/**/1",
        "1//",
        "[1]]",
    ] {
        assert!(reads(&plan, document.as_bytes()).is_err(), "{document}");
        assert!(
            serde_json::from_str::<serde_json::Value>(document).is_err(),
            "{document}"
        );
    }
    for bytes in [
        &b"\"\xff\""[..],
        b"\"\xc3\"",
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf5\x80\x80\x80\"",
        b"\"\xe2\x82",
        b"\xff",
    ] {
        assert!(reads(&plan, bytes).is_err(), "{bytes:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn limits_are_kept_to_the_last() {
    let few = Limits {
        max_depth: 2,
        max_object_entries: 2,
        max_array_elements: Some(2),
        max_name_length: 3,
        max_string_length: Some(4),
        allow_duplicate_names: false,
    };
    let plan = limited(few);
    for document in [
        "[[1]]",
        r#"{"a":1,"b":2}"#,
        "[1,2]",
        r#"{"abc":"1234"}"#,
        r#"["\u20ac1"]"#,
        r#"{"a":{"b":"c"}}"#,
    ] {
        assert_eq!(fault(&plan, document), None, "{document}");
    }
    for (document, expected) in [
        ("[[[1]]]", Fault::Depth(2)),
        (r#"{"a":{"b":{}}}"#, Fault::Depth(2)),
        (r#"{"a":1,"b":2,"c":3}"#, Fault::ObjectEntries(2)),
        ("[1,2,3]", Fault::ArrayElements(2)),
        (r#"{"abcd":1}"#, Fault::NameLength(3)),
        (r#"{"\u20acab":1}"#, Fault::NameLength(3)),
        (r#"["12345"]"#, Fault::StringLength(4)),
        (r#"["\u20ac12"]"#, Fault::StringLength(4)),
        (r#"{"a":1,"a":2}"#, Fault::DuplicateName(9)),
        (r#"{"a":1,"\u0061":2}"#, Fault::DuplicateName(14)),
    ] {
        assert_eq!(fault(&plan, document), Some(expected), "{document}");
    }
    let long = "1".repeat(1_001);
    assert_eq!(fault(&plan, &long), Some(Fault::NumberLength));
    let twice = limited(Limits {
        allow_duplicate_names: true,
        ..Limits::default()
    });
    assert_eq!(fault(&twice, r#"{"a":1,"a":2}"#), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_nests_a_million_deep_is_refused_at_the_limit() {
    let plan = plan(Vec::new());
    for piece in ["[", "{\"a\":", "[{\"\":"] {
        let document = piece.repeat(1_000_000);
        assert_eq!(read(&plan, [document.as_bytes()]), Err(Fault::Depth(64)));
    }
}

/// Rules for fields of all kinds.
fn orders() -> Rc<Plan> {
    plan(vec![
        field(
            "$.user.email",
            Field {
                required: true,
                kinds: Some([Kind::String].into()),
                pattern: Some(Regex::new(r"[^@\s]+@[^@\s]+").unwrap()),
                max_length: Some(12),
                ..Field::default()
            },
        ),
        field(
            "$.items[*].count",
            Field {
                required: true,
                kinds: Some([Kind::Integer].into()),
                minimum: Some(1.0),
                maximum: Some(10.0),
                ..Field::default()
            },
        ),
        field(
            "$..admin",
            Field {
                forbidden: true,
                ..Field::default()
            },
        ),
        field(
            "$.state",
            Field {
                choices: Some(
                    [
                        Choice::Text("on".into()),
                        Choice::Number(1.0),
                        Choice::Boolean(true),
                        Choice::Null,
                    ]
                    .into(),
                ),
                ..Field::default()
            },
        ),
        field(
            "$.name",
            Field {
                min_length: Some(2),
                ..Field::default()
            },
        ),
    ])
}

#[wasm_bindgen_test(unsupported = test)]
fn the_rules_of_fields_say_what_is_wrong_with_which() {
    let plan = orders();
    let good = r#"{"user":{"email":"a@b.example"},"items":[{"count":1},{"count":1e1},{"count":2.0}],"state":"on","name":"é€"}"#;
    assert_eq!(fault(&plan, good), None);
    for state in ["1", "1.0", "true", "null", "\"\\u006fn\""] {
        let other = good.replace("\"on\"", state);
        assert_eq!(fault(&plan, &other), None, "{state}");
    }
    for (from, to, number, broken) in [
        ("\"email\"", "\"e-mail\"", 0, Broken::Required),
        ("{\"email\":\"a@b.example\"}", "1", 0, Broken::Required),
        ("\"user\"", "\"User\"", 0, Broken::Required),
        ("\"a@b.example\"", "5", 0, Broken::Type),
        ("\"a@b.example\"", "null", 0, Broken::Type),
        ("a@b.example", "ab.example", 0, Broken::Pattern),
        ("a@b.example", "aaa@b.example", 0, Broken::MaxLength),
        ("{\"count\":1}", "{}", 1, Broken::Required),
        ("{\"count\":1}", "[]", 1, Broken::Required),
        ("{\"count\":1}", "7", 1, Broken::Required),
        ("\"count\":1}", "\"count\":1.5}", 1, Broken::Type),
        ("\"count\":1}", "\"count\":\"1\"}", 1, Broken::Type),
        ("\"count\":1}", "\"count\":0}", 1, Broken::Minimum),
        ("\"count\":1}", "\"count\":11}", 1, Broken::Maximum),
        (
            "\"name\"",
            "\"a\":{\"admin\":0},\"name\"",
            2,
            Broken::Forbidden,
        ),
        (
            "\"name\"",
            "\"\\u0061dmin\":0,\"name\"",
            2,
            Broken::Forbidden,
        ),
        ("\"on\"", "\"off\"", 3, Broken::Enum),
        ("\"on\"", "false", 3, Broken::Enum),
        ("\"on\"", "[]", 3, Broken::Enum),
        ("\"on\"", "2", 3, Broken::Enum),
        ("é€", "€", 4, Broken::MinLength),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert_eq!(
            fault(&plan, &bad),
            Some(Fault::Fields(vec![(number, broken)])),
            "{bad}"
        );
    }
    let all = r#"{"items":[{}],"state":5}"#;
    let broken = vec![
        (1, Broken::Required),
        (3, Broken::Enum),
        (0, Broken::Required),
    ];
    assert_eq!(fault(&plan, all), Some(Fault::Fields(broken)));
    // No element, no field that it lacks.
    assert_eq!(fault(&plan, r#"{"user":{"email":"a@b"},"items":[]}"#), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_path_that_descends_must_lead_somewhere_if_it_is_required() {
    let plan = plan(vec![field(
        "$..id",
        Field {
            required: true,
            ..Field::default()
        },
    )]);
    assert_eq!(fault(&plan, r#"[[{"id":1}],{}]"#), None);
    assert_eq!(
        fault(&plan, "[{}]"),
        Some(Fault::Fields(vec![(0, Broken::Required)]))
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_must_not_be_sent_ends_it() {
    let denied = (
        Path::parse("$.password").unwrap(),
        Use::Redact(Redaction::Deny),
    );
    let plan = plan(vec![mask("$.*", "x", 0), denied]);
    assert_eq!(fault(&plan, r#"{"password":{"#), Some(Fault::Denied));
    assert_eq!(text(&plan, r#"{"a":1}"#), r#"{"a":"x"}"#);
}
