#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use wasm_bindgen_test::wasm_bindgen_test;

use super::super::executor::{self, Start, block_on, poll_once, sleep};
use super::*;

type Calls = Rc<Cell<u32>>;

fn coalesce(start: Start) -> Coalesce<&'static str, u32> {
    executor::reset(start);
    Coalesce::with_spawn(2, 3, executor::spawn)
}

const SECOND: Duration = Duration::from_secs(1);

/// A fetch that takes a second and gives how many there were.
fn slow(calls: &Calls) -> impl FnOnce() -> Task32 + use<> {
    let calls = Rc::clone(calls);
    move || {
        calls.set(calls.get() + 1);
        let number = calls.get();
        Box::pin(async move {
            sleep(SECOND).await;
            Ok(number)
        })
    }
}

type Task32 = Pin<Box<dyn Future<Output = Result<u32, CalloutError>>>>;

#[wasm_bindgen_test(unsupported = test)]
fn those_who_ask_meanwhile_share_one_fetch() {
    for start in [Start::Later, Start::AtOnce] {
        let coalesce = coalesce(start);
        let calls = Calls::default();
        let mut one = pin!(coalesce.run("a", slow(&calls)));
        let mut two = pin!(coalesce.run("a", slow(&calls)));
        let mut other = pin!(coalesce.run("b", slow(&calls)));
        assert_eq!(poll_once(one.as_mut()), None);
        assert_eq!(poll_once(two.as_mut()), None);
        assert_eq!(poll_once(other.as_mut()), None);
        assert_eq!((calls.get(), coalesce.in_flight()), (2, 2));

        executor::advance(Duration::ZERO);
        executor::advance(SECOND);

        assert_eq!(poll_once(one.as_mut()), Some(Ok(1)));
        assert_eq!(poll_once(two.as_mut()), Some(Ok(1)));
        assert_eq!(poll_once(other.as_mut()), Some(Ok(2)));
        assert_eq!((executor::tasks(), coalesce.in_flight()), (0, 0));
        assert_eq!(
            block_on(coalesce.run("a", slow(&calls))),
            Ok(3),
            "a new one"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fetch_that_is_done_at_once_is_given_at_once() {
    let coalesce = coalesce(Start::AtOnce);

    let mut one = pin!(coalesce.run("a", || async { Ok(7) }));

    assert_eq!(poll_once(one.as_mut()), Some(Ok(7)));
    assert_eq!(coalesce.in_flight(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn waiters_are_woken() {
    let coalesce = coalesce(Start::Later);
    let got = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..3 {
        let (coalesce, got) = (coalesce.clone(), Rc::clone(&got));
        executor::spawn(Box::pin(async move {
            let result = coalesce.run("a", slow(&Calls::default())).await;
            got.borrow_mut().push(result);
        }))
        .unwrap();
    }

    executor::run();
    executor::advance(SECOND);

    assert_eq!(*got.borrow(), [Ok(1), Ok(1), Ok(1)]);
    assert_eq!(executor::tasks(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_fetch_outlives_the_one_who_began_it() {
    let coalesce = coalesce(Start::Later);
    let calls = Calls::default();
    let mut second = pin!(coalesce.run("a", slow(&calls)));
    {
        let mut first = pin!(coalesce.run("a", slow(&calls)));
        assert_eq!(poll_once(first.as_mut()), None);
        assert_eq!(poll_once(second.as_mut()), None);
    }

    assert_eq!(block_on(second), Ok(1));
    assert_eq!(calls.get(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn errors_are_shared_and_not_kept() {
    let coalesce = coalesce(Start::Later);
    let fails = || async { Err(CalloutError::Timeout) };

    assert_eq!(
        block_on(coalesce.run("a", fails)),
        Err(CalloutError::Timeout)
    );
    assert_eq!(block_on(coalesce.run("a", || async { Ok(1) })), Ok(1));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fetch_that_is_dropped_leaves_nobody_waiting() {
    let coalesce = coalesce(Start::Later);
    let mut one = pin!(coalesce.run("a", slow(&Calls::default())));
    assert_eq!(poll_once(one.as_mut()), None);
    executor::run();

    executor::drop_tasks();

    assert_eq!(poll_once(one.as_mut()), Some(Err(CalloutError::Gone)));
    assert_eq!(coalesce.in_flight(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fetch_that_cannot_be_started_leaves_nobody_waiting() {
    let coalesce = coalesce(Start::Refused);

    let result = block_on(coalesce.run("a", slow(&Calls::default())));

    assert_eq!(result, Err(CalloutError::Gone));
    assert_eq!(coalesce.start("a", slow(&Calls::default())), Ok(true));
    assert_eq!(coalesce.in_flight(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_and_waiters_are_bounded() {
    let coalesce = coalesce(Start::Later);
    let calls = Calls::default();
    assert_eq!(coalesce.start("a", slow(&calls)), Ok(true));
    assert_eq!(coalesce.start("a", slow(&calls)), Ok(false));
    assert_eq!(coalesce.start("b", slow(&calls)), Ok(true));
    assert_eq!(
        coalesce.start("c", slow(&calls)),
        Err(CalloutError::Overloaded)
    );

    let mut waiters: Vec<_> = (0..3)
        .map(|_| Box::pin(coalesce.run("a", slow(&calls))))
        .collect();
    for waiter in &mut waiters {
        assert_eq!(poll_once(waiter.as_mut()), None);
    }
    let mut one_more = pin!(coalesce.run("a", slow(&calls)));
    assert_eq!(
        poll_once(one_more.as_mut()),
        Some(Err(CalloutError::Overloaded))
    );

    waiters.pop();
    let mut in_its_place = pin!(coalesce.run("a", slow(&calls)));
    assert_eq!(poll_once(in_its_place.as_mut()), None);
    assert_eq!(calls.get(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_bound_of_nothing_refuses_and_leaves_nothing_behind() {
    executor::reset(Start::Later);
    let coalesce: Coalesce<u8, u8> = Coalesce::with_spawn(1, 0, executor::spawn);

    for _ in 0..2 {
        let result = block_on(coalesce.run(1, || async { Ok(1) }));
        assert_eq!(result, Err(CalloutError::Overloaded));
        assert_eq!((coalesce.in_flight(), executor::tasks()), (0, 0));
    }
}

/// A value that asks again wherever the user's code runs.
struct Nosy {
    coalesce: Coalesce<u8, Nosy>,
    noticed: Calls,
}

impl Nosy {
    fn look(&self) {
        let mut again = pin!(self.coalesce.run(2, || async { Err(CalloutError::Gone) }));
        let _ = poll_once(again.as_mut());
        self.noticed.set(self.noticed.get() + 1);
    }
}

impl Clone for Nosy {
    fn clone(&self) -> Self {
        self.look();
        Self {
            coalesce: self.coalesce.clone(),
            noticed: Rc::clone(&self.noticed),
        }
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.look();
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_borrowed_while_the_users_code_runs() {
    executor::reset(Start::AtOnce);
    let coalesce: Coalesce<u8, Nosy> = Coalesce::with_spawn(4, 4, executor::spawn);
    let noticed = Calls::default();
    let value = Nosy {
        coalesce: coalesce.clone(),
        noticed: Rc::clone(&noticed),
    };

    let got = block_on(coalesce.run(1, || async { Ok(value) }));

    assert!(got.is_ok());
    drop(got);
    // One clone, two values.
    assert_eq!(noticed.get(), 3);
    assert_eq!(coalesce.in_flight(), 0);
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Waiters come and go, fetches end, tasks are dropped: whoever waits gets
        /// an answer, and nothing stays behind.
        #[test]
        fn nobody_waits_for_ever(
            at_once: bool,
            steps in prop::collection::vec((0..6_u8, 0..4_u8, any::<prop::sample::Index>()), 0..80),
        ) {
            executor::reset(if at_once { Start::AtOnce } else { Start::Later });
            let coalesce: Coalesce<u8, u32> = Coalesce::with_spawn(3, 3, executor::spawn);
            let calls = Calls::default();
            let mut waiters = Vec::new();
            for (what, key, which) in steps {
                match what {
                    0 | 1 => {
                        let mut waiter = Box::pin(coalesce.run(key, slow(&calls)));
                        if poll_once(waiter.as_mut()).is_none() {
                            waiters.push(waiter);
                        }
                    }
                    2 if !waiters.is_empty() => drop(waiters.swap_remove(which.index(waiters.len()))),
                    2 => {}
                    3 => executor::advance(SECOND / 2),
                    4 => executor::run(),
                    _ => executor::drop_tasks(),
                }
                prop_assert!(coalesce.in_flight() <= 3);
                prop_assert!(executor::tasks() <= 3);
            }
            for waiter in waiters {
                block_on(waiter).ok();
            }
            executor::advance(SECOND);
            executor::advance(SECOND);
            prop_assert_eq!((coalesce.in_flight(), executor::tasks()), (0, 0));
        }
    }
}
