//! The limits of this Envoy: what is asked of them before anybody else, and by the module
//! `rate-limit-local` alone.

use std::cell::Cell;
use std::time::Duration;

use legation::attributes::CONNECTION_ID;
use legation::config::{ConfigErrors, Mode, Percent};
use legation::matcher;
use legation::{Configure, Flow, RequestHeaders, Result, random};
use log::{Level, log, log_enabled};
use smallvec::SmallVec;

use crate::additions::Additions;
use crate::config::Config;
use crate::counts::Counts;
use crate::descriptor::{Actions, Descriptors};
use crate::headers::OfPolicy;
use crate::judge::{Judged, Places, judge};
use crate::ledger::{Lease, Ledger};
use crate::now::{Now, duration};
use crate::policies::{Meeting, Policies};
use crate::refusal::{Refusal, Refusals};

/// How long a count may wait in the module before it shows on `/stats`, and how often
/// tokens that were not spent are given back.
const TICK: Duration = Duration::from_secs(1);

/// Bytes of memory for the keys of a request that are kept for the next one.
const KEPT: usize = 4_096;

/// The limits, and how requests beyond them are refused.
pub(crate) struct Limiter {
    pub(crate) policies: Policies,
    pub(crate) refusals: Refusals,
    pub(crate) mode: Mode,
    actions: Actions,
    ledger: Ledger,
    counts: Counts,
    enabled: Percent,
    enforced: Percent,
    request_headers: Additions,
    per_connection: bool,
    /// Memory for the keys of a request.
    keys: Cell<Vec<u8>>,
}

/// What was found out about a request.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// How the client stands.
    pub(crate) told: Option<OfPolicy>,
    pub(crate) places: Places,
    /// Whether the upstream is told that it is beyond a limit.
    is_marked: bool,
}

impl Limiter {
    /// As configured.
    pub(crate) fn new(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.tick_every(TICK);
        let prefix = config.stat_prefix.0.as_ref();
        if let Some(prefix) = prefix {
            host.stat_prefix(prefix.as_str());
        }
        let scope = prefix.map_or("rate_limit", |prefix| prefix.as_str());
        let policies = Policies::of(&config)?;
        let lease = config.lease.map(|lease| Lease {
            size: lease.size,
            max_age: duration(lease.max_age),
        });
        let (name, keys) = (
            format!("rate-limit.{scope}"),
            config.max_dynamic_descriptors,
        );
        let ledger = Ledger::open(&name, &policies, keys, lease)
            .map_err(|error| ConfigErrors::of_document(error.to_string()))?;
        Ok(Self {
            actions: Actions::new(&config),
            counts: Counts::new(&policies, host),
            ledger,
            policies,
            mode: config.mode,
            enabled: config.filter_enabled.0,
            enforced: config.filter_enforced.0,
            refusals: Refusals::new(config.reply),
            request_headers: Additions::new(config.request_headers_to_add_when_not_enforced),
            per_connection: config.local_rate_limit_per_downstream_connection,
            keys: Cell::default(),
        })
    }

    /// What becomes of a request that is not looked at, or that is refused. `None` where
    /// the limits let it on; `descriptors` are what it is counted under.
    pub(crate) fn decide(
        &self,
        request: &mut RequestHeaders,
        descriptors: &mut Descriptors,
        found: &mut Found,
        now: &Now,
    ) -> Result<Option<Flow>> {
        if !is_one_of(self.enabled)? {
            return Ok(Some(Flow::Finish));
        }
        self.counts.enabled.add(1);
        if let Some(name) = self.actions.lone_header() {
            request.headers().read_alone(name)?;
        }
        let view = &mut matcher::Request::new(request);
        self.actions.descriptors(view, descriptors)?;
        let Judged {
            beyond,
            shadowed,
            told,
        } = self.judge(descriptors, request, &mut found.places, now)?;
        found.told = told;
        if let Some(beyond) = beyond {
            self.counts.rate_limited.add(1);
            self.log(
                self.policies
                    .get(beyond.policy)
                    .map_or("", |policy| &policy.name),
            );
            if self.is_enforced()? {
                self.counts.enforced.add(1);
                let retry_after = Some(beyond.retry_after);
                let refusal = Refusal::local(retry_after);
                return self.refusals.refuse(refusal, request).map(Some);
            }
            self.mark(found, request)?;
        } else if shadowed {
            self.counts.shadow_mode.add(1);
        } else {
            self.counts.ok.add(1);
        }
        Ok(None)
    }

    fn judge(
        &self,
        descriptors: &Descriptors,
        request: &RequestHeaders,
        places: &mut Places,
        now: &Now,
    ) -> Result<Judged> {
        let mut scope = SmallVec::<[u8; 8]>::new();
        if self.per_connection {
            let connection = request.attribute(CONNECTION_ID)?.unwrap_or(0);
            scope.extend_from_slice(&connection.to_le_bytes());
        }
        // Taken, not borrowed: the host, which is asked, may call back.
        let mut meeting = Meeting::with_memory(self.keys.take());
        self.policies
            .meet(descriptors.readings(), &scope, &mut meeting);
        let (policies, ledger, counts) = (&self.policies, &self.ledger, &self.counts);
        let judged = judge(&meeting, policies, ledger, counts, now, places);
        let keys = meeting.into_memory();
        if keys.capacity() <= KEPT {
            self.keys.set(keys);
        }
        judged
    }

    pub(crate) fn is_enforced(&self) -> Result<bool> {
        Ok(self.mode == Mode::Enforce && is_one_of(self.enforced)?)
    }

    /// Marks a request that is let on although it is beyond a limit, once.
    pub(crate) fn mark(&self, found: &mut Found, request: &mut RequestHeaders) -> Result<()> {
        if self.mode == Mode::Report || found.is_marked {
            return Ok(());
        }
        found.is_marked = true;
        self.request_headers.add_to_request(request)
    }

    /// One line a request beyond its limits, without what it is known by.
    pub(crate) fn log(&self, descriptor: &str) {
        let (level, message) = match self.mode {
            Mode::Enforce => (Level::Debug, "beyond the limit"),
            Mode::Report => (Level::Info, "beyond the limit; it is let on"),
        };
        if log_enabled!(level) {
            log!(level, descriptor; "{message}");
        }
    }

    /// Gives the places back that a request took.
    pub(crate) fn leave(&self, found: &mut Found) {
        let now = Now::default();
        for place in found.places.drain(..) {
            if let Err(error) = self.ledger.leave(place.policy, &place.key, &now) {
                log::warn!(error:%; "a place was not given back; it is free in an hour");
            }
        }
    }

    /// For a tick: hands the host what was counted, and gives back what was not spent.
    pub(crate) fn flush(&self) {
        self.counts.flush();
        let limits = |policy| self.policies.limits(policy);
        if let Err(error) = self.ledger.give_back(&Now::default(), limits) {
            log::warn!(error:%; "something could not be given back; it is tried again in a second");
        }
    }
}

/// Whether a request is among so many. The randomness is asked for only where it matters.
fn is_one_of(share: Percent) -> Result<bool> {
    Ok(match share.ppm() {
        0 => false,
        _ if share == Percent::ALL => true,
        _ => share.admits(random::next_u64()?),
    })
}
