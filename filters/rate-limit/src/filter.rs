//! When things happen.

use std::fmt::Display;
use std::time::Duration;

use legation::attributes::CONNECTION_ID;
use legation::config::{ConfigErrors, Mode, Percent};
use legation::matcher;
use legation::{Configure, Flow, HttpFilter, RequestHeaders, ResponseHeaders, Result, random};
use log::{Level, log, log_enabled};
use smallvec::SmallVec;

use crate::additions::Additions;
use crate::config::Config;
use crate::counts::Counts;
use crate::descriptor::{Actions, Descriptors};
use crate::headers::{Announce, Told};
use crate::judge::{Judged, Places, judge};
use crate::ledger::{Lease, Ledger};
use crate::now::{Now, duration};
use crate::policies::Policies;
use crate::refusal::{self, Refusal, Refusals};
use crate::service::{Answer, Failed, Headers, Question, Service};

/// How long a count may wait in the module before it shows on `/stats`, and how often
/// tokens that were not spent are given back.
const TICK: Duration = Duration::from_secs(1);

/// The filter.
pub struct RateLimit {
    actions: Actions,
    policies: Policies,
    ledger: Ledger,
    service: Option<Service>,
    counts: Counts,
    mode: Mode,
    enabled: Percent,
    enforced: Percent,
    refusals: Refusals,
    announce: Announce,
    request_headers: Additions,
    per_connection: bool,
}

/// What is remembered of a request.
#[derive(Debug, Default)]
pub struct Stream {
    question: Option<Question>,
    told: Option<Told>,
    /// What the service has responses get.
    headers: Headers,
    places: Places,
    /// Whether the upstream is told that it is beyond a limit.
    is_marked: bool,
}

#[legation::filter]
impl HttpFilter for RateLimit {
    const NAME: &'static str = "rate-limit";
    type Config = Config;
    type Stream = Stream;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let unusable = |error: &dyn Display| ConfigErrors::of_document(error.to_string());
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
        let ledger =
            Ledger::open(&name, &policies, keys, lease).map_err(|error| unusable(&error))?;
        let service = config.service.as_ref();
        let service = service
            .map(|service| Service::new(service, host))
            .transpose();
        Ok(Self {
            actions: Actions::new(&config),
            counts: Counts::new(&policies, host),
            service: service.map_err(|error| unusable(&error))?,
            ledger,
            policies,
            mode: config.mode,
            enabled: config.filter_enabled.0,
            enforced: config.filter_enforced.0,
            announce: Announce {
                x_ratelimit: config.reply.x_ratelimit_headers,
                ratelimit: config.reply.ratelimit_headers,
            },
            refusals: Refusals::new(config.reply),
            request_headers: Additions::new(config.request_headers_to_add_when_not_enforced),
            per_connection: config.local_rate_limit_per_downstream_connection,
        })
    }

    fn on_request_headers_at_once(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        self.answer_at_once(stream, request).transpose()
    }

    async fn on_request_headers(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        let (Some(service), Some(question)) = (&self.service, stream.question.take()) else {
            return Ok(Flow::Continue);
        };
        match service.ask(question).await {
            Ok(answer) => self.conclude(stream, request, service, answer),
            Err(Failed) if service.failure_mode_deny && self.is_enforced()? => {
                Ok(service.refuse().into())
            }
            Err(Failed) => {
                service.failure_mode_allowed.add(1);
                Ok(Self::let_on(stream))
            }
        }
    }

    fn on_response_headers(
        &self,
        stream: &mut Stream,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        for (name, value) in stream.headers.drain(..) {
            response.headers().append(&name, value)?;
        }
        if let Some(told) = stream.told.take() {
            for (name, value) in self.announce.headers(&told, &self.policies) {
                response.headers().append(&name, value)?;
            }
        }
        Ok(Flow::Continue)
    }

    fn on_done(&self, stream: &mut Stream) {
        let now = Now::default();
        for place in stream.places.drain(..) {
            if let Err(error) = self.ledger.leave(place.policy, &place.key, &now) {
                log::warn!(error:%; "a place was not given back; it is free in an hour");
            }
        }
    }

    fn on_tick(&self) {
        self.counts.flush();
        if let Some(service) = &self.service {
            service.flush();
        }
        let limits = |policy| self.policies.limits(policy);
        if let Err(error) = self.ledger.give_back(&Now::default(), limits) {
            log::warn!(error:%; "something could not be given back; it is tried again in a second");
        }
    }
}

impl RateLimit {
    /// Answers all that the service need not be asked about. `None` notes what it is to
    /// be asked.
    fn answer_at_once(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Option<Flow>> {
        if !is_one_of(self.enabled)? {
            return Ok(Some(Flow::Finish));
        }
        self.counts.enabled.add(1);
        let now = Now::default();
        if let Some(name) = self.actions.lone_header() {
            request.headers().read_alone(name)?;
        }
        let view = &mut matcher::Request::new(request);
        let descriptors = self.actions.descriptors(view)?;
        let Judged {
            beyond,
            shadowed,
            told,
        } = self.judge(stream, &descriptors, request, &now)?;
        self.tell(stream, told.map(Told::Policy));
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
            self.mark(stream, request)?;
        } else if shadowed {
            self.counts.shadow_mode.add(1);
        } else {
            self.counts.ok.add(1);
        }
        let Some(service) = &self.service else {
            return Ok(Some(Self::let_on(stream)));
        };
        let Some(question) = service.question(&descriptors.all()) else {
            return Ok(Some(Self::let_on(stream)));
        };
        if let Some(answer) = service.remembered(&question, &now)? {
            return self.conclude(stream, request, service, answer).map(Some);
        }
        stream.question = Some(question);
        Ok(None)
    }

    fn judge(
        &self,
        stream: &mut Stream,
        descriptors: &Descriptors,
        request: &RequestHeaders,
        now: &Now,
    ) -> Result<Judged> {
        let mut scope = SmallVec::<[u8; 8]>::new();
        if self.per_connection {
            let connection = request.attribute(CONNECTION_ID)?.unwrap_or(0);
            scope.extend_from_slice(&connection.to_le_bytes());
        }
        let met = self.policies.meet(descriptors.readings(), &scope);
        let (policies, ledger, counts) = (&self.policies, &self.ledger, &self.counts);
        judge(met, policies, ledger, counts, now, &mut stream.places)
    }

    /// Does what the service says.
    fn conclude(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
        service: &Service,
        answer: Answer,
    ) -> Result<Flow> {
        let told = answer.standing.map(Told::Service);
        let is_over_limit = answer.is_over_limit;
        if is_over_limit {
            self.log("rate_limit_service");
        }
        if is_over_limit && self.is_enforced()? {
            if told.is_some() {
                // Not of a limit that has let it pass.
                stream.told = None;
            }
            self.tell(stream, told);
            let refusal = Refusal {
                retry_after: answer.retry_after,
                headers: answer.response_headers,
                says_ratelimited: service.says_ratelimited,
                body: answer.body,
                details: "request_rate_limited",
            };
            return self.refusals.refuse(refusal, request);
        }
        self.tell(stream, told);
        if self.mode == Mode::Enforce {
            for (name, value) in answer.request_headers {
                request.headers().append(&name, value)?;
            }
            stream.headers = answer.response_headers;
            if is_over_limit {
                self.mark(stream, request)?;
                // As Envoy's filter has it, also where the request is let on.
                if service.says_ratelimited {
                    stream.headers.push(refusal::ratelimited());
                }
            }
        }
        Ok(Self::let_on(stream))
    }

    /// Notes what the client is told: of several limits, the one that leaves it the least.
    fn tell(&self, stream: &mut Stream, told: Option<Told>) {
        if self.announce.is_nothing() || self.mode == Mode::Report {
            return;
        }
        let known = stream.told.as_ref().map(Told::remaining);
        if let Some(told) = told
            && known.is_none_or(|known| told.remaining() < known)
        {
            stream.told = Some(told);
        }
    }

    fn is_enforced(&self) -> Result<bool> {
        Ok(self.mode == Mode::Enforce && is_one_of(self.enforced)?)
    }

    /// Marks a request that is let on although it is beyond a limit, once.
    fn mark(&self, stream: &mut Stream, request: &mut RequestHeaders) -> Result<()> {
        if self.mode == Mode::Report || stream.is_marked {
            return Ok(());
        }
        stream.is_marked = true;
        self.request_headers.add_to_request(request)
    }

    fn let_on(stream: &Stream) -> Flow {
        let waits =
            stream.told.is_some() || !stream.headers.is_empty() || !stream.places.is_empty();
        if waits { Flow::Continue } else { Flow::Finish }
    }

    /// One line a request beyond its limits, without what it is known by.
    fn log(&self, descriptor: &str) {
        let (level, message) = match self.mode {
            Mode::Enforce => (Level::Debug, "beyond the limit"),
            Mode::Report => (Level::Info, "beyond the limit; it is let on"),
        };
        if log_enabled!(level) {
            log!(level, descriptor; "{message}");
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
