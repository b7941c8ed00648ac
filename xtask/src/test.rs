//! `cargo xtask test`: checks everything, for people and for CI alike.

mod report;
mod steps;
mod tally;

use std::process::ExitCode;

use anstream::println;
use anyhow::Result;
use clap::ValueEnum;

use crate::workspace::Workspace;
use report::Report;

/// Check everything: format, lints, docs, modules, and all the tests.
///
/// Every step runs, also after one that failed. The last line counts the checks
/// and tests of all steps.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only these steps, comma-separated.
    #[arg(long, value_delimiter = ',', value_name = "STEPS")]
    only: Vec<Step>,
    /// Count what is skipped as a failure. Set where the environment variable CI is.
    #[arg(long)]
    no_skip: bool,
}

/// One step of the check, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Step {
    /// The format of the code.
    Fmt,
    /// Clippy, for this machine and for Wasm.
    Clippy,
    /// The documentation builds without a warning.
    Docs,
    /// The modules of all filters and of the tests.
    Build,
    /// The unit tests.
    Unit,
    /// The examples in the documentation.
    Doctest,
    /// Scenarios on the mock host and in Envoy, and the end-to-end tests.
    E2e,
    /// The unit tests that also run on wasm32, under Node.
    Wasm,
    /// The oldest Rust that the project promises.
    Msrv,
}

impl Step {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn title(self) -> &'static str {
        match self {
            Step::Fmt => "Format",
            Step::Clippy => "Clippy",
            Step::Docs => "Documentation",
            Step::Build => "Modules",
            Step::Unit => "Unit tests",
            Step::Doctest => "Examples in the documentation",
            Step::E2e => "Scenarios and end-to-end tests",
            Step::Wasm => "Unit tests on wasm32, under Node",
            Step::Msrv => "Oldest Rust",
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let no_skip = args.no_skip || is_ci();
    let mut report = Report::default();
    let mut done = steps::Done::default();
    for step in chosen(&args.only) {
        report.step(step, |outcome| {
            steps::run(step, &workspace, &mut done, outcome)
        });
    }
    let total = report.summarize();
    let ok = total.failed == 0 && (total.skipped == 0 || !no_skip);
    if total.failed == 0 && !ok {
        println!("Nothing may be skipped here (--no-skip, or CI is set).");
    }
    // The last line, plain and alone: programs read it too.
    println!("\n{total}");
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn chosen(only: &[Step]) -> Vec<Step> {
    let all = Step::value_variants().iter().copied();
    all.filter(|step| only.is_empty() || only.contains(step))
        .collect()
}

fn is_ci() -> bool {
    let ci = std::env::var("CI").unwrap_or_default();
    !matches!(ci.as_str(), "" | "0" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_every_step_when_none_is_named() {
        assert_eq!(chosen(&[]).len(), Step::value_variants().len());
    }

    #[test]
    fn runs_the_named_steps_in_their_own_order() {
        let steps = chosen(&[Step::Unit, Step::Fmt]);

        assert_eq!(steps, [Step::Fmt, Step::Unit]);
    }
}
