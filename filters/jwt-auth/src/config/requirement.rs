//! What is required of a request.

use deserr::{Deserr, IntoValue, Map, Value, ValuePointerRef};
use legation::config::{self, ConfigErrors, Given, NonEmpty, Schema};
use legation_jose::trusted::TrustedHeader;

use super::names::Name;

/// A requirement, or none: `{}` verifies nothing, as in Envoy.
#[derive(Debug, Schema)]
#[schema({
    "anyOf": [
        generator.subschema_for::<Requirement>(),
        { "type": "object", "maxProperties": 0 },
    ],
})]
pub struct Requires(pub Option<Requirement>);

config::one_of! {
    /// A requirement.
    #[derive(Debug)]
    pub enum Requirement {
        /// Tokens of this provider.
        "provider_name" => ProviderName(Name),
        /// The same, for other audiences than the provider's own.
        "provider_and_audiences" => ProviderAndAudiences(ProviderAndAudiences),
        /// One of these.
        "requires_any" => RequiresAny(Requirements),
        /// All of these.
        "requires_all" => RequiresAll(Requirements),
        /// Tokens of any provider, or none at all.
        "allow_missing" => AllowMissing(Nothing),
        /// Anything: tokens are verified for what is made of them.
        "allow_missing_or_failed" => AllowMissingOrFailed(Nothing),
        /// Anything: what tokens say is passed on and not verified.
        "extract_only_without_validation" => ExtractOnly(ExtractOnly),
    }
}

/// A provider, for these audiences.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct ProviderAndAudiences {
    /// The provider.
    pub provider_name: Name,
    /// Those that are allowed in the place of the provider's own.
    #[deserr(default)]
    pub audiences: NonEmpty<String>,
}

/// A list of requirements.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Requirements {
    /// The requirements, in the order they are looked at.
    pub requirements: NonEmpty<Requirement>,
}

/// `{}`
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Nothing {}

/// How unverified tokens are marked.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct ExtractOnly {
    /// The request header that is `false` where a token was passed on:
    /// `x-jwt-signature-verified`, unless given.
    #[deserr(default)]
    pub verification_status_header: Given<TrustedHeader>,
}

impl Deserr<ConfigErrors> for Requires {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        match value {
            Value::Map(map) if map.is_empty() => Ok(Self(None)),
            value => Requirement::deserialize_from_value(value, location)
                .map(|requirement| Self(Some(requirement))),
        }
    }
}

/// What is told of each provider that a requirement names: its name, and where.
type Named<'a> = dyn FnMut(&str, ValuePointerRef<'_>) + 'a;

impl Requires {
    /// Whether a request may pass of which no token was verified.
    pub(super) fn lets_in_without_tokens(&self) -> bool {
        let requirement = self.0.as_ref();
        requirement.is_none_or(Requirement::lets_in_without_tokens)
    }

    /// Goes through the providers it names.
    pub(super) fn providers(&self, at: ValuePointerRef<'_>, named: &mut Named<'_>) {
        if let Some(requirement) = &self.0 {
            requirement.providers(at, named);
        }
    }
}

impl Requirement {
    fn lets_in_without_tokens(&self) -> bool {
        match self {
            Self::ProviderName(_) | Self::ProviderAndAudiences(_) => false,
            Self::RequiresAny(list) => {
                let mut of = list.requirements.iter();
                of.any(Self::lets_in_without_tokens)
            }
            Self::RequiresAll(list) => {
                let mut of = list.requirements.iter();
                of.all(Self::lets_in_without_tokens)
            }
            Self::AllowMissing(_) | Self::AllowMissingOrFailed(_) | Self::ExtractOnly(_) => true,
        }
    }

    fn providers(&self, at: ValuePointerRef<'_>, named: &mut Named<'_>) {
        match self {
            Self::ProviderName(name) => named(name.as_str(), at.push_key("provider_name")),
            Self::ProviderAndAudiences(one) => {
                let at = at.push_key("provider_and_audiences");
                named(one.provider_name.as_str(), at.push_key("provider_name"));
            }
            Self::RequiresAny(list) => list.providers(at.push_key("requires_any"), named),
            Self::RequiresAll(list) => list.providers(at.push_key("requires_all"), named),
            Self::AllowMissing(_) | Self::AllowMissingOrFailed(_) | Self::ExtractOnly(_) => {}
        }
    }
}

impl Requirements {
    fn providers(&self, at: ValuePointerRef<'_>, named: &mut Named<'_>) {
        let at = at.push_key("requirements");
        for (index, requirement) in self.requirements.iter().enumerate() {
            requirement.providers(at.push_index(index), named);
        }
    }
}
