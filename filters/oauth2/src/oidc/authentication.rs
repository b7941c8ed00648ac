//! How a request says who we are.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use deserr::ValuePointerRef;
use legation::config::{ConfigErrors, Problem};
use legation::foreign::ForeignError;
use legation::{clock, random};
use legation_jose::form::Form;
use legation_jose::signing::SigningKey;
use serde_json::{Map, Value, json};

use super::endpoints::Endpoints;
use crate::config::provider::{AuthType, ProviderConfig};

/// How long an assertion is good for, in seconds: as long as a request may take.
const LIFETIME: u64 = 60;

/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &[u8] = b"urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a request says who we are.
#[derive(Default)]
pub(super) enum Authentication {
    /// By this in `Authorization`.
    Basic(String),
    /// By this `client_secret` in the body.
    Post(Box<str>),
    /// By an assertion in the body.
    Assertion(Box<Assertion>),
    /// By `client_id` alone.
    #[default]
    None,
}

/// What assertions are made of.
pub(super) struct Assertion {
    key: SigningKey,
    key_id: Option<Box<str>>,
    audience: Option<Box<str>>,
}

impl Authentication {
    /// Errors: a key, where the host cannot sign with it.
    pub(super) fn new(config: &ProviderConfig) -> Result<Self, ConfigErrors> {
        let credentials = &config.credentials;
        let id = credentials.client_id.as_str();
        let secret = credentials.client_secret.0.as_ref();
        let secret = secret.map(legation::config::SecretSource::expose);
        Ok(
            match (config.auth_type, secret, &credentials.private_key.0) {
                (AuthType::UrlEncodedBody, Some(secret), _) => Self::Post(secret.into()),
                (AuthType::BasicAuth, Some(secret), _) => {
                    // Each is encoded on its own before (RFC 6749 section 2.3.1): a colon in
                    // the id is none between the two.
                    let encode = |text: &str| Form::encode(text.as_bytes());
                    let pair = format!("{}:{}", encode(id), encode(secret));
                    Self::Basic(format!("Basic {}", STANDARD.encode(pair)))
                }
                (AuthType::PrivateKeyJwt, _, Some(key)) => {
                    key.0.probe().map_err(|error| cannot_sign(&error))?;
                    let audience = credentials.assertion_audience.0.as_ref();
                    let audience = audience.or(config.issuer.0.as_ref());
                    let key_id = credentials.private_key_id.0.as_ref();
                    Self::Assertion(Box::new(Assertion {
                        key: key.0.clone(),
                        key_id: key_id.map(|id| id.as_str().into()),
                        audience: audience.map(|audience| audience.as_str().into()),
                    }))
                }
                _ => Self::None,
            },
        )
    }

    /// Whether the form says `client_id` by it.
    pub(super) fn names_client_in_form(&self) -> bool {
        !matches!(self, Self::Basic(_))
    }

    /// Whether a request that was sent once may be sent again, word for word.
    pub(super) fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Assertion(_))
    }

    /// Adds to a form who we are; gives the value of `Authorization`, if there is one.
    pub(super) fn say(
        &self,
        id: &str,
        endpoints: &Endpoints,
        form: &mut Form,
    ) -> legation::Result<Option<String>> {
        match self {
            Self::Basic(authorization) => return Ok(Some(authorization.clone())),
            Self::Post(secret) => {
                form.add("client_id", id.as_bytes());
                form.add("client_secret", secret.as_bytes());
            }
            Self::Assertion(assertion) => {
                form.add("client_id", id.as_bytes());
                form.add("client_assertion_type", ASSERTION_TYPE);
                form.add(
                    "client_assertion",
                    assertion.make(id, endpoints)?.as_bytes(),
                );
            }
            Self::None => form.add("client_id", id.as_bytes()),
        }
        Ok(None)
    }
}

impl Assertion {
    /// A new one (RFC 7523 section 3).
    fn make(&self, id: &str, endpoints: &Endpoints) -> legation::Result<String> {
        let now = clock::now()?.duration_since(std::time::SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        let mut number = [0; 16];
        random::fill(&mut number)?;
        let audience = match &self.audience {
            Some(audience) => audience.to_string(),
            None => endpoints.token.to_text(),
        };
        let claims: Map<String, Value> = [
            ("iss", json!(id)),
            ("sub", json!(id)),
            ("aud", json!(audience)),
            ("jti", json!(URL_SAFE_NO_PAD.encode(number))),
            ("iat", json!(now)),
            ("exp", json!(now.saturating_add(LIFETIME))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect();
        Ok(self.key.sign(self.key_id.as_deref(), "JWT", &claims)?)
    }
}

fn cannot_sign(error: &ForeignError) -> ConfigErrors {
    let root = ValuePointerRef::Origin;
    match error {
        ForeignError::NotSupported { .. } => {
            let problem = Problem::new("this host cannot sign: it has no function `sign`")
                .help("Envoy has it from 1.37 on; or use BASIC_AUTH or URL_ENCODED_BODY");
            ConfigErrors::at(root.push_key("auth_type"), problem)
        }
        other => {
            let problem = Problem::new(format!("the host cannot sign with the key: {other}"));
            let at = root.push_key("credentials");
            ConfigErrors::at(at.push_key("private_key"), problem)
        }
    }
}
