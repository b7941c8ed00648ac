//! What users write.
//!
//! Each type checks what it can see, at its own place in the document, so that a
//! configuration with several mistakes is answered with all of them.

mod block;
mod conflict;
mod name;
mod scalar;

use deserr::{Deserr, ValuePointerRef};
use legation::config::{ConfigErrors, Given, Mode, NonEmpty, OneOrMany, Problem, StatPrefix};
use legation::matcher::Matcher;

pub(crate) use block::{Changes, Put};
pub use block::{RequestChanges, ResponseChanges};
pub use name::{Name, Renames};
pub use scalar::{Label, RequestValue, ResponseValue, Statuses};

/// The whole configuration.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_config -> ConfigErrors)]
pub struct Config {
    /// What is done to which requests.
    pub rules: NonEmpty<Rule>,
    /// Headers that clients may not send: they are removed from every request
    /// before the first rule looks at it.
    #[deserr(default)]
    pub strip: OneOrMany<Name>,
    /// Which of the rules that match a request are applied to it.
    #[deserr(default)]
    pub apply: Apply,
    /// Whether anything is changed at all. In report mode rules are matched, counted
    /// and logged.
    #[deserr(default)]
    pub mode: Mode,
    /// The first word of the counters' names, `header_tag` unless given.
    #[deserr(default)]
    pub stat_prefix: Given<StatPrefix>,
}

/// Which of the rules that match a request are applied to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr)]
#[deserr(error = ConfigErrors)]
pub enum Apply {
    /// All of them, one after another.
    #[default]
    #[deserr(rename = "every_match")]
    EveryMatch,
    /// The first one.
    #[deserr(rename = "first_match")]
    FirstMatch,
}

/// A rule: which requests, and what is done to them and their responses.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_rule -> ConfigErrors)]
pub struct Rule {
    /// What the rule is called in log lines and in its counter.
    #[deserr(default)]
    pub name: Given<Label>,
    /// Which requests it is for: all, unless given.
    #[deserr(default)]
    pub when: Matcher,
    /// What is done to the request's headers.
    #[deserr(default)]
    pub request: Given<RequestChanges>,
    /// What is done to the response's headers.
    #[deserr(default)]
    pub response: Given<ResponseChanges>,
    /// Leaves the requests it matches as they are: no later rule is looked at.
    #[deserr(default)]
    pub disabled: bool,
}

fn check_rule(rule: Rule, at: ValuePointerRef<'_>) -> Result<Rule, ConfigErrors> {
    let has_changes = rule.request.0.is_some() || rule.response.0.is_some();
    let problem = match (has_changes, rule.disabled) {
        (true, false) | (false, true) => return Ok(rule),
        (false, false) => Problem::new("the rule changes nothing").help(
            "say what it does under `request` or `response`, or have it leave its requests alone by `disabled: true`",
        ),
        (true, true) => Problem::new("the rule is `disabled` and has changes to make").help(
            "`disabled: true` has later rules leave the requests it matches alone; to switch a rule off, take it out",
        ),
    };
    Err(ConfigErrors::at(at, problem))
}

fn check_config(config: Config, at: ValuePointerRef<'_>) -> Result<Config, ConfigErrors> {
    let mut errors = None;
    let mut add = |at: ValuePointerRef<'_>, problem: Problem| {
        ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
    };
    for (index, name) in config.strip.iter().enumerate() {
        if config.strip.iter().take(index).any(|other| other == name) {
            let problem = Problem::new(format!("`{name}` is named twice")).help("name it once");
            add(at.push_key("strip"), problem);
        }
    }
    let list = at.push_key("rules");
    let mut ended_by = None;
    for (index, rule) in config.rules.iter().enumerate() {
        let at = list.push_index(index);
        let mut earlier = config.rules.iter().take(index);
        if let Some(name) = &rule.name.0
            && earlier.any(|other| other.name == rule.name)
        {
            let problem = Problem::new(format!("another rule is called `{name}`"))
                .help("each rule has a counter under its name: give each its own");
            add(at.push_key("name"), problem);
        }
        let ends = rule.disabled || config.apply == Apply::FirstMatch;
        match ended_by {
            None if ends && rule.when.is_unconditional() => ended_by = Some(index),
            None => {}
            Some(earlier) => {
                let problem = Problem::new("the rule is never reached").help(format!(
                    "rules[{earlier}] takes every request and is the last that is looked at"
                ));
                add(at, problem);
            }
        }
    }
    ConfigErrors::check(errors, config)
}

#[cfg(test)]
mod tests;
