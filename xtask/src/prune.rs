//! Leaves in a module only the entry points that its filter uses.
//!
//! Envoy calls every callback that a module exports, used or not, and each call
//! costs an entry into the VM. A module built with the SDK exports every callback
//! of the `proxy-wasm` crate, exports the SDK's own as `legation_<name>`, and
//! lists in the custom section `legation.exports` the ones that its filter needs.
//! Pruning renames those, drops the rest, and removes what only the rest used.

mod table;

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use walrus::{ExportItem, FunctionId, Module, ModuleConfig};

/// The custom section that lists the entry points, one a line.
pub(crate) const SECTION: &str = "legation.exports";

/// What the SDK's own entry points are called before they are renamed.
const PREFIX: &str = "legation_";

/// What Envoy needs of every module, whatever its filter does.
const ALWAYS: [&str; 3] = ["memory", "proxy_on_memory_allocate", "malloc"];
const ABI_VERSION: &str = "proxy_abi_version_";

/// A module after pruning.
#[derive(Debug)]
pub(crate) struct Pruned {
    pub(crate) wasm: Vec<u8>,
    /// The names of everything it still exports, sorted.
    pub(crate) exports: Vec<String>,
    /// How many function table slots nothing could call any more.
    pub(crate) dropped_slots: usize,
}

/// Prunes a module by its section; `None` when it has no such section.
pub(crate) fn prune(wasm: &[u8]) -> Result<Option<Pruned>> {
    let mut config = ModuleConfig::new();
    config.generate_producers_section(false);
    let mut module = config.parse(wasm).context("not a readable Wasm module")?;

    let Some(entry_points) = take_section(&mut module)? else {
        return Ok(None);
    };
    let renamed = entry_points
        .into_iter()
        .map(|name| Ok((find(&module, &name)?, name)))
        .collect::<Result<Vec<(FunctionId, String)>>>()?;

    let dropped: Vec<_> = module
        .exports
        .iter()
        .filter(|export| !is_always_kept(&export.name))
        .map(walrus::Export::id)
        .collect();
    for id in dropped {
        module.exports.delete(id);
    }
    for (function, name) in renamed {
        module.exports.add(&name, function);
    }

    let dropped_slots = table::drop_uncallable_slots(&mut module);
    walrus::passes::gc::run(&mut module);

    let mut exports: Vec<_> = module.exports.iter().map(|e| e.name.clone()).collect();
    exports.sort();
    Ok(Some(Pruned {
        wasm: module.emit_wasm(),
        exports,
        dropped_slots,
    }))
}

/// Takes the section out of the module and reads the names in it.
fn take_section(module: &mut Module) -> Result<Option<BTreeSet<String>>> {
    let mut names = None::<BTreeSet<String>>;
    while let Some(section) = module.customs.remove_raw(SECTION) {
        let text = String::from_utf8(section.data).with_context(|| {
            format!("section `{SECTION}`: not UTF-8; it must list one entry point a line")
        })?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        names
            .get_or_insert_default()
            .extend(lines.map(str::to_owned));
    }
    Ok(names)
}

/// The function that the module exports for the entry point `name`.
fn find(module: &Module, name: &str) -> Result<FunctionId> {
    let wanted = format!("{PREFIX}{name}");
    let export = module.exports.iter().find(|export| export.name == wanted);
    match export.map(|export| export.item) {
        Some(ExportItem::Function(function)) => Ok(function),
        Some(_) => {
            bail!("section `{SECTION}` names `{name}`, but the export `{wanted}` is not a function")
        }
        None => bail!(
            "section `{SECTION}` names `{name}`, but the module exports no `{wanted}`; it exports {}",
            own_entry_points(module)
        ),
    }
}

fn own_entry_points(module: &Module) -> String {
    let names: BTreeSet<_> = module
        .exports
        .iter()
        .filter(|export| export.name.starts_with(PREFIX))
        .map(|export| format!("`{}`", export.name))
        .collect();
    if names.is_empty() {
        return format!("none that begins with `{PREFIX}`");
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn is_always_kept(name: &str) -> bool {
    ALWAYS.contains(&name) || name.starts_with(ABI_VERSION)
}

#[cfg(test)]
mod tests;
