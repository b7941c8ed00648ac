//! Scenario files as a test binary: one test for each.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use legation::HttpFilter;
use libtest_mimic::{Arguments, Trial};

use super::check;
use super::format::Scenario;
use super::mock::MockStage;

/// Scenario files, as tests.
#[derive(Default)]
pub struct Suite {
    tests: Vec<Trial>,
}

impl Suite {
    /// Adds every scenario of a folder; each test is named as its file, after
    /// `prefix`. A folder without any is an error. Gives the files.
    pub fn add(
        &mut self,
        prefix: &str,
        folder: &Path,
        show: impl Fn(&Scenario) -> Result<()> + Clone + Send + 'static,
    ) -> Result<Vec<PathBuf>> {
        let files = files(folder)?;
        for file in &files {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            let show = show.clone();
            let path = file.clone();
            let test = Trial::test(format!("{prefix}{name}"), move || {
                let shown = Scenario::load(&path).and_then(|scenario| {
                    show(&scenario).with_context(|| path.display().to_string())
                });
                shown.map_err(|error| format!("{error:?}").into())
            });
            self.tests.push(test);
        }
        Ok(files)
    }

    /// Runs the tests that the command line asks for, and leaves the process
    /// with the result.
    pub fn run(self) -> ! {
        let arguments = Arguments::from_args();
        libtest_mimic::run(&arguments, self.tests).exit()
    }
}

/// The `main` of a filter's scenarios on the mock host; see
/// [`scenarios!`](crate::scenarios).
pub fn show_on_mock<F: HttpFilter>(folder: &str) -> ! {
    let mut suite = Suite::default();
    let added = suite.add("", Path::new(folder), |scenario| {
        // A variant of a filter is a module of another name: `NAME-variant`.
        let variant = scenario.filter.strip_prefix(F::NAME);
        ensure!(
            variant.is_some_and(|variant| variant.is_empty() || variant.starts_with('-')),
            "filter: expected `{}`, got `{}`",
            F::NAME,
            scenario.filter
        );
        check::run::<MockStage<F>>(scenario)
    });
    if let Err(error) = added {
        eprintln!("{error:?}");
        std::process::exit(1);
    }
    suite.run()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder of scenarios {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") => files.push(path),
            Some("yml") => bail!("{}: scenarios end in .yaml", path.display()),
            _ => {}
        }
    }
    ensure!(
        !files.is_empty(),
        "no scenario (*.yaml) in {}",
        folder.display()
    );
    files.sort();
    Ok(files)
}
