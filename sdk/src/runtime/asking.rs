//! Answers to the request's headers that take no future.

use super::contexts::Standing;
use super::tasks::{Event, Kind};
use super::{PAUSE, Phase, Runtime, kept};
use crate::filter::HttpFilter;
use crate::logging::StreamScope;
use crate::phase::RequestHeaders;

impl<F: HttpFilter> Runtime<F> {
    /// Asks the filter for an answer that takes no future, where it may have one: what
    /// the host is told. Else what the filter has looked at.
    #[inline]
    pub(super) fn ask(&self, id: u32, event: Event) -> Result<u32, Option<Box<RequestHeaders>>> {
        if !F::AT_ONCE || event.kind != Kind::RequestHeaders {
            return Err(None);
        }
        let Ok(mut entered) = self.enter(id) else {
            return Err(None);
        };
        if entered.standing != Standing::Open {
            self.leave(id, entered.state);
            return Err(None);
        }
        let _scope = StreamScope::enter(entered.request);
        let mut request = RequestHeaders::new(event.end);
        let flow = entered
            .filter
            .on_request_headers_at_once(&mut entered.state, &mut request);
        let standing = self.leave(id, entered.state);
        let Some(flow) = flow else {
            return Err(Some(Box::new(request)));
        };
        if let Some(copy) = kept::<F>(&mut request) {
            self.keep(id, Some(copy));
        }
        // Of a stream that is gone nothing is said to the host.
        Ok(standing.map_or(PAUSE, |standing| {
            self.settle(id, Phase::Request, standing, flow)
        }))
    }
}
