//! Denials that are remembered.

use std::time::{Duration, Instant};

use anyhow::Result;
use legation_tests::{DEADLINE, has_waited, wait_for};
use serde_json::json;

use super::rls::{Answer, HOUR, MINUTE, Status};
use super::{REFUSED, World, chain, of};

#[test]
fn who_is_denied_is_not_asked_about_again_until_the_service_says() -> Result<()> {
    let cost = json!([{
        "actions": [{"request_headers": {"header_name": "x-client", "descriptor_key": "client"}}],
        "hits_addend": {"format": "%REQ(x-cost)%"},
    }]);
    let world = World::new([
        chain("remembers", &json!({"rate_limits": cost})),
        chain("other", &json!({"rate_limits": cost})),
    ])?;
    world.service.says(
        Answer::over_limit_for(3_600)
            .for_response("x-left", "none")
            .body("beyond"),
    );
    let first = world.send("remembers", of("a"))?.response;
    for _ in 0..5 {
        let again = world.send("remembers", of("a"))?.response;
        assert_eq!(again.status, REFUSED);
        assert_eq!(again.body, first.body);
        for name in ["x-left", "x-envoy-ratelimited", "content-type"] {
            assert_eq!(again.headers.all(name), first.headers.all(name), "{name}");
        }
    }
    assert_eq!(world.service.calls(), 1);

    // Others are, and it for another number of hits, and another filter is.
    assert_eq!(world.status("remembers", "b")?, REFUSED);
    world.send("remembers", of("a").header("x-cost", "2"))?;
    assert_eq!(world.status("other", "a")?, REFUSED);
    assert_eq!(world.service.calls(), 3);
    world.wait_for_count("remembers", "ratelimit.denied_from_cache", 5)?;
    world.wait_for_count("remembers", "ratelimit.over_limit", 3)
}

#[test]
fn what_is_told_of_a_denial_grows_older() -> Result<()> {
    let world = World::new([chain(
        "older",
        &json!({"enable_x_ratelimit_headers": "DRAFT_VERSION_03"}),
    )])?;
    world.service.says(Answer::over_limit_for(3_600));
    let words = Answer::over_limit_for(3_600).for_response("retry-after", "900");
    let seconds = |client: &str, name: &str| -> Result<u64> {
        let response = world.send("older", of(client))?.response;
        assert_eq!(response.headers.all(name).len(), 1, "{response}");
        Ok(response.headers.text(name).unwrap_or_default().parse()?)
    };
    assert_eq!(seconds("a", "retry-after")?, 3_600);
    world.service.says(words);
    assert_eq!(seconds("b", "retry-after")?, 900);
    for (client, name, first) in [
        ("a", "retry-after", 3_600),
        ("a", "x-ratelimit-reset", 3_600),
        ("b", "retry-after", 900),
    ] {
        let less = wait_for("fewer seconds", DEADLINE, || {
            Ok(Some(seconds(client, name)?).filter(|seconds| *seconds < first))
        })?;
        assert!(less >= first - 120, "{name}: {less}");
    }
    assert_eq!(world.service.calls(), 2);
    Ok(())
}

#[test]
fn a_denial_that_is_over_is_forgotten() -> Result<()> {
    let second = Duration::from_secs(1);
    let world = World::new([
        chain("window", &json!({})),
        chain(
            "max_age",
            &json!({"rate_limit_service": {"deny_cache": {"max_age": "1s"}}}),
        ),
    ])?;
    for (name, seconds) in [("window", 1), ("max_age", 3_600)] {
        let began = Instant::now();
        world.service.says(Answer::over_limit_for(seconds));
        assert_eq!(world.status(name, "a")?, REFUSED);
        world.service.says(Answer::ok());
        wait_for("it passes", DEADLINE, || {
            Ok((world.status(name, "a")? == 200).then_some(()))
        })?;
        assert!(has_waited(began.elapsed(), second), "{name}");
        assert_eq!(world.service.calls(), 2, "{name}");
    }
    Ok(())
}

#[test]
fn what_need_not_hold_is_not_remembered() -> Result<()> {
    let world = World::new([
        chain(
            "off",
            &json!({"rate_limit_service": {"deny_cache": {"max_age": "0s"}}}),
        ),
        chain("on", &json!({})),
    ])?;
    let over = Answer::over_limit;
    for (name, answer, status) in [
        ("off", Answer::over_limit_for(3_600), REFUSED),
        // Nobody knows until when.
        ("on", over(), REFUSED),
        ("on", over().status(Status::over(5, HOUR)), REFUSED),
        ("on", Answer::over_limit_for(0), REFUSED),
        ("on", Answer::over_limit_for(-5), REFUSED),
        (
            "on",
            over()
                .status(Status::over(5, MINUTE).reset(60, 0))
                .status(Status::over(5, HOUR)),
            REFUSED,
        ),
        // What passed may pass again.
        (
            "on",
            Answer::ok().status(Status::within(5, HOUR, 0).reset(60, 0)),
            200,
        ),
    ] {
        world.service.says(answer.clone());
        for _ in 0..3 {
            assert_eq!(world.status(name, "a")?, status, "{answer:?}");
        }
        assert_eq!(world.service.calls(), 3, "{name}: {answer:?}");
    }
    Ok(())
}
