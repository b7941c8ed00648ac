//! Fields that Envoy's own filters have and this one cannot have: each is refused
//! with the reason, and with what there is in its place.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Problem};

macro_rules! elsewhere {
    ($($(#[$doc:meta])* $name:ident: $problem:literal, $help:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
            pub(super) struct $name;

            impl Deserr<ConfigErrors> for $name {
                fn deserialize_from_value<V: IntoValue>(
                    _: Value<V>,
                    location: ValuePointerRef<'_>,
                ) -> Result<Self, ConfigErrors> {
                    Err(ConfigErrors::at(location, Problem::new($problem).help($help)))
                }
            }
        )*
    };
}

elsewhere! {
    /// `stage`, of the filter and of a rate limit
    Stage:
        "a module has no stages",
        "have the filter twice, each with its own `rate_limits`";
    /// `rate_limits[].disable_key`
    DisableKey:
        "a module has no runtime to look a key up in",
        "take the rate limit out, or narrow it by `match`";
    /// `filter_enabled.runtime_key`
    RuntimeKey:
        "a module has no runtime to look a key up in",
        "`default_value` is what goes";
    /// `rate_limits[].apply_on_stream_done`
    ApplyOnStreamDone:
        "hits are counted when a request begins, not when it ends",
        "leave it out";
    /// `rate_limits[].x_ratelimit_option`
    XRateLimitOption:
        "headers are switched on for all limits together",
        "set `enable_x_ratelimit_headers` at the top";
    /// `hits_addend.is_negative_hits`
    IsNegativeHits:
        "hits are not given back",
        "leave it out";
    /// `domain`, `timeout`, … at the top, where Envoy's `ratelimit` has them
    OfService:
        "it is said of the rate limit service",
        "write it under `rate_limit_service`";
    /// `grpc_service.google_grpc`
    GoogleGrpc:
        "a module speaks gRPC through Envoy's clusters",
        "write `envoy_grpc: {cluster_name: NAME}`";
    /// `transport_api_version`
    TransportApiVersion:
        "there is one version, V3",
        "leave it out";
    /// `request_type`
    RequestType:
        "whether a request is internal is not looked at",
        "leave it out, or narrow `rate_limits` by `match`";
    /// `limit.dynamic_metadata`
    LimitOfMetadata:
        "a limit is not read from metadata",
        "write it: `limit: {requests_per_unit: 5, unit: MINUTE}`";
    /// `limit.rate_limit`
    LimitOfLimit:
        "a limit is written without `rate_limit` here",
        "write `limit: {requests_per_unit: 5, unit: MINUTE}`";
    /// `vh_rate_limits`
    VhRateLimits:
        "a module does not see the rate limits of routes",
        "write them here, with a `match` each";
    /// `local_cluster_rate_limit`
    LocalClusterRateLimit:
        "a module does not know how many Envoys there are",
        "share a limit among them by a rate-limit service";
    /// `header.raw_value`
    RawValue:
        "a header is written as text",
        "use `value`";
    /// `append` of a header, deprecated
    Append:
        "`append` is deprecated",
        "`append_action: APPEND_IF_EXISTS_OR_ADD` adds, `OVERWRITE_IF_EXISTS_OR_ADD` replaces";
}
