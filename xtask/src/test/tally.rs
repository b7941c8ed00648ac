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

/// Something that failed or was skipped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) what: String,
    /// What a failed test said of it, a few lines.
    pub(super) why: Vec<String>,
}

impl<T: Into<String>> From<T> for Note {
    fn from(what: T) -> Self {
        Self {
            what: what.into(),
            why: Vec::new(),
        }
    }
}

/// Reads what `cargo test` writes, line by line.
#[derive(Debug, Default)]
pub(super) struct Reader {
    tally: Tally,
    notes: Vec<Note>,
    begun: usize,
    ended: usize,
    /// Whose output is being read, and that.
    section: Option<(usize, Message)>,
}

impl Reader {
    pub(super) fn line(&mut self, line: &str) {
        if is_beginning(line) {
            self.begun += 1;
        } else if let Some(tally) = result(line) {
            self.end_section();
            self.ended += 1;
            self.tally += tally;
        } else if let Some(note) = self.section_of(line) {
            self.end_section();
            self.section = Some((note, Message::default()));
        } else if let Some((name, ending)) = ending(line) {
            match ending {
                ending if ending.starts_with("FAIL") => self.notes.push(name.into()),
                ending if ending.starts_with("ignored") => {
                    self.notes
                        .push(format!("skipped: {name} ({ending})").into());
                }
                _ => {}
            }
        } else if let Some((_, message)) = &mut self.section {
            message.line(line);
        }
    }

    /// The note of the failed test whose output begins with this line.
    fn section_of(&self, line: &str) -> Option<usize> {
        let name = section(line)?;
        self.notes.iter().rposition(|note| note.what == name)
    }

    fn end_section(&mut self) {
        if let Some((note, message)) = self.section.take()
            && let Some(note) = self.notes.get_mut(note)
        {
            note.why = message.finish();
        }
    }

    /// The count, and what failed or was skipped. A command that failed has at least one
    /// failure: a test binary that died before it could report, or did not compile.
    pub(super) fn finish(mut self, success: bool) -> (Tally, Vec<Note>) {
        self.end_section();
        if !success {
            let died = self.begun.saturating_sub(self.ended);
            for _ in 0..died {
                self.notes
                    .push("a test binary that ended before its tests did".into());
            }
            self.tally.failed += died;
            if self.tally.failed == 0 {
                self.notes.push("the command itself".into());
                self.tally.failed = 1;
            }
        }
        (self.tally, self.notes)
    }
}

/// What a failed test said: the panic or the error that it ended with, where that is found in its
/// output, which may be long.
#[derive(Debug, Default)]
struct Message {
    lines: Vec<String>,
    found: bool,
    over: bool,
    /// The first place in this workspace that a backtrace names.
    place: Option<String>,
}

impl Message {
    /// More is in the output itself, further up.
    const LINES: usize = 15;
    const WIDTH: usize = 400;

    fn line(&mut self, line: &str) {
        if !self.found && is_reason(line) {
            self.found = true;
            self.over = false;
            self.lines.clear();
        }
        self.over |= self.found && is_after_reason(line) || line == "failures:";
        if !self.over && self.lines.len() < Self::LINES {
            self.lines.push(line.chars().take(Self::WIDTH).collect());
        } else if self.over && self.place.is_none() {
            self.place = place(line).map(str::to_owned);
        }
    }

    fn finish(mut self) -> Vec<String> {
        let said = |line: &String| !line.trim().is_empty();
        let first = self.lines.iter().position(said);
        let end = self.lines.iter().rposition(said).map_or(0, |last| last + 1);
        self.lines.truncate(end);
        self.lines.drain(..first.unwrap_or(0));
        // A panic says where it was by itself.
        let is_error = self.lines.first().is_some_and(|line| !is_panic(line));
        self.lines.extend(self.place.filter(|_| is_error));
        self.lines
    }
}

/// `thread 'a_test' (42) panicked at src/lib.rs:1:1:`, or `Error: …` of a test that gives a result
fn is_reason(line: &str) -> bool {
    is_panic(line) || line.starts_with("Error: ")
}

fn is_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains(" panicked at ")
}

/// `at ./tests/keys.rs:98:5`, with what stands before it; what is no member of the workspace has a whole path.
fn place(line: &str) -> Option<&str> {
    line.trim_start().starts_with("at ./").then_some(line)
}

/// What follows a panic's message: a hint, a backtrace, or the harness's report.
fn is_after_reason(line: &str) -> bool {
    let after = [
        "note: run with ",
        "stack backtrace:",
        "Stack backtrace:",
        "── ",
    ];
    after.iter().any(|start| line.starts_with(start))
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

/// `test config::tests::refuses_it ... FAILED`; some harnesses write the names in a column.
fn ending(line: &str) -> Option<(&str, &str)> {
    let (name, ending) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    Some((name.trim_end(), ending))
}

/// `---- config::tests::refuses_it stdout ----`: whose output follows. Under Node it is `output`,
/// and in a harness of one's own nothing.
fn section(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    let name = name.strip_suffix(" stdout").unwrap_or(name);
    Some(name.strip_suffix(" output").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str, success: bool) -> (Tally, Vec<Note>) {
        let mut reader = Reader::default();
        text.lines().for_each(|line| reader.line(line));
        reader.finish(success)
    }

    /// The count, and what is noted, without why.
    fn read(text: &str, success: bool) -> (Tally, Vec<String>) {
        let (tally, notes) = reads(text, success);
        (tally, notes.into_iter().map(|note| note.what).collect())
    }

    /// What the notes say of why, a text each.
    fn reasons(text: &str) -> Vec<String> {
        let notes = reads(text, false).1.into_iter();
        notes.map(|note| note.why.join("\n")).collect()
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

    #[test]
    fn a_failed_test_is_noted_with_its_panic_out_of_all_that_it_wrote() {
        let text = "\
running 3 tests
test a ... FAILED
test b ... ok
test c ... FAILED

failures:

---- a stdout ----
Flood { admitted: 3 }

thread 'a' (4711) panicked at tests/a.rs:149:13:
assertion `left == right` failed: open: silent
  left: 500
 right: 200
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
── request 1 of 1
GET /
── the end of Envoy's log
[warning] thread 'wrk' panicked at nothing

---- c stdout ----
Error: waited 30s for a place, in vain

Caused by:
    no answer within 30s

Stack backtrace:
   0: core::result::Result<T,F>
             at /rustc/library/core/src/result.rs:2189:27
   1: a_test
             at ./tests/c.rs:98:5
   2: a_test::{{closure}}
             at ./tests/c.rs:57:59


failures:
    a
    c

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

        assert_eq!(
            reasons(text),
            [
                "\
thread 'a' (4711) panicked at tests/a.rs:149:13:
assertion `left == right` failed: open: silent
  left: 500
 right: 200",
                "\
Error: waited 30s for a place, in vain

Caused by:
    no answer within 30s
             at ./tests/c.rs:98:5",
            ]
        );
    }

    #[test]
    fn what_is_no_panic_of_rusts_is_noted_from_its_beginning() {
        // libtest-mimic, and the runner under Node.
        let mimic = "\
running 2 tests
test csp::one      ... FAILED
test jwt-auth::two ... ok

failures:

---- csp::one ----
step 2: status 500, not 200


failures:
    csp::one

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s
";
        let node = "\
running 1 test
test tests::one ... FAIL

failures:

---- tests::one output ----
    error output:
        panicked at src/lib.rs:3:5:

failures:

    tests::one

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 filtered out; finished in 0.02s
";

        assert_eq!(reasons(mimic), ["step 2: status 500, not 200"]);
        assert_eq!(
            reasons(node),
            ["    error output:\n        panicked at src/lib.rs:3:5:"]
        );
    }

    #[test]
    fn a_long_reason_is_cut() {
        let many = |word: &str| {
            let lines = (0..1_000).map(|line| format!("{word} {line}"));
            lines.collect::<Vec<_>>().join("\n")
        };
        let text = [
            "test a ... FAILED\n---- a stdout ----",
            &many("printed"),
            "thread 'a' panicked at src/lib.rs:1:1:",
            &"é".repeat(10_000),
            &many("said"),
        ];
        let text = text.join("\n");

        let reason = reasons(&text).concat();

        assert!(reason.len() < 1_500, "{reason}");

        assert!(reason.starts_with("thread 'a' panicked at src/lib.rs:1:1:"));
        assert!(reason.contains("said 10") && !reason.contains("said 20"));
    }

    #[test]
    fn tests_of_one_name_in_two_binaries_have_each_its_own_reason() {
        let one = |why: &str| {
            format!(
                "running 1 test\ntest a ... FAILED\n\nfailures:\n\n---- a stdout ----\n{why}\n\n\nfailures:\n    a\n\n\
                 test result: FAILED. 0 passed; 1 failed; 0 ignored\n"
            )
        };

        assert_eq!(
            reasons(&(one("Error: x") + &one("Error: y"))),
            ["Error: x", "Error: y"]
        );
    }
}
