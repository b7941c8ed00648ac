//! What a module is made of: its crates, as `CycloneDX` 1.6 has it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cargo;
use crate::target;
use crate::workspace::Workspace;

/// The list of the crates that are compiled into a filter's module, with no time and no number of its own: the
/// same for the same module.
pub(super) fn of(workspace: &Workspace, name: &str, version: &str, sha256: &str) -> Result<String> {
    let mut command = cargo::cargo(workspace.root());
    command
        .args(["tree", "--package", name, "--target", target::WASI])
        // Macros run in the compiler and are no part of the module.
        .args(["--edges", "normal,no-proc-macro", "--prefix", "none"])
        .args(["--format", "{p}|{l}"]);
    let tree = cargo::output(&mut command)?;
    let crates: BTreeMap<(&str, &str), &str> = tree.lines().filter_map(read).collect();
    let license = crates.get(&(name, version)).copied();
    let license = license.context("cargo tree does not know the filter itself")?;
    let others = crates.iter().filter(|((of, _), _)| *of != name);
    let components: Vec<Value> = others
        .map(|((name, version), license)| {
            let purl = format!("pkg:cargo/{name}@{version}");
            let mut one = json!({
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "purl": purl,
            });
            if !license.is_empty() {
                one["licenses"] = licenses(license);
            }
            one
        })
        .collect();
    let list = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {
            "type": "application",
            "bom-ref": format!("{name}.wasm"),
            "name": format!("{name}.wasm"),
            "version": version,
            "hashes": [{"alg": "SHA-256", "content": sha256}],
            "licenses": licenses(license),
        }},
        "components": components,
    });
    Ok(format!("{list:#}\n"))
}

/// `bytes v1.12.1|MIT`, and for a crate of the workspace `legation v0.1.0 (/its/folder)|Apache-2.0`.
fn read(line: &str) -> Option<((&str, &str), &str)> {
    let (package, license) = line.split_once('|')?;
    let mut words = package.split(' ');
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    let license = license.strip_suffix(" (*)").unwrap_or(license);
    Some(((name, version), license))
}

/// Old crates write `MIT/Apache-2.0`, which is no expression of SPDX's.
fn licenses(expression: &str) -> Value {
    json!([{"expression": expression.replace('/', " OR ")}])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_cargo_tree_writes() {
        let own = read("legation v0.1.0 (/some folder/sdk)|Apache-2.0 (*)");
        assert_eq!(own, Some((("legation", "0.1.0"), "Apache-2.0")));
        let other = read("ipnet v2.12.2|MIT OR Apache-2.0");
        assert_eq!(other, Some((("ipnet", "2.12.2"), "MIT OR Apache-2.0")));
        assert_eq!(read(""), None);
        let old = licenses("MIT/Apache-2.0");
        assert_eq!(old, json!([{"expression": "MIT OR Apache-2.0"}]));
    }
}
