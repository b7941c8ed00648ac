//! What can go wrong with what is shared.

use thiserror::Error;

use super::codec::Malformed;
use crate::config::Problem;
use crate::error::{Error, HostError};

/// Why something shared could not be read or written.
///
/// In a callback, `?` makes an [`Error`](crate::Error) of it, which refuses the
/// request. In `configure`, `.map_err(ConfigErrors::of_document)?` makes a refused
/// configuration of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SharedError {
    /// A host call failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// What is stored is not such a value: another filter, or another version
    /// of this one, uses the same name. Nothing was written.
    #[error("shared `{name}`: {why}")]
    Malformed {
        /// The name of what is shared.
        name: String,
        /// What is wrong with it.
        why: Malformed,
    },
    /// Other workers changed the value between the read and the write of every
    /// try. Nothing was written; it may be tried again.
    #[error("shared `{name}`: others changed it in each of {tries} tries")]
    Contended {
        /// The name of what is shared.
        name: String,
        /// How many tries there were.
        tries: u32,
    },
    /// A queue holds as many items as it may. Nothing was pushed.
    #[error("shared queue `{name}`: full, with {limit} items")]
    Full {
        /// The queue's name.
        name: String,
        /// How many it may hold.
        limit: u64,
    },
    /// A map that cannot be: see [`Geometry`](super::Geometry) for what can.
    #[error("shared map `{name}`: {why}")]
    Geometry {
        /// The map's name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The host has no randomness for a secret.
    #[error("shared `{name}`: {why}")]
    NoRandomness {
        /// The name of what is shared.
        name: String,
        /// What the host said.
        why: String,
    },
}

impl SharedError {
    pub(super) fn malformed(name: &[u8], why: Malformed) -> Self {
        Self::Malformed {
            name: text(name),
            why,
        }
    }

    pub(super) fn contended(name: &[u8], tries: u32) -> Self {
        Self::Contended {
            name: text(name),
            tries,
        }
    }
}

fn text(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}

impl From<SharedError> for Error {
    fn from(error: SharedError) -> Self {
        match error {
            SharedError::Host(error) => Self::Host(error),
            error => Self::other(error.to_string()),
        }
    }
}

impl From<SharedError> for Problem {
    fn from(error: SharedError) -> Self {
        Self::new(error.to_string())
    }
}
