//! Asks the real module, in the real Envoy, what it thinks of a configuration.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::config::Config;
use crate::envoy::{Envoy, StartError};

/// What a module thinks of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the module, and so Envoy, takes it.
    pub accepted: bool,
    /// The lines that the module logged as errors, without Envoy's prefix.
    pub errors: Vec<String>,
}

/// Has `envoy --mode validate` load the module with this configuration.
///
/// The module's file name is the filter's name; the rest (its environment) is
/// taken from the filter's shipped file. An error means that the question was not
/// answered: there is no Envoy, or the module does not load at all.
pub fn check_configuration(module: &Path, configuration: &str) -> Result<Verdict> {
    let name = module
        .file_stem()
        .and_then(|stem| stem.to_str())
        .with_context(|| format!("{} does not name a module", module.display()))?;
    if !module.is_file() {
        bail!("there is no module {}", module.display());
    }
    let config = Config::with_filter(name, configuration)?.module(name, module);
    let refusal = match Envoy::validate(&config) {
        Ok(()) => {
            return Ok(Verdict {
                accepted: true,
                errors: Vec::new(),
            });
        }
        Err(refusal @ StartError::Refused { .. }) => refusal,
        Err(other) => return Err(other.into()),
    };
    let errors = refusal.module_errors();
    if errors.is_empty() {
        bail!(
            "Envoy refuses the module {} without a word from the module itself; Envoy's log:\n{}",
            module.display(),
            refusal.log()
        );
    }
    Ok(Verdict {
        accepted: false,
        errors,
    })
}
