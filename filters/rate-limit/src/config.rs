//! What users write.
//!
//! Fields are called as in Envoy's `local_ratelimit` and `ratelimit`, wherever those
//! have them. Each type checks what it can see, at its own place in the document, so
//! that a configuration with several mistakes is answered with all of them.

mod action;
mod check;
mod descriptor;
mod elsewhere;
mod forms;
mod header;
mod limit;
mod rate_limit;
mod service;
mod share;
mod template;
mod text;

use std::time::Duration;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{
    Bounded, BoundedDuration, ConfigErrors, Given, Mode, NonEmpty, Schema, StatPrefix,
};

pub use action::{Action, Origin, Test};
pub use descriptor::{Descriptor, Entry};
pub use header::{AppendAction, HeaderToAdd, HeadersToAdd};
pub use limit::{Concurrency, Count, Interval, Limit, TokenBucket, Window};
pub use rate_limit::{HitsAddend, Override, RateLimit, Unit};
pub use service::Service;
pub use share::Share;
pub use template::PathTemplate;
pub use text::Label;

/// Keys in shared data, unless given.
const MAX_DYNAMIC_DESCRIPTORS: u32 = 100_000;
const TOO_MANY_REQUESTS: u16 = 429;

/// The whole configuration.
#[derive(Debug, Clone, Schema)]
#[schema(as = Written)]
pub struct Config {
    /// The first word of the counters' names, `rate_limit` unless given.
    pub stat_prefix: Given<StatPrefix>,
    /// Whether anyone is refused at all. In report mode every request passes.
    pub mode: Mode,
    /// Who is asked about requests besides.
    pub service: Option<Service>,
    /// What descriptors are made of a request.
    pub rate_limits: Vec<RateLimit>,
    /// Those that have limits.
    pub descriptors: Vec<Descriptor>,
    /// The limit of requests without such a descriptor, and of all others too if it
    /// is always consumed. Of several, all must let a request pass.
    pub default_limits: Vec<Limit>,
    /// Whether requests with a descriptor take of the default limit as well.
    pub always_consume_default_token_bucket: bool,
    /// Which requests are looked at.
    pub filter_enabled: Share,
    /// Which of those are refused where a limit says so.
    pub filter_enforced: Share,
    /// How requests are refused.
    pub reply: Reply,
    /// What is added to requests that would have been refused.
    pub request_headers_to_add_when_not_enforced: HeadersToAdd,
    /// Whether each connection has the limits for itself.
    pub local_rate_limit_per_downstream_connection: bool,
    /// How many keys there is room for in shared data.
    pub max_dynamic_descriptors: u32,
    /// How much a worker takes at a time; without one, each request takes its own.
    pub lease: Option<Lease>,
    /// How many proxies in front of Envoy are trusted to have added to
    /// `x-forwarded-for`.
    pub xff_num_trusted_hops: u32,
}

/// How requests are refused, and what clients are told.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "options that are each on or off"
)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers of the refusal.
    pub response_headers_to_add: HeadersToAdd,
    /// Whether gRPC clients are told `RESOURCE_EXHAUSTED`, not `UNAVAILABLE`.
    pub rate_limited_as_resource_exhausted: bool,
    /// Whether refusals have `Retry-After`.
    pub retry_after_header: bool,
    /// Whether there are `X-RateLimit-*` headers.
    pub x_ratelimit_headers: bool,
    /// Whether there are `RateLimit` and `RateLimit-Policy`.
    pub ratelimit_headers: bool,
}

/// How much a worker takes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// So many.
    pub size: u32,
    /// What it has not used by then, it gives back.
    pub max_age: Duration,
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = ["Options", "Limits"], {
    "not": { "anyOf": limit::several() },
})]
struct Written {
    #[deserr(default)]
    stat_prefix: Given<StatPrefix>,
    #[deserr(default)]
    mode: Mode,
    #[deserr(default)]
    rate_limit_service: Given<Service>,
    #[deserr(default)]
    rate_limits: NonEmpty<RateLimit>,
    #[deserr(default)]
    descriptors: NonEmpty<descriptor::Unnamed>,
    #[deserr(default)]
    token_bucket: Given<TokenBucket>,
    #[deserr(default)]
    fixed_window: Given<Window>,
    #[deserr(default)]
    sliding_window: Given<Window>,
    #[deserr(default)]
    concurrency: Given<Concurrency>,
    #[deserr(default)]
    limits: Given<NonEmpty<Limit>>,
    #[deserr(default)]
    always_consume_default_token_bucket: Given<bool>,
    #[deserr(default)]
    filter_enabled: Share,
    #[deserr(default)]
    filter_enforced: Share,
    #[deserr(default)]
    status: Given<Status>,
    #[deserr(default)]
    response_headers_to_add: HeadersToAdd,
    #[deserr(default)]
    request_headers_to_add_when_not_enforced: HeadersToAdd,
    #[deserr(default)]
    rate_limited_as_resource_exhausted: bool,
    #[deserr(default)]
    enable_retry_after_header: Given<bool>,
    #[deserr(default)]
    enable_x_ratelimit_headers: XRateLimitHeaders,
    #[deserr(default)]
    enable_ratelimit_headers: RateLimitHeaders,
    #[deserr(default)]
    local_rate_limit_per_downstream_connection: bool,
    #[deserr(default)]
    max_dynamic_descriptors: Given<Bounded<1, 10_000_000>>,
    #[deserr(default)]
    lease: Given<WrittenLease>,
    #[deserr(default)]
    xff_num_trusted_hops: Given<Bounded<0, 100>>,
    #[deserr(default, rename = "domain")]
    _domain: elsewhere::OfService,
    #[deserr(default, rename = "timeout")]
    _timeout: elsewhere::OfService,
    #[deserr(default, rename = "failure_mode_deny")]
    _failure_mode_deny: elsewhere::OfService,
    #[deserr(default, rename = "status_on_error")]
    _status_on_error: elsewhere::OfService,
    #[deserr(default, rename = "disable_x_envoy_ratelimited_header")]
    _disable_x_envoy_ratelimited_header: elsewhere::OfService,
    #[deserr(default, rename = "stage")]
    _stage: elsewhere::Stage,
    #[deserr(default, rename = "vh_rate_limits")]
    _vh_rate_limits: elsewhere::VhRateLimits,
    #[deserr(default, rename = "local_cluster_rate_limit")]
    _local_cluster_rate_limit: elsewhere::LocalClusterRateLimit,
}

#[derive(Clone, Copy, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Status {
    /// The code, such as 429 or 503.
    code: Bounded<400, 599>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors)]
enum XRateLimitHeaders {
    /// None.
    #[default]
    #[deserr(rename = "OFF")]
    Off,
    /// `x-ratelimit-limit`, `-remaining` and `-reset`.
    #[deserr(rename = "DRAFT_VERSION_03")]
    Draft,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors)]
enum RateLimitHeaders {
    /// None.
    #[default]
    #[deserr(rename = "OFF")]
    Off,
    /// `ratelimit-policy` and `ratelimit`.
    #[deserr(rename = "DRAFT_VERSION_10")]
    Draft,
}

#[derive(Clone, Copy, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct WrittenLease {
    /// How much a worker takes at a time.
    size: Bounded<1, 1_000_000>,
    /// What it has not used by then, it gives back.
    max_age: BoundedDuration<10, 60_000>,
}

impl Deserr<ConfigErrors> for Config {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut written = Written::deserialize_from_value(value, location)?;
        let fields = limit::Fields {
            token_bucket: std::mem::take(&mut written.token_bucket),
            fixed_window: std::mem::take(&mut written.fixed_window),
            sliding_window: std::mem::take(&mut written.sliding_window),
            concurrency: std::mem::take(&mut written.concurrency),
            limits: std::mem::take(&mut written.limits),
        };
        let limits = fields.check(location);
        let errors = check::errors(&written, limits.as_deref().ok(), location);
        let (default_limits, errors) = match (limits, errors) {
            (Ok(limits), errors) => (limits, errors),
            (Err(wrong), None) => return Err(wrong),
            (Err(wrong), Some(errors)) => return Err(wrong.merge(errors)),
        };
        let lease = |lease: WrittenLease| Lease {
            size: u32::try_from(lease.size.get()).unwrap_or(u32::MAX),
            max_age: lease.max_age.get(),
        };
        let number = |number: i64| u32::try_from(number).ok();
        let status = written.status.0;
        let status = status.and_then(|status| u16::try_from(status.code.get()).ok());
        let keys = written.max_dynamic_descriptors.0;
        let hops = written.xff_num_trusted_hops.0;
        let config = Self {
            stat_prefix: written.stat_prefix,
            mode: written.mode,
            service: written.rate_limit_service.0,
            rate_limits: written.rate_limits.into_iter().collect(),
            descriptors: descriptor::Unnamed::named(written.descriptors),
            default_limits,
            always_consume_default_token_bucket: written
                .always_consume_default_token_bucket
                .0
                .unwrap_or(true),
            filter_enabled: written.filter_enabled,
            filter_enforced: written.filter_enforced,
            reply: Reply {
                status: status.unwrap_or(TOO_MANY_REQUESTS),
                response_headers_to_add: written.response_headers_to_add,
                rate_limited_as_resource_exhausted: written.rate_limited_as_resource_exhausted,
                retry_after_header: written.enable_retry_after_header.0.unwrap_or(true),
                x_ratelimit_headers: written.enable_x_ratelimit_headers == XRateLimitHeaders::Draft,
                ratelimit_headers: written.enable_ratelimit_headers == RateLimitHeaders::Draft,
            },
            request_headers_to_add_when_not_enforced: written
                .request_headers_to_add_when_not_enforced,
            local_rate_limit_per_downstream_connection: written
                .local_rate_limit_per_downstream_connection,
            max_dynamic_descriptors: keys
                .and_then(|keys| number(keys.get()))
                .unwrap_or(MAX_DYNAMIC_DESCRIPTORS),
            lease: written.lease.0.map(lease),
            xff_num_trusted_hops: hops.and_then(|hops| number(hops.get())).unwrap_or(0),
        };
        ConfigErrors::check(errors, config)
    }
}

#[cfg(test)]
mod tests;
