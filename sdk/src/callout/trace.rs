//! The trace that a callout belongs to.

use crate::format::trace_id;
use crate::headers::Headers;
use crate::logging;

// The headers that go along, in the order in which they are looked for.
const REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The longest id of a request that goes along.
const MAX_REQUEST_ID: usize = 128;
/// The longest `tracestate` that goes along: what everybody should be able to take (W3C Trace Context,
/// section 3.3.1.5).
const MAX_TRACESTATE: usize = 512;

/// By what a callout is found again in the trace of the request that it is made for: that request's
/// `traceparent` and `tracestate` ([W3C Trace Context](https://www.w3.org/TR/trace-context/)), and Envoy's
/// `x-request-id`.
///
/// A callout has that of the stream in whose callback it is sent, without anybody's doing, as Envoy's own filters
/// have: `ext_authz` and `ratelimit` send their spans' context to whatever they ask. One that is sent by a future
/// of its own ([`spawn`](crate::spawn), which caches and coalesced fetches use too) has none, as it is nobody's in
/// particular; whoever knows better says so:
///
/// ```
/// # use legation::callout::{CalloutError, HttpRequest, TraceContext};
/// # async fn ask() -> Result<(), CalloutError> {
/// // In a callback: of its request, whoever sends it. Where the request's headers are at
/// // hand and read, `of_request` costs nothing.
/// let trace = TraceContext::of_stream();
/// // In a future of its own:
/// HttpRequest::get("auth", "/check").trace_context(trace).send().await?;
/// // To somebody who is not to know which requests are of one trace:
/// HttpRequest::get("elsewhere", "/").trace_context(TraceContext::none()).send().await?;
/// # Ok(())
/// # }
/// ```
///
/// The ids are random and name nobody. In Envoy's configuration they are taken out of all that goes to a cluster by a
/// `header_mutation` among that cluster's upstream HTTP filters.
///
/// What is no `traceparent` does not go along, and no `tracestate` without one; nor one beyond 512 bytes, or an id
/// beyond 128. Envoy's own span begins when the request is sent on, after the filters: where clients send no
/// `traceparent`, there is none yet, and `x-request-id` alone connects the two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext {
    headers: Vec<(&'static str, Vec<u8>)>,
}

impl TraceContext {
    /// Nothing goes along.
    pub const fn none() -> Self {
        Self {
            headers: Vec::new(),
        }
    }

    /// That of the request whose callback runs; [`none`](Self::none) where no stream's does.
    ///
    /// Host calls: in [`on_request_headers`](crate::HttpFilter::on_request_headers) two, and a third where there is
    /// a `traceparent`; later none where that callback has read a header, and else one in vain.
    pub fn of_stream() -> Self {
        logging::with_request(|get| Self::read(get))
    }

    /// As [`of_stream`](Self::of_stream), of headers that are at hand: no host call where they have been read.
    pub fn of_request(request: &mut Headers) -> Self {
        Self::read(|name| request.peek(name).ok().flatten())
    }

    fn read(mut get: impl FnMut(&'static str) -> Option<Vec<u8>>) -> Self {
        let request_id = get(REQUEST_ID).filter(|id| id.len() <= MAX_REQUEST_ID);
        let traceparent = get(TRACEPARENT).filter(|value| trace_id(value).is_some());
        let tracestate = traceparent.as_ref().and_then(|_| get(TRACESTATE));
        let tracestate = tracestate.filter(|state| state.len() <= MAX_TRACESTATE);
        let headers = [
            (REQUEST_ID, request_id),
            (TRACEPARENT, traceparent),
            (TRACESTATE, tracestate),
        ];
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let value = value?;
            // Anything else would have the callout refused.
            let is_text = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
            (is_text && !value.is_empty()).then_some((name, value))
        });
        Self {
            headers: headers.collect(),
        }
    }

    /// Its headers, but for those that a callout has already. Beside another trace's
    /// `traceparent` or `tracestate` go neither of its own (section 3.3).
    pub(super) fn beside<'a>(
        &'a self,
        own: &'a [(String, Vec<u8>)],
    ) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let has = |name: &str| {
            own.iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        let has_trace = has(TRACEPARENT) || has(TRACESTATE);
        let headers = self.headers.iter().filter(move |(name, _)| match *name {
            REQUEST_ID => !has(REQUEST_ID),
            _ => !has_trace,
        });
        headers.map(|(name, value)| (*name, value.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const NAMES: [&str; 3] = [REQUEST_ID, TRACEPARENT, TRACESTATE];
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn passed(id: &str, parent: &str, state: &str) -> Vec<&'static str> {
        let headers = [(REQUEST_ID, id), (TRACEPARENT, parent), (TRACESTATE, state)];
        let context = TraceContext::read(|name| {
            let value = headers.iter().find(|(known, _)| *known == name);
            value.map(|(_, value)| value.as_bytes().to_vec())
        });
        context.headers.into_iter().map(|(name, _)| name).collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn all_three_go_along() {
        assert_eq!(passed("a", PARENT, "vendor=1"), NAMES);
        assert_eq!(TraceContext::read(|_| None), TraceContext::none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_trace_does_not_nor_does_its_state() {
        for parent in [
            "",
            "nonsense",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nx: y",
        ] {
            assert_eq!(
                passed("a", parent, "vendor=1"),
                ["x-request-id"],
                "{parent}"
            );
        }
        let later = PARENT.replacen("00", "01", 1) + "-more";
        assert_eq!(passed("a", &later, "vendor=1"), NAMES);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn nothing_goes_along_that_is_too_long_or_no_text() {
        assert_eq!(passed(&"a".repeat(129), PARENT, ""), ["traceparent"]);
        assert_eq!(passed("a\u{fc}", PARENT, &"a".repeat(513)), ["traceparent"]);
        assert_eq!(passed("a\nb", PARENT, "a\tb"), ["traceparent"]);
    }
}
