//! Rust's Wasm targets: adds one that is missing, or says how.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::cargo;
use crate::terminal;

/// What Envoy's modules are built for.
pub(crate) const WASI: &str = "wasm32-wasip1";
/// What the tests under Node are built for.
pub(crate) const NODE: &str = "wasm32-unknown-unknown";

/// Makes certain that rustc can build for the target.
pub(crate) fn ensure(target: &str) -> Result<()> {
    if is_installed(target)? {
        return Ok(());
    }
    if !has_rustup() {
        bail!("{}", without_rustup(target));
    }
    terminal::status(
        "Adding",
        format_args!("the Rust target {target}, by rustup"),
    );
    cargo::run(Command::new("rustup").args(["target", "add", target]))?;
    if !is_installed(target)? {
        bail!(
            "rustup added the target {target}, but the rustc in use does not find it; \
             is a rustc in front of rustup's on PATH?"
        );
    }
    Ok(())
}

fn is_installed(target: &str) -> Result<bool> {
    let mut rustc = cargo::rustc();
    let folder = cargo::output(rustc.args(["--print", "target-libdir", "--target", target]))?;
    Ok(has_std(Path::new(folder.trim())))
}

/// rustc names a folder for every target it knows; the installed ones hold `std`.
fn has_std(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

pub(crate) fn has_rustup() -> bool {
    let mut command = Command::new("rustup");
    command.arg("--version");
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn without_rustup(target: &str) -> String {
    format!(
        "Rust's target {target} is not installed, and there is no rustup to add it.\n\
         \n\
         With rustup (see rustup.rs):    rustup target add {target}\n\
         With Debian's or Ubuntu's Rust: apt-get install libstd-rust-dev-wasm32\n\
         With Fedora's Rust:             dnf install rust-std-static-{target}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_to_install_where_there_is_no_rustup() {
        let text = without_rustup(WASI);

        assert!(text.contains("rustup target add wasm32-wasip1"));
        assert!(text.contains("apt-get install libstd-rust-dev-wasm32"));
    }

    #[test]
    fn a_folder_without_std_is_no_installed_target() {
        assert!(!has_std(Path::new("no/such/folder")));
        assert!(!has_std(Path::new(env!("CARGO_MANIFEST_DIR"))));
    }
}
