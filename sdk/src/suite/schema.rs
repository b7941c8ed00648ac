//! The schema of a suite's configuration: that of each filter under its name.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{FilterSet, SuiteConfig};
use crate::config::schema::{Document, JsonSchema, SchemaGenerator};
use crate::filter::HttpFilter;

/// A set of filters whose configurations have schemas.
pub trait FilterSchemas: FilterSet {
    /// Each filter's name, and the schema of its configuration.
    fn schemas(generator: &mut SchemaGenerator, schemas: &mut Vec<(&'static str, Document)>);
}

impl FilterSchemas for () {
    fn schemas(_: &mut SchemaGenerator, _: &mut Vec<(&'static str, Document)>) {}
}

impl<First, Rest> FilterSchemas for (First, Rest)
where
    First: HttpFilter<Config: JsonSchema>,
    Rest: FilterSchemas,
{
    fn schemas(generator: &mut SchemaGenerator, schemas: &mut Vec<(&'static str, Document)>) {
        schemas.push((First::NAME, generator.subschema_for::<First::Config>()));
        Rest::schemas(generator, schemas);
    }
}

impl<S: FilterSchemas> JsonSchema for SuiteConfig<S> {
    fn schema_name() -> Cow<'static, str> {
        "SuiteConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Document {
        let mut schemas = Vec::new();
        S::schemas(generator, &mut schemas);
        let names: Vec<&str> = schemas.iter().map(|(name, _)| *name).collect();
        let conditions: Vec<Value> = schemas
            .iter()
            .map(|(name, schema)| {
                let mut needed = json!({ "properties": { "config": schema } });
                if needs_something(generator, schema)
                    && let Value::Object(keys) = &mut needed
                {
                    keys.insert("required".to_owned(), json!(["config"]));
                }
                let it_is_meant =
                    json!({ "properties": { "name": { "const": name } }, "required": ["name"] });
                json!({ "if": it_is_meant, "then": needed })
            })
            .collect();
        let mut schema = Document::default();
        crate::config::schema::merge(
            &mut schema,
            json!({
                "type": "object",
                "properties": {
                    "filters": {
                        "type": "array",
                        "minItems": 1,
                        "description": "The filters to run, in order.",
                        "items": {
                            "type": "object",
                            "properties": {
                                "name": { "enum": names, "description": "Which filter." },
                                "config": {
                                    "description": "Its configuration, as it is alone. It may be left out where it is empty.",
                                },
                            },
                            "required": ["name"],
                            "additionalProperties": false,
                            "allOf": conditions,
                        },
                    },
                },
                "required": ["filters"],
                "additionalProperties": false,
            }),
        );
        schema
    }
}

/// Whether an empty configuration is refused.
fn needs_something(generator: &SchemaGenerator, schema: &Document) -> bool {
    let reference = schema.get("$ref").and_then(Value::as_str);
    let name = reference.and_then(|reference| reference.rsplit('/').next());
    let definition = name.and_then(|name| generator.definitions().get(name));
    let required = match definition {
        Some(definition) => definition.get("required"),
        None => schema.get("required"),
    };
    required.is_some()
}
