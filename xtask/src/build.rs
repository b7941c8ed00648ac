//! `cargo xtask build`: the filters as Envoy loads them.

mod flags;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use anstream::println;
use anyhow::{Context, Result, bail};
use cargo_metadata::Message;

use crate::cargo;
use crate::prune::{self, Pruned};
use crate::suggest;
use crate::target;
use crate::terminal::{self, NAME, size, styled};
use crate::workspace::{ModulePackage, Workspace};

/// Build the filters to Wasm modules, with only the callbacks that each one uses.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Filters to build; all of them when none is named.
    filters: Vec<String>,
    /// Also build the modules that only tests and benchmarks load.
    #[arg(long)]
    all: bool,
}

/// Which modules to build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    /// The filters alone.
    Filters,
    /// The filters and what only tests and benchmarks load.
    All,
    /// The ones named.
    Named(&'a [String]),
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    let which = match (args.filters.as_slice(), args.all) {
        ([], false) => Which::Filters,
        ([], true) => Which::All,
        (named, false) => Which::Named(named),
        (_, true) => bail!("--all builds everything: leave out the names, or leave out --all"),
    };
    modules(&workspace, which)
}

/// Builds modules and prunes them into the workspace's folder for modules.
pub(crate) fn modules(workspace: &Workspace, which: Which) -> Result<()> {
    let packages = choose(workspace, which)?;
    if packages.is_empty() {
        terminal::warning("there is no filter to build");
        return Ok(());
    }
    target::ensure(target::WASI)?;
    fs::create_dir_all(workspace.plain_modules())
        .with_context(|| format!("cannot make {}", workspace.plain_modules().display()))?;
    for package in &packages {
        let linked = compile(workspace, package)?;
        finish(workspace, package, &linked)
            .with_context(|| format!("cannot prune the module of `{}`", package.name))?;
    }
    Ok(())
}

fn choose(workspace: &Workspace, which: Which) -> Result<Vec<ModulePackage>> {
    let filters = workspace.filters();
    match which {
        Which::Filters => Ok(filters),
        Which::All => Ok([filters, workspace.test_modules()].concat()),
        Which::Named(names) => names.iter().map(|name| pick(workspace, name)).collect(),
    }
}

/// The package of a filter, or of a module that only tests load, by its name.
pub(crate) fn pick(workspace: &Workspace, name: &str) -> Result<ModulePackage> {
    find(&workspace.filters(), &workspace.test_modules(), name)
}

/// Users are told of the filters alone.
fn find(filters: &[ModulePackage], others: &[ModulePackage], name: &str) -> Result<ModulePackage> {
    let mut known = filters.iter().chain(others);
    if let Some(package) = known.find(|package| package.name == name) {
        return Ok(package.clone());
    }
    let names: Vec<_> = filters.iter().map(|filter| filter.name.as_str()).collect();
    bail!("{}", suggest::unknown("filter", name, &names))
}

/// Runs cargo for one package, and gives the module that it linked. One at a time:
/// together, each would get the features that any of them asks for.
fn compile(workspace: &Workspace, package: &ModulePackage) -> Result<PathBuf> {
    let mut command = cargo::cargo(workspace.root());
    command
        .args(["build", "--release", "--target", target::WASI])
        .args(["--package", &package.name])
        .args(["--message-format", "json-render-diagnostics"])
        .stdout(Stdio::piped());
    flags::without_paths(&mut command, workspace);
    let mut child = command.spawn().context("cannot run cargo")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let mut module = None;
    for message in Message::parse_stream(std::io::BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) = message.context("cannot read from cargo")?
            && artifact.manifest_path.as_std_path() == package.manifest
        {
            let mut files = artifact.filenames.into_iter();
            module = files
                .find(|file| file.extension() == Some("wasm"))
                .or(module);
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() {
        bail!("cannot build `{}`: cargo says why above", package.name);
    }
    let module = module.with_context(|| {
        format!(
            "cargo built `{}` but no module: {} needs `crate-type = [\"cdylib\", \"rlib\"]` under `[lib]`",
            package.name,
            package.manifest.display()
        )
    })?;
    Ok(module.into_std_path_buf())
}

/// Prunes what the linker made, unless the result is there already.
fn finish(workspace: &Workspace, package: &ModulePackage, linked: &Path) -> Result<()> {
    let file = format!("{}.wasm", package.name);
    let finished = workspace.modules().join(&file);
    let plain = workspace.plain_modules().join(&file);
    if is_newer(&finished, linked) && is_newer(&plain, linked) {
        let bytes = fs::metadata(&finished)?.len();
        let bytes = size(usize::try_from(bytes).unwrap_or(usize::MAX));
        terminal::status(
            "Fresh",
            format_args!("{}: {bytes}", styled(NAME, &package.name)),
        );
        return Ok(());
    }

    let wasm = fs::read(linked).with_context(|| format!("cannot read {}", linked.display()))?;
    let pruned = prune::prune(&wasm)?;
    replace(&plain, &wasm)?;
    let Some(pruned) = pruned else {
        replace(&finished, &wasm)?;
        terminal::status(
            "Copied",
            format_args!(
                "{}: {}, as it is: it does not say which callbacks it uses \
                 (it has no section `{}`)",
                styled(NAME, &package.name),
                size(wasm.len()),
                prune::SECTION
            ),
        );
        return Ok(());
    };
    replace(&finished, &pruned.wasm)?;
    report(package, &finished, &wasm, &pruned);
    Ok(())
}

fn report(package: &ModulePackage, finished: &Path, before: &[u8], pruned: &Pruned) {
    terminal::status(
        "Pruned",
        format_args!(
            "{}: {} -> {}",
            styled(NAME, &package.name),
            size(before.len()),
            size(pruned.wasm.len())
        ),
    );
    println!("             exports {}", pruned.exports.join(", "));
    if pruned.dropped_slots > 0 {
        println!(
            "             emptied {} function table slots that nothing calls any more",
            pruned.dropped_slots
        );
    }
    println!("             {}", finished.display());
}

/// Whether a result is newer than what it was made of, and than its maker.
fn is_newer(result: &Path, input: &Path) -> bool {
    let maker = std::env::current_exe().ok().and_then(|exe| changed(&exe));
    match (changed(result), changed(input), maker) {
        (Some(result), Some(input), Some(maker)) => result > input && result > maker,
        _ => false,
    }
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}

/// Writes a file whole: whoever reads it meanwhile sees the old one or the new one.
fn replace(file: &Path, bytes: &[u8]) -> Result<()> {
    let draft = file.with_extension(format!("wasm.{}", std::process::id()));
    fs::write(&draft, bytes)
        .and_then(|()| fs::rename(&draft, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> ModulePackage {
        ModulePackage {
            name: name.to_owned(),
            manifest: PathBuf::new(),
        }
    }

    #[test]
    fn an_unknown_filter_gets_a_suggestion_and_the_list() {
        let filters = [package("csp"), package("header-tag")];
        let others = [package("probe")];

        let error = find(&filters, &others, "header-tags")
            .expect_err("is unknown")
            .to_string();

        assert_eq!(
            error,
            "there is no filter `header-tags`; did you mean `header-tag`? (known: csp, header-tag)"
        );
    }

    #[test]
    fn filters_and_the_modules_of_tests_are_found() {
        let filters = [package("csp")];
        let others = [package("probe")];

        for name in ["csp", "probe"] {
            assert_eq!(find(&filters, &others, name).expect("is known").name, name);
        }
    }
}
