//! Local replies: answers that a filter gives in the upstream's place.

use crate::abi;
use crate::error::Result;
use crate::headers;

/// An answer of the filter's own. The request goes no further.
///
/// To a gRPC client (a `content-type` of `application/grpc`) Envoy sends it
/// as gRPC: HTTP status 200, `grpc-status` and the body as `grpc-message`.
///
/// ```
/// use legation::reply::{GrpcStatus, LocalReply};
///
/// let reply = LocalReply::new(403)
///     .header("www-authenticate", "Bearer error=\"insufficient_scope\"")
///     .body("the token lacks the scope `orders`\n")
///     .details("jwt_scope_missing")
///     .grpc_status(GrpcStatus::PermissionDenied);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a local reply is sent by returning it from the callback"]
pub struct LocalReply {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    details: String,
    grpc_status: Option<GrpcStatus>,
}

impl LocalReply {
    /// A reply with an HTTP status from 200 to 599, and nothing else. A status
    /// outside that range is sent as 500.
    pub fn new(status: u16) -> Self {
        let status = match status {
            200..=599 => status,
            _ => 500,
        };
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            details: String::new(),
            grpc_status: None,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The body; `content-type: text/plain` unless a header says otherwise.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A word for the access log's `%RESPONSE_CODE_DETAILS%`. White space in
    /// it becomes `_`.
    pub fn details(mut self, details: &str) -> Self {
        self.details = details.split_whitespace().collect::<Vec<_>>().join("_");
        self
    }

    /// The status a gRPC client gets. Unset, Envoy derives one from the HTTP
    /// status (400 is `INTERNAL`, 401 `UNAUTHENTICATED`, 403 `PERMISSION_DENIED`,
    /// 404 `UNIMPLEMENTED`, 429, 502, 503 and 504 `UNAVAILABLE`, any other
    /// `UNKNOWN`).
    pub fn grpc_status(mut self, status: GrpcStatus) -> Self {
        self.grpc_status = Some(status);
        self
    }

    /// The HTTP status that will be sent.
    pub fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn send(&self) -> Result<()> {
        let headers = headers::encode(
            self.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_slice())),
        )?;
        let grpc_status = self.grpc_status.map_or(-1, |status| status as i32);
        abi::send_local_response(
            self.status,
            &self.details,
            &self.body,
            &headers,
            grpc_status,
        )?;
        Ok(())
    }
}

/// The statuses of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names are gRPC's own")]
pub enum GrpcStatus {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}
