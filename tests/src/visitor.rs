//! A client that visits sites as a browser does: with cookies, from redirect to redirect, between
//! servers that it knows by their names.
//!
//! ```no_run
//! use legation_tests::visitor::Visitor;
//! use legation_tests::{Reply, Upstream};
//!
//! # fn main() -> anyhow::Result<()> {
//! let shop = Upstream::answering(|request| match request.path.as_str() {
//!     "/" => Reply::status(302)
//!         .header("location", "/basket")
//!         .header("set-cookie", "n=v; Path=/; Secure"),
//!     _ => Reply::ok().body("nothing in it"),
//! })?;
//! let mut visitor = Visitor::new().knows("shop.localhost", shop.address());
//! let basket = visitor.visit("http://shop.localhost/")?;
//! assert_eq!(basket.url.to_string(), "http://shop.localhost/basket");
//! assert_eq!(basket.request_header("cookie").as_deref(), Some("n=v"));
//! assert_eq!(visitor.steps().len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! `localhost` and what ends with that is as secure to it as HTTPS, as it is to browsers, so that `Secure`
//! cookies and the prefixes of names work without TLS.

mod jar;
mod url;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};

pub use jar::{Jar, Kept};
pub use url::Url;

use crate::client::Client;
use crate::message::{Request, Response};

/// So many redirects a browser follows (Fetch, section 4.4).
const MAX_REDIRECTS: usize = 20;
const SHOWN_STEPS: usize = 12;

/// A browser without a window.
///
/// A clone has the same cookies, and from then on its own: what a thief of cookies has. When a test panics with
/// one in its hands, its last steps are printed.
#[derive(Clone, Default)]
pub struct Visitor {
    clients: BTreeMap<String, Client>,
    jar: Jar,
    steps: Vec<Step>,
    refused: Vec<String>,
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it went.
    pub url: Url,
    /// The request, with what the visitor has added.
    pub request: Request,
    /// The answer.
    pub response: Response,
}

impl Step {
    /// A header of the request.
    pub fn request_header(&self, name: &str) -> Option<String> {
        self.request.headers.text(name)
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<String> {
        self.response.headers.text(name)
    }

    /// Where its answer leads; an error where it is no redirect.
    pub fn location(&self) -> Result<Url> {
        let location = self.header("location");
        let location = location.with_context(|| format!("this leads nowhere:\n{self}"))?;
        self.url.join(&location)
    }

    /// The mark by which [`crate::Upstream::with_id`] knows the request.
    pub fn id(&self) -> String {
        self.request.id_value().unwrap_or_default()
    }

    /// What it sets, each `Set-Cookie` as it was written.
    pub fn set_cookies(&self) -> Vec<String> {
        let lines = self.response.headers.all("set-cookie").into_iter();
        lines
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }

    /// The `Set-Cookie` of the cookie whose name begins so; an error where there is not just one.
    pub fn set_cookie(&self, name: &str) -> Result<String> {
        let mut found = self.set_cookies();
        found.retain(|line| line.starts_with(name));
        match found.len() {
            1 => Ok(found.remove(0)),
            count => bail!("{count} cookies `{name}…` are set:\n{self}"),
        }
    }

    fn is_redirect(&self) -> bool {
        matches!(self.response.status, 301 | 302 | 303 | 307 | 308)
            && self.response.headers.contains("location")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "── {}", self.url)?;
        writeln!(out, "{}", self.request.to_string().trim_end())?;
        writeln!(out, "── came back")?;
        writeln!(out, "{}", self.response.to_string().trim_end())
    }
}

impl Visitor {
    /// One without cookies, that knows the addresses of loopback (`http://127.0.0.1:8080/`) alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells it where the server of this name listens, `app.localhost` or `app.localhost:8080`.
    #[must_use]
    pub fn knows(mut self, authority: &str, address: SocketAddr) -> Self {
        self.clients
            .insert(authority.to_owned(), Client::http1(address));
        self
    }

    /// Goes to an address as a browser that somebody has typed it into, and wherever it is sent from there.
    pub fn visit(&mut self, url: impl ToString) -> Result<Step> {
        let stop = |_: &Url| false;
        match self.follow(url, stop)? {
            Stop::Arrived(step) => Ok(*step),
            Stop::Before(url) => bail!("it stopped before {url}"),
        }
    }

    /// The same, but stops before an address that fits, and gives that. An error where it does not come there.
    pub fn visit_until(&mut self, url: impl ToString, stop: impl Fn(&Url) -> bool) -> Result<Url> {
        match self.follow(url, stop)? {
            Stop::Before(url) => Ok(url),
            Stop::Arrived(step) => bail!("this is not on the way:\n{step}"),
        }
    }

    /// Goes to an address, and no further.
    pub fn go(&mut self, url: impl ToString) -> Result<Step> {
        self.send(url, Request::get("/"))
    }

    /// Sends a form, as a page of the same site does, and goes no further.
    pub fn submit(&mut self, url: impl ToString, form: &[(&str, &str)]) -> Result<Step> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request =
            Request::post("/", body).header("content-type", "application/x-www-form-urlencoded");
        self.send(url, request)
    }

    /// Sends a request of any kind, whose path and host are the address's, with the cookies for there. What a
    /// browser says of itself is added where the request does not say it, and a mark ([`Request::id`]).
    pub fn send(&mut self, url: impl ToString, mut request: Request) -> Result<Step> {
        let url = Url::parse(&url.to_string())?;
        request.path.clone_from(&url.path);
        request.authority.clone_from(&url.authority);
        for (name, value) in [
            (
                "accept",
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            ),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ] {
            if !request.headers.contains(name) {
                request = request.header(name, value);
            }
        }
        if request.id_value().is_none() {
            static COUNT: AtomicU64 = AtomicU64::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            request = request.id(&format!("visitor-{count}"));
        }
        if let Some(cookies) = self.jar.header(&url) {
            request = request.header("cookie", cookies);
        }
        let response = self.client(&url)?.send(request.clone())?;
        let step = Step {
            url,
            request,
            response,
        };
        for line in step.set_cookies() {
            if let Err(why) = self.jar.set(&step.url, &line) {
                self.refused.push(why);
            }
        }
        self.steps.push(step.clone());
        Ok(step)
    }

    /// Every request and its answer so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The steps to this host and path.
    pub fn steps_to(&self, host: &str, path: &str) -> Vec<&Step> {
        let fits = |step: &&Step| step.url.host() == host && step.url.path_alone() == path;
        self.steps.iter().filter(fits).collect()
    }

    /// The cookies.
    pub fn jar(&self) -> &Jar {
        &self.jar
    }

    /// The cookies, to change them.
    pub fn jar_mut(&mut self) -> &mut Jar {
        &mut self.jar
    }

    /// The cookies that it did not take, and why.
    pub fn refused(&self) -> &[String] {
        &self.refused
    }

    fn follow(&mut self, url: impl ToString, stop: impl Fn(&Url) -> bool) -> Result<Stop> {
        let mut step = self.go(url)?;
        for _ in 0..MAX_REDIRECTS {
            if !step.is_redirect() {
                return Ok(Stop::Arrived(Box::new(step)));
            }
            let next = step.location()?;
            if stop(&next) {
                return Ok(Stop::Before(next));
            }
            step = self.go(next)?;
        }
        bail!("more than {MAX_REDIRECTS} redirects, the last:\n{step}")
    }

    fn client(&mut self, url: &Url) -> Result<&Client> {
        if !self.clients.contains_key(&url.authority) {
            let address: SocketAddr = url
                .authority
                .parse()
                .ok()
                .filter(|address: &SocketAddr| address.ip().is_loopback())
                .with_context(|| format!("nobody has said where {url} is"))?;
            let client = Client::http1(address);
            self.clients.insert(url.authority.clone(), client);
        }
        let client = self.clients.get(&url.authority);
        client.context("the client was put there")
    }
}

enum Stop {
    Arrived(Box<Step>),
    Before(Url),
}

impl Drop for Visitor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{self:?}");
        }
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.steps.len().saturating_sub(SHOWN_STEPS);
        for step in &self.steps[from..] {
            write!(out, "{step}")?;
        }
        writeln!(out, "── cookies")?;
        for cookie in self.jar.kept() {
            writeln!(out, "{cookie:?}")?;
        }
        for why in &self.refused {
            writeln!(out, "refused: {why}")?;
        }
        Ok(())
    }
}
