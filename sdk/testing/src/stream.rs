//! A request on its way through a filter, step by step, with what Envoy's
//! filter manager does between the callbacks.

use std::collections::BTreeMap;
use std::fmt;

use legation::HttpFilter;

use crate::call::Callback;
use crate::exchange::{Exchange, Outcome, Upstream};
use crate::guest::Entry;
use crate::headers::HeaderList;
use crate::host::{Host, Root, nul_joined};
use crate::machine::{
    Action, Direction, LocalReply, REQUEST_HEADERS, REQUEST_TRAILERS, RESPONSE_HEADERS,
    RESPONSE_TRAILERS, StreamState,
};
use crate::message::{Message, Request, Response};

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
pub struct Stream<'h, F: HttpFilter> {
    host: &'h Host<F>,
    id: u32,
    request: Request,
    /// What the filter has let go on, to the upstream and to the client.
    sides: [Side; 2],
    outcome: Option<Outcome>,
    ended: bool,
    before: Before,
}

/// What the filter has let go on in one direction.
#[derive(Default)]
struct Side {
    message: Message,
    began: bool,
    complete: bool,
    /// A body that the filter holds.
    held: Option<Vec<u8>>,
    /// The filter has asked for what it holds to go on.
    resumed: bool,
}

/// Where the host's records stood when the stream began.
struct Before {
    calls: usize,
    log: usize,
    allocations: usize,
    failures: usize,
    counters: BTreeMap<String, u64>,
}

const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;

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
        host.enter(Entry {
            number: root.0 as usize,
            ..Entry::new(Callback::ContextCreate, id)
        });
        Self {
            host,
            id,
            request,
            sides: Default::default(),
            outcome: None,
            ended: false,
            before,
        }
    }

    /// The number by which host and filter know the stream.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How the stream stands, if it is decided already.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The whole exchange: the request, and if it arrives, the answer.
    pub(crate) fn run(&mut self, upstream: impl Upstream) {
        self.send_request();
        if self.side(Direction::Request).complete && self.outcome.is_none() {
            let response = upstream.answer(&self.side(Direction::Request).message);
            self.send_response(response);
        }
    }

    /// Sends the request with its body and trailers.
    pub fn send_request(&mut self) -> Progress {
        let mut progress = self.request_headers();
        if progress != Progress::Continued || self.request.ends_with_headers() {
            return progress;
        }
        let chunks = self.request.chunks.clone();
        let trailers = self.request.trailers.is_some();
        progress = self.pieces(Direction::Request, &chunks, trailers || self.request.open);
        if trailers && self.outcome.is_none() {
            progress = self.request_trailers();
        }
        progress
    }

    /// Sends a response with its body and trailers.
    pub fn send_response(&mut self, response: Response) -> Progress {
        let (chunks, trailers) = (response.chunks.clone(), response.trailers.clone());
        let (open, ends) = (response.open, response.ends_with_headers());
        let mut progress = self.response_headers(response);
        if progress != Progress::Continued || ends {
            return progress;
        }
        progress = self.pieces(Direction::Response, &chunks, trailers.is_some() || open);
        if let Some(trailers) = trailers
            && self.outcome.is_none()
        {
            progress = self.response_trailers(trailers);
        }
        progress
    }

    /// A body as the codec of HTTP/1 hands it over: pieces, then nothing, at
    /// the end of the stream.
    fn pieces(&mut self, direction: Direction, chunks: &[Vec<u8>], more: bool) -> Progress {
        let mut progress = Progress::Continued;
        for chunk in chunks {
            progress = self.body(direction, chunk, false);
            if self.outcome.is_some() {
                return progress;
            }
        }
        if !more {
            progress = self.body(direction, b"", true);
        }
        progress
    }

    /// Sends the request's headers.
    pub fn request_headers(&mut self) -> Progress {
        let end = self.request.ends_with_headers();
        let headers = self.request.headers.clone();
        let count = headers.len();
        self.state(|state| state.show(REQUEST_HEADERS, headers));
        let action = self.callback(Callback::RequestHeaders, count, end);
        self.let_go(REQUEST_HEADERS, action);
        if self.act(Callback::RequestHeaders) {
            return self.progress();
        }
        if !self.goes_on(Direction::Request, action) {
            return Progress::Paused;
        }
        let headers = self.state(|state| state.list(REQUEST_HEADERS));
        self.begin(Direction::Request, headers, end);
        Progress::Continued
    }

    /// Sends a piece of the request's body.
    pub fn request_body(&mut self, piece: &[u8], end: bool) -> Progress {
        self.body(Direction::Request, piece, end)
    }

    /// Sends the request's trailers.
    pub fn request_trailers(&mut self) -> Progress {
        let trailers = self.request.trailers.clone().unwrap_or_default();
        self.trailers(Direction::Request, trailers)
    }

    /// Sends the headers of the upstream's response.
    pub fn response_headers(&mut self, mut response: Response) -> Progress {
        response.state_length();
        let end = response.ends_with_headers();
        self.state(|state| {
            state.facts.went_upstream = true;
            state.facts.code_details = Some("via_upstream".to_owned());
        });
        self.headers_to_client(response.headers, end)
    }

    /// Sends a piece of the response's body.
    pub fn response_body(&mut self, piece: &[u8], end: bool) -> Progress {
        self.body(Direction::Response, piece, end)
    }

    /// Sends the response's trailers.
    pub fn response_trailers(&mut self, trailers: HeaderList) -> Progress {
        self.trailers(Direction::Response, trailers)
    }

    fn headers_to_client(&mut self, headers: HeaderList, end: bool) -> Progress {
        let count = headers.len();
        self.state(|state| {
            state.facts.response_code = status_of(&headers);
            state.show(RESPONSE_HEADERS, headers);
        });
        let action = self.callback(Callback::ResponseHeaders, count, end);
        self.let_go(RESPONSE_HEADERS, action);
        if self.act(Callback::ResponseHeaders) {
            return self.progress();
        }
        if !self.goes_on(Direction::Response, action) {
            return Progress::Paused;
        }
        let headers = self.state(|state| state.list(RESPONSE_HEADERS));
        self.begin(Direction::Response, headers, end);
        Progress::Continued
    }

    fn body(&mut self, direction: Direction, piece: &[u8], end: bool) -> Progress {
        let (callback, map) = match direction {
            Direction::Request => (Callback::RequestBody, REQUEST_TRAILERS),
            Direction::Response => (Callback::ResponseBody, RESPONSE_TRAILERS),
        };
        self.state(|state| match direction {
            Direction::Request => state.facts.request_size += piece.len(),
            Direction::Response => state.facts.response_size += piece.len(),
        });
        let held = self.side(direction).held.take();
        let holds = held.is_some();
        let mut bytes = held.unwrap_or_default();
        bytes.extend_from_slice(piece);
        if holds && bytes.len() > self.host.buffer_limit.get() {
            return self.too_large(direction);
        }
        let size = bytes.len();
        self.state(|state| state.show_body(direction, bytes, end));
        let action = self.callback(callback, size, end);
        let bytes = self.state(|state| state.take_body(direction));
        if self.act(callback) {
            return self.progress();
        }
        if !self.goes_on(direction, action) {
            self.side(direction).held = Some(bytes);
            return Progress::Paused;
        }
        self.side(direction).message.body.extend(bytes);
        if end {
            // Trailers that the filter added to the end of the body.
            if self.state(|state| state.has(map)) {
                let trailers = self.state(|state| state.list(map));
                self.side(direction).message.trailers = trailers;
            }
            self.side(direction).complete = true;
        }
        Progress::Continued
    }

    fn trailers(&mut self, direction: Direction, trailers: HeaderList) -> Progress {
        let (callback, map) = match direction {
            Direction::Request => (Callback::RequestTrailers, REQUEST_TRAILERS),
            Direction::Response => (Callback::ResponseTrailers, RESPONSE_TRAILERS),
        };
        let count = trailers.len();
        self.state(|state| state.show(map, trailers));
        let action = self.callback(callback, count, true);
        self.let_go(map, action);
        if self.act(callback) {
            return self.progress();
        }
        if !self.goes_on(direction, action) {
            return Progress::Paused;
        }
        let trailers = self.state(|state| state.list(map));
        let side = self.side(direction);
        side.message
            .body
            .extend(side.held.take().unwrap_or_default());
        side.message.trailers = trailers;
        side.complete = true;
        Progress::Continued
    }

    /// Makes a callback, if the module has it. The answer is what Envoy acts
    /// on: a filter that has asked for a local reply is stopped, whatever it
    /// returned.
    fn callback(&mut self, callback: Callback, number: usize, end: bool) -> u32 {
        let action = self.host.enter(Entry {
            callback,
            context: self.id,
            number,
            end,
        });
        let stopped = self.state(|state| std::mem::take(&mut state.stopped));
        match action {
            _ if stopped => PAUSE,
            Some(action) => action,
            None => CONTINUE,
        }
    }

    /// Does what the callback has left to do. Whether that was the end of it.
    fn act(&mut self, callback: Callback) -> bool {
        while let Some(action) = self.state(|state| state.actions.pop_front()) {
            match action {
                Action::Continue(direction) => self.side(direction).resumed = true,
                Action::Close(_) => self.outcome = Some(Outcome::Reset),
                Action::Reply(reply) => self.reply(&reply, callback),
            }
            if self.outcome.is_some() {
                self.state(|state| state.actions.clear());
            }
        }
        self.outcome.is_some()
    }

    fn reply(&mut self, reply: &LocalReply, callback: Callback) {
        let details = reply.details();
        self.state(|state| state.facts.code_details = Some(details));
        let mut message = reply.to_message(&self.state(|state| state.list(REQUEST_HEADERS)));
        self.outcome = match callback {
            // The response has begun: all that is left is to break off.
            Callback::ResponseBody | Callback::ResponseTrailers => Some(Outcome::Reset),
            // Not through the filters again.
            Callback::ResponseHeaders => {
                self.state(|state| state.facts.response_code = status_of(&message.headers));
                *self.side(Direction::Response) = Side {
                    message,
                    began: true,
                    complete: true,
                    ..Side::default()
                };
                Some(Outcome::Replied)
            }
            _ => {
                let body = std::mem::take(&mut message.body);
                let end = body.is_empty();
                self.headers_to_client(message.headers, end);
                if self.outcome.is_none() && self.side(Direction::Response).began && !end {
                    self.body(Direction::Response, &body, true);
                }
                let complete = self.side(Direction::Response).complete;
                let replied = if complete {
                    Outcome::Replied
                } else {
                    Outcome::Held
                };
                Some(self.outcome.take().unwrap_or(replied))
            }
        };
        self.state(|state| state.replied = true);
    }

    fn too_large(&mut self, direction: Direction) -> Progress {
        let reply = match direction {
            Direction::Request => {
                LocalReply::by_host(413, "Payload Too Large", "request_payload_too_large")
            }
            Direction::Response => {
                LocalReply::by_host(500, "Internal Server Error", "response_payload_too_large")
            }
        };
        let callback = match direction {
            Direction::Request => Callback::RequestBody,
            Direction::Response => Callback::ResponseBody,
        };
        self.reply(&reply, callback);
        self.progress()
    }

    fn goes_on(&mut self, direction: Direction, action: u32) -> bool {
        let resumed = std::mem::take(&mut self.side(direction).resumed);
        action == CONTINUE || resumed
    }

    /// What was let go on is out of the filter's sight.
    fn let_go(&self, map: u32, action: u32) {
        if action == CONTINUE {
            self.state(|state| state.hide(map));
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        &mut self.sides[direction as usize]
    }

    fn begin(&mut self, direction: Direction, headers: HeaderList, end: bool) {
        let side = self.side(direction);
        side.message.headers = headers;
        side.began = true;
        side.complete = end;
    }

    fn progress(&self) -> Progress {
        match self.outcome {
            None => Progress::Continued,
            Some(Outcome::Reset) => Progress::Reset,
            Some(Outcome::Held) => Progress::Paused,
            Some(_) => Progress::Answered,
        }
    }

    fn state<T>(&self, look: impl FnOnce(&mut StreamState) -> T) -> T {
        let mut state = self.host.state();
        look(state.streams.entry(self.id).or_default())
    }

    /// Ends the stream, as Envoy does: log, done, delete. What happened is in
    /// the exchange.
    pub fn end(mut self) -> Exchange {
        self.finish();
        let [request, response] = std::mem::take(&mut self.sides);
        let outcome = self.outcome.unwrap_or(if response.complete {
            Outcome::Answered
        } else {
            Outcome::Held
        });
        let answered = matches!(outcome, Outcome::Answered | Outcome::Replied);
        let mut exchange = Exchange {
            outcome,
            request: std::mem::take(&mut self.request.headers),
            upstream: request.complete.then_some(request.message),
            upstream_began: request.began,
            response: answered.then_some(response.message),
            failures: self.host.machine.failures.borrow()[self.before.failures..].to_vec(),
            log: Vec::new(),
            calls: Vec::new(),
            allocations: BTreeMap::new(),
            counters: BTreeMap::new(),
        };
        self.records(&mut exchange);
        exchange
    }

    fn records(&self, exchange: &mut Exchange) {
        let state = self.host.state();
        let log = state.log.iter().skip(self.before.log);
        exchange.log = log
            .filter(|line| line.context == self.id)
            .cloned()
            .collect();
        let calls = state.calls.iter().skip(self.before.calls);
        exchange.calls = calls
            .filter(|call| call.context == self.id)
            .copied()
            .collect();
        for (context, callback, spent) in state.allocations.iter().skip(self.before.allocations) {
            if *context == self.id {
                *exchange.allocations.entry(*callback).or_default() += *spent;
            }
        }
        for (name, value) in &state.metrics.counters {
            let before = self.before.counters.get(name).copied().unwrap_or_default();
            exchange
                .counters
                .insert(name.clone(), value.wrapping_sub(before));
        }
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.state(|state| {
            state.facts.over = true;
            state.in_log = true;
        });
        self.host.enter(Entry::new(Callback::Log, self.id));
        self.state(|state| state.in_log = false);
        self.host.enter(Entry::new(Callback::Done, self.id));
        self.host.enter(Entry::new(Callback::Delete, self.id));
        self.host.state().streams.remove(&self.id);
    }
}

fn status_of(headers: &HeaderList) -> Option<u16> {
    std::str::from_utf8(headers.get(":status")?)
        .ok()?
        .parse()
        .ok()
}

impl<F: HttpFilter> Drop for Stream<'_, F> {
    fn drop(&mut self) {
        // A test that has failed already is not helped by more callbacks.
        if !std::thread::panicking() {
            self.finish();
        }
    }
}

impl<F: HttpFilter> fmt::Debug for Stream<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.id)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
