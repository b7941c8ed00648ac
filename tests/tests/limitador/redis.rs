//! It counts in Redis.

use anyhow::Result;
use legation_tests::limitador::{Limitador, Redis};
use legation_tests::trials::Test;
use legation_tests::{DEADLINE, wait_for, wasm_filter};
use serde_json::json;

use crate::{FILTER, Gateway, NO_ANSWER, REFUSED, asking, closed, flood, limit};

pub(crate) const TESTS: &[Test] = &[
    (
        "redis::a_limitador_that_is_started_again_has_kept_its_counts",
        a_limitador_that_is_started_again_has_kept_its_counts,
    ),
    (
        "redis::two_of_them_before_one_redis_share_their_counts",
        two_of_them_before_one_redis_share_their_counts,
    ),
    (
        "redis::while_redis_is_down_the_configuration_decides",
        while_redis_is_down_the_configuration_decides,
    ),
];

/// The first status of a client that comes of an answer.
fn first_answer(gateway: &Gateway, client: &str) -> Result<u16> {
    wait_for("an answer of limitador", DEADLINE, || {
        let status = gateway.status("closed", client)?;
        Ok((status != NO_ANSWER).then_some(status))
    })
}

fn a_limitador_that_is_started_again_has_kept_its_counts() -> Result<()> {
    let redis = Redis::start()?;
    let mut limitador = Limitador::start(&limit(5), Some(&redis))?;
    let gateway = Gateway::start(limitador.address())?;
    for _ in 0..3 {
        assert_eq!(gateway.status("closed", "a")?, 200);
    }
    limitador.kill();
    assert_eq!(gateway.status("closed", "a")?, NO_ANSWER);
    assert_eq!(gateway.status("open", "a")?, 200);

    limitador.start_again()?;
    // Of five, three were taken before, and none while nobody counted.
    assert_eq!(first_answer(&gateway, "a")?, 200);
    for status in [200, REFUSED, REFUSED] {
        let response = gateway.send("closed", "a")?;
        assert_eq!(response.status, status, "{response}");
        let left = response.headers.text("x-ratelimit-remaining");
        assert_eq!(left.as_deref(), Some("0"));
    }
    assert_eq!(gateway.status("closed", "b")?, 200);
    Ok(())
}

fn two_of_them_before_one_redis_share_their_counts() -> Result<()> {
    let redis = Redis::start()?;
    let limitadors = [
        Limitador::start(&limit(20), Some(&redis))?,
        Limitador::start(&limit(20), Some(&redis))?,
    ];
    assert_ne!(limitadors[0].address(), limitadors[1].address());
    let gateways = [
        Gateway::start(limitadors[0].address())?,
        Gateway::start(limitadors[1].address())?,
    ];
    for turn in 0..24 {
        let status = if turn < 20 { 200 } else { REFUSED };
        assert_eq!(gateways[turn % 2].status("closed", "a")?, status);
    }
    flood(&gateways, "b", 20)
}

fn while_redis_is_down_the_configuration_decides() -> Result<()> {
    let mut redis = Redis::start()?;
    let mut limitador = Limitador::start(&limit(2), Some(&redis))?;
    let hasty = asking("hasty", &json!({"timeout": "0.1s"}));
    let closed = asking("closed", &closed());
    let gateway = Gateway::with(
        limitador.address(),
        &[
            ("hasty", wasm_filter(FILTER, hasty)),
            ("closed", wasm_filter(FILTER, closed)),
        ],
    )?;
    for status in [200, 200, REFUSED] {
        assert_eq!(gateway.status("closed", "a")?, status);
    }
    redis.kill();
    // limitador says that it cannot tell, and then says nothing while it looks for a Redis.
    assert_eq!(gateway.status("closed", "a")?, NO_ANSWER);
    for _ in 0..3 {
        assert_eq!(gateway.status("hasty", "a")?, 200);
    }

    redis.start_again()?;
    // By itself it may look for it again after two minutes only.
    limitador.start_again()?;
    for status in [200, 200, REFUSED] {
        assert_eq!(first_answer(&gateway, "a")?, status);
    }
    Ok(())
}
