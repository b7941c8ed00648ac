//! Counts what test binaries report.

use std::fmt;
use std::ops::AddAssign;

/// How many checks or tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// Reads what `cargo test` writes, line by line.
#[derive(Debug, Default)]
pub(super) struct Reader {
    tally: Tally,
    notes: Vec<String>,
    begun: usize,
    ended: usize,
}

impl Reader {
    pub(super) fn line(&mut self, line: &str) {
        if is_beginning(line) {
            self.begun += 1;
        } else if let Some(tally) = result(line) {
            self.ended += 1;
            self.tally += tally;
        } else if let Some((name, ending)) = ending(line) {
            match ending {
                ending if ending.starts_with("FAIL") => self.notes.push(name.to_owned()),
                ending if ending.starts_with("ignored") => {
                    self.notes.push(format!("skipped: {name} ({ending})"));
                }
                _ => {}
            }
        }
    }

    /// The count, and what failed or was skipped. A command that failed has at least one
    /// failure: a test binary that died before it could report, or did not compile.
    pub(super) fn finish(mut self, success: bool) -> (Tally, Vec<String>) {
        if !success {
            let died = self.begun.saturating_sub(self.ended);
            for _ in 0..died {
                self.notes
                    .push("a test binary that ended before its tests did".to_owned());
            }
            self.tally.failed += died;
            if self.tally.failed == 0 {
                self.notes.push("the command itself".to_owned());
                self.tally.failed = 1;
            }
        }
        (self.tally, self.notes)
    }
}

/// `running 3 tests`
fn is_beginning(line: &str) -> bool {
    let rest = line.strip_prefix("running ");
    let count = rest.and_then(|rest| {
        rest.strip_suffix(" tests")
            .or_else(|| rest.strip_suffix(" test"))
    });
    count.is_some_and(|count| count.parse::<usize>().is_ok())
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`
fn result(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut tally = Tally::default();
    for part in counts.split(';') {
        let mut words = part.split_whitespace();
        let (Some(count), Some(what)) = (words.next(), words.next()) else {
            continue;
        };
        let Ok(count) = count.parse::<usize>() else {
            continue;
        };
        match what {
            "passed" => tally.passed = count,
            "failed" => tally.failed = count,
            "ignored" => tally.skipped = count,
            _ => {}
        }
    }
    Some(tally)
}

/// `test config::tests::refuses_it ... FAILED`
fn ending(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.rsplit_once(" ... ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, success: bool) -> (Tally, Vec<String>) {
        let mut reader = Reader::default();
        text.lines().for_each(|line| reader.line(line));
        reader.finish(success)
    }

    fn tally(passed: usize, failed: usize, skipped: usize) -> Tally {
        Tally {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn adds_up_the_results_of_several_binaries() {
        let text = "\
running 2 tests
test a ... ok
test b ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 3 tests
test c ... ok
test d ... ignored
test e::f ... FAILED

failures:

---- e::f stdout ----
thread 'e::f' panicked at src/lib.rs:1:1

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.10s
";

        let (counted, notes) = read(text, false);

        assert_eq!(counted, tally(3, 1, 1));
        assert_eq!(notes, ["skipped: d (ignored)", "e::f"]);
    }

    #[test]
    fn reads_what_the_runner_under_node_writes() {
        let text = "\
running 2 tests
test tests::one ... ok
test tests::two ... FAIL

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 filtered out; finished in 0.02s
";

        let (counted, notes) = read(text, false);

        assert_eq!(counted, tally(1, 1, 0));
        assert_eq!(notes, ["tests::two"]);
    }

    #[test]
    fn a_binary_that_dies_counts_as_a_failure() {
        let text =
            "running 1 test\ntest result: ok. 1 passed; 0 failed; 0 ignored\nrunning 2 tests\n";

        let (counted, notes) = read(text, false);

        assert_eq!(counted, tally(1, 1, 0));
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn a_command_that_fails_before_any_test_counts_as_a_failure() {
        assert_eq!(read("", false).0, tally(0, 1, 0));
        assert_eq!(read("", true).0, tally(0, 0, 0));
    }

    #[test]
    fn a_line_that_a_test_prints_is_not_a_result() {
        let text = "  test result: ok. 9 passed\nrunning late\ntest result: nonsense\n";

        assert_eq!(read(text, true).0, tally(0, 0, 0));
    }
}
