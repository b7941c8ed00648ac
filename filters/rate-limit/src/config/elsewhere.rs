//! Fields that Envoy's own filters have and this one cannot have: each is refused
//! with the reason, and with what there is in its place.

use legation::config::elsewhere;

elsewhere! {
    /// `stage`, of the filter and of a rate limit
    pub(super) struct Stage:
        "a module has no stages",
        "have the filter twice, each with its own `rate_limits`";
    /// `rate_limits[].disable_key`
    pub(super) struct DisableKey:
        "a module has no runtime to look a key up in",
        "take the rate limit out, or narrow it by `match`";
    /// `filter_enabled.runtime_key`
    pub(super) struct RuntimeKey:
        "a module has no runtime to look a key up in",
        "`default_value` is what goes";
    /// `rate_limits[].apply_on_stream_done`
    pub(super) struct ApplyOnStreamDone:
        "hits are counted when a request begins, not when it ends",
        "leave it out";
    /// `rate_limits[].x_ratelimit_option`
    pub(super) struct XRateLimitOption:
        "headers are switched on for all limits together",
        "set `enable_x_ratelimit_headers` at the top";
    /// `hits_addend.is_negative_hits`
    pub(super) struct IsNegativeHits:
        "hits are not given back",
        "leave it out";
    /// `domain`, `timeout`, … at the top, where Envoy's `ratelimit` has them
    pub(super) struct OfService:
        "it is said of the rate limit service",
        "write it under `rate_limit_service`";
    /// `grpc_service.google_grpc`
    pub(super) struct GoogleGrpc:
        "a module speaks gRPC through Envoy's clusters",
        "write `envoy_grpc: {cluster_name: NAME}`";
    /// `transport_api_version`
    pub(super) struct TransportApiVersion:
        "there is one version, V3",
        "leave it out";
    /// `request_type`
    pub(super) struct RequestType:
        "whether a request is internal is not looked at",
        "leave it out, or narrow `rate_limits` by `match`";
    /// `limit.dynamic_metadata`
    pub(super) struct LimitOfMetadata:
        "a limit is not read from metadata",
        "write it: `limit: {requests_per_unit: 5, unit: MINUTE}`";
    /// `limit.rate_limit`
    pub(super) struct LimitOfLimit:
        "a limit is written without `rate_limit` here",
        "write `limit: {requests_per_unit: 5, unit: MINUTE}`";
    /// `vh_rate_limits`
    pub(super) struct VhRateLimits:
        "a module does not see the rate limits of routes",
        "write them here, with a `match` each";
    /// `local_cluster_rate_limit`
    pub(super) struct LocalClusterRateLimit:
        "a module does not know how many Envoys there are",
        "share a limit among them by a rate-limit service";
    /// `header.raw_value`
    pub(super) struct RawValue:
        "a header is written as text",
        "use `value`";
    /// `append` of a header, deprecated
    pub(super) struct Append:
        "`append` is deprecated",
        "`append_action: APPEND_IF_EXISTS_OR_ADD` adds, `OVERWRITE_IF_EXISTS_OR_ADD` replaces";
}
