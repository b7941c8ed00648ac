//! The schemas of what is read by hand here.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::named::Named;
use super::string::COMPARISONS;
use super::{HostMatch, Matcher, PathMatch};
use crate::config::schema::{
    self, Document, JsonSchema, SchemaGenerator, TOKEN, describe_type, exactly_one, merge,
};
use crate::config::{Bounded, NonEmpty, OneOrMany, Percent};

type Number = Bounded<{ i64::MIN }, { i64::MAX }>;

/// A filter's own conditions are the properties of what `M` is.
impl<M: JsonSchema> JsonSchema for Matcher<M> {
    fn schema_name() -> Cow<'static, str> {
        "Matcher".into()
    }

    fn schema_id() -> Cow<'static, str> {
        schema::name(concat!(module_path!(), "::Matcher"), &[M::schema_id()])
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Document {
        let mut schema = Document::default();
        merge(&mut schema, matcher::<M>(generator));
        let own = M::json_schema(generator).remove("properties");
        if let (Some(Value::Object(all)), Some(Value::Object(own))) =
            (schema.get_mut("properties"), own)
        {
            all.extend(own);
        }
        describe_type(
            &mut schema,
            "Which requests something is for: tests that a request must all pass.",
        );
        schema
    }
}

fn matcher<M: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    let test = |description: &str, one: Value| {
        let many = json!({ "type": "array", "minItems": 1, "items": one });
        json!({ "anyOf": [one, many], "description": description })
    };
    let method = json!({ "type": "string", "pattern": r"^[!#$%&'*+.^_`|~0-9A-Z-]+$" });
    let network = json!({ "type": "string", "pattern": r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$" });
    let named = generator.subschema_for::<Named>().to_value();
    let header = json!({
        "allOf": [named],
        "properties": { "name": { "description": "Its name.", "pattern": TOKEN, "not": { "pattern": "^[Hh][Oo][Ss][Tt]$" } } },
    });
    json!({
        "type": "object",
        "properties": {
            "path": described(
                "The path, in normal form and without its query, passes one of these tests; a text is an exact path.",
                generator.subschema_for::<OneOrMany<PathMatch>>().to_value(),
            ),
            "method": test("The method is one of these.", method),
            "host": described(
                "The host is one of these.",
                generator.subschema_for::<OneOrMany<HostMatch>>().to_value(),
            ),
            "headers": test("The headers pass all of these tests.", header),
            "query": test("The query's parameters pass all of these tests.", named.clone()),
            "cookies": test("The cookies pass all of these tests.", named),
            "source_ip": test(
                "The client's address is one of these, or in one of these networks (`10.0.0.0/8`).",
                network,
            ),
            "percentage": described(
                "So many in a hundred requests, chosen at random.",
                generator.subschema_for::<Percent>().to_value(),
            ),
            "all": described(
                "The request passes all of these.",
                generator.subschema_for::<NonEmpty<Matcher<M>>>().to_value(),
            ),
            "any": described(
                "The request passes one of these.",
                generator.subschema_for::<NonEmpty<Matcher<M>>>().to_value(),
            ),
            "not": described(
                "The request does not pass this.",
                generator.subschema_for::<Matcher<M>>().to_value(),
            ),
        },
        "additionalProperties": false,
    })
}

/// A test of a header, a query parameter or a cookie.
pub(super) fn named(generator: &mut SchemaGenerator) -> Value {
    let tests = [COMPARISONS, super::named::HEADER_TESTS].concat();
    tests_of(&tests, super::named::OTHERS, generator)
}

/// A text, or a test of one.
pub(super) fn string(generator: &mut SchemaGenerator) -> Value {
    let test = tests_of(COMPARISONS, &["ignore_case"], generator);
    json!({ "anyOf": [{ "type": "string" }, test] })
}

/// A path, or a test of one.
pub(super) fn path(generator: &mut SchemaGenerator) -> Value {
    let tests = [COMPARISONS, super::path_match::PATH_TESTS].concat();
    let test = tests_of(&tests, &["ignore_case"], generator);
    json!({ "anyOf": [{ "type": "string", "pattern": r"^(\*|/[^*{]*)$" }, test] })
}

fn described(description: &str, mut schema: Value) -> Value {
    if let Value::Object(keys) = &mut schema {
        keys.insert("description".to_owned(), description.into());
    }
    schema
}

/// What [`Fields`](super::fields::Fields) reads: exactly one of these tests.
fn tests_of(tests: &[&str], others: &[&str], generator: &mut SchemaGenerator) -> Value {
    let of_path = tests.contains(&"template");
    let properties: Map<String, Value> = [others, tests]
        .concat()
        .into_iter()
        .map(|name| (name.to_owned(), field(name, of_path, generator)))
        .collect();
    let required = others.iter().filter(|name| **name == "name");
    json!({
        "type": "object",
        "properties": properties,
        "required": required.collect::<Vec<_>>(),
        "additionalProperties": false,
        "oneOf": exactly_one(tests),
    })
}

fn field(name: &str, of_path: bool, generator: &mut SchemaGenerator) -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    let path = json!({ "type": "string", "pattern": "^/" });
    let flag = |default: bool| json!({ "type": "boolean", "default": default });
    let (description, schema) = match name {
        "name" => ("Its name.", text),
        "exact" if of_path => (
            "The whole path, or `*` for any.",
            json!({ "type": "string", "pattern": r"^(/|\*$)" }),
        ),
        "exact" => ("The whole value.", json!({ "type": "string" })),
        "prefix" if of_path => ("How the path begins.", path),
        "prefix" => ("How the value begins.", text),
        "suffix" => ("How it ends.", text),
        "contains" => ("What stands somewhere in it.", text),
        "regex" => (
            "A regular expression that the whole of it matches: as RE2's, without look-around and backreferences.",
            json!({ "type": "string", "minLength": 1 }),
        ),
        "present" => ("Whether it is there at all.", flag(true)),
        "range" => {
            let number = generator.subschema_for::<Number>().to_value();
            let schema = json!({
                "type": "object",
                "properties": {
                    "start": described("The first number in the range.", number.clone()),
                    "end": described("The first number behind it.", number),
                },
                "required": ["start", "end"],
                "additionalProperties": false,
            });
            ("A whole number in a range.", schema)
        }
        "path_separated_prefix" => (
            "The path itself, or one below it: `/a` takes `/a` and `/a/b`, not `/ab`.",
            path,
        ),
        "template" => (
            "A URI template, as in Envoy: `*` is one segment, `**` any number of them, `{name}` one with a name.",
            path,
        ),
        "ignore_case" => ("Whether case makes no difference.", flag(false)),
        "invert_match" => ("Whether it is the others that pass.", flag(false)),
        _ => ("", Value::Bool(true)),
    };
    described(description, schema)
}
