//! Tries, with an upstream that follows a script.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::pin;

use wasm_bindgen_test::wasm_bindgen_test;

use super::super::executor::{self, Start, block_on, elapsed, poll_once, sleep};
use super::*;
use crate::config::parse;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const METRICS: Metrics = Metrics {
    requests: Counter::disabled(),
    retries: Counter::disabled(),
    not_sent: Counter::disabled(),
    connect: Counter::disabled(),
    reset: Counter::disabled(),
    timeout: Counter::disabled(),
    status: Counter::disabled(),
    answer: Counter::disabled(),
    circuit_open: Counter::disabled(),
};

/// The executor's clock; the longest waits.
struct Scripted;

impl World for Scripted {
    fn now(&self) -> Result<SystemTime, HostError> {
        executor::now().ok_or(HostError::malformed("clock"))
    }

    fn random(&self) -> u64 {
        u64::MAX
    }

    async fn sleep(&self, duration: Duration) -> bool {
        sleep(duration).await;
        true
    }
}

/// What the upstream does with one try.
#[derive(Clone)]
enum Does {
    Answers(u16),
    AnswersAfter(Duration, u16),
    Asks(u16, Duration),
    Fails(CalloutError),
    Hangs,
}

use Does::{Answers, AnswersAfter, Asks, Fails, Hangs};

struct Upstream {
    service: HttpService,
    script: RefCell<VecDeque<Does>>,
    /// When each try began, and the time it had.
    tries: RefCell<Vec<(Duration, Duration)>>,
}

type Answer = (u16, Option<Duration>);

impl Upstream {
    fn new(config: &str, script: &[Does]) -> Self {
        executor::reset(Start::Later);
        let config: HttpServiceConfig = parse(config.as_bytes()).unwrap();
        Self {
            service: HttpService::with(&config, METRICS, Gauge::disabled()),
            script: RefCell::new(script.iter().cloned().collect()),
            tries: RefCell::default(),
        }
    }

    async fn one_try(&self, timeout: Duration) -> Result<Answer, CalloutError> {
        self.tries.borrow_mut().push((elapsed(), timeout));
        let does = self.script.borrow_mut().pop_front();
        match does.expect("a try beyond the script") {
            Answers(status) => Ok((status, None)),
            Asks(status, wait) => Ok((status, Some(wait))),
            AnswersAfter(time, status) if time <= timeout => {
                sleep(time).await;
                Ok((status, None))
            }
            AnswersAfter(..) | Hangs => {
                sleep(timeout).await;
                Err(CalloutError::Timeout)
            }
            Fails(error) => Err(error),
        }
    }

    async fn send_as(&self, repeat: Repeat) -> Result<u16, CalloutError> {
        let send = async |timeout| self.one_try(timeout).await;
        let ended = |result: &Result<Answer, CalloutError>, _: &dyn Fn() -> Option<SystemTime>| {
            match result {
                Ok((status, asked)) => (Ended::with_status(*status), *asked),
                Err(error) => (Ended::with_error(error), None),
            }
        };
        let answer = self.service.0.drive(&Scripted, repeat, send, ended).await;
        answer.map(|(status, _)| status)
    }

    fn send(&self) -> Result<u16, CalloutError> {
        block_on(self.send_as(Repeat::Safe))
    }

    fn tries(&self) -> Vec<(u128, u128)> {
        let tries = self.tries.borrow();
        let tries = tries.iter();
        tries
            .map(|(at, timeout)| (at.as_millis(), timeout.as_millis()))
            .collect()
    }
}

const RETRIES: &str = r#"{
    "cluster": "c", "timeout": "1s",
    "retry_policy": {
        "num_retries": 2, "per_try_timeout": "300ms",
        "retry_on": "5xx",
        "retry_back_off": {"base_interval": "100ms", "max_interval": "400ms"}
    }
}"#;

const BREAKER: &str = r#"{
    "cluster": "c", "timeout": "1s",
    "circuit_breaker": {"consecutive_failures": 2, "cool_down": "5s"}
}"#;

const BOTH: &str = r#"{
    "cluster": "c",
    "retry_policy": {"num_retries": 5, "retry_on": "5xx"},
    "circuit_breaker": {"consecutive_failures": 2, "cool_down": "5s"}
}"#;

fn reset() -> CalloutError {
    CalloutError::Reset("connection termination".to_owned())
}

fn refused() -> CalloutError {
    CalloutError::Reset("remote connection failure".to_owned())
}

#[wasm_bindgen_test(unsupported = test)]
fn one_try_has_the_whole_time() {
    let upstream = Upstream::new(r#"{"cluster": "c", "timeout": "2s"}"#, &[Answers(503)]);

    assert_eq!(upstream.send(), Ok(503));

    assert_eq!(upstream.tries(), [(0, 2_000)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn one_try_has_no_more_than_the_time_of_one() {
    let config = r#"{"cluster": "c", "retry_policy": {"num_retries": 0, "per_try_timeout": "1s"}}"#;
    let upstream = Upstream::new(config, &[Hangs]);

    assert_eq!(upstream.send(), Err(CalloutError::Timeout));

    assert_eq!(upstream.tries(), [(0, 1_000)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn tries_again_until_there_is_an_answer() {
    let upstream = Upstream::new(RETRIES, &[Answers(500), Fails(reset()), Answers(200)]);

    assert_eq!(upstream.send(), Ok(200));

    assert_eq!(upstream.tries(), [(0, 300), (100, 300), (300, 300)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn gives_the_last_answer_when_there_are_no_more_tries() {
    let script = [Fails(refused()), Answers(502), Answers(503)];
    let upstream = Upstream::new(RETRIES, &script);

    assert_eq!(upstream.send(), Ok(503));
    assert_eq!(upstream.tries().len(), 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_named_is_not_tried_again() {
    for does in [
        Answers(200),
        Answers(404),
        Fails(CalloutError::TooLarge { size: 2, limit: 1 }),
        Fails(CalloutError::Gone),
    ] {
        let upstream = Upstream::new(RETRIES, &[does]);
        let _ = upstream.send();
        assert_eq!(upstream.tries().len(), 1);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn all_tries_together_keep_to_the_timeout() {
    let upstream = Upstream::new(RETRIES, &[Hangs, Hangs, Hangs]);

    assert_eq!(upstream.send(), Err(CalloutError::Timeout));

    // 300 ms, a wait of 100 ms, 300 ms, a wait of 200 ms, and what is left.
    assert_eq!(upstream.tries(), [(0, 300), (400, 300), (900, 100)]);
    assert_eq!(elapsed(), ms(1_000));
}

#[wasm_bindgen_test(unsupported = test)]
fn does_not_wait_for_a_try_that_there_is_no_time_for() {
    let upstream = Upstream::new(
        RETRIES,
        &[
            AnswersAfter(ms(300), 500),
            AnswersAfter(ms(300), 500),
            Asks(503, ms(95)),
        ],
    );
    // 700 ms are gone, 200 ms of wait are due: 100 ms are left for the third.
    assert_eq!(upstream.send(), Ok(503));
    assert_eq!(upstream.tries().len(), 3);

    let late = Upstream::new(RETRIES, &[Asks(503, ms(900))]);
    assert_eq!(late.send(), Ok(503));
    assert_eq!(late.tries().len(), 1, "asked to come back too late");
    assert_eq!(elapsed(), ms(0));
}

#[wasm_bindgen_test(unsupported = test)]
fn waits_as_long_as_the_upstream_asks() {
    let upstream = Upstream::new(RETRIES, &[Asks(503, ms(500)), Answers(200)]);

    assert_eq!(upstream.send(), Ok(200));

    // And the jitter on top of it.
    assert_eq!(upstream.tries(), [(0, 300), (600, 300)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_may_not_be_repeated_is_tried_again_only_where_it_did_not_arrive() {
    let upstream = Upstream::new(RETRIES, &[Fails(refused()), Fails(reset())]);

    let result = block_on(upstream.send_as(Repeat::Unsafe));

    assert_eq!(result, Err(reset()));
    assert_eq!(upstream.tries().len(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_breaker_opens_and_refuses_at_once() {
    let upstream = Upstream::new(BREAKER, &[Answers(500), Hangs, Answers(200)]);
    assert_eq!(upstream.send(), Ok(500));
    assert_eq!(upstream.send(), Err(CalloutError::Timeout));
    assert_eq!(upstream.service.state(), BreakerState::Open);

    assert_eq!(upstream.send(), Err(CalloutError::CircuitOpen));
    assert_eq!(upstream.tries().len(), 2);
    executor::advance(ms(5_000));

    assert_eq!(upstream.send(), Ok(200));
    assert_eq!(upstream.service.state(), BreakerState::Closed);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_retry_that_the_breaker_refuses_leaves_the_last_answer() {
    let upstream = Upstream::new(BOTH, &[Answers(500), Fails(reset())]);

    assert_eq!(upstream.send(), Err(reset()));

    assert_eq!(upstream.tries().len(), 2);
    assert_eq!(upstream.send(), Err(CalloutError::CircuitOpen));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_probe_that_is_given_up_frees_its_place() {
    let upstream = Upstream::new(BREAKER, &[Answers(500), Answers(500), Hangs, Answers(200)]);
    upstream.send().unwrap();
    upstream.send().unwrap();
    executor::advance(ms(5_000));

    {
        let mut probe = pin!(upstream.send_as(Repeat::Safe));
        assert!(poll_once(probe.as_mut()).is_none());
        assert_eq!(upstream.service.state(), BreakerState::HalfOpen);
        assert_eq!(upstream.send(), Err(CalloutError::CircuitOpen));
    }

    assert_eq!(upstream.send(), Ok(200));
    assert_eq!(upstream.service.state(), BreakerState::Closed);
}

#[wasm_bindgen_test(unsupported = test)]
fn answers_of_the_callers_making_do_not_open_the_breaker() {
    let script = [
        Answers(404),
        Answers(429),
        Fails(CalloutError::Gone),
        Answers(401),
    ];
    let upstream = Upstream::new(BREAKER, &script);

    for _ in 0..script.len() {
        let _ = upstream.send();
    }

    assert_eq!(upstream.service.state(), BreakerState::Closed);
}

#[wasm_bindgen_test(unsupported = test)]
fn without_a_clock_nothing_is_sent_that_needs_one() {
    let upstream = Upstream::new(RETRIES, &[]);
    executor::stop_clock();

    assert!(matches!(upstream.send(), Err(CalloutError::NotSent(_))));

    let upstream = Upstream::new(r#"{"cluster": "c"}"#, &[Answers(200)]);
    executor::stop_clock();
    assert_eq!(upstream.send(), Ok(200));
}

#[wasm_bindgen_test(unsupported = test)]
fn refuses_requests_to_other_clusters() {
    let upstream = Upstream::new(r#"{"cluster": "c"}"#, &[]);

    let other = block_on(upstream.service.send(HttpRequest::get("d", "/")));

    assert!(matches!(other, Err(CalloutError::Invalid(text)) if text.contains("`d`")));
}

#[wasm_bindgen_test(unsupported = test)]
fn clusters_have_plain_names_in_statistics() {
    assert_eq!(
        in_statistics("outbound|443||idp-2.example"),
        "outbound_443__idp-2_example"
    );
}
