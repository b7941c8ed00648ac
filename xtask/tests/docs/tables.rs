//! What tables say of tests, log lines and modules is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use legation_tests::{module, workspace_root};

use super::book;

/// A column `Test` says which test shows what a row says.
#[test]
fn every_test_that_is_named_is_there() -> Result<()> {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in book::pages()? {
        for table in &page.tables {
            let Some(at) = table.head.iter().position(|head| head == "Test") else {
                continue;
            };
            for row in &table.rows {
                let Some(cell) = row.get(at).filter(|cell| !cell.links.is_empty()) else {
                    let first = row.first().map(|cell| cell.text.as_str());
                    wrong.push(format!("{}: no test for {first:?}", page.path.display()));
                    continue;
                };
                for link in &cell.links {
                    count += 1;
                    let file = workspace_root().join(page.resolve(&link.target).0);
                    if !is_test(&file, &link.text) {
                        let place = page.place(link.line);
                        wrong.push(format!(
                            "{place}: no test `{}` in {}",
                            link.text, link.target
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 0, "no table names a test");
    Ok(())
}

/// A function of the file, or a step of a scenario.
fn is_test(file: &Path, name: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    if file.extension().is_some_and(|kind| kind == "yaml") {
        return text.contains(&format!("- name: {name}\n"));
    }
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else {
        return false;
    };
    let attributes = before.rsplit("\n\n").next().unwrap_or_default();
    // Without a harness of cargo's, the tests of a file are in a list.
    attributes.contains("#[test]") || text.contains(&format!("\"{name}\""))
}

/// Where a table says what the log says (a column `Log line`), something writes that.
#[test]
fn every_log_line_that_is_named_is_written() -> Result<()> {
    let mut sources = String::new();
    for folder in ["sdk", "filters", "tests/tests", "xtask/src"] {
        read_sources(&workspace_root().join(folder), &mut sources)?;
    }
    let mut wrong = BTreeSet::new();
    for page in book::pages()? {
        for table in &page.tables {
            let Some(at) = table.head.iter().position(|head| head == "Log line") else {
                continue;
            };
            for cell in table.rows.iter().filter_map(|row| row.get(at)) {
                for line in &cell.code {
                    let mut pieces = line.split('…').filter(|piece| piece.trim().len() > 2);
                    if !pieces.all(|piece| sources.contains(piece.trim())) {
                        wrong.insert(format!("{}: `{line}`", page.path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "nothing writes {wrong:#?}");
    Ok(())
}

fn read_sources(folder: &Path, sources: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_sources(&path, sources)?;
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            sources.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// Where a table says how large a module is (columns `Module` and `Size`), it is about so large.
#[test]
fn every_module_is_as_large_as_it_is_said_to_be() -> Result<()> {
    let mut wrong = Vec::new();
    for page in book::pages()? {
        for table in page
            .tables
            .iter()
            .filter(|it| it.head == ["Module", "Size"])
        {
            for row in &table.rows {
                let [name, size] = row.as_slice() else {
                    continue;
                };
                let number = size.text.strip_suffix(" MB").context("a size in MB")?;
                let said: f64 = number.parse()?;
                let length = fs::metadata(module(&name.text)?)?.len();
                let built = f64::from(u32::try_from(length)?) / 1_000_000.0;
                // Another compiler makes another module of the same source.
                if (built - said).abs() > 0.05 + said / 10.0 {
                    wrong.push(format!("{}: {said} MB, but it has {built:.2}", name.text));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
