//! A server of keys and of answers about opaque tokens, which can be made to fail.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::message::Received;
use crate::upstream::{Reply, Upstream};

use super::key::{Key, jwks};

/// An issuer: `/jwks`, `/.well-known/openid-configuration` (also behind a path of the name) and
/// `/introspect`, on one port of loopback.
#[derive(Debug)]
pub struct Issuer {
    name: String,
    address: SocketAddr,
    server: Option<Upstream>,
    /// What the servers before the last [`Issuer::stop`] had got.
    before: Vec<Received>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    name: String,
    keys: Value,
    discovery: Option<Value>,
    modes: BTreeMap<Endpoint, Mode>,
    headers: Vec<(String, String)>,
    tokens: BTreeMap<String, Value>,
    client: Option<(String, String)>,
}

/// One of an issuer's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/jwks`
    Keys,
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/introspect`
    Introspection,
}

/// How an endpoint behaves.
#[derive(Clone, Debug, Default)]
pub enum Mode {
    /// As it should.
    #[default]
    Well,
    /// Takes the request and never answers.
    Hang,
    /// Closes the connection instead of an answer.
    Die,
    /// Answers with this status and a short text.
    Status(u16),
    /// 200, and bytes that are nothing.
    Garbage,
    /// 200, and a page.
    Html,
    /// 200, and no byte.
    Empty,
    /// 200, and well-formed JSON that is no answer here: `{"keys": {}}`.
    Nonsense,
    /// 200, and an answer filled up to so many bytes with spaces.
    Huge(usize),
    /// The right answer, so much later.
    Slow(Duration),
    /// The right answer's first half; then the connection ends.
    Cut,
    /// 302 to this address.
    Redirect(String),
    /// Exactly this.
    Reply(Reply),
}

impl Mode {
    /// What is answered, where this is the right answer, and this the text of it.
    pub(crate) fn reply(
        self,
        right: impl FnOnce() -> Reply,
        text: impl FnOnce() -> String,
    ) -> Reply {
        match self {
            Self::Well => right(),
            Self::Hang => Reply::hang(),
            Self::Die => Reply::reset(),
            Self::Status(status) => Reply::status(status).body("not today"),
            Self::Garbage => Reply::ok().body(b"\x00\xff\xfe{]garbage\x80"),
            Self::Html => Reply::ok()
                .header("content-type", "text/html")
                .body("<!doctype html><title>Down for maintenance</title>"),
            Self::Empty => Reply::ok(),
            Self::Nonsense => Reply::json(&json!({"keys": {}})),
            Self::Huge(size) => {
                let text = text();
                let fill = " ".repeat(size.saturating_sub(text.len()));
                Reply::ok().body(text + &fill)
            }
            Self::Slow(time) => right().delay(time),
            Self::Cut => {
                let text = text();
                let half = &text.as_bytes()[..text.len() / 2];
                Reply::ok().body(half).body(b"").cut()
            }
            Self::Redirect(to) => Reply::status(302).header("location", to),
            Self::Reply(reply) => reply,
        }
    }
}

impl Issuer {
    /// Starts an issuer of this name, `https://issuer.example`, with these keys.
    pub fn start(name: &str, keys: &[&Key]) -> Result<Self> {
        let state = Arc::new(Mutex::new(State {
            name: name.to_owned(),
            keys: jwks(keys),
            discovery: None,
            modes: BTreeMap::new(),
            headers: Vec::new(),
            tokens: BTreeMap::new(),
            client: None,
        }));
        let server = serve(Upstream::start()?, &state);
        Ok(Self {
            name: name.to_owned(),
            address: server.address(),
            server: Some(server),
            before: Vec::new(),
            state,
        })
    }

    /// Its name, the `iss` of its tokens.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens; the same after [`Issuer::restart`].
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `http_uri` of its key set, in a cluster of this name; a second may pass.
    pub fn jwks_uri(&self, cluster: &str) -> Value {
        self.uri(cluster, "jwks")
    }

    /// The `http_uri` of its introspection.
    pub fn introspection_uri(&self, cluster: &str) -> Value {
        self.uri(cluster, "introspect")
    }

    fn uri(&self, cluster: &str, path: &str) -> Value {
        let uri = format!("{}/{path}", self.name.trim_end_matches('/'));
        // A machine that is busy with other tests may take a while.
        json!({"uri": uri, "cluster": cluster, "timeout": "10s"})
    }

    /// Publishes these keys from now on, in the place of those before.
    pub fn publish(&self, keys: &[&Key]) {
        self.publish_text(jwks(keys));
    }

    /// Publishes this in the place of a key set.
    pub fn publish_text(&self, keys: impl Into<Value>) {
        self.state().keys = keys.into();
    }

    /// Publishes another discovery document.
    pub fn publish_discovery(&self, document: Value) {
        self.state().discovery = Some(document);
    }

    /// The discovery document as it is by itself.
    pub fn discovery(&self) -> Value {
        self.state().own_discovery()
    }

    /// Every endpoint behaves so from now on.
    pub fn set(&self, mode: Mode) {
        for endpoint in [Endpoint::Keys, Endpoint::Discovery, Endpoint::Introspection] {
            self.set_one(endpoint, mode.clone());
        }
    }

    /// One endpoint behaves so from now on.
    pub fn set_one(&self, endpoint: Endpoint, mode: Mode) {
        self.state().modes.insert(endpoint, mode);
    }

    /// Adds a header to every right answer, such as `cache-control`.
    pub fn add_header(&self, name: &str, value: &str) {
        let field = (name.to_owned(), value.to_owned());
        self.state().headers.push(field);
    }

    /// Knows an opaque token: introspection answers this, as it stands (`active` too).
    /// Any other token is `{"active": false}`.
    pub fn know(&self, token: &str, answer: Value) {
        self.state().tokens.insert(token.to_owned(), answer);
    }

    /// Forgets an opaque token: it has been revoked.
    pub fn revoke(&self, token: &str) {
        self.state().tokens.remove(token);
    }

    /// Introspection answers only this client, 401 to others.
    pub fn require_client(&self, id: &str, secret: &str) {
        self.state().client = Some((id.to_owned(), secret.to_owned()));
    }

    /// Closes the port: connections are refused.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            self.before.extend(server.requests());
        }
    }

    /// Listens again, on the same port.
    pub fn restart(&mut self) -> Result<()> {
        let address = self.address;
        // The port is free once the old server's task has been dropped.
        let server = crate::wait_for("the issuer's port to be free", crate::DEADLINE, || {
            Ok(Upstream::start_on(address).ok())
        })?;
        self.server = Some(serve(server, &self.state));
        Ok(())
    }

    /// Everything it was asked, in order.
    pub fn requests(&self) -> Vec<Received> {
        let mut all = self.before.clone();
        all.extend(self.server.iter().flat_map(Upstream::requests));
        all
    }

    /// What one endpoint was asked.
    pub fn requests_of(&self, endpoint: Endpoint) -> Vec<Received> {
        let mut all = self.requests();
        all.retain(|one| endpoint_of(&one.path) == Some(endpoint));
        all
    }

    /// How often the key set was asked for.
    pub fn key_fetches(&self) -> usize {
        self.requests_of(Endpoint::Keys).len()
    }

    /// How often introspection was asked.
    pub fn introspections(&self) -> usize {
        self.requests_of(Endpoint::Introspection).len()
    }

    /// Waits until the key set has been asked for so often.
    pub fn wait_for_key_fetches(&self, count: usize) -> Result<()> {
        let what = format!("{count} fetches of keys");
        crate::wait_for(&what, crate::DEADLINE, || {
            Ok((self.key_fetches() >= count).then_some(()))
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(server: Upstream, state: &Arc<Mutex<State>>) -> Upstream {
    let state = Arc::clone(state);
    server.answer(move |received| lock(&state).reply(received));
    server
}

fn endpoint_of(path: &str) -> Option<Endpoint> {
    let path = path.split('?').next().unwrap_or_default();
    if path.ends_with("/jwks") {
        Some(Endpoint::Keys)
    } else if path.ends_with("/.well-known/openid-configuration") {
        Some(Endpoint::Discovery)
    } else if path.ends_with("/introspect") {
        Some(Endpoint::Introspection)
    } else {
        None
    }
}

impl State {
    fn reply(&self, received: &Received) -> Reply {
        let Some(endpoint) = endpoint_of(&received.path) else {
            return Reply::status(404).body("no such page");
        };
        let right = || match endpoint {
            Endpoint::Keys => self.good(&self.keys),
            Endpoint::Discovery => match &self.discovery {
                Some(document) => self.good(document),
                None => self.good(&self.own_discovery()),
            },
            Endpoint::Introspection => self.introspect(received),
        };
        let text = || match endpoint {
            Endpoint::Keys => text_of(&self.keys),
            Endpoint::Discovery => self.own_discovery().to_string(),
            Endpoint::Introspection => json!({"active": true}).to_string(),
        };
        let mode = self.modes.get(&endpoint).cloned().unwrap_or_default();
        mode.reply(right, text)
    }

    fn good(&self, value: &Value) -> Reply {
        let reply = Reply::ok().header("content-type", "application/json");
        reply.headers(self.headers.clone()).body(text_of(value))
    }

    fn own_discovery(&self) -> Value {
        let base = self.name.trim_end_matches('/');
        json!({
            "issuer": self.name,
            "jwks_uri": format!("{base}/jwks"),
            "introspection_endpoint": format!("{base}/introspect"),
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        })
    }

    /// RFC 7662.
    fn introspect(&self, received: &Received) -> Reply {
        if received.method != "POST" {
            return Reply::status(405);
        }
        let form: BTreeMap<_, _> = form_urlencoded::parse(&received.body)
            .into_owned()
            .collect();
        if let Some((id, secret)) = &self.client {
            let basic = BASE64_STANDARD.encode(format!("{id}:{secret}"));
            let by_header = received.headers.text("authorization").as_deref()
                == Some(&format!("Basic {basic}"));
            let by_body =
                form.get("client_id") == Some(id) && form.get("client_secret") == Some(secret);
            if !by_header && !by_body {
                return Reply::status(401).body(r#"{"error":"invalid_client"}"#);
            }
        }
        let known = form.get("token").and_then(|token| self.tokens.get(token));
        match known {
            Some(answer) => self.good(answer),
            None => self.good(&json!({"active": false})),
        }
    }
}

/// A string stands for its text, anything else for its JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
