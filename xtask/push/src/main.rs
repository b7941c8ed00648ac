//! Pushes images that are folders in the OCI image layout: `xtask-push PLACE (FOLDER NAME TAG)…`.

mod credentials;

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use serde_json::Value;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (place, images) = args.split_first().context("PLACE is missing")?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok()
        .context("TLS has been set up already")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for image in images.chunks(3) {
        let [folder, name, tag] = image else {
            bail!("a FOLDER, a NAME and a TAG are wanted for each image");
        };
        let text = format!("{}/{name}:{tag}", place.trim_end_matches('/'));
        let reference: Reference = text.parse().with_context(|| {
            format!(
                "--push: `{place}` is no place in a registry such as registry.example.com/legation"
            )
        })?;
        let digest = runtime
            .block_on(push(Path::new(folder), &reference))
            .with_context(|| format!("cannot push {reference}"))?;
        println!("pushed {reference}@{digest}");
    }
    Ok(())
}

async fn push(folder: &Path, reference: &Reference) -> Result<String> {
    let registry = reference.resolve_registry();
    let protocol = if is_loopback(registry) {
        ClientProtocol::Http
    } else {
        ClientProtocol::Https
    };
    let client = Client::new(ClientConfig {
        protocol,
        ..ClientConfig::default()
    });
    let auth = credentials::of(registry)?;
    let told = |error| explain(error, registry, &auth);
    client
        .auth(reference, &auth, RegistryOperation::Push)
        .await
        .map_err(told)?;

    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json"))?)?;
    let of_manifest = digest_of(&index["manifests"][0])?;
    let manifest = blob(folder, of_manifest)?;
    let parts: Value = serde_json::from_slice(&manifest)?;
    let layers = parts["layers"].as_array().into_iter().flatten();
    for part in layers.chain([&parts["config"]]) {
        let digest = digest_of(part)?;
        let pushed = client.push_blob(reference, blob(folder, digest)?, digest);
        pushed.await.map_err(told)?;
    }
    // As it is in the folder, byte for byte: its digest has been told.
    let media_type = parts["mediaType"].as_str().context("no media type")?;
    let pushed = client.push_manifest_raw(reference, manifest, media_type.parse()?);
    pushed.await.map_err(told)?;
    Ok(of_manifest.to_owned())
}

fn digest_of(descriptor: &Value) -> Result<&str> {
    descriptor["digest"].as_str().context("no digest")
}

fn blob(folder: &Path, digest: &str) -> Result<Vec<u8>> {
    let file = folder.join("blobs").join(digest.replace(':', "/"));
    fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
}

fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|address: IpAddr| address.is_loopback())
}

fn explain(error: OciDistributionError, registry: &str, auth: &RegistryAuth) -> anyhow::Error {
    let text = error.to_string();
    let refused = match &error {
        OciDistributionError::AuthenticationFailure(_)
        | OciDistributionError::UnauthorizedError { .. } => true,
        OciDistributionError::ServerError { code, .. } => [401, 403].contains(code),
        _ => text.contains("DENIED") || text.contains("UNAUTHORIZED"),
    };
    let what = if refused && *auth == RegistryAuth::Anonymous {
        format!(
            "{registry} wants credentials; run `docker login {registry}`, or name its folder in DOCKER_CONFIG"
        )
    } else if refused {
        format!(
            "{registry} refuses the credentials that `docker login` left, or does not let them push here"
        )
    } else if matches!(&error, OciDistributionError::RequestError(error) if error.is_connect()) {
        format!("{registry} cannot be reached")
    } else {
        format!("{registry} does not take it")
    };
    anyhow::Error::new(error).context(what)
}
