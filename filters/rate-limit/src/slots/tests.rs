#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::time::{Duration, UNIX_EPOCH};

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::limit::{TokenBucket, Window};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

/// The beginning of a minute, in November 2023.
const NOW: u64 = 1_700_000_040 * SECOND;

fn bucket(max_tokens: u32) -> Limit {
    Limit::TokenBucket(TokenBucket::new(max_tokens, 1, Duration::from_secs(1)).unwrap())
}

fn fixed(requests: u32) -> Limit {
    Limit::FixedWindow(Window::new(requests, Duration::from_mins(1)).unwrap())
}

fn sliding(requests: u32) -> Limit {
    Limit::SlidingWindow(Window::new(requests, Duration::from_hours(1)).unwrap())
}

fn remaining(limits: &[Limit], stored: &[Slot], now: u64) -> Vec<u32> {
    let each = limits.iter().zip(stored).map(|(limit, slot)| {
        let one = take(&[*limit], &[*slot], now, 0);
        one.report.standing.remaining
    });
    each.collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn slots_are_their_bytes_one_after_another() {
    let slot = |until| Slot { until, a: 1, b: 2 };
    let slots = Slots::<4>::of(&[slot(1), slot(2), slot(3)]);

    let bytes = slots.to_bytes();

    assert_eq!(bytes[16..32], slot(2).to_bytes());
    // What is missing says nothing.
    assert_eq!(bytes[48..], [0; 16]);
    assert_eq!(Slots::<4>::from_bytes(bytes), Some(slots));
    assert_eq!(Slots::<1>::of(&[slot(1), slot(2)]).slots(), [slot(1)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn slots_are_expendable_once_all_of_them_are() {
    let slot = |until| Slot { until, a: 1, b: 0 };
    let slots = Slots::<4>::of(&[slot(10), slot(20)]);
    let at = |nanoseconds| UNIX_EPOCH + Duration::from_nanos(nanoseconds);

    assert!(!slots.is_expendable(at(10)));
    assert!(!slots.is_expendable(at(19)));
    assert!(slots.is_expendable(at(20)));
}

#[wasm_bindgen_test(unsupported = test)]
fn hits_are_taken_from_all_limits() {
    let limits = [bucket(5), fixed(10), sliding(20)];

    let looked = take(&limits, &[], NOW, 2);

    assert!(looked.is_admitted);
    assert_eq!(remaining(&limits, &looked.slots, NOW), [3, 8, 18]);
    // The one that leaves the least.
    assert_eq!(looked.report.limit, 0);
    assert_eq!(looked.report.standing.remaining, 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn where_one_limit_denies_nothing_is_taken_from_any() {
    let limits = [bucket(5), fixed(10), sliding(4)];
    let stored = take(&limits, &[], NOW, 3).slots;

    let looked = take(&limits, &stored, NOW, 2);

    assert!(!looked.is_admitted);
    assert_eq!(looked.slots, stored);
    assert_eq!(
        (looked.report.limit, looked.report.standing.remaining),
        (2, 1)
    );
    // Whichever it is.
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let limits = order.map(|number| limits[number]);
        let stored: List = order.iter().map(|number| stored[*number]).collect();
        assert_eq!(take(&limits, &stored, NOW, 2).slots, stored);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn whoever_is_denied_waits_for_the_last_of_those_that_deny() {
    let limits = [bucket(2), fixed(2), sliding(100)];
    let stored = take(&limits, &[], NOW, 2).slots;

    let looked = take(&limits, &stored, NOW, 1);
    assert_eq!(looked.retry_after, MINUTE);
    // Of two that leave nothing, the one that is whole again later.
    assert_eq!(looked.report.limit, 1);
    assert_eq!(looked.report.standing.reset, MINUTE);

    // More than there ever are.
    assert_eq!(take(&limits, &[], NOW, 3).retry_after, u64::MAX);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_stored_of_a_time_to_come_is_stored_anew_also_where_it_is_denied() {
    let limits = [bucket(5), fixed(10)];
    // Before the clock was put back by a day.
    let stored = take(&limits, &[], NOW + DAY, 1).slots;
    // One slot is of now.
    for future in [[true, true], [true, false], [false, true]] {
        let now = take(&limits, &[], NOW, 1).slots;
        let stored: List = (0..2)
            .map(|number| {
                if future[number] {
                    stored[number]
                } else {
                    now[number]
                }
            })
            .collect();

        let looked = take(&limits, &stored, NOW, 1);

        assert!(!looked.is_admitted);
        for (number, is_of_the_future) in future.into_iter().enumerate() {
            if is_of_the_future {
                assert!(looked.slots[number].until <= NOW + MINUTE);
            } else {
                assert_eq!(looked.slots[number], stored[number]);
            }
        }
        let later = NOW + looked.retry_after;
        assert!(
            take(&limits, &looked.slots, later, 1).is_admitted,
            "{future:?}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_hits_look_and_take_nothing() {
    let limits = [bucket(5), fixed(3)];
    let stored = take(&limits, &[], NOW, 3).slots;

    let looked = take(&limits, &stored, NOW, 0);

    assert!(looked.is_admitted);
    assert_eq!(looked.slots, stored);
    assert_eq!(looked.report.standing.remaining, 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn hits_are_given_back_to_all_limits_that_still_count_them() {
    let limits = [bucket(5), fixed(10), sliding(20)];
    let stored = take(&limits, &[], NOW, 4).slots;

    let at_once = give_back(&limits, &stored, NOW, 3, NOW);
    assert_eq!(remaining(&limits, &at_once, NOW), [4, 9, 19]);

    // A new window has begun: what was taken in the one before is not given to it.
    let later = NOW + MINUTE;
    let stored = take(&limits, &stored, later, 4).slots;
    let slots = give_back(&limits, &stored, later, 3, NOW);
    assert_eq!(remaining(&limits, &slots, later)[1..], [6, 15]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_report_is_older_by_what_has_passed_and_never_less_than_now() {
    let looked = take(&[bucket(1)], &[], NOW, 1);

    let later = looked.report.after(SECOND / 4).standing;
    assert_eq!((later.reset, later.next), (SECOND * 3 / 4, SECOND * 3 / 4));
    let later = looked.report.after(MINUTE).standing;
    assert_eq!((later.reset, later.next), (0, 0));
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> impl Strategy<Value = Vec<Limit>> {
        let limit = prop_oneof![
            (1..20_u32).prop_map(bucket),
            (1..20_u32).prop_map(fixed),
            (1..20_u32).prop_map(sliding),
        ];
        prop::collection::vec(limit, 1..=MOST)
    }

    proptest! {
        /// As if each had been asked, and all of them undone where one denies.
        #[test]
        fn all_limits_or_none(
            limits in limits(),
            history in prop::collection::vec((0..2 * MINUTE, 0..8_u32), 1..40),
        ) {
            let mut stored: List = limits.iter().map(|_| Slot::default()).collect();
            let mut now = NOW;
            for (step, hits) in history {
                now += step;
                let each: Vec<_> = limits
                    .iter()
                    .zip(&stored)
                    .map(|(limit, slot)| take(&[*limit], &[*slot], now, hits))
                    .collect();

                let looked = take(&limits, &stored, now, hits);

                prop_assert_eq!(looked.is_admitted, each.iter().all(|one| one.is_admitted));
                let wait = each.iter().map(|one| one.retry_after).max();
                prop_assert_eq!(Some(looked.retry_after), wait);
                if looked.is_admitted {
                    let slots: List = each.iter().map(|one| one.slots[0]).collect();
                    prop_assert_eq!(&looked.slots, &slots);
                    let least = remaining(&limits, &slots, now).into_iter().min();
                    prop_assert_eq!(Some(looked.report.standing.remaining), least);
                } else {
                    prop_assert_eq!(&looked.slots, &stored);
                    let least = remaining(&limits, &stored, now).into_iter().min();
                    prop_assert_eq!(Some(looked.report.standing.remaining), least);
                }
                stored = looked.slots;
            }
        }

        #[test]
        fn any_bytes_are_slots_and_none_panics(
            limits in limits(),
            bytes in any::<[u8; 64]>(),
            now in any::<u64>(),
            hits in any::<u32>(),
            taken in any::<u64>(),
        ) {
            let slots = Slots::<4>::from_bytes(bytes).unwrap();
            prop_assert_eq!(slots.to_bytes(), bytes);
            let looked = take(&limits, slots.slots(), now, hits);
            prop_assert_eq!(looked.slots.len(), limits.len());
            let back = give_back(&limits, slots.slots(), now, hits, taken);
            prop_assert_eq!(back.len(), limits.len());
        }
    }
}
