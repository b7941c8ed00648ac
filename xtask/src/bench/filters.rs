//! HTTP filters as Envoy's configuration has them.

use std::path::Path;

use serde_json::{Value, json};

/// A filter in a case's chain.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    Wasm {
        module: Module,
        /// What the filter is configured with, if it is.
        configuration: Option<Value>,
        /// Whether it sees a body before its headers have gone on.
        holds_headers: bool,
    },
    /// One of Envoy's own, as `http_filters` has it.
    Native(Value),
}

/// Where a Wasm filter's module comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Module {
    /// Written by hand, in `tests/modules/NAME.wat`.
    Text(&'static str),
    /// The package's, as `cargo xtask build` finishes it.
    Built(&'static str),
    /// The package's, as `cargo build` leaves it.
    Plain(&'static str),
}

impl Module {
    /// The package to build for it.
    pub(super) fn package(&self) -> Option<&'static str> {
        match self {
            Self::Text(_) => None,
            Self::Built(name) | Self::Plain(name) => Some(name),
        }
    }
}

/// A Wasm filter without a configuration.
pub(super) fn wasm(module: Module) -> Filter {
    Filter::Wasm {
        module,
        configuration: None,
        holds_headers: false,
    }
}

/// One of Envoy's own filters, by its name and the type of its configuration.
pub(super) fn native(name: &str, config_type: &str, mut config: Value) -> Filter {
    config["@type"] = json!(format!("type.googleapis.com/{config_type}"));
    Filter::Native(json!({ "name": name, "typed_config": config }))
}

/// Envoy's Lua filter.
pub(super) fn lua(script: &str) -> Filter {
    native(
        "envoy.filters.http.lua",
        "envoy.extensions.filters.http.lua.v3.Lua",
        json!({ "default_source_code": { "inline_string": script } }),
    )
}

impl Filter {
    /// Gives a Wasm filter its configuration.
    pub(super) fn configured(self, configuration: Value) -> Self {
        match self {
            Self::Wasm {
                module,
                holds_headers,
                ..
            } => Self::Wasm {
                module,
                configuration: Some(configuration),
                holds_headers,
            },
            native @ Self::Native(_) => native,
        }
    }

    /// Lets a Wasm filter see a body before its headers have gone on.
    pub(super) fn holding_headers(mut self) -> Self {
        if let Self::Wasm { holds_headers, .. } = &mut self {
            *holds_headers = true;
        }
        self
    }

    pub(super) fn module(&self) -> Option<Module> {
        match self {
            Self::Wasm { module, .. } => Some(*module),
            Self::Native(_) => None,
        }
    }

    /// An entry of `http_filters`. `id` names the filter's VM, which it shares with
    /// no other; `file` tells where a module is.
    pub(super) fn to_config(&self, id: &str, file: impl Fn(Module) -> Box<Path>) -> Value {
        let (module, configuration, holds_headers) = match self {
            Self::Native(config) => return config.clone(),
            Self::Wasm {
                module,
                configuration,
                holds_headers,
            } => (*module, configuration, *holds_headers),
        };
        let mut config = json!({
            "name": id,
            "failure_policy": "FAIL_RELOAD",
            "vm_config": {
                "vm_id": id,
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": file(module) } },
            },
        });
        if holds_headers {
            config["allow_on_headers_stop_iteration"] = json!(true);
        }
        if let Some(configuration) = configuration {
            config["configuration"] = json!({
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": configuration.to_string(),
            });
        }
        json!({
            "name": format!("wasm.{id}"),
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": config,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(module: Module) -> Box<Path> {
        Path::new(match module {
            Module::Text(name) | Module::Built(name) | Module::Plain(name) => name,
        })
        .into()
    }

    #[test]
    fn a_wasm_filter_has_a_vm_of_its_own_and_its_configuration() {
        let filter = wasm(Module::Built("csp")).configured(json!({ "policy": "x" }));

        let config = &filter.to_config("csp-0", file)["typed_config"]["config"];

        assert_eq!(config["vm_config"]["vm_id"], "csp-0");
        assert_eq!(config["vm_config"]["code"]["local"]["filename"], "csp");
        assert_eq!(config["configuration"]["value"], r#"{"policy":"x"}"#);
    }

    #[test]
    fn a_wasm_filter_without_a_configuration_has_none() {
        let config = wasm(Module::Text("floor")).to_config("floor-0", file);

        assert!(
            config["typed_config"]["config"]
                .get("configuration")
                .is_none()
        );
    }

    #[test]
    fn a_native_filter_says_the_type_of_its_configuration() {
        let config = native("n", "a.b.C", json!({ "x": 1 })).to_config("n-0", file);

        assert_eq!(
            config,
            json!({
                "name": "n",
                "typed_config": { "@type": "type.googleapis.com/a.b.C", "x": 1 },
            })
        );
    }
}
