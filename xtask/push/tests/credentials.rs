//! What is pushed to a registry that wants to know who pushes, with what `docker login` may have left.
//!
//! Where the machine has no registry these are skipped, which is told.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use legation_tests::output_text;
use legation_tests::registry::{self, Registry};
use legation_tests::trials::{Test, Trials};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Who may push, as `htpasswd -B` writes it: `legation` with this password.
const PASSWORD: &str = "dist-test-password";
const USERS: &str = "legation:$2y$05$legationlegationlegatee88MogTM0ukVOgrzkwlEocl3OHrMksK\n";
/// The user with the password, and with another, as `docker login` writes them.
const RIGHT: &str = "bGVnYXRpb246ZGlzdC10ZXN0LXBhc3N3b3Jk";
const WRONG: &str = "bGVnYXRpb246YW5vdGhlci1wYXNzd29yZA==";

const TESTS: &[Test] = &[
    (
        "whoever_may_push_does_so_by_what_docker_login_left",
        whoever_may_push_does_so_by_what_docker_login_left,
    ),
    (
        "whoever_may_not_is_told_why_and_no_password",
        whoever_may_not_is_told_why_and_no_password,
    ),
];

fn main() {
    Trials::new().with_needing(&registry::NEED, TESTS).run()
}

/// A registry, an image, and a user's folder with Docker's configuration and helpers.
struct World {
    registry: Registry,
    folder: TempDir,
}

impl World {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        write_image(&folder.path().join("image"))?;
        fs::create_dir(folder.path().join("docker"))?;
        fs::create_dir(folder.path().join("helpers"))?;
        let registry = Registry::start_for(USERS)?;
        Ok(Self { registry, folder })
    }

    /// `auths` of `config.json`, for this registry.
    fn login(&self, auth: &str) -> String {
        let auths = json!({self.registry.address().to_string(): {"auth": auth}});
        json!({"auths": auths}).to_string()
    }

    fn helper(&self, name: &str, script: &str) -> Result<String> {
        let program = format!("docker-credential-{name}");
        let file = self.folder.path().join("helpers").join(program);
        fs::write(&file, format!("#!/bin/sh\ncat >/dev/null\n{script}\n"))?;
        fs::set_permissions(file, Permissions::from_mode(0o755))?;
        Ok(json!({"credsStore": name}).to_string())
    }

    fn push(&self, config: Option<&str>) -> Result<Output> {
        let folder = self.folder.path();
        let file = folder.join("docker/config.json");
        match config {
            Some(config) => fs::write(file, config)?,
            None if file.exists() => fs::remove_file(file)?,
            None => {}
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let path = [folder.join("helpers")]
            .into_iter()
            .chain(env::split_paths(&path));
        Command::new(env!("CARGO_BIN_EXE_xtask-push"))
            .arg(format!("{}/legation", self.registry.address()))
            .arg(folder.join("image"))
            .args(["something", "1.0"])
            .env("DOCKER_CONFIG", folder.join("docker"))
            .env("PATH", env::join_paths(path)?)
            .output()
            .context("cannot run the command")
    }
}

/// The smallest image there is.
fn write_image(folder: &Path) -> Result<()> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let blob = |bytes: &[u8]| -> Result<Value> {
        let mut digest = String::new();
        for byte in Sha256::digest(bytes) {
            write!(digest, "{byte:02x}")?;
        }
        fs::write(blobs.join(&digest), bytes)?;
        let digest = format!("sha256:{digest}");
        Ok(json!({"mediaType": "application/octet-stream", "digest": digest, "size": bytes.len()}))
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(b"{}")?,
        "layers": [blob(b"a module")?],
    });
    let index = json!({"manifests": [blob(manifest.to_string().as_bytes())?]});
    fs::write(folder.join("index.json"), index.to_string())?;
    Ok(())
}

fn whoever_may_push_does_so_by_what_docker_login_left() -> Result<()> {
    let world = World::new()?;
    let secret = json!({"ServerURL": "", "Username": "legation", "Secret": PASSWORD});
    let answer = format!("echo '{secret}'");
    for config in [world.login(RIGHT), world.helper("knows", &answer)?] {
        let pushed = world.push(Some(&config))?;

        let told = output_text(&pushed);
        ensure!(pushed.status.success(), "with {config}: {told}");
        assert!(told.contains("/legation/something:1.0@sha256:"), "{told}");
        assert!(!told.contains(PASSWORD), "{told}");
    }
    Ok(())
}

fn whoever_may_not_is_told_why_and_no_password() -> Result<()> {
    let world = World::new()?;
    let wrong = world.login(WRONG);
    let unknown = world.helper(
        "unknown",
        "echo credentials not found in native keychain; exit 1",
    )?;
    let broken = world.helper("broken", &format!("echo {PASSWORD}; exit 1"))?;
    let cut = format!("{{\"auths\": {{\"x\": {{\"auth\": \"{RIGHT}\"");
    for (config, problem) in [
        (None, "wants credentials; run `docker login"),
        (Some("{}"), "wants credentials; run `docker login"),
        (Some(&unknown), "wants credentials; run `docker login"),
        (
            Some(&wrong),
            "refuses the credentials that `docker login` left",
        ),
        (
            Some(&broken),
            "the credential helper `docker-credential-broken` fails",
        ),
        (
            Some(&cut),
            "config.json: it is not what `docker login` writes",
        ),
    ] {
        let refused = world.push(config)?;

        let told = output_text(&refused);
        assert!(!refused.status.success(), "{config:?}: {told}");
        assert!(told.contains(problem), "no `{problem}` in:\n{told}");
        for secret in [PASSWORD, "another-password", RIGHT, WRONG] {
            assert!(!told.contains(secret), "{secret} in:\n{told}");
        }
    }
    Ok(())
}
