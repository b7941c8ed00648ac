//! Names: of providers, headers, filter state, counters.

use std::fmt;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, HeaderName, Key, Problem, string};
use legation::http::header::{self, HeaderName as HttpName};

/// Longer names make unwieldy counters.
const LONGEST_WORD: usize = 64;

/// What a provider or a requirement is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(Box<str>);

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: &str) -> Result<Self, Problem> {
        if text.is_empty() || text.len() > LONGEST_WORD || text.chars().any(char::is_control) {
            return Err(Problem::new(format!(
                "a name is 1 to {LONGEST_WORD} characters, none of them a control character"
            )));
        }
        Ok(Self(text.into()))
    }
}

impl Key for Name {
    fn from_key(key: &str) -> Result<Self, Problem> {
        Self::read(key)
    }
}

impl Deserr<ConfigErrors> for Name {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        Self::read(&string(value, location, "a name")?)
            .map_err(|problem| ConfigErrors::at(location, problem))
    }
}

/// A header that upstreams trust, because it is stripped from every request
/// that comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedHeader(HttpName);

impl TrustedHeader {
    /// The name.
    pub fn name(&self) -> &HttpName {
        &self.0
    }

    /// Whether to some server this is that header too: `_` and `-` are one to
    /// servers that pass headers on as CGI variables.
    pub fn is_also(&self, name: &str) -> bool {
        is_same_to_some(self.0.as_str().as_bytes(), name.as_bytes())
    }
}

/// Whether two names are one but for case and `_` in the place of `-`.
pub(crate) fn is_same_to_some(one: &[u8], other: &[u8]) -> bool {
    let folded = |byte: &u8| match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    };
    one.len() == other.len() && one.iter().map(folded).eq(other.iter().map(folded))
}

impl Deserr<ConfigErrors> for TrustedHeader {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let name = HeaderName::deserialize_from_value(value, location)?.into_inner();
        if [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::CONTENT_TYPE,
            header::CONNECTION,
            header::COOKIE,
        ]
        .contains(&name)
        {
            let problem = Problem::new(format!("`{name}` may not be set"))
                .help("requests mean something by it, and it is stripped from all that come in");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(name))
    }
}

/// The name of a state: `NAME` of `wasm.NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateName(Box<str>);

impl StateName {
    /// The text, without `wasm.`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for StateName {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "the name of a filter state")?;
        if text.starts_with("wasm.") {
            let problem = Problem::new("the name is given without `wasm.`")
                .help("Envoy puts that before it by itself");
            return Err(ConfigErrors::at(location, problem));
        }
        legation::filter_state::check_name(&text)
            .map_err(|error| ConfigErrors::at(location, error.to_string()))?;
        Ok(Self(text.into()))
    }
}

/// A way into a token's payload: the names of its members, outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Box<[Box<str>]>);

impl ClaimPath {
    /// The names.
    pub fn segments(&self) -> &[Box<str>] {
        &self.0
    }

    /// `a.b` is `b` of `a`, as in Envoy.
    pub(crate) fn dotted(name: &str) -> Result<Self, Problem> {
        Self::of(name.split('.').map(Into::into).collect())
    }

    pub(crate) fn of(segments: Vec<Box<str>>) -> Result<Self, Problem> {
        if segments.is_empty() || segments.iter().any(|segment| segment.is_empty()) {
            return Err(Problem::new("the name of a claim is missing"));
        }
        Ok(Self(segments.into()))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// The realm in challenges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm(Box<str>);

impl Realm {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for Realm {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "the realm's name")?;
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if text.is_empty() || !text.bytes().all(is_plain) {
            let problem =
                Problem::new("a realm is printable ASCII without quotation marks and backslashes");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(text.into()))
    }
}
