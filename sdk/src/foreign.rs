//! Functions that Envoy has beside the ABI, typed.
//!
//! They are called by name, and which of them there are depends on the host
//! and how it was built ([`Function`] has the versions). A host without one
//! answers so once in the life of a worker's VM; from then on
//! [`ForeignError::NotSupported`] comes without a host call.
//!
//! ```
//! # fn verify(key: &[u8], signature: &[u8], text: &[u8]) -> Result<bool, legation::foreign::ForeignError> {
//! use legation::foreign::{ForeignError, Hash, verify_signature};
//!
//! match verify_signature(Hash::Sha256, key, signature, text) {
//!     Err(ForeignError::NotSupported { .. }) => Ok(false), // or verify it in the module
//!     verified => verified,
//! }
//! # }
//! ```
//!
//! Each call here is one host call, about 0.4 µs without an answer and 0.7 µs
//! with one, and what the function itself takes. Only where the very first call
//! of [`set_envoy_filter_state`] or [`Expression::evaluate`] is refused, a second
//! one asks whether the function is there.

mod compression;
mod expression;
mod message;
mod state;
mod support;

use prost::Message;

use crate::abi;
use crate::error::{Error, HostError, Reason, Status};

pub use compression::{MAX_COMPRESSION_RATIO, compress, uncompress};
pub use expression::Expression;
pub use state::{Kind, LifeSpan, Property, declare_property, set_envoy_filter_state};
pub use support::Function;
#[doc(hidden)]
pub use support::forget;

/// Why a foreign function did not do its work.
///
/// As an [`Error`] of a callback it has the request refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// The host does not have the function, and has not been asked again.
    #[error("the host has no foreign function `{function}`")]
    NotSupported {
        /// The function's name.
        function: &'static str,
    },
    /// The function refused its arguments.
    #[error("foreign function `{function}`: {reason}")]
    Refused {
        /// The function's name.
        function: &'static str,
        /// What it refused. It goes to the log and holds no secrets.
        reason: String,
    },
    /// The call failed, or its answer is not what the function answers.
    #[error("foreign function `{function}`: {reason}")]
    Host {
        /// The function's name.
        function: &'static str,
        /// What the host answered.
        reason: Reason,
    },
    /// What was given is larger than the caller allows. The host was not asked.
    #[error("foreign function `{function}`: {size} bytes, and {limit} are allowed")]
    TooLarge {
        /// The function's name.
        function: &'static str,
        /// What was given, in bytes.
        size: usize,
        /// What was allowed, in bytes.
        limit: usize,
    },
}

impl ForeignError {
    const fn status(function: Function, status: Status) -> Self {
        Self::Host {
            function: function.name(),
            reason: Reason::Status(status),
        }
    }

    const fn malformed(function: Function) -> Self {
        Self::Host {
            function: function.name(),
            reason: Reason::Malformed,
        }
    }

    /// With words for a status that says little.
    fn explained(self, status: Status, words: impl FnOnce() -> String) -> Self {
        match self {
            Self::Host { function, reason } if reason == Reason::Status(status) => Self::Refused {
                function,
                reason: words(),
            },
            other => other,
        }
    }
}

impl From<ForeignError> for Error {
    fn from(error: ForeignError) -> Self {
        Self::other(error.to_string())
    }
}

/// The hash of a signature.
///
/// SHA-1 and SHA-224, which Envoy knows as well, are not for signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl Hash {
    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

/// Whether `signature` is the signature of `text` by the key.
///
/// `public_key` is a `SubjectPublicKeyInfo` in DER. The key's type says the
/// algorithm: RSA with PKCS #1 v1.5 padding, or ECDSA, whose signatures are in
/// DER (a JWT has them as two numbers side by side). There is no RSA-PSS, no
/// Ed25519 and no HMAC.
///
/// A signature that is none, of whatever form, is `Ok(false)`. A key that
/// cannot be read is `Ok(false)` too, or on newer hosts
/// [`ForeignError::Refused`]: check keys when they are configured.
///
/// One host call: in Envoy about 20 µs for RSA-2048, 50 µs for P-256.
pub fn verify_signature(
    hash: Hash,
    public_key: &[u8],
    signature: &[u8],
    text: &[u8],
) -> Result<bool, ForeignError> {
    let arguments = message::VerifySignatureArguments {
        hash_function: hash.name().to_owned(),
        public_key: public_key.to_vec(),
        signature: signature.to_vec(),
        text: text.to_vec(),
    };
    let answer = ask(Function::VerifySignature, &arguments.encode_to_vec())
        .map_err(|error| error.explained(Status::BAD_ARGUMENT, || KEY.to_owned()))?;
    let result: message::VerifySignatureResult = decode(Function::VerifySignature, &answer)?;
    Ok(result.result)
}

/// The signature of `text` by the key.
///
/// `private_key` is a PKCS #8 `PrivateKeyInfo` in DER, of an RSA or an EC key.
/// The signature is in the form that [`verify_signature`] takes.
///
/// [`ForeignError::Refused`] where the key cannot be read or cannot sign. One
/// host call.
pub fn sign(hash: Hash, private_key: &[u8], text: &[u8]) -> Result<Vec<u8>, ForeignError> {
    let arguments = message::SignArguments {
        hash_function: hash.name().to_owned(),
        private_key: private_key.to_vec(),
        text: text.to_vec(),
    };
    let answer = ask(Function::Sign, &arguments.encode_to_vec())
        .map_err(|error| error.explained(Status::BAD_ARGUMENT, || KEY.to_owned()))?;
    let result: message::SignResult = decode(Function::Sign, &answer)?;
    match result {
        message::SignResult {
            result: true,
            signature,
            ..
        } if !signature.is_empty() => Ok(signature),
        message::SignResult { result: true, .. } => Err(ForeignError::malformed(Function::Sign)),
        refused => Err(ForeignError::Refused {
            function: Function::Sign.name(),
            reason: refused.error,
        }),
    }
}

const KEY: &str = "the key cannot be read";

/// Has Envoy choose the route of this request anew.
///
/// A change of a request header does so by itself; this is for routes that
/// match by filter state or dynamic metadata. Envoy ignores it once the request
/// is on its way to the upstream. One host call of about 0.4 µs.
pub fn clear_route_cache() -> Result<(), ForeignError> {
    ask(Function::ClearRouteCache, &[]).map(drop)
}

/// Calls any foreign function by its name. `None` where the host does not have
/// it; that is not remembered.
///
/// For functions of a host other than Envoy: what Envoy has is typed here.
pub fn call(function: &str, arguments: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
    abi::call_foreign_function(function.as_bytes(), arguments)
}

/// Calls a function, if the host is not known to be without it.
fn ask(function: Function, arguments: &[u8]) -> Result<Vec<u8>, ForeignError> {
    let supported = function.known();
    if supported == Some(false) {
        return Err(function.not_supported());
    }
    let answer = abi::call_foreign_function(function.name().as_bytes(), arguments);
    let missing = match &answer {
        Ok(answer) => answer.is_none(),
        Err(error) => error.reason == Reason::Status(Status::UNIMPLEMENTED),
    };
    match answer {
        // One that was there before is not gone: it did not find something.
        _ if missing && (supported == Some(true) || function.is_there()) => {
            Err(ForeignError::status(function, Status::NOT_FOUND))
        }
        _ if missing => {
            function.remember(false);
            Err(function.not_supported())
        }
        Ok(answer) => {
            function.remember(true);
            Ok(answer.unwrap_or_default())
        }
        Err(error) => {
            function.remember(true);
            Err(ForeignError::Host {
                function: function.name(),
                reason: error.reason,
            })
        }
    }
}

fn decode<M: Message + Default>(function: Function, answer: &[u8]) -> Result<M, ForeignError> {
    M::decode(answer).map_err(|_| ForeignError::malformed(function))
}
