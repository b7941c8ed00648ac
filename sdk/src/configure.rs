//! What a filter may do while it is configured.

use std::time::Duration;

use crate::abi;
use crate::metrics::{Counter, Family, Gauge, Histogram, Metric, Names};

/// The host, while [`HttpFilter::configure`](crate::HttpFilter::configure) runs.
///
/// A service that the host refuses here (a metric it will not define, a timer
/// it will not set) has the configuration refused, with a line that says so:
/// there is nothing to handle.
#[derive(Debug)]
pub struct Configure {
    names: Names,
    failures: Vec<String>,
    tick_period: Option<Duration>,
    holds_headers: bool,
    /// Whether somebody else has the host tick: of a suite's filters the suite, for a fetched
    /// configuration the runtime.
    is_member: bool,
}

impl Configure {
    pub(crate) fn new(filter: &str) -> Self {
        Self {
            names: Names::of(filter),
            failures: Vec::new(),
            tick_period: None,
            holds_headers: false,
            is_member: false,
        }
    }

    /// For a filter whose configuration is fetched.
    pub(crate) fn fetched(filter: &str) -> Self {
        Self {
            is_member: true,
            ..Self::new(filter)
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
        self.names = Names::under(prefix);
    }

    /// A counter `PREFIX.name`. One host call.
    pub fn counter(&mut self, name: &str) -> Counter {
        self.metric(name)
    }

    /// A gauge `PREFIX.name`. One host call.
    pub fn gauge(&mut self, name: &str) -> Gauge {
        self.metric(name)
    }

    /// A histogram `PREFIX.name`. Say its unit in its name. One host call.
    pub fn histogram(&mut self, name: &str) -> Histogram {
        self.metric(name)
    }

    /// A counter `PREFIX.name` with [tags](crate::metrics#tags), which may be
    /// labels: `("reason", "expired")`. One host call.
    ///
    /// A tag whose name is none, that stands there twice or whose value is too
    /// long has the configuration refused.
    pub fn counter_with_tags(&mut self, name: &str, tags: &[(&str, &str)]) -> Counter {
        self.tagged(name, tags)
    }

    /// A gauge `PREFIX.name` with tags: see
    /// [`counter_with_tags`](Self::counter_with_tags).
    pub fn gauge_with_tags(&mut self, name: &str, tags: &[(&str, &str)]) -> Gauge {
        self.tagged(name, tags)
    }

    /// A histogram `PREFIX.name` with tags: see
    /// [`counter_with_tags`](Self::counter_with_tags). Say its unit in its name.
    pub fn histogram_with_tags(&mut self, name: &str, tags: &[(&str, &str)]) -> Histogram {
        self.tagged(name, tags)
    }

    /// Counters `PREFIX.name` whose tags have these names, and values that are
    /// known only at run time. No host call yet.
    pub fn counter_family<const N: usize>(
        &mut self,
        name: &str,
        tags: [&str; N],
    ) -> Family<Counter, N> {
        self.family(name, tags)
    }

    /// Gauges `PREFIX.name`: see [`counter_family`](Self::counter_family).
    pub fn gauge_family<const N: usize>(
        &mut self,
        name: &str,
        tags: [&str; N],
    ) -> Family<Gauge, N> {
        self.family(name, tags)
    }

    /// Histograms `PREFIX.name`: see [`counter_family`](Self::counter_family).
    /// Say their unit in their name.
    pub fn histogram_family<const N: usize>(
        &mut self,
        name: &str,
        tags: [&str; N],
    ) -> Family<Histogram, N> {
        self.family(name, tags)
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

    /// What was refused.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    fn metric<M: Metric>(&mut self, name: &str) -> M {
        let metric = M::define(&self.names.plain(name));
        self.take(metric).unwrap_or_else(M::disabled)
    }

    fn tagged<M: Metric>(&mut self, name: &str, tags: &[(&str, &str)]) -> M {
        let full = self.names.tagged(name, tags);
        let metric = self.take(full).map(|full| M::define(&full));
        let metric = metric.and_then(|metric| self.take(metric));
        metric.unwrap_or_else(M::disabled)
    }

    fn family<M: Metric, const N: usize>(&mut self, name: &str, tags: [&str; N]) -> Family<M, N> {
        let template = self.names.template(name, tags);
        self.take(template)
            .map_or_else(Family::disabled, Family::new)
    }

    fn take<T, E: ToString>(&mut self, answer: Result<T, E>) -> Option<T> {
        answer
            .map_err(|error| self.failures.push(error.to_string()))
            .ok()
    }
}
