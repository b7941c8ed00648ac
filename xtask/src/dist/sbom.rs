//! What a module is made of: its crates, as `CycloneDX` 1.6 has it.

use std::collections::BTreeSet;

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
    let crates: BTreeSet<Crate> = tree.lines().filter_map(Crate::read).collect();
    let own = crates.iter().find(|one| one.name == name);
    let own = own.context("cargo tree does not know the filter itself")?;
    let others = crates.iter().filter(|one| one.name != name);
    let components: Vec<Value> = others.map(Crate::component).collect();
    // Another compiler makes another module of the same crates.
    let rustc = cargo::output(cargo::rustc().arg("--version"))?;
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
            "licenses": licenses(own.license),
            "properties": [{"name": "legation:rustc", "value": rustc.trim()}],
        }},
        "components": components,
    });
    Ok(format!("{list:#}\n"))
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate<'a> {
    name: &'a str,
    version: &'a str,
    license: &'a str,
    /// Whether it is the one that everybody knows by this name.
    is_public: bool,
}

impl<'a> Crate<'a> {
    /// `bytes v1.12.1|MIT`, and for a crate of the workspace `legation v0.1.0 (/its/folder)|Apache-2.0`.
    fn read(line: &'a str) -> Option<Self> {
        let (package, license) = line.split_once('|')?;
        let mut words = package.splitn(3, ' ');
        Some(Self {
            name: words.next()?,
            version: words.next()?.strip_prefix('v')?,
            is_public: words.next().is_none(),
            license: license.strip_suffix(" (*)").unwrap_or(license),
        })
    }

    fn component(&self) -> Value {
        let place = format!("{}@{}", self.name, self.version);
        let mut one = json!({"type": "library", "name": self.name, "version": self.version});
        if self.is_public {
            let purl = format!("pkg:cargo/{place}");
            one["bom-ref"] = json!(purl);
            one["purl"] = json!(purl);
        } else {
            // As a purl its name, such as `oauth2`, would be that of somebody else's crate.
            one["bom-ref"] = json!(format!("legation:{place}"));
        }
        if !self.license.is_empty() {
            one["licenses"] = licenses(self.license);
        }
        one
    }
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
        let read = |line| Crate::read(line).map(|one| (one.name, one.version, one.license));
        let own = read("legation v0.1.0 (/some folder/sdk)|Apache-2.0 (*)");
        assert_eq!(own, Some(("legation", "0.1.0", "Apache-2.0")));
        let other = read("ipnet v2.12.2|MIT OR Apache-2.0");
        assert_eq!(other, Some(("ipnet", "2.12.2", "MIT OR Apache-2.0")));
        assert_eq!(read(""), None);
        let old = licenses("MIT/Apache-2.0");
        assert_eq!(old, json!([{"expression": "MIT OR Apache-2.0"}]));
    }

    #[test]
    fn a_crate_of_ours_is_not_taken_for_one_of_the_same_name() -> Result<()> {
        for own in [
            "oauth2 v0.1.0 (/some folder/filters/oauth2)|Apache-2.0",
            "oauth2 v0.1.0 (https://example.com/oauth2#0123abcd)|Apache-2.0",
        ] {
            let own = Crate::read(own).context("a crate")?.component();
            assert_eq!(own["bom-ref"], "legation:oauth2@0.1.0");
            assert_eq!(own.get("purl"), None);
        }
        let other = Crate::read("ipnet v2.12.2|MIT").context("a crate")?;
        let other = other.component();
        assert_eq!(other["purl"], "pkg:cargo/ipnet@2.12.2");
        assert_eq!(other["bom-ref"], other["purl"]);
        Ok(())
    }
}
