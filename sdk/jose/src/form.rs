//! `application/x-www-form-urlencoded`: what authorization servers are told in.

/// The body of a form, as RFC 6749 has it (appendix B).
///
/// ```
/// use legation_jose::form::Form;
///
/// let mut form = Form::new();
/// form.add("grant_type", b"authorization_code");
/// form.add("redirect_uri", b"https://app.example/callback");
/// assert_eq!(
///     form.into_text(),
///     "grant_type=authorization_code&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback"
/// );
/// ```
#[derive(Default)]
pub struct Form(String);

impl Form {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field. One name may be there several times.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&Self::encode(name.as_bytes()));
        self.0.push('=');
        self.0.push_str(&Self::encode(value));
    }

    /// The text of the body. It reads as a query, too.
    pub fn into_text(self) -> String {
        self.0
    }

    /// One name or value, as it stands in a form.
    pub fn encode(text: &[u8]) -> String {
        form_urlencoded::byte_serialize(text).collect()
    }
}

/// Says nothing of the fields, which may be secrets.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Form").finish_non_exhaustive()
    }
}
