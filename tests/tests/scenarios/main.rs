//! Shows the scenarios of every filter (`filters/NAME/tests/scenarios/*.yaml`)
//! in Envoy: the same files that the filters' own tests show on the mock host.

mod stage;

use std::fs;

use anyhow::{Context, Result};
use legation_testing::scenario::{self, Suite};
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
    let filters = workspace_root().join("filters");
    let entries = fs::read_dir(&filters)
        .with_context(|| format!("cannot read the folder {}", filters.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name());
    }
    names.sort();
    let mut suite = Suite::default();
    for name in names {
        let folder = filters.join(&name).join("tests/scenarios");
        if folder.is_dir() {
            let prefix = format!("{}::", name.to_string_lossy());
            suite.add(&prefix, &folder, |scenario| {
                scenario::run::<InEnvoy>(scenario)
            })?;
        }
    }
    Ok(suite)
}
