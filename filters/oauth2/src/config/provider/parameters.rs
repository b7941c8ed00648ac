//! What the provider is asked for.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, OrderedMap, Problem, Schema, Text, string};
use legation::http::Uri;

/// One of `auth_scopes`: printable ASCII without spaces, `"` and `\` (RFC 6749 section
/// 3.3).
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": r"^[!#-\[\]-~]+$" })]
pub struct Scope(Box<str>);

impl Scope {
    /// The scope.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for Scope {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a scope, such as \"openid\"")?;
        if text.contains(' ') {
            let problem = Problem::new("a scope has no space").help("write one scope an element");
            return Err(ConfigErrors::at(location, problem));
        }
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if text.is_empty() || !text.bytes().all(is_allowed) {
            let problem = "a scope is printable ASCII without `\"` and `\\`";
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(text.into()))
    }
}

/// One of `resources`: an absolute URI without a fragment (RFC 8707 section 2).
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": r#"^[A-Za-z][A-Za-z0-9+.-]*:[!"$-~]+$"# })]
pub struct Resource(Box<str>);

impl Resource {
    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for Resource {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a URI, such as \"https://api.example\"")?;
        let is_graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
        let has_scheme = match text.parse::<Uri>() {
            Ok(uri) => uri.scheme().is_some(),
            // `urn:example:api`, which is no URL.
            Err(_) => text.split_once(':').is_some_and(|(scheme, rest)| {
                !rest.is_empty()
                    && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                    && scheme
                        .chars()
                        .all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
            }),
        };
        if !is_graphic || !has_scheme || text.contains('#') {
            let problem = Problem::new("expected an absolute URI without a fragment")
                .help("such as \"https://api.example\" or \"urn:example:api\"");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(text.into()))
    }
}

/// `authorization_parameters`: what else the authorization endpoint is told, such as
/// `prompt`, `acr_values`, `login_hint` or `audience`, by name.
///
/// Those that the filter says itself are refused.
#[derive(Debug, Clone, Default, Schema)]
#[schema({
    "type": "object",
    "propertyNames": {
        "minLength": 1,
        "not": { "enum": OURS.map(|(name, _)| name) },
    },
    "additionalProperties": generator.subschema_for::<Text>(),
})]
pub struct AuthorizationParameters(OrderedMap<String, Text>);

/// What the filter says itself, and where its values come from. What the provider would
/// take for the whole request (RFC 9101), or have it answer elsewhere, is not for users
/// to say.
const OURS: [(&str, &str); 14] = [
    ("client_id", "it is `credentials.client_id`"),
    ("client_secret", "secrets do not go through a browser"),
    ("code_challenge", "it is new for each sign-in"),
    ("code_challenge_method", "it is S256"),
    ("max_age", "it is `id_token.max_age`"),
    ("nonce", "it is new for each sign-in"),
    ("redirect_uri", "it is `redirect_uri`"),
    ("request", "signed requests are not made"),
    ("request_uri", "say `use_pushed_authorization_requests`"),
    ("resource", "they are `resources`"),
    ("response_mode", "answers are read from the query"),
    ("response_type", "it is `code`"),
    ("scope", "they are `auth_scopes`"),
    ("state", "it is new for each sign-in"),
];

impl AuthorizationParameters {
    /// Each by name, as they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let parameters = self.0.iter();
        parameters.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Deserr<ConfigErrors> for AuthorizationParameters {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let parameters: OrderedMap<String, Text> =
            OrderedMap::deserialize_from_value(value, location)?;
        let mut errors = None;
        for (name, _) in &parameters {
            let problem = match OURS.iter().find(|(ours, _)| ours == name) {
                Some((_, instead)) => Problem::new("is the filter's to say").help(*instead),
                None if name.is_empty() => Problem::new("a parameter has a name"),
                None => continue,
            };
            ConfigErrors::add(
                &mut errors,
                ConfigErrors::at(location.push_key(name), problem),
            );
        }
        ConfigErrors::check(errors, Self(parameters))
    }
}
