//! Which rule a request falls under.

use legation::http::HeaderName;
use legation::matcher::{Matcher, Request, RequestView};

use crate::config::{Config, Requires};
use crate::requirement::Requirement;
use crate::trusted;

/// The rules, first match first.
#[derive(Debug)]
pub(crate) struct Rules(Box<[Rule]>);

/// A rule at work.
#[derive(Debug)]
pub(crate) struct Rule {
    matcher: Matcher,
    /// What is required.
    pub(crate) requirement: Requirement,
    /// The header that marks tokens which were not verified.
    pub(crate) mark: Option<HeaderName>,
}

impl Rules {
    pub(crate) fn new(config: &Config) -> Self {
        let nothing = Requires(None);
        let rules = config.rules.iter().map(|rule| {
            let named = rule.requirement_name.0.as_ref().and_then(|name| {
                let mut map = config.requirement_map.iter();
                map.find(|(own, _)| own == name)
                    .map(|(_, requires)| requires)
            });
            let requires = rule.requires.0.as_ref().or(named).unwrap_or(&nothing);
            Rule {
                matcher: rule.matcher.clone(),
                requirement: Requirement::new(requires, config),
                mark: trusted::mark(requires),
            }
        });
        Self(rules.collect())
    }

    /// A rule by its number.
    pub(crate) fn get(&self, number: usize) -> Option<&Rule> {
        self.0.get(number)
    }

    /// The first rule that takes a request.
    pub(crate) fn of<V: RequestView>(
        &self,
        view: &mut V,
    ) -> Result<Option<(usize, &Rule)>, V::Error> {
        let mut request = Request::new(view);
        for (number, rule) in self.0.iter().enumerate() {
            if rule.matcher.matches(&mut request)? {
                return Ok(Some((number, rule)));
            }
        }
        Ok(None)
    }
}
