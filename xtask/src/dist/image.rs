//! OCI images of a module, as folders in the OCI image layout, in the two variants that Istio knows.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use super::sha256;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

type Annotations = BTreeMap<&'static str, String>;

/// An image like any other, of one layer with the file `plugin.wasm`: every registry takes it. Gives the
/// digest of its manifest.
pub(super) fn compat(folder: &Path, wasm: &[u8], about: &Annotations) -> Result<String> {
    let tar = tar(wasm)?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&tar))]},
    });
    let mut about = about.clone();
    about.insert("module.wasm.image/variant", "compat".to_owned());
    let packed = gzip(&tar)?;
    let layer = (
        "application/vnd.oci.image.layer.v1.tar+gzip",
        packed.as_slice(),
    );
    let config = ("application/vnd.oci.image.config.v1+json", &config);
    write(folder, config, layer, &about)
}

/// The module itself, as media types of its own.
pub(super) fn oci(folder: &Path, wasm: &[u8], about: &Annotations) -> Result<String> {
    let layer = ("application/vnd.module.wasm.content.layer.v1+wasm", wasm);
    let config = ("application/vnd.module.wasm.config.v1+json", &json!({}));
    write(folder, config, layer, about)
}

fn write(
    folder: &Path,
    config: (&str, &Value),
    layer: (&str, &[u8]),
    about: &Annotations,
) -> Result<String> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("cannot make {}", blobs.display()))?;
    let blob = |media_type: &str, bytes: &[u8]| -> Result<Value> {
        let digest = sha256(bytes);
        fs::write(blobs.join(&digest), bytes)?;
        Ok(json!({
            "mediaType": media_type,
            "digest": format!("sha256:{digest}"),
            "size": bytes.len(),
        }))
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(config.0, config.1.to_string().as_bytes())?,
        "layers": [blob(layer.0, layer.1)?],
        "annotations": about,
    });
    let manifest = manifest.to_string();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [blob(MANIFEST, manifest.as_bytes())?],
    });
    fs::write(folder.join("index.json"), index.to_string())?;
    let layout = json!({"imageLayoutVersion": "1.0.0"});
    fs::write(folder.join("oci-layout"), layout.to_string())?;
    Ok(sha256(manifest.as_bytes()))
}

/// An archive of nothing but `plugin.wasm`, of no time and of nobody.
fn tar(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(wasm.len())?);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "plugin.wasm", wasm)?;
    Ok(archive.into_inner()?)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    // 255: of no operating system that one could tell.
    let builder = GzBuilder::new().mtime(0).operating_system(255);
    let mut encoder = builder.write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
