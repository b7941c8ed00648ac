//! `cargo xtask dist`: the filters as they are given to others, the same to the byte in whatever folder they are made.

mod image;
mod sbom;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anstream::println;
use anyhow::{Context, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::build::{self, Which};
use crate::cargo;
use crate::terminal::{self, NAME, size, styled};
use crate::workspace::{ModulePackage, Workspace};

/// The package that pushes. It is built when it is wanted: its crates would keep every other command waiting.
const PUSH: &str = "xtask-push";

/// Make what is given to others: modules, schemas, lists of crates, OCI images; and push the images.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Filters to make; all of them when none is named
    filters: Vec<String>,
    /// Where to put them, a folder each, instead of target/legation/dist; a folder of that name that this
    /// command did not make is not touched
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Push each image to PLACE/FILTER, such as registry.example.com/legation; plain HTTP on loopback alone,
    /// credentials as `docker login` leaves them
    #[arg(long, value_name = "PLACE")]
    push: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    let packages = match args.filters.as_slice() {
        [] => workspace.filters(),
        named => named
            .iter()
            .map(|name| build::pick(&workspace, name))
            .collect::<Result<_>>()?,
    };
    let names: Vec<_> = packages.iter().map(|one| one.name.clone()).collect();
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| workspace.modules().join("dist"));
    for name in &names {
        may_be_replaced(&out, name)?;
    }
    build::modules(&workspace, Which::Named(&names))?;
    let revision = revision(workspace.root());
    let mut images = Vec::new();
    for package in &packages {
        let made = make(&workspace, package, &out, revision.as_deref());
        images.extend(made.with_context(|| format!("cannot make `{}`", package.name))?);
    }
    sums(&out)?;
    match &args.push {
        Some(place) => push(&workspace, place, &images),
        None => Ok(()),
    }
}

/// The list of a filter's crates, by which its folder is known again.
fn list_of(out: &Path, name: &str) -> PathBuf {
    out.join(name).join(format!("{name}.cdx.json"))
}

/// A filter's folder is emptied before it is made again: one that holds anything else is not touched, such as the
/// sources of the filter with `--out filters`.
fn may_be_replaced(out: &Path, name: &str) -> Result<()> {
    let folder = out.join(name);
    let is_empty = match fs::read_dir(&folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", folder.display()));
        }
    };
    ensure!(
        is_empty || list_of(out, name).is_file(),
        "{} is there and was not made by this command; name another folder with --out",
        folder.display()
    );
    Ok(())
}

/// An image as a folder, and what it is called in a registry.
struct Image {
    folder: PathBuf,
    name: String,
    tag: String,
}

fn make(
    workspace: &Workspace,
    package: &ModulePackage,
    out: &Path,
    revision: Option<&str>,
) -> Result<Vec<Image>> {
    let name = package.name.as_str();
    let about = workspace.package(name).context("cargo does not know it")?;
    let folder = out.join(name);
    // What is there from before may not be of this one.
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&folder)?,
    }
    let built = workspace.modules().join(format!("{name}.wasm"));
    let wasm = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    // First: by it the folder is known again, also when this is interrupted.
    let list = sbom::of(workspace, name, &about.version.to_string(), &sha256(&wasm))?;
    fs::write(list_of(out, name), list)?;
    fs::write(folder.join(format!("{name}.wasm")), &wasm)?;
    fs::copy(workspace.root().join("LICENSE"), folder.join("LICENSE"))?;
    let schema = format!("{name}.schema.json");
    let made = workspace.root().join("envoy-config/schemas").join(&schema);
    if made.is_file() {
        fs::copy(made, folder.join(schema))?;
    }

    let mut annotations = BTreeMap::from([
        ("org.opencontainers.image.title", name.to_owned()),
        (
            "org.opencontainers.image.version",
            about.version.to_string(),
        ),
    ]);
    let more = [
        ("org.opencontainers.image.licenses", about.license.clone()),
        (
            "org.opencontainers.image.description",
            about.description.clone(),
        ),
        ("org.opencontainers.image.source", about.repository.clone()),
        (
            "org.opencontainers.image.revision",
            revision.map(str::to_owned),
        ),
    ];
    annotations.extend(more.into_iter().filter_map(|(name, it)| Some((name, it?))));
    let compat = image::compat(&folder.join("compat"), &wasm, &annotations)?;
    let oci = image::oci(&folder.join("oci"), &wasm, &annotations)?;

    terminal::status(
        "Made",
        format_args!("{}: {}", styled(NAME, name), size(wasm.len())),
    );
    println!("             sha256 {}", sha256(&wasm));
    println!("             image  sha256:{compat} (compat), sha256:{oci} (oci)");
    println!("             {}", folder.display());
    let image = |variant: &str, tag: String| Image {
        folder: folder.join(variant),
        name: name.to_owned(),
        tag,
    };
    Ok(vec![
        image("compat", about.version.to_string()),
        image("oci", format!("{}-oci", about.version)),
    ])
}

/// `SHA256SUMS` of all filters that are there, as `sha256sum --check` reads it.
fn sums(out: &Path) -> Result<()> {
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(out)? {
        let entry = entry?;
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| list_of(out, name).is_file())
        {
            folders.push(entry.path());
        }
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    let mut lines = Vec::new();
    for file in files {
        let name = file.strip_prefix(out)?.to_string_lossy().replace('\\', "/");
        lines.push(format!("{}  {name}\n", sha256(&fs::read(&file)?)));
    }
    lines.sort_by(|a, b| a.get(64..).cmp(&b.get(64..)));
    fs::write(out.join("SHA256SUMS"), lines.concat()).context("cannot write SHA256SUMS")
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").ok();
    }
    text
}

/// The commit that the files are of; none where they differ from it or git does not know them, as those of an
/// archive. Files beside them change nothing: what is compiled is named by `Cargo.lock` or by another file.
fn revision(root: &Path) -> Option<String> {
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(args).current_dir(root).stderr(Stdio::null());
        let output = command.output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // An archive may be unpacked within a repository of something else.
    git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    let commit = git(&["rev-parse", "HEAD"])?;
    git(&["status", "--porcelain", "--untracked-files=no", "--", "."])?
        .is_empty()
        .then_some(commit)
}

fn push(workspace: &Workspace, place: &str, images: &[Image]) -> Result<()> {
    let mut command = cargo::cargo(workspace.root());
    command.args(["run", "--quiet", "--package", PUSH, "--", place]);
    for image in images {
        command.arg(&image.folder).arg(&image.name).arg(&image.tag);
    }
    cargo::run(&mut command).context("the images are not pushed; the lines above say why")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_command_made_is_replaced() -> Result<()> {
        let out = tempfile::tempdir()?;
        let out = out.path();
        may_be_replaced(out, "csp")?;
        fs::create_dir(out.join("csp"))?;
        may_be_replaced(out, "csp")?;
        fs::write(out.join("csp/Cargo.toml"), "")?;

        let refused = may_be_replaced(out, "csp").expect_err("it is somebody's");

        let refused = refused.to_string();
        assert!(
            refused.contains("was not made by this command"),
            "{refused}"
        );
        fs::write(list_of(out, "csp"), "{}")?;
        may_be_replaced(out, "csp")?;
        fs::write(out.join("csp-header"), "a file")?;
        assert!(may_be_replaced(out, "csp-header").is_err());
        Ok(())
    }

    #[test]
    fn the_revision_is_of_what_git_knows() -> Result<()> {
        let repository = tempfile::tempdir()?;
        let root = repository.path();
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            command.args(["-c", "user.name=A", "-c", "user.email=a@example.com"]);
            command.args(["-c", "commit.gpgsign=false"]).args(args);
            cargo::output(command.current_dir(root))
        };
        git(&["init", "--quiet"])?;
        fs::write(root.join("Cargo.toml"), "one")?;
        git(&["add", "Cargo.toml"])?;
        git(&["commit", "--quiet", "--message", "one"])?;
        let commit = git(&["rev-parse", "HEAD"])?;
        assert_eq!(revision(root).as_deref(), Some(commit.trim()));

        fs::write(root.join("notes.txt"), "nobody's")?;
        assert_eq!(revision(root).as_deref(), Some(commit.trim()));

        let archive = root.join("archive");
        fs::create_dir(&archive)?;
        fs::write(archive.join("Cargo.toml"), "another")?;
        assert_eq!(revision(&archive), None, "it is of no commit");

        fs::write(root.join("Cargo.toml"), "two")?;
        assert_eq!(revision(root), None, "it has changed");
        Ok(())
    }

    #[test]
    fn the_sums_are_of_filters_alone() -> Result<()> {
        let out = tempfile::tempdir()?;
        let out = out.path();
        for folder in ["csp/oci", "sources"] {
            fs::create_dir_all(out.join(folder))?;
        }
        for file in ["csp/oci/index.json", "sources/lib.rs", "notes.txt"] {
            fs::write(out.join(file), "something")?;
        }
        fs::write(list_of(out, "csp"), "{}")?;

        sums(out)?;

        let sums = fs::read_to_string(out.join("SHA256SUMS"))?;
        let files: Vec<_> = sums.lines().filter_map(|line| line.get(66..)).collect();
        assert_eq!(files, ["csp/csp.cdx.json", "csp/oci/index.json"]);
        Ok(())
    }
}
