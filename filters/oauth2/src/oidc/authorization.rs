//! What browsers tell the provider.

use legation_jose::form::Form;

use super::{Client, ClientError};
use crate::config::provider::{AuthorizationParameters, ProviderConfig};

/// A sign-in, as the provider is told of it.
#[derive(Clone, Copy)]
pub(crate) struct SignIn<'a> {
    /// Where the browser comes back to.
    pub(crate) redirect_uri: &'a str,
    /// What it brings back.
    pub(crate) state: &'a str,
    /// What the ID token brings.
    pub(crate) nonce: &'a str,
    /// The hash of the code's verifier (RFC 7636, S256).
    pub(crate) challenge: &'a str,
}

/// A sign-out, as the provider is told of it (`OpenID` Connect RP-Initiated Logout 1.0
/// section 2).
#[derive(Clone, Copy, Default)]
pub(crate) struct SignOut<'a> {
    /// The ID token of the session, so that nobody is asked.
    pub(crate) id_token_hint: Option<&'a str>,
    /// Where the browser goes then.
    pub(crate) post_logout_redirect_uri: Option<&'a str>,
    /// What it brings there.
    pub(crate) state: Option<&'a str>,
}

/// What is the same in each request.
pub(super) struct Parameters {
    scope: String,
    max_age: Option<String>,
    resources: Vec<Box<str>>,
    more: AuthorizationParameters,
}

impl Parameters {
    pub(super) fn new(config: &ProviderConfig) -> Self {
        let scopes: Vec<&str> = config.scopes().collect();
        let max_age = config.id_token.max_age();
        Self {
            scope: scopes.join(" "),
            max_age: max_age.map(|age| age.as_secs().to_string()),
            resources: config
                .resources
                .iter()
                .map(|uri| uri.as_str().into())
                .collect(),
            more: config.authorization_parameters.clone(),
        }
    }
}

impl Client {
    /// The parameters of an authorization request (`OpenID` Connect Core 1.0 section
    /// 3.1.2.1).
    pub(crate) fn parameters<'a>(&'a self, sign_in: &SignIn<'a>) -> Vec<(&'a str, &'a str)> {
        let same = &self.0.authorization;
        let mut all = vec![
            ("response_type", "code"),
            ("client_id", self.id()),
            ("redirect_uri", sign_in.redirect_uri),
            ("state", sign_in.state),
            ("code_challenge", sign_in.challenge),
            ("code_challenge_method", "S256"),
        ];
        if !same.scope.is_empty() {
            all.push(("scope", &same.scope));
        }
        if self.is_openid() {
            all.push(("nonce", sign_in.nonce));
            all.extend(same.max_age.as_deref().map(|age| ("max_age", age)));
        }
        all.extend(same.resources.iter().map(|uri| ("resource", &**uri)));
        all.extend(same.more.iter());
        all
    }

    /// Where a browser is sent to sign in. The request is pushed before, if that is
    /// configured. It waits for discovery.
    pub(crate) async fn sign_in_url(&self, sign_in: &SignIn<'_>) -> Result<String, ClientError> {
        let endpoints = self.endpoints().await?;
        let url = endpoints.authorization.as_str();
        let parameters = self.parameters(sign_in);
        if self.0.services.push.is_none() {
            return Ok(with_query(url, &parameters));
        }
        let request_uri = self.push(&parameters).await?;
        // RFC 9126 section 4.
        let pushed = [("client_id", self.id()), ("request_uri", &request_uri)];
        Ok(with_query(url, &pushed))
    }

    /// Where a browser is sent to sign out at the provider, if it has such a place. No
    /// host call.
    pub(crate) fn sign_out_url(&self, sign_out: &SignOut<'_>) -> Option<String> {
        let endpoints = self.endpoints_now()?;
        let url = endpoints.end_session.as_ref()?.as_str();
        let mut parameters = vec![("client_id", self.id())];
        for (name, value) in [
            ("id_token_hint", sign_out.id_token_hint),
            (
                "post_logout_redirect_uri",
                sign_out.post_logout_redirect_uri,
            ),
            ("state", sign_out.state),
        ] {
            parameters.extend(value.map(|value| (name, value)));
        }
        Some(with_query(url, &parameters))
    }
}

/// The URL, which may have a query already, with these parameters behind it.
fn with_query(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut form = Form::new();
    for (name, value) in parameters {
        form.add(name, value.as_bytes());
    }
    let mark = match url.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{mark}{}", form.into_text())
}
