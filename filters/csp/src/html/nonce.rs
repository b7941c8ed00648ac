//! A nonce, as it is written into pages.

/// How long a nonce may be, in characters: 128 bits in base64 at least, which is what the policy
/// asks for ("Security considerations", nonce reuse), and no more than anybody needs.
const LENGTHS: std::ops::RangeInclusive<usize> = 22..=128;

/// A nonce: `base64-value` of the policy's grammar, of 22 to 128 characters.
///
/// None of its characters means anything in any place of a page, be it text, a tag, a value in
/// quotes or without, or a script. So it is written without quotes, and nothing ends by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(Box<str>);

impl Nonce {
    /// `None` if the text is not one, or is too short or too long.
    pub fn new(text: &str) -> Option<Self> {
        let value = text.trim_end_matches('=');
        let padding = text.len().saturating_sub(value.len());
        let fits = LENGTHS.contains(&text.len())
            && padding <= 2
            && value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte));
        fits.then(|| Self(text.into()))
    }

    /// As it is written into pages and into `'nonce-…'`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn takes_what_the_grammar_calls_a_nonce() {
        for (text, taken) in [
            ("MTIzNDU2Nzg5MDEyMzQ1Ng==", true),
            ("abcdefghij-_+/01234567", true),
            ("abcdefghijklmnopqrstu", false),
            (&"a".repeat(128), true),
            (&"a".repeat(129), false),
            ("MTIzNDU2Nzg5MDEyMzQ1Ng===", false),
            ("MTIzNDU2=Nzg5MDEyMzQ1Ng", false),
            ("MTIzNDU2Nzg5\"MDEyMzQ1Ng", false),
            ("MTIzNDU2Nzg5 MDEyMzQ1Ng", false),
        ] {
            assert_eq!(Nonce::new(text).is_some(), taken, "{text}");
        }
    }
}
