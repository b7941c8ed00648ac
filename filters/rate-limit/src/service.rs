//! Limits that are counted elsewhere: a rate limit service, asked over gRPC.

mod denials;
mod standing;
mod wire;

use std::cell::RefCell;
use std::fmt;
use std::num::NonZeroUsize;

use legation::callout::{GrpcRequest, TraceContext};
use legation::fingerprint::{Fingerprint, Fingerprints};
use legation::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use legation::http::{HeaderName, HeaderValue};
use legation::metrics::Tally;
use legation::resilience::{HttpService, Repeat, Trouble};
use legation::{Configure, LocalReply, Result};
use prost::Message;

use crate::config;
use crate::descriptor::Descriptor;
use crate::now::{Now, duration};
use denials::Denials;
pub(crate) use standing::Standing;
use wire::{Code, RateLimitRequest, RateLimitResponse, Unit};

const SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";
const METHOD: &str = "ShouldRateLimit";

/// Denials that a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// A rate limit service.
pub(crate) struct Service {
    grpc: HttpService,
    domain: Box<str>,
    authority: Box<str>,
    trouble: Trouble,
    pub(crate) failure_mode_deny: bool,
    status_on_error: u16,
    pub(crate) says_ratelimited: bool,
    fingerprints: Fingerprints,
    denials: RefCell<Denials>,
    /// Envoy's own counters.
    ok: Tally,
    over_limit: Tally,
    error: Tally,
    pub(crate) failure_mode_allowed: Tally,
    /// Requests that were denied again without the service being asked.
    denied_from_cache: Tally,
}

/// Headers to add.
pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

/// What the service says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) is_over_limit: bool,
    pub(crate) standing: Option<Standing>,
    /// Nanoseconds until it would be worth trying again, if that is known.
    pub(crate) retry_after: Option<u64>,
    pub(crate) request_headers: Headers,
    pub(crate) response_headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// The service did not answer, or not what could be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

impl Service {
    pub(crate) fn new(config: &config::Service, host: &mut Configure) -> Result<Self> {
        let tally = |host: &mut Configure, name: &str| {
            Tally::new(host.counter(&format!("ratelimit.{name}")))
        };
        Ok(Self {
            grpc: HttpService::new(&config.http_service(), host),
            domain: config.domain().into(),
            authority: config.authority().unwrap_or_default().into(),
            trouble: Trouble::default(),
            failure_mode_deny: config.failure_mode_deny,
            status_on_error: config.status_on_error(),
            says_ratelimited: !config.disable_x_envoy_ratelimited_header,
            fingerprints: Fingerprints::new()?,
            denials: RefCell::new(Denials::new(
                REMEMBERED,
                duration(config.deny_cache_max_age()),
            )),
            ok: tally(host, "ok"),
            over_limit: tally(host, "over_limit"),
            error: tally(host, "error"),
            failure_mode_allowed: tally(host, "failure_mode_allowed"),
            denied_from_cache: tally(host, "denied_from_cache"),
        })
    }

    /// What is asked about a request with these descriptors: `None` where it has none.
    pub(crate) fn question(&self, descriptors: &[&Descriptor]) -> Option<Question> {
        if descriptors.is_empty() {
            return None;
        }
        let message = RateLimitRequest {
            domain: self.domain.to_string(),
            descriptors: descriptors.iter().copied().map(Into::into).collect(),
            hits_addend: 0,
        };
        let message = message.encode_to_vec();
        Some(Question {
            fingerprint: self.fingerprints.of(&message),
            message,
        })
    }

    /// What it said of the like before, where that still holds.
    pub(crate) fn remembered(&self, question: &Question, now: &Now) -> Result<Option<Answer>> {
        // Nothing is borrowed while the host is asked: it may call back.
        if !self.denials.borrow().knows(question.fingerprint) {
            return Ok(None);
        }
        let at = now.nanoseconds()?;
        let answer = self.denials.borrow_mut().find(question.fingerprint, at);
        if answer.is_some() {
            self.denied_from_cache.add(1);
        }
        Ok(answer)
    }

    /// Asks the service, for this request's sake. One callout.
    pub(crate) async fn ask(
        &self,
        question: Question,
        trace: TraceContext,
    ) -> Result<Answer, Failed> {
        let request = GrpcRequest::encoded(self.grpc.cluster(), SERVICE, METHOD, question.message)
            .authority(&*self.authority)
            .trace_context(trace);
        // Asked twice, it would count twice: only where the first was not sent.
        let sent = self
            .grpc
            .send_grpc::<RateLimitResponse>(request, Repeat::Unsafe);
        let answer = match sent.await {
            Ok(answer) => {
                if self.trouble.ends() {
                    log::info!("the rate limit service answers again");
                }
                Answer::from(answer)
            }
            Err(error) => {
                self.error.add(1);
                log::log!(self.trouble.begins(), error:%; "the rate limit service is of no help");
                return Err(Failed);
            }
        };
        let tally = if answer.is_over_limit {
            &self.over_limit
        } else {
            &self.ok
        };
        tally.add(1);
        // Without the time nobody knows how long a denial would hold.
        if answer.is_over_limit
            && let Ok(now) = Now::default().nanoseconds()
        {
            let mut denials = self.denials.borrow_mut();
            denials.put(question.fingerprint, &answer, now);
        }
        Ok(answer)
    }

    /// The refusal of a request that nothing is known about.
    pub(crate) fn refuse(&self) -> LocalReply {
        LocalReply::new(self.status_on_error).details("rate_limiter_error")
    }

    /// Hands the host what was counted since the last time.
    pub(crate) fn flush(&self) {
        let all = [
            &self.ok,
            &self.over_limit,
            &self.error,
            &self.failure_mode_allowed,
            &self.denied_from_cache,
        ];
        all.into_iter().for_each(Tally::flush);
    }
}

/// What the service is asked.
pub(crate) struct Question {
    /// A [`RateLimitRequest`], encoded.
    message: Vec<u8>,
    fingerprint: Fingerprint,
}

/// Without what it says of the client.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").finish_non_exhaustive()
    }
}

impl From<&Descriptor> for wire::RateLimitDescriptor {
    fn from(descriptor: &Descriptor) -> Self {
        let entries = descriptor.entries.iter().map(|entry| wire::Entry {
            key: entry.key.to_string(),
            value: text(&entry.value),
        });
        Self {
            entries: entries.collect(),
            limit: descriptor.limit.map(|limit| wire::RateLimitOverride {
                requests_per_unit: limit.requests_per_unit(),
                unit: unit(limit.unit).into(),
            }),
            hits_addend: (descriptor.hits != 1).then_some(descriptor.hits.into()),
        }
    }
}

fn unit(unit: config::Unit) -> Unit {
    match unit {
        config::Unit::Second => Unit::Second,
        config::Unit::Minute => Unit::Minute,
        config::Unit::Hour => Unit::Hour,
        config::Unit::Day => Unit::Day,
        config::Unit::Month => Unit::Month,
        config::Unit::Year => Unit::Year,
    }
}

/// What a value begins with that holds escapes.
const ESCAPED: char = '\u{fffd}';

/// Bytes as text, and no two of them as the same: those that are not UTF-8 as escapes.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with(ESCAPED) => text.to_owned(),
        _ => format!("{ESCAPED}{}", bytes.escape_ascii()),
    }
}

impl From<RateLimitResponse> for Answer {
    fn from(response: RateLimitResponse) -> Self {
        // An unknown code counts as OK, as in Envoy.
        let is_over_limit = response.overall_code() == Code::OverLimit;
        Self {
            is_over_limit,
            standing: Standing::of(&response.statuses),
            retry_after: standing::retry_after(&response.statuses),
            request_headers: headers(response.request_headers_to_add),
            response_headers: headers(response.response_headers_to_add),
            body: response.raw_body,
        }
    }
}

/// Those that may be added: what is no header, or says whom a request is for or where a
/// message ends, would break it.
fn headers(given: Vec<wire::HeaderValue>) -> Headers {
    let headers = given.into_iter().filter_map(|header| {
        let value = if header.raw_value.is_empty() {
            header.value.into_bytes()
        } else {
            header.raw_value
        };
        let name = HeaderName::from_bytes(header.key.as_bytes()).ok()?;
        if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
            return None;
        }
        Some((name, HeaderValue::from_bytes(&value).ok()?))
    });
    headers.collect()
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn no_two_values_are_one_text() {
        let values: [&[u8]; 7] = [
            b"",
            b"a",
            b"\xff",
            b"\\xff",
            b"\xff\\xff",
            "\u{fffd}\\xff".as_bytes(),
            "\u{fffd}".as_bytes(),
        ];
        let texts: std::collections::BTreeSet<_> = values.into_iter().map(text).collect();
        assert_eq!(texts.len(), values.len(), "{texts:?}");
        assert_eq!(text("grün".as_bytes()), "grün");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_would_break_a_message_is_no_header_to_add() {
        let header = |key: &str, value: &str, raw_value: &[u8]| wire::HeaderValue {
            key: key.to_owned(),
            value: value.to_owned(),
            raw_value: raw_value.to_vec(),
        };
        let given = vec![
            header("X-Good", "1", b""),
            header("x-raw", "", b"\xff"),
            header("", "1", b""),
            header(":status", "200", b""),
            header("Host", "elsewhere", b""),
            header("Content-Length", "1", b""),
            header("transfer-encoding", "chunked", b""),
            header("x-cut", "a\r\nb: c", b""),
        ];
        let names = headers(given);
        let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-good", "x-raw"]);
    }
}
