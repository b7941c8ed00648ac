//! `cargo xtask validate`: asks a filter, in the real Envoy, what it thinks of a
//! configuration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::println;
use anyhow::{Result, bail};
use legation_tests::{Envoy, StartError};
use serde_json::Value;

use crate::filter_config::{FilterConfig, Place};
use crate::module::Module;
use crate::terminal::{BAD, BOLD, DIM, GOOD, Wait, styled};
use crate::workspace::Workspace;

/// How the SDK begins each line about a configuration.
const REFUSED: &str = "configuration refused: ";

/// Check a filter's configuration: the filter itself, in Envoy, says what is wrong.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A filter, such as header-tag, or the path of any .wasm file.
    filter: String,
    /// The filter's configuration, or a configuration of Envoy that holds it; YAML or JSON.
    file: PathBuf,
    /// A variable that the filter finds in its environment; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let module = Module::find(&workspace, &args.filter)?;
    let file = FilterConfig::read(&args.file, &module.name)?;
    legation_tests::envoy_binary()?;

    let mut config = module.bare(&file.value);
    for (name, value) in file.environment.iter().chain(&args.env) {
        config = config.vm_environment(&module.name, name, value);
    }
    let wait = Wait::begin(format!("asking {} in Envoy", module.name));
    let answer = Envoy::validate(&config);
    drop(wait);
    match answer {
        Ok(()) => {
            println!(
                "{GOOD}✓{GOOD:#} {} accepts {}",
                module.name,
                args.file.display()
            );
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            explain(&error, &args.file, &file)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Prints what a filter said against its configuration, each error with its place.
/// An error where Envoy did not start for another reason.
pub(crate) fn explain(error: &StartError, path: &Path, file: &FilterConfig) -> Result<()> {
    let logged = error.module_errors();
    let mut complaints: Vec<_> = logged
        .iter()
        .flat_map(|text| complaints(text))
        .map(|complaint| match file.place_of(&complaint) {
            Some(place) => (Some(place), without_position(&complaint).to_owned()),
            None => (None, complaint),
        })
        .collect();
    if complaints.is_empty() {
        bail!(
            "the filter said nothing against {}, but: {error}",
            path.display()
        );
    }
    // In the file's order; what has no place goes last.
    complaints.sort_by_key(|(place, _)| place.map_or((usize::MAX, 0), |p| (p.line, p.column)));
    for (place, complaint) in &complaints {
        println!("{}", describe(*place, complaint, path, file));
    }
    let count = match complaints.len() {
        1 => "1 error".to_owned(),
        more => format!("{more} errors"),
    };
    println!("{} in {}", styled(BAD, count), path.display());
    Ok(())
}

/// What a filter logged against its configuration: plain text, or a JSON line of the SDK's.
fn complaints(logged: &str) -> Vec<String> {
    let json = serde_json::from_str::<Value>(logged).ok();
    let message = json.as_ref().and_then(|line| line["message"].as_str());
    message
        .unwrap_or(logged)
        .lines()
        .map(|line| line.strip_prefix(REFUSED).unwrap_or(line).to_owned())
        .collect()
}

/// A complaint without the position in the JSON that Envoy made of the file, which
/// says nothing about the file itself.
fn without_position(complaint: &str) -> &str {
    match complaint.rsplit_once(" (line ") {
        Some((text, position)) if position.ends_with(')') => text,
        _ => complaint,
    }
}

/// `FILE:LINE:COLUMN: the complaint`, and the line with the place marked.
fn describe(place: Option<Place>, complaint: &str, path: &Path, file: &FilterConfig) -> String {
    let Some(place) = place else {
        return format!("{BOLD}{}{BOLD:#}: {complaint}", path.display());
    };
    let line = file.line(place.line);
    let before: String = line
        .chars()
        .take(place.column.saturating_sub(1))
        .map(|char| if char == '\t' { '\t' } else { ' ' })
        .collect();
    let room = line.chars().count().saturating_sub(before.chars().count());
    let mark = "^".repeat(place.length.min(room).max(1));
    let number = place.line.to_string();
    let gap = " ".repeat(number.len());
    format!(
        "{BOLD}{}:{}:{}{BOLD:#}: {complaint}\n  {DIM}{number} |{DIM:#} {line}\n  {DIM}{gap} |{DIM:#} {before}{BAD}{mark}{BAD:#}",
        path.display(),
        place.line,
        place.column,
    )
}

/// Reads `NAME=VALUE`.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_found_in_what_the_sdk_logs() {
        let logged = r#"{"level":"error","message":"configuration refused: a[0]: must not be 5"}"#;

        assert_eq!(complaints(logged), ["a[0]: must not be 5"]);
    }

    #[test]
    fn any_other_text_is_a_complaint_as_it_is() {
        assert_eq!(complaints("a: wrong\nb: wrong"), ["a: wrong", "b: wrong"]);
    }

    #[test]
    fn a_position_in_what_envoy_made_of_the_file_goes() {
        assert_eq!(without_position("a: wrong (line 3, column 5)"), "a: wrong");
        assert_eq!(
            without_position("a: wrong (known: b)"),
            "a: wrong (known: b)"
        );
    }

    #[test]
    fn a_variable_has_a_name_and_a_value() {
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(variable("A="), Ok(("A".to_owned(), String::new())));
        assert!(variable("A").is_err());
        assert!(variable("=b").is_err());
    }
}
