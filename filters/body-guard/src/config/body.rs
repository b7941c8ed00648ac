//! What a body must be, and what becomes of it.

use deserr::Deserr;
use legation::config::{Bounded, ConfigErrors, Given, NonEmpty, OneOrMany, Schema, SecretSource};
use legation::matcher::Regex;

use super::check;
use super::ext_authz::ExtAuthz;
use super::values::{ContentType, JsonPath, Pattern, Real, Scalar};
use crate::json::Kind;

/// What a body must be, and what becomes of it.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check::body -> ConfigErrors)]
#[schema(readme = "A body")]
pub struct Body {
    /// Whether there must be one. Of requests only.
    #[deserr(default)]
    pub required: bool,
    /// How many bytes it may have, decompressed too: up to 1 GiB. A request's that is read has 1000000
    /// unless given.
    #[deserr(default)]
    pub max_bytes: Given<Bounded<1, 1_073_741_824>>,
    /// The types it may have. Unless given, those that can be read, where it is read.
    #[deserr(default)]
    pub content_types: Given<NonEmpty<ContentType>>,
    /// That it is JSON, within these limits.
    #[deserr(default)]
    pub json: Given<Json>,
    /// What the values in it are.
    #[deserr(default)]
    pub fields: NonEmpty<Field>,
    /// What does not pass as it is.
    #[deserr(default)]
    pub redact: NonEmpty<Redact>,
    /// Who else judges it. Of requests only.
    #[deserr(default)]
    pub ext_authz: Given<ExtAuthz>,
}

/// The limits of JSON.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "JSON")]
pub struct Json {
    /// How many objects and arrays may lie in each other: 64 unless given.
    #[deserr(default)]
    pub max_depth: Given<Bounded<1, 1_024>>,
    /// How many members an object may have: 10000 unless given.
    #[deserr(default)]
    pub max_object_entries: Given<Bounded<1, 1_000_000>>,
    /// How many elements an array may have: any number unless given.
    #[deserr(default)]
    pub max_array_elements: Given<Bounded<1, 1_000_000_000>>,
    /// How many bytes of UTF-8 a name may have: 1024 unless given.
    #[deserr(default)]
    pub max_name_length: Given<Bounded<1, 65_536>>,
    /// How many bytes of UTF-8 a text may have: any number unless given.
    #[deserr(default)]
    pub max_string_length: Given<Bounded<1, 1_073_741_824>>,
    /// Whether an object may have a name twice.
    #[deserr(default)]
    pub allow_duplicate_names: bool,
}

/// A rule for the values that a path leads to.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check::field -> ConfigErrors)]
#[schema(readme = "Fields")]
pub struct Field {
    /// Where they are.
    pub path: JsonPath,
    /// Whether there must be one.
    #[deserr(default)]
    pub required: bool,
    /// Whether there may be none.
    #[deserr(default)]
    pub forbidden: bool,
    /// What they are.
    #[deserr(default, rename = "type")]
    pub kinds: OneOrMany<Kind>,
    /// What a text matches as a whole.
    #[deserr(default)]
    pub pattern: Given<Regex>,
    /// The values that are allowed.
    #[deserr(default, rename = "enum")]
    pub choices: NonEmpty<Scalar>,
    /// How many characters a text has at least.
    #[deserr(default)]
    pub min_length: Given<Bounded<0, 1_073_741_824>>,
    /// How many characters a text has at most.
    #[deserr(default)]
    pub max_length: Given<Bounded<0, 1_073_741_824>>,
    /// The least that a number is.
    #[deserr(default)]
    pub minimum: Given<Real>,
    /// The most that a number is.
    #[deserr(default)]
    pub maximum: Given<Real>,
}

/// Something that does not pass as it is: values that a path leads to, or what is found in texts.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check::redact -> ConfigErrors)]
#[schema(readme = "Redactions")]
pub struct Redact {
    /// Where the values are.
    #[deserr(default)]
    pub path: Given<JsonPath>,
    /// What is found, by its name.
    #[deserr(default)]
    pub preset: Given<PresetName>,
    /// What is found: what this matches.
    #[deserr(default)]
    pub pattern: Given<Pattern>,
    /// What becomes of it.
    #[deserr(default)]
    pub action: Action,
    /// What takes its place: `[redacted]` unless given.
    #[deserr(default)]
    pub replacement: Given<String>,
    /// How many of its last characters stay.
    #[deserr(default)]
    pub keep_last: Given<Bounded<1, 64>>,
    /// The secret of its hash.
    #[deserr(default)]
    pub secret: Given<SecretSource>,
    /// How many hexadecimal digits of its hash stand there.
    #[deserr(default)]
    pub digits: Given<Bounded<16, 64>>,
}

/// What is found by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
pub enum PresetName {
    /// Numbers of payment cards.
    #[deserr(rename = "credit_card")]
    CreditCard,
    /// International bank account numbers.
    Iban,
    /// E-mail addresses.
    Email,
    /// JSON Web Tokens.
    Jwt,
}

/// What becomes of what does not pass as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
pub enum Action {
    /// Something takes its place.
    #[default]
    Mask,
    /// What it is recognised by takes its place: a keyed hash.
    Hash,
    /// It is taken out.
    Remove,
    /// The message goes no further.
    Deny,
}
