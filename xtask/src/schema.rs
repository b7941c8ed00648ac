//! `cargo xtask schema`: the JSON Schemas of the filters' configurations, for editors.
//!
//! Each filter's own test `schema` knows its configuration; here it is told where to
//! write.

use std::fs;
use std::path::Path;

use anstream::print;
use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::suggest;
use crate::terminal;
use crate::workspace::Workspace;

/// The test of a filter that has its schema.
const TEST: &str = "schema";
/// What tells it where to write.
const WRITE_TO: &str = "LEGATION_SCHEMAS";
const SUFFIX: &str = ".schema.json";

/// Write the JSON Schemas of the filters' configurations, or print one.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A filter, such as header-tag, whose schema is printed; all are written without one.
    filter: Option<String>,
    /// Only look whether the files are what the configurations say.
    #[arg(long, conflicts_with = "filter")]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    let filters: Vec<String> = workspace
        .filters()
        .into_iter()
        .map(|filter| filter.name)
        .collect();
    let names: Vec<&str> = filters.iter().map(String::as_str).collect();
    let has_schema = |name: &&str| workspace.has_test(&[(*name).to_owned()], TEST);
    let with_schemas: Vec<&str> = names.iter().copied().filter(has_schema).collect();
    let folder = workspace.root().join("envoy-config/schemas");
    match &args.filter {
        None if args.check => test(&workspace, &with_schemas, None),
        None => {
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            test(&workspace, &with_schemas, Some(&folder))?;
            for path in schemas(&folder)? {
                terminal::status("Wrote", format!("envoy-config/schemas/{path}"));
            }
            Ok(())
        }
        Some(filter) => {
            if !names.contains(&filter.as_str()) {
                bail!("{}", suggest::unknown("filter", filter, &names));
            }
            // `header-tag-request` is made by `header-tag`.
            let of = with_schemas
                .iter()
                .filter(|name| filter.starts_with(**name));
            let package = of.max_by_key(|name| name.len());
            let package = package.with_context(|| format!("{filter} has no test `{TEST}`"))?;
            let made = workspace.target().join("schemas");
            fs::create_dir_all(&made).with_context(|| format!("cannot make {}", made.display()))?;
            test(&workspace, &[package], Some(&made))?;
            let path = made.join(format!("{filter}{SUFFIX}"));
            match fs::read_to_string(&path) {
                Ok(text) => print!("{text}"),
                Err(_) => bail!("{package} has no schema of `{filter}`"),
            }
            Ok(())
        }
    }
}

/// Has the filters' tests write their schemas into a folder, or look at the files.
fn test(workspace: &Workspace, filters: &[&str], folder: Option<&Path>) -> Result<()> {
    let mut command = cargo::cargo(workspace.root());
    command.args(["test", "--quiet", "--no-fail-fast", "--test", TEST]);
    for filter in filters {
        command.args(["--package", filter]);
    }
    command.args(["--", "the_file_is_what_the_configuration_says"]);
    if let Some(folder) = folder {
        command.env(WRITE_TO, folder);
    }
    // Standard output is for the schema.
    let output = command
        .output()
        .with_context(|| format!("cannot run `{}`", cargo::shown(&command)))?;
    if !output.status.success() {
        bail!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// The names of the files in a folder, sorted.
fn schemas(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .filter(|name| name.ends_with(SUFFIX))
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}
