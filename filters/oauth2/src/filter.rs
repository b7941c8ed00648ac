//! When things happen.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use legation::config::{ConfigErrors, Mode, StatPrefix};
use legation::fingerprint::{Fingerprint, Fingerprints};
use legation::format::Format;
use legation::http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, SET_COOKIE};
use legation::matcher::normalize_path;
use legation::{
    Configure, Error, Flow, HttpFilter, RequestHeaders, ResponseHeaders, Result, clock,
};
use lru::LruCache;

use crate::config::{Config, Cookies, OwnPath};
use crate::cookies::{CookieJar, OurCookies};
use crate::counts::Counts;
use crate::ended::{Ended, UsedStates};
use crate::grant::{self, Grants, Lifetimes, seconds};
use crate::oidc::Client;
use crate::outputs::{Headers, Outputs};
use crate::pages::{self, Trouble, Wants};
use crate::renewal::{Renewals, Renewed};
use crate::rules::{Rules, Verdict};
use crate::seal::{Keyring, Purpose};
use crate::session::Session;

/// How long a count may wait in the module before it shows on `/stats`, and how old the time may be
/// that is good enough for a session which ends much later.
const TICK: Duration = Duration::from_secs(1);
/// What ends within so many seconds is looked at by the clock.
const SOON: u64 = 3;

/// The filter.
pub struct OAuth2 {
    pub(crate) grants: Grants,
    renewals: Renewals,
    /// Where back-channel logouts are taken in.
    pub(crate) ended: Option<Ended>,
    pub(crate) used_states: UsedStates,
    outputs: Rc<Outputs>,
    pub(crate) rules: Rules,
    pub(crate) own: Own,
    pub(crate) cookies: Cookies,
    our_cookies: OurCookies,
    cache: RefCell<Option<LruCache<Fingerprint, Rc<Known>>>>,
    fingerprints: Fingerprints,
    pub(crate) counts: Counts,
    mode: Mode,
    refresh_before_expiry: u64,
    /// The time of the last tick, if the host told it.
    tick: Cell<Option<SystemTime>>,
}

/// What is asked of the provider and of browsers, as configured.
pub(crate) struct Own {
    pub(crate) redirect_uri: Format,
    pub(crate) redirect_path: Box<str>,
    pub(crate) signout_path: Option<Box<str>>,
    pub(crate) back_channel_path: Option<Box<str>>,
    pub(crate) post_logout_redirect_uri: Option<Format>,
    pub(crate) allowed_redirect_domains: Box<[Box<str>]>,
    pub(crate) flow_lifetime: Duration,
}

/// A session that was read before.
pub(crate) struct Known {
    pub(crate) session: Rc<Session>,
    headers: Headers,
    /// Whether it is sealed with the key that seals now.
    is_by_first_key: bool,
}

/// What is to be waited for.
#[derive(Default)]
enum Todo {
    #[default]
    Nothing,
    SignIn,
    Callback,
    Renew(Rc<Known>, Verdict),
    SignOut,
    BackChannel,
}

/// What is remembered of a request: what it waits for, and the cookies of its response.
#[derive(Default)]
pub struct Stream {
    todo: Todo,
    set_cookies: Vec<String>,
}

#[legation::filter]
impl HttpFilter for OAuth2 {
    const NAME: &'static str = "oauth2";
    const REMOTE_CONFIG: bool = true;
    type Config = Config;
    type Stream = Stream;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Self::new(config, host)
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
        match std::mem::take(&mut stream.todo) {
            // What waits has said for what.
            Todo::Nothing => Err(Error::other("a request waits for nothing")),
            Todo::SignIn => Ok(self.sign_in(request).await?.into()),
            Todo::Callback => Ok(self.finish(request).await?.into()),
            Todo::Renew(known, verdict) => self.renew(stream, request, &known, &verdict).await,
            Todo::SignOut => Ok(self.sign_out(request).await?.into()),
            Todo::BackChannel => Ok(self.back_channel(request).await?.into()),
        }
    }

    fn on_response_headers(
        &self,
        stream: &mut Stream,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        if !stream.set_cookies.is_empty() {
            // Nobody else is to get them from a cache.
            response.headers().set(&CACHE_CONTROL, "no-store")?;
        }
        for line in stream.set_cookies.drain(..) {
            response.headers().append(&SET_COOKIE, line)?;
        }
        Ok(Flow::Finish)
    }

    fn on_tick(&self) {
        self.counts.flush();
        self.tick.set(clock::now().ok());
    }
}

impl OAuth2 {
    fn new(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let unusable = |error: &dyn std::fmt::Display| ConfigErrors::of_document(error.to_string());
        host.tick_every(TICK);
        let prefix = config.stat_prefix.as_ref();
        if let Some(prefix) = prefix {
            host.stat_prefix(prefix.as_str());
        }
        let scope = prefix.map_or("oauth2", StatPrefix::as_str).to_owned();
        // A logout token is read before its request goes anywhere.
        host.allow_on_headers_stop_iteration(config.back_channel_path.is_some());
        legation_jose::crypto::install();
        let provider = &config.provider;
        let credentials = &provider.credentials;
        let client_id = credentials.client_id.as_str();
        let secrets: Vec<&[u8]> = (credentials.cookie_secrets.iter())
            .map(|secret| secret.expose().as_bytes())
            .collect();
        let keyring = Keyring::new(&secrets, client_id).map_err(|error| unusable(&error))?;
        let client = Client::new(provider, host)?;
        let cookies = config.cookies();
        let refresh_before_expiry = config.refresh_before_expiry();
        let outputs = Rc::new(Outputs::new(&config));
        let patience = client.patience();
        let grants = Grants::new(grant::Inner {
            keyring,
            outputs: Rc::clone(&outputs),
            cookie: cookies.session.name.clone(),
            lifetimes: Lifetimes {
                access: config.default_expires_in(),
                refresh: config.default_refresh_token_expires_in(),
                session: config.session_lifetime(),
            },
            max_age: provider.id_token.max_age(),
            use_refresh_token: config.use_refresh_token,
            use_userinfo: config.use_userinfo(),
            // The provider asks nobody who is signed out with it.
            keeps_id_token: outputs.needs_id_token()
                || (config.signout_path.is_some() && provider.is_openid()),
            keeps_access_token: outputs.needs_access_token(),
            client,
        });
        let ended = match config.back_channel_path {
            Some(_) => Some(Ended::open(&scope).map_err(|error| unusable(&error))?),
            None => None,
        };
        let names = [&cookies.session, &cookies.flow, &cookies.attempts];
        let path = |path: &OwnPath| path.as_str().into();
        let cache = NonZeroUsize::new(config.session_cache_size()).map(LruCache::new);
        Ok(Self {
            renewals: Renewals::new(&scope, grants.clone(), patience, host),
            grants,
            ended,
            used_states: UsedStates::open(&scope).map_err(|error| unusable(&error))?,
            rules: Rules::new(&config),
            own: Own {
                redirect_path: path(&config.redirect_path),
                signout_path: config.signout_path.as_ref().map(path),
                back_channel_path: config.back_channel_path.as_ref().map(path),
                allowed_redirect_domains: (config.allowed_redirect_domains.iter())
                    .map(|domain| domain.as_str().into())
                    .collect(),
                flow_lifetime: config.flow_lifetime(),
                redirect_uri: config.redirect_uri.into(),
                post_logout_redirect_uri: config.post_logout_redirect_uri,
            },
            our_cookies: OurCookies::new(names.map(|cookie| &*cookie.name)),
            cookies,
            outputs,
            cache: RefCell::new(cache),
            fingerprints: Fingerprints::new().map_err(|error| unusable(&error))?,
            counts: Counts::new(host),
            mode: config.mode,
            refresh_before_expiry: refresh_before_expiry.as_secs(),
            tick: Cell::new(clock::now().ok()),
        })
    }

    /// Answers all that needs no waiting. `None` notes what is to be waited for.
    fn answer_at_once(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Option<Flow>> {
        // What only sessions may put in.
        let stripped = self.outputs.trusted().strip(request)?;
        self.counts.headers_stripped.add(stripped);
        if let Some(todo) = self.own_path(request)? {
            stream.todo = todo;
            return Ok(None);
        }
        let verdict = self.rules.of(request)?;
        if verdict.is_exempt() {
            self.counts.passthrough.add(1);
            self.take_out_cookies(request)?;
            return Ok(Some(Flow::Finish));
        }
        let Some(known) = self.session(request)? else {
            return self.without_session(stream, request, &verdict);
        };
        let now = self.now_for(&known.session)?;
        if self.is_due(&known.session, now) {
            stream.todo = Todo::Renew(known, verdict);
            return Ok(None);
        }
        if known.session.is_over(now) || now >= known.session.access_expires_at {
            return self.without_session(stream, request, &verdict);
        }
        self.admit(stream, request, &known, &verdict).map(Some)
    }

    /// Which of our own paths a request is for.
    fn own_path(&self, request: &mut RequestHeaders) -> Result<Option<Todo>> {
        let path = normalize_path(request.path()?.unwrap_or_default());
        let is = |own: &str| path.as_ref() == own.as_bytes();
        if is(&self.own.redirect_path) {
            return Ok(Some(Todo::Callback));
        }
        if self.own.signout_path.as_deref().is_some_and(is) {
            return Ok(Some(Todo::SignOut));
        }
        if self.own.back_channel_path.as_deref().is_some_and(is) {
            return Ok(Some(Todo::BackChannel));
        }
        Ok(None)
    }

    /// The session that a request's cookie is, whether or not it is over.
    pub(crate) fn session(&self, request: &mut RequestHeaders) -> Result<Option<Rc<Known>>> {
        let jar = CookieJar::read(request.headers().get_all(COOKIE.as_str())?);
        let Some(text) = jar.join(&self.cookies.session.name) else {
            return Ok(None);
        };
        let fingerprint = self.fingerprints.of(&text);
        let known = if let Some(known) = self.remembered(fingerprint) {
            known
        } else if let Some(known) = self.open(&text) {
            self.remember(fingerprint, known)
        } else {
            self.counts.cookie_refused("sealed_otherwise");
            return Ok(None);
        };
        if let Some(ended) = &self.ended
            && ended.has(&known.session)?
        {
            self.counts.cookie_refused("logged_out");
            return Ok(None);
        }
        Ok(Some(known))
    }

    fn remembered(&self, fingerprint: Fingerprint) -> Option<Rc<Known>> {
        let mut cache = self.cache.try_borrow_mut().ok()?;
        let known = cache.as_mut()?.get(&fingerprint).map(Rc::clone);
        if known.is_some() {
            self.counts.cache_hit.add(1);
        } else {
            self.counts.cache_miss.add(1);
        }
        known
    }

    fn remember(&self, fingerprint: Fingerprint, known: Known) -> Rc<Known> {
        let known = Rc::new(known);
        if let Ok(mut cache) = self.cache.try_borrow_mut()
            && let Some(cache) = cache.as_mut()
        {
            cache.put(fingerprint, Rc::clone(&known));
        }
        known
    }

    /// Reads the text of a session's cookie.
    fn open(&self, text: &[u8]) -> Option<Known> {
        let keyring = self.grants.keyring();
        let opened = keyring.open(Purpose::Session, &self.cookies.session.name, text)?;
        let session = Session::decode(&opened.plain)?;
        Some(Known {
            headers: self.outputs.headers(&session),
            session: Rc::new(session),
            is_by_first_key: opened.by_first_key,
        })
    }

    /// The time in seconds, as exactly as this session needs it.
    fn now_for(&self, session: &Session) -> Result<u64> {
        let first = session.ends_at.min(session.access_expires_at);
        let soon = SOON.saturating_add(self.refresh_before_expiry);
        if let Some(tick) = self.tick.get() {
            let tick = seconds(tick);
            if tick.saturating_add(soon) < first {
                return Ok(tick);
            }
        }
        Ok(seconds(clock::now()?))
    }

    /// Whether a session's tokens are to be renewed, and may be.
    fn is_due(&self, session: &Session, now: u64) -> bool {
        let due = session
            .access_expires_at
            .saturating_sub(self.refresh_before_expiry);
        now >= due
            && !session.is_over(now)
            && session.refresh_token.is_some()
            && now < session.refresh_expires_at
    }

    /// Lets a request in, if its rules do.
    fn admit(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
        known: &Known,
        verdict: &Verdict,
    ) -> Result<Flow> {
        if let Err(denied) = self.rules.check(verdict, &known.session.claims) {
            self.counts.forbidden.add(1);
            let reason = denied.reason();
            log::info!(reason; "request refused: {}", self.outcome());
            if self.mode == Mode::Enforce {
                let wants = Wants::of(request)?;
                let reply = pages::failure(&Trouble::Forbidden, wants, request_id(request)?, None);
                return Ok(reply.details("oauth2_forbidden").into());
            }
        } else {
            self.counts.success.add(1);
        }
        self.take_out_cookies(request)?;
        let is_set = known.headers.iter().any(|(name, _)| *name == AUTHORIZATION);
        if !is_set {
            self.take_out_authorization(request)?;
        }
        for (name, value) in &known.headers {
            request.headers().set(name, value)?;
        }
        if !known.is_by_first_key {
            let text = self.grants.seal(&known.session)?;
            stream.set_cookies = self.session_lines(request, &text, &known.session)?;
        }
        Ok(if stream.set_cookies.is_empty() {
            Flow::Finish
        } else {
            Flow::Continue
        })
    }

    fn outcome(&self) -> &'static str {
        match self.mode {
            Mode::Enforce => "not let in",
            Mode::Report => "let in, as `mode` is `report`",
        }
    }

    /// What a request gets that has no session, or none that counts.
    fn without_session(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
        verdict: &Verdict,
    ) -> Result<Option<Flow>> {
        if verdict.allows_failed() {
            self.counts.allowed_failed.add(1);
            return self.pass(request).map(Some);
        }
        let is_told = verdict.denies_redirect() || !pages::is_navigation(request)?;
        if is_told {
            self.counts.unauthorized.add(1);
        } else {
            self.counts.redirected.add(1);
        }
        if self.mode == Mode::Report {
            log::info!("request without a session: {}", self.outcome());
            return self.pass(request).map(Some);
        }
        if is_told {
            let wants = Wants::of(request)?;
            let reply = pages::unauthorized(wants, request_id(request)?);
            return Ok(Some(reply.details("oauth2_unauthorized").into()));
        }
        stream.todo = Todo::SignIn;
        Ok(None)
    }

    /// Lets a request go on as nobody's.
    fn pass(&self, request: &mut RequestHeaders) -> Result<Flow> {
        self.take_out_cookies(request)?;
        self.take_out_authorization(request)?;
        Ok(Flow::Finish)
    }

    /// Renews a session's tokens, and lets its request in.
    async fn renew(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
        known: &Rc<Known>,
        verdict: &Verdict,
    ) -> Result<Flow> {
        let renewed = self.renewals.renew(&known.session).await?;
        let reason = match renewed {
            Renewed::Sealed(text) => match self.open(text.as_bytes()) {
                // Whoever was kept waiting gets nothing that is over.
                Some(renewed) if seconds(clock::now()?) >= renewed.session.access_expires_at => {
                    "over"
                }
                Some(renewed) => {
                    stream.set_cookies = self.session_lines(request, &text, &renewed.session)?;
                    return self.admit(stream, request, &renewed, verdict);
                }
                None => "sealed_otherwise",
            },
            Renewed::Ended => "ended",
            Renewed::Unavailable => "unavailable",
        };
        let now = seconds(clock::now()?);
        if now < known.session.access_expires_at && reason != "ended" {
            return self.admit(stream, request, known, verdict);
        }
        if reason == "ended" || self.mode == Mode::Report {
            return match self.without_session(stream, request, verdict)? {
                Some(flow) => Ok(flow),
                None => Ok(self.sign_in(request).await?.into()),
            };
        }
        let wants = Wants::of(request)?;
        let trouble = Trouble::ProviderUnavailable;
        let reply = pages::failure(&trouble, wants, request_id(request)?, None);
        Ok(reply.details("oauth2_provider_unavailable").into())
    }

    /// The lines that put a session into its cookie.
    pub(crate) fn session_lines(
        &self,
        request: &mut RequestHeaders,
        text: &str,
        session: &Session,
    ) -> Result<Vec<String>> {
        let jar = CookieJar::read(request.headers().get_all(COOKIE.as_str())?);
        let now = seconds(clock::now()?);
        let max_age = session.ends_at.saturating_sub(now);
        let cookie = &self.cookies.session;
        jar.set_lines(&cookie.name, text, &cookie.attributes, Some(max_age))
            .ok_or_else(|| Error::other("a session is larger than cookies may be"))
    }

    /// Takes a client's own `authorization` out, which is not for the upstream.
    fn take_out_authorization(&self, request: &mut RequestHeaders) -> Result<()> {
        let name = AUTHORIZATION.as_str();
        if self.outputs.removes_authorization() && request.headers().contains(name)? {
            request.headers().remove(&AUTHORIZATION)?;
        }
        Ok(())
    }

    /// Takes our cookies out of what goes to the upstream.
    fn take_out_cookies(&self, request: &mut RequestHeaders) -> Result<()> {
        let headers = request.headers();
        headers.remove_cookies(|name| self.our_cookies.contain(name))
    }
}

/// What the request is called in Envoy's logs.
pub(crate) fn request_id(request: &mut RequestHeaders) -> Result<Option<String>> {
    let id = request.headers().get("x-request-id")?;
    Ok(id.map(|id| String::from_utf8_lossy(id).into_owned()))
}
