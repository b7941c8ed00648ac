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
    let is_one = |mark| attributes.contains(mark);
    is_one("#[test]")
        || is_one("#[wasm_bindgen_test(unsupported = test)]")
        || text.contains(&format!("\"{name}\""))
}

/// Where a table says what the log says (a column `Log line`), something writes that.
#[test]
fn every_log_line_that_is_named_is_written() -> Result<()> {
    let mut sources = String::new();
    for folder in ["sdk", "filters", "tests/tests", "xtask/src"] {
        read_sources(&workspace_root().join(folder), &mut sources)?;
    }
    let mut wrong = BTreeSet::new();
    let mut count = 0;
    for page in book::pages()? {
        for table in &page.tables {
            let Some(at) = table.head.iter().position(|head| head == "Log line") else {
                continue;
            };
            for cell in table.rows.iter().filter_map(|row| row.get(at)) {
                for line in &cell.code {
                    count += 1;
                    let mut pieces = line.split('…').filter(|piece| piece.trim().len() > 2);
                    if !pieces.all(|piece| sources.contains(piece.trim())) {
                        wrong.insert(format!("{}: `{line}`", page.path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "nothing writes {wrong:#?}");
    assert!(count > 0, "no table names a log line");
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

/// What a filter's page says of the sizes of modules: the page, the sentence, and whose the number in it is.
const SAID: [(&str, &str, &str); 10] = [
    ("body-guard", "to a module of # MB", "body-guard"),
    ("csp", "does all of this and has # MB", "csp"),
    ("csp", "upstream: it has # MB", "csp-header"),
    ("header-tag", "The module has # MB", "header-tag"),
    ("jwt-auth", "The module has # MB", "jwt-auth"),
    ("jwt-auth", "Envoy need, has # MB", "jwt-auth-host"),
    ("oauth2", "The module has # MB", "oauth2"),
    (
        "rate-limit",
        "most of the time one. The module has # MB",
        "rate-limit",
    ),
    (
        "rate-limit",
        "refused. The module has # MB",
        "rate-limit-local",
    ),
    ("suite", "beside the # MB of all these", "suite"),
];

/// Where a table says how large a module is (columns `Module` and `Size`), or its filter's page does, it is about so
/// large.
#[test]
fn every_module_is_as_large_as_it_is_said_to_be() -> Result<()> {
    let mut said = Vec::new();
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
                said.push((page.path.clone(), name.text.clone(), number.parse::<f64>()?));
            }
        }
    }
    assert!(!said.is_empty(), "no table says how large a module is");
    for (filter, sentence, name) in SAID {
        let path = Path::new("filters").join(filter).join("README.md");
        let text = fs::read_to_string(workspace_root().join(&path))?;
        let (before, after) = sentence.split_once('#').context("a place for the number")?;
        let number = text
            .split_once(before)
            .and_then(|(_, rest)| rest.split_once(after))
            .and_then(|(number, _)| number.parse().ok());
        let number = number.with_context(|| format!("{}: no `{sentence}`", path.display()))?;
        said.push((path, name.to_owned(), number));
    }

    let mut wrong = Vec::new();
    for (path, name, said) in said {
        let length = fs::metadata(module(&name)?)?.len();
        let built = f64::from(u32::try_from(length)?) / 1_000_000.0;
        // Another compiler makes another module of the same source.
        if (built - said).abs() > 0.05 + said / 10.0 {
            let path = path.display();
            wrong.push(format!("{path}: `{name}` has {built:.2} MB, not {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What takes no fetched configuration has pages that say so, and nothing else is said to.
#[test]
fn every_module_that_fetches_no_configuration_says_so() -> Result<()> {
    let read = |path: &Path| {
        let text = fs::read_to_string(workspace_root().join(path));
        text.with_context(|| format!("cannot read {}", path.display()))
    };
    let upgrades = read(&Path::new(book::BOOK).join("operating/upgrades.md"))?;
    let (_, said) = upgrades
        .split_once("Every filter but three of the small variants (")
        .context("upgrades.md says which filters")?;
    let (said, _) = said.split_once(')').context("a list")?;
    let said: BTreeSet<_> = said
        .split(", ")
        .map(|name| name.trim_matches('`'))
        .collect();

    let schemas = workspace_root().join("envoy-config/schemas");
    let mut without = BTreeSet::new();
    for entry in fs::read_dir(schemas)? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?.to_string_lossy();
        let name = name.trim_end_matches(".schema.json");
        if !read(&path)?.contains("\"remote_config\"") {
            let page = read(&Path::new("filters").join(name).join("README.md"))?;
            assert!(page.contains("without `remote_config`"), "{name}");
            without.insert(name.to_owned());
        }
    }
    assert_eq!(without, said.into_iter().map(str::to_owned).collect());
    Ok(())
}
