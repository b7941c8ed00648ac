//! Names and texts.

use std::fmt;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Problem, Schema, Text, string};
use legation::format::Format;

/// Longer names make unwieldy counters.
const LONGEST_LABEL: usize = 64;
/// What the limit is called that goes where no descriptor does.
const DEFAULT: &str = "default";

/// What a descriptor is called: in counters, and to clients.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "pattern": "^[a-z0-9_-]+$",
    "maxLength": LONGEST_LABEL,
    "not": { "const": DEFAULT },
})]
pub struct Label(Box<str>);

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the keys of a descriptor without a name: with a number where others have
    /// it already.
    pub(super) fn of_keys<'a>(
        keys: impl Iterator<Item = &'a str>,
        is_taken: impl Fn(&str) -> bool,
    ) -> Self {
        let mut label = String::new();
        for key in keys {
            if !label.is_empty() {
                label.push('_');
            }
            let plain = |char: char| if is_plain(char) { char } else { '_' };
            label.extend(key.chars().map(|char| plain(char.to_ascii_lowercase())));
        }
        // Room for a number.
        label.truncate(LONGEST_LABEL.saturating_sub(8));
        let mut numbered = label.clone();
        let mut number = 1_usize;
        while numbered == DEFAULT || is_taken(&numbered) {
            number = number.saturating_add(1);
            numbered = format!("{label}_{number}");
        }
        Self(numbered.into())
    }
}

fn is_plain(char: char) -> bool {
    matches!(char, 'a'..='z' | '0'..='9' | '_' | '-')
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Deserr<ConfigErrors> for Label {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a name")?;
        let problem =
            if text.is_empty() || text.len() > LONGEST_LABEL || !text.chars().all(is_plain) {
                Problem::new(format!(
                    "a name is 1 to {LONGEST_LABEL} characters from a-z, 0-9, `_` and `-`"
                ))
                .help("it becomes part of a counter's name, and clients are told it")
            } else if text == DEFAULT {
                Problem::new("`default` is the limit at the top").help("take another name")
            } else {
                return Ok(Self(text.into()));
            };
        Err(ConfigErrors::at(location, problem))
    }
}

/// The text at this place.
pub(super) fn text<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
) -> Result<String, ConfigErrors> {
    Text::deserialize_from_value(value, location).map(String::from)
}

/// Refuses a format that reads what is not there when a request is limited.
pub(super) fn request_format(format: &Format) -> Result<(), Problem> {
    let uses = format.uses();
    if uses.request_trailers {
        return Err(
            Problem::new("it cannot be made from the request's trailers")
                .help("they are yet to come when a request is limited"),
        );
    }
    if uses.response_headers || uses.response_trailers || uses.response_attributes {
        return Err(Problem::new("it cannot be made from the response")
            .help("there is none yet when a request is limited"));
    }
    Ok(())
}
