#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::rc::Rc;
use std::time::Duration;

use legation::config as parser;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// The keys and values of a descriptor.
type Pairs<'a> = &'a [(&'a str, &'a [u8])];

const NONE: Pairs<'_> = &[];

fn rate(requests: u32, seconds: u64) -> Kind {
    let window = Window::new(requests, Duration::from_secs(seconds)).unwrap();
    Kind::Rate(SmallVec::from_slice(&[Limit::FixedWindow(window)]))
}

/// A policy by its entries, of which those without a value take any.
fn policy(name: &str, entries: &[(&str, Option<&str>)], kind: Kind) -> Policy {
    let pattern = entries.iter().map(|(key, value)| Pattern {
        key: (*key).into(),
        value: value.map(|value| value.as_bytes().into()),
    });
    Policy::new(name, pattern.collect(), kind, false)
}

fn descriptor(entries: Pairs<'_>, hits: u32) -> Descriptor {
    let entries = entries.iter().map(|(key, value)| Entry {
        key: Rc::from(*key),
        value: SmallVec::from_slice(value),
    });
    Descriptor {
        entries: entries.collect(),
        hits,
        limit: None,
    }
}

fn meeting(policies: &Policies, descriptors: &[Descriptor], scope: &[u8]) -> Meeting {
    // Whatever is in the memory that it is given.
    let mut meeting = Meeting::with_memory(b"of another".to_vec());
    policies.meet([descriptors], scope, &mut meeting);
    meeting
}

/// The key of the first that is met.
fn first_key(policies: &Policies, entries: Pairs<'_>, scope: &[u8]) -> Vec<u8> {
    let meeting = meeting(policies, &[descriptor(entries, 1)], scope);
    meeting.iter().next().unwrap().key.to_vec()
}

/// The names of those that are met, in order.
fn met<'a>(policies: &'a Policies, descriptors: &[Pairs<'_>]) -> Vec<&'a str> {
    let descriptors: Vec<_> = descriptors
        .iter()
        .map(|entries| descriptor(entries, 1))
        .collect();
    meeting(policies, &descriptors, b"")
        .iter()
        .map(|met| &*policies.get(met.policy).unwrap().name)
        .collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_certain_value_goes_before_any_and_else_the_first_that_is_written() {
    let policies = Policies::new(
        vec![
            policy("any", &[("path", None)], rate(1, 1)),
            policy("login", &[("path", Some("/login"))], rate(2, 1)),
            policy(
                "either",
                &[("path", None), ("method", Some("GET"))],
                rate(1, 1),
            ),
            policy(
                "other",
                &[("path", Some("/a")), ("method", None)],
                rate(1, 1),
            ),
        ],
        None,
        true,
    );

    assert_eq!(met(&policies, &[&[("path", b"/login")]]), ["login"]);
    assert_eq!(met(&policies, &[&[("path", b"/login/")]]), ["any"]);
    assert_eq!(met(&policies, &[&[("path", b"")]]), ["any"]);
    // Of two that take some value, the first, whatever else they say.
    let both: Pairs<'_> = &[("path", b"/a"), ("method", b"GET")];
    assert_eq!(met(&policies, &[both]), ["either"]);
    let second: Pairs<'_> = &[("path", b"/a"), ("method", b"PUT")];
    assert_eq!(met(&policies, &[second]), ["other"]);
    // All entries, in their order, and no others.
    for none in [
        &[("method", &b"GET"[..]), ("path", b"/a")][..],
        &[("method", b"GET")],
        &[("path", b"/b"), ("method", b"PUT")],
        &[("path", b"/a"), ("method", b"PUT"), ("path", b"/a")],
        NONE,
    ] {
        assert_eq!(met(&policies, &[none]), Vec::<&str>::new(), "{none:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_slowest_is_asked_first_after_places_and_before_the_default() {
    let policies = Policies::new(
        vec![
            policy("fast", &[("a", None)], rate(100, 1)),
            policy("places", &[("b", None)], Kind::Concurrency(1)),
            policy("slow", &[("c", None)], rate(100, 60)),
            policy("as_fast", &[("d", None)], rate(6_000, 60)),
        ],
        Some(policy("default", &[], rate(1, 3_600))),
        true,
    );

    let all: [Pairs<'_>; 4] = [&[("a", b"")], &[("b", b"")], &[("c", b"")], &[("d", b"")]];
    assert_eq!(
        met(&policies, &all),
        ["places", "slow", "fast", "as_fast", "default"]
    );
    // Of two that are as fast, the one whose descriptor comes first.
    assert_eq!(
        met(&policies, &[all[3], all[0]]),
        ["as_fast", "fast", "default"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_policy_is_as_slow_as_the_slowest_of_its_limits() {
    let Kind::Rate(mut limits) = rate(1_000, 1) else {
        panic!("a rate")
    };
    limits.push(match rate(1, 3_600) {
        Kind::Rate(limits) => limits[0],
        Kind::Concurrency(_) => panic!("a rate"),
    });
    let policies = Policies::new(
        vec![
            policy("fast", &[("a", None)], rate(1, 60)),
            policy("both", &[("b", None)], Kind::Rate(limits)),
        ],
        None,
        true,
    );

    assert_eq!(
        met(&policies, &[&[("a", b"")], &[("b", b"")]]),
        ["both", "fast"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_meets_what_it_would_by_any_reading_and_each_once() {
    let of = |always| {
        Policies::new(
            vec![
                policy("user", &[("user", None)], rate(1, 1)),
                policy("slow", &[("slow", None)], rate(1, 60)),
            ],
            Some(policy("default", &[], rate(1, 1))),
            always,
        )
    };
    let user = |name: &'static [u8]| descriptor(&[("user", name)], 1);
    let slow = || descriptor(&[("slow", b"")], 1);
    let nothing = || descriptor(&[("other", b"")], 1);
    for (first, other, expected) in [
        // Twice by one of them is twice.
        (vec![user(b"a"), user(b"a")], vec![], "user user default"),
        (vec![user(b"a"), slow()], vec![user(b"a")], "slow user"),
        (vec![user(b"a")], vec![user(b"b"), slow()], "slow user user"),
        // The one for those without another is for whom any reading leaves without.
        (vec![user(b"a")], vec![nothing()], "user default"),
        (vec![nothing()], vec![user(b"a")], "user default"),
        (vec![user(b"a")], vec![user(b"a")], "user"),
    ] {
        for always in [true, false] {
            let policies = of(always);
            let mut meeting = Meeting::default();
            policies.meet([&*first, &*other], b"", &mut meeting);
            let names = meeting
                .iter()
                .map(|met| &*policies.get(met.policy).unwrap().name);
            let names = names.collect::<Vec<_>>().join(" ");
            let with_default = always && !expected.ends_with("default");
            let more = if with_default { " default" } else { "" };
            assert_eq!(names, format!("{expected}{more}"));
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_default_is_for_all_or_for_those_without_another() {
    let with = |always| {
        Policies::new(
            vec![policy("a", &[("a", None)], rate(1, 1))],
            Some(policy("default", &[], rate(1, 1))),
            always,
        )
    };
    let (a, b): (Pairs<'_>, Pairs<'_>) = (&[("a", b"")], &[("b", b"")]);

    assert_eq!(met(&with(true), &[a]), ["a", "default"]);
    assert_eq!(met(&with(false), &[a]), ["a"]);
    for always in [true, false] {
        assert_eq!(met(&with(always), &[b]), ["default"]);
        assert_eq!(met(&with(always), &[]), ["default"]);
    }
    let none = Policies::new(Vec::new(), None, true);
    assert_eq!(met(&none, &[a]), Vec::<&str>::new());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_counts_for_its_descriptors_hits_and_for_one_of_the_default() {
    let policies = Policies::new(
        vec![policy("a", &[("a", None)], rate(1, 1))],
        Some(policy("default", &[], rate(1, 1))),
        true,
    );

    let met = meeting(&policies, &[descriptor(&[("a", b"1")], 7)], b"");

    assert_eq!(met.iter().map(|met| met.hits).collect::<Vec<_>>(), [7, 1]);
}

#[wasm_bindgen_test(unsupported = test)]
fn each_value_each_scope_and_each_policy_has_a_key_of_its_own() {
    let policies = |requests| {
        Policies::new(
            vec![
                policy("a", &[("k", None)], rate(requests, 1)),
                policy("b", &[("k", None), ("k", None)], rate(requests, 1)),
            ],
            Some(policy("default", &[], rate(requests, 1))),
            false,
        )
    };
    let key = first_key;
    let one = policies(1);
    let keys = [
        key(&one, &[("k", b"1")], b""),
        key(&one, &[("k", b"2")], b""),
        key(&one, &[("k", b"")], b""),
        key(&one, &[("k", b"1")], b"c"),
        key(&one, &[("k", b"1"), ("k", b"")], b""),
        key(&one, &[("k", b""), ("k", b"1")], b""),
        // The default.
        key(&one, &[("x", b"")], b""),
        key(&one, &[("x", b"")], b"c"),
        // With another limit.
        key(&policies(2), &[("k", b"1")], b""),
        key(&policies(2), &[("x", b"")], b""),
    ];
    for (number, key) in keys.iter().enumerate() {
        assert!(!keys[..number].contains(key), "{number}");
    }
    // The same on all workers, and whatever the default is asked about.
    assert_eq!(key(&policies(1), &[("k", b"1")], b""), keys[0]);
    assert_eq!(key(&one, &[("y", b"z")], b""), keys[6]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_name_and_whether_it_is_watched_change_nothing_of_what_is_counted() {
    let key = |name: &str, is_shadow| {
        let pattern = vec![Pattern {
            key: "k".into(),
            value: None,
        }];
        let policy = Policy::new(name, pattern, rate(1, 1), is_shadow);
        let policies = Policies::new(vec![policy], None, true);
        first_key(&policies, &[("k", b"1")], b"")
    };

    assert_eq!(key("a", false), key("b", true));
}

#[wasm_bindgen_test(unsupported = test)]
fn limits_that_are_too_slow_together_are_refused_where_they_are() {
    let slow = r#""token_bucket":{"max_tokens":4294967295,"fill_interval":"8784h"}"#;
    let config = format!(
        r#"{{
            "rate_limits":[{{"actions":[{{"method":{{}}}}]}}],
            "descriptors":[{{"entries":[{{"key":"method"}}],{slow}}}],
            {slow}
        }}"#
    );
    let config = parser::parse::<Config>(config.as_bytes()).unwrap();

    let errors = Policies::of(&config).unwrap_err();

    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            format!("descriptors[0]: {TOO_SLOW}"),
            format!("configuration: {TOO_SLOW}")
        ]
    );
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    type Owned = Vec<(String, Vec<u8>)>;

    /// Of few letters, and of what lengths are written in, so that much is alike.
    fn pairs() -> impl Strategy<Value = Owned> {
        let byte = || prop::sample::select(vec![0_u8, 1, 4, b'a', b'b']);
        let key =
            prop::collection::vec(byte(), 0..4).prop_map(|bytes| String::from_utf8(bytes).unwrap());
        let value = prop::collection::vec(prop_oneof![4 => byte(), 1 => any::<u8>()], 0..8);
        prop::collection::vec((key, value), 0..4)
    }

    fn key_of(pairs: &Owned) -> Vec<u8> {
        let pairs = pairs.iter();
        let pairs = pairs.map(|(key, value)| (key.as_str(), value.as_slice()));
        let mut key = Vec::new();
        write_all(pairs, &mut key);
        key
    }

    /// The same, cut elsewhere.
    fn shifted(pairs: &Owned) -> Owned {
        let mut pairs = pairs.clone();
        for (key, value) in &mut pairs {
            if let Some(first) = value.first().copied()
                && first.is_ascii()
            {
                value.remove(0);
                key.push(char::from(first));
            }
        }
        pairs
    }

    proptest! {
        #[test]
        fn no_two_lists_of_entries_are_one_key(one in pairs(), other in pairs()) {
            for other in [&other, &shifted(&one)] {
                prop_assert_eq!(key_of(&one) == key_of(other), &one == other);
                // Nor is one the beginning of another.
                if one.len() == other.len() && &one != other {
                    prop_assert!(!key_of(&one).starts_with(&key_of(other)));
                }
            }
        }

        /// Nor with what tells them from others' before.
        #[test]
        fn no_two_scopes_and_lists_are_one_key(
            one in (prop::collection::vec(any::<u8>(), 0..4), pairs()),
            other in (prop::collection::vec(any::<u8>(), 0..4), pairs()),
        ) {
            let key = |(scope, pairs): &(Vec<u8>, Owned)| {
                let mut key = Vec::new();
                write(scope, &mut key);
                key.extend_from_slice(&key_of(pairs));
                key
            };
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }

        /// A table and a walk through the list come to the same.
        #[test]
        fn a_request_meets_what_a_walk_through_the_list_finds(
            patterns in prop::collection::vec(
                prop::collection::vec((0..2_u8, prop::option::of(0..2_u8)), 1..3),
                0..8,
            ),
            entries in prop::collection::vec((0..2_u8, 0..3_u8), 0..3),
        ) {
            let letter = |number: u8| char::from(b'a' + number).to_string();
            let mut known = Vec::new();
            for pattern in patterns {
                if !known.contains(&pattern) {
                    known.push(pattern);
                }
            }
            let list = known.iter().enumerate().map(|(number, pattern)| {
                let entries = pattern.iter().map(|(key, value)| Pattern {
                    key: letter(*key).into(),
                    value: value.map(|value| letter(value).into_bytes().into()),
                });
                Policy::new(&number.to_string(), entries.collect(), rate(1, 1), false)
            });
            let policies = Policies::new(list.collect(), None, true);
            let request = entries.iter().map(|(key, value)| Entry {
                key: letter(*key).into(),
                value: letter(*value).into_bytes().into(),
            });
            let request = Descriptor { entries: request.collect(), hits: 1, limit: None };

            let takes = |pattern: &Vec<(u8, Option<u8>)>| {
                pattern.len() == entries.len()
                    && pattern.iter().zip(&entries).all(|((key, value), (own, had))| {
                        key == own && value.is_none_or(|value| value == *had)
                    })
            };
            let is_exact = |pattern: &Vec<(u8, Option<u8>)>| {
                pattern.iter().all(|(_, value)| value.is_some())
            };
            let exact = known.iter().position(|pattern| is_exact(pattern) && takes(pattern));
            let expected = exact.or_else(|| known.iter().position(takes));

            let met = meeting(&policies, &[request], b"");
            prop_assert_eq!(met.iter().next().map(|met| met.policy), expected);
        }
    }
}
