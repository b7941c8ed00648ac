//! A provider at work: whether it accepts a token.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use legation_jose::{Algorithms, Claims, KeySet, Limits, Token, Validation};

use crate::accepted::Accepted;
use crate::cache::{Fingerprint, TokenCache};
use crate::config;
use crate::outputs::{Outputs, Source};
use crate::refusal::Reason;

/// An issuer of tokens.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: Box<str>,
    pub(crate) forward: bool,
    pub(crate) clear_route_cache: bool,
    /// Where the reason is left for which none of its tokens was accepted.
    pub(crate) failed_state: Option<Box<str>>,
    validation: Validation,
    audiences: Box<[Box<str>]>,
    algorithms: Algorithms,
    limits: Limits,
    keys: Keys,
    outputs: Outputs,
    /// Whether rules look at claims, so that they are remembered.
    keeps_claims: bool,
    cache: RefCell<TokenCache>,
}

/// Where its keys come from.
#[derive(Debug)]
enum Keys {
    None,
    Local(Rc<KeySet>),
}

/// What a provider says of a token.
pub(crate) enum Verdict {
    Accepted(Rc<Accepted>),
    Refused(Reason),
    /// It has no keys yet.
    NeedsKeys,
    /// None of its keys has the token's id.
    NeedsNewerKeys {
        generation: u64,
    },
}

impl Provider {
    pub(crate) fn new(name: &str, config: &config::Provider, keeps_claims: bool) -> Self {
        let keys = match &config.local_jwks.0 {
            Some(local) => Keys::Local(Rc::clone(&local.keys)),
            None => Keys::None,
        };
        let algorithms = config.allowed_algorithms();
        Self {
            name: name.into(),
            forward: config.forward,
            clear_route_cache: config.clear_route_cache,
            failed_state: (config.failed_status_in_filter_state.0.as_ref())
                .map(|name| name.as_str().into()),
            validation: Validation {
                issuer: config
                    .issuer
                    .0
                    .as_ref()
                    .map(|text| text.as_str().to_owned()),
                audiences: Vec::new(),
                subjects: config.subjects.0.clone(),
                require_expiration: config.require_expiration,
                max_lifetime: config.max_lifetime.0.map(|longest| longest.get()),
                clock_skew: config.clock_skew(),
            },
            audiences: config
                .audiences
                .iter()
                .map(|text| text.as_str().into())
                .collect(),
            // Local keys may be secrets; what fits a key is the key's to say.
            algorithms: algorithms.unwrap_or(Algorithms::ALL),
            limits: Limits::default(),
            outputs: Outputs::new(config),
            cache: RefCell::new(TokenCache::new(
                config.jwt_cache_config.size(),
                config.jwt_cache_config.max_token_size(),
            )),
            keys,
            keeps_claims,
        }
    }

    /// The issuer of its tokens; any, where it is not given.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.validation.issuer.as_deref()
    }

    /// The longest token that is read, and how deep.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether it remembers tokens.
    pub(crate) fn remembers(&self) -> bool {
        self.cache.try_borrow().is_ok_and(|cache| cache.is_on())
    }

    /// A token that it has accepted before, by the keys it has.
    pub(crate) fn remembered(&self, token: Fingerprint) -> Option<Rc<Accepted>> {
        let generation = self.generation();
        let mut cache = self.cache.try_borrow_mut().ok()?;
        cache.get(token, generation).map(Rc::clone)
    }

    /// The same, without its being used.
    pub(crate) fn known(&self, token: Fingerprint) -> Option<Rc<Accepted>> {
        let cache = self.cache.try_borrow().ok()?;
        cache.peek(token, self.generation()).map(Rc::clone)
    }

    /// Whether a token that it has accepted before is accepted still. `now` is
    /// asked only where the last tick does not tell.
    pub(crate) fn recheck<E>(
        &self,
        accepted: &Accepted,
        audiences: Option<&[Box<str>]>,
        tick: SystemTime,
        now: impl FnOnce() -> Result<SystemTime, E>,
    ) -> Result<Result<(), Reason>, E> {
        if !accepted.is_surely_in_time(&self.validation, tick)
            && let Err(error) = accepted.check_time(&self.validation, now()?)
        {
            return Ok(Err(error.into()));
        }
        Ok(self.check_audience(accepted, audiences))
    }

    fn check_audience(
        &self,
        accepted: &Accepted,
        audiences: Option<&[Box<str>]>,
    ) -> Result<(), Reason> {
        if accepted.is_for(audiences.unwrap_or(&self.audiences)) {
            return Ok(());
        }
        Err(Reason::Claim(legation_jose::ClaimError::Audience))
    }

    /// Whether it accepts a token that it has not seen, in Envoy's order: what
    /// needs no signature first.
    pub(crate) fn verify(
        &self,
        token: &Token<'_>,
        audiences: Option<&[Box<str>]>,
        now: SystemTime,
    ) -> Verdict {
        let claims = token.claims();
        if let Err(reason) = self.check_claims(claims, audiences, now) {
            return Verdict::Refused(reason);
        }
        let Some(keys) = self.current_keys() else {
            return Verdict::NeedsKeys;
        };
        match keys.verify(token, self.algorithms) {
            Ok(()) => Verdict::Accepted(Rc::new(self.accept(&Source::of(token)))),
            Err(error) => Verdict::Refused(error.into()),
        }
    }

    fn check_claims(
        &self,
        claims: &Claims,
        audiences: Option<&[Box<str>]>,
        now: SystemTime,
    ) -> Result<(), Reason> {
        let validation = &self.validation;
        validation.check_issuer(claims)?;
        validation.check_time(claims.not_before(), claims.expires_at(), now)?;
        let audiences = audiences.unwrap_or(&self.audiences);
        let is_allowed = |audience: &str| audiences.iter().any(|allowed| **allowed == *audience);
        if !audiences.is_empty() && !claims.audiences().any(is_allowed) {
            return Err(Reason::Claim(legation_jose::ClaimError::Audience));
        }
        Ok(validation.check_subject(claims)?)
    }

    /// What a token says, whether or not it is true.
    pub(crate) fn accept(&self, source: &Source<'_>) -> Accepted {
        let claims = source.claims;
        Accepted {
            issuer: claims.issuer().map(Into::into),
            audiences: claims.audiences().map(Into::into).collect(),
            not_before: claims.not_before(),
            expires_at: claims.expires_at(),
            headers: self.outputs.headers(source),
            states: self.outputs.states(source),
            claims: self.keeps_claims.then(|| claims.clone()),
        }
    }

    /// Remembers a token of this length that was accepted.
    pub(crate) fn remember(&self, token: Fingerprint, length: usize, accepted: &Rc<Accepted>) {
        let generation = self.generation();
        if let Ok(mut cache) = self.cache.try_borrow_mut() {
            cache.insert(token, length, accepted, generation);
        }
    }

    /// Forgets a token that is accepted no more.
    pub(crate) fn forget(&self, token: Fingerprint) {
        if let Ok(mut cache) = self.cache.try_borrow_mut() {
            cache.remove(token);
        }
    }

    fn current_keys(&self) -> Option<Rc<KeySet>> {
        match &self.keys {
            Keys::None => None,
            Keys::Local(keys) => Some(Rc::clone(keys)),
        }
    }

    fn generation(&self) -> u64 {
        match &self.keys {
            Keys::None | Keys::Local(_) => 0,
        }
    }
}
