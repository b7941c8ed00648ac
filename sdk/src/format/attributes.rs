//! Envoy's attributes: which there are, and of what type.
//!
//! The table follows Envoy's documentation of its attributes. A path that
//! begins with the name of a map (`metadata`, `filter_state`, `xds.node`) may go
//! on freely: `metadata.filter_metadata['com.example'].user`.

use std::fmt;
use std::time::Duration;

use crate::config::{Problem, suggest};

/// The type of an attribute, which says how Envoy writes it into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, as it is; not certainly UTF-8.
    Text,
    /// A 64-bit integer, little endian.
    Int,
    /// A 64-bit unsigned integer, little endian.
    Uint,
    /// One byte, 0 or 1.
    Bool,
    /// Nanoseconds as an [`Int`](Self::Int).
    Duration,
    /// Nanoseconds since 1970 as an [`Int`](Self::Int).
    Timestamp,
    /// A 64-bit float, little endian.
    Double,
    /// Bytes, as they are.
    Bytes,
    /// Pairs of names and values. Its entries are asked for one by one.
    Map,
    /// Values in a row.
    List,
}

use Kind::{Bool, Double, Int, Map, Text, Timestamp, Uint};

const TABLE: &[(&str, Kind)] = &[
    ("request.path", Text),
    ("request.url_path", Text),
    ("request.host", Text),
    ("request.scheme", Text),
    ("request.method", Text),
    ("request.headers", Map),
    ("request.headers_bytes", Int),
    ("request.referer", Text),
    ("request.useragent", Text),
    ("request.time", Timestamp),
    ("request.id", Text),
    ("request.protocol", Text),
    ("request.query", Text),
    ("request.duration", Kind::Duration),
    ("request.size", Int),
    ("request.total_size", Int),
    ("response.code", Int),
    ("response.code_details", Text),
    ("response.flags", Int),
    ("response.grpc_status", Int),
    ("response.headers", Map),
    ("response.headers_bytes", Int),
    ("response.trailers", Map),
    ("response.size", Int),
    ("response.total_size", Int),
    ("response.backend_latency", Kind::Duration),
    ("source.address", Text),
    ("source.port", Int),
    ("destination.address", Text),
    ("destination.port", Int),
    ("connection.id", Uint),
    ("connection.mtls", Bool),
    ("connection.requested_server_name", Text),
    ("connection.tls_version", Text),
    ("connection.subject_local_certificate", Text),
    ("connection.subject_peer_certificate", Text),
    ("connection.dns_san_local_certificate", Text),
    ("connection.dns_san_peer_certificate", Text),
    ("connection.uri_san_local_certificate", Text),
    ("connection.uri_san_peer_certificate", Text),
    ("connection.sha256_peer_certificate_digest", Text),
    ("connection.peer_certificate", Text),
    ("connection.transport_failure_reason", Text),
    ("connection.termination_details", Text),
    ("upstream.address", Text),
    ("upstream.port", Int),
    ("upstream.num_endpoints", Uint),
    ("upstream.tls_version", Text),
    ("upstream.subject_local_certificate", Text),
    ("upstream.subject_peer_certificate", Text),
    ("upstream.dns_san_local_certificate", Text),
    ("upstream.dns_san_peer_certificate", Text),
    ("upstream.uri_san_local_certificate", Text),
    ("upstream.uri_san_peer_certificate", Text),
    ("upstream.sha256_peer_certificate_digest", Text),
    ("upstream.peer_certificate", Text),
    ("upstream.local_address", Text),
    ("upstream.transport_failure_reason", Text),
    ("upstream.request_attempt_count", Uint),
    ("upstream.cx_pool_ready_duration", Kind::Duration),
    ("upstream.locality", Map),
    ("metadata", Map),
    ("filter_state", Map),
    ("upstream_filter_state", Map),
    ("xds.node", Map),
    ("xds.cluster_name", Text),
    ("xds.cluster_metadata", Map),
    ("xds.listener_direction", Int),
    ("xds.listener_metadata", Map),
    ("xds.route_name", Text),
    ("xds.route_metadata", Map),
    ("xds.virtual_host_name", Text),
    ("xds.virtual_host_metadata", Map),
    ("xds.upstream_host_metadata", Map),
    ("xds.upstream_host_locality_metadata", Map),
    ("xds.filter_chain_name", Text),
    ("plugin_name", Text),
    ("plugin_root_id", Text),
    ("plugin_vm_id", Text),
];

/// The names by which a path may say the type of a map's entry.
const KIND_NAMES: &[(&str, Kind)] = &[
    ("text", Text),
    ("int", Int),
    ("uint", Uint),
    ("double", Double),
    ("bool", Bool),
    ("duration", Kind::Duration),
    ("timestamp", Timestamp),
];

/// The type of the attribute with this path, or `None` where Envoy has none of
/// that name. The entries of a map count as text.
pub fn lookup(path: &str) -> Option<Kind> {
    Path::parse(path).ok().map(|path| path.kind())
}

/// The path of an attribute that Envoy has, and its type.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    /// The segments joined by NUL bytes.
    bytes: Box<[u8]>,
    kind: Kind,
}

impl Path {
    /// Reads a path: names joined by dots, a name with other characters than
    /// letters, digits, `_` and `-` as `['name']`. The entry of a map may end
    /// in its type: `metadata.filter_metadata['com.example'].weight:double`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (segments, kind) = split(text)?;
        Self::new(&segments, kind)
    }

    /// The path of these segments, whatever their characters.
    pub(super) fn of(segments: &[&str]) -> Result<Self, Problem> {
        if segments
            .iter()
            .any(|segment| segment.is_empty() || segment.contains('\0'))
        {
            return Err(Problem::new(
                "a name in a path is empty or holds a NUL byte",
            ));
        }
        Self::new(segments, None)
    }

    fn new(segments: &[&str], kind: Option<&str>) -> Result<Self, Problem> {
        let (known, is_entry) = find(segments).ok_or_else(|| unknown(segments))?;
        let kind = match (kind, known, is_entry) {
            (None, known, false) => known,
            (None, ..) => Text,
            (Some(name), Map, true) => kind_named(name)?,
            (Some(_), known, _) => {
                let problem = format!("the type of this attribute is known ({known:?})");
                return Err(Problem::new(problem).help("leave out what follows the colon"));
            }
        };
        Ok(Self {
            bytes: segments.join("\0").into_bytes().into_boxed_slice(),
            kind,
        })
    }

    /// The path as the host call `proxy_get_property` takes it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The type of the value.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether this is an entry of one of the maps that join repeated headers.
    pub(super) fn header_map(&self) -> Option<&'static str> {
        [
            ("request\0headers\0", "REQ"),
            ("response\0headers\0", "RESP"),
            ("response\0trailers\0", "TRAILER"),
        ]
        .into_iter()
        .find(|(start, _)| self.bytes.starts_with(start.as_bytes()))
        .map(|(_, operator)| operator)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes).replace('\0', "."))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}: {:?}", self.kind)
    }
}

/// The attribute that a path begins with, and whether the path goes on.
fn find(segments: &[&str]) -> Option<(Kind, bool)> {
    TABLE.iter().find_map(|(name, kind)| {
        let mut rest = segments.iter();
        let begins = name.split('.').all(|part| rest.next() == Some(&part));
        let goes_on = rest.len() > 0;
        (begins && (!goes_on || *kind == Map)).then_some((*kind, goes_on))
    })
}

fn unknown(segments: &[&str]) -> Problem {
    let name = segments.join(".");
    let problem = Problem::new(format!(
        "Envoy has no attribute {}",
        crate::config::quoted(&name)
    ));
    let names = TABLE.iter().map(|(name, _)| *name);
    if let Some(meant) = suggest(&name, names.clone()) {
        return problem.help(format!("did you mean `{meant}`?"));
    }
    let first = segments.first().copied().unwrap_or_default();
    let group = format!("{first}.");
    let others: Vec<_> = names.filter(|name| name.starts_with(&group)).collect();
    problem.help(if others.is_empty() {
        "attributes begin with request, response, source, destination, connection, upstream, xds, \
         metadata or filter_state"
            .to_owned()
    } else {
        format!("known: {}", others.join(", "))
    })
}

fn kind_named(name: &str) -> Result<Kind, Problem> {
    let names = KIND_NAMES.iter().map(|(name, _)| *name);
    match KIND_NAMES.iter().find(|(known, _)| *known == name) {
        Some((_, kind)) => Ok(*kind),
        None => Err(
            Problem::new(format!("unknown type {}", crate::config::quoted(name)))
                .help(format!("known: {}", names.collect::<Vec<_>>().join(", "))),
        ),
    }
}

/// The segments of a path into something that has no types.
pub(super) fn segments(text: &str) -> Result<Vec<&str>, Problem> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.strip_prefix('[').and_then(bracketed) {
        names.push(name);
        rest = match after.strip_prefix('.') {
            Some(after) => after,
            None if after.starts_with('[') => after,
            None if after.is_empty() => return Ok(names),
            None => return Err(Problem::new("a dot is missing after a bracket")),
        };
    }
    if let (more, None) = split(rest)? {
        names.extend(more);
        return Ok(names);
    }
    let problem = Problem::new(format!("{} is not a path", crate::config::quoted(rest)));
    Err(problem.help("write names joined by dots, other names as ['name']"))
}

/// The segments of a path, and the type at its end.
fn split(text: &str) -> Result<(Vec<&str>, Option<&str>), Problem> {
    let mut segments = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(['.', '[', ':']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let plain = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
        if name.is_empty() || !name.chars().all(plain) {
            let problem = Problem::new(format!("{} is not a path", crate::config::quoted(text)));
            return Err(problem.help("write names joined by dots, other names as ['name']"));
        }
        segments.push(name);
        rest = after;
        while let Some(quoted) = rest.strip_prefix('[') {
            let (name, after) = bracketed(quoted).ok_or_else(|| {
                Problem::new("a bracket in a path is not closed").help("write ['name']")
            })?;
            segments.push(name);
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
        } else if let Some(kind) = rest.strip_prefix(':') {
            return Ok((segments, Some(kind)));
        } else if rest.is_empty() {
            return Ok((segments, None));
        } else {
            return Err(Problem::new("a dot is missing after a bracket"));
        }
    }
}

fn bracketed(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|char| "'\"".contains(*char))?;
    let (name, rest) = text.strip_prefix(quote)?.split_once(quote)?;
    let rest = rest.strip_prefix(']')?;
    (!name.is_empty() && !name.contains('\0')).then_some((name, rest))
}

/// The value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decoded<'a> {
    /// Text; not certainly UTF-8.
    Text(&'a [u8]),
    /// An integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A boolean.
    Bool(bool),
    /// A length of time in nanoseconds, which may be negative.
    Duration(i64),
    /// The time since 1970.
    Timestamp(Duration),
    /// A floating-point number.
    Double(f64),
    /// Bytes; of maps and lists, as the host wrote them.
    Bytes(&'a [u8]),
}

/// Bytes that are not a value of the attribute's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are not a value of the attribute's type {kind:?}")]
pub struct DecodeError {
    /// The type.
    pub kind: Kind,
    /// How many bytes there were.
    pub length: usize,
}

/// Reads the bytes that the host gave for an attribute of this type.
pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Decoded<'_>, DecodeError> {
    let word = || <[u8; 8]>::try_from(bytes).ok();
    let int = || word().map(i64::from_le_bytes);
    let decoded = match kind {
        Text => Some(Decoded::Text(bytes)),
        Kind::Bytes | Map | Kind::List => Some(Decoded::Bytes(bytes)),
        Int => int().map(Decoded::Int),
        Uint => word().map(u64::from_le_bytes).map(Decoded::Uint),
        Kind::Duration => int().map(Decoded::Duration),
        Timestamp => int()
            .and_then(|nanoseconds| u64::try_from(nanoseconds).ok())
            .map(|nanoseconds| Decoded::Timestamp(Duration::from_nanos(nanoseconds))),
        Double => word().map(f64::from_le_bytes).map(Decoded::Double),
        Bool => match bytes {
            [0] => Some(Decoded::Bool(false)),
            [1] => Some(Decoded::Bool(true)),
            _ => None,
        },
    };
    decoded.ok_or(DecodeError {
        kind,
        length: bytes.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_types_of_envoys_attributes() {
        for (path, kind) in [
            ("request.path", Some(Text)),
            ("source.port", Some(Int)),
            ("connection.id", Some(Uint)),
            ("connection.mtls", Some(Bool)),
            ("request.time", Some(Timestamp)),
            ("request.duration", Some(Kind::Duration)),
            ("metadata", Some(Map)),
            ("xds.node.id", Some(Text)),
            ("metadata.filter_metadata['a.b'].c:double", Some(Double)),
            ("filter_state[\"x\"]", Some(Text)),
            ("request.pth", None),
            ("request.path.x", None),
            ("request.path:int", None),
            ("request", None),
            ("", None),
            ("metadata..a", None),
            ("metadata['a", None),
            ("metadata['a']b", None),
            ("metadata['']", None),
            ("metadata.a:number", None),
        ] {
            assert_eq!(lookup(path), kind, "{path}");
        }
    }

    #[test]
    fn joins_segments_as_the_host_call_takes_them() {
        let path = Path::parse("metadata.filter_metadata['com.example'][\"it's\"].b:int").unwrap();

        assert_eq!(
            path.as_bytes(),
            b"metadata\0filter_metadata\0com.example\0it's\0b"
        );
        assert_eq!(path.kind(), Int);
    }

    #[test]
    fn every_path_in_the_table_is_found() {
        for (name, kind) in TABLE {
            assert_eq!(lookup(name), Some(*kind), "{name}");
        }
    }

    #[test]
    fn suggests_what_was_meant() {
        let help = |path: &str| format!("{:?}", Path::parse(path).unwrap_err());

        assert!(help("source.adress").contains("did you mean `source.address`"));
        assert!(help("source.zip").contains("known: source.address, source.port"));
        assert!(help("client.ip").contains("attributes begin with"));
    }

    #[test]
    fn refuses_bytes_of_another_size() {
        assert_eq!(decode(Int, &5_i64.to_le_bytes()), Ok(Decoded::Int(5)));
        assert_eq!(decode(Text, b"\xff"), Ok(Decoded::Text(b"\xff")));
        for kind in [Int, Uint, Bool, Kind::Duration, Timestamp, Double] {
            for bytes in [&[][..], &[2], &[0; 7], &[0; 9]] {
                assert!(decode(kind, bytes).is_err(), "{kind:?} {bytes:?}");
            }
        }
        assert!(decode(Timestamp, &(-1_i64).to_le_bytes()).is_err());
    }
}
