//! How each action is written.

/// An action's fields.
pub(super) struct Form {
    pub(super) kind: &'static str,
    pub(super) required: &'static [&'static str],
    pub(super) optional: &'static [&'static str],
    /// The entry's key, unless given.
    pub(super) key: &'static str,
}

const fn form(
    kind: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    key: &'static str,
) -> Form {
    Form {
        kind,
        required,
        optional,
        key,
    }
}

/// Those of Envoy first, with its fields, then ours.
pub(super) const FORMS: &[Form] = &[
    form("source_cluster", &[], &[], "source_cluster"),
    form("destination_cluster", &[], &[], "destination_cluster"),
    form(
        "request_headers",
        &["header_name", "descriptor_key"],
        &["skip_if_absent"],
        "",
    ),
    form(
        "query_parameters",
        &["query_parameter_name", "descriptor_key"],
        &["skip_if_absent"],
        "",
    ),
    form("remote_address", &[], &[], "remote_address"),
    form(
        "masked_remote_address",
        &[],
        &["v4_prefix_mask_len", "v6_prefix_mask_len"],
        "masked_remote_address",
    ),
    form(
        "remote_address_match",
        &["descriptor_value", "cidrs"],
        &["invert_match", "descriptor_key", "default_value"],
        "remote_address_match",
    ),
    form(
        "generic_key",
        &["descriptor_value"],
        &["descriptor_key", "default_value"],
        "generic_key",
    ),
    form(
        "header_value_match",
        &["descriptor_value", "headers"],
        &["expect_match", "descriptor_key", "default_value"],
        "header_match",
    ),
    form(
        "query_parameter_value_match",
        &["descriptor_value", "query_parameters"],
        &["expect_match", "descriptor_key", "default_value"],
        "query_match",
    ),
    form(
        "metadata",
        &["descriptor_key", "metadata_key"],
        &["source", "default_value", "skip_if_absent"],
        "",
    ),
    form(
        "jwt_claim",
        &["claim", "filter_state", "descriptor_key"],
        &["default_value", "skip_if_absent"],
        "",
    ),
    form(
        "cookie",
        &["name", "descriptor_key"],
        &["default_value", "skip_if_absent"],
        "",
    ),
    form(
        "path_template",
        &["template"],
        &[
            "capture",
            "descriptor_key",
            "default_value",
            "skip_if_absent",
        ],
        "path_template",
    ),
    form("method", &[], &["descriptor_key"], "method"),
    form(
        "format",
        &["format", "descriptor_key"],
        &["default_value", "skip_if_absent"],
        "",
    ),
];
