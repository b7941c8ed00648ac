//! What becomes of requests.

use anyhow::Result;
use legation_tests::{Reply, Request};
use serde_json::json;

use super::{FILTER, assert_unharmed, shared, start, tags, with};

#[test]
fn values_come_from_all_that_envoy_knows_of_a_request() -> Result<()> {
    let stage = shared(
        with(&json!({"rules": [{"request": {"set": {
            "x-t-attribute": "%ATTRIBUTE(request.method)% %ATTRIBUTE(destination.port)%",
            "x-t-address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            "x-t-cookie": "%COOKIE(b)%",
            "x-t-environment": "%ENVIRONMENT(POD)%",
            "x-t-header": "[%REQ(x-in)%] %REQ(:authority)% 100%%",
            "x-t-path": "%PATH(NQ:PATH)%",
            "x-t-protocol": "%PROTOCOL%",
            "x-t-query": "%QUERY_PARAM(q)%"
        }}}]}))?
        .vm_environment(FILTER, "POD", "edge-0"),
    )?;
    let port = stage.envoy().address()?.port();

    let exchange = stage.exchange(
        Request::get("/a/b?q=one%20two&q=three")
            .host("example.com")
            .header("cookie", "a=1; b=2")
            .header("x-in", "text"),
    )?;

    assert_eq!(
        tags(&exchange.arrived()?.headers),
        [
            "x-t-address: 127.0.0.1",
            &format!("x-t-attribute: GET {port}"),
            "x-t-cookie: 2",
            "x-t-environment: edge-0",
            "x-t-header: [text] example.com 100%",
            "x-t-path: /a/b",
            "x-t-protocol: HTTP/1.1",
            "x-t-query: one two",
        ]
    );
    assert_unharmed(&stage)
}

#[test]
fn repeated_headers_stay_several() -> Result<()> {
    let stage = start(&json!({"rules": [{"request": {
        "rename": {"x-t-old": "x-t-new"},
        "set": {"x-t-set": ["a", "b"]},
        "append": {"x-t-more": "3"},
        "remove": ["x-t-gone"]
    }}]}))?;

    let exchange = stage.exchange(Request::get("/").headers([
        ("x-t-gone", "1"),
        ("x-t-old", "1, 2"),
        ("x-t-more", "1"),
        ("x-t-new", "forged"),
        ("x-t-gone", "2"),
        ("x-t-old", "3"),
        ("x-t-set", "forged"),
        ("x-t-more", "2"),
        ("x-t-set", "forged again"),
    ]))?;

    let arrived = &exchange.arrived()?.headers;
    assert_eq!(arrived.all("x-t-new"), [b"1, 2".as_slice(), b"3"]);
    assert_eq!(arrived.all("x-t-set"), [b"a", b"b"]);
    assert_eq!(arrived.all("x-t-more"), [b"1", b"2", b"3"]);
    assert_eq!(tags(arrived).len(), 7);
    Ok(())
}

#[test]
fn http2_requests_are_tagged_alike() -> Result<()> {
    let config = with(&json!({"rules": [{
        "when": {"path": {"prefix": "/package.Service/"}},
        "request": {"set": {"x-t-a": "%PROTOCOL% %REQ(:method)%"}},
        "response": {"set": {"x-t-b": "%REQ(:path)%"}}
    }]}))?;
    let stage = shared(config.http2_upstream("upstream"))?;
    stage.upstream().enqueue(
        Reply::ok()
            .header("content-type", "application/grpc")
            .body("message")
            .trailer("grpc-status", "0"),
    );

    let exchange = stage.exchange_http2(
        Request::post("/package.Service/Method", "question")
            .header("content-type", "application/grpc")
            .header("te", "trailers"),
    )?;

    assert_eq!(tags(&exchange.arrived()?.headers), ["x-t-a: HTTP/2 POST"]);
    let response = &exchange.response;
    assert_eq!(tags(&response.headers), ["x-t-b: /package.Service/Method"]);
    assert_eq!(response.trailers.text("grpc-status").as_deref(), Some("0"));
    Ok(())
}

#[test]
fn the_route_is_chosen_by_the_tag() -> Result<()> {
    let routes = json!({"route_config": {"virtual_hosts": [{
        "name": "everything",
        "domains": ["*"],
        "routes": [
            {
                "match": {"prefix": "/", "headers": [
                    {"name": "x-t-release", "string_match": {"exact": "canary"}}
                ]},
                "direct_response": {"status": 299}
            },
            {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}
        ]
    }]}});
    let config = with(&json!({
        "strip": "x-t-release",
        "rules": [{
            "when": {"cookies": [{"name": "canary", "present": true}]},
            "request": {"set": {"x-t-release": "canary"}}
        }]
    }))?;
    let stage = shared(config.hcm(&routes))?;

    let canary = stage.send(Request::get("/").header("cookie", "canary=1"))?;
    let forged = stage.send(Request::get("/").header("x-t-release", "canary"))?;

    assert_eq!(canary.status, 299);
    assert_eq!(forged.status, 200);
    Ok(())
}

#[test]
fn percentages_take_their_share() -> Result<()> {
    let stage = start(&json!({"rules": [
        {"when": {"percentage": 0}, "request": {"append": {"x-t-p": "0"}}},
        {"when": {"percentage": 10}, "request": {"append": {"x-t-p": "10"}}},
        {"when": {"percentage": 30}, "request": {"append": {"x-t-p": "30"}}},
        {"when": {"percentage": 100}, "request": {"append": {"x-t-p": "100"}}}
    ]}))?;

    // In portions: all at once is more than Envoy's circuit breakers let pass.
    for _ in 0..20 {
        let requests = (0..100).map(|_| Request::get("/")).collect();
        for response in stage.client().send_all(requests) {
            assert_eq!(response?.status, 200);
        }
    }

    let arrived = stage.upstream().requests();
    let count = |percentage: &str| {
        let has = |value: &&[u8]| *value == percentage.as_bytes();
        let tagged = arrived
            .iter()
            .filter(|it| it.headers.all("x-t-p").iter().any(has));
        tagged.count()
    };
    assert_eq!(count("0"), 0);
    assert_eq!(count("100"), 2_000);
    // Six standard deviations: once in 500 million runs it is outside.
    assert!((119..=281).contains(&count("10")), "{}", count("10"));
    assert!((476..=724).contains(&count("30")), "{}", count("30"));
    // One number a request: the smaller share lies in the larger.
    for request in &arrived {
        let values = request.headers.all("x-t-p");
        assert!(
            values.len() == 3 || !values.contains(&b"10".as_slice()),
            "{request}"
        );
    }
    assert_unharmed(&stage)
}
