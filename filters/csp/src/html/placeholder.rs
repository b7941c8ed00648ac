//! A text that stands in pages where the nonce is to be.

use std::rc::Rc;

use memchr::memmem::Finder;

/// How long a placeholder may be, in bytes: long enough that nobody writes it by chance and that
/// it can be made up at random, and short enough to be held back while it may be one.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=128;

/// A text that stands in pages where the nonce is to be, and is nowhere else.
///
/// Each place in the bytes of a page counts, so whoever can have the text written into a page
/// gets the nonce there. Readers of the page do not see it, as all of it is replaced: one that
/// is made up at random is a secret of the upstream and the proxy.
#[derive(Debug, Clone)]
pub struct Placeholder {
    finder: Rc<Finder<'static>>,
}

/// Why a text is no placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceholderError {
    /// Its length is not one that they have.
    #[error("a placeholder has 8 to 128 characters, this one has {0}")]
    Length(usize),
    /// It has a character that could be written in another way in a page, or that ends an
    /// attribute.
    #[error("{0:?} is no character of a placeholder: letters, digits, and -._~{{}}$%@#:+*! are")]
    Character(char),
}

impl Placeholder {
    /// A text of 8 to 128 ASCII letters, digits and ``-._~{}$%@#:+*!``.
    pub fn new(text: &str) -> Result<Self, PlaceholderError> {
        let usable = |c: char| c.is_ascii_alphanumeric() || "-._~{}$%@#:+*!".contains(c);
        if let Some(other) = text.chars().find(|&c| !usable(c)) {
            return Err(PlaceholderError::Character(other));
        }
        if !LENGTHS.contains(&text.len()) {
            return Err(PlaceholderError::Length(text.len()));
        }
        let finder = Rc::new(Finder::new(text).into_owned());
        Ok(Self { finder })
    }

    /// Whether the text stands in this one.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.finder.find(text.as_bytes()).is_some()
    }
}

/// Replaces a placeholder by the nonce.
pub(super) struct Replacer {
    placeholder: Placeholder,
    nonce: Box<[u8]>,
    /// The end of what came, where it may be the beginning of the placeholder.
    held: Vec<u8>,
    /// How often it was replaced.
    pub(super) replaced: u32,
}

impl Replacer {
    pub(super) fn new(placeholder: Placeholder, nonce: &str) -> Self {
        Self {
            placeholder,
            nonce: nonce.as_bytes().into(),
            held: Vec::new(),
            replaced: 0,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.held.is_empty() {
            let kept = self.replace(chunk, out);
            self.held.extend_from_slice(kept);
            return;
        }
        // What is held is shorter than the placeholder, so that what it becomes is known within
        // as many bytes of the chunk; copying no more than these is enough.
        let joined = chunk.len().min(self.placeholder.finder.needle().len());
        let (joined, rest) = chunk.split_at_checked(joined).unwrap_or((chunk, &[]));
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(joined);
        let mut kept = self.replace(&held, out);
        if !rest.is_empty() {
            // What is still held lies within the chunk.
            let from = joined.len().saturating_sub(kept.len());
            kept = self.replace(chunk.get(from..).unwrap_or_default(), out);
        }
        self.held.extend_from_slice(kept);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    /// Writes all but what may be the beginning of a placeholder, which is returned.
    fn replace<'a>(&mut self, mut bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let finder = &self.placeholder.finder;
        let needle = finder.needle();
        while let Some(at) = finder.find(bytes) {
            let (before, from) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
            out.extend_from_slice(before);
            out.extend_from_slice(&self.nonce);
            self.replaced = self.replaced.saturating_add(1);
            bytes = from.get(needle.len()..).unwrap_or_default();
        }
        let longest = bytes.len().min(needle.len().saturating_sub(1));
        let kept = (0..=longest)
            .rev()
            .find(|&length| {
                let tail = bytes.len().saturating_sub(length);
                bytes
                    .get(tail..)
                    .is_some_and(|tail| needle.starts_with(tail))
            })
            .unwrap_or(0);
        let (done, kept) = bytes
            .split_at_checked(bytes.len().saturating_sub(kept))
            .unwrap_or((bytes, &[]));
        out.extend_from_slice(done);
        kept
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn replaced(placeholder: &str, chunks: &[&[u8]]) -> (String, u32) {
        let mut replacer = Replacer::new(Placeholder::new(placeholder).unwrap(), "N0nce");
        let mut out = Vec::new();
        for chunk in chunks {
            replacer.push(chunk, &mut out);
        }
        replacer.finish(&mut out);
        (String::from_utf8(out).unwrap(), replacer.replaced)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn replaces_each_one_however_it_is_cut() {
        for (text, expected, count) in [
            ("", "", 0),
            ("nothing here", "nothing here", 0),
            ("aabaabac", "N0nce", 1),
            ("<script nonce=aabaabac>", "<script nonce=N0nce>", 1),
            // One in which another could have begun, and one that only ends with a beginning.
            ("aabaabaabac", "aabN0nce", 1),
            ("aabaabacaabaabac", "N0nceN0nce", 2),
            ("xaabaabaabaabaabacaabaaba", "xaabaabaabN0nceaabaaba", 1),
        ] {
            let whole = replaced("aabaabac", &[text.as_bytes()]);
            assert_eq!(whole, (expected.to_owned(), count), "{text}");
            for one in 0..=text.len() {
                for two in one..=text.len() {
                    let text = text.as_bytes();
                    let cut = [&text[..one], &text[one..two], &text[two..]];
                    assert_eq!(replaced("aabaabac", &cut), whole, "{one} {two} {text:?}");
                }
            }
            let bytes = text.as_bytes().chunks(1).collect::<Vec<_>>();
            assert_eq!(replaced("aabaabac", &bytes), whole, "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn holds_back_only_what_may_be_a_placeholder() {
        let mut replacer = Replacer::new(Placeholder::new("{{NONCE}}").unwrap(), "n");
        let mut out = Vec::new();
        replacer.push(b"<p>{{NON", &mut out);
        assert_eq!(out, b"<p>");
        replacer.push(b"sense", &mut out);
        assert_eq!(out, b"<p>{{NONsense");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rejects_what_is_no_placeholder() {
        for (text, error) in [
            ("", PlaceholderError::Length(0)),
            ("1234567", PlaceholderError::Length(7)),
            (&"x".repeat(129), PlaceholderError::Length(129)),
            ("nonce here", PlaceholderError::Character(' ')),
            ("<!--nonce-->", PlaceholderError::Character('<')),
            ("nonce&here", PlaceholderError::Character('&')),
            ("\"nonce-here", PlaceholderError::Character('"')),
            ("noncé-here", PlaceholderError::Character('é')),
        ] {
            assert_eq!(Placeholder::new(text).unwrap_err(), error, "{text}");
        }
    }
}
