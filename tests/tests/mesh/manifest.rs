//! The Kubernetes objects that ship.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use legation_tests::envoy_config_dir;
use serde_json::Value;

/// A Kubernetes object of a file.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// From the folder `envoy-config`.
    pub file: PathBuf,
    pub object: Value,
}

impl Manifest {
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub fn namespace(&self) -> &str {
        let namespace = &self.object["metadata"]["namespace"];
        namespace.as_str().unwrap_or("default")
    }

    pub fn spec(&self) -> &Value {
        &self.object["spec"]
    }

    /// The same with changes, such as a test makes.
    #[must_use]
    pub fn edit(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.object);
        self
    }
}

/// The objects of all files in a folder of `envoy-config`: the YAML, and what stands as such in a README.
///
/// There are no other files: what is not read here is not tested.
pub fn manifests(folder: &str) -> Result<Vec<Manifest>> {
    let mut found = Vec::new();
    for file in files(&envoy_config_dir().join(folder))? {
        let text = fs::read_to_string(&file)?;
        let kind = file.extension().and_then(|kind| kind.to_str());
        let texts = match kind {
            Some("yaml") => vec![text],
            Some("md") => yaml_of(&text),
            _ => anyhow::bail!("{} is read by no test", file.display()),
        };
        for text in texts {
            let objects: Vec<Value> = serde_saphyr::from_multiple(&text)
                .with_context(|| format!("{} is not valid YAML", file.display()))?;
            ensure!(!objects.is_empty(), "{} has no object", file.display());
            let file = file.strip_prefix(envoy_config_dir())?.to_owned();
            found.extend(objects.into_iter().map(|object| Manifest {
                file: file.clone(),
                object,
            }));
        }
    }
    Ok(found)
}

/// The objects of one kind.
pub fn of_kind(kind: &str, folder: &str) -> Result<Vec<Manifest>> {
    let mut found = manifests(folder)?;
    found.retain(|one| one.kind() == kind);
    Ok(found)
}

/// A file of `envoy-config`.
pub fn text(file: &str) -> Result<String> {
    let path = envoy_config_dir().join(file);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder);
    let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The blocks of a README that are YAML.
fn yaml_of(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for block in text.split("```yaml\n").skip(1) {
        let yaml = block.split("```").next().unwrap_or_default();
        blocks.push(yaml.to_owned());
    }
    blocks
}
