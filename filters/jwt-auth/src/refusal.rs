//! Why a request is refused: one place for its status, its words and its label.

use legation_jose::{ClaimError, Part, TokenError, VerifyError};

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is none.
    Missing,
    /// It is no token.
    Malformed(TokenError),
    /// It says another issuer, or one that no provider has.
    UnknownIssuer,
    /// A claim is not what it must be.
    Claim(ClaimError),
    /// No key fits it.
    UnknownKey,
    /// Its algorithm is not allowed, or cannot be verified here.
    Algorithm,
    /// Its signature is not the key's.
    Signature,
    /// There are no keys to verify it with.
    NoKeys,
}

impl Reason {
    /// The HTTP status: 403 for a good token that is for something else.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Claim(ClaimError::Audience) => 403,
            _ => 401,
        }
    }

    /// Whether a token was there at all.
    pub(crate) fn has_token(self) -> bool {
        self != Self::Missing
    }

    /// Whether it is about the token as one of this issuer's: the others say
    /// that it is none of this provider's business.
    pub(crate) fn is_of_the_token(self) -> bool {
        !matches!(self, Self::Missing | Self::UnknownIssuer)
    }

    /// What is told to the client, in Envoy's words where it has them.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Missing => "Jwt is missing",
            Self::Malformed(error) => malformed(error),
            Self::UnknownIssuer | Self::Claim(ClaimError::Issuer) => "Jwt issuer is not configured",
            Self::Claim(ClaimError::Expired) => "Jwt is expired",
            Self::Claim(ClaimError::NotYetValid) => "Jwt not yet valid",
            Self::Claim(ClaimError::Audience) => "Audiences in Jwt are not allowed",
            Self::UnknownKey => "Jwks doesn't have key to match kid or alg from Jwt",
            Self::Algorithm => "Jwt header [alg] is not supported",
            Self::Signature | Self::Claim(_) => "Jwt verification fails",
            Self::NoKeys => "Jwks remote fetch is failed",
        }
    }

    /// A word for counters, log lines and the access log.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::UnknownIssuer | Self::Claim(ClaimError::Issuer) => "unknown_issuer",
            Self::Claim(ClaimError::Expired) => "expired",
            Self::Claim(ClaimError::NotYetValid) => "not_yet_valid",
            Self::Claim(ClaimError::Audience) => "audience",
            Self::Claim(ClaimError::Subject) => "subject",
            Self::Claim(ClaimError::NoExpiration) => "no_expiration",
            Self::Claim(ClaimError::LifetimeTooLong) => "lifetime",
            Self::Claim(_) => "claims",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::NoKeys => "no_keys",
        }
    }
}

/// What is wrong with a token, in Envoy's words.
fn malformed(error: TokenError) -> &'static str {
    match error {
        TokenError::NotThreeParts => {
            "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
        }
        TokenError::Base64(Part::Header) => "Jwt header is an invalid Base64url encoded",
        TokenError::Base64(Part::Payload) => "Jwt payload is an invalid Base64url encoded",
        TokenError::Base64(Part::Signature) => "Jwt signature is an invalid Base64url encoded",
        TokenError::Json(Part::Payload, _) => "Jwt payload is an invalid JSON",
        TokenError::Json(..) => "Jwt header is an invalid JSON",
        TokenError::NoAlgorithm => "Jwt header [alg] field is required and must be a string",
        TokenError::Unsecured | TokenError::UnknownAlgorithm => "Jwt header [alg] is not supported",
        TokenError::HeaderMember("kid") => "Jwt header [kid] field is not a string",
        TokenError::HeaderMember(_) => "Jwt header has a field of a wrong type",
        TokenError::Extension(_) => "Jwt header has extensions that are not supported",
        TokenError::Claim("iss") => "Jwt payload [iss] field is not a string",
        TokenError::Claim("sub") => "Jwt payload [sub] field is not a string",
        TokenError::Claim("jti") => "Jwt payload [jti] field is not a string",
        TokenError::Claim("aud") => "Jwt payload [aud] field is not a string or string list",
        TokenError::Claim("exp") => "Jwt payload [exp] field is not a positive 64 bit integer",
        TokenError::Claim("nbf") => "Jwt payload [nbf] field is not a positive 64 bit integer",
        TokenError::Claim("iat") => "Jwt payload [iat] field is not a positive 64 bit integer",
        TokenError::TooLong => "Jwt is too long",
        _ => "Jwt is malformed",
    }
}

impl From<TokenError> for Reason {
    fn from(error: TokenError) -> Self {
        Self::Malformed(error)
    }
}

impl From<ClaimError> for Reason {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Issuer => Self::UnknownIssuer,
            other => Self::Claim(other),
        }
    }
}

impl From<VerifyError> for Reason {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::UnknownKey | VerifyError::KeyMismatch => Self::UnknownKey,
            VerifyError::AlgorithmNotAllowed | VerifyError::Unsupported(_) => Self::Algorithm,
            _ => Self::Signature,
        }
    }
}

/// Why a request is refused, and whose token it was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// The provider's number, where one was asked.
    pub(crate) provider: Option<usize>,
}
