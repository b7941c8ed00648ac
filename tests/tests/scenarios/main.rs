//! Shows scenarios in Envoy: those of every filter
//! (`filters/NAME/tests/scenarios/*.yaml`) and of the modules that only tests
//! load. The same files run on the mock host in the crates' own tests.

mod shared;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use legation_testing::scenario::{self, Scenario, Suite};
use legation_tests::workspace_root;

use stage::InEnvoy;

fn main() {
    let suite = suite().unwrap_or_else(|error| {
        eprintln!("{error:?}");
        std::process::exit(1);
    });
    suite.run();
}

fn suite() -> Result<Suite> {
    let mut suite = Suite::default();
    let mut scenarios = Vec::new();
    for crates in ["filters", "tests/modules"] {
        for (name, folder) in folders(&workspace_root().join(crates))? {
            let prefix = format!("{name}::");
            let files = suite.add(&prefix, &folder, |scenario| {
                scenario::run::<InEnvoy>(scenario)
            })?;
            // One that cannot be read is told of by its test.
            scenarios.extend(files.iter().filter_map(|file| Scenario::load(file).ok()));
        }
    }
    shared::plan(scenarios);
    Ok(suite)
}

/// The crates of a folder that have scenarios, and where.
fn folders(crates: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(crates)
        .with_context(|| format!("cannot read the folder {}", crates.display()))?;
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        let folder = entry.path().join("tests/scenarios");
        if folder.is_dir() {
            folders.push((entry.file_name().to_string_lossy().into_owned(), folder));
        }
    }
    folders.sort();
    Ok(folders)
}
