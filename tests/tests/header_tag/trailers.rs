//! The module `header-tag-trailers`.

use anyhow::Result;
use legation_tests::{Config, Envoy, Exchange, Reply, Request, Stage};
use serde_json::{Value, json};

use super::{shared, tags, with};

const TRAILERS: &str = "header-tag-trailers";

/// With trailers let through in HTTP/1.1 too.
fn config(configuration: Value) -> Result<Config> {
    Ok(Config::with_filter(TRAILERS, configuration)?.http1_trailers())
}

/// No request was refused for a failure of the filter, and none took its VM along.
fn assert_unharmed(stage: &Stage) -> Result<()> {
    let admin = stage.admin();
    assert_eq!(admin.stat("wasm.header-tag-trailers.vm_reload")?, Some(0));
    super::assert_no_errors(stage)
}

fn changes() -> Value {
    json!({"rules": [
        {
            "when": {"path": {"template": "/calls/{id}"}},
            "request": {"set": {"x-own": "made"}},
            "request_trailers": {
                "remove": "x-t-gone",
                "rename": {"x-t-old": "x-t-new"},
                "set": {"x-t-sum": "%REQUEST_TRAILER(x-t-sum):3% %REQ(x-own)% %CAPTURE(id)%"},
                "append": {"x-t-more": "2"},
                "add_if_absent": {"x-t-absent": "%ATTRIBUTE(request.url_path)%"},
            },
            "response": {"set": {"x-seen": "headers"}},
            "response_trailers": {
                "remove_on_match": {"prefix": "x-t-internal-"},
                "rename": {"x-t-old": "x-t-new"},
                "set": {"x-t-sum": "%TRAILER(x-t-sum)% %RESP(x-in)% %RESP(x-seen)% %REQ(x-own)%"},
                "append": {"x-t-more": "%RESPONSE_CODE%"},
                "add_if_absent": {"x-t-absent": "%ATTRIBUTE(request.method)%"},
            },
        },
        {"request_trailers": {"set": {"x-t-z": "all"}}, "response_trailers": {"set": {"x-t-z": "all"}}},
    ]})
}

/// A request and an answer with trailers, and what became of them.
fn call(stage: &Stage, send: impl Fn(&Stage, Request) -> Result<Exchange>) -> Result<()> {
    let reply = || {
        let reply = Reply::ok().header("x-in", "in").body("answer");
        let reply = reply.trailer("x-t-sum", "7").trailer("x-t-old", "o");
        let reply = reply.trailer("x-t-more", "1").trailer("x-t-absent", "no");
        reply.trailer("x-t-internal-a", "secret")
    };
    let request = |path: &str| {
        let request = Request::post(path, "question").header("te", "trailers");
        let request = request.trailer("x-t-gone", "1").trailer("x-t-old", "a");
        let request = request.trailer("x-t-old", "b").trailer("x-t-sum", "12345");
        request.trailer("x-t-more", "1")
    };
    stage.upstream().enqueue(reply());
    stage.upstream().enqueue(reply());

    let changed = send(stage, request("/calls/7"))?;
    let other = send(stage, request("/other"))?;

    assert_eq!(changed.arrived()?.body, b"question");
    assert_eq!(
        sorted(&changed.arrived()?.trailers),
        [
            "x-t-absent: /calls/7",
            "x-t-more: 1",
            "x-t-more: 2",
            "x-t-new: a",
            "x-t-new: b",
            "x-t-sum: 123 made 7",
            "x-t-z: all",
        ]
    );
    assert_eq!(changed.response.text(), "answer");
    assert_eq!(
        sorted(&changed.response.trailers),
        [
            "x-t-absent: no",
            "x-t-more: 1",
            "x-t-more: 200",
            "x-t-new: o",
            "x-t-sum: 7 in headers made",
            "x-t-z: all",
        ]
    );
    let arrived = sorted(&other.arrived()?.trailers);
    assert!(arrived.contains(&"x-t-gone: 1".to_owned()), "{arrived:?}");
    assert!(arrived.contains(&"x-t-z: all".to_owned()), "{arrived:?}");
    let answered = sorted(&other.response.trailers);
    assert!(
        answered.contains(&"x-t-internal-a: secret".to_owned()),
        "{answered:?}"
    );
    assert!(answered.contains(&"x-t-sum: 7".to_owned()), "{answered:?}");
    assert_unharmed(stage)
}

fn sorted(trailers: &legation_tests::Headers) -> Vec<String> {
    let mut tags = tags(trailers);
    tags.sort();
    tags
}

#[test]
fn trailers_of_chunked_messages_are_changed() -> Result<()> {
    call(&shared(config(changes())?)?, Stage::exchange)
}

#[test]
fn trailers_of_http2_are_changed() -> Result<()> {
    let stage = shared(config(changes())?.http2_upstream("upstream"))?;
    call(&stage, Stage::exchange_http2)
}

#[test]
fn a_message_without_trailers_gets_none() -> Result<()> {
    let stage = shared(config(changes())?)?;
    stage.upstream().enqueue(Reply::ok().body("answer"));
    stage.upstream().enqueue(Reply::status(204));
    for _ in 0..2 {
        let exchange = stage.exchange(Request::post("/calls/7", "question"))?;
        assert!(exchange.arrived()?.trailers.is_empty());
        assert!(exchange.response.trailers.is_empty());
        assert!(tags(&exchange.response.headers).is_empty());
    }
    assert_unharmed(&stage)
}

/// A gRPC answer, with a body or none.
fn grpc(message: Option<&str>, status: &str) -> Reply {
    let reply = Reply::ok().header("content-type", "application/grpc");
    match message {
        Some(message) => {
            let reply = reply.body(message).trailer("grpc-status", status);
            reply.trailer("grpc-message", "inside")
        }
        None => {
            let reply = reply.header("grpc-status", status);
            reply.header("grpc-message", "inside")
        }
    }
}

#[test]
fn a_grpc_answers_trailers_are_changed_also_where_they_are_its_headers_and_keep_a_status()
-> Result<()> {
    let config = config(json!({"rules": [
        {"response_trailers": {
            "remove": "grpc-message",
            "remove_on_match": {"regex": ".*"},
            "regex_rewrite": {"grpc-status": {"pattern": "^5$", "substitution": "7"}},
            "set": {"x-t-status": "%TRAILER(grpc-status)% %RESP(x-in)%"},
        }},
        {
            "when": {"path": "/unavailable"},
            "response_trailers": {"overwrite_if_exists": {"grpc-status": "14"}},
        },
        {
            "when": {"path": "/nonsense"},
            "response_trailers": {
                "overwrite_if_exists": {"grpc-status": "%REQ(x-none)%"},
                "set": {"x-t-second": "1"},
            },
        },
        {
            "when": {"path": "/digits"},
            "response_trailers": {
                "regex_rewrite": {"grpc-status": {"pattern": "(.)", "substitution": "\\1\\1"}},
            },
        },
    ]}))?;
    let stage = shared(config.http2_upstream("upstream"))?;
    for (path, status, arrives) in [
        ("/", "0", "0"),
        ("/", "5", "7"),
        ("/", "15", "15"),
        ("/unavailable", "2", "14"),
        ("/nonsense", "13", "13"),
        // 55 and 1122 are no statuses.
        ("/digits", "9", "9"),
        ("/digits", "12", "12"),
    ] {
        for message in [Some("message"), None] {
            let reply = grpc(message, status).header("x-in", "in");
            stage.upstream().enqueue(reply);
            let request = Request::post(path, "question")
                .header("content-type", "application/grpc")
                .header("te", "trailers");
            let response = stage.exchange_http2(request)?.response;

            let case = format!("{path} {status} {message:?}");
            let (last, first) = match message {
                Some(_) => (&response.trailers, &response.headers),
                None => (&response.headers, &response.trailers),
            };
            assert_eq!(response.status, 200, "{case}");
            assert_eq!(response.text(), message.unwrap_or_default(), "{case}");
            assert_eq!(last.all("grpc-status"), [arrives.as_bytes()], "{case}");
            assert!(!last.contains("grpc-message"), "{case}");
            let seen = last.text("x-t-status");
            assert_eq!(seen, Some(format!("{status} in")), "{case}");
            assert_eq!(last.contains("x-t-second"), path == "/nonsense", "{case}");
            assert!(!first.contains("grpc-status"), "{case}");
            assert!(!first.contains("x-t-status"), "{case}");
            let kind = response.headers.text("content-type");
            assert_eq!(kind.as_deref(), Some("application/grpc"), "{case}");
        }
    }
    assert_unharmed(&stage)
}

#[test]
fn the_other_modules_refuse_trailers_and_name_this_one() -> Result<()> {
    let trailers = json!({"rules": [
        {"request_trailers": {"remove": "x-a"}},
        {"request": {"remove": "x-a"}, "response_trailers": {"remove": "x-a"}},
    ]});
    for config in [
        with(&trailers)?,
        Config::with_filter("header-tag-request", trailers.clone())?,
    ] {
        let refused = Envoy::start(&config).expect_err("trailers");
        let errors = refused.module_errors();
        assert_eq!(errors.len(), 2, "{errors:#?}");
        for field in ["rules[0].request_trailers", "rules[1].response_trailers"] {
            let line = format!(
                "{field}: this module changes no trailers; load header-tag-trailers.wasm in its place"
            );
            let found = errors.iter().any(|error| error.contains(&line));
            assert!(found, "no `{line}` in {errors:#?}");
        }
    }
    Ok(())
}
