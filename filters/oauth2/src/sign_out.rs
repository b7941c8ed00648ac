//! Ends sessions: where a browser asks for it, and where the provider does.

use legation::http::Method;
use legation::http::header::{CACHE_CONTROL, COOKIE};
use legation::{LocalReply, RequestHeaders, Result, clock};

use crate::cookies::CookieJar;
use crate::filter::{OAuth2, request_id};
use crate::flow;
use crate::oidc::SignOut;
use crate::pages::{self, Trouble, Wants};
use crate::place;
use crate::sign_in::{redirect, with_cookies};

/// A logout token has a few hundred bytes.
const LARGEST_LOGOUT: usize = 16_384;

impl OAuth2 {
    /// Forgets whoever comes: every cookie of ours goes, and the browser to the provider, which ends its
    /// own session (`OpenID` Connect RP-Initiated Logout 1.0).
    pub(crate) async fn sign_out(&self, request: &mut RequestHeaders) -> Result<LocalReply> {
        let wants = Wants::of(request)?;
        if is_forced(request)? {
            return Ok(
                pages::failure(&Trouble::ForcedSignOut, wants, request_id(request)?, None)
                    .details("oauth2_forced_sign_out"),
            );
        }
        let id_token = match self.session(request)? {
            Some(known) => known.session.id_token.clone(),
            None => None,
        };
        let after = match &self.own.post_logout_redirect_uri {
            Some(format) => {
                let mut url = Vec::new();
                format.render(request, &mut url)?;
                String::from_utf8(url)
                    .ok()
                    .filter(|url| place::origin_of(url).is_some())
            }
            None => None,
        };
        let jar = CookieJar::read(request.headers().get_all(COOKIE.as_str())?);
        let cookies = &self.cookies;
        let mut lines = jar.clear_lines(&cookies.session.name, &cookies.session.attributes);
        for name in flow::flow_names(&jar, &cookies.flow.name) {
            lines.extend(jar.clear_lines(&name, &cookies.flow.attributes));
        }
        lines.extend(jar.clear_lines(&cookies.attempts.name, &cookies.flow.attributes));
        self.counts.signed_out.increment();
        log::info!("signed out");
        let client = self.grants.client();
        // Without its metadata the browser is signed out here alone.
        if let Err(error) = client.endpoints().await {
            let reason = error.reason();
            log::warn!(reason; "the provider is not told of a sign-out");
        }
        let told = SignOut {
            id_token_hint: id_token.as_deref(),
            post_logout_redirect_uri: after.as_deref(),
            state: None,
        };
        let reply = match (client.sign_out_url(&told), &after) {
            (Some(url), _) => redirect(&url, &lines),
            (None, Some(after)) => redirect(after, &lines),
            (None, None) => with_cookies(pages::signed_out(wants), &lines),
        };
        Ok(reply.details("oauth2_signed_out"))
    }

    /// Takes in what the provider says of sessions that are over (`OpenID` Connect Back-Channel Logout
    /// 1.0, section 2.5).
    pub(crate) async fn back_channel(&self, request: &mut RequestHeaders) -> Result<LocalReply> {
        let answer = |status: u16, body: &str| {
            LocalReply::new(status)
                .header(CACHE_CONTROL.as_str(), "no-store")
                .header("content-type", "application/json")
                .body(body)
        };
        let Some(ended) = &self.ended else {
            return Ok(answer(404, "{}"));
        };
        if request.method()? != Some(Method::POST.as_str().as_bytes()) {
            return Ok(LocalReply::new(405)
                .header("allow", "POST")
                .details("oauth2_back_channel_method"));
        }
        let body = request.buffer_body(LARGEST_LOGOUT).await?;
        let mut tokens = form_urlencoded::parse(&body)
            .filter(|(name, _)| name == "logout_token")
            .map(|(_, value)| value.into_owned());
        let (Some(token), None) = (tokens.next(), tokens.next()) else {
            return Ok(answer(400, r#"{"error":"invalid_request"}"#)
                .details("oauth2_back_channel_refused"));
        };
        let now = clock::now()?;
        let said = self.grants.client().verify_logout_token(&token, now).await;
        match said {
            Ok(said) => {
                ended.note(&said, now)?;
                self.counts.back_channel_logout.increment();
                log::info!("the provider has ended a session");
                Ok(answer(200, "{}").details("oauth2_back_channel_logout"))
            }
            Err(error) => {
                let reason = error.reason();
                log::info!(reason; "a logout token is refused");
                self.counts.failed(reason);
                Ok(answer(400, r#"{"error":"invalid_request"}"#)
                    .details("oauth2_back_channel_refused"))
            }
        }
    }
}

/// Whether another site has the browser ask in passing, as by an image. A browser that does not say is
/// believed: nobody loses more than a session.
fn is_forced(request: &mut RequestHeaders) -> Result<bool> {
    let is_cross_site = request.headers().get("sec-fetch-site")? == Some(b"cross-site");
    let mode = request.headers().get("sec-fetch-mode")?;
    Ok(is_cross_site && mode.is_some_and(|mode| mode != b"navigate"))
}
