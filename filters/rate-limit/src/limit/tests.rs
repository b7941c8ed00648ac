#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

#[cfg(not(target_family = "wasm"))]
mod model;
#[cfg(not(target_family = "wasm"))]
mod properties;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

/// The beginning of a minute, in November 2023.
const NOW: u64 = 1_700_000_040 * SECOND;

fn bucket(max_tokens: u32, tokens_per_fill: u32, fill_interval: u64) -> Limit {
    let interval = Duration::from_nanos(fill_interval);
    Limit::TokenBucket(TokenBucket::new(max_tokens, tokens_per_fill, interval).unwrap())
}

fn fixed(requests: u32, window: u64) -> Limit {
    Limit::FixedWindow(Window::new(requests, Duration::from_nanos(window)).unwrap())
}

fn sliding(requests: u32, window: u64) -> Limit {
    Limit::SlidingWindow(Window::new(requests, Duration::from_nanos(window)).unwrap())
}

/// A limit and what is stored of one key.
#[derive(Debug, Clone, Copy)]
struct Stored {
    limit: Limit,
    slot: Option<Slot>,
}

impl Stored {
    fn new(limit: Limit) -> Self {
        Self { limit, slot: None }
    }

    fn store(&mut self, slot: Option<Slot>) {
        self.slot = slot.or(self.slot);
    }

    /// Whether so many pass; if not, when they would.
    fn take(&mut self, now: u64, hits: u32) -> Result<Standing, u64> {
        let (slot, taken) = match self.limit.take(self.slot, now, hits) {
            Taken::Admitted { slot, standing } => (slot, Ok(standing)),
            Taken::Denied {
                slot, retry_after, ..
            } => (slot, Err(retry_after)),
        };
        self.store(slot);
        taken
    }

    /// As many as would pass, and no more than these.
    #[cfg(not(target_family = "wasm"))]
    fn take_up_to(&mut self, now: u64, at_most: u32) -> u32 {
        let hits = self.remaining(now).min(at_most);
        let standing = self.take(now, hits).unwrap();
        assert_eq!(standing, self.standing(now));
        hits
    }

    fn give_back(&mut self, now: u64, hits: u32, taken: u64) {
        self.store(self.limit.give_back(self.slot, now, hits, taken));
    }

    fn standing(&self, now: u64) -> Standing {
        look(&self.limit, self.slot, now)
    }

    fn remaining(&self, now: u64) -> u32 {
        self.standing(now).remaining
    }
}

/// How a key stands.
fn look(limit: &Limit, slot: Option<Slot>, now: u64) -> Standing {
    let Taken::Admitted {
        slot: None,
        standing,
    } = limit.take(slot, now, 0)
    else {
        panic!("no hits, and yet")
    };
    standing
}

/// Each kind, with 10 a minute.
fn ten_a_minute() -> [Limit; 3] {
    [
        bucket(10, 10, MINUTE),
        fixed(10, MINUTE),
        sliding(10, MINUTE),
    ]
}

#[wasm_bindgen_test(unsupported = test)]
fn a_slot_is_its_bytes() {
    let slot = Slot {
        until: 0x0102_0304_0506_0708,
        a: 0x090a_0b0c,
        b: 0x0d0e_0f10,
    };

    let bytes = slot.to_bytes();

    assert_eq!(
        bytes,
        [8, 7, 6, 5, 4, 3, 2, 1, 12, 11, 10, 9, 16, 15, 14, 13]
    );
    assert_eq!(Slot::from_bytes(bytes), slot);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_slot_is_expendable_from_its_end_on() {
    let slot = Slot {
        until: 10,
        ..Slot::default()
    };

    assert!(!slot.is_expendable(9));
    assert!(slot.is_expendable(10));
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_zero_and_nothing_out_of_range_is_a_limit() {
    let (ms, year) = (Duration::from_millis(1), Duration::from_hours(366 * 24));
    let nanosecond = Duration::from_nanos(1);
    for (max_tokens, tokens_per_fill, fill_interval, is_one) in [
        (1, 1, ms, true),
        (0, 1, ms, false),
        (1, 0, ms, false),
        (1, 1, Duration::ZERO, false),
        (1, 1, ms.checked_sub(nanosecond).unwrap(), false),
        (1, 1, year, true),
        (1, 1, year + nanosecond, false),
        (1, 1, Duration::MAX, false),
        (u32::MAX, u32::MAX, year, true),
        (u32::MAX, 1, Duration::from_secs(1), true),
        // 200 years are full after so many of 366 days, and no more.
        (200, 1, year, true),
        (201, 1, year, false),
        (u32::MAX, 1, year, false),
    ] {
        assert_eq!(
            TokenBucket::new(max_tokens, tokens_per_fill, fill_interval).is_some(),
            is_one,
            "{max_tokens}, {tokens_per_fill}, {fill_interval:?}"
        );
    }
    for (requests, window, is_one) in [
        (1, ms, true),
        (0, ms, false),
        (1, ms.checked_sub(nanosecond).unwrap(), false),
        (u32::MAX, year, true),
        (1, year + nanosecond, false),
    ] {
        assert_eq!(Window::new(requests, window).is_some(), is_one);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_limit_says_how_much_it_lets_pass_in_which_time() {
    for limit in ten_a_minute() {
        assert_eq!(limit.quota(), 10);
        assert_eq!(limit.window(), Duration::from_mins(1));
    }
    // 10 s and a third of one, rounded up.
    assert_eq!(
        bucket(31, 3, SECOND).window(),
        Duration::from_nanos(10_333_333_334)
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn limits_are_ordered_by_their_rates() {
    let mut limits = [
        bucket(1, u32::MAX, MS),
        fixed(2, SECOND),
        // By one part in 2³².
        sliding(u32::MAX, DAY),
        bucket(1, u32::MAX - 1, DAY),
        bucket(1_000, 1, MINUTE),
    ];

    limits.sort_by(Limit::cmp_rate);

    let slowest_first = [
        bucket(1_000, 1, MINUTE),
        fixed(2, SECOND),
        bucket(1, u32::MAX - 1, DAY),
        sliding(u32::MAX, DAY),
        bucket(1, u32::MAX, MS),
    ];
    assert_eq!(limits, slowest_first);
    assert_eq!(
        bucket(3, 2, 2 * SECOND).cmp_rate(&fixed(60, MINUTE)),
        Ordering::Equal
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_new_key_has_all_of_it() {
    for limit in ten_a_minute() {
        let whole = Standing {
            remaining: 10,
            reset: 0,
            next: 0,
        };
        assert_eq!(look(&limit, None, NOW), whole);
        assert_eq!(look(&limit, Some(Slot::default()), NOW), whole);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_hits_always_pass_and_change_nothing() {
    for limit in ten_a_minute() {
        let mut stored = Stored::new(limit);
        stored.take(NOW, 10).unwrap();
        for slot in [None, stored.slot] {
            let standing = look(&limit, slot, NOW);
            let admitted = Taken::Admitted {
                slot: None,
                standing,
            };
            assert_eq!(limit.take(slot, NOW, 0), admitted);
            assert_eq!(limit.give_back(slot, NOW, 0, NOW), None);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hits_pass_together_or_not_at_all() {
    for limit in ten_a_minute() {
        let mut stored = Stored::new(limit);
        stored.take(NOW, 8).unwrap();

        stored.take(NOW, 3).unwrap_err();

        assert_eq!(stored.remaining(NOW), 2);
        assert_eq!(stored.take(NOW, 2).unwrap().remaining, 0);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn more_than_the_quota_never_passes() {
    for limit in ten_a_minute() {
        let mut stored = Stored::new(limit);

        assert_eq!(stored.take(NOW, 11), Err(u64::MAX));
        assert_eq!(stored.take(NOW, u32::MAX), Err(u64::MAX));

        assert_eq!(stored.slot, None);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_comes_as_soon_as_its_share_of_the_interval_is_over() {
    let mut stored = Stored::new(bucket(10, 10, MINUTE));

    let standing = stored.take(NOW, 10).unwrap();
    assert_eq!(
        standing,
        Standing {
            remaining: 0,
            reset: MINUTE,
            next: 6 * SECOND
        }
    );

    assert_eq!(stored.take(NOW + 6 * SECOND - 1, 1), Err(1));
    assert_eq!(stored.take(NOW + 6 * SECOND - 1, 3), Err(12 * SECOND + 1));
    stored.take(NOW + 6 * SECOND, 1).unwrap();
    assert_eq!(stored.remaining(NOW + 2 * MINUTE), 10);
}

#[wasm_bindgen_test(unsupported = test)]
fn thirds_of_a_nanosecond_are_not_lost() {
    // A token every 333 333 ⅓ ns.
    let mut stored = Stored::new(bucket(1, 3, MS));
    stored.take(NOW, 1).unwrap();
    for (early, time) in [
        (333_333, 333_334),
        (666_667, 666_668),
        (1_000_001, 1_000_002),
    ] {
        assert_eq!(stored.take(NOW + early, 1), Err(1));
        stored.take(NOW + time, 1).unwrap();
    }

    // Taken as three come, it is three.
    let mut stored = Stored::new(bucket(3, 3, MS));
    stored.take(NOW, 3).unwrap();
    for time in [333_334, 666_667, 1_000_000] {
        assert_eq!(stored.take(NOW + time - 1, 1), Err(1));
        stored.take(NOW + time, 1).unwrap();
    }
    assert_eq!(stored.standing(NOW + MS).reset, MS);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fixed_window_begins_anew_at_its_end() {
    let mut stored = Stored::new(fixed(10, MINUTE));

    let standing = stored.take(NOW + 50 * SECOND, 10).unwrap();
    assert_eq!(
        standing,
        Standing {
            remaining: 0,
            reset: 10 * SECOND,
            next: 10 * SECOND
        }
    );

    assert_eq!(stored.take(NOW + MINUTE - 1, 1), Err(1));
    assert_eq!(stored.take(NOW + MINUTE, 10).unwrap().reset, MINUTE);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_window_before_counts_for_what_of_it_overlaps() {
    let mut stored = Stored::new(sliding(10, MINUTE));
    stored.take(NOW + 50 * SECOND, 8).unwrap();
    let then = NOW + MINUTE;

    // Eight count for 8, then for 7.5 (rounded up), for 4, for next to nothing, for nothing.
    let table = [
        (0, 2),
        (3_750 * MS, 2),
        (7_500 * MS - 1, 2),
        (7_500 * MS, 3),
        (30 * SECOND, 6),
        (MINUTE - 1, 9),
        (MINUTE, 10),
    ];
    for (time, remaining) in table {
        assert_eq!(stored.remaining(then + time), remaining, "{time}");
    }

    let standing = stored.take(then + 30 * SECOND, 6).unwrap();
    assert_eq!(
        standing,
        Standing {
            remaining: 0,
            reset: 90 * SECOND,
            next: 7_500 * MS
        }
    );
    // In the window after: six count for no more than four from 20 s on.
    assert_eq!(stored.take(then + 30 * SECOND, 6), Err(50 * SECOND));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_sliding_window_lets_less_pass_at_the_seam() {
    for (limit, remaining) in [(fixed(10, MINUTE), 10), (sliding(10, MINUTE), 0)] {
        let mut stored = Stored::new(limit);
        stored.take(NOW + MINUTE - 1, 10).unwrap();
        assert_eq!(stored.remaining(NOW + MINUTE), remaining);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn one_in_a_sliding_window_is_one_in_what_is_left_of_it_and_the_next() {
    let mut stored = Stored::new(sliding(1, MINUTE));
    stored.take(NOW + 1, 1).unwrap();

    assert_eq!(stored.take(NOW + 1, 1), Err(2 * MINUTE - 1));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_given_back_can_be_taken_again() {
    for limit in ten_a_minute() {
        let mut stored = Stored::new(limit);
        stored.take(NOW, 10).unwrap();

        stored.give_back(NOW + 1, 4, NOW);

        assert_eq!(stored.remaining(NOW + 1), 4);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn more_given_back_than_was_taken_makes_it_whole_and_no_more() {
    for limit in ten_a_minute() {
        let mut stored = Stored::new(limit);
        stored.take(NOW, 3).unwrap();

        stored.give_back(NOW, u32::MAX, NOW);

        assert_eq!(stored.standing(NOW), look(&limit, None, NOW));
        assert_eq!(limit.give_back(None, NOW, 5, NOW), None);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_was_taken_in_one_window_is_not_given_back_to_the_next() {
    let (then, later) = (NOW + MINUTE - 1, NOW + MINUTE);
    let mut stored = Stored::new(fixed(10, MINUTE));
    stored.take(then, 4).unwrap();
    stored.take(later, 6).unwrap();
    assert_eq!(stored.limit.give_back(stored.slot, later, 4, then), None);

    // A sliding one still counts it, as of the window before.
    let mut stored = Stored::new(sliding(10, MINUTE));
    stored.take(then, 4).unwrap();
    stored.take(later, 6).unwrap();
    assert_eq!(stored.remaining(later), 0);
    stored.give_back(later, 4, then);
    assert_eq!(stored.remaining(later), 4);
    assert_eq!(stored.remaining(later + MINUTE), 4);
    // No longer, once that one is forgotten.
    assert_eq!(
        stored.limit.give_back(stored.slot, later + MINUTE, 4, then),
        None
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_worker_that_read_the_clock_a_little_earlier_counts_with_the_others() {
    for limit in ten_a_minute() {
        let mut stored = Stored::new(limit);
        // One worker has begun the minute's window, another is in the one before.
        let (late, early) = (NOW, NOW - MS);
        stored.take(late, 8).unwrap();

        stored.take(early, 1).unwrap();

        assert_eq!(stored.remaining(late), 1);
        stored.take(late, 1).unwrap();
        assert_eq!(stored.remaining(early), 0);
        assert_eq!(stored.remaining(late), 0);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_window_before_counts_for_no_more_than_all_of_it_while_time_stands_still() {
    let mut stored = Stored::new(sliding(10, MINUTE));
    stored.take(NOW - 1, 5).unwrap();
    stored.take(NOW, 1).unwrap();

    assert_eq!(stored.remaining(NOW), 4);
    assert_eq!(stored.remaining(NOW - SECOND), 4);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_stored_is_believed_for_a_second_ahead_and_no_more() {
    for limit in ten_a_minute() {
        let mut stored = Stored::new(limit);
        stored.take(NOW, 10).unwrap();
        let until = stored.slot.unwrap().until;

        // Believed, it is left as it is, though nothing passes.
        let believed = limit.take(stored.slot, NOW - SECOND, 1);
        assert!(matches!(believed, Taken::Denied { slot: None, .. }));
        assert_eq!(limit.give_back(stored.slot, NOW - SECOND, 0, NOW), None);

        // Else all is used up as of now, whoever looks.
        let now = NOW - SECOND - 1;
        let made_up = limit.give_back(stored.slot, now, 0, NOW);
        assert!(made_up.unwrap().until < until);
        assert_eq!(look(&limit, made_up, now).remaining, 0);
        assert!(matches!(
            limit.take(stored.slot, now, 1),
            Taken::Denied { slot, .. } if slot == made_up
        ));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_that_is_set_back_locks_nobody_out_for_good() {
    for (limit, retry_after) in [
        (bucket(10, 10, MINUTE), 6 * SECOND),
        (fixed(10, MINUTE), MINUTE),
        (sliding(10, MINUTE), MINUTE + 6 * SECOND),
    ] {
        let mut stored = Stored::new(limit);
        stored.take(NOW + DAY, 1).unwrap();

        // Strictly, as if all of it were used up: nobody knows what was.
        assert_eq!(stored.take(NOW, 1), Err(retry_after));
        assert_eq!(stored.take(NOW + retry_after - 1, 1), Err(1));
        stored.take(NOW + retry_after, 1).unwrap();
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn bytes_that_are_no_slot_are_no_lockout_and_no_gift() {
    for limit in ten_a_minute() {
        let mut stored = Stored::new(limit);
        stored.slot = Some(Slot::from_bytes([0xff; 16]));

        let retry_after = stored.take(NOW, 1).unwrap_err();

        assert!(retry_after <= 2 * MINUTE, "{retry_after}");
        assert!(stored.slot.unwrap().until <= NOW + 2 * MINUTE);
        stored.take(NOW + retry_after, 1).unwrap();
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn counts_beyond_what_is_possible_are_the_most_that_is() {
    // Such as after a reload with a lower limit.
    for (limit, end) in [
        (fixed(10, MINUTE), NOW + MINUTE),
        (sliding(10, MINUTE), NOW + 2 * MINUTE),
    ] {
        for (a, b) in [(1_000, 0), (0, 1_000), (1_000, 1_000)] {
            let slot = |a, b| Some(Slot { until: end, a, b });
            for time in [NOW, NOW + 1, NOW + MINUTE, NOW + 90 * SECOND] {
                let possible = look(&limit, slot(a.min(10), b.min(10)), time);
                assert_eq!(look(&limit, slot(a, b), time), possible);
            }
        }
    }
    // A nanosecond of this bucket is one tick.
    let slot = Slot {
        until: NOW + 10 * SECOND,
        a: u32::MAX,
        b: 0,
    };
    let standing = look(&bucket(10, 1, SECOND), Some(slot), NOW);
    assert_eq!(standing.remaining, 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn at_the_end_of_time_nothing_overflows_and_nothing_refills() {
    for limit in [
        bucket(u32::MAX, 1, SECOND),
        bucket(200, 1, 366 * DAY),
        fixed(u32::MAX, 366 * DAY),
        sliding(u32::MAX, 366 * DAY),
    ] {
        let quota = limit.quota();
        let mut stored = Stored::new(limit);
        assert_eq!(stored.take(u64::MAX - DAY, quota).unwrap().remaining, 0);
        assert!(stored.take(u64::MAX, 1).is_err());
        assert!(!stored.slot.unwrap().is_expendable(LATEST));
    }
}
