//! What Envoy knows about a request, typed.
//!
//! The names are Envoy's attributes
//! (<https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes>).
//! Each read is one host call that carries bytes, about 0.7 µs: ask for an
//! attribute when it is needed, not before. An attribute that does not exist
//! (no TLS, no response yet) is `None`.
//!
//! `request.headers` joins repeated headers by commas: read
//! [`Headers`](crate::headers::Headers) instead.

use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::abi;
use crate::error::HostError;

/// An attribute and the type of its value.
#[derive(Debug)]
pub struct Attribute<T> {
    /// The path's segments, joined by NUL bytes as the ABI wants them.
    path: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Attribute<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Attribute<T> {}

impl<T: FromAttribute> Attribute<T> {
    /// An attribute by its path, the segments joined by NUL bytes:
    /// `Attribute::<i64>::new("source\0port")`.
    #[must_use]
    pub const fn new(path: &'static str) -> Self {
        Self {
            path,
            value: PhantomData,
        }
    }

    /// Reads the attribute of the stream whose callback is running.
    pub(crate) fn read(self) -> Result<Option<T>, HostError> {
        match abi::property(self.path.as_bytes())? {
            None => Ok(None),
            Some(bytes) => T::from_attribute(bytes)
                .map(Some)
                .ok_or(HostError::malformed("proxy_get_property")),
        }
    }
}

/// Reads an attribute by its dotted path, as the bytes the host gave. For
/// paths known at configuration; the consts here are typed and cost less.
pub(crate) fn read_dotted(path: &str) -> Result<Option<Vec<u8>>, HostError> {
    abi::property(path.replace('.', "\0").as_bytes())
}

/// A type that Envoy writes attributes in.
pub trait FromAttribute: Sized {
    /// `None` where the bytes are not such a value.
    fn from_attribute(bytes: Vec<u8>) -> Option<Self>;
}

impl FromAttribute for Vec<u8> {
    fn from_attribute(bytes: Vec<u8>) -> Option<Self> {
        Some(bytes)
    }
}

impl FromAttribute for String {
    fn from_attribute(bytes: Vec<u8>) -> Option<Self> {
        Self::from_utf8(bytes).ok()
    }
}

impl FromAttribute for i64 {
    fn from_attribute(bytes: Vec<u8>) -> Option<Self> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl FromAttribute for f64 {
    fn from_attribute(bytes: Vec<u8>) -> Option<Self> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl FromAttribute for bool {
    fn from_attribute(bytes: Vec<u8>) -> Option<Self> {
        match bytes.as_slice() {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

/// Nanoseconds.
impl FromAttribute for Duration {
    fn from_attribute(bytes: Vec<u8>) -> Option<Self> {
        let nanoseconds = i64::from_attribute(bytes)?;
        Some(Self::from_nanos(u64::try_from(nanoseconds).ok()?))
    }
}

/// Nanoseconds since 1970.
impl FromAttribute for SystemTime {
    fn from_attribute(bytes: Vec<u8>) -> Option<Self> {
        UNIX_EPOCH.checked_add(Duration::from_attribute(bytes)?)
    }
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $path:literal;)*) => {
        $($(#[$doc])* pub const $name: Attribute<$type> = Attribute::new($path);)*
    };
}

attributes! {
    /// `request.path`: path and query, as in `:path`.
    REQUEST_PATH: Vec<u8> = "request\0path";
    /// `request.url_path`: the path without query and fragment.
    REQUEST_URL_PATH: Vec<u8> = "request\0url_path";
    /// `request.host`: `:authority`.
    REQUEST_HOST: Vec<u8> = "request\0host";
    /// `request.scheme`
    REQUEST_SCHEME: Vec<u8> = "request\0scheme";
    /// `request.method`
    REQUEST_METHOD: Vec<u8> = "request\0method";
    /// `request.query`: the query without its question mark.
    REQUEST_QUERY: Vec<u8> = "request\0query";
    /// `request.id`: the value of `x-request-id`.
    REQUEST_ID: Vec<u8> = "request\0id";
    /// `request.protocol`: such as `HTTP/1.1`.
    REQUEST_PROTOCOL: Vec<u8> = "request\0protocol";
    /// `request.useragent`
    REQUEST_USER_AGENT: Vec<u8> = "request\0useragent";
    /// `request.referer`
    REQUEST_REFERER: Vec<u8> = "request\0referer";
    /// `request.time`: when its first byte arrived.
    REQUEST_TIME: SystemTime = "request\0time";
    /// `request.size`: bytes of its body, known when it has all arrived.
    REQUEST_SIZE: i64 = "request\0size";
    /// `request.total_size`: bytes of its headers and body.
    REQUEST_TOTAL_SIZE: i64 = "request\0total_size";
    /// `request.duration`: known when the request is over.
    REQUEST_DURATION: Duration = "request\0duration";
    /// `response.code`: the HTTP status.
    RESPONSE_CODE: i64 = "response\0code";
    /// `response.code_details`
    RESPONSE_CODE_DETAILS: Vec<u8> = "response\0code_details";
    /// `response.flags`: Envoy's response flags as bits.
    RESPONSE_FLAGS: i64 = "response\0flags";
    /// `response.grpc_status`
    RESPONSE_GRPC_STATUS: i64 = "response\0grpc_status";
    /// `response.size`: bytes of its body.
    RESPONSE_SIZE: i64 = "response\0size";
    /// `source.address`: address and port of the client, as Envoy believes it
    /// (`x-forwarded-for` counted by its trusted hops).
    SOURCE_ADDRESS: Vec<u8> = "source\0address";
    /// `source.port`
    SOURCE_PORT: i64 = "source\0port";
    /// `destination.address`: the address that the client connected to.
    DESTINATION_ADDRESS: Vec<u8> = "destination\0address";
    /// `destination.port`
    DESTINATION_PORT: i64 = "destination\0port";
    /// `connection.id`
    CONNECTION_ID: i64 = "connection\0id";
    /// `connection.mtls`: whether the client showed a certificate.
    CONNECTION_MTLS: bool = "connection\0mtls";
    /// `connection.requested_server_name`: SNI.
    CONNECTION_REQUESTED_SERVER_NAME: Vec<u8> = "connection\0requested_server_name";
    /// `connection.tls_version`
    CONNECTION_TLS_VERSION: Vec<u8> = "connection\0tls_version";
    /// `connection.subject_peer_certificate`
    CONNECTION_SUBJECT_PEER_CERTIFICATE: Vec<u8> = "connection\0subject_peer_certificate";
    /// `connection.uri_san_peer_certificate`
    CONNECTION_URI_SAN_PEER_CERTIFICATE: Vec<u8> = "connection\0uri_san_peer_certificate";
    /// `connection.dns_san_peer_certificate`
    CONNECTION_DNS_SAN_PEER_CERTIFICATE: Vec<u8> = "connection\0dns_san_peer_certificate";
    /// `connection.sha256_peer_certificate_digest`
    CONNECTION_SHA256_PEER_CERTIFICATE_DIGEST: Vec<u8> =
        "connection\0sha256_peer_certificate_digest";
    /// `upstream.address`
    UPSTREAM_ADDRESS: Vec<u8> = "upstream\0address";
    /// `upstream.port`
    UPSTREAM_PORT: i64 = "upstream\0port";
    /// `xds.cluster_name`: the cluster that the route chose.
    CLUSTER_NAME: Vec<u8> = "xds\0cluster_name";
    /// `xds.route_name`
    ROUTE_NAME: Vec<u8> = "xds\0route_name";
    /// `xds.listener_direction`: 0 unspecified, 1 inbound, 2 outbound.
    LISTENER_DIRECTION: i64 = "xds\0listener_direction";
    /// `plugin_name`: the `name` of the plugin's Envoy config.
    PLUGIN_NAME: Vec<u8> = "plugin_name";
    /// `plugin_root_id`: the `root_id` of the plugin's Envoy config.
    PLUGIN_ROOT_ID: Vec<u8> = "plugin_root_id";
    /// `plugin_vm_id`: the `vm_id` of the plugin's Envoy config.
    PLUGIN_VM_ID: Vec<u8> = "plugin_vm_id";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_each_type_and_refuses_bytes_of_another_size() {
        assert_eq!(
            i64::from_attribute(8080_i64.to_le_bytes().to_vec()),
            Some(8080)
        );
        assert_eq!(bool::from_attribute(vec![1]), Some(true));
        assert_eq!(
            Duration::from_attribute(1_500_000_000_i64.to_le_bytes().to_vec()),
            Some(Duration::from_millis(1500))
        );
        for bytes in [vec![], vec![2], vec![0; 7], vec![0; 9]] {
            assert_eq!(i64::from_attribute(bytes.clone()), None, "{bytes:?}");
            assert_eq!(f64::from_attribute(bytes.clone()), None, "{bytes:?}");
            assert_eq!(bool::from_attribute(bytes.clone()), None, "{bytes:?}");
            assert_eq!(Duration::from_attribute(bytes.clone()), None, "{bytes:?}");
        }
        assert_eq!(
            Duration::from_attribute((-1_i64).to_le_bytes().to_vec()),
            None
        );
        assert!(SystemTime::from_attribute(i64::MAX.to_le_bytes().to_vec()).is_some());
    }

    #[test]
    fn text_that_is_not_utf8_is_bytes_and_no_string() {
        assert_eq!(Vec::from_attribute(vec![0xff]), Some(vec![0xff]));
        assert_eq!(String::from_attribute(vec![0xff]), None);
    }
}
