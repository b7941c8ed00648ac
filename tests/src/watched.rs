//! A filter whose configuration changes while Envoy runs.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{Config, module, wasm_filter};

/// A filter whose configuration stands in a file of its own, which Envoy watches.
pub struct WatchedFilter {
    filter: String,
    folder: tempfile::TempDir,
    version: AtomicU32,
}

impl WatchedFilter {
    /// With its first configuration.
    pub fn new(filter: &str, configuration: &Value) -> Result<Self> {
        let watched = Self {
            filter: filter.to_owned(),
            folder: tempfile::tempdir()?,
            version: AtomicU32::new(0),
        };
        watched.write(configuration)?;
        Ok(watched)
    }

    /// Puts the filter into every chain.
    #[must_use]
    pub fn insert_into(&self, config: Config) -> Config {
        self.as_a_node(config.insert_filter(self.entry()))
    }

    /// Adds a listener of this name, with the filter alone.
    #[must_use]
    pub fn add_to(&self, config: Config, listener: &str) -> Config {
        self.as_a_node(config.add_chain(listener, &[self.entry()]))
    }

    /// Envoy discovers nothing without a name of its own.
    fn as_a_node(&self, config: Config) -> Config {
        config.edit(|root| root["node"] = json!({"id": "test", "cluster": "test"}))
    }

    /// Its entry in `http_filters`.
    fn entry(&self) -> Value {
        json!({
            "name": self.filter,
            "config_discovery": {
                "config_source": {"path_config_source": {
                    "path": self.folder.path().join("filter.json"),
                    "watched_directory": {"path": self.folder.path()}
                }},
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"]
            }
        })
    }

    /// Gives it another configuration. When Envoy has it, requests show.
    pub fn write(&self, configuration: &Value) -> Result<()> {
        let mut filter = wasm_filter(&self.filter, configuration.clone());
        let code = "/typed_config/config/vm_config/code/local/filename";
        *filter.pointer_mut(code).context("the module's place")? = json!(module(&self.filter)?);
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        let update = json!({
            "version_info": version.to_string(),
            "resources": [{
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": self.filter,
                "typed_config": filter["typed_config"]
            }]
        });
        let file = self.folder.path().join("filter.json.new");
        fs::write(&file, update.to_string())?;
        // Envoy looks when a file is moved here.
        fs::rename(file, self.folder.path().join("filter.json"))?;
        Ok(())
    }
}
