//! Counting without a host call a request.

use legation::Configure;
use legation::metrics::{Counter, Family, Tally};

/// Failures and refusals are told apart by reasons, of which there are few.
const REASONS: usize = 100;

/// The counters, by Envoy's names where its filter has them. What happens often is added up here
/// and handed to the host by [`flush`](Self::flush), and when the configuration goes.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Requests with a session that may come in.
    pub(crate) success: Tally,
    /// Requests that were let through without one: by a rule, by `pass_through_matcher` or as preflights.
    pub(crate) passthrough: Tally,
    /// Requests that were let through without one by `allow_failed_matcher`.
    pub(crate) allowed_failed: Tally,
    /// Requests without a session that were sent to sign in, or to a page that says why they are not.
    pub(crate) redirected: Tally,
    /// Requests without a session that were refused, as programs are.
    pub(crate) unauthorized: Tally,
    /// Requests with a session that may not come in.
    pub(crate) forbidden: Tally,
    pub(crate) cache_hit: Tally,
    pub(crate) cache_miss: Tally,
    /// Headers that somebody sent who may not.
    pub(crate) headers_stripped: Tally,
    pub(crate) signed_in: Counter,
    pub(crate) signed_out: Counter,
    pub(crate) back_channel_logout: Counter,
    failure: Family<Counter, 1>,
    cookie_refused: Family<Counter, 1>,
}

impl Counts {
    pub(crate) fn new(host: &mut Configure) -> Self {
        let mut tally = |name: &str| Tally::new(host.counter(name));
        Self {
            success: tally("oauth_success"),
            passthrough: tally("oauth_passthrough"),
            allowed_failed: tally("oauth_allow_failed_passthrough"),
            redirected: tally("oauth_redirected"),
            unauthorized: tally("oauth_unauthorized_rq"),
            forbidden: tally("oauth_forbidden"),
            cache_hit: tally("session_cache_hit"),
            cache_miss: tally("session_cache_miss"),
            headers_stripped: tally("trusted_headers_stripped"),
            signed_in: host.counter("signed_in"),
            signed_out: host.counter("signed_out"),
            back_channel_logout: host.counter("back_channel_logout"),
            failure: (host.counter_family("oauth_failure", ["reason"])).at_most(REASONS),
            cookie_refused: (host.counter_family("cookie_refused", ["reason"])).at_most(REASONS),
        }
    }

    /// Counts a sign-in that came to nothing.
    pub(crate) fn failed(&self, reason: &str) {
        self.failure.with([reason]).increment();
    }

    /// Counts a session cookie that says nothing.
    pub(crate) fn cookie_refused(&self, reason: &str) {
        self.cookie_refused.with([reason]).increment();
    }

    /// Hands the host what was counted since the last time.
    pub(crate) fn flush(&self) {
        for tally in [
            &self.success,
            &self.passthrough,
            &self.allowed_failed,
            &self.redirected,
            &self.unauthorized,
            &self.forbidden,
            &self.cache_hit,
            &self.cache_miss,
            &self.headers_stripped,
        ] {
            tally.flush();
        }
    }
}
