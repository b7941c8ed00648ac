//! What comes from the provider, changed at random: nothing panics, and no ID token is taken but the one
//! that was signed.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::time::{Duration, SystemTime};

use fastrand::Rng;
use legation_jose::{Algorithms, KeySet, Token};
use legation_tests::jwt::{Claims, Key, jwks, now};
use serde_json::json;

use super::answer::Answer;
use super::id_token::{self, Expected};

const ISSUER: &str = "https://login.example";
const CLIENT: &str = "shop";
const NONCE: &str = "n-0S6_WzA2Mj";

struct World {
    keys: KeySet,
    rules: id_token::Rules,
    id_token: String,
    answers: Vec<String>,
}

impl World {
    fn new() -> Self {
        legation_jose::crypto::install();
        let key = Key::p256().with_id("a");
        let signed = |claims: Claims, key: &Key| {
            claims
                .claim("nonce", NONCE)
                .claim("iat", now())
                .signed_by(key)
        };
        let id_token = signed(Claims::of(ISSUER).audience(CLIENT), &key);
        let others = [
            signed(
                Claims::of(ISSUER).audience(CLIENT),
                &Key::other_p256().with_id("a"),
            ),
            signed(Claims::of("https://evil.example").audience(CLIENT), &key),
            signed(Claims::of(ISSUER).audience("another"), &key),
        ];
        let answer = |id_token: &str| {
            json!({
                "access_token": "2YotnFZFEjr1zCsicMWpAA",
                "token_type": "Bearer",
                "expires_in": 3600,
                "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",
                "id_token": id_token,
                "scope": "openid email",
            })
            .to_string()
        };
        let mut answers = vec![
            answer(&id_token),
            json!({"error": "invalid_grant", "error_description": "spent"}).to_string(),
            "<html>down</html>".to_owned(),
        ];
        answers.extend(others.iter().map(|token| answer(token)));
        Self {
            keys: KeySet::from_jwks(jwks(&[&key]).to_string().as_bytes()).unwrap(),
            rules: id_token::Rules {
                issuer: ISSUER.into(),
                client_id: CLIENT.into(),
                clock_skew: Duration::from_mins(1),
            },
            id_token,
            answers,
        }
    }

    fn takes(&self, text: &str) -> bool {
        let Ok(token) = Token::parse(text.as_bytes(), &id_token::LIMITS) else {
            return false;
        };
        let expected = Expected {
            nonce: Some(NONCE),
            access_token: None,
            max_age: None,
            subject: None,
        };
        self.rules
            .check(&token, &expected, SystemTime::now())
            .is_ok()
            && self.keys.verify(&token, Algorithms::ASYMMETRIC).is_ok()
    }
}

/// None to four changes.
fn change(random: &mut Rng, text: &mut Vec<u8>, others: &[String]) {
    for _ in 0..random.u8(..5) {
        let at = random.usize(..=text.len());
        match random.u8(..6) {
            0 if at < text.len() => text[at] ^= 1 << random.u8(..8),
            1 if at < text.len() => {
                text.remove(at);
            }
            2 => text.insert(at, random.u8(..)),
            3 => text.truncate(at),
            4 => {
                let other = random.choice(others).map_or("", String::as_str).as_bytes();
                let from = random.usize(..=other.len());
                text.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let end = random.usize(at..=text.len());
                let piece = text[at..end].to_vec();
                text.splice(at..at, piece);
            }
        }
    }
}

fn run(cases: u32, seed: u64) {
    let world = World::new();
    let mut random = Rng::with_seed(seed);
    let (mut read, mut taken) = (0, 0);
    for _ in 0..cases {
        let mut body = random.choice(&world.answers).unwrap().clone().into_bytes();
        change(&mut random, &mut body, &world.answers);
        let status = *random.choice(&[200, 200, 200, 400, 503]).unwrap();
        let answer = Answer {
            status,
            content_type: b"application/json",
            body: &body,
        };
        let Ok(tokens) = answer.tokens() else {
            continue;
        };
        read += 1;
        assert_eq!(status, 200);
        assert!(!tokens.access_token.is_empty());
        if let Some(id_token) = tokens.id_token
            && world.takes(&id_token)
        {
            assert_eq!(*id_token, *world.id_token, "seed {seed}");
            taken += 1;
        }
    }
    println!(
        "{cases} answers, seed {seed}: {read} read, {taken} ID tokens taken, all as they were signed"
    );
    assert!(taken > cases / 1_000 && read > taken);
}

#[test]
fn two_thousand_answers() {
    run(2_000, 7);
}

mod soak {
    #[test]
    #[ignore = "takes a minute or two"]
    fn a_million_answers() {
        super::run(1_000_000, fastrand::u64(..));
    }
}
