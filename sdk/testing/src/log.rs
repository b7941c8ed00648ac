//! What a filter wrote to the log.

use std::fmt;

use serde_json::Value;

/// A line that a filter wrote to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// 0 trace, 1 debug, 2 info, 3 warn, 4 error, 5 critical.
    pub level: u32,
    /// The line.
    pub text: String,
    /// The context that it was written about.
    pub context: u32,
}

impl LogLine {
    pub(crate) fn new(level: u32, text: &[u8], context: u32) -> Self {
        let text = String::from_utf8_lossy(text).into_owned();
        Self {
            level,
            text,
            context,
        }
    }

    /// A field of the line's JSON object, as text: a string as it is, anything
    /// else as JSON. `None` where there is no such field.
    pub fn field(&self, name: &str) -> Option<String> {
        match self.json()?.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// The line as JSON. `None` where it is not.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.text).ok()
    }

    /// The message: the JSON object's, or the whole line where it is none.
    pub fn message(&self) -> String {
        self.field("message").unwrap_or_else(|| self.text.clone())
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
