//! What runs in the stack.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use legation_tests::jwt::Claims;
use legation_tests::limitador::{Limitador, REDIS, Redis};
use legation_tests::oidc::{Endpoint, FakeProvider};
use legation_tests::trials::Test;
use legation_tests::visitor::Visitor;
use legation_tests::{Config, DEADLINE, Request, Stage, envoy_config_dir, read_yaml};

use crate::{folder, services, words};

/// Six modules are compiled one after another, on a machine that may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(180);

pub const TESTS: &[Test] = &[(
    "Envoy runs as it is composed: sign-ins, tokens, limits of a service",
    as_composed,
)];

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

/// With a provider and a rate limit service in the places where the stack has them. dex is on no registry that the tests
/// get things from: another provider stands in for it, as the same client's.
fn stage(provider: &FakeProvider, limitador: &Limitador) -> Result<Stage> {
    let text = (composed()?)
        .replace(
            "http://127.0.0.1:5556/dex/keys",
            &provider.uri(Endpoint::Keys),
        )
        .replace("http://127.0.0.1:5556/dex", provider.issuer());
    let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
    fs::write(file.path(), text)?;
    let mut config = Config::load(file.path())?
        .endpoint("login", provider.address())
        .endpoint("ratelimit", limitador.address())
        .ready_within(PATIENCE);
    for (name, value) in secrets()? {
        config = config.process_environment(&name, &value);
    }
    Ok(Stage::start(&config)?)
}

fn secrets() -> Result<Vec<(String, String)>> {
    let example = fs::read_to_string(folder().join(".env.example"))?;
    let lines = example.lines().filter(|line| line.starts_with("OAUTH2"));
    let secrets = lines.filter_map(|line| line.split_once('='));
    Ok(secrets
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

fn as_composed() -> Result<()> {
    let provider = FakeProvider::start()?;
    let secrets = secrets()?;
    provider.change(|behaviour| {
        behaviour.client_id = "gateway".to_owned();
        behaviour.client_secret = Some(secrets[0].1.clone());
    });
    // Where there is none, limitador counts in its memory.
    let redis = (REDIS.missing)().is_none().then(Redis::start).transpose()?;
    let limits = read_yaml(&folder().join("limits.yaml"))?;
    let limitador = Limitador::start(&limits, redis.as_ref())?;
    let stage = stage(&provider, &limitador)?;

    let open = stage.send(Request::get("/"))?;
    assert_eq!(open.status, 200);
    let told = open.headers.text("x-ratelimit-limit").unwrap_or_default();
    assert!(told.contains("1000"), "the service told {told:?}:\n{open}");

    assert_eq!(stage.send(Request::get("/api/orders"))?.status, 401);
    let token = Claims::of(provider.issuer())
        .audience("gateway")
        .signed_by(&provider.key());
    let request = Request::get("/api/orders").header("authorization", format!("Bearer {token}"));
    let exchange = stage.exchange(request)?;
    assert_eq!(exchange.response.status, 200, "{}", exchange.response);
    assert_eq!(
        exchange.arrived()?.headers.text("x-user").as_deref(),
        Some("alice")
    );

    let mut alice = Visitor::new().knows("app.localhost", stage.client().address());
    let step = alice.visit("http://app.localhost/app/")?;
    assert_eq!(step.response.status, 200, "{step}");

    // What is added up in the module comes a moment later.
    let answered = "wasmcustom.rate_limit.ratelimit.ok";
    let admin = stage.admin();
    admin.wait_for_stat(answered, DEADLINE, |now| now >= 3)?;
    let failed = admin.stat("wasmcustom.rate_limit.ratelimit.error")?;
    assert_eq!(failed, Some(0));
    is_healthy(&stage)
}

/// Envoy's healthcheck, but for the port.
fn is_healthy(stage: &Stage) -> Result<()> {
    let test = words(&services()?["envoy"]["healthcheck"]["test"]);
    let port = stage.admin().address().port().to_string();
    let run = |port: &str| -> Result<bool> {
        let mut command = Command::new(&test[1]);
        for word in &test[2..] {
            command.arg(word.replace("9901", port));
        }
        let status = command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        Ok(status.success())
    };
    ensure!(run(&port)?, "Envoy is not healthy by {test:?}");
    ensure!(
        !run("1")?,
        "an Envoy that is not there is healthy by {test:?}"
    );
    Ok(())
}
