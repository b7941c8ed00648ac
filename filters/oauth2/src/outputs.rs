//! What upstreams get of a session, and from nobody else.

use legation::http::HeaderName;
use legation::http::header::AUTHORIZATION;
use legation_jose::claim_path::ClaimPath;
use legation_jose::claim_to_header::ClaimToHeader;
use legation_jose::trusted::Trusted;
use serde_json::{Map, Value};

use crate::config::Config;
use crate::rules;
use crate::session::Session;

/// Headers and their values.
pub(crate) type Headers = Box<[(HeaderName, Box<[u8]>)]>;

/// What sessions are turned into.
#[derive(Debug)]
pub(crate) struct Outputs {
    trusted: Trusted,
    claims: Box<[ClaimToHeader]>,
    /// The claims that are kept in a session.
    kept: Box<[ClaimPath]>,
    id_token: Option<HeaderName>,
    bears_access_token: bool,
    removes_authorization: bool,
}

impl Outputs {
    pub(crate) fn new(config: &Config) -> Self {
        let claims = config.claim_to_headers.iter();
        let names = claims.clone().map(|claim| claim.header_name.name());
        let id_token = config.forward_id_token.as_ref();
        let id_token = id_token.map(|header| header.name().clone());
        // A client may send `authorization` to what needs no session of ours.
        let trusted = names
            .chain(&id_token)
            .filter(|name| **name != AUTHORIZATION);
        let outputs = claims.map(|claim| claim.claim.clone());
        let mut kept = rules::looks_at(config);
        kept.extend(outputs);
        Self {
            trusted: trusted.cloned().collect(),
            claims: config.claim_to_headers.to_vec().into(),
            kept: kept.into(),
            id_token,
            bears_access_token: config.forward_bearer_token,
            removes_authorization: !config.preserve_authorization_header,
        }
    }

    /// The headers to strip from every request.
    pub(crate) fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// Whether a client's own `authorization` stays with the filter, where a request
    /// needs a session, whether it has one or passes without.
    pub(crate) fn removes_authorization(&self) -> bool {
        self.removes_authorization
    }

    /// Whether a session's access token is needed.
    pub(crate) fn needs_access_token(&self) -> bool {
        self.bears_access_token
    }

    /// Whether a session's ID token is needed.
    pub(crate) fn needs_id_token(&self) -> bool {
        self.id_token.is_some()
    }

    /// The headers that a session has upstreams get. Each is to be set, in the place of
    /// any that is there.
    pub(crate) fn headers(&self, session: &Session) -> Headers {
        let access_token = session.access_token.as_deref();
        let bearer = access_token.filter(|_| self.bears_access_token);
        let bearer = bearer.map(|token| (AUTHORIZATION, bearer_of(token)));
        let id_token = self.id_token.as_ref().zip(session.id_token.as_deref());
        let id_token = id_token.map(|(name, token)| {
            let value = if *name == AUTHORIZATION {
                bearer_of(token)
            } else {
                token.as_bytes().into()
            };
            (name.clone(), value)
        });
        let claims = self.claims.iter().filter_map(|claim| {
            let value = claim.value(&session.claims)?;
            Some((
                claim.header_name.name().clone(),
                value.into_bytes().into_boxed_slice(),
            ))
        });
        claims.chain(bearer).chain(id_token).collect()
    }

    /// What of these claims anything looks at later: a session is sent with every
    /// request, and has nothing else.
    pub(crate) fn keep(&self, claims: &Map<String, Value>) -> Map<String, Value> {
        let mut kept = Map::new();
        for path in &self.kept {
            copy(claims, &mut kept, path.segments());
        }
        kept
    }
}

fn bearer_of(token: &str) -> Box<[u8]> {
    ["Bearer ", token].concat().into_bytes().into()
}

/// Copies what a path leads to. What is no object is copied whole: a way through a list
/// leads to each of its elements.
fn copy(from: &Map<String, Value>, to: &mut Map<String, Value>, path: &[Box<str>]) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    match (from.get(&**name), rest) {
        (None, _) => {}
        (Some(Value::Object(from)), [_, ..]) => {
            let to = to.entry(&**name).or_insert_with(|| Map::new().into());
            if let Value::Object(to) = to {
                copy(from, to, rest);
            }
        }
        (Some(value), _) => {
            to.insert((**name).to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests;
