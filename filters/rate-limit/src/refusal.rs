//! What clients get that are refused.

use legation::http::header::{CONTENT_TYPE, RETRY_AFTER};
use legation::http::{HeaderName, HeaderValue};
use legation::{Flow, GrpcStatus, LocalReply, RequestHeaders, Result};

use crate::additions::Additions;
use crate::config::Reply;
use crate::headers::seconds;
use crate::service::Headers;

const RATELIMITED: HeaderName = HeaderName::from_static("x-envoy-ratelimited");

/// What Envoy's own filter says, in the body and in the access log.
const LOCAL: &str = "local_rate_limited";

/// What marks the answer to a request that the service finds beyond its limits.
pub(crate) fn ratelimited() -> (HeaderName, HeaderValue) {
    (RATELIMITED, HeaderValue::from_static("true"))
}

/// How requests are refused.
#[derive(Debug)]
pub(crate) struct Refusals {
    status: u16,
    /// Whatever the status is.
    grpc_status: GrpcStatus,
    says_when: bool,
    headers: Additions,
}

/// A refusal.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Nanoseconds until it is worth trying again, if that is known.
    pub(crate) retry_after: Option<u64>,
    /// What the service has it get.
    pub(crate) headers: Headers,
    /// Whether it has `x-envoy-ratelimited`.
    pub(crate) says_ratelimited: bool,
    pub(crate) body: Vec<u8>,
    /// For the access log.
    pub(crate) details: &'static str,
}

impl Refusal {
    /// By a limit of this Envoy.
    pub(crate) fn local(retry_after: Option<u64>) -> Self {
        Self {
            retry_after,
            headers: Headers::new(),
            says_ratelimited: false,
            body: LOCAL.into(),
            details: LOCAL,
        }
    }
}

impl Refusals {
    pub(crate) fn new(config: Reply) -> Self {
        Self {
            status: config.status,
            grpc_status: if config.rate_limited_as_resource_exhausted {
                GrpcStatus::ResourceExhausted
            } else {
                GrpcStatus::Unavailable
            },
            says_when: config.retry_after_header,
            headers: Additions::new(config.response_headers_to_add),
        }
    }

    /// Refuses a request.
    pub(crate) fn refuse(&self, refusal: Refusal, request: &mut RequestHeaders) -> Result<Flow> {
        let mut headers = Vec::new();
        for (name, value) in refusal.headers {
            // A gRPC answer has a type of its own.
            if !(name == CONTENT_TYPE && request.is_grpc()?) {
                headers.push((name, value.as_bytes().to_vec()));
            }
        }
        if refusal.says_ratelimited {
            headers.push((RATELIMITED, b"true".to_vec()));
        }
        let is_said = headers.iter().any(|(name, _)| name == RETRY_AFTER);
        if let Some(nanoseconds) = refusal.retry_after
            && self.says_when
            && !is_said
            // Where it would never help, nothing is said.
            && nanoseconds != u64::MAX
        {
            let seconds = seconds(nanoseconds).max(1);
            headers.push((RETRY_AFTER, seconds.to_string().into_bytes()));
        }
        self.headers.add_to_reply(&mut headers, request)?;
        let mut reply = LocalReply::new(self.status)
            .body(refusal.body)
            .details(refusal.details)
            .grpc_status(self.grpc_status);
        for (name, value) in headers {
            reply = reply.header(name.as_str(), value);
        }
        Ok(reply.into())
    }
}
