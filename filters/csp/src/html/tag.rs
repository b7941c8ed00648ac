//! A start tag's bytes: the same reading of its attributes as a browser's tokenizer has.

use std::ops::Range;

/// How many attributes a tag may have to get a nonce. Each is compared with all others.
const ATTRIBUTES: usize = 128;

/// What an attribute's value has where an unclosed tag before this one took it over.
const TAKEN_OVER: &[&[u8]] = &[b"<script", b"<style", b"<link"];

/// An attribute: the places of its name and its value.
#[derive(Debug, PartialEq, Eq)]
struct Attribute {
    name: Range<usize>,
    value: Option<Range<usize>>,
    /// Whether there is a `=` without a value after it. The tag ends there.
    equals: Option<usize>,
}

/// The attributes of a tag.
struct Attributes<'a> {
    tag: &'a [u8],
    at: usize,
}

impl Attributes<'_> {
    /// Goes on while it is such a byte, and says how far.
    fn skip(&mut self, pass: impl Fn(u8) -> bool) -> usize {
        let rest = self.tag.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|&&byte| pass(byte)).count();
        self.at = self.at.saturating_add(length);
        self.at
    }

    fn peek(&self) -> Option<u8> {
        self.tag.get(self.at).copied()
    }

    fn advance(&mut self) -> usize {
        self.at = self.at.saturating_add(1);
        self.at
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b'\x0C')
}

impl Iterator for Attributes<'_> {
    type Item = Attribute;

    fn next(&mut self) -> Option<Attribute> {
        let start = self.skip(|byte| is_space(byte) || byte == b'/');
        if matches!(self.peek(), None | Some(b'>')) {
            return None;
        }
        // The first of a name may be a `=`.
        self.advance();
        let end = self.skip(|byte| !is_space(byte) && !b"/>=".contains(&byte));
        let mut attribute = Attribute {
            name: start..end,
            value: None,
            equals: None,
        };
        self.skip(is_space);
        if self.peek() != Some(b'=') {
            return Some(attribute);
        }
        let after = self.advance();
        self.skip(is_space);
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => {
                let start = self.advance();
                let end = self.skip(|byte| byte != quote);
                self.advance();
                attribute.value = Some(start..end);
            }
            None | Some(b'>') => attribute.equals = Some(after),
            Some(_) => {
                let start = self.at;
                let end = self.skip(|byte| !is_space(byte) && byte != b'>');
                attribute.value = Some(start..end);
            }
        }
        Some(attribute)
    }
}

/// The attributes of a whole tag, the name of which has that length.
fn attributes(tag: &[u8], name: usize) -> Option<Attributes<'_>> {
    // The parser gives whole tags. If ever it did not, none would be changed.
    let whole = tag.first() == Some(&b'<') && tag.last() == Some(&b'>');
    whole.then(|| Attributes {
        tag,
        at: name.saturating_add(1),
    })
}

/// A tag in two parts, with the nonce and what leads to it and follows it to come between them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split<'a> {
    pub(super) before: &'a [u8],
    pub(super) lead: &'static [u8],
    pub(super) trail: &'static [u8],
    pub(super) after: &'a [u8],
}

/// Where a nonce goes in a tag. `None`: none may be there, by "Is element nonceable?" of the
/// policy (6.7.3.1), in which browsers look for tags that an unclosed one before them took over,
/// or because nobody writes such a tag.
///
/// Browsers do so for `script` alone; here it is the same for all. Names may have no `<` at all,
/// and values no `<link` either.
pub(super) fn split(tag: &[u8], name: usize) -> Option<Split<'_>> {
    let list = attributes(tag, name)?
        .take(ATTRIBUTES.saturating_add(1))
        .collect::<Vec<_>>();
    if list.len() > ATTRIBUTES {
        return None;
    }
    let mut nonce = None;
    for (index, attribute) in list.iter().enumerate() {
        let named = tag.get(attribute.name.clone())?;
        let repeated = list.iter().take(index).any(|earlier| {
            tag.get(earlier.name.clone())
                .is_some_and(|earlier| earlier.eq_ignore_ascii_case(named))
        });
        let value = attribute.value.clone().and_then(|value| tag.get(value));
        if repeated || named.contains(&b'<') || value.is_some_and(is_taken_over) {
            return None;
        }
        if named.eq_ignore_ascii_case(b"nonce") {
            nonce = Some(attribute);
        }
    }
    let (cut, lead): (Range<usize>, &[u8]) = match nonce {
        None => {
            let at = name.saturating_add(1);
            (at..at, b" nonce=")
        }
        Some(Attribute {
            value: Some(value), ..
        }) => (value.clone(), b""),
        Some(Attribute {
            equals: Some(at), ..
        }) => (*at..*at, b""),
        Some(Attribute { name, .. }) => (name.end..name.end, b"="),
    };
    let after = tag.get(cut.end..)?;
    Some(Split {
        before: tag.get(..cut.start)?,
        lead,
        // It would belong to a value without quotes.
        trail: if after.first() == Some(&b'/') {
            b" "
        } else {
            b""
        },
        after,
    })
}

fn is_taken_over(value: &[u8]) -> bool {
    TAKEN_OVER.iter().any(|taken| {
        value
            .windows(taken.len())
            .any(|window| window.eq_ignore_ascii_case(taken))
    })
}

/// Whether a tag ends in a `=` without a value. The parser then reads on as if this had been no
/// element of text, and a browser does not.
pub(super) fn ends_in_equals(tag: &[u8], name: usize) -> bool {
    attributes(tag, name)
        .is_none_or(|mut attributes| attributes.any(|attribute| attribute.equals.is_some()))
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn put(tag: &str) -> Option<String> {
        let split = split(tag.as_bytes(), "script".len())?;
        let parts = [split.before, split.lead, b"N", split.trail, split.after];
        Some(String::from_utf8(parts.concat()).unwrap())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn puts_a_nonce_where_there_is_none() {
        for (tag, with) in [
            ("<script>", "<script nonce=N>"),
            ("<script >", "<script nonce=N >"),
            ("<script/>", "<script nonce=N />"),
            ("<SCRIPT\nSRC=a>", "<SCRIPT nonce=N\nSRC=a>"),
            ("<script/src=a/>", "<script nonce=N /src=a/>"),
            ("<script data-nonce=a>", "<script nonce=N data-nonce=a>"),
            ("<script x=' nonce=a'>", "<script nonce=N x=' nonce=a'>"),
        ] {
            assert_eq!(put(tag).as_deref(), Some(with), "{tag}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn puts_a_nonce_in_place_of_another() {
        for (tag, with) in [
            ("<script nonce=old>", "<script nonce=N>"),
            ("<script nonce=\"old\" src=a>", "<script nonce=\"N\" src=a>"),
            (
                "<script src=a nonce = 'o l d' async>",
                "<script src=a nonce = 'N' async>",
            ),
            ("<script NONCE=\"\">", "<script NONCE=\"N\">"),
            ("<script nonce>", "<script nonce=N>"),
            ("<script nonce async>", "<script nonce=N async>"),
            ("<script nonce/src=a>", "<script nonce=N /src=a>"),
            ("<script nonce=>", "<script nonce=N>"),
            ("<script async nonce = >", "<script async nonce =N >"),
            (
                "<script data-nonce=a nonce=b/>",
                "<script data-nonce=a nonce=N>",
            ),
        ] {
            assert_eq!(put(tag).as_deref(), Some(with), "{tag}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn puts_none_where_browsers_would_not_take_it() {
        for tag in [
            "<script src=//evil.invalid/ <script src=/a.js>",
            "<script src='//evil.invalid/?<script src=/a.js x='>",
            "<script x=\"<StYlE>\" src=a>",
            "<script x=<link src=a>",
            "<script a < b>",
            "<script src=a src=b>",
            "<script nonce=a NONCE=b>",
            "<script async src=a ASYNC>",
        ] {
            assert_eq!(put(tag), None, "{tag}");
        }
        let many = |count: usize| {
            let names = (0..count).flat_map(|index| [" a".to_owned(), index.to_string()]);
            put(&format!("<script{}>", names.collect::<String>()))
        };
        assert!(many(ATTRIBUTES).is_some());
        assert!(many(ATTRIBUTES + 1).is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn reads_attributes_as_a_tokenizer_does() {
        for (tag, expected) in [
            (
                // The first character of a name may be any.
                "<script =a==b/c\n=\n'd>",
                &[("=a", Some("=b/c")), ("=", None), ("'d", None)][..],
            ),
            (
                "<script f\"g=\"h/i j\"k/l=/m n / o = p q=>",
                &[
                    ("f\"g", Some("h/i j")),
                    ("k", None),
                    ("l", Some("/m")),
                    ("n", None),
                    ("o", Some("p")),
                    ("q", None),
                ],
            ),
        ] {
            let list = attributes(tag.as_bytes(), 6)
                .unwrap()
                .map(|attribute| {
                    let value = attribute.value.map(|value| tag.get(value).unwrap());
                    (tag.get(attribute.name).unwrap(), value)
                })
                .collect::<Vec<_>>();
            assert_eq!(list, expected, "{tag}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn tells_a_tag_that_ends_in_an_equals_sign() {
        for (tag, ends) in [
            ("<script a=>", true),
            ("<script a = >", true),
            ("<script a=b c=\n>", true),
            ("<script a==>", false),
            ("<script =>", false),
            ("<script a=''>", false),
            ("<script a>", false),
            ("<script>", false),
        ] {
            assert_eq!(ends_in_equals(tag.as_bytes(), 6), ends, "{tag}");
        }
    }
}
