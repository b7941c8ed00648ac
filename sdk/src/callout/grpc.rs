//! gRPC callouts: one message there, one back.

use std::time::Duration;

use prost::Message;

use super::http::milliseconds;
use crate::abi;
use crate::callout::CalloutError;
use crate::headers;
use crate::runtime::reactor::{self, Protocol};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_MAX_RESPONSE_BYTES: usize = 1024 * 1024;

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
    metadata: Vec<(String, Vec<u8>)>,
    timeout: Duration,
    max_response_bytes: usize,
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
        Self {
            cluster: cluster.into(),
            service: service.into(),
            method: method.into(),
            message: message.encode_to_vec(),
            metadata: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            max_response_bytes: DEFAULT_MAX_RESPONSE_BYTES,
        }
    }

    /// Adds initial metadata: a header of the call.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.metadata.push((name.into(), value.into()));
        self
    }

    /// How long the answer may take, from 1 ms to 49 days; 5 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest message that is taken as an answer; 1 MiB by default.
    #[must_use]
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// The cluster that it goes to.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Makes the call, and waits for its answer.
    ///
    /// A call without a connection or an answer in time ends as gRPC has it, with
    /// the status 14 (`UNAVAILABLE`) or 4 (`DEADLINE_EXCEEDED`, here
    /// [`CalloutError::Timeout`]).
    ///
    /// Host calls: one to send, one for the answer.
    pub async fn send<M: Message + Default>(&self) -> Result<M, CalloutError> {
        const DEADLINE_EXCEEDED: u32 = 4;
        let reactor = reactor::current().ok_or(CalloutError::Gone)?;
        let metadata = self
            .metadata
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()));
        let metadata =
            headers::encode(metadata).map_err(|error| CalloutError::Invalid(error.to_string()))?;
        let timeout = milliseconds(self.timeout);
        let answer = reactor.call(Protocol::Grpc, self.max_response_bytes, || {
            abi::grpc_call(
                self.cluster.as_bytes(),
                self.service.as_bytes(),
                self.method.as_bytes(),
                &metadata,
                &self.message,
                timeout,
            )
        })?;
        drop(metadata);
        let arrived = answer.await.map_err(|error| match error {
            CalloutError::Grpc {
                status: DEADLINE_EXCEEDED,
                ..
            } => CalloutError::Timeout,
            error => error,
        })?;
        M::decode(arrived.body.as_slice())
            .map_err(|error| CalloutError::Malformed(error.to_string()))
    }
}
