//! The provider's side of what users write: who it is, where it is asked, and who we
//! are to it.

mod credentials;
mod endpoints;
mod parameters;

use std::time::Duration;

use deserr::{Deserr, ValuePointerRef};
use legation::config::{
    Bounded, BoundedDuration, ConfigErrors, Given, NonEmpty, Problem, Schema, Text,
};
use legation::resilience::{CircuitBreakerConfig, RetryPolicyConfig};
use legation_jose::keys::{LocalJwks, OpenIdConfiguration, RemoteJwks};
use legation_jose::{Algorithm, Algorithms};

pub use credentials::{
    AuthType, CookieDomain, CookieName, CookieNames, CookieSecret, Credentials, PrivateKey,
};
pub use endpoints::{BrowserUrl, ServiceEndpoint};
pub use parameters::{AuthorizationParameters, Resource, Scope};

/// By how much the provider's clock may differ from ours.
const CLOCK_SKEW: Duration = Duration::from_mins(1);

/// What is asked for where nothing is said.
const SCOPES: [&str; 1] = [OPENID];
const OPENID: &str = "openid";

/// The fields of the configuration that are about the provider, each under its own
/// name. [`check`](Self::check) looks at them together.
#[derive(Debug)]
pub struct ProviderConfig {
    /// Who it is: what `iss` says in its tokens.
    pub issuer: Given<Text>,
    /// Where its metadata is, which says the rest.
    pub openid_configuration: Given<OpenIdConfiguration>,
    /// Where browsers sign in.
    pub authorization_endpoint: Given<BrowserUrl>,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: Given<ServiceEndpoint>,
    /// Where it is asked about its users.
    pub userinfo_endpoint: Given<ServiceEndpoint>,
    /// Where requests are pushed (RFC 9126).
    pub pushed_authorization_request_endpoint: Given<ServiceEndpoint>,
    /// Where browsers sign out (`OpenID` Connect RP-Initiated Logout 1.0).
    pub end_session_endpoint: Given<BrowserUrl>,
    /// Its keys, fetched from a URL.
    pub remote_jwks: Given<RemoteJwks>,
    /// Its keys, in the configuration.
    pub local_jwks: Given<LocalJwks>,
    /// When it is asked again.
    pub retry_policy: Given<RetryPolicyConfig>,
    /// When it is left alone.
    pub circuit_breaker: Given<CircuitBreakerConfig>,
    /// Who we are to it.
    pub credentials: Credentials,
    /// How we say so.
    pub auth_type: AuthType,
    /// What is asked for: `openid`, unless given.
    pub auth_scopes: NonEmpty<Scope>,
    /// For what access tokens are to be good (RFC 8707).
    pub resources: NonEmpty<Resource>,
    /// What else the authorization endpoint is told.
    pub authorization_parameters: AuthorizationParameters,
    /// Whether it is asked about its users.
    pub use_userinfo: bool,
    /// Whether requests are pushed.
    pub use_pushed_authorization_requests: bool,
    /// What ID tokens must be like.
    pub id_token: IdTokenConfig,
}

/// `id_token`: what ID tokens must be like.
///
/// | field | default | range | |
/// |---|---|---|---|
/// | `allowed_algorithms` | all that are asymmetric | | such as `[RS256]`; HS* are refused |
/// | `clock_skew_seconds` | 60 | 0 to 86400 | by how much the provider's clock may differ from ours |
/// | `max_age` | | 1 s to 100 years | how long ago the user may have signed in at the provider; sent as `max_age`, and `auth_time` is held to it |
#[derive(Debug, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_id_token -> ConfigErrors)]
#[schema(readme = "ID tokens", prefix = "id_token.")]
pub struct IdTokenConfig {
    #[deserr(default)]
    allowed_algorithms: NonEmpty<Algorithm>,
    #[deserr(default)]
    clock_skew_seconds: Given<Bounded<0, 86_400>>,
    #[deserr(default)]
    max_age: Given<BoundedDuration<1_000, 3_155_760_000_000>>,
}

impl IdTokenConfig {
    /// By which algorithms they may be signed.
    pub fn algorithms(&self) -> Algorithms {
        if self.allowed_algorithms.is_empty() {
            return Algorithms::ASYMMETRIC;
        }
        let given: Algorithms = self.allowed_algorithms.iter().copied().collect();
        given.intersection(Algorithms::ASYMMETRIC)
    }

    /// By how much clocks may differ.
    pub fn clock_skew(&self) -> Duration {
        match self.clock_skew_seconds.0 {
            Some(seconds) => Duration::from_secs(seconds.get().unsigned_abs()),
            None => CLOCK_SKEW,
        }
    }

    /// How long ago the user may have signed in.
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age.0.map(BoundedDuration::get)
    }
}

fn check_id_token(
    config: IdTokenConfig,
    at: ValuePointerRef<'_>,
) -> Result<IdTokenConfig, ConfigErrors> {
    let mut errors = None;
    let at = at.push_key("allowed_algorithms");
    for (index, algorithm) in config.allowed_algorithms.iter().enumerate() {
        if algorithm.is_symmetric() {
            let problem = Problem::new(format!("`{algorithm}` is not for ID tokens here"))
                .help("have the provider sign by a private key: RS256, ES256, PS256 or EdDSA");
            ConfigErrors::add(&mut errors, ConfigErrors::at(at.push_index(index), problem));
        }
    }
    ConfigErrors::check(errors, config)
}

impl ProviderConfig {
    /// Whether there are keys, and so ID tokens: else it is plain OAuth 2.0.
    pub fn is_openid(&self) -> bool {
        self.openid_configuration.0.is_some()
            || self.remote_jwks.0.is_some()
            || self.local_jwks.0.is_some()
    }

    /// Whether the provider is asked about its users: plain OAuth 2.0 says nothing of
    /// them otherwise.
    pub fn asks_userinfo(&self) -> bool {
        self.use_userinfo || !self.is_openid()
    }

    /// What is asked for: `openid` where nothing is given, and nothing at all of
    /// plain OAuth 2.0.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let usual = (self.auth_scopes.is_empty() && self.is_openid()).then_some(SCOPES);
        let given = self.auth_scopes.iter().map(Scope::as_str);
        usual.into_iter().flatten().chain(given)
    }

    /// What is wrong between its fields, of which the document at `at` is made.
    pub fn check(&self, at: ValuePointerRef<'_>, errors: &mut Option<ConfigErrors>) {
        let mut wrong = |field: &str, problem: Problem| {
            ConfigErrors::add(errors, ConfigErrors::at(at.push_key(field), problem));
        };
        self.check_keys(&mut wrong);
        self.check_endpoints(&mut wrong);
        self.check_secrets(at.push_key("credentials"), errors);
    }

    fn check_keys(&self, wrong: &mut dyn FnMut(&str, Problem)) {
        let sources = [
            (
                "openid_configuration",
                self.openid_configuration.0.is_some(),
            ),
            ("remote_jwks", self.remote_jwks.0.is_some()),
            ("local_jwks", self.local_jwks.0.is_some()),
        ];
        let mut given = sources.iter().filter(|(_, given)| *given);
        if let Some((first, _)) = given.next() {
            for (other, _) in given {
                let problem = Problem::new(format!("there are keys by `{first}` already"));
                wrong(other, problem.help("give one of the two"));
            }
            if self.issuer.0.is_none() {
                let problem = Problem::new("is missing")
                    .help("without it, tokens of others with the same keys would be taken");
                wrong("issuer", problem);
            }
        } else if self.issuer.0.is_some() {
            let problem = Problem::new("there are no keys to verify its ID tokens with").help(
                "give `openid_configuration`, `remote_jwks` or `local_jwks`, or leave the \
                 issuer out for plain OAuth 2.0",
            );
            wrong("issuer", problem);
        }
        if self.is_openid()
            && !self.auth_scopes.is_empty()
            && !self
                .auth_scopes
                .iter()
                .any(|scope| scope.as_str() == OPENID)
        {
            let problem = Problem::new("`openid` is missing, without which there is no ID token")
                .help("add it, or give no keys and no `issuer` for plain OAuth 2.0");
            wrong("auth_scopes", problem);
        }
    }

    fn check_endpoints(&self, wrong: &mut dyn FnMut(&str, Problem)) {
        let discovers = self.openid_configuration.0.is_some();
        for (field, given, needed) in [
            (
                "authorization_endpoint",
                self.authorization_endpoint.0.is_some(),
                true,
            ),
            ("token_endpoint", self.token_endpoint.0.is_some(), true),
            (
                "userinfo_endpoint",
                self.userinfo_endpoint.0.is_some(),
                self.asks_userinfo(),
            ),
            (
                "pushed_authorization_request_endpoint",
                self.pushed_authorization_request_endpoint.0.is_some(),
                self.use_pushed_authorization_requests,
            ),
        ] {
            if needed && !given && !discovers {
                let problem = Problem::new("is missing")
                    .help("or give `openid_configuration`, which has it found");
                wrong(field, problem);
            }
        }
        for (field, endpoint) in [
            ("token_endpoint", &self.token_endpoint),
            ("userinfo_endpoint", &self.userinfo_endpoint),
            (
                "pushed_authorization_request_endpoint",
                &self.pushed_authorization_request_endpoint,
            ),
        ] {
            if endpoint
                .0
                .as_ref()
                .is_some_and(|given| given.uri().is_none())
                && !discovers
            {
                let problem = Problem::new("has no `uri`")
                    .help("it may be left out only where `openid_configuration` has it found");
                wrong(field, problem);
            }
        }
    }

    fn check_secrets(&self, at: ValuePointerRef<'_>, errors: &mut Option<ConfigErrors>) {
        let credentials = &self.credentials;
        let mut wrong = |field: &str, problem: Problem| {
            ConfigErrors::add(errors, ConfigErrors::at(at.push_key(field), problem));
        };
        let auth_type = self.auth_type;
        for (field, given, is_used) in [
            (
                "client_secret",
                credentials.client_secret.0.is_some(),
                auth_type.uses_secret(),
            ),
            (
                "private_key",
                credentials.private_key.0.is_some(),
                auth_type == AuthType::PrivateKeyJwt,
            ),
        ] {
            let name = auth_type.name();
            if is_used && !given {
                let problem = Problem::new(format!("is required by `auth_type: {name}`"))
                    .help("give it, or say `auth_type: NONE` for a public client");
                wrong(field, problem);
            }
            if given && !is_used {
                let problem = Problem::new(format!("is not used with `auth_type: {name}`"));
                wrong(field, problem.help("leave it out, or change `auth_type`"));
            }
        }
        if auth_type != AuthType::PrivateKeyJwt {
            for (field, given) in [
                ("private_key_id", credentials.private_key_id.0.is_some()),
                (
                    "assertion_audience",
                    credentials.assertion_audience.0.is_some(),
                ),
            ] {
                if given {
                    let problem = Problem::new("is for `auth_type: PRIVATE_KEY_JWT`");
                    wrong(field, problem.help("leave it out, or change `auth_type`"));
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
