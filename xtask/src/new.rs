//! `cargo xtask new`: a filter to begin with, whose tests pass.

mod draft;
mod name;
mod template;

use anstream::println;
use anyhow::{Context, Result, bail};

use crate::terminal::{self, BOLD, DIM, styled};
use crate::workspace::Workspace;
use draft::Draft;
use name::Name;

/// Make a new filter, which builds, runs and has tests that pass.
///
/// It refuses requests that lack a header, by one option: small, and with a bit of
/// everything that a filter has. Change it into what you need.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the filter is called, such as jwt-auth: lower case, words joined by `-`.
    name: String,
    /// What it does, in a sentence: for its Cargo.toml and its README.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "Refuses requests that lack a header",
        value_parser = description
    )]
    description: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let name = Name::parse(&args.name)?;
    let workspace = Workspace::load()?;
    check_free(&workspace, &name)?;
    let files = template::render(&name, &args.description)?;

    let mut draft = Draft::new(workspace.root());
    for (path, text) in &files {
        draft.write(path, text)?;
    }
    // Cargo takes it into the workspace and Cargo.lock, or says why it cannot.
    let grown = Workspace::load().context("cargo cannot use the new filter")?;
    if grown.filters().iter().all(|it| it.name != name.kebab()) {
        bail!("cargo does not count filters/{name} among the workspace's members");
    }
    draft.keep();

    for (path, _) in &files {
        terminal::status("Created", path);
    }
    tell_next(&name);
    Ok(())
}

/// The text without its full stop: the places it goes to set their own.
fn description(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() {
        return Err("say what the filter does, or leave the flag out".to_owned());
    }
    if text.contains(char::is_control) {
        return Err("must be one line of text".to_owned());
    }
    Ok(text.to_owned())
}

/// Nothing that is there may be overwritten, and no command may mean two packages.
fn check_free(workspace: &Workspace, name: &Name) -> Result<()> {
    if workspace.root().join("filters").join(name.kebab()).exists() {
        bail!("NAME: there is a filter `{name}` already, in filters/{name}");
    }
    if let Some(folder) = workspace.folder_of(name.kebab()) {
        let folder = folder.strip_prefix(workspace.root()).unwrap_or(&folder);
        bail!(
            "NAME: the workspace has a package `{name}` already, in {}",
            folder.display()
        );
    }
    if workspace.locked_version(name.kebab()).is_some() {
        bail!(
            "NAME: a crate that the workspace uses is called `{name}`, and `cargo test -p {name}` \
             could mean either; more words make it your own, such as `{name}-filter`"
        );
    }
    let mut paths = template::paths(name);
    // A folder of tests would be the same test to cargo.
    paths.push(format!("tests/tests/{}", name.snake()));
    for path in paths {
        if workspace.root().join(&path).symlink_metadata().is_ok() {
            bail!("NAME: {path} is there already, and nothing is overwritten");
        }
    }
    Ok(())
}

fn tell_next(name: &Name) {
    let commands = [
        (format!("cargo xtask build {name}"), "its module"),
        (format!("cargo test -p {name}"), "on the mock host"),
        (
            format!("cargo test -p legation-tests --test {}", name.snake()),
            "in Envoy",
        ),
        (
            format!("cargo xtask run {name} --config envoy-config/filters/{name}.yaml"),
            "to try with curl",
        ),
    ];
    println!("\n{}", styled(BOLD, "It works as it stands:"));
    for (command, what) in commands {
        println!("  {command:<58}  {}", styled(DIM, format_args!("# {what}")));
    }
    println!("\nBegin with filters/{name}/src/filter.rs.");
    println!("CONTRIBUTING.md says what a filter that is shipped has besides.");
}

#[cfg(test)]
mod tests {
    use super::description;

    #[test]
    fn a_description_is_one_line_without_its_full_stop() {
        assert_eq!(description(" Checks keys. "), Ok("Checks keys".to_owned()));
        assert!(description(" . ").is_err());
        assert!(description("one\ntwo").is_err());
    }
}
