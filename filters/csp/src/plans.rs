//! What is looked for in pages, read from a configuration.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Problem, Schema};

use crate::config::{Config, Rule};
use crate::html::{Breadth, Placeholder, Plan, Selector, SelectorError};
use crate::policy::Algorithm;

/// A [`Config`] and what is looked for in the pages of each of its rules.
#[derive(Debug, Schema)]
#[schema(as = Config)]
pub struct PageConfig {
    pub(crate) config: Config,
    /// `None`: pages are not looked at.
    pub(crate) plans: Box<[Option<Plan>]>,
}

impl Deserr<ConfigErrors> for PageConfig {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let config = Config::deserialize_from_value(value, location)?;
        let rules = location.push_key("rules");
        let mut errors = None;
        let plans = config.rules.iter().enumerate().map(|(index, rule)| {
            plan(rule, rules.push_index(index)).unwrap_or_else(|error| {
                ConfigErrors::add(&mut errors, error);
                None
            })
        });
        let plans = plans.collect();
        ConfigErrors::check(errors, Self { config, plans })
    }
}

/// What is looked for in the pages of a rule.
fn plan(rule: &Rule, at: ValuePointerRef<'_>) -> Result<Option<Plan>, ConfigErrors> {
    let mut errors = None;
    let mut placeholder = None;
    let mut elements = Vec::new();
    if let Some(nonce) = &rule.nonce.0 {
        let at = at.push_key("nonce");
        if let Some(text) = &nonce.placeholder.0 {
            match Placeholder::new(text.as_str()) {
                Ok(read) => placeholder = Some(read),
                Err(error) => {
                    let problem = Problem::new(error.to_string()).help(
                        "take one that nobody guesses: who can put it into a page has their script trusted",
                    );
                    let at = at.push_key("placeholder");
                    ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
                }
            }
        }
        let at = at.push_key("elements");
        for (index, text) in nonce.elements.iter().enumerate() {
            match selector(text.as_str()) {
                Ok(selector) => elements.push(selector),
                Err(problem) => {
                    let error = ConfigErrors::at(at.push_index(index), problem);
                    ConfigErrors::add(&mut errors, error);
                }
            }
        }
    }
    let plan = Plan::new(
        placeholder,
        elements,
        rule.learn.then_some(Algorithm::Sha256),
    );
    ConfigErrors::check(errors, (!plan.is_idle()).then_some(plan))
}

fn selector(text: &str) -> Result<Selector, Problem> {
    let selector: Selector = text
        .parse()
        .map_err(|error: SelectorError| Problem::new(error.to_string()))?;
    if selector.breadth() == Breadth::Any {
        return Err(Problem::new(format!("`{text}` trusts whatever is written into a page")).help(
            "say which: by what they load (`script[src^=\"https://cdn.example/\"]`) or by a mark that only the upstream's templates have (`script[data-trusted=\"…\"]`)",
        ));
    }
    Ok(selector)
}
