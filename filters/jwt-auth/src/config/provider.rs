//! Who issues tokens, where they are found and what becomes of them.

use std::time::Duration;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{
    Bounded, BoundedDuration, ConfigErrors, Given, HeaderName, NonEmpty, Problem, Schema, Text,
    exactly_one, string,
};
use legation::http::header;
use legation::matcher::StringMatch;
use legation_jose::claim_to_header::ClaimToHeader;
use legation_jose::claims_rules::{Profile, RequiredAuthentication, RequiredClaim, RequiredScopes};
use legation_jose::confirmation::{Binding, CertificateConfig};
use legation_jose::dpop::DpopConfig;
use legation_jose::introspection::IntrospectionConfig;
use legation_jose::keys::{LocalJwks, OpenIdConfiguration, RemoteJwks};
use legation_jose::trusted::TrustedHeader;
use legation_jose::{Algorithm, Algorithms};

use super::elsewhere;
use super::names::StateName;

/// As in Envoy.
const CLOCK_SKEW: Duration = Duration::from_mins(1);
/// As in Envoy.
const MAX_TOKEN_SIZE: usize = 4096;
const CACHE_SIZE: usize = 1000;

/// An issuer of tokens.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as in Envoy"
)]
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_provider -> ConfigErrors)]
#[schema(readme = ["A provider", "What upstreams get"], {
    "oneOf": schema::exactly_one(&[
        "local_jwks",
        "remote_jwks",
        "openid_configuration",
        "introspection",
    ]),
})]
pub struct Provider {
    /// The `iss` that its tokens have: any, unless given.
    #[deserr(default)]
    pub issuer: Given<Text>,
    /// The `aud` of which its tokens have one: any, unless given.
    #[deserr(default)]
    pub audiences: NonEmpty<Text>,
    /// Which `sub` its tokens have: any, unless given.
    #[deserr(default)]
    pub subjects: Given<StringMatch>,
    /// Whether tokens without `exp` are refused.
    #[deserr(default)]
    pub require_expiration: bool,
    /// How far ahead `exp` may be; with it, tokens have one.
    #[deserr(default)]
    pub max_lifetime: Given<BoundedDuration<1_000, 3_155_760_000_000>>,
    /// By how many seconds clocks may differ: 60, unless given.
    #[deserr(default)]
    clock_skew_seconds: Given<Bounded<0, 86_400>>,

    /// Keys that are there when the filter starts.
    #[deserr(default)]
    pub local_jwks: Given<LocalJwks>,
    /// Keys that are fetched from a URL.
    #[deserr(default)]
    pub remote_jwks: Given<RemoteJwks>,
    /// Keys that are found by the issuer's metadata.
    #[deserr(default)]
    pub openid_configuration: Given<OpenIdConfiguration>,
    /// Where tokens are asked about.
    #[deserr(default)]
    pub introspection: Given<IntrospectionConfig>,

    /// Headers that tokens come in.
    #[deserr(default)]
    from_headers: NonEmpty<FromHeader>,
    /// Query parameters that tokens come in.
    #[deserr(default)]
    pub from_params: NonEmpty<Text>,
    /// Cookies that tokens come in.
    #[deserr(default)]
    pub from_cookies: NonEmpty<CookieName>,

    /// Whether an accepted token goes on to the upstream.
    #[deserr(default)]
    pub forward: bool,
    /// The header for an accepted token's payload, as base64url.
    #[deserr(default)]
    pub forward_payload_header: Given<TrustedHeader>,
    /// Whether that is padded.
    #[deserr(default)]
    pub pad_forward_payload_header: bool,
    /// Headers for claims.
    #[deserr(default)]
    pub claim_to_headers: NonEmpty<ClaimToHeader>,
    /// The state for an accepted token's payload, as JSON.
    #[deserr(default)]
    pub payload_in_filter_state: Given<StateName>,
    /// The state for an accepted token's header, as JSON.
    #[deserr(default)]
    pub header_in_filter_state: Given<StateName>,
    /// The state for the reason why a token was not accepted, as JSON.
    #[deserr(default)]
    pub failed_status_in_filter_state: Given<StateName>,
    /// Whether Envoy chooses the route anew when a token is accepted.
    #[deserr(default)]
    pub clear_route_cache: bool,

    /// Which tokens are remembered when they were accepted.
    #[deserr(default)]
    pub jwt_cache_config: CacheConfig,
    /// How tokens may be signed: by any asymmetric algorithm that fits a key,
    /// unless given.
    #[deserr(default)]
    allowed_algorithms: Given<NonEmpty<Algorithm>>,

    /// Scopes that tokens must grant.
    #[deserr(default)]
    pub required_scopes: Given<RequiredScopes>,
    /// Claims that tokens must have.
    #[deserr(default)]
    pub required_claims: NonEmpty<RequiredClaim>,
    /// How and when the tokens' subjects must have signed in.
    #[deserr(default)]
    pub required_authentication: Given<RequiredAuthentication>,
    /// What kind of tokens they must be.
    #[deserr(default)]
    pub profile: Given<Profile>,
    /// What proofs are asked for.
    #[deserr(default)]
    pub dpop: DpopConfig,
    /// What certificates are asked for.
    #[deserr(default)]
    pub certificate_bound: CertificateConfig,

    #[deserr(default, rename = "payload_in_metadata")]
    _payload_in_metadata: elsewhere::PayloadInMetadata,
    #[deserr(default, rename = "header_in_metadata")]
    _header_in_metadata: elsewhere::HeaderInMetadata,
    #[deserr(default, rename = "failed_status_in_metadata")]
    _failed_status_in_metadata: elsewhere::FailedStatusInMetadata,
    #[deserr(default, rename = "normalize_payload_in_metadata")]
    _normalize_payload_in_metadata: elsewhere::NormalizePayloadInMetadata,
}

impl Provider {
    /// By how much clocks may differ.
    pub fn clock_skew(&self) -> Duration {
        match self.clock_skew_seconds.0 {
            Some(seconds) => Duration::from_secs(seconds.get().unsigned_abs()),
            None => CLOCK_SKEW,
        }
    }

    /// The headers that tokens come in, and what stands before them.
    pub fn header_locations(&self) -> impl Iterator<Item = (&header::HeaderName, &str)> {
        let default = self
            .has_default_locations()
            .then_some((&header::AUTHORIZATION, "Bearer "));
        let given = self.from_headers.iter();
        given
            .map(|from| (&*from.name, from.prefix()))
            .chain(default)
    }

    /// Whether tokens are taken from `Authorization: DPoP` too, as it is one of
    /// those headers by `Bearer`.
    pub fn takes_dpop(&self) -> bool {
        let mut headers = self.header_locations();
        self.dpop.mode != Binding::Ignore
            && headers.any(|(name, prefix)| name == header::AUTHORIZATION && prefix == "Bearer ")
    }

    /// The query parameters that tokens come in.
    pub fn parameter_locations(&self) -> impl Iterator<Item = &str> {
        let default = self.has_default_locations().then_some("access_token");
        self.from_params.iter().map(Text::as_str).chain(default)
    }

    /// Whether it looks where Envoy does by itself.
    fn has_default_locations(&self) -> bool {
        self.from_headers.is_empty() && self.from_params.is_empty() && self.from_cookies.is_empty()
    }

    /// How tokens may be signed, where that is given.
    pub fn allowed_algorithms(&self) -> Option<Algorithms> {
        let given = self.allowed_algorithms.0.as_ref();
        given.map(|list| list.iter().copied().collect())
    }
}

fn check_provider(provider: Provider, at: ValuePointerRef<'_>) -> Result<Provider, ConfigErrors> {
    let mut errors = None;
    let sources = [
        ("local_jwks", provider.local_jwks.0.is_some()),
        ("remote_jwks", provider.remote_jwks.0.is_some()),
        (
            "openid_configuration",
            provider.openid_configuration.0.is_some(),
        ),
        ("introspection", provider.introspection.0.is_some()),
    ];
    if let Err(error) = exactly_one(at, &sources) {
        ConfigErrors::add(&mut errors, error);
    }
    if provider.openid_configuration.0.is_some() && provider.issuer.0.is_none() {
        let problem = Problem::new("there is no `issuer` whose metadata it would be")
            .help("give the issuer: what the metadata says must be the same");
        let at = at.push_key("openid_configuration");
        ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
    }
    if provider.introspection.0.is_some() {
        for (field, given) in [
            (
                "allowed_algorithms",
                provider.allowed_algorithms.0.is_some(),
            ),
            ("profile", provider.profile.0.is_some()),
            (
                "header_in_filter_state",
                provider.header_in_filter_state.0.is_some(),
            ),
        ] {
            if given {
                let problem = Problem::new("tokens that are introspected are not read")
                    .help("leave it out, or verify tokens by keys");
                ConfigErrors::add(&mut errors, ConfigErrors::at(at.push_key(field), problem));
            }
        }
    }
    if provider.pad_forward_payload_header && provider.forward_payload_header.0.is_none() {
        let problem = Problem::new("there is no `forward_payload_header` to pad")
            .help("name the header, or leave this out");
        let at = at.push_key("pad_forward_payload_header");
        ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
    }
    let states = [
        ("payload_in_filter_state", &provider.payload_in_filter_state),
        ("header_in_filter_state", &provider.header_in_filter_state),
        (
            "failed_status_in_filter_state",
            &provider.failed_status_in_filter_state,
        ),
    ];
    for (index, (field, name)) in states.iter().enumerate() {
        let mut earlier = states.iter().take(index);
        if let Some((other, _)) = earlier.find(|(_, other)| name.0.is_some() && other == name) {
            let problem = Problem::new(format!("`{other}` has the same name"))
                .help("one would be written over the other: give each its own");
            ConfigErrors::add(&mut errors, ConfigErrors::at(at.push_key(field), problem));
        }
    }
    ConfigErrors::check(errors, provider)
}

/// A header that tokens come in.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct FromHeader {
    /// Its name.
    pub name: HeaderName,
    /// What stands before the token, such as `Bearer ` with its space.
    #[deserr(default)]
    value_prefix: Given<Prefix>,
}

impl FromHeader {
    fn prefix(&self) -> &str {
        self.value_prefix.0.as_ref().map_or("", |prefix| &prefix.0)
    }
}

/// What stands before a token in a header.
#[derive(Debug, Schema)]
#[schema({ "type": "string", "pattern": "^([!-~][ -~]*)?$" })]
struct Prefix(Box<str>);

impl Deserr<ConfigErrors> for Prefix {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "what stands before the token")?;
        let problem = if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            "a prefix is printable ASCII"
        } else if text.starts_with(' ') {
            "a header's value does not begin with a space"
        } else {
            return Ok(Self(text.into()));
        };
        Err(ConfigErrors::at(location, problem))
    }
}

/// Which tokens are remembered.
#[derive(Debug, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct CacheConfig {
    /// How many verified tokens are remembered: 1000 unless given; 0 turns it off.
    #[deserr(default)]
    jwt_cache_size: Given<Bounded<0, 1_000_000>>,
    /// How long a token may be that is remembered, in bytes: 4096 unless given.
    #[deserr(default)]
    jwt_max_token_size: Given<Bounded<0, 65_536>>,
}

impl CacheConfig {
    /// How many; none turns it off.
    pub fn size(&self) -> usize {
        bounded(&self.jwt_cache_size, CACHE_SIZE)
    }

    /// How long a token may be that is remembered, in bytes.
    pub fn max_token_size(&self) -> usize {
        bounded(&self.jwt_max_token_size, MAX_TOKEN_SIZE)
    }
}

fn bounded<const MAX: i64>(given: &Given<Bounded<0, MAX>>, default: usize) -> usize {
    given.0.map_or(default, |number| {
        usize::try_from(number.get()).unwrap_or(default)
    })
}

/// The name of a cookie.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": schema::TOKEN })]
pub struct CookieName(Box<str>);

impl CookieName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for CookieName {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "the name of a cookie")?;
        // RFC 6265, section 4.1.1: a token, as a header's name is.
        if legation::http::HeaderName::from_bytes(text.as_bytes()).is_err() {
            let problem = format!("{text:?} is not the name of a cookie");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(text.into()))
    }
}
