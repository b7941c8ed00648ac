use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const OWN: &str = "https://app.example";
const ALLOWED: &[&str] = &[
    "other.example",
    ".below.example",
    "*.star.example",
    "port.example:8443",
    ".ports.example:8443",
    "plain.example:80",
];

/// Scheme, authority and path of a request, and its URL.
const REQUESTS: &[(&str, &str, &str, Option<&str>)] = &[
    ("https", "app.example", "/", Some("https://app.example/")),
    (
        "https",
        "app.example",
        "/a?b=c&d=%2F",
        Some("https://app.example/a?b=c&d=%2F"),
    ),
    (
        "https",
        "APP.example:443",
        "/",
        Some("https://app.example/"),
    ),
    (
        "HTTPS",
        "app.example:8443",
        "/",
        Some("https://app.example:8443/"),
    ),
    ("http", "app.example:80", "/", Some("http://app.example/")),
    (
        "http",
        "app.example:443",
        "/",
        Some("http://app.example:443/"),
    ),
    (
        "http",
        "127.0.0.1:10000",
        "/",
        Some("http://127.0.0.1:10000/"),
    ),
    (
        "https",
        "[2001:DB8::1]:8443",
        "/",
        Some("https://[2001:db8::1]:8443/"),
    ),
    ("https", "[::1]", "/", Some("https://[::1]/")),
    (
        "https",
        "under_score.example",
        "/",
        Some("https://under_score.example/"),
    ),
    // Where the host is named, two slashes name none.
    (
        "https",
        "app.example",
        "//evil.example",
        Some("https://app.example//evil.example"),
    ),
    (
        "https",
        "app.example",
        "/@evil.example",
        Some("https://app.example/@evil.example"),
    ),
    ("https", "app.example", "/\\evil.example", None),
    ("https", "app.example", "", None),
    ("https", "app.example", "*", None),
    ("https", "app.example", "evil.example", None),
    ("https", "app.example", "@evil.example/", None),
    ("https", "app.example", ".evil.example/", None),
    ("https", "app.example", ":80/", None),
    ("https", "app.example", "https://evil.example/", None),
    ("https", "app.example", "/a#b", None),
    ("https", "app.example", "/a b", None),
    ("https", "app.example", "/a\r\nset-cookie: b=c", None),
    ("https", "app.example", "/a\t", None),
    ("https", "app.example", "/a\0", None),
    ("https", "app.example", "/ä", None),
    ("https", "", "/", None),
    ("https", ":443", "/", None),
    ("https", "user@app.example", "/", None),
    ("https", "user:password@app.example", "/", None),
    ("https", "app.example/evil", "/", None),
    ("https", "app.example?", "/", None),
    ("https", "app.example#", "/", None),
    ("https", "app.example\\", "/", None),
    ("https", "app.example ", "/", None),
    ("https", "app..example", "/", None),
    ("https", ".app.example", "/", None),
    ("https", "app.example.", "/", None),
    ("https", "%61pp.example", "/", None),
    ("https", "äpp.example", "/", None),
    ("https", "app.example:", "/", None),
    ("https", "app.example:0", "/", None),
    ("https", "app.example:65536", "/", None),
    ("https", "app.example:-1", "/", None),
    ("https", "app.example:+1", "/", None),
    ("https", "app.example:80:80", "/", None),
    ("https", "[::1", "/", None),
    ("https", "[::1]a", "/", None),
    ("https", "[::1%25eth0]", "/", None),
    ("https", "[app.example]", "/", None),
    ("https", "::1", "/", None),
    ("ftp", "app.example", "/", None),
    ("javascript", "app.example", "/", None),
    ("", "app.example", "/", None),
];

/// What leads elsewhere, or may to some reader.
const ELSEWHERE: &[&str] = &[
    "",
    "a",
    "a/b",
    "?a",
    "#a",
    ".",
    "..",
    // Another host without a scheme, by every reading.
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "//app.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "\t//evil.example",
    " //evil.example",
    " /",
    "\0/",
    "/a\\b",
    // A scheme without what follows one.
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https:\\\\evil.example",
    "https:\\evil.example",
    "https://\\evil.example",
    "https:/\\evil.example",
    "https://",
    "https:///",
    "https:app.example",
    "https:/app.example",
    "https:///app.example",
    // Other schemes.
    "javascript:alert(1)",
    "JavaScript://app.example/%0aalert(1)",
    "data:text/html,a",
    "vbscript:a",
    "file:///etc/passwd",
    "ftp://app.example/",
    "view-source:https://app.example/",
    "blob:https://app.example/a",
    "http://app.example/",
    "http://other.example/",
    "http://plain.example/",
    "://app.example/",
    "ht\ntps://app.example/",
    // Another host that looks like ours.
    "https://evil.example",
    "https://app.example.evil.example/",
    "https://app.exampleevil.example/",
    "https://evilapp.example/",
    "https://app.example@evil.example/",
    "https://app.example:443@evil.example/",
    "https://user@app.example/",
    "https://@app.example/",
    "https://:@app.example/",
    "https://evil.example#@app.example/",
    "https://evil.example?@app.example/",
    "https://evil.example\\@app.example/",
    "https://evil.example;app.example/",
    "https://evil.example,app.example/",
    "https://evil.example%2fapp.example/",
    "https://evil.example%00.app.example/",
    "https://app.example%2eevil.example/",
    "https://app.example%40evil.example/",
    "https://app%2eexample/",
    "https://app.example./",
    "https://app..example/",
    "https://.app.example/",
    "https://[app.example]/",
    "https://app.example]/",
    // Other ports.
    "https://app.example:80/",
    "https://app.example:8443/",
    "https://app.example:0/",
    "https://app.example:/",
    "https://app.example:443443/",
    "https://app.example:4 43/",
    "https://app.example:443:443/",
    "https://other.example:8443/",
    "https://a.below.example:8443/",
    "https://port.example/",
    "https://port.example:443/",
    // Not below.
    "https://below.example/",
    "https://evilbelow.example/",
    "https://.below.example/",
    "https://a..below.example/",
    "https://star.example/",
    "https://a.other.example/",
    "https://a.port.example:8443/",
    "https://evil.example/.below.example",
    "https://evil.example#.below.example",
    "https://evil.example?.below.example",
    "https://a.below.example.evil.example/",
    // Letters that some take for others.
    "https://\u{430}pp.example/",
    "https://app\u{3002}example/",
    "https://app.example\u{ff0f}evil.example/",
    "https://evil.example\u{2044}.below.example/",
    "/\u{2f}/evil.example",
    "/\u{ff0f}evil.example",
    "/\u{85}/evil.example",
    "/ä",
    // Another header.
    "/a\r\nset-cookie: b=c",
    "/a\nb",
    "https://app.example/\r\nset-cookie: b=c",
    "https://app.example/ a",
    "https://app.example/\u{7f}",
];

#[wasm_bindgen_test(unsupported = test)]
fn a_browser_is_sent_back_where_it_was() {
    for &(scheme, authority, path, expected) in REQUESTS {
        let url = original_url(scheme.as_bytes(), authority.as_bytes(), path.as_bytes());
        assert_eq!(url.as_deref(), expected, "{scheme}, {authority}, {path}");
        if let Some(url) = url {
            let origin = origin(scheme.as_bytes(), authority.as_bytes()).unwrap();
            assert!(is_allowed_redirect::<&str>(&url, &origin, &[]), "{url}");
        }
    }
    assert!(original_url(b"https", b"app.example", b"/\xff").is_none());
    let longest = "a".repeat(LONGEST_URL - "https://app.example/".len());
    let url = |path: &str| original_url(b"https", b"app.example", path.as_bytes());
    assert_eq!(url(&format!("/{longest}")).unwrap().len(), LONGEST_URL);
    assert_eq!(url(&format!("/{longest}a")), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_browser_is_sent_to_ourselves_and_those_allowed() {
    for url in [
        "/",
        "/a/b?c=d#e",
        "/a//b",
        "/@evil.example",
        "/:80",
        "/%5cevil.example",
        "/https://evil.example",
        "https://app.example",
        "https://app.example/",
        "https://app.example?a",
        "https://app.example#a",
        "https://app.example//evil.example",
        "https://app.example/@evil.example",
        "HTTPS://APP.EXAMPLE:443/",
        "https://other.example/a",
        "https://a.below.example/",
        "https://a.b.below.example/",
        "https://a.star.example/",
        "https://port.example:8443/",
        "https://a.ports.example:8443/",
    ] {
        assert!(is_allowed_redirect(url, OWN, ALLOWED), "{url}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_browser_is_sent_nowhere_else() {
    for &url in ELSEWHERE {
        assert!(!is_allowed_redirect(url, OWN, ALLOWED), "{url:?}");
    }
    let path = |length: usize| format!("/{}", "a".repeat(length - 1));
    assert!(is_allowed_redirect(&path(LONGEST_URL), OWN, ALLOWED));
    assert!(!is_allowed_redirect(&path(LONGEST_URL + 1), OWN, ALLOWED));
}

#[wasm_bindgen_test(unsupported = test)]
fn from_http_it_may_go_to_either() {
    let own = "http://app.example:8080";
    for (url, expected) in [
        ("http://app.example:8080/", true),
        ("http://app.example/", false),
        ("https://app.example/", false),
        ("https://app.example:8080/", false),
        ("http://other.example/", true),
        ("https://other.example/", true),
        ("http://plain.example/", true),
    ] {
        assert_eq!(is_allowed_redirect(url, own, ALLOWED), expected, "{url}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn domains_that_are_none_allow_nothing() {
    for domain in [
        "",
        ".",
        "*",
        "*.",
        "**.example",
        "a b",
        "https://evil.example",
        "evil.example/",
        "*evil.example:x",
    ] {
        for url in [
            "https://evil.example/",
            "https://a.evil.example/",
            "https://example/",
        ] {
            assert!(!is_allowed_redirect(url, OWN, &[domain]), "{domain}: {url}");
        }
    }
    for own in [
        "",
        "null",
        "app.example",
        "//app.example",
        "https://",
        "javascript:",
    ] {
        assert!(
            !is_allowed_redirect("https://app.example/", own, ALLOWED),
            "{own}"
        );
    }
}

fn read(path: &str) -> Result<Callback, BadCallback> {
    Callback::read(path.as_bytes())
}

#[wasm_bindgen_test(unsupported = test)]
fn a_callback_is_read() {
    let callback =
        read("/callback?code=a%2Fb%3D&state=xyz&iss=https%3A%2F%2Fidp.example&session_state=1")
            .unwrap();
    assert_eq!(callback.code.as_deref(), Some("a/b="));
    assert_eq!(callback.state.as_deref(), Some("xyz"));
    assert_eq!(callback.iss.as_deref(), Some("https://idp.example"));
    assert_eq!((callback.error, callback.error_description), (None, None));
    let callback = read(
        "/callback?error=access_denied&error_description=Not+%22you%22%0D%0Atoo%c3%a4&state=x",
    )
    .unwrap();
    assert_eq!(callback.error.as_deref(), Some("access_denied"));
    assert_eq!(
        callback.error_description.as_deref(),
        Some("Not \"you\"  tooä")
    );
    for path in [
        "",
        "/callback",
        "/callback?",
        "/callback?&&",
        "/callback?code",
        "/callback?code=&state=",
        "/c#?code=a",
        "/c?a#code=a",
        "?x=code=a",
        "/callback?Code=a",
        "/callback?code[]=a",
        "/callback?a;code=a",
    ] {
        let callback = read(path).unwrap();
        assert!(
            callback.code.is_none() && callback.state.is_none(),
            "{path}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_parameter_comes_once() {
    for name in ["code", "state", "error", "error_description", "iss"] {
        let (first, rest) = name.split_at(1);
        let escaped = format!("%{:02x}{rest}", first.as_bytes()[0]);
        for query in [
            format!("{name}=a&{name}=b"),
            format!("{name}=a&{name}=a"),
            format!("{name}=a&x=y&{name}="),
            format!("{name}&{name}=a"),
            format!("{name}=a&{escaped}=b"),
        ] {
            let error = read(&format!("/callback?{query}")).unwrap_err();
            assert_eq!(error, BadCallback::Repeated(name), "{query}");
        }
    }
    // Others are not ours to count.
    assert!(read("/callback?x=a&x=b&code=a").is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn values_are_bounded() {
    for (name, longest) in [
        ("code", LONGEST_CODE),
        ("state", LONGEST_STATE),
        ("error", LONGEST_ERROR),
        ("iss", LONGEST_ISSUER),
    ] {
        assert!(read(&format!("/c?{name}={}", "a".repeat(longest))).is_ok());
        for value in [
            "a".repeat(longest + 1),
            "%00".into(),
            "%0a".into(),
            "%80".into(),
            "%c3%a4".into(),
            "\u{7f}".into(),
        ] {
            let error = read(&format!("/c?{name}={value}")).unwrap_err();
            assert_eq!(error, BadCallback::Unreadable(name), "{name}={value:?}");
        }
    }
    assert_eq!(
        read("/c?error=%22").unwrap_err(),
        BadCallback::Unreadable("error")
    );
    let long = read(&format!("/c?error_description={}", "ä".repeat(1_000))).unwrap();
    assert_eq!(long.error_description.unwrap(), "ä".repeat(256));
    let huge = format!("/c?x={}", "a".repeat(LONGEST_CALLBACK));
    assert_eq!(read(&huge).unwrap_err(), BadCallback::TooLong);
    assert_eq!(read("/c?code=a&error=b").unwrap_err(), BadCallback::Both);
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_that_a_browser_brings_is_shown() {
    let shown = format!("{:?}", read("/c?code=sesame&state=open").unwrap());
    assert_eq!(
        shown,
        "Callback { code: true, state: true, error: false, iss: false, .. }"
    );
    assert_eq!(
        BadCallback::Repeated("code").to_string(),
        "`code` is there twice"
    );
}
