//! Where the provider is.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Given, Problem, Schema, string};
use legation::resilience::ClusterName;
use legation_jose::keys::Timeout;
use legation_jose::url::{self, ServiceUrl};

/// An endpoint that we ask: which path of which cluster, in Envoy's names
/// (`core.v3.HttpUri`).
///
/// | field | default | |
/// |---|---|---|
/// | `uri` | as it is discovered | `https://host/path`: what the request says; at most 2048 bytes |
/// | `cluster` | required | where it goes, and whether TLS is spoken |
/// | `timeout` | `5s` | 10 ms to 5 min, for all tries together |
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct ServiceEndpoint {
    #[deserr(default)]
    uri: Given<ServiceUrl>,
    cluster: ClusterName,
    #[deserr(default)]
    timeout: Given<Timeout>,
}

impl ServiceEndpoint {
    /// What the request says, unless that is discovered.
    pub fn uri(&self) -> Option<&ServiceUrl> {
        self.uri.0.as_ref()
    }

    /// Where it goes.
    pub fn cluster(&self) -> &str {
        self.cluster.as_str()
    }

    /// The time for all tries together.
    pub fn timeout(&self) -> Option<Timeout> {
        self.timeout.0
    }
}

/// A URL that browsers are sent to: `https` or `http`, with a host, without a user or a
/// fragment, in printable ASCII and at most 2048 bytes. It may have a query, which is
/// kept (RFC 6749 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "pattern": r#"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#@:][^\s/?#@]*[^\s#"<>\\^`{|}]*$"#,
})]
pub struct BrowserUrl(Box<str>);

impl BrowserUrl {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        // It becomes the value of a header, with more behind it.
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        if !text.bytes().all(is_plain) {
            let problem = Problem::new("has characters that a URL does not have");
            return Err(problem.help("write them as %20 and the like"));
        }
        url::parse(text).map(|_| Self(text.into()))
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for BrowserUrl {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a URL, such as \"https://host/path\"")?;
        Self::parse(&text).map_err(|problem| ConfigErrors::at(location, problem))
    }
}
