//! Headers that upstreams trust: they come from accepted tokens and from nowhere
//! else.

use legation::http::HeaderName;
use smallvec::SmallVec;

use crate::config::{Config, Requirement, Requires, is_same_to_some};
use crate::extract::Lengths;

/// The mark of tokens that were not verified, as in Envoy.
const UNVERIFIED: HeaderName = HeaderName::from_static("x-jwt-signature-verified");

/// The headers to strip from every request.
#[derive(Debug)]
pub(crate) struct Trusted {
    names: Box<[HeaderName]>,
    lengths: Lengths,
}

impl Trusted {
    pub(crate) fn new(config: &Config) -> Self {
        let providers = config.providers.iter();
        let headers = providers.flat_map(|(_, provider)| {
            let claims = provider.claim_to_headers.iter();
            let claims = claims.map(|claim| &claim.header_name);
            provider.forward_payload_header.0.iter().chain(claims)
        });
        let mut names: Vec<HeaderName> = headers.map(|header| header.name().clone()).collect();
        let map = config.requirement_map.iter().map(|(_, requires)| requires);
        let rules = config.rules.iter();
        let rules = rules.filter_map(|rule| rule.requires.0.as_ref());
        for requires in map.chain(rules) {
            names.extend(mark(requires));
        }
        names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        names.dedup();
        Self {
            lengths: names.iter().map(|name| name.as_str().len()).collect(),
            names: names.into(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Those that are among a request's headers, under whatever spelling.
    pub(crate) fn find<'a>(
        &self,
        headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> SmallVec<[Vec<u8>; 1]> {
        let mut found = SmallVec::new();
        for (name, _) in headers {
            if self.lengths.contains(name.len())
                && self.is_trusted(name)
                && !found.iter().any(|known: &Vec<u8>| known == name)
            {
                found.push(name.to_vec());
            }
        }
        found
    }

    fn is_trusted(&self, name: &[u8]) -> bool {
        let mut names = self.names.iter();
        names.any(|own| is_same_to_some(own.as_str().as_bytes(), name))
    }
}

/// The header that a requirement marks unverified tokens by.
pub(crate) fn mark(requires: &Requires) -> Option<HeaderName> {
    fn of(requirement: &Requirement) -> Option<HeaderName> {
        match requirement {
            Requirement::ExtractOnly(how) => Some(match &how.verification_status_header.0 {
                Some(header) => header.name().clone(),
                None => UNVERIFIED,
            }),
            Requirement::RequiresAny(list) | Requirement::RequiresAll(list) => {
                list.requirements.iter().find_map(of)
            }
            _ => None,
        }
    }
    requires.0.as_ref().and_then(of)
}
