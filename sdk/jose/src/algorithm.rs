//! The algorithms of signatures.

use std::fmt;
use std::str::FromStr;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{self, ConfigErrors, Problem, Schema};

macro_rules! algorithms {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// How a token is signed (RFC 7518 section 3.1, RFC 8037, RFC 9864).
        ///
        /// Written by its exact name: `RS256`. `none` is not one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Schema)]
        #[schema({ "enum": [$($text,)* ED25519] })]
        pub enum Algorithm {
            $($(#[$doc])* $name,)*
        }

        impl Algorithm {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name that stands in a token's `alg`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

algorithms! {
    /// RSA with PKCS #1 v1.5 padding and SHA-256
    RS256 = "RS256",
    /// RSA with PKCS #1 v1.5 padding and SHA-384
    RS384 = "RS384",
    /// RSA with PKCS #1 v1.5 padding and SHA-512
    RS512 = "RS512",
    /// RSA with PSS padding and SHA-256
    PS256 = "PS256",
    /// RSA with PSS padding and SHA-384
    PS384 = "PS384",
    /// RSA with PSS padding and SHA-512
    PS512 = "PS512",
    /// ECDSA with P-256 and SHA-256
    ES256 = "ES256",
    /// ECDSA with P-384 and SHA-384
    ES384 = "ES384",
    /// ECDSA with P-521 and SHA-512
    ES512 = "ES512",
    /// HMAC with SHA-256
    HS256 = "HS256",
    /// HMAC with SHA-384
    HS384 = "HS384",
    /// HMAC with SHA-512
    HS512 = "HS512",
    /// Ed25519, which RFC 9864 names `Ed25519`; that name is taken as well.
    EdDSA = "EdDSA",
}

/// The other name of [`Algorithm::EdDSA`], of RFC 9864.
const ED25519: &str = "Ed25519";

impl Algorithm {
    /// Whether one key both signs and verifies (HS*).
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }

    /// As `jsonwebtoken` names it; it does not know ES512.
    pub(crate) const fn known(self) -> Option<jsonwebtoken::Algorithm> {
        use jsonwebtoken::Algorithm as Known;
        Some(match self {
            Self::RS256 => Known::RS256,
            Self::RS384 => Known::RS384,
            Self::RS512 => Known::RS512,
            Self::PS256 => Known::PS256,
            Self::PS384 => Known::PS384,
            Self::PS512 => Known::PS512,
            Self::ES256 => Known::ES256,
            Self::ES384 => Known::ES384,
            Self::ES512 => return None,
            Self::HS256 => Known::HS256,
            Self::HS384 => Known::HS384,
            Self::HS512 => Known::HS512,
            Self::EdDSA => Known::EdDSA,
        })
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no algorithm's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such algorithm")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        if name == ED25519 {
            return Ok(Self::EdDSA);
        }
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.name() == name)
            .ok_or(UnknownAlgorithm)
    }
}

impl Deserr<ConfigErrors> for Algorithm {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let name = config::string(value, location, "the name of an algorithm, such as RS256")?;
        name.parse().map_err(|UnknownAlgorithm| {
            let names = Self::ALL.iter().map(|algorithm| algorithm.name());
            let problem = match name.as_str() {
                "none" => Problem::new("tokens without a signature are never taken"),
                name => match config::suggest(name, names) {
                    Some(meant) => Problem::new(format!("`{name}` is no algorithm"))
                        .help(format!("did you mean `{meant}`?")),
                    None => Problem::new(format!("`{name}` is no algorithm")),
                },
            };
            ConfigErrors::at(location, problem)
        })
    }
}

/// A set of algorithms.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Algorithms(u16);

impl Algorithms {
    /// None of them: nothing verifies.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self::of(Algorithm::ALL);
    /// Those whose verifying key is public: all but HS*.
    pub const ASYMMETRIC: Self = Self(Self::ALL.0 & !Self::SYMMETRIC.0);
    /// HS256, HS384, HS512.
    pub const SYMMETRIC: Self = Self::of(&[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]);

    /// These.
    pub const fn of(mut algorithms: &[Algorithm]) -> Self {
        let mut bits = 0;
        while let [first, rest @ ..] = algorithms {
            bits |= first.bit();
            algorithms = rest;
        }
        Self(bits)
    }

    /// Whether it is one of these.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & algorithm.bit() != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Each of these, in the order of [`Algorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL
            .iter()
            .copied()
            .filter(move |algorithm| self.contains(*algorithm))
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(
            algorithms
                .into_iter()
                .fold(0, |bits, algorithm| bits | algorithm.bit()),
        )
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
