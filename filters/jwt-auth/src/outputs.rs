//! What an accepted token has upstreams and later filters get, made ready once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use legation::http::HeaderName;
use legation_jose::claim_to_header::ClaimToHeader;
use legation_jose::{Claims, Token};
use serde_json::{Map, Value};

use crate::accepted::{Headers, States};
use crate::config::Provider;

/// What a provider's tokens are turned into.
#[derive(Debug)]
pub(crate) struct Outputs {
    payload_header: Option<HeaderName>,
    pad_payload: bool,
    claims: Box<[ClaimToHeader]>,
    payload_state: Option<Box<str>>,
    header_state: Option<Box<str>>,
}

/// A token's own part in it.
pub(crate) struct Source<'a> {
    pub(crate) claims: &'a Claims,
    /// The payload as it was sent, where the token had one.
    pub(crate) payload: Option<&'a str>,
    pub(crate) header: Option<&'a Map<String, Value>>,
}

impl<'a> Source<'a> {
    pub(crate) fn of(token: &'a Token<'_>) -> Self {
        Self {
            claims: token.claims(),
            payload: Some(token.payload_text()),
            header: Some(token.header()),
        }
    }
}

impl Outputs {
    pub(crate) fn new(provider: &Provider) -> Self {
        let state = |name: &legation::config::Given<crate::config::StateName>| {
            name.0.as_ref().map(|name| name.as_str().into())
        };
        let payload_header = provider.forward_payload_header.0.as_ref();
        Self {
            payload_header: payload_header.map(|header| header.name().clone()),
            pad_payload: provider.pad_forward_payload_header,
            claims: provider.claim_to_headers.iter().cloned().collect(),
            payload_state: state(&provider.payload_in_filter_state),
            header_state: state(&provider.header_in_filter_state),
        }
    }

    /// The headers of a token, in the order they are added.
    pub(crate) fn headers(&self, source: &Source<'_>) -> Headers {
        let payload = self.payload_header.iter().map(|name| {
            let mut payload = match source.payload {
                Some(payload) => payload.to_owned(),
                None => URL_SAFE_NO_PAD.encode(source.claims.json()),
            };
            while self.pad_payload && !payload.len().is_multiple_of(4) {
                payload.push('=');
            }
            (name.clone(), payload.into_bytes().into())
        });
        let claims = self.claims.iter().filter_map(|claim| {
            let text = claim.value(source.claims.as_map())?;
            Some((claim.header_name.name().clone(), text.into_bytes().into()))
        });
        payload.chain(claims).collect()
    }

    /// The state that a token leaves behind.
    pub(crate) fn states(&self, source: &Source<'_>) -> States {
        let payload = self.payload_state.iter();
        let payload = payload.map(|name| (name.clone(), source.claims.json().into()));
        let header = self.header_state.iter().filter_map(|name| {
            let json = serde_json::to_vec(source.header?).ok()?;
            Some((name.clone(), json.into()))
        });
        payload.chain(header).collect()
    }
}
