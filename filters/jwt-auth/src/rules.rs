//! Which rule a request falls under.

use std::time::SystemTime;

use legation::http::HeaderName;
use legation::matcher::{Matcher, Request, RequestView};
use legation_jose::claims_rules::Insufficient;
use smallvec::SmallVec;

use crate::config::{Config, Requires};
use crate::demands::Demands;
use crate::refusal::Refusal;
use crate::requirement::{Passed, Requirement};
use crate::trusted;

/// The rules, first match first.
#[derive(Debug)]
pub(crate) struct Rules {
    rules: Box<[Rule]>,
}

/// A rule at work.
#[derive(Debug)]
pub(crate) struct Rule {
    matcher: Matcher,
    /// What is required.
    pub(crate) requirement: Requirement,
    /// What tokens must say besides.
    pub(crate) demands: Demands,
    /// The header that marks tokens which were not verified.
    pub(crate) mark: Option<HeaderName>,
}

impl Rule {
    /// Whether every token that let the request in says what is demanded.
    pub(crate) fn check(&self, passed: &Passed, now: SystemTime) -> Result<(), Refusal> {
        for pass in passed.tokens.iter().filter(|pass| pass.is_verified) {
            let checked = match &pass.accepted.claims {
                Some(claims) => self.demands.check(claims, now),
                // They are remembered where rules look at them.
                None => Err(Insufficient::Claim),
            };
            checked.map_err(|lack| Refusal {
                reason: lack.into(),
                provider: Some(pass.provider),
                by_rule: true,
            })?;
        }
        Ok(())
    }
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
                demands: Demands::new(
                    &rule.required_scopes,
                    &rule.required_claims,
                    &rule.required_authentication,
                ),
                mark: trusted::mark(requires),
            }
        });
        Self {
            rules: rules.collect(),
        }
    }

    /// Whether any of them looks at what tokens claim.
    pub(crate) fn look_at_claims(&self) -> bool {
        self.rules.iter().any(|rule| !rule.demands.is_empty())
    }

    /// A rule by its number.
    pub(crate) fn get(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number)
    }

    /// The rules that decide about a request, of those that require anything: the
    /// first that takes it, and where servers read its path in other ways, the
    /// first for each of these. What passes must pass under all of them: `/public/`
    /// would let `/public/..;/admin` through.
    pub(crate) fn of<V: RequestView>(
        &self,
        view: &mut V,
    ) -> Result<SmallVec<[usize; 1]>, V::Error> {
        let mut found = SmallVec::new();
        let mut request = Request::new(view);
        self.first(&mut request, &mut found)?;
        for reading in request.other_readings()? {
            request.read_path_as(reading);
            self.first(&mut request, &mut found)?;
        }
        Ok(found)
    }

    fn first<V: RequestView>(
        &self,
        request: &mut Request<'_, V>,
        found: &mut SmallVec<[usize; 1]>,
    ) -> Result<(), V::Error> {
        for (number, rule) in self.rules.iter().enumerate() {
            if rule.matcher.matches(request)? {
                if !rule.requirement.is_nothing() && !found.contains(&number) {
                    found.push(number);
                }
                return Ok(());
            }
        }
        Ok(())
    }
}
