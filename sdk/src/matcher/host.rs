//! Tests of a host.

use std::str::FromStr;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use crate::config::{self, ConfigErrors, Problem, Schema, quoted};

/// A host: `example.com`, any below it with `*.example.com`, or any at all with
/// `*`. Case, a port and a dot at the end make no difference.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "pattern": r"^(\*|\*?[A-Za-z0-9._-]*[A-Za-z0-9_-]|\[[^\]]*\])$",
})]
pub struct HostMatch(Pattern);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Exact(Box<str>),
    /// What follows the star.
    Below(Box<str>),
}

impl HostMatch {
    /// Whether an `:authority` passes.
    pub fn matches(&self, authority: &[u8]) -> bool {
        let host = without_port(authority);
        match &self.0 {
            Pattern::Any => true,
            Pattern::Exact(name) => host.eq_ignore_ascii_case(name.as_bytes()),
            Pattern::Below(end) => {
                host.len() > end.len()
                    && host
                        .get(host.len().saturating_sub(end.len())..)
                        .is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
            }
        }
    }
}

/// The host of an `:authority`, without a port and without a dot at its end.
fn without_port(authority: &[u8]) -> &[u8] {
    let host = match authority.iter().rposition(|byte| *byte == b':') {
        Some(at) => match authority.split_at_checked(at) {
            // An IPv6 address is in brackets; two colons outside of them are no
            // port.
            Some((host, port))
                if is_port(port) && (host.ends_with(b"]") || !host.contains(&b':')) =>
            {
                host
            }
            _ => authority,
        },
        None => authority,
    };
    host.strip_suffix(b".").unwrap_or(host)
}

fn is_port(text: &[u8]) -> bool {
    text.iter().skip(1).all(u8::is_ascii_digit)
}

impl FromStr for HostMatch {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let wrong = |what: &str| Problem::new(format!("{} {what}", quoted(text)));
        if text == "*" {
            return Ok(Self(Pattern::Any));
        }
        let (name, below) = match text.strip_prefix('*') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err(wrong("has a `*` that is not at its beginning")
                .help("write `*.example.com` for all hosts below example.com"));
        }
        if !name.is_ascii() {
            return Err(wrong("is not ASCII").help("write the name as punycode (`xn--…`)"));
        }
        if without_port(name.as_bytes()) != name.as_bytes() {
            return Err(wrong("has a port or a dot at its end")
                .help("leave it out: hosts are compared without"));
        }
        let address = name.starts_with('[') && name.ends_with(']');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || (!address && !name.bytes().all(plain)) {
            return Err(wrong("is not a host").help("write a name such as `api.example.com`"));
        }
        let name = name.to_ascii_lowercase().into();
        Ok(Self(if below {
            Pattern::Below(name)
        } else {
            Pattern::Exact(name)
        }))
    }
}

impl Deserr<ConfigErrors> for HostMatch {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        config::string(
            value,
            location,
            "a host, such as \"example.com\" or \"*.example.com\"",
        )?
        .parse()
        .map_err(|problem: Problem| ConfigErrors::at(location, problem))
    }
}
