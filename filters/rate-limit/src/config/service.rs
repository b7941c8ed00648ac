//! The rate limit service, where one is asked.

use std::time::Duration;

use deserr::{Deserr, ValuePointerRef};
use legation::config::{Bounded, BoundedDuration, ConfigErrors, Given, Problem, Schema, Text};
use legation::resilience::{CircuitBreakerConfig, EnvoyGrpc, HttpServiceConfig, RetryPolicyConfig};

use super::elsewhere::{GoogleGrpc, RequestType, TransportApiVersion};

type Timeout = BoundedDuration<10, 300_000>;

/// As in Envoy.
const TIMEOUT: Option<Timeout> = Timeout::from_millis(20);
const STATUS_ON_ERROR: u16 = 500;
const DENY_CACHE_MAX_AGE: Duration = Duration::from_mins(1);

/// `rate_limit_service`: who is asked about requests, and what goes without an answer.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check -> ConfigErrors)]
#[schema(readme = "A rate limit service")]
pub struct Service {
    /// Where it is.
    #[deserr(rename = "grpc_service")]
    grpc: GrpcService,
    domain: Text,
    #[deserr(default)]
    timeout: Given<Timeout>,
    /// Whether requests are refused where there is no answer.
    #[deserr(default)]
    pub failure_mode_deny: bool,
    #[deserr(default)]
    status_on_error: Given<StatusOnError>,
    /// Whether refusals go without `x-envoy-ratelimited`.
    #[deserr(default)]
    pub disable_x_envoy_ratelimited_header: bool,
    #[deserr(default)]
    deny_cache: Given<DenyCache>,
    #[deserr(default)]
    retry_policy: Given<RetryPolicyConfig>,
    #[deserr(default)]
    circuit_breaker: Given<CircuitBreakerConfig>,
    #[deserr(default, rename = "transport_api_version")]
    _transport_api_version: TransportApiVersion,
    #[deserr(default, rename = "request_type")]
    _request_type: RequestType,
}

#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct GrpcService {
    /// By one of Envoy's clusters.
    envoy_grpc: EnvoyGrpc,
    /// How long a request waits for it: the same as `timeout` beside `grpc_service`.
    #[deserr(default)]
    timeout: Given<Timeout>,
    #[deserr(default, rename = "google_grpc")]
    _google_grpc: GoogleGrpc,
}

#[derive(Debug, Clone, Copy, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct StatusOnError {
    /// The code: 500 unless given.
    code: Bounded<400, 599>,
}

#[derive(Debug, Clone, Copy, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct DenyCache {
    /// How long a refusal is remembered at most; `0s`: not at all.
    max_age: BoundedDuration<0, 86_400_000>,
}

fn check(service: Service, at: ValuePointerRef<'_>) -> Result<Service, ConfigErrors> {
    if service.timeout.0.is_some() && service.grpc.timeout.0.is_some() {
        let problem = Problem::new("the time is given twice")
            .help("`timeout` of the service and of its `grpc_service` are the same: give one");
        return Err(ConfigErrors::at(at.push_key("timeout"), problem));
    }
    Ok(service)
}

impl Service {
    /// What the service is told whose limits these are.
    pub fn domain(&self) -> &str {
        self.domain.as_str()
    }

    /// What it is called, where that is not its cluster's name.
    pub fn authority(&self) -> Option<&str> {
        self.grpc.envoy_grpc.authority()
    }

    /// Where it is, and how long it may take.
    pub fn http_service(&self) -> HttpServiceConfig {
        let cluster = self.grpc.envoy_grpc.cluster();
        let timeout = self.timeout.0.or(self.grpc.timeout.0);
        HttpServiceConfig::of_cluster(cluster)
            .with_timeout(timeout.or(TIMEOUT))
            .with_retry_policy(self.retry_policy.0.clone())
            .with_circuit_breaker(self.circuit_breaker.0.clone())
    }

    /// The status of requests that are refused as there is no answer.
    pub fn status_on_error(&self) -> u16 {
        let status = self.status_on_error.0;
        let status = status.and_then(|status| u16::try_from(status.code.get()).ok());
        status.unwrap_or(STATUS_ON_ERROR)
    }

    /// How long a denial is remembered at most, whatever the service says.
    pub fn deny_cache_max_age(&self) -> Duration {
        let given = self.deny_cache.0;
        given.map_or(DENY_CACHE_MAX_AGE, |cache| cache.max_age.get())
    }
}
