//! `application/x-www-form-urlencoded`.

/// The body of a form, as RFC 6749 has it (appendix B).
#[derive(Default)]
pub(crate) struct Form(String);

impl Form {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&mut self, name: &str, value: &[u8]) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&Self::encode(name.as_bytes()));
        self.0.push('=');
        self.0.push_str(&Self::encode(value));
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// One name or value.
    pub(crate) fn encode(text: &[u8]) -> String {
        form_urlencoded::byte_serialize(text).collect()
    }
}
