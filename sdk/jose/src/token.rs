//! Tokens in the compact form.

use std::fmt;

use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::claims::Claims;
use crate::json::{self, JsonError};

/// How much of a token is read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest token, in bytes. 8192 by default.
    pub max_length: usize,
    /// How deep its JSON may nest, the outermost object counted. 32 by default.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_length: 8192,
            max_depth: 32,
        }
    }
}

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The header, before the first dot.
    Header,
    /// The claims, between the dots.
    Payload,
    /// The signature, after the second dot.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// Why a text is not taken for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Longer than [`Limits::max_length`].
    #[error("the token is too long")]
    TooLong,
    /// Not three parts between two dots, or one of them is empty.
    #[error("the token is not three parts between dots")]
    NotThreeParts,
    /// A part is not base64url, or has padding or bits to spare.
    #[error("the token's {0} is not base64url")]
    Base64(Part),
    /// A part is no JSON object, or an ambiguous one.
    #[error("the token's {0}: {1}")]
    Json(Part, JsonError),
    /// The header has no `alg`, or one that is no string.
    #[error("the token's header says no algorithm")]
    NoAlgorithm,
    /// `alg` is `none`.
    #[error("the token is not signed")]
    Unsecured,
    /// `alg` is not one that is known here.
    #[error("the token's algorithm is not known")]
    UnknownAlgorithm,
    /// The header has `crit` or `b64`: it demands what is not understood (RFC
    /// 7515 section 4.1.11, RFC 7797).
    #[error("the token's header has `{0}`, which is not understood")]
    Extension(&'static str),
    /// This member of the header is of a wrong type.
    #[error("the token's header has a `{0}` of a wrong type")]
    HeaderMember(&'static str),
    /// This claim is of a wrong type or out of range (RFC 7519 section 4.1).
    #[error("the token has a claim `{0}` of a wrong type")]
    Claim(&'static str),
}

/// A token as it was sent, read but not yet trusted.
pub struct Token<'a> {
    algorithm: Algorithm,
    header: Map<String, Value>,
    claims: Claims,
    signing_input: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    /// Reads a JWS in the compact form (RFC 7515 section 7.1) whose payload is a
    /// set of claims (RFC 7519).
    ///
    /// Its signature is not checked; [`KeySet::verify`](crate::KeySet::verify)
    /// does that. Nothing in the header is followed: no `jwk`, `jku` or `x5u`.
    pub fn parse(compact: &'a [u8], limits: &Limits) -> Result<Self, TokenError> {
        if compact.len() > limits.max_length {
            return Err(TokenError::TooLong);
        }
        let compact = std::str::from_utf8(compact).map_err(|_| TokenError::NotThreeParts)?;
        let (signing_input, signature) =
            compact.rsplit_once('.').ok_or(TokenError::NotThreeParts)?;
        let (header, payload) = signing_input
            .split_once('.')
            .ok_or(TokenError::NotThreeParts)?;
        if header.is_empty() || payload.is_empty() || signature.is_empty() || payload.contains('.')
        {
            return Err(TokenError::NotThreeParts);
        }
        let json = base64url::decode(header).ok_or(TokenError::Base64(Part::Header))?;
        let header = json::object(&json, limits.max_depth)
            .map_err(|error| TokenError::Json(Part::Header, error))?;
        let algorithm = algorithm(&header)?;
        check(&header)?;
        let json = base64url::decode(payload).ok_or(TokenError::Base64(Part::Payload))?;
        let claims = Claims::parse(json, limits.max_depth)?;
        if !base64url::is_valid(signature.as_bytes()) {
            return Err(TokenError::Base64(Part::Signature));
        }
        Ok(Self {
            algorithm,
            header,
            claims,
            signing_input,
            payload,
            signature,
        })
    }

    /// How it says it is signed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key it says it is signed with.
    pub fn key_id(&self) -> Option<&str> {
        self.text("kid")
    }

    /// What it says it is, such as `at+jwt`, as written (RFC 7515 section
    /// 4.1.9): letters count whatever their case, and `application/` may stand
    /// before it.
    pub fn typ(&self) -> Option<&str> {
        self.text("typ")
    }

    /// Whether [`typ`](Self::typ) is this media type, given without
    /// `application/`.
    pub fn is_type(&self, media_type: &str) -> bool {
        const TREE: &str = "application/";
        self.typ().is_some_and(|typ| {
            typ.eq_ignore_ascii_case(media_type)
                || typ
                    .split_at_checked(TREE.len())
                    .is_some_and(|(tree, name)| {
                        tree.eq_ignore_ascii_case(TREE) && name.eq_ignore_ascii_case(media_type)
                    })
        })
    }

    /// The whole header.
    pub fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// What it claims. Not to be trusted before its signature is checked.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What it claims, for keeping.
    pub fn into_claims(self) -> Claims {
        self.claims
    }

    /// The payload as it was sent, in base64url.
    pub fn payload_text(&self) -> &'a str {
        self.payload
    }

    /// What is signed.
    pub(crate) fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// The signature, in base64url that can be read.
    pub(crate) fn signature(&self) -> &'a str {
        self.signature
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }
}

/// Says nothing of the token itself.
impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, TokenError> {
    let name = header
        .get("alg")
        .and_then(Value::as_str)
        .ok_or(TokenError::NoAlgorithm)?;
    match name.parse() {
        Ok(algorithm) => Ok(algorithm),
        Err(_) if name.eq_ignore_ascii_case("none") => Err(TokenError::Unsecured),
        Err(_) => Err(TokenError::UnknownAlgorithm),
    }
}

fn check(header: &Map<String, Value>) -> Result<(), TokenError> {
    for name in ["crit", "b64"] {
        if header.contains_key(name) {
            return Err(TokenError::Extension(name));
        }
    }
    for name in ["kid", "typ", "cty"] {
        if header.get(name).is_some_and(|value| !value.is_string()) {
            return Err(TokenError::HeaderMember(name));
        }
    }
    Ok(())
}
