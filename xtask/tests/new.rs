//! `cargo xtask new`, as a user calls it, in a copy of the workspace.

#![cfg(unix)]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use legation_tests::output_text;

/// The folders that get new files. Everything else of a copy is a link to the original.
const OWN: [&str; 8] = [
    "",
    "filters",
    "envoy-config",
    "envoy-config/configurations",
    "envoy-config/filters",
    "envoy-config/schemas",
    "tests",
    "tests/tests",
];
const NOT_COPIED: [&str; 3] = [".git", "target", "Cargo.toml"];
/// Left empty: the new filter's file is the one to be checked, and each takes a while.
const EMPTY: &str = "envoy-config/filters";

/// A copy of the workspace. It builds into the same target folder as the original,
/// from which its packages differ by their version.
struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Always at the same place, so that what was built of it last time is still good.
    fn copy(name: &str) -> Result<Self> {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("new")
            .join(name);
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let original = original.canonicalize()?;
        for folder in OWN {
            fs::create_dir_all(root.join(folder))?;
            if folder == EMPTY {
                continue;
            }
            for entry in fs::read_dir(original.join(folder))? {
                let entry = entry?;
                let path = Path::new(folder).join(entry.file_name());
                let mut others = OWN.iter().chain(&NOT_COPIED);
                if others.all(|other| path != Path::new(other)) {
                    symlink(entry.path(), root.join(path))?;
                }
            }
        }
        let manifest = fs::read_to_string(original.join("Cargo.toml"))?;
        let marked = manifest.replacen("\nversion = \"", "\nversion = \"0.0.0-copy-of-", 1);
        ensure!(marked != manifest, "Cargo.toml states no version");
        fs::write(root.join("Cargo.toml"), marked)?;
        // Cargo writes to it, and would write through a link.
        fs::remove_file(root.join("Cargo.lock"))?;
        fs::copy(original.join("Cargo.lock"), root.join("Cargo.lock"))?;
        Ok(Self { root })
    }

    fn xtask(&self, args: &[&str]) -> Result<Output> {
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(args)
            .current_dir(&self.root)
            .env("CARGO_MANIFEST_DIR", self.root.join("xtask"))
            .env("CARGO_TARGET_DIR", legation_tests::target_dir()?)
            .env("NO_COLOR", "1")
            .output()
            .context("cannot run the command")
    }

    fn cargo(&self, line: &str) -> Result<()> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(line.split(' '))
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", legation_tests::target_dir()?)
            .env("RUSTDOCFLAGS", "--deny warnings")
            .output()
            .context("cannot run cargo")?;
        ensure!(
            output.status.success(),
            "cargo {line}:\n{}",
            output_text(&output)
        );
        Ok(())
    }

    /// Every file and folder, and what Cargo.lock holds.
    fn contents(&self) -> Result<(Vec<PathBuf>, String)> {
        let mut paths = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                }
                paths.push(entry.path());
            }
        }
        paths.sort();
        let lock = fs::read_to_string(self.root.join("Cargo.lock"))?;
        Ok((paths, lock))
    }

    /// Asks for a filter that cannot be had; gives what it is told.
    fn refused(&self, args: &[&str]) -> Result<String> {
        // The first command of all adapts Cargo.lock to the copy.
        self.cargo("metadata --format-version 1")?;
        let before = self.contents()?;
        let output = self.xtask(&[&["new"], args].concat())?;
        let text = output_text(&output);
        assert!(!output.status.success(), "{text}");
        assert_eq!(self.contents()?, before, "{text}");
        Ok(text)
    }
}

#[test]
fn a_new_filter_passes_every_check() -> Result<()> {
    let copy = Workspace::copy("complete")?;

    let output = copy.xtask(&["new", "sample-filter", "--description", "Asks who it is."])?;

    let told = output_text(&output);
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("Created filters/sample-filter/src/filter.rs"),
        "{told}"
    );
    assert!(
        told.contains("cargo test -p legation-tests --test sample_filter"),
        "{told}"
    );
    let manifest = fs::read_to_string(copy.root.join("filters/sample-filter/Cargo.toml"))?;
    assert!(
        manifest.contains("description = \"Asks who it is\"\n"),
        "{manifest}"
    );

    let built = copy.xtask(&["build", "sample-filter"])?;
    assert!(built.status.success(), "{}", output_text(&built));
    let shipped = "envoy-config/filters/sample-filter.yaml";
    let valid = copy.xtask(&["validate", "sample-filter", shipped])?;
    assert!(valid.status.success(), "{}", output_text(&valid));
    for line in [
        "fmt --check -p sample-filter -p legation-tests",
        "clippy --no-deps -p sample-filter --all-targets -- --deny warnings",
        "clippy --no-deps -p sample-filter --target wasm32-wasip1 -- --deny warnings",
        "clippy --no-deps -p legation-tests --test sample_filter -- --deny warnings",
        "doc --no-deps -p sample-filter",
        "test -p sample-filter",
        "test -p legation-tests --test sample_filter --test envoy_config",
        "test -p legation-tests --test scenarios -- sample-filter::",
    ] {
        copy.cargo(line)?;
    }
    for module in ["sample-filter.wasm", "plain/sample-filter.wasm"] {
        fs::remove_file(legation_tests::module_dir()?.join(module))?;
    }
    Ok(())
}

#[test]
fn a_name_that_will_not_do_is_told_why_and_leaves_nothing() -> Result<()> {
    let copy = Workspace::copy("names")?;
    for (args, problem) in [
        (&["SampleFilter"][..], "did you mean `sample-filter`?"),
        (&["../escape"], "a name is wanted"),
        (&["match"], "a word of Rust's"),
        (&["header-tag"], "there is a filter `header-tag` already"),
        (&["probe"], "already, in tests/modules/probe"),
        (&["log"], "a crate that the workspace uses is called `log`"),
        // What a test of the harness is called, as a file and as a folder.
        (
            &["envoy-config"],
            "tests/tests/envoy_config.rs is there already",
        ),
        (&["scenarios"], "tests/tests/scenarios is there already"),
        (
            &["sample-filter", "--description", " "],
            "say what the filter does",
        ),
    ] {
        let told = copy.refused(args)?;
        assert!(told.contains(problem), "no `{problem}` in:\n{told}");
    }
    Ok(())
}

#[test]
fn a_filter_that_cannot_be_made_leaves_nothing() -> Result<()> {
    let copy = Workspace::copy("failures")?;
    // The last file has no place to go.
    let tests = copy.root.join("tests/tests");
    let manifest = copy.root.join("tests/Cargo.toml");
    let without_tests =
        fs::read_to_string(&manifest)?.replace("[[test]]", "[[package.metadata.none]]");
    fs::remove_file(&manifest)?;
    fs::write(&manifest, without_tests)?;
    fs::remove_dir_all(&tests)?;
    fs::write(&tests, "no folder")?;
    let told = copy.refused(&["sample-filter"])?;
    assert!(told.contains("cannot make the folder"), "{told}");

    fs::remove_file(&tests)?;
    // Cargo does not want it.
    let manifest = copy.root.join("Cargo.toml");
    let excluding = fs::read_to_string(&manifest)?.replacen(
        "members = ",
        "exclude = [\"filters/sample-filter\"]\nmembers = ",
        1,
    );
    fs::write(&manifest, excluding)?;
    let told = copy.refused(&["sample-filter"])?;
    assert!(
        told.contains("does not count filters/sample-filter"),
        "{told}"
    );
    Ok(())
}
