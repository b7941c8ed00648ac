//! `cargo xtask soak`: what takes too long for each run of the tests.

use anyhow::Result;

use crate::build::{self, Which};
use crate::cargo;
use crate::workspace::Workspace;

/// The module, in a test file, of the tests that take long.
pub(crate) const MODULE: &str = "soak::";

/// Run the long tests in Envoy, such as a million requests that wait (minutes to an hour)
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests whose names contain this
    name: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    build::modules(&workspace, Which::All)?;
    let mut command = cargo::cargo(workspace.root());
    command.args(["test", "--profile", "soak"]);
    for package in [
        "legation-tests",
        "legation-jose",
        "body-guard",
        "csp",
        "jwt-auth",
        "oauth2",
        "rate-limit",
    ] {
        command.args(["--package", package]);
    }
    command.args(["--lib", "--test", "*", "--"]);
    command.arg(args.name.as_deref().unwrap_or(MODULE));
    command.args(["--ignored", "--nocapture"]);
    cargo::run(&mut command)
}
