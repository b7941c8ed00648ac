//! What users write.
//!
//! Fields are called as in Envoy's `jwt_authn` wherever it has them. Each type
//! checks what it can see, at its own place in the document, so that a
//! configuration with several mistakes is answered with all of them.

mod elsewhere;
mod names;
mod provider;
mod requirement;

use deserr::{Deserr, ValuePointerRef};
use legation::config::{
    ConfigErrors, Given, Mode, NonEmpty, OrderedMap, Problem, Schema, StatPrefix, suggest,
};
use legation::matcher::Matcher;
use legation_jose::claims_rules::{RequiredAuthentication, RequiredClaim, RequiredScopes};
use legation_jose::trusted::TrustedHeader;

pub use legation_jose::keys::LocalJwks;
pub use names::{Name, Realm, StateName};
pub use provider::{CacheConfig, FromHeader, Provider};
pub use requirement::{
    ExtractOnly, Nothing, ProviderAndAudiences, Requirement, Requirements, Requires,
};

/// The whole configuration.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_config -> ConfigErrors)]
#[schema(readme = "Options")]
pub struct Config {
    /// Who issues tokens, and what is done with them.
    pub providers: OrderedMap<Name, Provider>,
    /// Requirements by name, for rules to share.
    #[deserr(default)]
    pub requirement_map: OrderedMap<Name, Requires>,
    /// What is required of which requests: the first rule that matches decides.
    pub rules: NonEmpty<Rule>,
    /// Whether CORS preflights pass, which carry no token.
    #[deserr(default)]
    pub bypass_cors_preflight: bool,
    /// Whether refusals say nothing of their reason.
    #[deserr(default)]
    pub strip_failure_response: bool,
    /// Whether anyone is refused at all. In report mode every request passes, and none
    /// is changed but for the headers that are trusted, which are stripped.
    #[deserr(default)]
    pub mode: Mode,
    /// The realm in challenges: the request's URL, unless given.
    #[deserr(default)]
    pub realm: Given<Realm>,
    /// The first word of the counters' names, `jwt_auth` unless given.
    #[deserr(default)]
    pub stat_prefix: Given<StatPrefix>,
    #[deserr(default, rename = "filter_state_rules")]
    _filter_state_rules: elsewhere::FilterStateRules,
}

/// A rule: which requests, and what is required of them.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_rule -> ConfigErrors)]
#[schema(readme = "A rule")]
pub struct Rule {
    /// Which requests it is for: all, unless given.
    #[deserr(default, rename = "match")]
    pub matcher: Matcher,
    /// What is required.
    #[deserr(default)]
    pub requires: Given<Requires>,
    /// The same, by its name in `requirement_map`.
    #[deserr(default)]
    pub requirement_name: Given<Name>,
    /// Requires nothing of the requests it matches.
    #[deserr(default)]
    pub disabled: bool,
    /// Scopes that the tokens must grant which let the request in.
    #[deserr(default)]
    pub required_scopes: Given<RequiredScopes>,
    /// Claims that those tokens must have.
    #[deserr(default)]
    pub required_claims: NonEmpty<RequiredClaim>,
    /// How and when their subjects must have signed in.
    #[deserr(default)]
    pub required_authentication: Given<RequiredAuthentication>,
}

fn check_rule(rule: Rule, at: ValuePointerRef<'_>) -> Result<Rule, ConfigErrors> {
    let given: Vec<_> = [
        ("requires", rule.requires.0.is_some()),
        ("requirement_name", rule.requirement_name.0.is_some()),
        ("disabled", rule.disabled),
    ]
    .into_iter()
    .filter_map(|(name, given)| given.then_some(name))
    .collect();
    if given.len() > 1 {
        let problem = format!("only one of these may be given: {}", given.join(", "));
        return Err(ConfigErrors::at(at, problem));
    }
    Ok(rule)
}

impl Rule {
    /// Whether a request may pass of which no token was verified. A requirement
    /// that is not there has an error of its own.
    fn lets_in_without_tokens(&self, config: &Config) -> bool {
        match (&self.requires.0, &self.requirement_name.0) {
            (Some(requires), _) => requires.lets_in_without_tokens(),
            (None, None) => true,
            (None, Some(name)) => {
                let mut map = config.requirement_map.iter();
                map.find(|(own, _)| own == name)
                    .is_some_and(|(_, requires)| requires.lets_in_without_tokens())
            }
        }
    }

    /// What it demands of tokens beyond what is required: the fields that do.
    fn demands(&self) -> Vec<&'static str> {
        [
            ("required_scopes", self.required_scopes.0.is_some()),
            ("required_claims", !self.required_claims.is_empty()),
            (
                "required_authentication",
                self.required_authentication.0.is_some(),
            ),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}

fn check_config(config: Config, at: ValuePointerRef<'_>) -> Result<Config, ConfigErrors> {
    let mut errors = None;
    let providers: Vec<_> = config.providers.iter().collect();
    if providers.is_empty() {
        let problem = Problem::new("no provider is given").help("name at least one");
        ConfigErrors::add(
            &mut errors,
            ConfigErrors::at(at.push_key("providers"), problem),
        );
    }
    let mut known = |name: &str, at: ValuePointerRef<'_>| {
        if !providers.iter().any(|(own, _)| own.as_str() == name) {
            let names = providers.iter().map(|(own, _)| own.as_str());
            ConfigErrors::add(
                &mut errors,
                unknown("provider", "providers", name, names, at),
            );
        }
    };
    let map = at.push_key("requirement_map");
    for (name, requires) in &config.requirement_map {
        requires.providers(map.push_key(name.as_str()), &mut known);
    }
    let list = at.push_key("rules");
    for (index, rule) in config.rules.iter().enumerate() {
        if let Some(requires) = &rule.requires.0 {
            let at = list.push_index(index);
            requires.providers(at.push_key("requires"), &mut known);
        }
    }
    check_rules(&config, list, &mut errors);
    check_headers(&config, at.push_key("providers"), &mut errors);
    ConfigErrors::check(errors, config)
}

fn check_rules(config: &Config, list: ValuePointerRef<'_>, errors: &mut Option<ConfigErrors>) {
    let mut ended_by: Option<usize> = None;
    for (index, rule) in config.rules.iter().enumerate() {
        let at = list.push_index(index);
        if let Some(name) = &rule.requirement_name.0
            && !config.requirement_map.iter().any(|(own, _)| own == name)
        {
            let names = config.requirement_map.iter().map(|(own, _)| own.as_str());
            let at = at.push_key("requirement_name");
            let name = name.as_str();
            ConfigErrors::add(
                errors,
                unknown("requirement", "requirement_map", name, names, at),
            );
        }
        if let (Some(field), true) = (rule.demands().first(), rule.lets_in_without_tokens(config)) {
            let problem = Problem::new("the rule lets in requests without a verified token").help(
                "it would not go for them: have a provider's tokens required, or demand this of a provider, where it goes for all of its tokens",
            );
            ConfigErrors::add(errors, ConfigErrors::at(at.push_key(field), problem));
        }
        if let Some(earlier) = ended_by {
            let problem = Problem::new("the rule is never reached").help(format!(
                "rules[{earlier}] takes every request, and the first rule that matches decides"
            ));
            ConfigErrors::add(errors, ConfigErrors::at(at, problem));
        } else if rule.matcher.is_unconditional() {
            ended_by = Some(index);
        }
    }
}

/// A header that a token comes in cannot be one that every request is stripped of.
fn check_headers(config: &Config, at: ValuePointerRef<'_>, errors: &mut Option<ConfigErrors>) {
    for (name, provider) in &config.providers {
        let at = at.push_key(name.as_str());
        let mut check = |header: &TrustedHeader, at: ValuePointerRef<'_>| {
            let reader = config.providers.iter().find(|(_, other)| {
                let mut from = other.header_locations();
                from.any(|(name, _)| header.is_also(name.as_str()))
            });
            if let Some((reader, _)) = reader {
                let problem = Problem::new(format!(
                    "provider `{}` takes tokens from this header",
                    reader.as_str()
                ))
                .help("what is set for upstreams is stripped from every request that comes in: take another name");
                ConfigErrors::add(errors, ConfigErrors::at(at, problem));
            }
        };
        if let Some(header) = &provider.forward_payload_header.0 {
            check(header, at.push_key("forward_payload_header"));
        }
        let list = at.push_key("claim_to_headers");
        for (index, claim) in provider.claim_to_headers.iter().enumerate() {
            let at = list.push_index(index);
            check(&claim.header_name, at.push_key("header_name"));
        }
    }
}

fn unknown<'a>(
    what: &str,
    list: &str,
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    at: ValuePointerRef<'_>,
) -> ConfigErrors {
    let problem = Problem::new(format!("there is no {what} `{name}`"));
    let known = names.clone().collect::<Vec<_>>().join(", ");
    let problem = match suggest(name, names) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None if known.is_empty() => problem.help(format!("define it under `{list}`")),
        None => problem.help(format!("`{list}` has {known}")),
    };
    ConfigErrors::at(at, problem)
}
