//! What the service is told of a request.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use legation::attributes::{
    CONNECTION_DNS_SAN_PEER_CERTIFICATE, CONNECTION_SUBJECT_PEER_CERTIFICATE,
    CONNECTION_URI_SAN_PEER_CERTIFICATE, DESTINATION_ADDRESS, REQUEST_PROTOCOL, SOURCE_ADDRESS,
};
use legation::callout::{GrpcRequest, HttpRequest};
use legation::http::{HeaderName, HeaderValue, Method};
use legation::{Error, RequestHeaders, Result, clock};

use super::wire::{self, CheckRequest};
use super::{Grpc, Http, is_of_one_hop};
use crate::config::Patterns;

const SERVICE: &str = "envoy.service.auth.v3.Authorization";
const METHOD: &str = "Check";

/// Whether the service is shown a part of the body. Envoy's own name, which no client may use.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";

/// What the service is shown of a body.
pub(crate) struct Shown<'a> {
    /// The body, or as much of it as is shown.
    pub(crate) bytes: &'a [u8],
    /// How long the whole is.
    pub(crate) whole: usize,
    /// Whether it comes compressed and is shown as it was read.
    pub(crate) is_decoded: bool,
}

impl Shown<'_> {
    /// What is said of it, where there is one.
    fn partial(&self) -> Option<&'static str> {
        let is_partial = self.bytes.len() < self.whole;
        (self.whole > 0).then_some(if is_partial { "true" } else { "false" })
    }

    /// Whether a header is one of the request's that is not shown: as its place is another's, or as
    /// it is not true of what is shown.
    fn hides(&self, name: &[u8]) -> bool {
        name == PARTIAL_BODY.as_bytes() || (self.is_decoded && name == b"content-encoding")
    }
}

/// Which headers are shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Showing {
    pub(super) allowed: Option<Patterns>,
    pub(super) disallowed: Option<Patterns>,
}

impl Showing {
    /// Whether a header is shown, `usually` where nothing is said of which are.
    fn shows(&self, name: &[u8], usually: bool) -> bool {
        let is_in = |patterns: &Patterns| patterns.matches(name);
        self.allowed.as_ref().map_or(usually, is_in) && !self.disallowed.as_ref().is_some_and(is_in)
    }
}

/// A call over gRPC.
pub(super) fn grpc(
    cluster: &str,
    grpc: &Grpc,
    showing: &Showing,
    request: &mut RequestHeaders,
    body: &Shown<'_>,
) -> Result<GrpcRequest> {
    let message = CheckRequest {
        attributes: Some(wire::AttributeContext {
            source: Some(wire::Peer {
                address: request.attribute(SOURCE_ADDRESS)?.map(address),
                principal: principal(request)?,
            }),
            destination: Some(wire::Peer {
                address: request.attribute(DESTINATION_ADDRESS)?.map(address),
                principal: String::new(),
            }),
            request: Some(wire::Request {
                time: now()?,
                http: Some(http_request(grpc, showing, request, body)?),
            }),
            context_extensions: grpc.context_extensions.clone(),
        }),
    };
    let mut call = GrpcRequest::new(cluster, SERVICE, METHOD, &message).authority(&*grpc.authority);
    for (name, value) in &grpc.metadata {
        call = call.metadata(name.as_str(), value.as_bytes());
    }
    Ok(call)
}

fn http_request(
    grpc: &Grpc,
    showing: &Showing,
    request: &mut RequestHeaders,
    body: &Shown<'_>,
) -> Result<wire::HttpRequest> {
    let protocol = request.attribute(REQUEST_PROTOCOL)?.unwrap_or_default();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers().all()? {
        if body.hides(name) || !showing.shows(name, true) {
            continue;
        }
        // A map has a name once: as Envoy has it, the values with commas between them.
        let shown = headers.entry(text(name)).or_default();
        if !shown.is_empty() {
            shown.push(',');
        }
        shown.push_str(&text(value));
    }
    if let Some(partial) = body.partial() {
        headers.insert(PARTIAL_BODY.to_owned(), partial.to_owned());
    }
    let (as_text, as_bytes) = if grpc.pack_as_bytes {
        (String::new(), body.bytes.to_vec())
    } else {
        (text(body.bytes), Vec::new())
    };
    let mut of = |name| -> Result<String> {
        let value = request.headers().get(name)?;
        Ok(value.map(text).unwrap_or_default())
    };
    Ok(wire::HttpRequest {
        id: of("x-request-id")?,
        method: of(":method")?,
        path: of(":path")?,
        host: of(":authority")?,
        scheme: of(":scheme")?,
        headers,
        size: i64::try_from(body.whole).unwrap_or(i64::MAX),
        protocol: text(&protocol),
        body: as_text,
        raw_body: as_bytes,
    })
}

/// A request over HTTP: the client's own, so far as it is shown.
pub(super) fn http(
    cluster: &str,
    http: &Http,
    showing: &Showing,
    request: &mut RequestHeaders,
    body: &Shown<'_>,
) -> Result<HttpRequest> {
    let method = request.method()?.unwrap_or_default();
    let method = Method::from_bytes(method).map_err(|_| Error::other("the method is none"))?;
    let mut path = http.path_prefix.as_bytes().to_vec();
    path.extend_from_slice(request.path()?.unwrap_or_default());
    let authority = request.authority()?.unwrap_or_default().to_vec();
    let mut call = HttpRequest::new(cluster, &method, path)
        .authority(authority)
        .body(body.bytes);
    for (name, value) in request.headers().all()? {
        let is_shown = showing.shows(name, false) || name == b"authorization";
        let is_added = |(own, _): &(HeaderName, HeaderValue)| own.as_str().as_bytes() == name;
        if name.starts_with(b":")
            || is_of_one_hop(name)
            || body.hides(name)
            || !is_shown
            || http.headers_to_add.iter().any(is_added)
        {
            continue;
        }
        let name = str::from_utf8(name).map_err(|_| Error::other("a header's name is no text"))?;
        call = call.header(name, value);
    }
    for (name, value) in &http.headers_to_add {
        call = call.header(name.as_str(), value.as_bytes());
    }
    Ok(match body.partial() {
        Some(partial) => call.header(PARTIAL_BODY, partial),
        None => call,
    })
}

/// Bytes as text: what is not UTF-8 as `!`, as in Envoy.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '!'));
    }
    text
}

/// Of `192.0.2.1:80` or `[2001:db8::1]:80`; another (a pipe's) without a port.
fn address(bytes: Vec<u8>) -> wire::Address {
    let all = String::from_utf8(bytes).unwrap_or_default();
    let (address, port) = match all.rsplit_once(':') {
        Some((address, port)) => (address, port.parse().ok()),
        None => (all.as_str(), None),
    };
    let address = address.strip_prefix('[').unwrap_or(address);
    let address = address.strip_suffix(']').unwrap_or(address);
    wire::Address {
        socket_address: Some(wire::SocketAddress {
            address: address.to_owned(),
            port_value: Some(port.unwrap_or_default()),
        }),
    }
}

/// Whom the client's certificate names: as Envoy has it, its URI, its DNS name or its subject.
fn principal(request: &RequestHeaders) -> Result<String> {
    for attribute in [
        CONNECTION_URI_SAN_PEER_CERTIFICATE,
        CONNECTION_DNS_SAN_PEER_CERTIFICATE,
        CONNECTION_SUBJECT_PEER_CERTIFICATE,
    ] {
        if let Some(name) = request
            .attribute(attribute)?
            .filter(|name| !name.is_empty())
        {
            return Ok(text(&name));
        }
    }
    Ok(String::new())
}

fn now() -> Result<Option<wire::Timestamp>> {
    let since = clock::now()?.duration_since(UNIX_EPOCH);
    Ok(since.ok().and_then(|since| {
        Some(wire::Timestamp {
            seconds: i64::try_from(since.as_secs()).ok()?,
            nanos: i32::try_from(since.subsec_nanos()).ok()?,
        })
    }))
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_text_is_seen_to_be_none() {
        assert_eq!(text("grün".as_bytes()), "grün");
        assert_eq!(text(b"a\xff\xe2\x82b"), "a!!!b");
        // Cut in the middle of a character.
        assert_eq!(text(&"€".as_bytes()[..2]), "!!");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn addresses_are_taken_apart() {
        for (given, expected, port) in [
            ("192.0.2.1:80", "192.0.2.1", 80),
            ("[2001:db8::1]:443", "2001:db8::1", 443),
            ("/run/envoy.sock", "/run/envoy.sock", 0),
            ("", "", 0),
        ] {
            let read = address(given.into()).socket_address.unwrap();
            assert_eq!(read.address, expected, "{given}");
            assert_eq!(read.port_value, Some(port), "{given}");
        }
    }
}
