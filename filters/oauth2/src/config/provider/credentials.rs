//! Who we are: to the provider, and to browsers.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{
    ConfigErrors, Given, NonEmpty, Problem, Schema, SecretSource, Text, elsewhere, string,
};
use legation_jose::signing::SigningKey;

/// `auth_type`: how we say who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
pub enum AuthType {
    /// By `client_id` and `client_secret` in the body (RFC 6749 section 2.3.1).
    #[default]
    #[deserr(rename = "URL_ENCODED_BODY")]
    UrlEncodedBody,
    /// By `Authorization: Basic` (RFC 6749 section 2.3.1).
    #[deserr(rename = "BASIC_AUTH")]
    BasicAuth,
    /// By an assertion signed with a private key (RFC 7523 section 2.2).
    #[deserr(rename = "PRIVATE_KEY_JWT")]
    PrivateKeyJwt,
    /// Not at all: a public client, whose code is safe by PKCE alone, or one that the
    /// cluster says (mTLS).
    #[deserr(rename = "NONE")]
    None,
}

impl AuthType {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UrlEncodedBody => "URL_ENCODED_BODY",
            Self::BasicAuth => "BASIC_AUTH",
            Self::PrivateKeyJwt => "PRIVATE_KEY_JWT",
            Self::None => "NONE",
        }
    }

    /// Whether there is a secret that both sides know.
    pub const fn uses_secret(self) -> bool {
        matches!(self, Self::UrlEncodedBody | Self::BasicAuth)
    }
}

/// `credentials`: who we are.
///
/// | field | default | |
/// |---|---|---|
/// | `client_id` | required | as the provider knows us |
/// | `client_secret` | | `{environment_variable: NAME}` or `{inline_string: …}`; required by `URL_ENCODED_BODY` and `BASIC_AUTH` |
/// | `private_key` | | the same, of a PKCS #8 key in PEM (RSA of at least 2048 bits, P-256, P-384 or P-521); required by `PRIVATE_KEY_JWT` |
/// | `private_key_id` | | the `kid` of the assertions |
/// | `assertion_audience` | `issuer`, or the token endpoint's URL where there is none | the `aud` of the assertions |
/// | `cookie_domain` | the host alone | the `Domain` of our cookies |
/// | `cookie_names` | | [`CookieNames`] |
/// | `cookie_secrets` | required | at least one [`CookieSecret`]: the first seals, all open |
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "Who we are", prefix = "credentials.")]
pub struct Credentials {
    /// As the provider knows us.
    pub client_id: Text,
    /// What it knows us by.
    #[deserr(default)]
    pub client_secret: Given<SecretSource>,
    /// The key that assertions are signed with.
    #[deserr(default)]
    pub private_key: Given<PrivateKey>,
    /// Its name.
    #[deserr(default)]
    pub private_key_id: Given<Text>,
    /// For whom assertions are.
    #[deserr(default)]
    pub assertion_audience: Given<Text>,
    /// Where cookies go beside the host itself.
    #[deserr(default)]
    pub cookie_domain: Given<CookieDomain>,
    /// How they are called.
    #[deserr(default)]
    pub cookie_names: CookieNames,
    /// What they are sealed with.
    pub cookie_secrets: NonEmpty<CookieSecret>,

    #[deserr(default, rename = "token_secret")]
    _token_secret: TokenSecret,
    #[deserr(default, rename = "hmac_secret")]
    _hmac_secret: HmacSecret,
}

/// The key that assertions are signed with, as a [`SecretSource`].
#[derive(Debug, Schema)]
#[schema(as = SecretSource)]
pub struct PrivateKey(pub(crate) SigningKey);

impl Deserr<ConfigErrors> for PrivateKey {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let source = SecretSource::deserialize_from_value(value, location)?;
        SigningKey::from_pem(source.expose().as_bytes())
            .map(Self)
            .map_err(|error| ConfigErrors::at(location, Problem::new(error.to_string())))
    }
}

/// `cookie_names`: how our cookies are called, without the prefix `__Host-` or
/// `__Secure-` that they may get.
#[derive(Debug, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_names -> ConfigErrors)]
pub struct CookieNames {
    /// The session's.
    #[deserr(default)]
    pub session: Given<CookieName>,
    /// A sign-in's that is under way.
    #[deserr(default)]
    pub flow: Given<CookieName>,

    #[deserr(default, rename = "bearer_token")]
    _bearer_token: BearerToken,
    #[deserr(default, rename = "oauth_hmac")]
    _oauth_hmac: OneSession,
    #[deserr(default, rename = "oauth_expires")]
    _oauth_expires: OneSession,
    #[deserr(default, rename = "id_token")]
    _id_token: OneSession,
    #[deserr(default, rename = "refresh_token")]
    _refresh_token: OneSession,
    #[deserr(default, rename = "oauth_nonce")]
    _oauth_nonce: OneFlow,
    #[deserr(default, rename = "code_verifier")]
    _code_verifier: OneFlow,
}

fn check_names(names: CookieNames, at: ValuePointerRef<'_>) -> Result<CookieNames, ConfigErrors> {
    if names.session.0.is_some() && names.session == names.flow {
        let problem = Problem::new("`session` has the same name").help("give each its own");
        return Err(ConfigErrors::at(at.push_key("flow"), problem));
    }
    Ok(names)
}

elsewhere! {
    /// `token_secret`
    struct TokenSecret:
        "is `client_secret` here",
        "write `client_secret: {environment_variable: NAME}`; a module has no SDS";
    /// `hmac_secret`
    struct HmacSecret:
        "is `cookie_secrets` here: cookies are sealed, not only signed",
        "write `cookie_secrets: [{environment_variable: NAME}]`; a module has no SDS";
    /// `cookie_names.bearer_token`
    struct BearerToken:
        "no cookie holds a bare token here: all is in the sealed one of the session",
        "write `session: NAME`; `forward_bearer_token: true` hands the token to the upstream";
    /// Others that Envoy keeps of a session.
    struct OneSession:
        "there is one sealed cookie for the session here",
        "write `session: NAME`";
    /// Those that Envoy keeps of a sign-in.
    struct OneFlow:
        "there is one sealed cookie for each sign-in here",
        "write `flow: NAME`";
}

/// The name of a cookie: a token (RFC 6265 section 4.1.1) of at most 64 characters,
/// without a prefix that browsers give a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "pattern": schema::TOKEN,
    "maxLength": LONGEST_NAME,
    "not": { "pattern": "^__([Hh][Oo][Ss][Tt]|[Ss][Ee][Cc][Uu][Rr][Ee])-" },
})]
pub struct CookieName(Box<str>);

impl CookieName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const LONGEST_NAME: usize = 64;

impl Deserr<ConfigErrors> for CookieName {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "the name of a cookie")?;
        let has_prefix = |prefix: &str| {
            let begin = text.get(..prefix.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
        };
        // A token, as a header's name is.
        let problem = if legation::http::HeaderName::from_bytes(text.as_bytes()).is_err() {
            Problem::new(format!("{text:?} is not the name of a cookie"))
                .help("names are letters, digits and !#$%&'*+-.^_`|~")
        } else if text.len() > LONGEST_NAME {
            Problem::new(format!(
                "the name of a cookie has at most {LONGEST_NAME} characters here, got {}",
                text.len()
            ))
        } else if has_prefix("__Host-") || has_prefix("__Secure-") {
            Problem::new("a prefix is put before the name by itself, where it can be")
                .help("write the name without it")
        } else {
            return Ok(Self(text.into()));
        };
        Err(ConfigErrors::at(location, problem))
    }
}

/// `cookie_domain`: the `Domain` of our cookies, such as `example.com`: a host's name in
/// ASCII, which is that of the applications or one above them.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "pattern": r"^\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$",
})]
pub struct CookieDomain(Box<str>);

impl CookieDomain {
    /// The domain, in lower case, without a dot in front.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for CookieDomain {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a domain, such as \"example.com\"")?;
        // A dot in front means nothing (RFC 6265 section 5.2.3).
        let domain = text.strip_prefix('.').unwrap_or(&text).to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if domain.len() > 253 || !domain.split('.').all(is_label) {
            let problem = Problem::new(format!("{text:?} is not a domain"))
                .help("a host's name such as \"example.com\", without scheme, port or path");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(domain.into()))
    }
}

/// One of `cookie_secrets`, as a [`SecretSource`]: at least 32 bytes.
#[derive(Debug, Schema)]
#[schema(as = SecretSource)]
pub struct CookieSecret(SecretSource);

/// What a key of 256 bits needs.
const SHORTEST_SECRET: usize = 32;

impl CookieSecret {
    /// The text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl Deserr<ConfigErrors> for CookieSecret {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let source = SecretSource::deserialize_from_value(value, location)?;
        let length = source.expose().len();
        if length < SHORTEST_SECRET {
            let problem = format!("a secret has at least {SHORTEST_SECRET} bytes, got {length}");
            let problem = Problem::new(problem).help("make one with `openssl rand -base64 32`");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(source))
    }
}
