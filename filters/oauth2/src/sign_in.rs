//! Sends a browser to the provider, and takes it in when it comes back.

use legation::http::header::{CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use legation::{LocalReply, RequestHeaders, Result, clock};

use crate::cookies::{CookieJar, SameSite};
use crate::filter::{OAuth2, request_id};
use crate::flow::{self, Flow, LONGEST_REDIRECT_URI};
use crate::grant::{Failure, seconds};
use crate::oidc::{ClientError, SignIn};
use crate::pages::{self, Trouble, Wants};
use crate::place::{self, Callback};
use crate::seal::Purpose;

/// A browser that was signed in so often within [`LOOP`], and comes back without a session, does not
/// keep its cookie.
const MOST_ATTEMPTS: u64 = 3;
const LOOP: u64 = 60;
/// The cookie of a sign-in outlives it, so that whoever comes late gets back to the page.
const LATE: u64 = 3_600;

impl OAuth2 {
    /// Sends a browser to the provider.
    pub(crate) async fn sign_in(&self, request: &mut RequestHeaders) -> Result<LocalReply> {
        let now = seconds(clock::now()?);
        if self.attempts(request, now)? >= MOST_ATTEMPTS {
            return self.fail(request, &Trouble::Loop, "loop", None);
        }
        let Some((redirect_uri, original_url)) = self.places(request)? else {
            return self.fail(request, &Trouble::BadPlace, "bad_place", None);
        };
        let flow = Flow::start(&original_url, &redirect_uri, now)?;
        let (state, nonce, challenge) = (flow.state(), flow.nonce(), flow.challenge());
        let told = SignIn {
            redirect_uri: &flow.redirect_uri,
            state: &state,
            nonce: &nonce,
            challenge: &challenge,
        };
        let url = match self.grants.client().sign_in_url(&told).await {
            Ok(url) => url,
            Err(error) => {
                let trouble = trouble_of(&error);
                return self.fail(request, &trouble, error.reason(), None);
            }
        };
        let headers = cookie_headers(request)?;
        let jar = CookieJar::read(headers.iter().map(Vec::as_slice));
        let cookies = &self.cookies;
        let sealed = flow.seal(self.grants.keyring(), &cookies.flow.name)?;
        let name = flow.cookie_name(&cookies.flow.name);
        let lifetime = self.own.flow_lifetime.as_secs();
        let max_age = lifetime.saturating_add(LATE);
        let Some(mut lines) =
            jar.set_lines(&name, &sealed, &cookies.flow.attributes, Some(max_age))
        else {
            return self.fail(request, &Trouble::BadPlace, "bad_place", None);
        };
        let keyring = self.grants.keyring();
        for oldest in flow::too_many(&jar, keyring, &cookies.flow.name, now, max_age) {
            lines.extend(jar.clear_lines(&oldest, &cookies.flow.attributes));
        }
        Ok(redirect(&url, &lines).details("oauth2_sign_in"))
    }

    /// Where the provider sends a browser back to, and where that goes from there. `None` where a
    /// request's own words make no such places, or no allowed ones.
    fn places(&self, request: &mut RequestHeaders) -> Result<Option<(String, String)>> {
        let mut redirect_uri = Vec::new();
        self.own.redirect_uri.render(request, &mut redirect_uri)?;
        let Ok(redirect_uri) = String::from_utf8(redirect_uri) else {
            return Ok(None);
        };
        let authority = request.authority()?.unwrap_or_default().to_vec();
        let scheme = match (
            scheme_by(&redirect_uri, &authority),
            request.headers().get("x-forwarded-proto")?,
        ) {
            // Whoever ends TLS before Envoy need not say so.
            (Some(scheme), _) => scheme.as_bytes().to_vec(),
            (None, Some(scheme)) => scheme.to_vec(),
            (None, None) => request.scheme()?.unwrap_or_default().to_vec(),
        };
        let path = request.path()?.unwrap_or_default();
        let (Some(own), Some(origin)) = (
            place::origin_of(&redirect_uri),
            place::origin(&scheme, &authority),
        ) else {
            return Ok(None);
        };
        if redirect_uri.len() > LONGEST_REDIRECT_URI {
            return Ok(None);
        }
        let original = place::original_url(&scheme, &authority, path);
        // What no browser sends, or is longer than cookies can be: to the front door.
        let original = original.unwrap_or_else(|| format!("{origin}/"));
        let domains = &self.own.allowed_redirect_domains;
        // A path is shorter, but `//host` is none.
        if own == origin
            && let Some(path) = original.strip_prefix(&origin)
            && place::is_allowed_redirect(path, &own, domains)
        {
            return Ok(Some((redirect_uri, path.to_owned())));
        }
        let is_allowed = place::is_allowed_redirect(&original, &own, domains);
        Ok(is_allowed.then_some((redirect_uri, original)))
    }

    /// Takes in a browser that comes back.
    pub(crate) async fn finish(&self, request: &mut RequestHeaders) -> Result<LocalReply> {
        let path = request.path()?.unwrap_or_default().to_vec();
        let callback = match Callback::read(&path) {
            Ok(callback) => callback,
            Err(bad) => {
                log::info!(error:% = bad; "a callback cannot be read");
                return self.fail(request, &Trouble::BadCallback, "bad_callback", None);
            }
        };
        let headers = cookie_headers(request)?;
        let jar = CookieJar::read(headers.iter().map(Vec::as_slice));
        let cookies = &self.cookies;
        let keyring = self.grants.keyring();
        let Some(state) = callback.state.as_ref().map(String::as_bytes) else {
            return self.fail(request, &Trouble::BadCallback, "state_missing", None);
        };
        let Some((flow, name)) = Flow::find(&jar, keyring, &cookies.flow.name, state) else {
            return self.fail(request, &Trouble::FlowMissing, "flow_missing", None);
        };
        // Whatever comes of it, it was used.
        let used = jar.clear_lines(&name, &cookies.flow.attributes);
        let jar_lines = move |lines: Vec<String>| [used.clone(), lines].concat();
        let fail = |request: &mut RequestHeaders, trouble: &Trouble, reason: &str| {
            self.fail(request, trouble, reason, Some(&flow.original_url))
                .map(|reply| with_cookies(reply, &jar_lines(Vec::new())))
        };
        let now = clock::now()?;
        if flow.is_over(seconds(now), self.own.flow_lifetime.as_secs()) {
            return fail(request, &Trouble::FlowExpired, "flow_expired");
        }
        if !self.used_states.first_use(state, now)? {
            return fail(request, &Trouble::BadCallback, "state_replayed");
        }
        let client = self.grants.client();
        let endpoints = match client.endpoints().await {
            Ok(endpoints) => endpoints,
            Err(error) => return fail(request, &Trouble::NotReady, error.reason()),
        };
        // RFC 9207, section 2.4.
        let is_from_issuer = match (&callback.iss, &endpoints.issuer) {
            (Some(iss), Some(issuer)) => **iss == **issuer,
            (None, _) => !endpoints.iss_parameter_supported,
            (Some(_), None) => true,
        };
        if !is_from_issuer {
            return fail(request, &Trouble::BadCallback, "issuer_mismatch");
        }
        if let Some(error) = &callback.error {
            let trouble = Trouble::refused_by_provider(error);
            return fail(request, &trouble, "provider_refused");
        }
        let Some(code) = &callback.code else {
            return fail(request, &Trouble::BadCallback, "code_missing");
        };
        let session = match self.grants.first(&flow, code).await {
            Ok(session) => session,
            Err(Failure::Host(error)) => return Err(error),
            Err(failure) => {
                let trouble = trouble_of_failure(&failure);
                return fail(request, &trouble, failure.reason());
            }
        };
        if let Err(denied) = self.rules.check_overall(&session.claims) {
            return fail(request, &Trouble::Forbidden, denied.reason());
        }
        let text = self.grants.seal(&session)?;
        let lines = jar_lines(self.session_lines(request, &text, &session)?);
        let lines = [lines, self.attempt_lines(request, seconds(now))?].concat();
        self.counts.signed_in.increment();
        log::info!("signed in");
        let reply = match self.cookies.session.attributes.same_site {
            // Browsers do not send it on the way back from another site.
            SameSite::Strict => with_cookies(pages::signed_in(&flow.original_url), &lines),
            _ => redirect(&flow.original_url, &lines),
        };
        Ok(reply.details("oauth2_signed_in"))
    }

    /// How often the browser was signed in lately.
    fn attempts(&self, request: &mut RequestHeaders, now: u64) -> Result<u64> {
        let jar = CookieJar::read(request.headers().get_all(COOKIE.as_str())?);
        let name = &self.cookies.attempts.name;
        let opened = jar
            .join(name)
            .and_then(|text| (self.grants.keyring()).open(Purpose::Attempts, name, &text));
        let Some(opened) = opened else {
            return Ok(0);
        };
        let Some((count, at)) = opened.plain.split_first_chunk::<8>() else {
            return Ok(0);
        };
        let at = at.try_into().map_or(0, u64::from_le_bytes);
        let is_recent = now.saturating_sub(at) < LOOP;
        Ok(if is_recent {
            u64::from_le_bytes(*count)
        } else {
            0
        })
    }

    /// The lines that count one more.
    fn attempt_lines(&self, request: &mut RequestHeaders, now: u64) -> Result<Vec<String>> {
        let count = self.attempts(request, now)?.saturating_add(1);
        let plain = [count.to_le_bytes(), now.to_le_bytes()].concat();
        let cookies = &self.cookies;
        let name = &cookies.attempts.name;
        let text = (self.grants.keyring()).seal(Purpose::Attempts, name, &plain)?;
        let jar = CookieJar::read(request.headers().get_all(COOKIE.as_str())?);
        let lines = jar.set_lines(name, &text, &cookies.flow.attributes, Some(LOOP));
        Ok(lines.unwrap_or_default())
    }

    /// A sign-in that came to nothing: counted, logged, and told.
    pub(crate) fn fail(
        &self,
        request: &mut RequestHeaders,
        trouble: &Trouble,
        reason: &str,
        original_url: Option<&str>,
    ) -> Result<LocalReply> {
        self.counts.failed(reason);
        log::info!(reason; "sign-in failed");
        let wants = Wants::of(request)?;
        let reply = pages::failure(trouble, wants, request_id(request)?, original_url);
        Ok(reply.details(&format!("oauth2_{reason}")))
    }
}

/// The scheme of a URL of this authority.
fn scheme_by<'a>(url: &'a str, authority: &[u8]) -> Option<&'a str> {
    let (scheme, rest) = url.split_once("://")?;
    let own = rest.split(['/', '?', '#']).next()?;
    own.as_bytes()
        .eq_ignore_ascii_case(authority)
        .then_some(scheme)
}

/// The `cookie` headers of a request, to be looked at while it is asked for other things.
fn cookie_headers(request: &mut RequestHeaders) -> Result<Vec<Vec<u8>>> {
    let headers = request.headers().get_all(COOKIE.as_str())?;
    Ok(headers.map(<[u8]>::to_vec).collect())
}

fn trouble_of(error: &ClientError) -> Trouble {
    match error {
        ClientError::NotReady => Trouble::NotReady,
        ClientError::Unavailable(_) => Trouble::ProviderUnavailable,
        ClientError::Refused { .. } | ClientError::Answer(_) => Trouble::TokenInvalid,
    }
}

fn trouble_of_failure(failure: &Failure) -> Trouble {
    match failure {
        Failure::Client(error) => trouble_of(error),
        Failure::IdToken(error) if error.is_unavailable() => Trouble::ProviderUnavailable,
        Failure::IdToken(_) | Failure::NoIdentity | Failure::Ended | Failure::Host(_) => {
            Trouble::TokenInvalid
        }
    }
}

/// Sends a browser elsewhere.
pub(crate) fn redirect(url: &str, set_cookies: &[String]) -> LocalReply {
    let reply = LocalReply::new(302)
        .header(LOCATION.as_str(), url)
        .header(CACHE_CONTROL.as_str(), "no-store")
        .header("referrer-policy", "no-referrer");
    with_cookies(reply, set_cookies)
}

pub(crate) fn with_cookies(reply: LocalReply, set_cookies: &[String]) -> LocalReply {
    set_cookies.iter().fold(reply, |reply, line| {
        reply.header(SET_COOKIE.as_str(), line.as_str())
    })
}
