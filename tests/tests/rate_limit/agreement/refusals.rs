//! Configurations, and whether each filter takes them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use legation_tests::{Config, ENVOY_VERSION, Envoy, StartError, envoy_binary, envoy_version};
use serde::Deserialize;
use serde_json::{Value, json};

use super::read;
use crate::{native, ours, to_ours};

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

    /// Whether both say what they should, told of their listeners which there are.
    fn check(&self, at: usize, compares: bool, envoy: &Envoy) -> Result<()> {
        let verdict = |side: &str| Verdict::of(envoy.listener(&format!("{side}-{at}")).is_ok());
        let (of_envoy, of_ours) = self.verdicts()?;
        if compares {
            let mut native = verdict("native");
            // What comes while Envoy runs may have fields that it does not know.
            if native != of_envoy {
                native = self.validate()?;
            }
            ensure!(native == of_envoy, "Envoy's filter has it {native:?}");
        }
        let ours = verdict("ours");
        ensure!(ours == of_ours, "ours has it {ours:?}");
        Ok(())
    }

    /// What Envoy says of its own filter when it starts.
    fn validate(&self) -> Result<Verdict> {
        let config = Config::plain()?.insert_filter(native(&self.configuration()));
        match Envoy::validate(&config) {
            Ok(()) => Ok(Verdict::Accepted),
            Err(StartError::Refused { .. }) => Ok(Verdict::Refused),
            Err(other) => Err(other.into()),
        }
    }

    fn configuration(&self) -> Value {
        let mut configuration = self.configuration.clone();
        configuration["stat_prefix"] = "refusals".into();
        configuration
    }
}

/// One Envoy for all of them: it gets a listener for each from a file, and goes on without those that it
/// refuses.
#[test]
fn what_is_refused() -> Result<()> {
    let refusals: Vec<Refusal> = read("refusals")?;
    let compares = envoy_version(&envoy_binary()?)? == ENVOY_VERSION;
    let mut config = Config::plain()?;
    for (at, refusal) in refusals.iter().enumerate() {
        let configuration = refusal.configuration();
        config = config.add_chain(&format!("ours-{at}"), &[ours(&to_ours(&configuration))]);
        if compares {
            config = config.add_chain(&format!("native-{at}"), &[untyped(native(&configuration))]);
        }
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("listeners.json");
    let envoy = Envoy::start(&from_file(&config, &file)?)?;
    let mut wrong = String::new();
    for (at, refusal) in refusals.iter().enumerate() {
        if let Err(problem) = refusal.check(at, compares, &envoy) {
            writeln!(wrong, "── {}: {problem:#}", refusal.name)?;
        }
    }
    let mut said = false;
    for entry in envoy.log_entries() {
        said |= entry.is_error() && entry.from_module().is_some();
        if entry.message.contains("listener 'ours-") && !std::mem::take(&mut said) {
            writeln!(wrong, "without a word from the module: {entry}")?;
        }
    }
    ensure!(wrong.is_empty(), "{wrong}\n{}", envoy.log());
    Ok(())
}

/// The same filter, of which Envoy reads the fields when it makes the listener, and not with the file.
fn untyped(mut filter: Value) -> Value {
    let fields = filter["typed_config"].as_object_mut();
    let of = fields.and_then(|fields| fields.remove("@type"));
    let fields = filter["typed_config"].take();
    filter["typed_config"] = json!({
        "@type": "type.googleapis.com/xds.type.v3.TypedStruct",
        "type_url": of,
        "value": fields,
    });
    filter
}

/// Has all listeners but the first come from a file.
fn from_file(config: &Config, file: &Path) -> Result<Config> {
    let mut root = config.to_value()?;
    let listeners = root["static_resources"]["listeners"].as_array_mut();
    let mut resources = listeners.context("no listeners")?.split_off(1);
    for listener in &mut resources {
        listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
    }
    let text = json!({"version_info": "1", "resources": resources}).to_string();
    fs::write(file, text)?;
    // As long as one listener has the module, Envoy need not compile it for the next: else it would for each.
    let any = json!({"token_bucket": {"max_tokens": 1, "fill_interval": "1s"}});
    Ok(Config::plain()?.insert_filter(ours(&any)).edit(|root| {
        root["node"] = json!({"id": "test", "cluster": "edge"});
        root["dynamic_resources"]["lds_config"]["path_config_source"]["path"] = json!(file);
    }))
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
