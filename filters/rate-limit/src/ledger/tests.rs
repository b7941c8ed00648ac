//! Two workers and their shared data, on the mock host.

#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::cell::Cell;
use std::time::{Duration, UNIX_EPOCH};

use legation_testing::{Answer, Callback, Host};
use smallvec::SmallVec;

use super::*;
use crate::RateLimit;
use crate::limit::{TokenBucket, Window};
use crate::policies::{Kind, Pattern, Policy};
use crate::slots::MOST;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const MINUTE: u64 = 60 * SECOND;

/// The beginning of a minute, in November 2023.
const NOW: u64 = 1_700_000_040;

const GET: &str = "proxy_get_shared_data";
const SET: &str = "proxy_set_shared_data";
const TIME: &str = "proxy_get_current_time_nanoseconds";
/// Somebody was quicker.
const CAS_MISMATCH: Answer = Answer::Status(8);
/// The host fails.
const BROKEN: Answer = Answer::Status(10);

const KEY: &[u8] = b"key";

fn bucket(max_tokens: u32, seconds: u64) -> [Limit; 1] {
    let interval = Duration::from_secs(seconds);
    [Limit::TokenBucket(
        TokenBucket::new(max_tokens, 1, interval).unwrap(),
    )]
}

fn fixed(requests: u32) -> [Limit; 1] {
    [Limit::FixedWindow(
        Window::new(requests, Duration::from_mins(1)).unwrap(),
    )]
}

/// A host whose workers have ledgers of one name.
struct Bench {
    host: Host<RateLimit>,
    displaced: Cell<u32>,
}

impl Bench {
    fn new() -> Self {
        let any = r#"{"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}"#;
        let host = Host::configure(any).unwrap();
        host.set_time(UNIX_EPOCH + Duration::from_secs(NOW));
        Self {
            host,
            displaced: Cell::new(0),
        }
    }

    /// Does what a callback of the filter would.
    fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let root = self.host.root().id();
        self.host.raw(root, Callback::Tick, |_| work())
    }

    /// The same, and the host calls that it made.
    fn calls<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
        let before = self.host.calls().len();
        let result = self.run(work);
        let calls = self.host.calls();
        let calls = calls[before..].iter().map(|made| made.name);
        (result, calls.collect())
    }

    fn worker(&self, keys: u32, lease: Option<Lease>) -> Ledger {
        self.worker_of(&[1], keys, lease)
    }

    /// One whose policies have so many limits each.
    fn worker_of(&self, limits: &[usize], keys: u32, lease: Option<Lease>) -> Ledger {
        let policies = (0..).zip(limits).map(|(number, limits)| {
            let limits = bucket(1, 1).into_iter().cycle().take(*limits);
            of_entry(number, limits.collect())
        });
        let policies = Policies::new(policies.collect(), None, true);
        self.run(|| Ledger::open("test", &policies, keys, lease).unwrap())
    }

    fn take_of(&self, worker: &Ledger, key: &[u8], limits: &[Limit], hits: u32) -> Outcome {
        let account = Account {
            key,
            policy: 0,
            limits,
        };
        let displaced = || self.displaced.set(self.displaced.get() + 1);
        self.run(|| {
            worker
                .take(account, hits, &Now::default(), displaced)
                .unwrap()
        })
    }

    fn take(&self, worker: &Ledger, limits: &[Limit], hits: u32) -> Outcome {
        self.take_of(worker, KEY, limits, hits)
    }

    /// How many pass one by one, of so many.
    fn passed(&self, worker: &Ledger, limits: &[Limit], of: u32) -> usize {
        let outcomes = (0..of).map(|_| self.take(worker, limits, 1));
        outcomes.filter(is_admitted).count()
    }

    fn enter(&self, worker: &Ledger, most: u32) -> Outcome {
        self.run(|| worker.enter(0, KEY, most, &Now::default(), || ()).unwrap())
    }

    fn leave(&self, worker: &Ledger) {
        self.run(|| worker.leave(0, KEY, &Now::default()).unwrap());
    }

    fn expire(&self, worker: &Ledger, limits: &[Limit]) -> Vec<&'static str> {
        let expire = || worker.give_back(&Now::default(), |_| Some(limits)).unwrap();
        self.calls(expire).1
    }

    fn advance(&self, nanoseconds: u64) {
        self.host.advance(Duration::from_nanos(nanoseconds));
    }
}

/// The policy of an entry of that number, whatever its value.
fn of_entry(number: usize, limits: SmallVec<[Limit; MOST]>) -> Policy {
    let pattern = Pattern {
        key: number.to_string().into(),
        value: None,
    };
    Policy::new("one", vec![pattern], Kind::Rate(limits), false)
}

fn is_admitted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Admitted(_))
}

fn remaining(outcome: Outcome) -> u32 {
    let (Outcome::Admitted(report) | Outcome::Denied { report, .. }) = outcome else {
        panic!("contended")
    };
    report.standing.remaining
}

fn retry_after(outcome: Outcome) -> u64 {
    let Outcome::Denied { retry_after, .. } = outcome else {
        panic!("{outcome:?}")
    };
    retry_after
}

fn lease(size: u32) -> Lease {
    Lease {
        size,
        max_age: SECOND,
    }
}

#[test]
fn workers_share_a_limit_exactly() {
    for limits in [bucket(10, 60), fixed(10)] {
        let bench = Bench::new();
        let workers = [bench.worker(1_000, None), bench.worker(1_000, None)];

        let outcomes: Vec<_> = (0..30)
            .map(|number| bench.take(&workers[number % 2], &limits, 1))
            .collect();

        let passed = outcomes.iter().take_while(|outcome| is_admitted(outcome));
        assert_eq!(passed.count(), 10);
        assert_eq!(outcomes.iter().filter(|one| is_admitted(one)).count(), 10);
        let left: Vec<_> = outcomes[..10].iter().map(|one| remaining(*one)).collect();
        assert_eq!(left, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
        // Another key has its own.
        assert!(is_admitted(&bench.take_of(
            &workers[0],
            b"other",
            &limits,
            10
        )));
    }
}

#[test]
fn a_denial_is_believed_for_a_second() {
    let bench = Bench::new();
    let (worker, limits) = (bench.worker(1_000, None), bucket(2, 10));
    bench.take(&worker, &limits, 2);
    assert_eq!(retry_after(bench.take(&worker, &limits, 1)), 10 * SECOND);

    let again = || {
        bench.calls(|| {
            let account = Account {
                key: KEY,
                policy: 0,
                limits: &limits,
            };
            worker.take(account, 1, &Now::default(), || ()).unwrap()
        })
    };
    bench.advance(SECOND / 4);
    let (again_at_once, calls) = again();
    assert_eq!(calls, [TIME]);
    assert_eq!(retry_after(again_at_once), 39 * SECOND / 4);

    // Written down anew, so that it is not forgotten for others.
    bench.advance(15 * SECOND / 4);
    let (again, calls) = again();
    assert_eq!(calls, [TIME, GET, SET]);
    let Outcome::Denied {
        retry_after,
        report,
    } = again
    else {
        panic!("{again:?}")
    };
    // As things stand by now.
    assert_eq!(retry_after, 6 * SECOND);
    assert_eq!(
        (report.standing.next, report.standing.reset),
        (6 * SECOND, 16 * SECOND)
    );
    bench.advance(6 * SECOND - 1);
    assert!(!is_admitted(&bench.take(&worker, &limits, 1)));
    bench.advance(1);
    assert!(is_admitted(&bench.take(&worker, &limits, 1)));
}

#[test]
fn a_denial_is_for_as_many_hits() {
    let bench = Bench::new();
    let (worker, limits) = (bench.worker(1_000, None), bucket(10, 10));
    bench.take(&worker, &limits, 8);
    assert_eq!(retry_after(bench.take(&worker, &limits, 3)), 10 * SECOND);

    assert!(is_admitted(&bench.take(&worker, &limits, 2)));

    // More than there ever are: that is no news of what is less.
    assert_eq!(retry_after(bench.take(&worker, &limits, 11)), u64::MAX);
    let never = bench.worker(1_000, None);
    assert_eq!(retry_after(bench.take(&never, &limits, 11)), u64::MAX);
    bench.advance(10 * SECOND);
    assert!(is_admitted(&bench.take(&never, &limits, 1)));
    assert_eq!(retry_after(bench.take(&never, &limits, 11)), u64::MAX);
}

#[test]
fn a_clock_that_is_put_back_has_nobody_wait_for_its_old_time() {
    let bench = Bench::new();
    let (worker, limits) = (bench.worker(1_000, None), bucket(1, 10));
    bench.take(&worker, &limits, 1);
    bench.take(&worker, &limits, 1);

    bench
        .host
        .set_time(UNIX_EPOCH + Duration::from_secs(NOW - 86_400));

    // All is used up as of now, and written down as such.
    assert_eq!(retry_after(bench.take(&worker, &limits, 1)), 10 * SECOND);
    bench.advance(10 * SECOND);
    assert!(is_admitted(&bench.take(&worker, &limits, 1)));
}

#[test]
fn whoever_loses_each_race_has_taken_nothing() {
    for lease in [None, Some(lease(10))] {
        let bench = Bench::new();
        let (worker, limits) = (bench.worker(1_000, lease), bucket(100, 10));
        bench.take(&worker, &limits, 1);
        bench.host.answer(SET, CAS_MISMATCH);

        assert_eq!(bench.take(&worker, &limits, 1), Outcome::Contended);
        assert_eq!(bench.enter(&worker, 1), Outcome::Contended);

        bench.host.answer_truly();
        assert_eq!(remaining(bench.take(&worker, &limits, 1)), 98);
    }
}

#[test]
fn whoever_loses_a_race_tries_again() {
    let bench = Bench::new();
    let (worker, limits) = (bench.worker(1_000, None), bucket(100, 10));
    bench.take(&worker, &limits, 1);
    bench.host.answer_nth(SET, 1, CAS_MISMATCH);

    assert_eq!(remaining(bench.take(&worker, &limits, 1)), 98);
}

#[test]
fn what_cannot_be_read_begins_anew() {
    let bench = Bench::new();
    let (worker, limits) = (bench.worker(1_000, None), bucket(5, 10));
    bench.take(&worker, &limits, 5);
    bench.host.answer_nth(GET, 1, Answer::CutTo(5));

    assert!(is_admitted(&bench.take(&worker, &limits, 5)));
    assert!(!is_admitted(&bench.take(&worker, &limits, 1)));
}

#[test]
fn where_there_is_no_room_another_key_goes_and_is_counted() {
    let bench = Bench::new();
    let (worker, limits) = (bench.worker(1, None), bucket(5, 10));
    for key in 0..1_000_u32 {
        assert!(is_admitted(&bench.take_of(
            &worker,
            &key.to_le_bytes(),
            &limits,
            1
        )));
    }
    assert!(bench.displaced.get() > 0);

    // What is full again goes first, and is no loss.
    bench.advance(MINUTE);
    let before = bench.displaced.get();
    bench.take_of(&worker, b"new", &limits, 1);
    assert_eq!(bench.displaced.get(), before);
}

#[test]
fn each_policy_has_a_table_of_its_own() {
    let bench = Bench::new();
    let worker = bench.worker_of(&[3, 1], 1_000, None);
    let several = [bucket(10, 10), bucket(20, 10), fixed(15)].concat();
    let take = |policy, limits: &[Limit]| {
        let account = Account {
            key: KEY,
            policy,
            limits,
        };
        let take = || worker.take(account, 1, &Now::default(), || ());
        remaining(bench.run(|| take().unwrap()))
    };

    assert_eq!(take(0, &several), 9);
    assert_eq!(take(0, &several), 8);
    assert_eq!(take(1, &bucket(10, 10)), 9);
    assert_eq!(take(0, &several), 7);
}

#[test]
fn a_policy_finds_its_table_wherever_it_stands_and_whatever_its_numbers() {
    let bench = Bench::new();
    let ledger = |entries: &[usize], max_tokens| {
        let limits = || bucket(max_tokens, 10).into_iter().collect();
        let policies = entries.iter().map(|entry| of_entry(*entry, limits()));
        let default = Policy::new("default", Vec::new(), Kind::Rate(limits()), false);
        let policies = Policies::new(policies.collect(), Some(default), true);
        bench.run(|| Ledger::open("test", &policies, 1_000, None).unwrap())
    };
    let take = |ledger: &Ledger, policy| {
        let limits = &bucket(10, 3_600);
        let account = Account {
            key: KEY,
            policy,
            limits,
        };
        remaining(bench.run(|| ledger.take(account, 1, &Now::default(), || ()).unwrap()))
    };
    let old = ledger(&[7], 10);
    assert_eq!((take(&old, 0), take(&old, 1)), (9, 9));

    let new = ledger(&[5, 7], 20);
    assert_eq!((take(&new, 1), take(&new, 2)), (8, 8));
    // Of another entry.
    assert_eq!(take(&new, 0), 9);
}

#[test]
fn places_are_taken_and_given_back_by_all_workers() {
    let bench = Bench::new();
    let workers = [bench.worker(1_000, None), bench.worker(1_000, None)];

    assert_eq!(remaining(bench.enter(&workers[0], 2)), 1);
    assert_eq!(remaining(bench.enter(&workers[1], 2)), 0);
    assert_eq!(retry_after(bench.enter(&workers[0], 2)), 0);

    bench.leave(&workers[1]);
    assert!(is_admitted(&bench.enter(&workers[0], 2)));
    assert!(!is_admitted(&bench.enter(&workers[0], 2)));

    // More that leave than have come make no room that is not there.
    for _ in 0..5 {
        bench.leave(&workers[0]);
    }
    let entered = (0..5).filter(|_| is_admitted(&bench.enter(&workers[0], 2)));
    assert_eq!(entered.count(), 2);
}

#[test]
fn places_of_a_worker_that_is_gone_are_free_in_an_hour_however_often_they_are_asked_for() {
    let bench = Bench::new();
    let worker = bench.worker(1_000, None);
    bench.enter(&worker, 1);

    for _ in 0..59 {
        bench.advance(MINUTE);
        assert!(!is_admitted(&bench.enter(&worker, 1)));
    }

    bench.advance(MINUTE);
    assert!(is_admitted(&bench.enter(&worker, 1)));
}

#[test]
fn a_place_that_could_not_be_given_back_is_at_a_tick() {
    for answer in [CAS_MISMATCH, BROKEN] {
        let bench = Bench::new();
        let worker = bench.worker(1_000, None);
        for _ in 0..3 {
            assert!(is_admitted(&bench.enter(&worker, 3)));
        }
        bench.host.answer(SET, answer.clone());
        bench.leave(&worker);
        bench.leave(&worker);
        let give_back = || worker.give_back(&Now::default(), |_| None);
        let tick = bench.run(give_back);
        assert_eq!(tick.is_err(), answer == BROKEN);

        bench.host.answer_truly();
        assert!(!is_admitted(&bench.enter(&worker, 3)));
        // Both in one.
        assert_eq!(bench.expire(&worker, &[]), [TIME, GET, SET]);
        let entered = (0..5).filter(|_| is_admitted(&bench.enter(&worker, 3)));
        assert_eq!(entered.count(), 2);
        assert_eq!(bench.expire(&worker, &[]), Vec::<&str>::new());
    }
}

#[test]
fn places_of_so_many_keys_are_remembered_and_no_more() {
    let bench = Bench::new();
    let worker = bench.worker(1_000, None);
    let leave =
        |key: usize| bench.run(|| worker.leave(0, &key.to_le_bytes(), &Now::default()).is_ok());
    bench.host.answer(GET, BROKEN);
    assert!((0..GIVEN_BACK).all(leave));
    assert!(!leave(GIVEN_BACK));
    // One that is known has no need of room.
    assert!(leave(0));
}

#[test]
fn what_is_at_hand_costs_nothing_and_doubles_up_to_the_lease() {
    let bench = Bench::new();
    let worker = bench.worker(1_000, Some(lease(10)));
    let limits = bucket(1_000, 60);
    // How many are served after each look at shared data.
    let mut served = Vec::new();
    for _ in 0..59 {
        let account = Account {
            key: KEY,
            policy: 0,
            limits: &limits,
        };
        let (outcome, calls) =
            bench.calls(|| worker.take(account, 1, &Now::default(), || ()).unwrap());
        assert!(is_admitted(&outcome));
        if calls.is_empty() {
            *served.last_mut().unwrap() += 1;
        } else {
            assert_eq!(calls, [TIME, GET, SET]);
            served.push(0);
        }
    }
    assert_eq!(served, [0, 1, 3, 7, 10, 10, 10, 10]);
}

#[test]
fn clients_are_told_what_is_left_with_what_is_at_hand() {
    let bench = Bench::new();
    let worker = bench.worker(1_000, Some(lease(10)));
    let limits = bucket(1_000, 3_600);

    let left: Vec<_> = (0..50)
        .map(|_| remaining(bench.take(&worker, &limits, 1)))
        .collect();

    let expected: Vec<_> = (950..1_000).rev().collect();
    assert_eq!(left, expected);
}

#[test]
fn a_worker_takes_no_more_than_an_eighth_of_what_is_left_and_all_is_spent() {
    for limits in [bucket(100, 3_600), fixed(100)] {
        let bench = Bench::new();
        let workers = [(); 2].map(|()| bench.worker(1_000, Some(lease(1_000))));

        // One alone gets all of it.
        assert_eq!(bench.passed(&workers[0], &limits, 200), 100);
        assert_eq!(bench.passed(&workers[1], &limits, 200), 0);
    }
    // And of what one takes ahead the other misses no more than that.
    let bench = Bench::new();
    let workers = [(); 2].map(|()| bench.worker(1_000, Some(lease(1_000))));
    let limits = bucket(100, 3_600);
    let first = bench.passed(&workers[0], &limits, 50);
    let second = bench.passed(&workers[1], &limits, 100);
    assert_eq!(first, 50);
    assert!((43..=50).contains(&second), "{second}");
}

#[test]
fn tokens_that_are_not_spent_in_time_are_given_back() {
    let bench = Bench::new();
    let worker = bench.worker(1_000, Some(lease(10)));
    let strict = bench.worker(1_000, None);
    let limits = bucket(100, 3_600);
    // Of 1, 1 + 1, 1 + 3 and 1 + 7 tokens 7 are at hand.
    bench.passed(&worker, &limits, 8);
    let shared = || remaining(bench.take(&strict, &limits, 0));
    assert_eq!(shared(), 85);

    bench.advance(SECOND - 1);
    assert_eq!(bench.expire(&worker, &limits), [TIME]);
    bench.advance(1);
    assert_eq!(bench.expire(&worker, &limits), [TIME, GET, SET]);

    assert_eq!(shared(), 92);
    // Once, and they are not spent afterwards.
    assert_eq!(bench.expire(&worker, &limits), [TIME]);
    assert_eq!(remaining(bench.take(&worker, &limits, 1)), 91);
    // A strict one has nothing to give.
    assert_eq!(bench.expire(&strict, &limits), Vec::<&str>::new());
}

#[test]
fn tokens_of_a_window_that_is_over_are_not_given_to_the_next() {
    let bench = Bench::new();
    let worker = bench.worker(1_000, Some(lease(10)));
    let limits = fixed(1_000);
    bench.advance(MINUTE - SECOND / 2);
    bench.passed(&worker, &limits, 8);
    bench.advance(SECOND);
    // More than the 7 that are at hand of the window before, and 3 of this one ahead.
    assert_eq!(remaining(bench.take(&worker, &limits, 100)), 907);

    bench.advance(SECOND);
    bench.expire(&worker, &limits);

    let strict = bench.worker(1_000, None);
    let left = remaining(bench.take(&strict, &limits, 0));
    // Never more than what is not taken.
    assert!(left <= 900, "{left}");
}

#[test]
fn no_more_is_at_hand_than_the_lease_says() {
    let bench = Bench::new();
    let workers = [(); 2].map(|()| bench.worker(1_000, Some(lease(10))));
    let limits = bucket(100_000, 3_600);
    // Each is more than is at hand.
    for _ in 0..50 {
        assert!(is_admitted(&bench.take(&workers[0], &limits, 20)));
    }

    assert!(remaining(bench.take(&workers[1], &limits, 0)) >= 100_000 - 50 * 20 - 10);
}

#[test]
fn keys_that_are_displaced_give_back_what_they_had() {
    let bench = Bench::new();
    let worker = bench.worker(100_000, Some(lease(10)));
    let limits = bucket(1_000, 3_600);
    // 2 at hand.
    bench.passed(&worker, &limits, 4);
    for key in 0..REMEMBERED.get() {
        bench.take_of(&worker, &key.to_le_bytes(), &limits, 1);
    }

    assert_eq!(bench.expire(&worker, &limits), [TIME, GET, SET]);

    let strict = bench.worker(100_000, None);
    assert_eq!(remaining(bench.take(&strict, &limits, 0)), 996);
}

#[test]
fn at_a_tick_no_more_is_given_back_than_so_much_and_the_rest_at_the_next() {
    let bench = Bench::new();
    let worker = bench.worker(100_000, Some(lease(10)));
    let limits = bucket(1_000, 3_600);
    let keys = GIVEN_BACK + 10;
    for key in 0..keys {
        for _ in 0..2 {
            bench.take_of(&worker, &key.to_le_bytes(), &limits, 1);
        }
    }
    bench.advance(SECOND);

    assert_eq!(bench.expire(&worker, &limits).len(), 1 + 2 * GIVEN_BACK);
    assert_eq!(bench.expire(&worker, &limits).len(), 1 + 2 * 10);
    assert_eq!(bench.expire(&worker, &limits), [TIME]);
}

#[test]
fn tokens_that_could_not_be_given_back_are_at_the_next_tick() {
    for answer in [CAS_MISMATCH, BROKEN] {
        let bench = Bench::new();
        let worker = bench.worker(1_000, Some(lease(10)));
        let strict = bench.worker(1_000, None);
        let limits = bucket(100, 3_600);
        // One of each key is at hand: 97 are left in shared data.
        for key in [b"a", b"b", b"c"] {
            for _ in 0..2 {
                bench.take_of(&worker, key, &limits, 1);
            }
        }
        let left =
            || [b"a", b"b", b"c"].map(|key| remaining(bench.take_of(&strict, key, &limits, 0)));
        assert_eq!(left(), [97; 3]);
        bench.advance(SECOND);

        let give_back = || worker.give_back(&Now::default(), |_| Some(&limits));
        if answer == BROKEN {
            bench.host.answer_nth(SET, 2, answer);
            assert!(bench.run(give_back).is_err());
            let left = left();
            assert_eq!(
                left.iter().filter(|left| **left == 98).count(),
                2,
                "{left:?}"
            );
        } else {
            bench.host.answer(SET, answer);
            bench.run(give_back).unwrap();
        }
        bench.host.answer_truly();
        bench.run(give_back).unwrap();
        assert_eq!(left(), [98; 3]);
    }
}

#[test]
fn nothing_is_taken_ahead_for_keys_that_clients_make_long() {
    let bench = Bench::new();
    let worker = bench.worker(1_000, Some(lease(10)));
    let limits = bucket(1_000, 3_600);
    for (length, ahead) in [(LONGEST, true), (LONGEST + 1, false)] {
        let key = vec![b'a'; length];
        bench.take_of(&worker, &key, &limits, 1);
        bench.take_of(&worker, &key, &limits, 1);

        let account = Account {
            key: &key,
            policy: 0,
            limits: &limits,
        };
        let take = || worker.take(account, 1, &Now::default(), || ()).unwrap();
        assert_eq!(bench.calls(take).1.is_empty(), ahead, "{length}");
    }
}

#[test]
fn a_worker_without_ticks_spends_no_more_than_it_took() {
    let bench = Bench::new();
    let worker = bench.worker(1_000, Some(lease(10)));
    let limits = bucket(50, 3_600);

    let mut passed = 0;
    for step in 0..300 {
        bench.advance(step % 7 * 100 * MS);
        passed += bench.passed(&worker, &limits, 1);
    }

    assert_eq!(passed, 50);
}
