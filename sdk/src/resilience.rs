//! What stands between a filter and an upstream that fails: retries, circuit
//! breakers, and caches.

mod backoff;
mod breaker;
mod cache;
mod coalesce;
#[cfg(test)]
mod executor;
mod fetch;
mod retry;

pub use backoff::{Backoff, MAX_RETRY_AFTER, retry_after};
pub use breaker::{
    BreakerSettings, BreakerState, CircuitBreaker, FailureRatio, Permit, Refused, Verdict,
};
pub use cache::{Cache, Life, Lookup};
pub use coalesce::Coalesce;
pub use fetch::{FetchCache, FetchSettings, Fetched};
pub use retry::{Outcome, Repeat, RetryOn, RetryPolicy, SHORTEST_TRY, Tries, UnknownWord};
