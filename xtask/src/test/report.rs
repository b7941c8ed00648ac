//! What became of each step, as it runs and at the end.

use std::time::{Duration, Instant};

use anstream::println;
use anyhow::Result;

use super::Step;
use super::tally::{Note, Tally};
use crate::terminal::{self, BAD, DIM, GOOD, WARN, duration, styled};

/// What one step found.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// What failed or was skipped, and why.
    pub(super) notes: Vec<Note>,
}

impl Outcome {
    /// One check that either passes or fails.
    pub(super) fn check(&mut self, result: Result<()>) {
        match result {
            Ok(()) => self.tally.passed += 1,
            Err(error) => {
                terminal::error(&error);
                self.tally.failed += 1;
                self.notes.push(error.to_string().into());
            }
        }
    }

    /// One check that could not be made.
    pub(super) fn skip(&mut self, why: impl Into<String>) {
        let why = why.into();
        terminal::warning(format_args!("skipped: {why}"));
        self.tally.skipped += 1;
        self.notes.push(format!("skipped: {why}").into());
    }
}

/// All the steps that have run.
#[derive(Default)]
pub(super) struct Report {
    steps: Vec<(Step, Outcome, Duration)>,
}

impl Report {
    pub(super) fn step(&mut self, step: Step, work: impl FnOnce(&mut Outcome) -> Result<()>) {
        terminal::heading(step.title());
        let began = Instant::now();
        let mut outcome = Outcome::default();
        if let Err(error) = work(&mut outcome) {
            outcome.check(Err(error));
        }
        let took = began.elapsed();
        println!(
            "{} {} in {}",
            mark(outcome.tally),
            outcome.tally,
            duration(took)
        );
        self.steps.push((step, outcome, took));
    }

    /// Prints a line for each step, then what went wrong and why, which is far up in the output;
    /// gives the sum.
    pub(super) fn summarize(&self) -> Tally {
        terminal::heading("Summary");
        let mut total = Tally::default();
        for (step, outcome, took) in &self.steps {
            total += outcome.tally;
            println!(
                "{} {:<8} {DIM}{:>12}{DIM:#}  {}",
                mark(outcome.tally),
                step.name(),
                duration(*took),
                outcome.tally
            );
        }
        for (step, outcome, _) in &self.steps {
            for note in &outcome.notes {
                println!("  {}: {}", step.name(), note.what);
                for line in &note.why {
                    println!("      {line}");
                }
            }
        }
        total
    }
}

fn mark(tally: Tally) -> String {
    match tally {
        Tally { failed: 1.., .. } => styled(BAD, "✗"),
        Tally { skipped: 1.., .. } => styled(WARN, "–"),
        _ => styled(GOOD, "✓"),
    }
}
