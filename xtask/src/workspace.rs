//! What is in the workspace, and where things are built.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{CrateType, Metadata, MetadataCommand, Package};

/// The workspace as cargo describes it.
pub(crate) struct Workspace {
    metadata: Metadata,
}

/// A package that builds to a module that Envoy loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModulePackage {
    /// The package's name, and the module's: `header-tag`.
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let mut command = MetadataCommand::new();
        // Cargo says where this package is, whatever folder the command began in.
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        command.manifest_path(Path::new(&package).join("Cargo.toml"));
        let metadata = command.exec().context("cannot read the workspace")?;
        Ok(Self { metadata })
    }

    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Cargo's target folder.
    pub(crate) fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// Where the finished modules are.
    pub(crate) fn modules(&self) -> PathBuf {
        self.target().join("legation")
    }

    /// Where the modules are as the linker left them.
    pub(crate) fn plain_modules(&self) -> PathBuf {
        self.modules().join("plain")
    }

    /// Where the harness keeps the Envoys that it fetched.
    pub(crate) fn envoy(&self) -> PathBuf {
        self.target().join("envoy")
    }

    /// Where the harness keeps the files of Envoys that run.
    pub(crate) fn runs(&self) -> PathBuf {
        self.target().join("legation-tests")
    }

    /// Where tools are that the checks need.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target().join("tools")
    }

    /// The filters, by name.
    pub(crate) fn filters(&self) -> Vec<ModulePackage> {
        self.module_packages("filters")
    }

    /// The modules that only tests and benchmarks load: their own and the examples, by name.
    pub(crate) fn test_modules(&self) -> Vec<ModulePackage> {
        let mut modules = self.module_packages("tests/modules");
        modules.extend(self.module_packages("sdk/examples"));
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        modules
    }

    fn module_packages(&self, folder: &str) -> Vec<ModulePackage> {
        let folder = self.root().join(folder);
        let mut packages: Vec<_> = self
            .metadata
            .workspace_packages()
            .into_iter()
            .filter(|package| package.manifest_path.as_std_path().starts_with(&folder))
            .filter(|package| is_module(package))
            .map(|package| ModulePackage {
                name: package.name.to_string(),
                manifest: package.manifest_path.clone().into_std_path_buf(),
            })
            .collect();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        packages
    }

    /// Everything that runs in Envoy: the SDK, the filters, and the modules of the tests.
    pub(crate) fn guest_packages(&self) -> Vec<String> {
        let modules = [self.filters(), self.test_modules()].concat();
        let sdk = std::iter::once("legation".to_owned());
        sdk.chain(modules.into_iter().map(|module| module.name))
            .collect()
    }

    /// Workspace packages with a dev-dependency of this name.
    pub(crate) fn packages_that_test_with(&self, dependency: &str) -> Vec<String> {
        let mut names: Vec<_> = self
            .metadata
            .workspace_packages()
            .into_iter()
            .filter(|package| package.dependencies.iter().any(|d| d.name == dependency))
            .map(|package| package.name.to_string())
            .collect();
        names.sort();
        names
    }

    /// Whether one of these packages has an integration test of this name.
    pub(crate) fn has_test(&self, packages: &[String], test: &str) -> bool {
        let mut all = self.metadata.workspace_packages().into_iter();
        all.any(|package| {
            let mut targets = package.targets.iter();
            packages.iter().any(|name| package.name == *name)
                && targets.any(|target| target.is_test() && target.name == test)
        })
    }

    /// The folder of the workspace's package of this name.
    pub(crate) fn folder_of(&self, name: &str) -> Option<PathBuf> {
        let mut packages = self.metadata.workspace_packages().into_iter();
        let package = packages.find(|package| package.name == name)?;
        let manifest = package.manifest_path.as_std_path();
        manifest.parent().map(Path::to_owned)
    }

    /// What cargo knows of the workspace's package of this name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        let mut packages = self.metadata.workspace_packages().into_iter();
        packages.find(|package| package.name == name)
    }

    /// The version of a dependency in `Cargo.lock`.
    pub(crate) fn locked_version(&self, name: &str) -> Option<String> {
        let mut packages = self.metadata.packages.iter();
        let package = packages.find(|package| package.name == name)?;
        Some(package.version.to_string())
    }

    /// Where the sources of crates are that come from registries.
    pub(crate) fn registry_sources(&self) -> BTreeSet<PathBuf> {
        let packages = self.metadata.packages.iter();
        let fetched = packages.filter(|package| package.source.is_some());
        let folders = fetched.filter_map(|package| {
            let manifest = package.manifest_path.as_std_path();
            manifest.parent()?.parent().map(Path::to_owned)
        });
        folders.collect()
    }

    /// The oldest Rust that the project promises to build with.
    pub(crate) fn rust_version(&self) -> Option<(u64, u64)> {
        let mut packages = self.metadata.workspace_packages().into_iter();
        let version = packages.find_map(|package| package.rust_version.clone())?;
        Some((version.major, version.minor))
    }
}

fn is_module(package: &Package) -> bool {
    let mut targets = package.targets.iter();
    targets.any(|target| target.crate_types.contains(&CrateType::CDyLib))
}
