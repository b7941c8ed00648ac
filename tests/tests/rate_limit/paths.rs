//! Limits that depend on the path, and clients who write it otherwise.

use anyhow::Result;
use legation_tests::{Config, Request, Stage};
use serde_json::{Value, json};

use super::FILTER;

fn a_day(tokens: u32) -> Value {
    json!({"max_tokens": tokens, "fill_interval": "86400s"})
}

/// So many requests of a path a day, counted under a fixed key where the match holds.
fn start(matches: &Value, tokens: u32) -> Result<Stage> {
    let configuration = json!({
        "rate_limits": [
            {"match": matches, "actions": [{"generic_key": {"descriptor_value": "one"}}]},
        ],
        "descriptors": [{"entries": [{"key": "generic_key"}], "token_bucket": a_day(tokens)}],
    });
    let config = Config::with_filter(FILTER, configuration)?;
    Ok(Stage::start(&config.shared())?)
}

fn status(stage: &Stage, path: &str) -> Result<u16> {
    Ok(stage.send(Request::get(path))?.status)
}

#[test]
fn no_spelling_of_a_path_goes_round_its_limit() -> Result<()> {
    let stage = start(&json!({"path": "/login"}), 1)?;
    assert_eq!(status(&stage, "/login")?, 200);
    for path in [
        "/login",
        "/login;x",
        "/login;jsessionid=1?next=/",
        "/%6Cogin",
        "/%256Cogin",
        "/login%3Bx",
        "/static/..;/login",
        "/static/%252e%252e/login",
    ] {
        assert_eq!(status(&stage, path)?, 429, "{path}");
    }
    for path in ["/", "/logins;x", "/static/login;x"] {
        assert_eq!(status(&stage, path)?, 200, "{path}");
    }
    Ok(())
}

#[test]
fn what_is_free_is_so_by_every_reading() -> Result<()> {
    let free = json!({"not": {"path": {"prefix": "/static/"}}});
    let stage = start(&free, 1)?;
    assert_eq!(status(&stage, "/login")?, 200);
    for path in ["/login", "/static/..;/login", "/static/%252e%252e/login"] {
        assert_eq!(status(&stage, path)?, 429, "{path}");
    }
    for path in ["/static/a.css", "/static/a.css;x", "/static/a%20b"] {
        assert_eq!(status(&stage, path)?, 200, "{path}");
    }
    Ok(())
}

#[test]
fn a_part_of_a_path_makes_no_fresh_key_by_how_it_is_written() -> Result<()> {
    let template = json!({"template": "/users/{id}", "capture": "id", "descriptor_key": "user"});
    let configuration = json!({
        "rate_limits": [{"actions": [{"path_template": template}]}],
        "descriptors": [{"entries": [{"key": "user"}], "token_bucket": a_day(2)}],
    });
    let stage = Stage::start(&Config::with_filter(FILTER, configuration)?.shared())?;
    assert_eq!(status(&stage, "/users/7")?, 200);
    assert_eq!(status(&stage, "/users/7;a")?, 200);
    for path in [
        "/users/7;b",
        "/users/%37",
        "/users/%2537",
        "/users/7%3Bc",
        "/users/7",
    ] {
        assert_eq!(status(&stage, path)?, 429, "{path}");
    }
    assert_eq!(status(&stage, "/users/8;b")?, 200);
    Ok(())
}
