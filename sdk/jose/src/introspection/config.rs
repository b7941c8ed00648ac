//! What users write about an introspection endpoint.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use deserr::{Deserr, ValuePointerRef};
use legation::config::{
    Bounded, BoundedDuration, ConfigErrors, Given, Problem, Schema, SecretSource,
};
use legation::resilience::{CircuitBreakerConfig, HttpServiceConfig, RetryPolicyConfig};

use crate::form::Form;
use crate::keys::HttpUri;
use crate::url::ServiceUrl;

/// Bytes of an answer, unless it is said: claims have one or two thousand.
const MAX_RESPONSE_BYTES: i64 = 65_536;

/// `introspection`: who is asked about tokens (RFC 7662).
///
/// | field | default | range | |
/// |---|---|---|---|
/// | `http_uri` | required | | [`HttpUri`] of the introspection endpoint |
/// | `authentication` | `client_secret_basic` | | [`Authentication`] |
/// | `client_id` | | 1 to 1024 bytes | required by `client_secret_basic` and `client_secret_post` |
/// | `client_secret` | | | `{environment_variable: NAME}` or `{inline_string: …}`; of `bearer`, the token |
/// | `token_type_hint` | `access_token` | 1 to 64 bytes | |
/// | `cache.size` | 1000 | 0 to 1000000 | active tokens kept, and as many others beside them; 0 keeps none |
/// | `cache.ttl` | `60s` | 0 to 1 h | so long a token is active without another question, and never after its `exp` |
/// | `cache.negative_ttl` | `10s` | 0 to 1 h | so long one is inactive without another question |
/// | `retry_policy` | one try | | [`RetryPolicyConfig`] |
/// | `circuit_breaker` | none | | [`CircuitBreakerConfig`] |
/// | `max_response_bytes` | 65536 | 1024 to 1048576 | larger answers are refused |
///
/// A token that is revoked is let in for up to `cache.ttl`.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check -> ConfigErrors)]
pub struct IntrospectionConfig {
    http_uri: HttpUri,
    #[deserr(default)]
    authentication: Authentication,
    #[deserr(default)]
    client_id: Given<String>,
    #[deserr(default)]
    client_secret: Given<SecretSource>,
    #[deserr(default)]
    token_type_hint: Given<String>,
    #[deserr(default)]
    cache: CacheConfig,
    #[deserr(default)]
    retry_policy: Given<RetryPolicyConfig>,
    #[deserr(default)]
    circuit_breaker: Given<CircuitBreakerConfig>,
    #[deserr(default)]
    max_response_bytes: Given<Bounded<1_024, 1_048_576>>,
}

/// `authentication`: how the module says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
pub enum Authentication {
    /// By `Authorization: Basic` (RFC 6749 section 2.3.1).
    #[default]
    #[deserr(rename = "client_secret_basic")]
    Basic,
    /// By `client_id` and `client_secret` in the body.
    #[deserr(rename = "client_secret_post")]
    Post,
    /// By `Authorization: Bearer`, with `client_secret` for the token.
    Bearer,
    /// Not at all: the cluster does so (mTLS), or the endpoint is closed otherwise. A
    /// `client_id` is said if there is one.
    None,
}

#[derive(Debug, Clone, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct CacheConfig {
    /// How many active tokens are kept, and as many others beside them: 1000 unless
    /// given; 0 keeps none.
    #[deserr(default)]
    size: Given<Bounded<0, 1_000_000>>,
    /// How long a token is active without another question, and never after its `exp`:
    /// `60s` unless given. One that is revoked is let in for as long.
    #[deserr(default)]
    ttl: Given<BoundedDuration<0, 3_600_000>>,
    /// How long one is inactive without another question: `10s` unless given.
    #[deserr(default)]
    negative_ttl: Given<BoundedDuration<0, 3_600_000>>,
}

/// How long answers are kept, and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeping {
    pub(super) size: usize,
    pub(super) ttl: Duration,
    pub(super) negative_ttl: Duration,
}

/// What of a request is the same for all tokens.
pub(super) struct Words {
    pub(super) url: ServiceUrl,
    pub(super) authorization: Option<String>,
    /// What stands in the body after the token.
    pub(super) rest: String,
}

impl IntrospectionConfig {
    pub(super) fn service(&self) -> HttpServiceConfig {
        let bytes = self.max_response_bytes.0;
        HttpServiceConfig::of_uri(&self.http_uri)
            .with_retry_policy(self.retry_policy.0.clone())
            .with_circuit_breaker(self.circuit_breaker.0.clone())
            .with_max_response_bytes(Bounded::new(bytes.map_or(MAX_RESPONSE_BYTES, Bounded::get)))
    }

    pub(super) fn keeping(&self) -> Keeping {
        let size = self.cache.size.0.map_or(1_000, Bounded::get);
        let seconds = Duration::from_secs;
        Keeping {
            size: usize::try_from(size).unwrap_or_default(),
            ttl: self.cache.ttl.0.map_or(seconds(60), BoundedDuration::get),
            negative_ttl: self
                .cache
                .negative_ttl
                .0
                .map_or(seconds(10), BoundedDuration::get),
        }
    }

    pub(super) fn words(&self) -> Words {
        let id = self.client_id.0.as_deref();
        let secret = self.client_secret.0.as_ref().map(SecretSource::expose);
        let mut rest = Form::new();
        rest.add(
            "token_type_hint",
            self.token_type_hint
                .0
                .as_deref()
                .unwrap_or("access_token")
                .as_bytes(),
        );
        let authorization = match (self.authentication, id, secret) {
            (Authentication::Basic, Some(id), Some(secret)) => {
                let pair = format!(
                    "{}:{}",
                    Form::encode(id.as_bytes()),
                    Form::encode(secret.as_bytes())
                );
                Some(format!("Basic {}", STANDARD.encode(pair)))
            }
            (Authentication::Bearer, _, Some(token)) => Some(format!("Bearer {token}")),
            (_, id, secret) => {
                for (name, value) in [("client_id", id), ("client_secret", secret)] {
                    if let Some(value) = value {
                        rest.add(name, value.as_bytes());
                    }
                }
                None
            }
        };
        Words {
            url: self.http_uri.uri().clone(),
            authorization,
            rest: rest.into_text(),
        }
    }
}

fn check(
    config: IntrospectionConfig,
    at: ValuePointerRef<'_>,
) -> Result<IntrospectionConfig, ConfigErrors> {
    use Authentication::{Basic, Bearer, None, Post};

    let mut errors = Option::None;
    let mut wrong = |field: &str, problem: Problem| {
        ConfigErrors::add(&mut errors, ConfigErrors::at(at.push_key(field), problem));
    };
    let authentication = config.authentication;
    let has_id = config.client_id.0.is_some();
    let has_secret = config.client_secret.0.is_some();
    if matches!(authentication, Basic | Post) && !has_id {
        wrong(
            "client_id",
            Problem::new("is required by the authentication with a client's secret")
                .help("say `authentication: none` if the endpoint asks for nothing"),
        );
    }
    if authentication != None && !has_secret {
        wrong(
            "client_secret",
            Problem::new("is required by this `authentication`"),
        );
    }
    if authentication == None && has_secret {
        wrong(
            "client_secret",
            Problem::new("is not used with `authentication: none`"),
        );
    }
    if authentication == Bearer && has_id {
        wrong(
            "client_id",
            Problem::new("is not used with `authentication: bearer`"),
        );
    }
    if let Some(secret) = &config.client_secret.0
        && authentication == Bearer
        && !secret.expose().bytes().all(|byte| byte.is_ascii_graphic())
    {
        wrong(
            "client_secret",
            Problem::new("is no bearer token: it has spaces or control characters"),
        );
    }
    for (field, text, longest) in [
        ("client_id", &config.client_id.0, 1_024),
        ("token_type_hint", &config.token_type_hint.0, 64),
    ] {
        if let Some(text) = text
            && !(1..=longest).contains(&text.len())
        {
            wrong(
                field,
                Problem::new(format!("has 1 to {longest} bytes, got {}", text.len())),
            );
        }
    }
    ConfigErrors::check(errors, config)
}
