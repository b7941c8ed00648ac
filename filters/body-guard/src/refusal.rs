//! Why a message goes no further, and what its sender is told: never what stands in it.

use legation::http::StatusCode;
use legation::reply::{GrpcStatus, LocalReply};
use serde_json::json;

use crate::coding::Corrupt;
use crate::json::{Broken, Fault};

/// Why a message goes no further.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// The answer's status, if it is not the reason's own.
    status: Option<StatusCode>,
    /// A sentence.
    detail: String,
    /// The fields whose rules are broken: their paths as they are configured, and how.
    fields: Vec<(String, Broken)>,
}

/// The reasons, by the names that counters have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Missing,
    TooLarge,
    ContentType,
    Coding,
    NotText,
    Json,
    JsonLimit,
    DuplicateName,
    Fields,
    Denied,
    Partial,
    Trailers,
    Upgrade,
    AmbiguousPath,
    ExtAuthzDenied,
    ExtAuthzError,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "body_missing",
            Self::TooLarge => "too_large",
            Self::ContentType => "content_type",
            Self::Coding => "content_encoding",
            Self::NotText => "not_utf8",
            Self::Json => "invalid_json",
            Self::JsonLimit => "json_limit",
            Self::DuplicateName => "duplicate_name",
            Self::Fields => "fields",
            Self::Denied => "denied",
            Self::Partial => "partial_content",
            Self::Trailers => "trailers",
            Self::Upgrade => "upgrade",
            Self::AmbiguousPath => "ambiguous_path",
            Self::ExtAuthzDenied => "ext_authz_denied",
            Self::ExtAuthzError => "ext_authz_error",
        }
    }

    /// The status of the answer to a request.
    fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType | Self::Coding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Denied | Self::Upgrade | Self::ExtAuthzDenied | Self::ExtAuthzError => {
                StatusCode::FORBIDDEN
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The status that a gRPC client gets, if it is not the one of the HTTP status.
    fn grpc_status(self) -> Option<GrpcStatus> {
        Some(match self {
            Self::TooLarge => GrpcStatus::ResourceExhausted,
            Self::Denied | Self::Upgrade | Self::ExtAuthzDenied => GrpcStatus::PermissionDenied,
            Self::ExtAuthzError => return None,
            _ => GrpcStatus::InvalidArgument,
        })
    }

    fn details(self) -> &'static str {
        match self {
            Self::Missing => "body_guard_body_missing",
            Self::TooLarge => "body_guard_too_large",
            Self::ContentType => "body_guard_content_type",
            Self::Coding => "body_guard_content_encoding",
            Self::NotText => "body_guard_not_utf8",
            Self::Json => "body_guard_invalid_json",
            Self::JsonLimit => "body_guard_json_limit",
            Self::DuplicateName => "body_guard_duplicate_name",
            Self::Fields => "body_guard_fields",
            Self::Denied => "body_guard_denied",
            Self::Partial => "body_guard_partial_content",
            Self::Trailers => "body_guard_trailers",
            Self::Upgrade => "body_guard_upgrade",
            Self::AmbiguousPath => "body_guard_ambiguous_path",
            Self::ExtAuthzDenied => "body_guard_ext_authz_denied",
            Self::ExtAuthzError => "body_guard_ext_authz_error",
        }
    }
}

impl Refusal {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            status: None,
            detail: detail.into(),
            fields: Vec::new(),
        }
    }

    /// As the outside check is of no help: with this status.
    pub(crate) fn unchecked(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).ok(),
            ..Self::new(Reason::ExtAuthzError, "the request could not be checked")
        }
    }

    pub(crate) fn too_large(max_bytes: u64) -> Self {
        Self::new(
            Reason::TooLarge,
            format!("the body is larger than {max_bytes} bytes"),
        )
    }

    /// By what is wrong with a document; `path` tells the paths of fields.
    pub(crate) fn of(fault: &Fault, path: impl Fn(u16) -> String) -> Self {
        let reason = match fault {
            Fault::Syntax(_) | Fault::Incomplete => Reason::Json,
            Fault::DuplicateName(_) => Reason::DuplicateName,
            Fault::Denied | Fault::LongMatch => Reason::Denied,
            Fault::Fields(_) => Reason::Fields,
            Fault::Depth(_)
            | Fault::ObjectEntries(_)
            | Fault::ArrayElements(_)
            | Fault::NameLength(_)
            | Fault::StringLength(_)
            | Fault::NumberLength => Reason::JsonLimit,
        };
        let fields = match fault {
            Fault::Fields(fields) => fields.as_slice(),
            _ => &[],
        };
        Self {
            reason,
            status: None,
            detail: fault.to_string(),
            fields: fields
                .iter()
                .map(|(number, broken)| (path(*number), *broken))
                .collect(),
        }
    }

    /// The sentence, with the fields it is about: for the log.
    pub(crate) fn sentence(&self) -> String {
        if self.fields.is_empty() {
            return self.detail.clone();
        }
        let fields = self.fields.iter();
        let fields = fields.map(|(path, broken)| format!("{path} ({})", broken.as_str()));
        format!("{}: {}", self.detail, fields.collect::<Vec<_>>().join(", "))
    }

    /// The answer to the request, as RFC 9457 has it; to a gRPC client, a sentence.
    pub(crate) fn reply(&self, is_grpc: bool) -> LocalReply {
        let status = self.status.unwrap_or(self.reason.status());
        let reply = LocalReply::new(status.as_u16()).details(self.reason.details());
        let reply = match self.reason.grpc_status() {
            Some(grpc_status) => reply.grpc_status(grpc_status),
            None => reply,
        };
        if is_grpc {
            return reply.body(self.sentence());
        }
        let reply = match self.reason {
            // RFC 9110, section 15.5.16: the codings that would be taken.
            Reason::Coding => reply.header("accept-encoding", "gzip, deflate"),
            _ => reply,
        };
        self.problem(reply, status)
    }

    /// The answer in the place of a response: it says nothing of it.
    pub(crate) fn bad_gateway(&self) -> LocalReply {
        let status = StatusCode::BAD_GATEWAY;
        let told = Self::new(self.reason, "the response is not one that may be passed on");
        let reply = LocalReply::new(status.as_u16())
            .details(self.reason.details())
            .grpc_status(GrpcStatus::Internal);
        told.problem(reply, status)
    }

    fn problem(&self, reply: LocalReply, status: StatusCode) -> LocalReply {
        let mut problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.detail,
            "reason": self.reason.as_str(),
        });
        if !self.fields.is_empty()
            && let Some(problem) = problem.as_object_mut()
        {
            let fields = self.fields.iter();
            let errors = fields.map(|(path, broken)| {
                json!({"field": path, "rule": broken.as_str(), "detail": broken.to_string()})
            });
            problem.insert("errors".to_owned(), errors.collect());
        }
        reply
            .header("content-type", "application/problem+json")
            .body(problem.to_string())
    }
}

impl From<Corrupt> for Refusal {
    fn from(_: Corrupt) -> Self {
        Self::new(
            Reason::Coding,
            "the body is not what its content-encoding says",
        )
    }
}
