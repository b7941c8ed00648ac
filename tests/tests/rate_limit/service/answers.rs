//! What comes of its answers.

use anyhow::Result;
use legation_tests::{Client, Response};
use serde_json::{Value, json};

use super::rls::{Answer, HOUR, MINUTE, MONTH, Status};
use super::{REFUSED, World, chain, grpc_of, of};

fn text(response: &Response, name: &str) -> Option<String> {
    response.headers.text(name)
}

/// Which of these headers it has, in order.
fn headers<'a>(response: &Response, names: &[&'a str]) -> Vec<(&'a str, String)> {
    let one = |name: &&'a str| Some((*name, text(response, name)?));
    names.iter().filter_map(one).collect()
}

#[test]
fn a_request_within_its_limits_passes_with_what_the_service_adds() -> Result<()> {
    let world = World::new([chain("ok", &json!({}))])?;
    world.service.says(
        Answer::ok()
            .for_request("X-Plan", "gold")
            .for_request("x-client", "known")
            .for_response("X-Left", "many")
            .for_response("x-left", "and more")
            .body("of no use"),
    );

    let exchange = world.send("ok", of("a"))?;

    assert_eq!(exchange.response.status, 200);
    assert_eq!(exchange.response.body, b"");
    let left = exchange.response.headers.all("x-left");
    assert_eq!(left, [&b"many"[..], b"and more"]);
    assert!(!exchange.response.headers.contains("x-envoy-ratelimited"));
    let arrived = exchange.arrived()?;
    assert_eq!(arrived.headers.get("x-plan"), Some(&b"gold"[..]));
    assert_eq!(arrived.headers.all("x-client"), [&b"a"[..], b"known"]);
    world.wait_for_count("ok", "ratelimit.ok", 1)
}

#[test]
fn a_request_beyond_them_is_refused_as_the_service_says() -> Result<()> {
    let world = World::new([
        chain("over", &json!({})),
        chain(
            "quiet",
            &json!({
                "rate_limit_service": {"disable_x_envoy_ratelimited_header": true},
                "status": {"code": 503},
                "enable_retry_after_header": false,
                "response_headers_to_add": [
                    {"header": {"key": "x-who", "value": "%REQ(x-client)%"}},
                    {"header": {"key": "x-left", "value": "0"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
                ],
            }),
        ),
    ])?;
    world.service.says(
        Answer::over_limit_for(30)
            .for_request("x-plan", "gold")
            .for_response("x-left", "none")
            .for_response("content-type", "application/json")
            .body(r#"{"error":"too many"}"#),
    );

    let exchange = world.send("over", of("a"))?;
    assert_eq!(exchange.received, None);
    let response = exchange.response;
    assert_eq!(
        (response.status, response.text().as_str()),
        (REFUSED, r#"{"error":"too many"}"#)
    );
    let names = [
        "content-type",
        "retry-after",
        "x-envoy-ratelimited",
        "x-left",
        "x-plan",
    ];
    assert_eq!(
        headers(&response, &names),
        [
            ("content-type", "application/json".to_owned()),
            ("retry-after", "30".to_owned()),
            ("x-envoy-ratelimited", "true".to_owned()),
            ("x-left", "none".to_owned()),
        ]
    );

    let response = world.send("quiet", of("a"))?.response;
    assert_eq!(response.status, 503);
    let names = ["retry-after", "x-envoy-ratelimited", "x-left", "x-who"];
    assert_eq!(
        headers(&response, &names),
        [("x-left", "0".to_owned()), ("x-who", "a".to_owned())]
    );
    world.wait_for_count("over", "ratelimit.over_limit", 1)
}

#[test]
fn a_refusal_without_a_body_has_none() -> Result<()> {
    let world = World::new([chain("empty", &json!({}))])?;
    world.service.says(Answer::over_limit());
    let response = world.send("empty", of("a"))?.response;
    assert_eq!(
        (response.status, response.body.as_slice()),
        (REFUSED, &b""[..])
    );
    let names = ["content-type", "retry-after"];
    assert_eq!(headers(&response, &names), []);
    Ok(())
}

#[test]
fn grpc_clients_get_a_status_of_theirs() -> Result<()> {
    let world = World::new([
        chain("unavailable", &json!({})),
        chain(
            "exhausted",
            &json!({"rate_limited_as_resource_exhausted": true}),
        ),
    ])?;
    let over = Answer::over_limit().for_response("content-type", "text/html");
    world
        .service
        .says(over.for_response("x-left", "none").body("zu viel"));
    for (name, status) in [("unavailable", "14"), ("exhausted", "8")] {
        let client = Client::http2(world.address(name)?);
        let exchange = world.send_by(&client, grpc_of("a"))?;
        assert_eq!(exchange.received, None);
        let response = exchange.response;
        assert_eq!((response.status, response.body.as_slice()), (200, &b""[..]));
        let names = ["content-type", "grpc-message", "grpc-status", "x-left"];
        assert_eq!(
            headers(&response, &names),
            [
                ("content-type", "application/grpc".to_owned()),
                ("grpc-message", "zu viel".to_owned()),
                ("grpc-status", status.to_owned()),
                ("x-left", "none".to_owned()),
            ]
        );
    }
    Ok(())
}

/// What tells of limits.
const TOLD: [&str; 6] = [
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "ratelimit-policy",
    "ratelimit",
    "retry-after",
];

fn announcing(more: Value) -> Value {
    let mut configuration = json!({
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "enable_ratelimit_headers": "DRAFT_VERSION_10",
    });
    super::merge(&mut configuration, &more);
    configuration
}

#[test]
fn clients_are_told_of_the_limit_that_leaves_them_the_least() -> Result<()> {
    let world = World::new([chain("told", &announcing(json!({})))])?;
    for (client, (answer, expected)) in [
        (
            Answer::ok()
                .status(Status::within(100, HOUR, 60).reset(1_800, 0).name("hourly"))
                .status(Status::unlimited())
                .status(
                    Status::within(10, MINUTE, 7)
                        .reset(30, 500_000_000)
                        .units(2),
                )
                .status(Status::within(900, MONTH, 7)),
            [
                Some("10, 100;w=3600;name=\"hourly\", 10;w=120"),
                Some("7"),
                Some("30"),
                Some("\"service\";q=10;w=120"),
                Some("\"service\";r=7;t=31"),
                None,
            ],
        ),
        // A month has no length, and nobody knows when it ends.
        (
            Answer::ok().status(Status::within(900, MONTH, 899)),
            [
                Some("900"),
                Some("899"),
                Some("0"),
                None,
                Some("\"service\";r=899"),
                None,
            ],
        ),
        // All of them must let it pass again, and it is told in time.
        (
            Answer::over_limit()
                .status(Status::over(10, MINUTE).reset(30, 0))
                .status(Status::over(100, HOUR).reset(100, 1))
                .status(Status::within(5, HOUR, 1).reset(2_000, 0)),
            [
                Some("10, 10;w=60, 100;w=3600, 5;w=3600"),
                Some("0"),
                Some("30"),
                Some("\"service\";q=10;w=60"),
                Some("\"service\";r=0;t=30"),
                Some("101"),
            ],
        ),
        // The service's own word stands, and no other is added.
        (
            Answer::over_limit_for(30).for_response("retry-after", "3"),
            [
                Some("5, 5;w=60"),
                Some("0"),
                Some("30"),
                Some("\"service\";q=5;w=60"),
                Some("\"service\";r=0;t=30"),
                Some("3"),
            ],
        ),
        (Answer::over_limit(), [None; 6]),
        (Answer::ok().status(Status::unlimited()), [None; 6]),
    ]
    .into_iter()
    .enumerate()
    {
        world.service.says(answer.clone());
        let response = world.send("told", of(&client.to_string()))?.response;
        let told = TOLD.map(|name| text(&response, name));
        assert_eq!(
            told.each_ref().map(Option::as_deref),
            expected,
            "{answer:?}"
        );
        let retry_after = response.headers.all("retry-after").len();
        assert!(retry_after < 2, "{response}");
    }
    Ok(())
}

#[test]
fn a_refusal_tells_of_the_limit_that_refuses() -> Result<()> {
    let bucket = |tokens: u32| {
        announcing(json!({"token_bucket": {"max_tokens": tokens, "fill_interval": "3600s"}}))
    };
    let world = World::new([chain("few", &bucket(2)), chain("last", &bucket(1))])?;
    let remaining = |name: &str, client: &str| -> Result<_> {
        let response = world.send(name, of(client))?.response;
        Ok((response.status, text(&response, "x-ratelimit-remaining")))
    };
    // The limit here leaves less.
    world
        .service
        .says(Answer::ok().status(Status::within(50, HOUR, 5)));
    assert_eq!(remaining("few", "a")?, (200, Some("1".to_owned())));
    let over = Answer::over_limit().status(Status::over(50, HOUR).reset(60, 0));
    world.service.says(over);
    let response = world.send("last", of("a"))?.response;
    assert_eq!(response.status, REFUSED);
    let told = text(&response, "x-ratelimit-limit");
    assert_eq!(told.as_deref(), Some("50, 50;w=3600"));
    Ok(())
}

#[test]
fn what_is_no_header_or_would_break_the_message_is_left_out() -> Result<()> {
    let world = World::new([chain("hostile", &json!({}))])?;
    let names = [
        "",
        ":status",
        ":path",
        "x y",
        "x\r\ny",
        "content-length",
        "transfer-encoding",
        "host",
    ];
    for over_limit in [false, true] {
        let mut answer = match over_limit {
            true => Answer::over_limit().body("beyond"),
            false => Answer::ok(),
        };
        for name in names {
            answer = answer.for_request(name, "1").for_response(name, "1");
        }
        answer = answer
            .for_response("x-cut", "a\r\nb: c")
            .for_request("x-cut", "a\0");
        world.service.says(
            answer
                .for_response("x-good", "1")
                .for_request("x-good", "1"),
        );

        let exchange = world.send("hostile", of("a"))?;

        let response = &exchange.response;
        assert_eq!(text(response, "x-good").as_deref(), Some("1"));
        assert_eq!(text(response, "x-cut"), None);
        if over_limit {
            assert_eq!(
                (response.status, response.text().as_str()),
                (REFUSED, "beyond")
            );
        } else {
            let arrived = exchange.arrived()?;
            assert_eq!((response.status, arrived.path.as_str()), (200, "/"));
            assert_eq!(arrived.authority, "localhost");
            assert_eq!(arrived.headers.get("x-good"), Some(&b"1"[..]));
            assert!(!arrived.headers.contains("x-cut"));
        }
    }
    Ok(())
}

#[test]
fn an_answer_that_says_nothing_lets_a_request_pass() -> Result<()> {
    let closed = json!({"rate_limit_service": {"failure_mode_deny": true}});
    let world = World::new([chain("unknown", &closed)])?;
    for answer in [Answer::code(0), Answer::code(9), Answer::code(-1)] {
        world.service.says(answer.for_request("x-asked", "yes"));
        let exchange = world.send("unknown", of("a"))?;
        let asked = exchange.arrived()?.headers.text("x-asked");
        assert_eq!(asked.as_deref(), Some("yes"));
    }
    assert_eq!(world.service.calls(), 3);
    world.wait_for_count("unknown", "ratelimit.ok", 3)
}

#[test]
fn in_report_mode_nobody_is_refused_and_nothing_is_added() -> Result<()> {
    let world = World::new([chain(
        "report",
        &announcing(json!({
            "mode": "report",
            "request_headers_to_add_when_not_enforced": [{"header": {"key": "x-over", "value": "yes"}}],
            "rate_limit_service": {"failure_mode_deny": true},
        })),
    )])?;
    let added = |answer: Answer| {
        let answer = answer
            .for_request("x-plan", "gold")
            .for_response("x-left", "none");
        answer.status(Status::over(5, MINUTE))
    };
    for answer in [added(Answer::ok()), added(Answer::over_limit())] {
        world.service.says(answer);
        let exchange = world.send("report", of("a"))?;
        let response = &exchange.response;
        assert_eq!(response.status, 200);
        for name in TOLD.iter().chain(&["x-left", "x-envoy-ratelimited"]) {
            assert_eq!(text(response, name), None, "{name}");
        }
        for name in ["x-plan", "x-over"] {
            assert!(!exchange.arrived()?.headers.contains(name), "{name}");
        }
    }
    world
        .service
        .replies(legation_tests::Reply::grpc_status(14, ""));
    world.send("report", of("a"))?.arrived()?;
    assert_eq!(world.service.calls(), 3);
    world.wait_for_count("report", "ratelimit.over_limit", 1)?;
    world.wait_for_count("report", "ratelimit.failure_mode_allowed", 1)
}

#[test]
fn what_is_not_enforced_passes_with_a_mark() -> Result<()> {
    let world = World::new([chain(
        "unenforced",
        &json!({
            "filter_enforced": 0,
            "token_bucket": {"max_tokens": 1, "fill_interval": "3600s"},
            "request_headers_to_add_when_not_enforced": [{"header": {"key": "x-over", "value": "yes"}}],
            "rate_limit_service": {"failure_mode_deny": true},
        }),
    )])?;
    world
        .service
        .says(Answer::over_limit().for_response("x-left", "none"));
    // The second time it is beyond both limits.
    for _ in 0..2 {
        let exchange = world.send("unenforced", of("a"))?;
        assert_eq!(exchange.response.status, 200);
        let names = ["retry-after", "x-envoy-ratelimited", "x-left"];
        assert_eq!(
            headers(&exchange.response, &names),
            [
                ("x-envoy-ratelimited", "true".to_owned()),
                ("x-left", "none".to_owned())
            ]
        );
        assert_eq!(exchange.arrived()?.headers.all("x-over"), [&b"yes"[..]]);
    }
    world
        .service
        .replies(legation_tests::Reply::grpc_status(14, ""));
    world.send("unenforced", of("b"))?.arrived()?;
    assert_eq!(world.service.calls(), 3);
    Ok(())
}
