//! The futures of streams, and where they are kept.
//!
//! A future is polled where it will stay: it must not move after its first
//! poll. So that a request which awaits nothing allocates nothing, a place is
//! used for one future after another of the same callback.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::error::Result;
use crate::filter::{Callbacks, Flow, HttpFilter};
use crate::headers::HeaderList;
use crate::phase::{
    Inbox, RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders,
    ResponseTrailers,
};

use super::kept;
use super::reactor::{Bell, Key, Reactor};

/// Places kept for later futures of one callback.
const MAX_IDLE: usize = 256;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// The callbacks of a stream that carry a part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
}

impl Kind {
    pub(super) const fn callback(self) -> Callbacks {
        match self {
            Self::RequestHeaders => Callbacks::REQUEST_HEADERS,
            Self::RequestBody => Callbacks::REQUEST_BODY,
            Self::RequestTrailers => Callbacks::REQUEST_TRAILERS,
            Self::ResponseHeaders => Callbacks::RESPONSE_HEADERS,
            Self::ResponseBody => Callbacks::RESPONSE_BODY,
            Self::ResponseTrailers => Callbacks::RESPONSE_TRAILERS,
        }
    }

    pub(super) const fn direction(self) -> Direction {
        match self {
            Self::RequestHeaders | Self::RequestBody | Self::RequestTrailers => Direction::Request,
            Self::ResponseHeaders | Self::ResponseBody | Self::ResponseTrailers => {
                Direction::Response
            }
        }
    }

    pub(super) const fn is_headers(self) -> bool {
        matches!(self, Self::RequestHeaders | Self::ResponseHeaders)
    }

    pub(super) const fn is_body(self) -> bool {
        matches!(self, Self::RequestBody | Self::ResponseBody)
    }
}

/// A part of a message that has arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) kind: Kind,
    /// Bytes of a body that are here.
    pub(super) size: usize,
    /// How many of them, from the first, the filter has let go on before.
    pub(super) offset: usize,
    pub(super) end: bool,
}

impl Event {
    pub(super) const fn headers(kind: Kind, end: bool) -> Self {
        Self {
            kind,
            size: 0,
            offset: 0,
            end,
        }
    }

    pub(super) const fn body(kind: Kind, size: usize, end: bool) -> Self {
        Self {
            kind,
            size,
            offset: 0,
            end,
        }
    }

    pub(super) const fn trailers(kind: Kind) -> Self {
        Self {
            kind,
            size: 0,
            offset: 0,
            end: true,
        }
    }
}

/// What a callback came to.
pub(super) struct Done {
    pub(super) flow: Result<Flow>,
    pub(super) copy: Option<HeaderList>,
    /// Where the piece of the body that was shown ends by now.
    pub(super) body_end: usize,
}

/// What a callback needs.
pub(super) struct Input<F: HttpFilter> {
    pub(super) filter: Rc<F>,
    pub(super) state: Lent<F::Stream>,
    pub(super) request: Option<HeaderList>,
    pub(super) event: Event,
    pub(super) inbox: Rc<Inbox>,
    /// The request's headers, where they were looked at before.
    pub(super) begun: Option<Box<RequestHeaders>>,
}

/// What is remembered of a stream, lent to a future. It goes home when the
/// future is over, however that comes about.
pub(super) struct Lent<S: Default> {
    state: S,
    home: Rc<Cell<Option<S>>>,
}

impl<S: Default> Deref for Lent<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.state
    }
}

impl<S: Default> DerefMut for Lent<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.state
    }
}

impl<S: Default> Drop for Lent<S> {
    fn drop(&mut self) {
        self.home.set(Some(mem::take(&mut self.state)));
    }
}

/// A future of a stream, and what is shared with it.
pub(super) struct Task<F: HttpFilter> {
    place: Box<dyn Place<F>>,
    home: Rc<Cell<Option<F::Stream>>>,
    pub(super) inbox: Rc<Inbox>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<F: HttpFilter> Task<F> {
    /// Polls the future.
    pub(super) fn poll(&mut self) -> Poll<Done> {
        self.place.poll(&mut Context::from_waker(&self.waker))
    }

    /// Drops the future, if it is not over, and takes back what it was lent.
    pub(super) fn end(&mut self) -> F::Stream {
        self.place.clear();
        self.home.take().unwrap_or_default()
    }
}

/// Where a future stays.
trait Place<F: HttpFilter> {
    fn fill(&mut self, input: Input<F>);
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Done>;
    fn clear(&mut self);
}

struct PlaceOf<Make, Future> {
    make: Make,
    future: Pin<Box<Option<Future>>>,
}

impl<F, Make, Callback> Place<F> for PlaceOf<Make, Callback>
where
    F: HttpFilter,
    Make: Fn(Input<F>) -> Callback,
    Callback: Future<Output = Done>,
{
    fn fill(&mut self, input: Input<F>) {
        let future = (self.make)(input);
        self.future.set(Some(future));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Done> {
        match self.future.as_mut().as_pin_mut() {
            Some(future) => future.poll(context),
            None => Poll::Pending,
        }
    }

    fn clear(&mut self) {
        self.future.set(None);
    }
}

fn place<F, Make, Callback>(make: Make) -> Box<dyn Place<F>>
where
    F: HttpFilter,
    Make: Fn(Input<F>) -> Callback + 'static,
    Callback: Future<Output = Done> + 'static,
{
    Box::new(PlaceOf {
        make,
        future: Box::pin(None),
    })
}

/// The places that no future is in, by callback.
pub(super) struct Idle<F: HttpFilter>([RefCell<Vec<Task<F>>>; 6]);

impl<F: HttpFilter> Default for Idle<F> {
    fn default() -> Self {
        Self(Default::default())
    }
}

impl<F: HttpFilter> Idle<F> {
    fn of(&self, kind: Kind) -> Option<&RefCell<Vec<Task<F>>>> {
        self.0.get(kind as usize)
    }

    /// Starts a callback's future, which is yet to be polled.
    pub(super) fn start(
        &self,
        reactor: &Reactor,
        stream: u32,
        (filter, state): (Rc<F>, F::Stream),
        request: Option<HeaderList>,
        begun: Option<Box<RequestHeaders>>,
        (event, holds_headers): (Event, bool),
    ) -> Task<F> {
        let idle = self.of(event.kind).and_then(|idle| idle.borrow_mut().pop());
        let mut task = idle.unwrap_or_else(|| {
            let bell = reactor.bell();
            Task {
                place: new_place(event.kind),
                home: Rc::default(),
                inbox: Rc::default(),
                waker: Waker::from(Arc::clone(&bell)),
                bell,
            }
        });
        task.bell.set(Key::Stream(stream));
        task.inbox.open(event.size, event.end, holds_headers);
        task.place.fill(Input {
            filter,
            state: Lent {
                state,
                home: Rc::clone(&task.home),
            },
            request,
            event,
            inbox: Rc::clone(&task.inbox),
            begun,
        });
        task
    }

    /// Takes back a place whose future has been ended.
    pub(super) fn put(&self, kind: Kind, task: Task<F>) {
        // Whoever kept the inbox would read the next stream's.
        if Rc::strong_count(&task.inbox) > 1 {
            return;
        }
        if let Some(idle) = self.of(kind) {
            let mut idle = idle.borrow_mut();
            if idle.len() < MAX_IDLE {
                idle.push(task);
            }
        }
    }
}

fn new_place<F: HttpFilter>(kind: Kind) -> Box<dyn Place<F>> {
    match kind {
        Kind::RequestHeaders => place(request_headers::<F>),
        Kind::RequestBody => place(request_body::<F>),
        Kind::RequestTrailers => place(request_trailers::<F>),
        Kind::ResponseHeaders => place(response_headers::<F>),
        Kind::ResponseBody => place(response_body::<F>),
        Kind::ResponseTrailers => place(response_trailers::<F>),
    }
}

async fn request_headers<F: HttpFilter>(mut input: Input<F>) -> Done {
    let request = match input.begun {
        Some(begun) => *begun,
        None => RequestHeaders::new(input.event.end),
    };
    let mut request = request.with_inbox(input.inbox);
    let flow = input
        .filter
        .on_request_headers(&mut input.state, &mut request)
        .await;
    Done {
        flow,
        copy: kept::<F>(&mut request),
        body_end: 0,
    }
}

async fn response_headers<F: HttpFilter>(mut input: Input<F>) -> Done {
    let mut response = ResponseHeaders::new(input.request, input.event.end).with_inbox(input.inbox);
    let flow = input
        .filter
        .on_response_headers(&mut input.state, &mut response)
        .await;
    Done {
        flow,
        copy: None,
        body_end: 0,
    }
}

macro_rules! callbacks {
    (body: $($name:ident($phase:ident) => $callback:ident;)*) => {
        $(async fn $name<F: HttpFilter>(mut input: Input<F>) -> Done {
            let Event { size, offset, end, .. } = input.event;
            let mut body = $phase::new(size, end).from(offset).with_inbox(input.inbox);
            let flow = input.filter.$callback(&mut input.state, &mut body).await;
            Done { flow, copy: None, body_end: body.end() }
        })*
    };
    (trailers: $($name:ident($phase:ident) => $callback:ident;)*) => {
        $(async fn $name<F: HttpFilter>(mut input: Input<F>) -> Done {
            let mut trailers = $phase::new(input.request);
            let flow = input.filter.$callback(&mut input.state, &mut trailers).await;
            Done { flow, copy: None, body_end: 0 }
        })*
    };
}

callbacks! { body:
    request_body(RequestBody) => on_request_body;
    response_body(ResponseBody) => on_response_body;
}

callbacks! { trailers:
    request_trailers(RequestTrailers) => on_request_trailers;
    response_trailers(ResponseTrailers) => on_response_trailers;
}

/// What a future that awaits nothing comes to. `None` where it awaited after all.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
