//! `cargo xtask validate`, as a user calls it.

use std::fs;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use legation_tests::output_text;

fn validate(filter: &str, configuration: &str) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("configuration.yaml");
    fs::write(&file, configuration)?;
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["validate", filter])
        .arg(&file)
        .env("NO_COLOR", "1")
        .output()
        .context("cannot run the command")
}

#[test]
fn each_of_five_mistakes_is_told_with_its_field_and_place() -> Result<()> {
    let output = validate(
        "header-tag",
        "rules:\n\
         - when:\n    path: { prefx: /api }\n    percentage: 140\n  request:\n    set: { x-a: \"%REQX(b)%\" }\n\
         - request:\n    rename: { x-a: x-a }\n\
         stat_prefx: mine\n",
    )?;
    let text = output_text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for line in [
        "configuration.yaml:3:13: rules[0].when.path.prefx: unknown field; did you mean `prefix`?",
        "configuration.yaml:4:17: rules[0].when.percentage: out of range",
        "configuration.yaml:6:17: rules[0].request.set.x-a: column 1: unknown operator `REQX`",
        "configuration.yaml:8:20: rules[1].request.rename.x-a: ",
        "configuration.yaml:9:1: stat_prefx: unknown field; did you mean `stat_prefix`?",
    ] {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
    assert!(text.contains("5 errors"), "{text}");
    Ok(())
}

#[test]
fn a_good_configuration_is_accepted() -> Result<()> {
    let output = validate(
        "header-tag",
        "rules:\n- request:\n    set: { X-Envoy-Plugin: header-tag }\n",
    )?;
    assert!(output.status.success(), "{}", output_text(&output));
    Ok(())
}

#[test]
fn a_misspelt_filter_is_told_which_there_are() -> Result<()> {
    let output = validate("header-tg", "{}")?;
    let text = output_text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("did you mean `header-tag`?"), "{text}");
    Ok(())
}
