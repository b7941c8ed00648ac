//! The client on the mock host, with a provider that a test plays.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use legation::config::ConfigErrors;
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};
use legation_jose::signing::SigningKey;
use legation_testing::{Callout, Host, HttpCall, Refused, Request, Response, sign};
use serde_json::{Value, json};

use super::id_token::tests::changed;
use super::*;
use crate::config::provider::tests::document;

const KEY: &str = include_str!("../../../../tests/keys/p256-a.test-key.pem");
/// The same key, as the provider publishes it.
const JWK: &str = r#"{"kty": "EC", "crv": "P-256", "kid": "e", "x": "qD-v4cBnOuISpONZUoobnyqQLCixoeJGE_APgAFh3R8", "y": "Shzj3FDVTgSJN5uc18K0Cy24jRID-PzVqkgyLGnR5X8"}"#;
const NOW: u64 = 1_800_000_000;

/// Does what the path says, and answers with what came of it.
struct Asking {
    client: Client,
    key: SigningKey,
}

#[legation::filter]
impl HttpFilter for Asking {
    const NAME: &'static str = "asking";
    type Config = ProviderConfig;
    type Stream = ();

    fn configure(config: ProviderConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self {
            client: Client::new(&config, host)?,
            key: SigningKey::from_pem(KEY.as_bytes()).unwrap(),
        })
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let mut text = |name| {
            let value = request.headers().get(name)?.unwrap_or_default();
            Ok::<_, legation::Error>(String::from_utf8_lossy(value).into_owned())
        };
        let (path, given) = (text(":path")?, text("x-given")?);
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let client = &self.client;
        let told = |error: ClientError| format!("{}: {error}", error.reason());
        let not = |error: IdTokenError| format!("{}: {error}", error.reason());
        let sign_in = SignIn {
            redirect_uri: "https://app.example/callback",
            state: "s",
            nonce: "n",
            challenge: "c",
        };
        let expected = Expected {
            nonce: Some("n"),
            ..Expected::default()
        };
        let answer = match path.as_str() {
            "/sign" => {
                let claims: Value = serde_json::from_str(&given).unwrap();
                let claims = claims.as_object().unwrap();
                Ok(self.key.sign(Some("e"), "JWT", claims)?)
            }
            "/now" => Ok(client.endpoints_now().is_some().to_string()),
            "/endpoints" => {
                let endpoints = client.endpoints().await;
                endpoints.map(|all| all.token.to_text()).map_err(told)
            }
            "/exchange" => {
                let tokens = client.exchange("c+d", sign_in.redirect_uri, "v").await;
                tokens
                    .map(|tokens| tokens.access_token.into())
                    .map_err(told)
            }
            "/refresh" => {
                let tokens = client.refresh("r&f=%").await;
                tokens
                    .map(|tokens| tokens.access_token.into())
                    .map_err(told)
            }
            "/userinfo" => {
                let claims = client.userinfo("at", Some("ann")).await;
                claims
                    .map(|claims| Value::from(claims).to_string())
                    .map_err(told)
            }
            "/sign-in" => client.sign_in_url(&sign_in).await.map_err(told),
            "/sign-out" => {
                let url = client.sign_out_url(&SignOut {
                    id_token_hint: Some("i.d.t"),
                    post_logout_redirect_uri: Some("https://app.example/?a=1"),
                    state: None,
                });
                Ok(url.unwrap_or_default())
            }
            "/verify" => {
                let claims = client.verify_id_token(&given, &expected, now).await;
                let subject = |claims: Claims| claims.subject().unwrap_or_default().to_owned();
                claims.map(subject).map_err(not)
            }
            "/signed" => {
                let token = Token::parse(given.as_bytes(), &id_token::LIMITS).unwrap();
                let signed = client.verify(&token).await;
                signed.map(|()| "yes".to_owned()).map_err(not)
            }
            "/logout" => {
                let token = client.verify_logout_token(&given, now).await;
                token.map(|token| token.jti.into()).map_err(not)
            }
            other => panic!("{other}"),
        };
        let answer = answer.unwrap_or_else(|error| error);
        Ok(LocalReply::new(200).body(answer).into())
    }
}

type Answers = Rc<RefCell<Box<dyn Fn(&HttpCall) -> Callout>>>;

struct World {
    host: Host<Asking>,
    answers: Answers,
}

fn keys(id: &str) -> Callout {
    let mut key: Value = serde_json::from_str(JWK).unwrap();
    key["kid"] = id.into();
    Response::ok()
        .body(json!({"keys": [key]}).to_string())
        .into()
}

fn json(status: u16, body: &Value) -> Callout {
    let response = Response::new(status).header("content-type", "application/json");
    response.body(body.to_string()).into()
}

/// A provider that does well.
fn provider(call: &HttpCall) -> Callout {
    let at = |path: &str| format!("https://idp.example{path}");
    match call.path() {
        "/.well-known/openid-configuration" => json(
            200,
            &json!({
                "issuer": "https://idp.example",
                "jwks_uri": at("/keys"),
                "authorization_endpoint": at("/auth?t=1"),
                "token_endpoint": at("/token"),
                "userinfo_endpoint": at("/me"),
                "pushed_authorization_request_endpoint": at("/par"),
                "end_session_endpoint": at("/out")
            }),
        ),
        "/keys" => keys("e"),
        "/token" => json(
            200,
            &json!({"access_token": "at", "token_type": "Bearer", "id_token": "i.d.t"}),
        ),
        "/me" => json(200, &json!({"sub": "ann"})),
        "/par" => json(201, &json!({"request_uri": "urn:r:1", "expires_in": 60})),
        other => panic!("{other}"),
    }
}

impl World {
    fn load(
        changes: Value,
        answers: impl Fn(&HttpCall) -> Callout + 'static,
    ) -> std::result::Result<Self, Refused> {
        let host = Host::<Asking>::new();
        host.set_time(UNIX_EPOCH + Duration::from_secs(NOW));
        host.set_foreign_function("sign", sign);
        let answers: Answers = Rc::new(RefCell::new(Box::new(answers)));
        for cluster in ["idp", "tokens"] {
            let answers = Rc::clone(&answers);
            host.set_cluster(cluster, move |call: &HttpCall| (answers.borrow())(call));
        }
        host.load(document(changes))?;
        Ok(Self { host, answers })
    }

    /// One whose provider is known.
    fn ready(changes: Value) -> Self {
        let world = Self::load(changes, provider).unwrap();
        assert_eq!(world.ask("/endpoints"), "https://idp.example/token");
        world
    }

    fn ask(&self, path: &str) -> String {
        self.ask_with(path, "")
    }

    fn ask_with(&self, path: &str, given: &str) -> String {
        let request = Request::get(path).header("x-given", given);
        self.host.exchange(request).run().response().text().clone()
    }

    /// From here on, this path is answered so.
    fn answer(&self, path: &'static str, answer: impl Fn() -> Callout + 'static) {
        *self.answers.borrow_mut() = Box::new(move |call: &HttpCall| {
            if call.path() == path {
                answer()
            } else {
                provider(call)
            }
        });
    }

    /// What was asked of this path.
    fn calls(&self, path: &str) -> Vec<HttpCall> {
        let mut calls = self.host.http_calls();
        calls.retain(|call| call.path() == path);
        calls
    }

    /// The fields of the one form that this path was sent.
    fn form(&self, path: &str) -> Vec<(String, String)> {
        let calls = self.calls(path);
        assert_eq!(calls.len(), 1);
        let parsed = form_urlencoded::parse(&calls[0].body);
        parsed.into_owned().collect()
    }

    fn token(&self, changes: &Value) -> String {
        let claims = json!({
            "iss": "https://idp.example", "aud": "app", "sub": "ann",
            "iat": NOW, "exp": NOW + 300, "nonce": "n"
        });
        self.ask_with("/sign", &changed(&claims, changes).to_string())
    }
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    of.iter().map(own).collect()
}

#[test]
fn a_request_that_comes_before_the_metadata_waits_for_it() {
    let world = World::load(json!({}), |call| {
        provider(call).after(Duration::from_millis(300))
    })
    .unwrap();

    assert_eq!(world.ask("/now"), "false");
    assert_eq!(world.ask("/endpoints"), "https://idp.example/token");
    assert_eq!(world.ask("/now"), "true");
    assert_eq!(world.host.http_calls().len(), 2);
}

#[test]
fn without_metadata_there_is_no_provider() {
    let discovery = json!({"openid_configuration": {"first_fetch_timeout": "1s"}});
    let world = World::load(discovery, |_| Response::new(500).into()).unwrap();
    for path in ["/endpoints", "/exchange", "/sign-in"] {
        assert_eq!(
            world.ask(path),
            "not_ready: the provider's metadata is not there"
        );
    }
    assert_eq!(world.ask("/sign-out"), "");
}

#[test]
fn another_worker_has_the_metadata_from_the_first() {
    let world = World::ready(json!({}));
    let fetched = world.host.http_calls().len();

    // A new configuration begins with what is there.
    world.host.load(document(json!({}))).unwrap();

    assert_eq!(world.ask("/now"), "true");
    assert_eq!(world.host.http_calls().len(), fetched);
}

#[test]
fn a_code_is_exchanged_with_the_secret_in_the_body() {
    let world = World::ready(json!({"resources": ["https://api.example"]}));

    assert_eq!(world.ask("/exchange"), "at");

    let call = &world.calls("/token")[0];
    let header = |name| call.headers.text(name);
    assert_eq!(header(":authority"), Some("idp.example"));
    assert_eq!(
        header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(header("authorization"), None);
    assert_eq!(
        world.form("/token"),
        pairs(&[
            ("grant_type", "authorization_code"),
            ("code", "c+d"),
            ("redirect_uri", "https://app.example/callback"),
            ("code_verifier", "v"),
            ("resource", "https://api.example"),
            ("client_id", "app"),
            ("client_secret", "s:e+c%r&t"),
        ])
    );
}

#[test]
fn by_basic_auth_a_refresh_token_and_the_secret_are_encoded_each_for_itself() {
    let world =
        World::ready(json!({"auth_type": "BASIC_AUTH", "credentials": {"client_id": "a:b"}}));

    assert_eq!(world.ask("/refresh"), "at");

    // `a%3Ab:s%3Ae%2Bc%25r%26t`
    let authorization = world.calls("/token")[0]
        .headers
        .text("authorization")
        .map(str::to_owned);
    assert_eq!(
        authorization.as_deref(),
        Some("Basic YSUzQWI6cyUzQWUlMkJjJTI1ciUyNnQ=")
    );
    assert_eq!(
        world.form("/token"),
        pairs(&[("grant_type", "refresh_token"), ("refresh_token", "r&f=%")])
    );
}

#[test]
fn a_public_client_says_its_name_alone() {
    let world = World::ready(json!({"auth_type": "NONE", "credentials": {"client_secret": null}}));
    world.ask("/refresh");
    let form = world.form("/token");
    assert_eq!(
        form.last().unwrap(),
        &("client_id".to_owned(), "app".to_owned())
    );
    assert!(form.iter().all(|(name, _)| name != "client_secret"));
}

fn with_key(more: &Value) -> Value {
    let mut credentials = json!({"client_secret": null, "private_key": {"inline_string": KEY}});
    credentials
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"auth_type": "PRIVATE_KEY_JWT", "credentials": credentials})
}

#[test]
fn by_a_private_key_each_request_has_an_assertion_of_its_own() {
    for (more, audience) in [
        (json!({"private_key_id": "e"}), "https://idp.example"),
        (
            json!({"private_key_id": "e", "assertion_audience": "https://idp.example/token"}),
            "https://idp.example/token",
        ),
    ] {
        let world = World::ready(with_key(&more));
        let mut ids = Vec::new();
        for _ in 0..2 {
            world.ask("/exchange");
        }
        for call in world.calls("/token") {
            let form: Vec<_> = form_urlencoded::parse(&call.body).into_owned().collect();
            let field = |name: &str| {
                form.iter()
                    .find(|(field, _)| field == name)
                    .unwrap()
                    .1
                    .clone()
            };
            assert_eq!(
                field("client_assertion_type").as_bytes(),
                b"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            );
            let assertion = field("client_assertion");
            let token = Token::parse(assertion.as_bytes(), &id_token::LIMITS).unwrap();
            assert_eq!(token.key_id(), Some("e"));
            let claims = token.claims();
            assert_eq!(
                (claims.issuer(), claims.subject()),
                (Some("app"), Some("app"))
            );
            assert_eq!(claims.audiences().collect::<Vec<_>>(), [audience]);
            let now = claims
                .issued_at()
                .unwrap()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs();
            assert!(now.abs_diff(NOW) < 10);
            assert_eq!(
                claims
                    .expires_at()
                    .unwrap()
                    .duration_since(claims.issued_at().unwrap())
                    .unwrap(),
                Duration::from_mins(1)
            );
            ids.push(claims.id().unwrap().to_owned());
            // The provider's key is the same.
            assert_eq!(world.ask_with("/signed", &assertion), "yes");
        }
        ids.dedup();
        assert_eq!(ids.len(), 2);
    }
}

#[test]
fn a_host_that_cannot_sign_is_told_of_when_it_is_configured() {
    let host = Host::<Asking>::new();
    let refused = host.load(document(with_key(&json!({})))).unwrap_err();
    assert!(
        refused.lines[0].starts_with("auth_type: this host cannot sign"),
        "{refused}"
    );

    let host = Host::<Asking>::new();
    host.set_foreign_function("sign", |_| Ok(vec![]));
    let refused = host.load(document(with_key(&json!({})))).unwrap_err();
    assert!(
        refused.lines[0].starts_with("credentials.private_key: the host cannot sign with the key"),
        "{refused}"
    );
}

#[test]
fn an_issuer_that_is_no_url_is_told_of_when_it_is_configured() {
    let Err(refused) = World::load(json!({"issuer": "idp"}), provider) else {
        panic!();
    };
    assert!(refused.lines[0].contains("issuer"), "{refused}");
}

#[test]
fn a_code_is_sent_again_only_where_it_did_not_arrive() {
    let retries =
        json!({"retry_policy": {"num_retries": 2, "retry_on": "5xx,reset,connect-failure"}});
    for (answer, told, times) in [
        ("status", "status: the provider is not there: status 503", 1),
        ("fail", "reset: ", 1),
        ("hang", "timeout: ", 1),
        ("refused", "reset: ", 3),
    ] {
        let world = World::ready(retries.clone());
        world.answer("/token", move || match answer {
            "status" => Response::new(503).into(),
            "fail" => Callout::fail(),
            "hang" => Callout::hang(),
            _ => Callout::reset("connection failure"),
        });
        for path in ["/exchange", "/refresh"] {
            let got = world.ask(path);
            assert!(got.starts_with(told), "{answer}: {got}");
        }
        assert_eq!(world.calls("/token").len(), 2 * times, "{answer}");
    }
}

#[test]
fn a_breaker_that_is_open_asks_nobody() {
    let world =
        World::ready(json!({"circuit_breaker": {"consecutive_failures": 2, "cool_down": "10s"}}));
    world.answer("/token", || Response::new(500).into());
    let reasons: Vec<String> = (0..3).map(|_| world.ask("/refresh")).collect();
    assert!(reasons[2].starts_with("circuit_open: "), "{reasons:?}");
    assert_eq!(world.calls("/token").len(), 2);
}

#[test]
fn what_the_provider_answers_is_told_without_its_words() {
    let world = World::ready(json!({}));
    for (answer, told) in [
        (
            json(
                400,
                &json!({"error": "invalid_grant", "error_description": "hush"}),
            ),
            "invalid_grant: the provider refuses: invalid_grant",
        ),
        (
            json(400, &json!({"error": "hush"})),
            "refused: the provider refuses: by no word that is known",
        ),
        (
            Response::new(200)
                .header("content-type", "text/html")
                .body("hush")
                .into(),
            "answer: the provider's answer is refused: its content is not application/json",
        ),
        (
            json(
                200,
                &json!({"access_token": "hush", "token_type": "Bearer"}),
            ),
            "answer: the provider's answer is refused: it has no `id_token`",
        ),
        (
            json(200, &json!({"hush": "a".repeat(70_000)})),
            "answer: the provider's answer is refused: the answer has 70",
        ),
    ] {
        world.answer("/token", move || answer.clone());
        let got = world.ask("/exchange");
        assert!(got.starts_with(told), "{got}");
    }
    for line in world.host.log() {
        assert!(!line.message().contains("hush"), "{}", line.message());
    }
}

#[test]
fn a_sign_in_says_all_that_it_must() {
    let world = World::ready(json!({
        "auth_scopes": ["openid", "email"],
        "resources": ["https://a.example", "https://b.example"],
        "authorization_parameters": {"prompt": "login"},
        "id_token": {"max_age": "600s"}
    }));
    assert_eq!(
        world.ask("/sign-in"),
        "https://idp.example/auth?t=1&response_type=code&client_id=app\
         &redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&state=s&code_challenge=c\
         &code_challenge_method=S256&scope=openid+email&nonce=n&max_age=600\
         &resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example&prompt=login"
    );
    assert_eq!(
        world.ask("/sign-out"),
        "https://idp.example/out?client_id=app&id_token_hint=i.d.t\
         &post_logout_redirect_uri=https%3A%2F%2Fapp.example%2F%3Fa%3D1"
    );
}

#[test]
fn a_pushed_sign_in_leaves_its_words_with_the_provider() {
    let world = World::ready(json!({"use_pushed_authorization_requests": true}));

    assert_eq!(
        world.ask("/sign-in"),
        "https://idp.example/auth?t=1&client_id=app&request_uri=urn%3Ar%3A1"
    );

    let form = world.form("/par");
    let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "response_type",
            "redirect_uri",
            "state",
            "code_challenge",
            "code_challenge_method",
            "scope",
            "nonce",
            "client_id",
            "client_secret"
        ]
    );
}

#[test]
fn the_provider_is_asked_about_the_user_with_the_access_token() {
    let world = World::ready(json!({"use_userinfo": true}));
    assert_eq!(world.ask("/userinfo"), r#"{"sub":"ann"}"#);
    assert_eq!(
        world.calls("/me")[0].headers.text("authorization"),
        Some("Bearer at")
    );

    world.answer("/me", || json(200, &json!({"sub": "bob"})));
    assert_eq!(
        world.ask("/userinfo"),
        "answer: the provider's answer is refused: it is about another subject"
    );
}

#[test]
fn an_id_token_is_taken_that_the_provider_signed() {
    let world = World::ready(json!({}));
    let token = world.token(&json!({}));
    assert_eq!(world.ask_with("/verify", &token), "ann");

    let other = world.token(&json!({"sub": "bob"}));
    let (signed, _) = other.rsplit_once('.').unwrap();
    let (_, signature) = token.rsplit_once('.').unwrap();
    for (token, told) in [
        (format!("{signed}.{signature}"), "signature: "),
        (world.token(&json!({"nonce": "m"})), "nonce: "),
        (
            world.token(&json!({"iss": "https://other.example"})),
            "issuer: ",
        ),
        ("i.d.t".to_owned(), "malformed: "),
    ] {
        let got = world.ask_with("/verify", &token);
        assert!(got.starts_with(told), "{got}");
    }
}

#[test]
fn an_algorithm_that_is_not_allowed_is_not_tried() {
    let world = World::ready(json!({"id_token": {"allowed_algorithms": ["RS256"]}}));
    let token = world.token(&json!({}));
    assert!(world.ask_with("/verify", &token).starts_with("algorithm: "));
}

#[test]
fn a_key_that_is_new_is_fetched() {
    let world = World::load(json!({}), |call| match call.path() {
        "/keys" => keys("old"),
        _ => provider(call),
    })
    .unwrap();
    let token = world.token(&json!({}));
    assert!(
        world
            .ask_with("/verify", &token)
            .starts_with("unknown_key: ")
    );

    *world.answers.borrow_mut() = Box::new(provider);
    world.host.run_for(Duration::from_secs(11));

    assert_eq!(world.ask_with("/verify", &token), "ann");
}

#[test]
fn a_logout_token_is_taken_that_the_provider_signed() {
    let world = World::ready(json!({}));
    let events = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let claims = json!({"nonce": null, "events": events, "jti": "j"});
    let token = world.token(&claims);

    assert_eq!(world.ask_with("/logout", &token), "j");
    // Neither is the other.
    assert!(world.ask_with("/verify", &token).starts_with("kind: "));
    assert!(
        world
            .ask_with("/logout", &world.token(&json!({})))
            .starts_with("kind: ")
    );
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (_, other) = world
        .token(&json!({}))
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert!(
        world
            .ask_with("/logout", &format!("{signed}.{other}"))
            .starts_with("signature: ")
    );
}

#[test]
fn a_token_endpoint_of_another_cluster_is_asked_there() {
    let world = World::ready(json!({"token_endpoint": {"cluster": "tokens"}}));
    world.ask("/exchange");
    assert_eq!(world.calls("/token")[0].upstream, b"tokens");
    assert_eq!(world.calls("/token")[0].path(), "/token");
}
