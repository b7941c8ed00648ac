//! What Envoy Gateway's control plane makes of its objects, as far as an Envoy sees of it.
//!
//! From its source: `internal/xds/translator/wasm.go` and `httpfilters.go` (filters, and their order),
//! `jsonpatch.go` (patches), `listener.go` (limits of connections).

use anyhow::{Context, Result, ensure};
use legation_tests::module;
use serde_json::{Value, json};
use serde_json_path::JsonPath;

use crate::istio::{WASM, items};
use crate::manifest::Manifest;
use crate::world::hcm;

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const FILTER_CONFIG: &str = "type.googleapis.com/envoy.config.route.v3.FilterConfig";

/// The filters of a policy, in the order of its list: each is off, and on by the routes.
pub fn filters(policy: &Manifest) -> Result<Vec<Value>> {
    let mut filters = Vec::new();
    for (at, wasm) in items(&policy.spec()["wasm"]).iter().enumerate() {
        let name = format!(
            "envoyextensionpolicy/{}/{}/wasm/{at}",
            policy.namespace(),
            policy.name()
        );
        let image = wasm["code"]["image"]["url"].as_str().context("an image")?;
        let file = image
            .rsplit('/')
            .next()
            .and_then(|end| end.split(':').next());
        let mut vm_config = json!({
            "vm_id": name,
            "runtime": "envoy.wasm.runtime.v8",
            // Envoy Gateway fetches the image itself, and serves the module to its Envoys.
            "code": {"local": {"filename": module(file.unwrap_or_default())?}},
        });
        if wasm["env"]["hostKeys"].is_array() {
            vm_config["environment_variables"] = json!({"host_env_keys": wasm["env"]["hostKeys"]});
        }
        filters.push(json!({
            "name": format!("envoy.filters.http.wasm/{name}"),
            "disabled": true,
            "typed_config": {"@type": WASM, "config": {
                "name": wasm["name"],
                "root_id": wasm["rootID"],
                "fail_open": wasm["failOpen"],
                "vm_config": vm_config,
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": wasm["config"].to_string(),
                },
            }},
        }));
    }
    Ok(filters)
}

/// What a route says that has these filters.
pub fn on(filters: &[Value]) -> Value {
    let names = filters.iter().filter_map(|filter| filter["name"].as_str());
    let on = names.map(|name| {
        (
            name.to_owned(),
            json!({"@type": FILTER_CONFIG, "config": {}}),
        )
    });
    Value::Object(on.collect())
}

/// The clusters that patches add.
pub fn clusters(objects: &[Manifest]) -> Vec<Value> {
    let patches = objects
        .iter()
        .filter(|one| one.kind() == "EnvoyPatchPolicy");
    let patches = patches.flat_map(|policy| items(&policy.spec()["jsonPatches"]));
    let clusters =
        patches.filter(|patch| patch["type"] == CLUSTER && patch["operation"]["path"] == "");
    clusters
        .map(|patch| patch["operation"]["value"].clone())
        .collect()
}

/// Limits what a listener's connections hold, as a `ClientTrafficPolicy` says or, without one, by default.
pub fn limit_connections(objects: &[Manifest], listener: &mut Value) -> Result<()> {
    let policy = objects
        .iter()
        .find(|one| one.kind() == "ClientTrafficPolicy");
    let said = |path: &str| policy.and_then(|policy| policy.spec().pointer(path));
    let buffer = said("/connection/bufferLimit").map_or(Ok(32_768), bytes)?;
    let window = said("/http2/initialStreamWindowSize").map_or(Ok(65_536), bytes)?;
    listener["per_connection_buffer_limit_bytes"] = json!(buffer);
    hcm(listener)["http2_protocol_options"] = json!({"initial_stream_window_size": window});
    Ok(())
}

/// A Kubernetes quantity, such as `512Ki`.
fn bytes(quantity: &Value) -> Result<u32> {
    let kibibytes = quantity.as_str().and_then(|text| text.strip_suffix("Ki"));
    let kibibytes = kibibytes.with_context(|| format!("{quantity} is not in Ki"))?;
    Ok(kibibytes.parse::<u32>()? * 1024)
}

/// Applies what patches change in a listener.
pub fn patch_listener(objects: &[Manifest], listener: &mut Value) -> Result<()> {
    let patches = objects
        .iter()
        .filter(|one| one.kind() == "EnvoyPatchPolicy");
    for patch in patches.flat_map(|policy| items(&policy.spec()["jsonPatches"])) {
        if patch["type"] != LISTENER {
            continue;
        }
        let operation = &patch["operation"];
        ensure!(operation["op"] == "add", "{operation}");
        let query = operation["jsonPath"].as_str().context("a JSONPath")?;
        let query = JsonPath::parse(&format!("${query}"))?;
        let path = operation["path"].as_str().context("a path")?;
        let places: Vec<String> = query
            .query_located(listener)
            .locations()
            .map(|place| place.to_json_pointer() + path)
            .collect();
        // As Envoy Gateway has it: a patch that finds nothing is an error.
        ensure!(!places.is_empty(), "{operation} finds nothing");
        for place in places {
            let (parent, member) = place.rsplit_once('/').context("a place")?;
            let parent = listener.pointer_mut(parent);
            parent.with_context(|| format!("{place} is nowhere"))?[member] =
                operation["value"].clone();
        }
    }
    Ok(())
}
