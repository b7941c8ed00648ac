//! Tokens for the requests of cases that check them: minted before anything is measured.

use std::collections::BTreeMap;

use legation_tests::jwt::{Claims, Key};
use serde_json::{Value, json};

pub(super) const ISSUER: &str = "https://login.shop.example/";
pub(super) const AUDIENCE: &str = "https://api.shop.example";

/// Tokens signed by one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tokens {
    pub(super) algorithm: &'static str,
    pub(super) variety: Variety,
}

/// Whether a request brings a token that was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Variety {
    /// Every request has the same.
    One,
    /// So many one after another that no cache of the filters' still has the first when it
    /// comes again.
    Distinct,
}

impl Variety {
    /// Twice as many as the largest cache has room for.
    const fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Distinct => 2_048,
        }
    }
}

/// The tokens of all cases.
pub(super) struct Pools(BTreeMap<Tokens, Vec<String>>);

impl Pools {
    pub(super) fn mint(tokens: impl Iterator<Item = Tokens>) -> Self {
        let mut pools = BTreeMap::new();
        for tokens in tokens {
            pools.entry(tokens).or_insert_with(|| mint(tokens));
        }
        Self(pools)
    }

    pub(super) fn of(&self, tokens: Tokens) -> &[String] {
        self.0.get(&tokens).map_or(&[], Vec::as_slice)
    }
}

/// The key that signs by an algorithm, with its name for `kid`.
pub(super) fn key(algorithm: &str) -> Key {
    let key = match algorithm {
        "ES256" => Key::p256(),
        "EdDSA" => Key::ed25519(),
        "HS256" => Key::hmac([7; 32]),
        _ => Key::rsa(),
    };
    key.with_id("2026-11-key").with_algorithm(algorithm)
}

fn mint(tokens: Tokens) -> Vec<String> {
    let key = key(tokens.algorithm);
    let numbers = 0..tokens.variety.count();
    numbers
        .map(|number| Claims::from(claims(number)).signed_by(&key))
        .collect()
}

/// What identity providers usually put into an access token, for a day.
fn claims(number: usize) -> Value {
    let now = legation_tests::jwt::now();
    json!({
        "iss": ISSUER,
        "sub": format!("auth0|5f7c8ec7c33c6c004bbafe{number:04}"),
        "aud": [AUDIENCE, "https://login.shop.example/userinfo"],
        "iat": now - 60,
        "exp": now + 86_400,
        "jti": format!("3f1c6a2e-7d0b-4c55-9b1a-{number:012}"),
        "azp": "my-shop-frontend",
        "scope": "openid profile email orders:read orders:write",
        "email": format!("customer{number:04}@shop.example"),
        "roles": ["customer", "beta"],
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_are_as_many_as_asked_for_and_all_distinct() {
        let one = Tokens {
            algorithm: "HS256",
            variety: Variety::One,
        };
        let distinct = Tokens {
            variety: Variety::Distinct,
            ..one
        };

        let pools = Pools::mint([one, distinct, one].into_iter());

        assert_eq!(pools.of(one).len(), 1);
        let all: HashSet<_> = pools.of(distinct).iter().collect();
        assert_eq!(all.len(), Variety::Distinct.count());
    }

    #[test]
    fn a_token_is_of_the_usual_size() {
        let tokens = Tokens {
            algorithm: "RS256",
            variety: Variety::One,
        };

        let size = Pools::mint([tokens].into_iter()).of(tokens)[0].len();

        assert!((700..1_100).contains(&size), "{size}");
    }
}
