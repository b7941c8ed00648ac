//! What a callout's end means: for retries, for the breaker, for the statistics.

use super::breaker::Verdict;
use super::retry::Outcome;
use crate::callout::CalloutError;
use crate::error::{Reason, Status};

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) verdict: Verdict,
    /// What kind of failure it is.
    pub(super) kind: Option<Kind>,
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    NotSent,
    Connect,
    Reset,
    Timeout,
    Status,
    Answer,
}

impl Ended {
    const fn new(outcome: Outcome, verdict: Verdict, kind: Option<Kind>) -> Self {
        Self {
            outcome,
            verdict,
            kind,
        }
    }

    pub(super) const fn well() -> Self {
        Self::new(Outcome::Final, Verdict::Success, None)
    }

    pub(super) const fn with_status(status: u16) -> Self {
        match status {
            500.. => Self::new(
                Outcome::Status(status),
                Verdict::Failure,
                Some(Kind::Status),
            ),
            _ => Self::new(Outcome::Status(status), Verdict::Success, None),
        }
    }

    pub(super) fn with_error(error: &CalloutError) -> Self {
        match error {
            CalloutError::Timeout => {
                Self::new(Outcome::Timeout, Verdict::Failure, Some(Kind::Timeout))
            }
            CalloutError::Reset(reason) => Self::reset(reason),
            CalloutError::NoHeaders => Self::broken(),
            // A cluster without a host.
            CalloutError::NotSent(error)
                if error.reason == Reason::Status(Status::INTERNAL_FAILURE) =>
            {
                Self::unconnected()
            }
            CalloutError::Grpc { status, message } => Self::with_grpc_status(*status, message),
            CalloutError::TooLarge { .. } | CalloutError::Malformed(_) => {
                Self::new(Outcome::Final, Verdict::Nothing, Some(Kind::Answer))
            }
            CalloutError::NotSent(_)
            | CalloutError::Invalid(_)
            | CalloutError::CircuitOpen
            | CalloutError::Overloaded
            | CalloutError::Gone => {
                Self::new(Outcome::Final, Verdict::Nothing, Some(Kind::NotSent))
            }
        }
    }

    /// By Envoy's words.
    fn reset(reason: &str) -> Self {
        let begins = |words: &[&str]| words.iter().any(|words| reason.starts_with(words));
        if begins(NOT_CONNECTED) {
            Self::unconnected()
        } else if begins(&["overflow"]) {
            // The cluster's own bounds: more tries are the last thing it needs, and
            // it says nothing of the upstream.
            Self::new(Outcome::Final, Verdict::Nothing, Some(Kind::NotSent))
        } else {
            Self::broken()
        }
    }

    const fn unconnected() -> Self {
        Self::new(Outcome::NotConnected, Verdict::Failure, Some(Kind::Connect))
    }

    const fn broken() -> Self {
        Self::new(Outcome::Reset, Verdict::Failure, Some(Kind::Reset))
    }

    fn with_grpc_status(status: u32, message: &str) -> Self {
        // Without a connection Envoy answers itself.
        if status == UNAVAILABLE {
            if message == "no healthy upstream" {
                return Self::unconnected();
            }
            let said = message.split_once("reset reason: ");
            if let Some((_, reason)) = said
                && NOT_CONNECTED.iter().any(|words| reason.starts_with(words))
            {
                return Self::unconnected();
            }
        }
        let outcome = Outcome::GrpcStatus(status);
        match status {
            // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and
            // DATA_LOSS: what Envoy, too, takes for a 5xx.
            2 | 4 | 12..=15 => Self::new(outcome, Verdict::Failure, Some(Kind::Status)),
            _ => Self::new(outcome, Verdict::Success, None),
        }
    }
}

const UNAVAILABLE: u32 = 14;

/// Envoy's words for a request that the upstream has not seen, or has refused
/// before it looked at it.
const NOT_CONNECTED: &[&str] = &[
    "no healthy upstream",
    "remote connection failure",
    "local connection failure",
    "connection failure",
    "connection timeout",
    "remote refused stream reset",
];

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::error::HostError;

    fn reset(reason: &str) -> Ended {
        Ended::with_error(&CalloutError::Reset(reason.to_owned()))
    }

    fn grpc(status: u32, message: &str) -> Ended {
        Ended::with_error(&CalloutError::Grpc {
            status,
            message: message.to_owned(),
        })
    }

    fn not_sent(status: Status) -> Ended {
        let error = HostError::status("proxy_http_call", status);
        Ended::with_error(&CalloutError::NotSent(error))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_request_that_has_not_arrived_is_told_from_one_that_may_have() {
        for reason in [
            "no healthy upstream",
            "remote connection failure, transport failure reason: delayed connect error: Connection refused",
            "connection timeout",
            "remote refused stream reset",
        ] {
            assert_eq!(reset(reason), Ended::unconnected(), "{reason}");
        }
        for reason in [
            "connection termination",
            "remote reset",
            "protocol error",
            "",
            "the connection timeout",
        ] {
            assert_eq!(reset(reason), Ended::broken(), "{reason}");
        }
        assert_eq!(not_sent(Status::INTERNAL_FAILURE), Ended::unconnected());
        assert_eq!(not_sent(Status::BAD_ARGUMENT).outcome, Outcome::Final);
        assert_eq!(Ended::with_error(&CalloutError::NoHeaders), Ended::broken());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_clusters_own_bounds_say_nothing_of_the_upstream() {
        let ended = reset("overflow");

        assert_eq!(
            (ended.outcome, ended.verdict),
            (Outcome::Final, Verdict::Nothing)
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn statuses_from_500_up_are_failures() {
        for status in [200, 304, 401, 404, 429, 499] {
            assert_eq!(Ended::with_status(status).verdict, Verdict::Success);
            assert_eq!(Ended::with_status(status).kind, None);
        }
        for status in [500, 503, 599] {
            assert_eq!(Ended::with_status(status).verdict, Verdict::Failure);
            assert_eq!(Ended::with_status(status).kind, Some(Kind::Status));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn grpc_statuses_that_stand_for_5xx_are_failures() {
        for status in 1..=17 {
            let failure = [2, 4, 12, 13, 14, 15].contains(&status);
            let verdict = if failure {
                Verdict::Failure
            } else {
                Verdict::Success
            };
            assert_eq!(grpc(status, "").verdict, verdict, "{status}");
            assert_eq!(grpc(status, "").outcome, Outcome::GrpcStatus(status));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_grpc_call_without_a_connection_has_not_arrived() {
        let words = "upstream connect error or disconnect/reset before headers. reset reason: ";

        assert_eq!(grpc(14, "no healthy upstream"), Ended::unconnected());
        let refused = format!("{words}remote connection failure, transport failure reason: x");
        assert_eq!(grpc(14, &refused), Ended::unconnected());
        let broken = format!("{words}connection termination");
        assert_eq!(grpc(14, &broken).outcome, Outcome::GrpcStatus(14));
        assert_eq!(grpc(13, &refused).outcome, Outcome::GrpcStatus(13));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_wrong_with_the_request_is_neither_retried_nor_held_against_the_upstream() {
        for error in [
            CalloutError::Invalid(String::new()),
            CalloutError::TooLarge { size: 2, limit: 1 },
            CalloutError::Malformed(String::new()),
            CalloutError::CircuitOpen,
            CalloutError::Overloaded,
            CalloutError::Gone,
        ] {
            let ended = Ended::with_error(&error);
            assert_eq!(ended.outcome, Outcome::Final, "{error}");
            assert_eq!(ended.verdict, Verdict::Nothing, "{error}");
            assert!(ended.kind.is_some(), "{error}");
        }
    }
}
