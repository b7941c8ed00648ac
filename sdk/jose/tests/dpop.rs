//! What workers know together of proofs, on the mock host.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::time::Duration;

use deserr::Deserr;
use legation::config::ConfigErrors;
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result, clock};
use legation_jose::confirmation::Digest;
use legation_jose::dpop::{DpopConfig, Nonces, ReplayCache, Seen};
use legation_testing::{Host, Request};
use serde_json::json;

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Config {
    #[deserr(default)]
    dpop: DpopConfig,
}

/// Remembers the `jti` of each request, and says what it knew of it.
struct Remembering {
    cache: ReplayCache,
    nonces: Nonces,
}

#[legation::filter]
impl HttpFilter for Remembering {
    const NAME: &'static str = "remembering";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, _: &mut Configure) -> Result<Self, ConfigErrors> {
        let told =
            |error: legation::shared::SharedError| ConfigErrors::of_document(error.to_string());
        Ok(Self {
            cache: ReplayCache::open("test", config.dpop.replay_cache_size()).map_err(told)?,
            nonces: Nonces::shared("test.nonce", Duration::from_mins(5)).map_err(told)?,
        })
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let now = clock::now()?;
        let id = request.headers().get("jti")?.unwrap_or_default().to_vec();
        let key = request
            .headers()
            .get("key")?
            .and_then(|key| key.first())
            .copied();
        let key = Digest::new([key.unwrap_or(0); 32]);
        let until = now.checked_add(Duration::from_mins(1)).unwrap_or(now);
        let id = String::from_utf8(id).unwrap_or_default();
        let status = match self.cache.remember(key, &id, now, until)? {
            Seen::New => 200,
            Seen::NewForAnother => 201,
            Seen::Before => 409,
        };
        Ok(LocalReply::new(status)
            .header("nonce", self.nonces.give(now))
            .into())
    }
}

fn remember(host: &Host<Remembering>, key: &str, id: &str) -> u16 {
    let request = Request::get("/").header("jti", id).header("key", key);
    host.exchange(request).run().status()
}

#[test]
fn a_proof_is_taken_once_while_it_could_be_shown_again() {
    let host = Host::<Remembering>::configure(json!({})).unwrap();
    assert_eq!(remember(&host, "a", "one"), 200);
    assert_eq!(remember(&host, "a", "one"), 409);
    // Of another key it is another one.
    assert_eq!(remember(&host, "b", "one"), 200);
    assert_eq!(remember(&host, "a", "two"), 200);
    host.advance(Duration::from_mins(1));
    assert_eq!(remember(&host, "a", "one"), 409);
    host.advance(Duration::from_secs(2));
    assert_eq!(remember(&host, "a", "one"), 200);
}

#[test]
fn a_flood_of_proofs_takes_a_bounded_room() {
    let host = Host::<Remembering>::configure(json!({"dpop": {"replay_cache_size": 64}})).unwrap();
    let mut displaced = 0;
    for id in 0..2_000 {
        match remember(&host, "a", &id.to_string()) {
            200 => {}
            201 => displaced += 1,
            status => panic!("{id}: {status}"),
        }
    }
    assert!(displaced > 1_500, "{displaced}");
    // Those whose time is over make room for nothing.
    host.advance(Duration::from_mins(2));
    for id in 2_000..2_050 {
        assert_eq!(remember(&host, "a", &id.to_string()), 200);
    }
}

#[test]
fn workers_give_one_nonce() {
    let host = Host::<Remembering>::configure(json!({})).unwrap();
    let nonce = |host: &Host<Remembering>| {
        let exchange = host.exchange(Request::get("/")).run();
        exchange.response().header("nonce").unwrap().to_owned()
    };
    let first = nonce(&host);
    host.load(json!({})).unwrap();
    assert_eq!(nonce(&host), first);
}
