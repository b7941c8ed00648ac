//! Counters, gauges and histograms, as Envoy's statistics.
//!
//! They appear as `wasmcustom.NAME` on Envoy's `/stats` and without the
//! prefix on `/stats/prometheus`. Define them when the filter is configured
//! ([`Configure::counter`](crate::Configure::counter) and its siblings);
//! metrics of one name are one metric, across filters and workers.
//!
//! An update is one host call of about 80 ns. It has no result: a request is
//! not refused because it could not be counted.

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

impl Counter {
    pub(crate) fn define(name: &str) -> Result<Self, HostError> {
        abi::define_metric(MetricType::Counter, name).map(|id| Self(Some(id)))
    }

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
    pub(crate) fn define(name: &str) -> Result<Self, HostError> {
        abi::define_metric(MetricType::Gauge, name).map(|id| Self(Some(id)))
    }

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
    pub(crate) fn define(name: &str) -> Result<Self, HostError> {
        abi::define_metric(MetricType::Histogram, name).map(|id| Self(Some(id)))
    }

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
