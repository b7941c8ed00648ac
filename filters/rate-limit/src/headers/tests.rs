use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::limit::{self, TokenBucket, Window};

const SECOND: u64 = 1_000_000_000;

const BOTH: Announce = Announce {
    x_ratelimit: true,
    ratelimit: true,
};

fn bucket(max_tokens: u32, tokens_per_fill: u32, seconds: u64) -> Limit {
    let interval = Duration::from_secs(seconds);
    Limit::TokenBucket(TokenBucket::new(max_tokens, tokens_per_fill, interval).unwrap())
}

fn fixed(requests: u32, seconds: u64) -> Limit {
    Limit::FixedWindow(Window::new(requests, Duration::from_secs(seconds)).unwrap())
}

fn of(name: &str, kind: Kind) -> Policies {
    Policies::new(vec![Policy::new(name, Vec::new(), kind, false)], None, true)
}

fn told(limit: usize, remaining: u32, reset: u64, next: u64) -> Told {
    let standing = limit::Standing {
        remaining,
        reset,
        next,
    };
    Told::Policy(OfPolicy {
        policy: 0,
        report: Report { limit, standing },
    })
}

/// `name: value` of each.
fn written(announce: Announce, told: &Told, policies: &Policies) -> Vec<String> {
    let headers = announce.headers(told, policies);
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn both_families_tell_the_limit_what_is_left_and_when_there_is_more() {
    let policies = of("login", Kind::Rate([fixed(10, 60)].into_iter().collect()));

    assert_eq!(
        written(BOTH, &told(0, 3, 40 * SECOND, 0), &policies),
        [
            "x-ratelimit-limit: 10",
            "x-ratelimit-remaining: 3",
            // Until one more would pass, as Envoy has it.
            "x-ratelimit-reset: 0",
            "ratelimit-policy: \"login\";q=10;w=60",
            "ratelimit: \"login\";r=3;t=40",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn each_family_goes_alone_too() {
    let policies = of("login", Kind::Rate([fixed(10, 60)].into_iter().collect()));
    let told = told(0, 0, SECOND, SECOND);
    let names = |announce: Announce| -> Vec<_> {
        let headers = announce.headers(&told, &policies);
        headers.iter().map(|(name, _)| name.to_string()).collect()
    };

    let x_ratelimit = Announce {
        ratelimit: false,
        ..BOTH
    };
    assert_eq!(
        names(x_ratelimit),
        [
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset"
        ]
    );
    let ratelimit = Announce {
        x_ratelimit: false,
        ..BOTH
    };
    assert_eq!(names(ratelimit), ["ratelimit-policy", "ratelimit"]);
    let neither = Announce {
        x_ratelimit: false,
        ratelimit: false,
    };
    assert!(neither.is_nothing());
    assert!(names(neither).is_empty());
    assert!(!BOTH.is_nothing() && !x_ratelimit.is_nothing() && !ratelimit.is_nothing());
}

#[wasm_bindgen_test(unsupported = test)]
fn of_several_limits_each_has_a_name_and_the_one_that_leaves_the_least_is_told() {
    let limits = [bucket(5, 1, 1), fixed(10, 60), fixed(1_000, 86_400)];
    let policies = of("api", Kind::Rate(limits.into_iter().collect()));

    assert_eq!(
        written(BOTH, &told(1, 2, 30 * SECOND, 0), &policies),
        [
            "x-ratelimit-limit: 10",
            "x-ratelimit-remaining: 2",
            "x-ratelimit-reset: 0",
            "ratelimit-policy: \"api-1\";q=5;w=5, \"api-2\";q=10;w=60, \"api-3\";q=1000;w=86400",
            "ratelimit: \"api-2\";r=2;t=30",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn times_are_rounded_up() {
    for (nanoseconds, expected) in [
        (0, 0),
        (1, 1),
        (SECOND, 1),
        (SECOND + 1, 2),
        (u64::MAX, u64::MAX / SECOND + 1),
    ] {
        assert_eq!(seconds(nanoseconds), expected);
    }
    // 10⅓ s to fill.
    let policies = of("a", Kind::Rate([bucket(31, 3, 1)].into_iter().collect()));
    assert_eq!(
        written(BOTH, &told(0, 0, SECOND + 1, 1), &policies),
        [
            "x-ratelimit-limit: 31",
            "x-ratelimit-remaining: 0",
            "x-ratelimit-reset: 1",
            "ratelimit-policy: \"a\";q=31;w=11",
            "ratelimit: \"a\";r=0;t=2",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn places_have_no_time_and_are_told_by_the_older_family_alone() {
    let policies = of("uploads", Kind::Concurrency(8));

    assert_eq!(
        written(BOTH, &told(0, 7, 0, 0), &policies),
        [
            "x-ratelimit-limit: 8",
            "x-ratelimit-remaining: 7",
            "x-ratelimit-reset: 0",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_service_says_is_told_in_its_words_and_rounded_as_each_family_has_it() {
    let told = Told::Service(Standing {
        limit: 5,
        remaining: 2,
        window: Some(60),
        reset: Some(2 * SECOND - 1),
        policies: ", 5;w=60;name=\"minute\", 100;w=3600".into(),
    });

    assert_eq!(told.remaining(), 2);
    assert_eq!(
        written(BOTH, &told, &of("a", Kind::Concurrency(1))),
        [
            "x-ratelimit-limit: 5, 5;w=60;name=\"minute\", 100;w=3600",
            "x-ratelimit-remaining: 2",
            "x-ratelimit-reset: 1",
            "ratelimit-policy: \"service\";q=5;w=60",
            "ratelimit: \"service\";r=2;t=2",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn of_a_policy_that_is_not_there_nothing_is_told() {
    let nowhere = Told::Policy(OfPolicy {
        policy: 9,
        report: Report::default(),
    });

    assert!(
        BOTH.headers(&nowhere, &of("a", Kind::Concurrency(1)))
            .is_empty()
    );
}
