//! What users write.
//!
//! Each type checks what it can see, at its own place in the document, so that a configuration
//! with several mistakes is answered with all of them.

mod body;
mod check;
mod elsewhere;
mod ext_authz;
mod values;

use deserr::Deserr;
use legation::config::{ConfigErrors, Given, Mode, NonEmpty, Schema, StatPrefix, Text};
use legation::matcher::Matcher;

pub use body::{Action, Body, Field, Json, PresetName, Redact};
pub use ext_authz::{ExtAuthz, GrpcService, HeaderToAdd, HttpService, Patterns, WithRequestBody};
pub use values::{ContentType, JsonPath, Pattern, Real, Scalar};

/// The whole configuration.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check::config -> ConfigErrors)]
#[schema(readme = "Options")]
pub struct Config {
    /// What is looked at in which messages: the first that matches.
    pub rules: NonEmpty<Rule>,
    /// In report mode nothing is refused or changed: it is counted and logged alone.
    #[deserr(default)]
    pub mode: Mode,
    /// The first word of the counters' names, `body_guard` unless given.
    #[deserr(default)]
    pub stat_prefix: Given<StatPrefix>,
}

/// A rule: which requests, and what their bodies and those of their responses must be.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check::rule -> ConfigErrors)]
#[schema(readme = "A rule")]
pub struct Rule {
    /// What the rule is called in the log: its number, unless given.
    #[deserr(default)]
    pub name: Given<Text>,
    /// Which requests it is for: all, unless given.
    #[deserr(default, rename = "match")]
    pub matcher: Matcher,
    /// Leaves the messages of the requests it matches as they are.
    #[deserr(default)]
    pub disabled: bool,
    /// The mode of this rule, if not that of all.
    #[deserr(default)]
    pub mode: Given<Mode>,
    /// The request's body.
    #[deserr(default)]
    pub request: Given<Body>,
    /// The response's body.
    #[deserr(default)]
    pub response: Given<Body>,
}
