//! The configurations in the filter's README, in Envoy.

use std::fs;

use anyhow::{Context, Result};
use legation_tests::{Config, Envoy, wasm_filter, workspace_root};
use serde_json::{Value, json};

use super::FILTER;

#[test]
fn envoy_takes_every_configuration_of_the_readme() -> Result<()> {
    let readme = workspace_root().join("filters/rate-limit/README.md");
    let readme = fs::read_to_string(readme)?;
    let blocks: Vec<_> = readme.split("```yaml\n").skip(1).collect();
    assert!(blocks.len() >= 12, "{} configurations", blocks.len());
    // One after another in one chain, and so in one VM: Envoy compiles the module once.
    let mut config = Config::plain()?;
    for (number, block) in (1..).zip(blocks) {
        let block = block.split("```").next().context("a block that ends")?;
        let configuration: Value = serde_saphyr::from_str(block).context(block.to_owned())?;
        let mut filter = wasm_filter(FILTER, configuration);
        let name = format!("configuration {number} of the README");
        filter["typed_config"]["config"]["name"] = json!(name);
        config = config.insert_filter(filter);
    }
    if let Err(error) = Envoy::validate(&config) {
        panic!("{error}");
    }
    Ok(())
}
