//! An Envoy that the scenarios of a filter share: it compiles the module once for all of them.
//!
//! Each has a listener and a VM of its own, and so its own log lines, shared data and instances of the
//! filter. What is counted is Envoy's as a whole, and may be told late: a scenario that looks at counters
//! has an Envoy to itself, as has one that needs another upstream.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow};
use legation_testing::scenario::{Scenario, Started};
use legation_tests::{Client, Config, Envoy, LogEntry, UPSTREAM_CLUSTER, Upstream};
use serde_json::json;

use super::stage::{config, has_trailers, message_of};

static GROUPS: OnceLock<BTreeMap<String, Group>> = OnceLock::new();

/// Says which scenarios there are. Without this, each has an Envoy to itself.
pub fn plan(scenarios: Vec<Scenario>) {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for scenario in scenarios.into_iter().filter(may_share) {
        let group = groups.entry(scenario.filter.clone()).or_default();
        group.scenarios.push(scenario);
    }
    for group in groups.values_mut() {
        // As long as one listener has the module, Envoy need not compile it for the next: those that
        // are refused come last.
        group
            .scenarios
            .sort_by_key(|scenario| !scenario.refused.is_empty());
    }
    GROUPS.set(groups).ok();
}

fn may_share(scenario: &Scenario) -> bool {
    let mut steps = scenario.steps.iter();
    steps.all(|step| step.expect.stats.is_empty() && !has_trailers(step))
}

/// The scenarios of a filter.
#[derive(Default)]
struct Group {
    scenarios: Vec<Scenario>,
    running: OnceLock<Result<Running, String>>,
    /// They have one upstream, which tells by the order what belongs to whom.
    turn: Mutex<()>,
}

struct Running {
    envoy: Envoy,
    upstream: Upstream,
    _listeners: tempfile::TempDir,
}

/// A scenario's part of an Envoy that others use too.
pub struct Place {
    running: &'static Running,
    _turn: MutexGuard<'static, ()>,
    vm_id: String,
    http1: Client,
    http2: Client,
}

/// A scenario's place in an Envoy that others use too; none where it has to have one to itself.
pub fn start(scenario: &Scenario) -> Result<Option<Started<Place>>> {
    let group = GROUPS
        .get()
        .and_then(|groups| groups.get(&scenario.filter))
        .filter(|group| group.scenarios.iter().any(|one| one.file == scenario.file));
    let Some(group) = group else {
        return Ok(None);
    };
    let turn = group.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let running = group
        .running
        .get_or_init(|| group.start().map_err(|error| format!("{error:?}")));
    let running = running.as_ref().map_err(|error| anyhow!("{error}"))?;
    let (name, vm_id) = names(scenario);
    let Ok(address) = running.envoy.listener(&name) else {
        let entries = running.envoy.log_entries();
        let errors = entries.iter().filter(|entry| entry.is_error());
        let mut lines: Vec<String> = Vec::new();
        for line in errors.filter_map(|entry| entry.from_vm(&vm_id)) {
            let message = message_of(line);
            // A module is configured more than once.
            if !lines.contains(&message) {
                lines.push(message);
            }
        }
        return Ok(Some(Started::Refused(lines)));
    };
    Ok(Some(Started::Ready(Place {
        running,
        _turn: turn,
        vm_id,
        http1: Client::http1(address),
        http2: Client::http2(address),
    })))
}

/// What the listener and the VM of a scenario are called.
fn names(scenario: &Scenario) -> (String, String) {
    let name = scenario.file.file_stem().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let vm_id = format!("legation.{}.{name}", scenario.filter);
    (name, vm_id)
}

impl Group {
    fn start(&self) -> Result<Running> {
        let upstream = Upstream::start()?;
        let mut listeners = Vec::new();
        for scenario in &self.scenarios {
            let (name, vm_id) = names(scenario);
            let config = config(scenario)?.edit_plugin(&scenario.filter, |plugin| {
                plugin["vm_config"]["vm_id"] = vm_id.into();
            });
            let mut listener = config.to_value()?["static_resources"]["listeners"][0].take();
            listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
            listener["name"] = name.into();
            listeners.push(listener);
        }
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("listeners.json");
        let text = json!({"version_info": "1", "resources": listeners}).to_string();
        std::fs::write(&file, text)?;

        // From a file, and not with the rest: Envoy goes on without those that it refuses.
        let first = self.scenarios.first().context("no scenario")?;
        let config: Config = config(first)?
            .endpoint(UPSTREAM_CLUSTER, upstream.address())
            .edit(|root| {
                root["static_resources"]["listeners"] = json!([]);
                root["node"] = json!({"id": "test", "cluster": "test"});
                root["dynamic_resources"]["lds_config"]["path_config_source"]["path"] = json!(file);
            });
        Ok(Running {
            envoy: Envoy::start(&config)?,
            upstream,
            _listeners: folder,
        })
    }
}

impl Place {
    pub fn upstream(&self) -> &Upstream {
        &self.running.upstream
    }

    pub fn envoy(&self) -> &Envoy {
        &self.running.envoy
    }

    pub fn client(&self, http2: bool) -> &Client {
        if http2 { &self.http2 } else { &self.http1 }
    }

    /// What the scenario's own VM has logged.
    pub fn module_log(&self) -> Vec<String> {
        let entries = self.running.envoy.log_entries();
        let own = entries
            .iter()
            .filter_map(|entry| entry.from_vm(&self.vm_id));
        own.map(str::to_owned).collect()
    }

    /// The end of the log, without what other scenarios' modules have logged.
    pub fn log_tail(&self, entries: usize) -> String {
        let all = self.running.envoy.log_entries();
        let own = |entry: &&LogEntry| {
            entry.from_module().is_none() || entry.from_vm(&self.vm_id).is_some()
        };
        let own: Vec<_> = all.iter().filter(own).map(ToString::to_string).collect();
        own[own.len().saturating_sub(entries)..].join("\n")
    }
}
