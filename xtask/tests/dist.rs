//! `cargo xtask dist`, as a user calls it: the same bytes each time, of a module that is built once, and an image
//! that a registry takes and Envoy runs. `dist_folders.rs` builds a module at two places.
//!
//! Where the machine has no registry the test with one is skipped, which is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use legation_tests::registry::{self, Registry};
use legation_tests::trials::{Test, Trials};
use legation_tests::{Config, Request, Stage, output_text, workspace_root};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const FILTER: &str = "header-tag";

const TESTS: &[Test] = &[
    (
        "it_is_the_same_each_time_and_holds_no_folder_of_this_machine",
        it_is_the_same_each_time_and_holds_no_folder_of_this_machine,
    ),
    (
        "what_cannot_be_pushed_is_told_why",
        what_cannot_be_pushed_is_told_why,
    ),
    (
        "the_dockerfile_makes_an_image_of_the_module_alone",
        the_dockerfile_makes_an_image_of_the_module_alone,
    ),
];

const WITH_REGISTRY: &[Test] = &[(
    "a_registry_takes_it_and_envoy_runs_what_comes_back",
    a_registry_takes_it_and_envoy_runs_what_comes_back,
)];

fn main() {
    Trials::new()
        .with(TESTS)
        .with_needing(&registry::NEED, WITH_REGISTRY)
        .run()
}

fn dist(args: &[&str], out: &Path, docker: &Path) -> Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("dist")
        .args(args)
        .arg("--out")
        .arg(out)
        .env("CARGO_TARGET_DIR", legation_tests::target_dir()?)
        .env("DOCKER_CONFIG", docker)
        .env("NO_COLOR", "1")
        .output()
        .context("cannot run the command")
}

/// Each file, by its name.
fn contents(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder)?.to_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

fn json_of(file: &Path) -> Result<Value> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

fn blob(image: &Path, of: &Value) -> Result<Vec<u8>> {
    let digest = of["digest"].as_str().context("a digest")?;
    let bytes = fs::read(image.join("blobs").join(digest.replace(':', "/")))?;
    let mut hex = String::new();
    for byte in Sha256::digest(&bytes) {
        write!(hex, "{byte:02x}")?;
    }
    ensure!(digest == format!("sha256:{hex}"), "{digest} is of {hex}");
    ensure!(of["size"] == bytes.len(), "{of} has {} bytes", bytes.len());
    Ok(bytes)
}

/// The file in an image of one layer.
fn plugin(layer: &[u8]) -> Result<Vec<u8>> {
    let mut archive = tar::Archive::new(GzDecoder::new(layer));
    let mut entries = archive.entries()?;
    let mut entry = entries.next().context("a file")??;
    assert_eq!(entry.path()?.to_str(), Some("plugin.wasm"));
    assert_eq!(entry.header().mtime()?, 0);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut entry, &mut bytes)?;
    assert!(entries.next().is_none(), "one file alone");
    Ok(bytes)
}

fn it_is_the_same_each_time_and_holds_no_folder_of_this_machine() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    for out in [&one, &two] {
        let made = dist(&[FILTER], out, folder.path())?;
        ensure!(made.status.success(), "{}", output_text(&made));
    }
    let files = contents(&one)?;
    assert!(files == contents(&two)?, "the two differ");

    let home = format!("{}/", env!("CARGO_MANIFEST_DIR").trim_end_matches("/xtask"));
    for (name, bytes) in &files {
        for secret in [home.as_str(), "/.cargo/", "/registry/src/"] {
            let found = bytes
                .windows(secret.len())
                .any(|at| at == secret.as_bytes());
            assert!(!found, "{secret} stands in {}", name.display());
        }
    }
    let sums = fs::read_to_string(one.join("SHA256SUMS"))?;
    assert_eq!(sums.lines().count(), files.len() - 1);

    let wasm = fs::read(one.join("header-tag/header-tag.wasm"))?;
    let compat = one.join("header-tag/compat");
    let manifest = &json_of(&compat.join("index.json"))?["manifests"][0];
    let manifest: Value = serde_json::from_slice(&blob(&compat, manifest)?)?;
    assert_eq!(
        manifest["annotations"]["module.wasm.image/variant"],
        "compat"
    );
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
    assert!(plugin(&blob(&compat, &manifest["layers"][0])?)? == wasm);
    blob(&compat, &manifest["config"])?;
    let oci = one.join("header-tag/oci");
    let manifest = &json_of(&oci.join("index.json"))?["manifests"][0];
    let manifest: Value = serde_json::from_slice(&blob(&oci, manifest)?)?;
    assert!(blob(&oci, &manifest["layers"][0])? == wasm);

    let list = json_of(&one.join("header-tag/header-tag.cdx.json"))?;
    let crates = list["components"].as_array().context("a list")?;
    assert!(
        crates.iter().any(|one| one["name"] == "legation"),
        "{list:#}"
    );
    assert!(
        crates.iter().all(|one| one["licenses"].is_array()),
        "{list:#}"
    );
    Ok(())
}

fn a_registry_takes_it_and_envoy_runs_what_comes_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::start()?;
    let client = registry.client();
    let out = folder.path().join("out");
    let place = format!("{}/legation", registry.address());

    let pushed = dist(&[FILTER, "--push", &place], &out, folder.path())?;

    let told = output_text(&pushed);
    ensure!(pushed.status.success(), "{told}");
    let version = env!("CARGO_PKG_VERSION");
    let accept = "application/vnd.oci.image.manifest.v1+json";
    let get = |path: String| client.send(Request::get(&path).header("accept", accept));
    let base = "/v2/legation/header-tag";
    for (tag, variant) in [
        (version.to_owned(), "compat"),
        (format!("{version}-oci"), "oci"),
    ] {
        let manifest = get(format!("{base}/manifests/{tag}"))?;
        let index = json_of(&out.join("header-tag").join(variant).join("index.json"))?;
        let digest = index["manifests"][0]["digest"].as_str().context("one")?;
        assert_eq!(
            manifest.headers.text("docker-content-digest").as_deref(),
            Some(digest)
        );
        assert!(told.contains(digest), "{told}");
    }
    let manifest = get(format!("{base}/manifests/{version}"))?.json()?;
    let layer = manifest["layers"][0]["digest"].as_str().context("one")?;
    let layer = get(format!("{base}/blobs/{layer}"))?;
    let module = folder.path().join("header-tag.wasm");
    fs::write(&module, plugin(&layer.body)?)?;
    let configuration = json!({"rules": [{"request": {"set": {"x-from": "a registry"}}}]});
    let config = Config::with_filter(FILTER, configuration)?.module(FILTER, &module);
    let stage = Stage::start(&config)?;
    let arrived = stage.exchange(Request::get("/"))?;
    assert_eq!(
        arrived.arrived()?.headers.text("x-from").as_deref(),
        Some("a registry")
    );
    Ok(())
}

fn what_cannot_be_pushed_is_told_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    for (args, problem) in [
        (&["header-tg"][..], "did you mean `header-tag`?"),
        (
            &[FILTER, "--push", "127.0.0.1:1/x"],
            "127.0.0.1:1 cannot be reached",
        ),
        (
            &[FILTER, "--push", "Not A Place"],
            "is no place in a registry",
        ),
    ] {
        let output = dist(args, &out, folder.path())?;
        let told = output_text(&output);
        assert!(!output.status.success(), "{told}");
        assert!(told.contains(problem), "no `{problem}` in:\n{told}");
    }
    Ok(())
}

/// No image is built: what is to run in one is run here, and the rest is read.
fn the_dockerfile_makes_an_image_of_the_module_alone() -> Result<()> {
    let root = workspace_root();
    let target = legation_tests::target_dir()?;
    let dockerfile = fs::read_to_string(root.join("Dockerfile"))?;
    let mut instructions = dockerfile
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '));
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let image = tempfile::tempdir()?;
    let mut filter = None;
    for (instruction, rest) in instructions
        .by_ref()
        .take_while(|it| *it != ("FROM", "scratch"))
    {
        match instruction {
            "FROM" => {
                let version = rest
                    .strip_prefix("rust:")
                    .and_then(|it| it.split('-').next());
                let line = format!("rust-version = \"{}\"", version.context("Rust's image")?);
                assert!(manifest.contains(&line), "{line} is not the workspace's");
            }
            "ARG" => filter = rest.strip_prefix("FILTER="),
            "RUN" => {
                let folder = image.path().join("made").display().to_string();
                let command = rest
                    .replace("target/", &format!("{}/", target.display()))
                    .replace("/image", &folder);
                let ended = Command::new("sh")
                    .args(["-euc", &command])
                    .env("FILTER", filter.context("a filter")?)
                    .current_dir(root)
                    .output()?;
                ensure!(
                    ended.status.success(),
                    "{command}:\n{}",
                    output_text(&ended)
                );
            }
            "WORKDIR" | "COPY" => {}
            other => anyhow::bail!("nothing tells whether `{other} {rest}` is right"),
        }
    }
    let layers: Vec<_> = instructions.collect();
    assert_eq!(layers, [("COPY", "--from=build /image/plugin.wasm ./")]);
    let module = target.join("legation").join(format!("{FILTER}.wasm"));
    assert_eq!(filter, Some(FILTER));
    assert!(fs::read(image.path().join("made/plugin.wasm"))? == fs::read(module)?);
    Ok(())
}
