//! Which requests a matcher takes.

use legation::config;
use legation::matcher::{Matcher, Needs, Regex, Request, StringMatch, parse_address};
use wasm_bindgen_test::wasm_bindgen_test;

use super::request::{Asked, Fake};

fn matcher(text: &str) -> Matcher {
    config::parse(text.as_bytes()).unwrap_or_else(|errors| panic!("{text}: {errors}"))
}

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

/// Each request with what is expected of it.
#[track_caller]
fn table(text: &str, requests: &mut [(Fake, bool)]) {
    let matcher = matcher(text);
    for (request, expected) in requests {
        assert_eq!(request.passes(&matcher), *expected, "{text}: {request:?}");
    }
}

fn paths(text: &str, taken: &[&str], not: &[&str]) {
    let with = |paths: &[&str], expected| {
        let requests = paths.iter().map(|path| (Fake::get(path), expected));
        requests.collect::<Vec<_>>()
    };
    table(text, &mut [with(taken, true), with(not, false)].concat());
}

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
    assert!(Matcher::default().is_unconditional());
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

/// A rule that protects `/admin` is not to be got round by another spelling.
#[wasm_bindgen_test(unsupported = test)]
fn another_spelling_of_a_path_is_the_same_path() {
    let spellings = [
        "/admin/x",
        "//admin/x",
        "/admin//x",
        "/./admin/x",
        "/a/../admin/x",
        "/%61dmin/x",
        "/a/%2e%2e/admin/x",
        "/a/%2E%2e/admin/x",
        "/a/.%2e/admin/x",
        "/\\admin\\x",
        "\\admin/x",
        "/a\\..\\admin/x",
        "admin/x",
        "http://example.com/admin/x",
        "https://a.b:1/c/../admin/x",
        "/admin/x?",
        "/admin/x#",
        "/admin/x?a=/public",
        "/public/../admin/x",
        "/public/..//admin/x",
        "/..//admin/x",
        "/%41/../admin/x",
    ];
    for text in [
        r#"{"path": {"prefix": "/admin/"}}"#,
        r#"{"path": {"path_separated_prefix": "/admin"}}"#,
        r#"{"path": {"template": "/admin/**"}}"#,
        r#"{"path": {"regex": "/admin/.*"}}"#,
        r#"{"not": {"path": {"prefix": "/public"}}, "path": {"exact": "/admin/x"}}"#,
    ] {
        paths(text, &spellings, &[]);
    }
    // Escaped slashes are no slashes, as for Envoy's routes: whoever lets
    // requests pass by their path refuses what is ambiguous.
    for path in [
        "/admin%2fx",
        "/public/..%2fadmin/x",
        "/public/..;/admin/x",
        "/public/%252e%252e/admin",
    ] {
        paths(r#"{"path": {"prefix": "/admin/"}}"#, &[], &[path]);
        let mut request = Fake::get(path);
        let Ok(ambiguity) = Request::new(&mut request).path_ambiguity();
        assert!(!ambiguity.is_none(), "{path}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn bytes_that_are_not_utf8_dodge_no_test() {
    let path = b"/admin/\xff";
    for text in [
        r#"{"path": {"prefix": "/admin/"}}"#,
        r#"{"path": {"regex": "/admin/.*"}}"#,
        r#"{"path": {"regex": "/admin/%FF"}}"#,
        r#"{"path": {"template": "/admin/*"}}"#,
    ] {
        table(text, &mut [(Fake::get(path), true)]);
    }
    let sent = || {
        Fake::get("/?a=%ffb")
            .with("x-a", b"evil\xff")
            .with("cookie", b"a=evil\xff")
    };
    for text in [
        r#"{"headers": {"name": "x-a", "regex": "evil.*"}}"#,
        r#"{"headers": {"name": "x-a", "prefix": "evil"}}"#,
        r#"{"cookies": {"name": "a", "regex": "evil."}}"#,
        r#"{"query": {"name": "a", "regex": ".b"}}"#,
    ] {
        table(text, &mut [(sent(), true)]);
    }
    // No character of a value ends a regex early.
    table(
        r#"{"query": {"name": "a", "regex": "evil.*"}}"#,
        &mut [
            (Fake::get("/?a=evil%0ax"), true),
            (Fake::get("/?a=%0aevil"), false),
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_without_a_path_has_none() {
    let requests = || [Fake::default(), Fake::default().with(":method", "CONNECT")];
    for mut request in requests() {
        assert!(!request.passes(&matcher(r#"{"path": {"prefix": "/"}}"#)));
        assert!(request.passes(&matcher(r#"{"not": {"path": {"prefix": "/"}}}"#)));
        assert!(!request.passes(&matcher(r#"{"query": {"name": "a", "present": true}}"#)));
        assert!(!request.passes(&matcher(r#"{"host": "*"}"#)));
    }
    assert!(Fake::get("").passes(&matcher(r#"{"path": "/"}"#)));
}

#[wasm_bindgen_test(unsupported = test)]
fn matches_hosts_whatever_their_spelling() {
    let host = |authority: &str| Fake::default().with(":authority", authority);
    let hosts = |text: &str, taken: &[&str], not: &[&str]| {
        let taken = taken.iter().map(|authority| (host(authority), true));
        let not = not.iter().map(|authority| (host(authority), false));
        table(text, &mut taken.chain(not).collect::<Vec<_>>());
    };
    hosts(
        r#"{"host": "Example.com"}"#,
        &[
            "example.com",
            "EXAMPLE.COM",
            "example.com:8080",
            "example.com.",
            "example.com.:443",
            "example.com:",
        ],
        &[
            "a.example.com",
            "example.com.evil",
            "example.com:80:80",
            "user@example.com",
            "example.com..",
            "",
            "example.comx",
        ],
    );
    hosts(
        r#"{"host": ["*.example.com", "other.org"]}"#,
        &["a.example.com", "A.b.Example.com:1", "other.org"],
        &[
            "example.com",
            ".example.com",
            "aexample.com",
            "a.example.com.evil",
            "x.other.org",
        ],
    );
    hosts(
        r#"{"host": "*-api.example.com"}"#,
        &["a-api.example.com"],
        &["-api.example.com", "api.example.com"],
    );
    hosts(
        r#"{"host": "[::1]"}"#,
        &["[::1]", "[::1]:80"],
        &["::1", "[::2]:80"],
    );
    hosts(r#"{"host": "*"}"#, &["a", ""], &[]);
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
        (
            r#""/a""#,
            "configuration: expected an object, got the string \"/a\"",
        ),
    ] {
        refuses(text, why);
    }
    let nested = |depth| r#"{"not": "#.repeat(depth) + "{}" + &"}".repeat(depth);
    assert!(config::parse::<Matcher>(nested(16).as_bytes()).is_ok());
    refuses(&nested(17), "nested more than 16 deep");
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
