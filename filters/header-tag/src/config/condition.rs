//! Conditions that header-tag has beside those of all filters.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, OneOrMany, OrderedMap, Schema};
use legation::format::Claim;
use legation::matcher::{Conditions, Named, Needs};

use super::scalar::Label;

/// Which requests a rule is for.
pub type When = legation::matcher::Matcher<Condition>;

/// A condition of header-tag's own.
#[derive(Debug, Clone, Schema)]
#[schema({
    "properties": {
        "bucket": {
            "description": "The user is in one of these buckets, by the name of the `weighted_buckets`.",
            "allOf": [generator.subschema_for::<OrderedMap<Label, OneOrMany<Label>>>()],
        },
        "jwt_claims": {
            "description": "The claims pass all of these tests; a name is `STATE:claim`.",
            "allOf": [generator.subschema_for::<OneOrMany<Named>>()],
        },
    },
})]
pub enum Condition {
    /// `bucket`: the user is in one of these.
    Bucket {
        /// The name of the [`WeightedBuckets`](super::WeightedBuckets).
        experiment: Label,
        /// The names of the buckets.
        buckets: Vec<Label>,
    },
    /// `jwt_claims`: a claim passes a test.
    Claim(Claim, Named),
}

impl Conditions for Condition {
    const KEYS: &'static [&'static str] = &["bucket", "jwt_claims"];

    fn read<V: IntoValue>(
        key: &str,
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Vec<Self>, ConfigErrors> {
        if key == "bucket" {
            let map =
                OrderedMap::<Label, OneOrMany<Label>>::deserialize_from_value(value, location)?;
            let conditions = map.into_iter().map(|(experiment, buckets)| Self::Bucket {
                experiment,
                buckets: buckets.into_iter().collect(),
            });
            return Ok(conditions.collect());
        }
        let tests = OneOrMany::<ClaimTest>::deserialize_from_value(value, location)?;
        let conditions = tests
            .into_iter()
            .map(|test| Self::Claim(test.claim, test.test));
        Ok(conditions.collect())
    }

    fn needs(&self) -> Needs {
        // What finding out the bucket reads is counted where it is known.
        Needs::default()
    }
}

struct ClaimTest {
    claim: Claim,
    test: Named,
}

impl Deserr<ConfigErrors> for ClaimTest {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let test = Named::read(value, location)?;
        match Claim::parse(test.name()) {
            Ok(claim) => Ok(Self { claim, test }),
            Err(problem) => Err(ConfigErrors::at(location.push_key("name"), problem)),
        }
    }
}
