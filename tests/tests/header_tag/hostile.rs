//! What a client or an upstream should not send.

use anyhow::Result;
use legation_tests::{Reply, Request, Stage};
use serde_json::{Value, json};

use super::{FILTER, assert_unharmed, modules, shared, start, tags, with};

/// Reads, moves and copies whatever a client and an upstream send.
fn everything() -> Value {
    json!({"rules": [
        {
            "when": {"any": [
                {"headers": [{"name": "x-in", "regex": "a.b"}]},
                {"query": [{"name": "q", "present": true}]},
                {"path": {"prefix": "/"}}
            ]},
            "request": {
                "set": {"x-t-copy": "%REQ(x-in)%", "x-t-query": "%QUERY_PARAM(q)%", "x-t-path": "%PATH()%"},
                "rename": {"x-old": "x-new"},
                "add_if_absent": {"x-t-absent": "1"},
                "append": {"x-t-more": "%COOKIE(c)%"}
            },
            "response": {
                "set": {"x-t-copy": "%RESP(x-in)%", "x-t-query": "%QUERY_PARAM(q)%"},
                "rename": {"x-old": "x-new"}
            }
        }
    ]})
}

/// The next requests are answered, by the same VM.
fn assert_still_well(stage: &Stage) -> Result<()> {
    for _ in 0..3 {
        let exchange = stage.exchange(Request::get("/?q=1").header("x-in", "a"))?;
        let arrived = &exchange.arrived()?.headers;
        assert_eq!(arrived.text("x-t-copy").as_deref(), Some("a"));
        assert_eq!(tags(&exchange.response.headers), ["x-t-query: 1"]);
    }
    assert_unharmed(stage)
}

#[test]
fn bytes_that_are_not_text_pass_and_are_copied() -> Result<()> {
    for module in modules()? {
        let stage = shared(with(&everything())?.module(FILTER, &module))?;
        let bytes = b"a\xffb\x80\xfe".as_slice();
        stage
            .upstream()
            .enqueue(Reply::ok().header("x-in", bytes).header("x-old", bytes));

        let exchange = stage.exchange(
            Request::get("/?q=%ff%00%fe")
                .header("x-in", bytes)
                .header("x-old", bytes)
                .header("cookie", b"c=\xff\xff"),
        )?;

        for headers in [&exchange.arrived()?.headers, &exchange.response.headers] {
            assert_eq!(headers.get("x-t-copy"), Some(bytes));
            assert_eq!(headers.get("x-in"), Some(bytes));
            assert_eq!(headers.get("x-new"), Some(bytes));
        }
        let arrived = &exchange.arrived()?.headers;
        assert_eq!(arrived.get("x-t-more"), Some(b"\xff\xff".as_slice()));
        assert_still_well(&stage)?;
    }
    Ok(())
}

#[test]
fn a_thousand_headers_and_one_of_60_kb_pass() -> Result<()> {
    for module in modules()? {
        let config = with(&everything())?.module(FILTER, &module);
        let stage = shared(config.header_limits(3_000, 512))?;
        let many = || {
            let plain = (0..500).map(|number| (format!("x-{number}"), number.to_string()));
            let repeated = (0..500).map(|number| ("x-old".to_owned(), number.to_string()));
            plain.chain(repeated)
        };
        let long = "y".repeat(60 * 1024);
        stage.upstream().enqueue(Reply::ok().headers(many()));
        stage.upstream().enqueue(Reply::ok().header("x-old", &long));

        let exchange = stage.exchange(Request::get("/").headers(many()))?;
        for headers in [&exchange.arrived()?.headers, &exchange.response.headers] {
            assert_eq!(headers.text("x-499").as_deref(), Some("499"));
            let renamed: Vec<_> = (0..500).map(|number| number.to_string()).collect();
            assert_eq!(
                headers.all("x-new"),
                renamed.iter().map(String::as_bytes).collect::<Vec<_>>()
            );
            assert!(!headers.contains("x-old"));
        }

        let exchange = stage.exchange(
            Request::get("/")
                .header("x-in", &long)
                .header("x-old", &long),
        )?;
        let arrived = &exchange.arrived()?.headers;
        assert_eq!(arrived.text("x-new").as_ref(), Some(&long));
        assert_eq!(arrived.text("x-in").as_ref(), Some(&long));
        // What an operator gives is at most 8 KiB.
        assert_eq!(arrived.get("x-t-copy").map(<[u8]>::len), Some(8 * 1024));
        assert_eq!(
            exchange.response.headers.text("x-new").as_ref(),
            Some(&long)
        );
        assert_still_well(&stage)?;
    }
    Ok(())
}

#[test]
fn what_a_client_sends_cannot_break_out_of_its_header() -> Result<()> {
    let stage = start(&everything())?;

    let exchange = stage.exchange(Request::get(
        "/?q=a%0d%0ax-t-evil:%201%0d%0a%0d%0aGET%20/evil%20HTTP/1.1%0d%0a%0d%0a%00",
    ))?;

    let arrived = exchange.arrived()?;
    let value = "a  x-t-evil: 1    GET /evil HTTP/1.1";
    for headers in [&arrived.headers, &exchange.response.headers] {
        assert_eq!(headers.text("x-t-query").as_deref(), Some(value));
        assert!(!headers.contains("x-t-evil"));
    }
    assert_eq!(stage.upstream().count(), 1);
    assert_still_well(&stage)
}

#[test]
fn what_a_client_forges_does_not_survive_where_there_is_no_value() -> Result<()> {
    let stage = start(&json!({
        "strip": ["x-t-tenant"],
        "rules": [{"request": {
            "set": {"x-t-user": "%COOKIE(user)%"},
            "add_if_absent": {"x-t-tenant": "none"}
        }}]
    }))?;

    let exchange = stage.exchange(
        Request::get("/")
            .header("x-t-user", "admin")
            .header("X-T-Tenant", "other")
            .header("x-t-tenant", "another"),
    )?;

    assert_eq!(tags(&exchange.arrived()?.headers), ["x-t-tenant: none"]);
    assert_unharmed(&stage)
}

#[test]
fn a_value_that_would_take_minutes_to_rewrite_comes_out_empty() -> Result<()> {
    let rewrite = |pattern: &str| json!({"pattern": pattern, "substitution": "x"});
    let configuration = json!({"rules": [{"request": {
        "regex_rewrite": {"x-in": rewrite("a(.*b)?"), "x-simple": rewrite("a")},
        "set": {"x-t-made": {"value": "%REQ(x-made)%", "regex_rewrite": rewrite("a(.*b)?"), "default": "none"}},
    }}]});
    let config = with(&configuration)?.header_limits(3_000, 512);
    let stage = Stage::start(&config)?;
    let long = "a".repeat(60 * 1024);

    // In many values it is no quicker than in one.
    let many = std::iter::repeat_n(("x-in".to_owned(), "a".repeat(1_000)), 60);
    for sent in [
        Request::get("/").header("x-in", &long),
        Request::get("/").headers(many),
    ] {
        let exchange = stage.exchange(sent.header("x-made", &long).header("x-simple", &long))?;

        let arrived = &exchange.arrived()?.headers;
        let values = arrived.all("x-in");
        assert!(values.last().is_some_and(|value| value.is_empty()));
        let left: usize = values.iter().map(|value| value.len()).sum();
        assert!(left < 2_000, "{left}");
        assert_eq!(tags(arrived), ["x-t-made: none"]);
        let simple = arrived.text("x-simple").unwrap_or_default();
        assert!(simple == "x".repeat(60 * 1024), "{}", simple.len());
    }
    assert_unharmed(&stage)
}
