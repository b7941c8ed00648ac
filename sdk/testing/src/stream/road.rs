//! What Envoy's filter manager does with a stream between the callbacks.

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;

use legation::HttpFilter;

use super::Progress;
use crate::call::Callback;
use crate::exchange::Outcome;
use crate::guest::Entry;
use crate::headers::HeaderList;
use crate::host::Host;
use crate::machine::{
    Action, Direction, LocalReply, REQUEST_HEADERS, RESPONSE_HEADERS, StreamState,
};
use crate::message::{Message, Request};

const CONTINUE: u32 = 0;
/// `StopIteration` of headers and trailers, `StopIterationAndBuffer` of bodies.
const STOP: u32 = 1;
/// Bodies only: what has come is dropped.
const STOP_WITHOUT_BUFFER: u32 = 3;
/// Headers only: the host keeps the body, up to its limit.
const STOP_ALL_AND_BUFFER: u32 = 3;

/// How far a stream has come.
pub(crate) struct Way {
    pub(crate) request: Request,
    /// What the filter has let go on, to the upstream and to the client.
    pub(crate) sides: [Side; 2],
    pub(crate) outcome: Option<Outcome>,
    /// A local reply is on its way: nothing of the request goes on.
    pub(crate) replying: bool,
    ended: bool,
    /// The side whose callback is running.
    running: Option<Direction>,
}

/// What the filter has let go on in one direction.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing that happens once, in an order that hosts may not keep"
)]
pub(crate) struct Side {
    pub(crate) message: Message,
    pub(crate) arrived: bool,
    pub(crate) began: bool,
    pub(crate) complete: bool,
    /// The headers are all there is.
    ends: bool,
    /// The headers wait.
    pause: Option<Pause>,
    /// What has come meanwhile, and the filter has not seen.
    waiting: Waiting,
    /// The filter has seen the body's end.
    seen_end: bool,
    /// Trailers that the filter has seen, and holds.
    holds_trailers: bool,
    /// The callback that is running has asked to go on.
    resumed: bool,
}

/// How headers wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// The filter sees the body meanwhile.
    Headers,
    /// The host keeps what comes, and reads no more of it at some point.
    All,
    /// The host keeps what comes, and refuses what is too large.
    AllAndBuffer,
}

#[derive(Default)]
struct Waiting {
    body: Option<Vec<u8>>,
    end: bool,
    trailers: Option<HeaderList>,
}

impl Way {
    pub(crate) fn new(request: Request) -> Self {
        Self {
            request,
            sides: Default::default(),
            outcome: None,
            replying: false,
            ended: false,
            running: None,
        }
    }

    pub(crate) fn side(&self, direction: Direction) -> &Side {
        &self.sides[direction as usize]
    }

    fn side_mut(&mut self, direction: Direction) -> &mut Side {
        &mut self.sides[direction as usize]
    }
}

/// A stream and its host. Nothing of the way is borrowed while the filter runs:
/// a callback may change it.
pub(crate) struct Road<'h, F: HttpFilter> {
    pub(crate) host: &'h Host<F>,
    pub(crate) id: u32,
    way: Rc<RefCell<Way>>,
}

impl<'h, F: HttpFilter> Road<'h, F> {
    pub(crate) fn new(host: &'h Host<F>, id: u32, way: Rc<RefCell<Way>>) -> Self {
        Self { host, id, way }
    }

    pub(crate) fn way(&self) -> Ref<'_, Way> {
        self.way.borrow()
    }

    pub(crate) fn way_mut(&self) -> RefMut<'_, Way> {
        self.way.borrow_mut()
    }

    fn side<T>(&self, direction: Direction, look: impl FnOnce(&mut Side) -> T) -> T {
        look(self.way_mut().side_mut(direction))
    }

    pub(crate) fn state<T>(&self, look: impl FnOnce(&mut StreamState) -> T) -> T {
        let mut state = self.host.state();
        look(state.streams.entry(self.id).or_default())
    }

    /// Whether nothing more of either side is wanted.
    pub(crate) fn is_over(&self) -> bool {
        let way = self.way();
        way.outcome.is_some() || way.replying || way.ended
    }

    /// Whether nothing more of one side is wanted. A local reply is the
    /// response.
    fn is_over_for(&self, direction: Direction) -> bool {
        let way = self.way();
        way.outcome.is_some() || way.ended || way.replying && direction == Direction::Request
    }

    fn progress(&self) -> Progress {
        let way = self.way();
        match way.outcome {
            None if way.replying => Progress::Paused,
            None => Progress::Continued,
            Some(Outcome::Reset) => Progress::Reset,
            Some(Outcome::Held) => Progress::Paused,
            Some(_) => Progress::Answered,
        }
    }

    pub(crate) fn headers(&self, direction: Direction, headers: HeaderList, end: bool) -> Progress {
        let (callback, map) = match direction {
            Direction::Request => (Callback::RequestHeaders, REQUEST_HEADERS),
            Direction::Response => (Callback::ResponseHeaders, RESPONSE_HEADERS),
        };
        if self.is_over_for(direction) {
            return self.progress();
        }
        self.side(direction, |side| {
            side.arrived = true;
            side.ends = end;
        });
        let count = headers.len();
        self.state(|state| {
            if direction == Direction::Response {
                state.facts.response_code = status_of(&headers);
            }
            state.show(map, headers);
        });
        let (action, resumed) = self.callback(direction, callback, count, end);
        if action == CONTINUE {
            self.let_go(map);
        }
        if self.is_over_for(direction) {
            return self.progress();
        }
        if action == CONTINUE || resumed {
            self.headers_go_on(direction);
            return Progress::Continued;
        }
        let pause = match action {
            STOP if self.host.allows_stop_iteration.get() => Pause::Headers,
            STOP_ALL_AND_BUFFER => Pause::AllAndBuffer,
            _ => Pause::All,
        };
        self.side(direction, |side| side.pause = Some(pause));
        Progress::Paused
    }

    /// What was let go on is out of the filter's sight.
    fn let_go(&self, map: u32) {
        self.state(|state| state.hide(map));
    }

    fn headers_go_on(&self, direction: Direction) {
        let headers = self.state(|state| state.list(direction.headers()));
        let ends = self.side(direction, |side| {
            side.pause = None;
            side.message.headers = headers;
            side.began = true;
            side.ends
        });
        if ends {
            self.complete(direction);
        }
    }

    /// A piece of a body has come.
    pub(crate) fn body(&self, direction: Direction, piece: &[u8], end: bool) -> Progress {
        if self.is_over_for(direction) {
            return self.progress();
        }
        self.state(|state| match direction {
            Direction::Request => state.facts.request_size += piece.len(),
            Direction::Response => state.facts.response_size += piece.len(),
        });
        let limit = self.host.buffer_limit.get();
        let kept = self.side(direction, |side| match side.pause {
            None | Some(Pause::Headers) => None,
            Some(pause) => {
                let body = side.waiting.body.get_or_insert_default();
                body.extend_from_slice(piece);
                side.waiting.end |= end;
                Some(pause == Pause::AllAndBuffer && body.len() > limit)
            }
        });
        match kept {
            None => self.show_body(direction, piece, end),
            Some(true) => self.too_large(direction),
            Some(false) => Progress::Paused,
        }
    }

    /// Shows a piece of a body to the filter, with what that holds.
    fn show_body(&self, direction: Direction, piece: &[u8], end: bool) -> Progress {
        let callback = match direction {
            Direction::Request => Callback::RequestBody,
            Direction::Response => Callback::ResponseBody,
        };
        let held = self.state(|state| state.take_body(direction));
        let holds = held.is_some();
        let mut bytes = held.unwrap_or_default();
        bytes.extend_from_slice(piece);
        if holds && bytes.len() > self.host.buffer_limit.get() {
            return self.too_large(direction);
        }
        let size = bytes.len();
        self.state(|state| state.show_body(direction, bytes, end));
        self.side(direction, |side| side.seen_end = end);
        let (action, resumed) = self.callback(direction, callback, size, end);
        if self.is_over_for(direction) {
            return self.progress();
        }
        if action == CONTINUE || resumed {
            self.body_goes_on(direction);
            return Progress::Continued;
        }
        if action == STOP_WITHOUT_BUFFER {
            self.state(|state| state.take_body(direction));
        }
        Progress::Paused
    }

    /// The body that the filter has seen goes on, and the headers before it.
    fn body_goes_on(&self, direction: Direction) {
        if self.side(direction, |side| side.pause.is_some()) {
            self.headers_go_on(direction);
        }
        let bytes = self.state(|state| state.take_body(direction));
        let seen_end = self.side(direction, |side| {
            side.message.body.extend(bytes.unwrap_or_default());
            side.seen_end
        });
        if seen_end {
            // Trailers that the filter added to the end of the body.
            let map = direction.trailers();
            if self.state(|state| state.has(map)) {
                let trailers = self.state(|state| state.list(map));
                self.side(direction, |side| side.message.trailers = trailers);
            }
            self.complete(direction);
        }
    }

    /// Trailers have come.
    pub(crate) fn trailers(&self, direction: Direction, trailers: HeaderList) -> Progress {
        if self.is_over_for(direction) {
            return self.progress();
        }
        let pause = self.side(direction, |side| side.pause);
        if matches!(pause, None | Some(Pause::Headers)) {
            return self.show_trailers(direction, trailers);
        }
        self.side(direction, |side| side.waiting.trailers = Some(trailers));
        Progress::Paused
    }

    fn show_trailers(&self, direction: Direction, trailers: HeaderList) -> Progress {
        let callback = match direction {
            Direction::Request => Callback::RequestTrailers,
            Direction::Response => Callback::ResponseTrailers,
        };
        let map = direction.trailers();
        let count = trailers.len();
        self.state(|state| state.show(map, trailers));
        let (action, resumed) = self.callback(direction, callback, count, true);
        if action == CONTINUE {
            self.let_go(map);
        }
        if self.is_over_for(direction) {
            return self.progress();
        }
        self.side(direction, |side| side.holds_trailers = true);
        if action == CONTINUE || resumed {
            self.all_goes_on(direction);
            return Progress::Continued;
        }
        Progress::Paused
    }

    /// All that the filter has seen goes on.
    fn all_goes_on(&self, direction: Direction) {
        self.body_goes_on(direction);
        if self.side(direction, |side| std::mem::take(&mut side.holds_trailers)) {
            let trailers = self.state(|state| state.list(direction.trailers()));
            self.side(direction, |side| side.message.trailers = trailers);
            self.complete(direction);
        }
    }

    /// The filter has one side go on, from another callback than that side's.
    fn resume(&self, direction: Direction) {
        if self.is_over_for(direction) || !self.side(direction, |side| side.arrived) {
            return;
        }
        let pause = self.side(direction, |side| side.pause);
        if matches!(pause, None | Some(Pause::Headers)) {
            self.all_goes_on(direction);
            return;
        }
        self.headers_go_on(direction);
        let Waiting {
            body,
            end,
            trailers,
        } = self.side(direction, |side| std::mem::take(&mut side.waiting));
        if let Some(body) = body {
            self.show_body(direction, &body, end);
        }
        if let Some(trailers) = trailers
            && !self.is_over_for(direction)
        {
            self.show_trailers(direction, trailers);
        }
    }

    fn complete(&self, direction: Direction) {
        let mut way = self.way_mut();
        way.side_mut(direction).complete = true;
        if direction == Direction::Response && way.replying {
            way.outcome.get_or_insert(Outcome::Replied);
        }
    }

    /// Makes a callback, if the module has it: what it returned, and whether it
    /// has asked to go on all the same.
    fn callback(
        &self,
        direction: Direction,
        callback: Callback,
        number: usize,
        end: bool,
    ) -> (u32, bool) {
        let outer = self.way_mut().running.replace(direction);
        let action = self.host.enter(Entry {
            number,
            end,
            ..Entry::new(callback, self.id)
        });
        self.way_mut().running = outer;
        let resumed = self.side(direction, |side| std::mem::take(&mut side.resumed));
        (action.unwrap_or(CONTINUE), resumed)
    }

    /// Does what a callback of whatever context has left to do.
    pub(crate) fn act(&self, action: Action) {
        if self.way().ended {
            return;
        }
        match action {
            Action::Continue(direction) if self.way().running == Some(direction) => {
                self.side(direction, |side| side.resumed = true);
            }
            Action::Continue(direction) => self.resume(direction),
            Action::Close(_) => {
                self.way_mut().outcome.get_or_insert(Outcome::Reset);
            }
            Action::Reply(reply) => self.reply(&reply),
        }
    }

    fn reply(&self, reply: &LocalReply) {
        if self.is_over() {
            return;
        }
        let details = reply.details();
        self.state(|state| {
            state.facts.code_details = Some(details);
            state.replied = true;
        });
        let mut message = reply.to_message(&self.state(|state| state.list(REQUEST_HEADERS)));
        let (arrived, began) = self.side(Direction::Response, |side| (side.arrived, side.began));
        if began {
            // The response has begun: all that is left is to break off.
            self.way_mut().outcome = Some(Outcome::Reset);
        } else if arrived {
            // Not through the filters again.
            self.state(|state| state.facts.response_code = status_of(&message.headers));
            let mut way = self.way_mut();
            *way.side_mut(Direction::Response) = Side {
                message,
                arrived: true,
                began: true,
                complete: true,
                ..Side::default()
            };
            way.outcome = Some(Outcome::Replied);
        } else {
            self.way_mut().replying = true;
            let body = std::mem::take(&mut message.body);
            let end = body.is_empty();
            self.headers(Direction::Response, message.headers, end);
            if !end {
                self.body(Direction::Response, &body, true);
            }
        }
    }

    fn too_large(&self, direction: Direction) -> Progress {
        let reply = match direction {
            Direction::Request => {
                LocalReply::by_host(413, "Payload Too Large", "request_payload_too_large")
            }
            Direction::Response => {
                LocalReply::by_host(500, "Internal Server Error", "response_payload_too_large")
            }
        };
        self.reply(&reply);
        self.progress()
    }

    /// Ends the stream: log, done, delete.
    pub(crate) fn finish(&self) {
        if std::mem::replace(&mut self.way_mut().ended, true) {
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
        self.host.ways.borrow_mut().remove(&self.id);
    }
}

fn status_of(headers: &HeaderList) -> Option<u16> {
    std::str::from_utf8(headers.get(":status")?)
        .ok()?
        .parse()
        .ok()
}
