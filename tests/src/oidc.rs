//! A provider of sign-ins (`OpenID` Connect 1.0) in the test's own process, which does what it is told: also what
//! no real one would.
//!
//! ```no_run
//! use legation_tests::jwt::Mode;
//! use legation_tests::oidc::{Endpoint, FakeProvider};
//!
//! # fn main() -> anyhow::Result<()> {
//! let provider = FakeProvider::start()?;
//! // Whoever comes to its authorization endpoint has signed in as bob, and comes back with a code.
//! provider.change(|it| it.subject = "bob".to_owned());
//! // Its ID tokens are for somebody else, and its UserInfo is down.
//! provider.edit_id_token(|claims| claims.audience("another"));
//! provider.set(Endpoint::UserInfo, Mode::Status(500));
//! # Ok(())
//! # }
//! ```
//!
//! By itself it is strict: a code comes once, with the redirect URI, the client and the PKCE verifier that it
//! was asked for with; a refresh token is good once, and another comes with each answer.

mod answers;
mod logout;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Map, Value, json};

pub use logout::LOGOUT_EVENT;

use crate::jwt::{Claims, Key, Mode, base64url};
use crate::message::Received;
use crate::upstream::Upstream;

/// A running provider. Dropping it stops it.
pub struct FakeProvider {
    issuer: String,
    address: SocketAddr,
    server: Mutex<Server>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct Server {
    running: Option<Upstream>,
    /// What those before the last [`FakeProvider::stop`] had got.
    before: Vec<Received>,
}

/// One of its endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/jwks`
    Keys,
    /// `/authorize`: nobody is asked anything there.
    Authorization,
    /// `/token`
    Token,
    /// `/userinfo`
    UserInfo,
    /// `/par` (RFC 9126)
    PushedRequests,
    /// `/logout`
    EndSession,
}

impl Endpoint {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Discovery,
        Self::Keys,
        Self::Authorization,
        Self::Token,
        Self::UserInfo,
        Self::PushedRequests,
        Self::EndSession,
    ];

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Discovery => "/.well-known/openid-configuration",
            Self::Keys => "/jwks",
            Self::Authorization => "/authorize",
            Self::Token => "/token",
            Self::UserInfo => "/userinfo",
            Self::PushedRequests => "/par",
            Self::EndSession => "/logout",
        }
    }

    fn of(path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or_default();
        Self::ALL.into_iter().find(|one| one.path() == path)
    }
}

/// What becomes of refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokens {
    /// There are none.
    None,
    /// Each is good once, and a new one comes with the answer.
    Rotating,
    /// The first is good for ever, and answers have none.
    Kept,
}

/// What it does, and as whom.
#[derive(Clone)]
#[non_exhaustive]
pub struct Behaviour {
    /// The client that it knows: `app` unless changed.
    pub client_id: String,
    /// Its secret, `s3cret & more` unless changed. Without one the client is public.
    pub client_secret: Option<String>,
    /// Who signs in; `alice`.
    pub subject: String,
    /// Further claims of ID tokens and of UserInfo.
    pub claims: Map<String, Value>,
    /// `sid` of ID tokens.
    pub session: Option<String>,
    /// `expires_in` of access tokens, in seconds; 3600.
    pub expires_in: Option<u64>,
    /// What becomes of refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// The error that whoever comes to be signed in goes back with (`access_denied`).
    pub refuses: Option<String>,
    /// `iss` beside the code (RFC 9207); its own name unless changed.
    pub iss: Option<String>,
    /// `nonce` of ID tokens, in place of what was asked for.
    pub nonce: Option<String>,
    /// What signs ID tokens, in place of its own key.
    pub signs_by: Option<Key>,
    /// Whether a code is good any number of times.
    pub takes_codes_again: bool,
    /// What the metadata has in place of what it would have; null takes a member out.
    pub metadata: Map<String, Value>,
}

type EditClaims = Arc<dyn Fn(Claims) -> Claims + Send + Sync>;
type EditAnswer = Arc<dyn Fn(&mut Value) + Send + Sync>;

struct State {
    issuer: String,
    behaviour: Behaviour,
    modes: BTreeMap<Endpoint, Mode>,
    key: Key,
    published: Vec<Key>,
    edit_id_token: Option<EditClaims>,
    edit_answer: Option<EditAnswer>,
    codes: BTreeMap<String, Grant>,
    used_codes: BTreeMap<String, Grant>,
    refresh: BTreeMap<String, Grant>,
    access: BTreeMap<String, Grant>,
    /// When access tokens end that do.
    ends: BTreeMap<String, Instant>,
    pushed: BTreeMap<String, Vec<(String, String)>>,
    count: u64,
}

/// What somebody has agreed to.
#[derive(Clone, Debug)]
struct Grant {
    subject: String,
    nonce: Option<String>,
    redirect_uri: String,
    challenge: Option<String>,
    scope: String,
}

impl FakeProvider {
    /// Starts one. Its name is its address on loopback.
    pub fn start() -> Result<Self> {
        let server = Upstream::start()?;
        let address = server.address();
        let issuer = format!("http://{address}");
        let key = Key::p256().with_id("first");
        let state = Arc::new(Mutex::new(State {
            issuer: issuer.clone(),
            behaviour: Behaviour {
                client_id: "app".to_owned(),
                client_secret: Some("s3cret & more".to_owned()),
                subject: "alice".to_owned(),
                claims: Map::new(),
                session: None,
                expires_in: Some(3600),
                refresh_tokens: RefreshTokens::Rotating,
                refuses: None,
                iss: Some(issuer.clone()),
                nonce: None,
                signs_by: None,
                takes_codes_again: false,
                metadata: Map::new(),
            },
            modes: BTreeMap::new(),
            published: vec![key.clone()],
            key,
            edit_id_token: None,
            edit_answer: None,
            codes: BTreeMap::new(),
            used_codes: BTreeMap::new(),
            refresh: BTreeMap::new(),
            access: BTreeMap::new(),
            ends: BTreeMap::new(),
            pushed: BTreeMap::new(),
            count: 0,
        }));
        Ok(Self {
            issuer,
            address,
            server: Mutex::new(Server {
                running: Some(serve(server, &state)),
                before: Vec::new(),
            }),
            state,
        })
    }

    /// Its name, which is also where it is: the `iss` of its tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where it listens; the same after [`FakeProvider::restart`].
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of an endpoint.
    pub fn uri(&self, endpoint: Endpoint) -> String {
        format!("{}{}", self.issuer, endpoint.path())
    }

    /// An endpoint as an `HttpUri`, in a cluster of this name; two seconds may pass.
    pub fn http_uri(&self, endpoint: Endpoint, cluster: &str) -> Value {
        json!({"uri": self.uri(endpoint), "cluster": cluster, "timeout": "2s"})
    }

    /// Changes what it does from now on.
    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }

    /// An endpoint behaves so from now on.
    pub fn set(&self, endpoint: Endpoint, mode: Mode) {
        self.state().modes.insert(endpoint, mode);
    }

    /// Changes the claims of every ID token from now on, right before it is signed.
    pub fn edit_id_token(&self, edit: impl Fn(Claims) -> Claims + Send + Sync + 'static) {
        self.state().edit_id_token = Some(Arc::new(edit));
    }

    /// Changes what the token endpoint answers from now on, where that is good.
    pub fn edit_answer(&self, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.state().edit_answer = Some(Arc::new(edit));
    }

    /// Does everything again as at the start; its key, and what it has given, stay.
    pub fn mend(&self) {
        let mut state = self.state();
        state.modes.clear();
        state.edit_id_token = None;
        state.edit_answer = None;
        let behaviour = &mut state.behaviour;
        behaviour.refuses = None;
        behaviour.nonce = None;
        behaviour.signs_by = None;
        behaviour.takes_codes_again = false;
        behaviour.iss = Some(self.issuer.clone());
    }

    /// Signs by a key that nobody has seen before, and publishes that alone.
    pub fn rotate_keys(&self) -> Key {
        let mut state = self.state();
        state.count += 1;
        let key = Key::fresh().with_id(&format!("rotated-{}", state.count));
        state.key = key.clone();
        state.published = vec![key.clone()];
        key
    }

    /// What signs its tokens.
    pub fn key(&self) -> Key {
        self.state().key.clone()
    }

    /// Takes back all refresh tokens.
    pub fn revoke_refresh_tokens(&self) {
        self.state().refresh.clear();
    }

    /// How many refresh tokens are good now.
    pub fn live_refresh_tokens(&self) -> usize {
        self.state().refresh.len()
    }

    /// For how long an access token has been over; none while it is good.
    pub fn over_for(&self, access_token: &str) -> Option<Duration> {
        let ends = self.state().ends.get(access_token).copied()?;
        let over = Instant::now().saturating_duration_since(ends);
        (!over.is_zero()).then_some(over)
    }

    /// Every code, token and verifier that it has given or got: what must stand in no log.
    pub fn secrets(&self) -> Vec<String> {
        let state = self.state();
        let mut all: Vec<String> = state.codes.keys().cloned().collect();
        all.extend(state.used_codes.keys().cloned());
        all.extend(state.refresh.keys().cloned());
        all.extend(state.access.keys().cloned());
        all.extend(state.behaviour.client_secret.clone());
        drop(state);
        for request in self.requests_of(Endpoint::Token) {
            all.extend(form(&request).into_values_of(&["code_verifier", "code", "refresh_token"]));
        }
        all.sort();
        all.dedup();
        all
    }

    /// Closes the port: connections are refused.
    pub fn stop(&self) {
        let mut server = lock(&self.server);
        if let Some(stopped) = server.running.take() {
            server.before.extend(stopped.requests());
        }
    }

    /// Listens again, on the same port.
    pub fn restart(&self) -> Result<()> {
        let address = self.address;
        // The port is free once the old server's task has been dropped.
        let server = crate::wait_for("the provider's port to be free", crate::DEADLINE, || {
            Ok(Upstream::start_on(address).ok())
        })?;
        lock(&self.server).running = Some(serve(server, &self.state));
        Ok(())
    }

    /// Everything it was asked, in order.
    pub fn requests(&self) -> Vec<Received> {
        let server = lock(&self.server);
        let mut all = server.before.clone();
        all.extend(server.running.iter().flat_map(Upstream::requests));
        all
    }

    /// What one endpoint was asked.
    pub fn requests_of(&self, endpoint: Endpoint) -> Vec<Received> {
        let mut all = self.requests();
        all.retain(|one| Endpoint::of(&one.path) == Some(endpoint));
        all
    }

    /// How often an endpoint was asked.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.requests_of(endpoint).len()
    }

    /// The forms that the token endpoint got with this `grant_type`.
    pub fn token_requests(&self, grant_type: &str) -> Vec<Form> {
        let forms = self.requests_of(Endpoint::Token);
        let forms = forms.iter().map(form);
        forms
            .filter(|form| form.get("grant_type") == Some(grant_type))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl fmt::Debug for FakeProvider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "FakeProvider({})", self.issuer)
    }
}

/// What a request had in its form, or in its query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// The value of a parameter; none where it comes twice.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(one, _)| one == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Every value of a parameter.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(one, _)| one == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    fn into_values_of(self, names: &[&str]) -> Vec<String> {
        let of = |(name, value): (String, String)| names.contains(&name.as_str()).then_some(value);
        self.0.into_iter().filter_map(of).collect()
    }
}

/// The form of a request; its query where it is a GET.
pub fn form(request: &Received) -> Form {
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let text = match request.method.as_str() {
        "GET" => query.as_bytes(),
        _ => &request.body,
    };
    Form(form_urlencoded::parse(text).into_owned().collect())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked with the lock held must not fail the others.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(server: Upstream, state: &Arc<Mutex<State>>) -> Upstream {
    let state = Arc::clone(state);
    server.answer(move |received| lock(&state).reply(received));
    server
}

fn hash(text: &str) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).to_vec()
}

/// `S256` of RFC 7636, section 4.2.
pub fn challenge(verifier: &str) -> String {
    base64url(hash(verifier))
}
