//! The modules that the cases load.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cases::Case;
use super::filters::{Filter, Module};
use crate::build::{self, Which};
use crate::workspace::Workspace;

/// The modules, each in a file.
pub(super) struct Modules(HashMap<Module, PathBuf>);

impl Modules {
    /// Builds what the cases need.
    pub(super) fn build(workspace: &Workspace, cases: &[Case]) -> Result<Self> {
        let chains = cases
            .iter()
            .flat_map(|case| [&case.filters, &case.baseline]);
        let modules: BTreeSet<_> = chains.flatten().filter_map(Filter::module).collect();
        let packages: BTreeSet<_> = modules.iter().filter_map(Module::package).collect();
        let packages: Vec<_> = packages.into_iter().map(str::to_owned).collect();
        if !packages.is_empty() {
            build::modules(workspace, Which::Named(&packages))?;
        }
        let files = modules.into_iter().map(|module| {
            let file = match module {
                Module::Text(name) => assemble(workspace, name)?,
                Module::Built(name) => workspace.modules().join(format!("{name}.wasm")),
                Module::Plain(name) => workspace.plain_modules().join(format!("{name}.wasm")),
            };
            Ok((module, file))
        });
        Ok(Self(files.collect::<Result<_>>()?))
    }

    pub(super) fn file(&self, module: Module) -> &Path {
        self.0.get(&module).map_or(Path::new(""), PathBuf::as_path)
    }

    /// Bytes of a case's modules, if it has any.
    pub(super) fn size_of(&self, case: &Case) -> Option<usize> {
        let sizes = in_case(case).map(|module| {
            let bytes = fs::metadata(self.file(module)).ok()?.len();
            usize::try_from(bytes).ok()
        });
        sizes.reduce(|sum, size| Some(sum? + size?)).flatten()
    }
}

fn in_case(case: &Case) -> impl Iterator<Item = Module> {
    case.filters.iter().filter_map(Filter::module)
}

/// Makes a module of `tests/modules/NAME.wat`.
fn assemble(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let source = workspace.root().join(format!("tests/modules/{name}.wat"));
    let wasm = wat::parse_file(&source)?;
    let folder = workspace.modules().join("floor");
    let file = folder.join(format!("{name}.wasm"));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&file, wasm))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
