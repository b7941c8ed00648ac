//! Counters, gauges and histograms, as Envoy's statistics.
//!
//! They appear as `wasmcustom.NAME` on Envoy's `/stats` and without the
//! prefix on `/stats/prometheus`. Define them when the filter is configured
//! ([`Configure::counter`](crate::Configure::counter) and its siblings);
//! metrics of one name are one metric, across filters and workers.
//!
//! An update is one host call of about 80 ns. It has no result: a request is
//! not refused because it could not be counted. A [`Tally`] adds up in the module
//! what every request counts.
//!
//! # Tags
//!
//! A metric may have tags, which become labels
//! ([`Configure::counter_with_tags`](crate::Configure::counter_with_tags)). To
//! Envoy they are the end of its name, in the order of the tags' names, each a
//! segment `TAG=VALUE;`:
//!
//! ```text
//! wasmcustom.jwt_auth.refused.provider=https://login.example;.reason=expired;
//! ```
//!
//! Envoy makes labels of them by one regular expression a tag, the same for
//! all but the tag's name, in its bootstrap (`envoy-config/observability.yaml`):
//!
//! ```yaml
//! stats_config:
//!   stats_tags:
//!   - { tag_name: reason, regex: '^wasmcustom\..*?(\.reason=([^;]*);)' }
//! ```
//!
//! and `/stats/prometheus` then has
//! `jwt_auth_refused{provider="https://login.example",reason="expired"}`.
//! Without that line, each value is a metric of its own with all of it in its
//! name.
//!
//! A tag's name is lower case, as a label's may be (`[a-z][a-z0-9_]*`), and
//! neither `le` nor `quantile`, which histograms have. In its value `%`, `;`, `=`
//! and what else could be mistaken for syntax (`,`, `|`, `"`, `\`), control
//! characters and bytes beyond ASCII stand percent-encoded, so that no value can
//! pass for another tag and no two values for one. A value is at most
//! [`MAX_TAG_VALUE`] bytes long in that form.
//!
//! Values that are known only at run time go through a [`Family`], which bounds
//! how many there are.

mod family;
mod name;
mod tally;

pub use family::Family;
pub use name::MAX_TAG_VALUE;
pub(crate) use name::Names;
pub use tally::Tally;

use crate::abi::{self, MetricType};
use crate::error::HostError;

/// A number that only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter(Id);

/// A number that goes up and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge(Id);

/// The distribution of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Histogram(Id);

/// `None` for a metric that the host refused to define.
type Id = Option<u32>;

/// A counter, a gauge or a histogram.
pub trait Metric: sealed::Define + Copy {}

impl<M: sealed::Define + Copy> Metric for M {}

mod sealed {
    use crate::error::HostError;

    pub trait Define: Sized {
        fn define(name: &str) -> Result<Self, HostError>;

        fn disabled() -> Self;
    }
}

macro_rules! define {
    ($($metric:ident)*) => {
        $(impl sealed::Define for $metric {
            fn define(name: &str) -> Result<Self, HostError> {
                abi::define_metric(MetricType::$metric, name).map(|id| Self(Some(id)))
            }

            fn disabled() -> Self {
                Self::disabled()
            }
        })*
    };
}

define!(Counter Gauge Histogram);

impl Counter {
    /// A counter that counts nothing.
    pub const fn disabled() -> Self {
        Self(None)
    }

    /// Adds one.
    pub fn increment(self) {
        self.add(1);
    }

    /// Adds `amount`; what is more than `i64::MAX` is added as that.
    pub fn add(self, amount: u64) {
        if let Some(id) = self.0 {
            let amount = i64::try_from(amount).unwrap_or(i64::MAX);
            let _ = abi::increment_metric(id, amount);
        }
    }

    /// The value, over all workers. `None` where the host does not tell.
    pub fn value(self) -> Option<u64> {
        abi::metric(self.0?).ok()
    }
}

impl Gauge {
    /// A gauge that shows nothing.
    pub const fn disabled() -> Self {
        Self(None)
    }

    /// Sets the value.
    pub fn set(self, value: u64) {
        if let Some(id) = self.0 {
            let _ = abi::record_metric(id, value);
        }
    }

    /// Adds to the value, or takes from it.
    pub fn add(self, amount: i64) {
        if let Some(id) = self.0 {
            let _ = abi::increment_metric(id, amount);
        }
    }

    /// The value. `None` where the host does not tell.
    pub fn value(self) -> Option<u64> {
        abi::metric(self.0?).ok()
    }
}

impl Histogram {
    /// A histogram that records nothing.
    pub const fn disabled() -> Self {
        Self(None)
    }

    /// Records one value.
    pub fn record(self, value: u64) {
        if let Some(id) = self.0 {
            let _ = abi::record_metric(id, value);
        }
    }
}
