//! The parts of a message that a rule changes, and what each is spared.

use legation::config::Problem;
use legation::format::Uses;

use super::conflict::Place;
use super::name::Name;
use crate::grpc;

/// Which part of which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    RequestTrailers,
    Response,
    ResponseTrailers,
}

/// What says how the message is to be taken: whoever gets it in trailers has taken it
/// otherwise by then (RFC 9110, section 6.5.1).
const NOT_IN_TRAILERS: [&str; 9] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-range",
    "content-type",
    "set-cookie",
    "te",
    "trailer",
];

/// Whether this may stand in trailers.
pub(crate) fn may_be_trailer(name: &[u8]) -> bool {
    !NOT_IN_TRAILERS.iter().any(|other| other.as_bytes() == name)
}

impl Side {
    /// The field of a rule.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::RequestTrailers => "request_trailers",
            Self::Response => "response",
            Self::ResponseTrailers => "response_trailers",
        }
    }

    fn is_trailers(self) -> bool {
        matches!(self, Self::RequestTrailers | Self::ResponseTrailers)
    }

    fn is_response(self) -> bool {
        matches!(self, Self::Response | Self::ResponseTrailers)
    }

    /// What is wrong with a value here that is made of this.
    pub(super) fn check_uses(self, uses: Uses) -> Option<Problem> {
        let uses_response =
            uses.response_headers || uses.response_trailers || uses.response_attributes;
        match self {
            Self::Request if uses_response => Some(
                Problem::new("a request's header cannot be made from the response")
                    .help("there is none yet: put it under `response`"),
            ),
            Self::RequestTrailers if uses_response => Some(
                Problem::new("a request's trailer cannot be made from the response")
                    .help("the request may end before it comes: put it under `response`"),
            ),
            Self::Request | Self::Response if uses.request_trailers || uses.response_trailers => {
                Some(
                    Problem::new("a header cannot be made from the trailers")
                        .help("they arrive after the body, when the headers are on their way"),
                )
            }
            Self::ResponseTrailers if uses.request_trailers => Some(
                Problem::new("a response cannot be made from the request's trailers")
                    .help("they are on their way; what of the request is kept are its headers"),
            ),
            _ => None,
        }
    }

    /// What is wrong with this name in this place.
    pub(super) fn check_name(self, place: Place, name: &Name) -> Option<Problem> {
        let bytes = name.as_bytes();
        if self.is_trailers() && !may_be_trailer(bytes) {
            let problem = Problem::new(format!("`{name}` is not for trailers"));
            return Some(problem.help("it says how to take what came before them"));
        }
        let keeps_status = matches!(place, Place::OverwriteIfExists | Place::Rewritten);
        (self.is_response() && bytes == grpc::STATUS && !keeps_status).then(|| {
            Problem::new("a gRPC answer has one `grpc-status`, and no other has any").help(
                "where it is there it may become another: name it under `overwrite_if_exists` or `regex_rewrite`",
            )
        })
    }

    /// What is wrong with these literal values under this name.
    pub(super) fn check_values<'a>(
        self,
        name: &Name,
        values: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
    ) -> Option<Problem> {
        if !self.is_response() || name.as_bytes() != grpc::STATUS {
            return None;
        }
        let is_one = values.len() == 1;
        let mut literals = values.flatten();
        (!is_one || literals.any(|value| !grpc::is_status(value))).then(|| {
            Problem::new("a gRPC status is one number from 0 to 16")
                .help("such as 14, which is UNAVAILABLE")
        })
    }
}
