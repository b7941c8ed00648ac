//! Random requests, responses and configurations.

use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use crate::callout::Callout;
use crate::host::Configuration;
use crate::message::{Request, Response};

const NAMES: [&str; 14] = [
    ":authority",
    ":scheme",
    "accept",
    "authorization",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "traceparent",
    "user-agent",
    "x-a",
    "x-b",
    "x-forwarded-for",
    "x-request-id",
];

const VALUES: [&[u8]; 12] = [
    b"",
    b"1",
    b"18446744073709551616",
    b"-1",
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"application/grpc",
    b"a=b; c=d; a=e",
    b"Bearer a.b.c",
    b"\xff\xfe",
    b"10.0.0.1, 2001:db8::1",
    "gr\u{fc}n".as_bytes(),
    b"%00%zz%2f",
];

const PATHS: [&[u8]; 8] = [
    b"/",
    b"/a/b?c=d&c=e&f",
    b"",
    b"*",
    b"/%2e%2e/%ff?%zz=%00",
    b"//a/./b/../c;d",
    b"/\xff\xfe?\xff",
    b"/a?",
];

const METHODS: [&str; 5] = ["GET", "POST", "HEAD", "CONNECT", "get"];

/// Makes requests that have to do with a configuration.
pub(super) struct Generator {
    configuration: Vec<u8>,
    words: Vec<String>,
}

impl Generator {
    pub(super) fn new(configuration: &Configuration) -> Self {
        let mut words = Vec::new();
        if let Ok(json) = serde_json::from_slice(&configuration.0) {
            collect(&json, &mut words);
        }
        Self {
            configuration: configuration.0.clone(),
            words,
        }
    }

    pub(super) fn request(&self, rng: &mut Rng) -> Request {
        let path = self.value(rng, &PATHS);
        let mut request = Request::new(METHODS[rng.usize(..METHODS.len())], path);
        for _ in 0..rng.usize(..12) {
            let name = self.name(rng);
            let value = self.value(rng, &VALUES);
            request = request.header(name, value);
        }
        for _ in 0..rng.usize(..4).saturating_sub(1) {
            request = request.body(bytes(rng, 64));
        }
        if rng.u8(..) < 32 {
            request = request.trailer(self.name(rng), self.value(rng, &VALUES));
        }
        if rng.u8(..) < 16 {
            request = request.from("[2001:db8::1]:443");
        }
        request
    }

    pub(super) fn response(&self, rng: &mut Rng) -> Response {
        let mut response = Response::new(rng.u16(100..600));
        for _ in 0..rng.usize(..6) {
            response = response.header(self.name(rng), self.value(rng, &VALUES));
        }
        for _ in 0..rng.usize(..3) {
            response = response.body(bytes(rng, 64));
        }
        if rng.u8(..) < 32 {
            response = response.trailer(self.name(rng), self.value(rng, &VALUES));
        }
        response
    }

    /// What a cluster says, to HTTP or gRPC.
    pub(super) fn callout(&self, rng: &mut Rng) -> Callout {
        let callout = match rng.u8(..16) {
            0..6 => self.response(rng).into(),
            6..8 => Callout::message(bytes(rng, 64)),
            8 => Callout::message(self.value(rng, &VALUES)),
            9 => Callout::grpc_status(rng.u32(..20), "no {brace}"),
            10 => Callout::fail(),
            11 => Callout::reset("overflow"),
            12..14 => Callout::hang(),
            _ => Callout::refuse(rng.u32(..16)),
        };
        match rng.u8(..4) {
            0 => callout.at_once(),
            1 => callout.after(Duration::from_millis(rng.u64(..2_000))),
            _ => callout,
        }
    }

    /// The configuration, whole or mangled.
    pub(super) fn configuration(&self, rng: &mut Rng) -> Vec<u8> {
        let mut text = self.configuration.clone();
        if rng.bool() {
            mangle(rng, &mut text);
        }
        text
    }

    fn name(&self, rng: &mut Rng) -> Vec<u8> {
        match rng.u8(..) {
            0..16 => bytes(rng, 16),
            16..128 if !self.words.is_empty() => self.word(rng),
            _ => NAMES[rng.usize(..NAMES.len())].into(),
        }
    }

    fn value(&self, rng: &mut Rng, known: &[&[u8]]) -> Vec<u8> {
        match rng.u8(..) {
            0..32 => bytes(rng, 32),
            32..112 if !self.words.is_empty() => self.word(rng),
            _ => known[rng.usize(..known.len())].to_vec(),
        }
    }

    fn word(&self, rng: &mut Rng) -> Vec<u8> {
        self.words[rng.usize(..self.words.len())]
            .clone()
            .into_bytes()
    }
}

fn collect(json: &Value, words: &mut Vec<String>) {
    match json {
        Value::String(text) => words.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, words)),
        Value::Object(fields) => {
            for (name, value) in fields {
                words.push(name.clone());
                collect(value, words);
            }
        }
        _ => {}
    }
}

pub(super) fn bytes(rng: &mut Rng, below: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.usize(..below)];
    rng.fill(&mut bytes);
    bytes
}

/// Cuts, lengthens, or changes some bytes.
pub(super) fn mangle(rng: &mut Rng, bytes: &mut Vec<u8>) {
    match rng.u8(..4) {
        0 => bytes.truncate(rng.usize(..=bytes.len())),
        1 => bytes.extend(self::bytes(rng, 16)),
        _ => {
            for _ in 0..rng.usize(1..4) {
                if !bytes.is_empty() {
                    let at = rng.usize(..bytes.len());
                    bytes[at] = rng.u8(..);
                }
            }
        }
    }
}
