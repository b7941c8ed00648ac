//! What runs in the stack.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use legation_tests::jwt::base64;
use legation_tests::limitador::{Limitador, REDIS, Redis};
use legation_tests::npm::{self, Program};
use legation_tests::prometheus;
use legation_tests::trials::{Need, Test};
use legation_tests::visitor::Visitor;
use legation_tests::{
    Config, DEADLINE, Request, Response, Server, Stage, envoy_config_dir, on_path, read_yaml,
    wait_for,
};
use serde_json::Value;

use crate::service::{self, Moved, secrets};
use crate::{folder, services, words};

pub const WITH_NODE: &[Test] = &[(
    "the gateway runs as it is composed: sign-ins, tokens, limits of a service",
    as_composed,
)];

pub const WITH_PROMETHEUS: &[Test] = &[(
    "Prometheus scrapes Envoy by its command, and knows the alerts",
    is_scraped,
)];

pub const WITH_REDIS: &[Test] = &[("Redis runs by its command", redis_runs)];

/// Redis as the stack has it: with the program that its healthcheck runs.
pub const REDIS_TOOLS: Need = Need {
    what: "redis-server and redis-cli",
    missing: || {
        let is_there = on_path("redis-server").is_some() && on_path("redis-cli").is_some();
        (!is_there).then_some(
            "there is no redis-server and redis-cli on PATH: on Debian or Ubuntu, apt-get install redis-server",
        )
    },
};

static PROVIDER: Program = Program::new(
    "envoy-config/compose/idp",
    "server.mjs",
    "the identity provider of the compose file (npm's oidc-provider, about 3 MB)",
);

const PROVIDER_PORT: u16 = 5556;
const UPSTREAM_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 9901;

/// Where browsers find the gateway.
const GATEWAY: &str = "localhost:10000";

/// The configuration that Envoy's container makes, by the same program.
pub fn composed() -> Result<String> {
    let output = Command::new("sed")
        .arg("-f")
        .arg(folder().join("envoy.sed"))
        .arg(envoy_config_dir().join("envoy.yaml"))
        .stdin(Stdio::null())
        .output()
        .context("cannot run sed")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Envoy's part of the stack, with these in their places.
fn envoy(provider: SocketAddr, upstream: SocketAddr, ratelimit: SocketAddr) -> Result<Stage> {
    let text = composed()?
        .replace(
            &format!("http://127.0.0.1:{PROVIDER_PORT}"),
            &format!("http://{provider}"),
        )
        // A machine that is busy with other tests may take a while.
        .replace("\"timeout\": \"0.05s\"", "\"timeout\": \"20s\"");
    let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
    fs::write(file.path(), text)?;
    let mut config = Config::load(file.path())?
        .endpoint("login", provider)
        .endpoint("upstream", upstream)
        .endpoint("ratelimit", ratelimit);
    for (name, value) in secrets()? {
        config = config.process_environment(&name, &value);
    }
    Ok(Stage::start(&config)?)
}

fn provider() -> Result<Server> {
    service::start("idp", PROVIDER_PORT, &[], |_| Ok((PROVIDER.command()?, 2)))
}

fn upstream() -> Result<Server> {
    let script = folder().join("echo.mjs");
    service::start("upstream", UPSTREAM_PORT, &[], |_| {
        Ok((npm::script(&script)?, 2))
    })
}

/// What the upstream was asked, as it says itself.
fn asked(response: &Response) -> Result<Value> {
    ensure!(response.status == 200, "{response}");
    response.json()
}

fn as_composed() -> Result<()> {
    let (provider, upstream) = (provider()?, upstream()?);
    // Where there is none, limitador counts in its memory.
    let redis = (REDIS.missing)().is_none().then(Redis::start).transpose()?;
    let limits = read_yaml(&folder().join("limits.yaml"))?;
    let limitador = Limitador::start(&limits, redis.as_ref())?;
    let stage = envoy(provider.address(), upstream.address(), limitador.address())?;

    let open = stage.send(Request::get("/"))?;
    assert_eq!(asked(&open)?["headers"]["x-envoy-plugin"], "header-tag");
    let told = open.headers.text("x-ratelimit-limit").unwrap_or_default();
    assert!(told.contains("1000"), "the service told {told:?}:\n{open}");

    tokens_are_taken(&stage, &provider)?;
    alice_signs_in(&stage, &provider)?;

    // What is added up in the module comes a moment later.
    let answered = "wasmcustom.rate_limit.ratelimit.ok";
    let admin = stage.admin();
    admin.wait_for_stat(answered, DEADLINE, |now| now >= 3)?;
    let failed = admin.stat("wasmcustom.rate_limit.ratelimit.error")?;
    assert_eq!(failed, Some(0));
    is_healthy(&stage)
}

/// The program `orders` gets a token for itself, and comes with that.
fn tokens_are_taken(stage: &Stage, provider: &Server) -> Result<()> {
    assert_eq!(stage.send(Request::get("/api/orders"))?.status, 401);
    let secrets = secrets()?;
    let credentials = base64(format!("orders:{}", secrets["ORDERS_CLIENT_SECRET"]));
    let token = |scope: &str| -> Result<String> {
        let form = format!("grant_type=client_credentials&scope={scope}");
        let request = Request::post("/token", form)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", format!("Basic {credentials}"));
        let answer = provider.client().send(request)?;
        let token = answer.json()?["access_token"].take();
        let token = token.as_str().with_context(|| answer.to_string())?;
        Ok(format!("Bearer {token}"))
    };
    let read = token("read")?;
    let orders = stage.send(Request::get("/api/orders").header("authorization", &read))?;
    assert_eq!(asked(&orders)?["headers"]["x-user"], "orders");
    let post = |token: &str| {
        let order = Request::post("/api/orders", "{}").header("content-type", "application/json");
        stage.send(order.header("authorization", token))
    };
    assert_eq!(post(&read)?.status, 403);
    let written = asked(&post(&token("write")?)?)?;
    assert_eq!(
        (&written["method"], &written["body"]),
        (&"POST".into(), &"{}".into())
    );
    Ok(())
}

/// Alice signs in on the provider's page, and out again.
fn alice_signs_in(stage: &Stage, provider: &Server) -> Result<()> {
    let mut alice = Visitor::new().knows(GATEWAY, stage.client().address());
    let app = format!("http://{GATEWAY}/app/");
    let form = alice.visit(&app)?;
    assert_eq!(form.url.authority, provider.address().to_string(), "{form}");
    assert!(
        form.response.text().contains("<form method=\"post\">"),
        "{form}"
    );
    let sign_in = |alice: &mut Visitor, password| {
        let fields = [("email", "alice@example.com"), ("password", password)];
        alice.submit(&form.url, &fields)
    };
    let refused = sign_in(&mut alice, "a guess")?;
    assert_eq!(refused.response.status, 403, "{refused}");
    let back = sign_in(&mut alice, "password")?.location()?;
    let page = alice.visit(back)?;
    assert_eq!(page.url.to_string(), app);
    let seen = asked(&page.response)?;
    assert_eq!(seen["headers"]["x-email"], "alice@example.com");

    // Here at once; there once she has said so on a page of the provider's.
    let left = alice.visit(format!("http://{GATEWAY}/oauth2/sign-out"))?;
    assert_eq!(left.url.authority, provider.address().to_string(), "{left}");
    assert_eq!(left.response.status, 200, "{left}");
    let again = alice.go(&app)?;
    assert_eq!(again.response.status, 302, "{again}");
    Ok(())
}

/// Envoy's healthcheck, but for the port.
fn is_healthy(stage: &Stage) -> Result<()> {
    let test = words(&services()?["envoy"]["healthcheck"]["test"]);
    let at = |address: SocketAddr| -> [Moved; 1] { [(ADMIN_PORT, address)] };
    ensure!(
        service::is_healthy(&test, &at(stage.admin().address())),
        "Envoy is not healthy by {test:?}"
    );
    ensure!(
        !service::is_healthy(&test, &at("127.0.0.1:1".parse()?)),
        "an Envoy that is not there is healthy by {test:?}"
    );
    Ok(())
}

fn is_scraped() -> Result<()> {
    // What the filters count the tests of the dashboard look at.
    let stage = Stage::start(&Config::plain()?)?;
    let others = [(ADMIN_PORT, stage.admin().address())];
    let prometheus = service::start("prometheus", 9090, &others, |address| {
        // In the stack it has the port that it takes unless told.
        let mut command = Command::new(prometheus::NEED.what);
        command.arg(format!("--web.listen-address={address}"));
        Ok((command, 0))
    })?;
    let ask = |path: &str| -> Result<Value> {
        let answer = prometheus.client().send(Request::get(path))?;
        Ok(answer.json()?["data"].take())
    };
    wait_for("Prometheus to scrape Envoy", DEADLINE, || {
        let up = ask("/api/v1/query?query=up")?;
        Ok((up["result"][0]["value"][1] == "1").then_some(()))
    })?;
    let rules = ask("/api/v1/rules")?;
    let alerts = read_yaml(&envoy_config_dir().join("observability/prometheus-alerts.yaml"))?;
    let groups = |of: &Value| of["groups"].as_array().map(Vec::len);
    assert_eq!(groups(&rules), groups(&alerts));
    assert!(groups(&rules) > Some(0), "{rules}");
    Ok(())
}

fn redis_runs() -> Result<()> {
    let redis = service::start("redis", 6379, &[], |_| {
        Ok((Command::new("redis-server"), 1))
    })?;
    // It keeps nothing, as the stack's does.
    let asked = Command::new("redis-cli")
        .args(["-h", "127.0.0.1", "-p", &redis.address().port().to_string()])
        .args(["config", "get", "save"])
        .output()?;
    assert_eq!(String::from_utf8_lossy(&asked.stdout).trim(), "save");
    Ok(())
}
