//! oauth2, as browsers, providers and those who try to get past see it.

mod attacks;
mod callbacks;
mod idp;
mod lies;
mod logout;
mod programs;
mod refresh;
mod sessions;
mod sign_in;
mod troubles;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail, ensure};
use legation_tests::oidc::{Endpoint, FakeProvider};
use legation_tests::visitor::{Step, Url, Visitor};
use legation_tests::{Config, RawConnection, Received, ReportOnPanic, Request, Stage, wasm_filter};
use serde_json::{Value, json};

const FILTER: &str = "oauth2";
/// How every site is called by browsers. Visitors are told which one it is.
const HOST: &str = "app.localhost";
const ORIGIN: &str = "http://app.localhost";
const CALLBACK: &str = "/callback";
/// The names of the cookies, and what they are sealed with.
const SESSION: &str = "__Host-sess";
const FLOW: &str = "__Host-flow";
const COOKIE_SECRET: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "s3cret & more";
/// By which the upstream is told which site a request has come through.
const SITE_HEADER: &str = "x-test-site";

/// A configuration for the provider of this cluster, with more: objects are merged, anything else replaced.
/// `{issuer}` in it is where the provider is.
fn configuration(provider: &FakeProvider, cluster: &str, more: &Value) -> Value {
    let mut all = json!({
        "issuer": provider.issuer(),
        "openid_configuration": {"cluster": cluster},
        // A machine that is busy with other tests may take a while.
        "token_endpoint": {"cluster": cluster, "timeout": "10s"},
        "credentials": {
            "client_id": "app",
            "client_secret": {"inline_string": SECRET},
            "cookie_names": {"session": "sess", "flow": "flow"},
            "cookie_secrets": [{"inline_string": COOKIE_SECRET}],
        },
        "redirect_uri": "%REQ(x-forwarded-proto)%://%REQ(:authority)%/callback",
        "redirect_path": CALLBACK,
        "signout_path": "/signout",
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        "stat_prefix": cluster,
    });
    let more = more.to_string().replace("{issuer}", provider.issuer());
    let more = serde_json::from_str(&more).expect("what was JSON is still JSON");
    merge(&mut all, &more);
    all
}

/// The filter as an entry of `http_filters`.
fn filter(configuration: Value) -> Value {
    // A body is read before its headers go on, as the README says.
    let reads_bodies = configuration.get("back_channel_logout").is_some();
    let mut filter = wasm_filter(FILTER, configuration);
    if reads_bodies {
        filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = json!(true);
    }
    filter
}

/// Has the upstream be told which site a request has come through.
fn mark(root: &mut Value, site: &str) {
    let listeners = root["static_resources"]["listeners"].as_array_mut();
    let mut listeners = listeners.into_iter().flatten();
    if let Some(listener) = listeners.find(|one| one["name"] == site) {
        let hcm = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        hcm["route_config"]["request_headers_to_add"] = json!([{
            "header": {"key": SITE_HEADER, "value": site},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }]);
    }
}

/// A null takes a member out.
fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                match value {
                    Value::Null => drop(into.remove(name)),
                    _ => merge(into.entry(name).or_insert(Value::Null), value),
                }
            }
        }
        (into, more) => *into = more.clone(),
    }
}

/// A site to be: its name, what its configuration has beside what all have, and what its provider is told before
/// anybody asks it.
struct Described {
    name: String,
    more: Value,
    told: Box<dyn Fn(&FakeProvider)>,
}

fn site(name: &str, more: Value) -> Described {
    Described {
        name: name.to_owned(),
        more,
        told: Box::new(|_| {}),
    }
}

impl Described {
    fn told(mut self, told: impl Fn(&FakeProvider) + 'static) -> Self {
        self.told = Box::new(told);
        self
    }
}

/// One Envoy with several sites: each is a listener with the filter, before an upstream that all share, and has
/// a provider of its own.
struct Gateway {
    stage: Stage,
    sites: BTreeMap<String, Site>,
}

/// A site behind the filter.
struct Site {
    name: String,
    address: SocketAddr,
    provider: FakeProvider,
}

/// A gateway that tests share. What it has seen is told when one fails.
struct Shared {
    gateway: &'static Gateway,
    _report: ReportOnPanic<'static>,
}

impl std::ops::Deref for Shared {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        self.gateway
    }
}

impl Shared {
    fn of(
        place: &'static OnceLock<Result<Gateway, String>>,
        start: impl FnOnce() -> Result<Gateway>,
    ) -> Result<Self> {
        let started = place.get_or_init(|| start().map_err(|error| format!("{error:?}")));
        let gateway = started.as_ref().map_err(|error| anyhow!(error.clone()))?;
        Ok(Self {
            gateway,
            _report: gateway.stage.report_on_panic(),
        })
    }
}

/// The Envoy of most tests, which has two workers. A start of it takes longer than most of them.
fn shared() -> Result<Shared> {
    static GATEWAY: OnceLock<Result<Gateway, String>> = OnceLock::new();
    Shared::of(&GATEWAY, || {
        let modules = [
            attacks::sites,
            callbacks::sites,
            lies::sites,
            logout::sites,
            programs::sites,
            refresh::sites,
            sessions::sites,
            sign_in::sites,
            troubles::sites,
        ];
        let sites = modules.iter().flat_map(|sites| sites()).collect();
        Gateway::start(sites, |config| {
            config.concurrency(2).header_limits(1_000, 512)
        })
    })
}

impl Gateway {
    fn start(described: Vec<Described>, edit: impl FnOnce(Config) -> Config) -> Result<Self> {
        let mut config = Config::plain()?;
        let mut providers = Vec::new();
        for Described { name, more, told } in described {
            let provider = FakeProvider::start()?;
            told(&provider);
            let filter = filter(configuration(&provider, &name, &more));
            config = config
                .add_chain(&name, &[filter])
                .add_endpoint(&name, provider.address())
                .edit(|root| mark(root, &name));
            providers.push((name, provider));
        }
        let stage = Stage::start(&edit(config))?;
        let sites = providers.into_iter().map(|(name, provider)| {
            let site = Site {
                address: stage.envoy().listener(&name)?,
                name,
                provider,
            };
            Ok((site.name.clone(), site))
        });
        let sites = sites.collect::<Result<_>>()?;
        Ok(Self { stage, sites })
    }

    fn site(&self, name: &str) -> &Site {
        &self.sites[name]
    }

    /// What came of a visitor's request at the upstream.
    fn arrived(&self, step: &Step) -> Result<Received> {
        let received = self.stage.upstream().with_id(&step.id());
        received.with_context(|| format!("this did not arrive at the upstream:\n{step}"))
    }

    /// All that has arrived at the upstream through a site.
    fn arrivals(&self, site: &str) -> Vec<Received> {
        let mut all = self.stage.upstream().requests();
        all.retain(|one| one.headers.text(SITE_HEADER).as_deref() == Some(site));
        all
    }

    fn did_arrive(&self, step: &Step) -> bool {
        self.stage.upstream().with_id(&step.id()).is_some()
    }

    /// No VM was lost, and what must not stand in a log does not.
    fn assert_well(&self) -> Result<()> {
        let reloads = self.stage.admin().stat("wasm.oauth2.vm_reload")?;
        assert_eq!(reloads.unwrap_or(0), 0);
        let log = self.stage.envoy().log();
        assert!(!log.contains("panicked"), "{log}");
        for site in self.sites.values() {
            for secret in site.provider.secrets() {
                assert!(!log.contains(&secret), "{secret} stands in the log:\n{log}");
            }
        }
        assert!(
            !log.contains(COOKIE_SECRET) && !log.contains(SECRET),
            "{log}"
        );
        Ok(())
    }
}

impl Site {
    /// A browser that has not been here.
    fn visitor(&self) -> Visitor {
        Visitor::new().knows(HOST, self.address)
    }

    /// A browser that has signed in as whoever the provider says.
    fn signed_in(&self) -> Result<Visitor> {
        let mut visitor = self.visitor();
        let step = visitor.visit(at("/"))?;
        ensure!(
            step.response.status == 200,
            "{} is not let in:\n{step}",
            self.name
        );
        Ok(visitor)
    }

    /// Goes to a page and stops before the callback that the provider sends to.
    fn callback(&self, visitor: &mut Visitor, path: &str) -> Result<Url> {
        visitor.visit_until(at(path), is_callback)
    }

    /// How often its provider has been asked for tokens by codes.
    fn exchanges(&self) -> usize {
        self.provider.token_requests("authorization_code").len()
    }

    fn refreshes(&self) -> usize {
        self.provider.token_requests("refresh_token").len()
    }
}

/// Does what has to be waited for with all of these at the same time.
fn at_once<T: Send>(
    all: impl IntoIterator<Item = T>,
    act: impl Fn(T) -> Result<()> + Sync,
) -> Result<()> {
    let act = &act;
    let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .into_iter()
            .map(|one| scope.spawn(move || act(one)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("panicked")))
            .collect()
    });
    outcomes.into_iter().collect()
}

/// Sends a GET as it stands here, which no client would, and gives the answer's head.
fn raw(site: &Site, path: &str, host: &str) -> Result<String> {
    let mut raw = RawConnection::open(site.address)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\n\r\n");
    raw.send(request.as_bytes())?;
    let head = raw.read_until(b"\r\n\r\n")?;
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn at(path: &str) -> String {
    format!("{ORIGIN}{path}")
}

fn is_callback(url: &Url) -> bool {
    url.host() == HOST && url.path_alone() == CALLBACK
}

/// A request as scripts send it.
fn fetch(method: &str) -> Request {
    Request::new(method, "/")
        .header("accept", "application/json")
        .header("sec-fetch-mode", "cors")
        .header("sec-fetch-dest", "empty")
}

/// That a browser is sent to sign in.
fn assert_sent_to_sign_in(step: &Step, provider: &FakeProvider) -> Result<()> {
    ensure!(step.response.status == 302, "no redirect:\n{step}");
    let location = step.location()?.to_string();
    let authorization = provider.uri(Endpoint::Authorization);
    ensure!(location.starts_with(&format!("{authorization}?")), "{step}");
    Ok(())
}

/// That a sign-in came to nothing: a page or JSON of an error, no session, the cookie of the sign-in is gone, and
/// nothing of it is told.
fn assert_failed(step: &Step, visitor: &Visitor, site: &Site) -> Result<()> {
    ensure!(step.response.status >= 400, "it is let in:\n{step}");
    ensure!(
        visitor.jar().get(SESSION).is_none(),
        "there is a session:\n{step}"
    );
    let flows = visitor.jar().names(HOST);
    let flows = flows.iter().filter(|name| name.starts_with(FLOW));
    ensure!(
        flows.count() == 0,
        "the cookie of the sign-in is still there:\n{step}"
    );
    let text = step.response.to_string();
    for secret in site.provider.secrets() {
        ensure!(!text.contains(&secret), "{secret} is told:\n{step}");
    }
    assert_is_error_page(step)
}

/// A page that is whole, and safe to show.
fn assert_is_error_page(step: &Step) -> Result<()> {
    let header = |name: &str| step.header(name).unwrap_or_default();
    ensure!(header("content-type").starts_with("text/html"), "{step}");
    ensure!(header("cache-control").contains("no-store"), "{step}");
    ensure!(
        header("content-security-policy").contains("default-src 'none'"),
        "{step}"
    );
    let text = step.response.text();
    ensure!(
        text.contains("<html lang=") && !text.contains("<script"),
        "{step}"
    );
    Ok(())
}

/// The parts of a `Set-Cookie`: its name, its value, and its attributes in order.
fn parts(line: &str) -> Result<(String, String, Vec<String>)> {
    let mut parts = line.split("; ").map(str::to_owned);
    let first = parts.next().context("a cookie")?;
    let Some((name, value)) = first.split_once('=') else {
        bail!("no cookie: {line}");
    };
    Ok((name.to_owned(), value.to_owned(), parts.collect()))
}
