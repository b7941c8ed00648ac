//! What the module keeps of tokens: a bounded number of them.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use legation_tests::jwt::{Claims, Key, jwks};
use legation_tests::{Client, Config, Request, Stage};
use serde_json::json;

use super::{ISSUER, local};

/// The first requests fill the cache. The module's memory never shrinks: hardly more pages after
/// the last request than after the first ones say that nothing was left of those between.
#[test]
fn memory_is_flat_after_15_000_distinct_tokens() -> Result<()> {
    run(5_000, 15_000, false)
}

/// `cargo xtask soak` runs it, and the ordinary tests leave it out by its module.
mod soak {
    use super::{Result, run};

    /// Every second one is refused. Of refused streams a thousand and more are remembered before
    /// they are looked through, in a table that grows once more when it is full of gaps.
    #[test]
    #[ignore = "takes minutes"]
    fn memory_is_flat_after_a_million_distinct_tokens() -> Result<()> {
        run(50_000, 1_000_000, true)
    }
}

/// Pages of 64 KiB by which the memory may have grown, as what is free lies scattered: one more or
/// one fewer is a matter of when requests came. Fourteen bytes left of each token would be more.
const SCATTERED: u64 = 2;

/// Requests at once.
const AT_ONCE: u64 = 8;

fn run(first: u64, all: u64, forge: bool) -> Result<()> {
    let keys = Keys::new(forge);
    let provider = json!({"issuer": ISSUER, "local_jwks": local(&jwks(&keys.all()))});
    let filters = json!({"filters": [
        {"name": "jwt-auth", "config": {
            "providers": {"p": provider},
            "rules": [{"requires": {"provider_name": "p"}}],
        }},
        {"name": "memory"},
    ]});
    let stage = Stage::start(&Config::with_filter("jwt-memory", filters)?)?;
    send(&stage, &keys, 0..first)?;
    let before = pages(&stage, &keys)?;
    send(&stage, &keys, first..all)?;
    let after = pages(&stage, &keys)?;
    println!("{first} tokens: {before} pages of memory, {all}: {after}");
    assert!(after <= before + SCATTERED, "{before} pages, then {after}");
    Ok(())
}

struct Keys {
    hmac: Key,
    p256: Key,
    ed25519: Key,
    /// Whether every second token is forged.
    forge: bool,
}

impl Keys {
    fn new(forge: bool) -> Self {
        Self {
            forge,
            hmac: Key::hmac([7; 32]).with_id("hmac"),
            p256: Key::p256().with_id("p256"),
            ed25519: Key::ed25519().with_id("ed25519"),
        }
    }

    fn all(&self) -> [&Key; 3] {
        [&self.hmac, &self.p256, &self.ed25519]
    }

    /// Most tokens are of the kind that is signed soonest.
    fn request(&self, number: u64) -> (Request, u16) {
        let claims = Claims::of(ISSUER)
            .claim("jti", format!("token-{number}"))
            .claim("roles", json!(["customer", {"of": number}]));
        let key = match number % 50 {
            10 => &self.p256,
            20 => &self.ed25519,
            _ => &self.hmac,
        };
        let mut token = claims.signed_by(key);
        let status = if self.forge && number % 2 == 1 {
            token.insert(token.len() - 20, 'A');
            401
        } else {
            200
        };
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        (request, status)
    }
}

fn pages(stage: &Stage, keys: &Keys) -> Result<u64> {
    let token = Claims::of(ISSUER).signed_by(&keys.hmac);
    let request = Request::get("/memory").header("authorization", format!("Bearer {token}"));
    let response = stage.send(request)?;
    ensure!(response.status == 200, "{response}");
    Ok(response.text().trim().parse()?)
}

fn send(stage: &Stage, keys: &Keys, numbers: std::ops::Range<u64>) -> Result<()> {
    let next = AtomicU64::new(numbers.start);
    let address = stage.envoy().address()?;
    std::thread::scope(|scope| {
        let workers = (0..AT_ONCE).map(|_| {
            scope.spawn(|| -> Result<()> {
                let client = Client::http1(address);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        return Ok(());
                    }
                    let (request, status) = keys.request(number);
                    let response = client.send(request)?;
                    ensure!(response.status == status, "{number}: {response}");
                    if number.is_multiple_of(1_000) {
                        stage.upstream().forget();
                    }
                }
            })
        });
        let workers = workers.collect::<Vec<_>>();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("the thread ran"))
    })
}
