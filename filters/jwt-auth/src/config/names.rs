//! Names: of providers, filter state, realms.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Key, Problem, Schema, string};

/// Longer names make unwieldy counters.
const LONGEST_WORD: usize = 64;

/// What a provider or a requirement is called.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_WORD,
    "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$",
})]
pub struct Name(Box<str>);

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: &str) -> Result<Self, Problem> {
        if text.is_empty() || text.len() > LONGEST_WORD || text.chars().any(char::is_control) {
            return Err(Problem::new(format!(
                "a name is 1 to {LONGEST_WORD} characters, none of them a control character"
            )));
        }
        Ok(Self(text.into()))
    }
}

impl Key for Name {
    fn from_key(key: &str) -> Result<Self, Problem> {
        Self::read(key)
    }
}

impl Deserr<ConfigErrors> for Name {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        Self::read(&string(value, location, "a name")?)
            .map_err(|problem| ConfigErrors::at(location, problem))
    }
}

/// The name of a state: `NAME` of `wasm.NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "minLength": 1, "not": { "pattern": r"^wasm\." } })]
pub struct StateName(Box<str>);

impl StateName {
    /// The text, without `wasm.`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for StateName {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "the name of a filter state")?;
        if text.starts_with("wasm.") {
            let problem = Problem::new("the name is given without `wasm.`")
                .help("Envoy puts that before it by itself");
            return Err(ConfigErrors::at(location, problem));
        }
        legation::filter_state::check_name(&text)
            .map_err(|error| ConfigErrors::at(location, error.to_string()))?;
        Ok(Self(text.into()))
    }
}

/// The realm in challenges.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": r"^[ !#-\[\]-~]+$" })]
pub struct Realm(Box<str>);

impl Realm {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for Realm {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "the realm's name")?;
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if text.is_empty() || !text.bytes().all(is_plain) {
            let problem =
                Problem::new("a realm is printable ASCII without quotation marks and backslashes");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(text.into()))
    }
}
