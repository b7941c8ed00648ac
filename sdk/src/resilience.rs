//! What stands between a filter and an upstream that fails: retries, circuit
//! breakers, and caches.
//!
//! A filter embeds two values, and has the rest of this inside them:
//!
//! - [`HttpService`]: one upstream that it talks to, by HTTP or gRPC, with the
//!   retries, time limits and circuit breaker that users write
//!   ([`HttpServiceConfig`], one vocabulary for all filters).
//! - [`FetchCache`]: what it fetched, for as long as it is good: one fetch for all
//!   who ask, stale values while another is fetched or when none can be.
//!
//! ```
//! # use deserr::Deserr;
//! # use std::time::Duration;
//! # use legation::config::ConfigErrors;
//! # use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};
//! use legation::callout::CalloutError;
//! use legation::resilience::{
//!     FetchCache, FetchSettings, Fetched, HttpService, HttpServiceConfig, Repeat,
//! };
//!
//! # #[derive(Deserr)]
//! # #[deserr(error = ConfigErrors, deny_unknown_fields)]
//! # struct Config { introspection: HttpServiceConfig }
//! /// Lets a request in if its token is active.
//! struct Introspecting {
//!     service: HttpService,
//!     active: FetchCache<Vec<u8>, bool>,
//! }
//!
//! impl Introspecting {
//!     async fn is_active(&self, token: &[u8]) -> Result<bool, CalloutError> {
//!         let fetch = || {
//!             let service = self.service.clone();
//!             let request = service.post("/introspect").body(token);
//!             async move {
//!                 // A POST, but one that only asks.
//!                 let answer = service.send_as(request, Repeat::Safe).await?;
//!                 match (answer.status(), answer.body()) {
//!                     (200, b"active") => Ok(Fetched::new(true)),
//!                     (200, _) => Ok(Fetched::new(false).negative()),
//!                     (status, _) => Err(CalloutError::Malformed(format!("status {status}"))),
//!                 }
//!             }
//!         };
//!         self.active.get_or_fetch(token, fetch).await.map(|active| *active)
//!     }
//! }
//!
//! #[legation::filter]
//! impl HttpFilter for Introspecting {
//! #   const NAME: &'static str = "introspecting";
//! #   type Config = Config;
//! #   type Stream = ();
//! #
//!     fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
//!         let settings = FetchSettings { ttl: Duration::from_secs(30), ..FetchSettings::default() };
//!         Ok(Self {
//!             service: HttpService::new(&config.introspection, host),
//!             active: FetchCache::new(settings),
//!         })
//!     }
//!
//!     async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
//!         let token = request.headers().get("x-token")?.map(<[u8]>::to_vec);
//!         match self.is_active(&token.unwrap_or_default()).await {
//!             Ok(true) => Ok(Flow::Continue),
//!             Ok(false) => Ok(LocalReply::new(401).into()),
//!             Err(_) => Ok(LocalReply::new(503).into()),
//!         }
//!     }
//! }
//! ```
//!
//! What they are made of can be used alone. The deciding parts take values and
//! times, and make no host calls: [`Backoff`], [`RetryPolicy`] with [`Tries`],
//! [`CircuitBreaker`], [`Cache`]; and [`Coalesce`] needs no more than
//! [`spawn`](crate::spawn).
//!
//! Everything here is of one worker: Envoy has a module's memory once for each, and
//! each opens its breaker and fetches its values for itself. Nothing is borrowed
//! while a future waits or while the code of a value runs, except a key's hash
//! and comparison. Nothing grows without a bound.

mod backoff;
mod breaker;
mod cache;
mod coalesce;
mod config;
mod ended;
#[cfg(test)]
mod executor;
mod fetch;
mod retry;
mod service;
mod shared;
mod trouble;

pub use backoff::{Backoff, MAX_RETRY_AFTER, retry_after};
pub use breaker::{
    BreakerSettings, BreakerState, CircuitBreaker, FailureRatio, Permit, Refused, Verdict,
};
pub use cache::{Cache, Life, Lookup};
pub use coalesce::Coalesce;
pub use config::{
    CircuitBreakerConfig, ClusterName, EnvoyGrpc, HttpServiceConfig, HttpUri, RetryPolicyConfig,
};
pub use fetch::{FetchCache, FetchSettings, Fetched};
pub use retry::{Outcome, Repeat, RetryOn, RetryPolicy, SHORTEST_TRY, Tries, UnknownWord};
pub use service::HttpService;
pub use shared::{SharedBreaker, Ticket};
pub use trouble::Trouble;
