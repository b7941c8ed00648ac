//! Limits: how much may pass in which time.

use std::time::Duration;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{
    self, Bounded, BoundedDuration, ConfigErrors, Given, NonEmpty, Problem, Schema,
};

/// More limits for one key are refused: each is looked at for every request.
const MAX_LIMITS: usize = 4;
/// A leap year, in milliseconds: what a limit's state has room for.
const LONGEST: u64 = 366 * 24 * 3_600 * 1_000;

/// How many, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Schema)]
#[schema({ "type": "integer", "minimum": 1, "maximum": u32::MAX, "default": 1 })]
pub struct Count(u32);

impl Count {
    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Deserr<ConfigErrors> for Count {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        type Number = Bounded<1, 4_294_967_295>;
        let number = Number::deserialize_from_value(value, location)?.get();
        Ok(Self(u32::try_from(number).unwrap_or(u32::MAX)))
    }
}

/// One.
impl Default for Count {
    fn default() -> Self {
        Self(1)
    }
}

/// In which time: a millisecond to a year.
pub type Interval = BoundedDuration<1, LONGEST>;

config::one_of! {
    /// A limit.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Limit {
        /// Tokens that come back evenly.
        "token_bucket" => TokenBucket(TokenBucket),
        /// So many in a stretch of time with a beginning and an end.
        "fixed_window" => FixedWindow(Window),
        /// So many in any stretch of time, as far as two counters tell.
        "sliding_window" => SlidingWindow(Window),
        /// So many at the same time.
        "concurrency" => Concurrency(Concurrency),
    }
}

/// `token_bucket`, as in Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "Limits", prefix = "token_bucket.")]
pub struct TokenBucket {
    /// How many tokens there are when none was taken.
    pub max_tokens: Count,
    /// How many come back in an interval.
    #[deserr(default)]
    pub tokens_per_fill: Count,
    /// The interval.
    pub fill_interval: Interval,
}

/// `fixed_window` and `sliding_window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "Limits", prefix = "fixed_window.")]
pub struct Window {
    /// How many may pass in a window.
    pub requests: Count,
    /// How long it is.
    pub window: Interval,
}

/// `concurrency`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "Limits", prefix = "concurrency.")]
pub struct Concurrency {
    /// How many requests may be under way.
    pub max: Count,
}

impl Limit {
    /// The time it is about; none of `concurrency`.
    pub fn interval(&self) -> Option<Duration> {
        match self {
            Self::TokenBucket(bucket) => Some(bucket.fill_interval.get()),
            Self::FixedWindow(window) | Self::SlidingWindow(window) => Some(window.window.get()),
            Self::Concurrency(_) => None,
        }
    }
}

/// Pairs of fields of which each says what the limit is: only one may.
#[cfg(not(target_family = "wasm"))]
pub(super) fn several() -> Vec<config::schema::Value> {
    let fields = [
        "token_bucket",
        "fixed_window",
        "sliding_window",
        "concurrency",
        "limits",
    ];
    let mut pairs = Vec::new();
    for (index, one) in fields.iter().enumerate() {
        let others = fields.iter().take(index);
        pairs.extend(others.map(|other| config::schema::json!({ "required": [one, other] })));
    }
    pairs
}

/// The fields of which one may say what the limit is.
pub(super) struct Fields {
    pub(super) token_bucket: Given<TokenBucket>,
    pub(super) fixed_window: Given<Window>,
    pub(super) sliding_window: Given<Window>,
    pub(super) concurrency: Given<Concurrency>,
    pub(super) limits: Given<NonEmpty<Limit>>,
}

impl Fields {
    /// The limits that they give: of several, all must let a request pass. None
    /// where none is given.
    pub(super) fn check(self, at: ValuePointerRef<'_>) -> Result<Vec<Limit>, ConfigErrors> {
        let fields = [
            ("token_bucket", self.token_bucket.0.map(Limit::TokenBucket)),
            ("fixed_window", self.fixed_window.0.map(Limit::FixedWindow)),
            (
                "sliding_window",
                self.sliding_window.0.map(Limit::SlidingWindow),
            ),
            ("concurrency", self.concurrency.0.map(Limit::Concurrency)),
        ];
        let mut given: Vec<&str> = fields
            .iter()
            .filter_map(|(name, limit)| limit.is_some().then_some(*name))
            .collect();
        given.extend(self.limits.0.is_some().then_some("limits"));
        if given.len() > 1 {
            let problem = format!("only one of these may be given: {}", given.join(", "));
            let problem = Problem::new(problem).help("several limits are a list under `limits`");
            return Err(ConfigErrors::at(at, problem));
        }
        let Some(list) = self.limits.0 else {
            return Ok(fields.iter().filter_map(|(_, limit)| *limit).collect());
        };
        let at = at.push_key("limits");
        if list.len() > MAX_LIMITS {
            let problem = format!("{} limits, at most {MAX_LIMITS} are allowed", list.len());
            return Err(ConfigErrors::at(at, problem));
        }
        let is_concurrency = |limit: &Limit| matches!(limit, Limit::Concurrency(_));
        if let Some(index) = list.iter().position(is_concurrency)
            && list.len() > 1
        {
            let problem = Problem::new("`concurrency` stands alone").help(
                "give it a descriptor of its own, with one entry more, such as a `generic_key`",
            );
            return Err(ConfigErrors::at(at.push_index(index), problem));
        }
        Ok(list.into_iter().collect())
    }
}
