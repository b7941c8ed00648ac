//! A request on its way through a filter, step by step.

mod road;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use legation::HttpFilter;

use crate::call::Callback;
use crate::exchange::{Exchange, Outcome, Upstream};
use crate::guest::Entry;
use crate::headers::HeaderList;
use crate::host::{Host, Root, nul_joined};
use crate::machine::{Direction, StreamState};
use crate::message::{Request, Response};
pub(crate) use road::{Road, Way};

/// How a stream stands after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// What arrived has gone on.
    Continued,
    /// What arrived is held by the filter.
    Paused,
    /// The client has its answer, from the filter or from the host.
    Answered,
    /// The stream was broken off.
    Reset,
}

/// A request on its way, for tests that make each step themselves. The usual
/// way is [`Host::exchange`].
///
/// What arrives while the filter has the headers wait is kept by the host, as
/// Envoy keeps it, and shown to the filter when that lets the headers go on.
/// Whoever resumes a stream does so from another callback: deliver the answer
/// to a callout ([`Host::deliver`]), or let time go by ([`Host::run_for`]).
pub struct Stream<'h, F: HttpFilter> {
    road: Road<'h, F>,
    before: Before,
}

/// Where the host's records stood when the stream began.
struct Before {
    calls: usize,
    log: usize,
    allocations: usize,
    failures: usize,
    counters: BTreeMap<String, u64>,
}

impl<'h, F: HttpFilter> Stream<'h, F> {
    pub(crate) fn start(host: &'h Host<F>, root: Root, mut request: Request) -> Self {
        request.state_length();
        let id = host.new_context();
        let before = {
            let mut state = host.state();
            let mut stream = StreamState::default();
            stream.root = root.0;
            stream.facts.started = state.now;
            for (path, value) in &request.attributes {
                stream.attributes.insert(nul_joined(path), value.0.clone());
            }
            state.streams.insert(id, stream);
            Before {
                calls: state.calls.len(),
                log: state.log.len(),
                allocations: state.allocations.len(),
                failures: host.machine.failures.borrow().len(),
                counters: state.metrics.counters.clone(),
            }
        };
        let way = Rc::new(RefCell::new(Way::new(request)));
        host.ways.borrow_mut().insert(id, Rc::clone(&way));
        host.enter(Entry {
            number: root.0 as usize,
            ..Entry::new(Callback::ContextCreate, id)
        });
        Self {
            road: Road::new(host, id, way),
            before,
        }
    }

    /// The number by which host and filter know the stream.
    pub fn id(&self) -> u32 {
        self.road.id
    }

    /// How the stream stands, if it is decided already.
    pub fn outcome(&self) -> Option<Outcome> {
        self.road.way().outcome
    }

    /// Whether the whole request has gone on to the upstream.
    pub fn reached_upstream(&self) -> bool {
        self.road.way().side(Direction::Request).complete
    }

    /// Whether the client has the whole of an answer.
    pub fn is_answered(&self) -> bool {
        self.road.way().side(Direction::Response).complete
    }

    /// The whole exchange: the request, and if it arrives, the answer; with
    /// what the filter waits for on the way.
    pub(crate) fn run(&mut self, upstream: impl Upstream) {
        let host = self.road.host;
        self.send_request();
        host.wait_while(|| !self.road.is_over() && !self.reached_upstream());
        if self.reached_upstream() && !self.road.is_over() {
            let request = self.road.way().side(Direction::Request).message.clone();
            self.send_response(upstream.answer(&request));
        }
        host.wait_while(|| self.outcome().is_none() && !self.is_answered() && self.has_response());
    }

    fn has_response(&self) -> bool {
        self.road.way().side(Direction::Response).arrived
    }

    /// Sends the request with its body and trailers.
    pub fn send_request(&mut self) -> Progress {
        let mut progress = self.request_headers();
        let (ends, chunks, trailers, open) = {
            let way = self.road.way();
            let request = &way.request;
            let trailers = request.trailers.is_some();
            let chunks = request.chunks.clone();
            (request.ends_with_headers(), chunks, trailers, request.open)
        };
        if self.road.is_over() || ends {
            return progress;
        }
        if let Some(of_body) = self.pieces(Direction::Request, &chunks, trailers || open) {
            progress = of_body;
        }
        if trailers && !self.road.is_over() {
            progress = self.request_trailers();
        }
        progress
    }

    /// Sends a response with its body and trailers.
    pub fn send_response(&mut self, response: Response) -> Progress {
        let (chunks, trailers) = (response.chunks.clone(), response.trailers.clone());
        let (open, ends) = (response.open, response.ends_with_headers());
        let mut progress = self.response_headers(response);
        if self.road.is_over() || ends {
            return progress;
        }
        let more = trailers.is_some() || open;
        if let Some(of_body) = self.pieces(Direction::Response, &chunks, more) {
            progress = of_body;
        }
        if let Some(trailers) = trailers
            && !self.road.is_over()
        {
            progress = self.response_trailers(trailers);
        }
        progress
    }

    /// A body as the codec of HTTP/1 hands it over: pieces, then nothing, at
    /// the end of the stream.
    fn pieces(&mut self, direction: Direction, chunks: &[Vec<u8>], more: bool) -> Option<Progress> {
        let mut progress = None;
        for chunk in chunks {
            progress = Some(self.road.body(direction, chunk, false));
            if self.road.is_over() {
                return progress;
            }
        }
        if more {
            progress
        } else {
            Some(self.road.body(direction, b"", true))
        }
    }

    /// Sends the request's headers.
    pub fn request_headers(&mut self) -> Progress {
        let (headers, end) = {
            let way = self.road.way();
            (way.request.headers.clone(), way.request.ends_with_headers())
        };
        self.road.headers(Direction::Request, headers, end)
    }

    /// Sends a piece of the request's body.
    pub fn request_body(&mut self, piece: &[u8], end: bool) -> Progress {
        self.road.body(Direction::Request, piece, end)
    }

    /// Sends the request's trailers.
    pub fn request_trailers(&mut self) -> Progress {
        let trailers = self.road.way().request.trailers.clone();
        self.road
            .trailers(Direction::Request, trailers.unwrap_or_default())
    }

    /// Sends the headers of the upstream's response.
    pub fn response_headers(&mut self, mut response: Response) -> Progress {
        response.state_length();
        let end = response.ends_with_headers();
        self.road.state(|state| {
            state.facts.went_upstream = true;
            state.facts.code_details = Some("via_upstream".to_owned());
        });
        self.road
            .headers(Direction::Response, response.headers, end)
    }

    /// Sends a piece of the response's body.
    pub fn response_body(&mut self, piece: &[u8], end: bool) -> Progress {
        self.road.body(Direction::Response, piece, end)
    }

    /// Sends the response's trailers.
    pub fn response_trailers(&mut self, trailers: HeaderList) -> Progress {
        self.road.trailers(Direction::Response, trailers)
    }

    /// Ends the stream, as Envoy does: log, done, delete. What happened is in
    /// the exchange.
    pub fn end(self) -> Exchange {
        self.road.finish();
        let mut exchange = {
            let mut way = self.road.way_mut();
            let [request, response] = std::mem::take(&mut way.sides);
            let outcome = way.outcome.unwrap_or(match response.complete {
                true if way.replying => Outcome::Replied,
                true => Outcome::Answered,
                false => Outcome::Held,
            });
            let answered = matches!(outcome, Outcome::Answered | Outcome::Replied);
            Exchange {
                outcome,
                request: std::mem::take(&mut way.request.headers),
                upstream: request.complete.then_some(request.message),
                upstream_began: request.began,
                response: answered.then_some(response.message),
                failures: Vec::new(),
                log: Vec::new(),
                calls: Vec::new(),
                allocations: BTreeMap::new(),
                counters: BTreeMap::new(),
            }
        };
        self.records(&mut exchange);
        exchange
    }

    fn records(&self, exchange: &mut Exchange) {
        let id = self.road.id;
        let machine = &self.road.host.machine;
        exchange.failures = machine.failures.borrow()[self.before.failures..].to_vec();
        let state = machine.state.borrow();
        let log = state.log.iter().skip(self.before.log);
        exchange.log = log.filter(|line| line.context == id).cloned().collect();
        let calls = state.calls.iter().skip(self.before.calls);
        exchange.calls = calls
            .filter(|call| call.context == id || call.effective == id)
            .copied()
            .collect();
        for (context, callback, spent) in state.allocations.iter().skip(self.before.allocations) {
            if *context == id {
                *exchange.allocations.entry(*callback).or_default() += *spent;
            }
        }
        for (name, value) in &state.metrics.counters {
            let before = self.before.counters.get(name).copied().unwrap_or_default();
            let growth = value.wrapping_sub(before);
            exchange.counters.insert(name.clone(), growth);
        }
    }
}

impl<F: HttpFilter> Drop for Stream<'_, F> {
    fn drop(&mut self) {
        // A test that has failed already is not helped by more callbacks.
        if !std::thread::panicking() {
            self.road.finish();
        }
    }
}

impl<F: HttpFilter> fmt::Debug for Stream<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.road.id)
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}
