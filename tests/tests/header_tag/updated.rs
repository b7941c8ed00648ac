//! A configuration that changes while Envoy runs.

use std::fs;

use anyhow::{Context, Result};
use legation_tests::{Config, DEADLINE, Request, Stage, module, wait_for, wasm_filter};
use serde_json::{Value, json};

use super::{FILTER, tags};

/// The filter's configuration in a file of its own, which Envoy watches.
struct Watched(tempfile::TempDir);

impl Watched {
    fn filter(&self) -> Value {
        json!({
            "name": FILTER,
            "config_discovery": {
                "config_source": {"path_config_source": {
                    "path": self.0.path().join("filter.json"),
                    "watched_directory": {"path": self.0.path()}
                }},
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"]
            }
        })
    }

    fn write(&self, version: u32, configuration: &Value) -> Result<()> {
        let mut filter = wasm_filter(FILTER, configuration.clone());
        let code = "/typed_config/config/vm_config/code/local/filename";
        *filter.pointer_mut(code).context("the module's place")? = json!(module(FILTER)?);
        let update = json!({
            "version_info": version.to_string(),
            "resources": [{
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": FILTER,
                "typed_config": filter["typed_config"]
            }]
        });
        let file = self.0.path().join("filter.json.new");
        fs::write(&file, update.to_string())?;
        // Envoy looks when a file is moved here.
        fs::rename(file, self.0.path().join("filter.json"))?;
        Ok(())
    }
}

#[test]
fn a_new_configuration_replaces_the_old_one_while_envoy_runs_and_a_wrong_one_does_not() -> Result<()>
{
    let tag = |tag: &str| json!({"rules": [{"request": {"set": {"x-t-a": tag}}}]});
    let watched = Watched(tempfile::tempdir()?);
    watched.write(1, &tag("1"))?;
    let config = Config::plain()?
        .insert_filter(watched.filter())
        .edit(|root| root["node"] = json!({"id": "test", "cluster": "test"}));
    let stage = Stage::start(&config.concurrency(1))?;
    let sent = std::cell::Cell::new(0);
    let tagged = || -> Result<Vec<String>> {
        sent.set(sent.get() + 1);
        Ok(tags(&stage.exchange(Request::get("/"))?.arrived()?.headers))
    };
    assert_eq!(tagged()?, ["x-t-a: 1"]);

    watched.write(2, &tag("2"))?;
    wait_for("the new tag", DEADLINE, || {
        Ok((tagged()? == ["x-t-a: 2"]).then_some(()))
    })?;

    watched.write(3, &json!({"rules": []}))?;
    stage
        .envoy()
        .wait_for_log("rules: an empty list", DEADLINE)?;
    assert_eq!(tagged()?, ["x-t-a: 2"]);

    // What the old configuration had counted is not lost.
    let counter = "wasmcustom.header_tag.requests_matched";
    let counted = stage
        .admin()
        .wait_for_stat(counter, DEADLINE, |now| now >= sent.get())?;
    assert_eq!(counted, sent.get());
    Ok(())
}
