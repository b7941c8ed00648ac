//! One fetch: from the request to a key set that is good.

use legation::Configure;
use legation::callout::CalloutError;
use legation::resilience::HttpService;

use super::config::{OpenIdConfiguration, RemoteJwks};
use super::metadata::Metadata;
use crate::KeySet;
use crate::url::{self, ServiceUrl};

/// Why a fetch brought nothing. The words are for the log; they hold nothing of the
/// answer but what a person needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Callout(CalloutError),
    #[error("the answer has status {0}, and only 200 is taken")]
    Status(u16),
    #[error("the answer is no key set: {0}")]
    NoKeySet(String),
    #[error("the answer is not the metadata of an issuer: {0}")]
    NoMetadata(String),
    #[error("the metadata is of the issuer {0:?}")]
    OtherIssuer(String),
    #[error("the metadata's `jwks_uri` is refused: {0}")]
    JwksUri(String),
    #[error("the fetch was over too late, and another one took its place")]
    Late,
}

impl Failure {
    /// Values of the tag `reason`.
    pub(super) const REASONS: [&str; 10] = [
        "not_sent",
        "timeout",
        "reset",
        "too_large",
        "status",
        "no_key_set",
        "no_metadata",
        "issuer",
        "jwks_uri",
        "late",
    ];

    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Callout(CalloutError::Timeout) => "timeout",
            Self::Callout(
                CalloutError::Reset(_) | CalloutError::NoHeaders | CalloutError::Malformed(_),
            ) => "reset",
            Self::Callout(CalloutError::TooLarge { .. }) => "too_large",
            Self::Callout(_) => "not_sent",
            Self::Status(_) => "status",
            Self::NoKeySet(_) => "no_key_set",
            Self::NoMetadata(_) => "no_metadata",
            Self::OtherIssuer(_) => "issuer",
            Self::JwksUri(_) => "jwks_uri",
            Self::Late => "late",
        }
    }
}

/// A key set that is good.
pub(super) struct Fetched {
    pub(super) keys: KeySet,
    pub(super) jwks: Vec<u8>,
    /// The issuer's metadata, which said where it was.
    pub(super) metadata: Option<Metadata>,
    /// Whether that was read now.
    pub(super) discovered: bool,
}

/// Where keys come from.
#[derive(Debug)]
pub(super) enum Origin {
    Jwks {
        service: HttpService,
        url: ServiceUrl,
    },
    Issuer {
        issuer: String,
        metadata: HttpService,
        url: ServiceUrl,
        jwks: HttpService,
    },
}

impl Origin {
    pub(super) fn jwks(config: &RemoteJwks, host: &mut Configure) -> Self {
        Self::Jwks {
            service: HttpService::new(&config.service(), host),
            url: config.url().clone(),
        }
    }

    pub(super) fn issuer(
        issuer: &str,
        url: ServiceUrl,
        config: &OpenIdConfiguration,
        host: &mut Configure,
    ) -> Self {
        Self::Issuer {
            issuer: issuer.to_owned(),
            metadata: HttpService::new(&config.metadata_service(), host),
            url,
            jwks: HttpService::new(&config.jwks_service(), host),
        }
    }

    /// What tells it from others: to whom it talks, what it asks for, and whom it
    /// believes.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Jwks { service, url } => {
                format!("jwks\n{}\n{}", service.cluster(), url.to_name())
            }
            Self::Issuer {
                issuer,
                metadata,
                url,
                jwks,
            } => format!(
                "issuer\n{}\n{}\n{}\n{issuer}",
                metadata.cluster(),
                jwks.cluster(),
                url.to_name(),
            ),
        }
    }

    /// For log lines.
    pub(super) fn url(&self) -> &ServiceUrl {
        let (Self::Jwks { url, .. } | Self::Issuer { url, .. }) = self;
        url
    }

    /// Fetches the keys. Where they are is read of the metadata, unless that is `known`.
    pub(super) async fn fetch(&self, known: Option<Metadata>) -> Result<Fetched, Failure> {
        let (service, url, metadata, discovered) = match self {
            Self::Jwks { service, url } => (service, url.clone(), None, false),
            Self::Issuer {
                issuer,
                metadata,
                url,
                jwks,
            } => {
                let (found, discovered) = match known {
                    Some(known) => (known, false),
                    None => (discover(metadata, url, issuer).await?, true),
                };
                (jwks, jwks_url(&found, url)?, Some(found), discovered)
            }
        };
        let jwks = get(service, &url).await?;
        let keys =
            KeySet::from_jwks(&jwks).map_err(|error| Failure::NoKeySet(error.to_string()))?;
        Ok(Fetched {
            keys,
            jwks,
            metadata,
            discovered,
        })
    }
}

async fn discover(
    service: &HttpService,
    url: &ServiceUrl,
    issuer: &str,
) -> Result<Metadata, Failure> {
    let text = get(service, url).await?;
    let metadata: Metadata =
        serde_json::from_slice(&text).map_err(|error| Failure::NoMetadata(error.to_string()))?;
    // OpenID Connect Discovery 1.0, section 4.3: exactly.
    if metadata.issuer != issuer {
        let other = metadata.issuer.chars().take(200).collect();
        return Err(Failure::OtherIssuer(other));
    }
    Ok(metadata)
}

/// Where the keys are, by metadata from this URL.
fn jwks_url(metadata: &Metadata, url: &ServiceUrl) -> Result<ServiceUrl, Failure> {
    let found =
        url::parse(&metadata.jwks_uri).map_err(|problem| Failure::JwksUri(problem.to_string()))?;
    if url.is_https() && !found.is_https() {
        let problem = "it is not https, as that of the metadata is".to_owned();
        return Err(Failure::JwksUri(problem));
    }
    Ok(found)
}

/// The body of an answer of status 200. No redirect is followed.
async fn get(service: &HttpService, url: &ServiceUrl) -> Result<Vec<u8>, Failure> {
    let request = service
        .get(url.path())
        .scheme(url.scheme())
        .authority(url.authority())
        .header("accept", "application/json, application/jwk-set+json");
    let answer = service.send(request).await.map_err(Failure::Callout)?;
    match answer.status() {
        200 => Ok(answer.into_body()),
        status => Err(Failure::Status(status)),
    }
}
