//! Tokens that only the holder of a key may use: DPoP (RFC 9449).
//!
//! A token bound to a key (`cnf.jkt`) comes with a proof in the header `DPoP`: a
//! JSON Web Token made for this one request, which carries the key that it is
//! signed with. [`Dpop`] is what a filter keeps; [`Proof`] is one proof, pure.
//!
//! The proof is looked at last: by then the token is known to be valid, so that the
//! cost of a signature, and a place in the table of proofs seen, are had only by
//! those who have one.

mod config;
mod nonce;
mod proof;
mod replay;
mod target;

use std::time::{Duration, SystemTime};

use legation::config::ConfigErrors;
use legation::shared::SharedError;
use thiserror::Error;

use crate::confirmation::{Binding, Confirmation};
use crate::{Algorithm, Algorithms, Limits, TokenError, VerifyError, crypto};

pub use config::{DpopConfig, NonceConfig};
pub use nonce::{NonceState, Nonces};
pub use proof::{Expected, Proof};
pub use replay::{ReplayCache, Seen};
pub use target::{Origin, Target};

/// How a token was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization: DPoP`.
    Dpop,
    /// Otherwise: in another header, a cookie or the query.
    Elsewhere,
}

impl Scheme {
    /// The scheme of a value of `Authorization`, and what stands behind it. Schemes
    /// are compared without case (RFC 9110, section 11.1).
    pub fn split(authorization: &[u8]) -> Option<(Self, &[u8])> {
        let at = authorization.iter().position(|byte| *byte == b' ')?;
        let (scheme, rest) = authorization.split_at_checked(at)?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case(b"bearer") => Self::Bearer,
            _ if scheme.eq_ignore_ascii_case(b"dpop") => Self::Dpop,
            _ => return None,
        };
        Some((scheme, rest.trim_ascii_start()))
    }
}

/// What came with a request.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The values of all headers `DPoP`.
    pub proofs: &'a [&'a [u8]],
    /// `:method`
    pub method: &'a [u8],
    /// `:scheme`
    pub scheme: &'a [u8],
    /// `:authority`
    pub authority: &'a [u8],
    /// `:path`
    pub path: &'a [u8],
}

/// A proof that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Accepted {
    /// Whether the client should be given a new nonce with the answer
    /// ([`Dpop::nonce`]): the one it has goes out of use soon.
    pub renew_nonce: bool,
    /// Whether a proof had to be forgotten before its time: the table of proofs seen
    /// is too small.
    pub displaced: bool,
}

/// DPoP as configured.
#[derive(Debug)]
pub struct Dpop {
    mode: Binding,
    algorithms: Algorithms,
    limits: Limits,
    max_age: Duration,
    clock_skew: Duration,
    origins: Box<[Origin]>,
    nonces: Option<Nonces>,
    replay: Option<ReplayCache>,
}

impl Dpop {
    /// As configured. What workers share is under `name` in shared data; two
    /// configurations of other sizes need other names. For `configure`: up to five
    /// host calls.
    pub fn new(config: &DpopConfig, name: &str) -> Result<Self, ConfigErrors> {
        let shared = |error: SharedError| ConfigErrors::of_document(error.to_string());
        let used = config.mode != Binding::Ignore;
        let nonces = match &config.nonce.0 {
            Some(nonce) if used => Some(nonces(nonce, name).map_err(shared)?),
            _ => None,
        };
        let replay = match config.replay_cache_size() {
            size if size > 0 && used => {
                let name = format!("{name}.dpop.{size}");
                Some(ReplayCache::open(&name, size).map_err(shared)?)
            }
            _ => None,
        };
        Ok(Self {
            mode: config.mode,
            algorithms: if used {
                verifiable(config)?
            } else {
                config.algorithms()
            },
            limits: Limits::default(),
            max_age: config.max_age(),
            clock_skew: config.clock_skew(),
            origins: config
                .origins
                .iter()
                .map(|origin| origin.0.clone())
                .collect(),
            nonces,
            replay,
        })
    }

    /// What is asked of tokens.
    pub fn mode(&self) -> Binding {
        self.mode
    }

    /// The algorithms of proofs that are taken, for challenges.
    pub fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// The nonce to answer with, where nonces are asked for.
    pub fn nonce(&self, now: SystemTime) -> Option<String> {
        self.nonces.as_ref().map(|nonces| nonces.give(now))
    }

    /// Whether a proof must come with a token that is bound so and was shown so
    /// (RFC 9449, sections 7.1 and 7.2). No host calls.
    ///
    /// A bound token shown as `Bearer` is refused whether or not a proof is there:
    /// what is taken so from one, is taken from whoever stole it.
    pub fn needs_proof(
        &self,
        scheme: Scheme,
        confirmation: &Confirmation,
    ) -> Result<bool, DpopError> {
        match (self.mode, confirmation.key) {
            (Binding::Ignore, _) => Ok(false),
            (_, Some(_)) if scheme == Scheme::Bearer => Err(DpopError::ShownAsBearer),
            (_, Some(_)) => Ok(true),
            (Binding::WhenBound, None) if scheme != Scheme::Dpop => Ok(false),
            (_, None) => Err(DpopError::NotBound),
        }
    }

    /// Checks that the request comes from who holds the key that its token is bound
    /// to. A signature, and two host calls for proofs seen before.
    pub fn check(
        &self,
        token: &[u8],
        confirmation: &Confirmation,
        shown: &Shown<'_>,
        now: SystemTime,
    ) -> Result<Accepted, DpopError> {
        let key = confirmation.key.ok_or(DpopError::NotBound)?;
        let proof = match shown.proofs {
            [] => return Err(DpopError::NoProof),
            [proof] => Proof::parse(proof, &self.limits)?,
            _ => return Err(DpopError::ManyProofs),
        };
        let request_origin;
        let origins = if self.origins.is_empty() {
            request_origin = Origin::new(shown.scheme, shown.authority);
            request_origin.as_slice()
        } else {
            &self.origins
        };
        let expected = Expected {
            method: shown.method,
            target: &Target::new(origins, shown.path),
            token: Some(token),
            key: Some(key),
            max_age: self.max_age,
            clock_skew: self.clock_skew,
            algorithms: self.algorithms,
        };
        let nonce = match &self.nonces {
            Some(nonces) => proof
                .nonce()?
                .map_or(NonceState::Refused, |nonce| nonces.check(nonce, now)),
            None => NonceState::Fresh,
        };
        // What is wrong with a proof is said before a nonce is asked for: with one it
        // would be wrong still.
        let until = proof.check(&expected, now)?;
        if nonce == NonceState::Refused {
            return Err(DpopError::Nonce);
        }
        let mut displaced = false;
        if let Some(replay) = &self.replay {
            match replay.remember(key, proof.id()?, now, until)? {
                Seen::Before => return Err(DpopError::Replayed),
                Seen::NewForAnother => displaced = true,
                Seen::New => {}
            }
        }
        Ok(Accepted {
            renew_nonce: nonce == NonceState::Aging,
            displaced,
        })
    }
}

/// Those of the algorithms that can be verified here. One that was named and cannot be
/// is a mistake.
fn verifiable(config: &DpopConfig) -> Result<Algorithms, ConfigErrors> {
    let support = crypto::support();
    let can_be = |algorithm: &Algorithm| support.of(*algorithm).is_some();
    let mut wanted = config.algorithms().iter();
    if config.algorithms.0.is_some()
        && let Some(algorithm) = wanted.find(|algorithm| !can_be(algorithm))
    {
        let problem = format!("proofs signed by {algorithm} cannot be verified here");
        return Err(ConfigErrors::of_document(problem));
    }
    Ok(config.algorithms().iter().filter(can_be).collect())
}

fn nonces(config: &NonceConfig, name: &str) -> Result<Nonces, SharedError> {
    if let Some(secret) = &config.secret.0 {
        let secret = secret.expose().as_bytes();
        return Ok(Nonces::new(secret, config.lifetime()));
    }
    Nonces::shared(&format!("{name}.dpop.nonce"), config.lifetime())
}

/// Why a request does not prove that its token is in the right hands.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum DpopError {
    /// A bound token by `Authorization: Bearer`.
    #[error("a token bound to a key must be shown by the scheme DPoP")]
    ShownAsBearer,
    /// The scheme `DPoP`, or a mode that requires it, and a token without `cnf.jkt`.
    #[error("the token is not bound to a key")]
    NotBound,
    /// No header `DPoP`.
    #[error("the request has no DPoP proof")]
    NoProof,
    /// Several headers `DPoP`.
    #[error("the request has more than one DPoP proof")]
    ManyProofs,
    /// The proof is no JSON Web Token.
    #[error("the DPoP proof is malformed: {0}")]
    Malformed(#[from] TokenError),
    /// `typ` is not `dpop+jwt`.
    #[error("the DPoP proof is of another type than dpop+jwt")]
    Type,
    /// `alg` is not one of those allowed.
    #[error("the algorithm of the DPoP proof is not allowed")]
    Algorithm,
    /// `jwk` is missing, is no key, or holds a private one.
    #[error("the DPoP proof carries no usable public key")]
    Key,
    /// The proof is not signed by the key it carries.
    #[error("the signature of the DPoP proof is not valid")]
    Signature(VerifyError),
    /// A claim is missing or is of the wrong type.
    #[error("the DPoP proof lacks a proper claim {0}")]
    Claim(&'static str),
    /// `htm` is another method.
    #[error("the DPoP proof is for another method")]
    Method,
    /// `htu` is another address.
    #[error("the DPoP proof is for another address")]
    Target,
    /// `iat` is too long ago.
    #[error("the DPoP proof is too old")]
    TooOld,
    /// `iat` is in the future.
    #[error("the DPoP proof is from the future")]
    TooNew,
    /// `ath` is of another token.
    #[error("the DPoP proof is for another token")]
    OtherToken,
    /// The proof is by another key than the token is bound to.
    #[error("the token is bound to another key")]
    OtherKey,
    /// The proof has no nonce of ours, or one that is out of use.
    #[error("a current nonce must be used in the DPoP proof")]
    Nonce,
    /// The proof was seen before.
    #[error("the DPoP proof was used before")]
    Replayed,
    /// Whether it was seen before is not known: the request is refused.
    #[error("the DPoP proof cannot be checked: {0}")]
    Shared(#[from] SharedError),
}

impl DpopError {
    /// The `error` of a challenge (RFC 9449, sections 7.1, 9 and 12.2).
    pub fn code(&self) -> &'static str {
        match self {
            Self::ShownAsBearer | Self::NotBound | Self::OtherKey => "invalid_token",
            Self::Nonce => "use_dpop_nonce",
            _ => "invalid_dpop_proof",
        }
    }

    /// A word for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ShownAsBearer => "dpop_shown_as_bearer",
            Self::NotBound => "dpop_not_bound",
            Self::NoProof => "dpop_no_proof",
            Self::ManyProofs => "dpop_many_proofs",
            Self::Malformed(_) => "dpop_malformed",
            Self::Type => "dpop_type",
            Self::Algorithm => "dpop_algorithm",
            Self::Key => "dpop_key",
            Self::Signature(_) => "dpop_signature",
            Self::Claim(_) => "dpop_claim",
            Self::Method => "dpop_method",
            Self::Target => "dpop_target",
            Self::TooOld => "dpop_too_old",
            Self::TooNew => "dpop_too_new",
            Self::OtherToken => "dpop_other_token",
            Self::OtherKey => "dpop_other_key",
            Self::Nonce => "dpop_nonce",
            Self::Replayed => "dpop_replayed",
            Self::Shared(_) => "dpop_unknown",
        }
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests; the lints spare only functions marked as such"
)]
mod tests;
