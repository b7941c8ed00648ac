#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::time::UNIX_EPOCH;

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const LIFE: Life = Life {
    fresh: Duration::from_secs(10),
    stale_while_revalidate: Duration::from_secs(5),
    stale_if_error: Duration::from_secs(20),
};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn cache(capacity: usize) -> Cache<String, u32> {
    Cache::new(NonZeroUsize::new(capacity).unwrap())
}

impl Cache<String, u32> {
    fn put(&mut self, key: &str, value: u32, weight: usize, now: SystemTime) -> Option<u32> {
        let former = self.insert(key.to_owned(), value, weight, LIFE, now);
        while let Some(evicted) = self.evict() {
            drop(evicted);
        }
        former
    }

    fn has(&mut self, key: &str) -> bool {
        self.get(key, at(0)) != Lookup::Miss
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_entry_is_fresh_then_stale_then_for_errors_then_gone() {
    let mut cache = cache(9);
    cache.put("a", 1, 0, at(0));

    for (seconds, lookup) in [
        (0, Lookup::Fresh(&1)),
        (9, Lookup::Fresh(&1)),
        (10, Lookup::Stale(&1)),
        (14, Lookup::Stale(&1)),
        (15, Lookup::OnError(&1)),
        (29, Lookup::OnError(&1)),
        (30, Lookup::Miss),
        (9_999_999, Lookup::Miss),
    ] {
        assert_eq!(cache.get("a", at(seconds)), lookup, "{seconds}");
    }
    assert_eq!(cache.get("b", at(0)), Lookup::Miss);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_longer_of_the_two_stale_times_is_the_end() {
    let mut cache = cache(9);
    let life = Life {
        stale_if_error: Duration::from_secs(3),
        ..LIFE
    };
    cache.insert("a".to_owned(), 1, 0, life, at(0));

    assert_eq!(cache.get("a", at(14)), Lookup::Stale(&1));
    assert_eq!(cache.get("a", at(15)), Lookup::Miss);
}

#[wasm_bindgen_test(unsupported = test)]
fn without_stale_times_an_entry_is_fresh_or_gone() {
    let mut cache = cache(9);
    let life = Life::fresh(Duration::from_secs(10));
    cache.insert("a".to_owned(), 1, 0, life, at(0));

    assert_eq!(cache.get("a", at(9)), Lookup::Fresh(&1));
    assert_eq!(cache.get("a", at(10)), Lookup::Miss);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_that_is_set_back_makes_nothing_live_longer() {
    let mut cache = cache(9);
    cache.put("a", 1, 0, at(10_000));
    let life = Life::fresh(Duration::from_secs(10));
    cache.insert("b".to_owned(), 2, 0, life, at(10_000));

    assert_eq!(cache.get("a", at(9_940)), Lookup::Fresh(&1), "a late tick");
    assert_eq!(cache.get("a", at(9_939)), Lookup::OnError(&1));
    assert_eq!(cache.get("a", at(0)), Lookup::OnError(&1));
    assert_eq!(cache.get("b", at(9_939)), Lookup::Miss);
}

#[wasm_bindgen_test(unsupported = test)]
fn forgets_what_was_used_least_recently() {
    let mut cache = cache(2);
    cache.put("a", 1, 0, at(0));
    cache.put("b", 2, 0, at(0));
    assert!(cache.has("a"));

    cache.put("c", 3, 0, at(0));

    assert_eq!(
        [cache.has("a"), cache.has("b"), cache.has("c")],
        [true, false, true]
    );
    assert_eq!(cache.len(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn asking_when_something_was_stored_is_not_a_use() {
    let mut cache = cache(2);
    cache.put("a", 1, 0, at(7));
    cache.put("b", 2, 0, at(8));

    assert_eq!(cache.stored("a"), Some(at(7)));
    assert_eq!(cache.stored("c"), None);
    cache.put("c", 3, 0, at(9));

    assert!(!cache.has("a"));
}

#[wasm_bindgen_test(unsupported = test)]
fn weighs_its_entries() {
    let mut cache = cache(100).max_weight(10);
    cache.put("a", 1, 4, at(0));
    cache.put("b", 2, 6, at(0));
    assert_eq!(cache.weight(), 10);

    assert_eq!(cache.put("b", 3, 5, at(0)), Some(2));
    assert_eq!(cache.weight(), 9);
    cache.put("c", 4, 10, at(0));
    assert_eq!((cache.len(), cache.weight()), (1, 10));
    assert_eq!(cache.put("d", 5, 11, at(0)), Some(5), "too heavy");
    assert!(cache.has("c"));
    assert_eq!(cache.put("c", 6, 11, at(0)), Some(6));
    assert!(!cache.has("c"), "what it replaces is not right any more");

    assert_eq!((cache.len(), cache.weight()), (0, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn removes_entries() {
    let mut cache = cache(3).max_weight(10);
    cache.put("a", 1, 4, at(0));

    assert_eq!(cache.remove("a"), Some(1));
    assert_eq!(cache.remove("a"), None);

    assert!(cache.is_empty());
    assert_eq!(cache.weight(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn shows_no_entries() {
    let mut cache = cache(3);
    cache.put("token", 424_242, 4, at(0));

    assert_eq!(format!("{cache:?}"), "Cache { len: 1, weight: 4, .. }");
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list in order of use.
        #[test]
        fn is_a_list_in_order_of_use(
            capacity in 1..6_usize,
            max_weight in 0..20_usize,
            steps in prop::collection::vec((0..3_u8, 0..8_u8, 0..9_usize), 0..200),
        ) {
            let mut cache: Cache<u8, usize> =
                Cache::new(NonZeroUsize::new(capacity).unwrap()).max_weight(max_weight);
            let mut model: VecDeque<(u8, usize)> = VecDeque::new();
            for (what, key, weight) in steps {
                match what {
                    0 => {
                        cache.insert(key, weight, weight, LIFE, at(0));
                        while cache.evict().is_some() {}
                        model.retain(|(known, _)| *known != key);
                        if weight <= max_weight {
                            model.push_back((key, weight));
                        }
                        while model.len() > capacity
                            || model.iter().map(|(_, weight)| weight).sum::<usize>() > max_weight
                        {
                            model.pop_front();
                        }
                    }
                    1 => {
                        let known = model.iter().position(|(known, _)| *known == key);
                        let lookup = match known.and_then(|at| model.remove(at)) {
                            Some(entry) => {
                                model.push_back(entry);
                                Lookup::Fresh(entry.1)
                            }
                            None => Lookup::Miss,
                        };
                        prop_assert_eq!(cache.get(&key, at(1)).map(|weight| *weight), lookup);
                    }
                    _ => {
                        let known = model.iter().position(|(known, _)| *known == key);
                        let removed = known.and_then(|at| model.remove(at)).map(|(_, weight)| weight);
                        prop_assert_eq!(cache.remove(&key), removed);
                    }
                }
                prop_assert_eq!(cache.len(), model.len());
                prop_assert_eq!(cache.weight(), model.iter().map(|(_, weight)| weight).sum::<usize>());
            }
        }

        #[test]
        fn an_entry_only_ever_ages(fresh: u32, while_revalidating: u32, on_error: u32, one: u32, two: u32) {
            let rank = |seconds: u32| {
                let life = Life {
                    fresh: Duration::from_secs(fresh.into()),
                    stale_while_revalidate: Duration::from_secs(while_revalidating.into()),
                    stale_if_error: Duration::from_secs(on_error.into()),
                };
                match life.of((), at(0), at(seconds.into())) {
                    Lookup::Fresh(()) => 0,
                    Lookup::Stale(()) => 1,
                    Lookup::OnError(()) => 2,
                    Lookup::Miss => 3,
                }
            };
            prop_assert!(rank(one.min(two)) <= rank(one.max(two)));
        }
    }
}
