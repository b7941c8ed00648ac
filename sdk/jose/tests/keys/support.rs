//! A filter that answers by the keys it has, and an issuer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use deserr::Deserr;
use legation::config::{ConfigErrors, Given};
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};
use legation_jose::keys::{KeySource, KeysError, OpenIdConfiguration, RemoteJwks};
use legation_testing::{Callout, Host, HttpCall, Request, Response};
use serde_json::{Value, json};

/// Answers with the ids of its keys: `/current`, `/get`, `/newer/KID`, `/newer`; or, by
/// `/metadata`, with where tokens are had.
pub(crate) struct Keyed {
    keys: KeySource,
}

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub(crate) struct Config {
    #[deserr(default)]
    remote_jwks: Given<RemoteJwks>,
    #[deserr(default)]
    issuer: Given<String>,
    #[deserr(default)]
    openid_configuration: Given<OpenIdConfiguration>,
}

#[legation::filter]
impl HttpFilter for Keyed {
    const NAME: &'static str = "keyed";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let keys = match (config.remote_jwks.0, config.openid_configuration.0) {
            (Some(remote), _) => KeySource::remote("p", &remote, host),
            (None, Some(discovered)) => {
                let issuer = config.issuer.0.unwrap_or_default();
                KeySource::discovered("p", &issuer, &discovered, host)
                    .map_err(ConfigErrors::of_document)?
            }
            (None, None) => return Err(ConfigErrors::of_document("no keys")),
        };
        Ok(Self { keys })
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let path = String::from_utf8_lossy(request.path()?.unwrap_or_default()).into_owned();
        let generation = self.keys.generation();
        if path == "/metadata" {
            let metadata = self.keys.metadata();
            let endpoint = metadata.and_then(|metadata| metadata.token_endpoint.clone());
            return Ok(LocalReply::new(200)
                .body(endpoint.unwrap_or_default())
                .into());
        }
        let keys = match path.split_at_checked(6) {
            Some(("/newer", "")) => self.keys.get_newer(None, generation).await,
            Some(("/newer", kid)) => {
                let kid = kid.trim_start_matches('/');
                self.keys.get_newer(Some(kid), generation).await
            }
            _ if path == "/current" => self.keys.current().ok_or(KeysError::NotYet),
            _ => self.keys.get().await,
        };
        let (status, told) = match keys {
            Ok(keys) => (200, keys.ids().collect::<Vec<_>>().join(" ")),
            Err(error) => (503, format!("{error:?}")),
        };
        Ok(LocalReply::new(status).body(told).into())
    }
}

/// A set of keys of these ids: the point is that of RFC 7517, appendix A.1.
pub(crate) fn jwks(ids: &[&str]) -> String {
    let keys: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({
                "kty": "EC",
                "crv": "P-256",
                "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
                "use": "sig",
                "kid": id,
            })
        })
        .collect();
    json!({ "keys": keys }).to_string()
}

pub(crate) fn keys(ids: &[&str]) -> Response {
    Response::ok().body(jwks(ids))
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MS: Duration = Duration::from_millis(1);

/// The host with the filter, and what the cluster `idp` answers.
pub(crate) struct World {
    pub(crate) host: Host<Keyed>,
    answer: Rc<RefCell<Answer>>,
}

type Answer = Box<dyn Fn(&HttpCall) -> Callout>;

pub(crate) fn remote(more: Value) -> Value {
    let mut remote = json!({
        "http_uri": { "uri": "https://issuer.example/keys?a=b", "cluster": "idp", "timeout": "2s" },
    });
    remote
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({ "remote_jwks": remote })
}

impl World {
    /// Not configured yet; the issuer has the key `one`.
    pub(crate) fn new() -> Self {
        let host = Host::new();
        let answer: Answer = Box::new(|_| Callout::hang());
        let answer = Rc::new(RefCell::new(answer));
        let world = Self { host, answer };
        world.answers_keys(&["one"]);
        for cluster in ["idp", "keys"] {
            let answer = Rc::clone(&world.answer);
            world
                .host
                .set_cluster(cluster, move |call: &HttpCall| (answer.borrow())(call));
        }
        world
    }

    pub(crate) fn configured(more: Value) -> Self {
        let world = Self::new();
        world.host.load(remote(more)).unwrap();
        world
    }

    /// Configured, with the key `one`.
    pub(crate) fn ready(more: Value) -> Self {
        let world = Self::configured(more);
        world.pass(100 * MS);
        assert_eq!(world.ask("/current"), "200 one");
        world
    }

    /// It answers in a millisecond.
    pub(crate) fn answers(&self, answer: impl Fn(&HttpCall) -> Callout + 'static) {
        self.answers_after(MS, answer);
    }

    pub(crate) fn answers_after(
        &self,
        delay: Duration,
        answer: impl Fn(&HttpCall) -> Callout + 'static,
    ) {
        *self.answer.borrow_mut() = Box::new(move |call| answer(call).after(delay));
    }

    pub(crate) fn hangs(&self) {
        *self.answer.borrow_mut() = Box::new(|_| Callout::hang());
    }

    pub(crate) fn answers_keys(&self, ids: &'static [&'static str]) {
        self.answers(move |_| keys(ids).into());
    }

    /// Time goes by, and callouts are answered.
    pub(crate) fn pass(&self, time: Duration) {
        let step = if time > 60 * SECOND { 50 * MS } else { 10 * MS };
        let passed = Cell::new(Duration::ZERO);
        while passed.get() < time {
            self.host.run_for(step);
            passed.set(passed.get() + step);
        }
    }

    pub(crate) fn ask(&self, path: &str) -> String {
        let exchange = self.host.exchange(Request::get(path)).run();
        format!("{} {}", exchange.status(), exchange.response().text())
    }

    /// How often the issuer was asked.
    pub(crate) fn fetches(&self) -> usize {
        self.host.http_calls().len()
    }

    pub(crate) fn counted(&self, name: &str) -> u64 {
        self.host.counter(&format!("keyed.keys.{name}.provider=p;"))
    }

    pub(crate) fn failures(&self, reason: &str) -> u64 {
        self.host
            .counter(&format!("keyed.keys.failures.provider=p;.reason={reason};"))
    }
}
