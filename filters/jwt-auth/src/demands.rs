//! What a token that is good must say besides, and whether it does.

use std::time::SystemTime;

use legation::config::{Given, NonEmpty};
use legation_jose::Claims;
use legation_jose::claims_rules::{
    Insufficient, RequiredAuthentication, RequiredClaim, RequiredScopes,
};

/// What a provider or a rule demands of good tokens.
#[derive(Debug, Default)]
pub(crate) struct Demands {
    scopes: Option<RequiredScopes>,
    claims: Box<[RequiredClaim]>,
    authentication: Option<RequiredAuthentication>,
}

impl Demands {
    pub(crate) fn new(
        scopes: &Given<RequiredScopes>,
        claims: &NonEmpty<RequiredClaim>,
        authentication: &Given<RequiredAuthentication>,
    ) -> Self {
        Self {
            scopes: scopes.0.clone(),
            claims: claims.iter().cloned().collect(),
            authentication: authentication.0.clone(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scopes.is_none() && self.claims.is_empty() && self.authentication.is_none()
    }

    /// Whether a token that has met them once may not meet them later.
    pub(crate) fn depend_on_time(&self) -> bool {
        self.authentication.is_some()
    }

    /// Whether a token meets them at this time.
    pub(crate) fn check(&self, claims: &Claims, now: SystemTime) -> Result<(), Insufficient> {
        self.check_claims(claims)?;
        self.check_time(claims, now)
    }

    /// Whether a token meets what it meets at any time or never.
    pub(crate) fn check_claims(&self, claims: &Claims) -> Result<(), Insufficient> {
        let claims = claims.as_map();
        if let Some(scopes) = &self.scopes {
            scopes.check(claims)?;
        }
        let mut demanded = self.claims.iter();
        demanded.try_for_each(|claim| claim.check(claims))
    }

    /// Whether a token meets the rest.
    pub(crate) fn check_time(&self, claims: &Claims, now: SystemTime) -> Result<(), Insufficient> {
        match &self.authentication {
            Some(authentication) => authentication.check(claims.as_map(), now),
            None => Ok(()),
        }
    }

    /// The scopes, for a challenge.
    pub(crate) fn scope(&self) -> String {
        self.scopes
            .as_ref()
            .map_or_else(String::new, RequiredScopes::to_challenge)
    }

    /// How and when to sign in, for a challenge.
    pub(crate) fn authentication(&self) -> Option<&RequiredAuthentication> {
        self.authentication.as_ref()
    }
}
