//! What Istio's control plane (`istiod`) and its agent make of their objects, as far as an Envoy sees of it.
//!
//! From Istio's source: `pilot/pkg/model/extensions.go` (a `WasmPlugin`'s configuration),
//! `pilot/pkg/networking/core/extension/` (its place), `pkg/wasm/convert.go` (the agent fetches the module).

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use legation_tests::module;
use serde_json::{Map, Value, json};

use crate::manifest::Manifest;

pub const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
const HCM: &str = "envoy.filters.network.http_connection_manager";
const ROUTER: &str = "envoy.filters.http.router";
/// In the order of the chain; between them are Istio's own filters.
const PHASES: [&str; 3] = ["AUTHN", "AUTHZ", "STATS"];

/// A filter as it is delivered: its entry in `http_filters`, and the configuration that it discovers.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub entry: Value,
    /// A `TypedExtensionConfig`.
    pub extension: Value,
}

impl Delivered {
    /// What the filter is called in the chain.
    pub fn name(&self) -> &str {
        self.entry["name"].as_str().unwrap_or_default()
    }
}

/// The filter of a `WasmPlugin`.
pub fn wasm_plugin(plugin: &Manifest) -> Result<Delivered> {
    let spec = plugin.spec();
    let name = format!("{}.{}", plugin.namespace(), plugin.name());
    let failure_policy = match spec["failStrategy"].as_str() {
        None | Some("FAIL_CLOSE") => "FAIL_CLOSED",
        Some(other) => other,
    };
    let mut variables = Map::new();
    let mut host = Vec::new();
    variables.insert(
        "ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION".to_owned(),
        json!("1"),
    );
    if let Some(policy) = spec["imagePullPolicy"].as_str() {
        variables.insert(
            "ISTIO_META_WASM_IMAGE_PULL_POLICY".to_owned(),
            json!(policy),
        );
    }
    for variable in items(&spec["vmConfig"]["env"]) {
        let name = variable["name"].as_str().context("a variable has a name")?;
        match variable["valueFrom"].as_str() {
            Some("HOST") => host.push(name),
            _ => drop(variables.insert(name.to_owned(), variable["value"].clone())),
        }
    }
    let mut config = json!({
        "name": name,
        "root_id": spec["pluginName"].as_str().unwrap_or_default(),
        "failure_policy": failure_policy,
        "vm_config": {
            // The same for all: none.
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": module(module_name(&spec["url"])?)?}},
            "environment_variables": {"key_values": variables, "host_env_keys": host},
        },
    });
    if spec["pluginConfig"].is_object() {
        config["configuration"] = json!({
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": through_protobuf(&spec["pluginConfig"]).to_string(),
        });
    }
    Ok(Delivered {
        entry: json!({
            "name": name,
            "config_discovery": {
                "config_source": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
                "type_urls": [WASM, RBAC],
            },
        }),
        extension: json!({"name": name, "typed_config": {"@type": WASM, "config": config}}),
    })
}

/// A `Struct` has no integers: numbers become doubles, which are written without a fraction where they have none.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it has no fraction and is small"
)]
fn through_protobuf(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let double = number.as_f64().unwrap_or_default();
            if double.fract() == 0.0 && double.abs() < 1e15 {
                json!(double as i64)
            } else {
                json!(double)
            }
        }
        Value::Array(items) => items.iter().map(through_protobuf).collect(),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), through_protobuf(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// `oci://registry.example.com/legation/NAME:VERSION`
fn module_name(url: &Value) -> Result<&str> {
    let url = url.as_str().context("a module has a URL")?;
    let name = url.rsplit('/').next().and_then(|end| end.split(':').next());
    name.with_context(|| format!("{url} names no module"))
}

/// Plugins in the order in which requests pass them.
pub fn chain(plugins: &[Manifest]) -> Result<Vec<Manifest>> {
    let mut ordered = Vec::new();
    for plugin in plugins {
        let phase = &plugin.spec()["phase"];
        let phase = PHASES.iter().position(|known| phase == known);
        let phase = phase.with_context(|| format!("{} has a phase", plugin.name()))?;
        let priority = plugin.spec()["priority"].as_i64().unwrap_or_default();
        ordered.push(((phase, -priority), plugin.clone()));
    }
    ordered.sort_by_key(|(place, _)| *place);
    for pair in ordered.windows(2) {
        let names = || format!("{} and {}", pair[0].1.name(), pair[1].1.name());
        ensure!(pair[0].0 != pair[1].0, "{} have one place", names());
    }
    Ok(ordered.into_iter().map(|(_, plugin)| plugin).collect())
}

/// What an `EnvoyFilter` changes.
#[derive(Debug, Default)]
pub struct Patches {
    pub filters: Vec<Delivered>,
    /// What is merged into a route of a virtual host: both names, and it.
    pub routes: Vec<(String, String, Value)>,
}

/// What `EnvoyFilter`s change, one after another by their priority.
pub fn patches(filters: &[Manifest]) -> Result<Patches> {
    let mut ordered: Vec<_> = filters.iter().collect();
    ordered.sort_by_key(|filter| filter.spec()["priority"].as_i64().unwrap_or_default());
    let mut patches = Patches::default();
    for filter in ordered {
        let config_patches = items(&filter.spec()["configPatches"]);
        for patch in config_patches {
            let value = &patch["patch"]["value"];
            let what = (
                patch["applyTo"].as_str(),
                patch["patch"]["operation"].as_str(),
            );
            ensure!(patch["match"]["context"] == "GATEWAY", "{patch}");
            match what {
                (Some("HTTP_FILTER"), Some("INSERT_BEFORE")) => {
                    let place = &patch["match"]["listener"]["filterChain"]["filter"];
                    // Right before the router is after those that were put there before.
                    ensure!(place["name"] == HCM && place["subFilter"]["name"] == ROUTER);
                    let extension = extension(config_patches, &value["name"])?;
                    patches.filters.push(Delivered {
                        entry: value.clone(),
                        extension,
                    });
                }
                // Taken with the filter that discovers it.
                (Some("EXTENSION_CONFIG"), Some("ADD")) => {}
                (Some("HTTP_ROUTE"), Some("MERGE")) => {
                    let host = &patch["match"]["routeConfiguration"]["vhost"];
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    let names = (text(&host["name"]), text(&host["route"]["name"]));
                    patches.routes.push((names.0, names.1, value.clone()));
                }
                other => bail!("{}: {other:?} is not known here", filter.name()),
            }
        }
    }
    Ok(patches)
}

/// The configuration that a filter of this name discovers, with the module that the agent has fetched.
fn extension(config_patches: &[Value], name: &Value) -> Result<Value> {
    let found = config_patches.iter().find(|patch| {
        patch["applyTo"] == "EXTENSION_CONFIG" && patch["patch"]["value"]["name"] == *name
    });
    let found = found.with_context(|| format!("{name} has a configuration"))?;
    let mut extension = found["patch"]["value"].clone();
    let code = &mut extension["typed_config"]["config"]["vm_config"]["code"];
    let uri = &code["remote"]["http_uri"]["uri"];
    *code = json!({"local": {"filename": module(module_name(uri)?)?}});
    Ok(extension)
}

/// The clusters that Istio makes of services, by their names.
pub fn clusters(objects: &[Manifest]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for object in objects {
        let hosts = match object.kind() {
            "ServiceEntry" => items(&object.spec()["hosts"])
                .iter()
                .filter_map(|host| host.as_str().map(str::to_owned))
                .collect(),
            "Service" => vec![format!(
                "{}.{}.svc.cluster.local",
                object.name(),
                object.namespace()
            )],
            _ => Vec::new(),
        };
        for host in hosts {
            for port in items(&object.spec()["ports"]) {
                let number = port["port"].as_u64().or_else(|| port["number"].as_u64());
                names.insert(format!("outbound|{}||{host}", number.unwrap_or_default()));
            }
        }
    }
    names
}

/// The routes of a `VirtualService`: `prefix` matches only, to one upstream.
pub fn routes(service: &Manifest) -> Vec<Value> {
    let routes = items(&service.spec()["http"]).iter().map(|route| {
        let prefix = route["match"][0]["uri"]["prefix"].as_str().unwrap_or("/");
        json!({
            "name": route["name"],
            "match": {"prefix": prefix},
            "route": {"cluster": legation_tests::UPSTREAM_CLUSTER},
        })
    });
    routes.collect()
}

pub fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}
