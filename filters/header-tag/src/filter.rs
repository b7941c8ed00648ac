//! When things happen.

use std::cell::RefCell;
use std::time::Duration;

use legation::config::{ConfigErrors, Mode};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, ResponseHeaders, Result};
use log::{Level, log, log_enabled};

use crate::buckets::Assigned;
use crate::config::Config;
use crate::counts::Counts;
use crate::matched::Matched;
use crate::rules::Rules;
use crate::strings::Strings;

/// How long a count may wait in the module before it shows on `/stats`.
const COUNTS_EVERY: Duration = Duration::from_secs(1);

/// The filter.
pub struct HeaderTag {
    rules: Rules,
    counts: Counts,
    /// A callback within a callback finds it in use and takes one of its own.
    scratch: RefCell<Strings>,
}

/// What is remembered of a request where a rule is to change its response: the
/// rules that matched it, and the buckets it is in.
#[derive(Debug, Default)]
pub struct Stream(Matched, Assigned);

#[legation::filter]
impl HttpFilter for HeaderTag {
    const NAME: &'static str = "header-tag";
    const REMOTE_CONFIG: bool = true;
    type Config = Config;
    type Stream = Stream;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.tick_every(COUNTS_EVERY);
        Ok(Self {
            counts: Counts::new(&config, host),
            rules: Rules::new(config),
            scratch: RefCell::default(),
        })
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
        let changed = self.with_scratch(|scratch| {
            self.rules
                .on_response(&stream.0, stream.1, response, scratch)
        });
        self.counts.empty_values(changed?);
        Ok(Flow::Continue)
    }

    fn on_tick(&self) {
        self.flush_counts();
    }
}

impl HeaderTag {
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
        if decision.awaits_response {
            *stream = Stream(decision.matched, decision.assigned);
            Ok(Flow::Continue)
        } else {
            Ok(Flow::Finish)
        }
    }

    /// Adds up what was counted since the last tick.
    pub(crate) fn flush_counts(&self) {
        self.counts.flush();
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
