//! The schema of a configuration that may be fetched.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::config::{FIELD, MaxResponseBytes, RefreshDelay, RemoteConfig, Written};
use crate::config::schema::{self, Document, JsonSchema, SchemaGenerator, describe_type, merge};
use crate::resilience::{HttpUri, RetryPolicyConfig};

impl<C: JsonSchema> JsonSchema for Written<C> {
    fn schema_name() -> Cow<'static, str> {
        schema::name("Written", &[C::schema_name()])
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Document {
        let remote = generator.subschema_for::<RemoteConfig<C>>();
        let here = generator.subschema_for::<C>();
        let mut schema = Document::default();
        // Not `anyOf`: an editor would tell of both what one of them has.
        merge(
            &mut schema,
            json!({
                "type": "object",
                // Outside, so that an editor offers it among the others.
                "properties": { FIELD: remote },
                "if": { "required": [FIELD] },
                "then": { "properties": { FIELD: true }, "additionalProperties": false },
                "else": here,
            }),
        );
        schema
    }
}

impl<C: JsonSchema> JsonSchema for RemoteConfig<C> {
    fn schema_name() -> Cow<'static, str> {
        "RemoteConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Document {
        let field = |schema: Document, text: &str| {
            let mut all = Document::default();
            merge(&mut all, json!({ "allOf": [schema], "description": text }));
            all
        };
        let uri = generator.subschema_for::<HttpUri>();
        let delay = generator.subschema_for::<RefreshDelay>();
        let retries = generator.subschema_for::<RetryPolicyConfig>();
        let bytes = generator.subschema_for::<MaxResponseBytes>();
        let initial = generator.subschema_for::<C>();
        let properties: Value = json!({
            "http_uri": field(uri, "Where it is. Its `timeout` is for all tries of a fetch."),
            "refresh_delay": field(delay, "The time between fetches, less up to a tenth by chance. Default: 30s. Range: 100 ms to 1 day."),
            "retry_policy": field(retries, "The tries within one fetch: one, unless given."),
            "max_response_bytes": field(bytes, "Larger documents are refused. Default: 1048576. Range: 1024 to 8388608."),
            "initial": field(initial, "What holds until the first good document is there; without it requests are refused."),
        });
        let mut schema = Document::default();
        merge(
            &mut schema,
            json!({
                "type": "object",
                "properties": properties,
                "required": ["http_uri"],
                "additionalProperties": false,
            }),
        );
        describe_type(
            &mut schema,
            "Where the configuration is fetched, and how often.",
        );
        schema
    }
}
