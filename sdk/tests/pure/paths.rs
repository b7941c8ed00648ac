//! Paths in normal form, and what about a path is ambiguous.

use std::borrow::Cow;

use legation::matcher::{Ambiguity, normalize_path};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn brings_paths_into_one_form() {
    for (raw, normal) in [
        // Nothing to do.
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/", "/a/"),
        ("/a;b=c/d,e", "/a;b=c/d,e"),
        ("/.a/..b/...", "/.a/..b/..."),
        ("/a.b/c..", "/a.b/c.."),
        ("*", "*"),
        // Query and fragment.
        ("/a?b=/../c", "/a"),
        ("/a#b?c", "/a"),
        ("/?", "/"),
        ("?a", "/"),
        ("", "/"),
        // Dot segments, RFC 3986 section 5.2.4.
        ("/.", "/"),
        ("/..", "/"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/./b/../c", "/a/c"),
        ("/../../a", "/a"),
        ("/a/b/c/./../../g", "/a/g"),
        ("/a/..;/b", "/a/..;/b"),
        // Escaped dots.
        ("/a/%2e%2e/b", "/b"),
        ("/a/%2E./b", "/b"),
        ("/a/%2e", "/a/"),
        ("/a/%252e%252e/b", "/a/%252e%252e/b"),
        // Slashes: resolved first, then merged, as Envoy does.
        ("//a///b//", "/a/b/"),
        ("/a//../b", "/a/b"),
        ("//..//a", "/a"),
        ("/a\\b\\..\\c", "/a/c"),
        ("\\a", "/a"),
        // Escapes that are no slash.
        ("/a%2fb", "/a%2Fb"),
        ("/a%5c..%5Cb", "/a%5C..%5Cb"),
        ("/%61%7E%2d%5F", "/a~-_"),
        ("/a%00b", "/a%00b"),
        ("/%c3%a9", "/%C3%A9"),
        ("/é", "/%C3%A9"),
        ("/a b\"<>{}|^`[]", "/a%20b%22%3C%3E%7B%7D%7C%5E%60%5B%5D"),
        ("/a\tb\u{7f}", "/a%09b%7F"),
        // Escapes that are none.
        ("/100%", "/100%25"),
        ("/%zz%4", "/%25zz%254"),
        ("/%%341", "/%2541"),
        // Paths that are none.
        ("a/../b", "/b"),
        ("http://other/a/../b?c", "/b"),
        ("http://other", "/"),
        ("HTTPS://other:1\\a", "/a"),
        ("://a", "/:/a"),
        ("/http://a", "/http:/a"),
        ("a*", "/a*"),
    ] {
        let found = normalize_path(raw.as_bytes());
        assert_eq!(String::from_utf8_lossy(&found), normal, "{raw}");
    }
    assert_eq!(&*normalize_path(b"/a\xff\x00"), b"/a%FF%00");
}

#[wasm_bindgen_test(unsupported = test)]
fn allocates_only_for_what_is_not_normal() {
    for raw in [
        "/",
        "/a/b.c/d-e;f?g=h",
        "/%2F%C3%A9",
        "/.well-known/x",
        "*",
        "/a#b",
    ] {
        assert!(
            matches!(normalize_path(raw.as_bytes()), Cow::Borrowed(_)),
            "{raw}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn tells_what_servers_read_differently() {
    for (raw, found) in [
        ("/a/b?c;d=%2f#\\", ""),
        ("*", ""),
        ("/a%2fb", "escaped slash"),
        ("/a%5cb", "escaped slash"),
        ("/a;b", "path parameters"),
        ("/a/..;/b", "path parameters, dot segment with parameters"),
        (
            "/a/%2e%2E;x/b",
            "path parameters, dot segment with parameters",
        ),
        ("/.;", "path parameters, dot segment with parameters"),
        ("/a%", "invalid escape"),
        ("/a%g0", "invalid escape"),
        ("/a%00", "escaped control character"),
        ("/a%0d%0a", "escaped control character"),
        ("/a%252e", "double escape"),
        ("/a%25", ""),
        ("/a%25z", ""),
        ("/a\\b", "backslash"),
        ("a", "not absolute"),
        ("http://a/b", "not absolute"),
        ("", "not absolute"),
    ] {
        assert_eq!(Ambiguity::of(raw.as_bytes()).to_string(), found, "{raw}");
    }
    let found = Ambiguity::of(b"/%2f;%00");
    assert!(found.contains(Ambiguity::ESCAPED_SLASH));
    assert!(!found.contains(Ambiguity::BACKSLASH) && !found.is_none());
}
