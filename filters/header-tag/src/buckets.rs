//! Who is in which bucket.
//!
//! Weighted rendezvous hashing: each bucket has a score of its own for each user, and
//! the user is in the one with the highest. A score grows with the bucket's weight and
//! depends on no other bucket. So nobody leaves a bucket whose weight grows in proportion to
//! the others', wherever it stands in the list; a new bucket takes users and moves no others;
//! and those of a bucket that goes are all that move.

use std::hash::Hasher;

use legation::format::{Format, Rendered, ValueSource};
use siphasher::sip::SipHasher24;

use crate::config::{MOST_EXPERIMENTS, WeightedBuckets};

/// All divisions into buckets.
#[derive(Debug, Default)]
pub(crate) struct Buckets(Box<[Experiment]>);

/// One division.
#[derive(Debug)]
pub(crate) struct Experiment {
    name: Box<str>,
    salt: Box<str>,
    keys: Box<[Format]>,
    overrides: Box<[Format]>,
    buckets: Box<[(Box<str>, u32)]>,
    without_key: WithoutKey,
}

#[derive(Debug, Clone, Copy)]
enum WithoutKey {
    NoBucket,
    Bucket(usize),
    Random,
}

/// The buckets that a request was found to be in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Assigned([Found; MOST_EXPERIMENTS]);

/// What is known of a request and one division.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nobody has asked so far.
    #[default]
    Unknown,
    NoBucket,
    Bucket(u8),
}

impl Found {
    fn new(bucket: Option<usize>) -> Self {
        match bucket.and_then(|bucket| u8::try_from(bucket).ok()) {
            None => Self::NoBucket,
            Some(bucket) => Self::Bucket(bucket),
        }
    }
}

impl Assigned {
    /// What is known of a division.
    pub(crate) fn get_mut(&mut self, experiment: usize) -> Option<&mut Found> {
        self.0.get_mut(experiment)
    }
}

impl Buckets {
    pub(crate) fn new(given: impl IntoIterator<Item = WeightedBuckets>) -> Self {
        Self(given.into_iter().map(Experiment::new).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The division of this name, and its number.
    pub(crate) fn find(&self, name: &str) -> Option<(usize, &Experiment)> {
        let mut all = self.0.iter().enumerate();
        all.find(|(_, experiment)| *experiment.name == *name)
    }
}

impl Experiment {
    fn new(given: WeightedBuckets) -> Self {
        let name: Box<str> = given.name.as_str().into();
        let salt = given
            .salt
            .0
            .map_or_else(|| name.clone(), |salt| salt.0.into());
        let bucket = |label: &str| {
            let mut names = given.buckets.iter();
            names.position(|bucket| bucket.name.as_str() == label)
        };
        let default = given.default_bucket.0.as_ref();
        let without_key = match default.and_then(|label| bucket(label.as_str())) {
            Some(number) => WithoutKey::Bucket(number),
            None if given.random_without_key => WithoutKey::Random,
            None => WithoutKey::NoBucket,
        };
        let buckets = given.buckets.iter().map(|bucket| {
            let weight = u32::try_from(bucket.weight.get()).unwrap_or_default();
            (bucket.name.as_str().into(), weight)
        });
        Self {
            name,
            salt,
            buckets: buckets.collect(),
            without_key,
            keys: given.hash_key.0.into_iter().map(|key| key.0).collect(),
            overrides: given.override_by.into_iter().map(|key| key.0).collect(),
        }
    }

    /// The name of the bucket of this request, which is found out if nobody has asked so far.
    pub(crate) fn bucket<S: ValueSource>(
        &self,
        found: &mut Found,
        source: &mut S,
    ) -> Result<Option<&str>, S::Error> {
        if *found == Found::Unknown {
            *found = Found::new(self.assign(source)?);
        }
        Ok(match found {
            Found::Unknown | Found::NoBucket => None,
            Found::Bucket(number) => self.name_of(usize::from(*number)),
        })
    }

    fn name_of(&self, number: usize) -> Option<&str> {
        self.buckets.get(number).map(|(name, _)| &**name)
    }

    fn assign<S: ValueSource>(&self, source: &mut S) -> Result<Option<usize>, S::Error> {
        let mut text = Vec::new();
        for format in &self.overrides {
            if !is_there(format, source, &mut text)? {
                continue;
            }
            let mut buckets = self.buckets.iter();
            let named = buckets.position(|(name, _)| name.as_bytes() == text);
            if named.is_some() {
                return Ok(named);
            }
        }
        for format in &self.keys {
            if is_there(format, source, &mut text)? {
                return Ok(self.choose(&text));
            }
        }
        Ok(match self.without_key {
            WithoutKey::NoBucket => None,
            WithoutKey::Bucket(number) => Some(number),
            WithoutKey::Random => self.choose(&source.random()?.to_le_bytes()),
        })
    }

    /// The bucket of whoever has this key, for ever.
    fn choose(&self, key: &[u8]) -> Option<usize> {
        let mut best = None;
        for (number, (name, weight)) in self.buckets.iter().enumerate() {
            if *weight == 0 {
                continue;
            }
            let score = f64::from(*weight) / -self.fraction(name, key).ln();
            if best.is_none_or(|(_, other)| score > other) {
                best = Some((number, score));
            }
        }
        best.map(|(number, _)| number)
    }

    /// A number evenly from between 0 and 1: SipHash-2-4 of the salt, the bucket's name
    /// and the key, with a zero byte behind the first two. Users stay where they are only
    /// as long as this stays as it is.
    fn fraction(&self, bucket: &str, key: &[u8]) -> f64 {
        let mut hasher = SipHasher24::new();
        for part in [self.salt.as_bytes(), b"\0", bucket.as_bytes(), b"\0", key] {
            hasher.write(part);
        }
        between_0_and_1(hasher.finish())
    }
}

/// The upper 52 bits of a hash and a half more, as a fraction: never 0 nor 1. Of 53 bits a float has no half.
fn between_0_and_1(hash: u64) -> f64 {
    let high = u32::try_from(hash >> 32).unwrap_or_default();
    let low = u32::try_from((hash & 0xffff_ffff) >> 12).unwrap_or_default();
    (f64::from(high) * 1_048_576.0 + f64::from(low) + 0.5) / 4_503_599_627_370_496.0
}

/// Renders a format: whether something came of it that is not the same for everybody. Of `user:%COOKIE(user)%` without the
/// cookie nothing does.
fn is_there<S: ValueSource>(
    format: &Format,
    source: &mut S,
    text: &mut Vec<u8>,
) -> Result<bool, S::Error> {
    text.clear();
    let rendered = format.render(source, text)?;
    Ok(rendered != Rendered::Missing && !text.is_empty())
}

#[cfg(test)]
mod tests;
