//! What stands between a filter and an upstream that fails: retries, circuit
//! breakers, and caches.

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

pub use backoff::{Backoff, MAX_RETRY_AFTER, retry_after};
pub use breaker::{
    BreakerSettings, BreakerState, CircuitBreaker, FailureRatio, Permit, Refused, Verdict,
};
pub use cache::{Cache, Life, Lookup};
pub use coalesce::Coalesce;
pub use config::{CircuitBreakerConfig, HttpServiceConfig, RetryPolicyConfig};
pub use fetch::{FetchCache, FetchSettings, Fetched};
pub use retry::{Outcome, Repeat, RetryOn, RetryPolicy, SHORTEST_TRY, Tries, UnknownWord};
pub use service::HttpService;
pub use shared::{SharedBreaker, Ticket};
