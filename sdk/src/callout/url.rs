//! URLs of services that Envoy's clusters lead to.

use std::fmt;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use http::Uri;
use siphasher::sip128::SipHasher24;

use crate::config::{ConfigErrors, Problem, Schema, string};

/// Longer URLs are refused: they are names of shared data too.
const LONGEST: usize = 2_048;

/// An `http` or `https` URL, as the words of a request: where it goes is the
/// cluster's to say.
#[derive(Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "maxLength": LONGEST,
    "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#@:][^\s/?#@]*([/?][^\s#]*)?$",
})]
pub struct ServiceUrl {
    is_https: bool,
    authority: String,
    path: String,
}

impl ServiceUrl {
    /// Whether it begins with `https`.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }

    /// Host, and port if there is one.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query. Begins with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// All of it, with the query.
    pub fn to_text(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.authority, self.path)
    }

    /// What tells it from others in the name of shared data, which errors show: the
    /// same on every worker, and without the query's text.
    pub fn to_name(&self) -> String {
        let hash = SipHasher24::new().hash(self.to_text().as_bytes());
        format!("{self}\n{:032x}", hash.as_u128())
    }
}

/// Without the query, as [`Display`](fmt::Display) has it.
impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceUrl({self})")
    }
}

/// Without the query, which may be nobody's business: for log lines.
impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", self.scheme(), self.authority)
    }
}

impl Deserr<ConfigErrors> for ServiceUrl {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a URL, such as \"https://host/path\"")?;
        parse(&text).map_err(|problem| ConfigErrors::at(location, problem))
    }
}

/// What a message may show of a text that is no URL: neither a query nor what may be a
/// password.
fn shown(text: &str) -> Option<String> {
    if text.contains('@') {
        return None;
    }
    Some(match text.split_once('?') {
        Some((before, _)) => format!("{before}?…"),
        None => text.to_owned(),
    })
}

/// Reads an absolute URL of at most 2048 bytes, without a fragment or a user.
pub fn parse(text: &str) -> Result<ServiceUrl, Problem> {
    let problem = |problem: &str| {
        let problem = match shown(text) {
            Some(text) => Problem::new(format!("{problem}, got {text:?}")),
            None => Problem::new(problem),
        };
        problem.help("such as \"https://host/path\"")
    };
    if text.len() > LONGEST {
        return Err(Problem::new(format!(
            "a URL has at most {LONGEST} bytes, got {}",
            text.len()
        )));
    }
    if text.contains('#') {
        return Err(problem("a URL without a fragment is expected"));
    }
    let uri: Uri = text.parse().map_err(|_| problem("expected a URL"))?;
    let is_https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => {
            return Err(problem(
                "expected a URL that begins with https:// or http://",
            ));
        }
    };
    let host = uri.host().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if host.is_empty() || authority.contains('@') {
        return Err(problem("expected a URL with a host, and without a user"));
    }
    if authority != host && uri.port_u16().is_none() {
        return Err(problem("expected a URL whose port is a number"));
    }
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    // A query may follow the host at once (RFC 3986 section 3); the path is then `/`.
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(ServiceUrl {
        is_https,
        authority: authority.to_owned(),
        path: format!("{slash}{path}"),
    })
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn problem(text: &str) -> String {
        match parse(text) {
            Ok(url) => format!("read as {url:?}"),
            Err(problem) => problem.to_string(),
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_path_can_be_asked_for() {
        for (text, path, whole) in [
            ("https://host", "/", "https://host/"),
            ("https://host/", "/", "https://host/"),
            ("https://host?x=1", "/?x=1", "https://host/?x=1"),
            ("HTTP://host:80?x=/1", "/?x=/1", "http://host:80/?x=/1"),
            ("http://[::1]:80/a?b", "/a?b", "http://[::1]:80/a?b"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.path(), path, "{text}");
            assert_eq!(url.to_text(), whole);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn nothing_shows_a_query_or_a_password() {
        for text in [
            "https://me:secret@host/",
            "https://me:sec?ret@host/",
            "https://host/?key=secret#there",
            "https://:80/?key=secret",
            "ftp://host/?key=secret",
            "https://a b/?key=secret",
        ] {
            let problem = problem(text);
            let told = ["URL with", "URL that", "expected a URL", "URL whose port"];
            assert!(told.iter().any(|told| problem.contains(told)), "{problem}");
            assert!(!problem.contains("sec"), "{problem}");
        }
        let url = parse("https://host/path?key=secret").unwrap();
        let other = parse("https://host/path?key=another").unwrap();
        assert_eq!(format!("{url}"), "https://host/path");
        assert_eq!(format!("{url:?}"), "ServiceUrl(https://host/path)");
        assert!(url.to_name().starts_with("https://host/path\n"));
        assert!(!url.to_name().contains("secret"));
        assert_eq!(url.to_name(), url.clone().to_name());
        assert_ne!(url.to_name(), other.to_name());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_url_names_a_host() {
        for text in [
            "https://",
            "https:///x",
            "https://:443/x",
            "https://@/x",
            "https://host:port/x",
            "https://host:65536/x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
