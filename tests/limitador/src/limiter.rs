//! limitador, and its verdicts.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context as _, Result, anyhow};
use limitador::limit::{Context, Limit};
use limitador::{AsyncRateLimiter, RateLimiter};

use crate::arguments::{Arguments, Storage};
use crate::messages::{Answer, Header, OK, OVER_LIMIT, Question, UNKNOWN};

/// For how many counters there is room in memory: `limitador-server` has as many.
const COUNTERS: u64 = 10_000;

pub(crate) struct Limiter {
    engine: Engine,
    headers: bool,
}

/// limitador's two kinds of storage.
enum Engine {
    Blocking(RateLimiter),
    #[cfg_attr(not(feature = "redis"), expect(dead_code))]
    Async(AsyncRateLimiter),
}

impl Limiter {
    pub(crate) async fn open(arguments: &Arguments) -> Result<Self> {
        let file = arguments.limits.display();
        let limits = fs::read(&arguments.limits).with_context(|| format!("cannot read {file}"))?;
        let limits: Vec<Limit> =
            serde_json::from_slice(&limits).with_context(|| format!("{file}: no limits"))?;
        let engine = match &arguments.storage {
            Storage::Memory => {
                let limiter = RateLimiter::new(COUNTERS);
                for limit in limits {
                    limiter.add_limit(limit);
                }
                Engine::Blocking(limiter)
            }
            Storage::Redis(url) => {
                let limiter = redis(url).await?;
                for limit in limits {
                    limiter.add_limit(limit);
                }
                Engine::Async(limiter)
            }
        };
        Ok(Self {
            engine,
            headers: arguments.headers,
        })
    }

    /// Counts a request, if it is within its limits. An error is one of the storage.
    pub(crate) async fn judge(&self, question: Question) -> Result<Answer> {
        if question.domain.is_empty() {
            return Ok(Answer::new(UNKNOWN));
        }
        let namespace = question.domain.into();
        let hits = u64::from(question.hits_addend.max(1));
        let descriptors = question.descriptors.into_iter().map(|descriptor| {
            let entries = descriptor.entries.into_iter();
            entries.map(|entry| (entry.key, entry.value)).collect()
        });
        let descriptors: Vec<HashMap<String, String>> = descriptors.collect();
        let mut context = Context::default();
        context.list_binding("descriptors".to_owned(), descriptors);
        let result = match &self.engine {
            Engine::Blocking(limiter) => {
                limiter.check_rate_limited_and_update(&namespace, &context, hits)
            }
            Engine::Async(limiter) => {
                let verdict = limiter.check_rate_limited_and_update(&namespace, &context, hits);
                verdict.await
            }
        };
        let mut result = result.map_err(|error| anyhow!("{error}"))?;
        let mut answer = Answer::new(if result.limited { OVER_LIMIT } else { OK });
        if self.headers {
            let headers = result.response_header().into_iter();
            answer.response_headers = headers.map(|(key, value)| Header { key, value }).collect();
            answer.response_headers.sort_by(|a, b| a.key.cmp(&b.key));
        }
        Ok(answer)
    }
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Result<AsyncRateLimiter> {
    use limitador::storage::redis::AsyncRedisStorage;

    let storage = AsyncRedisStorage::new(url).await;
    let storage = storage.with_context(|| format!("cannot use Redis at {url}"))?;
    Ok(AsyncRateLimiter::new_with_storage(Box::new(storage)))
}

#[cfg(not(feature = "redis"))]
async fn redis(_: &str) -> Result<AsyncRateLimiter> {
    anyhow::bail!("this build has no Redis: it wants the feature `redis`")
}
