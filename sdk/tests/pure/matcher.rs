//! Which requests a matcher takes.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{self, ConfigErrors};
use legation::matcher::{Matcher, Needs, PathMatch, Regex, Request, StringMatch, parse_address};
use wasm_bindgen_test::wasm_bindgen_test;

use super::request::{Asked, Fake, matcher, paths, table};

#[wasm_bindgen_test(unsupported = test)]
fn an_empty_matcher_takes_everything_and_asks_nothing() {
    for text in [
        "",
        "{}",
        r#"{"all": [{}, {}]}"#,
        r#"{"any": [{"path": "/a"}, {}]}"#,
        r#"{"percentage": 100}"#,
    ] {
        let matcher = matcher(text);
        let mut request = Fake::default();

        assert!(matcher.is_unconditional(), "{text}");
        assert!(request.passes(&matcher), "{text}");
        assert_eq!(request.asked, Asked::default(), "{text}");
    }
    assert!(<Matcher>::default().is_unconditional());
}

#[wasm_bindgen_test(unsupported = test)]
fn matches_paths_each_way() {
    paths(
        r#"{"path": "/a"}"#,
        &["/a", "/a?b", "//a", "/x/../%61"],
        &["/a/", "/A", "/ab", "/a;b", "/a%2f"],
    );
    paths(
        r#"{"path": {"exact": "/a", "ignore_case": true}}"#,
        &["/a", "/A"],
        &["/b"],
    );
    paths(
        r#"{"path": {"prefix": "/api"}}"#,
        &["/api", "/apis", "/api/x", "/x/..//api"],
        &["/Api", "/ap", "/api/../x", "/x/api"],
    );
    paths(
        r#"{"path": {"path_separated_prefix": "/api"}}"#,
        &["/api", "/api/", "/api/x", "/api?x"],
        &["/apis", "/api;x", "/api%2Fx", "/x"],
    );
    paths(
        r#"{"path": {"suffix": ".css"}}"#,
        &["/a.css", "/a.css?b"],
        &["/a.css/b", "/a.CSS", "/a?b.css"],
    );
    paths(
        r#"{"path": {"contains": "/admin/"}}"#,
        &["/x/admin/y", "/x//admin//y"],
        &["/admin", "/x/admin"],
    );
    paths(
        r#"{"path": {"contains": "/ADMIN/", "ignore_case": true}}"#,
        &["/x/Admin/y"],
        &["/admin"],
    );
    paths(
        r#"{"path": {"regex": "/a/\\d+"}}"#,
        &["/a/12"],
        &["/a/12/", "/x/a/12", "/a/", "/a/1\n"],
    );
    paths(
        r#"{"path": {"regex": "/A/.*", "ignore_case": true}}"#,
        &["/a/", "/A/x/%0a"],
        &["/b"],
    );
    paths(
        r#"{"path": {"template": "/users/{id}/**"}}"#,
        &["/users/1", "/users/1/a/b"],
        &["/users", "/users/", "/users/../1/2"],
    );
    paths(
        r#"{"path": ["/a", {"prefix": "/b/"}]}"#,
        &["/a", "/b/c"],
        &["/b", "/c"],
    );
    paths(r#"{"path": "*"}"#, &["*"], &["/", "/*"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn matches_methods() {
    let method = |name: &str| Fake::default().with(":method", name);
    table(
        r#"{"method": ["GET", "HEAD"]}"#,
        &mut [
            (method("GET"), true),
            (method("HEAD"), true),
            (method("get"), false),
            (method("GETX"), false),
            (Fake::default(), false),
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn one_of_a_headers_values_is_enough() {
    let sent = |values: &[&str]| {
        values
            .iter()
            .fold(Fake::get("/"), |request, value| request.with("x-a", value))
    };
    let header = |test: &str| format!(r#"{{"headers": [{{"name": "X-A", {test}}}]}}"#);
    for (test, cases) in [
        (
            r#""exact": "b""#,
            [
                (&["b"][..], true),
                (&["c", "b"], true),
                (&["a,b"], false),
                (&[], false),
            ],
        ),
        (
            r#""exact": """#,
            [
                (&[""], true),
                (&["b"], false),
                (&[], false),
                (&["b", ""], true),
            ],
        ),
        (
            r#""prefix": "b""#,
            [
                (&["bc"], true),
                (&["c", "bx"], true),
                (&["ab"], false),
                (&[], false),
            ],
        ),
        (
            r#""suffix": "b""#,
            [
                (&["ab"], true),
                (&["c", "xb"], true),
                (&["ba"], false),
                (&[""], false),
            ],
        ),
        (
            r#""contains": "b""#,
            [
                (&["abc"], true),
                (&["c", "b"], true),
                (&["a"], false),
                (&[], false),
            ],
        ),
        (
            r#""regex": "b+""#,
            [
                (&["bb"], true),
                (&["c", "b"], true),
                (&["abb"], false),
                (&[], false),
            ],
        ),
        (
            r#""exact": "b", "ignore_case": true"#,
            [
                (&["B"], true),
                (&["c", "b"], true),
                (&["a"], false),
                (&[], false),
            ],
        ),
        (
            r#""present": true"#,
            [
                (&["b"], true),
                (&[""], true),
                (&["", ""], true),
                (&[], false),
            ],
        ),
        (
            r#""present": false"#,
            [
                (&["b"], false),
                (&[""], false),
                (&["", ""], false),
                (&[], true),
            ],
        ),
        (
            r#""range": {"start": -1, "end": 5.0}"#,
            [
                (&["-1"], true),
                (&["9", " 4 "], true),
                (&["5"], false),
                (&["4x"], false),
            ],
        ),
        // As Envoy has it: the header is there, and none of its values passes.
        (
            r#""exact": "b", "invert_match": true"#,
            [
                (&["c"], true),
                (&["c", "b"], false),
                (&["b"], false),
                (&[], false),
            ],
        ),
        (
            r#""present": true, "invert_match": true"#,
            [
                (&["b"], false),
                (&[""], false),
                (&["a", "b"], false),
                (&[], true),
            ],
        ),
    ] {
        let cases = cases
            .iter()
            .map(|(values, expected)| (sent(values), *expected));
        table(&header(test), &mut cases.collect::<Vec<_>>());
    }
    table(
        r#"{"not": {"headers": [{"name": "x-a", "exact": "b"}]}}"#,
        &mut [
            (sent(&["c"]), true),
            (sent(&[]), true),
            (sent(&["c", "b"]), false),
        ],
    );
    table(
        r#"{"headers": [{"name": "x-a", "exact": "b"}, {"name": "x-c", "present": true}]}"#,
        &mut [(sent(&["b"]), false), (sent(&["b"]).with("x-c", ""), true)],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn query_parameters_are_decoded_and_each_counts() {
    paths(
        r#"{"query": [{"name": "tag", "exact": "a b"}]}"#,
        &[
            "/?tag=a+b",
            "/?tag=a%20b",
            "/?t%61g=a%20b",
            "/?tag=c&tag=a+b",
            "/x?y&tag=a+b#z",
        ],
        &[
            "/?tag=a",
            "/",
            "/?Tag=a+b",
            "/#?tag=a+b",
            "/tag=a+b",
            "/?x=tag=a+b",
        ],
    );
    paths(
        r#"{"query": {"name": "a", "present": false}}"#,
        &["/", "/?b"],
        &["/?a", "/?b&a="],
    );
    paths(
        r#"{"query": {"name": "n", "range": {"start": 1, "end": 3}}}"#,
        &["/?n=1", "/?n=9&n=2"],
        &["/?n=3", "/?n="],
    );
    paths(
        r#"{"query": {"name": "a", "exact": "b", "invert_match": true}}"#,
        &["/?a=c"],
        &["/?a=b", "/?a=c&a=b", "/"],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn cookies_are_read_from_every_cookie_header() {
    let sent = |headers: &[&str]| {
        headers.iter().fold(Fake::get("/"), |request, value| {
            request.with("cookie", value)
        })
    };
    table(
        r#"{"cookies": {"name": "tier", "exact": "gold"}}"#,
        &mut [
            (sent(&["a=b; tier=gold"]), true),
            (sent(&["a=b", "tier=\"gold\""]), true),
            (sent(&["tier=silver; tier=gold"]), true),
            (sent(&["Tier=gold"]), false),
            (sent(&["xtier=gold", "a=tier=gold"]), false),
            (sent(&[]), false),
        ],
    );
    table(
        r#"{"cookies": {"name": "a", "present": false}}"#,
        &mut [
            (sent(&["b=a"]), true),
            (sent(&[]), true),
            (sent(&["b=1", "a="]), false),
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn matches_addresses_in_networks() {
    let from = |address: &str| Fake {
        source: address.parse().ok(),
        ..Fake::default()
    };
    table(
        r#"{"source_ip": ["10.1.2.3/8", "192.0.2.1", "2001:db8::/32"]}"#,
        &mut [
            (from("10.255.0.1"), true),
            (from("::ffff:10.0.0.1"), true),
            (from("192.0.2.1"), true),
            (from("192.0.2.2"), false),
            (from("2001:db8:1::1"), true),
            (from("2001:db9::1"), false),
            (from(""), false),
        ],
    );
    for (text, address) in [
        ("10.0.0.1:80", Some("10.0.0.1")),
        ("10.0.0.1", Some("10.0.0.1")),
        ("[::1]:80", Some("::1")),
        ("::1", Some("::1")),
        ("/run/socket", None),
        ("", None),
        ("10.0.0.1:80:80", None),
    ] {
        let address = address.and_then(|address| address.parse().ok());
        assert_eq!(parse_address(text.as_bytes()), address, "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn draws_one_random_number_a_request() {
    let (ten, thirty) = (
        matcher(r#"{"percentage": 10}"#),
        matcher(r#"{"percentage": 30}"#),
    );
    for (random, expected) in [
        (99_999, [true, true]),
        (100_000, [false, true]),
        (300_000, [false, false]),
    ] {
        let mut request = Fake {
            random,
            ..Fake::default()
        };
        let mut facts = Request::new(&mut request);

        let found = [&ten, &thirty].map(|matcher| matcher.matches(&mut facts).unwrap());

        assert_eq!(found, expected);
        assert_eq!(request.asked.random, 1);
    }
    assert!(!Fake::default().passes(&matcher(r#"{"percentage": 0}"#)));
}

#[wasm_bindgen_test(unsupported = test)]
fn combines_matchers() {
    let text = r#"{
        "all": [{"path": {"prefix": "/api/"}}, {"method": "GET"}],
        "any": [{"headers": {"name": "x-a"  , "present": true}}, {"query": {"name": "a", "present": true}}],
        "not": {"host": "internal.example.com"}
    }"#;
    table(
        text,
        &mut [
            (Fake::get("/api/?a"), true),
            (Fake::get("/api/").with("x-a", ""), true),
            (Fake::get("/api/"), false),
            (Fake::get("/?a"), false),
            (
                Fake::default()
                    .with(":path", "/api/?a")
                    .with(":method", "POST"),
                false,
            ),
            (
                Fake::default()
                    .with(":authority", "internal.example.com")
                    .with(":path", "/api/?a")
                    .with(":method", "GET"),
                false,
            ),
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn asks_for_no_more_than_it_must() {
    let text = r#"{"percentage": 50, "source_ip": "10.0.0.0/8", "method": "GET", "path": "/a", "headers": {"name": "b", "present": true}}"#;
    let costly = matcher(text);
    let mut other = Fake::default().with(":method", "POST");

    assert!(!other.passes(&costly));

    assert_eq!(
        other.asked,
        Asked {
            headers: 1,
            source: 0,
            random: 0
        }
    );
    assert_eq!(
        costly.needs(),
        Needs {
            header_reads: 3,
            source_address: true,
            random: true
        }
    );
    let nested = matcher(r#"{"any": [{"not": {"percentage": 1}}, {"host": "a"}]}"#);
    assert_eq!(
        nested.needs(),
        Needs {
            header_reads: 1,
            source_address: false,
            random: true
        }
    );
    assert!(!nested.is_unconditional());
}

#[wasm_bindgen_test(unsupported = test)]
fn other_readings_are_those_of_a_path_that_was_asked_for() {
    let login = matcher(r#"{"method": "GET", "path": "/login"}"#);
    for (method, expected) in [("GET", &[&b"/login"[..]][..]), ("POST", &[])] {
        let mut fake = Fake::default()
            .with(":method", method)
            .with(":path", "/login;x?y");
        let mut request = Request::new(&mut fake);
        assert_eq!(login.matches(&mut request), Ok(false));
        let readings = request.other_readings().unwrap();
        assert_eq!(readings, expected, "{method}");
        for reading in readings {
            request.read_path_as(reading);
            assert_eq!(login.matches(&mut request), Ok(true));
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn reads_string_matches_and_regexes_on_their_own() {
    let read = |text: &str| config::parse::<StringMatch>(text.as_bytes()).unwrap();

    assert!(read("\"a\"").matches(b"a"));
    assert!(read(r#"{"suffix": "B", "ignore_case": true}"#).matches(b"ab"));
    assert!(config::parse::<StringMatch>(b"{}").is_err());
    assert!(StringMatch::exact("a").matches(b"a"));
    assert!(Regex::new("a|b").unwrap().is_match(b"b"));
    assert!(!Regex::new("a|b").unwrap().is_match(b"ab"));
    // An expression can not change how it is read.
    assert!(
        Regex::new("(?x) a # b").is_err() || !Regex::new("(?x) a # b").unwrap().is_match(b"ab")
    );
    // Linear in the value, whatever the expression.
    assert!(!Regex::new("(a|a)*(a*)*b").unwrap().is_match(&[b'a'; 5_000]));
}

/// A matcher of which only the headers are written.
#[derive(Debug)]
struct OfHeaders(Matcher);

impl Deserr<ConfigErrors> for OfHeaders {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        Matcher::read_tests("headers", value, location).map(Self)
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn tests_of_one_kind_are_read_by_themselves() {
    let read = config::parse::<OfHeaders>(br#"[{"name": "x-a", "exact": "b"}]"#);
    let OfHeaders(matcher) = read.unwrap();
    assert_eq!(matcher.needs().header_reads, 1);
    assert!(!Fake::default().passes(&matcher));

    let errors = config::parse::<OfHeaders>(br#"[{"name": "x-a", "exct": "b"}]"#);
    let errors = errors.unwrap_err().to_string();
    assert!(errors.starts_with("[0].exct: unknown field"), "{errors}");
    assert!(config::parse::<OfHeaders>(br#"{"headers": []}"#).is_err());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_template_is_read_as_a_matcher_reads_it() {
    let template = PathMatch::template("/users/{id}/**").unwrap();
    assert!(template.matches(b"/users/7/files"));
    assert!(!template.matches(b"/users"));
    for wrong in ["users", "/a//b", "/{a}{b}"] {
        assert!(PathMatch::template(wrong).is_err(), "{wrong}");
    }
}
