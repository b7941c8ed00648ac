//! Each way in which a callout comes to nothing.

use anyhow::Result;

use super::World;

#[test]
fn a_cluster_that_there_is_not_is_not_sent_to() -> Result<()> {
    let outcome = World::shared().outcome("http nowhere /hello")?;
    assert!(outcome.starts_with("NotSent("), "{outcome}");
    assert!(outcome.contains("bad argument"), "{outcome}");
    Ok(())
}

#[test]
fn a_cluster_without_servers_is_not_sent_to() -> Result<()> {
    let world = World::shared();
    let outcome = world.outcome("http empty /hello")?;
    assert!(outcome.starts_with("NotSent("), "{outcome}");
    assert!(outcome.contains("internal failure"), "{outcome}");
    // Nor does it come to anything later.
    assert_eq!(world.outcome("http other /hello")?, "200 hello");
    Ok(())
}

#[test]
fn what_cannot_be_said_in_http_is_invalid() -> Result<()> {
    let world = World::new()?;
    for step in [
        "line-break other",
        "header other host elsewhere",
        "header other Content-Length 5",
        "header other transfer-encoding chunked",
        "header other :path /other",
        "header other b\u{e4}d 1",
        "http other hello",
    ] {
        let outcome = world.outcome(step)?;
        assert!(outcome.starts_with("Invalid("), "{step}: {outcome}");
    }
    assert_eq!(world.other.count(), 0);
    Ok(())
}

#[test]
fn an_answer_that_does_not_begin_in_time_times_out() -> Result<()> {
    let world = World::shared();
    for cluster in ["other", "other-http2"] {
        assert_eq!(
            world.outcome(&format!("http {cluster} /hang 100"))?,
            "Timeout"
        );
    }
    Ok(())
}

#[test]
fn an_answer_that_does_not_end_in_time_times_out() -> Result<()> {
    let world = World::shared();
    for cluster in ["other", "other-http2"] {
        assert_eq!(
            world.outcome(&format!("http {cluster} /stuck 100"))?,
            "Timeout"
        );
    }
    Ok(())
}

#[test]
fn a_connection_that_closes_before_the_answer_is_a_reset() -> Result<()> {
    let world = World::shared();
    let outcome = world.outcome("http other /reset")?;
    assert_eq!(outcome, r#"Reset("connection termination")"#);
    let outcome = world.outcome("http other-http2 /reset")?;
    assert_eq!(outcome, r#"Reset("remote reset")"#);
    Ok(())
}

#[test]
fn a_connection_that_is_refused_is_a_reset() -> Result<()> {
    let outcome = World::shared().outcome("http refused /hello")?;
    assert!(
        outcome.starts_with(r#"Reset("remote connection failure"#),
        "{outcome}"
    );
    Ok(())
}

#[test]
fn an_answer_that_breaks_off_shows_nothing() -> Result<()> {
    let world = World::shared();
    for cluster in ["other", "other-http2"] {
        assert_eq!(
            world.outcome(&format!("http {cluster} /broken"))?,
            "NoHeaders"
        );
    }
    Ok(())
}

#[test]
fn an_answer_that_is_larger_than_was_asked_for_is_not_taken() -> Result<()> {
    let world = World::shared();
    assert_eq!(world.outcome("atmost other /large/300 300")?, "200 300");
    assert_eq!(
        world.outcome("atmost other /large/301 300")?,
        "TooLarge { size: 301, limit: 300 }"
    );
    // 1 MiB where nothing was asked for.
    assert_eq!(
        world.outcome("http other /large/1048577")?,
        "TooLarge { size: 1048577, limit: 1048576 }"
    );
    Ok(())
}

#[test]
fn an_answer_that_is_larger_than_envoy_takes_shows_nothing() -> Result<()> {
    let outcome = World::shared().outcome("atmost other /large/34000000 50000000")?;
    assert_eq!(outcome, "NoHeaders");
    Ok(())
}

#[test]
fn what_the_other_side_says_itself_is_an_answer() -> Result<()> {
    let world = World::shared();
    // The words that Envoy would say.
    for (path, outcome) in [
        (
            "504/upstream_request_timeout",
            "504 upstream request timeout",
        ),
        ("503/no_healthy_upstream", "503 no healthy upstream"),
        ("500/oh", "500 oh"),
    ] {
        assert_eq!(
            world.outcome(&format!("http other /status/{path}"))?,
            outcome
        );
    }
    Ok(())
}
