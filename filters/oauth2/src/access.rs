//! Whether who is signed in may come in.

use legation_jose::claim_path::ClaimPath;
use legation_jose::claims_rules::RequiredClaim;
use serde_json::{Map, Value};

use crate::config::{self, Email, EmailDomain};

/// What is demanded.
#[derive(Debug)]
pub(crate) struct Access {
    groups: Box<[Box<str>]>,
    groups_claim: ClaimPath,
    emails: Box<[Email]>,
    email_domains: Box<[EmailDomain]>,
    claims: Box<[RequiredClaim]>,
}

/// Why who is signed in may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// They are in none of the groups.
    Group,
    /// They have none of the addresses, or none at all.
    Email,
    /// Their provider says that it does not know whether the address is theirs.
    EmailNotVerified,
    /// They lack a claim.
    Claim,
}

impl Denied {
    /// A word for counters and log lines.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Email => "email",
            Self::EmailNotVerified => "email_not_verified",
            Self::Claim => "claim",
        }
    }
}

const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";

impl Access {
    pub(crate) fn new(demands: &config::Demands, groups_claim: &ClaimPath) -> Self {
        let groups = demands.allowed_groups.iter();
        Self {
            groups: groups.map(|group| group.as_str().into()).collect(),
            groups_claim: groups_claim.clone(),
            emails: demands.allowed_emails.to_vec().into(),
            email_domains: demands.allowed_email_domains.to_vec().into(),
            claims: demands.required_claims.to_vec().into(),
        }
    }

    /// Whether nothing is demanded.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
            && self.emails.is_empty()
            && self.email_domains.is_empty()
            && self.claims.is_empty()
    }

    /// Whether these claims are enough.
    pub(crate) fn check(&self, claims: &Map<String, Value>) -> Result<(), Denied> {
        self.check_groups(claims)?;
        self.check_email(claims)?;
        for claim in &self.claims {
            claim.check(claims).map_err(|_| Denied::Claim)?;
        }
        Ok(())
    }

    /// The claims that are looked at.
    pub(crate) fn looks_at(&self) -> Vec<ClaimPath> {
        let groups = (!self.groups.is_empty()).then(|| self.groups_claim.clone());
        let has_emails = !self.emails.is_empty() || !self.email_domains.is_empty();
        let emails = has_emails.then(|| [EMAIL, EMAIL_VERIFIED].map(ClaimPath::named));
        let claims = self.claims.iter().map(|claim| claim.path().clone());
        groups
            .into_iter()
            .chain(emails.into_iter().flatten())
            .chain(claims)
            .collect()
    }

    /// A claim with groups is a list of them, or one: exactly as they are written.
    fn check_groups(&self, claims: &Map<String, Value>) -> Result<(), Denied> {
        let is_allowed = |group: &Value| {
            let group = group.as_str();
            group.is_some_and(|group| self.groups.iter().any(|own| **own == *group))
        };
        let is_in = match self.groups_claim.find(claims) {
            Some(Value::Array(groups)) => groups.iter().any(is_allowed),
            Some(group) => is_allowed(group),
            None => false,
        };
        if self.groups.is_empty() || is_in {
            Ok(())
        } else {
            Err(Denied::Group)
        }
    }

    fn check_email(&self, claims: &Map<String, Value>) -> Result<(), Denied> {
        if self.emails.is_empty() && self.email_domains.is_empty() {
            return Ok(());
        }
        let email = claims.get(EMAIL).and_then(Value::as_str);
        let email = email.and_then(Email::read).ok_or(Denied::Email)?;
        let is_allowed = self.emails.contains(&email)
            || self
                .email_domains
                .iter()
                .any(|domain| domain.takes(&email.domain));
        // OpenID Connect Core 1.0, section 5.1; some providers write it as a text, and
        // some do not say.
        let is_verified = match claims.get(EMAIL_VERIFIED) {
            None | Some(Value::Bool(true)) => true,
            Some(Value::String(text)) => text == "true",
            Some(_) => false,
        };
        match (is_allowed, is_verified) {
            (true, true) => Ok(()),
            (true, false) => Err(Denied::EmailNotVerified),
            (false, _) => Err(Denied::Email),
        }
    }
}

#[cfg(test)]
mod tests;
