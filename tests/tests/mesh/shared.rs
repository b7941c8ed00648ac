//! A scenario's place in the Envoy that all share.

use anyhow::Result;
use legation_testing::scenario::{Scenario, Started};
use legation_tests::{Client, Envoy, LogEntry, Upstream};

use crate::world::{World, scenario_listener, world};

pub struct Place {
    world: &'static World,
    /// What the log's lines of the plugin begin with.
    prefix: String,
    http1: Client,
    http2: Client,
}

pub fn start(scenario: &Scenario) -> Result<Option<Started<Place>>> {
    let world = world()?;
    let name = scenario_listener(scenario);
    let address = world.stage.envoy().listener(&name)?;
    Ok(Some(Started::Ready(Place {
        world,
        prefix: format!("wasm log istio-ingress.{name} "),
        http1: Client::http1(address),
        http2: Client::http2(address),
    })))
}

impl Place {
    pub fn upstream(&self) -> &Upstream {
        &self.world.scenarios
    }

    pub fn envoy(&self) -> &Envoy {
        self.world.stage.envoy()
    }

    pub fn client(&self, http2: bool) -> &Client {
        if http2 { &self.http2 } else { &self.http1 }
    }

    pub fn module_log(&self) -> Vec<String> {
        let entries = self.envoy().log_entries();
        let own = entries.iter().filter(|entry| self.is_own(entry));
        own.filter_map(|entry| entry.from_module().map(str::to_owned))
            .collect()
    }

    pub fn log_tail(&self, entries: usize) -> String {
        let all = self.envoy().log_entries();
        let own: Vec<_> = all
            .iter()
            .filter(|entry| entry.from_module().is_none() || self.is_own(entry))
            .map(ToString::to_string)
            .collect();
        own[own.len().saturating_sub(entries)..].join("\n")
    }

    fn is_own(&self, entry: &LogEntry) -> bool {
        entry.message.starts_with(&self.prefix)
    }
}
