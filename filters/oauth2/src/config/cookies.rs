//! How our cookies are set.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Given, Problem, Schema, string};

use super::elsewhere::{OneFlow, OneSession};
use super::provider::Credentials;
use crate::cookies::Attributes;
pub use crate::cookies::SameSite;

/// The names of our cookies, unless given.
const SESSION: &str = "oauth2_session";
const FLOW: &str = "oauth2_flow";

/// `cookie_configs`: how each of our cookies is set.
#[derive(Debug, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct CookieConfigs {
    /// The session's.
    #[deserr(default)]
    pub session: CookieConfig,
    /// A sign-in's that is under way.
    #[deserr(default)]
    pub flow: CookieConfig,

    #[deserr(default, rename = "bearer_token_cookie_config")]
    _bearer_token: OneSession,
    #[deserr(default, rename = "oauth_hmac_cookie_config")]
    _oauth_hmac: OneSession,
    #[deserr(default, rename = "oauth_expires_cookie_config")]
    _oauth_expires: OneSession,
    #[deserr(default, rename = "id_token_cookie_config")]
    _id_token: OneSession,
    #[deserr(default, rename = "refresh_token_cookie_config")]
    _refresh_token: OneSession,
    #[deserr(default, rename = "oauth_nonce_cookie_config")]
    _oauth_nonce: OneFlow,
    #[deserr(default, rename = "code_verifier_cookie_config")]
    _code_verifier: OneFlow,
}

/// How a cookie is set. It is always `HttpOnly`.
///
/// | field | default | |
/// |---|---|---|
/// | `same_site` | `LAX` | `STRICT`, `LAX`, `NONE` (which needs `secure`), or `DISABLED`, which leaves it to the browser |
/// | `path` | `/` | with which paths it is sent |
/// | `partitioned` | `false` | whether it is another one in each site that embeds ours (CHIPS); needs `secure` |
/// | `secure` | `true` | whether it is sent by `https` alone |
#[derive(Debug, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check -> ConfigErrors)]
#[schema(readme = "Cookies")]
pub struct CookieConfig {
    #[deserr(default)]
    same_site: SameSite,
    #[deserr(default)]
    path: Given<CookiePath>,
    #[deserr(default)]
    partitioned: bool,
    #[deserr(default)]
    secure: Given<bool>,
}

impl CookieConfig {
    /// With which requests of other sites it is sent.
    pub fn same_site(&self) -> SameSite {
        self.same_site
    }

    /// With which paths it is sent.
    pub fn path(&self) -> &str {
        self.path.0.as_ref().map_or("/", |path| &path.0)
    }

    /// Whether it is sent by `https` alone.
    pub fn is_secure(&self) -> bool {
        self.secure.0.unwrap_or(true)
    }

    /// Whether it is sent with requests for this path (RFC 6265, section 5.1.4).
    pub(super) fn is_sent_to(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(self.path()) else {
            return false;
        };
        rest.is_empty() || rest.starts_with('/') || self.path().ends_with('/')
    }

    fn attributes(&self, credentials: &Credentials) -> Attributes {
        let domain = credentials.cookie_domain.0.as_ref();
        Attributes {
            same_site: self.same_site,
            path: self.path().into(),
            domain: domain.map(|domain| domain.as_str().into()),
            partitioned: self.partitioned,
            secure: self.is_secure(),
        }
    }
}

fn check(config: CookieConfig, at: ValuePointerRef<'_>) -> Result<CookieConfig, ConfigErrors> {
    let mut errors = None;
    for (field, needs) in [
        ("same_site", config.same_site == SameSite::None),
        ("partitioned", config.partitioned),
    ] {
        if needs && !config.is_secure() {
            let problem = Problem::new("browsers drop such a cookie unless it is `secure`")
                .help("leave `secure: false` out, or this");
            ConfigErrors::add(&mut errors, ConfigErrors::at(at.push_key(field), problem));
        }
    }
    ConfigErrors::check(errors, config)
}

/// `path`: of what stands in a cookie's `Path` (RFC 6265, section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": "^/[^;,\\s]*$", "maxLength": LONGEST_PATH })]
struct CookiePath(Box<str>);

const LONGEST_PATH: usize = 256;

impl Deserr<ConfigErrors> for CookiePath {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a path")?;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b';' && byte != b',';
        if text.starts_with('/') && text.len() <= LONGEST_PATH && text.bytes().all(is_plain) {
            return Ok(Self(text.into()));
        }
        let problem = Problem::new("not the path of a cookie").help(format!(
            "such as `/app`: visible ASCII without `;` and `,`, at most {LONGEST_PATH} characters"
        ));
        Err(ConfigErrors::at(location, problem))
    }
}

/// A cookie of ours: its whole name, and how it is set.
#[derive(Debug, Clone)]
pub(crate) struct Cookie {
    pub(crate) name: Box<str>,
    pub(crate) attributes: Attributes,
}

/// Our cookies.
#[derive(Debug, Clone)]
pub(crate) struct Cookies {
    pub(crate) session: Cookie,
    /// What the names of those of sign-ins under way begin with.
    pub(crate) flow: Cookie,
    /// The one that counts how often somebody was signed in lately. It is set as those of
    /// sign-ins are.
    pub(crate) attempts: Cookie,
}

impl super::Config {
    /// Our cookies, by their whole names.
    pub(crate) fn cookies(&self) -> Cookies {
        let credentials = &self.provider.credentials;
        let names = &credentials.cookie_names;
        let session = names
            .session
            .0
            .as_ref()
            .map_or(SESSION, |name| name.as_str());
        let flow = names.flow.0.as_ref().map_or(FLOW, |name| name.as_str());
        let cookie = |name: &str, config: &CookieConfig| {
            let attributes = config.attributes(credentials);
            Cookie {
                name: format!("{}{name}", attributes.prefix()).into(),
                attributes,
            }
        };
        Cookies {
            session: cookie(session, &self.cookie_configs.session),
            flow: cookie(flow, &self.cookie_configs.flow),
            attempts: cookie(&format!("{flow}_attempts"), &self.cookie_configs.flow),
        }
    }
}
