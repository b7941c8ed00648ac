//! Tokens that say nothing themselves: their issuer is asked (RFC 7662).
//!
//! An [`Introspection`] asks an endpoint whether a token is active, and what it
//! claims. The answer is a set of [`Claims`], so that an opaque token is checked as a
//! JSON Web Token is, but for its signature.
//!
//! - Answers are kept by a hash of the token, with a key of the VM's own
//!   (SipHash-2-4 of 128 bits); the token itself is not kept. An active one is asked
//!   about again after `cache.ttl`, and not used after its `exp`. Inactive ones are
//!   kept apart: who makes up tokens drives no good one out.
//! - Who asks for a token that is being asked about waits for the same answer.
//! - `active` must be `true`, and the answer a JSON object in which no member stands
//!   twice. Anything else is an error, and never an active token. Answers that are
//!   JSON Web Tokens (RFC 9701) are not read.
//! - An endpoint that does not answer is an [`IntrospectionError`], which a filter must
//!   not take for an inactive token, nor for an active one.
//!
//! # Statistics
//!
//! With the tag `provider`:
//!
//! | name | |
//! |---|---|
//! | `introspection.asked` | questions to the endpoint |
//! | `introspection.active` | answers that the token is active |
//! | `introspection.inactive` | answers that it is not |
//! | `introspection.failures` | questions that were not answered, by `reason` |
//!
//! `reason` is `not_sent`, `timeout`, `reset`, `circuit_open`, `status`,
//! `unauthorized` (the endpoint does not take the module's own credentials) or
//! `answer`. Beside them stand those of the
//! [`HttpService`].

mod config;

use std::cell::RefCell;
use std::fmt;
use std::hash::Hasher;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use legation::callout::{CalloutError, TraceContext};
use legation::metrics::Counter;
use legation::resilience::{
    Cache, FetchCache, FetchSettings, Fetched, HttpService, Life, Lookup, Repeat,
};
use legation::{Configure, Result as HostResult, clock, random};
use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher24};

pub use config::{Authentication, IntrospectionConfig};

use crate::form::Form;
use crate::{Claims, Limits};
use config::{Keeping, Words};

/// What is known of a token.
#[derive(Debug)]
pub enum Introspected {
    /// It is active, and claims this. Its time, issuer, audience and so on have not been
    /// checked.
    Active(Claims),
    /// It is not: unknown, expired, revoked, or not for whoever asks. Nobody says
    /// which.
    Inactive,
}

/// Why nothing is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntrospectionError {
    /// There was no answer.
    #[error("the introspection endpoint was not reached: {0}")]
    Unavailable(CalloutError),
    /// It does not take the module's credentials, by this status.
    #[error("the introspection endpoint refuses the module's credentials with status {0}")]
    Unauthorized(u16),
    /// It answered by another status than 200.
    #[error("the introspection endpoint answered with status {0}")]
    Status(u16),
    /// Its answer is none.
    #[error("the introspection endpoint's answer is refused: {0}")]
    Answer(String),
}

impl From<CalloutError> for IntrospectionError {
    fn from(error: CalloutError) -> Self {
        Self::Unavailable(error)
    }
}

impl IntrospectionError {
    const REASONS: [&str; 7] = [
        "not_sent",
        "timeout",
        "reset",
        "circuit_open",
        "status",
        "unauthorized",
        "answer",
    ];

    /// A word for it, as in the statistics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(CalloutError::Timeout) => "timeout",
            Self::Unavailable(CalloutError::Reset(_) | CalloutError::NoHeaders) => "reset",
            Self::Unavailable(CalloutError::CircuitOpen) => "circuit_open",
            Self::Unavailable(CalloutError::TooLarge { .. } | CalloutError::Malformed(_))
            | Self::Answer(_) => "answer",
            Self::Unavailable(_) => "not_sent",
            Self::Status(_) => "status",
            Self::Unauthorized(_) => "unauthorized",
        }
    }
}

/// Asks about tokens; see [the module](self). To clone it is to have the same one.
#[derive(Clone)]
pub struct Introspection(Rc<Inner>);

/// A token's hash.
type Key = u128;

struct Inner {
    endpoint: Rc<Endpoint>,
    key: [u8; 16],
    keeping: Keeping,
    active: FetchCache<Key, Introspected, IntrospectionError>,
    inactive: RefCell<Cache<Key, ()>>,
}

/// Who is asked, and how.
struct Endpoint {
    provider: String,
    service: HttpService,
    words: Words,
    ttl: Duration,
    asked: Counter,
    active: Counter,
    inactive: Counter,
    failures: [Counter; IntrospectionError::REASONS.len()],
}

impl Introspection {
    /// The endpoint of a configuration, for the `provider` of this name. Fails where
    /// the host has no randomness for the key of its cache.
    pub fn new(
        provider: &str,
        config: &IntrospectionConfig,
        host: &mut Configure,
    ) -> HostResult<Self> {
        let mut key = [0; 16];
        random::fill(&mut key)?;
        let keeping = config.keeping();
        let capacity = NonZeroUsize::new(keeping.size).unwrap_or(NonZeroUsize::MIN);
        let tag = ("provider", provider);
        let mut counter =
            |name: &str| host.counter_with_tags(&format!("introspection.{name}"), &[tag]);
        let (asked, active, inactive) = (counter("asked"), counter("active"), counter("inactive"));
        let failures = IntrospectionError::REASONS.map(|reason| {
            host.counter_with_tags("introspection.failures", &[tag, ("reason", reason)])
        });
        let endpoint = Endpoint {
            provider: provider.to_owned(),
            service: HttpService::new(&config.service(), host),
            words: config.words(),
            ttl: if keeping.size == 0 {
                Duration::ZERO
            } else {
                keeping.ttl
            },
            asked,
            active,
            inactive,
            failures,
        };
        let settings = FetchSettings {
            capacity,
            ttl: keeping.ttl,
            ..FetchSettings::default()
        };
        Ok(Self(Rc::new(Inner {
            endpoint: Rc::new(endpoint),
            key,
            keeping,
            active: FetchCache::new(settings),
            inactive: RefCell::new(Cache::new(capacity)),
        })))
    }

    /// What is known of a token, if it is an active one that was asked about a short
    /// while ago. One host call, for the time.
    pub fn known(&self, token: &[u8]) -> Option<Rc<Introspected>> {
        self.0.active.get(&self.0.hash(token))
    }

    /// Asks about a token, unless that is known.
    ///
    /// A token that is empty, or longer than tokens may be ([`Limits`]), is inactive, and
    /// nobody is asked.
    ///
    /// Host calls: for what is known, one or two for the time.
    pub async fn introspect(&self, token: &[u8]) -> Result<Rc<Introspected>, IntrospectionError> {
        let inner = &*self.0;
        if token.is_empty() || token.len() > Limits::default().max_length {
            return Ok(Rc::new(Introspected::Inactive));
        }
        let key = inner.hash(token);
        if let Some(active) = inner.active.get(&key) {
            return Ok(active);
        }
        if inner.is_inactive(key) {
            return Ok(Rc::new(Introspected::Inactive));
        }
        let fetch = || {
            let endpoint = Rc::clone(&inner.endpoint);
            let mut form = Form::new();
            form.add("token", token);
            // Whoever else has the same token waits for the same answer, in the first one's trace.
            let trace = TraceContext::of_stream();
            async move { endpoint.ask(form.into_text(), trace).await }
        };
        let introspected = inner.active.get_or_fetch(&key, fetch).await?;
        if matches!(*introspected, Introspected::Inactive) {
            inner.keep_inactive(key);
        }
        Ok(introspected)
    }
}

impl Inner {
    fn hash(&self, token: &[u8]) -> Key {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(token);
        hasher.finish128().as_u128()
    }

    fn is_inactive(&self, key: Key) -> bool {
        let Ok(now) = clock::now() else {
            return false;
        };
        let inactive = self.inactive.try_borrow_mut();
        inactive.is_ok_and(|mut inactive| matches!(inactive.get(&key, now), Lookup::Fresh(())))
    }

    fn keep_inactive(&self, key: Key) {
        if self.keeping.size == 0 || self.keeping.negative_ttl.is_zero() {
            return;
        }
        if let Ok(now) = clock::now()
            && let Ok(mut inactive) = self.inactive.try_borrow_mut()
        {
            inactive.insert(key, (), 0, Life::fresh(self.keeping.negative_ttl), now);
            while inactive.evict().is_some() {}
        }
    }
}

impl Endpoint {
    /// Asks about the token that this is the beginning of a form of.
    async fn ask(
        &self,
        mut form: String,
        trace: TraceContext,
    ) -> Result<Fetched<Introspected>, IntrospectionError> {
        self.asked.increment();
        form.push('&');
        form.push_str(&self.words.rest);
        let url = &self.words.url;
        let mut request = self
            .service
            .post(url.path())
            .scheme(url.scheme())
            .authority(url.authority())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .trace_context(trace)
            .body(form);
        if let Some(authorization) = &self.words.authorization {
            request = request.header("authorization", authorization.as_str());
        }
        // It only asks.
        let answer = self.service.send_as(request, Repeat::Safe).await;
        let introspected = match answer {
            Ok(answer) => match answer.status() {
                200 => read(answer.into_body()),
                status @ (401 | 403) => Err(IntrospectionError::Unauthorized(status)),
                status => Err(IntrospectionError::Status(status)),
            },
            Err(error) => Err(IntrospectionError::Unavailable(error)),
        };
        match introspected {
            Ok(introspected) => {
                let ttl = match &introspected {
                    Introspected::Active(claims) => {
                        self.active.increment();
                        self.ttl(claims)
                    }
                    // They are kept elsewhere.
                    Introspected::Inactive => {
                        self.inactive.increment();
                        Duration::ZERO
                    }
                };
                Ok(Fetched::new(introspected).ttl(ttl))
            }
            Err(error) => {
                let (provider, reason) = (self.provider.as_str(), error.reason());
                log::warn!(provider, url:%, reason, error:%; "a token could not be introspected");
                for (_, counter) in IntrospectionError::REASONS
                    .iter()
                    .zip(&self.failures)
                    .filter(|(known, _)| **known == reason)
                {
                    counter.increment();
                }
                Err(error)
            }
        }
    }

    /// How long an active token is good for.
    fn ttl(&self, claims: &Claims) -> Duration {
        let Some(expires_at) = claims.expires_at() else {
            return self.ttl;
        };
        let now = clock::now().unwrap_or(SystemTime::UNIX_EPOCH);
        match expires_at.duration_since(now) {
            Ok(left) => left.min(self.ttl),
            Err(_) => Duration::ZERO,
        }
    }
}

/// Reads an answer (RFC 7662 section 2.2).
fn read(answer: Vec<u8>) -> Result<Introspected, IntrospectionError> {
    let refused = |why: String| IntrospectionError::Answer(why);
    let claims = Claims::parse(answer, Limits::default().max_depth)
        .map_err(|error| refused(error.to_string()))?;
    match claims.get("active") {
        Some(Value::Bool(true)) => Ok(Introspected::Active(claims)),
        Some(Value::Bool(false)) => Ok(Introspected::Inactive),
        Some(_) => Err(refused("`active` is neither true nor false".to_owned())),
        None => Err(refused("it has no `active`".to_owned())),
    }
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("provider", &self.0.endpoint.provider)
            .finish_non_exhaustive()
    }
}
