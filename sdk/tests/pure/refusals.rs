//! Matchers that are refused, with what is said.

use legation::config;
use legation::matcher::Matcher;
use wasm_bindgen_test::wasm_bindgen_test;

#[track_caller]
fn refuses(text: &str, why: &str) {
    match config::parse::<Matcher>(text.as_bytes()) {
        Ok(_) => panic!("{text} was read"),
        Err(errors) => {
            let errors = errors.to_string();
            assert!(errors.contains(why), "{text}: {errors}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn refuses_what_can_not_be_meant() {
    for (text, why) in [
        (
            r#"{"pth": "/a"}"#,
            "pth: unknown field; did you mean `path`?",
        ),
        (
            r#"{"path": {"prefx": "/a"}}"#,
            "path.prefx: unknown field; did you mean `prefix`?",
        ),
        (
            r#"{"path": {}}"#,
            "path: one of these must be given: exact, prefix, suffix, contains, regex, path_separated_prefix, template",
        ),
        (
            r#"{"path": {"exact": "/a", "prefix": "/"}}"#,
            "path: only one of these may be given: exact, prefix",
        ),
        (
            r#"{"path": "/a/*"}"#,
            "path: a string is an exact path, without wildcards; write {\"template\": \"/a/*\"}",
        ),
        (r#"{"path": "a"}"#, "a path begins with `/`, got \"a\""),
        (
            r#"{"path": {"prefix": ""}}"#,
            "path.prefix: must not be empty",
        ),
        (
            r#"{"path": {"prefix": "/a//b"}}"#,
            "path.prefix: never matches",
        ),
        (
            r#"{"path": {"exact": "/%61"}}"#,
            "path.exact: never matches",
        ),
        (
            r#"{"path": {"exact": "/a?b"}}"#,
            "path.exact: never matches",
        ),
        (r#"{"path": {"exact": "/é"}}"#, "`%C3%A9` for `é`"),
        (
            r#"{"path": {"suffix": "/.."}}"#,
            "path.suffix: never matches",
        ),
        (
            r#"{"path": {"contains": "//"}}"#,
            "path.contains: never matches",
        ),
        (
            r#"{"path": {"path_separated_prefix": "/a/"}}"#,
            "must not end with `/`",
        ),
        (
            r#"{"path": {"template": "/{a}/{a}"}}"#,
            "path.template: the variable `a` is there twice",
        ),
        (
            r#"{"path": {"template": "/a/../{b}"}}"#,
            "path.template: never matches",
        ),
        (
            r#"{"path": {"regex": "("}}"#,
            "path.regex: not a regular expression",
        ),
        (
            r#"{"path": {"regex": "a)(?:b"}}"#,
            "path.regex: not a regular expression",
        ),
        (r#"{"path": null}"#, "path: expected an object, got null"),
        (r#"{"path": []}"#, "path: an empty list"),
        (
            r#"{"method": "get"}"#,
            "method: methods are in upper case; write `GET`",
        ),
        (r#"{"method": "G T"}"#, "method: \"G T\" is not a method"),
        (
            r#"{"host": "example.com:80"}"#,
            "has a port or a dot at its end",
        ),
        (
            r#"{"host": "a.*.com"}"#,
            "has a `*` that is not at its beginning",
        ),
        (r#"{"host": "http://a"}"#, "is not a host"),
        (r#"{"host": "exämple.com"}"#, "punycode"),
        (
            r#"{"headers": [{"exact": "b"}]}"#,
            "headers[0].name: missing field",
        ),
        (
            r#"{"headers": [{"name": "a"}]}"#,
            "headers[0]: one of these must be given",
        ),
        (
            r#"{"headers": [{"name": ":path", "exact": "/"}]}"#,
            "headers[0].name: not tested as a header; test the path with `path`",
        ),
        (
            r#"{"headers": [{"name": "host", "exact": "/"}]}"#,
            "test the host with `host`",
        ),
        (
            r#"{"headers": [{"name": "a", "range": {"start": 5, "end": 5}}]}"#,
            "headers[0].range: an empty range",
        ),
        (
            r#"{"headers": [{"name": "a", "safe_regex": "b"}]}"#,
            "did you mean `regex`?",
        ),
        (
            r#"{"query": [{"name": "", "exact": "b"}]}"#,
            "query[0].name: must not be empty",
        ),
        (
            r#"{"source_ip": "10.0.0.0/33"}"#,
            "source_ip: \"10.0.0.0/33\" is not an address or a network",
        ),
        (r#"{"percentage": 101}"#, "percentage: out of range"),
        (
            r#"{"percentage": null}"#,
            "percentage: expected a percentage from 0 to 100, such as 12.5, got null",
        ),
        (r#"{"any": []}"#, "any: an empty list"),
        (r#"{"all": []}"#, "all: an empty list"),
        (r#"{"not": null}"#, "not: expected an object, got null"),
        (r#"{"not": [{}]}"#, "not: expected an object, got a list"),
        (r#""/a""#, "configuration: expected an object, got a string"),
    ] {
        refuses(text, why);
    }
    // A misspelt test is one mistake, not two.
    for text in [
        r#"{"path": {"prefx": "/a"}}"#,
        r#"{"headers": {"nme": "a", "exact": "b"}}"#,
    ] {
        let misspelt = config::parse::<Matcher>(text.as_bytes()).unwrap_err();
        assert_eq!(misspelt.len(), 1, "{misspelt}");
    }
    let nested = |depth| r#"{"not": "#.repeat(depth) + "{}" + &"}".repeat(depth);
    assert!(config::parse::<Matcher>(nested(16).as_bytes()).is_ok());
    refuses(&nested(17), "nested more than 16 deep");
}
