//! The files of a new filter: those of `xtask/templates`, with its name in the
//! place of `new-filter`.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::name::Name;
use crate::terminal;

/// The files by their paths in the workspace.
macro_rules! templates {
    ($($path:literal),+ $(,)?) => {
        [$(($path, include_str!(concat!("../../templates/", $path)))),+]
    };
}

const TEMPLATES: [(&str, &str); 14] = templates![
    "filters/new-filter/Cargo.toml",
    "filters/new-filter/README.md",
    "filters/new-filter/src/config.rs",
    "filters/new-filter/src/filter.rs",
    "filters/new-filter/src/lib.rs",
    "filters/new-filter/tests/budget.rs",
    "filters/new-filter/tests/scenarios.rs",
    "filters/new-filter/tests/schema.rs",
    "filters/new-filter/tests/scenarios/first_example.yaml",
    "filters/new-filter/tests/scenarios/mistakes.yaml",
    "envoy-config/configurations/new-filter.yaml",
    "envoy-config/filters/new-filter.yaml",
    "envoy-config/schemas/new-filter.schema.json",
    "tests/tests/new_filter.rs",
];

const DESCRIPTION: &str = "{description}";

/// The paths of a new filter's files.
pub(super) fn paths(name: &Name) -> Vec<String> {
    let paths = TEMPLATES.iter();
    paths.map(|(path, _)| named(path, name)).collect()
}

/// The paths and texts of a new filter's files. Nothing is written yet.
pub(super) fn render(name: &Name, description: &str) -> Result<Vec<(String, String)>> {
    let render_one = |(path, text): (&str, &str)| {
        let path = named(path, name);
        // Last, so that a description may speak of anything.
        let fill = |description: &str| named(text, name).replace(DESCRIPTION, description);
        let text = match Path::new(&path).extension().and_then(OsStr::to_str) {
            // Within quotes, as the template has them.
            Some("toml") => fill(&description.replace('\\', r"\\").replace('"', "\\\"")),
            Some("rs") => {
                formatted(fill(description)).with_context(|| format!("cannot format {path}"))?
            }
            _ => fill(description),
        };
        Ok((path, text))
    };
    TEMPLATES.into_iter().map(render_one).collect()
}

fn named(text: &str, name: &Name) -> String {
    text.replace("new-filter", name.kebab())
        .replace("new_filter", &name.snake())
        .replace("NewFilter", &name.pascal())
}

/// How long lines are depends on the name, so rustfmt has the last word.
fn formatted(text: String) -> Result<String> {
    let rustfmt = std::env::var_os("RUSTFMT").unwrap_or_else(|| "rustfmt".into());
    let child = Command::new(rustfmt)
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        terminal::warning("there is no rustfmt: run `cargo fmt` when there is");
        return Ok(text);
    };
    let mut stdin = child.stdin.take().context("rustfmt takes no input")?;
    stdin
        .write_all(text.as_bytes())
        .context("cannot write to rustfmt")?;
    drop(stdin);
    let output = child.wait_with_output().context("cannot run rustfmt")?;
    if !output.status.success() {
        bail!("rustfmt failed ({})", output.status);
    }
    String::from_utf8(output.stdout).context("rustfmt wrote something that is not UTF-8")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")
    }

    fn files_in(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("is a folder") {
            let path = entry.expect("is readable").path();
            if path.is_dir() {
                files_in(&path, found);
            } else {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_a_template() {
        let mut found = Vec::new();
        files_in(&folder(), &mut found);

        let mut known: Vec<_> = TEMPLATES.map(|(path, _)| folder().join(path)).to_vec();
        found.sort();
        known.sort();
        assert_eq!(found, known);
    }

    #[test]
    fn nothing_is_left_of_the_templates_name() {
        let name = Name::parse("jwt-auth").expect("is good");
        for (path, text) in render(&name, "Says \"hello\" to C:\\").expect("can be made") {
            for trace in ["new-filter", "new_filter", "NewFilter", DESCRIPTION] {
                assert!(
                    !path.contains(trace) && !text.contains(trace),
                    "{path}: {trace}"
                );
            }
        }
    }

    #[test]
    fn a_description_goes_into_the_manifest_and_the_readme_as_it_is_written() {
        let name = Name::parse("jwt-auth").expect("is good");
        let files =
            render(&name, r#"Says "hello" to C:\, not to new-filter"#).expect("can be made");
        let text = |path: &str| {
            let mut files = files.iter();
            let file = files.find(|(own, _)| own == path);
            &file.expect("is there").1
        };

        let line = r#"description = "Says \"hello\" to C:\\, not to new-filter""#;
        assert!(text("filters/jwt-auth/Cargo.toml").contains(line));
        let line = "\nSays \"hello\" to C:\\, not to new-filter.\n";
        assert!(text("filters/jwt-auth/README.md").contains(line));
    }

    /// Users copy these files whole: what stands around the filter is the same in all, but for the labels
    /// of its metrics.
    #[test]
    fn envoy_is_configured_as_for_the_other_filters() {
        let around = |text: &str| {
            let (before, rest) = text.split_once("http_filters:").expect("has filters");
            let (_, after) = rest
                .split_once("- name: envoy.filters.http.router")
                .expect("has the router");
            let parts = before.split("\n\n");
            let before: Vec<_> = parts
                .filter(|part| !part.contains("stats_config:"))
                .collect();
            format!("{}…{after}", before.join("\n\n"))
        };
        let shipped = folder().join("../../envoy-config/filters/header-tag.yaml");
        let shipped = fs::read_to_string(shipped).expect("is there");
        let template = folder().join("envoy-config/filters/new-filter.yaml");
        let template = fs::read_to_string(template).expect("is there");

        assert_eq!(
            around(&template.replace("new-filter", "header-tag")),
            around(&shipped)
        );
    }
}
