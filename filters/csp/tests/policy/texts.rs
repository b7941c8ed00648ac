//! Texts of any kind.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use csp::policy::{
    Attempt, By, Delivery, Directive, Fetch, Name, Policy, PolicyList, Template, Url, intersect,
    lint,
};

/// Pieces of policies, right and wrong, which any text can be made of.
const PIECES: &[&str] = &[
    " ",
    " ",
    " ",
    ";",
    "; ",
    ",",
    "\t",
    "'",
    "\"",
    ":",
    "/",
    "*",
    "*.",
    "\u{e9}",
    "\0",
    "\u{7f}",
    "%2",
    "%2f",
    "script-src",
    "Default-src",
    "img-src",
    "style-src-elem",
    "sandbox",
    "report-to",
    "trusted-types",
    "upgrade-insecure-requests",
    "require-trusted-types-for",
    "x-y",
    "object-src",
    "base-uri",
    "plugin-types",
    "'self'",
    "'NONE'",
    "'unsafe-inline'",
    "'strict-dynamic'",
    "'nonce-",
    "'nonce-abc'",
    "'nonce-{nonce}'",
    "'sha256-{hash}'",
    "'sha256-",
    "sha384-abc",
    "https:",
    "HTTP://",
    "a.example",
    "Example.com:443",
    ":65536",
    "/path/",
    "//",
    "?q",
    "#f",
    "[::1]",
    "1.2.3.4",
    "127.0.0.1",
    "@",
    "localhost",
    "cdn.jsdelivr.net",
];

fn texts() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        9 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever was read is written so that it is read as the same, and as a header has it.
    #[test]
    fn what_is_written_is_read_as_the_same(text in texts()) {
        let read = Policy::parse(&text).0;
        let written = read.to_string();
        prop_assert_eq!(Policy::parse(&written).0, read.clone());
        prop_assert!(written.is_ascii() && written.trim_ascii() == written);
        let (list, _) = PolicyList::parse(&text);
        prop_assert_eq!(PolicyList::parse(&list.to_string()).0, list);
    }

    /// What is made of parts is read as it was meant, in a header too.
    #[test]
    fn what_is_made_is_read_as_it_was_meant(
        name in prop::sample::select(Name::KNOWN),
        values in prop::collection::vec(prop::sample::select(PIECES), 0..4),
    ) {
        if let Ok(directive) = Directive::new(name.as_str(), &values) {
            let made = Policy::new(vec![directive]).unwrap();
            let (list, findings) = PolicyList::parse(&made.to_string());
            prop_assert_eq!(list.policies(), [made]);
            prop_assert_eq!(findings, []);
        }
    }

    /// And if it is a template, it is its text with the nonce.
    #[test]
    fn a_template_is_its_text_with_the_nonce(text in texts()) {
        let read = Policy::parse(&text).0;
        let mut out = String::new();
        let template = Template::new(&read);
        template.write("bm9uY2U=", &[], &mut out).unwrap();
        // A token is not filled, whatever it says.
        let filled = read.directives().iter().map(|directive| match directive.sources() {
            Some(_) => {
                let text = directive.to_string();
                let values = text.split(' ').filter(|value| *value != "'sha256-{hash}'");
                let filled = values.map(|value| match value {
                    "'nonce-{nonce}'" => "'nonce-bm9uY2U='",
                    value => value,
                });
                filled.collect::<Vec<_>>().join(" ")
            }
            None => directive.to_string(),
        });
        prop_assert_eq!(&out, &filled.collect::<Vec<_>>().join("; "));
        prop_assert_eq!(template.len("bm9uY2U=".len(), &[]), out.len());
    }
}

/// Does all that can be done with a text.
fn look_at(text: &str) {
    let (policy, _) = Policy::parse(text);
    for by in [By::Header, By::ReportOnlyHeader, By::Meta] {
        let delivery = Delivery {
            by,
            fixed: true,
            endpoints: Some(&["main"]),
        };
        for finding in lint(&policy, &delivery) {
            assert!(!finding.to_string().is_empty());
        }
    }
    let parsed = Url::parse(text).unwrap_or_else(|| Url::parse("https://a.example/b").unwrap());
    for name in Name::KNOWN {
        let fetch = Fetch {
            directive: name,
            url: &parsed,
            redirected: false,
            nonce: text,
            integrity: &[],
            parser_inserted: true,
        };
        policy.allows(&Attempt::Url(fetch), &parsed);
        let _ = Directive::new(name.as_str(), &[text]);
    }
    let _ = intersect(&policy, &policy);
    let _ = Template::new(&policy).write(text, &[], &mut String::new());
}

/// Texts of so many kinds, and as many of bytes.
fn look_at_any(cases: u32) {
    let config = || Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    };
    let outcome = TestRunner::new(config()).run(&texts(), |text| {
        look_at(&text);
        Ok(())
    });
    outcome.unwrap();
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    let outcome = TestRunner::new(config()).run(&bytes, |bytes| {
        look_at(&String::from_utf8_lossy(&bytes));
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn whatever_the_text_nothing_panics() {
    look_at_any(500);
}

mod soak {
    /// `cargo xtask soak`
    #[test]
    #[ignore = "takes minutes"]
    fn whatever_the_text_nothing_panics_in_a_million() {
        super::look_at_any(500_000);
    }
}
