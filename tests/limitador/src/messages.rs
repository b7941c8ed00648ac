//! What limitador knows of the messages of `envoy.service.ratelimit.v3`.

use prost::Message;

/// `RateLimitRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Question {
    #[prost(string, tag = "1")]
    pub(crate) domain: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) descriptors: Vec<Descriptor>,
    #[prost(uint32, tag = "3")]
    pub(crate) hits_addend: u32,
}

/// `RateLimitDescriptor`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Descriptor {
    #[prost(message, repeated, tag = "1")]
    pub(crate) entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// `RateLimitResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Answer {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(message, repeated, tag = "3")]
    pub(crate) response_headers: Vec<Header>,
}

/// `HeaderValue`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Header {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

pub(crate) const UNKNOWN: i32 = 0;
pub(crate) const OK: i32 = 1;
pub(crate) const OVER_LIMIT: i32 = 2;

impl Answer {
    pub(crate) fn new(code: i32) -> Self {
        Self {
            code,
            response_headers: Vec::new(),
        }
    }
}
