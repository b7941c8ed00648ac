//! What becomes of responses.

use anyhow::Result;
use legation_tests::{Reply, Request};
use serde_json::json;

use super::{FILTER, assert_unharmed, shared, start, tags, with};

#[test]
fn the_rules_that_matched_the_request_change_its_response() -> Result<()> {
    let stage = start(&json!({"rules": [
        {
            "when": {"headers": [{"name": "x-debug", "exact": "1"}]},
            "request": {"set": {"x-t-request": "1"}},
            "response": {
                "set": {
                    "x-t-path": "%REQ(:path)% %ATTRIBUTE(request.method)%",
                    "x-t-own": "%REQ(x-t-request)%",
                    "x-t-upstream": "%RESP(x-in)% %RESPONSE_CODE%"
                },
                "append": {"x-in": "more"}
            }
        },
        {"response": {"set": {"x-t-all": "1"}}}
    ]}))?;
    let reply = || Reply::status(201).header("x-in", "a").header("x-in", "b");
    stage.upstream().enqueue(reply());
    stage.upstream().enqueue(reply());

    let debug = stage.send(Request::get("/p?q").header("x-debug", "1"))?;
    let other = stage.send(Request::get("/p?q"))?;

    assert_eq!(
        tags(&debug.headers),
        [
            "x-t-own: 1",
            "x-t-path: /p?q GET",
            "x-t-upstream: a 201",
            "x-t-all: 1"
        ]
    );
    assert_eq!(debug.headers.all("x-in"), [b"a".as_slice(), b"b", b"more"]);
    assert_eq!(tags(&other.headers), ["x-t-all: 1"]);
    assert_eq!(other.headers.all("x-in"), [b"a", b"b"]);
    assert_unharmed(&stage)
}

#[test]
fn answers_of_envoys_own_are_responses_too() -> Result<()> {
    let stage = start(&json!({"rules": [
        {"response": {"when_status": "5xx", "set": {"x-t-error": "%REQ(:path)%"}}},
        {"response": {"when_status": 200, "set": {"x-t-well": "1"}}}
    ]}))?;
    stage.upstream().enqueue(Reply::reset());

    let broken = stage.send(Request::get("/broken"))?;
    let well = stage.send(Request::get("/well"))?;

    assert_eq!(
        (broken.status, tags(&broken.headers)),
        (503, vec!["x-t-error: /broken".to_owned()])
    );
    assert_eq!(
        (well.status, tags(&well.headers)),
        (200, vec!["x-t-well: 1".to_owned()])
    );
    assert_unharmed(&stage)
}

#[test]
fn an_answer_of_a_filter_in_front_passes_as_it_is() -> Result<()> {
    let deny = json!({
        "name": "deny",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "DENY", "policies": {"admin": {
                "permissions": [{"url_path": {"path": {"prefix": "/admin"}}}],
                "principals": [{"any": true}]
            }}}
        }
    });
    let config = with(&json!({"rules": [{"response": {"set": {"x-t-all": "1"}}}]}))?;
    let stage = shared(config.insert_filter_before(FILTER, deny))?;

    let denied = stage.send(Request::get("/admin"))?;
    let allowed = stage.send(Request::get("/"))?;

    assert_eq!((denied.status, tags(&denied.headers)), (403, vec![]));
    assert_eq!(tags(&allowed.headers), ["x-t-all: 1"]);
    assert_unharmed(&stage)
}
