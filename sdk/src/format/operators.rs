//! The operators, and how their arguments are read.

use super::attributes::{Kind, Path};
use super::claim::Claim;
use super::time::TimeForm;
use crate::config::{Problem, is_token, quoted, suggest};

/// What stands between the percent signs, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operator {
    /// The first value of a header, or of another where that is absent.
    Header {
        from: Headers,
        name: Box<str>,
        or: Option<Box<str>>,
    },
    /// A query parameter, decoded.
    QueryParameter(Box<str>),
    /// The query.
    Query { decoded: bool },
    /// The path.
    Path { query: bool, from: PathFrom },
    /// A cookie.
    Cookie(Box<str>),
    /// An attribute.
    Attribute(Path),
    /// The IP address in an attribute, with or without a mask.
    Address(Path, Option<u8>),
    /// An environment variable: known when the format is read.
    Environment(Box<str>),
    /// A claim of a token.
    Claim(Claim),
    /// A time in an attribute, in this form.
    Time(Path, TimeForm),
    /// An identifier made for the occasion.
    Unique(Uuid),
    /// The id of the trace that the request is in.
    TraceId,
    /// The SHA-256 of what another operator gives, in lower-case hexadecimal.
    Sha256(Box<Operator>),
    /// What another operator gives, decoded from Base64.
    Base64Decode(Box<Operator>),
    /// What the source itself knows under this name.
    Own {
        operator: &'static OwnOperator,
        argument: Box<str>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uuid {
    V4,
    V7,
}

/// An operator that one filter has beside those of all filters. What it gives, the
/// filter's [`ValueSource::own`](super::ValueSource::own) says.
#[derive(Debug, PartialEq, Eq)]
pub struct OwnOperator {
    /// Its name, in upper case.
    pub name: &'static str,
    /// An argument, to show how it is written.
    pub example: &'static str,
    /// Whether it looks at the request's headers.
    pub reads_request: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Headers {
    Request,
    RequestTrailers,
    Response,
    ResponseTrailers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathFrom {
    Original,
    Path,
    OriginalOrPath,
}

/// The operators that take arguments.
const WITH_ARGUMENTS: &[&str] = &[
    "REQ",
    "REQUEST_HEADER",
    "RESP",
    "RESPONSE_HEADER",
    "REQUEST_TRAILER",
    "TRAILER",
    "RESPONSE_TRAILER",
    "QUERY_PARAM",
    "QUERY_PARAMS",
    "PATH",
    "COOKIE",
    "ENVIRONMENT",
    "ATTRIBUTE",
    "JWT_CLAIM",
    "SHA256",
    "BASE64_DECODE",
];

/// The operators that take none.
const PLAIN: &[(&str, Operator)] = &[
    ("TRACE_ID", Operator::TraceId),
    ("UNIQUE_ID", Operator::Unique(Uuid::V4)),
    ("UUID_V7", Operator::Unique(Uuid::V7)),
];

/// How many operators may stand one in another.
const MOST_NESTED: usize = 4;

/// Envoy's operators whose value is an attribute's.
const ALIASES: &[(&str, &str)] = &[
    ("CONNECTION_ID", "connection.id"),
    (
        "CONNECTION_TERMINATION_DETAILS",
        "connection.termination_details",
    ),
    ("DOWNSTREAM_LOCAL_ADDRESS", "destination.address"),
    ("DOWNSTREAM_LOCAL_PORT", "destination.port"),
    (
        "DOWNSTREAM_LOCAL_SUBJECT",
        "connection.subject_local_certificate",
    ),
    ("DOWNSTREAM_PEER_CERT", "connection.peer_certificate"),
    (
        "DOWNSTREAM_PEER_FINGERPRINT_256",
        "connection.sha256_peer_certificate_digest",
    ),
    (
        "DOWNSTREAM_PEER_SUBJECT",
        "connection.subject_peer_certificate",
    ),
    ("DOWNSTREAM_REMOTE_ADDRESS", "source.address"),
    ("DOWNSTREAM_REMOTE_PORT", "source.port"),
    ("DOWNSTREAM_TLS_VERSION", "connection.tls_version"),
    (
        "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
        "connection.transport_failure_reason",
    ),
    ("FILTER_CHAIN_NAME", "xds.filter_chain_name"),
    ("GRPC_STATUS_NUMBER", "response.grpc_status"),
    ("PROTOCOL", "request.protocol"),
    ("REQUESTED_SERVER_NAME", "connection.requested_server_name"),
    ("RESPONSE_CODE", "response.code"),
    ("RESPONSE_CODE_DETAILS", "response.code_details"),
    ("ROUTE_NAME", "xds.route_name"),
    ("START_TIME", "request.time"),
    ("STREAM_ID", "request.id"),
    ("UPSTREAM_CLUSTER", "xds.cluster_name"),
    ("UPSTREAM_CLUSTER_RAW", "xds.cluster_name"),
    ("UPSTREAM_HOST", "upstream.address"),
    ("UPSTREAM_LOCAL_ADDRESS", "upstream.local_address"),
    ("UPSTREAM_PEER_CERT", "upstream.peer_certificate"),
    ("UPSTREAM_PEER_SUBJECT", "upstream.subject_peer_certificate"),
    ("UPSTREAM_REMOTE_ADDRESS", "upstream.address"),
    ("UPSTREAM_REMOTE_PORT", "upstream.port"),
    (
        "UPSTREAM_REQUEST_ATTEMPT_COUNT",
        "upstream.request_attempt_count",
    ),
    ("UPSTREAM_TLS_VERSION", "upstream.tls_version"),
    (
        "UPSTREAM_TRANSPORT_FAILURE_REASON",
        "upstream.transport_failure_reason",
    ),
];

/// Envoy's operators for the address in an attribute; a mask may be their
/// argument.
const ADDRESSES: &[(&str, &str)] = &[
    ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "source.address"),
    (
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "destination.address",
    ),
    ("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "upstream.address"),
    (
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "upstream.local_address",
    ),
];

/// Operators that users of Envoy know, and what to write here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("CEL", "write an attribute as `%ATTRIBUTE(request.id)%`"),
    (
        "CLUSTER_METADATA",
        "write `%ATTRIBUTE(xds.cluster_metadata.filter_metadata['NAMESPACE'].KEY)%`",
    ),
    (
        "DYNAMIC_METADATA",
        "write `%ATTRIBUTE(metadata.filter_metadata['NAMESPACE'].KEY)%`",
    ),
    ("FILTER_STATE", "write `%ATTRIBUTE(filter_state['KEY'])%`"),
    ("HOST", "write `%REQ(:authority)%`"),
    (
        "METADATA",
        "write `%ATTRIBUTE(metadata.filter_metadata['NAMESPACE'].KEY)%`",
    ),
    ("METHOD", "write `%REQ(:method)%`"),
    ("REQ_WITHOUT_QUERY", "write `%PATH(NQ:PATH)%`"),
];

/// Whether the operator's argument is an operator.
pub(super) fn takes_operator(name: &str) -> bool {
    matches!(name, "SHA256" | "BASE64_DECODE")
}

/// Reads an operator by its name and what stands in its parentheses.
pub(super) fn read(
    name: &str,
    argument: Option<&str>,
    own: &'static [OwnOperator],
) -> Result<Operator, Problem> {
    if let Some((_, operator)) = PLAIN.iter().find(|(known, _)| *known == name) {
        no_argument(name, argument)?;
        return Ok(operator.clone());
    }
    if let ("START_TIME", Some(form)) = (name, argument.filter(|form| !form.is_empty())) {
        let path = Path::parse("request.time")?;
        return Ok(Operator::Time(path, TimeForm::parse(form)?));
    }
    if let Some((_, path)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        no_argument(name, argument)?;
        return Ok(Operator::Attribute(Path::parse(path)?));
    }
    if let Some((_, path)) = ADDRESSES.iter().find(|(alias, _)| *alias == name) {
        let mask = argument.map(read_mask).transpose()?;
        return Ok(Operator::Address(Path::parse(path)?, mask));
    }
    match name {
        "PATH" => return read_path(argument.unwrap_or_default()),
        "QUERY_PARAMS" => return read_query(argument.unwrap_or_default()),
        known if WITH_ARGUMENTS.contains(&known) => {}
        known if own.iter().any(|own| own.name == known) => {}
        unknown => return Err(no_operator(unknown, own)),
    }
    let argument = argument.map(str::trim).unwrap_or_default();
    if argument.is_empty() {
        let problem = Problem::new(format!("`{name}` needs an argument"));
        return Err(problem.help(format!("write `%{name}({})%`", example(name, own))));
    }
    match name {
        "REQ" | "REQUEST_HEADER" => header(Headers::Request, argument),
        "REQUEST_TRAILER" => header(Headers::RequestTrailers, argument),
        "RESP" | "RESPONSE_HEADER" => header(Headers::Response, argument),
        "TRAILER" | "RESPONSE_TRAILER" => header(Headers::ResponseTrailers, argument),
        "QUERY_PARAM" => Ok(Operator::QueryParameter(argument.into())),
        "COOKIE" => Ok(Operator::Cookie(argument.into())),
        "ENVIRONMENT" => Ok(Operator::Environment(argument.into())),
        "JWT_CLAIM" => Claim::parse(argument).map(Operator::Claim),
        "SHA256" => inner(argument, own).map(Operator::Sha256),
        "BASE64_DECODE" => inner(argument, own).map(Operator::Base64Decode),
        "ATTRIBUTE" => read_attribute(argument),
        _ => match own.iter().find(|own| own.name == name) {
            Some(operator) => Ok(Operator::Own {
                operator,
                argument: argument.into(),
            }),
            None => Err(no_operator(name, own)),
        },
    }
}

/// The operator that is another's argument: a document that is fetched may be of any depth, and the
/// stack is not.
fn inner(argument: &str, own: &'static [OwnOperator]) -> Result<Box<Operator>, Problem> {
    if argument
        .matches('(')
        .nth(MOST_NESTED.saturating_sub(1))
        .is_some()
    {
        let problem = format!("more than {MOST_NESTED} operators stand one in another");
        return Err(Problem::new(problem));
    }
    let (name, inner) = match argument.split_once('(') {
        None => (argument, None),
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(inner) => (name, Some(inner)),
            None => return Err(Problem::new(format!("`{name}(` is not closed by `)`"))),
        },
    };
    match read(name, inner, own)? {
        Operator::Environment(_) => Err(Problem::new(
            "an environment variable is neither hashed nor decoded",
        )
        .help("it is the same for all requests: write what comes of it")),
        inner => Ok(Box::new(inner)),
    }
}

fn example(name: &str, own: &[OwnOperator]) -> &'static str {
    if let Some(own) = own.iter().find(|own| own.name == name) {
        return own.example;
    }
    match name {
        "JWT_CLAIM" => "user:sub",
        "SHA256" | "BASE64_DECODE" => "REQ(x-name)",
        "QUERY_PARAM" => "name",
        "COOKIE" => "session",
        "ENVIRONMENT" => "POD_NAME",
        "ATTRIBUTE" => "source.address",
        _ => "x-name",
    }
}

fn no_operator(name: &str, own: &[OwnOperator]) -> Problem {
    let problem = Problem::new(format!("unknown operator `{name}`"));
    if let Some((_, instead)) = ELSEWHERE.iter().find(|(known, _)| *known == name) {
        return problem.help(*instead);
    }
    let aliases = [ALIASES, ADDRESSES].into_iter().flatten();
    let names = aliases.map(|(name, _)| *name);
    let plain = PLAIN.iter().map(|(name, _)| *name);
    let own = own.iter().map(|own| own.name);
    let listed: Vec<_> = WITH_ARGUMENTS
        .iter()
        .copied()
        .chain(plain)
        .chain(own)
        .collect();
    let known = listed.join(", ");
    problem.help(match suggest(name, listed.into_iter().chain(names)) {
        Some(meant) => {
            format!("did you mean `{meant}`? (known: {known}, and Envoy's names of attributes)")
        }
        None => {
            format!("known: {known}, and Envoy's names of attributes; a plain percent sign is `%%`")
        }
    })
}

fn no_argument(name: &str, argument: Option<&str>) -> Result<(), Problem> {
    match argument {
        None | Some("") => Ok(()),
        Some(_) => Err(Problem::new(format!("`{name}` takes no argument here"))),
    }
}

fn read_mask(argument: &str) -> Result<u8, Problem> {
    argument
        .parse()
        .ok()
        .filter(|length| *length <= 128)
        .ok_or_else(|| {
            Problem::new(format!("{} is not the length of a mask", quoted(argument)))
                .help("0 to 32 for IPv4, 0 to 128 for IPv6")
        })
}

fn read_path(argument: &str) -> Result<Operator, Problem> {
    let (query, from) = argument.split_once(':').unwrap_or((argument, ""));
    let query = match query {
        "" | "WQ" => true,
        "NQ" => false,
        other => return Err(choice(other, "WQ (with query) or NQ (no query)")),
    };
    let from = match from {
        "" | "ORIG_OR_PATH" => PathFrom::OriginalOrPath,
        "ORIG" => PathFrom::Original,
        "PATH" => PathFrom::Path,
        other => return Err(choice(other, "ORIG, PATH or ORIG_OR_PATH")),
    };
    Ok(Operator::Path { query, from })
}

fn read_query(argument: &str) -> Result<Operator, Problem> {
    match argument {
        "" | "ORIG" => Ok(Operator::Query { decoded: false }),
        "DECODED" => Ok(Operator::Query { decoded: true }),
        other => Err(choice(other, "ORIG or DECODED")),
    }
}

fn choice(got: &str, choices: &str) -> Problem {
    Problem::new(format!("expected {choices}, got {}", quoted(got)))
}

fn read_attribute(argument: &str) -> Result<Operator, Problem> {
    let path = Path::parse(argument)?;
    if let Some(operator) = path.header_map() {
        return Err(
            Problem::new("this attribute joins repeated headers by commas")
                .help(format!("write `%{operator}(name)%`")),
        );
    }
    if matches!(path.kind(), Kind::Map | Kind::List) {
        let problem = Problem::new(format!("{path} is a map, not a value"));
        return Err(problem.help(format!("name an entry of it: `{path}.name`")));
    }
    Ok(Operator::Attribute(path))
}

fn header(from: Headers, argument: &str) -> Result<Operator, Problem> {
    let (name, or) = match argument.split_once('?') {
        Some((name, or)) => (name, Some(header_name(from, or)?)),
        None => (argument, None),
    };
    Ok(Operator::Header {
        from,
        name: header_name(from, name)?,
        or,
    })
}

fn header_name(from: Headers, name: &str) -> Result<Box<str>, Problem> {
    let pseudo: &[&str] = match from {
        Headers::Request => &[":method", ":path", ":authority", ":scheme", ":protocol"],
        Headers::Response => &[":status"],
        Headers::RequestTrailers | Headers::ResponseTrailers => &[],
    };
    let lower = name.trim().to_ascii_lowercase();
    if lower == "host" && from == Headers::Request {
        return Ok(":authority".into());
    }
    if pseudo.contains(&lower.as_str()) {
        return Ok(lower.into());
    }
    if is_token(&lower) {
        return Ok(lower.into());
    }
    let problem = Problem::new(format!("{} is not the name of a header", quoted(name)));
    Err(match pseudo {
        [] => problem,
        pseudo => problem.help(format!("or one of {}", pseudo.join(", "))),
    })
}
