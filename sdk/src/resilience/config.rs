//! What users write about an upstream that a filter talks to.

use std::time::Duration;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::backoff::Backoff;
use super::breaker::{BreakerSettings, FailureRatio};
use super::retry::{RetryOn, RetryPolicy};
use crate::callout::ServiceUrl;
use crate::config::{
    Bounded, BoundedDuration, ConfigErrors, Given, OneOrMany, Problem, Schema, Text, quoted,
    string, suggest,
};

/// 10 ms to 5 min.
type Timeout = BoundedDuration<10, 300_000>;
/// 1 ms to 1 min.
type Interval = BoundedDuration<1, 60_000>;

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;
/// Longer names make unwieldy counters.
const LONGEST_NAME: usize = 255;

/// How a filter talks to one upstream, in Envoy's names. For a field of a filter's
/// configuration:
///
/// ```
/// use legation::config;
/// use legation::resilience::HttpServiceConfig;
///
/// let config: HttpServiceConfig = config::parse(
///     br#"{
///         "cluster": "identity",
///         "timeout": "2s",
///         "retry_policy": {
///             "num_retries": 2,
///             "per_try_timeout": "0.5s",
///             "retry_on": "gateway-error,connect-failure,reset,retriable-status-codes",
///             "retriable_status_codes": [429],
///             "retry_back_off": {"base_interval": "50ms", "max_interval": "1s"}
///         },
///         "circuit_breaker": {
///             "consecutive_failures": 5,
///             "failure_ratio": {"percent": 50, "window": "10s", "min_requests": 20},
///             "cool_down": "5s",
///             "half_open_requests": 1
///         },
///         "max_response_bytes": 65536
///     }"#,
/// )?;
/// assert_eq!(config.cluster(), "identity");
///
/// let errors = config::parse::<HttpServiceConfig>(
///     br#"{"cluster": "identity", "retry_policy": {"retry_on": "5xx,connect-fail"}}"#,
/// )
/// .unwrap_err();
/// assert!(errors.to_string().starts_with(
///     "retry_policy.retry_on: unknown condition \"connect-fail\"; did you mean `connect-failure`?"
/// ));
/// # Ok::<(), config::ConfigErrors>(())
/// ```
///
/// | field | default | range | |
/// |---|---|---|---|
/// | `cluster` | required | 1 to 255 characters | a cluster of Envoy's configuration |
/// | `timeout` | `5s` | 10 ms to 5 min | for all tries and the waits between them |
/// | `retry_policy` | one try | | [`RetryPolicyConfig`] |
/// | `circuit_breaker` | none | | [`CircuitBreakerConfig`] |
/// | `max_response_bytes` | 1048576 | 1 to 33554432 | larger answers are errors; Envoy itself takes 32 MiB |
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_service -> ConfigErrors)]
pub struct HttpServiceConfig {
    cluster: ClusterName,
    #[deserr(default)]
    timeout: Given<Timeout>,
    #[deserr(default)]
    retry_policy: Given<RetryPolicyConfig>,
    #[deserr(default)]
    circuit_breaker: Given<CircuitBreakerConfig>,
    #[deserr(default)]
    max_response_bytes: Given<Bounded<1, 33_554_432>>,
}

impl HttpServiceConfig {
    /// The cluster, and a default for the rest.
    pub fn of_cluster(cluster: impl Into<String>) -> Self {
        Self {
            cluster: ClusterName(cluster.into()),
            timeout: Given(None),
            retry_policy: Given(None),
            circuit_breaker: Given(None),
            max_response_bytes: Given(None),
        }
    }

    /// The cluster and the time of a URI, and a default for the rest.
    pub fn of_uri(uri: &HttpUri) -> Self {
        Self {
            timeout: uri.timeout.clone(),
            ..Self::of_cluster(uri.cluster.as_str())
        }
    }

    /// As this one, with another time for all tries, where one is given.
    #[must_use]
    pub fn with_timeout(self, timeout: impl Into<Option<Timeout>>) -> Self {
        let timeout = Given(timeout.into().or(self.timeout.0));
        Self { timeout, ..self }
    }

    /// As this one, with these retries, where any are given.
    #[must_use]
    pub fn with_retry_policy(self, policy: impl Into<Option<RetryPolicyConfig>>) -> Self {
        let retry_policy = Given(policy.into().or(self.retry_policy.0));
        Self {
            retry_policy,
            ..self
        }
    }

    /// As this one, with this circuit breaker, where one is given.
    #[must_use]
    pub fn with_circuit_breaker(self, breaker: impl Into<Option<CircuitBreakerConfig>>) -> Self {
        let circuit_breaker = Given(breaker.into().or(self.circuit_breaker.0));
        Self {
            circuit_breaker,
            ..self
        }
    }

    /// As this one, with another limit of an answer's size, where one is given.
    #[must_use]
    pub fn with_max_response_bytes(self, bytes: impl Into<Option<Bounded<1, 33_554_432>>>) -> Self {
        let max_response_bytes = Given(bytes.into().or(self.max_response_bytes.0));
        Self {
            max_response_bytes,
            ..self
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster.0
    }

    /// The time for all tries.
    pub fn timeout(&self) -> Duration {
        self.timeout.0.map_or(TIMEOUT, BoundedDuration::get)
    }

    /// The largest body that is taken of an answer.
    pub fn max_response_bytes(&self) -> usize {
        let given = self.max_response_bytes.0;
        given.map_or(MAX_RESPONSE_BYTES, |bytes| {
            usize::try_from(bytes.get()).unwrap_or(MAX_RESPONSE_BYTES)
        })
    }

    /// When a request is tried again.
    pub fn retry_policy(&self) -> RetryPolicy {
        match &self.retry_policy.0 {
            Some(policy) => policy.within(self.timeout()),
            None => RetryPolicy::once(self.timeout()),
        }
    }

    /// When the upstream is left alone; never, unless given.
    pub fn circuit_breaker(&self) -> Option<BreakerSettings> {
        self.circuit_breaker
            .0
            .as_ref()
            .map(CircuitBreakerConfig::settings)
    }
}

/// `http_uri`: which path of which cluster, in Envoy's names (`core.v3.HttpUri`).
///
/// | field | default | |
/// |---|---|---|
/// | `uri` | required | `https://host/path`: what the request says; at most 2048 bytes |
/// | `cluster` | required | where it goes, and whether TLS is spoken |
/// | `timeout` | `5s` | 10 ms to 5 min, for all tries together |
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct HttpUri {
    uri: ServiceUrl,
    cluster: ClusterName,
    #[deserr(default)]
    timeout: Given<Timeout>,
}

impl HttpUri {
    /// What the request says.
    pub fn uri(&self) -> &ServiceUrl {
        &self.uri
    }

    /// Where it goes.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// The time for all tries together, where it is given.
    pub fn timeout(&self) -> Option<Timeout> {
        self.timeout.0
    }
}

/// `retry_policy`: when a request is tried again.
///
/// | field | default | range | |
/// |---|---|---|---|
/// | `num_retries` | 1 | 0 to 10 | tries after the first |
/// | `per_try_timeout` | what is left of `timeout` | 10 ms to `timeout` | |
/// | `retry_on` | `gateway-error,connect-failure,reset,unavailable`, and `retriable-status-codes` if there are any | [`RetryOn`] | a list, or text with commas |
/// | `retriable_status_codes` | none | 200 to 599 | a status, or a list of them |
/// | `retry_back_off.base_interval` | `25ms` | 1 ms to 1 min | as in Envoy |
/// | `retry_back_off.max_interval` | 10 times `base_interval` | `base_interval` to 1 min | as in Envoy |
///
/// Requests that are not idempotent are tried again only where they did not reach
/// the upstream ([`RetryPolicy`]). An upstream's `Retry-After` is honoured.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_retries -> ConfigErrors)]
pub struct RetryPolicyConfig {
    #[deserr(default)]
    num_retries: Given<Bounded<0, 10>>,
    #[deserr(default)]
    per_try_timeout: Given<Timeout>,
    #[deserr(default)]
    retry_on: OneOrMany<Conditions>,
    #[deserr(default)]
    retriable_status_codes: OneOrMany<Bounded<200, 599>>,
    #[deserr(default)]
    retry_back_off: Given<BackOffConfig>,
}

impl RetryPolicyConfig {
    fn within(&self, timeout: Duration) -> RetryPolicy {
        let codes = self.retriable_status_codes.iter();
        let retriable_status_codes: Vec<u16> = codes
            .filter_map(|code| u16::try_from(code.get()).ok())
            .collect();
        let usual = if retriable_status_codes.is_empty() {
            RetryOn::USUAL
        } else {
            RetryOn::USUAL.and(RetryOn::RETRIABLE_STATUS_CODES)
        };
        RetryPolicy {
            num_retries: number(self.num_retries.0, 1),
            per_try_timeout: self.per_try_timeout.0.map(BoundedDuration::get),
            retry_on: self.named().unwrap_or(usual),
            retriable_status_codes,
            back_off: match &self.retry_back_off.0 {
                Some(back_off) => back_off.back_off(),
                None => Backoff::default(),
            },
            timeout,
        }
    }

    fn named(&self) -> Option<RetryOn> {
        let words = self.retry_on.iter().map(|words| words.0);
        words.reduce(RetryOn::and)
    }
}

#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_back_off -> ConfigErrors)]
struct BackOffConfig {
    /// The longest wait before the second try is a random part of it, and twice as
    /// much before each one after that, as in Envoy; `25ms` unless given.
    #[deserr(default)]
    base_interval: Given<Interval>,
    /// The longest wait; 10 times `base_interval` unless given.
    #[deserr(default)]
    max_interval: Given<Interval>,
}

impl BackOffConfig {
    fn back_off(&self) -> Backoff {
        const BASE: Duration = Duration::from_millis(25);
        let base = self.base_interval.0.map_or(BASE, BoundedDuration::get);
        let ten_times = base.saturating_mul(10);
        let max = self.max_interval.0.map_or(ten_times, BoundedDuration::get);
        Backoff::new(base, max)
    }
}

/// `circuit_breaker`: when the upstream is left alone, by each worker for itself.
///
/// | field | default | range | |
/// |---|---|---|---|
/// | `consecutive_failures` | 5, unless there is a `failure_ratio` | 1 to 1000 | |
/// | `failure_ratio.percent` | required | 1 to 100 | |
/// | `failure_ratio.window` | `10s` | 1 s to 10 min | counted in tenths |
/// | `failure_ratio.min_requests` | 20 | 1 to 100000 | fewer say nothing |
/// | `cool_down` | `5s` | 100 ms to 1 h | open for so long |
/// | `half_open_requests` | 1 | 1 to 100 | let through then; if they succeed it closes |
///
/// (What Envoy calls circuit breakers, the bounds on connections and requests, are
/// the cluster's own.)
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct CircuitBreakerConfig {
    #[deserr(default)]
    consecutive_failures: Given<Bounded<1, 1_000>>,
    #[deserr(default)]
    failure_ratio: Given<FailureRatioConfig>,
    #[deserr(default)]
    cool_down: Given<BoundedDuration<100, 3_600_000>>,
    #[deserr(default)]
    half_open_requests: Given<Bounded<1, 100>>,
}

impl CircuitBreakerConfig {
    fn settings(&self) -> BreakerSettings {
        let usual = BreakerSettings::default();
        let given = self.consecutive_failures.0;
        let consecutive_failures = match (given, &self.failure_ratio.0) {
            (Some(given), _) => Some(number(Some(given), 1)),
            (None, Some(_)) => None,
            (None, None) => usual.consecutive_failures,
        };
        BreakerSettings {
            consecutive_failures,
            failure_ratio: self.failure_ratio.0.as_ref().map(FailureRatioConfig::ratio),
            cool_down: self
                .cool_down
                .0
                .map_or(usual.cool_down, BoundedDuration::get),
            half_open_requests: number(self.half_open_requests.0, usual.half_open_requests),
        }
    }
}

#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct FailureRatioConfig {
    /// So many in a hundred requests have failed.
    percent: Bounded<1, 100>,
    /// In this time, counted in tenths; `10s` unless given.
    #[deserr(default)]
    window: Given<BoundedDuration<1_000, 600_000>>,
    /// Where there were so many at least: fewer say nothing. 20 unless given.
    #[deserr(default)]
    min_requests: Given<Bounded<1, 100_000>>,
}

impl FailureRatioConfig {
    fn ratio(&self) -> FailureRatio {
        const WINDOW: Duration = Duration::from_secs(10);
        FailureRatio {
            percent: number(Some(self.percent), 100),
            window: self.window.0.map_or(WINDOW, BoundedDuration::get),
            min_requests: number(self.min_requests.0, 20),
        }
    }
}

fn number<const MIN: i64, const MAX: i64>(given: Option<Bounded<MIN, MAX>>, default: u32) -> u32 {
    given.map_or(default, |given| {
        u32::try_from(given.get()).unwrap_or(default)
    })
}

/// The name of a cluster of Envoy's configuration: 1 to 255 characters. A URL in its
/// place is told so.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_NAME,
    "pattern": r"^\S(.*\S)?$",
    "not": { "pattern": "://" },
})]
pub struct ClusterName(String);

impl ClusterName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for ClusterName {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let name = string(value, location, "the name of a cluster")?;
        let problem = if name.trim() != name || name.is_empty() {
            "the name of a cluster must not be empty, nor begin or end with a space"
        } else if name.len() > LONGEST_NAME {
            "the name of a cluster has at most 255 characters"
        } else if name.contains("://") {
            let problem = Problem::new("expected the name of a cluster, got a URL")
                .help("Envoy reaches it by one of its clusters: name that");
            return Err(ConfigErrors::at(location, problem));
        } else {
            return Ok(Self(name));
        };
        Err(ConfigErrors::at(location, problem))
    }
}

/// A gRPC service, by one of Envoy's clusters: what Envoy calls `envoy_grpc`.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct EnvoyGrpc {
    /// A cluster of Envoy's, with HTTP/2.
    cluster_name: ClusterName,
    /// The `:authority` of the calls: the cluster's name unless given.
    #[deserr(default)]
    authority: Given<Authority>,
}

impl EnvoyGrpc {
    /// The cluster.
    pub fn cluster(&self) -> &str {
        self.cluster_name.as_str()
    }

    /// What the service is called, where that is not its cluster's name.
    pub fn authority(&self) -> Option<&str> {
        self.authority
            .0
            .as_ref()
            .map(|authority| authority.0.as_str())
    }
}

/// A host, or a host and a port.
#[derive(Debug, Clone, Schema)]
#[schema(description = "", { "type": "string", "minLength": 1 })]
struct Authority(Text);

impl Deserr<ConfigErrors> for Authority {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = Text::deserialize_from_value(value, location)?;
        // A user's name and password have no place there (RFC 9113, section 8.3.1).
        let has_user = text.as_str().contains('@');
        if has_user || http::uri::Authority::try_from(text.as_str()).is_err() {
            let problem = Problem::new("not a host, or a host and a port")
                .help("write what the service is called, such as `limits.example`");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(text))
    }
}

/// Words of `retry_on`: one, or several with commas between them.
#[derive(Debug, Clone, Copy, Schema)]
#[schema({ "type": "string", "anyOf": [
    { "enum": RetryOn::WORDS.map(|(word, _)| word) },
    { "pattern": "^ *[a-z0-9-]+ *(, *[a-z0-9-]+ *)*$" },
] })]
struct Conditions(RetryOn);

impl Deserr<ConfigErrors> for Conditions {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "conditions, such as \"5xx,reset\"")?;
        let mut errors = None;
        let mut all = RetryOn::NONE;
        for word in text.split(',').map(str::trim) {
            match word.parse::<RetryOn>() {
                Ok(on) => all = all.and(on),
                Err(_) => ConfigErrors::add(&mut errors, unknown(word, location)),
            }
        }
        ConfigErrors::check(errors, Self(all))
    }
}

fn unknown(word: &str, location: ValuePointerRef<'_>) -> ConfigErrors {
    let words = RetryOn::WORDS.map(|(word, _)| word);
    let known = words.join(", ");
    let help = match word {
        "retriable-4xx" => {
            "name the status by `retriable-status-codes` and `retriable_status_codes: 409`"
                .to_owned()
        }
        _ => match suggest(word, words) {
            Some(meant) => format!("did you mean `{meant}`? (known: {known})"),
            None => format!("known: {known}"),
        },
    };
    let problem = Problem::new(format!("unknown condition {}", quoted(word)));
    ConfigErrors::at(location, problem.help(help))
}

fn check_service(
    config: HttpServiceConfig,
    at: ValuePointerRef<'_>,
) -> Result<HttpServiceConfig, ConfigErrors> {
    let policy = config.retry_policy.0.as_ref();
    let per_try = policy.and_then(|policy| policy.per_try_timeout.0);
    if per_try.is_some_and(|per_try| per_try.get() > config.timeout()) {
        let problem = Problem::new("longer than `timeout`, which is for all tries together")
            .help("give `timeout` room for more than one try");
        let at = at.push_key("retry_policy");
        return Err(ConfigErrors::at(at.push_key("per_try_timeout"), problem));
    }
    Ok(config)
}

fn check_retries(
    config: RetryPolicyConfig,
    at: ValuePointerRef<'_>,
) -> Result<RetryPolicyConfig, ConfigErrors> {
    let by_code = config
        .named()
        .map(|named| named.contains(RetryOn::RETRIABLE_STATUS_CODES));
    let (field, problem) = match (by_code, config.retriable_status_codes.is_empty()) {
        (Some(false), false) => (
            "retriable_status_codes",
            Problem::new("`retry_on` does not name `retriable-status-codes`")
                .help("without that word the codes say nothing"),
        ),
        (Some(true), true) => (
            "retry_on",
            Problem::new("names `retriable-status-codes`, and there are none")
                .help("list them in `retriable_status_codes`"),
        ),
        _ => return Ok(config),
    };
    Err(ConfigErrors::at(at.push_key(field), problem))
}

fn check_back_off(
    config: BackOffConfig,
    at: ValuePointerRef<'_>,
) -> Result<BackOffConfig, ConfigErrors> {
    if let Some(max) = config.max_interval.0
        && max.get() < config.back_off().base()
    {
        let problem = Problem::new("shorter than `base_interval`, which is 25ms unless given");
        return Err(ConfigErrors::at(at.push_key("max_interval"), problem));
    }
    Ok(config)
}

#[cfg(test)]
mod tests;
