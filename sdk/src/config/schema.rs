//! JSON Schemas of configurations, which editors complete and check by. Natively
//! alone: no module holds them.
//!
//! A type that derives [`Deserr`](deserr::Deserr) derives [`Schema`](super::Schema)
//! beside it, which reads the same `#[deserr(…)]`. What a type is says the first paragraph
//! of its doc comment; what a field is, its row in a table of the crate's README
//! (`#[schema(readme = "…")]`) or of the struct's doc comment, or its own doc comment. Such
//! a table has the fields' names in its first column, what is to be said in its last, and
//! may have columns `Default` and `Range`. A type that is read by hand says what it is:
//!
//! ```
//! use deserr::Deserr;
//! use legation::config::{ConfigErrors, Given, Mode, Schema, schema};
//!
//! /// A port.
//! #[derive(Schema)]
//! #[schema({ "type": "integer", "minimum": 1, "maximum": 65_535 })]
//! struct Port(u16);
//! # impl Deserr<ConfigErrors> for Port {
//! #     fn deserialize_from_value<V: deserr::IntoValue>(
//! #         value: deserr::Value<V>,
//! #         location: deserr::ValuePointerRef<'_>,
//! #     ) -> Result<Self, ConfigErrors> {
//! #         u16::deserialize_from_value(value, location).map(Self)
//! #     }
//! # }
//!
//! #[derive(Deserr, Schema)]
//! #[deserr(error = ConfigErrors, deny_unknown_fields)]
//! struct Config {
//!     /// Where to listen, on [`localhost`](std::net::Ipv4Addr::LOCALHOST).
//!     port: Port,
//!     #[deserr(default)]
//!     mode: Mode,
//!     #[deserr(default)]
//!     fallback: Given<Port>,
//! }
//!
//! let schema = schema::of::<Config>("my-filter");
//! assert_eq!(schema["required"], serde_json::json!(["port"]));
//! assert_eq!(schema["additionalProperties"], false);
//! assert_eq!(
//!     schema["properties"]["port"]["description"],
//!     "Where to listen, on `localhost`."
//! );
//! assert_eq!(schema["properties"]["port"]["maximum"], 65_535);
//! assert_eq!(schema["properties"]["fallback"]["description"], "A port.");
//! assert_eq!(schema["properties"]["mode"]["enum"], serde_json::json!(["enforce", "report"]));
//! assert_eq!(schema["properties"]["mode"]["default"], "enforce");
//! ```
//!
//! | `#[schema(…)]` | on | |
//! |---|---|---|
//! | `{ … }` | all | keys of the schema, beside what is derived; expressions may use `generator`, as in `generator.subschema_for::<T>()` |
//! | `with = function` | all | the same, as `fn(&mut SchemaGenerator) -> Value` gives them |
//! | `as = Type` | all | the schema of another type, without its default |
//! | `description = "…"` | all | in place of the doc comment; `""` leaves what the type's own says |
//! | `readme = "…"`, `readme = ["…", …]` | structs | the heading in the crate's `README.md` below which a table has the fields |
//! | `prefix = "…"` | structs | what stands before their names there, such as `credentials.` |
//! | `nothing` | types | those that are there for their error alone: their fields are not in the schema |
//! | `skip` | fields, words | not in the schema |
//! | `definition` | types | under `definitions`, once, as structs are: for what holds itself |
//!
//! The schemas are of draft 7, which all editors know. Beside a `$ref` there may be a
//! description and a default, which that draft lets a validator ignore and editors show.

mod doc;

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
#[doc(hidden)]
pub use serde_json::{Map, Value};

pub use schemars::{JsonSchema, Schema as Document, SchemaGenerator};
#[doc(hidden)]
pub use serde_json::json;

use super::Given;
use crate::filter::HttpFilter;
use crate::remote_config::Written;
use doc::{Docs, Row};

/// The text of a [`Duration`](super::Duration).
pub const DURATION: &str = r"^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h)$";
/// RFC 9110, section 5.6.2: names of headers, methods and cookies.
pub const TOKEN: &str = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// The schema of a filter's configuration: its own options, or where they are
/// [fetched](crate::remote_config), if the filter does that.
pub fn of_filter<F: HttpFilter<Config: JsonSchema>>(name: &str) -> Value {
    if F::REMOTE_CONFIG {
        of::<Written<F::Config>>(name)
    } else {
        of::<F::Config>(name)
    }
}

/// The schema of a configuration, as `NAME.schema.json` has it.
pub fn of<T: JsonSchema>(name: &str) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.transforms.clear());
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), format!("{name}'s configuration").into());
    schema.insert("$id".to_owned(), format!("{name}.schema.json").into());
    let mut schema = schema.to_value();
    polish(&mut schema);
    schema
}

/// What goes after the description, whoever gives that.
#[doc(hidden)]
pub const NOTE: &str = "x-note";

/// Numbers without formats that only programs know, and Markdown by the name that
/// editors know for it.
fn polish(schema: &mut Value) {
    match schema {
        Value::Object(keys) => {
            if let Some(Value::String(format)) = keys.get("format") {
                let bits = format.trim_start_matches("uint").trim_start_matches("int");
                if format == "double" || bits.len() < format.len() {
                    if format == "uint32" {
                        keys.insert("maximum".to_owned(), u32::MAX.into());
                    }
                    keys.remove("format");
                }
            }
            if let Some(Value::String(note)) = keys.remove(NOTE) {
                let text = match keys.get("description") {
                    Some(Value::String(text)) => Some(format!("{text} {note}")),
                    // That of what is referred to says more.
                    _ if keys.contains_key("$ref") => None,
                    _ => Some(note),
                };
                keys.extend(text.map(|text| ("description".to_owned(), text.into())));
            }
            // Beside a `$ref` it would be that of what is referred to.
            if let Some(Value::String(text)) = keys.get("description")
                && (text.contains(['`', '*', ']']) || keys.contains_key("$ref"))
            {
                let text = text.clone();
                keys.insert("markdownDescription".to_owned(), text.into());
            }
            keys.values_mut().for_each(polish);
        }
        Value::Array(items) => items.iter_mut().for_each(polish),
        _ => {}
    }
}

/// That of the value, without its default: what is absent is not that.
impl<T: JsonSchema> JsonSchema for Given<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Document {
        without_default(generator.subschema_for::<T>())
    }
}

/// What is read where a field is absent.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Presence {
    Required,
    Optional,
    /// What the type's own schema says, or the text about the field.
    OrDefault,
    /// `false`
    Flag,
}

/// Where a README says what the fields of a struct are.
#[doc(hidden)]
pub struct Readme {
    pub text: &'static str,
    pub headings: &'static [&'static str],
    pub prefix: &'static str,
}

impl Readme {
    /// What is said of a field.
    pub fn text(&self, field: &str) -> Option<String> {
        self.row(field)?.text
    }

    fn row(&self, field: &str) -> Option<Row> {
        let field = format!("{}{field}", self.prefix);
        let docs = Docs::new(self.text);
        let mut headings = self.headings.iter();
        headings.find_map(|heading| docs.row(Some(heading), &field))
    }
}

/// An object's schema, field by field.
#[doc(hidden)]
pub struct Object {
    closed: bool,
    docs: &'static str,
    readme: Option<Readme>,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl Object {
    pub fn new(closed: bool, docs: &'static str, readme: Option<Readme>) -> Self {
        Self {
            closed,
            docs,
            readme,
            properties: Map::new(),
            required: Vec::new(),
        }
    }

    pub fn field<T: JsonSchema>(
        &mut self,
        generator: &mut SchemaGenerator,
        name: &'static str,
        presence: Presence,
        docs: &str,
        given: Option<Value>,
    ) {
        let mut schema = generator.subschema_for::<T>();
        // What takes nothing is there for its error alone.
        if schema.as_bool() == Some(false) {
            return;
        }
        let readme = self.readme.as_ref().and_then(|readme| readme.row(name));
        let row = readme.or_else(|| Docs::new(self.docs).row(None, name));
        let row = row.unwrap_or_default();
        match presence {
            Presence::Required => {
                self.required.push(name.into());
                schema.remove("default");
            }
            Presence::Optional => {
                schema.remove("default");
            }
            Presence::OrDefault => {}
            Presence::Flag => {
                schema.insert("default".to_owned(), false.into());
            }
        }
        if let Some(default) = row.value().and_then(|text| value_of(&schema, text)) {
            schema.insert("default".to_owned(), default);
        }
        if let Some(given) = given {
            merge(&mut schema, given);
        }
        describe(
            &mut schema,
            row.text.clone().or_else(|| Docs::new(docs).whole()),
        );
        if let Some(note) = row.note() {
            schema.insert(NOTE.to_owned(), note.into());
        }
        self.properties.insert(name.to_owned(), schema.to_value());
    }

    pub fn finish(self) -> Document {
        let mut schema = Document::default();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), self.properties.into());
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), self.required.into());
        }
        if self.closed {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
        schema
    }
}

/// What is written as a default, where it is a value that fits.
fn value_of(schema: &Document, text: &str) -> Option<Value> {
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let fits = match schema.get("type").and_then(Value::as_str)? {
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "string" => {
            let words = schema.get("enum").and_then(Value::as_array);
            let is_duration = schema
                .get("pattern")
                .is_some_and(|pattern| pattern == DURATION);
            words.is_some_and(|words| words.contains(&value)) || is_duration
        }
        _ => false,
    };
    fits.then_some(value)
}

/// One of several words, each with what it means.
#[doc(hidden)]
pub fn choices(words: &[(&str, &str)], default: Option<&str>) -> Document {
    let mut schema = Document::default();
    schema.insert("type".to_owned(), "string".into());
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    schema.insert("enum".to_owned(), names.into());
    let meanings = words.iter().map(|(_, docs)| Docs::new(docs).whole());
    let meanings: Vec<String> = meanings.map(Option::unwrap_or_default).collect();
    if meanings.iter().any(|meaning| !meaning.is_empty()) {
        // Not of the standard; editors show it.
        for key in ["enumDescriptions", "markdownEnumDescriptions"] {
            schema.insert(key.to_owned(), meanings.clone().into());
        }
    }
    if let Some(default) = default {
        schema.insert("default".to_owned(), default.into());
    }
    schema
}

/// An object with exactly one of several keys.
#[doc(hidden)]
pub fn one_key<const N: usize>(keys: [(&str, &str, Document); N]) -> Document {
    let mut object = Object::new(true, "", None);
    for (key, docs, mut schema) in keys {
        describe(&mut schema, Docs::new(docs).whole());
        object.properties.insert(key.to_owned(), schema.to_value());
    }
    let mut schema = object.finish();
    schema.insert("minProperties".to_owned(), 1.into());
    schema.insert("maxProperties".to_owned(), 1.into());
    schema
}

/// Exactly one of these keys: the value of `oneOf`.
pub fn exactly_one(keys: &[&str]) -> Value {
    let each = keys.iter().map(|key| json!({ "required": [key] }));
    each.collect()
}

#[doc(hidden)]
pub fn without_default(mut schema: Document) -> Document {
    schema.remove("default");
    schema
}

/// Adds keys. Beside a `$ref` they would say nothing.
#[doc(hidden)]
pub fn merge(schema: &mut Document, extra: Value) {
    let Value::Object(extra) = extra else { return };
    if let Some(reference) = schema.remove("$ref") {
        let reference = json!([{ "$ref": reference }]);
        schema.insert("allOf".to_owned(), reference);
    }
    for (key, value) in extra {
        schema.insert(key, value);
    }
}

/// Says what a type is, by its doc comment.
#[doc(hidden)]
pub fn describe_type(schema: &mut Document, docs: &str) {
    describe(schema, Docs::new(docs).summary());
}

fn describe(schema: &mut Document, description: Option<String>) {
    if let Some(text) = description
        && schema.as_bool().is_none()
    {
        schema.insert("description".to_owned(), text.into());
    }
}

/// The name of a type with the names of its parameters.
#[doc(hidden)]
pub fn name(of: &'static str, parameters: &[Cow<'static, str>]) -> Cow<'static, str> {
    if parameters.is_empty() {
        return of.into();
    }
    format!("{of}_of_{}", parameters.join("_and_")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_bounded_and_have_no_format() {
        let mut schema = json!({"type": "integer", "format": "uint32", "minimum": 0});
        polish(&mut schema);

        assert_eq!(
            schema,
            json!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
        );
    }

    #[test]
    fn what_is_added_to_a_reference_counts() {
        let mut schema = Document::new_ref("#/definitions/A".to_owned());
        merge(&mut schema, json!({"minProperties": 1}));

        assert_eq!(
            schema.to_value(),
            json!({"allOf": [{"$ref": "#/definitions/A"}], "minProperties": 1})
        );
    }
}
