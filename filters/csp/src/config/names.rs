//! Names: of rules, of endpoints, of headers that are taken away.

use std::fmt;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, HeaderName, Key, Problem, Schema, string};
use legation::http::{self, header};

/// Longer names make unwieldy log lines.
const LONGEST_LABEL: usize = 64;

/// What a rule is called in the log.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": LONGEST_LABEL })]
pub struct Label(Box<str>);

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_word(text: &str) -> bool {
    let is_word_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.len() <= LONGEST_LABEL && text.bytes().all(is_word_byte)
}

impl Deserr<ConfigErrors> for Label {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a name")?;
        if is_word(&text) {
            return Ok(Self(text.into()));
        }
        let problem = Problem::new(format!(
            "a name is 1 to {LONGEST_LABEL} characters from A-Z, a-z, 0-9, `_` and `-`"
        ));
        let problem = problem.help("the log calls the rule so");
        Err(ConfigErrors::at(location, problem))
    }
}

/// The name of an endpoint in `Reporting-Endpoints`: a key of RFC 9651.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": r"^[a-z*][a-z*0-9_.-]*$" })]
pub struct EndpointName(Box<str>);

impl EndpointName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Key for EndpointName {
    fn from_key(key: &str) -> Result<Self, Problem> {
        let begins = |byte: u8| byte.is_ascii_lowercase() || byte == b'*';
        let goes_on =
            |byte: u8| begins(byte) || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.');
        if key.bytes().next().is_some_and(begins) && key.bytes().all(goes_on) {
            return Ok(Self(key.into()));
        }
        Err(Problem::new("not the name of an endpoint")
            .help("a lower-case letter first, then a-z, 0-9, `_`, `-` and `.`"))
    }
}

/// A header that may be taken away.
#[derive(Debug, Clone, Schema)]
#[schema(as = HeaderName)]
pub struct RemovedName(http::HeaderName);

impl RemovedName {
    /// The name.
    pub fn get(&self) -> &http::HeaderName {
        &self.0
    }

    /// The name itself.
    pub fn into_inner(self) -> http::HeaderName {
        self.0
    }
}

impl Deserr<ConfigErrors> for RemovedName {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let name = HeaderName::deserialize_from_value(value, location)?.into_inner();
        if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
            let problem = Problem::new(format!("`{name}` may not be removed"));
            let problem = problem.help("it says where the message ends");
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use legation::config::{self, Given};
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::config::ContentType;

    /// What comes of texts, each by itself.
    fn is_taken<T: Deserr<ConfigErrors>>(text: &str) -> bool {
        let json = serde_json::Value::from(text).to_string();
        config::parse::<T>(json.as_bytes()).is_ok()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_rule_is_called_by_one_word() {
        let longest = "a".repeat(64);
        for name in ["a", "Pages_2-b", &longest] {
            assert!(is_taken::<Label>(name), "{name}");
        }
        for name in ["", "a b", "a.b", "ä", &"a".repeat(65)] {
            assert!(!is_taken::<Label>(name), "{name}");
        }
    }

    /// RFC 9651, section 3.1.2.
    #[wasm_bindgen_test(unsupported = test)]
    fn an_endpoint_is_named_as_a_key_of_structured_fields() {
        for (name, is_one) in [
            ("csp", true),
            ("*", true),
            ("a-b_c.d*1", true),
            ("", false),
            ("1a", false),
            ("_a", false),
            ("CSP", false),
            ("a b", false),
            ("a=b", false),
        ] {
            assert_eq!(EndpointName::from_key(name).is_ok(), is_one, "{name}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_says_where_a_message_ends_stays() {
        for (name, is_one) in [
            ("server", true),
            ("X-Powered-By", true),
            ("content-length", false),
            ("Transfer-Encoding", false),
            (":status", false),
            ("a b", false),
        ] {
            assert_eq!(is_taken::<RemovedName>(name), is_one, "{name}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_media_type_is_one_without_parameters() {
        for (text, is_one) in [
            ("text/html", true),
            ("IMAGE/svg+xml", true),
            ("application/vnd.a-b.c_d", true),
            ("*/*", true),
            ("*", false),
            ("", false),
            ("html", false),
            ("text/", false),
            ("/html", false),
            ("text/*", false),
            ("*/html", false),
            ("text/html/x", false),
            ("text/html; charset=utf-8", false),
            ("text/html, text/plain", false),
            ("text/h\u{e4}", false),
        ] {
            assert_eq!(is_taken::<ContentType>(text), is_one, "{text}");
        }
        let read = config::parse::<Given<ContentType>>(b"\"TEXT/Html\"");
        let read = read.unwrap().0.unwrap();
        assert_eq!(read.as_str(), "text/html");
    }
}
