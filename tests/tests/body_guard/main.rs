//! body-guard, as Envoy runs it. One Envoy has the rules of all tests, by path.

mod ext_authz;
mod requests;
mod responses;
mod shipped;

use std::io::Write as _;
use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use flate2::Compression;
use flate2::write::GzEncoder;
use legation_tests::{Config, Received, Reply, Request, Stage};
use serde_json::{Value, json};

const FILTER: &str = "body-guard";

/// The Envoy of all tests but those of the shipped file.
fn shared() -> Result<&'static Stage> {
    static STAGE: OnceLock<Result<Stage, String>> = OnceLock::new();
    let started = STAGE.get_or_init(|| start().map_err(|error| format!("{error:?}")));
    started.as_ref().map_err(|error| anyhow!(error.clone()))
}

fn start() -> Result<Stage> {
    let rules: Vec<Value> = [requests::rules(), responses::rules()].concat();
    let config = Config::with_filter(FILTER, json!({ "rules": rules }))?.http1_trailers();
    let stage = Stage::start(&config)?;
    stage.upstream().answer(answer);
    Ok(stage)
}

fn answer(request: &Received) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    responses::answer(path).unwrap_or_else(|| Reply::json(&json!({"path": path})))
}

fn json_post(path: &str, body: impl AsRef<[u8]>) -> Request {
    Request::post(path, body).header("content-type", "application/json")
}

/// The reason that a refusal's body gives.
fn reason(response: &legation_tests::Response) -> Result<String> {
    let problem = response.json()?;
    assert_eq!(
        response.headers.text("content-type").as_deref(),
        Some("application/problem+json")
    );
    assert_eq!(problem["status"], response.status);
    Ok(problem["reason"].as_str().unwrap_or_default().to_owned())
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// No VM was lost, and no callback failed.
fn assert_unharmed(stage: &Stage) -> Result<()> {
    for name in ["wasm.body-guard.vm_reload", "wasmcustom.body_guard.errors"] {
        assert_eq!(stage.admin().stat(name)?.unwrap_or(0), 0, "{name}");
    }
    Ok(())
}
