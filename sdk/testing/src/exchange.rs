//! What became of a request.

use std::collections::BTreeMap;
use std::fmt;

use crate::allocations::{self, Allocations};
use crate::call::{Callback, Made};
use crate::headers::HeaderList;
use crate::log::LogLine;
use crate::message::{Message, Response};

/// Who gives the upstream's answers: a [`Response`], or a closure that makes
/// one of the request as it arrived.
pub trait Upstream {
    /// The answer to a request.
    fn answer(self, request: &Message) -> Response;
}

impl Upstream for Response {
    fn answer(self, _: &Message) -> Response {
        self
    }
}

impl<A: FnOnce(&Message) -> Response> Upstream for A {
    fn answer(self, request: &Message) -> Response {
        self(request)
    }
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client has the upstream's answer.
    Answered,
    /// The client has a local reply.
    Replied,
    /// The stream was broken off.
    Reset,
    /// The filter held something and never let it go on.
    Held,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// How it ended.
    pub outcome: Outcome,
    /// The request's headers as the client sent them.
    pub request: HeaderList,
    /// The request as it reached the upstream. `None` where it did not, or not
    /// to its end.
    pub upstream: Option<Message>,
    /// Whether at least the headers reached the upstream.
    pub upstream_began: bool,
    /// The response as it reached the client. `None` where none did, or not to
    /// its end.
    pub response: Option<Message>,
    /// The errors that the filter's callbacks returned.
    pub failures: Vec<String>,
    /// What the filter wrote to the log.
    pub log: Vec<LogLine>,
    pub(crate) calls: Vec<Made>,
    pub(crate) allocations: BTreeMap<Callback, Allocations>,
    pub(crate) counters: BTreeMap<String, u64>,
}

impl Exchange {
    /// The request as it reached the upstream.
    ///
    /// # Panics
    ///
    /// Where it did not.
    #[track_caller]
    pub fn upstream(&self) -> &Message {
        match &self.upstream {
            Some(message) => message,
            None => panic!("the request did not reach the upstream\n{self}"),
        }
    }

    /// The response as it reached the client.
    ///
    /// # Panics
    ///
    /// Where none did.
    #[track_caller]
    pub fn response(&self) -> &Message {
        match &self.response {
            Some(message) => message,
            None => panic!("no response reached the client\n{self}"),
        }
    }

    /// The status of the response that reached the client.
    ///
    /// # Panics
    ///
    /// Where none did.
    #[track_caller]
    pub fn status(&self) -> u16 {
        self.response().status()
    }

    /// The host calls made, all of them.
    pub fn calls(&self) -> Calls {
        Calls(self.calls.clone())
    }

    /// The host calls made in one callback.
    pub fn calls_in(&self, callback: Callback) -> Calls {
        let calls = self.calls.iter().copied();
        Calls(calls.filter(|call| call.callback == callback).collect())
    }

    /// What the guest allocated in one callback, the runtime's own included.
    ///
    /// # Panics
    ///
    /// Where the test binary does not count: it lacks the line
    /// `legation_testing::count_allocations!();`.
    #[track_caller]
    pub fn allocations_in(&self, callback: Callback) -> Allocations {
        assert!(
            allocations::are_counted(),
            "allocations are not counted: this test binary lacks the line \
             `legation_testing::count_allocations!();`"
        );
        self.allocations.get(&callback).copied().unwrap_or_default()
    }

    /// What the guest allocated from the stream's creation to its deletion.
    ///
    /// # Panics
    ///
    /// As [`allocations_in`](Self::allocations_in).
    #[track_caller]
    pub fn allocations(&self) -> Allocations {
        let mut sum = Allocations::default();
        for callback in self.allocations.keys() {
            sum += self.allocations_in(*callback);
        }
        sum
    }

    /// By how much a counter grew.
    pub fn counted(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or_default()
    }
}

/// Tells people what happened.
impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "request:\n{}outcome: {:?}", self.request, self.outcome)?;
        match &self.upstream {
            Some(message) => write!(f, "to the upstream:\n{message}")?,
            None => writeln!(f, "to the upstream: nothing complete")?,
        }
        match &self.response {
            Some(message) => write!(f, "to the client:\n{message}")?,
            None => writeln!(f, "to the client: nothing complete")?,
        }
        for failure in &self.failures {
            writeln!(f, "failure: {failure}")?;
        }
        for line in &self.log {
            writeln!(f, "log: {line}")?;
        }
        Ok(())
    }
}

/// Host calls that were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls(Vec<Made>);

impl Calls {
    /// How many there were.
    pub fn total(&self) -> usize {
        self.0.len()
    }

    /// How many there were of one ABI name.
    pub fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|call| call.name == name).count()
    }

    /// Their ABI names, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|call| call.name).collect()
    }
}
