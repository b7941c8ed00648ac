//! Fields that every filter of ours has, by one name.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::Schema;
use super::error::{ConfigErrors, Problem};
use super::text::string;

/// Longer prefixes make unwieldy counters.
const LONGEST_PREFIX: usize = 64;

/// Whether what a filter decides is done: `mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
pub enum Mode {
    /// It is.
    #[default]
    Enforce,
    /// It is not: it is decided, counted and logged alone.
    Report,
}

/// The first word of the counters' names: `stat_prefix`. For
/// [`Configure::stat_prefix`](crate::Configure::stat_prefix).
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "string",
    "pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
    "maxLength": LONGEST_PREFIX,
})]
pub struct StatPrefix(Box<str>);

impl StatPrefix {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for StatPrefix {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "the first word of the counters' names")?;
        let is_word_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_word_byte);
        if !text.split('.').all(is_word) || text.len() > LONGEST_PREFIX {
            let problem = Problem::new(format!(
                "a prefix is 1 to {LONGEST_PREFIX} characters: words of A-Z, a-z, 0-9, `_` and `-`, joined by `.`"
            ));
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(text.into()))
    }
}
