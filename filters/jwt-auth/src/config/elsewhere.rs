//! Fields that Envoy's own filter has and a module cannot have: each is refused
//! with the reason, and with what there is in its place.

use legation::config::elsewhere;

elsewhere! {
    /// `payload_in_metadata`
    pub(super) struct PayloadInMetadata:
        "a module cannot write dynamic metadata",
        "`payload_in_filter_state: NAME` puts the payload into the filter state `wasm.NAME`";
    /// `header_in_metadata`
    pub(super) struct HeaderInMetadata:
        "a module cannot write dynamic metadata",
        "`header_in_filter_state: NAME` puts the token's header into the filter state `wasm.NAME`";
    /// `failed_status_in_metadata`
    pub(super) struct FailedStatusInMetadata:
        "a module cannot write dynamic metadata",
        "`failed_status_in_filter_state: NAME` puts the reason into the filter state `wasm.NAME`";
    /// `normalize_payload_in_metadata`
    pub(super) struct NormalizePayloadInMetadata:
        "a module cannot write dynamic metadata",
        "`payload_in_filter_state` has the payload as the issuer wrote it; `required_scopes` splits scopes";
    /// `filter_state_rules`
    pub(super) struct FilterStateRules:
        "a module cannot read the filter state of native filters as rules",
        "tell requests apart by `rules[].match`";
}
