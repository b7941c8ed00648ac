//! A test of a request is not got round by another spelling of it.

use legation::matcher::Request;
use wasm_bindgen_test::wasm_bindgen_test;

use super::request::{Fake, matcher, paths, table};

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
