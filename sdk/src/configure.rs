//! What a filter may do while it is configured.

use std::time::Duration;

use crate::abi;
use crate::error::HostError;
use crate::metrics::{Counter, Gauge, Histogram};

/// The host, while [`HttpFilter::configure`](crate::HttpFilter::configure) runs.
///
/// A service that the host refuses here (a metric it will not define, a timer
/// it will not set) has the configuration refused, with a line that says so:
/// there is nothing to handle.
#[derive(Debug)]
pub struct Configure {
    prefix: String,
    failures: Vec<HostError>,
}

impl Configure {
    pub(crate) fn new(filter: &str) -> Self {
        Self {
            prefix: filter.replace('-', "_"),
            failures: Vec::new(),
        }
    }

    /// Puts another word than the filter's name before the metrics defined from
    /// here on, so that two filters of one kind count apart.
    pub fn stat_prefix(&mut self, prefix: &str) {
        prefix.clone_into(&mut self.prefix);
    }

    /// A counter `PREFIX.name`.
    pub fn counter(&mut self, name: &str) -> Counter {
        let counter = Counter::define(&self.metric_name(name));
        self.take(counter).unwrap_or(Counter::disabled())
    }

    /// A gauge `PREFIX.name`.
    pub fn gauge(&mut self, name: &str) -> Gauge {
        let gauge = Gauge::define(&self.metric_name(name));
        self.take(gauge).unwrap_or(Gauge::disabled())
    }

    /// A histogram `PREFIX.name`. Say its unit in its name.
    pub fn histogram(&mut self, name: &str) -> Histogram {
        let histogram = Histogram::define(&self.metric_name(name));
        self.take(histogram).unwrap_or(Histogram::disabled())
    }

    /// Has [`HttpFilter::on_tick`](crate::HttpFilter::on_tick) called this
    /// often, in whole milliseconds, from 1 ms to 49 days.
    pub fn tick_every(&mut self, period: Duration) {
        let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        let set = abi::set_tick_period(milliseconds.max(1));
        self.take(set);
    }

    /// What the host refused.
    pub(crate) fn failures(&self) -> &[HostError] {
        &self.failures
    }

    fn metric_name(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn take<T>(&mut self, answer: Result<T, HostError>) -> Option<T> {
        answer.map_err(|error| self.failures.push(error)).ok()
    }
}
