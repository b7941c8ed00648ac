//! Weighted buckets: who is in which.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{
    Bounded, ConfigErrors, Given, NonEmpty, OneOrMany, Problem, Schema, string,
};
use legation::format::Format;

use super::scalar::Label;
use super::side::Side;

/// A request's state has room for this many.
pub(crate) const MOST_EXPERIMENTS: usize = 8;
const MOST_BUCKETS: usize = 100;

/// Buckets among which users are divided, each of whom stays in one.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check -> ConfigErrors)]
#[schema(readme = "Weighted buckets")]
pub struct WeightedBuckets {
    /// What they are called in `%BUCKET(NAME)%` and in conditions.
    pub name: Label,
    /// Who the user is: the first of these that is not empty.
    pub hash_key: NonEmptyList<HashKey>,
    /// Makes two divisions independent of each other, or the same: the name, unless
    /// given.
    #[deserr(default)]
    pub salt: Given<Salt>,
    /// The buckets.
    pub buckets: NonEmpty<WeightedBucket>,
    /// The bucket of requests without a key.
    #[deserr(default)]
    pub default_bucket: Given<Label>,
    /// Whether requests without a key are divided at random, each by itself.
    #[deserr(default)]
    pub random_without_key: bool,
    /// Where a tester may say in which bucket to be: the first of these that is a
    /// bucket's name.
    #[deserr(default)]
    pub override_by: OneOrMany<HashKey>,
}

/// A bucket and its weight.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct WeightedBucket {
    /// What it is called.
    pub name: Label,
    /// Its share is this of the sum of all weights.
    pub weight: Bounded<0, 1_000_000>,
}

/// One, or a list that holds something.
#[derive(Debug, Schema)]
#[schema(as = OneOrMany<T>)]
pub struct NonEmptyList<T>(pub(crate) Vec<T>);

impl<T: Deserr<ConfigErrors>> Deserr<ConfigErrors> for NonEmptyList<T> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let list = OneOrMany::<T>::deserialize_from_value(value, location)?;
        Ok(Self(list.into_iter().collect()))
    }
}

/// A format that gives a key: made from the request, and not the same for all.
#[derive(Debug, Schema)]
#[schema(as = Format)]
pub struct HashKey(pub(crate) Format);

impl Deserr<ConfigErrors> for HashKey {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let format = Format::deserialize_from_value(value, location)?;
        if format.as_literal().is_some() {
            let problem = Problem::new("the same for all requests")
                .help("name what tells users apart, such as `%COOKIE(user)%` or `%REQ(x-user)%`");
            return Err(ConfigErrors::at(location, problem));
        }
        if Side::Request.check_uses(format.uses()).is_some() {
            let problem = Problem::new("the response has no say in its request's bucket");
            let problem = problem.help("make the key from the request");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(format))
    }
}

/// What goes into every hash of a division.
#[derive(Debug, Schema)]
#[schema({ "type": "string", "minLength": 1, "maxLength": 256 })]
pub struct Salt(pub(crate) String);

impl Deserr<ConfigErrors> for Salt {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a text")?;
        if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
            let problem = "a salt is 1 to 256 bytes without control characters";
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(text))
    }
}

fn check(given: WeightedBuckets, at: ValuePointerRef<'_>) -> Result<WeightedBuckets, ConfigErrors> {
    let mut errors = None;
    let mut add = |at: ValuePointerRef<'_>, problem: Problem| {
        ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
    };
    let list = at.push_key("buckets");
    for (index, bucket) in given.buckets.iter().enumerate() {
        let mut earlier = given.buckets.iter().take(index);
        if earlier.any(|other| other.name == bucket.name) {
            let problem = Problem::new(format!("another bucket is called `{}`", bucket.name))
                .help("give it the sum of both weights, or a name of its own");
            add(list.push_index(index).push_key("name"), problem);
        }
    }
    if given.buckets.len() > MOST_BUCKETS {
        add(
            list,
            Problem::new(format!("more than {MOST_BUCKETS} buckets")),
        );
    }
    if given.buckets.iter().all(|bucket| bucket.weight.get() == 0) {
        let problem = Problem::new("every weight is 0").help("nobody would be in any of them");
        add(list, problem);
    }
    if let Some(name) = &given.default_bucket.0 {
        if !given.buckets.iter().any(|bucket| bucket.name == *name) {
            let names: Vec<_> = given.buckets.iter().map(|one| one.name.as_str()).collect();
            let problem = Problem::new(format!("no bucket is called `{name}`"))
                .help(format!("known: {}", names.join(", ")));
            add(at.push_key("default_bucket"), problem);
        }
        if given.random_without_key {
            let problem = Problem::new("`random_without_key` is given too").help(
                "a request without a key is put into the one bucket, or into any: take one out",
            );
            add(at.push_key("default_bucket"), problem);
        }
    }
    ConfigErrors::check(errors, given)
}
