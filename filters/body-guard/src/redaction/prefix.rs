//! What all matches of an expression begin with.
//!
//! The crate `regex-lite` tries an expression at every character. Most that are looked for begin with a text
//! (`sk_live_[0-9A-Za-z]{24}`), which is found many times faster.

use memchr::memmem::Finder;

/// The text that all matches begin with, as far as it is plain from the expression's own text.
#[derive(Debug)]
pub(super) struct Prefix(Option<Finder<'static>>);

impl Prefix {
    /// Of an expression that is one.
    pub(super) fn of(pattern: &str) -> Self {
        let text = text(pattern).filter(|text| !text.is_empty());
        Self(text.map(|text| Finder::new(&text).into_owned()))
    }

    /// Where a match may begin first, from `from` on: `None` where none can.
    pub(super) fn find(&self, text: &str, from: usize) -> Option<usize> {
        let Some(prefix) = &self.0 else {
            return Some(from);
        };
        let found = prefix.find(text.as_bytes().get(from..)?)?;
        Some(from.saturating_add(found))
    }
}

fn text(pattern: &str) -> Option<String> {
    // Of no length.
    let mut rest = match pattern.strip_prefix(r"\b") {
        Some(rest) if !rest.starts_with('{') => rest,
        _ => pattern,
    };
    let mut text = String::new();
    loop {
        let mut characters = rest.chars();
        let mut next = characters.next();
        if next == Some('\\') {
            // A class, or a place, is none of them.
            next = characters.next().filter(char::is_ascii_punctuation);
            // Beginnings and ends of words.
            if matches!(next, None | Some('<' | '>')) {
                break;
            }
        } else if next.is_none_or(|next| r".^$([{|*+?".contains(next)) {
            break;
        }
        text.extend(next);
        rest = characters.as_str();
    }
    if rest.starts_with(['*', '?', '{']) {
        // It may be there no time.
        text.pop();
    }
    (!may_begin_otherwise(rest)?).then_some(text)
}

/// Whether a rest of an expression has a `|` outside groups. `None`: not known.
fn may_begin_otherwise(rest: &str) -> Option<bool> {
    let mut depth = 0_usize;
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return Some(true),
            '[' => {
                let (class, behind) = characters.as_str().split_once(']')?;
                // Where these end takes more to know.
                if class.is_empty() || class == "^" || class.contains(['[', '\\']) {
                    return None;
                }
                characters = behind.chars();
            }
            _ => {}
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_plain_beginning_is_known() {
        for (pattern, expected) in [
            ("sk_live_[0-9A-Za-z]{24}", Some("sk_live_")),
            (r"\bAKIA[0-9A-Z]{16}\b", Some("AKIA")),
            ("sk_(live|test)_[a-z]+", Some("sk_")),
            (r"-----BEGIN [A-Z ]+-----", Some("-----BEGIN ")),
            (r"a\.b\+c", Some("a.b+c")),
            ("käse", Some("käse")),
            ("ab+", Some("ab")),
            ("ab*c", Some("a")),
            ("ab?", Some("a")),
            ("ab{2}", Some("a")),
            ("a*", Some("")),
            ("[ab]c", Some("")),
            (r"\d+", Some("")),
            (r"a\d+", Some("a")),
            (r"a\<b", Some("a")),
            (r"\b{start}a", Some("")),
            ("(?i)key=[a-z]+", Some("")),
            ("(?x) a b", Some("")),
            ("^a", Some("")),
            ("a|b", None),
            ("a(b)|c", None),
            ("a[(]|b", None),
            ("a[)]b", Some("a")),
            (r"a\(|b", None),
            // Not known, and left alone.
            ("a[]|]b", None),
            ("a[^]|]b", None),
            ("a[[:alpha:]]|b", None),
            (r"a[\]|]b", None),
        ] {
            assert_eq!(text(pattern).as_deref(), expected, "{pattern}");
            Regex::new(pattern).unwrap();
        }
    }

    /// All texts of so many of these characters.
    fn texts(length: u32) -> Vec<String> {
        (0..length).fold(vec![String::new()], |texts, _| {
            let longer = |text: &String| ["a", "b", "é", "|"].map(|next| format!("{text}{next}"));
            texts.iter().flat_map(longer).collect()
        })
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_same_is_found_as_without_it() {
        for pattern in [
            "a", "ab", "ab+", "ab*", "ab?é", "ab{2}", "aé|b", "a(b|é)", "a[b|]", "éa", r"\bab",
            r"a\b", r"a\|b", "(a|b)é", "(?i)AB", "a[^b]", "a[b(]|é", "a(|b)", r"\|a?", "ab$",
            "^ab", "a.b", "ab??a",
        ] {
            let regex = Regex::new(pattern).unwrap();
            let prefix = Prefix::of(pattern);
            for text in (0..=5).flat_map(texts) {
                for (from, _) in text.char_indices() {
                    let expected = regex.find_at(&text, from).map(|found| found.range());
                    let start = prefix.find(&text, from);
                    let found = start.and_then(|start| regex.find_at(&text, start));
                    let found = found.map(|found| found.range());
                    assert_eq!(found, expected, "{pattern} in {text} from {from}");
                }
            }
        }
    }
}
