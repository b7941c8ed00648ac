//! One upstream that a filter talks to.

use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use http::Method;
use prost::Message;

use super::backoff::retry_after;
use super::breaker::BreakerState;
use super::config::HttpServiceConfig;
use super::ended::{Ended, Kind};
use super::retry::{Repeat, RetryPolicy, Tries};
use super::shared::SharedBreaker;
use crate::callout::{CalloutError, GrpcRequest, HttpRequest, HttpResponse};
use crate::configure::Configure;
use crate::error::HostError;
use crate::metrics::{Counter, Gauge};

/// One upstream that a filter talks to, with the retries, the time limits and the
/// circuit breaker of its [configuration](HttpServiceConfig).
///
/// ```
/// use deserr::Deserr;
/// use legation::config::ConfigErrors;
/// use legation::resilience::{HttpService, HttpServiceConfig};
/// use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};
///
/// #[derive(Deserr)]
/// #[deserr(error = ConfigErrors, deny_unknown_fields)]
/// struct Config {
///     check: HttpServiceConfig,
/// }
///
/// struct Checked {
///     check: HttpService,
/// }
///
/// #[legation::filter]
/// impl HttpFilter for Checked {
///     const NAME: &'static str = "checked";
///     type Config = Config;
///     type Stream = ();
///
///     fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
///         let check = HttpService::new(&config.check, host);
///         Ok(Self { check })
///     }
///
///     async fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
///         match self.check.send(self.check.get("/allowed")).await {
///             Ok(answer) if answer.status() == 200 => Ok(Flow::Continue),
///             Ok(_) => Ok(LocalReply::new(403).into()),
///             Err(error) => {
///                 log::warn!(error:%; "the check failed");
///                 Ok(LocalReply::new(503).into())
///             }
///         }
///     }
/// }
/// ```
///
/// To clone it is to have the same one, with the same breaker.
///
/// # Statistics
///
/// Under `PREFIX.upstream.CLUSTER`, where what is neither a letter, a digit nor
/// `-` in the cluster's name is `_`:
///
/// | name | |
/// |---|---|
/// | `requests` | requests that the filter made |
/// | `retries` | tries after the first |
/// | `failures_not_sent` | tries that Envoy did not send, or that cannot be sent |
/// | `failures_connect` | tries without a connection |
/// | `failures_reset` | tries whose connection broke |
/// | `failures_timeout` | tries without an answer in time |
/// | `failures_status` | tries answered 5xx, or by a gRPC status that stands for one |
/// | `failures_answer` | tries whose answer was too large or unreadable |
/// | `circuit_open` | requests refused, and retries not made, because the breaker was open |
/// | `circuit_breakers_open` | workers whose breaker is not closed now (a gauge) |
///
/// # Cost
///
/// Beside what the request itself costs, one host call for `requests`; one for the
/// time where there are retries, and two where there is a breaker; on a failure one
/// for its counter; for a retry one for its counter, one for the time and those of
/// a sleep. No allocation.
#[derive(Debug, Clone)]
pub struct HttpService(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    cluster: String,
    policy: RetryPolicy,
    max_response_bytes: usize,
    breaker: Option<SharedBreaker>,
    metrics: Metrics,
}

#[derive(Debug, Clone, Copy)]
struct Metrics {
    requests: Counter,
    retries: Counter,
    not_sent: Counter,
    connect: Counter,
    reset: Counter,
    timeout: Counter,
    status: Counter,
    answer: Counter,
    circuit_open: Counter,
}

impl HttpService {
    /// The service of a configuration. Defines its statistics: ten host calls.
    pub fn new(config: &HttpServiceConfig, host: &mut Configure) -> Self {
        let cluster = in_statistics(config.cluster());
        let counter =
            |host: &mut Configure, name| host.counter(&format!("upstream.{cluster}.{name}"));
        let metrics = Metrics {
            requests: counter(host, "requests"),
            retries: counter(host, "retries"),
            not_sent: counter(host, "failures_not_sent"),
            connect: counter(host, "failures_connect"),
            reset: counter(host, "failures_reset"),
            timeout: counter(host, "failures_timeout"),
            status: counter(host, "failures_status"),
            answer: counter(host, "failures_answer"),
            circuit_open: counter(host, "circuit_open"),
        };
        let not_closed = host.gauge(&format!("upstream.{cluster}.circuit_breakers_open"));
        Self::with(config, metrics, not_closed)
    }

    fn with(config: &HttpServiceConfig, metrics: Metrics, not_closed: Gauge) -> Self {
        let breaker = config.circuit_breaker();
        Self(Rc::new(Inner {
            cluster: config.cluster().to_owned(),
            policy: config.retry_policy(),
            max_response_bytes: config.max_response_bytes(),
            breaker: breaker.map(|settings| SharedBreaker::new(settings, not_closed)),
            metrics,
        }))
    }

    /// The cluster.
    pub fn cluster(&self) -> &str {
        &self.0.cluster
    }

    /// How its breaker stands; closed, if it has none.
    pub fn state(&self) -> BreakerState {
        let breaker = self.0.breaker.as_ref();
        breaker.map_or(BreakerState::Closed, SharedBreaker::state)
    }

    /// A `GET` to it.
    pub fn get(&self, path: impl Into<Vec<u8>>) -> HttpRequest {
        HttpRequest::get(self.cluster(), path)
    }

    /// A `POST` to it.
    pub fn post(&self, path: impl Into<Vec<u8>>) -> HttpRequest {
        HttpRequest::post(self.cluster(), path)
    }

    /// A request to it.
    pub fn request(&self, method: &Method, path: impl Into<Vec<u8>>) -> HttpRequest {
        HttpRequest::new(self.cluster(), method, path)
    }

    /// A gRPC call of it.
    pub fn grpc(
        &self,
        service: impl Into<String>,
        method: impl Into<String>,
        message: &impl Message,
    ) -> GrpcRequest {
        GrpcRequest::new(self.cluster(), service, method, message)
    }

    /// Sends a request, and again as the configuration has it. By its method it is
    /// decided whether it may be [repeated](Repeat::of).
    ///
    /// The time limits and the limit of the answer's size are the service's; those of
    /// the request do not count.
    ///
    /// Errors: those of [`HttpRequest::send`]; [`CalloutError::CircuitOpen`] at once
    /// if the breaker is open; [`CalloutError::Invalid`] for a request to another
    /// cluster. An answer of status 5xx is an answer, once it is not tried again.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, CalloutError> {
        let method = Method::from_bytes(request.method());
        let repeat = method.map_or(Repeat::Unsafe, |method| Repeat::of(&method));
        self.send_as(request, repeat).await
    }

    /// As [`send`](Self::send), where the sender knows whether the request may be
    /// repeated: a `POST` that only asks may, such as the introspection of a token.
    pub async fn send_as(
        &self,
        request: HttpRequest,
        repeat: Repeat,
    ) -> Result<HttpResponse, CalloutError> {
        self.check(request.cluster())?;
        let mut request = request.max_response_bytes(self.0.max_response_bytes);
        let send = async |timeout| {
            request.set_timeout(timeout);
            request.settle_trace();
            request.send().await
        };
        self.0
            .drive(&Host, repeat, send, |result, now| match result {
                Ok(response) => {
                    let asked = response.header("retry-after");
                    let asked = asked.and_then(|value| retry_after(value, now()?));
                    (Ended::with_status(response.status()), asked)
                }
                Err(error) => (Ended::with_error(error), None),
            })
            .await
    }

    /// Makes a gRPC call, and again as the configuration has it.
    ///
    /// A gRPC method does not say whether it may be repeated: the caller does. A
    /// check may be; what counts hits, or takes something, may not.
    ///
    /// Errors: those of [`GrpcRequest::send`], and as [`send`](Self::send) has them.
    pub async fn send_grpc<M: Message + Default>(
        &self,
        request: GrpcRequest,
        repeat: Repeat,
    ) -> Result<M, CalloutError> {
        self.check(request.cluster())?;
        let mut request = request.max_response_bytes(self.0.max_response_bytes);
        let send = async |timeout| {
            request.set_timeout(timeout);
            request.settle_trace();
            request.send().await
        };
        self.0
            .drive(&Host, repeat, send, |result, _| match result {
                Ok(_) => (Ended::well(), None),
                Err(error) => (Ended::with_error(error), None),
            })
            .await
    }

    fn check(&self, cluster: &str) -> Result<(), CalloutError> {
        if cluster == self.0.cluster {
            return Ok(());
        }
        let expected = &self.0.cluster;
        Err(CalloutError::Invalid(format!(
            "a request to the cluster `{cluster}`, made of the service of `{expected}`"
        )))
    }
}

/// What tries need of the world.
trait World {
    fn now(&self) -> Result<SystemTime, HostError>;

    fn random(&self) -> u64;

    /// `false` if there is no waiting here.
    fn sleep(&self, duration: Duration) -> impl Future<Output = bool>;
}

struct Host;

impl World for Host {
    fn now(&self) -> Result<SystemTime, HostError> {
        crate::clock::now()
    }

    fn random(&self) -> u64 {
        // Without randomness, the longest wait.
        crate::random::next_u64().unwrap_or(u64::MAX)
    }

    async fn sleep(&self, duration: Duration) -> bool {
        crate::clock::sleep(duration).await.is_ok()
    }
}

impl Inner {
    /// Tries until it is enough.
    async fn drive<T>(
        &self,
        world: &impl World,
        repeat: Repeat,
        mut send: impl AsyncFnMut(Duration) -> Result<T, CalloutError>,
        ended: impl Fn(
            &Result<T, CalloutError>,
            &dyn Fn() -> Option<SystemTime>,
        ) -> (Ended, Option<Duration>),
    ) -> Result<T, CalloutError> {
        self.metrics.requests.increment();
        if self.policy.num_retries == 0 && self.breaker.is_none() {
            let result = send(self.policy.longest_try()).await;
            self.count(ended(&result, &|| None).0.kind);
            return result;
        }
        let mut now = world.now().map_err(CalloutError::NotSent)?;
        let mut tries = Tries::start(&self.policy, repeat, now);
        let mut last = Err(CalloutError::Timeout);
        loop {
            let Some(timeout) = tries.timeout(now) else {
                return last;
            };
            let ticket = match self.breaker.as_ref().map(|breaker| breaker.admit(now)) {
                None => None,
                Some(Ok(ticket)) => Some(ticket),
                Some(Err(_)) => {
                    self.metrics.circuit_open.increment();
                    let first = tries.retries() == 0;
                    return if first {
                        Err(CalloutError::CircuitOpen)
                    } else {
                        last
                    };
                }
            };
            if tries.retries() > 0 {
                self.metrics.retries.increment();
            }
            let result = send(timeout).await;
            let (ended, asked) = ended(&result, &|| world.now().ok());
            self.count(ended.kind);
            let may_go_on = tries.may_go_on(ended.outcome);
            if ticket.is_some() || may_go_on {
                // A clock that has failed says that no time has passed.
                now = world.now().unwrap_or(now);
            }
            if let Some(ticket) = ticket {
                ticket.settle(ended.verdict, now);
            }
            if !may_go_on {
                return result;
            }
            let Some(delay) = tries.next(ended.outcome, asked, now, world.random()) else {
                return result;
            };
            if !world.sleep(delay).await {
                return result;
            }
            now = world.now().unwrap_or(now);
            last = result;
        }
    }

    fn count(&self, kind: Option<Kind>) {
        let metrics = &self.metrics;
        match kind {
            None => return,
            Some(Kind::NotSent) => metrics.not_sent,
            Some(Kind::Connect) => metrics.connect,
            Some(Kind::Reset) => metrics.reset,
            Some(Kind::Timeout) => metrics.timeout,
            Some(Kind::Status) => metrics.status,
            Some(Kind::Answer) => metrics.answer,
        }
        .increment();
    }
}

/// A cluster's name as part of a statistic's.
fn in_statistics(cluster: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || char == '-';
    let chars = cluster.chars();
    chars
        .map(|char| if plain(char) { char } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests;
