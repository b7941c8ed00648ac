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
    tick_period: Option<Duration>,
    holds_headers: bool,
    /// Whether it is for one of a suite's filters: they tick together.
    is_member: bool,
}

impl Configure {
    pub(crate) fn new(filter: &str) -> Self {
        Self {
            prefix: filter.replace('-', "_"),
            failures: Vec::new(),
            tick_period: None,
            holds_headers: false,
            is_member: false,
        }
    }

    /// For one of a suite's filters.
    pub(crate) fn member(&self, filter: &str) -> Self {
        let mut own = Self::new(filter);
        own.holds_headers = self.holds_headers;
        own.is_member = true;
        own
    }

    /// Takes over what one of a suite's filters asked for.
    pub(crate) fn join(&mut self, member: Self) {
        self.failures.extend(member.failures);
        self.holds_headers |= member.holds_headers;
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
        let milliseconds = milliseconds.max(1);
        self.tick_period = Some(Duration::from_millis(milliseconds.into()));
        if !self.is_member {
            let set = abi::set_tick_period(milliseconds);
            self.take(set);
        }
    }

    /// Says that the plugin's Envoy configuration has
    /// `allow_on_headers_stop_iteration: true`. Unset, it is `false`, as in Envoy.
    ///
    /// A module cannot see which it is, so say the same here as there. With `true`,
    /// headers wait while [`buffer_body`](crate::RequestHeaders::buffer_body)
    /// takes in the body, and the body comes already while a callback awaits
    /// something else. Said here and not there, a request with a body waits until
    /// Envoy times out. With `false`, headers go on when a body is first awaited:
    /// what refuses the request for its body then does so after the upstream has
    /// seen the headers.
    pub fn allow_on_headers_stop_iteration(&mut self, allowed: bool) {
        self.holds_headers = allowed;
    }

    pub(crate) fn tick_period(&self) -> Option<Duration> {
        self.tick_period
    }

    pub(crate) fn holds_headers(&self) -> bool {
        self.holds_headers
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
