//! The intersection, beside a browser that applies both policies.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};

use csp::policy::{Attempt, Fetch, Hash, Inline, Name, Policy, Url, intersect};

fn policy(text: &str) -> Policy {
    Policy::parse(text).0
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

const URL_SOURCES: &[&str] = &[
    "*",
    "'self'",
    "http:",
    "https:",
    "ws:",
    "wss:",
    "data:",
    "a.test",
    "b.test",
    "*.a.test",
    "x.a.test",
    "*.x.a.test",
    "https://a.test",
    "http://a.test",
    "wss://a.test",
    "a.test:443",
    "a.test:80",
    "http://a.test:80",
    "https://a.test:8443",
    "a.test:*",
    "a.test/p/",
    "a.test/p/q",
    "https://a.test/p/",
    "https://*",
    "http://*.a.test:*",
    "127.0.0.1",
    "10.0.0.1",
];
const OTHER_SOURCES: &[&str] = &[
    "'unsafe-inline'",
    "'unsafe-eval'",
    "'wasm-unsafe-eval'",
    "'unsafe-hashes'",
    "'strict-dynamic'",
    "'nonce-n'",
    "'nonce-m'",
    "'sha256-a='",
    "'sha256-b='",
    "'report-sample'",
    "'none'",
];
const DIRECTIVES: &[&str] = &[
    "default-src",
    "script-src",
    "script-src-elem",
    "script-src-attr",
    "style-src",
    "style-src-elem",
    "style-src-attr",
    "img-src",
    "connect-src",
    "child-src",
    "frame-src",
    "worker-src",
    "base-uri",
    "frame-ancestors",
    "form-action",
];
const URLS: &[&str] = &[
    "http://a.test/",
    "https://a.test/",
    "https://a.test/p/",
    "https://a.test/p/q",
    "http://a.test/p/r",
    "https://b.test/",
    "https://x.a.test/",
    "https://y.x.a.test/p/q",
    "http://x.a.test:8080/",
    "https://a.test:8443/",
    "http://a.test:443/",
    "https://a.test:80/",
    "ws://a.test/",
    "wss://a.test/",
    "wss://a.test:8443/",
    "wss://b.test/",
    "data:text/html,x",
    "http://127.0.0.1/",
    "https://10.0.0.1/",
    "https://page.test/",
    "http://page.test/",
    "http://page.test:8080/",
    "wss://page.test/",
];
const ORIGINS: &[&str] = &[
    "http://page.test",
    "https://page.test",
    "http://a.test",
    "https://a.test",
    "http://page.test:8080",
];

fn lists() -> impl Strategy<Value = String> {
    let urls = prop_oneof![
        3 => subsequence(URL_SOURCES, 0..4),
        // So that two lists meet more often.
        2 => subsequence(&URL_SOURCES[..8], 0..4),
    ];
    let others = prop_oneof![
        3 => Just(Vec::new()),
        3 => subsequence(OTHER_SOURCES, 0..4),
    ];
    (urls, others).prop_map(|(urls, others)| [urls, others].concat().join(" "))
}

fn policies() -> impl Strategy<Value = String> {
    let directives = prop_oneof![
        subsequence(DIRECTIVES, 0..4),
        subsequence(&DIRECTIVES[..3], 1..3),
    ];
    directives.prop_flat_map(|names| {
        let lists = prop::collection::vec(lists(), names.len());
        lists.prop_map(move |lists| {
            let directives = names
                .iter()
                .zip(lists)
                .map(|(name, list)| format!("{name} {list}"));
            directives.collect::<Vec<_>>().join(";")
        })
    })
}

/// A policy, and another that differs in little.
fn pairs() -> impl Strategy<Value = (String, String)> {
    let alike =
        (policies(), select(URL_SOURCES), select(OTHER_SOURCES)).prop_map(|(one, url, other)| {
            let more = one.replacen(' ', &format!(" {url} "), 1);
            let less = one.replace(other, "");
            (more, less)
        });
    prop_oneof![(policies(), policies()), alike]
}

/// What can be attempted of which `both` does not say what `a` and `b` do.
fn difference(both: &Policy, a: &Policy, b: &Policy) -> Option<String> {
    let hashes = ["sha256-a=", "sha256-b="].map(|text| Hash::parse(text).unwrap());
    let elements: [(&str, &[Hash]); 6] = [
        ("", &[]),
        ("n", &[]),
        ("m", &hashes[..1]),
        ("", &hashes[..1]),
        ("", &hashes),
        ("n", &hashes[1..]),
    ];
    let urls: Vec<Url> = URLS.iter().map(|text| url(text)).collect();
    let names: Vec<Name> = DIRECTIVES.iter().map(|name| Name::parse(name)).collect();
    let mut attempts = vec![Attempt::Eval, Attempt::WasmEval];
    for directive in &names {
        let is_of_attributes = directive.as_str().ends_with("-attr");
        let is_of_elements = directive.as_str().ends_with("-elem") || *directive == Name::WorkerSrc;
        let elements = if is_of_elements || is_of_attributes {
            &elements[..]
        } else {
            &elements[..1]
        };
        for &(nonce, hashes) in elements {
            let inline = |navigation| Inline {
                directive,
                nonce,
                hashes,
                navigation,
            };
            if is_of_attributes || is_of_elements && *directive != Name::WorkerSrc {
                attempts
                    .extend([false, true].map(|navigation| Attempt::Inline(inline(navigation))));
            }
            // No attribute fetches anything.
            for url in urls.iter().filter(|_| !is_of_attributes) {
                for (redirected, parser_inserted) in [(false, true), (true, true), (false, false)] {
                    attempts.push(Attempt::Url(Fetch {
                        directive,
                        url,
                        redirected,
                        nonce,
                        integrity: hashes,
                        parser_inserted,
                    }));
                }
            }
        }
    }
    let origins = ORIGINS.iter().map(|text| url(text));
    origins
        .flat_map(|origin| {
            attempts
                .iter()
                .map(move |attempt| (attempt, origin.clone()))
        })
        .find_map(|(attempt, origin)| {
            let expected = a.allows(attempt, &origin) && b.allows(attempt, &origin);
            let differs = both.allows(attempt, &origin) != expected;
            differs.then(|| format!("{attempt:?} on {origin:?}: {expected}"))
        })
}

/// Makes one of so many pairs, and gives the share of those of which it could.
fn compare(cases: u32) -> f64 {
    let met = std::cell::Cell::new(0_u32);
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    });
    let outcome = runner.run(&pairs(), |(a, b)| {
        let (a, b) = (policy(&a), policy(&b));
        if let Some(both) = intersect(&a, &b) {
            met.set(met.get() + 1);
            let differs = difference(&both, &a, &b);
            prop_assert!(
                differs.is_none(),
                "{} | {} => {}: {}",
                a,
                b,
                both,
                differs.unwrap()
            );
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    f64::from(met.get()) / f64::from(cases)
}

#[test]
fn one_policy_allows_what_both_allow() {
    let share = compare(300);
    println!("{share:.2} of the pairs became one");
    assert!(share > 0.3, "{share}");
}

mod soak {
    /// `cargo xtask soak`
    #[test]
    #[ignore = "takes minutes"]
    fn one_policy_allows_what_both_allow_of_many_pairs() {
        let share = super::compare(50_000);
        println!("{share:.2} of the pairs became one");
    }
}
