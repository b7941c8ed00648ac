use std::time::Duration;

use legation_testing::{Answer, Call, Callout, Response};
use serde_json::json;

use crate::support::{MS, SECOND, World, jwks, keys};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn the_first_keys_are_fetched_before_any_request_asks() {
    let world = World::configured(json!({}));

    world.pass(100 * MS);

    assert_eq!(world.ask("/current"), "200 one");
    assert_eq!(world.fetches(), 1);
    let calls = world.host.http_calls();
    let call = calls.first().unwrap();
    assert_eq!(call.path(), "/keys?a=b");
    assert_eq!(call.headers.text(":authority").unwrap(), "issuer.example");
    assert_eq!(call.headers.text(":scheme").unwrap(), "https");
    assert_eq!(world.host.gauge("keyed.keys.usable.provider=p;"), 1);
}

#[test]
fn a_clock_that_fails_for_a_while_stops_neither_the_worker_nor_the_fetches() {
    let world = World::configured(json!({}));
    // The tick knows the time, and what it wakes does not.
    let mut asked = 0_u32;
    world.host.answer_by(move |call| {
        if *call != Call::Now {
            return Answer::Real;
        }
        asked += 1;
        assert!(asked < 1_000, "it does nothing else");
        if asked % 3 == 1 {
            Answer::Real
        } else {
            Answer::Status(10)
        }
    });
    world.pass(SECOND);
    world.host.answer_truly();

    world.pass(2 * SECOND);

    assert_eq!(world.ask("/current"), "200 one");
}

#[test]
fn a_request_that_comes_before_them_waits() {
    let world = World::configured(json!({}));
    world.answers_after(1_500 * MS, |_| keys(&["one"]).into());

    assert_eq!(world.ask("/get"), "200 one");

    assert_eq!(world.ask("/get"), "200 one");
    assert_eq!(world.fetches(), 1);
}

#[test]
fn it_waits_no_longer_than_it_is_to() {
    let world = World::configured(json!({ "first_fetch_timeout": "0.5s" }));
    world.hangs();
    let before = world.host.time();

    assert_eq!(world.ask("/get"), "503 NotYet");

    let waited = world.host.time().duration_since(before).unwrap();
    assert!((500 * MS..600 * MS).contains(&waited), "{waited:?}");
    assert_eq!(world.ask("/current"), "503 NotYet");
}

#[test]
fn while_fetches_fail_nobody_waits_in_vain() {
    let world = World::configured(json!({ "async_fetch": { "failed_refetch_duration": "60s" } }));
    world.answers(|_| Response::new(500).into());
    world.pass(100 * MS);
    let before = world.host.time();

    assert_eq!(world.ask("/get"), "503 NotYet");

    assert_eq!(world.host.time(), before);
}

#[test]
fn keys_are_fetched_anew_in_the_last_tenth_of_their_time() {
    let world = World::ready(json!({ "cache_duration": "600s" }));
    world.answers_keys(&["two"]);

    world.pass(9 * MINUTE - SECOND);
    assert_eq!(world.fetches(), 1);
    world.pass(MINUTE + SECOND);

    assert_eq!(
        (world.fetches(), world.ask("/current")),
        (2, "200 two".to_owned())
    );
    world.pass(8 * MINUTE);
    assert_eq!(world.fetches(), 2);
}

#[test]
fn no_request_has_anything_fetched() {
    let world = World::ready(json!({}));
    for _ in 0..100 {
        world.ask("/get");
        world.ask("/current");
    }
    assert_eq!(world.fetches(), 1);
}

#[test]
fn nothing_but_a_key_set_replaces_one() {
    let answer = |response: Response| Some(Callout::from(response));
    let redirect = Response::new(302).header("location", "https://issuer.example/more");
    let ok = |body: &str| Some(Callout::from(Response::ok().body(body)));
    for (answer, reason) in [
        (answer(Response::new(500)), "status"),
        (answer(Response::new(204)), "status"),
        (answer(redirect), "status"),
        (answer(Response::new(404).body(jwks(&["two"]))), "status"),
        (ok("<html>sign in</html>"), "no_key_set"),
        (ok(""), "no_key_set"),
        (ok("{}"), "no_key_set"),
        (ok(r#"{"keys":[]}"#), "no_key_set"),
        // Secrets that come from elsewhere are none.
        (
            ok(
                r#"{"keys":[{"kty":"oct","kid":"two","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]}"#,
            ),
            "no_key_set",
        ),
        (ok(&"x".repeat(10_000_000)), "too_large"),
        (Some(Callout::reset("connection termination")), "reset"),
        (Some(Callout::fail()), "reset"),
        (Some(Callout::refuse(2)), "not_sent"),
        (None, "timeout"),
    ] {
        let told = format!("{answer:?}").chars().take(80).collect::<String>();
        let world = World::ready(json!({ "cache_duration": "10s" }));
        match answer {
            Some(answer) => world.answers(move |_| answer.clone()),
            None => world.hangs(),
        }

        world.pass(30 * SECOND);

        assert_eq!(world.ask("/get"), "200 one", "{told}");
        assert!(world.failures(reason) > 1, "{reason}: {told}");
        assert_eq!(
            world.counted("fetches"),
            u64::try_from(world.fetches()).unwrap()
        );
        world.answers_keys(&["two"]);
        world.pass(60 * SECOND);
        assert_eq!(world.ask("/get"), "200 two", "{told}");
    }
}

#[test]
fn fetches_that_fail_come_less_often_up_to_a_minute() {
    let world = World::configured(json!({ "async_fetch": { "failed_refetch_duration": "1s" } }));
    world.answers(|_| Response::new(500).into());

    world.pass(900 * MS);
    assert_eq!(world.fetches(), 1);
    world.pass(300 * MS);
    assert_eq!(world.fetches(), 2);
    world.pass(10 * MINUTE);
    assert!((15..40).contains(&world.fetches()), "{}", world.fetches());

    world.answers_keys(&["one"]);
    world.pass(61 * SECOND);
    assert_eq!(world.ask("/get"), "200 one");
}

#[test]
fn keys_outlive_the_issuer_for_as_long_as_they_may() {
    let world = World::ready(json!({ "cache_duration": "10s", "stale_if_error": "20s" }));
    world.answers(|_| Callout::reset("connection failure"));

    world.pass(28 * SECOND);
    assert_eq!(world.ask("/get"), "200 one");
    world.pass(4 * SECOND);

    let before = world.host.time();
    assert_eq!(world.ask("/get"), "503 Stale");
    assert_eq!(world.ask("/newer/two"), "503 Stale");
    assert_eq!(world.host.time(), before, "nobody waits");
    assert_eq!(world.host.gauge("keyed.keys.usable.provider=p;"), 0);
    world.answers_keys(&["one"]);
    world.pass(61 * SECOND);
    assert_eq!(world.ask("/get"), "200 one");
}

#[test]
fn how_old_the_keys_are_is_told() {
    let world = World::ready(json!({}));
    world.pass(42 * SECOND);
    let age = world.host.gauge("keyed.keys.age_seconds.provider=p;");
    assert!((41..=42).contains(&age), "{age}");
}
