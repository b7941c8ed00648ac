//! Headers that upstreams trust: they come from accepted tokens and from nowhere
//! else.

use legation::http::HeaderName;
use legation_jose::trusted::Trusted;

use crate::config::{Config, Requirement, Requires};

/// The mark of tokens that were not verified, as in Envoy.
const UNVERIFIED: HeaderName = HeaderName::from_static("x-jwt-signature-verified");

/// The headers to strip from every request.
pub(crate) fn trusted(config: &Config) -> Trusted {
    let providers = config.providers.iter();
    let headers = providers.flat_map(|(_, provider)| {
        let claims = provider.claim_to_headers.iter();
        let claims = claims.map(|claim| &claim.header_name);
        provider.forward_payload_header.0.iter().chain(claims)
    });
    let map = config.requirement_map.iter().map(|(_, requires)| requires);
    let rules = config.rules.iter();
    let rules = rules.filter_map(|rule| rule.requires.0.as_ref());
    headers
        .map(|header| header.name().clone())
        .chain(map.chain(rules).filter_map(mark))
        .collect()
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
