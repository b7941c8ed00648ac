//! A rate limit service that answers as a test says, and its messages.

use std::net::SocketAddr;

use anyhow::Result;
use legation_tests::{Received, Reply, Upstream};
use prost::Message;

/// `RateLimitRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Question {
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) descriptors: Vec<Descriptor>,
    #[prost(uint32, tag = "3")]
    pub(super) hits_addend: u32,
}

/// `RateLimitDescriptor`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Descriptor {
    #[prost(message, repeated, tag = "1")]
    pub(super) entries: Vec<Entry>,
    #[prost(message, optional, tag = "2")]
    pub(super) limit: Option<Override>,
    #[prost(message, optional, tag = "3")]
    pub(super) hits_addend: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Entry {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Override {
    #[prost(uint32, tag = "1")]
    pub(super) requests_per_unit: u32,
    #[prost(int32, tag = "2")]
    pub(super) unit: i32,
}

/// `RateLimitResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Answer {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(message, repeated, tag = "2")]
    statuses: Vec<Status>,
    #[prost(message, repeated, tag = "3")]
    response_headers: Vec<Header>,
    #[prost(message, repeated, tag = "4")]
    request_headers: Vec<Header>,
    #[prost(bytes = "vec", tag = "5")]
    body: Vec<u8>,
}

/// `DescriptorStatus`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(message, optional, tag = "2")]
    limit: Option<Limit>,
    #[prost(uint32, tag = "3")]
    remaining: u32,
    #[prost(message, optional, tag = "4")]
    until_reset: Option<Duration>,
}

#[derive(Clone, PartialEq, Message)]
struct Limit {
    #[prost(uint32, tag = "1")]
    requests_per_unit: u32,
    #[prost(int32, tag = "2")]
    unit: i32,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(uint32, tag = "4")]
    unit_multiplier: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Duration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

const OK: i32 = 1;
const OVER_LIMIT: i32 = 2;

pub(super) const SECOND: i32 = 1;
pub(super) const MINUTE: i32 = 2;
pub(super) const HOUR: i32 = 3;
pub(super) const DAY: i32 = 4;
pub(super) const MONTH: i32 = 5;
pub(super) const WEEK: i32 = 7;

impl Answer {
    pub(super) fn ok() -> Self {
        Self::code(OK)
    }

    pub(super) fn over_limit() -> Self {
        Self::code(OVER_LIMIT)
    }

    pub(super) fn code(code: i32) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }

    /// Of one limit, beyond which the request is for so many seconds.
    pub(super) fn over_limit_for(seconds: i64) -> Self {
        Self::over_limit().status(Status::over(5, MINUTE).reset(seconds, 0))
    }

    pub(super) fn status(mut self, status: Status) -> Self {
        self.statuses.push(status);
        self
    }

    pub(super) fn for_response(mut self, name: &str, value: &str) -> Self {
        self.response_headers.push(Header::new(name, value));
        self
    }

    pub(super) fn for_request(mut self, name: &str, value: &str) -> Self {
        self.request_headers.push(Header::new(name, value));
        self
    }

    pub(super) fn body(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::grpc(&self.encode_to_vec())
    }
}

impl Status {
    /// Within a limit of so many a unit, with so many left.
    pub(super) fn within(limit: u32, unit: i32, remaining: u32) -> Self {
        let limit = Limit {
            requests_per_unit: limit,
            unit,
            ..Limit::default()
        };
        Self {
            code: OK,
            limit: Some(limit),
            remaining,
            until_reset: None,
        }
    }

    /// Beyond it.
    pub(super) fn over(limit: u32, unit: i32) -> Self {
        Self {
            code: OVER_LIMIT,
            ..Self::within(limit, unit, 0)
        }
    }

    /// Of a descriptor that has no limit.
    pub(super) fn unlimited() -> Self {
        Self {
            code: OK,
            ..Self::default()
        }
    }

    pub(super) fn reset(mut self, seconds: i64, nanos: i32) -> Self {
        self.until_reset = Some(Duration { seconds, nanos });
        self
    }

    pub(super) fn name(mut self, name: &str) -> Self {
        let limit = self.limit.get_or_insert_default();
        limit.name = name.to_owned();
        self
    }

    pub(super) fn units(mut self, units: u32) -> Self {
        let limit = self.limit.get_or_insert_default();
        limit.unit_multiplier = units;
        self
    }
}

impl Header {
    fn new(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }
}

impl Question {
    fn of(received: &Received) -> Self {
        let message = received.grpc_message().expect("it is one message");
        Self::decode(message).expect("it is a question")
    }

    /// The values of all entries.
    pub(super) fn values(&self) -> Vec<&str> {
        let entries = self.descriptors.iter().flat_map(|one| &one.entries);
        entries.map(|entry| entry.value.as_str()).collect()
    }
}

/// The service.
pub(super) struct Service(Upstream);

impl Service {
    /// One that answers OK.
    pub(super) fn start() -> Result<Self> {
        Self::start_on("127.0.0.1:0".parse()?)
    }

    pub(super) fn start_on(address: SocketAddr) -> Result<Self> {
        let service = Self(Upstream::start_on(address)?);
        service.says(Answer::ok());
        Ok(service)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Answers everything with this from now on.
    pub(super) fn says(&self, answer: Answer) {
        self.replies(answer.reply());
    }

    pub(super) fn replies(&self, reply: Reply) {
        self.0.answer(move |_| reply.clone());
    }

    pub(super) fn answers(&self, answer: impl Fn(&Question) -> Answer + Send + Sync + 'static) {
        self.0
            .answer(move |received| answer(&Question::of(received)).reply());
    }

    /// What it was asked, in order.
    pub(super) fn asked(&self) -> Vec<Question> {
        self.0.requests().iter().map(Question::of).collect()
    }

    /// How often it was asked since the last time.
    pub(super) fn calls(&self) -> usize {
        let calls = self.0.count();
        self.0.forget();
        calls
    }

    pub(super) fn upstream(&self) -> &Upstream {
        &self.0
    }
}
