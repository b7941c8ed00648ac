//! Values made of text and of what is known about a request, in the syntax of
//! Envoy's format strings.
//!
//! | operator | value |
//! |---|---|
//! | `%REQ(a?b)%`, `%REQUEST_HEADER(a?b)%` | the first value of request header `a`, or of `b` where `a` is absent; also `:method`, `:path`, `:authority`, `:scheme` |
//! | `%REQUEST_TRAILER(a?b)%` | the same of the request's trailers |
//! | `%RESP(a?b)%`, `%RESPONSE_HEADER(a?b)%` | the same of the response; also `:status` |
//! | `%TRAILER(a?b)%`, `%RESPONSE_TRAILER(a?b)%` | the same of the response's trailers |
//! | `%QUERY_PARAM(name)%` | the first query parameter of that name, decoded |
//! | `%QUERY_PARAMS(ORIG)%`, `%QUERY_PARAMS(DECODED)%` | the whole query |
//! | `%PATH(NQ:PATH)%` | the path: `WQ` with or `NQ` without its query, from `PATH`, `ORIG` (`x-envoy-original-path`) or `ORIG_OR_PATH` |
//! | `%COOKIE(name)%` | the first cookie of that name |
//! | `%ENVIRONMENT(NAME)%` | an environment variable, read once when the format is |
//! | `%ATTRIBUTE(source.address)%` | any of Envoy's [attributes] |
//! | `%DOWNSTREAM_REMOTE_ADDRESS%`, `%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%`, `%PROTOCOL%`, `%ROUTE_NAME%`, `%RESPONSE_CODE%`, … | Envoy's names for what is an attribute |
//! | `%START_TIME%`, `%START_TIME(%s.%3f)%` | when the request came, in UTC: as RFC 3339, or in a form as `strftime` has it |
//! | `%UNIQUE_ID%`, `%UUID_V7%` | a new UUID of version 4, or 7 |
//! | `%JWT_CLAIM(user:sub)%` | a [claim](Claim) of the token that jwt-auth left in filter state; of a list its elements, joined by commas; nothing where that would [read as another](Claim::text) |
//! | `%TRACE_ID%` | the [id](trace_id) of the trace that the request's `traceparent` says it is in |
//! | `%SHA256(REQ(x-name))%` | the SHA-256 of what another operator gives, in hexadecimal; nothing where that gives nothing |
//! | `%BASE64_DECODE(REQ(x-name))%` | what another operator gives, decoded from Base64 of either alphabet, padded or not; nothing where it is not that |
//!
//! A length may follow: `%REQ(user-agent):40%` gives at most 40 bytes; without
//! one an operator gives at most 8 KiB. `%%` is a percent sign.
//!
//! A value that is not there gives nothing. What comes out may stand in a header
//! as it is: control characters have become spaces, there is no space at either
//! end, and it is at most 60 KiB long.

pub mod attributes;
mod base64;
mod claim;
mod environment;
mod operators;
mod parse;
mod time;
mod traceparent;
mod unique;
mod write;

use std::borrow::Cow;
use std::rc::Rc;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use crate::config::{self, ConfigErrors, Problem, Schema};
use crate::headers::{cookies, unquoted};
use crate::matcher::{self, RequestView};
use operators::{Headers, Operator, PathFrom, Uuid};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

pub use claim::Claim;
pub use environment::variable as environment_variable;
#[doc(hidden)]
pub use environment::within;
pub use environment::{Environment, ProcessEnvironment};
pub use operators::OwnOperator;
pub use parse::FormatError;
pub use traceparent::trace_id;
pub(crate) use write::ip;

/// What an operator gives at most, unless it says otherwise.
const DEFAULT_LIMIT: usize = 8 * 1024;
/// What a format gives at most. Envoy's own limit of a request's headers.
pub(crate) const MAX_LENGTH: usize = 60 * 1024;

/// Where a format finds what it names. Whatever costs a host call is asked for
/// only when a format names it.
pub trait ValueSource: RequestView {
    /// The first value of a request trailer.
    fn request_trailer(&mut self, name: &str) -> Result<Option<&[u8]>, Self::Error> {
        let _ = name;
        Ok(None)
    }

    /// The first value of a response header, or of `:status`.
    fn response_header(&mut self, name: &str) -> Result<Option<&[u8]>, Self::Error>;

    /// The first value of a response trailer.
    fn response_trailer(&mut self, name: &str) -> Result<Option<&[u8]>, Self::Error>;

    /// The bytes of an attribute, as the host gives them.
    fn attribute(&mut self, path: &attributes::Path) -> Result<Option<Cow<'_, [u8]>>, Self::Error>;

    /// The same, where they are JSON. A source that is asked of several [claims](Claim) keeps what it has read.
    fn json(&mut self, path: &attributes::Path) -> Result<Option<Rc<Json>>, Self::Error> {
        let bytes = self.attribute(path)?;
        let json = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(json.map(Rc::new))
    }

    /// The time since 1970.
    fn now(&mut self) -> Result<Duration, Self::Error> {
        Ok(SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default())
    }

    /// Appends what an [operator of the filter's own](OwnOperator) gives. Only a source
    /// whose filter has such operators is asked.
    fn own(
        &mut self,
        operator: &'static OwnOperator,
        argument: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Self::Error> {
        let _ = (operator, argument, out);
        Ok(())
    }
}

/// A format, read.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema(
    description = "Text with operators as in Envoy's access log: `%REQ(x-name)%`, `%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%`, … A `%` itself is `%%`.",
    { "type": "string" }
)]
pub struct Format {
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Operator { operator: Operator, limit: usize },
}

/// What rendering a format needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a place of its own")]
pub struct Uses {
    /// How many request headers it reads, pseudo-headers included.
    pub request_header_reads: usize,
    /// Whether it reads request trailers.
    pub request_trailers: bool,
    /// Whether it reads response headers.
    pub response_headers: bool,
    /// Whether it reads response trailers.
    pub response_trailers: bool,
    /// How many attributes it reads: each is a host call.
    pub attributes: usize,
    /// Whether it reads attributes that are known when the response is.
    pub response_attributes: bool,
}

/// How much of a format there was a value for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendered {
    /// Every operator had a value, or there are no operators.
    Complete,
    /// Some operators had none.
    Partial,
    /// No operator had one: what came out is the text between them.
    Missing,
}

impl Format {
    /// Reads a format. Environment variables are looked up now.
    pub fn parse(text: &str, environment: &dyn Environment) -> Result<Self, FormatError> {
        parse::parse(text, environment, &[])
    }

    /// Reads a format from a configuration, in which operators of the filter's own may
    /// stand beside those of all filters.
    pub fn read_with<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
        own: &'static [OwnOperator],
    ) -> Result<Self, ConfigErrors> {
        let text = config::string(
            value,
            location,
            "a string, such as `text` or `%REQ(x-name)%`",
        )?;
        parse::parse(&text, &*environment::current(), own)
            .map_err(|error| ConfigErrors::at(location, Problem::from(error)))
    }

    /// The filter's own operators in it, with their arguments.
    pub fn own(&self) -> impl Iterator<Item = (&'static OwnOperator, &str)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Operator { operator, .. } => operator.own(),
            Part::Literal(_) => None,
        })
    }

    /// The value, where it is the same for all requests.
    pub fn as_literal(&self) -> Option<&[u8]> {
        match &*self.parts {
            [] => Some(b""),
            [Part::Literal(value)] => Some(value),
            _ => None,
        }
    }

    /// What rendering it needs.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        for part in &self.parts {
            if let Part::Operator { operator, .. } = part {
                uses.count(operator);
            }
        }
        uses
    }

    /// Appends the value to `out`. Where nothing comes out, `out` stays as it is.
    pub fn render<S: ValueSource + ?Sized>(
        &self,
        source: &mut S,
        out: &mut Vec<u8>,
    ) -> Result<Rendered, S::Error> {
        let start = out.len();
        let (mut found, mut missing) = (false, false);
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text),
                Part::Operator { operator, limit } => {
                    let before = out.len();
                    operator.render(source, out, *limit)?;
                    if out.len() > before {
                        found = true;
                    } else {
                        missing = true;
                    }
                }
            }
        }
        out.truncate(start.saturating_add(MAX_LENGTH));
        write::trim(out, start);
        Ok(match (found, missing) {
            (_, false) => Rendered::Complete,
            (true, true) => Rendered::Partial,
            (false, true) => Rendered::Missing,
        })
    }
}

/// With the process's environment.
impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::parse(text, &ProcessEnvironment)
    }
}

impl Deserr<ConfigErrors> for Format {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        Self::read_with(value, location, &[])
    }
}

impl Uses {
    fn count(&mut self, operator: &Operator) {
        let reads = &mut self.request_header_reads;
        match operator {
            Operator::Header { from, or, .. } => match from {
                Headers::Request => {
                    *reads = reads
                        .saturating_add(1)
                        .saturating_add(usize::from(or.is_some()));
                }
                Headers::RequestTrailers => self.request_trailers = true,
                Headers::Response => self.response_headers = true,
                Headers::ResponseTrailers => self.response_trailers = true,
            },
            Operator::Path { from, .. } => {
                let both = usize::from(*from == PathFrom::OriginalOrPath);
                *reads = reads.saturating_add(1).saturating_add(both);
            }
            Operator::QueryParameter(_)
            | Operator::Query { .. }
            | Operator::Cookie(_)
            | Operator::TraceId => {
                *reads = reads.saturating_add(1);
            }
            Operator::Attribute(path) | Operator::Address(path, _) => {
                self.attributes = self.attributes.saturating_add(1);
                self.response_attributes |= path.as_bytes().starts_with(b"response\0");
            }
            Operator::Claim(_) | Operator::Time(..) => {
                self.attributes = self.attributes.saturating_add(1);
            }
            Operator::Sha256(inner) | Operator::Base64Decode(inner) => self.count(inner),
            Operator::Own { operator, .. } => {
                *reads = reads.saturating_add(usize::from(operator.reads_request));
            }
            Operator::Environment(_) | Operator::Unique(_) => {}
        }
    }
}

impl Operator {
    fn own(&self) -> Option<(&'static OwnOperator, &str)> {
        match self {
            Self::Own { operator, argument } => Some((operator, argument)),
            Self::Sha256(inner) | Self::Base64Decode(inner) => inner.own(),
            _ => None,
        }
    }

    fn render<S: ValueSource + ?Sized>(
        &self,
        source: &mut S,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), S::Error> {
        match self {
            Self::Header { from, name, or } => {
                for name in [Some(name), or.as_ref()].into_iter().flatten() {
                    let value = match from {
                        Headers::Request => source.header(name)?,
                        Headers::RequestTrailers => source.request_trailer(name)?,
                        Headers::Response => source.response_header(name)?,
                        Headers::ResponseTrailers => source.response_trailer(name)?,
                    };
                    if let Some(value) = value {
                        write::push_safe(out, value, limit);
                        break;
                    }
                }
            }
            Self::Path { query, from } => {
                let names: &[&str] = match from {
                    PathFrom::Path => &[":path"],
                    PathFrom::Original => &[ORIGINAL_PATH],
                    PathFrom::OriginalOrPath => &[ORIGINAL_PATH, ":path"],
                };
                for name in names {
                    if let Some(path) = source.header(name)? {
                        let path = if *query {
                            path
                        } else {
                            matcher::split_path(path).0
                        };
                        write::push_safe(out, path, limit);
                        break;
                    }
                }
            }
            Self::QueryParameter(name) => {
                if let Some(path) = source.header(":path")? {
                    let value = matcher::query_parameter(path, name);
                    write::push_safe(out, value.unwrap_or_default().as_bytes(), limit);
                }
            }
            Self::Query { decoded } => {
                if let Some(path) = source.header(":path")? {
                    let query = matcher::split_path(path).1;
                    let query = if *decoded {
                        percent_encoding::percent_decode(query).into()
                    } else {
                        Cow::Borrowed(query)
                    };
                    write::push_safe(out, &query, limit);
                }
            }
            Self::Cookie(name) => {
                source.any_header("cookie", &mut |header| match cookies(header)
                    .find(|(known, _)| *known == name.as_bytes())
                {
                    Some((_, value)) => {
                        write::push_safe(out, unquoted(value), limit);
                        true
                    }
                    None => false,
                })?;
            }
            Self::Attribute(path) => {
                if let Some(value) = source.attribute(path)?
                    && let Ok(value) = attributes::decode(path.kind(), &value)
                {
                    write::push_decoded(out, value, limit);
                }
            }
            Self::Address(path, mask) => {
                if let Some(address) = source.attribute(path)? {
                    let text = write::without_port(&address, *mask).unwrap_or_default();
                    write::push_safe(out, text.as_bytes(), limit);
                }
            }
            Self::TraceId => {
                let traceparent = source.header("traceparent")?;
                let id = traceparent.and_then(trace_id).unwrap_or_default();
                write::push_safe(out, id, limit);
            }
            Self::Claim(_)
            | Self::Time(..)
            | Self::Unique(_)
            | Self::Sha256(_)
            | Self::Base64Decode(_)
            | Self::Own { .. } => {
                let mut text = Vec::new();
                self.make(source, &mut text)?;
                write::push_safe(out, &text, limit);
            }
            // Became a literal when the format was read.
            Self::Environment(_) => {}
        }
        Ok(())
    }

    /// What is made and not only read, before it is cut to its length.
    fn make<S: ValueSource + ?Sized>(
        &self,
        source: &mut S,
        out: &mut Vec<u8>,
    ) -> Result<(), S::Error> {
        match self {
            Self::Claim(claim) => {
                let text = claim.text(source)?.unwrap_or_default();
                out.extend_from_slice(text.as_bytes());
            }
            Self::Time(path, form) => {
                if let Some(value) = source.attribute(path)?
                    && let Ok(attributes::Decoded::Timestamp(time)) =
                        attributes::decode(path.kind(), &value)
                {
                    out.extend_from_slice(form.write(time).as_bytes());
                }
            }
            Self::Unique(version) => {
                let text = match version {
                    Uuid::V4 => unique::uuid_v4(source.random()?, source.random()?),
                    Uuid::V7 => unique::uuid_v7(source.now()?, source.random()?, source.random()?),
                };
                out.extend_from_slice(text.as_bytes());
            }
            Self::Sha256(inner) => {
                let mut text = Vec::new();
                inner.render(source, &mut text, MAX_LENGTH)?;
                if !text.is_empty() {
                    let hash = format!("{:x}", Sha256::digest(&text));
                    out.extend_from_slice(hash.as_bytes());
                }
            }
            Self::Base64Decode(inner) => {
                let mut text = Vec::new();
                inner.render(source, &mut text, MAX_LENGTH)?;
                out.extend(base64::decode(&text).unwrap_or_default());
            }
            Self::Own { operator, argument } => source.own(operator, argument, out)?,
            _ => {}
        }
        Ok(())
    }
}

const ORIGINAL_PATH: &str = "x-envoy-original-path";
