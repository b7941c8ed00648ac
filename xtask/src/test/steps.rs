//! What each step does.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anstream::println;
use anyhow::{Context, Result};

use super::Step;
use super::report::Outcome;
use super::tally::Reader;
use crate::build::{self, Which};
use crate::cargo;
use crate::soak;
use crate::target;
use crate::tools;
use crate::workspace::Workspace;

/// The integration test of a crate that also runs on wasm32.
const PURE: &str = "pure";
/// What `cargo xtask soak` runs is not for here.
const NO_SOAK: [&str; 3] = ["--", "--skip", soak::MODULE];

/// What a step before has done for a later one.
#[derive(Default)]
pub(super) struct Done {
    /// The modules are built. To ask Cargo again takes minutes: filters that others link are modules
    /// too, in one file whatever their features, which the last of them has written.
    modules: bool,
}

pub(super) fn run(
    step: Step,
    workspace: &Workspace,
    done: &mut Done,
    outcome: &mut Outcome,
) -> Result<()> {
    match step {
        Step::Fmt => fmt(workspace, outcome),
        Step::Clippy => return clippy(workspace, outcome),
        Step::Docs => docs(workspace, outcome),
        Step::Build => {
            let built = build::modules(workspace, Which::All);
            done.modules = built.is_ok();
            outcome.check(built);
        }
        Step::Unit => return unit(workspace, outcome),
        Step::Doctest => return doctest(workspace, outcome),
        Step::E2e => return e2e(workspace, done, outcome),
        Step::Wasm => return wasm(workspace, outcome),
        Step::Msrv => return msrv(workspace, outcome),
    }
    Ok(())
}

fn fmt(workspace: &Workspace, outcome: &mut Outcome) {
    let mut command = cargo::cargo(workspace.root());
    command.args(["fmt", "--all", "--check"]);
    outcome.check(cargo::run(&mut command).context("the format differs: run `cargo fmt --all`"));

    // It has crates of its own, and so is no member of the workspace.
    let limitador = workspace.root().join("tests").join("limitador");
    let mut command = cargo::cargo(&limitador);
    command.args(["fmt", "--all", "--check"]);
    let format = cargo::run(&mut command);
    outcome.check(format.context("the format differs: run `cargo fmt --all` in tests/limitador"));
}

fn clippy(workspace: &Workspace, outcome: &mut Outcome) -> Result<()> {
    let mut native = cargo::cargo(workspace.root());
    native.args(["clippy", "--workspace", "--all-targets"]);
    native.args(["--", "--deny", "warnings"]);
    outcome.check(cargo::run(&mut native));

    // What runs in Envoy has code that only that target sees.
    target::ensure(target::WASI)?;
    let mut guest = cargo::cargo(workspace.root());
    guest.args(["clippy", "--target", target::WASI]);
    for package in workspace.guest_packages() {
        guest.args(["--package", &package]);
    }
    guest.args(["--", "--deny", "warnings"]);
    outcome.check(cargo::run(&mut guest));
    Ok(())
}

fn docs(workspace: &Workspace, outcome: &mut Outcome) {
    let mut command = cargo::cargo(workspace.root());
    command.args(["doc", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    outcome.check(cargo::run(&mut command));
}

// The three kinds of native tests are chosen from the whole workspace each time, so
// that all three share one build.

fn unit(workspace: &Workspace, outcome: &mut Outcome) -> Result<()> {
    let mut command = cargo::cargo(workspace.root());
    command.args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins"]);
    command.args(NO_SOAK);
    tests(&mut command, outcome)
}

fn doctest(workspace: &Workspace, outcome: &mut Outcome) -> Result<()> {
    let mut command = cargo::cargo(workspace.root());
    command.args(["test", "--workspace", "--no-fail-fast", "--doc"]);
    tests(&mut command, outcome)
}

fn e2e(workspace: &Workspace, done: &Done, outcome: &mut Outcome) -> Result<()> {
    if !done.modules {
        build::modules(workspace, Which::All).context("these tests need the modules")?;
    }
    let mut command = cargo::cargo(workspace.root());
    command.args(["test", "--workspace", "--no-fail-fast", "--test", "*"]);
    command.args(NO_SOAK);
    // The identity provider runs on it; without one, its tests fail and say so.
    if let Ok(path) = tools::path_with_node(workspace) {
        command.env("PATH", path);
    }
    tests(&mut command, outcome)
}

fn wasm(workspace: &Workspace, outcome: &mut Outcome) -> Result<()> {
    let packages = workspace.packages_that_test_with("wasm-bindgen-test");
    if packages.is_empty() {
        println!("no crate declares tests for wasm32");
        return Ok(());
    }
    let path = match tools::path_with_node(workspace) {
        Ok(path) => path,
        Err(error) => {
            outcome.skip(format!("{error:#}"));
            return Ok(());
        }
    };
    target::ensure(target::NODE)?;
    let runner = tools::wasm_bindgen_test_runner(workspace)?;
    let mut command = cargo::cargo(workspace.root());
    command
        .args(["test", "--no-fail-fast", "--lib"])
        .args(["--target", target::NODE])
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner)
        .env("PATH", path)
        .env("NODE_PATH", tools::node_path(workspace)?);
    for package in &packages {
        command.args(["--package", package]);
    }
    // Other integration tests need a host, which is native.
    if workspace.has_test(&packages, PURE) {
        command.args(["--test", PURE]);
    }
    tests(&mut command, outcome)
}

fn msrv(workspace: &Workspace, outcome: &mut Outcome) -> Result<()> {
    let (major, minor) = workspace
        .rust_version()
        .context("Cargo.toml states no `rust-version`")?;
    let oldest = format!("{major}.{minor}");
    let current = cargo::output(cargo::rustc().arg("--version"))?;
    if is_release(&current, "rustc ", &oldest) {
        println!("rustc is {oldest}, the oldest promised: the steps above have checked it");
        outcome.check(Ok(()));
        return Ok(());
    }

    let mut list = Command::new("rustup");
    list.args(["toolchain", "list", "--quiet"]);
    let toolchains = if target::has_rustup() {
        cargo::output(&mut list)?
    } else {
        String::new()
    };
    let mut toolchains = toolchains.lines();
    let Some(toolchain) = toolchains.find(|toolchain| is_release(toolchain, "", &oldest)) else {
        outcome.skip(format!(
            "rustc here is newer than {oldest}, the oldest promised. \
             To check that too: rustup toolchain install {oldest} --profile minimal"
        ));
        return Ok(());
    };
    let mut check = Command::new("rustup");
    check
        .args(["run", toolchain, "cargo", "check", "--workspace"])
        .current_dir(workspace.root())
        .env_remove("CARGO")
        .env_remove("RUSTC");
    outcome.check(cargo::run(&mut check));
    Ok(())
}

/// Whether `text` is `prefix` and then a release of Rust `1.95`: `1.95.0`, `1.95-x86_64…`.
fn is_release(text: &str, prefix: &str, version: &str) -> bool {
    let rest = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix(version));
    rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

/// Runs `cargo test`, passes on what it writes, and counts.
fn tests(command: &mut Command, outcome: &mut Outcome) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let mut reader = Reader::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("cannot read from cargo")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        reader.line(&line);
    }
    let status = child.wait().context("cannot wait for cargo")?;
    let (tally, notes) = reader.finish(status.success());
    outcome.tally += tally;
    outcome.notes.extend(notes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_release;

    #[test]
    fn knows_a_release_by_its_version() {
        assert!(is_release(
            "rustc 1.95.0 (59807616e 2026-04-14)",
            "rustc ",
            "1.95"
        ));
        assert!(is_release("1.95-x86_64-unknown-linux-gnu", "", "1.95"));
        assert!(is_release("1.95.0-x86_64-unknown-linux-gnu", "", "1.95"));
        assert!(!is_release("rustc 1.96.0", "rustc ", "1.95"));
        assert!(!is_release("1.950.0", "", "1.95"));
        assert!(!is_release("stable-x86_64-unknown-linux-gnu", "", "1.95"));
    }
}
