//! `cargo xtask dist` and the folders of a machine: what is in one that it did not make stays.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result};

fn dist(args: &[&str], out: &Path) -> Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("dist")
        .args(args)
        .arg("--out")
        .arg(out)
        .env("NO_COLOR", "1")
        .output()
        .context("cannot run the command")
}

fn text(output: &Output) -> String {
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[stdout.as_slice(), stderr].concat()).into_owned()
}

#[test]
fn a_folder_of_somebody_else_is_not_replaced() -> Result<()> {
    let out = tempfile::tempdir()?;
    let sources = out.path().join("header-tag");
    fs::create_dir(&sources)?;
    fs::write(sources.join("Cargo.toml"), "[package]")?;

    let refused = dist(&["header-tag"], out.path())?;

    let told = text(&refused);
    assert!(!refused.status.success(), "{told}");
    assert!(told.contains("was not made by this command"), "{told}");
    assert!(!told.contains("Compiling header-tag"), "{told}");
    let kept = fs::read_to_string(sources.join("Cargo.toml"))?;
    assert_eq!(kept, "[package]");
    Ok(())
}
