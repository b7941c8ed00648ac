//! Which responses have policies.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Problem, Schema, string};

/// A media type, without parameters; `*/*` is every one.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "pattern": r"^(\*/\*|[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+)$",
})]
pub struct ContentType(Box<str>);

impl ContentType {
    /// The pages that browsers run scripts in.
    pub const PAGES: [&str; 2] = ["text/html", "application/xhtml+xml"];

    /// The type, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for ContentType {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a media type")?;
        let is_token_byte =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&byte);
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
        let problem = match text.split_once('/') {
            Some(("*", "*")) => return Ok(Self(text.into())),
            _ if text.contains(';') => Problem::new("a media type with parameters")
                .help("write it without: `text/html` is every `text/html; charset=…` too"),
            Some((kind, rest)) if is_token(kind) && is_token(rest) && !text.contains('*') => {
                return Ok(Self(text.to_ascii_lowercase().into()));
            }
            _ => Problem::new(format!("`{text}` is not a media type"))
                .help("such as `text/html`, or `*/*` for every response"),
        };
        Err(ConfigErrors::at(location, problem))
    }
}
