//! Several configurations in one VM stand for several workers: each has a source of
//! its own, and all have the same shared data.

use legation_testing::{Answer, Request, Root};
use serde_json::json;

use crate::support::{MS, SECOND, World, keys, remote};

fn workers(world: &World, count: usize) -> Vec<Root> {
    let configuration = remote(json!({ "cache_duration": "20s" }));
    (0..count)
        .map(|_| world.host.load(configuration.clone()).unwrap())
        .collect()
}

fn ask(world: &World, worker: Root, path: &str) -> String {
    let exchange = world.host.exchange_on(worker, Request::get(path)).run();
    exchange.response().text().clone()
}

#[test]
fn one_fetches_for_all() {
    let world = World::new();
    let workers = workers(&world, 5);
    world.pass(SECOND);
    for worker in &workers {
        assert_eq!(ask(&world, *worker, "/current"), "one");
    }
    assert_eq!(world.fetches(), 1);

    world.answers_keys(&["two"]);
    world.pass(21 * SECOND);
    for worker in &workers {
        assert_eq!(ask(&world, *worker, "/current"), "two");
    }
    assert_eq!(world.fetches(), 2);
}

#[test]
fn those_that_wait_have_the_keys_soon_whoever_fetches() {
    let world = World::new();
    let workers = workers(&world, 3);
    world.answers_after(SECOND, |_| keys(&["one"]).into());
    let mut streams = Vec::new();
    for worker in &workers {
        let mut stream = world.host.stream_on(*worker, Request::get("/get"));
        stream.send_request();
        streams.push(stream);
    }
    world.pass(SECOND + 100 * MS);
    for stream in streams {
        assert!(stream.is_answered());
        assert_eq!(stream.end().response().text(), "one");
    }
    assert_eq!(world.fetches(), 1);
}

#[test]
fn a_storm_on_all_of_them_is_one_fetch() {
    let world = World::new();
    let workers = workers(&world, 4);
    world.pass(SECOND);
    world.answers_after(200 * MS, |_| keys(&["one"]).into());
    let mut streams = Vec::new();
    for number in 0..100 {
        for worker in &workers {
            let path = format!("/newer/{number}");
            let mut stream = world.host.stream_on(*worker, Request::get(&path));
            stream.send_request();
            streams.push(stream);
        }
    }
    world.pass(400 * MS);
    for stream in streams {
        assert_eq!(stream.end().response().text(), "one");
    }
    for worker in &workers {
        ask(&world, *worker, "/newer/x");
    }
    assert_eq!(world.fetches(), 2);
}

#[test]
fn a_new_configuration_begins_with_what_is_there() {
    let world = World::new();
    let old = workers(&world, 1);
    world.pass(SECOND);
    world.hangs();

    let new = workers(&world, 1);
    for root in old {
        world.host.unload(root);
    }

    assert_eq!(ask(&world, *new.first().unwrap(), "/current"), "one");
    assert_eq!(world.fetches(), 1);
}

#[test]
fn another_source_has_nothing_of_this_one() {
    let world = World::new();
    workers(&world, 1);
    world.pass(SECOND);
    let mut other = remote(json!({}));
    *other.pointer_mut("/remote_jwks/http_uri/uri").unwrap() =
        json!("https://issuer.example/keys?a=c");

    let other = world.host.load(other).unwrap();

    assert_eq!(ask(&world, other, "/current"), "NotYet");
    world.pass(SECOND);
    assert_eq!(ask(&world, other, "/current"), "one");
    assert_eq!(world.fetches(), 2);
}

#[test]
fn one_whose_configuration_goes_in_the_middle_is_replaced_at_once() {
    let world = World::new();
    world.hangs();
    let first = workers(&world, 1);
    world.pass(100 * MS);
    assert_eq!(world.fetches(), 1);
    let second = workers(&world, 1);
    world.pass(100 * MS);
    assert_eq!(world.fetches(), 1, "the first one has the claim");
    world.answers_keys(&["two"]);

    for root in first {
        world.host.unload(root);
    }
    world.pass(SECOND + 100 * MS);

    assert_eq!(ask(&world, *second.first().unwrap(), "/current"), "two");
    assert_eq!(world.fetches(), 2);
}

#[test]
fn nothing_is_left_of_a_configuration_that_is_gone() {
    let world = World::new();
    let all = workers(&world, 3);
    world.pass(SECOND);
    for root in all {
        world.host.unload(root);
    }
    assert_eq!((world.host.waiting(), world.host.streams()), (0, 0));
    world.pass(60 * SECOND);
    assert_eq!(world.fetches(), 1);
}

#[test]
fn of_two_that_see_it_due_at_once_one_fetches() {
    let world = World::new();
    world.hangs();
    workers(&world, 1);
    world.pass(30 * MS);
    assert_eq!(world.fetches(), 1);

    workers(&world, 1);
    // It looks before the other has claimed, so to say, and claims after.
    world
        .host
        .answer_nth("proxy_get_shared_data", 1, Answer::Status(1));
    world.pass(10 * MS);

    assert_eq!(world.fetches(), 1);
}
