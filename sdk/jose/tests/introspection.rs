//! Tokens that an endpoint is asked about, on the mock host.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "what a test needs has to be there, and is small"
)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use deserr::Deserr;
use legation::config::ConfigErrors;
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};
use legation_jose::introspection::{Introspected, Introspection, IntrospectionConfig};
use legation_testing::{Callout, Host, HttpCall, Request, Response};
use serde_json::{Value, json};

/// Answers with what is known of the token in `x-token`.
struct Asking {
    introspection: Introspection,
}

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Config {
    introspection: IntrospectionConfig,
}

#[legation::filter]
impl HttpFilter for Asking {
    const NAME: &'static str = "asking";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let introspection = Introspection::new("p", &config.introspection, host)
            .map_err(|error| ConfigErrors::of_document(error.to_string()))?;
        Ok(Self { introspection })
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let token = request
            .headers()
            .get("x-token")?
            .unwrap_or_default()
            .to_vec();
        let told = match self.introspection.introspect(&token).await {
            Ok(known) => match &*known {
                Introspected::Active(claims) => {
                    format!("active {}", claims.subject().unwrap_or("nobody"))
                }
                Introspected::Inactive => "inactive".to_owned(),
            },
            Err(error) => format!("{}: {error}", error.reason()),
        };
        Ok(LocalReply::new(200).body(told).into())
    }
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type Answer = Box<dyn Fn(&HttpCall) -> Callout>;

struct World {
    host: Host<Asking>,
    answer: Rc<RefCell<Answer>>,
}

fn configuration(more: Value) -> Value {
    let mut introspection = json!({
        "http_uri": { "uri": "https://idp.example/introspect?v=2", "cluster": "idp", "timeout": "2s" },
        "client_id": "the module",
        "client_secret": { "inline_string": "s:e+c%r&t" },
    });
    let more = more.as_object().unwrap().clone();
    let all = introspection.as_object_mut().unwrap();
    all.extend(more);
    all.retain(|_, value| !value.is_null());
    json!({ "introspection": introspection })
}

fn active(sub: &str) -> Response {
    Response::ok().body(json!({ "active": true, "sub": sub }).to_string())
}

fn inactive() -> Response {
    Response::ok().body(r#"{"active": false}"#)
}

impl World {
    fn new(more: Value) -> Self {
        let answer: Answer = Box::new(|_| active("me").into());
        let answer = Rc::new(RefCell::new(answer));
        let host = Host::configure(configuration(more)).unwrap();
        let asked = Rc::clone(&answer);
        host.set_cluster("idp", move |call: &HttpCall| (asked.borrow())(call));
        Self { host, answer }
    }

    fn answers(&self, answer: impl Fn(&HttpCall) -> Callout + 'static) {
        *self.answer.borrow_mut() = Box::new(answer);
    }

    fn says(&self, response: Response) {
        self.answers(move |_| response.clone().into());
    }

    fn ask(&self, token: &str) -> String {
        let request = Request::get("/").header("x-token", token);
        self.host.exchange(request).run().response().text().clone()
    }

    fn asked(&self) -> usize {
        self.host.http_calls().len()
    }

    /// Headers and body of the first question.
    fn question(more: Value) -> (String, String) {
        let world = Self::new(more);
        world.ask("a b+c%/=&");
        let calls = world.host.http_calls();
        let call = calls.first().unwrap();
        let headers = call.headers.iter();
        let headers: Vec<String> = headers
            .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        (
            headers.join("\n"),
            String::from_utf8(call.body.clone()).unwrap(),
        )
    }
}

#[test]
fn the_question_is_a_form_and_says_who_asks() {
    const TOKEN: &str = "token=a+b%2Bc%25%2F%3D%26&token_type_hint=access_token";

    let (headers, body) = World::question(json!({}));
    assert_eq!(body, TOKEN);
    for header in [
        ":method: POST",
        ":path: /introspect?v=2",
        ":authority: idp.example",
        ":scheme: https",
        "content-type: application/x-www-form-urlencoded",
        "accept: application/json",
        // `the+module:s%3Ae%2Bc%25r%26t`: RFC 6749, section 2.3.1.
        "authorization: Basic dGhlK21vZHVsZTpzJTNBZSUyQmMlMjVyJTI2dA==",
    ] {
        assert!(
            headers.lines().any(|line| line == header),
            "{header}: {headers}"
        );
    }

    let (headers, body) = World::question(json!({ "authentication": "client_secret_post" }));
    assert_eq!(
        body,
        format!("{TOKEN}&client_id=the+module&client_secret=s%3Ae%2Bc%25r%26t")
    );
    assert!(!headers.contains("authorization: "));

    let (headers, body) = World::question(json!({
        "authentication": "bearer",
        "client_id": null,
        "client_secret": { "inline_string": "abc.def" },
        "token_type_hint": "refresh_token",
    }));
    assert!(body.ends_with("&token_type_hint=refresh_token"), "{body}");
    assert!(
        headers.contains("authorization: Bearer abc.def"),
        "{headers}"
    );

    let (headers, body) =
        World::question(json!({ "authentication": "none", "client_secret": null }));
    assert_eq!(body, format!("{TOKEN}&client_id=the+module"));
    assert!(!headers.contains("authorization: "));
}

#[test]
fn an_answer_is_kept_for_its_time() {
    let world = World::new(json!({ "cache": { "ttl": "30s", "negative_ttl": "5s" } }));
    for _ in 0..3 {
        assert_eq!(world.ask("one"), "active me");
    }
    assert_eq!(world.asked(), 1);
    world.says(inactive());
    world.host.advance(29 * SECOND);
    assert_eq!(world.ask("one"), "active me");
    world.host.advance(SECOND);
    for _ in 0..3 {
        assert_eq!(world.ask("one"), "inactive");
    }
    assert_eq!(world.asked(), 2);
    world.says(active("you"));
    world.host.advance(5 * SECOND);
    assert_eq!(world.ask("one"), "active you");
    assert_eq!(world.asked(), 3);
    let counted = |name| {
        world
            .host
            .counter(&format!("asking.introspection.{name}.provider=p;"))
    };
    assert_eq!(
        (counted("asked"), counted("active"), counted("inactive")),
        (3, 2, 1)
    );
}

#[test]
fn an_active_token_is_not_kept_beyond_its_expiration() {
    let world = World::new(json!({ "cache": { "ttl": "30s" } }));
    let now = world
        .host
        .time()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    world.says(Response::ok().body(json!({ "active": true, "exp": now + 10 }).to_string()));
    world.ask("one");
    world.host.advance(9 * SECOND);
    world.ask("one");
    assert_eq!(world.asked(), 1);
    world.host.advance(2 * SECOND);
    assert_eq!(
        world.ask("one"),
        "active nobody",
        "whether it has expired is the claims' check"
    );
    assert_eq!(world.ask("one"), "active nobody");
    assert_eq!(world.asked(), 3);
}

#[test]
fn nothing_is_kept_where_nothing_is_to_be() {
    let world = World::new(json!({ "cache": { "size": 0 } }));
    for asked in 1..4 {
        world.ask("one");
        assert_eq!(world.asked(), asked);
    }
    world.says(inactive());
    world.ask("two");
    world.ask("two");
    assert_eq!(world.asked(), 5);
}

#[test]
fn tokens_that_are_made_up_drive_no_good_one_out() {
    let world = World::new(json!({ "cache": { "size": 10 } }));
    world.ask("good");
    world.says(inactive());
    for number in 0..1_000 {
        assert_eq!(world.ask(&format!("bad {number}")), "inactive");
    }
    let asked = world.asked();
    assert_eq!(world.ask("good"), "active me");
    assert_eq!(world.asked(), asked);
}

#[test]
fn one_question_does_for_all_who_wait() {
    let world = World::new(json!({}));
    world.answers(|_| Callout::answer(active("me")).after(100 * MS));
    let mut streams: Vec<_> = (0..50)
        .map(|_| {
            world
                .host
                .stream(Request::get("/").header("x-token", "one"))
        })
        .collect();
    for stream in &mut streams {
        stream.send_request();
    }
    world.host.run_for(200 * MS);
    for stream in streams {
        assert_eq!(stream.end().response().text(), "active me");
    }
    assert_eq!(world.asked(), 1);
}

#[test]
fn only_true_is_active() {
    for (answer, told) in [
        (r#"{"active": "true"}"#, "answer: "),
        (r#"{"active": 1}"#, "answer: "),
        (r#"{"active": null}"#, "answer: "),
        (r#"{"active": [true]}"#, "answer: "),
        (r#"{"sub": "me"}"#, "answer: "),
        (r#"{"active": false, "active": true}"#, "answer: "),
        (r#"{"active": true, "sub": "me", "sub": "you"}"#, "answer: "),
        (r#"{"active": true, "exp": "tomorrow"}"#, "answer: "),
        (r#"{"active": true, "sub": 7}"#, "answer: "),
        (r#"{"active": true} {}"#, "answer: "),
        (r#"[{"active": true}]"#, "answer: "),
        ("true", "answer: "),
        ("", "answer: "),
        ("<html>", "answer: "),
        // A JSON Web Token (RFC 9701).
        (
            "eyJ0eXAiOiJ0b2tlbi1pbnRyb3NwZWN0aW9uK2p3dCJ9.eyJhY3RpdmUiOnRydWV9.c2ln",
            "answer: ",
        ),
        (r#"{"active": false}"#, "inactive"),
        (r#"{"active": true}"#, "active nobody"),
    ] {
        let world = World::new(json!({}));
        world.says(Response::ok().body(answer));
        let said = world.ask("one");
        assert!(said.starts_with(told), "{answer}: {said}");
    }
}

#[test]
fn an_endpoint_that_fails_is_neither_a_yes_nor_a_no() {
    let answer = |response: Response| Callout::from(response);
    for (answer, reason) in [
        (answer(Response::new(500)), "status"),
        (answer(Response::new(204)), "status"),
        (answer(Response::new(302).header("location", "/")), "status"),
        (
            answer(Response::new(201).body(r#"{"active": true}"#)),
            "status",
        ),
        (answer(Response::new(401)), "unauthorized"),
        (answer(Response::new(403)), "unauthorized"),
        (answer(Response::ok().body("x".repeat(100_000))), "answer"),
        (Callout::reset("connection failure"), "reset"),
        (Callout::fail(), "reset"),
        (Callout::refuse(2), "not_sent"),
        (Callout::hang(), "timeout"),
    ] {
        let told = format!("{answer:?}").chars().take(80).collect::<String>();
        let world = World::new(json!({}));
        world.answers(move |_| answer.clone());

        let said = world.ask("one");
        assert!(said.starts_with(&format!("{reason}: ")), "{told}: {said}");
        assert!(
            world.ask("one").starts_with(reason),
            "for a while there is no other question"
        );
        assert_eq!(world.asked(), 1);
        let name = format!("asking.introspection.failures.provider=p;.reason={reason};");
        assert_eq!(world.host.counter(&name), 1, "{told}");

        world.says(active("me"));
        world.host.advance(2 * SECOND);
        assert_eq!(world.ask("one"), "active me");
    }
}

#[test]
fn it_is_asked_again_and_left_alone_as_configured() {
    let world = World::new(json!({
        "retry_policy": { "num_retries": 2, "retry_on": "5xx" },
        "circuit_breaker": { "consecutive_failures": 3, "cool_down": "10s" },
    }));
    world.says(Response::new(503));
    assert!(world.ask("one").starts_with("status: "));
    assert_eq!(world.asked(), 3);
    assert!(world.ask("two").starts_with("circuit_open: "));
    assert_eq!(world.asked(), 3);
}

#[test]
fn what_cannot_be_a_token_is_not_asked_about() {
    let world = World::new(json!({}));
    assert_eq!(world.ask(""), "inactive");
    assert_eq!(world.ask(&"x".repeat(8_193)), "inactive");
    assert_eq!(world.asked(), 0);
    assert_eq!(world.ask(&"x".repeat(8_192)), "active me");
}

#[test]
fn nothing_secret_is_told() {
    let world = World::new(json!({}));
    world.host.set_log_level(0);
    world.answers(|_| Callout::hang());
    world.ask("the-token");
    world.says(Response::ok().body(r#"{"active": true, "sub": ["the-claim"]}"#));
    let said = world.ask("the-token-too");
    let told = format!("{:?} {said}", world.host.log());
    assert!(told.contains("could not be introspected"), "{told}");
    for secret in ["the-token", "s:e+c%r&t", "s%3Ae", "the-claim", "Basic"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
}

#[test]
fn mistakes_are_told() {
    let uri = json!({ "uri": "https://idp.example/", "cluster": "idp" });
    for (more, told) in [
        (json!({ "client_id": null }), "client_id: is required"),
        (
            json!({ "client_secret": null }),
            "client_secret: is required",
        ),
        (
            json!({ "authentication": "none" }),
            "client_secret: is not used",
        ),
        (
            json!({ "authentication": "bearer" }),
            "client_id: is not used",
        ),
        (
            json!({ "authentication": "bearer", "client_id": null, "client_secret": { "inline_string": "a\r\nb" } }),
            "client_secret: is no bearer token",
        ),
        (json!({ "authentication": "basic" }), "authentication: "),
        (json!({ "client_id": "" }), "client_id: has 1 to 1024 bytes"),
        (json!({ "http_uri": null }), "http_uri"),
        (
            json!({ "http_uri": uri, "cache": { "ttl": "2h" } }),
            "cache.ttl: out of range",
        ),
        (
            json!({ "client_secret": { "filename": "/secret" } }),
            "a module cannot read files",
        ),
    ] {
        let refused = Host::<Asking>::configure(configuration(more.clone()));
        let lines = refused.map(|_| ()).unwrap_err().lines;
        assert!(
            lines.iter().any(|line| line.contains(told)),
            "{more}: {lines:?}"
        );
    }
}
