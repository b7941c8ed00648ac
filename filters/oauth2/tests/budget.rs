//! What a signed-in request costs: host calls and allocations, counted.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use legation_testing::{Callback, Callout, Exchange, Host, Request, Response};
use legation_tests::jwt::{Claims, Key, jwks};
use oauth2::OAuth2;
use serde_json::{Value, json};

legation_testing::count_allocations!();

const MAP: &str = "proxy_get_header_map_pairs";
const SET: &str = "proxy_replace_header_map_value";
const SHARED: &str = "proxy_get_shared_data";

const ISSUER: &str = "https://login.example";

/// A provider, and what is asked of it.
fn host(more: &Value) -> (Host<OAuth2>, Rc<RefCell<String>>) {
    let host = Host::<OAuth2>::new();
    host.set_time(SystemTime::now());
    let key = Key::p256().with_id("a");
    let nonce = Rc::new(RefCell::new(String::new()));
    let jwks = jwks(&[&key]).to_string();
    let asked = Rc::clone(&nonce);
    host.set_cluster("login", move |_| {
        let claims = Claims::of(ISSUER).audience("shop");
        let claims = claims
            .claim("nonce", asked.borrow().as_str())
            .claim("iat", legation_tests::jwt::now());
        let answer = json!({
            "access_token": "a".repeat(800),
            "token_type": "bearer",
            "expires_in": 3600,
            "id_token": claims.signed_by(&key),
        });
        let answer = Response::ok()
            .header("content-type", "application/json")
            .body(answer.to_string());
        Callout::from(answer).after(Duration::from_millis(5))
    });
    let mut configuration = json!({
        "issuer": ISSUER,
        "local_jwks": {"inline_string": jwks},
        "authorization_endpoint": format!("{ISSUER}/authorize"),
        "token_endpoint": {"uri": format!("{ISSUER}/token"), "cluster": "login"},
        "credentials": {
            "client_id": "shop",
            "client_secret": {"inline_string": "a secret"},
            "cookie_secrets": [{"inline_string": "thirty-two bytes of a test secret"}]
        },
        "forward_bearer_token": true,
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}]
    });
    for (name, value) in more.as_object().unwrap() {
        configuration[name] = value.clone();
    }
    host.load(configuration).unwrap();
    (host, nonce)
}

fn cookies(exchange: &Exchange) -> Vec<String> {
    let lines = exchange.response().values("set-cookie").into_iter();
    lines
        .filter(|line| !line.contains("Max-Age=0"))
        .map(|line| line.split(';').next().unwrap().to_owned())
        .collect()
}

/// Signs in, and gives the cookie.
fn sign_in((host, nonce): &(Host<OAuth2>, Rc<RefCell<String>>)) -> String {
    let page = Request::get("/orders")
        .header("accept", "text/html")
        .header("x-forwarded-proto", "https");
    let sent = host.exchange(page).run();
    assert_eq!(sent.status(), 302);
    let location = sent.response().header("location").unwrap();
    let parameter = |name: &str| {
        let text = location.split(&format!("&{name}=")).nth(1).unwrap();
        text.split('&').next().unwrap().to_owned()
    };
    nonce.replace(parameter("nonce"));
    let state = parameter("state");
    let back = Request::get(format!("/callback?code=c&state={state}"))
        .header("cookie", cookies(&sent).join("; "));
    let signed_in = host.exchange(back).run();
    assert_eq!(signed_in.status(), 302, "{:?}", host.log());
    let session = cookies(&signed_in);
    let session = session.iter().find(|line| line.contains("session"));
    session.unwrap().clone()
}

fn request(cookie: &str) -> Request {
    let headers = (0..30).map(|number| (format!("x-{number}"), format!("value {number}")));
    Request::get("/orders")
        .headers(headers)
        .header("cookie", format!("theme=dark; {cookie}"))
}

/// The third with the same session.
fn third(more: &Value) -> Exchange {
    let provider = host(more);
    let cookie = sign_in(&provider);
    let (host, _) = provider;
    for _ in 0..2 {
        assert_eq!(host.exchange(request(&cookie)).run().status(), 200);
    }
    host.exchange(request(&cookie)).run()
}

#[test]
fn a_signed_in_request_is_one_look_at_its_headers_and_a_write_for_each_that_changes() {
    let exchange = third(&json!({}));

    let upstream = exchange.upstream();
    assert_eq!(upstream.header("x-user"), Some("alice"));
    assert_eq!(upstream.header("cookie"), Some("theme=dark"));
    let calls = exchange.calls_in(Callback::RequestHeaders).names();
    // The cookies that are left, the user and the token.
    assert_eq!(calls, [MAP, SET, SET, SET]);
    // And nothing at its response, or at its end.
    assert_eq!(exchange.calls().names(), calls);
}

#[test]
fn back_channel_logout_costs_a_look_at_what_all_workers_know() {
    let exchange = third(&json!({"back_channel_logout": {}}));

    let calls = exchange.calls_in(Callback::RequestHeaders).names();
    assert_eq!(calls, [MAP, SHARED, SET, SET, SET]);
}

#[test]
fn what_needs_no_session_costs_one_look() {
    let (host, _) = host(&json!({"pass_through_matcher": [{"path": {"prefix": "/public/"}}]}));
    for _ in 0..2 {
        host.exchange(Request::get("/public/app.js")).run();
    }

    let exchange = host.exchange(Request::get("/public/app.js")).run();

    assert_eq!(exchange.status(), 200);
    assert_eq!(exchange.calls_in(Callback::RequestHeaders).names(), [MAP]);
}
