//! What a rule changes in a request's query, and of its trace.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{
    ConfigErrors, Given, Key, OneOrMany, OrderedMap, Percent, Problem, Schema, string,
};

use super::scalar::HeaderValue;

/// Changes of the query's parameters, in this order.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check -> ConfigErrors)]
#[schema(readme = "Query")]
pub struct QueryChanges {
    /// Parameters to remove.
    #[deserr(default)]
    pub remove: OneOrMany<Parameter>,
    /// Parameters to rename, with all their values.
    #[deserr(default)]
    pub rename: OrderedMap<Parameter, Parameter>,
    /// Parameters that have this value and no other afterwards.
    #[deserr(default)]
    pub set: OrderedMap<Parameter, HeaderValue>,
    /// Values to add to those that are there.
    #[deserr(default)]
    pub append: OrderedMap<Parameter, HeaderValue>,
}

/// The name of a parameter, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "minLength": 1 })]
pub struct Parameter(Box<str>);

impl Parameter {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name.
    pub fn into_inner(self) -> Box<str> {
        self.0
    }
}

impl Key for Parameter {
    fn from_key(key: &str) -> Result<Self, Problem> {
        if key.is_empty() || key.chars().any(char::is_control) {
            return Err(Problem::new("not the name of a parameter")
                .help("write it decoded: `a b`, and not `a%20b`"));
        }
        Ok(Self(key.into()))
    }
}

impl Deserr<ConfigErrors> for Parameter {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "the name of a parameter")?;
        Self::from_key(&text).map_err(|problem| ConfigErrors::at(location, problem))
    }
}

fn check(given: QueryChanges, at: ValuePointerRef<'_>) -> Result<QueryChanges, ConfigErrors> {
    let removed = given.remove.iter().map(|name| ("remove", name));
    let renamed = given.rename.iter().map(|(name, _)| ("rename", name));
    let set = given.set.iter().map(|(name, _)| ("set", name));
    let appended = given.append.iter().map(|(name, _)| ("append", name));
    let targets = given.rename.iter().map(|(_, name)| ("rename", name));
    let all: Vec<_> = removed
        .chain(renamed)
        .chain(targets)
        .chain(set)
        .chain(appended)
        .collect();
    if all.is_empty() {
        let problem = Problem::new("nothing is changed here")
            .help("name parameters under `remove`, `rename`, `set` or `append`");
        return Err(ConfigErrors::at(at, problem));
    }
    let mut errors = None;
    for (index, (field, name)) in all.iter().enumerate() {
        let mut earlier = all.iter().take(index);
        if let Some((other, _)) = earlier.find(|(_, other)| other == name) {
            let problem = Problem::new(format!("`{}` stands under `{other}` too", name.as_str()))
                .help("name each parameter once; do the rest in a later rule");
            ConfigErrors::add(&mut errors, ConfigErrors::at(at.push_key(field), problem));
        }
    }
    ConfigErrors::check(errors, given)
}

/// What a request without a valid `traceparent` gets.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Traceparent {
    /// The share of new traces that are to be recorded: none, unless given.
    #[deserr(default)]
    pub sampled: Given<Percent>,
}
