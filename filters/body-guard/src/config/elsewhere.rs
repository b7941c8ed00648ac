//! Fields that Envoy's `ext_authz` has and this filter cannot have: each is refused with the
//! reason, and with what there is in its place.

use legation::config::elsewhere;

elsewhere! {
    /// `grpc_service.google_grpc`
    pub(super) struct GoogleGrpc:
        "a module speaks gRPC through Envoy's clusters",
        "write `envoy_grpc: {cluster_name: NAME}`";
    /// `transport_api_version`
    pub(super) struct TransportApiVersion:
        "there is one version, V3",
        "leave it out";
    /// `include_peer_certificate`
    pub(super) struct IncludePeerCertificate:
        "a module is not shown the client's certificate",
        "leave it out: who it names is told as `source.principal`";
    /// `clear_route_cache`
    pub(super) struct ClearRouteCache:
        "Envoy chooses the route anew by itself where a module has changed a header",
        "leave it out";
    /// `filter_enabled`
    pub(super) struct FilterEnabled:
        "which requests are asked about is the rule's to say",
        "narrow the rule by `match: {percentage: 10}`";
    /// `stat_prefix`
    pub(super) struct StatPrefix:
        "the counters of all rules are the same",
        "give `stat_prefix` at the top";
}
