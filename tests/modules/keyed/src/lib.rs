//! A filter that lets in whoever has a token, by keys that it fetches or by
//! introspection, and says in its reply what it thought of it.
//!
//! `/ids` answers with the ids of the keys that are there.

use deserr::Deserr;
use legation::config::{ConfigErrors, Given};
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};
use legation_jose::introspection::{Introspected, Introspection, IntrospectionConfig};
use legation_jose::keys::{KeySource, OpenIdConfiguration, RemoteJwks};
use legation_jose::{Algorithms, Limits, Token, VerifyError};

/// What a test configures: one of the three.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    #[deserr(default)]
    remote_jwks: Given<RemoteJwks>,
    #[deserr(default)]
    issuer: Given<String>,
    #[deserr(default)]
    openid_configuration: Given<OpenIdConfiguration>,
    #[deserr(default)]
    introspection: Given<IntrospectionConfig>,
}

/// The filter.
#[derive(Debug)]
pub enum Keyed {
    /// By keys.
    Keys(KeySource),
    /// By asking.
    Introspection(Introspection),
}

#[legation::filter]
impl HttpFilter for Keyed {
    const NAME: &'static str = "keyed";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let issuer = config.issuer.0.unwrap_or_default();
        if let Some(remote) = config.remote_jwks.0 {
            Ok(Self::Keys(KeySource::remote("p", &remote, host)))
        } else if let Some(discovered) = config.openid_configuration.0 {
            KeySource::discovered("p", &issuer, &discovered, host)
                .map(Self::Keys)
                .map_err(ConfigErrors::of_document)
        } else if let Some(introspection) = config.introspection.0 {
            Introspection::new("p", &introspection, host)
                .map(Self::Introspection)
                .map_err(|error| ConfigErrors::of_document(error.to_string()))
        } else {
            Err(ConfigErrors::of_document("nothing to verify tokens by"))
        }
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let path = request.path()?.unwrap_or_default().to_vec();
        let headers = request.headers();
        let token = headers.get("authorization")?.unwrap_or_default();
        let token = token.strip_prefix(b"Bearer ").unwrap_or(token).to_vec();
        let (status, told) = match self {
            Self::Keys(keys) if path == b"/ids" => match keys.current() {
                Some(keys) => (200, keys.ids().collect::<Vec<_>>().join(" ")),
                None => (200, "none".to_owned()),
            },
            Self::Keys(keys) => match verified(keys, &token).await {
                Ok(()) => (200, "let in".to_owned()),
                Err((status, why)) => (status, why),
            },
            Self::Introspection(introspection) => match introspection.introspect(&token).await {
                Ok(known) => match &*known {
                    Introspected::Active(claims) => (
                        200,
                        format!("let in {}", claims.subject().unwrap_or_default()),
                    ),
                    Introspected::Inactive => (401, "inactive".to_owned()),
                },
                Err(error) => (503, error.reason().to_owned()),
            },
        };
        Ok(LocalReply::new(status).body(told).into())
    }
}

async fn verified(source: &KeySource, token: &[u8]) -> Result<(), (u16, String)> {
    let refused = |error: &dyn ToString| (401, error.to_string());
    let token = Token::parse(token, &Limits::default()).map_err(|error| refused(&error))?;
    let unavailable = |error: &dyn ToString| (503, error.to_string());
    let keys = source.get().await.map_err(|error| unavailable(&error))?;
    let generation = source.generation();
    match keys.verify(&token, Algorithms::ASYMMETRIC) {
        Err(VerifyError::UnknownKey) => {}
        verified => return verified.map_err(|error| refused(&error)),
    }
    let newer = source.get_newer(token.key_id(), generation).await;
    let keys = newer.map_err(|error| unavailable(&error))?;
    let verified = keys.verify(&token, Algorithms::ASYMMETRIC);
    verified.map_err(|error| refused(&error))
}

legation::register!(Keyed);
