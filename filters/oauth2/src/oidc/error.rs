//! What can go wrong with a provider.

use legation::callout::CalloutError;
use legation_jose::json::JsonError;
use legation_jose::keys::KeysError;
use legation_jose::{ClaimError, TokenError, VerifyError};

/// Why the provider did not do what it was asked. None of it holds a secret, a code, a
/// token or other words of the provider's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClientError {
    /// It cannot be asked now.
    #[error("the provider is not there: {0}")]
    Unavailable(Why),
    /// It will not, and says so (RFC 6749 section 5.2).
    #[error("the provider refuses: {}", .error.unwrap_or("by no word that is known"))]
    Refused {
        /// Its word for it, if that is a known one.
        error: Option<&'static str>,
    },
    /// Its answer is none.
    #[error("the provider's answer is refused: {0}")]
    Answer(Flaw),
    /// It is not known yet where it is.
    #[error("the provider's metadata is not there")]
    NotReady,
}

/// Why a provider cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    /// There was no answer.
    #[error("{0}")]
    Callout(CalloutError),
    /// It answered that it cannot now, by this status or a word for it.
    #[error("status {0}")]
    Status(u16),
    /// The host did not sign who we are.
    #[error("the host cannot sign")]
    Signing,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    /// It is too large, or not whole.
    #[error("{0}")]
    Callout(CalloutError),
    /// Its status is none that such an answer has.
    #[error("status {0}")]
    Status(u16),
    /// It is not said to be JSON.
    #[error("its content is not application/json")]
    ContentType,
    /// It is no JSON object, or an ambiguous one.
    #[error("{0}")]
    Json(JsonError),
    /// This member is missing.
    #[error("it has no `{0}`")]
    Missing(&'static str),
    /// This member is of a wrong type, or out of range.
    #[error("its `{0}` is not what it should be")]
    Member(&'static str),
    /// It is about somebody else than was asked for.
    #[error("it is about another subject")]
    Subject,
}

impl From<Flaw> for ClientError {
    fn from(flaw: Flaw) -> Self {
        Self::Answer(flaw)
    }
}

impl From<CalloutError> for ClientError {
    fn from(error: CalloutError) -> Self {
        match error {
            CalloutError::TooLarge { .. } | CalloutError::Malformed(_) => {
                Self::Answer(Flaw::Callout(error))
            }
            other => Self::Unavailable(Why::Callout(other)),
        }
    }
}

impl ClientError {
    /// A word for it: the value of a tag `reason`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(Why::Callout(error)) => match error {
                CalloutError::Timeout => "timeout",
                CalloutError::Reset(_) | CalloutError::NoHeaders => "reset",
                CalloutError::CircuitOpen => "circuit_open",
                _ => "not_sent",
            },
            Self::Unavailable(Why::Status(_)) => "status",
            Self::Unavailable(Why::Signing) => "signing",
            Self::Refused { error } => match error {
                Some(word @ ("invalid_grant" | "invalid_client")) => word,
                _ => "refused",
            },
            Self::Answer(_) => "answer",
            Self::NotReady => "not_ready",
        }
    }

    /// Whether the code or the refresh token is not good, or no more: to come with it
    /// again is in vain.
    pub(crate) fn is_invalid_grant(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                error: Some("invalid_grant")
            }
        )
    }
}

/// Why an ID token or a logout token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdTokenError {
    /// It cannot be read.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It is not signed by the provider.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// There are no keys to verify it with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Plain OAuth 2.0 has none.
    #[error("no provider of tokens is configured")]
    NotExpected,
    /// It is of another issuer, for others, or not in its time.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// It lacks this claim, or has one of a wrong type.
    #[error("the token has no `{0}` that can be used")]
    Missing(&'static str),
    /// It has this claim or header and must not: it is another kind of token.
    #[error("the token is of another kind, by its `{0}`")]
    Kind(&'static str),
    /// It was made for another client, too, or by the wish of another.
    #[error("the token is for another party")]
    AuthorizedParty,
    /// It is not of this sign-in.
    #[error("the token is of another sign-in")]
    Nonce,
    /// It is about somebody else than before.
    #[error("the token is about another subject")]
    Subject,
    /// The user signed in at the provider too long ago.
    #[error("the user signed in too long ago")]
    TooOld,
    /// It came with another access token.
    #[error("the token is of another access token")]
    AccessToken,
    /// It says that it was made later than now, or too long ago.
    #[error("the token was not issued at a time that can be")]
    IssuedAt,
}

impl IdTokenError {
    /// A word for it: the value of a tag `reason`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Token(TokenError::Unsecured | TokenError::UnknownAlgorithm)
            | Self::Verify(VerifyError::AlgorithmNotAllowed | VerifyError::Unsupported(_)) => {
                "algorithm"
            }
            Self::Token(_) => "malformed",
            Self::Verify(
                VerifyError::UnknownKey | VerifyError::KeyMismatch | VerifyError::Ambiguous,
            ) => "unknown_key",
            Self::Verify(_) => "signature",
            Self::Keys(_) | Self::NotExpected => "no_keys",
            Self::Claim(ClaimError::Issuer) => "issuer",
            Self::Claim(ClaimError::Audience) => "audience",
            Self::Claim(ClaimError::NoExpiration) | Self::Missing(_) => "missing_claim",
            Self::Claim(_) => "expired",
            Self::Kind(_) => "kind",
            Self::AuthorizedParty => "authorized_party",
            Self::Nonce => "nonce",
            Self::Subject => "subject",
            Self::TooOld => "too_old",
            Self::AccessToken => "access_token",
            Self::IssuedAt => "issued_at",
        }
    }

    /// Whether nothing is known of the token, as there are no keys yet or no more.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self, Self::Keys(_))
    }
}
