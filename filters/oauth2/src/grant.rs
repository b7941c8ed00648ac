//! From what the provider gives to a session.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use legation::clock;
use legation_jose::Claims;
use serde_json::{Map, Value};

use crate::flow::Flow;
use crate::oidc::{Client, ClientError, Expected, IdTokenError, Tokens};
use crate::outputs::Outputs;
use crate::renewal;
use crate::seal::{Keyring, Purpose};
use crate::session::Session;

/// How long things last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    /// Of an access token that does not say.
    pub(crate) access: Duration,
    /// Of a refresh token that does not say.
    pub(crate) refresh: Duration,
    /// Of a session, from the sign-in on, whatever is renewed.
    pub(crate) session: Option<Duration>,
}

/// Makes sessions. To clone it is to have the same one.
#[derive(Clone)]
pub(crate) struct Grants(Rc<Inner>);

/// What it takes to make them.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) keyring: Keyring,
    pub(crate) outputs: Rc<Outputs>,
    /// The session cookie's name.
    pub(crate) cookie: Box<str>,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) max_age: Option<Duration>,
    pub(crate) use_refresh_token: bool,
    pub(crate) use_userinfo: bool,
    /// Whether the ID token is needed later: for the upstream, or as a hint at the sign-out.
    pub(crate) keeps_id_token: bool,
    /// Whether the access token is needed later.
    pub(crate) keeps_access_token: bool,
}

/// Why there is no session.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The provider did not give tokens.
    Client(ClientError),
    /// What it gave does not say who it is.
    IdToken(IdTokenError),
    /// It gave no ID token where it has to, or none that tells a subject.
    NoIdentity,
    /// What was to be renewed is over.
    Ended,
    /// The host failed.
    Host(legation::Error),
}

impl Failure {
    /// A word for metrics and log lines.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Client(error) => error.reason(),
            Self::IdToken(error) => error.reason(),
            Self::NoIdentity => "no_identity",
            Self::Ended => "ended",
            Self::Host(_) => "host",
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<IdTokenError> for Failure {
    fn from(error: IdTokenError) -> Self {
        Self::IdToken(error)
    }
}

impl From<legation::Error> for Failure {
    fn from(error: legation::Error) -> Self {
        Self::Host(error)
    }
}

impl Grants {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Rc::new(inner))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }

    /// What finds the renewal of a session with this refresh token.
    pub(crate) fn key_of(&self, session: &Session, refresh_token: &str) -> [u8; 16] {
        // One refresh token may renew again and again.
        let generation = session.access_expires_at.to_string();
        let own = self.0.client.id();
        renewal::key_of([own, &self.0.cookie, refresh_token, &generation])
    }

    /// The session of a code that came back.
    pub(crate) async fn first(&self, flow: &Flow, code: &str) -> Result<Session, Failure> {
        let inner = &*self.0;
        let client = &inner.client;
        let tokens = client
            .exchange(code, &flow.redirect_uri, &flow.verifier())
            .await?;
        let nonce = flow.nonce();
        let expected = Expected {
            nonce: Some(&nonce),
            access_token: Some(&tokens.access_token),
            max_age: inner.max_age,
            subject: None,
        };
        let claims = match &tokens.id_token {
            Some(token) if client.is_openid() => {
                Some(client.verify_id_token(token, &expected, now()?).await?)
            }
            None if client.is_openid() => return Err(Failure::NoIdentity),
            _ => None,
        };
        let identity = Identity::of(claims.as_ref());
        let identity = inner.complete(identity, &tokens).await?;
        inner.session(&tokens, identity, None)
    }

    /// A session whose tokens are renewed, sealed as the cookie has it.
    pub(crate) async fn renew(&self, before: &Session) -> Result<String, Failure> {
        let inner = &*self.0;
        let client = &inner.client;
        let Some(refresh_token) = &before.refresh_token else {
            return Err(Failure::Ended);
        };
        let tokens = match client.refresh(refresh_token).await {
            Ok(tokens) => tokens,
            // Anything else may be mended, as a secret that is out of date.
            Err(error) if error.is_invalid_grant() => return Err(Failure::Ended),
            Err(error) => return Err(error.into()),
        };
        let claims = match &tokens.id_token {
            Some(token) if client.is_openid() => {
                let expected = Expected {
                    nonce: None,
                    access_token: Some(&tokens.access_token),
                    max_age: None,
                    subject: Some(&before.subject),
                };
                Some(client.verify_id_token(token, &expected, now()?).await?)
            }
            _ => None,
        };
        let identity = match &claims {
            Some(claims) => Identity::of(Some(claims)),
            None => Identity::before(before),
        };
        let identity = inner.complete(identity, &tokens).await?;
        let session = inner.session(&tokens, identity, Some(before))?;
        self.seal(&session).map_err(Failure::Host)
    }

    /// A session as the text of its cookie.
    pub(crate) fn seal(&self, session: &Session) -> legation::Result<String> {
        let inner = &*self.0;
        let plain = session.encode();
        (inner.keyring).seal(Purpose::Session, &inner.cookie, &plain)
    }
}

/// Who somebody is.
#[derive(Default)]
struct Identity {
    subject: Option<Box<str>>,
    session_id: Option<Box<str>>,
    issued_at: Option<u64>,
    claims: Map<String, Value>,
    /// Those that `UserInfo` told.
    told: Vec<Box<str>>,
}

impl Identity {
    fn of(claims: Option<&Claims>) -> Self {
        let Some(claims) = claims else {
            return Self::default();
        };
        let sid = claims.get("sid").and_then(Value::as_str);
        Self {
            subject: claims.subject().map(Into::into),
            session_id: sid.map(Into::into),
            issued_at: claims.issued_at().map(seconds),
            claims: claims.as_map().clone(),
            told: Vec::new(),
        }
    }

    /// What the ID tokens of a session have shown: what `UserInfo` told is asked again.
    fn before(session: &Session) -> Self {
        let mut claims = session.claims.clone();
        claims.retain(|name, _| !session.told.iter().any(|told| **told == **name));
        Self {
            subject: Some(session.subject.clone()),
            claims,
            ..Self::default()
        }
    }

    /// Adds what `UserInfo` says. What was signed does not give way to what was not.
    fn add(&mut self, said: Map<String, Value>) {
        if self.subject.is_none() {
            self.subject = said.get("sub").and_then(Value::as_str).map(Into::into);
        }
        for (name, value) in said {
            if !self.claims.contains_key(&name) {
                self.told.push(name.as_str().into());
                self.claims.insert(name, value);
            }
        }
    }
}

impl Inner {
    /// Adds what the provider's `UserInfo` says, where it is asked.
    async fn complete(&self, mut identity: Identity, tokens: &Tokens) -> Result<Identity, Failure> {
        if !self.use_userinfo {
            return Ok(identity);
        }
        let said = self
            .client
            .userinfo(&tokens.access_token, identity.subject.as_deref())
            .await?;
        identity.add(said);
        Ok(identity)
    }

    fn session(
        &self,
        tokens: &Tokens,
        identity: Identity,
        before: Option<&Session>,
    ) -> Result<Session, Failure> {
        let now = seconds(now()?);
        let Some(subject) = identity.subject else {
            return Err(Failure::NoIdentity);
        };
        let signed_in_at = match before {
            Some(before) => before.signed_in_at,
            // By the provider's clock, as its logout tokens are.
            None => identity.issued_at.unwrap_or(now),
        };
        let after = |given: Option<u64>, usual: Duration| {
            now.saturating_add(given.unwrap_or(usual.as_secs()))
        };
        let access_expires_at = after(tokens.expires_in, self.lifetimes.access);
        let given = tokens.refresh_token.as_deref();
        let kept = before.and_then(|before| before.refresh_token.as_deref());
        let refresh_token = given.or(kept).filter(|_| self.use_refresh_token);
        let refresh_expires_at = match (given, before) {
            // The same token goes on, and does not last longer for it.
            (None, Some(before)) if tokens.refresh_expires_in.is_none() => {
                before.refresh_expires_at
            }
            _ => after(tokens.refresh_expires_in, self.lifetimes.refresh),
        };
        let lasts_until = match refresh_token {
            Some(_) => refresh_expires_at.max(access_expires_at),
            None => access_expires_at,
        };
        let bound = (self.lifetimes.session)
            .map(|lifetime| signed_in_at.saturating_add(lifetime.as_secs()));
        let claims = self.outputs.keep(&identity.claims);
        let mut told = identity.told;
        told.retain(|name| claims.contains_key(&**name));
        let id_token = tokens.id_token.as_deref();
        let id_token = id_token.or(before.and_then(|before| before.id_token.as_deref()));
        let session_id = identity
            .session_id
            .or_else(|| before.and_then(|before| before.session_id.clone()));
        Ok(Session {
            subject,
            session_id,
            signed_in_at,
            ends_at: bound.map_or(lasts_until, |bound| bound.min(lasts_until)),
            access_token: (self.keeps_access_token).then(|| tokens.access_token.clone()),
            access_expires_at,
            refresh_token: refresh_token.map(Into::into),
            refresh_expires_at,
            id_token: id_token.filter(|_| self.keeps_id_token).map(Into::into),
            claims,
            told,
        })
    }
}

fn now() -> legation::Result<SystemTime> {
    Ok(clock::now()?)
}

/// Seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap_or_default()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_was_told_goes_for_as_long_as_it_is_told_and_what_was_signed_for_longer() {
        let mut first = Identity {
            claims: map(json!({"sub": "7", "tenant": "a"})),
            ..Identity::default()
        };
        first.add(map(
            json!({"sub": "7", "tenant": "b", "groups": ["admins"]}),
        ));
        let Identity { claims, told, .. } = first;
        assert_eq!(
            claims,
            map(json!({"sub": "7", "tenant": "a", "groups": ["admins"]}))
        );
        assert_eq!(told, ["groups".into()]);

        let session = Session {
            claims,
            told,
            ..Session::default()
        };
        let mut renewed = Identity::before(&session);
        renewed.add(map(json!({"sub": "7"})));
        assert_eq!(renewed.claims, map(json!({"sub": "7", "tenant": "a"})));
        let mut renewed = Identity::before(&session);
        renewed.add(map(json!({"sub": "7", "groups": ["staff"]})));
        assert_eq!(renewed.claims["groups"], json!(["staff"]));
    }
}
