//! The linter says of a policy what Google's CSP Evaluator says, or there is a reason.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::collections::BTreeSet;

use anyhow::Result;
use csp::policy::{Delivery, Kind, Policy, lint};
// The host calls of the crate.
use legation_testing as _;
use legation_tests::csp_evaluator::{Finding, evaluate};

/// What the evaluator does not look for.
const OWN: &[Kind] = &[
    Kind::DuplicateDirective,
    Kind::DuplicateValue,
    Kind::NonAscii,
    Kind::Comma,
    Kind::ControlCharacter,
    Kind::InvalidSource,
    Kind::NoneBesideOthers,
    Kind::HashLength,
    Kind::NoEffect,
    Kind::InvalidValue,
    Kind::UnknownEndpoint,
    Kind::StaticNonce,
];

/// Policies of which both say the same.
const POLICIES: &[&str] = &[
    // Strict ones, and how they fall short.
    "script-src 'nonce-abcdefghijkl' 'strict-dynamic' https: http: 'unsafe-inline'; object-src 'none'; base-uri 'none'; \
     require-trusted-types-for 'script'; report-uri /csp",
    "script-src 'nonce-abcdefghijkl' 'strict-dynamic'; object-src 'none'; base-uri 'none'",
    "script-src 'nonce-abcdefghijkl'; object-src 'none'; base-uri 'self'",
    "script-src 'nonce-abcdefghijkl'; object-src 'none'",
    "script-src 'sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc=' 'strict-dynamic'; object-src 'none'",
    "script-src 'sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc='; object-src 'none'",
    "script-src 'strict-dynamic'",
    "script-src 'strict-dynamic' 'unsafe-inline' 'self' https://a.example data: *",
    "script-src 'strict-dynamic' 'nonce-abcdefghijkl' *",
    "script-src 'strict-dynamic' 'nonce-abcdefghijkl' a.example",
    "default-src 'strict-dynamic' 'nonce-abcdefghijkl' 'unsafe-inline' https:",
    "default-src 'self' 'nonce-abcdefghijkl' 'strict-dynamic'; img-src 'self'",
    "script-src 'nonce-abcdefghijkl' 'strict-dynamic' 'unsafe-eval' 'report-sample'; base-uri 'none'; object-src 'none'",
    // Inline and eval.
    "script-src 'unsafe-inline'",
    "script-src 'unsafe-inline' 'nonce-abcdefghijkl'",
    "script-src 'unsafe-eval'",
    "script-src 'unsafe-hashes' 'sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc='",
    "default-src 'unsafe-inline' 'unsafe-eval'",
    "default-src 'self'; script-src-elem 'unsafe-inline'",
    "default-src 'self'; script-src-attr 'unsafe-inline' 'unsafe-hashes'",
    "script-src 'self'; script-src-elem 'nonce-abcdefghijkl' 'unsafe-inline'; script-src-attr 'none'",
    "style-src 'unsafe-inline'; script-src 'none'; object-src 'none'",
    "default-src 'none'; style-src 'unsafe-inline' 'nonce-abcdefghijkl'",
    // Schemes and wildcards.
    "script-src https: http: data:",
    "script-src *; object-src *; base-uri *",
    "default-src *",
    "default-src https:",
    "default-src https: 'unsafe-inline' 'unsafe-eval' data: blob:",
    "script-src http://*",
    "object-src data:",
    "base-uri https:",
    "img-src *; media-src data: https:; script-src 'none'; object-src 'none'",
    "script-src blob: filesystem: mediastream:",
    "script-src HTTPS: Data:",
    // What is missing.
    "",
    "img-src 'self'",
    "script-src 'none'",
    "object-src 'none'",
    "default-src 'none'",
    "default-src 'self'",
    "script-src-elem 'self'; script-src-attr 'none'",
    "upgrade-insecure-requests; frame-ancestors 'none'",
    "frame-ancestors 'self'; form-action 'self'; base-uri 'none'",
    // Hosts.
    "script-src www.google.com",
    "script-src https://www.google.com:443 https://ajax.googleapis.com",
    "script-src *.google.com; object-src 'none'",
    "script-src google.com example.com 'self'",
    "script-src https://accounts.google.com/o/oauth2/revoke",
    "script-src https://accounts.google.com/o/oauth2/",
    "script-src https://accounts.google.com/o/oauth2",
    "script-src cdnjs.cloudflare.com/ajax/",
    "script-src cdn.jsdelivr.net",
    "script-src www.googletagmanager.com",
    "script-src www.googletagmanager.com 'unsafe-eval'",
    "script-src *.googletagmanager.com *.google-analytics.com 'unsafe-eval'",
    "script-src localhost localhost:3000 intranet",
    "script-src *.cloudfront.net:* //a.example/b",
    "default-src *.doubleclick.net; script-src-elem *.yandex.ru",
    "script-src-elem www.google.com; script-src 'none'",
    "script-src 'self' 'none-such.example'",
    "object-src vk.com *.googleapis.com a.example 'self'",
    "object-src https://vk.com/swf/video.swf; script-src 'none'",
    "default-src vk.com; script-src 'none'",
    "object-src *; plugin-types-of-old a",
    // Addresses, http, nonces.
    "script-src 127.0.0.1 http://127.0.0.1:8080 192.168.0.1 https://10.0.0.1:443/a",
    "img-src http://[2001:db8::1] https://[::1]:8080",
    "report-uri http://reports.example/a https://192.0.2.1/b",
    "script-src http://a.example",
    "default-src http://a.example https://b.example",
    "script-src 'nonce-short'",
    "script-src 'nonce-abcdefg' 'nonce-abcdefgh'",
    "script-src 'nonce-not_base64!'; style-src 'nonce-a b'",
    "style-src 'nonce-abc'; img-src 'nonce-abc{}'",
    "script-src 'nonce-ABCDEFGHabcd0123+/=='; base-uri 'self'; object-src 'none'",
    // Syntax.
    "script-src 'self' object-src a.example",
    "script-src 'self' default-src img-src *",
    "foobar-src a.example; script-source 'self'",
    "script-src: 'self'; default-src 'self'",
    "script-src self unsafe-inline strict-dynamic nonce-abcdefgh sha256-abc none",
    "default-src none",
    "script-src 'notAkeyword' 'self",
    "script-src 'sha1-abc' 'sha256-' 'md5-abc'",
    "require-trusted-types-for script; trusted-types one 'allow-duplicates'",
    "require-trusted-types-for 'script'; trusted-types 'none'; script-src 'self'",
    "require-trusted-types-for 'styles'; trusted-types 'self' a",
    "SCRIPT-SRC 'SELF' 'Unsafe-Inline'; Object-Src 'NONE'",
    "script-src 'self'; script-src *",
    "script-src 'self' 'self' a.example a.example",
    ";;; script-src   'self'\t'unsafe-inline' ; ;",
    // Reports, and what browsers have given up.
    "script-src 'self'; report-to main",
    "script-src 'self'; report-to main; report-uri /csp",
    "script-src 'self'; report-uri https://reports.example/csp?a=b",
    "reflected-xss filter; referrer origin; disown-opener; prefetch-src 'self'",
    "sandbox allow-scripts allow-forms; default-src 'none'",
    "webrtc 'block'; worker-src 'self'; manifest-src 'self'; child-src 'none'",
    "navigate-to-of-old a.example; script-src 'wasm-unsafe-eval' 'inline-speculation-rules'",
    // As they are met.
    "default-src 'self'; script-src 'self' https://cdn.jsdelivr.net https://www.google-analytics.com 'unsafe-inline'; \
     style-src 'self' 'unsafe-inline' https://fonts.googleapis.com; font-src https://fonts.gstatic.com; img-src * data:; \
     connect-src 'self' wss://ws.example.com; frame-src https://www.youtube.com; upgrade-insecure-requests",
    "default-src 'none'; base-uri 'self'; child-src github.com/assets-cdn/worker/ gist.github.com/assets-cdn/worker/; \
     connect-src 'self' uploads.github.com; font-src github.githubassets.com; form-action 'self' github.com; \
     frame-ancestors 'none'; img-src 'self' data:; script-src github.githubassets.com; \
     style-src 'unsafe-inline' github.githubassets.com; worker-src github.com/assets-cdn/worker/",
    "object-src 'none'; base-uri 'self'; script-src 'nonce-PLvRSl2bDt1JAlqZ' 'strict-dynamic' 'report-sample' \
     'unsafe-eval' 'unsafe-inline' https: http:; report-uri https://csp.withgoogle.com/csp/gws/other-hp",
];

/// A policy of which they do not say the same, and why.
struct Difference {
    policy: &'static str,
    /// What only the linter says: kind, severity, directive and value.
    ours: &'static [&'static str],
    /// What only the evaluator says.
    theirs: &'static [&'static str],
    why: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        policy: "object-src; script-src 'none'",
        ours: &[],
        theirs: &["MISSING_DIRECTIVES HIGH object-src"],
        why: "An empty list allows nothing, as 'none' does (CSP3, section 6.7.2.7).",
    },
    Difference {
        policy: "script-src 'none' www.google.com; object-src 'none' a.example",
        ours: &[
            "OBJECT_ALLOWLIST_BYPASS MEDIUM_MAYBE object-src a.example",
            "SCRIPT_ALLOWLIST_BYPASS HIGH script-src www.google.com",
        ],
        theirs: &[],
        why: "'none' does nothing beside others (section 6.7.2.7).",
    },
    Difference {
        policy: "script-src 'SHA256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc=' 'Nonce-abcdefghijkl'",
        ours: &[
            "MISSING_DIRECTIVES HIGH base-uri",
            "UNSAFE_INLINE_FALLBACK STRICT_CSP script-src",
        ],
        theirs: &[
            "INVALID_KEYWORD SYNTAX script-src 'Nonce-abcdefghijkl'",
            "INVALID_KEYWORD SYNTAX script-src 'SHA256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc='",
        ],
        why: "The grammar's words are the same in whatever case (RFC 5234, section 2.3).",
    },
    Difference {
        policy: "script-src 'trusted-types-eval' 'report-sha256'",
        ours: &[],
        theirs: &[
            "INVALID_KEYWORD SYNTAX script-src 'report-sha256'",
            "INVALID_KEYWORD SYNTAX script-src 'trusted-types-eval'",
        ],
        why: "Browsers have learnt keywords since.",
    },
    Difference {
        policy: "script-src 'wasm-eval' 'unsafe-hashed-attributes' 'block' 'allow'",
        ours: &[
            "INVALID_KEYWORD SYNTAX script-src 'allow'",
            "INVALID_KEYWORD SYNTAX script-src 'block'",
            "INVALID_KEYWORD SYNTAX script-src 'unsafe-hashed-attributes'",
            "INVALID_KEYWORD SYNTAX script-src 'wasm-eval'",
        ],
        theirs: &[],
        why: "Browsers have forgotten keywords, or know them in `webrtc` alone.",
    },
    Difference {
        policy: "fenced-frame-src 'self'; script-src 'none'; object-src 'none'",
        ours: &[],
        theirs: &["UNKNOWN_DIRECTIVE SYNTAX fenced-frame-src"],
        why: "Browsers have learnt a directive since.",
    },
    Difference {
        policy: "plugin-types a/b; navigate-to 'self'; require-sri-for script; block-all-mixed-content",
        ours: &[
            "DEPRECATED_DIRECTIVE INFO block-all-mixed-content",
            "DEPRECATED_DIRECTIVE INFO navigate-to",
            "DEPRECATED_DIRECTIVE INFO plugin-types",
            "DEPRECATED_DIRECTIVE INFO require-sri-for",
        ],
        theirs: &[],
        why: "Browsers have given up more directives.",
    },
    Difference {
        policy: "script-src WWW.Google.com HTTP://A.example",
        ours: &[
            "SCRIPT_ALLOWLIST_BYPASS HIGH script-src www.google.com",
            "SCRIPT_ALLOWLIST_BYPASS MEDIUM_MAYBE script-src http://a.example",
            "SRC_HTTP MEDIUM script-src http://a.example",
        ],
        theirs: &[
            "SCRIPT_ALLOWLIST_BYPASS HIGH script-src WWW.Google.com",
            "SCRIPT_ALLOWLIST_BYPASS MEDIUM_MAYBE script-src HTTP://A.example",
        ],
        why: "Hosts and schemes are shown in lower case, in which `http://` is found too.",
    },
    Difference {
        policy: "script-src https://*:443 *:*",
        ours: &[
            "PLAIN_WILDCARD HIGH script-src *:*",
            "PLAIN_WILDCARD HIGH script-src https://*:443",
        ],
        theirs: &[],
        why: "Any host is any host, whatever the port.",
    },
    Difference {
        policy: "script-src 'self' müller.example; object-src 'none'",
        ours: &["MISSING_DIRECTIVES HIGH script-src"],
        theirs: &[
            "SCRIPT_ALLOWLIST_BYPASS MEDIUM_MAYBE script-src 'self'",
            "SCRIPT_ALLOWLIST_BYPASS MEDIUM_MAYBE script-src müller.example",
            "STRICT_DYNAMIC STRICT_CSP script-src",
        ],
        why: "A browser drops a directive that is not ASCII (section 2.2.1).",
    },
    Difference {
        policy: "report-to none; sandbox self; report-uri nonce-abc; reflected-xss block",
        ours: &[],
        theirs: &[
            "INVALID_KEYWORD SYNTAX reflected-xss block",
            "INVALID_KEYWORD SYNTAX report-to none",
            "INVALID_KEYWORD SYNTAX report-uri nonce-abc",
            "INVALID_KEYWORD SYNTAX sandbox self",
        ],
        why: "Names, flags and URLs are no keywords.",
    },
    Difference {
        policy: "script-src self' 'strict-dynamic",
        ours: &["INVALID_KEYWORD SYNTAX script-src self'"],
        theirs: &[],
        why: "One quotation mark is not enough on either side.",
    },
    Difference {
        policy: "script-src 'self' Object-Src",
        ours: &["MISSING_SEMICOLON SYNTAX script-src object-src"],
        theirs: &[],
        why: "Names of directives are the same in whatever case.",
    },
    Difference {
        policy: "img-src 1.2.3.400; script-src 'none'; object-src 'none'",
        ours: &[
            "IP_SOURCE INFO img-src 1.2.3.400",
            "REPORTING_DESTINATION_MISSING INFO report-uri",
            "REQUIRE_TRUSTED_TYPES_FOR_SCRIPTS INFO require-trusted-types-for",
        ],
        theirs: &["it throws"],
        why: "What looks like an address and is none is no URL to it, and it throws.",
    },
    Difference {
        policy: "constructor 'self'; script-src 'none'; object-src 'none'",
        ours: &["UNKNOWN_DIRECTIVE SYNTAX constructor"],
        theirs: &[],
        why: "Its table of directives is an object of JavaScript, which has a `constructor`.",
    },
];

fn texts(findings: impl IntoIterator<Item = Finding>) -> BTreeSet<String> {
    let texts = findings.into_iter().map(|finding| {
        let Finding {
            kind,
            severity,
            directive,
            value,
        } = finding;
        format!(
            "{kind} {severity} {directive} {}",
            value.unwrap_or_default()
        )
        .trim_end()
        .to_owned()
    });
    texts.collect()
}

fn ours(policy: &str) -> BTreeSet<String> {
    let findings = lint(&Policy::parse(policy).0, &Delivery::default());
    let findings = findings
        .into_iter()
        .filter(|finding| !OWN.contains(&finding.kind));
    let name = |text: &str| text.to_uppercase().replace('-', "_");
    texts(findings.map(|finding| Finding {
        kind: name(finding.kind.as_str()),
        severity: name(finding.severity.as_str()),
        directive: finding.directive.to_string(),
        value: finding.value.map(Into::into),
    }))
}

/// What only the linter says, and what only the evaluator.
fn differences(policies: &[&str]) -> Result<Vec<[Vec<String>; 2]>> {
    let said = evaluate(policies)?;
    let pairs = policies.iter().zip(said).map(|(policy, theirs)| {
        let ours = ours(policy);
        let theirs = theirs.map_or_else(|| BTreeSet::from(["it throws".to_owned()]), texts);
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect();
        [only(&ours, &theirs), only(&theirs, &ours)]
    });
    Ok(pairs.collect())
}

#[test]
fn the_linter_says_what_the_evaluator_says() -> Result<()> {
    let differ = POLICIES.iter().zip(differences(POLICIES)?);
    let differ: Vec<_> = differ
        .filter(|(_, differ)| differ.iter().any(|it| !it.is_empty()))
        .collect();
    println!(
        "{} policies, {} differences",
        POLICIES.len(),
        DIFFERENCES.len()
    );
    assert!(differ.is_empty(), "{differ:#?}");
    Ok(())
}

#[test]
fn where_they_differ_there_is_a_reason() -> Result<()> {
    let policies: Vec<&str> = DIFFERENCES.iter().map(|it| it.policy).collect();
    for (difference, [ours, theirs]) in DIFFERENCES.iter().zip(differences(&policies)?) {
        let Difference { policy, why, .. } = difference;
        assert_eq!(ours, difference.ours, "{policy}: {why}");
        assert_eq!(theirs, difference.theirs, "{policy}: {why}");
    }
    Ok(())
}
