//! Why a request is refused: one place for its status, its words and its label.

use std::borrow::Cow;
use std::rc::Rc;

use legation_jose::claims_rules::{Insufficient, ProfileError};
use legation_jose::confirmation::ConfirmationError;
use legation_jose::dpop::DpopError;
use legation_jose::{ClaimError, Part, TokenError, VerifyError};

use crate::challenge::ErrorCode;

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reason {
    /// There is none.
    Missing,
    /// It is no token.
    Malformed(TokenError),
    /// It says another issuer, or one that no provider has.
    UnknownIssuer,
    /// A claim is not what it must be.
    Claim(ClaimError),
    /// It is of another kind than it must be.
    Profile(ProfileError),
    /// No key fits it.
    UnknownKey,
    /// Its algorithm is not allowed, or cannot be verified here.
    Algorithm,
    /// Its signature is not the key's.
    Signature,
    /// There are no keys to verify it with.
    NoKeys,
    /// Its issuer says that it is not active.
    Inactive,
    /// Its issuer does not say whether it is active.
    NotIntrospected,
    /// It is bound to something that was not shown.
    Confirmation(ConfirmationError),
    /// It does not come from who holds its key.
    Dpop(Rc<DpopError>),
    /// It is good, and not enough.
    Lacks(Insufficient),
}

impl Reason {
    /// The HTTP status: 403 for a good token that is for something else.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Claim(ClaimError::Audience) => 403,
            Self::NotIntrospected => 503,
            _ => self.code().map_or(401, ErrorCode::status),
        }
    }

    /// The error of a challenge; none where there was no token (RFC 6750, section
    /// 3.1).
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        Some(match self {
            Self::Missing | Self::NotIntrospected => return None,
            Self::Lacks(Insufficient::Authentication) => ErrorCode::InsufficientUserAuthentication,
            Self::Lacks(_) => ErrorCode::InsufficientScope,
            Self::Dpop(error) => match error.code() {
                "use_dpop_nonce" => ErrorCode::UseDpopNonce,
                "invalid_dpop_proof" => ErrorCode::InvalidDpopProof,
                _ => ErrorCode::InvalidToken,
            },
            _ => ErrorCode::InvalidToken,
        })
    }

    /// Whether the client could do better.
    pub(crate) fn is_the_clients(&self) -> bool {
        *self != Self::NotIntrospected
    }

    /// Whether a token was there at all.
    pub(crate) fn has_token(&self) -> bool {
        *self != Self::Missing
    }

    /// Whether it is about the token as one of this issuer's: the others say
    /// that it is none of this provider's business.
    pub(crate) fn is_of_the_token(&self) -> bool {
        !matches!(self, Self::Missing | Self::UnknownIssuer)
    }

    /// What is told to the client, in Envoy's words where it has them.
    pub(crate) fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Missing => "Jwt is missing",
            Self::Malformed(error) => malformed(*error),
            Self::UnknownIssuer | Self::Claim(ClaimError::Issuer) => "Jwt issuer is not configured",
            Self::Claim(ClaimError::Expired) => "Jwt is expired",
            Self::Claim(ClaimError::NotYetValid) => "Jwt not yet valid",
            Self::Claim(ClaimError::Audience) => "Audiences in Jwt are not allowed",
            Self::UnknownKey => "Jwks doesn't have key to match kid or alg from Jwt",
            Self::Algorithm => "Jwt header [alg] is not supported",
            Self::Signature | Self::Claim(_) => "Jwt verification fails",
            Self::NoKeys => "Jwks remote fetch is failed",
            Self::Inactive => "Token is not active",
            Self::NotIntrospected => "Token introspection is failed",
            Self::Profile(error) => return error.to_string().into(),
            Self::Confirmation(error) => return error.to_string().into(),
            Self::Dpop(error) => return error.to_string().into(),
            Self::Lacks(error) => return error.to_string().into(),
        })
    }

    /// A word for counters, log lines and the access log.
    pub(crate) fn label(&self) -> &'static str {
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
            Self::Profile(_) => "profile",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::NoKeys => "no_keys",
            Self::Inactive => "inactive",
            Self::NotIntrospected => "introspection",
            Self::Confirmation(ConfirmationError::NoCertificate) => "no_certificate",
            Self::Confirmation(ConfirmationError::OtherCertificate) => "other_certificate",
            Self::Confirmation(_) => "confirmation",
            Self::Dpop(error) => error.reason(),
            Self::Lacks(Insufficient::Scope) => "scope",
            Self::Lacks(Insufficient::Claim) => "claim",
            Self::Lacks(Insufficient::Authentication) => "authentication",
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
            VerifyError::UnknownKey | VerifyError::KeyMismatch | VerifyError::Ambiguous => {
                Self::UnknownKey
            }
            VerifyError::AlgorithmNotAllowed | VerifyError::Unsupported(_) => Self::Algorithm,
            _ => Self::Signature,
        }
    }
}

impl From<ProfileError> for Reason {
    fn from(error: ProfileError) -> Self {
        Self::Profile(error)
    }
}

impl From<ConfirmationError> for Reason {
    fn from(error: ConfirmationError) -> Self {
        Self::Confirmation(error)
    }
}

impl From<DpopError> for Reason {
    fn from(error: DpopError) -> Self {
        Self::Dpop(Rc::new(error))
    }
}

impl From<Insufficient> for Reason {
    fn from(error: Insufficient) -> Self {
        Self::Lacks(error)
    }
}

/// Why a request is refused, and whose token it was about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// The provider's number, where one was asked.
    pub(crate) provider: Option<usize>,
    /// Whether it is the rule that demands more.
    pub(crate) by_rule: bool,
}

impl Refusal {
    pub(crate) fn of(provider: Option<usize>, reason: Reason) -> Self {
        Self {
            reason,
            provider,
            by_rule: false,
        }
    }
}
