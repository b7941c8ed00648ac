//! The attributes that Envoy knows, in its encodings.

use super::stream::{REQUEST_HEADERS, RESPONSE_HEADERS, RESPONSE_TRAILERS};
use super::{State, StreamState};
use crate::call::{Served, status};
use crate::headers::{self, HeaderList};
use crate::local_reply::grpc_status_of;
use crate::message::AttributeValue;

/// Where the client of a request is unless the test says otherwise.
const CLIENT: &str = "127.0.0.1:50000";
const LISTENER: &str = "127.0.0.1:10000";
const UPSTREAM: &str = "127.0.0.1:8080";

enum Found {
    Value(AttributeValue),
    Missing,
    /// There, and nothing that can be written out.
    NoValue,
}

impl State {
    pub(super) fn property(&mut self, path: &[u8]) -> Served {
        let context = self.context();
        let stream = self.streams.get(&context);
        let set = stream
            .and_then(|stream| {
                stream
                    .attributes
                    .get(path)
                    .or_else(|| stream.wasm_state.get(path))
            })
            .or_else(|| self.attributes.get(path));
        if let Some(value) = set {
            return Served::bytes(value.clone());
        }
        let Ok(text) = std::str::from_utf8(path) else {
            return Served::status(status::NOT_FOUND);
        };
        let found = match text {
            "plugin_name" => value(self.plugin_name.as_str()),
            "plugin_root_id" | "plugin_vm_id" => value(""),
            _ => stream.map_or(Found::Missing, |stream| self.of_stream(stream, text)),
        };
        match found {
            Found::Value(AttributeValue(bytes)) => Served::bytes(bytes),
            Found::Missing => Served::status(status::NOT_FOUND),
            Found::NoValue => Served::status(status::SERIALIZATION_FAILURE),
        }
    }

    fn of_stream(&self, stream: &StreamState, path: &str) -> Found {
        let (first, rest) = match path.split_once('\0') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        match (first, rest) {
            ("request", Some(field)) => request(stream, field, self.now),
            ("response", Some(field)) => response(stream, field),
            (
                "request" | "response" | "source" | "destination" | "connection" | "upstream"
                | "filter_state",
                None,
            ) => Found::NoValue,
            ("filter_state", Some(key)) => {
                let name = key.strip_prefix("wasm.").map(str::as_bytes);
                let set = name.and_then(|name| stream.wasm_state.get(name));
                set.map_or(Found::Missing, |set| value(set.clone()))
            }
            ("source", Some(field)) => {
                let set = stream.attributes.get(b"source\0address".as_slice());
                let client = set.map_or(CLIENT.into(), |set| String::from_utf8_lossy(set));
                address(&client, field)
            }
            ("destination", Some(field)) => address(LISTENER, field),
            ("upstream", Some(field)) if stream.facts.went_upstream => address(UPSTREAM, field),
            ("connection", Some("id")) => value(0_u64),
            ("connection", Some("mtls")) => value(false),
            ("connection", Some("requested_server_name"))
            | ("xds", Some("route_name" | "filter_chain_name"))
            | ("metadata", None) => value(""),
            ("xds", Some("cluster_name")) => value("upstream"),
            ("xds", Some("virtual_host_name")) => value("all"),
            ("xds", Some("listener_direction")) => value(0_i64),
            _ => Found::Missing,
        }
    }
}

fn value(value: impl Into<AttributeValue>) -> Found {
    Found::Value(value.into())
}

fn header(list: Option<&HeaderList>, name: &str) -> Found {
    match list.and_then(|list| list.get(name)) {
        Some(bytes) => value(bytes.to_vec()),
        None => Found::Missing,
    }
}

fn request(stream: &StreamState, field: &str, now: u64) -> Found {
    let headers = stream.readable(REQUEST_HEADERS);
    let path = headers.and_then(|headers| headers.get(":path"));
    let cut = path.and_then(|path| path.iter().position(|&byte| byte == b'?'));
    match field {
        "path" => header(headers, ":path"),
        "host" => header(headers, ":authority"),
        "scheme" => header(headers, ":scheme"),
        "method" => header(headers, ":method"),
        "id" => header(headers, "x-request-id"),
        "useragent" => header(headers, "user-agent"),
        "referer" => header(headers, "referer"),
        "url_path" => path.map_or(Found::Missing, |path| {
            value(path[..cut.unwrap_or(path.len())].to_vec())
        }),
        "query" => path.map_or(Found::Missing, |path| {
            value(cut.map_or(Vec::new(), |cut| path[cut + 1..].to_vec()))
        }),
        "protocol" => value("HTTP/1.1"),
        "time" => value(stream.facts.started),
        "duration" if stream.facts.over => value(now.saturating_sub(stream.facts.started)),
        "size" => {
            let stated = headers
                .and_then(|headers| headers.get("content-length"))
                .and_then(|length| std::str::from_utf8(length).ok()?.parse::<i64>().ok());
            stated.map_or_else(|| size(stream.facts.request_size), value)
        }
        "total_size" => size(stream.facts.request_size + bytes(headers)),
        _ => map(headers, field, "headers"),
    }
}

fn response(stream: &StreamState, field: &str) -> Found {
    let headers = stream.readable(RESPONSE_HEADERS);
    let trailers = stream.readable(RESPONSE_TRAILERS);
    match field {
        "code" => match stream.facts.response_code {
            Some(code) => value(i64::from(code)),
            None => Found::Missing,
        },
        "code_details" => match &stream.facts.code_details {
            Some(details) => value(details.as_str()),
            None => Found::Missing,
        },
        "flags" => value(0_i64),
        "grpc_status" => {
            let stated = trailers
                .and_then(|list| list.get("grpc-status"))
                .or_else(|| headers.and_then(|list| list.get("grpc-status")))
                .and_then(|status| std::str::from_utf8(status).ok()?.parse::<i64>().ok());
            let derived = || {
                let code = stream.facts.response_code?;
                Some(grpc_status_of(code.into()).into())
            };
            stated.or_else(derived).map_or(Found::Missing, value)
        }
        "size" => size(stream.facts.response_size),
        "total_size" => size(stream.facts.response_size + bytes(headers)),
        _ if field.starts_with("trailers") => map(trailers, field, "trailers"),
        _ => map(headers, field, "headers"),
    }
}

/// A whole map, or one header of it with its values joined.
fn map(list: Option<&HeaderList>, field: &str, name: &str) -> Found {
    match field.strip_prefix(name) {
        Some("") => {
            let empty = HeaderList::default();
            value(headers::encode(list.unwrap_or(&empty).iter()))
        }
        Some(rest) if rest.starts_with('\0') => {
            let values: Vec<_> = list.iter().flat_map(|list| list.all(&rest[1..])).collect();
            if values.is_empty() {
                return Found::Missing;
            }
            value(values.join(&b","[..]))
        }
        _ => Found::Missing,
    }
}

fn address(address: &str, field: &str) -> Found {
    match field {
        "address" => value(address),
        "port" => {
            let port = address
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse::<i64>().ok());
            port.map_or(Found::Missing, value)
        }
        _ => Found::Missing,
    }
}

fn size(size: usize) -> Found {
    value(i64::try_from(size).unwrap_or(i64::MAX))
}

fn bytes(list: Option<&HeaderList>) -> usize {
    let sizes = list.into_iter().flat_map(HeaderList::iter);
    sizes.map(|(name, value)| name.len() + value.len()).sum()
}
