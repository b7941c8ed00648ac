//! Tokens that were altered: none is taken, whatever was done to it, and none
//! does harm.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use fastrand::Rng;
use jsonwebtoken::crypto::rust_crypto;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, decode_header};
use legation_jose::{Algorithm, Algorithms, KeySet, KeyUse, Limits, Token};

use crate::signing::Signer;
use crate::working::{calls, host, host_without};

const CLAIMS: [&str; 3] = [
    "{}",
    r#"{"iss":"https://issuer.example","aud":["a","b"],"exp":1300819380,"nbf":1.5}"#,
    r#"{"sub":"ü","nested":{"a":[1,2,{"b":null}],"c":"\u00e9"},"iat":1300819380}"#,
];

/// How tokens by the algorithm that `jsonwebtoken` does not know begin.
const ES512: &str = "eyJhbGciOiJFUzUxMi";

struct Workshop {
    /// Tokens that are good.
    good: Vec<String>,
    keys: KeySet,
    /// As `jsonwebtoken` has them.
    reference: Vec<DecodingKey>,
}

impl Workshop {
    fn new() -> Self {
        let signer = Signer::new();
        let mut good = Vec::new();
        let mut jwks = BTreeSet::new();
        for &algorithm in Algorithm::ALL {
            jwks.insert(signer.jwk(algorithm));
            good.extend(CLAIMS.map(|claims| signer.token(algorithm, claims)));
        }
        let reference = jwks.iter().filter(|jwk| !jwk.contains("P-521")).map(|jwk| {
            let jwk: Jwk = serde_json::from_str(jwk).unwrap();
            DecodingKey::from_jwk(&jwk).unwrap()
        });
        let reference = reference.collect();
        let list = jwks.into_iter().collect::<Vec<_>>().join(",");
        let set = format!(r#"{{"keys":[{list}]}}"#);
        let keys = KeySet::from_jwks_for(set.as_bytes(), KeyUse::PublicAndSecret).unwrap();
        Self {
            good,
            keys,
            reference,
        }
    }

    fn takes(&self, token: &[u8]) -> bool {
        Token::parse(token, &Limits::default())
            .is_ok_and(|token| self.keys.verify(&token, Algorithms::ALL).is_ok())
    }

    /// What `jsonwebtoken` with the provider of its own does to decode one, but
    /// for the claims' values.
    fn reference_takes(&self, token: &[u8]) -> bool {
        let Ok(header) = decode_header(token) else {
            return false;
        };
        let text = std::str::from_utf8(token).unwrap();
        let (text, signature) = text.rsplit_once('.').unwrap();
        let claims = URL_SAFE_NO_PAD.decode(text.rsplit_once('.').unwrap().1);
        let is_json =
            claims.is_ok_and(|json| serde_json::from_slice::<serde_json::Map<_, _>>(&json).is_ok());
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        is_json
            && self.reference.iter().any(|key| {
                (rust_crypto::DEFAULT_PROVIDER.verifier_factory)(&header.alg, key)
                    .is_ok_and(|key| key.verify(text.as_bytes(), &signature).is_ok())
            })
    }

    /// Alters tokens so often.
    fn run(&self, cases: u32, seed: u64) {
        let mut random = Rng::with_seed(seed);
        for case in 0..cases {
            let token = self.altered(&mut random);
            let is_good = self.good.iter().any(|good| good.as_bytes() == token);
            if !is_good && self.takes(&token) {
                let token = String::from_utf8_lossy(&token);
                panic!("seed {seed}, case {case}: taken: {token}");
            }
        }
    }

    fn altered(&self, random: &mut Rng) -> Vec<u8> {
        let mut token = random.choice(&self.good).unwrap().clone().into_bytes();
        for _ in 0..random.u32(1..=3) {
            token = self.alter(&token, random);
        }
        token
    }

    fn alter(&self, token: &[u8], random: &mut Rng) -> Vec<u8> {
        let mut parts: Vec<Vec<u8>> = token
            .split(|&byte| byte == b'.')
            .map(<[u8]>::to_vec)
            .collect();
        let part = random.usize(..parts.len());
        let mut bytes = token.to_vec();
        let place = random.usize(..bytes.len().max(1));
        let other = random.choice(&self.good).unwrap();
        match random.u32(..14) {
            0 if !bytes.is_empty() => bytes[place] ^= 1 << random.u32(..8),
            1 => bytes.truncate(place),
            2 if !bytes.is_empty() => drop(bytes.remove(place)),
            3 => bytes.insert(place, random.u8(..)),
            4 => bytes.insert(place, *random.choice(b".=-_A+/ \n\0").unwrap()),
            5 if !bytes.is_empty() => bytes[place] = random.alphanumeric() as u8,
            // Parts of others, in other places, or twice.
            6 => {
                let theirs = other.split('.').nth(random.usize(..3)).unwrap();
                parts[part] = theirs.as_bytes().to_vec();
                bytes = parts.join(&b'.');
            }
            7 => {
                parts.swap(part, 0);
                bytes = parts.join(&b'.');
            }
            8 => {
                parts.push(parts[part].clone());
                bytes = parts.join(&b'.');
            }
            9 => {
                parts.remove(part);
                bytes = parts.join(&b'.');
            }
            // The same, written otherwise.
            10 | 11 => {
                if let Ok(plain) = URL_SAFE_NO_PAD.decode(&parts[part]) {
                    parts[part] = rewritten(plain, random).into_bytes();
                    bytes = parts.join(&b'.');
                }
            }
            // Another algorithm.
            12 => {
                let name = random.choice(Algorithm::ALL).unwrap().name();
                let header = format!(r#"{{"alg":"{name}","typ":"JWT"}}"#);
                parts[0] = URL_SAFE_NO_PAD.encode(header).into_bytes();
                bytes = parts.join(&b'.');
            }
            _ => {
                let last = bytes.len().saturating_sub(1);
                if let Some(byte) = bytes.get_mut(last) {
                    *byte = *random.choice(b"ABQgwz012389-_").unwrap();
                }
            }
        }
        bytes
    }
}

/// A part of a token in other words.
fn rewritten(mut plain: Vec<u8>, random: &mut Rng) -> String {
    match random.u32(..7) {
        0 => return URL_SAFE.encode(plain) + "=",
        1 => plain.push(b' '),
        2 => plain.insert(0, b'\n'),
        3 => {
            let text = String::from_utf8_lossy(&plain).replacen('{', r#"{"alg":"none","#, 1);
            plain = text.into_bytes();
        }
        4 => {
            let text = String::from_utf8_lossy(&plain).replacen("\"a", "\"\\u0061", 1);
            plain = text.into_bytes();
        }
        5 if !plain.is_empty() => {
            let place = random.usize(..plain.len());
            plain[place] ^= 1 << random.u32(..8);
        }
        // A number, or two numbers, one more or less.
        _ => match plain.last_mut() {
            Some(last) => *last = last.wrapping_add(random.u8(..3)).wrapping_sub(1),
            None => plain.push(0),
        },
    }
    URL_SAFE_NO_PAD.encode(plain)
}

fn alter(cases: u32) {
    let half = move |seed| move || Workshop::new().run(cases / 2, seed);
    calls(&host(), half(1));
    calls(&host_without(), half(2));
}

#[test]
fn an_altered_token_is_never_taken() {
    alter(4000);
}

#[test]
fn what_is_taken_is_what_jsonwebtoken_takes() {
    let work = || {
        let workshop = Workshop::new();
        for good in &workshop.good {
            assert!(workshop.takes(good.as_bytes()), "{good}");
            let known = !good.starts_with(ES512);
            assert_eq!(workshop.reference_takes(good.as_bytes()), known, "{good}");
        }
        let mut random = Rng::with_seed(3);
        for _ in 0..2000 {
            let token = workshop.altered(&mut random);
            let ours = workshop.takes(&token);
            let good = workshop.good.iter().any(|good| good.as_bytes() == token);
            assert!(ours == good, "{}", String::from_utf8_lossy(&token));
            assert!(
                !ours || workshop.reference_takes(&token) || token.starts_with(ES512.as_bytes())
            );
        }
    };
    calls(&host(), work);
}

mod soak {
    /// Three minutes on one core.
    #[test]
    #[ignore = "a million tokens"]
    fn a_million_altered_tokens_are_not_taken() {
        super::alter(1_000_000);
    }
}
