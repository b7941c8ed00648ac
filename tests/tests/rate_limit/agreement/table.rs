//! The table of differences in the filter's README.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, ensure};
use legation_tests::check_differences;

use super::case::Case;
use super::reasons::ALL;
use super::{TABLES, read, refusals};
use crate::FILTER;

/// How many cases there are, and how often each reason is given.
fn count() -> Result<(usize, BTreeMap<String, usize>)> {
    let mut cases = 0;
    let mut reasons = BTreeMap::<_, usize>::new();
    let mut add = |why: String| *reasons.entry(why).or_default() += 1;
    for table in TABLES {
        for case in read::<Case>(table)? {
            cases += 1;
            let whys = case.requests.into_iter().filter_map(|step| step.why);
            whys.for_each(&mut add);
        }
    }
    refusals::reasons()?.into_iter().for_each(add);
    Ok((cases, reasons))
}

/// How many cases there are, and the rows.
fn table() -> Result<String> {
    let (cases, reasons) = count()?;
    let mut text = format!(
        "{cases} configurations run beside each other, request by request; what is otherwise here:\n\n\
         | what is sent or configured | Envoy | here | why |\n|---|---|---|---|\n"
    );
    for reason in ALL.iter().filter(|it| reasons.contains_key(it.name)) {
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            reason.what, reason.envoy, reason.here, reason.why
        )?;
    }
    Ok(text)
}

#[test]
fn the_table_of_differences_is_the_one_of_the_readme() -> Result<()> {
    check_differences(FILTER, &table()?)
}

#[test]
fn every_reason_has_a_case_and_every_case_a_reason() -> Result<()> {
    let (_, used) = count()?;
    let known: Vec<_> = ALL.iter().map(|reason| reason.name).collect();
    let unknown: Vec<_> = used
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    let idle: Vec<_> = known
        .iter()
        .filter(|name| !used.contains_key(**name))
        .collect();
    ensure!(unknown.is_empty(), "no reason is called {unknown:?}");
    ensure!(idle.is_empty(), "nothing gives the reasons {idle:?}");
    Ok(())
}
