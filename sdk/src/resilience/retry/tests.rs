#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::time::UNIX_EPOCH;

use http::Method;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn at(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + ms(1_000_000 + milliseconds)
}

fn policy(retry_on: RetryOn) -> RetryPolicy {
    RetryPolicy {
        num_retries: 3,
        per_try_timeout: Some(ms(300)),
        timeout: ms(1_000),
        retry_on,
        retriable_status_codes: vec![409, 429],
        back_off: Backoff::new(ms(100), ms(400)),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn each_word_names_what_it_names_in_envoy() {
    let outcomes = [
        Outcome::Status(200),
        Outcome::Status(409),
        Outcome::Status(500),
        Outcome::Status(502),
        Outcome::Status(503),
        Outcome::Status(504),
        Outcome::Status(599),
        Outcome::Status(600),
        Outcome::NotConnected,
        Outcome::Reset,
        Outcome::Timeout,
        Outcome::Final,
        Outcome::GrpcStatus(0),
        Outcome::GrpcStatus(1),
        Outcome::GrpcStatus(4),
        Outcome::GrpcStatus(8),
        Outcome::GrpcStatus(13),
        Outcome::GrpcStatus(14),
    ];
    for (word, named) in [
        ("5xx", "..#####.###......."),
        ("gateway-error", "...###..###......."),
        ("reset", "........###......."),
        ("connect-failure", "........#........."),
        ("retriable-status-codes", ".#................"),
        ("timeout", "..........#......."),
        ("cancelled", ".............#...."),
        ("deadline-exceeded", "..............#..."),
        ("resource-exhausted", "...............#.."),
        ("internal", "................#."),
        ("unavailable", "........#........#"),
    ] {
        let policy = policy(word.parse().unwrap());
        let retried: String = outcomes
            .iter()
            .map(|outcome| {
                if policy.retries(*outcome, Repeat::Safe) {
                    '#'
                } else {
                    '.'
                }
            })
            .collect();
        assert_eq!(retried, named, "{word}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_retried_that_is_not_named() {
    let policy = policy(RetryOn::NONE);
    for outcome in [
        Outcome::Status(503),
        Outcome::Status(409),
        Outcome::NotConnected,
        Outcome::Timeout,
        Outcome::GrpcStatus(14),
    ] {
        assert!(!policy.retries(outcome, Repeat::Safe), "{outcome:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_safe_to_repeat_is_retried_only_where_it_did_not_arrive() {
    let every = RetryOn::WORDS
        .iter()
        .fold(RetryOn::NONE, |all, (_, on)| all.and(*on));
    let policy = policy(every);

    assert!(policy.retries(Outcome::NotConnected, Repeat::Unsafe));
    for outcome in [
        Outcome::Status(503),
        Outcome::Status(429),
        Outcome::Reset,
        Outcome::Timeout,
        Outcome::GrpcStatus(14),
    ] {
        assert!(!policy.retries(outcome, Repeat::Unsafe), "{outcome:?}");
        assert!(policy.retries(outcome, Repeat::Safe), "{outcome:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn methods_are_safe_to_repeat_as_rfc_9110_has_it() {
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(Repeat::of(&method), Repeat::Safe, "{method}");
    }
    for method in ["POST", "PATCH", "CONNECT", "get"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(Repeat::of(&method), Repeat::Unsafe, "{method}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn tries_end_with_the_retries() {
    let policy = policy(RetryOn::FIVE_XX);
    let mut tries = Tries::start(&policy, Repeat::Safe, at(0));

    let delays: Vec<_> = (0..5)
        .map(|_| tries.next(Outcome::Status(500), None, at(0), u64::MAX))
        .collect();

    assert_eq!(
        delays,
        [Some(ms(100)), Some(ms(200)), Some(ms(400)), None, None]
    );
    assert_eq!(tries.retries(), 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_try_has_the_time_for_one_or_what_is_left() {
    let policy = policy(RetryOn::FIVE_XX);
    let tries = Tries::start(&policy, Repeat::Safe, at(0));

    assert_eq!(tries.timeout(at(0)), Some(ms(300)));
    assert_eq!(tries.timeout(at(800)), Some(ms(200)));
    assert_eq!(tries.timeout(at(990)), Some(ms(10)));
    assert_eq!(tries.timeout(at(991)), None);
    assert_eq!(tries.timeout(at(5_000)), None);

    let whole = RetryPolicy::once(ms(5_000));
    let tries = Tries::start(&whole, Repeat::Safe, at(0));
    assert_eq!(tries.timeout(at(1_000)), Some(ms(4_000)));
}

#[wasm_bindgen_test(unsupported = test)]
fn there_is_no_other_try_without_time_for_it() {
    let policy = policy(RetryOn::FIVE_XX);
    let next = |now, random| {
        Tries::start(&policy, Repeat::Safe, at(0)).next(Outcome::Reset, None, now, random)
    };

    assert_eq!(next(at(890), u64::MAX), Some(ms(100)));
    assert_eq!(next(at(891), u64::MAX), None);
    assert_eq!(next(at(990), 0), Some(ms(0)));
    assert_eq!(next(at(991), 0), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_next_try_is_not_before_what_the_upstream_asked_for() {
    let policy = policy(RetryOn::GATEWAY_ERROR);
    let next = |asked, random| {
        let mut tries = Tries::start(&policy, Repeat::Safe, at(0));
        tries.next(Outcome::Status(503), Some(asked), at(0), random)
    };

    assert_eq!(next(ms(500), 0), Some(ms(500)));
    assert_eq!(next(ms(500), u64::MAX), Some(ms(600)));
    assert_eq!(next(ms(1_000), 0), None, "it comes too late");
    assert_eq!(next(Duration::MAX, 0), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_that_is_set_back_takes_no_time() {
    let policy = policy(RetryOn::FIVE_XX);
    let tries = Tries::start(&policy, Repeat::Safe, at(9_000));

    assert_eq!(tries.timeout(at(0)), Some(ms(300)));
}

#[wasm_bindgen_test(unsupported = test)]
fn shows_its_words() {
    assert_eq!(
        format!("{:?}", RetryOn::USUAL),
        r#"{"gateway-error", "reset", "connect-failure", "unavailable"}"#
    );
    assert_eq!("5XX".parse::<RetryOn>(), Err(UnknownWord));
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tries_and_waits_never_exceed_the_timeout(
            num_retries in 0..50_u32,
            timeout in 0..20_000_u64,
            per_try in prop::option::of(0..5_000_u64),
            base in 0..2_000_u64,
            steps in prop::collection::vec((any::<u64>(), prop::option::of(0..3_000_u64)), 60),
        ) {
            let policy = RetryPolicy {
                num_retries,
                per_try_timeout: per_try.map(ms),
                timeout: ms(timeout),
                retry_on: RetryOn::FIVE_XX,
                retriable_status_codes: Vec::new(),
                back_off: Backoff::new(ms(base), ms(5_000)),
            };
            let mut now = at(0);
            let mut tries = Tries::start(&policy, Repeat::Safe, now);
            let mut made = 0;
            for (random, asked) in steps {
                let Some(time) = tries.timeout(now) else { break };
                made += 1;
                prop_assert!(time >= SHORTEST_TRY);
                now += time;
                match tries.next(Outcome::Timeout, asked.map(ms), now, random) {
                    Some(delay) => now += delay,
                    None => break,
                }
            }
            prop_assert!(now <= at(timeout));
            prop_assert!(made <= num_retries + 1);
        }
    }
}
