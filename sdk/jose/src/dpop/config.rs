//! What users write.

use std::time::Duration;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{
    Bounded, BoundedDuration, ConfigErrors, Given, NonEmpty, OneOrMany, Problem, Schema,
    SecretSource, string,
};

use super::target::Origin;
use crate::confirmation::Binding;
use crate::{Algorithm, Algorithms};

/// How tokens that are bound to a key are taken.
#[derive(Debug, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct DpopConfig {
    /// What is asked of tokens; `when_bound` unless given.
    #[deserr(default)]
    pub mode: Binding,
    /// The algorithms of proofs that are taken; every asymmetric one unless given.
    #[deserr(default)]
    pub algorithms: Given<NonEmpty<ProofAlgorithm>>,
    /// How old a proof may be: 1 s to 1 h, 60 s unless given.
    #[deserr(default)]
    pub max_age: Given<BoundedDuration<1_000, 3_600_000>>,
    /// How far the client's clock may be ahead: up to 5 min, 5 s unless given. A
    /// proof may be older by as much.
    #[deserr(default)]
    pub clock_skew: Given<BoundedDuration<0, 300_000>>,
    /// What clients call this server (`https://api.example`), where a proxy before
    /// Envoy changes scheme or host. The request's own `:scheme` and `:authority`
    /// unless given.
    #[deserr(default)]
    pub origins: OneOrMany<OriginText>,
    /// Asks for nonces (RFC 9449, section 9); not unless given.
    #[deserr(default)]
    pub nonce: Given<NonceConfig>,
    /// How many proofs of `max_age` are remembered, so that none is taken twice: up
    /// to 1,000,000, 10,000 unless given; 0 turns it off. Each takes about 32 bytes.
    #[deserr(default)]
    pub replay_cache_size: Given<Bounded<0, 1_000_000>>,
}

impl DpopConfig {
    /// The algorithms of proofs.
    pub fn algorithms(&self) -> Algorithms {
        match &self.algorithms.0 {
            Some(algorithms) => algorithms.iter().map(|algorithm| algorithm.0).collect(),
            None => Algorithms::ASYMMETRIC,
        }
    }

    /// How old a proof may be.
    pub fn max_age(&self) -> Duration {
        self.max_age
            .0
            .map_or(Duration::from_mins(1), BoundedDuration::get)
    }

    /// How far the client's clock may be off.
    pub fn clock_skew(&self) -> Duration {
        self.clock_skew
            .0
            .map_or(Duration::from_secs(5), BoundedDuration::get)
    }

    /// How many proofs are remembered.
    pub fn replay_cache_size(&self) -> u32 {
        let size = self.replay_cache_size.0.map_or(10_000, Bounded::get);
        u32::try_from(size).unwrap_or(0)
    }
}

/// Nonces that clients must put into their proofs.
#[derive(Debug, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct NonceConfig {
    /// How long a nonce is good for, at most; at least half as long. 10 s to 1 h,
    /// 5 min unless given.
    #[deserr(default)]
    pub lifetime: Given<BoundedDuration<10_000, 3_600_000>>,
    /// What nonces are made with: the same for all gateways that a client may meet.
    /// A random one, of this Envoy alone, unless given.
    #[deserr(default)]
    pub secret: Given<SecretSource>,
}

impl NonceConfig {
    /// How long a nonce is good for, at most.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
            .0
            .map_or(Duration::from_mins(5), BoundedDuration::get)
    }
}

/// An algorithm that proofs may be signed with: an asymmetric one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Schema)]
#[schema({
    "enum": Algorithms::ASYMMETRIC.iter().map(Algorithm::name).collect::<Vec<_>>(),
})]
pub struct ProofAlgorithm(Algorithm);

impl Deserr<ConfigErrors> for ProofAlgorithm {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let algorithm = Algorithm::deserialize_from_value(value, location)?;
        if Algorithms::ASYMMETRIC.contains(algorithm) {
            return Ok(Self(algorithm));
        }
        let problem = Problem::new(format!("{algorithm} is no algorithm for proofs"))
            .help("a proof is signed with a private key, such as by ES256");
        Err(ConfigErrors::at(location, problem))
    }
}

/// An [`Origin`], as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/\\?#@%]+/?$",
})]
pub struct OriginText(pub Origin);

impl Deserr<ConfigErrors> for OriginText {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(
            value,
            location,
            r#"an origin, such as "https://api.example""#,
        )?;
        Origin::parse(&text).map(Self).ok_or_else(|| {
            let problem = Problem::new("not an origin")
                .help("write scheme and host, without a path: https://api.example");
            ConfigErrors::at(location, problem)
        })
    }
}
