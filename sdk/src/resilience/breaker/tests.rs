#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::time::UNIX_EPOCH;

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

fn at(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + milliseconds)
}

fn settings() -> BreakerSettings {
    BreakerSettings {
        consecutive_failures: Some(3),
        failure_ratio: None,
        cool_down: Duration::from_secs(5),
        half_open_requests: 2,
    }
}

fn ratio() -> BreakerSettings {
    BreakerSettings {
        consecutive_failures: None,
        failure_ratio: Some(FailureRatio {
            percent: 50,
            window: Duration::from_secs(10),
            min_requests: 10,
        }),
        ..settings()
    }
}

impl CircuitBreaker {
    fn ask(&mut self, verdict: Verdict, now: SystemTime) -> bool {
        match self.admit(now) {
            Ok(permit) => {
                self.settle(permit, verdict, now);
                true
            }
            Err(_) => false,
        }
    }

    fn fail(&mut self, times: usize, now: SystemTime) {
        for _ in 0..times {
            self.ask(Verdict::Failure, now);
        }
    }
}

fn refused(retry_in_ms: u64) -> Result<Permit, Refused> {
    Err(Refused {
        retry_in: Duration::from_millis(retry_in_ms),
    })
}

#[wasm_bindgen_test(unsupported = test)]
fn opens_after_failures_in_a_row() {
    let mut breaker = CircuitBreaker::new(settings());

    breaker.fail(2, at(0));
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.fail(1, at(0));

    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(breaker.admit(at(1_000)), refused(4_000));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_success_breaks_the_row_and_nothing_does_not() {
    let mut breaker = CircuitBreaker::new(settings());

    breaker.fail(2, at(0));
    breaker.ask(Verdict::Success, at(0));
    breaker.fail(2, at(0));
    breaker.ask(Verdict::Nothing, at(0));
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.fail(1, at(0));

    assert_eq!(breaker.state(), BreakerState::Open);
}

#[wasm_bindgen_test(unsupported = test)]
fn half_open_lets_a_few_through_and_closes_when_they_succeed() {
    let mut breaker = CircuitBreaker::new(settings());
    breaker.fail(3, at(0));

    assert_eq!(breaker.admit(at(4_999)), refused(1));
    let one = breaker.admit(at(5_000)).unwrap();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    let two = breaker.admit(at(5_000)).unwrap();
    assert_eq!(breaker.admit(at(5_000)), refused(0));

    breaker.settle(one, Verdict::Success, at(5_100));
    assert_eq!(
        breaker.admit(at(5_100)),
        refused(0),
        "one has succeeded, one is out"
    );
    breaker.settle(two, Verdict::Success, at(5_200));

    assert_eq!(breaker.state(), BreakerState::Closed);
    assert!(breaker.ask(Verdict::Failure, at(5_200)));
    assert_eq!(breaker.state(), BreakerState::Closed, "it begins anew");
}

#[wasm_bindgen_test(unsupported = test)]
fn half_open_opens_again_at_the_first_failure() {
    let mut breaker = CircuitBreaker::new(settings());
    breaker.fail(3, at(0));
    let one = breaker.admit(at(5_000)).unwrap();
    let two = breaker.admit(at(5_000)).unwrap();

    breaker.settle(one, Verdict::Failure, at(5_100));
    breaker.settle(two, Verdict::Success, at(5_200));

    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(breaker.admit(at(6_100)), refused(4_000));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_probe_that_says_nothing_gives_its_place_back() {
    let mut breaker = CircuitBreaker::new(BreakerSettings {
        half_open_requests: 0,
        ..settings()
    });
    breaker.fail(3, at(0));

    for _ in 0..10 {
        assert!(breaker.ask(Verdict::Nothing, at(5_000)));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }
    assert!(breaker.ask(Verdict::Success, at(5_000)));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_was_sent_before_a_change_says_nothing_after_it() {
    let mut breaker = CircuitBreaker::new(settings());
    let late: Vec<_> = (0..6).map(|_| breaker.admit(at(0)).unwrap()).collect();
    breaker.fail(3, at(0));
    let probe = breaker.admit(at(5_000)).unwrap();

    for (permit, verdict) in late
        .into_iter()
        .zip([Verdict::Failure, Verdict::Success].into_iter().cycle())
    {
        breaker.settle(permit, verdict, at(5_100));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }
    breaker.settle(probe, Verdict::Success, at(5_200));
    assert!(breaker.ask(Verdict::Success, at(5_200)));

    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[wasm_bindgen_test(unsupported = test)]
fn opens_at_a_share_of_failures_when_there_are_enough_requests() {
    let mut breaker = CircuitBreaker::new(ratio());

    for n in 0..9 {
        breaker.ask(Verdict::Failure, at(n * 100));
    }
    assert_eq!(breaker.state(), BreakerState::Closed, "nine are too few");
    breaker.ask(Verdict::Success, at(900));
    assert_eq!(
        breaker.state(),
        BreakerState::Closed,
        "a success opens nothing"
    );
    breaker.ask(Verdict::Failure, at(950));

    assert_eq!(breaker.state(), BreakerState::Open);
}

#[wasm_bindgen_test(unsupported = test)]
fn fewer_failures_than_the_share_do_not_open() {
    let mut breaker = CircuitBreaker::new(ratio());

    for n in 0..300 {
        let verdict = match n % 5 {
            0 | 2 => Verdict::Failure,
            _ => Verdict::Success,
        };
        assert!(breaker.ask(verdict, at(n * 10)));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn failures_add_up_over_the_window() {
    let mut breaker = CircuitBreaker::new(ratio());

    for n in 0..9 {
        breaker.ask(Verdict::Failure, at(n * 1_000));
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.ask(Verdict::Failure, at(9_000));

    assert_eq!(breaker.state(), BreakerState::Open);
}

#[wasm_bindgen_test(unsupported = test)]
fn failures_leave_the_window_in_time() {
    let mut breaker = CircuitBreaker::new(ratio());

    breaker.fail(9, at(0));
    // All but the tenth in which the first nine are.
    for n in 1..=9 {
        breaker.ask(Verdict::Success, at(n * 1_000));
    }
    breaker.fail(6, at(10_000));
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.fail(4, at(10_000));

    assert_eq!(breaker.state(), BreakerState::Open);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_that_is_set_back_neither_opens_for_ever_nor_trips() {
    let mut breaker = CircuitBreaker::new(settings());
    breaker.fail(3, at(9_000_000));
    assert_eq!(breaker.admit(at(0)), refused(5_000));
    assert_eq!(breaker.admit(at(4_000)), refused(1_000));
    assert!(breaker.admit(at(5_000)).is_ok());

    let mut breaker = CircuitBreaker::new(ratio());
    breaker.fail(9, at(9_000_000));
    breaker.fail(9, at(0));
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.fail(9, UNIX_EPOCH);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_window_of_nothing_divides_by_nothing() {
    let mut breaker = CircuitBreaker::new(BreakerSettings {
        failure_ratio: Some(FailureRatio {
            percent: 1,
            window: Duration::ZERO,
            min_requests: 0,
        }),
        ..ratio()
    });

    breaker.fail(1, at(0));

    assert_eq!(breaker.state(), BreakerState::Open);
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop::sample::select(vec![Verdict::Success, Verdict::Failure, Verdict::Nothing])
    }

    proptest! {
        #[test]
        fn half_open_never_has_more_out_than_it_may_and_always_recovers(
            places in 0..5_u32,
            steps in prop::collection::vec((any::<bool>(), verdict(), 0..4_000_u64, any::<prop::sample::Index>()), 0..200),
        ) {
            let mut breaker = CircuitBreaker::new(BreakerSettings { half_open_requests: places, ..settings() });
            let mut out: Vec<Permit> = Vec::new();
            let mut now = 0;
            for (send, verdict, later, which) in steps {
                now += later;
                if send || out.is_empty() {
                    out.extend(breaker.admit(at(now)));
                } else {
                    let permit = out.swap_remove(which.index(out.len()));
                    breaker.settle(permit, verdict, at(now));
                }
                let probes = out.iter().filter(|permit| permit.epoch == breaker.epoch).count();
                if breaker.state() == BreakerState::HalfOpen {
                    prop_assert!(probes <= places.max(1) as usize);
                }
                prop_assert!(breaker.state() != BreakerState::Open || probes == 0);
            }
            for permit in out {
                breaker.settle(permit, Verdict::Nothing, at(now));
            }
            for _ in 0..places.max(1) {
                prop_assert!(breaker.ask(Verdict::Success, at(now + 5_000)));
            }
            prop_assert_eq!(breaker.state(), BreakerState::Closed);
        }
    }
}
