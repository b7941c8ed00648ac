//! The table of differences in the filter's README.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use legation_tests::check_differences;

use super::reasons::ALL;
use super::{Group, algorithms, claims, keys, outputs, paths, places, requirements, shape};
use crate::FILTER;

fn groups() -> Vec<Group> {
    vec![
        algorithms::group(),
        keys::group(),
        shape::group(),
        claims::group(),
        places::group(),
        requirements::group(),
        requirements::extracted(),
        outputs::group(),
        paths::protected(),
        paths::opened(),
        paths::preflights(true),
        paths::preflights(false),
    ]
}

/// How many cases there are, in how many ours differs, and the rows.
fn table() -> String {
    let groups = groups();
    let cases: Vec<_> = groups.iter().flat_map(|group| &group.cases).collect();
    let mut rows = BTreeMap::<_, (BTreeSet<_>, BTreeSet<_>, u32)>::new();
    for found in cases.iter().filter_map(|case| case.difference.as_ref()) {
        let (native, ours, count) = rows.entry(found.reason.what).or_default();
        native.insert(found.native.as_str());
        ours.insert(found.ours.as_str());
        *count += 1;
    }
    let differing: u32 = rows.values().map(|row| row.2).sum();
    let mut text = format!(
        "{} requests run through both filters; {differing} of them end otherwise here:\n\n\
         | what is sent | Envoy | here | cases | why |\n|---|---|---|---|---|\n",
        cases.len()
    );
    let join = |all: &BTreeSet<&str>| all.iter().copied().collect::<Vec<_>>().join(", ");
    for reason in ALL {
        if let Some((native, ours, count)) = rows.get(reason.what) {
            let (native, ours) = (join(native), join(ours));
            writeln!(
                text,
                "| {} | {native} | {ours} | {count} | {} |",
                reason.what, reason.why
            )
            .expect("a String takes all");
        }
    }
    text
}

#[test]
fn the_table_of_differences_is_the_one_of_the_readme() -> Result<()> {
    check_differences(FILTER, &table())
}

#[test]
fn every_reason_has_a_case() {
    let groups = groups();
    let cases = groups.iter().flat_map(|group| &group.cases);
    let used: BTreeSet<_> = cases
        .filter_map(|case| Some(case.difference.as_ref()?.reason.what))
        .collect();
    let idle: Vec<_> = ALL.iter().filter(|it| !used.contains(it.what)).collect();
    let idle: Vec<_> = idle.iter().map(|reason| reason.what).collect();
    assert!(idle.is_empty(), "{idle:#?}");
}
