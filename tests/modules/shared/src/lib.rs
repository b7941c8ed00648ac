//! A filter whose workers share values, a map, a leader and a queue. The path
//! says what a request does, and what came of it is the answer, as JSON.
//!
//! - `/add/NAME/TIMES` adds one to a value, so many times.
//! - `/add-each/NAME/COUNT` adds one to each of so many values.
//! - `/values/NAME/COUNT` tells the values.
//! - `/touch/FIRST/COUNT` counts so many keys of the map, and the key `hot`.
//! - `/hot` tells the count of that key; `/memory` the size of the VM's memory.
//! - `/terms` tells who led from when to when; `/stop` has the leader no longer
//!   renew its lease.
//! - `/push/FIRST/COUNT` pushes so many numbers to the queue; `/popped` tells
//!   which ones were popped in a tick.

use std::collections::BTreeSet;
use std::num::ParseIntError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deserr::Deserr;
use legation::config::{Bounded, BoundedDuration, ConfigErrors};
use legation::shared::{
    Geometry, Json, Leader, MapValue, SharedError, SharedMap, SharedQueue, SharedValue,
};
use legation::{Configure, Error, Flow, HttpFilter, LocalReply, RequestHeaders, Result, clock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a test configures.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    /// How often an update is tried.
    #[deserr(default)]
    tries: Option<Bounded<1, 1_000>>,
    /// The map's buckets, of 8 entries each.
    #[deserr(default)]
    buckets: Option<Bounded<1, 1_000_000>>,
    /// How often workers try to lead and pop what is queued: never where it is
    /// not given.
    #[deserr(default)]
    tick: Option<BoundedDuration<1, 60_000>>,
    /// For how long one leads.
    #[deserr(default)]
    lease: Option<BoundedDuration<1, 60_000>>,
}

/// The filter.
#[derive(Debug)]
pub struct Together {
    tries: u32,
    map: SharedMap<Owned>,
    leader: Leader,
    lease: Duration,
    candidates: SharedValue<Json<BTreeSet<String>>>,
    terms: SharedValue<Json<Vec<Term>>>,
    stopped: SharedValue<String>,
    queue: SharedQueue<u64>,
    popped: SharedValue<Json<Vec<u64>>>,
}

/// A count that says whose it is.
#[derive(Debug, Clone, Copy)]
struct Owned {
    key: u64,
    count: u64,
}

impl MapValue for Owned {
    type Bytes = [u8; 16];

    fn to_bytes(&self) -> [u8; 16] {
        ((u128::from(self.key) << 64) | u128::from(self.count)).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let both = u128::from_le_bytes(bytes);
        Some(Self {
            key: u64::try_from(both >> 64).ok()?,
            count: u64::try_from(both & u128::from(u64::MAX)).ok()?,
        })
    }
}

/// That one led, as it saw it. Times are nanoseconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Term {
    leader: String,
    from: u64,
    until: u64,
}

/// The terms that are kept.
const TERMS: usize = 100;
/// The key that is used all the time.
const HOT: u64 = u64::MAX;
/// How often a request counts that key among so many others.
const HOT_EVERY: u64 = 50;
/// What the queue holds.
const QUEUED: u64 = 100;

#[legation::filter]
impl HttpFilter for Together {
    const NAME: &'static str = "shared";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        if let Some(period) = &config.tick {
            host.tick_every(period.get());
        }
        Self::new(&config).map_err(ConfigErrors::of_document)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let path = String::from_utf8_lossy(request.path()?.unwrap_or_default()).into_owned();
        let mut answer = self.answer(&path)?;
        if let Some(answer) = answer.as_object_mut() {
            let worker = self.leader.id().to_string();
            answer.insert("worker".to_owned(), Value::from(worker));
        }
        Ok(LocalReply::new(200).body(answer.to_string()).into())
    }

    fn on_tick(&self) {
        if let Err(error) = self.tick() {
            log::error!("{error}");
        }
    }
}

legation::register!(Together);

impl Together {
    fn new(config: &Config) -> Result<Self, SharedError> {
        let number = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let geometry = Geometry {
            buckets: config.buckets.map_or(16, |buckets| number(buckets.get())),
            ways: 8,
        };
        let lease = config
            .lease
            .map_or(Duration::from_secs(1), BoundedDuration::get);
        Ok(Self {
            tries: config.tries.map_or(64, |tries| number(tries.get())),
            map: SharedMap::open("shared.map", geometry)?,
            leader: Leader::new("shared.leader")?,
            lease,
            candidates: SharedValue::new("shared.candidates"),
            terms: SharedValue::new("shared.terms"),
            stopped: SharedValue::new("shared.stopped"),
            queue: SharedQueue::register("shared.queue", QUEUED)?,
            popped: SharedValue::new("shared.popped"),
        })
    }

    fn answer(&self, path: &str) -> Result<Value> {
        let number = |text: &str| {
            text.parse::<u64>()
                .map_err(|error: ParseIntError| Error::other(error.to_string()))
        };
        let words: Vec<_> = path.split('/').skip(1).collect();
        Ok(match *words.as_slice() {
            ["add", name, times] => {
                let value = self.value(name);
                let mut tally = Tally::default();
                for _ in 0..number(times)? {
                    tally.add_one(&value)?;
                }
                tally.show()
            }
            ["add-each", name, count] => {
                let mut tally = Tally::default();
                for n in 0..number(count)? {
                    tally.add_one(&self.value(&format!("{name}.{n}")))?;
                }
                tally.show()
            }
            ["values", name, count] => {
                let values = (0..number(count)?)
                    .map(|n| self.value(&format!("{name}.{n}")).get())
                    .collect::<Result<Vec<_>, _>>()?;
                json!({ "values": values })
            }
            ["value", name] => json!({ "value": self.value(name).get()? }),
            ["touch", first, count] => self.touch(number(first)?, number(count)?)?,
            ["hot"] => {
                let hot = self.map.get(&HOT.to_le_bytes())?;
                let max_bytes = self.map.max_bytes();
                json!({ "hot": hot.map(|hot| hot.count), "max_bytes": max_bytes })
            }
            ["memory"] => json!({ "bytes": memory() }),
            ["terms"] => {
                let terms = self.terms.get()?.unwrap_or_default().0;
                let candidates = self.candidates.get()?.unwrap_or_default().0;
                json!({ "terms": terms, "candidates": candidates })
            }
            ["stop"] => {
                let leader = self.leader.holder(clock::now()?)?;
                let leader = leader.map(|id| id.to_string());
                if let Some(leader) = &leader {
                    self.stopped.set(leader)?;
                }
                json!({ "stopped": leader })
            }
            ["push", first, count] => {
                let first = number(first)?;
                let (mut pushed, mut full) = (0_u64, 0_u64);
                for n in first..first.saturating_add(number(count)?) {
                    match self.queue.push(&n) {
                        Ok(()) => pushed = pushed.saturating_add(1),
                        Err(SharedError::Full { .. }) => full = full.saturating_add(1),
                        Err(error) => return Err(error.into()),
                    }
                }
                json!({ "pushed": pushed, "full": full })
            }
            ["popped"] => json!({ "popped": self.popped.get()?.unwrap_or_default().0 }),
            _ => json!({}),
        })
    }

    fn value(&self, name: &str) -> SharedValue<u64> {
        SharedValue::new(format!("shared.value.{name}")).tries(self.tries)
    }

    fn touch(&self, first: u64, count: u64) -> Result<Value> {
        let now = clock::now()?;
        let (mut tries, mut displaced, mut others, mut hot) = (0_u64, 0_u64, 0_u64, 0_u64);
        for n in 0..count {
            let mut keys = vec![first.saturating_add(n)];
            if n.is_multiple_of(HOT_EVERY) {
                keys.push(HOT);
                hot = hot.saturating_add(1);
            }
            for key in keys {
                let updated = self.map.update(&key.to_le_bytes(), now, |old| {
                    let Owned { key, count } = old.unwrap_or(Owned { key, count: 0 });
                    let count = count.saturating_add(1);
                    Some(Owned { key, count })
                })?;
                tries = tries.saturating_add(u64::from(updated.tries));
                displaced = displaced.saturating_add(u64::from(updated.displaced));
                let is_own = updated.value.is_some_and(|value| value.key == key);
                others = others.saturating_add(u64::from(!is_own));
            }
        }
        Ok(json!({ "tries": tries, "displaced": displaced, "others": others, "hot": hot }))
    }

    fn tick(&self) -> Result<(), SharedError> {
        let me = self.leader.id().to_string();
        self.candidates.update(|old| {
            let mut candidates = old.unwrap_or_default();
            candidates.0.insert(me.clone()).then_some(candidates)
        })?;
        while let Some(number) = self.queue.pop()? {
            self.popped.update(|old| {
                let mut popped = old.unwrap_or_default();
                popped.0.push(number);
                Some(popped)
            })?;
        }
        if self.stopped.get()?.is_some_and(|stopped| stopped == me) {
            return Ok(());
        }
        let now = clock::now()?;
        if self.leader.try_lead(now, self.lease)? {
            let from = nanoseconds(now);
            let until = from.saturating_add(nanoseconds_of(self.lease));
            self.terms.update(|old| {
                let mut terms = old.unwrap_or_default().0;
                match terms.last_mut() {
                    Some(last) if last.leader == me => last.until = until,
                    _ => terms.push(Term {
                        leader: me.clone(),
                        from,
                        until,
                    }),
                }
                terms.drain(..terms.len().saturating_sub(TERMS));
                Some(Json(terms))
            })?;
        }
        Ok(())
    }
}

/// What came of several updates.
#[derive(Default)]
struct Tally {
    added: u64,
    retried: u64,
    gave_up: u64,
}

impl Tally {
    /// Adds one, and begins again where it was given up.
    fn add_one(&mut self, value: &SharedValue<u64>) -> Result<()> {
        let tries = loop {
            match value.update(|old| Some(old.unwrap_or(0).saturating_add(1))) {
                Ok(updated) => break updated.tries,
                Err(SharedError::Contended { tries, .. }) => {
                    self.gave_up = self.gave_up.saturating_add(1);
                    self.retried = self.retried.saturating_add(u64::from(tries));
                }
                Err(error) => return Err(error.into()),
            }
        };
        let failed = tries.saturating_sub(1);
        self.added = self.added.saturating_add(1);
        self.retried = self.retried.saturating_add(u64::from(failed));
        Ok(())
    }

    fn show(&self) -> Value {
        json!({ "added": self.added, "retried": self.retried, "gave_up": self.gave_up })
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    nanoseconds_of(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn nanoseconds_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The bytes of the module's memory.
#[cfg(target_arch = "wasm32")]
fn memory() -> usize {
    const PAGE: usize = 64 * 1024;
    std::arch::wasm32::memory_size::<0>().saturating_mul(PAGE)
}

#[cfg(not(target_arch = "wasm32"))]
fn memory() -> usize {
    0
}
