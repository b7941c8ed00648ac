//! Finds its way through a bootstrap in JSON.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::socket_address;

const HCM: &str = "HttpConnectionManager";
const ROUTER: &str = "extensions.filters.http.router";
const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

pub(super) fn listeners(root: &mut Value) -> Vec<&mut Value> {
    items(root.pointer_mut("/static_resources/listeners"))
}

pub(super) fn clusters(root: &mut Value) -> Vec<&mut Value> {
    items(root.pointer_mut("/static_resources/clusters"))
}

pub(super) fn find_cluster<'a>(root: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    clusters(root)
        .into_iter()
        .find(|cluster| cluster["name"] == name)
}

/// The `typed_config` of every HTTP connection manager.
pub(super) fn hcms(root: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for listener in listeners(root) {
        let Value::Object(listener) = listener else {
            continue;
        };
        for (key, value) in listener {
            let chains = match key.as_str() {
                "filter_chains" => items(Some(value)),
                "default_filter_chain" => vec![value],
                _ => continue,
            };
            for chain in chains {
                let filters = items(chain.get_mut("filters")).into_iter();
                let configs = filters.filter_map(|filter| filter.get_mut("typed_config"));
                found.extend(configs.filter(|config| is_type(config, HCM)));
            }
        }
    }
    found
}

/// The list that holds the HTTP filter of this name, and its place there.
pub(super) fn find_filters<'a>(
    root: &'a mut Value,
    name: &str,
) -> Option<(&'a mut Vec<Value>, usize)> {
    hcms(root).into_iter().find_map(|hcm| {
        let filters = hcm.get_mut("http_filters")?.as_array_mut()?;
        let at = filters.iter().position(|filter| is_named(filter, name))?;
        Some((filters, at))
    })
}

pub(super) fn find_filter<'a>(root: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let (filters, at) = find_filters(root, name)?;
    filters.get_mut(at)
}

pub(super) fn filter_names(root: &mut Value) -> Vec<String> {
    hcms(root)
        .into_iter()
        .flat_map(|hcm| items(hcm.get_mut("http_filters")))
        .filter_map(|filter| filter["name"].as_str().map(str::to_owned))
        .collect()
}

pub(super) fn is_router(filter: &Value) -> bool {
    is_type(&filter["typed_config"], ROUTER)
}

fn is_named(filter: &Value, name: &str) -> bool {
    filter["name"] == name || filter["typed_config"]["config"]["name"] == name
}

fn is_type(config: &Value, part: &str) -> bool {
    config["@type"]
        .as_str()
        .is_some_and(|name| name.contains(part))
}

/// A cluster's `HttpProtocolOptions`, made where there are none. Envoy wants
/// the protocol named as soon as they are there: HTTP/1.1, as without them.
pub(super) fn protocol_options(cluster: &mut Value) -> &mut Value {
    let options = &mut cluster["typed_extension_protocol_options"][PROTOCOL_OPTIONS];
    if options.is_null() {
        *options = json!({
            "@type": format!("type.googleapis.com/{PROTOCOL_OPTIONS}"),
            "explicit_http_config": {"http_protocol_options": {}},
        });
    }
    options
}

/// Free ports on loopback for the listeners and the admin interface.
pub(super) fn free_ports(root: &mut Value) -> Result<()> {
    let anywhere: SocketAddr = "127.0.0.1:0".parse()?;
    for listener in listeners(root) {
        let address = listener.get_mut("address");
        let address = address.context("a listener has no address")?;
        if !address["socket_address"].is_object() {
            continue;
        }
        merge(address, &socket_address(anywhere));
    }
    root["admin"]["address"] = socket_address(anywhere);
    Ok(())
}

pub(super) fn set_listener_address(root: &mut Value, address: SocketAddr) -> Option<()> {
    let first = listeners(root).into_iter().next()?;
    merge(first.get_mut("address")?, &socket_address(address));
    Some(())
}

pub(super) fn copy_of_first_listener(
    root: &mut Value,
    name: &str,
    filters: &[Value],
) -> Option<Value> {
    let listener = json!([listeners(root).into_iter().next()?.clone()]);
    // In the form of a bootstrap, so that the same walks find their way.
    let mut copy = json!({"static_resources": {"listeners": listener}});
    copy["static_resources"]["listeners"][0]["name"] = name.into();
    // Two listeners cannot have one port.
    free_ports(&mut copy).ok()?;
    for hcm in hcms(&mut copy) {
        hcm["stat_prefix"] = name.into();
        let list = hcm.get_mut("http_filters")?.as_array_mut()?;
        list.retain(is_router);
        list.splice(0..0, filters.iter().cloned());
    }
    Some(copy["static_resources"]["listeners"][0].take())
}

/// The harness reads ports, readiness and counters from the admin interface.
pub(super) fn ensure_admin(root: &mut Value) -> Result<()> {
    let address = &mut root["admin"]["address"];
    if address.is_null() {
        *address = socket_address("127.0.0.1:0".parse()?);
    }
    Ok(())
}

pub(super) fn set_endpoints(cluster: &mut Value, address: SocketAddr) {
    let groups = cluster.pointer_mut("/load_assignment/endpoints");
    for group in items(groups) {
        for endpoint in items(group.get_mut("lb_endpoints")) {
            if let Some(place) = endpoint.pointer_mut("/endpoint/address") {
                merge(place, &socket_address(address));
            }
        }
    }
}

/// Visits the file name of every Wasm module that is loaded from the disk.
pub(super) fn each_module(root: &mut Value, visit: &mut impl FnMut(&mut String)) {
    if let Some(Value::String(filename)) = root.pointer_mut("/code/local/filename") {
        visit(filename);
    }
    match root {
        Value::Object(fields) => {
            for value in fields.values_mut() {
                each_module(value, visit);
            }
        }
        Value::Array(items) => {
            for value in items {
                each_module(value, visit);
            }
        }
        _ => {}
    }
}

/// The variables of Envoy's environment that modules are handed.
pub(super) fn host_environment(root: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let keys = root.pointer("/environment_variables/host_env_keys");
    let keys = keys.and_then(Value::as_array).into_iter().flatten();
    names.extend(keys.filter_map(Value::as_str).map(str::to_owned));
    match root {
        Value::Object(fields) => names.extend(fields.values().flat_map(host_environment)),
        Value::Array(items) => names.extend(items.iter().flat_map(host_environment)),
        _ => {}
    }
    names
}

/// Objects are merged field by field; anything else takes the other's place.
pub(super) fn merge(into: &mut Value, settings: &Value) {
    match settings {
        Value::Object(settings) => {
            if !into.is_object() {
                *into = Value::Object(Map::new());
            }
            for (key, value) in settings {
                merge(&mut into[key], value);
            }
        }
        other => *into = other.clone(),
    }
}

pub(super) fn append(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        other => *other = json!([item]),
    }
}

fn items(list: Option<&mut Value>) -> Vec<&mut Value> {
    list.and_then(Value::as_array_mut)
        .map(|items| items.iter_mut().collect())
        .unwrap_or_default()
}
