//! A host that answers anything at all: the filter never panics, and lets no
//! request through that it could not tag.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use header_tag::HeaderTag;
use legation_testing::{Answer, Call, Callback, Host, Outcome, Request, Response};
use serde_json::{Value, json};

/// Cases for each configuration; there are five.
const CASES: u64 = 25_000;
/// After so many a host is given up, with what it has noted of its calls.
const CASES_A_HOST: u64 = 500;

fn configurations() -> [Value; 5] {
    [
        json!({"rules": [{"request": {"set": {"x-tag": "1"}}}]}),
        json!({
            "strip": ["x-tag", "x-1"],
            "rules": [
                {
                    "name": "all",
                    "when": {
                        "path": [{"template": "/a/{b}/**"}, {"regex": "/.*"}],
                        "headers": [{"name": "x-2", "range": {"start": 1, "end": 5}}],
                        "query": [{"name": "q", "contains": "a"}],
                        "cookies": [{"name": "c", "present": true}]
                    },
                    "request": {
                        "remove": "x-3",
                        "rename": {"x-4": "x-5", "x-6": "x-7"},
                        "set": {"x-8": ["%REQ(x-8)%", "%COOKIE(c)%", "%PATH()%"]},
                        "overwrite_if_exists": {"x-9": "%QUERY_PARAM(q)%"},
                        "add_if_absent": {"x-10": "%ATTRIBUTE(source.address)%"},
                        "append": {"x-11": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%"}
                    }
                },
                {"when": {"not": {"source_ip": "10.0.0.0/8"}}, "disabled": true},
                {"when": {"percentage": 50}, "request": {"set": {"x-tag": "2"}}}
            ]
        }),
        json!({"apply": "first_match", "rules": [
            {
                "when": {"host": "*.test", "method": ["GET", "POST"]},
                "request": {"keep_empty_value": true, "set": {"x-tag": "%REQ(x-none)%"}},
                "response": {
                    "when_status": ["2xx", 404],
                    "rename": {"x-4": "x-5"},
                    "set": {"x-8": "%REQ(x-8)%%RESP(x-8)%%RESPONSE_CODE%"},
                    "append": {"x-9": "%ATTRIBUTE(request.url_path)%"}
                }
            },
            {"response": {"set": {"x-tag": "%RESP(x-1?x-2)%"}}}
        ]}),
        json!({"mode": "report", "rules": [
            {"name": "a", "when": {"path": {"prefix": "/"}}, "request": {"set": {"x-tag": "1"}}}
        ]}),
        json!({"rules": vec![json!({"response": {"add_if_absent": {"x-tag": "1"}}}); 130]}),
    ]
}

fn bytes(rng: &mut Rng, longest: usize) -> Vec<u8> {
    let length = rng.usize(..=longest);
    let hostile = b"\0\r\n\xff%,;= /?#:\t";
    let byte = |_| match rng.u8(..4) {
        0 => hostile[rng.usize(..hostile.len())],
        1 => rng.u8(..),
        _ => rng.alphanumeric() as u8,
    };
    (0..length).map(byte).collect()
}

/// A header map in the ABI's form, with names that the rules ask for.
fn map(rng: &mut Rng) -> Vec<u8> {
    let pairs: Vec<_> = (0..rng.usize(..40))
        .map(|_| {
            let name = match rng.u8(..8) {
                0 => b":path".to_vec(),
                1 => b"cookie".to_vec(),
                2 => b":authority".to_vec(),
                3 => bytes(rng, 10),
                _ => format!("x-{}", rng.u8(..12)).into_bytes(),
            };
            (name, bytes(rng, 40))
        })
        .collect();
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut map = word(pairs.len()).to_vec();
    for (name, value) in &pairs {
        map.extend(word(name.len()));
        map.extend(word(value.len()));
    }
    for (name, value) in &pairs {
        map.extend_from_slice(name);
        map.push(0);
        map.extend_from_slice(value);
        map.push(0);
    }
    if rng.u8(..4) == 0 && !map.is_empty() {
        let at = rng.usize(..map.len());
        map[at] = rng.u8(..);
    }
    map
}

fn answer(rng: &mut Rng, call: &Call<'_>) -> Answer {
    let status = |rng: &mut Rng| match rng.u8(..4) {
        0 => rng.u32(..),
        _ => rng.u32(..16),
    };
    match rng.u8(..16) {
        0 => Answer::Status(status(rng)),
        1 => Answer::RealBut(status(rng)),
        2 if matches!(call, Call::Map { .. }) => Answer::Bytes(bytes(rng, 200)),
        2..=4 if matches!(call, Call::Map { .. }) => Answer::Bytes(map(rng)),
        2 => Answer::Bytes(bytes(rng, 60)),
        3 => Answer::CutTo(rng.usize(..100)),
        4 => Answer::Null,
        5 => Answer::NullOfSize(rng.usize(..1 << 20)),
        6 => Answer::BlockOfNothing,
        7 => Answer::Number(rng.u64(..)),
        _ => Answer::Real,
    }
}

fn request(rng: &mut Rng) -> Request {
    // What an HTTP codec lets through: the host's own answers are worse.
    let value = |rng: &mut Rng| -> Vec<u8> {
        let bytes = bytes(rng, 30).into_iter();
        bytes
            .filter(|byte| *byte >= 0x20 && *byte != 0x7f)
            .collect()
    };
    let path = format!(
        "/{}/{}?q={}",
        rng.alphanumeric(),
        rng.u8(..),
        rng.alphanumeric()
    );
    let headers: Vec<_> = (0..rng.usize(..12))
        .map(|_| (format!("x-{}", rng.u8(..12)), value(rng)))
        .collect();
    let cookie = value(rng);
    Request::get(&path)
        .headers(headers)
        .header("cookie", cookie)
}

/// Runs a case, and says which it was if it panics.
fn case(seed: u64, run: impl FnOnce(&mut Rng)) {
    let mut rng = Rng::with_seed(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut rng)));
    assert!(
        outcome.is_ok(),
        "the case with the seed {seed} panicked; the panic is above"
    );
}

#[test]
fn no_answer_of_the_host_makes_it_panic_or_let_a_failure_pass() {
    for (number, configuration) in (0_u64..).zip(configurations()) {
        let (mut failures, mut answered) = (0, 0);
        for seed in 0..CASES / CASES_A_HOST {
            let host = Host::<HeaderTag>::configure(configuration.clone()).unwrap();
            for nth in 0..CASES_A_HOST {
                let seed = number << 32 | seed << 16 | nth;
                case(seed, |rng| {
                    let mut chaos = rng.fork();
                    host.answer_by(move |call| answer(&mut chaos, call));
                    let request = request(rng);
                    let response = Response::new(*rng.choice(&[200, 404, 503]).unwrap());
                    let response = response.header("x-8", bytes(rng, 5)).header("x-4", "1");
                    let exchange = host.exchange(request).upstream(response);
                    if rng.u8(..50) == 0 {
                        host.tick();
                    }
                    if exchange.failures.is_empty() {
                        answered += 1;
                    } else {
                        failures += 1;
                        assert_ne!(
                            exchange.outcome,
                            Outcome::Answered,
                            "{:?}",
                            exchange.failures
                        );
                    }
                });
            }
            assert!(host.streams() <= CASES_A_HOST as usize);
        }
        // Chaos that never fails, or always, would show nothing.
        assert!(
            failures > CASES / 100,
            "configuration {number}: {failures} failures"
        );
        assert!(
            answered > CASES / 100,
            "configuration {number}: {answered} answers"
        );
    }
}

#[test]
fn no_order_of_callbacks_makes_it_panic() {
    for (number, configuration) in (0_u64..).zip(configurations()) {
        case(number, |rng| {
            let host = Host::<HeaderTag>::configure(configuration).unwrap();
            for _ in 0..5_000 {
                let id = rng.u32(..6);
                let end = rng.bool();
                let other = rng.u32(..4);
                match rng.u8(..9) {
                    0 => host.raw(id, Callback::ContextCreate, |it| {
                        it.on_context_create(id, other)
                    }),
                    1 => {
                        host.raw(id, Callback::Configure, |it| it.on_configure(id, 1_000));
                    }
                    2 => host.raw(id, Callback::Tick, |it| it.on_tick(id)),
                    3 | 4 => {
                        host.raw(id, Callback::RequestHeaders, |it| {
                            it.on_request_headers(id, end)
                        });
                    }
                    5 => {
                        host.raw(id, Callback::ResponseHeaders, |it| {
                            it.on_response_headers(id, end)
                        });
                    }
                    6 => {
                        host.raw(id, Callback::RequestBody, |it| {
                            it.on_request_body(id, 10, end)
                        });
                    }
                    7 => host.raw(id, Callback::Log, |it| it.on_log(id)),
                    _ => host.raw(id, Callback::Delete, |it| it.on_delete(id)),
                }
            }
        });
    }
}

#[test]
fn no_answer_while_it_is_configured_makes_it_panic() {
    let configurations = configurations();
    for seed in 0..2_000 {
        case(seed, |rng| {
            let host = Host::<HeaderTag>::new();
            let mut chaos = rng.fork();
            host.answer_by(move |call| answer(&mut chaos, call));
            // Loaded or refused: both are well.
            let _ = host.load(rng.choice(&configurations).unwrap().clone());
        });
    }
}

#[test]
fn no_bytes_make_the_configuration_panic() {
    let whole = configurations().map(|configuration| configuration.to_string().into_bytes());
    for seed in 0..5_000 {
        case(seed, |rng| {
            let mut text = rng.choice(&whole).unwrap().clone();
            for _ in 0..rng.usize(1..6) {
                let at = rng.usize(..text.len());
                match rng.u8(..4) {
                    0 => text[at] = rng.u8(..),
                    1 => text[at] = *rng.choice(b"{}[]\",:%0").unwrap(),
                    2 => text.truncate(at.max(1)),
                    _ => {
                        text.remove(at);
                        text.push(b'}');
                    }
                }
            }
            let _ = Host::<HeaderTag>::configure(text);
        });
    }
}

#[test]
fn a_request_that_could_not_be_tagged_is_refused() {
    for (configuration, call) in [
        (
            json!({"request": {"set": {"x-tag": "1"}}}),
            "proxy_replace_header_map_value",
        ),
        (
            json!({"request": {"append": {"x-tag": "1"}}}),
            "proxy_add_header_map_value",
        ),
        (
            json!({"request": {"remove": "x-tag"}}),
            "proxy_remove_header_map_value",
        ),
        (
            json!({"request": {"set": {"x-tag": "%REQ(x-a)%"}}}),
            "proxy_get_header_map_pairs",
        ),
        (
            json!({"request": {"set": {"x-tag": "%PROTOCOL%"}}}),
            "proxy_get_property",
        ),
        (
            json!({"request": {"add_if_absent": {"x-tag": "1"}}}),
            "proxy_get_header_map_value",
        ),
        (
            json!({"when": {"method": "GET"}, "request": {"set": {"x-tag": "1"}}}),
            "proxy_get_header_map_pairs",
        ),
        (
            json!({"response": {"set": {"x-tag": "%REQ(x-a)%"}}}),
            "proxy_get_header_map_pairs",
        ),
    ] {
        for status in [2, 10, 12, 99, u32::MAX] {
            let host = Host::<HeaderTag>::configure(json!({"rules": [configuration]})).unwrap();
            host.answer_nth(call, 1, Answer::Status(status));

            let refused = host.exchange(Request::get("/")).run();
            let next = host.exchange(Request::get("/")).run();

            let case = format!("{configuration} {call} {status}");
            assert_eq!(refused.outcome, Outcome::Replied, "{case}");
            assert_eq!(refused.status(), 500, "{case}");
            assert!(refused.upstream.is_none(), "{case}");
            assert_eq!(refused.counted("header_tag.errors"), 1, "{case}");
            assert_eq!(next.outcome, Outcome::Answered, "{case}");
        }
    }
}

#[test]
fn a_response_that_could_not_be_changed_is_refused() {
    let configuration = json!({"rules": [{"response": {"remove": "x-secret"}}]});
    let host = Host::<HeaderTag>::configure(configuration).unwrap();
    host.answer_nth("proxy_remove_header_map_value", 1, Answer::Status(10));
    let response = || Response::ok().header("x-secret", "1");

    let refused = host.exchange(Request::get("/")).upstream(response());
    let next = host.exchange(Request::get("/")).upstream(response());

    assert_eq!(refused.outcome, Outcome::Replied);
    assert_eq!(refused.response().header("x-secret"), None);
    assert_eq!(
        (next.status(), next.response().header("x-secret")),
        (200, None)
    );
}
