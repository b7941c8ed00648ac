//! What users write.
//!
//! Fields are called as in Envoy's own `oauth2` filter wherever it has them. Each type
//! checks what it can see, at its own place in the document, so that a configuration
//! with several mistakes is answered with all of them.

mod access;
mod check;
mod cookies;
mod elsewhere;
mod place;
pub mod provider;

use std::time::Duration;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{
    Bounded, BoundedDuration, ConfigErrors, Given, Mode, NonEmpty, OneOrMany, Schema, StatPrefix,
    Text,
};
use legation::format::Format;
use legation::matcher::Matcher;
use legation::resilience::{CircuitBreakerConfig, RetryPolicyConfig};
use legation_jose::claim_path::ClaimPath;
use legation_jose::claim_to_header::ClaimToHeader;
use legation_jose::claims_rules::RequiredClaim;
use legation_jose::keys::{LocalJwks, OpenIdConfiguration, RemoteJwks};
use legation_jose::trusted::TrustedHeader;

pub use access::{Demands, Email, EmailDomain, Rule};
pub(crate) use cookies::Cookies;
pub use cookies::{CookieConfig, CookieConfigs, SameSite};
pub use place::{OwnPath, RedirectDomain, RedirectUri};
use provider::{
    AuthType, AuthorizationParameters, BrowserUrl, Credentials, IdTokenConfig, ProviderConfig,
    Resource, Scope, ServiceEndpoint,
};

/// 1 s to 400 days: browsers keep no cookie for longer (RFC 6265bis, section 5.5).
type Lifetime = BoundedDuration<1_000, 34_560_000_000>;
/// 10 s to 1 h.
type FlowLifetime = BoundedDuration<10_000, 3_600_000>;
/// No time to 1 h.
type Ahead = BoundedDuration<0, 3_600_000>;

/// Where browsers come back to where nothing is said.
const REDIRECT_PATH: &str = "/callback";
const REDIRECT_URI: &str = "%REQ(x-forwarded-proto?:scheme)%://%REQ(:authority)%";
const BACK_CHANNEL_PATH: &str = "/backchannel-logout";
const SESSION_CACHE: i64 = 1_000;

/// The whole configuration.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as in Envoy"
)]
#[derive(Debug, Schema)]
#[schema(as = Written)]
pub struct Config {
    /// Who signs browsers in, and who we are to it.
    pub provider: ProviderConfig,
    /// Where it sends browsers back to.
    pub redirect_uri: RedirectUri,
    /// The path of that.
    pub redirect_path: OwnPath,
    /// The path that signs out: none unless given.
    pub signout_path: Option<OwnPath>,
    /// Where the provider sends browsers when they are signed out.
    pub post_logout_redirect_uri: Option<Format>,
    /// The path that takes the provider's logout tokens.
    pub back_channel_path: Option<OwnPath>,
    /// Hosts besides our own that browsers may be sent back to.
    pub allowed_redirect_domains: NonEmpty<RedirectDomain>,

    /// Whether upstreams get the access token.
    pub forward_bearer_token: bool,
    /// The header by which they get the ID token.
    pub forward_id_token: Option<TrustedHeader>,
    /// Whether they get a client's own `authorization`.
    pub preserve_authorization_header: bool,
    /// Headers for claims.
    pub claim_to_headers: NonEmpty<ClaimToHeader>,

    /// Requests that pass untouched.
    pub pass_through_matcher: OneOrMany<Matcher>,
    /// Requests that pass without a session.
    pub allow_failed_matcher: OneOrMany<Matcher>,
    /// Requests that are told 401, and not sent to the provider.
    pub deny_redirect_matcher: OneOrMany<Matcher>,
    /// What is demanded of which requests: the first that matches decides.
    pub rules: NonEmpty<Rule>,
    /// What is demanded of all that need a session.
    pub demands: Demands,
    /// Which claim has the groups: `groups`, unless given.
    pub groups_claim: ClaimPath,
    /// Whether CORS preflights pass, which carry no cookie.
    pub bypass_cors_preflight: bool,

    /// Whether sessions are renewed by refresh tokens.
    pub use_refresh_token: bool,
    default_expires_in: Given<Lifetime>,
    default_refresh_token_expires_in: Given<Lifetime>,
    refresh_before_expiry: Given<Ahead>,
    session_lifetime: Given<Lifetime>,
    csrf_token_expires_in: Given<FlowLifetime>,
    code_verifier_token_expires_in: Given<FlowLifetime>,

    /// How our cookies are set.
    pub cookie_configs: CookieConfigs,
    session_cache: SessionCache,
    /// Whether anyone is sent away at all.
    pub mode: Mode,
    /// The first word of the counters' names, `oauth2` unless given.
    pub stat_prefix: Option<StatPrefix>,
}

/// `forward_id_token`
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct ForwardIdToken {
    /// The header; in `authorization` it stands behind `Bearer `.
    header: TrustedHeader,
}

/// `back_channel_logout`
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct BackChannelLogout {
    /// The path that takes the provider's logout tokens: `/backchannel-logout` unless
    /// given.
    #[deserr(default)]
    path: Given<OwnPath>,
}

/// `session_cache`
#[derive(Debug, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct SessionCache {
    /// How many sessions each worker remembers: 1000 unless given; 0 turns it off.
    #[deserr(default)]
    size: Given<Bounded<0, 100_000>>,
}

/// The document as it stands there.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as in Envoy"
)]
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = ["The provider", "Who we are", "Places", "Which requests", "Who may come in", "What upstreams get", "How long it lasts"])]
struct Written {
    #[deserr(default)]
    issuer: Given<Text>,
    #[deserr(default)]
    openid_configuration: Given<OpenIdConfiguration>,
    #[deserr(default)]
    authorization_endpoint: Given<BrowserUrl>,
    #[deserr(default)]
    token_endpoint: Given<ServiceEndpoint>,
    #[deserr(default)]
    userinfo_endpoint: Given<ServiceEndpoint>,
    #[deserr(default)]
    pushed_authorization_request_endpoint: Given<ServiceEndpoint>,
    #[deserr(default)]
    end_session_endpoint: Given<BrowserUrl>,
    #[deserr(default)]
    remote_jwks: Given<RemoteJwks>,
    #[deserr(default)]
    local_jwks: Given<LocalJwks>,
    #[deserr(default)]
    retry_policy: Given<RetryPolicyConfig>,
    #[deserr(default)]
    circuit_breaker: Given<CircuitBreakerConfig>,
    credentials: Credentials,
    #[deserr(default)]
    auth_type: AuthType,
    #[deserr(default)]
    auth_scopes: NonEmpty<Scope>,
    #[deserr(default)]
    resources: NonEmpty<Resource>,
    #[deserr(default)]
    authorization_parameters: AuthorizationParameters,
    #[deserr(default)]
    use_userinfo: bool,
    #[deserr(default)]
    use_pushed_authorization_requests: bool,
    #[deserr(default)]
    id_token: IdTokenConfig,

    #[deserr(default)]
    redirect_uri: Given<RedirectUri>,
    #[deserr(default)]
    redirect_path: Given<OwnPath>,
    #[deserr(default)]
    signout_path: Given<OwnPath>,
    #[deserr(default)]
    post_logout_redirect_uri: Given<RedirectUri>,
    #[deserr(default)]
    back_channel_logout: Given<BackChannelLogout>,
    #[deserr(default)]
    allowed_redirect_domains: NonEmpty<RedirectDomain>,

    #[deserr(default)]
    forward_bearer_token: bool,
    #[deserr(default)]
    forward_id_token: Given<ForwardIdToken>,
    #[deserr(default)]
    preserve_authorization_header: bool,
    #[deserr(default)]
    claim_to_headers: NonEmpty<ClaimToHeader>,

    #[deserr(default)]
    pass_through_matcher: OneOrMany<Matcher>,
    #[deserr(default)]
    allow_failed_matcher: OneOrMany<Matcher>,
    #[deserr(default)]
    deny_redirect_matcher: OneOrMany<Matcher>,
    #[deserr(default)]
    rules: NonEmpty<Rule>,
    #[deserr(default)]
    allowed_groups: NonEmpty<Text>,
    #[deserr(default)]
    groups_claim: Given<ClaimPath>,
    #[deserr(default)]
    allowed_emails: NonEmpty<Email>,
    #[deserr(default)]
    allowed_email_domains: NonEmpty<EmailDomain>,
    #[deserr(default)]
    required_claims: NonEmpty<RequiredClaim>,
    #[deserr(default)]
    bypass_cors_preflight: bool,

    #[deserr(default)]
    default_expires_in: Given<Lifetime>,
    #[deserr(default)]
    use_refresh_token: Given<bool>,
    #[deserr(default)]
    default_refresh_token_expires_in: Given<Lifetime>,
    #[deserr(default)]
    refresh_before_expiry: Given<Ahead>,
    #[deserr(default)]
    session_lifetime: Given<Lifetime>,
    #[deserr(default)]
    csrf_token_expires_in: Given<FlowLifetime>,
    #[deserr(default)]
    code_verifier_token_expires_in: Given<FlowLifetime>,

    #[deserr(default)]
    cookie_configs: CookieConfigs,
    #[deserr(default)]
    session_cache: SessionCache,
    #[deserr(default)]
    mode: Mode,
    #[deserr(default)]
    stat_prefix: Given<StatPrefix>,

    #[deserr(default, rename = "config")]
    _config: elsewhere::Wrapper,
    #[deserr(default, rename = "redirect_path_matcher")]
    _redirect_path_matcher: elsewhere::RedirectPathMatcher,
    #[deserr(default, rename = "disable_access_token_set_cookie")]
    _disable_access_token_set_cookie: elsewhere::OneCookie,
    #[deserr(default, rename = "disable_id_token_set_cookie")]
    _disable_id_token_set_cookie: elsewhere::OneCookie,
    #[deserr(default, rename = "disable_refresh_token_set_cookie")]
    _disable_refresh_token_set_cookie: elsewhere::NoRefreshTokens,
    #[deserr(default, rename = "disable_token_encryption")]
    _disable_token_encryption: elsewhere::AlwaysSealed,
}

impl Deserr<ConfigErrors> for Config {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        at: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let written = Written::deserialize_from_value(value, at)?;
        let mut errors = None;
        check::written(&written, at, &mut errors);
        let config = Self::of(written, at)?;
        check::config(&config, at, &mut errors);
        ConfigErrors::check(errors, config)
    }
}

impl Config {
    /// What is meant by what is written: with what is there where nothing is said.
    fn of(written: Written, at: ValuePointerRef<'_>) -> Result<Self, ConfigErrors> {
        let by_uri = written.redirect_uri.0.as_ref().and_then(RedirectUri::path);
        let usual = || OwnPath::usual(REDIRECT_PATH);
        let redirect_path = written.redirect_path.0.or(by_uri).unwrap_or_else(usual);
        let redirect_uri = match written.redirect_uri.0 {
            Some(uri) => uri,
            None => RedirectUri::parse(&format!("{REDIRECT_URI}{}", redirect_path.as_str()))
                .map_err(|problem| ConfigErrors::at(at.push_key("redirect_uri"), problem))?,
        };
        let back_channel = written.back_channel_logout.0;
        let back_channel_path = back_channel.map(|logout| match logout.path.0 {
            Some(path) => path,
            None => OwnPath::usual(BACK_CHANNEL_PATH),
        });
        Ok(Self {
            provider: ProviderConfig {
                issuer: written.issuer,
                openid_configuration: written.openid_configuration,
                authorization_endpoint: written.authorization_endpoint,
                token_endpoint: written.token_endpoint,
                userinfo_endpoint: written.userinfo_endpoint,
                pushed_authorization_request_endpoint: written
                    .pushed_authorization_request_endpoint,
                end_session_endpoint: written.end_session_endpoint,
                remote_jwks: written.remote_jwks,
                local_jwks: written.local_jwks,
                retry_policy: written.retry_policy,
                circuit_breaker: written.circuit_breaker,
                credentials: written.credentials,
                auth_type: written.auth_type,
                auth_scopes: written.auth_scopes,
                resources: written.resources,
                authorization_parameters: written.authorization_parameters,
                use_userinfo: written.use_userinfo,
                use_pushed_authorization_requests: written.use_pushed_authorization_requests,
                id_token: written.id_token,
            },
            redirect_uri,
            redirect_path,
            signout_path: written.signout_path.0,
            post_logout_redirect_uri: written.post_logout_redirect_uri.0.map(Into::into),
            back_channel_path,
            allowed_redirect_domains: written.allowed_redirect_domains,
            forward_bearer_token: written.forward_bearer_token,
            forward_id_token: written.forward_id_token.0.map(|forward| forward.header),
            preserve_authorization_header: written.preserve_authorization_header,
            claim_to_headers: written.claim_to_headers,
            pass_through_matcher: written.pass_through_matcher,
            allow_failed_matcher: written.allow_failed_matcher,
            deny_redirect_matcher: written.deny_redirect_matcher,
            rules: written.rules,
            demands: Demands {
                allowed_groups: written.allowed_groups,
                allowed_emails: written.allowed_emails,
                allowed_email_domains: written.allowed_email_domains,
                required_claims: written.required_claims,
            },
            groups_claim: written.groups_claim.0.unwrap_or_else(access::groups_claim),
            bypass_cors_preflight: written.bypass_cors_preflight,
            use_refresh_token: written.use_refresh_token.0.unwrap_or(true),
            default_expires_in: written.default_expires_in,
            default_refresh_token_expires_in: written.default_refresh_token_expires_in,
            refresh_before_expiry: written.refresh_before_expiry,
            session_lifetime: written.session_lifetime,
            csrf_token_expires_in: written.csrf_token_expires_in,
            code_verifier_token_expires_in: written.code_verifier_token_expires_in,
            cookie_configs: written.cookie_configs,
            session_cache: written.session_cache,
            mode: written.mode,
            stat_prefix: written.stat_prefix.0,
        })
    }
}

impl Config {
    /// How long an access token is good that does not say: 1 h.
    pub fn default_expires_in(&self) -> Duration {
        or(&self.default_expires_in, Duration::from_hours(1))
    }

    /// How long a refresh token is good that does not say: a week, as in Envoy.
    pub fn default_refresh_token_expires_in(&self) -> Duration {
        or(
            &self.default_refresh_token_expires_in,
            Duration::from_hours(7 * 24),
        )
    }

    /// How long before an access token is over it is renewed: 30 s.
    pub fn refresh_before_expiry(&self) -> Duration {
        or(&self.refresh_before_expiry, Duration::from_secs(30))
    }

    /// How long a session is one at most, whatever is renewed.
    pub fn session_lifetime(&self) -> Option<Duration> {
        self.session_lifetime.0.map(BoundedDuration::get)
    }

    /// How long a sign-in may take: 10 min, as in Envoy.
    pub fn flow_lifetime(&self) -> Duration {
        let usual = Duration::from_mins(10);
        or(&self.csrf_token_expires_in, usual).min(or(&self.code_verifier_token_expires_in, usual))
    }

    /// How many sessions a worker remembers; none turns it off.
    pub fn session_cache_size(&self) -> usize {
        let size = self
            .session_cache
            .size
            .0
            .map_or(SESSION_CACHE, Bounded::get);
        usize::try_from(size).unwrap_or_default()
    }

    /// Whether the provider is asked about its users: it is where there are no ID
    /// tokens, as nobody else tells who they are.
    pub fn use_userinfo(&self) -> bool {
        self.provider.asks_userinfo()
    }
}

fn or<const MIN: u64, const MAX: u64>(
    given: &Given<BoundedDuration<MIN, MAX>>,
    usual: Duration,
) -> Duration {
    given.0.map_or(usual, BoundedDuration::get)
}

#[cfg(test)]
mod tests;
