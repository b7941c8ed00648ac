//! `cargo xtask clean`: removes what the commands made.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

use crate::terminal;
use crate::workspace::Workspace;

/// Remove the built modules; with --all also the tools and the Envoy that were fetched.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also remove the tools and the Envoy that the commands fetched.
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    remove(&workspace.modules())?;
    remove(&workspace.runs())?;
    if args.all {
        remove(&workspace.tools())?;
        remove(&workspace.envoy())?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => {
            terminal::status("Removed", folder.display());
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", folder.display())),
    }
}
