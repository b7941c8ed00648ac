//! A provider at work: whether it accepts a token.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use deserr::ValuePointerRef;
use legation::Configure;
use legation::config::{BoundedDuration, ConfigErrors};
use legation::fingerprint::Fingerprint;
use legation_jose::claims_rules::{Insufficient, Profile};
use legation_jose::confirmation::{
    Binding, CertificateConfig, CertificateSource, Confirmation, Digest,
};
use legation_jose::dpop::{Dpop, Scheme, Shown};
use legation_jose::introspection::{Introspected, Introspection};
use legation_jose::keys::KeySource;
use legation_jose::{Algorithms, ClaimError, KeySet, Limits, Token, Validation, VerifyError};

use crate::accepted::{Accepted, is_for};
use crate::cache::TokenCache;
use crate::config;
use crate::demands::Demands;
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
    pub(crate) demands: Demands,
    pub(crate) dpop: Dpop,
    certificates: CertificateConfig,
    profile: Option<Profile>,
    validation: Validation,
    audiences: Box<[Box<str>]>,
    algorithms: Algorithms,
    limits: Limits,
    keys: Keys,
    outputs: Outputs,
    /// Whether claims are looked at again, so that they are remembered.
    keeps_claims: bool,
    cache: RefCell<TokenCache>,
}

/// Where its keys come from.
#[derive(Debug)]
enum Keys {
    None,
    Local(Rc<KeySet>),
    Fetched(KeySource),
    /// None: its tokens are asked about.
    Introspected(Introspection),
}

/// What a provider says of a token.
pub(crate) enum Verdict {
    Accepted(Rc<Accepted>),
    Refused(Reason),
    /// It has no keys yet.
    NeedsKeys,
    /// None of its keys is the token's.
    NeedsNewerKeys {
        generation: u64,
    },
}

impl Provider {
    /// As configured. `keeps_claims`: rules look at its tokens' claims.
    pub(crate) fn new(
        name: &str,
        config: &config::Provider,
        prefix: &str,
        keeps_claims: bool,
        at: ValuePointerRef<'_>,
        host: &mut Configure,
    ) -> Result<Self, ConfigErrors> {
        let demands = Demands::new(
            &config.required_scopes,
            &config.required_claims,
            &config.required_authentication,
        );
        Ok(Self {
            name: name.into(),
            forward: config.forward,
            clear_route_cache: config.clear_route_cache,
            failed_state: (config.failed_status_in_filter_state.0.as_ref())
                .map(|name| name.as_str().into()),
            dpop: Dpop::new(&config.dpop, &format!("{prefix}.{name}"))?,
            certificates: config.certificate_bound,
            profile: config.profile.0,
            validation: Validation {
                issuer: config
                    .issuer
                    .0
                    .as_ref()
                    .map(|text| text.as_str().to_owned()),
                audiences: Vec::new(),
                subjects: config.subjects.0.clone(),
                require_expiration: config.require_expiration,
                max_lifetime: config.max_lifetime.0.map(BoundedDuration::get),
                clock_skew: config.clock_skew(),
            },
            audiences: (config.audiences.iter().map(|text| text.as_str().into())).collect(),
            // Secrets stand in the configuration or nowhere: keys that are fetched
            // are public, and what fits a key is the key's to say.
            algorithms: config.allowed_algorithms().unwrap_or(Algorithms::ALL),
            limits: Limits::default(),
            keys: Keys::new(name, config, at, host)?,
            outputs: Outputs::new(config),
            keeps_claims: keeps_claims || demands.depend_on_time(),
            cache: RefCell::new(TokenCache::new(
                config.jwt_cache_config.size(),
                config.jwt_cache_config.max_token_size(),
            )),
            demands,
        })
    }

    /// The issuer of its tokens; any, where it is not given.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.validation.issuer.as_deref()
    }

    /// The longest token that is read, and how deep.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Its keys, where they are fetched.
    pub(crate) fn key_source(&self) -> Option<&KeySource> {
        match &self.keys {
            Keys::Fetched(source) => Some(source),
            Keys::None | Keys::Local(_) | Keys::Introspected(_) => None,
        }
    }

    /// Whether its issuer is asked about its tokens.
    pub(crate) fn introspects(&self) -> bool {
        matches!(self.keys, Keys::Introspected(_))
    }

    /// What is known of a token that was asked about, if it is.
    pub(crate) fn introspected(&self, token: &[u8]) -> Option<Result<Rc<Accepted>, Reason>> {
        let Keys::Introspected(introspection) = &self.keys else {
            return None;
        };
        let known = introspection.known(token)?;
        Some(self.accept_introspected(&known))
    }

    /// Asks about a token.
    pub(crate) async fn introspect(&self, token: &[u8]) -> Result<Rc<Accepted>, Reason> {
        let Keys::Introspected(introspection) = &self.keys else {
            return Err(Reason::NoKeys);
        };
        match introspection.introspect(token).await {
            Ok(introspected) => self.accept_introspected(&introspected),
            Err(_) => Err(Reason::NotIntrospected),
        }
    }

    /// Time and audience are looked at again whenever it is used.
    fn accept_introspected(&self, introspected: &Introspected) -> Result<Rc<Accepted>, Reason> {
        let Introspected::Active(claims) = introspected else {
            return Err(Reason::Inactive);
        };
        // RFC 7662 lets the answer leave out who gives it.
        if claims.issuer().is_some() {
            self.validation.check_issuer(claims)?;
        }
        self.validation.check_subject(claims)?;
        let source = Source {
            claims,
            payload: None,
            header: None,
        };
        let lacks = self.demands.check_claims(claims).err();
        let accepted = self.accept(&source)?;
        Ok(Rc::new(Accepted { lacks, ..accepted }))
    }

    /// Whether it remembers tokens.
    pub(crate) fn remembers(&self) -> bool {
        self.cache.try_borrow().is_ok_and(|cache| cache.is_on())
    }

    /// A token that it has accepted before, by the keys it has.
    pub(crate) fn remembered(&self, token: Fingerprint) -> Option<Rc<Accepted>> {
        let generation = self.keys.generation();
        let mut cache = self.cache.try_borrow_mut().ok()?;
        cache.get(token, generation).map(Rc::clone)
    }

    /// The same, without its being used.
    pub(crate) fn known(&self, token: Fingerprint) -> Option<Rc<Accepted>> {
        let cache = self.cache.try_borrow().ok()?;
        cache.peek(token, self.keys.generation()).map(Rc::clone)
    }

    /// Remembers a token of this length that was accepted.
    pub(crate) fn remember(&self, token: Fingerprint, length: usize, accepted: &Rc<Accepted>) {
        let generation = self.keys.generation();
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

    /// Whether a token that it has accepted before is accepted still. `now` is
    /// asked only where the last tick does not tell.
    pub(crate) fn recheck<E>(
        &self,
        accepted: &Accepted,
        audiences: Option<&[Box<str>]>,
        tick: Option<SystemTime>,
        now: impl Fn() -> Result<SystemTime, E>,
    ) -> Result<Result<(), Reason>, E> {
        let in_time = |tick| accepted.is_surely_in_time(&self.validation, tick);
        if !tick.is_some_and(in_time)
            && let Err(error) = accepted.check_time(&self.validation, now()?)
        {
            return Ok(Err(error.into()));
        }
        if !accepted.is_for(audiences.unwrap_or(&self.audiences)) {
            return Ok(Err(Reason::Claim(ClaimError::Audience)));
        }
        if self.demands.depend_on_time() {
            return Ok(self.check_demands(accepted, now()?));
        }
        Ok(accepted.lacks.map_or(Ok(()), |lacks| Err(lacks.into())))
    }

    /// Whether a token says what is demanded beyond its being good.
    pub(crate) fn check_demands(&self, accepted: &Accepted, now: SystemTime) -> Result<(), Reason> {
        if let Some(lacks) = accepted.lacks {
            return Err(lacks.into());
        }
        match (&accepted.claims, self.demands.depend_on_time()) {
            (_, false) => Ok(()),
            (Some(claims), true) => Ok(self.demands.check_time(claims, now)?),
            // They are remembered where they are looked at again.
            (None, true) => Err(Reason::Lacks(Insufficient::Authentication)),
        }
    }

    /// Whether it accepts a token that it has not seen, in Envoy's order: what
    /// needs no signature first.
    pub(crate) fn verify(
        &self,
        token: &Token<'_>,
        audiences: Option<&[Box<str>]>,
        now: SystemTime,
        has_newer_keys: bool,
    ) -> Verdict {
        if let Err(reason) = self.check_claims(token, audiences, now) {
            return Verdict::Refused(reason);
        }
        let Some(keys) = self.keys.current() else {
            return match &self.keys {
                Keys::Fetched(_) => Verdict::NeedsKeys,
                _ => Verdict::Refused(Reason::NoKeys),
            };
        };
        let error = match keys.verify(token, self.algorithms) {
            Ok(()) => {
                let accepted = self.accept(&Source::of(token));
                let accepted = accepted.map(|accepted| Accepted {
                    lacks: self.demands.check_claims(token.claims()).err(),
                    ..accepted
                });
                return match accepted {
                    Ok(accepted) => Verdict::Accepted(Rc::new(accepted)),
                    Err(reason) => Verdict::Refused(reason),
                };
            }
            Err(error) => error,
        };
        // A token without a key's id does not tell whether its key is a new one.
        let is_of_other_keys = match &error {
            VerifyError::UnknownKey => true,
            VerifyError::KeyMismatch | VerifyError::BadSignature => token.key_id().is_none(),
            _ => false,
        };
        match &self.keys {
            Keys::Fetched(source) if is_of_other_keys && !has_newer_keys => {
                Verdict::NeedsNewerKeys {
                    generation: source.generation(),
                }
            }
            _ => Verdict::Refused(error.into()),
        }
    }

    fn check_claims(
        &self,
        token: &Token<'_>,
        audiences: Option<&[Box<str>]>,
        now: SystemTime,
    ) -> Result<(), Reason> {
        let claims = token.claims();
        let validation = &self.validation;
        validation.check_issuer(claims)?;
        validation.check_time(claims.not_before(), claims.expires_at(), now)?;
        if !is_for(claims.audiences(), audiences.unwrap_or(&self.audiences)) {
            return Err(Reason::Claim(ClaimError::Audience));
        }
        validation.check_subject(claims)?;
        if let Some(profile) = self.profile {
            profile.check(token.typ(), claims.as_map())?;
        }
        Ok(())
    }

    /// What a token says, whether or not it is true.
    pub(crate) fn accept(&self, source: &Source<'_>) -> Result<Accepted, Reason> {
        let claims = source.claims;
        Ok(Accepted {
            issuer: claims.issuer().map(Into::into),
            audiences: claims.audiences().map(Into::into).collect(),
            not_before: claims.not_before(),
            expires_at: claims.expires_at(),
            headers: self.outputs.headers(source),
            states: self.outputs.states(source),
            confirmation: Confirmation::read(claims.get("cnf"))?,
            lacks: None,
            claims: self.keeps_claims.then(|| claims.clone()),
        })
    }

    /// Whether whoever sends a token that is bound so, and in this way, may.
    pub(crate) fn is_anybodys(&self, confirmation: &Confirmation, scheme: Scheme) -> bool {
        let is_asked = |mode: Binding| mode == Binding::Required;
        !confirmation.is_bound()
            && scheme != Scheme::Dpop
            && !is_asked(self.dpop.mode())
            && !is_asked(self.certificates.mode)
    }

    pub(crate) fn needs_certificate(&self, confirmation: &Confirmation) -> bool {
        confirmation.needs_certificate(self.certificates.mode)
    }

    pub(crate) fn certificate_source(&self) -> CertificateSource {
        self.certificates.source
    }

    /// Whether a token comes from whom it is bound to. A signature and two host
    /// calls where it is a key.
    pub(crate) fn prove(
        &self,
        confirmation: &Confirmation,
        scheme: Scheme,
        token: &[u8],
        shown: &Shown<'_>,
        certificate: Option<Digest>,
        now: SystemTime,
    ) -> Result<(), Reason> {
        confirmation.check_known(self.dpop.mode(), self.certificates.mode)?;
        confirmation.check_certificate(self.certificates.mode, certificate)?;
        if self.dpop.needs_proof(scheme, confirmation)? {
            let accepted = self.dpop.check(token, confirmation, shown, now)?;
            if accepted.displaced {
                log::warn!(provider:% = self.name; "more DPoP proofs than `dpop.replay_cache_size` has room for");
            }
        }
        Ok(())
    }
}

impl Keys {
    fn new(
        name: &str,
        config: &config::Provider,
        at: ValuePointerRef<'_>,
        host: &mut Configure,
    ) -> Result<Self, ConfigErrors> {
        if let Some(local) = &config.local_jwks.0 {
            for skipped in local.keys.skipped() {
                log::warn!(provider = name, key:% = skipped; "a key of local_jwks is not used");
            }
            return Ok(Self::Local(Rc::clone(&local.keys)));
        }
        if let Some(remote) = &config.remote_jwks.0 {
            return Ok(Self::Fetched(KeySource::remote(name, remote, host)));
        }
        if let Some(introspection) = &config.introspection.0 {
            return match Introspection::new(name, introspection, host) {
                Ok(introspection) => Ok(Self::Introspected(introspection)),
                Err(error) => {
                    let at = at.push_key("introspection");
                    Err(ConfigErrors::at(at, error.to_string()))
                }
            };
        }
        let (Some(metadata), Some(issuer)) = (&config.openid_configuration.0, &config.issuer.0)
        else {
            return Ok(Self::None);
        };
        match KeySource::discovered(name, issuer.as_str(), metadata, host) {
            Ok(source) => Ok(Self::Fetched(source)),
            Err(problem) => {
                let at = at.push_key("openid_configuration");
                Err(ConfigErrors::at(at.push_key("uri"), problem))
            }
        }
    }

    fn current(&self) -> Option<Rc<KeySet>> {
        match self {
            Self::None | Self::Introspected(_) => None,
            Self::Local(keys) => Some(Rc::clone(keys)),
            Self::Fetched(source) => source.current(),
        }
    }

    fn generation(&self) -> u64 {
        match self {
            Self::None | Self::Local(_) | Self::Introspected(_) => 0,
            Self::Fetched(source) => source.generation(),
        }
    }
}
