//! What the files say of each other, and the READMEs of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::envoy_gateway;
use crate::istio;
use crate::manifest::{Manifest, manifests, of_kind, text};
use crate::world::{CHAIN, take_what_reads_requests};

/// Names of clusters in a filter's configuration, wherever they stand.
fn clusters_in(configuration: &Value, found: &mut Vec<String>) {
    match configuration {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("cluster" | "cluster_name", Value::String(cluster)) => {
                        found.push(cluster.clone());
                    }
                    _ => clusters_in(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| clusters_in(item, found)),
        _ => {}
    }
}

/// What a filter is configured with, by `WasmPlugin` or `EnvoyFilter`.
fn configuration(object: &Manifest) -> Result<Value> {
    if object.kind() == "WasmPlugin" {
        return Ok(object.spec()["pluginConfig"].clone());
    }
    let patches = istio::patches(std::slice::from_ref(object))?;
    let filter = patches.filters.first().context("a filter")?;
    let text = &filter.extension["typed_config"]["config"]["configuration"]["value"];
    Ok(serde_json::from_str(text.as_str().unwrap_or_default())?)
}

/// The objects of one kind, by their names.
fn by_name(kind: &str, folder: &str) -> Result<BTreeMap<String, Manifest>> {
    let found = of_kind(kind, folder)?.into_iter();
    Ok(found.map(|one| (one.name().to_owned(), one)).collect())
}

#[test]
fn every_cluster_that_a_filter_asks_is_made_by_its_file() -> Result<()> {
    let all = manifests("istio")?;
    let mut count = 0;
    for object in &all {
        let is_filter = object.file.components().count() > 2 && object.spec()["hosts"].is_null();
        if !is_filter || !["WasmPlugin", "EnvoyFilter"].contains(&object.kind()) {
            continue;
        }
        let beside: Vec<_> = all
            .iter()
            .filter(|one| one.file == object.file)
            .cloned()
            .collect();
        let made = istio::clusters(&beside);
        let mut asked = Vec::new();
        clusters_in(&configuration(object)?, &mut asked);
        for cluster in asked {
            assert!(
                made.contains(&cluster),
                "{}: {cluster}",
                object.file.display()
            );
            count += 1;
        }
    }
    assert_eq!(count, 8);
    Ok(())
}

#[test]
fn a_filter_is_configured_in_the_same_way_by_plugin_and_by_envoy_filter() -> Result<()> {
    let plugins = by_name("WasmPlugin", "istio/wasmplugin")?;
    let filters = by_name("EnvoyFilter", "istio/envoyfilter")?;
    assert!(plugins.keys().eq(filters.keys()));
    for (name, plugin) in &plugins {
        let filter = &filters[name];
        let mut by_filter = configuration(filter)?;

        // What only an EnvoyFilter can have, as its bodies are read before requests go on.
        let reads_requests = take_what_reads_requests(&mut by_filter);
        let patches = istio::patches(std::slice::from_ref(filter))?;
        let plugin_config = &patches.filters[0].extension["typed_config"]["config"];
        let allowed = plugin_config["allow_on_headers_stop_iteration"] == true;
        assert_eq!(allowed, reads_requests, "{name}");
        assert_eq!(by_filter, configuration(plugin)?, "{name}");
    }
    Ok(())
}

/// The names in bold of a README's line that begins like this.
fn chain_in(readme: &str, beginning: &str) -> Result<Vec<String>> {
    let readme = text(readme)?;
    let line = readme.lines().find(|line| line.starts_with(beginning));
    let line = line.with_context(|| format!("no line begins with {beginning}"))?;
    let names = line.split("**").skip(1).step_by(2).map(str::to_owned);
    Ok(names.collect())
}

#[test]
fn a_policy_of_envoy_gateway_has_the_configuration_of_the_envoy_filter() -> Result<()> {
    let filters = by_name("EnvoyFilter", "istio/envoyfilter")?;
    let policies = by_name("EnvoyExtensionPolicy", "envoy-gateway")?;
    assert!(policies.keys().eq(filters.keys()));
    let all = manifests("envoy-gateway")?;
    for (name, policy) in &policies {
        let wasm = &policy.spec()["wasm"][0];
        assert_eq!(wasm["failOpen"], false, "{name}");
        let sha256 = wasm["code"]["image"]["sha256"].as_str();
        assert_eq!(sha256.map(str::len), Some(64), "{name}");
        // But for what clusters are called there, which the same file makes.
        let mut asked = Vec::new();
        clusters_in(&wasm["config"], &mut asked);
        let beside: Vec<_> = all
            .iter()
            .filter(|one| one.file == policy.file)
            .cloned()
            .collect();
        let made = envoy_gateway::clusters(&beside);
        assert!(
            made.iter().map(|one| &one["name"]).eq(&asked),
            "{name}: {asked:?}"
        );
        let mut expected = configuration(&filters[name])?.to_string();
        for (in_istio, here) in [
            ("outbound|443||login.example", "login"),
            (
                "outbound|8081||ratelimit.legation.svc.cluster.local",
                "ratelimit",
            ),
        ] {
            expected = expected.replace(in_istio, here);
        }
        assert_eq!(
            wasm["config"],
            serde_json::from_str::<Value>(&expected)?,
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn phases_and_priorities_give_the_chain_that_the_readme_shows() -> Result<()> {
    let plugins = of_kind("WasmPlugin", "istio/wasmplugin")?;
    let mut filters = of_kind("EnvoyFilter", "istio/envoyfilter")?;
    filters.sort_by_key(|filter| filter.spec()["priority"].as_i64());
    let names = |chain: &[Manifest]| -> Vec<String> {
        chain.iter().map(|one| one.name().to_owned()).collect()
    };

    let chain = names(&istio::chain(&plugins)?);

    assert_eq!(chain, chain_in("istio/README.md", "The chain: ")?);
    assert_eq!(chain, names(&filters));
    assert_eq!(
        CHAIN.to_vec(),
        chain_in("envoy-gateway/README.md", "The chain: ")?
    );
    Ok(())
}

/// Else anybody on the way could be the provider.
#[test]
fn who_is_outside_is_spoken_to_by_tls_with_a_name_that_is_checked() -> Result<()> {
    let all = manifests("istio")?;
    let mut count = 0;
    for entry in all.iter().filter(|one| one.kind() == "ServiceEntry") {
        let host = &entry.spec()["hosts"][0];
        let rule = all.iter().find(|one| {
            one.kind() == "DestinationRule" && one.file == entry.file && one.spec()["host"] == *host
        });
        let tls = &rule.context("a DestinationRule")?.spec()["trafficPolicy"]["tls"];
        assert_eq!(tls["mode"], "SIMPLE", "{}", entry.file.display());
        assert_eq!(tls["sni"], *host);
        assert_eq!(tls["subjectAltNames"][0], *host);
        count += 1;
    }
    assert_eq!(count, 6);
    let clusters = envoy_gateway::clusters(&manifests("envoy-gateway")?);
    for cluster in clusters.iter().filter(|one| one["name"] == "login") {
        let tls = &cluster["transport_socket"]["typed_config"];
        let names =
            &tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"];
        assert_eq!(tls["sni"], "login.example");
        assert_eq!(names[0]["matcher"]["exact"], "login.example");
    }
    Ok(())
}

/// What is the same in all: else somebody who copies one gets another way to fail.
#[test]
fn every_filter_fails_closed_and_is_loaded_anew() -> Result<()> {
    for plugin in of_kind("WasmPlugin", "istio")? {
        let spec = plugin.spec();
        assert_eq!(spec["failStrategy"], "FAIL_RELOAD", "{}", plugin.name());
        assert_eq!(spec["sha256"].as_str().map(str::len), Some(64));
        assert_eq!(spec["type"], "HTTP");
    }
    for filter in of_kind("EnvoyFilter", "istio/envoyfilter")? {
        let patches = istio::patches(std::slice::from_ref(&filter))?;
        let config = &patches.filters[0].extension["typed_config"]["config"];
        assert_eq!(config["failure_policy"], "FAIL_RELOAD", "{}", filter.name());
        let vm_id = format!("legation.{}", filter.name());
        assert_eq!(config["vm_config"]["vm_id"], vm_id);
    }
    Ok(())
}
