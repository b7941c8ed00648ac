//! gRPC callouts: one message there, one back.

use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use prost::Message;

use super::http::{borrowed, milliseconds};
use crate::abi;
use crate::callout::{CalloutError, DEFAULT_MAX_RESPONSE_BYTES, DEFAULT_TIMEOUT, TraceContext};
use crate::headers;
use crate::runtime::reactor::{self, Protocol};

/// A unary call of a method of a gRPC service.
///
/// ```
/// # use legation::callout::{CalloutError, GrpcRequest};
/// #[derive(Clone, PartialEq, prost::Message)]
/// struct HealthCheckRequest {
///     #[prost(string, tag = "1")]
///     service: String,
/// }
///
/// #[derive(Clone, PartialEq, prost::Message)]
/// struct HealthCheckResponse {
///     #[prost(int32, tag = "1")]
///     status: i32,
/// }
///
/// # async fn check() -> Result<(), CalloutError> {
/// let request = HealthCheckRequest { service: "orders".to_owned() };
/// let answer: HealthCheckResponse =
///     GrpcRequest::new("orders", "grpc.health.v1.Health", "Check", &request).send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct GrpcRequest {
    cluster: String,
    service: String,
    method: String,
    message: Vec<u8>,
    authority: String,
    metadata: Vec<(String, Vec<u8>)>,
    timeout: Duration,
    max_response_bytes: usize,
    trace_context: Option<TraceContext>,
}

impl GrpcRequest {
    /// A call to a cluster of Envoy's configuration, which speaks HTTP/2.
    /// `service` is the full name, such as `envoy.service.auth.v3.Authorization`.
    pub fn new(
        cluster: impl Into<String>,
        service: impl Into<String>,
        method: impl Into<String>,
        message: &impl Message,
    ) -> Self {
        Self::encoded(cluster, service, method, message.encode_to_vec())
    }

    /// A call with a message that is encoded already.
    pub fn encoded(
        cluster: impl Into<String>,
        service: impl Into<String>,
        method: impl Into<String>,
        message: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            cluster: cluster.into(),
            service: service.into(),
            method: method.into(),
            message: message.into(),
            authority: String::new(),
            metadata: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            max_response_bytes: DEFAULT_MAX_RESPONSE_BYTES,
            trace_context: None,
        }
    }

    /// `:authority`. By default the cluster's name, which many servers refuse where it is none:
    /// in Istio, `outbound|8081||limits.example`.
    #[must_use]
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = authority.into();
        self
    }

    /// Adds initial metadata: a header of the call.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.metadata.push((name.into(), value.into()));
        self
    }

    bounds!();

    /// Makes the call, and waits for its answer.
    ///
    /// A call that finds no connection, or loses it, ends with the status 14
    /// (`UNAVAILABLE`) or 13 (`INTERNAL`) as Envoy has it; one without an answer in
    /// time is [`CalloutError::Timeout`].
    ///
    /// Host calls: one to send, one for the answer; before, those of
    /// [`TraceContext::of_stream`].
    pub async fn send<M: Message + Default>(&self) -> Result<M, CalloutError> {
        if self.cluster.is_empty() {
            return Err(CalloutError::Invalid("no cluster is named".to_owned()));
        }
        let reactor = reactor::current().ok_or(CalloutError::Gone)?;
        let trace = self.trace();
        let metadata = borrowed(&self.metadata).chain(trace.beside(&self.metadata));
        let metadata =
            headers::encode(metadata).map_err(|error| CalloutError::Invalid(error.to_string()))?;
        // Envoy takes a cluster's plain name too, but one that happens to read as
        // such a message aborts the process.
        let upstream = GrpcService {
            envoy_grpc: Some(EnvoyGrpc {
                cluster_name: self.cluster.clone(),
                authority: self.authority.clone(),
            }),
        };
        let upstream = upstream.encode_to_vec();
        let timeout = milliseconds(self.timeout);
        let answer = reactor.call(Protocol::Grpc, self.max_response_bytes, || {
            abi::grpc_call(
                &upstream,
                self.service.as_bytes(),
                self.method.as_bytes(),
                &metadata,
                &self.message,
                timeout,
            )
        })?;
        drop((trace, metadata, upstream));
        match answer.await {
            Ok(arrived) => M::decode(arrived.body.as_slice())
                .map_err(|error| CalloutError::Malformed(error.to_string())),
            Err(CalloutError::Grpc { status, message }) => Err(failure(status, &message)),
            Err(error) => Err(error),
        }
    }
}

/// `envoy.config.core.v3.GrpcService`, as far as it is needed.
#[derive(Clone, PartialEq, Message)]
struct GrpcService {
    #[prost(message, optional, tag = "1")]
    envoy_grpc: Option<EnvoyGrpc>,
}

#[derive(Clone, PartialEq, Message)]
struct EnvoyGrpc {
    #[prost(string, tag = "1")]
    cluster_name: String,
    #[prost(string, tag = "2")]
    authority: String,
}

/// The error of a call that ended with this status. The message is as the other
/// side encoded it, with Envoy's own details behind it in braces, or those alone.
fn failure(status: u32, message: &str) -> CalloutError {
    let (message, details) = split_details(message).unwrap_or(("", message));
    if details == "response_timeout" {
        return CalloutError::Timeout;
    }
    // Envoy's details are all there is to say of what it did itself.
    let message = if message.is_empty() && details != "via_upstream" {
        details
    } else {
        message
    };
    CalloutError::Grpc {
        status,
        message: percent_decode_str(message).decode_utf8_lossy().into_owned(),
    }
}

/// What stands before the last braces, and in them; there may be braces in them.
fn split_details(message: &str) -> Option<(&str, &str)> {
    let inside = message.strip_suffix('}')?;
    let mut open = 1_usize;
    for (at, character) in inside.char_indices().rev() {
        match character {
            '}' => open = open.saturating_add(1),
            '{' => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 {
            let (message, details) = inside.split_at_checked(at)?;
            return Some((message, details.strip_prefix('{')?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn message(status: u32, given: &str) -> String {
        match failure(status, given) {
            CalloutError::Grpc { message, .. } => message,
            error => error.to_string(),
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn tells_the_other_sides_message_from_envoys_details() {
        assert_eq!(message(7, "no%20way%21{via_upstream}"), "no way!");
        assert_eq!(message(7, "{brace}{via_upstream}"), "{brace}");
        assert_eq!(message(14, "lost{reset{remote_reset}}"), "lost");
        assert_eq!(message(7, "}{{via_upstream}"), "}{");
        assert_eq!(message(2, "via_upstream"), "");
        assert_eq!(message(14, "no healthy upstream"), "no healthy upstream");
        assert_eq!(message(13, ""), "");
        assert_eq!(message(7, "%ff{via_upstream}"), "\u{fffd}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_timeout_is_one_by_envoys_word_only() {
        let envoys = "upstream request timeout{response_timeout}";
        assert_eq!(failure(14, envoys), CalloutError::Timeout);
        assert_ne!(
            failure(14, "x{response_timeout}{via_upstream}"),
            CalloutError::Timeout
        );
    }
}
