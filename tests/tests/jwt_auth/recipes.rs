//! The configurations in the filter's README, in Envoy.

use std::fs;

use anyhow::Result;
use legation_testing::readme;
use legation_tests::{Config, Envoy, wasm_filter, workspace_root};
use serde_json::json;

use super::FILTER;

#[test]
fn envoy_takes_every_configuration_of_the_readme() -> Result<()> {
    let readme = workspace_root().join("filters/jwt-auth/README.md");
    let readme = fs::read_to_string(readme)?;
    let configurations = readme::configurations(&readme);
    let count = configurations.len();
    assert!(count >= 12, "{count} configurations");
    // One after another in one chain, and so in one VM: Envoy compiles the module once.
    let mut config = Config::plain()?;
    for (number, configuration) in (1..).zip(configurations) {
        let mut filter = wasm_filter(FILTER, configuration);
        let plugin = &mut filter["typed_config"]["config"];
        plugin["name"] = json!(format!("configuration {number} of the README"));
        plugin["vm_config"]["environment_variables"] = json!({"key_values": {
            "INTROSPECTION_SECRET": "a secret",
            "DPOP_NONCE_SECRET": "another secret",
        }});
        config = config.insert_filter(filter);
    }
    if let Err(error) = Envoy::validate(&config) {
        panic!("{error}");
    }
    Ok(())
}
