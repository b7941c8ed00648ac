//! The files that users copy, each as it stands.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use legation_tests::jwt::{Issuer, Key};
use legation_tests::{Config, Envoy, envoy_config_dir, module};
use support::write_stub;

/// Every file of `envoy-config/` and of `filters/` in it.
fn bootstraps() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in [envoy_config_dir(), envoy_config_dir().join("filters")] {
        for entry in fs::read_dir(folder)? {
            files.push(entry?.path());
        }
    }
    files.retain(|file| file.extension().is_some_and(|kind| kind == "yaml"));
    files.sort();
    Ok(files)
}

/// With modules that accept everything in the place of all.
fn with_stubs(mut config: Config) -> Result<(tempfile::TempDir, Config)> {
    let folder = tempfile::tempdir()?;
    for name in config.module_names() {
        let path = write_stub(folder.path(), &name)?;
        config = config.module(&name, &path);
    }
    Ok((folder, config))
}

/// With the modules as they are built; a module that is not built yet is stood in for by one
/// that accepts everything, so that the rest of the file is checked in any case.
fn with_modules(mut config: Config) -> Result<(tempfile::TempDir, Config)> {
    let folder = tempfile::tempdir()?;
    for name in config.module_names() {
        if module(&name).is_err() {
            let path = write_stub(folder.path(), &name)?;
            config = config.module(&name, &path);
        }
    }
    Ok((folder, config))
}

/// With an issuer in the place of the examples', if the file has one: it listens here, without TLS.
fn with_issuer(config: Config) -> Result<(Issuer, Config)> {
    let issuer = Issuer::start("https://login.example", &[&Key::p256()])?;
    let config = if config.has_cluster("login") {
        config.endpoint_without_tls("login", issuer.address())
    } else {
        config
    };
    Ok((issuer, config))
}

/// All but what the modules have to say of it, which the next test shows: it takes seconds to compile them.
#[test]
fn envoy_accepts_every_file_as_it_stands() -> Result<()> {
    for file in bootstraps()? {
        let (_folder, config) = with_stubs(Config::load(&file)?.keep_addresses())?;

        if let Err(error) = Envoy::validate(&config) {
            panic!("{}: {error}", file.display());
        }
    }
    Ok(())
}

#[test]
fn envoy_and_the_modules_accept_every_file_and_have_nothing_to_warn_of() -> Result<()> {
    for file in bootstraps()? {
        let (_folder, config) = with_modules(Config::load(&file)?)?;
        let (_issuer, config) = with_issuer(config)?;

        let config = config.log_level("warning", "");
        let envoy = Envoy::start(&config)?;

        assert_eq!(envoy.log(), "", "{}", file.display());
    }
    Ok(())
}

#[test]
fn every_wasm_filter_reloads_after_a_failure_in_a_vm_of_its_own() -> Result<()> {
    for file in bootstraps()? {
        let text = fs::read_to_string(&file)?;
        let filters = text.matches("filters.http.wasm.v3.Wasm\n").count();
        let vm_ids: BTreeSet<_> = text
            .lines()
            .filter(|line| line.contains("vm_id: "))
            .collect();

        assert!(filters > 0, "{}", file.display());
        assert_eq!(
            text.matches("failure_policy: FAIL_RELOAD\n").count(),
            filters
        );
        assert_eq!(vm_ids.len(), filters, "{}", file.display());
    }
    Ok(())
}

#[test]
fn every_configuration_is_json_in_a_text() -> Result<()> {
    for file in bootstraps()? {
        let root = Config::load(&file)?.keep_addresses();
        let (_folder, root) = with_modules(root)?;

        let filters =
            root.to_value()?["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
                ["typed_config"]["http_filters"]
                .take();

        for filter in filters.as_array().into_iter().flatten() {
            let configuration = &filter["typed_config"]["config"]["configuration"];
            if configuration.is_null() {
                continue;
            }
            let text = configuration["value"].as_str().unwrap_or_default();
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
            assert!(
                parsed.is_ok(),
                "{}: {}: {parsed:?}",
                file.display(),
                filter["name"]
            );
        }
    }
    Ok(())
}

#[test]
fn the_labels_of_the_example_are_those_of_the_whole_chain() -> Result<()> {
    let labels = |file: &str| -> Result<serde_json::Value> {
        Ok(Config::file(file)?.to_value()?["stats_config"].take())
    };

    let whole = labels("envoy.yaml")?;

    assert!(whole["stats_tags"].is_array(), "{whole}");
    assert_eq!(labels("observability.yaml")?, whole);
    Ok(())
}

/// Else a metric has a name of its own for each issuer, limit or cluster.
#[test]
fn each_filters_file_has_the_labels_of_its_metrics() -> Result<()> {
    let labels = |file: &Path| -> Result<Vec<serde_json::Value>> {
        let stats = Config::load(file)?.to_value()?["stats_config"].take();
        Ok(stats["stats_tags"].as_array().cloned().unwrap_or_default())
    };
    let whole = labels(&envoy_config_dir().join("envoy.yaml"))?;

    let folder = envoy_config_dir().join("filters");
    let files = bootstraps()?
        .into_iter()
        .filter(|file| file.starts_with(&folder));
    for file in files {
        let filter = file.file_stem().unwrap_or_default();
        let expected: &[&str] = match filter.to_string_lossy().as_ref() {
            "body-guard" => &["direction", "reason"],
            "csp" => &["directive", "disposition"],
            "header-tag" | "suite" => &["header_rule"],
            "jwt-auth" => &["issuer", "provider", "reason", "rule", "envoy_cluster_name"],
            "oauth2" => &["provider", "reason", "envoy_cluster_name"],
            "rate-limit" => &["descriptor"],
            "rate-limit-global" => &["descriptor", "envoy_cluster_name"],
            // One that begins with no metric that has labels.
            _ => &[],
        };
        let own = labels(&file)?;
        let names: Vec<_> = own.iter().map(|tag| &tag["tag_name"]).collect();
        assert_eq!(names, expected, "{}", file.display());
        let is_of_whole = own.iter().all(|tag| whole.contains(tag));
        assert!(is_of_whole, "{}: {own:?}", file.display());
    }
    Ok(())
}
