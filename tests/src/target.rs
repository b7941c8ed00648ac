//! Where the workspace is, and where what it builds and fetches is kept.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// The workspace's root folder.
pub fn workspace_root() -> &'static Path {
    // This crate stands right under it.
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The folder `envoy-config/`, from which users copy.
pub fn envoy_config_dir() -> PathBuf {
    workspace_root().join("envoy-config")
}

/// Cargo's target folder, wherever the user has put it.
pub fn target_dir() -> Result<&'static Path> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let found = find_target_dir()?;
    Ok(FOUND.get_or_init(|| found))
}

/// The folder of the modules that `cargo xtask build` makes.
pub fn module_dir() -> Result<PathBuf> {
    Ok(target_dir()?.join("legation"))
}

/// The module that `cargo xtask build` made of a filter, or an error that says to run it.
///
/// Tests do not build modules by themselves: a cargo inside `cargo test` would
/// build for a minute behind the back of a test that waits, once per test binary.
pub fn module(name: &str) -> Result<PathBuf> {
    let path = module_dir()?.join(format!("{name}.wasm"));
    if !path.is_file() {
        bail!(
            "the module of `{name}` is not built (no file {}): run `cargo xtask build`, \
             or `cargo xtask build --all` for the modules that only tests load",
            path.display()
        );
    }
    Ok(path)
}

fn find_target_dir() -> Result<PathBuf> {
    // Relative, it means the folder where cargo was called; from inside a test
    // only cargo, asked in the workspace's root, can tell.
    if let Some(given) = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from)
        && given.is_absolute()
    {
        return Ok(given);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(workspace_root())
        .output()
        .context("cannot run `cargo metadata` to find the target folder")?;
    if !output.status.success() {
        bail!(
            "`cargo metadata` failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let folder = metadata["target_directory"].as_str();
    Ok(folder
        .context("`cargo metadata` names no target_directory")?
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_holds_the_configs() {
        assert!(workspace_root().join("Cargo.toml").is_file());
        assert!(envoy_config_dir().is_dir());
    }

    #[test]
    fn a_module_that_is_not_built_says_how_to_build_it() {
        let error = module("no-such-filter").unwrap_err().to_string();

        assert!(error.contains("no-such-filter.wasm"), "{error}");
        assert!(error.contains("cargo xtask build"), "{error}");
    }
}
