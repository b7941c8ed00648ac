//! Who may come in.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, NonEmpty, Problem, Schema, Text, string};
use legation::matcher::Matcher;
use legation_jose::claim_path::ClaimPath;
use legation_jose::claims_rules::RequiredClaim;

use super::place::is_domain;

/// A rule: which requests, and what is demanded of who makes them.
#[derive(Debug, Schema)]
#[schema(as = Written)]
pub struct Rule {
    /// Which requests it is for: all, unless given.
    pub matcher: Matcher,
    /// Whether they need no session.
    pub disabled: bool,
    /// What is demanded, beside what is demanded of all.
    pub demands: Demands,
}

/// What is demanded of who is signed in: each of these that is given.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// The groups of which they are in one.
    pub allowed_groups: NonEmpty<Text>,
    /// Those who may come in by their addresses, beside those of
    /// `allowed_email_domains`.
    pub allowed_emails: NonEmpty<Email>,
    /// Those who may by the domains of their addresses.
    pub allowed_email_domains: NonEmpty<EmailDomain>,
    /// Claims that they must have.
    pub required_claims: NonEmpty<RequiredClaim>,
}

impl Demands {
    /// The fields by which something is demanded.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        [
            ("allowed_groups", !self.allowed_groups.is_empty()),
            ("allowed_emails", !self.allowed_emails.is_empty()),
            (
                "allowed_email_domains",
                !self.allowed_email_domains.is_empty(),
            ),
            ("required_claims", !self.required_claims.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
    }
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "A rule")]
struct Written {
    #[deserr(default, rename = "match")]
    matcher: Matcher,
    #[deserr(default)]
    disabled: bool,
    #[deserr(default)]
    allowed_groups: NonEmpty<Text>,
    #[deserr(default)]
    allowed_emails: NonEmpty<Email>,
    #[deserr(default)]
    allowed_email_domains: NonEmpty<EmailDomain>,
    #[deserr(default)]
    required_claims: NonEmpty<RequiredClaim>,
}

impl Deserr<ConfigErrors> for Rule {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        at: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let written = Written::deserialize_from_value(value, at)?;
        let rule = Self {
            matcher: written.matcher,
            disabled: written.disabled,
            demands: Demands {
                allowed_groups: written.allowed_groups,
                allowed_emails: written.allowed_emails,
                allowed_email_domains: written.allowed_email_domains,
                required_claims: written.required_claims,
            },
        };
        let mut errors = None;
        for field in rule.demands.given().filter(|_| rule.disabled) {
            let problem = Problem::new("the rule is `disabled`, and demands something").help(
                "leave `disabled` out, or this: a rule with `disabled: true` lets everybody in",
            );
            ConfigErrors::add(&mut errors, ConfigErrors::at(at.push_key(field), problem));
        }
        ConfigErrors::check(errors, rule)
    }
}

/// The claim that has the groups, unless given.
pub(super) fn groups_claim() -> ClaimPath {
    ClaimPath::named("groups")
}

/// One of `allowed_emails`: an address.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": r"^[^@\\s]+@[A-Za-z0-9._-]+$", "maxLength": LONGEST_EMAIL })]
pub struct Email {
    /// What stands before the `@`.
    pub local: Box<str>,
    /// What stands behind it, in lower case.
    pub domain: Box<str>,
}

impl Email {
    /// An address in its plain form (RFC 5321, section 4.1.2): nothing in quotes, no
    /// address in brackets. What has two `@` is read differently by different readers.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (local, domain) = text.split_once('@')?;
        let is_plain = |char: char| {
            !char.is_control() && !char.is_whitespace() && !"\"(),:;<>@[\\]".contains(char)
        };
        let is_address = !local.is_empty()
            && text.len() <= LONGEST_EMAIL
            && local.chars().all(is_plain)
            && is_domain(domain);
        is_address.then(|| Self {
            local: local.into(),
            domain: domain.to_ascii_lowercase().into(),
        })
    }
}

/// RFC 5321, section 4.5.3.1.3, without the brackets around it.
const LONGEST_EMAIL: usize = 254;

impl Deserr<ConfigErrors> for Email {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "an e-mail address")?;
        Self::read(&text).ok_or_else(|| {
            let problem = Problem::new(format!("{text:?} is not an e-mail address"));
            let help =
                "such as `ann@example.com`; whole domains belong into `allowed_email_domains`";
            ConfigErrors::at(location, problem.help(help))
        })
    }
}

/// One of `allowed_email_domains`: a domain, `example.com`, or all below one,
/// `.example.com` or `*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": r"^(\*?\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$" })]
pub struct EmailDomain {
    /// In lower case, without what stands before it.
    domain: Box<str>,
    is_below: bool,
}

impl EmailDomain {
    /// Whether it takes a domain in lower case.
    pub(crate) fn takes(&self, domain: &str) -> bool {
        if !self.is_below {
            return *self.domain == *domain;
        }
        let before = domain.strip_suffix(&*self.domain);
        before.is_some_and(|before| before.ends_with('.'))
    }
}

impl Deserr<ConfigErrors> for EmailDomain {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a domain, such as \"example.com\"")?;
        let problem = |problem: &str, help: &str| {
            Err(ConfigErrors::at(location, Problem::new(problem).help(help)))
        };
        if text == "*" {
            return problem(
                "this would let everybody in",
                "leave the list out: whoever the provider signs in comes in then",
            );
        }
        let below = text.strip_prefix("*.").or(text.strip_prefix('.'));
        let domain = below.unwrap_or(&text);
        if text.contains('@') {
            return problem(
                "expected a domain, got an address",
                "such as `example.com`; single addresses belong into `allowed_emails`",
            );
        }
        if !is_domain(domain) || !domain.contains('.') {
            return problem(
                "not a domain",
                "such as `example.com`, or `.example.com` for all below it",
            );
        }
        Ok(Self {
            domain: domain.to_ascii_lowercase().into(),
            is_below: below.is_some(),
        })
    }
}
