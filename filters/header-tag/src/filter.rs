//! When things happen.

use std::cell::RefCell;
use std::time::Duration;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Mode, Schema};
use legation::{
    Configure, Error, Flow, HttpFilter, RequestHeaders, RequestTrailers, ResponseHeaders, Result,
};
use log::{Level, log, log_enabled};

use crate::block::Block;
use crate::buckets::Assigned;
use crate::config::{Config, Lacks};
use crate::counts::Counts;
use crate::matched::Matched;
use crate::message::Message;
use crate::rules::Rules;
use crate::strings::Strings;

/// How long a count may wait in the module before it shows on `/stats`.
const COUNTS_EVERY: Duration = Duration::from_secs(1);

/// The filter, without trailers.
pub struct HeaderTag {
    rules: Rules,
    counts: Counts,
    /// A callback within a callback finds it in use and takes one of its own.
    scratch: RefCell<Strings>,
}

/// What is remembered of a request where a rule is to change what comes later: the
/// rules that matched it, and the buckets it is in.
#[derive(Debug, Default)]
pub struct Stream(Matched, Assigned);

/// A [`Config`] without trailers.
#[derive(Debug, Schema)]
#[schema(as = Config, {
    "allOf": [{
        "properties": { "rules": { "items": { "properties": {
            "request_trailers": false, "response_trailers": false,
        } } } },
    }],
})]
pub struct HeadersConfig(pub Config);

impl Deserr<ConfigErrors> for HeadersConfig {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let config = Config::deserialize_from_value(value, location)?;
        config.without(Lacks::Trailers, location).map(Self)
    }
}

#[legation::filter]
impl HttpFilter for HeaderTag {
    const NAME: &'static str = "header-tag";
    const REMOTE_CONFIG: bool = true;
    type Config = HeadersConfig;
    type Stream = Stream;

    fn configure(config: HeadersConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self::new(config.0, host))
    }

    fn on_request_headers(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        self.tag_request(stream, request)
    }

    fn on_response_headers(
        &self,
        stream: &mut Stream,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        self.tag_response(stream, response)
    }

    fn on_tick(&self) {
        self.flush_counts();
    }
}

impl HeaderTag {
    pub(crate) fn new(config: Config, host: &mut Configure) -> Self {
        host.tick_every(COUNTS_EVERY);
        Self {
            counts: Counts::new(&config, host),
            rules: Rules::new(config),
            scratch: RefCell::default(),
        }
    }

    /// Applies the rules to a request.
    pub(crate) fn tag_request(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        let decided = self.with_scratch(|scratch| self.rules.on_request(request, scratch));
        let decision = decided?;
        self.counts.request(&decision.matched);
        self.counts.empty_values(decision.empty_values);
        self.log(&decision.matched);
        if decision.awaits_more {
            *stream = Stream(decision.matched, decision.assigned);
            Ok(Flow::Continue)
        } else {
            Ok(Flow::Finish)
        }
    }

    /// Applies the rules that matched a request to its response.
    pub(crate) fn tag_response(
        &self,
        stream: &Stream,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        self.change(|rules, scratch| rules.on_response(&stream.0, stream.1, response, scratch))
    }

    /// Applies them to the request's trailers.
    pub(crate) fn tag_request_trailers(
        &self,
        stream: &Stream,
        request: &mut RequestTrailers,
    ) -> Result<Flow> {
        self.change(|rules, scratch| {
            rules.on_request_trailers(&stream.0, stream.1, request, scratch)
        })
    }

    /// Applies them to the response's trailers, or to headers that are such.
    pub(crate) fn tag_response_trailers<M: Message<Error = Error>>(
        &self,
        stream: &Stream,
        response: &mut M,
    ) -> Result<Flow> {
        self.change(|rules, scratch| {
            rules.on_response_trailers(&stream.0, stream.1, response, scratch)
        })
    }

    /// What is to change the response's trailers.
    pub(crate) fn for_response_trailers<'a>(
        &'a self,
        stream: &'a Stream,
    ) -> impl Iterator<Item = &'a Block> {
        self.rules.for_response_trailers(&stream.0)
    }

    /// Adds up what was counted since the last tick.
    pub(crate) fn flush_counts(&self) {
        self.counts.flush();
    }

    /// Changes a message, and counts the values that came out empty.
    fn change(&self, change: impl FnOnce(&Rules, &mut Strings) -> Result<u64>) -> Result<Flow> {
        let empty_values = self.with_scratch(|scratch| change(&self.rules, scratch))?;
        self.counts.empty_values(empty_values);
        Ok(Flow::Continue)
    }

    fn with_scratch<T>(&self, work: impl FnOnce(&mut Strings) -> T) -> T {
        let mut kept = self.scratch.try_borrow_mut();
        let mut own = Strings::default();
        let scratch = kept.as_deref_mut().unwrap_or(&mut own);
        let result = work(scratch);
        scratch.trim();
        result
    }

    /// One line a request. A rule set that only reports is there to be read, so
    /// its matches are seen at the level people run Envoy at.
    fn log(&self, matched: &Matched) {
        let (level, message) = match self.rules.mode() {
            _ if matched.is_empty() => (Level::Debug, "no rule matches"),
            Mode::Enforce => (Level::Debug, "rules applied"),
            Mode::Report => (Level::Info, "rules match; nothing is changed"),
        };
        if log_enabled!(level) {
            log!(level, rules:% = self.counts.names(matched); "{message}");
        }
    }
}
