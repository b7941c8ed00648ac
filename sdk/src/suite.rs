//! Several filters in one module.
//!
//! Envoy enters a Wasm filter at a price, whatever it then does. A [`Suite`] is one
//! filter to Envoy and several in truth: they run one after another over one
//! fetched header map, in the order that the configuration gives, responses in the
//! reverse order, as Envoy runs filters of its own.
//!
//! ```
//! use legation::{Suite, filters};
//! # use legation::config::{ConfigErrors, NoConfig};
//! # use legation::{Configure, HttpFilter};
//! # struct Auth;
//! # #[legation::filter]
//! # impl HttpFilter for Auth {
//! #     const NAME: &'static str = "auth";
//! #     type Config = NoConfig;
//! #     type Stream = ();
//! #     fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> { Ok(Self) }
//! # }
//! # struct Limits;
//! # #[legation::filter]
//! # impl HttpFilter for Limits {
//! #     const NAME: &'static str = "limits";
//! #     type Config = NoConfig;
//! #     type Stream = ();
//! #     fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> { Ok(Self) }
//! # }
//!
//! legation::register!(Suite<filters![Auth, Limits]>);
//! ```
//!
//! ```json
//! {"filters": [{"name": "limits", "config": {}}, {"name": "auth"}]}
//! ```
//!
//! A filter in a suite behaves as it does alone. Its metrics and log lines are
//! under its own name; a refusal ends the chain, and goes back through those that
//! have seen the request; one that awaits holds those after it. Three things differ:
//! ticks come at multiples of the shortest period that any filter asked for;
//! [`Flow::Pause`] in the callback of headers is an error (await
//! [`buffer_body`](RequestHeaders::buffer_body) there); and where headers do not
//! wait for the body
//! ([`allow_on_headers_stop_iteration`](Configure::allow_on_headers_stop_iteration)),
//! those after a filter that awaits it can read them and no longer change them.

mod body;
mod config;
#[cfg(not(target_family = "wasm"))]
mod schema;
mod set;

use std::cell::Cell;
use std::time::Duration;

use deserr::ValuePointerRef;
use smallvec::SmallVec;

use crate::config::ConfigErrors;
use crate::configure::Configure;
use crate::error::{Error, Result};
use crate::filter::{Callbacks, Flow, HttpFilter};
use crate::phase::{
    RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
    StreamLog,
};
use body::Passage;

pub use config::SuiteConfig;
#[cfg(not(target_family = "wasm"))]
pub use schema::FilterSchemas;
pub use set::{FilterSet, Other};

/// The filters that a [`Suite`] has to choose from.
#[macro_export]
macro_rules! filters {
    () => { () };
    ($first:ty $(, $rest:ty)* $(,)?) => { ($first, $crate::filters![$($rest),*]) };
}

/// Several filters as one.
pub struct Suite<S: FilterSet> {
    members: Vec<Member<S>>,
    /// The shortest period between ticks that any of them asked for.
    period: Duration,
}

struct Member<S: FilterSet> {
    filter: S::Filter,
    tick_period: Option<Duration>,
    /// How long it is since its last tick.
    since_tick: Cell<Duration>,
}

/// What the filters of a [`Suite`] remember of a stream.
pub struct SuiteStream<S: FilterSet> {
    parts: SmallVec<[Part<S>; 4]>,
    /// The filter that had no answer at once to the request's headers, where one was asked
    /// for: those before it have let the request pass.
    asked: Option<usize>,
    request: Passage,
    response: Passage,
}

struct Part<S: FilterSet> {
    stream: S::Stream,
    finished: bool,
    /// Whether the request has come to the filter. Envoy does not enter a Wasm
    /// filter for the refusal of a request that it has not seen.
    reached: bool,
}

impl<S: FilterSet> Part<S> {
    fn is_passed_by(&self) -> bool {
        self.finished || !self.reached
    }
}

impl<S: FilterSet> Default for SuiteStream<S> {
    fn default() -> Self {
        Self {
            parts: SmallVec::new(),
            asked: None,
            request: Passage::default(),
            response: Passage::default(),
        }
    }
}

impl<S: FilterSet> SuiteStream<S> {
    /// The parts, made by the first callback that the stream has.
    fn of<'a>(&'a mut self, members: &[Member<S>]) -> &'a mut Self {
        if self.parts.len() != members.len() {
            self.parts = members
                .iter()
                .map(|member| Part {
                    stream: S::stream(&member.filter),
                    finished: false,
                    reached: true,
                })
                .collect();
        }
        self
    }
}

/// Whether the next filter is to be asked.
enum Step {
    Next,
    /// What has arrived is held.
    Held,
    Reply(Flow),
}

/// What a filter's flow means to the chain.
fn step<S: FilterSet>(flow: Flow, part: &mut Part<S>) -> Step {
    match flow {
        Flow::Continue => Step::Next,
        Flow::Finish => {
            part.finished = true;
            Step::Next
        }
        Flow::Pause => Step::Held,
        Flow::Reply(reply) => Step::Reply(Flow::Reply(reply)),
    }
}

/// The filters in the order in which they see a message.
macro_rules! ordered {
    (forward $filters:expr) => {
        $filters
    };
    (backward $filters:expr) => {
        $filters.rev()
    };
}

/// Runs the filters over trailers, and over what is let on of the body by them: a
/// filter that held it for its end has that now.
macro_rules! run_trailers {
    (
        $suite:ident, $stream:ident, $message:ident, $callback:ident, $order:ident,
        $body:ident, $body_callback:ident, $passage:ident
    ) => {{
        let SuiteStream { parts, $passage: passage, .. } = $stream.of(&$suite.members);
        let filters = ordered!($order $suite.members.iter().zip(parts.iter_mut()));
        for (place, (member, part)) in filters.enumerate() {
            if part.is_passed_by() {
                passage.let_on_all(place);
                continue;
            }
            if let Some((from, to, _)) = passage.shown_to(place) {
                let mut piece = $body::new(to, false).from(from);
                let flow =
                    S::$body_callback(&member.filter, &mut part.stream, &mut piece).await?;
                passage.resized(place, to, piece.end());
                if let Step::Reply(reply) = step(flow, part) {
                    return Ok(reply);
                }
                if part.finished {
                    passage.let_on_all(place);
                    continue;
                }
            }
            let flow = S::$callback(&member.filter, &mut part.stream, $message).await?;
            match step(flow, part) {
                Step::Next => passage.let_on_all(place),
                Step::Held => return Err(held(S::name(&member.filter))),
                Step::Reply(reply) => return Ok(reply),
            }
        }
        Ok(Flow::Continue)
    }};
}

/// Runs the filters over headers, and over the body that one of them has awaited
/// there.
macro_rules! run_headers {
    (
        $suite:ident, $stream:ident, $message:ident, $callback:ident, $order:ident,
        $body:ident, $body_callback:ident, asked: $asked:expr
    ) => {{
        let asked: Option<Option<usize>> = $asked;
        let parts = &mut $stream.of(&$suite.members).parts;
        let passed = asked.flatten().unwrap_or_default();
        if asked.is_some() {
            for part in parts.iter_mut().skip(passed) {
                part.reached = false;
            }
        }
        let mut filters = ordered!($order $suite.members.iter().zip(parts.iter_mut())).enumerate();
        let mut took = SmallVec::<[bool; 4]>::new();
        let flow = loop {
            let Some((place, (member, part))) = filters.next() else {
                break Flow::Continue;
            };
            $message.leave_body();
            part.reached |= asked.is_some();
            if part.is_passed_by() || place < passed {
                took.push(false);
                continue;
            }
            let flow = $callback!(S, member, part, $message, asked, place);
            took.push($message.has_taken_body());
            match step(flow, part) {
                Step::Next => {}
                Step::Held => return Err(held(S::name(&member.filter))),
                Step::Reply(reply) => break reply,
            }
        };
        drop(filters);
        // Who has not awaited the body gets it now, whole.
        let given = took.contains(&true) && matches!(flow, Flow::Continue);
        if let Some(inbox) = $message.whole_body().filter(|_| given) {
            let filters = ordered!($order $suite.members.iter().zip(parts.iter_mut()));
            for ((member, part), took) in filters.zip(took) {
                if took || part.is_passed_by() {
                    continue;
                }
                let mut body = $body::new(inbox.size(), true).with_inbox(inbox.clone());
                let flow =
                    S::$body_callback(&member.filter, &mut part.stream, &mut body).await?;
                match step(flow, part) {
                    Step::Next => {}
                    Step::Held => return Err(held(S::name(&member.filter))),
                    Step::Reply(reply) => return Ok(reply),
                }
            }
            $message.take_body();
        } else {
            $message.leave_body();
        }
        Ok(flow)
    }};
}

/// Runs the filters over a piece of a body. What one of them holds, those after it
/// have not seen: each has its own place in what the host holds.
macro_rules! run_body {
    ($suite:ident, $stream:ident, $message:ident, $callback:ident, $order:ident, $body:ident, $passage:ident) => {{
        let SuiteStream { parts, $passage: passage, .. } = $stream.of(&$suite.members);
        passage.arrived($message.start(), $message.end(), $message.is_end_of_stream());
        let filters = ordered!($order $suite.members.iter().zip(parts.iter_mut()));
        for (place, (member, part)) in filters.enumerate() {
            let Some((from, to, end)) = passage.shown_to(place) else {
                continue;
            };
            if part.is_passed_by() {
                passage.let_on(place, to);
                continue;
            }
            let mut piece = $body::new(to, end).from(from).with_inbox_of($message);
            let flow = S::$callback(&member.filter, &mut part.stream, &mut piece).await?;
            passage.resized(place, to, piece.end());
            match step(flow, part) {
                Step::Next => passage.let_on(place, piece.end()),
                Step::Held => {}
                Step::Reply(reply) => return Ok(reply),
            }
        }
        $message.resize_to(passage.size());
        Ok(if passage.goes_on(parts.len()) { Flow::Continue } else { Flow::Pause })
    }};
}

/// Makes a filter's callback for the request's headers, which that at this place was asked
/// before.
macro_rules! on_request_headers {
    ($set:ident, $member:ident, $part:ident, $message:ident, $asked:ident, $place:ident) => {{
        let (filter, stream) = (&$member.filter, &mut $part.stream);
        let at_once = if $set::AT_ONCE && $asked != Some(Some($place)) {
            $set::on_request_headers_at_once(filter, stream, $message)
        } else {
            None
        };
        match at_once {
            Some(flow) => flow?,
            None => $set::on_request_headers(filter, stream, $message).await?,
        }
    }};
}

macro_rules! on_response_headers {
    ($set:ident, $member:ident, $part:ident, $message:ident, $asked:ident, $place:ident) => {
        $set::on_response_headers(&$member.filter, &mut $part.stream, $message).await?
    };
}

fn held(filter: &str) -> Error {
    Error::other(format!(
        "`{filter}` holds a message by `Flow::Pause`, which a filter in a suite does for bodies only"
    ))
}

impl<S: FilterSet> HttpFilter for Suite<S> {
    const NAME: &'static str = "suite";
    const REMOTE_CONFIG: bool = true;
    const CALLBACKS: Callbacks = S::CALLBACKS;
    const AWAITS: Callbacks = S::AWAITS;
    const AT_ONCE: bool = S::AT_ONCE;
    type Config = SuiteConfig<S>;
    type Stream = SuiteStream<S>;

    fn configure(config: SuiteConfig<S>, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let mut members = Vec::new();
        let mut errors = None;
        for (index, config) in config.filters.into_iter().enumerate() {
            let mut own = host.member(S::config_name(&config));
            match S::configure(config, &mut own) {
                Ok(filter) => members.push(Member {
                    filter,
                    tick_period: own.tick_period(),
                    since_tick: Cell::default(),
                }),
                Err(error) => {
                    let filters = ValuePointerRef::Origin.push_key("filters");
                    let entry = filters.push_index(index);
                    ConfigErrors::add(&mut errors, error.under(entry.push_key("config")));
                }
            }
            host.join(own);
        }
        let period = members.iter().filter_map(|member| member.tick_period).min();
        if let Some(period) = period {
            host.tick_every(period);
        }
        let period = period.unwrap_or_default();
        ConfigErrors::check(errors, Self { members, period })
    }

    fn on_request_headers_at_once(
        &self,
        stream: &mut Self::Stream,
        request: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        let SuiteStream { parts, asked, .. } = stream.of(&self.members);
        for part in parts.iter_mut() {
            part.reached = false;
        }
        for (place, (member, part)) in self.members.iter().zip(parts).enumerate() {
            part.reached = true;
            let (filter, stream) = (&member.filter, &mut part.stream);
            let Some(flow) = S::on_request_headers_at_once(filter, stream, request) else {
                *asked = Some(place);
                return None;
            };
            match flow.map(|flow| step(flow, part)) {
                Ok(Step::Next) => {}
                Ok(Step::Held) => return Some(Err(held(S::name(&member.filter)))),
                Ok(Step::Reply(reply)) => return Some(Ok(reply)),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(Flow::Continue))
    }

    async fn on_request_headers(
        &self,
        stream: &mut Self::Stream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        run_headers!(
            self,
            stream,
            request,
            on_request_headers,
            forward,
            RequestBody,
            on_request_body,
            asked: Some(stream.asked.take())
        )
    }

    async fn on_request_body(
        &self,
        stream: &mut Self::Stream,
        request: &mut RequestBody,
    ) -> Result<Flow> {
        run_body!(
            self,
            stream,
            request,
            on_request_body,
            forward,
            RequestBody,
            request
        )
    }

    async fn on_request_trailers(
        &self,
        stream: &mut Self::Stream,
        request: &mut RequestTrailers,
    ) -> Result<Flow> {
        run_trailers!(
            self,
            stream,
            request,
            on_request_trailers,
            forward,
            RequestBody,
            on_request_body,
            request
        )
    }

    async fn on_response_headers(
        &self,
        stream: &mut Self::Stream,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        run_headers!(
            self,
            stream,
            response,
            on_response_headers,
            backward,
            ResponseBody,
            on_response_body,
            asked: None
        )
    }

    async fn on_response_body(
        &self,
        stream: &mut Self::Stream,
        response: &mut ResponseBody,
    ) -> Result<Flow> {
        run_body!(
            self,
            stream,
            response,
            on_response_body,
            backward,
            ResponseBody,
            response
        )
    }

    async fn on_response_trailers(
        &self,
        stream: &mut Self::Stream,
        response: &mut ResponseTrailers,
    ) -> Result<Flow> {
        run_trailers!(
            self,
            stream,
            response,
            on_response_trailers,
            backward,
            ResponseBody,
            on_response_body,
            response
        )
    }

    fn on_log(&self, stream: &mut Self::Stream, log: &mut StreamLog) {
        let parts = &mut stream.of(&self.members).parts;
        for (member, part) in self.members.iter().zip(parts) {
            if !part.finished {
                S::on_log(&member.filter, &mut part.stream, log);
            }
        }
    }

    fn on_done(&self, stream: &mut Self::Stream) {
        let parts = &mut stream.of(&self.members).parts;
        for (member, part) in self.members.iter().zip(parts) {
            if !part.finished {
                S::on_done(&member.filter, &mut part.stream);
            }
        }
    }

    async fn on_tick(&self) {
        for member in &self.members {
            let Some(period) = member.tick_period else {
                continue;
            };
            let since = member.since_tick.get().saturating_add(self.period);
            if since < period {
                member.since_tick.set(since);
                continue;
            }
            member.since_tick.set(Duration::ZERO);
            S::on_tick(&member.filter).await;
        }
    }
}
