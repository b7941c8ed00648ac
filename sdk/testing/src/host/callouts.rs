//! Callouts: who answers them, and when.

use std::cell::RefCell;
use std::rc::Rc;

use legation::HttpFilter;

use super::Host;
use crate::callout::{Callout, GrpcCall, HttpCall, PendingCallout};
use crate::machine::{Answered, Pending};

impl<F: HttpFilter> Host<F> {
    /// Gives the host a cluster for HTTP callouts. Without one of that name, a
    /// callout is refused as Envoy refuses it (bad argument).
    ///
    /// Answers are told when the test says so ([`deliver`](Self::deliver) and
    /// the like), in any order; in an [`exchange`](Self::exchange) of
    /// themselves.
    pub fn set_cluster<C: Into<Callout>>(
        &self,
        name: &str,
        mut answer: impl FnMut(&HttpCall) -> C + 'static,
    ) {
        let answer = move |call: &HttpCall| answer(call).into();
        let clusters = &mut self.state().callouts.clusters;
        clusters.insert(name.as_bytes().to_vec(), Rc::new(RefCell::new(answer)));
    }

    /// Gives the host a cluster for gRPC callouts.
    pub fn set_grpc_cluster<C: Into<Callout>>(
        &self,
        name: &str,
        mut answer: impl FnMut(&GrpcCall) -> C + 'static,
    ) {
        let answer = move |call: &GrpcCall| answer(call).into();
        let clusters = &mut self.state().callouts.grpc_clusters;
        clusters.insert(name.as_bytes().to_vec(), Rc::new(RefCell::new(answer)));
    }

    /// The HTTP callouts that reached a cluster.
    pub fn http_calls(&self) -> Vec<HttpCall> {
        self.state().callouts.http.clone()
    }

    /// The gRPC callouts that reached a cluster.
    pub fn grpc_calls(&self) -> Vec<GrpcCall> {
        self.state().callouts.grpc.clone()
    }

    /// The gRPC callouts that the filter has cancelled, by their tokens.
    pub fn cancelled_calls(&self) -> Vec<u32> {
        self.state().callouts.cancelled.clone()
    }

    /// The callouts that have no answer yet, in the order in which they were
    /// made.
    pub fn pending_callouts(&self) -> Vec<PendingCallout> {
        let state = self.state();
        let pending = state.callouts.pending.iter();
        pending.map(Pending::show).collect()
    }

    /// Tells the oldest answer that there is. Its token; `None` where there is
    /// none.
    pub fn deliver(&self) -> Option<u32> {
        let token = {
            let state = self.state();
            let mut pending = state.callouts.pending.iter();
            pending.find(|call| !call.hangs())?.answer.token
        };
        self.deliver_call(token).then_some(token)
    }

    /// Tells the answer to one callout, also where it should take a while. A
    /// callout that hangs has its time over. Whether there is such a callout.
    pub fn deliver_call(&self, token: u32) -> bool {
        let pending = {
            let pending = &mut self.state().callouts.pending;
            let at = pending.iter().position(|call| call.answer.token == token);
            at.map(|at| pending.remove(at))
        };
        match pending {
            None => return false,
            Some(pending) if pending.hangs() => self.tell(&pending.timed_out()),
            Some(pending) => self.tell(&pending.answer),
        }
        true
    }

    /// Tells every answer that there is, and those to callouts that are made
    /// meanwhile. How many there were.
    ///
    /// # Panics
    ///
    /// Where there is no end of them.
    #[track_caller]
    pub fn deliver_all(&self) -> usize {
        const MANY: usize = 100_000;
        let told = (0..MANY).take_while(|_| self.deliver().is_some()).count();
        assert!(told < MANY, "the filter makes callouts without an end");
        told
    }

    /// Tells any answer to any callout, whether there is one or not: an answer
    /// that comes twice, that is another's, that comes to a stream.
    pub fn deliver_raw(&self, context: u32, token: u32, callout: impl Into<Callout>) {
        self.tell_raw(context, token, callout.into(), false);
    }

    /// As [`deliver_raw`](Self::deliver_raw), of gRPC.
    pub fn deliver_raw_grpc(&self, context: u32, token: u32, callout: impl Into<Callout>) {
        self.tell_raw(context, token, callout.into(), true);
    }

    fn tell_raw(&self, context: u32, token: u32, callout: Callout, is_grpc: bool) {
        self.tell(&Answered {
            context,
            token,
            is_grpc,
            says: callout.says,
        });
    }

    /// Tells an answer: it can be read until the callback has returned, and no
    /// longer, whatever that has left to do.
    pub(crate) fn tell(&self, answered: &Answered) {
        self.machine.told(answered, |entry| {
            self.make(entry);
        });
        self.returned();
    }
}
