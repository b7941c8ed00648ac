//! What can go wrong between a filter and its host.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use crate::callout::CalloutError;

/// The answer of a host call, as the number the host gave.
///
/// The ABI names some of these numbers; a host may answer any other, so this
/// is a number and not an enum.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

impl Status {
    /// The call did what it was asked.
    pub const OK: Self = Self(0);
    /// What was asked for does not exist.
    pub const NOT_FOUND: Self = Self(1);
    /// An argument is not acceptable, or not acceptable in this callback.
    pub const BAD_ARGUMENT: Self = Self(2);
    /// The host could not write out its answer.
    pub const SERIALIZATION_FAILURE: Self = Self(3);
    /// The host could not read what it was given.
    pub const PARSE_FAILURE: Self = Self(4);
    /// An address given does not lie in the module's memory.
    pub const INVALID_MEMORY_ACCESS: Self = Self(6);
    /// There is nothing to return.
    pub const EMPTY: Self = Self(7);
    /// A shared value changed since it was read.
    pub const CAS_MISMATCH: Self = Self(8);
    /// The host failed for a reason of its own.
    pub const INTERNAL_FAILURE: Self = Self(10);
    /// The host does not have this call.
    pub const UNIMPLEMENTED: Self = Self(12);

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::OK => "ok",
            Self::NOT_FOUND => "not found",
            Self::BAD_ARGUMENT => "bad argument",
            Self::SERIALIZATION_FAILURE => "serialization failure",
            Self::PARSE_FAILURE => "parse failure",
            Self::INVALID_MEMORY_ACCESS => "invalid memory access",
            Self::EMPTY => "empty",
            Self::CAS_MISMATCH => "compare-and-swap mismatch",
            Self::INTERNAL_FAILURE => "internal failure",
            Self::UNIMPLEMENTED => "unimplemented",
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "status {}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({}: {self})", self.0)
    }
}

/// A host call that did not answer as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("host call {call}: {reason}")]
pub struct HostError {
    /// The ABI name of the call.
    pub call: &'static str,
    /// What it answered.
    pub reason: Reason,
}

impl HostError {
    pub(crate) const fn status(call: &'static str, status: Status) -> Self {
        Self {
            call,
            reason: Reason::Status(status),
        }
    }

    pub(crate) const fn malformed(call: &'static str) -> Self {
        Self {
            call,
            reason: Reason::Malformed,
        }
    }
}

/// Why a [`HostError`] is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// The host answered a status other than ok.
    #[error("{0}")]
    Status(Status),
    /// The host said ok, and its bytes are not what the ABI describes.
    #[error("malformed answer")]
    Malformed,
}

/// Why a callback could not do its work.
///
/// A callback that returns an error has its request refused: the SDK answers
/// 500 (or resets the stream where the response is already on its way),
/// counts it in the metric `NAME.errors` and logs it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A host call failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Bytes that may not stand in a header (RFC 9110, section 5.5).
    #[error("header `{name}`: the value holds a control character")]
    InvalidHeaderValue {
        /// The header's name.
        name: String,
    },
    /// A body that a filter wanted whole is larger than it takes. A callback that
    /// returns it has the request answered 413, or the response replaced by 502.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The most that was asked for, in bytes.
        limit: usize,
    },
    /// A callout came to nothing.
    #[error(transparent)]
    Callout(#[from] CalloutError),
    /// An error of one of a suite's filters.
    #[error("`{filter}`: {error}")]
    InFilter {
        /// The filter's name.
        filter: &'static str,
        /// What went wrong in it.
        error: Box<Error>,
    },
    /// Anything else. The text goes to the log: it holds no secrets.
    #[error("{0}")]
    Other(Cow<'static, str>),
}

impl Error {
    /// An error with this text, which will be logged: keep secrets out of it.
    pub fn other(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Other(text.into())
    }

    /// The error, as one of this filter's.
    pub(crate) fn of(self, filter: &'static str) -> Self {
        Self::InFilter {
            filter,
            error: Box::new(self),
        }
    }

    /// Whether it is a body's size that is at fault.
    pub(crate) fn is_body_too_large(&self) -> bool {
        match self {
            Self::BodyTooLarge { .. } => true,
            Self::InFilter { error, .. } => error.is_body_too_large(),
            _ => false,
        }
    }
}

/// The result of a callback or of a service.
pub type Result<T, E = Error> = std::result::Result<T, E>;
