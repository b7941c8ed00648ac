//! The service of the tests: what it is asked, and what it answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Result;
use legation_tests::{Received, Reply, Upstream};
use prost::Message;

/// `CheckRequest`, so far as it is looked at.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Question {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Attributes {
    #[prost(message, optional, tag = "1")]
    pub(super) source: Option<Peer>,
    #[prost(message, optional, tag = "2")]
    pub(super) destination: Option<Peer>,
    #[prost(message, optional, tag = "4")]
    pub(super) request: Option<Request>,
    #[prost(btree_map = "string, string", tag = "10")]
    pub(super) context_extensions: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Peer {
    #[prost(message, optional, tag = "1")]
    pub(super) address: Option<Address>,
    #[prost(string, tag = "4")]
    pub(super) principal: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Address {
    #[prost(message, optional, tag = "1")]
    pub(super) socket: Option<Socket>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Socket {
    #[prost(string, tag = "2")]
    pub(super) address: String,
    #[prost(uint32, tag = "3")]
    pub(super) port: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    #[prost(message, optional, tag = "1")]
    pub(super) time: Option<Time>,
    #[prost(message, optional, tag = "2")]
    pub(super) http: Option<Http>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Time {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Http {
    #[prost(string, tag = "2")]
    pub(super) method: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(super) headers: BTreeMap<String, String>,
    #[prost(string, tag = "4")]
    pub(super) path: String,
    #[prost(string, tag = "5")]
    pub(super) host: String,
    #[prost(string, tag = "6")]
    pub(super) scheme: String,
    #[prost(int64, tag = "9")]
    pub(super) size: i64,
    #[prost(string, tag = "10")]
    pub(super) protocol: String,
    #[prost(string, tag = "11")]
    pub(super) body: String,
    #[prost(bytes = "vec", tag = "12")]
    pub(super) raw_body: Vec<u8>,
}

/// `CheckResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Answer {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    denied: Option<Denied>,
    #[prost(message, optional, tag = "3")]
    ok: Option<Allowed>,
    #[prost(message, optional, tag = "5")]
    error: Option<Denied>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Denied {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, tag = "3")]
    body: String,
}

#[derive(Clone, PartialEq, Message)]
struct Allowed {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, repeated, tag = "5")]
    remove: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    response_headers: Vec<HeaderOption>,
    #[prost(message, repeated, tag = "7")]
    query: Vec<Header>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderOption {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(message, optional, tag = "2")]
    append: Option<Bool>,
    #[prost(int32, tag = "3")]
    action: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Bool {
    #[prost(bool, tag = "1")]
    value: bool,
}

/// What becomes of a header that is there.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// `append`, which is deprecated, and what most services say.
    Append(bool),
    /// `append_action`
    Action(i32),
}

fn header(name: &str, value: &str, how: How) -> HeaderOption {
    let header = Some(Header {
        key: name.to_owned(),
        value: value.to_owned(),
    });
    match how {
        How::Append(value) => HeaderOption {
            header,
            append: Some(Bool { value }),
            action: 0,
        },
        How::Action(action) => HeaderOption {
            header,
            append: None,
            action,
        },
    }
}

impl Answer {
    pub(super) fn ok() -> Self {
        Self::code(0)
    }

    pub(super) fn code(code: i32) -> Self {
        Self {
            status: Some(Status { code }),
            ..Self::default()
        }
    }

    pub(super) fn denied(status: i32) -> Self {
        let status = Some(Status { code: status });
        Self {
            denied: Some(Denied {
                status,
                ..Denied::default()
            }),
            ..Self::code(7)
        }
    }

    pub(super) fn error(status: i32) -> Self {
        let denied = Self::denied(status);
        Self {
            error: denied.denied,
            ..Self::code(13)
        }
    }

    /// With another code than it would have; `None` is none at all.
    pub(super) fn with_code(mut self, code: Option<i32>) -> Self {
        self.status = code.map(|code| Status { code });
        self
    }

    /// With what is said of requests that are allowed.
    pub(super) fn with_ok(mut self) -> Self {
        self.ok.get_or_insert_default();
        self
    }

    pub(super) fn for_request(mut self, name: &str, value: &str, how: How) -> Self {
        let ok = self.ok.get_or_insert_default();
        ok.headers.push(header(name, value, how));
        self
    }

    pub(super) fn remove(mut self, name: &str) -> Self {
        let ok = self.ok.get_or_insert_default();
        ok.remove.push(name.to_owned());
        self
    }

    pub(super) fn query(mut self, key: &str, value: &str) -> Self {
        let ok = self.ok.get_or_insert_default();
        ok.query.push(Header {
            key: key.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    /// For the client: in the response, or in the refusal.
    pub(super) fn for_client(mut self, name: &str, value: &str, how: How) -> Self {
        let header = header(name, value, how);
        match &mut self.denied {
            Some(denied) => denied.headers.push(header),
            None => {
                let ok = self.ok.get_or_insert_default();
                ok.response_headers.push(header);
            }
        }
        self
    }

    pub(super) fn body(mut self, body: &str) -> Self {
        self.denied.get_or_insert_default().body = body.to_owned();
        self
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::grpc(&self.encode_to_vec())
    }
}

impl Question {
    fn of(received: &Received) -> Self {
        assert_eq!(received.path, "/envoy.service.auth.v3.Authorization/Check");
        let message = received.grpc_message().expect("it is one message");
        Self::decode(message).expect("it is a question")
    }

    pub(super) fn attributes(&self) -> &Attributes {
        self.attributes.as_ref().expect("a question has attributes")
    }

    pub(super) fn http(&self) -> &Http {
        let request = self.attributes().request.as_ref();
        let http = request.and_then(|request| request.http.as_ref());
        http.expect("a question is about a request")
    }
}

/// The service.
pub(super) struct Service(Upstream);

impl Service {
    /// One that says OK.
    pub(super) fn start() -> Result<Self> {
        let service = Self(Upstream::start()?);
        service.says(&Answer::ok());
        Ok(service)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Answers everything with this from now on.
    pub(super) fn says(&self, answer: &Answer) {
        self.replies(answer.reply());
    }

    pub(super) fn replies(&self, reply: Reply) {
        self.0.answer(move |_| reply.clone());
    }

    /// Answers by what it is asked.
    pub(super) fn answers(&self, answer: impl Fn(&Question) -> Answer + Send + Sync + 'static) {
        self.0
            .answer(move |received| answer(&Question::of(received)).reply());
    }

    /// What it was asked since the last time.
    pub(super) fn asked(&self) -> Vec<Question> {
        self.requests().iter().map(Question::of).collect()
    }

    /// The requests that came since the last time.
    pub(super) fn requests(&self) -> Vec<Received> {
        let requests = self.0.requests();
        self.0.forget();
        requests
    }
}
