//! What the API server would say.

use anyhow::Result;
use legation_tests::crds;
use serde_json::{Value, json};

use crate::manifest::manifests;

#[test]
fn every_object_is_valid_and_has_no_unknown_field() -> Result<()> {
    let all = [manifests("istio")?, manifests("envoy-gateway")?].concat();
    let objects: Vec<Value> = all.iter().map(|one| one.object.clone()).collect();

    let errors = crds::check(&objects)?;

    assert!(all.len() > 20, "{} objects", all.len());
    let mut wrong = Vec::new();
    for (manifest, errors) in all.iter().zip(errors) {
        let file = manifest.file.display();
        wrong.extend(errors.iter().map(|error| format!("{file}: {error}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
    Ok(())
}

/// Else the test above would say nothing.
#[test]
fn what_is_wrong_is_found() -> Result<()> {
    let plugin = |spec: Value| {
        json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": {"name": "x"},
            "spec": spec,
        })
    };
    let objects = [
        plugin(json!({"url": "oci://x", "pluginConfig": {"what": {"ever": 1}}})),
        plugin(json!({"url": "oci://x", "phaze": "AUTHN"})),
        plugin(json!({"url": "oci://x", "phase": "AUTH"})),
        plugin(json!({"vmConfig": {"env": [{"name": "A", "valueForm": "HOST"}]}})),
        json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugIn"}),
    ];

    let errors = crds::check(&objects)?;

    assert_eq!(errors[0], Vec::<String>::new());
    assert_eq!(errors[1], ["WasmPlugin.spec.phaze: unknown field"]);
    assert!(errors[2][0].contains("data/spec/phase must be equal to one of"));
    assert_eq!(errors[3], ["data/spec must have required property url"]);
    assert_eq!(
        errors[4],
        ["there is no WasmPlugIn in extensions.istio.io/v1alpha1"]
    );
    Ok(())
}
