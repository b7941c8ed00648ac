//! The tables of differences in READMEs, which tests write.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::target::workspace_root;

const BEGIN: &str = "<!-- differences: written by the tests -->\n";
const END: &str = "<!-- /differences -->";

/// An error unless a filter's README has this table of differences. With `LEGATION_WRITE_TABLE` in the
/// environment it is written there.
pub fn check_differences(filter: &str, table: &str) -> Result<()> {
    let name = format!("filters/{filter}/README.md");
    let path = workspace_root().join(&name);
    let readme = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
    let (before, rest) = readme
        .split_once(BEGIN)
        .with_context(|| format!("{name} has no line {BEGIN:?}"))?;
    let (written, after) = rest
        .split_once(END)
        .with_context(|| format!("{name} has no {END:?} behind it"))?;
    if std::env::var_os("LEGATION_WRITE_TABLE").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}"))?;
        return Ok(());
    }
    ensure!(
        written == table,
        "{name} has another table: run this test with LEGATION_WRITE_TABLE=1\n{table}"
    );
    Ok(())
}
