//! A local reply as Envoy makes it of what a filter asked for.

use crate::headers::{HeaderList, Kind};
use crate::machine::LocalReply;
use crate::message::Message;

/// The last status of gRPC that is known.
const LAST_GRPC_STATUS: i32 = 16;

impl LocalReply {
    /// One of the host's own.
    pub(crate) fn by_host(status: u32, text: &str, details: &str) -> Self {
        Self {
            status,
            details: details.to_owned(),
            body: text.as_bytes().to_vec(),
            headers: HeaderList::default(),
            grpc_status: -1,
        }
    }

    /// As it goes to the client, by the request that it answers.
    pub(crate) fn to_message(&self, request: &HeaderList) -> Message {
        let mut headers = HeaderList::of(Kind::Response);
        headers.add(":status", self.status.to_string());
        for (name, value) in self.headers.iter() {
            headers.add(name, value);
        }
        if is_grpc(request) {
            return self.to_grpc(headers, request);
        }
        if self.body.is_empty() {
            headers.remove("content-length");
            headers.remove("content-type");
        } else {
            headers.set("content-length", self.body.len().to_string());
            if !headers.contains("content-type") {
                headers.add("content-type", "text/plain");
            }
        }
        let body = if is_head(request) {
            Vec::new()
        } else {
            self.body.clone()
        };
        Message {
            headers,
            body,
            trailers: HeaderList::default(),
        }
    }

    fn to_grpc(&self, mut headers: HeaderList, request: &HeaderList) -> Message {
        headers.set(":status", "200");
        headers.set("content-type", "application/grpc");
        if !headers.contains("grpc-status") {
            let known = (0..=LAST_GRPC_STATUS).contains(&self.grpc_status);
            let status = if known {
                self.grpc_status
            } else {
                grpc_status_of(self.status)
            };
            headers.add("grpc-status", status.to_string());
        }
        if !self.body.is_empty() && !is_head(request) {
            headers.set("grpc-message", percent_encoded(&self.body));
        }
        headers.remove("content-length");
        Message {
            headers,
            ..Message::default()
        }
    }

    /// For `response.code_details`.
    pub(crate) fn details(&self) -> String {
        self.details
            .split_whitespace()
            .collect::<Vec<_>>()
            .join("_")
    }
}

fn is_grpc(request: &HeaderList) -> bool {
    let rest = request
        .get("content-type")
        .and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

fn is_head(request: &HeaderList) -> bool {
    request.get(":method") == Some(b"HEAD")
}

/// What Envoy makes of an HTTP status where no gRPC status is given.
pub(crate) fn grpc_status_of(status: u32) -> i32 {
    match status {
        // As Envoy has it, 200 and all that is not known are UNKNOWN.
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

fn digit(value: u8) -> char {
    let digit = char::from_digit(value.into(), 16).unwrap_or_default();
    digit.to_ascii_uppercase()
}

/// As gRPC writes a message into a header.
pub(crate) fn percent_encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            text.push(char::from(byte));
        } else {
            text.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
    text
}
