//! A configuration is read, or refused with every mistake.

use deserr::{Deserr, ValuePointerRef};
use legation::config::{self, ConfigErrors, HeaderName, OneOrMany, OrderedMap, Problem, Secret};
use wasm_bindgen_test::wasm_bindgen_test;

#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Config {
    rules: Vec<Rule>,
    #[deserr(default)]
    mode: Mode,
    #[deserr(default)]
    limit: u8,
}

#[derive(Debug, Default, PartialEq, Deserr)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
enum Mode {
    #[default]
    Enforce,
    Report,
}

#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = has_a_name -> ConfigErrors)]
struct Rule {
    name: String,
    #[deserr(default)]
    set: OrderedMap<HeaderName, OneOrMany<String>>,
    #[deserr(default)]
    key: Option<Secret>,
    #[deserr(default)]
    from: Option<From>,
}

fn has_a_name(rule: Rule, location: ValuePointerRef<'_>) -> Result<Rule, ConfigErrors> {
    if rule.name.is_empty() {
        let problem = Problem::new("must not be empty").help("a word for the log");
        return Err(ConfigErrors::at(location.push_key("name"), problem));
    }
    Ok(rule)
}

config::one_of! {
    #[derive(Debug)]
    enum From {
        "header" => Header(HeaderName),
        "parameter" => Parameter(String),
    }
}

fn lines(text: &str) -> Vec<String> {
    let errors = config::parse::<Config>(text.as_bytes()).unwrap_err();
    errors.to_string().lines().map(str::to_owned).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn reads_what_is_right() {
    let text = br#"{
        "rules": [
            {"name": "a", "set": {"X-B": "1", "X-A": ["2", "3"]}, "from": {"header": "X-C"}},
            {"name": "b", "key": "hidden", "from": {"parameter": "p"}}
        ],
        "mode": "report",
        "limit": 255.0
    }"#;

    let config: Config = config::parse(text).unwrap();

    let [first, second] = config.rules.as_slice() else {
        panic!("{config:?}");
    };
    let names: Vec<_> = first.set.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-b", "x-a"]);
    assert_eq!(
        first
            .set
            .iter()
            .map(|(_, values)| values.len())
            .sum::<usize>(),
        3
    );
    assert!(matches!(&first.from, Some(From::Header(name)) if name.as_str() == "x-c"));
    assert!(matches!(&second.from, Some(From::Parameter(name)) if name == "p"));
    assert_eq!(second.key.as_ref().map(Secret::expose), Some("hidden"));
    assert_eq!(format!("{:?}", second.key), "Some(Secret(…))");
    assert_eq!(config.mode, Mode::Report);
    assert_eq!(config.limit, 255);
}

#[wasm_bindgen_test(unsupported = test)]
fn tells_every_mistake_with_its_path_and_place() {
    let text = r#"{
  "rules": [
    {"nme": "a", "set": {"x-a": 1, ":path": "/", "X-B": [], "x-b": "2"}},
    {"name": "", "from": {"header": "a", "parameter": "b"}, "key": 12345},
    "rule"
  ],
  "mode": "reprot",
  "limit": 256,
  "limit": 7
}"#;

    assert_eq!(
        lines(text),
        [
            "rules[0].nme: unknown field; did you mean `name`? (known: name, set, key, from) (line 3, column 6)",
            "rules[0].set.x-a: expected a string, got the number 1; put it in quotes (line 3, column 26)",
            "rules[0].set.:path: \":path\" is a pseudo-header, not a header; it is part of the request line (method, path, host) and is not reached this way (line 3, column 36)",
            "rules[0].set.X-B: an empty list; name at least one, or leave the field out (line 3, column 50)",
            "rules[1].from: only one of these may be given: header, parameter (line 4, column 18)",
            "rules[1].key: expected a string, got a number (line 4, column 61)",
            "rules[2]: expected an object, got a string (line 5, column 5)",
            "mode: unknown value \"reprot\"; did you mean `report`? (known: enforce, report) (line 7, column 3)",
            "limit: out of range: 256, at most 255 allowed (line 8, column 3)",
            "limit: duplicate key; it is given more than once in this object (line 9, column 3)",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn leaves_the_place_out_of_one_line() {
    assert_eq!(
        lines("{\"rules\": [{}]}\n"),
        ["rules[0].name: missing field"]
    );
    assert_eq!(lines(""), ["rules: missing field"]);
    assert_eq!(
        lines("[]"),
        ["configuration: expected an object, got a list"]
    );
    assert_eq!(
        lines("null"),
        ["configuration: expected an object, got null"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn says_where_text_stops_being_json() {
    let [line] = lines("{\n \"rules\": [,]\n}").try_into().unwrap();

    assert!(
        line.starts_with("configuration: not JSON: expected value"),
        "{line}"
    );
    assert!(line.ends_with("(line 2, column 12)"), "{line}");
    for text in [
        "rules:\n- name: a\n",
        "{",
        "{\"rules\": [}",
        "{\"a\": 1e999}",
        "\u{feff}{}",
    ] {
        assert_eq!(lines(text).len(), 1, "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn refuses_one_header_in_two_spellings() {
    assert_eq!(
        lines(r#"{"rules": [{"name": "a", "set": {"X-A": "1", "x-a": "2"}}]}"#),
        ["rules[0].set.x-a: duplicate key; another spelling of it is in this object already"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn writes_each_error_on_one_line() {
    let found = lines(r#"{"rules": [], "a\nb": 1, "mode": "x\r\ny\u0000", "\u2028": 2}"#);

    assert_eq!(
        found,
        [
            "[\"a\\nb\"]: unknown field; known: rules, mode, limit",
            "mode: unknown value \"x\\r\\ny\\u{0}\"; known: enforce, report",
            "[\"\\u{2028}\"]: unknown field; known: rules, mode, limit",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn bounds_how_much_it_says() {
    let wrong = vec!["1"; 1000].join(",");
    let errors =
        config::parse::<Config>(format!("{{\"rules\": [{wrong}]}}").as_bytes()).unwrap_err();

    assert_eq!(errors.len(), 1000);
    let text = errors.to_string();
    assert_eq!(text.lines().count(), 51);
    assert!(text.ends_with("\nand 950 more"), "{text}");
    let long = format!("{{\"rules\": \"{}\"}}", "é".repeat(10_000));
    let [line] = lines(&long).try_into().unwrap();
    assert!(line.chars().count() < 200, "{line}");
}

#[wasm_bindgen_test(unsupported = test)]
fn never_shows_a_secret() {
    for text in [
        r#"{"rules": [{"name": "a", "key": 123454321}]}"#,
        r#"{"rules": [{"name": "a", "key": ["123454321"]}]}"#,
        r#"{"rules": [{"name": "a", "key": {"123454321": 1}}]}"#,
        r#"{"rules": [{"name": "a", "key": true}, {"key": "123454321", "nam": "123454321"}]}"#,
        r#"{"rules": "123454321"}"#,
        r#"{"rules": [{"name": "a", "from": "123454321", "set": "123454321"}]}"#,
    ] {
        let text = lines(text).join("\n");
        assert!(!text.contains("123454321"), "{text}");
        assert!(!text.contains("true"), "{text}");
    }
}

/// The bytes of a `google.protobuf.Struct`, as Envoy hands them over.
#[wasm_bindgen_test(unsupported = test)]
fn reads_a_struct_as_its_json() {
    let field = |number: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[(number << 3) | 2, length], bytes].concat()
    };
    let entry =
        |key: &str, value: &[u8]| field(1, &[field(1, key.as_bytes()), field(2, value)].concat());
    let text = |text: &str| field(3, text.as_bytes());
    let number = |number: f64| [&[0x11][..], &number.to_le_bytes()].concat();
    let rules = |rule: &[u8]| entry("rules", &field(6, &field(1, &field(5, rule))));

    let right = [
        rules(&entry("name", &text("a"))),
        entry("limit", &number(7.0)),
    ]
    .concat();
    let config: Config = config::parse(&right).unwrap();
    assert_eq!((config.rules.len(), config.limit), (1, 7));

    let wrong = [
        rules(&entry("nme", &text("a"))),
        entry("limit", &number(7.5)),
    ]
    .concat();
    let errors = config::parse::<Config>(&wrong).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "limit: expected a whole number, got the number 7.5\n\
         rules[0].nme: unknown field; did you mean `name`? (known: name, set, key, from)"
    );
}
