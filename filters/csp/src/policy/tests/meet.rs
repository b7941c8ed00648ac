use super::*;

fn met(a: &str, b: &str) -> Option<String> {
    let (a, b) = (policy(a), policy(b));
    let one = intersect(&a, &b);
    // Which of them comes first makes no difference to what is allowed.
    assert_eq!(one.is_some(), intersect(&b, &a).is_some(), "{a} | {b}");
    one.map(|policy| policy.to_string())
}

#[wasm_bindgen_test(unsupported = test)]
fn two_policies_become_one() {
    for (a, b, both) in [
        ("", "", ""),
        ("img-src a", "", "img-src a"),
        ("img-src a b", "img-src b c", "img-src b"),
        ("img-src a", "img-src b", "img-src 'none'"),
        ("img-src a", "font-src b", "img-src a; font-src b"),
        ("default-src a b", "img-src b", "default-src a b; img-src b"),
        (
            "default-src a b",
            "default-src b; img-src a",
            "default-src b; img-src a",
        ),
        (
            "default-src 'self' 'unsafe-inline'",
            "default-src 'self'",
            "default-src 'self'",
        ),
        (
            "script-src 'unsafe-inline' *",
            "script-src 'unsafe-inline' a",
            "script-src 'unsafe-inline' a",
        ),
        (
            "script-src 'unsafe-eval' *",
            "script-src 'wasm-unsafe-eval' *",
            "script-src 'wasm-unsafe-eval' *",
        ),
        (
            "script-src 'nonce-{nonce}' 'strict-dynamic'",
            "object-src 'none'",
            "script-src 'nonce-{nonce}' 'strict-dynamic'; object-src 'none'",
        ),
        (
            "script-src 'nonce-a' 'nonce-b'",
            "script-src 'nonce-b'",
            "script-src 'nonce-b'",
        ),
        (
            "script-src 'nonce-a' 'strict-dynamic' https:",
            "script-src 'strict-dynamic' 'nonce-a' a",
            "script-src 'strict-dynamic' 'nonce-a'",
        ),
        ("script-src 'nonce-a' b", "script-src b", "script-src b"),
        (
            "script-src 'sha256-a=' 'unsafe-hashes' 'report-sample'",
            "script-src 'sha256-a=' 'sha256-b='",
            "script-src 'sha256-a='",
        ),
        (
            "script-src 'sha256-a=' 'sha256-b='",
            "script-src 'unsafe-hashes' 'sha256-b='",
            "script-src 'sha256-b='",
        ),
        (
            "img-src * data:",
            "img-src 'self' https: data:",
            "img-src 'self' https: data:",
        ),
        (
            "img-src 'self' https:",
            "img-src 'self' b",
            "img-src 'self' https://b",
        ),
        // The list of a worker is the one of scripts.
        (
            "script-src a",
            "script-src a; worker-src b",
            "script-src a; worker-src 'none'",
        ),
        (
            "script-src a",
            "default-src a b",
            "script-src a; default-src a b",
        ),
        (
            "child-src a b",
            "script-src b c",
            "child-src a b; script-src b c; worker-src b",
        ),
    ] {
        assert_eq!(met(a, b).as_deref(), Some(both), "{a} | {b}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn directives_that_stand_alone_become_one() {
    for (a, b, both) in [
        (
            "sandbox allow-forms allow-scripts",
            "sandbox allow-scripts",
            "sandbox allow-scripts",
        ),
        (
            "sandbox",
            "sandbox allow-forms; upgrade-insecure-requests",
            "sandbox; upgrade-insecure-requests",
        ),
        (
            "trusted-types a b 'allow-duplicates'",
            "trusted-types * 'allow-duplicates'",
            "trusted-types a b 'allow-duplicates'",
        ),
        ("trusted-types a", "trusted-types b", "trusted-types 'none'"),
        (
            "require-trusted-types-for 'script'",
            "trusted-types a",
            "require-trusted-types-for 'script'; trusted-types a",
        ),
        (
            "report-to a; report-uri /a",
            "base-uri b",
            "report-to a; report-uri /a; base-uri b",
        ),
        (
            "frame-ancestors 'self' a",
            "frame-ancestors 'self'",
            "frame-ancestors 'self'",
        ),
        ("base-uri 'none'", "base-uri 'self'", "base-uri 'none'"),
        ("x-y a", "x-y a", "x-y a"),
    ] {
        assert_eq!(met(a, b).as_deref(), Some(both), "{a} | {b}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn two_policies_stay_two_where_none_says_what_they_do() {
    for (a, b) in [
        // A script with the nonce, of this host.
        ("script-src 'nonce-a'", "script-src b"),
        ("script-src 'nonce-a' 'strict-dynamic'", "script-src 'self'"),
        ("script-src 'nonce-a'", "script-src 'sha256-a='"),
        ("script-src 'nonce-a'", "script-src 'unsafe-inline'"),
        ("style-src 'unsafe-inline' a", "style-src 'sha256-a='"),
        (
            "script-src 'strict-dynamic' 'nonce-a'",
            "script-src 'nonce-a' b",
        ),
        // The page's host may be this one.
        ("img-src 'self'", "img-src a"),
        ("img-src 'self'", "img-src https:"),
        // After a redirect, both may be it.
        ("img-src a/b", "img-src a/c"),
        // Of `http` it is not, of `https` it is.
        ("img-src a", "img-src a:443"),
        ("connect-src https:", "connect-src wss:"),
        ("report-to a", "report-to b"),
        ("report-uri /a", "report-uri /b"),
        // Whoever knows `report-to` would not report to `/a`.
        ("report-uri /a", "report-to a"),
        ("report-to a; report-uri /a", "report-to a"),
        (
            "sandbox allow-top-navigation",
            "sandbox allow-top-navigation-by-user-activation",
        ),
        // A worker is a script to the one and a URL to the other.
        ("script-src 'nonce-a' 'strict-dynamic'", "child-src b"),
    ] {
        assert_eq!(met(a, b), None, "{a} | {b}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn two_policies_stay_two_where_one_were_longer() {
    let list = |sources: usize, text: fn(usize) -> String| {
        let sources: Vec<String> = (0..sources).map(text).collect();
        format!("img-src {}", sources.join(" "))
    };
    let hosts = |n| list(n, |i| format!("h{i}.example"));
    let paths = |n| list(n, |i| format!("*/p{i}"));
    assert_eq!(met(&hosts(5), &paths(5)), None);
    assert_eq!(met(&hosts(65), &hosts(64)), None);
    assert_eq!(met(&hosts(64), &hosts(63)), Some(hosts(63)));
    assert_eq!(met(&hosts(1024), &hosts(1024)), Some(hosts(1024)));
    assert_eq!(met(&hosts(1025), "font-src a"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn sources_meet_in_what_both_let_in() {
    for (a, b, both) in [
        ("*", "https:", "https:"),
        ("*", "data:", "'none'"),
        ("http:", "https:", "https:"),
        ("ws:", "wss:", "wss:"),
        ("data:", "blob:", "'none'"),
        ("https:", "a", "https://a"),
        ("http:", "a", "a"),
        ("https:", "http://a:8080/b", "https://a:8080/b"),
        ("*.a", "b.a", "b.a"),
        ("*.a", "*.b.a", "*.b.a"),
        ("*.a", "a", "'none'"),
        ("*.a", "xa", "'none'"),
        ("https://*", "a", "https://a"),
        ("a:*", "a:1", "a:1"),
        ("a:1", "a:2", "'none'"),
        ("https://a", "a:443", "https://a"),
        ("a", "a:8080", "'none'"),
        ("a/b/", "a/b/c", "a/b/c"),
        ("a/b/", "a", "a/b/"),
    ] {
        let text = |source: &str| format!("img-src {source}");
        assert_eq!(met(&text(a), &text(b)), Some(text(both)), "{a} | {b}");
        assert_eq!(met(&text(b), &text(a)), Some(text(both)), "{b} | {a}");
    }
    // Of two ways to write a path, either does.
    let both = met("img-src a/%62", "img-src a/b");
    assert_eq!(both.as_deref(), Some("img-src a/b"));
}
