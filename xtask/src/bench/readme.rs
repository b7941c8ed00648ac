//! The table of the SDK's services in `sdk/README.md`: whose last column is what was measured.

use anyhow::{Context, Result, bail, ensure};

use super::report::{Measured, Run};

/// Where the table stands, from the workspace's root.
pub(super) const FILE: &str = "sdk/README.md";
/// The lines before and behind what is written anew.
const BEGIN: &str = "<!-- `cargo xtask bench --services --write` writes the times. -->";
const END: &str = "<!-- End of what it writes. -->";

/// The file's text with the measured times. The other columns are left as they are.
pub(super) fn with_times(text: &str, run: &Run, measured: &[Measured]) -> Result<String> {
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("there is no line {BEGIN}"))?;
    let (table, after) = rest
        .split_once(END)
        .with_context(|| format!("there is no line {END}"))?;
    let mut rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(str::to_owned)
        .collect();
    for case in measured {
        let service = case.case.what;
        let Some(row) = rows.iter_mut().find(|row| first_cell(row) == service) else {
            bail!("there is no row of {service}");
        };
        let cells: Vec<_> = row.split('|').collect();
        let [_, name, host_calls, _, _] = cells.as_slice() else {
            bail!("the row of {service} does not have three cells");
        };
        let Some(cost) = case.a_time() else { continue };
        *row = format!("|{name}|{host_calls}| {} |", microseconds(cost.median));
    }
    ensure!(!rows.is_empty(), "there is no table");
    let table = rows.join("\n");
    let note = note(run);
    Ok(format!(
        "{before}{BEGIN}\n\n{table}\n\n{note}\n\n{END}{after}"
    ))
}

fn first_cell(row: &str) -> &str {
    let cells = row.split('|').nth(1);
    cells.unwrap_or_default().trim()
}

/// To two places, or to as many as mean something.
pub(super) fn microseconds(time: f64) -> String {
    match time {
        ..0.005 => "< 0.01".to_owned(),
        0.005..10.0 => format!("{time:.2}"),
        10.0..100.0 => format!("{time:.1}"),
        _ => format!("{time:.0}"),
    }
}

fn note(run: &Run) -> String {
    format!(
        "CPU of Envoy's worker thread in Envoy {} on one core of {} ({}): \
         medians of the calmest of {} rounds.",
        run.envoy, run.processor, run.architecture, run.rounds
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::cases::Case;
    use super::super::report::tests::{measured_case, run};
    use super::super::services::SERVICES;
    use super::*;
    use crate::workspace::Workspace;

    fn text(rows: &str) -> String {
        let head = "| service | host calls | µs |\n|---|---|---|";
        format!("# legation\n\n{BEGIN}\n\n{head}\n{rows}\n\nAn old note.\n\n{END}\n\nMore.\n")
    }

    fn case(what: &'static str, times: u32) -> Case {
        Case {
            what,
            times,
            ..Case::default()
        }
    }

    #[test]
    fn the_last_column_gets_what_a_call_costs() {
        let old = text("| `a` | `x`, `y` | ? |\n| `b` | none | 0.25 |");
        let measured = [measured_case(case("`a`", 10), 12.34)];

        let new = with_times(&old, &run(), &measured).expect("has a table");

        assert!(
            new.contains("| `a` | `x`, `y` | 1.23 |\n| `b` | none | 0.25 |\n"),
            "{new}"
        );
        assert!(
            new.contains("Envoy 1.0.0 on one core of A Processor"),
            "{new}"
        );
        assert!(!new.contains("An old note."), "{new}");
        assert!(new.starts_with("# legation\n"), "{new}");
        assert!(new.ends_with("\n\nMore.\n"), "{new}");
    }

    #[test]
    fn writing_twice_is_writing_once() {
        let measured = [measured_case(case("`a`", 1), 1.0)];
        let once = with_times(&text("| `a` | none | |"), &run(), &measured).expect("has a table");

        let twice = with_times(&once, &run(), &measured).expect("has a table");

        assert_eq!(twice, once);
    }

    #[test]
    fn a_service_without_a_row_is_an_error() {
        let measured = [measured_case(case("`b`", 1), 1.0)];

        let error = with_times(&text("| `a` | none | |"), &run(), &measured);

        let error = error.expect_err("there is none").to_string();
        assert_eq!(error, "there is no row of `b`");
        assert!(with_times("no table", &run(), &[]).is_err());
    }

    #[test]
    fn times_have_as_many_places_as_mean_something() {
        assert_eq!(microseconds(-0.3), "< 0.01");
        assert_eq!(microseconds(0.083), "0.08");
        assert_eq!(microseconds(22.04), "22.0");
        assert_eq!(microseconds(123.4), "123");
    }

    #[test]
    fn the_readme_has_a_row_for_each_service_in_order() {
        let workspace = Workspace::load().expect("is one");
        let readme = fs::read_to_string(workspace.root().join(FILE)).expect("is there");

        let (_, table) = readme.split_once(BEGIN).expect("has a table");
        let (table, _) = table.split_once(END).expect("the table ends");
        let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
        let rows: Vec<_> = rows.map(first_cell).collect();
        let services: Vec<_> = SERVICES.iter().map(|service| service.what).collect();
        assert_eq!(rows, services);
    }
}
