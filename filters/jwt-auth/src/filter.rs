//! When things happen.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use deserr::ValuePointerRef;
use legation::attributes::CONNECTION_SHA256_PEER_CERTIFICATE_DIGEST;
use legation::config::{ConfigErrors, Mode};
use legation::fingerprint::Fingerprints;
use legation::http::HeaderName;
use legation::matcher::is_cors_preflight;
use legation::{
    Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result, clock, filter_state, foreign,
};
use legation_jose::Algorithms;
use legation_jose::claims_rules::RequiredAuthentication;
use legation_jose::confirmation::{Binding, Digest};
use legation_jose::dpop::Dpop;
use legation_jose::keys::KeySource;
use legation_jose::trusted::Trusted;
use log::{Level, log, log_enabled};
use smallvec::SmallVec;

use crate::challenge::{Challenge, ErrorCode, Scheme};
use crate::config::Config;
use crate::counts::Counts;
use crate::demands::Demands;
use crate::extract::{Locations, Place, path_without};
use crate::look::{Desk, Look, Question};
use crate::memo::Memo;
use crate::provider::Provider;
use crate::refusal::{Reason, Refusal};
use crate::requirement::{Pass, Passed};
use crate::rules::{Rule, Rules};
use crate::trusted::trusted;

/// How long a count may wait in the module before it shows on `/stats`, and how old
/// the time may be that is good enough for a token which expires much later.
const TICK: Duration = Duration::from_secs(1);

/// The longest path in a realm, as in Envoy.
const LONGEST_PATH: usize = 256;

/// The filter.
pub struct JwtAuth {
    providers: Box<[Provider]>,
    rules: Rules,
    locations: Locations,
    trusted: Trusted,
    fingerprints: Fingerprints,
    counts: Counts,
    mode: Mode,
    bypass_cors_preflight: bool,
    strip_failure_response: bool,
    realm: Option<Box<str>>,
    /// The time of the last tick, if the host told it.
    tick: Cell<Option<SystemTime>>,
}

/// What is noted of a request that has to wait: the rules it falls under, and what
/// was found out about its tokens.
#[derive(Debug, Default)]
pub struct Stream {
    rules: SmallVec<[usize; 1]>,
    memo: Memo,
}

/// What is decided about a request.
enum Decision<'a> {
    Allowed(Passed, Option<&'a HeaderName>),
    Refused(Refusal, Passed, &'a Rule),
}

#[legation::filter]
impl HttpFilter for JwtAuth {
    const NAME: &'static str = "jwt-auth";
    const REMOTE_CONFIG: bool = true;
    type Config = Config;
    type Stream = Stream;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let unusable = |error: &dyn std::fmt::Display| ConfigErrors::of_document(error.to_string());
        host.tick_every(TICK);
        let prefix = config.stat_prefix.0.as_ref();
        if let Some(prefix) = prefix {
            host.stat_prefix(prefix.as_str());
        }
        let prefix = prefix.map_or("jwt_auth", |prefix| prefix.as_str());
        legation_jose::crypto::install();
        let rules = Rules::new(&config);
        let at = ValuePointerRef::Origin;
        let at = at.push_key("providers");
        let mut providers = Vec::new();
        let mut errors = None;
        for (name, own) in &config.providers {
            let name = name.as_str();
            let keeps_claims = rules.look_at_claims();
            match Provider::new(name, own, prefix, keeps_claims, at.push_key(name), host) {
                Ok(provider) => providers.push(provider),
                Err(error) => ConfigErrors::add(&mut errors, error),
            }
        }
        ConfigErrors::check(errors, ())?;
        Ok(Self {
            providers: providers.into(),
            rules,
            locations: Locations::new(&config),
            trusted: trusted(&config),
            fingerprints: Fingerprints::new().map_err(|error| unusable(&error))?,
            counts: Counts::new(host),
            mode: config.mode,
            bypass_cors_preflight: config.bypass_cors_preflight,
            strip_failure_response: config.strip_failure_response,
            realm: config.realm.0.map(|realm| realm.as_str().into()),
            tick: Cell::new(clock::now().ok()),
        })
    }

    fn on_request_headers_at_once(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        self.answer_at_once(stream, request).transpose()
    }

    async fn on_request_headers(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        let decision = self.decide(stream, request).await?;
        self.conclude(request, &decision)
    }

    fn on_tick(&self) {
        self.counts.flush();
        self.tick.set(clock::now().ok());
    }
}

impl JwtAuth {
    /// Answers all that needs no waiting. `None` notes the rules by which tokens
    /// are to be decided about.
    fn answer_at_once(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Option<Flow>> {
        let stripped = self.trusted.strip(request)?;
        self.counts.headers_stripped.add(stripped);
        if self.bypass_cors_preflight && is_cors_preflight(request)? {
            self.counts.cors_preflight_bypassed.add(1);
            self.counts.allowed.add(1);
            return Ok(Some(Flow::Finish));
        }
        stream.rules = self.rules.of(request)?;
        if stream.rules.is_empty() {
            self.counts.allowed.add(1);
            return Ok(Some(Flow::Finish));
        }
        loop {
            match self.look(stream, request)? {
                Ok(decision) => return self.conclude(request, &decision).map(Some),
                Err(Question::Certificate) => {
                    stream.memo.note_certificate(peer_certificate(request)?);
                }
                Err(_) => return Ok(None),
            }
        }
    }

    /// Finds out what has to be waited for, and decides.
    async fn decide(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Decision<'_>> {
        loop {
            match self.look(stream, request)? {
                Ok(decision) => return Ok(decision),
                Err(Question::Certificate) => {
                    stream.memo.note_certificate(peer_certificate(request)?);
                }
                Err(question) => self.find_out(question, &mut stream.memo).await,
            }
        }
    }

    /// Looks at a request's tokens by each rule it falls under.
    fn look(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Result<Decision<'_>, Question>> {
        let seen = self.locations.find(request.headers().all()?);
        let desk = Desk {
            providers: &self.providers,
            locations: &self.locations,
            fingerprints: &self.fingerprints,
            counts: &self.counts,
            tick: self.tick.get(),
        };
        let mut look = Look::new(desk, &seen, &mut stream.memo);
        match self.look_by(&stream.rules, &mut look) {
            Err(Question::Failed(error)) => Err(error),
            looked => Ok(looked),
        }
    }

    fn look_by(
        &self,
        rules: &[usize],
        look: &mut Look<'_, '_, '_>,
    ) -> Result<Decision<'_>, Question> {
        let mut passed = Passed::default();
        let mut mark = None;
        for rule in rules.iter().filter_map(|rule| self.rules.get(*rule)) {
            if let Err(refusal) = rule.requirement.look(look, &mut passed)? {
                return Ok(Decision::Refused(refusal, passed, rule));
            }
            if !rule.demands.is_empty() {
                let now = look.now().map_err(Question::Failed)?;
                if let Err(refusal) = rule.check(&passed, now) {
                    return Ok(Decision::Refused(refusal, passed, rule));
                }
            }
            mark = mark.or(rule.mark.as_ref());
        }
        Ok(Decision::Allowed(passed, mark))
    }

    /// Waits for what is not known. Whatever comes of it is noted, so that nobody
    /// waits for it again.
    async fn find_out(&self, question: Question, memo: &mut Memo) {
        match question {
            Question::Keys { provider, token } => {
                let keys = match self.key_source(provider) {
                    Some(source) => source.get().await.is_ok(),
                    None => false,
                };
                if !keys {
                    memo.note((token, provider), Err(Reason::NoKeys));
                }
            }
            Question::NewerKeys {
                provider,
                token,
                key_id,
                generation,
            } => {
                memo.note_newer_keys((token, provider));
                if let Some(source) = self.key_source(provider)
                    && source
                        .get_newer(key_id.as_deref(), generation)
                        .await
                        .is_err()
                {
                    memo.note((token, provider), Err(Reason::NoKeys));
                }
            }
            Question::Introspection {
                provider,
                token,
                text,
            } => {
                let answer = match self.providers.get(provider) {
                    Some(provider) => provider.introspect(&text).await,
                    None => Err(Reason::NoKeys),
                };
                memo.note((token, provider), answer);
            }
            Question::Certificate | Question::Failed(_) => {}
        }
    }

    fn key_source(&self, provider: usize) -> Option<&KeySource> {
        self.providers.get(provider)?.key_source()
    }

    fn conclude(&self, request: &mut RequestHeaders, decision: &Decision<'_>) -> Result<Flow> {
        let is_enforced = self.mode == Mode::Enforce;
        match decision {
            Decision::Allowed(passed, mark) => {
                self.counts.allowed.add(1);
                if is_enforced {
                    self.leave_reasons(passed)?;
                    self.change(request, passed, *mark)?;
                }
            }
            Decision::Refused(refusal, passed, rule) => {
                let provider = refusal.provider;
                let provider = provider.and_then(|number| self.providers.get(number));
                let name = provider.map_or("", |provider| &provider.name);
                self.counts.refused(name, refusal);
                self.log(refusal, name);
                if is_enforced {
                    self.leave_reasons(passed)?;
                    return self.refuse(request, rule, provider, refusal);
                }
            }
        }
        Ok(Flow::Finish)
    }

    /// Changes a request as the tokens that were accepted would have it.
    fn change(
        &self,
        request: &mut RequestHeaders,
        passed: &Passed,
        mark: Option<&HeaderName>,
    ) -> Result<()> {
        let mut clear_route_cache = false;
        for pass in &passed.tokens {
            for (name, value) in &pass.accepted.headers {
                request.headers().append(name, value)?;
            }
            // Later filters take what stands there for verified.
            let states = pass.accepted.states.iter().filter(|_| pass.is_verified);
            for (name, value) in states {
                filter_state::set(name, value)?;
            }
            let provider = self.providers.get(pass.provider);
            clear_route_cache |= provider.is_some_and(|provider| provider.clear_route_cache);
        }
        if let Some(mark) = mark
            && passed.tokens.iter().any(|pass| !pass.is_verified)
        {
            request.headers().set(mark, "false")?;
        }
        self.take_out(request, &passed.tokens)?;
        if clear_route_cache && let Err(error) = foreign::clear_route_cache() {
            // Who is let in does not hang on it, and changed headers clear it too.
            log::warn!(error:%; "the route is not chosen anew");
        }
        Ok(())
    }

    /// Takes accepted tokens out of the request, where they are not to go on.
    fn take_out(&self, request: &mut RequestHeaders, tokens: &[Pass]) -> Result<()> {
        let mut parameters: SmallVec<[&str; 2]> = SmallVec::new();
        let mut cookies: SmallVec<[&str; 2]> = SmallVec::new();
        for pass in tokens {
            let provider = self.providers.get(pass.provider);
            if provider.is_some_and(|provider| provider.forward) {
                continue;
            }
            match self.locations.place(pass.location) {
                Some(Place::Header(name, _)) => request.headers().remove(&name.0)?,
                Some(Place::Parameter(name)) => parameters.push(name),
                Some(Place::Cookie(name)) => cookies.push(name),
                None => {}
            }
        }
        if !parameters.is_empty() {
            let path = request
                .path()?
                .and_then(|path| path_without(path, &parameters));
            if let Some(path) = path {
                request.set_path(path)?;
            }
        }
        if !cookies.is_empty() {
            let taken = |name: &[u8]| cookies.iter().any(|own| own.as_bytes() == name);
            request.headers().remove_cookies(taken)?;
        }
        Ok(())
    }

    /// Leaves behind why tokens were not accepted, for those who ask for it.
    fn leave_reasons(&self, passed: &Passed) -> Result<()> {
        for refusal in &passed.failed {
            let provider = match (refusal.provider, &*self.providers) {
                (Some(number), providers) => providers.get(number),
                // Whose it would have been is plain where there is one.
                (None, [only]) => Some(only),
                (None, _) => None,
            };
            if let Some(name) = provider.and_then(|provider| provider.failed_state.as_ref()) {
                let reason = &refusal.reason;
                let (label, message) = (reason.label(), reason.message());
                let state = format!(r#"{{"reason":"{label}","message":"{message}"}}"#);
                filter_state::set(name, state)?;
            }
        }
        Ok(())
    }

    /// One line a refusal, and never the token.
    fn log(&self, refusal: &Refusal, provider: &str) {
        let message = match self.mode {
            Mode::Enforce => "request refused",
            Mode::Report => "request would be refused",
        };
        if log_enabled!(Level::Info) {
            let reason = refusal.reason.label();
            log!(Level::Info, reason, provider; "{message}");
        }
    }

    fn refuse(
        &self,
        request: &mut RequestHeaders,
        rule: &Rule,
        provider: Option<&Provider>,
        refusal: &Refusal,
    ) -> Result<Flow> {
        let reason = &refusal.reason;
        let message = reason.message();
        let details = format!("jwt_authn_access_denied{{{message}}}");
        let mut reply = LocalReply::new(reason.status()).details(&details);
        let code = reason.code();
        let dpop = provider.map(|provider| &provider.dpop);
        if let (Some(ErrorCode::UseDpopNonce), Some(dpop)) = (code, dpop)
            && let Some(nonce) = dpop.nonce(clock::now()?)
        {
            reply = reply.header("dpop-nonce", nonce);
        }
        if self.strip_failure_response {
            return Ok(reply.into());
        }
        if !reason.is_the_clients() {
            return Ok(reply.body(message.into_owned()).into());
        }
        let url = match &self.realm {
            Some(_) => String::new(),
            None => url(request)?,
        };
        let demands = if refusal.by_rule {
            Some(&rule.demands)
        } else {
            provider.map(|provider| &provider.demands)
        };
        let scope = match code {
            Some(ErrorCode::InsufficientScope) => demands.map(Demands::scope),
            _ => None,
        };
        let authentication = match code {
            Some(ErrorCode::InsufficientUserAuthentication) => {
                demands.and_then(Demands::authentication)
            }
            _ => None,
        };
        let is_dpop = matches!(reason, Reason::Dpop(_))
            || dpop.is_some_and(|dpop| dpop.mode() == Binding::Required);
        let challenge = Challenge {
            scheme: if is_dpop {
                Scheme::Dpop
            } else {
                Scheme::Bearer
            },
            realm: self.realm.as_deref().unwrap_or(&url),
            error: code,
            description: if code.is_some() { &message } else { "" },
            scope: scope.as_deref().unwrap_or(""),
            acr_values: authentication.map_or(&[], |required| &required.acr_values),
            max_age: authentication.and_then(RequiredAuthentication::max_age),
            algorithms: dpop.map_or(Algorithms::NONE, Dpop::algorithms),
        };
        let reply = reply.header("www-authenticate", challenge.to_string());
        Ok(reply.body(message.into_owned()).into())
    }
}

/// The certificate of the client's connection. One host call.
fn peer_certificate(request: &RequestHeaders) -> Result<Option<Digest>> {
    let digest = request.attribute(CONNECTION_SHA256_PEER_CERTIFICATE_DIGEST)?;
    Ok(digest.and_then(|digest| Digest::from_hex(&digest)))
}

/// The request's URL without its query, which may hold a token; for a realm.
fn url(request: &mut RequestHeaders) -> Result<String> {
    let mut url = String::new();
    let mut add = |part: Option<&[u8]>| {
        for byte in part.unwrap_or_default() {
            match byte {
                b'"' | b'\\' => {}
                b'!'..=b'~' => url.push(char::from(*byte)),
                _ => url.push('?'),
            }
        }
    };
    add(request.scheme()?.or(Some(b"http")));
    add(Some(b"://"));
    add(request.authority()?);
    let path = request.path()?.unwrap_or_default();
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let end = end.unwrap_or(path.len()).min(LONGEST_PATH);
    add(path.get(..end));
    Ok(url)
}
