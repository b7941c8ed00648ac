//! What is limited, and which of it a request meets.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use deserr::ValuePointerRef;
use legation::config::ConfigErrors;
use smallvec::SmallVec;

use crate::config::{self, Config};
use crate::descriptor::{Descriptor, Entry};
use crate::limit::{Limit, TokenBucket, Window};
use crate::slots::MOST;

/// What the default limit is called.
const DEFAULT: &str = "default";

/// Said of the only limit whose numbers, each in its range, are out of range together.
const TOO_SLOW: &str = "the token bucket would take more than 200 years to fill";

/// The policies of a configuration.
#[derive(Debug)]
pub(crate) struct Policies {
    list: Box<[Policy]>,
    /// Those for certain values, by the entries as they stand in a key.
    exact: HashMap<Box<[u8]>, usize>,
    /// Those for any values, in the order they are written.
    wild: Box<[usize]>,
    /// The one for requests that meet none of the others, or for all.
    default: Option<usize>,
    always_consume_default: bool,
}

/// Limits for requests with certain descriptors.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: Box<str>,
    pub(crate) kind: Kind,
    /// Whether it is only watched.
    pub(crate) is_shadow: bool,
    pattern: Box<[Pattern]>,
    /// What its table is called by: the same on all workers and wherever it stands, and
    /// another one for other entries. Not for other numbers, as shared data keeps for ever
    /// what it was given under a name.
    pub(crate) table: u64,
    /// What its keys begin with: another one once it limits anything else.
    identity: u64,
}

/// An entry that a descriptor must have: of a certain value, or of any.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    pub(crate) key: Box<str>,
    pub(crate) value: Option<Box<[u8]>>,
}

/// How requests are limited.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// In number and time: by all of these.
    Rate(SmallVec<[Limit; MOST]>),
    /// So many at a time.
    Concurrency(u32),
}

/// What a request meets, in the order it is asked.
#[derive(Debug, Default)]
pub(crate) struct Meeting {
    met: SmallVec<[Span; 2]>,
    /// The keys, one behind the other: none is moved, nor in memory of its own.
    keys: Vec<u8>,
}

/// A policy that a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Met<'a> {
    pub(crate) policy: usize,
    /// What it is written down under.
    pub(crate) key: &'a [u8],
    /// What the request counts for.
    pub(crate) hits: u32,
}

#[derive(Debug)]
struct Span {
    policy: usize,
    hits: u32,
    from: usize,
    to: usize,
}

impl Meeting {
    /// Of nobody, with this memory for the keys.
    pub(crate) fn with_memory(mut keys: Vec<u8>) -> Self {
        keys.clear();
        let met = SmallVec::new();
        Self { met, keys }
    }

    /// The memory, to be used again.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.keys
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Met<'_>> {
        self.met.iter().map(|span| self.met(span))
    }

    fn met(&self, span: &Span) -> Met<'_> {
        Met {
            policy: span.policy,
            key: self.keys.get(span.from..span.to).unwrap_or_default(),
            hits: span.hits,
        }
    }

    /// Forgets the last, whose key is the last too, where it is one of the first so many.
    fn forget_last_if_among(&mut self, first: usize) {
        let Some(last) = self.met.last() else {
            return;
        };
        let mut others = self.met.iter().take(first);
        if others.any(|other| self.met(other) == self.met(last)) {
            self.keys.truncate(last.from);
            self.met.pop();
        }
    }
}

impl Policies {
    /// As configured.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigErrors> {
        let at = ValuePointerRef::Origin;
        let list = at.push_key("descriptors");
        let mut errors = None;
        let mut policies = Vec::new();
        let mut kind = |limits: &[config::Limit], at: ValuePointerRef<'_>| {
            let kind = Kind::of(limits);
            if kind.is_none() {
                ConfigErrors::add(&mut errors, ConfigErrors::at(at, TOO_SLOW));
            }
            kind
        };
        for (index, descriptor) in config.descriptors.iter().enumerate() {
            let pattern = descriptor.entries.iter().map(|entry| Pattern {
                key: entry.key.clone(),
                value: entry.value.as_deref().map(|value| value.as_bytes().into()),
            });
            if let Some(kind) = kind(&descriptor.limits, list.push_index(index)) {
                let name = descriptor.name.as_str();
                policies.push(Policy::new(
                    name,
                    pattern.collect(),
                    kind,
                    descriptor.shadow_mode,
                ));
            }
        }
        let mut default = None;
        if !config.default_limits.is_empty() {
            let kind = kind(&config.default_limits, at);
            default = kind.map(|kind| Policy::new(DEFAULT, Vec::new(), kind, false));
        }
        let always = config.always_consume_default_token_bucket;
        ConfigErrors::check(errors, ())?;
        Ok(Self::new(policies, default, always))
    }
}

impl Kind {
    /// `None` where a limit is out of range.
    fn of(limits: &[config::Limit]) -> Option<Self> {
        let mut rates = SmallVec::new();
        for limit in limits {
            let window =
                |window: config::Window| Window::new(window.requests.get(), window.window.get());
            rates.push(match *limit {
                config::Limit::TokenBucket(bucket) => Limit::TokenBucket(TokenBucket::new(
                    bucket.max_tokens.get(),
                    bucket.tokens_per_fill.get(),
                    bucket.fill_interval.get(),
                )?),
                config::Limit::FixedWindow(own) => Limit::FixedWindow(window(own)?),
                config::Limit::SlidingWindow(own) => Limit::SlidingWindow(window(own)?),
                config::Limit::Concurrency(own) => return Some(Self::Concurrency(own.max.get())),
            });
        }
        Some(Self::Rate(rates))
    }
}

impl Policy {
    pub(crate) fn new(name: &str, pattern: Vec<Pattern>, kind: Kind, is_shadow: bool) -> Self {
        let mut hasher = DefaultHasher::new();
        pattern.hash(&mut hasher);
        let table = hasher.finish();
        kind.hash(&mut hasher);
        Self {
            name: name.into(),
            pattern: pattern.into(),
            table,
            identity: hasher.finish(),
            kind,
            is_shadow,
        }
    }

    /// Its limits in number and time, if it has any.
    pub(crate) fn limits(&self) -> &[Limit] {
        match &self.kind {
            Kind::Rate(limits) => limits,
            Kind::Concurrency(_) => &[],
        }
    }

    fn is_exact(&self) -> bool {
        self.pattern.iter().all(|entry| entry.value.is_some())
    }

    fn takes(&self, entries: &[Entry]) -> bool {
        let pairs = || self.pattern.iter().zip(entries);
        self.pattern.len() == entries.len()
            && pairs().all(|(own, entry)| {
                let any = || {
                    own.value
                        .as_deref()
                        .is_none_or(|value| value == &*entry.value)
                };
                *own.key == *entry.key && any()
            })
    }
}

impl Policies {
    /// The default policy is one without a pattern.
    pub(crate) fn new(list: Vec<Policy>, default: Option<Policy>, always_default: bool) -> Self {
        let mut list = list;
        let wild = list
            .iter()
            .enumerate()
            .filter(|(_, policy)| !policy.is_exact());
        let wild = wild.map(|(number, _)| number).collect();
        let exact = list
            .iter()
            .enumerate()
            .filter(|(_, policy)| policy.is_exact());
        let exact = exact.map(|(number, policy)| {
            let entries = policy.pattern.iter();
            let entries = entries.map(|entry| (&*entry.key, entry.value.as_deref().unwrap_or(b"")));
            let mut key = Vec::new();
            write_all(entries, &mut key);
            (key.into(), number)
        });
        let exact = exact.collect();
        let number = list.len();
        let default = default.map(|default| {
            list.push(default);
            number
        });
        Self {
            list: list.into(),
            exact,
            wild,
            default,
            always_consume_default: always_default,
        }
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Policy> {
        self.list.get(number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.list.iter()
    }

    /// The limits of a policy in number and time.
    pub(crate) fn limits(&self, number: usize) -> Option<&[Limit]> {
        self.get(number).map(Policy::limits)
    }

    /// Adds what a request meets to `meeting`, which is empty: with its descriptors by each
    /// way to read its path, whatever it would meet by any of them. `scope` is what tells
    /// its keys from those of others besides.
    pub(crate) fn meet<'a>(
        &self,
        readings: impl IntoIterator<Item = &'a [Descriptor]>,
        scope: &[u8],
        meeting: &mut Meeting,
    ) {
        let mut meets_default = false;
        for descriptors in readings {
            let meets_any = self.meet_by(descriptors, scope, meeting);
            meets_default |= self.always_consume_default || !meets_any;
        }
        if meeting.met.len() > 1 {
            let kind = |met: &Span| self.get(met.policy).map(|policy| &policy.kind);
            let by_rate = |one: &Span, other: &Span| by_rate(kind(one), kind(other));
            meeting.met.sort_by(by_rate);
        }
        if let Some(default) = self.default
            && meets_default
        {
            let from = meeting.keys.len();
            begin(scope, &mut meeting.keys);
            // What a descriptor counts for is its own, as in Envoy.
            self.add(default, 1, from, meeting);
        }
    }

    /// Adds what is met by one way to read a path, but for what was met by another. Whether
    /// anything is.
    fn meet_by(&self, descriptors: &[Descriptor], scope: &[u8], meeting: &mut Meeting) -> bool {
        let (by_others, mut meets_any) = (meeting.met.len(), false);
        for descriptor in descriptors {
            let from = meeting.keys.len();
            let entries_from = begin(scope, &mut meeting.keys);
            let entries = descriptor.entries.iter();
            let entries = entries.map(|entry| (&*entry.key, &*entry.value));
            write_all(entries, &mut meeting.keys);
            let entries = meeting.keys.get(entries_from..).unwrap_or_default();
            let exact = self.exact.get(entries).copied();
            let wild = || {
                let mut wild = self.wild.iter().copied();
                wild.find(|number| {
                    let policy = self.get(*number);
                    policy.is_some_and(|policy| policy.takes(&descriptor.entries))
                })
            };
            match exact.or_else(wild) {
                Some(number) => {
                    meets_any = true;
                    self.add(number, descriptor.hits, from, meeting);
                    meeting.forget_last_if_among(by_others);
                }
                None => meeting.keys.truncate(from),
            }
        }
        meets_any
    }

    /// Adds a policy, whose key begins at `from` and is the last.
    fn add(&self, policy: usize, hits: u32, from: usize, meeting: &mut Meeting) {
        let identity = self.get(policy).map_or(0, |policy| policy.identity);
        let key = meeting.keys.get_mut(from..).unwrap_or_default();
        if let Some(place) = key.first_chunk_mut() {
            *place = identity.to_le_bytes();
        }
        let to = meeting.keys.len();
        meeting.met.push(Span {
            policy,
            hits,
            from,
            to,
        });
    }
}

/// The slowest is asked first, as in Envoy. How many there are at a time is looked at
/// before how many there are in a time, which is not given back.
fn by_rate(one: Option<&Kind>, other: Option<&Kind>) -> Ordering {
    let slowest = |kind: Option<&Kind>| match kind {
        Some(Kind::Rate(limits)) => limits.iter().min_by(|a, b| a.cmp_rate(b)).copied(),
        Some(Kind::Concurrency(_)) | None => None,
    };
    match (slowest(one), slowest(other)) {
        (Some(one), Some(other)) => one.cmp_rate(&other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    }
}

/// Begins a key: room for the identity of a policy, and the scope. Says where entries go.
fn begin(scope: &[u8], keys: &mut Vec<u8>) -> usize {
    keys.extend_from_slice(&[0; 8]);
    write(scope, keys);
    keys.len()
}

/// Entries as they stand in a key: no two lists of them in the same way.
fn write_all<'a>(entries: impl Iterator<Item = (&'a str, &'a [u8])>, keys: &mut Vec<u8>) {
    for (name, value) in entries {
        write(name.as_bytes(), keys);
        write(value, keys);
    }
}

fn write(part: &[u8], keys: &mut Vec<u8>) {
    keys.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    keys.extend_from_slice(part);
}

#[cfg(test)]
mod tests;
