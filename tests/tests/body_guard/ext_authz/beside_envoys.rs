//! The same answers of one service, at Envoy's own `ext_authz` and at this filter.
//!
//! Both ask it the same, do the same with a request, and answer the same: status, headers and body. What
//! differs stands at the end.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use legation_tests::{
    ENVOY_VERSION, Exchange, Headers, Reply, Request, envoy_binary, envoy_version,
};
use serde_json::{Value, json};

use super::service::{Answer, How, Question};
use super::{World, of_grpc, over_grpc, over_http};

/// Headers that differ between any two.
const APART: [&str; 5] = [
    "date",
    "x-envoy-upstream-service-time",
    "x-legation-test",
    "x-request-id",
    "x-envoy-expected-rq-timeout-ms",
];

/// Envoy's filter is another one in each of its versions.
fn compares() -> Result<bool> {
    Ok(envoy_version(&envoy_binary()?)? == ENVOY_VERSION)
}

/// The chain of ours, the one of Envoy's own, and what is said of the check in both.
fn beside(variants: &[(&'static str, &'static str, Value)]) -> Result<World> {
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for (name, native, rule) in variants {
        let mut check = rule["request"]["ext_authz"].clone();
        check["@type"] =
            "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz".into();
        check["transport_api_version"] = "V3".into();
        // What ours has per rule, Envoy's has per route.
        ours.push((*name, json!({ "rules": [rule] })));
        others.push((
            *native,
            json!({"name": "envoy.filters.http.ext_authz", "typed_config": check}),
        ));
    }
    World::with(ours, others)
}

fn headers(headers: &Headers) -> String {
    let mut lines: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !APART.contains(name))
        .map(|(name, value)| format!("{name}: {}\n", value.escape_ascii()))
        .collect();
    // The order among different names means nothing, that of equal ones stays.
    lines.sort_by(|a, b| a.split(':').next().cmp(&b.split(':').next()));
    lines.concat()
}

/// What a service was asked, but for what differs between any two requests.
fn asked(question: &Question) -> String {
    let http = question.http();
    let told: Vec<_> = http
        .headers
        .iter()
        .filter(|(name, _)| !APART.contains(&name.as_str()))
        .collect();
    let source = question.attributes().source.clone().unwrap_or_default();
    let address = source.address.and_then(|address| address.socket);
    format!(
        "{} {} {} {} {} {} {:?} {:?}\n{told:?}\n{:?} {}\n",
        http.method,
        http.scheme,
        http.host,
        http.path,
        http.protocol,
        http.size,
        http.body,
        http.raw_body,
        address.map(|socket| socket.address),
        source.principal,
    )
}

/// What came of it, and what the service was asked. Of a refusal for which the service gave no reason its
/// words are not looked at: Envoy's has none, ours are those of all of ours.
fn seen(world: &World, exchange: &Exchange, is_answer: bool) -> String {
    let response = &exchange.response;
    let grpc_status = response.headers.text("grpc-status");
    let mut all = format!("{} {grpc_status:?}\n", response.status);
    if is_answer || exchange.received.is_some() {
        let _ = writeln!(all, "{}", headers(&response.headers));
        let _ = writeln!(all, "{}{}", headers(&response.trailers), response.text());
    }
    match &exchange.received {
        None => all.push_str("refused\n"),
        Some(received) => {
            let _ = writeln!(all, "passes {} {}", received.method, received.path);
            let _ = writeln!(all, "{}{}", headers(&received.headers), received.text());
        }
    }
    for question in world.service.asked() {
        all.push_str(&asked(&question));
    }
    for request in world.web.requests() {
        let _ = writeln!(
            all,
            "{} {} {}",
            request.method, request.authority, request.path
        );
        // Envoy's says so of no body too.
        let told = headers(&request.headers).replace("content-length: 0\n", "");
        let _ = writeln!(all, "{told}{}", request.text());
    }
    all
}

/// One request, answered alike, through both: what differs.
fn difference(
    world: &World,
    chain: &str,
    (what, request): &(&str, Request),
    is_answer: bool,
) -> Result<Option<String>> {
    let send = |chain: &str| {
        let exchange = if *what == "gRPC" {
            world.send_http2(chain, request.clone())?
        } else {
            world.send(chain, request.clone())?
        };
        anyhow::Ok(seen(world, &exchange, is_answer))
    };
    let expected = send(&format!("{chain}_native"))?;
    let got = send(chain)?;
    Ok((expected != got).then(|| format!("-- Envoy's:\n{expected}\n-- ours:\n{got}")))
}

const CHUNKS: &str = "in chunks";
/// What Envoy's puts into a map of texts before it goes over HTTP, and ours sends as it came.
const TWICE: &str = "a header twice";
const NO_TEXT: &str = "what is no text";

fn requests() -> Vec<(&'static str, Request)> {
    let post = || {
        Request::post("/a/b?c=d", "{\"a\": \"\u{fc}\"}")
            .host("shop.example")
            .header("content-type", "application/json")
            .header("authorization", "Bearer t")
    };
    vec![
        ("a POST", post()),
        (
            "one with headers",
            post()
                .header("x-set", "old")
                .header("x-more", "old")
                .header("x-gone", "old"),
        ),
        (TWICE, post().header("x-twice", "1").header("x-twice", "2")),
        ("a GET", Request::get("/?q").header("x-more", "old")),
        (
            NO_TEXT,
            Request::post("/", b"a\xff\xfeb").header("x-l", b"\xfc"),
        ),
        ("an empty one", Request::new("POST", "/")),
        (CHUNKS, Request::new("POST", "/").body("one, ").body("two")),
        ("gRPC", of_grpc()),
    ]
}

/// Those of the answers below that are none.
const FAILURES: [&str; 6] = [
    "it has failed",
    "unavailable",
    "garbage",
    "no message",
    "HTTP 403",
    "a reset",
];

/// What the service answers over gRPC.
fn answers() -> Vec<(&'static str, Reply)> {
    let denied = |status| {
        Answer::denied(status)
            .for_client("x-why", "so", How::Append(false))
            .for_client("set-cookie", "a=1", How::Append(false))
            .for_client("set-cookie", "b=2", How::Append(false))
    };
    vec![
        ("OK", Answer::ok().reply()),
        ("OK without more", Answer::ok().with_ok().reply()),
        (
            "OK without a status",
            Answer::ok().with_ok().with_code(None).reply(),
        ),
        (
            "OK with headers",
            Answer::ok()
                .for_request("x-set", "new", How::Append(false))
                .for_request("x-new", "new", How::Append(false))
                .for_request("x-more", "new", How::Append(true))
                .remove("x-gone")
                .remove("host")
                .remove(":path")
                .reply(),
        ),
        (
            "OK with headers for the client",
            Answer::ok()
                .for_client("x-told", "1", How::Append(true))
                .reply(),
        ),
        (
            "OK with headers that say nothing of it",
            Answer::ok()
                .for_request("x-set", "new", How::Action(0))
                .for_request("x-new", "new", How::Action(0))
                .reply(),
        ),
        ("a code alone", Answer::code(7).reply()),
        ("another code", Answer::code(16).reply()),
        ("denied", denied(401).body("no\nü").reply()),
        ("denied by 200", denied(200).body("a page").reply()),
        (
            "denied by 302",
            denied(302)
                .for_client("location", "/l", How::Append(false))
                .reply(),
        ),
        (
            "denied with JSON",
            denied(403)
                .for_client("content-type", "application/json", How::Append(false))
                .body("{}")
                .reply(),
        ),
        ("denied without a status", denied(0).reply()),
        ("it has failed", Answer::error(0).reply()),
        ("unavailable", Reply::grpc_status(14, "down")),
        ("garbage", Reply::grpc(b"\xff\xff")),
        ("no message", Reply::grpc_status(0, "")),
        ("HTTP 403", Reply::status(403)),
        ("a reset", Reply::reset()),
    ]
}

#[test]
fn envoys_own_filter_does_the_same_with_every_answer() -> Result<()> {
    if !compares()? {
        return Ok(());
    }
    let packed = json!({"request": {"ext_authz": {
        "with_request_body": {"pack_as_bytes": true, "allow_partial_message": true, "max_request_bytes": 5},
        "status_on_error": {"code": 503},
    }}});
    let chosen = json!({"request": {"ext_authz": {
        "allowed_headers": {"patterns": [{"prefix": "x-"}, {"exact": "content-type"}]},
        "disallowed_headers": {"patterns": [{"exact": "x-more"}]},
        "failure_mode_allow": true,
    }}});
    let world = beside(&[
        ("plain", "plain_native", over_grpc(&json!({}))),
        ("packed", "packed_native", over_grpc(&packed)),
        ("chosen", "chosen_native", over_grpc(&chosen)),
    ])?;
    let mut wrong = String::new();
    let mut compared = 0;
    for chain in ["plain", "packed", "chosen"] {
        // Envoy's asks as soon as so much is here, and cannot say that there is more.
        let is_alike = |(what, _): &(&str, Request)| !(chain == "packed" && *what == CHUNKS);
        for request in requests().into_iter().filter(is_alike) {
            for (answer, reply) in answers() {
                world.service.replies(reply);
                compared += 1;
                let is_answer = !FAILURES.contains(&answer);
                if let Some(difference) = difference(&world, chain, &request, is_answer)? {
                    writeln!(wrong, "== {chain}, {}, {answer}\n{difference}", request.0)?;
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    assert!(compared > 400, "{compared}");
    Ok(())
}

#[test]
fn it_does_the_same_over_http() -> Result<()> {
    if !compares()? {
        return Ok(());
    }
    let pattern = |name: &str| json!({"patterns": [{"exact": name}]});
    let full = json!({"request": {"ext_authz": {
        "http_service": {
            "path_prefix": "/check",
            "authorization_request": {"headers_to_add": [{"key": "x-api-key", "value": "s3cret"}]},
            "authorization_response": {
                "allowed_upstream_headers": pattern("x-set"),
                "allowed_upstream_headers_to_append": pattern("x-more"),
                "allowed_client_headers": pattern("x-why"),
                "allowed_client_headers_on_success": pattern("x-told"),
            },
        },
        "allowed_headers": {"patterns": [{"prefix": "x-"}, {"exact": "content-type"}]},
        "status_on_error": {"code": 503},
    }}});
    let world = beside(&[
        ("bare", "bare_native", over_http(&json!({}))),
        ("full", "full_native", over_http(&full)),
    ])?;
    let all = |reply: Reply| {
        reply
            .header("x-set", "new")
            .header("x-more", "new")
            .header("x-why", "so")
            .header("x-told", "yes")
            .header("x-envoy-auth-headers-to-remove", "x-gone")
            .header("content-type", "text/html")
            .body("a page")
    };
    let replies: Vec<_> = [200, 201, 302, 401, 403, 404, 429, 500, 503]
        .iter()
        .map(|status| (status.to_string(), all(Reply::status(*status))))
        .chain([("a reset".to_owned(), Reply::reset())])
        .collect();
    let mut wrong = String::new();
    for chain in ["bare", "full"] {
        let of_text = |(what, _): &(&str, Request)| ![TWICE, NO_TEXT].contains(what);
        for request in requests().into_iter().filter(of_text) {
            for (answer, reply) in &replies {
                world.web.replies(reply.clone());
                let is_answer = answer.parse::<u16>().is_ok_and(|status| status < 500);
                if let Some(difference) = difference(&world, chain, &request, is_answer)? {
                    writeln!(wrong, "== {chain}, {}, {answer}\n{difference}", request.0)?;
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// Where ours differs, on purpose: what Envoy's does, and what ours does.
#[test]
fn what_differs_is_known() -> Result<()> {
    if !compares()? {
        return Ok(());
    }
    let world = beside(&[("plain", "plain_native", over_grpc(&json!({})))])?;
    let page = "x".repeat(300_000);
    let cookies = Answer::denied(401).for_client("set-cookie", "a=1", How::Append(true));
    for chain in ["plain_native", "plain"] {
        world.service.says(&cookies);
        let response = world.send(chain, Request::post("/", "a"))?.response;
        // Envoy's leaves out what is to be added to a refusal.
        let has_cookie = response.headers.contains("set-cookie");
        assert_eq!(has_cookie, chain == "plain", "{response}");
    }
    let actions = Answer::ok()
        .for_request("x-here", "new", How::Action(1))
        .for_request("x-never", "new", How::Action(3));
    for (chain, here, never) in [("plain_native", "new", true), ("plain", "old", false)] {
        world.service.says(&actions);
        let exchange = world.send(chain, Request::post("/", "a").header("x-here", "old"))?;
        // Envoy's does not know of actions, and overwrites.
        let arrived = &exchange.arrived()?.headers;
        assert_eq!(arrived.text("x-here").as_deref(), Some(here));
        assert_eq!(arrived.contains("x-never"), never);
    }
    for (what, reply, envoys, ours) in [
        ("the empty message", Reply::grpc(b""), 200, 403),
        (
            "OK that is denied too",
            Answer::denied(401).with_code(Some(0)).reply(),
            200,
            401,
        ),
        (
            "another path",
            Answer::ok()
                .for_request(":path", "/admin", How::Append(false))
                .reply(),
            200,
            403,
        ),
        (
            "another host",
            Answer::ok()
                .for_request("host", "elsewhere", How::Append(false))
                .reply(),
            200,
            403,
        ),
        (
            "another query",
            Answer::ok().query("admin", "true").reply(),
            200,
            403,
        ),
        (
            "a refusal of 300 kB",
            Answer::denied(401).body(&page).reply(),
            401,
            403,
        ),
    ] {
        for (chain, status) in [("plain_native", envoys), ("plain", ours)] {
            world.service.replies(reply.clone());
            let response = world.send(chain, Request::post("/", "a"))?.response;
            assert_eq!(response.status, status, "{chain}: {what}");
        }
    }
    Ok(())
}
