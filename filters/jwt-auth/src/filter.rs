//! When things happen.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use legation::config::ConfigErrors;
use legation::http::HeaderName;
use legation::http::header::COOKIE;
use legation::{
    Configure, Error, Flow, HttpFilter, LocalReply, RequestHeaders, Result, clock, filter_state,
    foreign,
};
use log::{Level, log, log_enabled};
use smallvec::SmallVec;

use crate::cache::Fingerprints;
use crate::config::{Config, Mode};
use crate::counts::Counts;
use crate::extract::{Found, Locations, Place, cookies_without, path_without};
use crate::look::{Answer, Desk, Look, Question};
use crate::provider::Provider;
use crate::refusal::{Reason, Refusal};
use crate::requirement::{Pass, Passed};
use crate::rules::{Rule, Rules};
use crate::trusted::Trusted;

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
    tick: Cell<SystemTime>,
}

/// What is noted of a request that has to wait: the rule it falls under.
#[derive(Debug, Default)]
pub struct Stream {
    rule: Option<usize>,
}

/// What is decided about a request.
enum Decision {
    /// No rule requires anything.
    NotAsked,
    Allowed(Passed),
    Refused(Refusal, Passed),
}

#[legation::filter]
impl HttpFilter for JwtAuth {
    const NAME: &'static str = "jwt-auth";
    type Config = Config;
    type Stream = Stream;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let unusable = |error: &dyn std::fmt::Display| ConfigErrors::of_document(error.to_string());
        host.tick_every(TICK);
        if let Some(prefix) = &config.stat_prefix.0 {
            host.stat_prefix(prefix.as_str());
        }
        legation_jose::crypto::install();
        let providers = config.providers.iter();
        let providers = providers.map(|(name, own)| Provider::new(name.as_str(), own, false));
        Ok(Self {
            providers: providers.collect(),
            rules: Rules::new(&config),
            locations: Locations::new(&config),
            trusted: Trusted::new(&config),
            fingerprints: Fingerprints::new().map_err(|error| unusable(&error))?,
            counts: Counts::new(host),
            mode: config.mode,
            bypass_cors_preflight: config.bypass_cors_preflight,
            strip_failure_response: config.strip_failure_response,
            realm: config.realm.0.map(|realm| realm.as_str().into()),
            tick: Cell::new(clock::now().map_err(|error| unusable(&error))?),
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
        let Some(rule) = stream.rule.and_then(|rule| self.rules.get(rule)) else {
            return Err(Error::other("a request of which no rule is known"));
        };
        let decision = self.decide(rule, request).await?;
        self.conclude(request, Some(rule), &decision)
    }

    fn on_tick(&self) {
        self.counts.flush();
        if let Ok(now) = clock::now() {
            self.tick.set(now);
        }
    }
}

impl JwtAuth {
    /// Takes out what only accepted tokens may put in.
    fn strip_trusted(&self, request: &mut RequestHeaders) -> Result<()> {
        if self.trusted.is_empty() {
            return Ok(());
        }
        let found = self.trusted.find(request.headers().all()?);
        for name in found {
            let name = HeaderName::from_bytes(&name)
                .map_err(|_| Error::other("a header that cannot be removed"))?;
            request.headers().remove(&name)?;
            self.counts.headers_stripped.add(1);
        }
        Ok(())
    }

    /// Answers all that needs no waiting. `None` notes the rule by which a token
    /// is to be decided about.
    fn answer_at_once(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Option<Flow>> {
        self.strip_trusted(request)?;
        if self.bypass_cors_preflight && is_cors_preflight(request)? {
            self.counts.cors_preflight_bypassed.add(1);
            self.counts.allowed.add(1);
            return Ok(Some(Flow::Finish));
        }
        let Some((number, rule)) = self.rules.of(request)? else {
            return self.conclude(request, None, &Decision::NotAsked).map(Some);
        };
        if rule.requirement.is_nothing() {
            return self
                .conclude(request, Some(rule), &Decision::NotAsked)
                .map(Some);
        }
        let looked = {
            let seen = self.locations.find(request.headers().all()?);
            self.look(rule, &seen.tokens, &mut Vec::new())
        };
        match looked {
            Ok(decision) => self.conclude(request, Some(rule), &decision).map(Some),
            Err(Question::Failed(error)) => Err(error),
            Err(_) => {
                stream.rule = Some(number);
                Ok(None)
            }
        }
    }

    /// Finds out what has to be waited for, and decides.
    async fn decide(&self, rule: &Rule, request: &mut RequestHeaders) -> Result<Decision> {
        let mut answers = Vec::new();
        let seen = self.locations.find(request.headers().all()?);
        loop {
            match self.look(rule, &seen.tokens, &mut answers) {
                Ok(decision) => return Ok(decision),
                Err(Question::Failed(error)) => return Err(error),
                Err(question) => answers.push(self.find_out(question).await),
            }
        }
    }

    fn look(
        &self,
        rule: &Rule,
        tokens: &[Found<'_>],
        answers: &mut Vec<Answer>,
    ) -> Result<Decision, Question> {
        let desk = Desk {
            providers: &self.providers,
            locations: &self.locations,
            fingerprints: &self.fingerprints,
            counts: &self.counts,
            tick: self.tick.get(),
        };
        let mut passed = Passed::default();
        let mut look = Look::new(desk, tokens, answers);
        Ok(match rule.requirement.look(&mut look, &mut passed)? {
            Ok(()) => Decision::Allowed(passed),
            Err(refusal) => Decision::Refused(refusal, passed),
        })
    }

    async fn find_out(&self, question: Question) -> Answer {
        let (token, provider) = match question {
            Question::Keys { token, provider } => (token, provider),
            Question::NewerKeys {
                token, provider, ..
            } => (token, provider),
            Question::Failed(_) => (usize::MAX, usize::MAX),
        };
        Answer {
            token,
            provider,
            answer: Err(Reason::NoKeys),
        }
    }

    fn conclude(
        &self,
        request: &mut RequestHeaders,
        rule: Option<&Rule>,
        decision: &Decision,
    ) -> Result<Flow> {
        match decision {
            Decision::NotAsked => self.counts.allowed.add(1),
            Decision::Allowed(passed) => {
                self.counts.allowed.add(1);
                if self.mode == Mode::Enforce {
                    self.leave_reasons(passed)?;
                    let mark = rule.and_then(|rule| rule.mark.as_ref());
                    self.change(request, passed, mark)?;
                }
            }
            Decision::Refused(refusal, passed) => {
                let provider = self.provider_name(*refusal);
                self.counts.refused(provider, *refusal);
                self.log(*refusal, provider);
                if self.mode == Mode::Enforce {
                    self.leave_reasons(passed)?;
                    return self.refuse(request, *refusal);
                }
            }
        }
        Ok(Flow::Finish)
    }

    fn provider_name(&self, refusal: Refusal) -> &str {
        let provider = refusal
            .provider
            .and_then(|number| self.providers.get(number));
        provider.map_or("", |provider| &provider.name)
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
            for (name, value) in &pass.accepted.states {
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
        if clear_route_cache {
            foreign::clear_route_cache().map_err(|error| Error::other(error.to_string()))?;
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
            let headers = request.headers().get_all(COOKIE.as_str())?;
            let left: Vec<_> = headers
                .map(|header| cookies_without(header, &cookies).unwrap_or_else(|| header.to_vec()))
                .collect();
            request.headers().remove(&COOKIE)?;
            for header in left.iter().filter(|header| !header.is_empty()) {
                request.headers().append(&COOKIE, header)?;
            }
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
                let reason = refusal.reason;
                let (label, message) = (reason.label(), reason.message());
                let state = format!(r#"{{"reason":"{label}","message":"{message}"}}"#);
                filter_state::set(name, state)?;
            }
        }
        Ok(())
    }

    /// One line a refusal, and never the token.
    fn log(&self, refusal: Refusal, provider: &str) {
        let message = match self.mode {
            Mode::Enforce => "request refused",
            Mode::Report => "request would be refused",
        };
        if log_enabled!(Level::Info) {
            let reason = refusal.reason.label();
            log!(Level::Info, reason, provider; "{message}");
        }
    }

    fn refuse(&self, request: &mut RequestHeaders, refusal: Refusal) -> Result<Flow> {
        let reason = refusal.reason;
        let details = format!("jwt_authn_access_denied{{{}}}", reason.message());
        let reply = LocalReply::new(reason.status()).details(&details);
        if self.strip_failure_response {
            return Ok(reply.into());
        }
        let mut challenge = String::from("Bearer realm=\"");
        match &self.realm {
            Some(realm) => challenge.push_str(realm),
            None => challenge.push_str(&url(request)?),
        }
        challenge.push('"');
        if reason.has_token() {
            challenge.push_str(", error=\"invalid_token\"");
        }
        let reply = reply.header("www-authenticate", challenge);
        Ok(reply.body(reason.message()).into())
    }
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

/// A preflight carries no credentials (Fetch, section 3.3.5).
fn is_cors_preflight(request: &mut RequestHeaders) -> Result<bool> {
    if request.method()? != Some(b"OPTIONS") {
        return Ok(false);
    }
    let mut has = |name: &str| -> Result<bool> {
        Ok(request
            .headers()
            .get(name)?
            .is_some_and(|value| !value.is_empty()))
    };
    Ok(has("origin")? && has("access-control-request-method")?)
}
