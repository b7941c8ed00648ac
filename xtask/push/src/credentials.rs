//! Who pushes: as `docker login` left it, in `config.json` of `DOCKER_CONFIG` or `~/.docker`, or with a helper.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;

/// The credentials for a registry; anonymous where there are none.
pub(crate) fn of(registry: &str) -> Result<RegistryAuth> {
    let Some(file) = file() else {
        return Ok(RegistryAuth::Anonymous);
    };
    let config = match fs::read(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(RegistryAuth::Anonymous),
        config => config.with_context(|| format!("cannot read {}", file.display()))?,
    };
    choose(registry, |name| {
        docker_credential::get_credential_from_reader(config.as_slice(), name)
    })
    .with_context(|| format!("no credentials can be had with {}", file.display()))
}

fn file() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let folder = set("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(set("HOME")?).join(".docker")));
    Some(folder?.join("config.json"))
}

fn choose(
    registry: &str,
    get: impl Fn(&str) -> Result<DockerCredential, CredentialRetrievalError>,
) -> Result<RegistryAuth> {
    // As `docker login` keeps Docker Hub's to this day, by the address of what came before registries of images.
    let of_old = format!("https://{registry}/v1/");
    for name in [registry, &of_old] {
        match get(name) {
            Ok(DockerCredential::UsernamePassword(name, password)) => {
                return Ok(RegistryAuth::Basic(name, password));
            }
            Ok(DockerCredential::IdentityToken(_)) => bail!(
                "the credentials for {registry} are an identity token, which this does not know how to use; \
                 log in with a name and a password or an access token"
            ),
            Err(error) if is_nothing(&error) => {}
            Err(error) => return Err(explain(error, registry)),
        }
    }
    Ok(RegistryAuth::Anonymous)
}

/// Whether there is nothing, rather than nothing that can be read. Helpers say so in a sentence, which Docker
/// compares too.
fn is_nothing(error: &CredentialRetrievalError) -> bool {
    match error {
        CredentialRetrievalError::NoCredentialConfigured => true,
        CredentialRetrievalError::HelperFailure { stdout, stderr, .. } => [stdout, stderr]
            .iter()
            .any(|text| text.contains("credentials not found")),
        _ => false,
    }
}

fn explain(error: CredentialRetrievalError, registry: &str) -> anyhow::Error {
    match error {
        // What a helper writes may be a secret.
        CredentialRetrievalError::HelperFailure { helper, .. } => {
            anyhow!("the credential helper `{helper}` fails for {registry}")
        }
        CredentialRetrievalError::ConfigReadError => {
            anyhow!("it is not what `docker login` writes")
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(stdout: &str) -> CredentialRetrievalError {
        CredentialRetrievalError::HelperFailure {
            helper: "docker-credential-desktop".to_owned(),
            stdout: stdout.to_owned(),
            stderr: String::new(),
        }
    }

    fn of_store(kept_as: &str, registry: &str) -> Result<RegistryAuth> {
        choose(registry, |name| {
            if name == kept_as {
                let (name, password) = ("me".to_owned(), "secret".to_owned());
                return Ok(DockerCredential::UsernamePassword(name, password));
            }
            Err(failure("credentials not found in native keychain\n"))
        })
    }

    #[test]
    fn they_are_found_as_docker_keeps_them() -> Result<()> {
        let mine = RegistryAuth::Basic("me".to_owned(), "secret".to_owned());
        // Docker Hub's are kept by the second.
        for kept_as in ["registry.example.com", "https://registry.example.com/v1/"] {
            assert_eq!(
                of_store(kept_as, "registry.example.com")?,
                mine,
                "{kept_as}"
            );
        }
        Ok(())
    }

    #[test]
    fn what_a_helper_does_not_know_is_anonymous() -> Result<()> {
        let found = of_store("registry.example.com", "another.example.com")?;
        assert_eq!(found, RegistryAuth::Anonymous);
        Ok(())
    }

    #[test]
    fn a_helper_that_fails_is_told_without_what_it_wrote() {
        let told = choose("registry.example.com", |_| Err(failure("secret")));

        let told = format!("{:#}", told.expect_err("it fails"));
        assert!(told.contains("`docker-credential-desktop` fails"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}
