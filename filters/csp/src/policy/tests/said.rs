use super::*;

/// What is said of `text`, but not of what it lacks.
fn said_of_values(text: &str) -> Vec<String> {
    let whole = format!(
        "{text}; object-src 'none'; base-uri 'none'; report-uri /r; require-trusted-types-for 'script'"
    );
    said(&whole)
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_said_of_a_strict_policy_but_what_old_browsers_do() {
    let text = "script-src 'nonce-{nonce}' 'strict-dynamic' https: 'unsafe-inline'";
    assert_eq!(
        said_of_values(text),
        [
            "ignored script-src 'unsafe-inline'",
            "ignored script-src https:",
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_policy_lacks_is_said() {
    assert_eq!(
        said("img-src a"),
        [
            "require-trusted-types-for-scripts require-trusted-types-for",
            "reporting-destination-missing report-uri",
            "missing-directives object-src",
            "missing-directives script-src",
        ],
    );
    let lacks =
        said("default-src 'nonce-abcdefgh'; report-to r; require-trusted-types-for 'script'");
    assert!(lacks.contains(&"missing-directives base-uri".to_owned()));
    assert!(lacks.contains(&"report-to-only report-to".to_owned()));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_level_3_says_is_said() {
    let whole = "A".repeat(43);
    for (text, says) in [
        ("img-src 'none' a", "none-beside-others img-src 'none'"),
        (
            "style-src 'sha256-abc'",
            "hash-length style-src 'sha256-abc'",
        ),
        ("img-src a,b", "comma img-src a,b"),
        ("report-uri /a,b", "comma report-uri /a,b"),
        ("img-src a\x01", "control-character img-src a\x01"),
        ("img-src a_b", "invalid-source img-src a_b"),
        (
            "img-src 'strict-dynamic'",
            "no-effect img-src 'strict-dynamic'",
        ),
        (
            "img-src 'nonce-abcdefgh'",
            "no-effect img-src 'nonce-abcdefgh'",
        ),
        ("sandbox allow-all", "invalid-value sandbox allow-all"),
        (
            "upgrade-insecure-requests 1",
            "invalid-value upgrade-insecure-requests 1",
        ),
        ("report-to a b", "invalid-value report-to b"),
    ] {
        assert!(
            said(text).contains(&says.to_owned()),
            "{text}: {:?}",
            said(text)
        );
    }
    let right = format!("style-src 'sha256-{whole}=' 'unsafe-hashes'; img-src 'self' 'none'");
    assert!(
        !said(&right)
            .iter()
            .any(|text| text.starts_with("hash-length"))
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn how_a_policy_is_sent_makes_a_difference() {
    let text = "sandbox; upgrade-insecure-requests; frame-ancestors 'none'; report-uri /r; \
                script-src 'nonce-abcdefgh'; report-to main";
    let by = |by| {
        let delivery = Delivery {
            by,
            ..Delivery::default()
        };
        let mut said = said_of(text, &delivery);
        said.retain(|text| text.starts_with("no-effect"));
        said
    };
    assert!(by(By::Header).is_empty());
    assert_eq!(
        by(By::ReportOnlyHeader),
        ["no-effect sandbox", "no-effect upgrade-insecure-requests"],
    );
    assert_eq!(
        by(By::Meta),
        [
            "no-effect sandbox",
            "no-effect frame-ancestors",
            "no-effect report-uri"
        ],
    );

    let known = ["other"];
    let delivery = Delivery {
        fixed: true,
        endpoints: Some(&known),
        ..Delivery::default()
    };
    let said = said_of(text, &delivery);
    assert!(said.contains(&"static-nonce script-src 'nonce-abcdefgh'".to_owned()));
    assert!(said.contains(&"unknown-endpoint report-to main".to_owned()));
    let known = ["other", "main"];
    let delivery = Delivery {
        endpoints: Some(&known),
        ..Delivery::default()
    };
    let said = said_of(text, &delivery);
    assert!(
        !said
            .iter()
            .any(|text| text.starts_with("static") || text.starts_with("unknown"))
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn hosts_that_undo_a_policy_are_known() {
    let severity = |text: &str| {
        let findings = lint(&policy(text), &Delivery::default());
        let mut bypasses = findings.into_iter().filter(|it| {
            matches!(
                it.kind,
                Kind::ScriptAllowlistBypass | Kind::ObjectAllowlistBypass
            )
        });
        bypasses.next().map(|it| it.severity)
    };
    for source in [
        "www.google.com",
        "https://cdnjs.cloudflare.com:443",
        "*.doubleclick.net",
        "https://accounts.google.com/o/oauth2/revoke",
        "cdn.jsdelivr.net/",
        "count.tbcdn.cn",
    ] {
        assert_eq!(
            severity(&format!("script-src {source}")),
            Some(Severity::High),
            "{source}"
        );
    }
    for source in [
        "example.com",
        "google.com",
        "https://accounts.google.com/o/oauth2/",
        "www.googletagmanager.com",
    ] {
        let expected = if source.ends_with('/') {
            Severity::High
        } else {
            Severity::MediumMaybe
        };
        assert_eq!(
            severity(&format!("script-src {source}")),
            Some(expected),
            "{source}"
        );
    }
    assert_eq!(
        severity("script-src www.googletagmanager.com 'unsafe-eval'"),
        Some(Severity::High),
    );
    assert_eq!(
        severity("script-src 'none'; object-src vk.com"),
        Some(Severity::High)
    );
    assert_eq!(
        severity("script-src 'none'; object-src a.b"),
        Some(Severity::MediumMaybe)
    );
    assert_eq!(severity("default-src 'none'"), None);
}
