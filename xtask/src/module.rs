//! The module that a command is about: a filter of the workspace, or any file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use legation_tests::{Config, wasm_filter};
use serde_json::{Value, json};

use crate::build::{self, Which};
use crate::workspace::Workspace;

/// A module that can be run.
pub(crate) struct Module {
    /// The filter's name, and the file's without `.wasm`.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// Whether the workspace has an Envoy configuration for it.
    shipped: bool,
}

impl Module {
    /// Finds what the user named: `header-tag`, which is built, or `path/to/own.wasm`.
    pub(crate) fn find(workspace: &Workspace, named: &str) -> Result<Self> {
        let path = Path::new(named);
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            return Self::of_file(path);
        }
        let name = build::pick(workspace, named)
            .with_context(|| format!("FILTER: `{named}` is neither a filter nor a .wasm file"))?
            .name;
        build::modules(workspace, Which::Named(std::slice::from_ref(&name)))?;
        let config = format!("envoy-config/filters/{name}.yaml");
        Ok(Self {
            file: workspace.modules().join(format!("{name}.wasm")),
            shipped: workspace.root().join(config).is_file(),
            name,
        })
    }

    fn of_file(path: &Path) -> Result<Self> {
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let Some(name) = name.filter(|_| path.is_file()) else {
            bail!("FILTER: there is no file {}", path.display());
        };
        Ok(Self {
            name: name.to_owned(),
            file: path
                .canonicalize()
                .with_context(|| format!("cannot find {}", path.display()))?,
            shipped: false,
        })
    }

    /// Envoy with this filter alone: by its shipped configuration where there is one.
    pub(crate) fn alone(&self, configuration: &Value) -> Result<Config> {
        let config = if self.shipped {
            Config::with_filter(&self.name, configuration.clone())?
        } else {
            self.bare(configuration)
        };
        Ok(config.module(&self.name, &self.file))
    }

    /// Envoy with this filter and as little else as can be.
    pub(crate) fn bare(&self, configuration: &Value) -> Config {
        const TYPES: &str = "type.googleapis.com/envoy.extensions.filters";
        let bootstrap = json!({"static_resources": {
            "listeners": [{
                "name": "main",
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": format!("{TYPES}.network.http_connection_manager.v3.HttpConnectionManager"),
                        "stat_prefix": "ingress",
                        "http_filters": [
                            wasm_filter(&self.name, configuration.clone()),
                            {
                                "name": "envoy.filters.http.router",
                                "typed_config": {"@type": format!("{TYPES}.http.router.v3.Router")},
                            },
                        ],
                        "route_config": {"virtual_hosts": [{
                            "name": "everything",
                            "domains": ["*"],
                            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                        }]},
                    },
                }]}],
            }],
        }});
        let nowhere = ([127, 0, 0, 1], 1).into();
        Config::from_value(bootstrap, "the bare configuration")
            .add_endpoint("upstream", nowhere)
            .module(&self.name, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Module::of_file(Path::new("no/such.wasm")).err();

        let error = error.expect("there is none").to_string();
        assert_eq!(error, "FILTER: there is no file no/such.wasm");
    }
}
