//! How much shared data there is, whatever number of keys comes: as the README has it.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use legation_testing::{Answer, Call, Host, Request};
use rate_limit::RateLimit;
use serde_json::{Value, json};

const README: &str = include_str!("../README.md");

/// What Envoy adds to a value of shared data, roughly.
const ENVOYS: usize = 100;

/// The numbers of the README's formulas: of a bucket, beside the length of `stat_prefix`.
fn formulas() -> Vec<usize> {
    let formulas = README.split("max_dynamic_descriptors ÷ 8 × (").skip(1);
    let number = |rest: &str| {
        rest.split_once(" + length of stat_prefix)")
            .unwrap()
            .0
            .parse()
    };
    formulas.map(|rest| number(rest).unwrap()).collect()
}

/// The bytes of keys and values in shared data after so many keys.
fn shared_data(limit: &Value, prefix: &str, room: u32, keys: u32) -> usize {
    let mut descriptor = json!({"entries": [{"key": "user"}]});
    descriptor
        .as_object_mut()
        .unwrap()
        .extend(limit.as_object().unwrap().clone());
    let action = json!({"request_headers": {"header_name": "x-user", "descriptor_key": "user"}});
    let configuration = json!({
        "rate_limits": [{"actions": [action]}],
        "descriptors": [descriptor],
        "max_dynamic_descriptors": room,
        "stat_prefix": prefix,
    });
    let stored = Rc::new(RefCell::new(HashMap::new()));
    let host = Host::<RateLimit>::new();
    let seen = Rc::clone(&stored);
    host.answer_by(move |call| {
        if let Call::SetSharedData { key, value, .. } = call {
            seen.borrow_mut().insert(key.to_vec(), value.len());
        }
        Answer::Real
    });
    host.load(configuration).unwrap();
    for key in 0..keys {
        let request = Request::get("/").header("x-user", key.to_string());
        assert_eq!(host.exchange(request).run().status(), 200);
    }
    // But for the secret, of which there is one.
    let stored = stored.borrow();
    let buckets = stored.iter().filter(|(key, _)| !key.ends_with(b"#key"));
    buckets.map(|(key, value)| key.len() + value).sum()
}

#[test]
fn shared_data_takes_what_the_readme_says_and_no_more() {
    let bucket = json!({"max_tokens": 5, "fill_interval": "1h"});
    let window = json!({"requests": 5, "window": "1h"});
    let limits = json!([{"token_bucket": bucket}, {"sliding_window": window}]);
    let [one, several] = formulas()[..] else {
        panic!("two formulas");
    };
    for (limit, formula) in [
        (json!({"token_bucket": bucket}), one),
        (json!({"limits": limits}), several),
    ] {
        for prefix in ["e", "edge.of.the.world"] {
            let buckets = 400 / 8;
            let said = buckets * (formula + prefix.len());

            let filled = shared_data(&limit, prefix, 400, 3_200);

            let taken = filled + buckets * ENVOYS;
            assert!(taken <= said, "{taken} bytes, {said} in the README");
            assert!(
                taken > said - said / 100,
                "{taken} bytes, {said} in the README"
            );
            // More keys take no more.
            assert_eq!(shared_data(&limit, prefix, 400, 4_800), filled);
        }
    }
}
