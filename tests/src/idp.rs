//! A real identity provider: npm's `oidc-provider`, run by Node.js.
//!
//! ```no_run
//! use legation_tests::idp::{Idp, JWT};
//!
//! # fn main() -> anyhow::Result<()> {
//! let idp = Idp::start()?;
//! let grant = idp.client_credentials(JWT, "orders:read")?;
//! assert!(grant.access_token.starts_with("ey"));
//! # Ok(())
//! # }
//! ```
//!
//! What it consists of stands in `tests/idp/`, and is fetched once, by `npm ci`, into the target folder:
//! nothing runs but files of the hashes in `package-lock.json`. Node.js is the one on `PATH`, if
//! it is new enough, or the one that `cargo xtask` has fetched.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::jwt::{Claims, Key, base64, base64url, now};
use crate::message::{Request, Response};
use crate::npm::Program;
use crate::process::Process;
use crate::run_folder::RunFolder;
use crate::target::target_dir;
use crate::visitor::{Url, Visitor};
use crate::wait::{DEADLINE, wait_for};

/// The resource whose access tokens are JWTs signed by ES256; also their audience.
pub const JWT: &str = "https://api.example/jwt";
/// The resource whose access tokens are JWTs signed by RS256.
pub const JWT_RS256: &str = "https://api.example/jwt-rs256";
/// The resource whose access tokens are opaque.
pub const OPAQUE: &str = "https://api.example/opaque";

/// The client that gets tokens for itself.
pub const SERVICE: &str = "service";
/// The client that may ask about the tokens of others.
pub const GATEWAY: &str = "gateway";
/// The secret of both, and of every client that is registered. Its spaces have to be escaped in `Authorization` (RFC 6749, section 2.3.1).
pub const SECRET: &str = "a secret of the test";

static PROVIDER: Program = Program::new(
    "tests/idp",
    "server.mjs",
    "the identity provider of the tests (npm's oidc-provider, about 3 MB)",
);

/// A running identity provider. Dropping it stops it.
pub struct Idp {
    issuer: String,
    address: SocketAddr,
    client: Client,
    _process: Process,
    folder: RunFolder,
}

/// What the token endpoint gave.
#[derive(Clone, Debug, Deserialize)]
pub struct Grant {
    /// The token.
    pub access_token: String,
    /// `Bearer`, or `DPoP` for one that is bound to a key.
    pub token_type: String,
    /// The scopes granted.
    #[serde(default)]
    pub scope: String,
    /// For how many seconds.
    pub expires_in: u64,
}

impl Idp {
    /// Starts one on a free port of loopback.
    pub fn start() -> Result<Self> {
        Self::start_with(&json!({}))
    }

    /// Starts one with more clients, claims of accounts (any name is one, these have more), or another
    /// configuration of `oidc-provider`:
    /// `{"clients": […], "accounts": {"alice": {"groups": ["staff"]}}, "configuration": {…}}`.
    pub fn start_with(settings: &Value) -> Result<Self> {
        let mut command = PROVIDER.command()?;
        let folder = RunFolder::create(&target_dir()?.join("legation-tests"))?;
        let file = |name: &str| fs::File::create(folder.path().join(name));
        command
            .arg(settings.to_string())
            .stdin(Stdio::piped())
            .stdout(file("out")?)
            .stderr(file("log")?);
        let mut process = Process::start(command).context("cannot run the identity provider")?;
        let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let first_line = wait_for("the identity provider to start", DEADLINE, || {
            let out = fs::read_to_string(folder.path().join("out"))?;
            if let Some((line, _)) = out.split_once('\n') {
                return Ok(Some(line.to_owned()));
            }
            if let Some(status) = process.ended()? {
                bail!("the identity provider ended with {status}");
            }
            Ok(None)
        });
        let first_line = first_line.with_context(log)?;
        let started: Value = serde_json::from_str(&first_line)?;
        let issuer = started["issuer"].as_str().context("it says no issuer")?;
        let address = issuer.strip_prefix("http://").context("no http address")?;
        let address: SocketAddr = address.parse()?;
        Ok(Self {
            issuer: issuer.to_owned(),
            address,
            client: Client::http1(address),
            _process: process,
            folder,
        })
    }

    /// Its name, which is also where it is: the `iss` of its tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where it listens, for `Config::add_endpoint`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of one of its endpoints: `/jwks`, `/token`, `/token/introspection`.
    pub fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Sends it a request.
    pub fn send(&self, request: Request) -> Result<Response> {
        let host = self.address.to_string();
        self.client.send(request.host(&host))
    }

    /// A token of the client [`SERVICE`] for a resource.
    pub fn client_credentials(&self, resource: &str, scope: &str) -> Result<Grant> {
        self.grant(resource, scope, None)
    }

    /// The same, bound to a key (RFC 9449, section 5).
    pub fn bound_to(&self, key: &Key, resource: &str, scope: &str) -> Result<Grant> {
        self.grant(resource, scope, Some(key))
    }

    /// Has a token no longer be one (RFC 7009).
    pub fn revoke(&self, token: &str) -> Result<()> {
        let response = self.post("/token/revocation", SERVICE, &[("token", token)], None)?;
        if response.status != 200 {
            bail!("the token is not revoked: {response}");
        }
        Ok(())
    }

    /// What it says of a token (RFC 7662).
    pub fn introspect(&self, token: &str) -> Result<Value> {
        self.post("/token/introspection", GATEWAY, &[("token", token)], None)?
            .json()
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Takes in a client (RFC 7591): the metadata of RFC 7591, section 2, with the `client_id` that it is to have. Its
    /// secret is [`SECRET`]. This is for those whose addresses are known only when they run; what is known before
    /// can be given to [`Idp::start_with`].
    pub fn register(&self, client: &Value) -> Result<()> {
        let request = Request::post("/reg", client.to_string());
        let response = self.send(request.header("content-type", "application/json"))?;
        if response.status != 201 {
            bail!("the client is not registered: {response}\n{}", self.log());
        }
        Ok(())
    }

    /// Has somebody sign in, and agree to everything, beginning at this address of the authorization
    /// endpoint: gives the address that the browser is sent back to. Who has signed in before in this
    /// browser is not asked again.
    pub fn sign_in(&self, visitor: &mut Visitor, at: impl ToString, account: &str) -> Result<Url> {
        let mut next = Url::parse(&at.to_string())?;
        // Who it is, what is agreed to, and the ways between.
        for _ in 0..20 {
            if next.origin() != self.issuer {
                return Ok(next);
            }
            let step = visitor.go(&next)?;
            if step.response.status != 200 {
                next = step.location().with_context(|| self.log())?;
                continue;
            }
            let page = step.response.text();
            let action = form_action(&page).with_context(|| format!("no form:\n{step}"))?;
            let action = step.url.join(action)?;
            let form: &[_] = if page.contains(r#"value="login""#) {
                &[("prompt", "login"), ("login", account), ("password", "x")]
            } else {
                &[("prompt", "consent")]
            };
            next = visitor.submit(action, form)?.location()?;
        }
        bail!("the sign-in has no end, it is at {next}");
    }

    /// Has whoever is signed in leave, beginning at this address of the end-session endpoint: gives the
    /// address that the browser is sent to.
    pub fn sign_out(&self, visitor: &mut Visitor, at: impl ToString) -> Result<Url> {
        let step = visitor.go(at)?;
        let page = step.response.text();
        let action = form_action(&page).with_context(|| format!("no form:\n{step}"))?;
        let secret = page.split_once(r#"name="xsrf" value=""#);
        let secret = secret.and_then(|(_, rest)| rest.split('"').next());
        let secret = secret.with_context(|| format!("no xsrf:\n{step}"))?;
        let action = step.url.join(action)?;
        let step = visitor.submit(action, &[("xsrf", secret), ("logout", "yes")])?;
        step.location().with_context(|| self.log())
    }

    fn grant(&self, resource: &str, scope: &str, key: Option<&Key>) -> Result<Grant> {
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", resource),
            ("scope", scope),
        ];
        let proof = key.map(|key| proof(key, "POST", &self.uri("/token"), None));
        let response = self.post("/token", SERVICE, &form, proof.as_deref())?;
        if response.status != 200 {
            bail!("no token: {response}\n{}", self.log());
        }
        Ok(serde_json::from_slice(&response.body)?)
    }

    fn post(
        &self,
        path: &str,
        client: &str,
        form: &[(&str, &str)],
        proof: Option<&str>,
    ) -> Result<Response> {
        let escape =
            |text| form_urlencoded::byte_serialize(str::as_bytes(text)).collect::<String>();
        let credentials = base64(format!("{}:{}", escape(client), escape(SECRET)));
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let mut request = Request::post(path, body)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", format!("Basic {credentials}"));
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        self.send(request)
    }
}

impl fmt::Debug for Idp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idp")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// A proof by this key for one request (RFC 9449, section 4.2), made now, with a `jti` of
/// its own.
pub fn proof(key: &Key, method: &str, url: &str, token: Option<&str>) -> String {
    let mut claims = Claims::from(json!({
        "jti": base64url(unique().to_be_bytes()),
        "htm": method,
        "htu": url,
        "iat": now(),
    }));
    if let Some(token) = token {
        use sha2::Digest as _;
        claims = claims.claim("ath", base64url(sha2::Sha256::digest(token)));
    }
    let claims = claims.header("typ", "dpop+jwt").header("jwk", key.jwk());
    claims.signed_by(key)
}

/// Where the first form of a page goes.
fn form_action(page: &str) -> Option<&str> {
    let (_, form) = page.split_once("<form ")?;
    let (_, action) = form.split_once("action=\"")?;
    action.split('"').next()
}

/// A number that comes once, in all processes.
fn unique() -> u128 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    let nanoseconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanoseconds = nanoseconds.map_or(0, |since| since.as_nanos());
    (nanoseconds << 64) | (u128::from(std::process::id()) << 32) | u128::from(count)
}
