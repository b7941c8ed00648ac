//! Builds the service, and finds Redis.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest as _, Sha256};

use crate::binary::on_path;
use crate::jwt::base64url;
use crate::target::{target_dir, workspace_root};
use crate::trials::Need;

pub(super) const REDIS_SERVER: &str = "redis-server";

const SERVICE: &str = "legation-limitador";

/// What tests need in which limitador counts in Redis.
pub const REDIS: Need = Need {
    what: "redis-server and libssl-dev",
    missing: redis_is_missing,
};

fn redis_is_missing() -> Option<&'static str> {
    if on_path(REDIS_SERVER).is_none() {
        return Some(
            "there is no redis-server on PATH: on Debian or Ubuntu, apt-get install redis-server",
        );
    }
    // limitador's client of Redis speaks TLS, by OpenSSL where the system has none of its own.
    if cfg!(target_os = "linux") && !has_openssl() {
        return Some(
            "there are no headers of OpenSSL: on Debian or Ubuntu, apt-get install libssl-dev pkg-config",
        );
    }
    None
}

fn has_openssl() -> bool {
    let mut command = Command::new("pkg-config");
    command
        .args(["--exists", "openssl"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The service, built if need be; once for this process.
pub(super) fn installed() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| install().map_err(|error| format!("{error:#}")));
    found.clone().map_err(|error| anyhow!(error))
}

fn install() -> Result<PathBuf> {
    let source = workspace_root().join("tests").join("limitador");
    let redis = redis_is_missing().is_none();
    let mut hash = Sha256::new_with_prefix([u8::from(redis)]);
    for file in files(&source)? {
        hash.update(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let home = target_dir()?.join("limitador");
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    // One for each state of its source.
    let built = home.join(format!("{SERVICE}-{}", base64url(&hash.finalize()[..9])));
    // Several test processes may come here at once: one builds, the others wait.
    let turn = File::create(home.join(".lock"))?;
    turn.lock().context("cannot lock the folder of limitador")?;
    if !built.is_file() {
        let work = tempfile::Builder::new()
            .prefix(".build-")
            .tempdir_in(&home)?;
        build(&source, redis, work.path())?;
        // What it was built from takes twenty times the room, and goes.
        fs::rename(work.path().join("debug").join(SERVICE), &built)
            .with_context(|| format!("cannot make {}", built.display()))?;
    }
    Ok(built)
}

/// The files of its source, by name.
fn files(source: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<_> = ["Cargo.toml", "Cargo.lock", "rocksdb/Cargo.toml"]
        .map(|name| source.join(name))
        .into();
    for folder in ["src", "rocksdb/src"] {
        let folder = source.join(folder);
        let entries = folder
            .read_dir()
            .with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            files.push(entry?.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Builds what `Cargo.lock` names.
fn build(source: &Path, redis: bool, target: &Path) -> Result<()> {
    let start = Instant::now();
    eprintln!("Building limitador for the tests (a minute or two, once) …");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--locked", "--quiet", "--color=never"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(source)
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("CARGO_BUILD_TARGET");
    if redis {
        command.args(["--features", "redis"]);
    }
    let output = command.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "the rate limit service of the tests (limitador) could not be built. \
             That is done once, and fetches its crates:\n{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    eprintln!("Built limitador in {:.0?}", start.elapsed());
    Ok(())
}
