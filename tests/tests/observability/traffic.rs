//! One Envoy with the whole chain as it is shipped, and requests of every kind through it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use legation_tests::jwt::{Claims, Issuer, Key, Mode};
use legation_tests::oidc::{Endpoint, FakeProvider};
use legation_tests::visitor::Visitor;
use legation_tests::{
    Client, Config, Received, Reply, Request, Stage, Upstream, WatchedFilter, wasm_filter,
};
use serde_json::{Value, json};

const HOST: &str = "app.localhost";
const ISSUER: &str = "https://issuer.example";
/// A secret that stands in a path's query, and must not stand in a log.
pub const SECRET: &str = "never-in-a-log";
/// A response that body-guard cannot read.
const BROKEN: &str = "/api/broken";
/// Listeners beside the chain's.
const DISCOVERED: &str = "discovered";
const FETCHED: &str = "fetched";
const UNFETCHED: &str = "unfetched";
const WATCHED: &str = "watched";
/// The trace that one of the requests belongs to.
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What the tests share; requests have passed already.
pub struct World {
    pub stage: Stage,
    /// A filter whose configuration Envoy discovers.
    discovered: WatchedFilter,
    mistakes: AtomicUsize,
    _policies: Upstream,
    provider: FakeProvider,
    key: Key,
    _issuer: Issuer,
}

impl std::ops::Deref for World {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

pub fn world() -> Result<&'static World> {
    static WORLD: OnceLock<Result<World, String>> = OnceLock::new();
    let started = WORLD.get_or_init(|| World::start().map_err(|error| format!("{error:?}")));
    started.as_ref().map_err(|error| anyhow!(error.clone()))
}

impl World {
    fn start() -> Result<Self> {
        let provider = FakeProvider::start()?;
        let key = Key::p256().with_id("one");
        let issuer = Issuer::start(ISSUER, &[&key])?;
        let discovered = WatchedFilter::new("header-tag", &tag())?;
        let policies = Upstream::answering(|_| Reply::json(&tag()))?;
        let config = config(&provider, &issuer)?;
        let config = discovered.add_to(with_fetched(config, &policies), DISCOVERED);
        let world = Self {
            stage: Stage::with_upstream(&config, Upstream::answering(answer)?)?,
            discovered,
            mistakes: AtomicUsize::new(0),
            _policies: policies,
            provider,
            key,
            _issuer: issuer,
        };
        world.send_all()?;
        Ok(world)
    }

    /// Sends requests of every kind; more than once, too.
    pub fn send_all(&self) -> Result<()> {
        self.tokens(&self.key)?;
        self.sign_ins()?;
        self.limits()?;
        self.reports()?;
        self.bodies()?;
        self.configurations()
    }

    fn expect(&self, status: u16, request: Request) -> Result<()> {
        let shown = request.to_string();
        let response = self.stage.send(request)?;
        ensure!(
            response.status == status,
            "{status} for {shown}:\n{response}"
        );
        Ok(())
    }

    /// A listener's answer.
    fn expect_at(&self, listener: &str, status: u16) -> Result<()> {
        let client = Client::http1(self.stage.envoy().listener(listener)?);
        let response = client.send(Request::get("/"))?;
        ensure!(
            response.status == status,
            "{status} at {listener}:\n{response}"
        );
        Ok(())
    }

    /// Bodies that pass, that do not, and one that is masked.
    fn bodies(&self) -> Result<()> {
        let claims = Claims::of(ISSUER).audience("api");
        let token = format!("Bearer {}", claims.signed_by(&self.key));
        let order = |body: &str| {
            Request::post("/api/orders", body)
                .header("content-type", "application/json")
                .header("authorization", &token)
        };
        self.expect(200, order("{}"))?;
        self.expect(400, order(r#"{"a": 1, "a": 2}"#))?;
        let broken = Request::get(BROKEN).header("authorization", &token);
        self.expect(502, broken)?;
        let account = Request::get("/api/account").header("authorization", &token);
        let account = self.stage.send(account)?.text();
        ensure!(account == r#"{"card":"[redacted]1111"}"#, "{account}");
        self.expect_at(WATCHED, 200)
    }

    /// One that is discovered and refused, one that is fetched, and one that has never come.
    fn configurations(&self) -> Result<()> {
        // Envoy does not look twice at what it has refused: it counts that as a success.
        let prefix = format!("wrong_{}", self.mistakes.fetch_add(1, Ordering::Relaxed));
        self.discovered
            .write(&json!({"rules": [], "stat_prefix": prefix}))?;
        self.expect_at(DISCOVERED, 200)?;
        self.expect_at(FETCHED, 200)?;
        self.expect_at(UNFETCHED, 503)
    }

    /// Good tokens and bad ones.
    fn tokens(&self, key: &Key) -> Result<()> {
        let of = |claims: &Claims| format!("Bearer {}", claims.signed_by(key));
        let good = Claims::of(ISSUER).audience("api");
        let ask = |token: String| Request::get("/api/orders").header("authorization", token);
        let traced =
            ask(of(&good)).header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
        self.expect(200, traced)?;
        self.expect(200, ask(of(&good)))?;
        self.expect(401, ask(of(&good.clone().expires_in(-600))))?;
        self.expect(401, Request::get(&format!("/api/orders?key={SECRET}")))?;
        self.expect(401, ask(of(&Claims::of("https://down.example"))))?;
        // Nobody passes for somebody whom no token tells of.
        self.expect(200, Request::get("/").header("x-user", "mallory"))
    }

    /// A sign-in, one that the provider lets down, and a cookie of nobody's.
    fn sign_ins(&self) -> Result<()> {
        let visitor = || Visitor::new().knows(HOST, self.stage.client().address());
        let page = format!("http://{HOST}/app/");
        let step = visitor().visit(&page)?;
        ensure!(step.response.status == 200, "{step}");
        let fails = Mode::Reply(Reply::status(500));
        self.provider.set(Endpoint::Token, fails);
        let step = visitor().visit(&page)?;
        ensure!(step.response.status >= 400, "{step}");
        self.provider.mend();
        Ok(())
    }

    /// More sign-ins by a form than one client may try.
    fn limits(&self) -> Result<()> {
        let attempts = (0..6).map(|_| self.stage.send(Request::post("/login", "x")));
        let last = attempts.last().context("an attempt")??;
        ensure!(last.status == 429, "{last}");
        Ok(())
    }

    fn reports(&self) -> Result<()> {
        let report = json!({"csp-report": {
            "document-uri": "http://localhost/shop",
            "effective-directive": "script-src-elem",
            "blocked-uri": "https://evil.example/x.js",
        }});
        let request = Request::post("/.well-known/csp-reports", report.to_string());
        self.expect(
            204,
            request.header("content-type", "application/csp-report"),
        )
    }
}

/// The shipped chain. What differs is where things are, whose keys are fetched, and that a rate limit service is
/// asked, which is not there.
fn config(provider: &FakeProvider, issuer: &Issuer) -> Result<Config> {
    Ok(Config::file("envoy.yaml")?
        .edit_configuration("oauth2", |oauth2| {
            oauth2["issuer"] = provider.issuer().into();
            oauth2["credentials"]["client_id"] = "app".into();
        })
        .endpoint_without_tls("login", provider.address())
        .edit_configuration("jwt-auth", |jwt| {
            let providers = &mut jwt["providers"];
            fetch_keys(&mut providers["issuer"], issuer.jwks_uri("issuer"));
            providers["down"] = json!({
                "issuer": "https://down.example",
                "remote_jwks": {"http_uri": issuer.jwks_uri("down")},
            });
            for rule in jwt["rules"].as_array_mut().into_iter().flatten() {
                rule["requires"] = json!({"requires_any": {"requirements": [
                    {"provider_name": "issuer"}, {"provider_name": "down"},
                ]}});
                if let Some(rule) = rule.as_object_mut() {
                    rule.remove("required_scopes");
                }
            }
        })
        .add_endpoint("issuer", issuer.address())
        .add_endpoint("down", "127.0.0.1:1".parse()?)
        .edit_configuration("rate-limit", |limits| {
            limits["rate_limit_service"] = json!({
                "grpc_service": {"envoy_grpc": {"cluster_name": "ratelimit"}},
                "domain": "edge",
                "timeout": "1s",
            });
        })
        .add_endpoint("ratelimit", "127.0.0.1:1".parse()?)
        .http2_upstream("ratelimit")
        .process_environment("OAUTH2_CLIENT_SECRET", "s3cret & more")
        .edit_configuration("header-tag", |tags| {
            tags["rules"][0]["name"] = "plugin".into();
        })
        .edit(|root| {
            // Histograms are shown once they are flushed.
            root["stats_flush_interval"] = json!("0.1s");
        }))
}

/// What the upstream answers: what it has to say of an account, and once what it may not.
fn answer(received: &Received) -> Reply {
    match received.path.as_str() {
        "/api/account" => Reply::json(&json!({"card": "4111111111111111"})),
        BROKEN => Reply::json(&json!({})).header("content-encoding", "br"),
        _ => Reply::ok(),
    }
}

fn tag() -> Value {
    json!({"rules": [{"request": {"set": {"x-a": "1"}}}]})
}

/// With listeners beside the chain: a filter that fetches its configuration, one that cannot, and one that
/// only watches.
fn with_fetched(config: Config, policies: &Upstream) -> Config {
    let remote = |cluster: &str| {
        json!({"remote_config": {
            "http_uri": {"uri": "http://policies.example/policy.json", "cluster": cluster},
            "refresh_delay": "200ms",
        }})
    };
    let watching = json!({
        "mode": "report",
        "rules": [{"request": {"required": true}}],
    });
    config
        .add_chain(FETCHED, &[wasm_filter("header-tag", remote("policies"))])
        .add_chain(UNFETCHED, &[wasm_filter("body-guard", remote("down"))])
        .add_chain(WATCHED, &[wasm_filter("body-guard", watching)])
        .add_endpoint("policies", policies.address())
}

fn fetch_keys(provider: &mut Value, uri: Value) {
    if let Some(provider) = provider.as_object_mut() {
        provider.remove("local_jwks");
        provider.insert("remote_jwks".to_owned(), json!({"http_uri": uri}));
    }
}
