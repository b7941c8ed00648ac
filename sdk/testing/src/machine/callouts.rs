//! Callouts as the host keeps them. As measured on Envoy 1.40.0: a callout
//! belongs to the configuration of whoever asked, not to the stream, and lives
//! on when the stream is over.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::State;
use crate::call::{Call, Served, status};
use crate::callout::{Callout, GrpcCall, HttpCall, PendingCallout, Says};
use crate::headers::{HeaderList, Kind};
use crate::message::Response;

/// Tokens tell the kinds of callouts apart by their remainder.
const TOKENS: u32 = 4;
const GRPC_TOKENS: u32 = 1;
const UNAVAILABLE: u32 = 14;
/// What `proxy_get_status` says of an HTTP callout that failed.
const BROKEN_CONNECTION: u32 = 11;

type Cluster<C> = Rc<RefCell<dyn FnMut(&C) -> Callout>>;

/// Callouts and who answers them.
#[derive(Default)]
pub(crate) struct Callouts {
    pub(crate) clusters: HashMap<Vec<u8>, Cluster<HttpCall>>,
    pub(crate) grpc_clusters: HashMap<Vec<u8>, Cluster<GrpcCall>>,
    /// Those of any other name.
    pub(crate) any_cluster: Option<Rc<dyn Fn() -> Callout>>,
    pub(crate) http: Vec<HttpCall>,
    pub(crate) grpc: Vec<GrpcCall>,
    /// In the order in which they were made.
    pub(crate) pending: Vec<Pending>,
    pub(crate) cancelled: Vec<u32>,
    /// What the callback that is running was called to tell.
    pub(crate) told: Told,
    last: [u32; 2],
}

/// A callout without an answer yet.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) answer: Answered,
    pub(crate) context: u32,
    cluster: Vec<u8>,
    /// When the answer comes by itself, as time goes by.
    pub(crate) due: Option<u64>,
    pub(crate) deadline: Option<u64>,
}

/// An answer to hand over.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    /// Whom it is told: a configuration, in Envoy.
    pub(crate) context: u32,
    pub(crate) token: u32,
    pub(crate) is_grpc: bool,
    pub(crate) says: Says,
}

/// What can be read in the callback of an answer, and only there.
#[derive(Default)]
pub(crate) struct Told {
    root: u32,
    response: Option<Response>,
    message: Option<Vec<u8>>,
    status: (u32, Vec<u8>),
}

impl Pending {
    pub(crate) fn hangs(&self) -> bool {
        matches!(self.answer.says, Says::Hang)
    }

    pub(crate) fn show(&self) -> PendingCallout {
        PendingCallout {
            token: self.answer.token,
            context: self.context,
            cluster: String::from_utf8_lossy(&self.cluster).into_owned(),
            is_grpc: self.answer.is_grpc,
            hangs: self.hangs(),
        }
    }

    /// The answer that its time is over.
    pub(crate) fn timed_out(self) -> Answered {
        let says = if self.answer.is_grpc {
            let message = "upstream request timeout{response_timeout}";
            Says::Status(UNAVAILABLE, message.to_owned())
        } else {
            let response = Response::new(504).body("upstream request timeout");
            Says::Envoy(response.header("content-type", "text/plain"))
        };
        Answered {
            says,
            ..self.answer
        }
    }
}

/// How an answer is told: what the callback's arguments are.
pub(crate) enum Telling {
    Response {
        headers: usize,
        body: usize,
        trailers: usize,
    },
    Receive {
        size: usize,
    },
    Close {
        status: u32,
    },
}

/// What Envoy adds to an answer that is not its own.
fn of_upstream(response: Response) -> Response {
    const TIME: &str = "x-envoy-upstream-service-time";
    if response.headers.contains(TIME) {
        return response;
    }
    response.header(TIME, "0")
}

impl Told {
    /// Makes an answer readable.
    pub(crate) fn of(root: u32, answered: &Answered) -> (Self, Telling) {
        let mut told = Self {
            root,
            ..Self::default()
        };
        let telling = match (&answered.says, answered.is_grpc) {
            (Says::Answer(response), false) => told.respond(of_upstream(response.clone())),
            (Says::Envoy(response), false) => told.respond(response.clone()),
            (Says::Message(body), false) => told.respond(of_upstream(Response::ok().body(body))),
            (Says::Message(message), true) => told.receive(message.clone()),
            (Says::Answer(response), true) if response.headers.get(":status") == Some(b"200") => {
                told.receive(response.chunks.concat())
            }
            (Says::Status(status, message), true) => told.close(*status, message.clone()),
            (_, true) => told.close(UNAVAILABLE, "upstream connect error".to_owned()),
            (_, false) => {
                told.status = (BROKEN_CONNECTION, b"reset".to_vec());
                Telling::Response {
                    headers: 0,
                    body: 0,
                    trailers: 0,
                }
            }
        };
        (told, telling)
    }

    fn respond(&mut self, mut response: Response) -> Telling {
        response.state_length();
        let telling = Telling::Response {
            headers: response.headers.len(),
            body: response.chunks.iter().map(Vec::len).sum(),
            trailers: response.trailers.as_ref().map_or(0, HeaderList::len),
        };
        self.response = Some(response);
        telling
    }

    fn receive(&mut self, message: Vec<u8>) -> Telling {
        let size = message.len();
        self.message = Some(message);
        Telling::Receive { size }
    }

    fn close(&mut self, status: u32, message: String) -> Telling {
        self.status = (status, message.into_bytes());
        Telling::Close { status }
    }

    /// Headers (6) or trailers (7) of an HTTP callout's answer.
    pub(super) fn map(&self, root: u32, map: u32) -> Option<&HeaderList> {
        let response = self.response.as_ref().filter(|_| self.root == root)?;
        match map {
            HTTP_CALL_HEADERS => Some(&response.headers),
            _ => response.trailers.as_ref(),
        }
    }

    /// The body (4) of an HTTP callout's answer, or the message (5) of a gRPC
    /// callout's.
    pub(super) fn buffer(&self, root: u32, buffer: u32) -> Option<Vec<u8>> {
        if buffer == HTTP_CALL_BODY {
            let response = self.response.as_ref().filter(|_| self.root == root)?;
            return Some(response.chunks.concat());
        }
        let message = self.message.as_ref().filter(|_| self.root == root);
        Some(message.cloned().unwrap_or_default())
    }

    pub(super) fn status(&self) -> Served {
        Served {
            bytes: self.status.1.clone(),
            ..Served::number(self.status.0)
        }
    }
}

pub(super) const HTTP_CALL_BODY: u32 = 4;
pub(super) const GRPC_MESSAGE: u32 = 5;
pub(super) const HTTP_CALL_HEADERS: u32 = 6;

/// What became of the asking.
pub(super) struct Asked {
    pub(super) served: Served,
    /// An answer within the host call.
    pub(super) at_once: Option<Answered>,
    /// An answer as soon as the callback has returned.
    pub(super) afterwards: Option<Answered>,
}

impl From<Served> for Asked {
    fn from(served: Served) -> Self {
        Self {
            served,
            at_once: None,
            afterwards: None,
        }
    }
}

fn refused(status: u32) -> Asked {
    Served::status(status).into()
}

/// Makes a callout. The clusters are the test's: nothing is borrowed while they
/// think.
pub(super) fn ask(state: &RefCell<State>, call: &Call<'_>) -> Option<Asked> {
    match *call {
        Call::HttpCall {
            upstream,
            headers,
            body,
            trailers,
            timeout,
        } => {
            let headers = HeaderList::decode(headers)
                .unwrap_or_default()
                .into_kind(Kind::Request);
            let cluster = state.borrow().callouts.cluster(upstream);
            let complete = [":method", ":path", ":authority"]
                .iter()
                .all(|name| headers.contains(name));
            let Some(cluster) = cluster.filter(|_| complete && timeout.cast_signed() >= 0) else {
                return Some(refused(status::BAD_ARGUMENT));
            };
            let (context, token) = state.borrow_mut().new_callout(false);
            let call = HttpCall {
                context,
                token,
                upstream: upstream.to_vec(),
                headers,
                body: body.to_vec(),
                trailers: HeaderList::decode(trailers).unwrap_or_default(),
                timeout,
            };
            let callout = thought(state, || (cluster.borrow_mut())(&call));
            let mut state = state.borrow_mut();
            let asked = state.asked(callout, call.token, false, upstream, timeout);
            state.callouts.http.push(call);
            Some(asked)
        }
        Call::GrpcCall {
            upstream,
            service,
            method,
            metadata,
            message,
            timeout,
        } => {
            let named = named_in_service(upstream);
            let name = named.unwrap_or(upstream);
            let cluster = state.borrow().callouts.grpc_cluster(name);
            let Some(cluster) = cluster else {
                if named.is_none() {
                    return Some(refused(status::PARSE_FAILURE));
                }
                let mut state = state.borrow_mut();
                let token = state.callouts.token(true);
                return Some(state.unavailable(
                    token,
                    status::INTERNAL_FAILURE,
                    "Cluster not available",
                ));
            };
            let (context, token) = state.borrow_mut().new_callout(true);
            let call = GrpcCall {
                context,
                token,
                upstream: name.to_vec(),
                service: service.to_vec(),
                method: method.to_vec(),
                metadata: HeaderList::decode(metadata).unwrap_or_default(),
                message: message.to_vec(),
                timeout,
            };
            let callout = thought(state, || (cluster.borrow_mut())(&call));
            let mut state = state.borrow_mut();
            let asked = state.asked(callout, call.token, true, name, timeout);
            state.callouts.grpc.push(call);
            Some(asked)
        }
        _ => None,
    }
}

/// What a test's cluster says. Where it panics, the test goes on when the guest
/// has returned: through the guest a panic cannot go.
fn thought(state: &RefCell<State>, think: impl FnOnce() -> Callout) -> Callout {
    catch_unwind(AssertUnwindSafe(think)).unwrap_or_else(|panic| {
        state.borrow_mut().panic = Some(panic);
        Callout::refuse(status::INTERNAL_FAILURE)
    })
}

impl State {
    /// The context that asks, and the callout's number.
    fn new_callout(&mut self, is_grpc: bool) -> (u32, u32) {
        (self.context(), self.callouts.token(is_grpc))
    }

    fn asked(
        &mut self,
        callout: Callout,
        token: u32,
        is_grpc: bool,
        cluster: &[u8],
        timeout: u32,
    ) -> Asked {
        if let Says::Refuse(status) = callout.says {
            if is_grpc && status == status::INTERNAL_FAILURE {
                let message = "no healthy upstream{no_healthy_upstream}";
                return self.unavailable(token, status, message);
            }
            return refused(status);
        }
        let answer = Answered {
            context: self.root_id(),
            token,
            is_grpc,
            says: callout.says,
        };
        let served = Served::number(token);
        if callout.at_once {
            return Asked {
                at_once: Some(answer),
                ..served.into()
            };
        }
        let later = |nanoseconds: u128| {
            let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
            self.now.saturating_add(nanoseconds)
        };
        let pending = Pending {
            answer,
            context: self.context(),
            cluster: cluster.to_vec(),
            due: callout.after.map(|after| later(after.as_nanos())),
            deadline: (timeout > 0).then(|| later(u128::from(timeout) * 1_000_000)),
        };
        self.callouts.pending.push(pending);
        served.into()
    }

    /// A gRPC callout that fails while it is being made: Envoy refuses it, and
    /// then tells its end, of a token that it never told.
    fn unavailable(&mut self, token: u32, status: u32, message: &str) -> Asked {
        Asked {
            afterwards: Some(Answered {
                context: self.root_id(),
                token,
                is_grpc: true,
                says: Says::Status(UNAVAILABLE, message.to_owned()),
            }),
            ..refused(status)
        }
    }
}

impl Callouts {
    fn cluster(&self, name: &[u8]) -> Option<Cluster<HttpCall>> {
        let any = self.any_cluster.clone();
        let any = any.map(|any| -> Cluster<HttpCall> { Rc::new(RefCell::new(move |_: &_| any())) });
        self.clusters.get(name).cloned().or(any)
    }

    fn grpc_cluster(&self, name: &[u8]) -> Option<Cluster<GrpcCall>> {
        let any = self.any_cluster.clone();
        let any = any.map(|any| -> Cluster<GrpcCall> { Rc::new(RefCell::new(move |_: &_| any())) });
        self.grpc_clusters.get(name).cloned().or(any)
    }

    fn token(&mut self, is_grpc: bool) -> u32 {
        let last = &mut self.last[usize::from(is_grpc)];
        *last = last.wrapping_add(TOKENS);
        *last | if is_grpc { GRPC_TOKENS } else { 0 }
    }

    pub(super) fn cancel(&mut self, token: u32) -> u32 {
        let before = self.pending.len();
        let pending = |pending: &Pending| pending.answer.is_grpc && pending.answer.token == token;
        self.pending.retain(|call| !pending(call));
        if self.pending.len() == before {
            return status::NOT_FOUND;
        }
        self.cancelled.push(token);
        status::OK
    }

    /// What a configuration waits for goes with it.
    pub(crate) fn forget(&mut self, root: u32) {
        self.pending.retain(|call| call.answer.context != root);
    }
}

/// The cluster of an Envoy `GrpcService` message: field 1, `envoy_grpc`, and in
/// it field 1, `cluster_name`.
fn named_in_service(service: &[u8]) -> Option<&[u8]> {
    first_field(first_field(service)?)
}

fn first_field(message: &[u8]) -> Option<&[u8]> {
    const FIRST: u8 = 1 << 3 | 2;
    let (size, rest) = message.strip_prefix(&[FIRST])?.split_first()?;
    rest.get(..usize::from(*size)).filter(|_| *size < 0x80)
}
