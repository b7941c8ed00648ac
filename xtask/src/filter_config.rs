//! A filter's configuration as the user has it: on its own, or inside a configuration
//! of Envoy.

mod locate;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

pub(crate) use locate::Place;
use locate::Tree;

/// A file with the configuration of a filter in it.
pub(crate) struct FilterConfig {
    /// What the filter is given: an object arrives as Envoy's `Struct`, a string as it is.
    pub(crate) value: Value,
    /// The variables that the module finds in its environment.
    pub(crate) environment: Vec<(String, String)>,
    text: String,
    tree: Option<Tree>,
    /// The way from the file's top to the configuration.
    base: Vec<Step>,
}

/// A step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl FilterConfig {
    /// Reads a file, YAML or JSON, with a configuration of the filter `name`.
    pub(crate) fn read(path: &Path, name: &str) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, name).with_context(|| format!("cannot use {}", path.display()))
    }

    fn parse(text: &str, name: &str) -> Result<Self> {
        let file: Value = if text.trim().is_empty() {
            Value::Null
        } else {
            serde_saphyr::from_str(text).map_err(|error| {
                let error = error.to_string();
                let error = error.strip_prefix("error: ").unwrap_or(&error);
                anyhow!("it is neither YAML nor JSON: {error}")
            })?
        };
        let mut plugins = Vec::new();
        find_plugins(&file, &mut Vec::new(), &mut plugins);
        let (value, base, environment) = if plugins.is_empty() && !is_bootstrap(&file) {
            (file, Vec::new(), Vec::new())
        } else {
            let (plugin, way) = choose(&plugins, name)?;
            let (value, inside) = unpack(plugin)?;
            let base = [way.as_slice(), inside.as_slice()].concat();
            (value, base, environment(plugin))
        };
        Ok(Self {
            value,
            environment,
            text: text.to_owned(),
            tree: Tree::parse(text),
            base,
        })
    }

    /// Where in the file is what this complaint of the filter is about: `path: what is wrong`.
    pub(crate) fn place_of(&self, complaint: &str) -> Option<Place> {
        let tree = self.tree.as_ref()?;
        match &self.value {
            Value::String(text) => {
                let inside = Tree::parse(text)
                    .and_then(|inner| inner.find(&[], complaint))
                    .or_else(|| told_place(complaint))?;
                self.place_in_text(text, tree.line(&self.base)?, inside)
            }
            _ => tree.find(&self.base, complaint),
        }
    }

    /// The place in the file of a place in a text that begins in this line of the file, or,
    /// as YAML's block texts do, in the next.
    fn place_in_text(&self, text: &str, begins: usize, inside: Place) -> Option<Place> {
        let wanted = text.lines().nth(inside.line.checked_sub(1)?)?;
        [begins, begins + 1].into_iter().find_map(|first| {
            let line = first + inside.line - 1;
            let (before, _) = self.line(line).split_once(wanted)?;
            Some(Place {
                line,
                column: before.chars().count() + inside.column,
                length: inside.length,
            })
        })
    }

    /// A line of the file; the first is 1.
    pub(crate) fn line(&self, number: usize) -> &str {
        let line = self.text.lines().nth(number.saturating_sub(1));
        line.unwrap_or_default()
    }
}

/// The place that the SDK itself tells: `… (line 3, column 5)`.
fn told_place(complaint: &str) -> Option<Place> {
    let (_, told) = complaint.strip_suffix(')')?.rsplit_once(" (line ")?;
    let (line, column) = told.split_once(", column ")?;
    Some(Place {
        line: line.parse().ok()?,
        column: column.parse().ok()?,
        length: 1,
    })
}

/// A plugin's configuration, and the way to it.
type Plugin<'a> = (&'a Value, Vec<Step>);

/// Envoy's `PluginConfig`s, wherever they are: what has a `vm_config`.
fn find_plugins<'a>(value: &'a Value, way: &mut Vec<Step>, found: &mut Vec<Plugin<'a>>) {
    let mut visit = |step: Step, inner: &'a Value| {
        way.push(step);
        find_plugins(inner, way, found);
        way.pop();
    };
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                visit(Step::Key(key.clone()), inner);
            }
            if fields.get("vm_config").is_some_and(Value::is_object) {
                found.push((value, way.clone()));
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                visit(Step::Index(index), inner);
            }
        }
        _ => {}
    }
}

fn is_bootstrap(file: &Value) -> bool {
    file.get("static_resources").is_some() || file.get("dynamic_resources").is_some()
}

fn choose<'a>(plugins: &'a [Plugin], name: &str) -> Result<&'a Plugin<'a>> {
    let mut matching = plugins.iter().filter(|(plugin, _)| is_of(plugin, name));
    match (matching.next(), matching.count()) {
        (Some(plugin), 0) => Ok(plugin),
        (Some(_), more) => bail!(
            "it has the Wasm filter `{name}` {} times; put the configuration that is meant into a file of its own",
            more + 1
        ),
        (None, _) if plugins.is_empty() => {
            bail!("it is a configuration of Envoy without any Wasm filter")
        }
        (None, _) => bail!(
            "it is a configuration of Envoy without the Wasm filter `{name}`; it has: {}",
            plugins
                .iter()
                .map(|(plugin, _)| label(plugin))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

/// Whether a plugin is this filter, by its name or its module's.
fn is_of(plugin: &Value, name: &str) -> bool {
    plugin["name"] == name || plugin["root_id"] == name || module_name(plugin) == Some(name)
}

fn module_name(plugin: &Value) -> Option<&str> {
    let file = plugin.pointer("/vm_config/code/local/filename")?.as_str()?;
    Path::new(file).file_stem()?.to_str()
}

fn label(plugin: &Value) -> &str {
    let name = plugin["name"].as_str().filter(|name| !name.is_empty());
    name.or_else(|| module_name(plugin)).unwrap_or("(no name)")
}

/// What the filter gets of a plugin's `configuration`, and the way to it.
fn unpack(plugin: &Value) -> Result<(Value, Vec<Step>)> {
    let packed = &plugin["configuration"];
    if packed.is_null() {
        return Ok((Value::Null, Vec::new()));
    }
    let kind = packed["@type"].as_str().unwrap_or_default();
    let kind = kind.rsplit('.').next().unwrap_or_default();
    match kind {
        "Struct" | "StringValue" => {
            let way = ["configuration", "value"].map(|key| Step::Key(key.to_owned()));
            Ok((packed["value"].clone(), way.to_vec()))
        }
        _ => bail!(
            "configuration: its @type must be type.googleapis.com/google.protobuf.Struct or \
             type.googleapis.com/google.protobuf.StringValue"
        ),
    }
}

/// The variables that the plugin's VM is given in the file itself.
fn environment(plugin: &Value) -> Vec<(String, String)> {
    let given = plugin.pointer("/vm_config/environment_variables/key_values");
    let given = given.and_then(Value::as_object).into_iter().flatten();
    given
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests;
