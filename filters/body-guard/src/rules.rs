//! Which rule a message falls under.

use legation::Configure;
use legation::config::Mode;
use legation::matcher::{Matcher, Request, RequestView};

use crate::config::Config;
use crate::ext_authz::ExtAuthz;
use crate::guard::Guard;

/// A rule at work.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Box<str>,
    matcher: Matcher,
    /// Whether it refuses and changes, or only tells.
    pub(crate) is_enforced: bool,
    pub(crate) request: Option<Guard>,
    pub(crate) response: Option<Guard>,
    /// Who else judges requests.
    pub(crate) ext_authz: Option<ExtAuthz>,
}

/// The rule that a request falls under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// None.
    No,
    /// The one of this number.
    One(usize),
    /// One by its path as it is read here, and another as servers read it: this is one of them.
    Ambiguous(usize),
}

impl Rule {
    pub(crate) fn all(config: &Config, host: &mut Configure) -> Box<[Self]> {
        let rules = config.rules.iter().enumerate();
        rules
            .map(|(index, rule)| Self {
                name: match &rule.name.0 {
                    Some(name) => name.as_str().into(),
                    None => index.to_string().into(),
                },
                matcher: rule.matcher.clone(),
                is_enforced: rule.mode.0.unwrap_or(config.mode) == Mode::Enforce,
                request: rule.request.0.as_ref().map(|body| Guard::new(body, true)),
                response: rule.response.0.as_ref().map(|body| Guard::new(body, false)),
                ext_authz: (rule.request.0.as_ref())
                    .and_then(|body| body.ext_authz.0.as_ref())
                    .map(|check| ExtAuthz::new(check, host)),
            })
            .collect()
    }

    /// Whether it leaves bodies alone.
    fn is_disabled(&self) -> bool {
        self.request.is_none() && self.response.is_none()
    }
}

/// The rule that a request falls under, if it has anything to do.
pub(crate) fn find<V: RequestView>(rules: &[Rule], view: &mut V) -> Result<Found, V::Error> {
    let mut request = Request::new(view);
    let own = first(rules, &mut request)?;
    for reading in request.other_readings()? {
        request.read_path_as(reading);
        let other = first(rules, &mut request)?;
        if other != own {
            // A body that has to be looked at by two rules is looked at by neither.
            return Ok(own.or(other).map_or(Found::No, Found::Ambiguous));
        }
    }
    Ok(own.map_or(Found::No, Found::One))
}

fn first<V: RequestView>(
    rules: &[Rule],
    request: &mut Request<'_, V>,
) -> Result<Option<usize>, V::Error> {
    for (index, rule) in rules.iter().enumerate() {
        if rule.matcher.matches(request)? {
            return Ok((!rule.is_disabled()).then_some(index));
        }
    }
    Ok(None)
}
