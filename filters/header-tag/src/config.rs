//! What users write.
//!
//! Each type checks what it can see, at its own place in the document, so that a
//! configuration with several mistakes is answered with all of them.

mod block;
mod buckets;
mod condition;
mod conflict;
mod made;
mod name;
mod query;
mod scalar;
mod side;

use deserr::{Deserr, ValuePointerRef};
use legation::config::{
    ConfigErrors, Given, Mode, NonEmpty, OneOrMany, Problem, Schema, StatPrefix, suggest,
};

use block::Spot;
pub use block::{Changes, Dedupe, NameMatch, RequestChanges, ResponseChanges, TrailerChanges};
pub(crate) use buckets::MOST_EXPERIMENTS;
pub use buckets::{HashKey, NonEmptyList, Salt, WeightedBucket, WeightedBuckets};
pub use condition::{Condition, When};
pub(crate) use made::BUCKET;
pub(crate) use name::may_change;
pub use name::{Name, Renames, StateName};
pub use query::{Parameter, QueryChanges, Traceparent};
pub(crate) use scalar::Made;
pub use scalar::{HeaderValue, Label, Statuses};
use side::Side;
pub(crate) use side::may_be_trailer;

/// The whole configuration.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_config -> ConfigErrors)]
#[schema(readme = "Options")]
pub struct Config {
    /// What is done to which requests.
    pub rules: NonEmpty<Rule>,
    /// Headers that clients may not send: they are removed from every request
    /// before the first rule looks at it.
    #[deserr(default)]
    pub strip: OneOrMany<Name>,
    /// Buckets among which users are divided.
    #[deserr(default)]
    pub weighted_buckets: OneOrMany<WeightedBuckets>,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
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
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_rule -> ConfigErrors)]
#[schema(readme = "A rule")]
pub struct Rule {
    /// What the rule is called in log lines and in its counter.
    #[deserr(default)]
    pub name: Given<Label>,
    /// Which requests it is for: all, unless given.
    #[deserr(default)]
    pub when: When,
    /// What is done to the request's headers.
    #[deserr(default)]
    pub request: Given<RequestChanges>,
    /// What is done to the request's trailers.
    #[deserr(default)]
    pub request_trailers: Given<TrailerChanges>,
    /// What is done to the response's headers.
    #[deserr(default)]
    pub response: Given<ResponseChanges>,
    /// What is done to the response's trailers.
    #[deserr(default)]
    pub response_trailers: Given<TrailerChanges>,
    /// Leaves the requests it matches as they are: no later rule is looked at.
    #[deserr(default)]
    pub disabled: bool,
}

impl Rule {
    /// What it does, and to what.
    fn changes(&self) -> impl Iterator<Item = (Side, &Changes)> {
        fn trailers(given: &Given<TrailerChanges>) -> Option<&Changes> {
            given.0.as_ref().map(|changes| &changes.0)
        }

        let request = self.request.0.as_ref().map(|changes| &changes.0);
        let response = self.response.0.as_ref().map(|changes| &changes.0);
        let all = [
            (Side::Request, request),
            (Side::RequestTrailers, trailers(&self.request_trailers)),
            (Side::Response, response),
            (Side::ResponseTrailers, trailers(&self.response_trailers)),
        ];
        all.into_iter()
            .filter_map(|(side, changes)| Some((side, changes?)))
    }
}

/// What a module does not do, of what there is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lacks {
    Trailers,
    /// Trailers neither.
    Responses,
}

impl Lacks {
    /// What is wrong with changes of this, and the module that makes them.
    fn refuses(self, side: Side) -> Option<(&'static str, &'static str)> {
        match (self, side) {
            (_, Side::RequestTrailers | Side::ResponseTrailers) => Some((
                "this module changes no trailers",
                "load header-tag-trailers.wasm in its place",
            )),
            (Self::Responses, Side::Response) => Some((
                "this module changes requests only",
                "load header-tag.wasm in its place",
            )),
            _ => None,
        }
    }
}

impl Config {
    /// Refuses what is another module's.
    pub(crate) fn without(
        self,
        lacks: Lacks,
        at: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let rules = at.push_key("rules");
        let mut errors = None;
        for (index, rule) in self.rules.iter().enumerate() {
            for (side, _) in rule.changes() {
                if let Some((problem, help)) = lacks.refuses(side) {
                    let rule = rules.push_index(index);
                    let problem = Problem::new(problem).help(help);
                    let error = ConfigErrors::at(rule.push_key(side.field()), problem);
                    ConfigErrors::add(&mut errors, error);
                }
            }
        }
        ConfigErrors::check(errors, self)
    }
}

fn check_rule(rule: Rule, at: ValuePointerRef<'_>) -> Result<Rule, ConfigErrors> {
    let has_changes = rule.changes().next().is_some();
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
    let experiments = at.push_key("weighted_buckets");
    for (index, given) in config.weighted_buckets.iter().enumerate() {
        let mut earlier = config.weighted_buckets.iter().take(index);
        if earlier.any(|other| other.name == given.name) {
            let problem = Problem::new(format!("others are called `{}` too", given.name))
                .help("give each a name of its own, and the same `salt` where users are to be divided alike");
            add(experiments.push_index(index).push_key("name"), problem);
        }
    }
    if config.weighted_buckets.len() > MOST_EXPERIMENTS {
        let problem = Problem::new(format!(
            "more than {MOST_EXPERIMENTS} divisions into buckets"
        ));
        add(
            experiments,
            problem.help("load the filter twice, each with a part of them"),
        );
    }
    let list = at.push_key("rules");
    for (index, rule) in config.rules.iter().enumerate() {
        check_names(&config, rule, list.push_index(index), &mut add);
    }
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

/// Whether buckets and captures that a rule names are there.
fn check_names(
    config: &Config,
    rule: &Rule,
    at: ValuePointerRef<'_>,
    add: &mut dyn FnMut(ValuePointerRef<'_>, Problem),
) {
    let find = |name: &str| {
        let mut all = config.weighted_buckets.iter();
        all.find(|given| given.name.as_str() == name)
    };
    let no_such = |what: &str, name: &str, known: Vec<&str>| {
        let problem = Problem::new(format!("no {what} is called `{name}`"));
        match suggest(name, known.iter().copied()) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None if known.is_empty() => {
                problem.help("there is none: `weighted_buckets` is not given")
            }
            None => problem.help(format!("known: {}", known.join(", "))),
        }
    };
    let divisions = || {
        let all = config.weighted_buckets.iter();
        all.map(|given| given.name.as_str()).collect::<Vec<_>>()
    };
    rule.when.each_own(&mut |condition| {
        let Condition::Bucket {
            experiment,
            buckets,
        } = condition
        else {
            return;
        };
        let at = at.push_key("when");
        let Some(given) = find(experiment.as_str()) else {
            let problem = no_such("division into buckets", experiment.as_str(), divisions());
            return add(at.push_key("bucket"), problem);
        };
        for name in buckets {
            if !given.buckets.iter().any(|bucket| bucket.name == *name) {
                let known = given.buckets.iter().map(|one| one.name.as_str()).collect();
                let problem = no_such("bucket", name.as_str(), known);
                add(at.push_key("bucket").push_key(experiment.as_str()), problem);
            }
        }
    });
    let mut check = |side: Side, spot: Spot<'_>| {
        let at = at.push_key(side.field());
        let format = spot.value.format();
        if let Some(problem) = side.check_uses(format.uses()) {
            return spot.add(at, problem, add);
        }
        for (operator, argument) in format.own() {
            let problem = if operator.name == BUCKET {
                match find(argument) {
                    Some(_) => continue,
                    None => no_such("division into buckets", argument, divisions()),
                }
            } else if rule.when.captures(argument) {
                continue;
            } else {
                Problem::new(format!("the rule's condition captures no `{argument}`")).help(
                    "name a part of `when.path`: by `{name}` in a `template`, by `(?P<name>…)` in a `regex`",
                )
            };
            spot.add(at, problem, add);
        }
    };
    for (side, changes) in rule.changes() {
        for spot in changes.values() {
            check(side, spot);
        }
    }
}

#[cfg(test)]
mod tests;
