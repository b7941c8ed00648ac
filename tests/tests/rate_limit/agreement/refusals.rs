//! Configurations, and whether each filter takes them.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use legation_tests::{
    Config, ENVOY_VERSION, Envoy, StartError, check_configuration, envoy_binary, envoy_version,
    module,
};
use serde::Deserialize;
use serde_json::Value;

use super::read;
use crate::{FILTER, native, to_ours};

/// A configuration, as Envoy's own filter has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    pub(super) name: String,
    configuration: Value,
    both: Option<Verdict>,
    envoy: Option<Verdict>,
    here: Option<Verdict>,
    /// The reason's name.
    pub(super) why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Accepted,
    Refused,
}

impl Verdict {
    fn of(accepted: bool) -> Self {
        match accepted {
            true => Self::Accepted,
            false => Self::Refused,
        }
    }
}

impl Refusal {
    /// What Envoy's own says, and what ours does.
    fn verdicts(&self) -> Result<(Verdict, Verdict)> {
        match (self.both, self.envoy, self.here, &self.why) {
            (Some(both), None, None, None) => Ok((both, both)),
            (None, Some(envoy), Some(here), Some(_)) if envoy != here => Ok((envoy, here)),
            _ => bail!("a configuration has either `both`, or `envoy`, `here` and `why`"),
        }
    }

    fn check(&self, compares: bool) -> Result<()> {
        let (of_envoy, of_ours) = self.verdicts()?;
        let mut configuration = self.configuration.clone();
        configuration["stat_prefix"] = "refusals".into();
        if compares {
            let config = Config::plain()?.insert_filter(native(&configuration));
            let verdict = match Envoy::validate(&config) {
                Ok(()) => Verdict::Accepted,
                Err(StartError::Refused { .. }) => Verdict::Refused,
                Err(other) => return Err(other.into()),
            };
            ensure!(verdict == of_envoy, "Envoy's filter has it {verdict:?}");
        }
        let text = to_ours(&configuration).to_string();
        let verdict = check_configuration(&module(FILTER)?, &text)?;
        ensure!(
            Verdict::of(verdict.accepted) == of_ours,
            "ours has it {:?}: {:?}",
            Verdict::of(verdict.accepted),
            verdict.errors
        );
        Ok(())
    }
}

#[test]
fn what_is_refused() -> Result<()> {
    let refusals: Vec<Refusal> = read("refusals")?;
    let compares = envoy_version(&envoy_binary()?)? == ENVOY_VERSION;
    let mut wrong = String::new();
    for refusal in &refusals {
        if let Err(problem) = refusal.check(compares) {
            writeln!(wrong, "── {}: {problem:#}", refusal.name)?;
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// The reasons of those that one of the two alone refuses.
pub(super) fn reasons() -> Result<Vec<String>> {
    let refusals: Vec<Refusal> = read("refusals")?;
    refusals
        .into_iter()
        .map(|refusal| {
            let name = refusal.name.clone();
            refusal.verdicts().context(name)?;
            Ok(refusal.why)
        })
        .filter_map(Result::transpose)
        .collect()
}
