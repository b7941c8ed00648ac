//! The identity provider: where it is, what it is asked, and what is believed of its
//! answers.
//!
//! A [`Client`] is who we are to one provider. What it asks is a callout of its own;
//! what comes back is read in [`answer`], and ID tokens and logout tokens are held to what
//! the standards say in [`id_token`] and [`logout_token`], which name no host.

mod answer;
mod authentication;
mod authorization;
mod endpoints;
mod error;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod fuzz;
mod id_token;
mod logout_token;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use deserr::ValuePointerRef;
use legation::Configure;
use legation::callout::HttpResponse;
use legation::config::{Bounded, ConfigErrors, Given, Text};
use legation::resilience::{HttpService, HttpServiceConfig, Repeat};
use legation_jose::form::Form;
use legation_jose::keys::{KeySource, OpenIdConfiguration, Timeout};
use legation_jose::url::ServiceUrl;
use legation_jose::{Algorithms, Claims, KeySet, Token, VerifyError};
use serde_json::{Map, Value};

use crate::config::provider::{ProviderConfig, ServiceEndpoint};

use answer::Answer;
pub(crate) use answer::Tokens;
use authentication::Authentication;
pub(crate) use authorization::{SignIn, SignOut};
pub(crate) use endpoints::Endpoints;
use endpoints::Written;
pub(crate) use error::{ClientError, Flaw, IdTokenError, Why};
pub(crate) use id_token::Expected;
pub(crate) use logout_token::LogoutToken;

/// The tag of our statistics, of which there is one provider.
const PROVIDER: &str = "oauth2";

/// An answer with tokens has a few kilobytes.
const MAX_RESPONSE_BYTES: i64 = 65_536;

/// Who we are to the provider. To clone it is to have the same one.
#[derive(Clone)]
pub(crate) struct Client(Rc<Inner>);

struct Inner {
    id: Box<str>,
    keys: Keys,
    algorithms: Algorithms,
    rules: id_token::Rules,
    authentication: Authentication,
    authorization: authorization::Parameters,
    resources: Vec<Box<str>>,
    written: Written,
    /// What the endpoints were with keys of this generation.
    found: RefCell<Option<(u64, Option<Rc<Endpoints>>)>>,
    services: Services,
    patience: Duration,
}

/// What ID tokens are verified with.
enum Keys {
    /// Found by the provider's metadata, which says where its endpoints are, too.
    Discovered(KeySource),
    Fetched(KeySource),
    Local(Rc<KeySet>),
    /// Plain OAuth 2.0, which has no ID tokens.
    None,
}

struct Services {
    token: Option<HttpService>,
    userinfo: Option<HttpService>,
    push: Option<HttpService>,
}

impl Client {
    /// The client of a configuration whose [`check`](ProviderConfig::check) found nothing.
    ///
    /// Errors: an `issuer` that is no URL to find metadata by, and a `private_key` that
    /// the host cannot sign with.
    pub(crate) fn new(config: &ProviderConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let mut errors = None;
        let root = ValuePointerRef::Origin;
        let issuer = config.issuer.0.as_ref().map(Text::as_str);
        let keys = if let Some(discovery) = &config.openid_configuration.0 {
            match KeySource::discovered(PROVIDER, issuer.unwrap_or_default(), discovery, host) {
                Ok(source) => Keys::Discovered(source),
                Err(problem) => {
                    let at = root.push_key("openid_configuration");
                    let error = ConfigErrors::at(at.push_key("uri"), problem);
                    ConfigErrors::add(&mut errors, error);
                    Keys::None
                }
            }
        } else if let Some(jwks) = &config.remote_jwks.0 {
            Keys::Fetched(KeySource::remote(PROVIDER, jwks, host))
        } else if let Some(jwks) = &config.local_jwks.0 {
            Keys::Local(Rc::clone(&jwks.keys))
        } else {
            Keys::None
        };
        let authentication = match Authentication::new(config) {
            Ok(authentication) => authentication,
            Err(error) => {
                ConfigErrors::add(&mut errors, error);
                Authentication::default()
            }
        };
        let id: Box<str> = config.credentials.client_id.as_str().into();
        let rules = id_token::Rules {
            issuer: issuer.unwrap_or_default().into(),
            client_id: id.clone(),
            clock_skew: config.id_token.clock_skew(),
        };
        let client = Self(Rc::new(Inner {
            keys,
            algorithms: config.id_token.algorithms(),
            rules,
            authentication,
            authorization: authorization::Parameters::new(config),
            resources: config
                .resources
                .iter()
                .map(|uri| uri.as_str().into())
                .collect(),
            written: Written::new(config),
            found: RefCell::default(),
            services: Services::new(config, host),
            patience: patience(config),
            id,
        }));
        ConfigErrors::check(errors, client)
    }

    /// The longest that tokens and what is known of their user take to come.
    pub(crate) fn patience(&self) -> Duration {
        self.0.patience
    }

    /// As the provider knows us.
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }

    /// Whether there are ID tokens: else it is plain OAuth 2.0.
    pub(crate) fn is_openid(&self) -> bool {
        !matches!(self.0.keys, Keys::None)
    }

    /// Where the provider is, if that is known. No host call.
    pub(crate) fn endpoints_now(&self) -> Option<Rc<Endpoints>> {
        let inner = &*self.0;
        let (generation, metadata) = match &inner.keys {
            Keys::Discovered(source) => (source.generation(), Some(source.metadata()?)),
            _ => (0, None),
        };
        if let Ok(found) = inner.found.try_borrow()
            && let Some((of, endpoints)) = &*found
            && *of == generation
        {
            return endpoints.clone();
        }
        let endpoints = match inner.written.endpoints(metadata.as_deref()) {
            Ok(endpoints) => Some(Rc::new(endpoints)),
            Err((field, problem)) => {
                log::error!(field, problem:%; "the provider's metadata cannot be used");
                None
            }
        };
        if let Ok(mut found) = inner.found.try_borrow_mut() {
            *found = Some((generation, endpoints.clone()));
        }
        endpoints
    }

    /// Where the provider is. Waits for its first metadata, up to
    /// `openid_configuration.first_fetch_timeout`.
    pub(crate) async fn endpoints(&self) -> Result<Rc<Endpoints>, ClientError> {
        if let Some(endpoints) = self.endpoints_now() {
            return Ok(endpoints);
        }
        if let Keys::Discovered(source) = &self.0.keys {
            source.get().await.map_err(|_| ClientError::NotReady)?;
        }
        self.endpoints_now().ok_or(ClientError::NotReady)
    }

    /// Hands the provider the parameters of an authorization request (RFC 9126); gives
    /// the `request_uri` that stands for them.
    pub(crate) async fn push(&self, parameters: &[(&str, &str)]) -> Result<String, ClientError> {
        let endpoints = self.endpoints().await?;
        let (Some(service), Some(url)) = (&self.0.services.push, &endpoints.par) else {
            return Err(ClientError::NotReady);
        };
        let mut form = Form::new();
        // RFC 9126 section 2.1: all parameters, and each once.
        let is_named = self.0.authentication.names_client_in_form();
        for (name, value) in parameters {
            if !(is_named && *name == "client_id") {
                form.add(name, value.as_bytes());
            }
        }
        // A request that was pushed twice is in the way of nobody, but an assertion is good
        // once (RFC 7523 section 3).
        let repeat = if self.0.authentication.is_repeatable() {
            Repeat::Safe
        } else {
            Repeat::Unsafe
        };
        let answer = self
            .post("push", service, url, &endpoints, form, repeat)
            .await;
        tell(
            "push",
            url,
            answer.and_then(|answer| Answer::of(&answer).request_uri()),
        )
    }

    /// Exchanges a code for tokens (RFC 6749 section 4.1.3). Of an `OpenID` provider they
    /// include an ID token.
    ///
    /// A code is good once: the request is sent again only where it did not reach the
    /// provider.
    pub(crate) async fn exchange(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Tokens, ClientError> {
        let mut form = Form::new();
        form.add("grant_type", b"authorization_code");
        form.add("code", code.as_bytes());
        form.add("redirect_uri", redirect_uri.as_bytes());
        form.add("code_verifier", verifier.as_bytes());
        self.tokens("exchange", form, self.is_openid()).await
    }

    /// Exchanges a refresh token for others (RFC 6749 section 6). Without a new refresh
    /// token among them the old one goes on; an ID token need not be there.
    ///
    /// As with a code, the request is sent again only where it did not reach the provider,
    /// which may hold a refresh token that comes twice for stolen.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<Tokens, ClientError> {
        let mut form = Form::new();
        form.add("grant_type", b"refresh_token");
        form.add("refresh_token", refresh_token.as_bytes());
        self.tokens("refresh", form, false).await
    }

    async fn tokens(
        &self,
        what: &'static str,
        mut form: Form,
        needs_id_token: bool,
    ) -> Result<Tokens, ClientError> {
        for resource in &self.0.resources {
            form.add("resource", resource.as_bytes());
        }
        let endpoints = self.endpoints().await?;
        let url = &endpoints.token;
        let Some(service) = &self.0.services.token else {
            return Err(ClientError::NotReady);
        };
        let answer = self
            .post(what, service, url, &endpoints, form, Repeat::Unsafe)
            .await;
        let tokens = answer.and_then(|answer| {
            let tokens = Answer::of(&answer).tokens()?;
            if needs_id_token && tokens.id_token.is_none() {
                return Err(Flaw::Missing("id_token").into());
            }
            Ok(tokens)
        });
        tell(what, url, tokens)
    }

    /// Asks what the provider knows of a user (`OpenID` Connect Core 1.0 section 5.3).
    ///
    /// With a `subject`, the answer is about it and nobody else (section 5.3.4). Without,
    /// which is plain OAuth 2.0, its `sub` is who it is about; one that has none is given
    /// that of its `id` (as GitHub has it).
    pub(crate) async fn userinfo(
        &self,
        access_token: &str,
        subject: Option<&str>,
    ) -> Result<Map<String, Value>, ClientError> {
        let endpoints = self.endpoints().await?;
        let (Some(service), Some(url)) = (&self.0.services.userinfo, &endpoints.userinfo) else {
            return Err(ClientError::NotReady);
        };
        let request = service
            .get(url.path())
            .scheme(url.scheme())
            .authority(url.authority())
            .header("accept", "application/json")
            .header("authorization", format!("Bearer {access_token}"))
            // GitHub answers nobody without a name.
            .header("user-agent", "legation");
        let answer = service.send(request).await.map_err(ClientError::from);
        let claims = answer.and_then(|answer| Answer::of(&answer).userinfo(subject));
        tell("userinfo", url, claims)
    }

    async fn post(
        &self,
        what: &'static str,
        service: &HttpService,
        url: &ServiceUrl,
        endpoints: &Endpoints,
        mut form: Form,
        repeat: Repeat,
    ) -> Result<HttpResponse, ClientError> {
        let own = &self.0.authentication;
        let authorization = own.say(&self.0.id, endpoints, &mut form).map_err(|error| {
            log::error!(what, error:%; "the request to the provider could not be signed");
            ClientError::Unavailable(Why::Signing)
        })?;
        let mut request = service
            .post(url.path())
            .scheme(url.scheme())
            .authority(url.authority())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form.into_text());
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        Ok(service.send_as(request, repeat).await?)
    }

    /// What an ID token claims, if all of it is right (`OpenID` Connect Core 1.0 section
    /// 3.1.3.7). For a key that is not known, keys are fetched anew once.
    pub(crate) async fn verify_id_token(
        &self,
        token: &str,
        expected: &Expected<'_>,
        now: SystemTime,
    ) -> Result<Claims, IdTokenError> {
        let token = Token::parse(token.as_bytes(), &id_token::LIMITS)?;
        self.0.rules.check(&token, expected, now)?;
        self.verify(&token).await?;
        Ok(token.into_claims())
    }

    /// What a logout token says, if all of it is right (`OpenID` Connect Back-Channel
    /// Logout 1.0 section 2.6).
    pub(crate) async fn verify_logout_token(
        &self,
        token: &str,
        now: SystemTime,
    ) -> Result<LogoutToken, IdTokenError> {
        let token = Token::parse(token.as_bytes(), &id_token::LIMITS)?;
        let read = LogoutToken::read(&self.0.rules, &token, now)?;
        self.verify(&token).await?;
        Ok(read)
    }

    async fn verify(&self, token: &Token<'_>) -> Result<(), IdTokenError> {
        let allowed = self.0.algorithms;
        let source = match &self.0.keys {
            Keys::Discovered(source) | Keys::Fetched(source) => source,
            Keys::Local(keys) => return Ok(keys.verify(token, allowed)?),
            Keys::None => return Err(IdTokenError::NotExpected),
        };
        let keys = source.get().await?;
        let generation = source.generation();
        let error = match keys.verify(token, allowed) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // A token without a key's id does not tell whether its key is a new one.
        let is_of_other_keys = match &error {
            VerifyError::UnknownKey => true,
            VerifyError::KeyMismatch | VerifyError::BadSignature => token.key_id().is_none(),
            _ => false,
        };
        if !is_of_other_keys {
            return Err(error.into());
        }
        let newer = source.get_newer(token.key_id(), generation).await?;
        Ok(newer.verify(token, allowed)?)
    }
}

/// Tells the log why the provider's answer is of no use.
fn tell<T>(
    what: &'static str,
    url: &ServiceUrl,
    answer: Result<T, ClientError>,
) -> Result<T, ClientError> {
    if let Err(error) = &answer {
        let reason = error.reason();
        log::warn!(what, url:%, reason, error:%; "the provider did not answer well");
    }
    answer
}

impl Services {
    fn new(config: &ProviderConfig, host: &mut Configure) -> Self {
        let found = config.openid_configuration.0.as_ref();
        let found = found.map(|found| (found.cluster().as_str().to_owned(), found.timeout()));
        let mut made: Vec<(String, Option<Timeout>, HttpService)> = Vec::new();
        // Endpoints of one cluster and patience share a breaker.
        let mut service = |at: Option<(String, Option<Timeout>)>| {
            let (cluster, timeout) = at.or_else(|| found.clone())?;
            let known = made.iter().find(|(other, patience, _)| {
                *other == cluster && patience.map(Timeout::get) == timeout.map(Timeout::get)
            });
            if let Some((_, _, known)) = known {
                return Some(known.clone());
            }
            let service = HttpService::new(&service_config(config, &cluster, timeout), host);
            made.push((cluster, timeout, service.clone()));
            Some(service)
        };
        let mut given = |endpoint: &Given<ServiceEndpoint>| {
            let endpoint = endpoint.0.as_ref();
            service(endpoint.map(|endpoint| (endpoint.cluster().to_owned(), endpoint.timeout())))
        };
        Self {
            token: given(&config.token_endpoint),
            userinfo: config
                .asks_userinfo()
                .then(|| given(&config.userinfo_endpoint))
                .flatten(),
            push: config
                .use_pushed_authorization_requests
                .then(|| given(&config.pushed_authorization_request_endpoint))
                .flatten(),
        }
    }
}

fn patience(config: &ProviderConfig) -> Duration {
    let found = config.openid_configuration.0.as_ref();
    let of = |endpoint: &Given<ServiceEndpoint>| {
        let own = endpoint.0.as_ref().and_then(ServiceEndpoint::timeout);
        let timeout = own.or(found.and_then(OpenIdConfiguration::timeout));
        service_config(config, "any", timeout).timeout()
    };
    let userinfo = (config.asks_userinfo()).then(|| of(&config.userinfo_endpoint));
    of(&config.token_endpoint).saturating_add(userinfo.unwrap_or_default())
}

fn service_config(
    config: &ProviderConfig,
    cluster: &str,
    timeout: Option<Timeout>,
) -> HttpServiceConfig {
    HttpServiceConfig::of_cluster(cluster)
        .with_timeout(timeout)
        .with_retry_policy(config.retry_policy.0.clone())
        .with_circuit_breaker(config.circuit_breaker.0.clone())
        .with_max_response_bytes(Bounded::new(MAX_RESPONSE_BYTES))
}

/// Says nothing of secrets.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.0.id)
            .finish_non_exhaustive()
    }
}
