//! When things happen.

use legation::callout::TraceContext;
use legation::config::{ConfigErrors, Mode};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, ResponseHeaders, Result};

use crate::config::Config;
use crate::descriptor::Descriptors;
use crate::headers::{Announce, Told};
use crate::limiter::{Found, Limiter};
use crate::now::Now;
use crate::refusal::{self, Refusal};
use crate::service::{Answer, Failed, Headers, Question, Service};

/// The filter.
pub struct RateLimit {
    limiter: Limiter,
    service: Option<Service>,
    announce: Announce,
}

/// What is remembered of a request.
#[derive(Debug, Default)]
pub struct Stream {
    question: Option<Question>,
    told: Option<Told>,
    /// What the service has responses get.
    headers: Headers,
    found: Found,
}

#[legation::filter]
impl HttpFilter for RateLimit {
    const NAME: &'static str = "rate-limit";
    const REMOTE_CONFIG: bool = true;
    type Config = Config;
    type Stream = Stream;

    fn configure(mut config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let announce = Announce {
            x_ratelimit: config.reply.x_ratelimit_headers,
            ratelimit: config.reply.ratelimit_headers,
        };
        let service = config.service.take();
        let limiter = Limiter::new(config, host)?;
        let service = service.map(|service| Service::new(&service, host));
        let service = service.transpose();
        Ok(Self {
            limiter,
            service: service.map_err(|error| ConfigErrors::of_document(error.to_string()))?,
            announce,
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
        let trace = TraceContext::of_request(request.headers());
        match service.ask(question, trace).await {
            Ok(answer) => self.conclude(stream, request, service, answer),
            Err(Failed) if service.failure_mode_deny && self.limiter.is_enforced()? => {
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
            for (name, value) in self.announce.headers(&told, &self.limiter.policies) {
                response.headers().append(&name, value)?;
            }
        }
        Ok(Flow::Continue)
    }

    fn on_done(&self, stream: &mut Stream) {
        self.limiter.leave(&mut stream.found);
    }

    fn on_tick(&self) {
        self.limiter.flush();
        if let Some(service) = &self.service {
            service.flush();
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
        let (now, mut descriptors) = (Now::default(), Descriptors::default());
        let found = &mut stream.found;
        let decided = self
            .limiter
            .decide(request, &mut descriptors, found, &now)?;
        let told = found.told.take();
        self.tell(stream, told.map(Told::Policy));
        if decided.is_some() {
            return Ok(decided);
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
            self.limiter.log("rate_limit_service");
        }
        if is_over_limit && self.limiter.is_enforced()? {
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
            return self.limiter.refusals.refuse(refusal, request);
        }
        self.tell(stream, told);
        if self.limiter.mode == Mode::Enforce {
            for (name, value) in answer.request_headers {
                request.headers().append(&name, value)?;
            }
            stream.headers = answer.response_headers;
            if is_over_limit {
                self.limiter.mark(&mut stream.found, request)?;
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
        if self.announce.is_nothing() || self.limiter.mode == Mode::Report {
            return;
        }
        let known = stream.told.as_ref().map(Told::remaining);
        if let Some(told) = told
            && known.is_none_or(|known| told.remaining() < known)
        {
            stream.told = Some(told);
        }
    }

    fn let_on(stream: &Stream) -> Flow {
        let waits =
            stream.told.is_some() || !stream.headers.is_empty() || !stream.found.places.is_empty();
        if waits { Flow::Continue } else { Flow::Finish }
    }
}
