//! What users write about where keys come from.

use std::time::Duration;

use deserr::Deserr;
use legation::config::{Bounded, BoundedDuration, ConfigErrors, Given, Problem, Schema};
use legation::resilience::{ClusterName, HttpServiceConfig, HttpUri, RetryPolicyConfig};

use crate::url::{self, ServiceUrl};

/// The time of a callout: 10 ms to 5 min.
pub type Timeout = BoundedDuration<10, 300_000>;
/// 1 s to 30 days.
type CacheDuration = BoundedDuration<1_000, 2_592_000_000>;
/// 10 ms to 1 h.
type Interval = BoundedDuration<10, 3_600_000>;
/// No time to 30 days.
type Staleness = BoundedDuration<0, 2_592_000_000>;
/// No time to 1 min.
type Patience = BoundedDuration<0, 60_000>;

/// Bytes of a key set: 1 KiB to 8 MiB.
type MaxResponseBytes = Bounded<1_024, 8_388_608>;

/// A key set has a few kilobytes; the largest in use, of many certificates, some
/// tens.
const MAX_RESPONSE_BYTES: i64 = 1_048_576;

/// `remote_jwks`: a key set fetched from a URL, in Envoy's names and ours.
///
/// | field | default | range | |
/// |---|---|---|---|
/// | `http_uri` | required | | [`HttpUri`] |
/// | `cache_duration` | `600s` | 1 s to 30 days | fetched anew in the last tenth of it |
/// | `async_fetch.failed_refetch_duration` | `1s` | 10 ms to 1 h | between a fetch that failed and the next; grows to 1 min while they fail |
/// | `async_fetch.fast_listener` | | | taken, and without effect: the listener never waits |
/// | `retry_policy` | one try | | [`RetryPolicyConfig`], within one fetch |
/// | `stale_if_error` | `3600s` | 0 to 30 days | so long after `cache_duration` keys are used when no others can be fetched |
/// | `unknown_key_refetch_interval` | `10s` | 10 ms to 1 h | an unknown `kid` has keys fetched at most so often |
/// | `first_fetch_timeout` | `3s` | 0 to 1 min | so long a request waits for the first keys |
/// | `max_response_bytes` | 1048576 | 1024 to 8388608 | larger answers are refused |
///
/// `Cache-Control` and `Expires` of the answer are not heeded, as in Envoy:
/// `cache_duration` is what was decided on, issuers send anything from 15 s to days,
/// and a rotation is noticed by its unknown `kid`.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct RemoteJwks {
    http_uri: HttpUri,
    #[deserr(default)]
    cache_duration: Given<CacheDuration>,
    #[deserr(default)]
    async_fetch: AsyncFetch,
    #[deserr(default)]
    retry_policy: Given<RetryPolicyConfig>,
    #[deserr(default)]
    stale_if_error: Given<Staleness>,
    #[deserr(default)]
    unknown_key_refetch_interval: Given<Interval>,
    #[deserr(default)]
    first_fetch_timeout: Given<Patience>,
    #[deserr(default)]
    max_response_bytes: Given<MaxResponseBytes>,
}

/// `openid_configuration`: a key set found by the issuer's metadata (`OpenID`
/// Connect Discovery 1.0, section 4; RFC 8414 by its `uri`).
///
/// | field | default | |
/// |---|---|---|
/// | `cluster` | required | where the metadata is asked for |
/// | `uri` | `ISSUER/.well-known/openid-configuration` | its URL |
/// | `jwks_cluster` | `cluster` | where the keys are asked for |
/// | `timeout` | `5s` | 10 ms to 5 min, of each of the two fetches |
///
/// | `cache_duration` | `600s` | keys are fetched anew in the last tenth of it |
/// | `stale_if_error` | `3600s` | so long after `cache_duration` keys are used when no others can be fetched |
/// | `unknown_key_refetch_interval` | `10s` | an unknown `kid` has keys fetched at most so often |
/// | `first_fetch_timeout` | `3s` | so long a request waits for the first keys |
/// | `max_response_bytes` | 1048576 | larger answers are refused |
///
/// and the rest as [`RemoteJwks`].
///
/// Metadata whose `issuer` is not the provider's, byte for byte, is refused. Its
/// `jwks_uri` must be `https`, or as its own URL is if that is `http`; its host and
/// path are what the request says, and `jwks_cluster` alone is where it goes: no
/// answer can have Envoy talk to another host. Metadata is read again with each
/// refresh, but not for an unknown `kid`.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct OpenIdConfiguration {
    cluster: ClusterName,
    #[deserr(default)]
    uri: Given<ServiceUrl>,
    #[deserr(default)]
    jwks_cluster: Given<ClusterName>,
    #[deserr(default)]
    timeout: Given<Timeout>,
    #[deserr(default)]
    cache_duration: Given<CacheDuration>,
    #[deserr(default)]
    async_fetch: AsyncFetch,
    #[deserr(default)]
    retry_policy: Given<RetryPolicyConfig>,
    #[deserr(default)]
    stale_if_error: Given<Staleness>,
    #[deserr(default)]
    unknown_key_refetch_interval: Given<Interval>,
    #[deserr(default)]
    first_fetch_timeout: Given<Patience>,
    #[deserr(default)]
    max_response_bytes: Given<MaxResponseBytes>,
}

/// `async_fetch`, as Envoy writes it. Here every fetch is one in the background.
#[derive(Debug, Clone, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct AsyncFetch {
    /// Taken, and without effect: the listener never waits.
    #[deserr(default)]
    fast_listener: Given<bool>,
    /// How long after a fetch that failed the next one is tried; `1s` unless given. It
    /// grows up to 1 min while they fail.
    #[deserr(default)]
    failed_refetch_duration: Given<Interval>,
}

/// When keys are fetched, and for how long they are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) cache_duration: Duration,
    pub(super) stale_if_error: Duration,
    pub(super) failed_refetch: Duration,
    pub(super) unknown_key_refetch_interval: Duration,
    pub(super) first_fetch_timeout: Duration,
    /// The longest that one fetch takes.
    pub(super) fetch_timeout: Duration,
}

impl RemoteJwks {
    pub(super) fn schedule(&self) -> Schedule {
        let service = self.service();
        let _ = self.async_fetch.fast_listener;
        Schedule {
            cache_duration: or(&self.cache_duration, Duration::from_mins(10)),
            stale_if_error: or(&self.stale_if_error, Duration::from_hours(1)),
            failed_refetch: or(
                &self.async_fetch.failed_refetch_duration,
                Duration::from_secs(1),
            ),
            unknown_key_refetch_interval: or(
                &self.unknown_key_refetch_interval,
                Duration::from_secs(10),
            ),
            first_fetch_timeout: or(&self.first_fetch_timeout, Duration::from_secs(3)),
            fetch_timeout: service.timeout(),
        }
    }

    pub(super) fn url(&self) -> &ServiceUrl {
        self.http_uri.uri()
    }

    pub(super) fn service(&self) -> HttpServiceConfig {
        service(
            HttpServiceConfig::of_uri(&self.http_uri),
            self.retry_policy.0.as_ref(),
            &self.max_response_bytes,
        )
    }
}

impl OpenIdConfiguration {
    /// Where the metadata is asked for.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// The time for each fetch, where it is given.
    pub fn timeout(&self) -> Option<Timeout> {
        self.timeout.0
    }

    pub(super) fn schedule(&self) -> Schedule {
        let _ = self.async_fetch.fast_listener;
        Schedule {
            cache_duration: or(&self.cache_duration, Duration::from_mins(10)),
            stale_if_error: or(&self.stale_if_error, Duration::from_hours(1)),
            failed_refetch: or(
                &self.async_fetch.failed_refetch_duration,
                Duration::from_secs(1),
            ),
            unknown_key_refetch_interval: or(
                &self.unknown_key_refetch_interval,
                Duration::from_secs(10),
            ),
            first_fetch_timeout: or(&self.first_fetch_timeout, Duration::from_secs(3)),
            fetch_timeout: self.metadata_service().timeout().saturating_mul(2),
        }
    }

    /// Where the metadata of this issuer is.
    pub(super) fn url(&self, issuer: &str) -> Result<ServiceUrl, Problem> {
        if let Some(uri) = &self.uri.0 {
            return Ok(uri.clone());
        }
        let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
        let url = format!("{issuer}/.well-known/openid-configuration");
        url::parse(&url).map_err(|problem| {
            Problem::new(format!("`issuer` is not the beginning of a URL: {problem}"))
                .help("give the URL of its metadata as `uri`")
        })
    }

    pub(super) fn metadata_service(&self) -> HttpServiceConfig {
        self.service(&self.cluster)
    }

    pub(super) fn jwks_service(&self) -> HttpServiceConfig {
        self.service(self.jwks_cluster.0.as_ref().unwrap_or(&self.cluster))
    }

    fn service(&self, cluster: &ClusterName) -> HttpServiceConfig {
        let mut base = HttpServiceConfig::of_cluster(cluster.as_str());
        if let Some(timeout) = self.timeout.0 {
            base = base.with_timeout(timeout);
        }
        service(base, self.retry_policy.0.as_ref(), &self.max_response_bytes)
    }
}

fn or<const MIN: u64, const MAX: u64>(
    given: &Given<BoundedDuration<MIN, MAX>>,
    usual: Duration,
) -> Duration {
    given.0.map_or(usual, BoundedDuration::get)
}

fn service(
    service: HttpServiceConfig,
    retries: Option<&RetryPolicyConfig>,
    max_response_bytes: &Given<MaxResponseBytes>,
) -> HttpServiceConfig {
    let bytes = max_response_bytes
        .0
        .map_or(MAX_RESPONSE_BYTES, Bounded::get);
    service
        .with_retry_policy(retries.cloned())
        .with_max_response_bytes(Bounded::new(bytes))
}
