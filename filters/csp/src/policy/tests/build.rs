use super::*;

fn refused(name: &str, values: &[&str]) -> String {
    Directive::new(name, values).unwrap_err().to_string()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_policy_is_made_of_its_parts() {
    let parts: &[(&str, &[&str])] = &[
        ("Default-Src", &["'self'"]),
        (
            "script-src",
            &["'strict-dynamic'", "'nonce-{nonce}'", "https:"],
        ),
        ("sandbox", &[]),
        ("require-trusted-types-for", &["'script'"]),
        ("trusted-types", &["one", "'allow-duplicates'"]),
        ("upgrade-insecure-requests", &[]),
        ("report-uri", &["/csp", "https://r.example/a?b=c"]),
        ("report-to", &["main"]),
    ];
    let directives = parts
        .iter()
        .map(|(name, values)| Directive::new(name, values).unwrap());
    let policy = Policy::new(directives.collect()).unwrap();
    let text = policy.to_string();
    assert_eq!(
        text,
        "default-src 'self'; script-src 'strict-dynamic' 'nonce-{nonce}' https:; sandbox; \
         require-trusted-types-for 'script'; trusted-types one 'allow-duplicates'; \
         upgrade-insecure-requests; report-uri /csp https://r.example/a?b=c; report-to main",
    );
    assert_eq!(super::policy(&text), policy);
    assert!(policy.is_template());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_character_that_would_end_something_is_refused_with_its_name() {
    for (value, says) in [
        (
            "a;script-src",
            "a semicolon, which ends the directive: percent-encode it as %3B",
        ),
        (
            "a,b",
            "a comma, which ends the policy: percent-encode it as %2C",
        ),
        ("a b", "a space: give each value by itself"),
        (
            "a\r\nb",
            "the control character U+000D, which no policy has",
        ),
        (
            "a\u{7f}",
            "the control character U+007F, which no policy has",
        ),
        (
            "m\u{fc}ll.de",
            "'ü', which is not ASCII: write a host in Punycode",
        ),
    ] {
        for name in ["img-src", "report-uri"] {
            let error = Directive::new(name, &["ok.example", value]).unwrap_err();
            assert_eq!(error.value, Some((1, value.into())));
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("{name}: {value:?}: has {says}")),
                "{text}"
            );
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_browser_would_ignore_is_refused() {
    for (name, values, says) in [
        (
            "script-source",
            &["a"] as &[_],
            "script-source: no browser knows this directive",
        ),
        (
            "script-src",
            &["self"],
            r#"script-src: "self": wants quotation marks: 'self'"#,
        ),
        (
            "script-src",
            &["'self"],
            r#"script-src: "'self": wants quotation marks: 'self'"#,
        ),
        (
            "img-src",
            &["none"],
            r#"img-src: "none": wants quotation marks: 'none'"#,
        ),
        (
            "script-src",
            &["nonce-abc"],
            r#"script-src: "nonce-abc": wants quotation marks: 'nonce-abc'"#,
        ),
        (
            "script-src",
            &["'selfish'"],
            r#"script-src: "'selfish'": is no source"#,
        ),
        ("script-src", &["a", ""], r#"script-src: "": is empty"#),
        (
            "script-src",
            &["a", "A"],
            r#"script-src: "A": is there already"#,
        ),
        (
            "script-src",
            &["'none'", "a"],
            "script-src: 'none' stands alone or does nothing",
        ),
        (
            "script-src",
            &["'sha256-abc='"],
            r#"script-src: "'sha256-abc='": is not as long as such a hash is, 44"#,
        ),
        (
            "script-src",
            &[],
            "script-src: wants a source, or 'none' if it is to allow nothing",
        ),
        (
            "sandbox",
            &["allow-all"],
            r#"sandbox: "allow-all": is not known here: write allow-forms"#,
        ),
        (
            "upgrade-insecure-requests",
            &["1"],
            r#"upgrade-insecure-requests: "1": takes no value"#,
        ),
        (
            "require-trusted-types-for",
            &["script"],
            r#""script": is not known here: write 'script'"#,
        ),
        ("require-trusted-types-for", &[], "wants 'script'"),
        (
            "report-to",
            &["a", "b"],
            "report-to: wants the name of one endpoint",
        ),
        (
            "report-uri",
            &[],
            "report-uri: wants a URL or a path to report to",
        ),
        (
            "trusted-types",
            &["a!"],
            r#"trusted-types: "a!": is not known here: write names"#,
        ),
    ] {
        let text = refused(name, values);
        assert!(text.contains(says), "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hashes_are_as_long_as_they_are() {
    for (algorithm, length, padding) in [
        ("sha256", 43, "="),
        ("sha384", 64, ""),
        ("sha512", 86, "=="),
    ] {
        let value =
            |length: usize, padding: &str| format!("'{algorithm}-{}{padding}'", "a".repeat(length));
        assert!(Directive::new("script-src", &[value(length, padding)]).is_ok());
        for wrong in [
            value(length, ""),
            value(length - 1, padding),
            value(length + 1, padding),
        ] {
            let is_right = wrong == value(length, padding);
            assert_eq!(
                Directive::new("script-src", &[&wrong]).is_ok(),
                is_right,
                "{wrong}"
            );
        }
    }
}
