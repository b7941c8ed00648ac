use super::*;

fn source(text: &str) -> Source {
    Source::parse(text)
}

#[wasm_bindgen_test(unsupported = test)]
fn sources_are_told_apart() {
    assert_eq!(source("*"), Source::Any);
    assert_eq!(source("'SELF'"), Source::Keyword(Keyword::Own));
    assert_eq!(
        source("'Strict-Dynamic'"),
        Source::Keyword(Keyword::StrictDynamic)
    );
    assert_eq!(
        source("'nonce-aB1+/-_=='"),
        Source::Nonce("aB1+/-_==".into())
    );
    assert_eq!(source("'NONCE-abc'"), Source::Nonce("abc".into()));
    assert_eq!(source("'nonce-{nonce}'"), Source::Slot(Slot::Nonce));
    assert_eq!(source("'sha256-{hash}'"), Source::Slot(Slot::Hashes));
    assert!(matches!(source("HTTPS:"), Source::Scheme(scheme) if scheme.as_str() == "https"));
    assert!(matches!(source("web+x.y-z:"), Source::Scheme(_)));
    let Source::Hash(hash) = source("'SHA384-a-b_c'") else {
        panic!("no hash");
    };
    assert_eq!(
        (hash.algorithm(), hash.value()),
        (Algorithm::Sha384, "a+b/c")
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_host_has_a_scheme_a_port_and_a_path_or_not() {
    let Source::Host(host) = source("HTTPS://*.Example.COM:8443/A/b%2F/") else {
        panic!("no host");
    };
    assert_eq!(host.scheme().unwrap().as_str(), "https");
    assert_eq!(*host.host(), Host::Below("example.com".into()));
    assert_eq!(host.port(), Some(Port::Number(8443)));
    assert_eq!(host.path(), Some("/A/b%2F/"));

    for (text, expected) in [
        ("localhost", (None, Host::Exactly("localhost".into()), None)),
        (
            "localhost:3000",
            (
                None,
                Host::Exactly("localhost".into()),
                Some(Port::Number(3000)),
            ),
        ),
        (
            "a-b.c:*",
            (None, Host::Exactly("a-b.c".into()), Some(Port::Any)),
        ),
        ("*:80", (None, Host::Any, Some(Port::Number(80)))),
        ("http://*", (Some("http"), Host::Any, None)),
    ] {
        let Source::Host(host) = source(text) else {
            panic!("{text} is no host");
        };
        let scheme = host.scheme().map(Scheme::as_str);
        assert_eq!(
            (scheme, host.host().clone(), host.port()),
            expected,
            "{text}"
        );
        assert_eq!(host.path(), None);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_browser_ignores_is_kept_as_it_was() {
    for text in [
        "'",
        "''",
        "'selfish'",
        "'self",
        "self'",
        "'nonce-'",
        "'nonce-a b'",
        "'nonce-a===b'",
        "'sha1-abc'",
        "'sha256-'",
        "'sha256-a!'",
        "a..b",
        ".a",
        "*.",
        "**",
        "a.*",
        "*a",
        "a:65536",
        "a:+1",
        "a:8o",
        "://a",
        "1http://a",
        "a/b c",
        "//a",
        "a//b",
        "a?b",
        "a/b?c",
        "a/%4",
        "a/\"",
        "[::1]",
        "http://[::1]:80",
        "http://",
        "user@host",
        "a_b",
        "a,b",
        "'NONE",
        ":",
        "{nonce}",
        "'nonce-{NONCE}'",
    ] {
        assert_eq!(source(text), Source::Invalid(text.into()), "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn names_are_folded_and_white_space_is_ascii_s() {
    let read = policy(" ;\t; Default-SRC\x0c'Self'\t\t*\r\n;;FONT-src\na.b ");
    assert_eq!(read.to_string(), "default-src 'self' *; font-src a.b");
    // A no-break space is a character like another, and not of ASCII.
    assert!(policy("default-src\u{a0}a").is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn the_first_of_two_directives_counts() {
    let (policy, findings) = Policy::parse("img-src a; IMG-SRC b; img-src c");
    assert_eq!(policy.to_string(), "img-src a");
    assert_eq!(findings.len(), 2);
    let [first, second] = [&findings[0], &findings[1]];
    assert_eq!(first, second);
    assert_eq!(
        (first.kind, &*first.directive),
        (Kind::DuplicateDirective, "img-src")
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_directive_beyond_ascii_is_dropped_as_a_whole() {
    let (policy, findings) = Policy::parse("img-src a b\u{e9}; Script-Src \u{e9}; font-src c");
    assert_eq!(policy.to_string(), "font-src c");
    let names: Vec<_> = findings
        .iter()
        .map(|it| (it.kind, &*it.directive))
        .collect();
    assert_eq!(
        names,
        [(Kind::NonAscii, "img-src"), (Kind::NonAscii, "script-src")]
    );
    // It does not keep a later one out.
    let read = Policy::parse("img-src \u{e9}; img-src d").0;
    assert_eq!(read.to_string(), "img-src d");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_value_counts_once() {
    let (policy, findings) = Policy::parse("img-src a A 'self' 'SELF' http://B HTTP://b/");
    assert_eq!(policy.to_string(), "img-src a 'self' http://b http://b/");
    let values: Vec<_> = findings
        .iter()
        .map(|it| it.value.as_deref().unwrap())
        .collect();
    assert_eq!(values, ["A", "'SELF'"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn other_directives_keep_their_tokens() {
    let text = "sandbox Allow-Scripts; report-uri /A,b HTTP://x; report-to Main; \
                trusted-types One 'ALLOW-Duplicates'; upgrade-insecure-requests; x-Y Z";
    let (read, _) = Policy::parse(text);
    assert_eq!(
        read.to_string(),
        "sandbox allow-scripts; report-uri /A,b HTTP://x; report-to Main; \
         trusted-types One 'allow-duplicates'; upgrade-insecure-requests; x-y Z",
    );
    assert_eq!(read.directives()[5].name(), &Name::Unknown("x-y".into()));
}

/// In the time of one look at each value: by comparing each with each, it would take minutes.
#[wasm_bindgen_test(unsupported = test)]
fn a_long_policy_is_read_in_one_go() {
    let numbered = |text: &str| {
        (0..100_000)
            .map(|i| format!("{text}{i}"))
            .collect::<Vec<_>>()
    };
    let (values, names) = (numbered("h").join(" "), numbered("n").join(";"));
    let read = policy(&format!("img-src {values};{names};report-uri {values}"));
    assert_eq!(read.directives().len(), 100_002);
    assert_eq!(read.directives()[0].values().len(), 100_000);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_header_holds_several_policies() {
    let (list, _) = PolicyList::parse("default-src 'self', ,;, script-src a; img-src b,");
    let texts: Vec<_> = list.policies().iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["default-src 'self'", "script-src a; img-src b"]);
    assert_eq!(
        list.to_string(),
        "default-src 'self', script-src a; img-src b"
    );
    assert_eq!(PolicyList::parse(&list.to_string()).0, list);
}
