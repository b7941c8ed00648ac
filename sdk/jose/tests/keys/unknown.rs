use legation_testing::{Callout, Request, Response};
use serde_json::json;

use crate::support::{MS, SECOND, World, keys};

#[test]
fn an_unknown_key_has_the_keys_fetched_and_the_request_waits() {
    let world = World::ready(json!({}));
    world.answers_after(300 * MS, |_| keys(&["one", "two"]).into());

    assert_eq!(world.ask("/newer/two"), "200 one two");

    assert_eq!(world.fetches(), 2);
    assert_eq!(world.counted("unknown_key_fetches"), 1);
}

#[test]
fn a_key_that_has_come_meanwhile_is_not_fetched() {
    let world = World::ready(json!({ "cache_duration": "10s" }));
    let mut stream = world.host.stream(Request::get("/newer/two"));
    world.answers_keys(&["two"]);
    stream.send_request();
    world.pass(200 * MS);
    assert_eq!(stream.end().response().text(), "two");
    assert_eq!(world.fetches(), 2);
}

#[test]
fn a_storm_of_unknown_keys_is_one_fetch_in_an_interval() {
    let world = World::ready(json!({ "unknown_key_refetch_interval": "10s" }));
    world.answers_after(100 * MS, |_| keys(&["one"]).into());
    let mut streams: Vec<_> = (0..500)
        .map(|number| world.host.stream(Request::get(format!("/newer/{number}"))))
        .collect();
    for stream in &mut streams {
        stream.send_request();
    }
    world.pass(300 * MS);
    for stream in streams {
        assert_eq!(stream.end().response().text(), "one");
    }
    assert_eq!(world.fetches(), 2);

    let before = world.host.time();
    for number in 0..500 {
        assert_eq!(world.ask(&format!("/newer/more-{number}")), "200 one");
    }
    assert_eq!(world.host.time(), before, "nobody waits");
    assert_eq!(world.fetches(), 2);
    assert_eq!(world.counted("unknown_key_limited"), 500);

    world.pass(10 * SECOND);
    assert_eq!(world.ask("/newer/again"), "200 one");
    assert_eq!(world.fetches(), 3);
}

#[test]
fn what_a_limited_request_costs() {
    let world = World::ready(json!({}));
    world.ask("/newer/two");

    let exchange = world.host.exchange(Request::get("/newer/three")).run();

    let calls = exchange.calls();
    assert_eq!(calls.count("proxy_get_current_time_nanoseconds"), 1);
    assert_eq!(calls.count("proxy_get_shared_data"), 0);
    assert_eq!(calls.count("proxy_increment_metric"), 1);
}

#[test]
fn without_the_issuer_a_request_with_an_unknown_key_has_what_is_there() {
    for (answer, at_most) in [
        (Some(Callout::from(Response::new(500))), 200 * MS),
        (Some(Callout::reset("connection failure")), 200 * MS),
        (Some(Response::ok().body("<html>").into()), 200 * MS),
        (None, 2_500 * MS),
    ] {
        let world = World::ready(json!({}));
        match answer {
            Some(answer) => world.answers(move |_| answer.clone()),
            None => world.hangs(),
        }
        let before = world.host.time();

        assert_eq!(world.ask("/newer/two"), "200 one");

        let waited = world.host.time().duration_since(before).unwrap();
        assert!(waited <= at_most, "{waited:?}");
        assert_eq!(world.fetches(), 2);
    }
}

#[test]
fn a_fetch_that_began_before_the_key_was_there_is_not_the_last_word() {
    let world = World::ready(json!({ "cache_duration": "10s" }));
    world.answers_after(SECOND, |_| keys(&["one"]).into());
    // The refresh, which is under way for a second.
    while world.fetches() < 2 {
        world.pass(10 * MS);
    }
    world.answers_keys(&["two"]);

    assert_eq!(world.ask("/newer/two"), "200 two");

    assert_eq!(world.fetches(), 3);
}

#[test]
fn without_an_id_any_fetch_is_news() {
    let world = World::ready(json!({}));
    world.answers_keys(&["two"]);

    assert_eq!(world.ask("/newer"), "200 two");

    assert_eq!(world.fetches(), 2);
}

#[test]
fn the_same_keys_again_are_no_news() {
    let world = World::ready(json!({}));

    assert_eq!(world.ask("/newer"), "200 one");

    assert_eq!(world.fetches(), 2);
    assert_eq!(world.ask("/newer"), "200 one");
    assert_eq!(world.counted("unknown_key_limited"), 1);
}

#[test]
fn who_is_served_by_a_fetch_under_way_has_no_other() {
    let world =
        World::ready(json!({ "cache_duration": "10s", "unknown_key_refetch_interval": "0.01s" }));
    world.answers_after(SECOND, |_| keys(&["one", "two"]).into());
    while world.fetches() < 2 {
        world.pass(10 * MS);
    }

    assert_eq!(world.ask("/newer/two"), "200 one two");

    world.pass(2 * SECOND);
    assert_eq!(world.fetches(), 2);
}
