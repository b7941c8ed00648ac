//! The `main` of a test binary whose tests need what not every machine has: there they are skipped, which is told
//! and counted, and is a failure to `cargo xtask test --no-skip`.
//!
//! ```no_run
//! use legation_tests::prometheus;
//! use legation_tests::trials::{Test, Trials};
//!
//! const TESTS: &[Test] = &[("the dashboard is JSON", || Ok(()))];
//! const SCRAPED: &[Test] = &[("each panel shows something", || Ok(()))];
//!
//! Trials::new().with(TESTS).with_needing(&prometheus::NEED, SCRAPED).run()
//! ```
//!
//! The binary has `harness = false` in `Cargo.toml`.

use anyhow::Result;
use libtest_mimic::{Arguments, Trial};

/// A test, by its name.
pub type Test = (&'static str, fn() -> Result<()>);

/// What some tests need, and not every machine has.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// What it is called: `prometheus`.
    pub what: &'static str,
    /// Why it is not there, and how it could be: `there is no prometheus on PATH: on Debian …`.
    pub missing: fn() -> Option<&'static str>,
}

/// The tests of a binary.
pub struct Trials {
    arguments: Arguments,
    trials: Vec<Trial>,
}

impl Trials {
    /// None yet. Reads the command line.
    #[allow(clippy::new_without_default, reason = "there is one command line")]
    pub fn new() -> Self {
        Self {
            arguments: Arguments::from_args(),
            trials: Vec::new(),
        }
    }

    /// Adds tests that any machine can run.
    #[must_use]
    pub fn with(mut self, tests: &[Test]) -> Self {
        self.trials
            .extend(tests.iter().map(|&(name, test)| trial(name, test)));
        self
    }

    /// Adds tests that are skipped where what they need is missing.
    #[must_use]
    pub fn with_needing(self, need: &Need, tests: &[Test]) -> Self {
        self.with_trials(need, tests.iter().copied())
    }

    /// The same for tests that have something with them. It is dropped with the last one that has it.
    pub(crate) fn with_trials<T>(
        mut self,
        need: &Need,
        tests: impl IntoIterator<Item = (&'static str, T)>,
    ) -> Self
    where
        T: FnOnce() -> Result<()> + Send + 'static,
    {
        let missing = (need.missing)();
        for (name, test) in tests {
            let trial = trial(name, test).with_ignored_flag(missing.is_some());
            self.trials.push(match missing {
                Some(_) => trial.with_kind(format!("needs {}", need.what)),
                None => trial,
            });
        }
        if let Some(why) = missing.filter(|_| !self.arguments.list) {
            eprintln!("skipped: the tests that need {}, as {why}", need.what);
        }
        self
    }

    /// Runs those that the command line asks for, and ends the process with the result.
    pub fn run(self) -> ! {
        libtest_mimic::run(&self.arguments, self.trials).exit()
    }
}

fn trial(name: &'static str, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test().map_err(|error| format!("{error:#}").into())
    })
}
