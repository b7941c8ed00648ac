#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::cell::Cell;
use std::pin::{Pin, pin};

use wasm_bindgen_test::wasm_bindgen_test;

use super::super::executor::{self, Start, advance, block_on, poll_once, sleep};
use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings() -> FetchSettings {
    FetchSettings {
        capacity: NonZeroUsize::new(3).unwrap(),
        max_weight: Some(100),
        ttl: s(10),
        negative_ttl: s(2),
        stale_while_revalidate: s(5),
        stale_if_error: s(20),
        retry_interval: s(1),
        max_fetches: 2,
        max_waiters: 2,
    }
}

type Answer = Result<Fetched<u32>, CalloutError>;
type Fetching = Pin<Box<dyn Future<Output = Answer>>>;

/// An upstream whose answers take half a second and are numbered.
#[derive(Clone)]
struct Upstream {
    fetches: Rc<Cell<u32>>,
    down: Rc<Cell<bool>>,
    cache: FetchCache<String, u32>,
}

impl Upstream {
    fn new(settings: FetchSettings) -> Self {
        executor::reset(Start::Later);
        Self {
            fetches: Rc::default(),
            down: Rc::default(),
            cache: FetchCache::with(settings, executor::now, executor::spawn),
        }
    }

    fn fetch(&self) -> impl FnOnce() -> Fetching + use<> {
        self.fetch_as(Fetched::new)
    }

    fn fetch_as(&self, fetched: fn(u32) -> Fetched<u32>) -> impl FnOnce() -> Fetching + use<> {
        let upstream = self.clone();
        move || {
            upstream.fetches.set(upstream.fetches.get() + 1);
            Box::pin(async move {
                sleep(Duration::from_millis(500)).await;
                if upstream.down.get() {
                    Err(CalloutError::Timeout)
                } else {
                    Ok(fetched(upstream.fetches.get()))
                }
            })
        }
    }

    fn get(&self, key: &str) -> Result<u32, CalloutError> {
        block_on(self.cache.get_or_fetch(key, self.fetch())).map(|value| *value)
    }

    /// What is there without waiting.
    fn at_once(&self, key: &str) -> Option<Result<u32, CalloutError>> {
        let mut get = pin!(self.cache.get_or_fetch(key, self.fetch()));
        poll_once(get.as_mut()).map(|result| result.map(|value| *value))
    }

    fn if_older(&self, key: &str, age: Duration) -> Result<u32, CalloutError> {
        block_on(self.cache.fetch_if_older(key, age, self.fetch())).map(|value| *value)
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_fresh_is_fetched_once() {
    let upstream = Upstream::new(settings());

    assert_eq!(upstream.get("a"), Ok(1));
    advance(s(9));
    assert_eq!(upstream.at_once("a"), Some(Ok(1)));
    assert_eq!(upstream.cache.get("a").as_deref(), Some(&1));

    assert_eq!(upstream.fetches.get(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_stale_is_given_at_once_and_fetched_behind_it() {
    let upstream = Upstream::new(settings());
    assert_eq!(upstream.get("a"), Ok(1));
    advance(s(10));

    for _ in 0..5 {
        assert_eq!(upstream.at_once("a"), Some(Ok(1)));
    }
    assert_eq!(upstream.fetches.get(), 2, "one at a time");
    advance(s(0));
    advance(s(1));

    assert_eq!(upstream.at_once("a"), Some(Ok(2)));
    assert_eq!(upstream.fetches.get(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refresh_that_fails_is_not_tried_again_at_once() {
    let upstream = Upstream::new(settings());
    assert_eq!(upstream.get("a"), Ok(1));
    advance(s(10));
    upstream.down.set(true);

    assert_eq!(upstream.at_once("a"), Some(Ok(1)));
    advance(s(0));
    advance(Duration::from_millis(500));
    assert_eq!(upstream.at_once("a"), Some(Ok(1)));
    assert_eq!(upstream.fetches.get(), 2);
    advance(s(1));
    assert_eq!(upstream.at_once("a"), Some(Ok(1)));

    assert_eq!(upstream.fetches.get(), 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_older_is_used_if_it_cannot_be_fetched() {
    let upstream = Upstream::new(settings());
    assert_eq!(upstream.get("a"), Ok(1));
    advance(s(16));
    assert_eq!(upstream.cache.get("a"), None);
    upstream.down.set(true);

    assert_eq!(upstream.at_once("a"), None, "the fetch comes first");
    assert_eq!(upstream.get("a"), Ok(1));
    assert_eq!(
        upstream.at_once("a"),
        Some(Ok(1)),
        "not tried again at once"
    );
    assert_eq!(upstream.fetches.get(), 2);
    advance(s(1));
    upstream.down.set(false);

    assert_eq!(upstream.get("a"), Ok(3));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_runs_out_or_is_removed_during_a_fetch_that_fails_is_not_used() {
    for removed in [true, false] {
        let upstream = Upstream::new(settings());
        let life = Fetched::new(1).ttl(Duration::from_millis(100));
        upstream
            .cache
            .insert("a".to_owned(), if removed { Fetched::new(1) } else { life });
        upstream.down.set(true);
        let fetch = upstream.fetch();
        let mut one = pin!(upstream.cache.fetch_if_older("a", Duration::ZERO, fetch));
        assert!(poll_once(one.as_mut()).is_none());

        if removed {
            upstream.cache.remove("a");
        } else {
            advance(s(31));
        }

        assert!(block_on(one).is_err(), "removed: {removed}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_too_old_is_not_used() {
    let upstream = Upstream::new(settings());
    assert_eq!(upstream.get("a"), Ok(1));
    advance(s(30));
    upstream.down.set(true);

    assert_eq!(upstream.get("a"), Err(CalloutError::Timeout));
}

#[wasm_bindgen_test(unsupported = test)]
fn errors_are_remembered_for_a_while() {
    let upstream = Upstream::new(settings());
    upstream.down.set(true);

    assert_eq!(upstream.get("a"), Err(CalloutError::Timeout));
    assert_eq!(upstream.at_once("a"), Some(Err(CalloutError::Timeout)));
    assert_eq!(upstream.fetches.get(), 1);
    assert_eq!(upstream.get("b"), Err(CalloutError::Timeout), "another key");
    assert_eq!(upstream.fetches.get(), 2);
    upstream.down.set(false);
    advance(s(1));

    assert_eq!(upstream.get("a"), Ok(3));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_value_has_the_error_before_it_forgotten() {
    let upstream = Upstream::new(settings());
    upstream.down.set(true);
    assert!(upstream.get("a").is_err());
    upstream.down.set(false);

    let value = Fetched::new(9).ttl(s(0));
    upstream.cache.insert("a".to_owned(), value);

    assert_eq!(upstream.get("a"), Ok(2));
}

#[wasm_bindgen_test(unsupported = test)]
fn those_who_ask_meanwhile_wait_for_the_same_fetch() {
    let upstream = Upstream::new(settings());
    let mut one = pin!(upstream.cache.get_or_fetch("a", upstream.fetch()));
    let mut two = pin!(upstream.cache.get_or_fetch("a", upstream.fetch()));
    assert!(poll_once(one.as_mut()).is_none());
    assert!(poll_once(two.as_mut()).is_none());
    assert_eq!(upstream.at_once("a"), Some(Err(CalloutError::Overloaded)));

    assert!(Rc::ptr_eq(&block_on(one).unwrap(), &block_on(two).unwrap()));
    assert_eq!(upstream.fetches.get(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_value_of_a_fetch_is_kept_when_nobody_waits_any_more() {
    let upstream = Upstream::new(settings());
    assert_eq!(upstream.at_once("a"), None);

    advance(s(0));
    advance(s(1));

    assert_eq!(upstream.at_once("a"), Some(Ok(1)));
}

#[wasm_bindgen_test(unsupported = test)]
fn too_many_fetches_refuse_but_for_old_values() {
    let upstream = Upstream::new(settings());
    assert_eq!(upstream.get("a"), Ok(1));
    advance(s(16));
    assert_eq!(upstream.at_once("b"), None);
    assert_eq!(upstream.at_once("c"), None);

    assert_eq!(upstream.at_once("d"), Some(Err(CalloutError::Overloaded)));
    assert_eq!(upstream.at_once("a"), Some(Ok(1)));
    assert_eq!(upstream.fetches.get(), 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn values_say_themselves_how_long_they_are_good() {
    let upstream = Upstream::new(settings());
    let get = |key, fetched| {
        let value = upstream.cache.get_or_fetch(key, upstream.fetch_as(fetched));
        block_on(value).map(|value| *value)
    };

    assert_eq!(get("short", |n| Fetched::new(n).ttl(s(1))), Ok(1));
    assert_eq!(get("none", |n| Fetched::new(n).negative()), Ok(2));
    assert_eq!(get("once", |n| Fetched::new(n).ttl(s(0))), Ok(3));
    assert_eq!(upstream.cache.len(), 2);
    advance(s(1));
    assert_eq!(upstream.at_once("short"), Some(Ok(1)), "stale");
    assert_eq!(upstream.at_once("none"), Some(Ok(2)), "fresh");
    advance(s(1));
    assert_eq!(upstream.at_once("none"), None, "never stale");
}

#[wasm_bindgen_test(unsupported = test)]
fn values_are_bounded_in_number_and_weight() {
    let upstream = Upstream::new(settings());
    for key in ["a", "b", "c", "d"] {
        upstream.get(key).unwrap();
    }
    assert_eq!(upstream.cache.len(), 3);
    assert_eq!(upstream.cache.get("a"), None);

    let insert = |key: &str, weight| {
        let value = Fetched::new(9).weight(weight);
        upstream.cache.insert(key.to_owned(), value)
    };
    insert("e", 60);
    insert("f", 60);
    assert_eq!(upstream.cache.len(), 1);
    assert_eq!(*insert("f", 101), 9, "for those who wait");

    assert!(upstream.cache.is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_known_to_be_out_of_date_is_fetched_anew_but_not_often() {
    let upstream = Upstream::new(settings());
    assert_eq!(upstream.get("a"), Ok(1));

    assert_eq!(upstream.if_older("a", s(3)), Ok(1));
    advance(s(3));
    assert_eq!(upstream.if_older("a", s(3)), Ok(2));
    assert_eq!(upstream.if_older("a", s(3)), Ok(2));
    assert_eq!(upstream.fetches.get(), 2);
    assert_eq!(upstream.if_older("b", s(3)), Ok(3), "what is not there");

    advance(s(3));
    upstream.down.set(true);
    assert_eq!(upstream.if_older("a", s(3)), Ok(2), "the old one");
    assert_eq!(upstream.if_older("a", s(3)), Ok(2));
    assert_eq!(upstream.fetches.get(), 4, "not tried again at once");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_removed_is_fetched_anew() {
    let upstream = Upstream::new(settings());
    assert_eq!(upstream.get("a"), Ok(1));
    upstream.down.set(true);
    assert!(upstream.get("b").is_err());
    upstream.down.set(false);

    upstream.cache.remove("a");
    upstream.cache.remove("b");

    assert_eq!(upstream.get("a"), Ok(3));
    assert_eq!(upstream.get("b"), Ok(4));
}

#[wasm_bindgen_test(unsupported = test)]
fn without_a_clock_everything_is_fetched() {
    let upstream = Upstream::new(settings());
    assert_eq!(upstream.get("a"), Ok(1));
    executor::stop_clock();

    assert_eq!(upstream.get("a"), Ok(2));
    assert_eq!(upstream.get("a"), Ok(3));
    assert!(upstream.cache.is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fetch_whose_task_is_dropped_fails() {
    let upstream = Upstream::new(settings());
    let mut get = pin!(upstream.cache.get_or_fetch("a", upstream.fetch()));
    assert!(poll_once(get.as_mut()).is_none());

    executor::drop_tasks();

    assert_eq!(poll_once(get.as_mut()), Some(Err(CalloutError::Gone)));
}

/// A value that looks into its cache when it is dropped.
struct Nosy(FetchCache<u8, Nosy>, Rc<Cell<u32>>);

impl Drop for Nosy {
    fn drop(&mut self) {
        let len = self.0.inner.values.try_borrow_mut().is_ok();
        self.1.set(self.1.get() + u32::from(len));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_borrowed_while_values_are_dropped() {
    executor::reset(Start::Later);
    let settings = FetchSettings {
        capacity: NonZeroUsize::MIN,
        ..settings()
    };
    let cache: FetchCache<u8, Nosy> = FetchCache::with(settings, executor::now, executor::spawn);
    let dropped = Rc::new(Cell::new(0));
    let insert = |key, ttl, weight| {
        let value = Nosy(cache.clone(), Rc::clone(&dropped));
        cache.insert(key, Fetched::new(value).ttl(ttl).weight(weight));
    };

    insert(1, s(1), 0);
    insert(1, s(1), 0);
    assert_eq!(dropped.get(), 1, "replaced");
    insert(2, s(1), 0);
    assert_eq!(dropped.get(), 2, "evicted");
    insert(2, s(0), 0);
    assert_eq!(dropped.get(), 4, "not kept, nor what was there");
    insert(3, s(1), 101);
    assert_eq!(dropped.get(), 5, "too heavy");
    insert(4, s(1), 0);
    cache.remove(&4);
    assert_eq!(dropped.get(), 6, "removed");
}
