//! What is asked of a request: a session or none, and whose.

use legation::matcher::{Matcher, Request, RequestView, is_cors_preflight};
use legation_jose::claim_path::ClaimPath;
use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::access::{Access, Denied};
use crate::config::Config;

/// The rules, first match first.
#[derive(Debug)]
pub(crate) struct Rules {
    pass_through: Box<[Matcher]>,
    allow_failed: Box<[Matcher]>,
    deny_redirect: Box<[Matcher]>,
    list: Box<[Rule]>,
    overall: Access,
    bypass_cors_preflight: bool,
}

#[derive(Debug)]
struct Rule {
    matcher: Matcher,
    is_disabled: bool,
    access: Access,
}

/// What is asked of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    is_exempt: bool,
    allows_failed: bool,
    denies_redirect: bool,
    /// The rules that demand something.
    rules: SmallVec<[usize; 1]>,
}

impl Verdict {
    /// Whether it needs no session, and is not looked at further.
    pub(crate) fn is_exempt(&self) -> bool {
        self.is_exempt
    }

    /// Whether it passes without a session.
    pub(crate) fn allows_failed(&self) -> bool {
        self.allows_failed
    }

    /// Whether it is told that it has none, and not sent to the provider.
    pub(crate) fn denies_redirect(&self) -> bool {
        self.denies_redirect
    }

    /// What is asked by one reading of the path.
    fn of_one<V: RequestView + ?Sized>(
        rules: &Rules,
        request: &mut Request<'_, V>,
    ) -> Result<Self, V::Error> {
        let mut verdict = Self {
            is_exempt: any(&rules.pass_through, request)?,
            allows_failed: any(&rules.allow_failed, request)?,
            denies_redirect: any(&rules.deny_redirect, request)?,
            rules: SmallVec::new(),
        };
        for (number, rule) in rules.list.iter().enumerate() {
            if rule.matcher.matches(request)? {
                verdict.is_exempt |= rule.is_disabled;
                if !rule.access.is_empty() {
                    verdict.rules.push(number);
                }
                break;
            }
        }
        Ok(verdict)
    }

    /// What is asked by both: what lets a request pass must hold by each, and what is
    /// demanded by either is.
    fn and(&mut self, other: &Self) {
        self.is_exempt &= other.is_exempt;
        self.allows_failed &= other.allows_failed;
        self.denies_redirect |= other.denies_redirect;
        for rule in &other.rules {
            if !self.rules.contains(rule) {
                self.rules.push(*rule);
            }
        }
    }
}

fn any<V: RequestView + ?Sized>(
    matchers: &[Matcher],
    request: &mut Request<'_, V>,
) -> Result<bool, V::Error> {
    for matcher in matchers {
        if matcher.matches(request)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Rules {
    pub(crate) fn new(config: &Config) -> Self {
        let rules = config.rules.iter().map(|rule| Rule {
            matcher: rule.matcher.clone(),
            is_disabled: rule.disabled,
            access: Access::new(&rule.demands, &config.groups_claim),
        });
        Self {
            pass_through: config.pass_through_matcher.to_vec().into(),
            allow_failed: config.allow_failed_matcher.to_vec().into(),
            deny_redirect: config.deny_redirect_matcher.to_vec().into(),
            list: rules.collect(),
            overall: Access::new(&config.demands, &config.groups_claim),
            bypass_cors_preflight: config.bypass_cors_preflight,
        }
    }

    /// What is asked of a request, by every way in which servers read its path:
    /// `/public/` would let `/public/..;/admin` through.
    pub(crate) fn of<V: RequestView + ?Sized>(&self, view: &mut V) -> Result<Verdict, V::Error> {
        if self.bypass_cors_preflight && is_cors_preflight(view)? {
            return Ok(Verdict {
                is_exempt: true,
                allows_failed: false,
                denies_redirect: false,
                rules: SmallVec::new(),
            });
        }
        let mut request = Request::new(view);
        let mut verdict = Verdict::of_one(self, &mut request)?;
        for reading in request.other_readings()? {
            request.read_path_as(reading);
            let other = Verdict::of_one(self, &mut request)?;
            verdict.and(&other);
        }
        Ok(verdict)
    }

    /// Whether who is signed in may come in: by what is demanded of all, and by the
    /// rules that a request falls under.
    pub(crate) fn check(
        &self,
        verdict: &Verdict,
        claims: &Map<String, Value>,
    ) -> Result<(), Denied> {
        self.check_overall(claims)?;
        for number in &verdict.rules {
            if let Some(rule) = self.list.get(*number) {
                rule.access.check(claims)?;
            }
        }
        Ok(())
    }

    /// The same, by what is demanded of all.
    pub(crate) fn check_overall(&self, claims: &Map<String, Value>) -> Result<(), Denied> {
        self.overall.check(claims)
    }
}

/// The claims that anything demands.
pub(crate) fn looks_at(config: &Config) -> Vec<ClaimPath> {
    let rules = config.rules.iter().map(|rule| &rule.demands);
    let all = rules.chain(std::iter::once(&config.demands));
    all.flat_map(|demands| Access::new(demands, &config.groups_claim).looks_at())
        .collect()
}

#[cfg(test)]
mod tests;
