//! How many of a burst are let through, with four workers that race.

use anyhow::Result;
use legation_tests::{Config, Stage};
use serde_json::{Value, json};

use super::flood::{Flood, flood};
use super::{FILTER, native};

const BURST: u64 = 50_000;
const LIMIT: u64 = 1_000;
/// An interval of which no part that counts goes by in a test: a token comes back in half a day.
const A_YEAR: &str = "31536000s";

/// So many tokens, of which as many come back evenly over the interval.
fn bucket(fill_interval: &str) -> Value {
    json!({
        "max_tokens": LIMIT,
        "tokens_per_fill": LIMIT,
        "fill_interval": fill_interval
    })
}

fn burst(config: &Config) -> Result<Flood> {
    let stage = Stage::start(&config.clone().concurrency(4).shared())?;
    let flood = flood(stage.envoy().address()?, BURST, |_| String::new())?;
    println!("{flood:?}");
    Ok(flood)
}

/// What may come back while a burst lasts.
fn refill(flood: &Flood, seconds: u32) -> u64 {
    let tokens = flood.took.as_secs_f64() * LIMIT as f64 / f64::from(seconds);
    tokens.ceil() as u64
}

#[test]
fn strict_mode_admits_the_limit_and_what_comes_back() -> Result<()> {
    let config = Config::with_filter(FILTER, json!({"token_bucket": bucket("10s")}))?;
    let flood = burst(&config)?;
    let most = LIMIT + refill(&flood, 10);
    assert!(
        (LIMIT..=most).contains(&flood.admitted),
        "{flood:?}, {most} at most"
    );
    Ok(())
}

#[test]
fn where_nothing_comes_back_it_is_the_limit_exactly() -> Result<()> {
    for limit in [
        json!({"token_bucket": bucket(A_YEAR)}),
        json!({"sliding_window": {"requests": LIMIT, "window": A_YEAR}}),
    ] {
        let config = Config::with_filter(FILTER, limit.clone())?;
        let flood = burst(&config)?;
        assert_eq!(flood.admitted, LIMIT, "{limit}");
    }
    Ok(())
}

#[test]
fn a_lease_admits_no_more_and_little_less() -> Result<()> {
    let size = 10;
    let limit = json!({"token_bucket": bucket(A_YEAR), "lease": {"size": size, "max_age": "60s"}});
    let config = Config::with_filter(FILTER, limit)?;
    let flood = burst(&config)?;
    assert!(flood.admitted <= LIMIT, "{flood:?}");
    assert!(flood.admitted >= LIMIT - 4 * size, "{flood:?}");
    Ok(())
}

#[test]
fn envoys_own_filter_admits_as_many() -> Result<()> {
    let config = Config::plain()?.insert_filter(native(
        &json!({"stat_prefix": "native", "token_bucket": bucket(A_YEAR)}),
    ));
    let flood = burst(&config)?;
    assert_eq!(flood.admitted, LIMIT);
    Ok(())
}
