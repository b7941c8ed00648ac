//! Where the provider is: as it is written, and for the rest as its metadata has it.

use legation::config::{Given, Problem};
use legation_jose::keys::Metadata;
use legation_jose::url::{self, ServiceUrl};

use crate::config::provider::{BrowserUrl, ProviderConfig, ServiceEndpoint};

/// Where the provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// Who it is; nobody of plain OAuth 2.0.
    pub(crate) issuer: Option<Box<str>>,
    /// Where browsers sign in. It may have a query.
    pub(crate) authorization: BrowserUrl,
    /// Where codes and refresh tokens are exchanged.
    pub(crate) token: ServiceUrl,
    /// Where it is asked about its users.
    pub(crate) userinfo: Option<ServiceUrl>,
    /// Where requests are pushed.
    pub(crate) par: Option<ServiceUrl>,
    /// Where browsers sign out.
    pub(crate) end_session: Option<BrowserUrl>,
    /// Whether each of its answers to browsers has `iss` (RFC 9207): one without is none.
    pub(crate) iss_parameter_supported: bool,
}

/// What is written of it, which goes before what is discovered.
#[derive(Debug)]
pub(super) struct Written {
    issuer: Option<Box<str>>,
    authorization: Option<BrowserUrl>,
    token: Option<ServiceUrl>,
    userinfo: Option<ServiceUrl>,
    push: Option<ServiceUrl>,
    end_session: Option<BrowserUrl>,
    needs_userinfo: bool,
    needs_push: bool,
}

/// A member of the metadata, and what is wrong with it.
pub(super) type Unusable = (&'static str, Problem);

impl Written {
    pub(super) fn new(config: &ProviderConfig) -> Self {
        let uri = |endpoint: &Given<ServiceEndpoint>| endpoint.0.as_ref()?.uri().cloned();
        Self {
            issuer: config.issuer.0.as_ref().map(|text| text.as_str().into()),
            authorization: config.authorization_endpoint.0.clone(),
            token: uri(&config.token_endpoint),
            userinfo: uri(&config.userinfo_endpoint),
            push: uri(&config.pushed_authorization_request_endpoint),
            end_session: config.end_session_endpoint.0.clone(),
            needs_userinfo: config.asks_userinfo(),
            needs_push: config.use_pushed_authorization_requests,
        }
    }

    /// All of it, with what the metadata adds.
    ///
    /// An endpoint that is needed and not there is an error, as is one that cannot be used,
    /// or is not `https` while the issuer is: the metadata of a provider with TLS leads
    /// nobody away from it.
    pub(super) fn endpoints(&self, metadata: Option<&Metadata>) -> Result<Endpoints, Unusable> {
        let found =
            |of: fn(&Metadata) -> &Option<String>| metadata.and_then(|all| of(all).as_deref());
        let issuer = self.issuer.as_deref().unwrap_or_default();
        let browser =
            |field, written: &Option<BrowserUrl>, found: Option<&str>| match (written, found) {
                (Some(url), _) => Ok(Some(url.clone())),
                (None, None) => Ok(None),
                (None, Some(text)) => {
                    let url =
                        BrowserUrl::parse(text).and_then(|url| safe(issuer, text).map(|()| url));
                    url.map(Some).map_err(|problem| (field, problem))
                }
            };
        let service =
            |field, written: &Option<ServiceUrl>, found: Option<&str>| match (written, found) {
                (Some(url), _) => Ok(Some(url.clone())),
                (None, None) => Ok(None),
                (None, Some(text)) => {
                    let url = url::parse(text).and_then(|url| safe(issuer, text).map(|()| url));
                    url.map(Some).map_err(|problem| (field, problem))
                }
            };
        let authorization = browser(
            "authorization_endpoint",
            &self.authorization,
            found(|all| &all.authorization_endpoint),
        )?;
        let token = service(
            "token_endpoint",
            &self.token,
            found(|all| &all.token_endpoint),
        )?;
        // Those that are not needed are not looked at.
        let userinfo = if self.needs_userinfo {
            let field = "userinfo_endpoint";
            let url = service(field, &self.userinfo, found(|all| &all.userinfo_endpoint))?;
            Some(url.ok_or_else(|| missing(field))?)
        } else {
            None
        };
        let par = if self.needs_push {
            let field = "pushed_authorization_request_endpoint";
            let named = found(|all| &all.pushed_authorization_request_endpoint);
            Some(service(field, &self.push, named)?.ok_or_else(|| missing(field))?)
        } else {
            None
        };
        // Without it, browsers are signed out here alone.
        let end_session = browser(
            "end_session_endpoint",
            &self.end_session,
            found(|all| &all.end_session_endpoint),
        );
        Ok(Endpoints {
            issuer: self.issuer.clone(),
            authorization: authorization.ok_or_else(|| missing("authorization_endpoint"))?,
            token: token.ok_or_else(|| missing("token_endpoint"))?,
            userinfo,
            par,
            end_session: end_session.unwrap_or_default(),
            iss_parameter_supported: metadata
                .is_some_and(|all| all.authorization_response_iss_parameter_supported),
        })
    }
}

fn missing(field: &'static str) -> Unusable {
    (
        field,
        Problem::new("is missing").help("write it into the configuration"),
    )
}

fn safe(issuer: &str, found: &str) -> Result<(), Problem> {
    let is_https = |url: &str| {
        let scheme = url.get(..8);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
    };
    if is_https(issuer) && !is_https(found) {
        return Err(Problem::new("is not https, as the issuer is"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
