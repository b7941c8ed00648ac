use serde_json::json;

use super::{FilterConfig, Place};

fn parse(text: &str) -> FilterConfig {
    FilterConfig::parse(text, "header-tag").expect("is usable")
}

fn refused(text: &str) -> String {
    let error = FilterConfig::parse(text, "header-tag").err();
    format!("{:#}", error.expect("is refused"))
}

fn at(line: usize, column: usize, length: usize) -> Place {
    Place {
        line,
        column,
        length,
    }
}

const PLAIN: &str = "\
rules:
- request:
    set: { X-A: b, x y: 1 }
  when:
    pth: /api
";

const ENVOY: &str = r#"
static_resources:
  listeners:
  - filter_chains:
    - filters:
      - typed_config:
          http_filters:
          - name: other
            typed_config:
              config: { name: other, vm_config: {}, configuration: { "@type": x.Struct, value: {} } }
          - name: tag
            typed_config:
              config:
                name: tag
                vm_config:
                  environment_variables: { key_values: { POD: a } }
                  code: { local: { filename: /etc/envoy/filters/header-tag.wasm } }
                configuration:
                  "@type": type.googleapis.com/google.protobuf.Struct
                  value:
                    rules: 5
"#;

#[test]
fn a_file_of_its_own_is_the_configuration() {
    let config = parse("rules: []\n");

    assert_eq!(config.value, json!({"rules": []}));
}

#[test]
fn an_empty_file_is_no_configuration() {
    assert!(parse("\n").value.is_null());
    assert!(parse("# nothing\n").value.is_null());
}

#[test]
fn json_will_do() {
    assert_eq!(parse(r#"{"rules": []}"#).value, json!({"rules": []}));
}

#[test]
fn a_configuration_of_envoy_holds_it_under_the_filter() {
    let config = parse(ENVOY);

    assert_eq!(config.value, json!({"rules": 5}));
    assert_eq!(config.environment, [("POD".to_owned(), "a".to_owned())]);
    let place = config.place_of("rules: expected a list, got a number");
    assert_eq!(place, Some(at(21, 28, 1)));
}

#[test]
fn a_configuration_of_envoy_without_the_filter_is_refused() {
    let error = refused(&ENVOY.replace("header-tag", "csp"));

    assert!(
        error.contains("without the Wasm filter `header-tag`"),
        "{error}"
    );
    assert!(error.contains("it has: other, tag"), "{error}");
}

#[test]
fn a_configuration_of_envoy_without_wasm_is_refused() {
    let error = refused("static_resources: {}\n");

    assert!(error.contains("without any Wasm filter"), "{error}");
}

#[test]
fn what_is_not_yaml_is_shown() {
    let error = refused("rules: [1\nb");

    assert!(error.contains("neither YAML nor JSON"), "{error}");
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn finds_a_value() {
    let config = parse(PLAIN);

    let place = config.place_of("rules[0].request.set.X-A: expected something else");
    assert_eq!(place, Some(at(3, 17, 1)));
}

#[test]
fn finds_a_key_that_is_no_plain_word() {
    let config = parse(PLAIN);

    let place = config.place_of(r#"rules[0].request.set["x y"]: unknown field"#);
    assert_eq!(place, Some(at(3, 20, 3)));
}

#[test]
fn an_unknown_field_is_where_its_name_is() {
    let config = parse(PLAIN);

    let place = config.place_of("rules[0].when.pth: unknown field; did you mean `path`?");
    assert_eq!(place, Some(at(5, 5, 3)));
}

#[test]
fn a_missing_field_is_where_it_is_missed() {
    let config = parse(PLAIN);

    let place = config.place_of("rules[0].when.path: missing field");
    assert_eq!(place, Some(at(4, 3, 4)));
}

#[test]
fn a_value_of_several_lines_is_where_its_key_is() {
    let config = parse(PLAIN);

    let place = config.place_of("rules[0].request: expected a string, got an object");
    assert_eq!(place, Some(at(2, 3, 7)));
}

#[test]
fn a_complaint_about_the_whole_has_no_place() {
    let config = parse(PLAIN);

    assert_eq!(config.place_of("configuration: expected an object"), None);
}

/// A configuration as text inside one of Envoy.
fn in_text(value: &str) -> FilterConfig {
    parse(&format!(
        "plugin:\n  name: header-tag\n  vm_config: {{}}\n  configuration:\n    \
         \"@type\": type.googleapis.com/google.protobuf.StringValue\n    value: {value}\n"
    ))
}

#[test]
fn a_text_arrives_as_it_is() {
    let config = in_text("|\n      {\n        \"rules\": 5\n      }");

    assert_eq!(config.value, json!("{\n  \"rules\": 5\n}\n"));
}

#[test]
fn finds_a_value_in_a_text_of_several_lines() {
    let config = in_text("|\n      {\n        \"rules\": [5]\n      }");

    let place = config.place_of("rules[0]: expected an object (line 2, column 13)");
    assert_eq!(place, Some(at(8, 19, 1)));
}

#[test]
fn finds_a_value_in_a_text_of_one_line() {
    let config = in_text("'{\"rules\": 5}'");

    let place = config.place_of("rules: expected a list");
    assert_eq!(place, Some(at(6, 23, 1)));
}

#[test]
fn believes_the_filter_where_the_text_cannot_be_read() {
    let config = in_text("|\n      {\n        \"rules\": [5\n      }");

    let place = config.place_of("configuration: expected `,` or `]` (line 3, column 1)");
    assert_eq!(place, Some(at(9, 7, 1)));
}
