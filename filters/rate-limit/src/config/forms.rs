//! How each action is written.

#[cfg(not(target_family = "wasm"))]
use legation::config::schema::{self, JsonSchema, Map, SchemaGenerator, Value, json};
#[cfg(not(target_family = "wasm"))]
use legation::{config::OneOrMany, matcher::Matcher};

#[cfg(not(target_family = "wasm"))]
use super::action::{MetadataKey, Network, Source};
#[cfg(not(target_family = "wasm"))]
use super::template::PathTemplate;

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

/// The schema of an action: an object with its kind alone, and its fields in that.
#[cfg(not(target_family = "wasm"))]
pub(super) fn schema(generator: &mut SchemaGenerator) -> Value {
    let mut kinds = Map::new();
    for form in FORMS {
        let names = form.required.iter().chain(form.optional);
        let fields: Map<String, Value> = names
            .map(|name| ((*name).to_owned(), field(name, generator)))
            .collect();
        let mut kind = json!({
            "type": "object",
            "properties": fields,
            "required": form.required,
            "additionalProperties": false,
        });
        let said = README.text(form.kind);
        if let (Value::Object(keys), Some(said)) = (&mut kind, said) {
            keys.insert("description".to_owned(), said.into());
        }
        kinds.insert(form.kind.to_owned(), kind);
    }
    json!({
        "type": "object",
        "properties": kinds,
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    })
}

#[cfg(not(target_family = "wasm"))]
const README: schema::Readme = schema::Readme {
    text: include_str!("../../README.md"),
    headings: &["Actions"],
    prefix: "",
};

#[cfg(not(target_family = "wasm"))]
fn field(name: &str, generator: &mut SchemaGenerator) -> Value {
    let text = || json!({ "type": "string", "minLength": 1 });
    let flag = |default: bool| json!({ "type": "boolean", "default": default });
    let tests = |key: &str, generator: &mut SchemaGenerator| {
        let matcher = <Matcher as JsonSchema>::json_schema(generator).to_value();
        let tests = matcher.pointer(&format!("/properties/{key}"));
        tests.cloned().unwrap_or_default()
    };
    let (description, mut schema) = match name {
        "header_name" => (
            "The header; also `:path` (with its query), `:method`, `:authority`, `:scheme`.",
            json!({ "type": "string", "pattern": r"^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$" }),
        ),
        "query_parameter_name" => ("The query parameter.", text()),
        "name" => (
            "The cookie.",
            json!({ "type": "string", "pattern": schema::TOKEN }),
        ),
        "filter_state" => (
            "What jwt-auth has under `payload_in_filter_state`, without `wasm.`.",
            json!({ "type": "string", "minLength": 1, "not": { "pattern": r"^wasm\." } }),
        ),
        "descriptor_key" => ("The entry's key.", text()),
        "descriptor_value" => ("The entry's value: a text, or a format.", text()),
        "format" => ("The entry's value: `%REQ(x-tenant)%`.", text()),
        "default_value" => ("The value where there is none.", text()),
        "skip_if_absent" => (
            "Whether the descriptor goes without the entry where there is no value. Otherwise there is no descriptor then.",
            flag(false),
        ),
        "expect_match" => (
            "`false`: for requests that do not pass the tests.",
            flag(true),
        ),
        "invert_match" => ("`true`: for clients in none of the networks.", flag(false)),
        "cidrs" => (
            "Networks (`10.0.0.0/8`) and addresses.",
            generator.subschema_for::<OneOrMany<Network>>().to_value(),
        ),
        "headers" => (
            "Tests of headers, which all must pass.",
            tests("headers", generator),
        ),
        "query_parameters" => (
            "Tests of query parameters, which all must pass.",
            tests("query", generator),
        ),
        "v4_prefix_mask_len" => (
            "The length of an IPv4 network's prefix.",
            json!({ "type": "integer", "minimum": 0, "maximum": 32, "default": 32 }),
        ),
        "v6_prefix_mask_len" => (
            "The length of an IPv6 network's prefix.",
            json!({ "type": "integer", "minimum": 0, "maximum": 128, "default": 128 }),
        ),
        "metadata_key" => (
            "Where in the metadata the value stands.",
            generator.subschema_for::<MetadataKey>().to_value(),
        ),
        "source" => (
            "Whose metadata: `DYNAMIC` unless given.",
            generator.subschema_for::<Source>().to_value(),
        ),
        "claim" => (
            "The claim: `a.b` is member `b` of claim `a`, as is `[a, b]`.",
            json!({ "anyOf": [text(), { "type": "array", "minItems": 1, "items": text() }] }),
        ),
        "template" => (
            "Templates of paths, such as `/users/{id}/**`: the first that the path fits.",
            generator
                .subschema_for::<OneOrMany<PathTemplate>>()
                .to_value(),
        ),
        "capture" => (
            "The name of the part in `{…}` whose text is the value.",
            text(),
        ),
        _ => ("", json!({})),
    };
    if let Value::Object(keys) = &mut schema {
        keys.insert("description".to_owned(), description.into());
    }
    schema
}
