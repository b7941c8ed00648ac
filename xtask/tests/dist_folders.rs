//! `cargo xtask dist` and the folders of a machine: none of them is in a module, and one that it did not make stays
//! as it is.

#![cfg(unix)]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use legation_tests::{output_text, target_dir, workspace_root};

/// Compiled in seconds, and full of panics of its crates.
const SMALL: &str = "proxy-wasm-quiet";

type Variables<'a> = &'a [(&'a str, &'a OsStr)];

fn dist(args: &[&str], out: &Path, variables: Variables) -> Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("dist")
        .args(args)
        .arg("--out")
        .arg(out)
        .env("CARGO_TARGET_DIR", target_dir()?)
        .env("NO_COLOR", "1")
        .envs(variables.iter().copied())
        .output()
        .context("cannot run the command")
}

/// The module and the list of its crates.
fn made(out: &Path, variables: Variables) -> Result<(Vec<u8>, String)> {
    let output = dist(&[SMALL], out, variables)?;
    ensure!(output.status.success(), "{}", output_text(&output));
    let folder = out.join(SMALL);
    let module = fs::read(folder.join(format!("{SMALL}.wasm")))?;
    let list = fs::read_to_string(folder.join(format!("{SMALL}.cdx.json")))?;
    Ok((module, list))
}

/// The workspace at another place.
fn copy(root: &Path) -> Result<()> {
    fs::create_dir(root)?;
    for entry in fs::read_dir(workspace_root())? {
        let entry = entry?;
        let copy = root.join(entry.file_name());
        match entry.file_name().to_str() {
            Some(".git" | "target") => {}
            // Cargo may write to it, and would write through a link.
            Some("Cargo.lock") => fs::copy(entry.path(), copy).map(drop)?,
            _ => symlink(entry.path(), copy)?,
        }
    }
    Ok(())
}

/// What cargo has fetched, at another place.
fn cargo_home(copy: &Path) -> Result<()> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let home = home.context("cargo's folder")?;
    fs::create_dir(copy)?;
    for name in ["registry", "git", "config.toml"] {
        if home.join(name).exists() {
            symlink(home.join(name), copy.join(name))?;
        }
    }
    Ok(())
}

#[test]
fn a_folder_of_somebody_else_is_not_replaced() -> Result<()> {
    let out = tempfile::tempdir()?;
    let sources = out.path().join("header-tag");
    fs::create_dir(&sources)?;
    fs::write(sources.join("Cargo.toml"), "[package]")?;

    let refused = dist(&["header-tag"], out.path(), &[])?;

    let told = output_text(&refused);
    assert!(!refused.status.success(), "{told}");
    assert!(told.contains("was not made by this command"), "{told}");
    let kept = fs::read_to_string(sources.join("Cargo.toml"))?;
    assert_eq!(kept, "[package]");
    Ok(())
}

/// The crates within the workspace, the target folder outside of it, and flags in the environment: each of these once
/// had folders stand in modules.
#[test]
fn a_module_is_the_same_from_another_folder() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let root = folder.join("copy");
    copy(&root)?;
    cargo_home(&root.join("cargo"))?;
    let (module, list) = made(&folder.join("here"), &[])?;
    assert!(list.contains("\"value\": \"rustc 1."), "{list}");

    for flags in [None, Some("-Cdebuginfo=0")] {
        let mut variables = vec![
            ("CARGO_MANIFEST_DIR", root.join("xtask").into_os_string()),
            ("CARGO_HOME", root.join("cargo").into_os_string()),
            ("CARGO_TARGET_DIR", folder.join("target").into_os_string()),
        ];
        variables.extend(flags.map(|flags| ("RUSTFLAGS", flags.into())));
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_os_str()))
            .collect();
        let other = made(&folder.join("there"), &variables)
            .with_context(|| format!("with the flags {flags:?}"))?;

        let found = paths(&other.0);
        assert!(other.0 == module, "with the flags {flags:?}: {found:#?}");
        assert_eq!(other.1, list, "with the flags {flags:?}");
    }
    Ok(())
}

/// The files of Rust that a module names.
fn paths(module: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(module);
    let pieces = text.split(|it: char| !it.is_ascii_graphic());
    let files = pieces.filter(|piece| piece.contains(".rs"));
    files.map(str::to_owned).collect()
}
